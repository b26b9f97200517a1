//! What people own beside their workers: teams, shared keys, styles, collections, messages to workers.
//!
//! All of it changes rarely and by itself, so it is written with [`Journal::write`](crate::Journal::write) and
//! read from the database when it is asked for. What moves with every job (a team's totals, a key's budget, a
//! style's uses) is part of the [`Tallies`](crate::Tallies) of that job.
//!
//! Writes can be repeated: making what exists with the same id changes nothing.

mod collections;
mod messages;
mod shared_keys;
mod styles;
mod teams;

use sea_orm::DbErr;

pub use self::{
    collections::{Collection, CollectionFilter},
    messages::{MessageFilter, Validity, WorkerMessage},
    shared_keys::SharedKey,
    styles::{Style, StyleExample, StyleFilter},
    teams::Team,
};
use crate::{JournalError, engine_specific::is_unique_violation};

/// In which order styles and collections are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListOrder {
    /// Those that are used most first.
    #[default]
    Popular,
    /// Oldest first.
    Age,
}

/// A page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows before it.
    pub offset: u64,
    /// Rows on it at most.
    pub limit: u64,
}

impl Page {
    /// The page with a number that counts from one; smaller numbers are the first page.
    pub fn numbered(number: i64, limit: u64) -> Self {
        let before = number.max(1).unsigned_abs() - 1;
        Self {
            offset: before.saturating_mul(limit).min(i64::MAX.unsigned_abs()),
            limit,
        }
    }
}

/// A row that cannot be written because another one has its name.
pub(crate) fn name_taken(name: String) -> impl FnOnce(JournalError) -> JournalError {
    move |error| match error {
        JournalError::Database(error) if is_unique_violation(&error) => JournalError::NameTaken(name),
        other => other,
    }
}

/// An insertion that found its row there has done nothing, which is no failure.
pub(crate) fn unless_there<T>(inserted: Result<T, DbErr>) -> Result<(), DbErr> {
    match inserted {
        Ok(_) | Err(DbErr::RecordNotInserted) => Ok(()),
        Err(error) => Err(error),
    }
}
