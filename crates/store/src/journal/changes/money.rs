//! Events and statistics that belong to no other change.

use std::sync::Arc;

use super::super::{
    Posted,
    books::Booked,
    change::{Change, Needs},
    working_set::WorkingSet,
};
use crate::{JournalError, LedgerEvent, Tallies};

/// An event, statistics, or both.
pub(in super::super) struct PostEvent {
    pub(in super::super) event: Option<LedgerEvent>,
    pub(in super::super) tallies: Tallies,
}

impl Change for PostEvent {
    type Outcome = Posted;

    fn needs(&self, needs: &mut Needs) {
        if let Some(event) = &self.event {
            needs.event(event);
        }
    }

    fn apply(self: &Arc<Self>, set: &mut WorkingSet) -> Result<Posted, JournalError> {
        let mut now = Vec::new();
        if let Some(event) = &self.event {
            match set.books.book(event)? {
                Booked::Before => return Ok(Posted::Duplicate),
                Booked::Now(balances) => now = balances,
            }
        }
        set.books.tally(&self.tallies);
        Ok(Posted::Posted { balances: now })
    }
}
