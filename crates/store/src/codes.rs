//! The numbers that stand for enumerations in the tables. They never change.

use muster_protocol::WorkKind;

use crate::StoreError;

/// The number of a kind of work.
pub(crate) const fn kind_to_code(kind: WorkKind) -> i16 {
    match kind {
        WorkKind::Image => 0,
        WorkKind::Text => 1,
        WorkKind::Alchemy => 2,
    }
}

/// The kind of work of a number.
pub(crate) fn kind_from_code(code: i16, table: &'static str) -> Result<WorkKind, StoreError> {
    match code {
        0 => Ok(WorkKind::Image),
        1 => Ok(WorkKind::Text),
        2 => Ok(WorkKind::Alchemy),
        _ => Err(StoreError::Corrupt {
            table,
            what: format!("{code} is no kind of work"),
        }),
    }
}
