//! Events and statistics that belong to no other change.

use std::sync::Arc;

use super::super::{
    Posted,
    books::Booked,
    change::{Change, Needs},
    working_set::WorkingSet,
};
use crate::{JournalError, LedgerEvent, Tallies, WorkerCheckIn};

/// An event, statistics, or both, and what a worker said when it earned them.
pub(in super::super) struct PostEvent {
    pub(in super::super) event: Option<LedgerEvent>,
    pub(in super::super) tallies: Tallies,
    pub(in super::super) check_in: Option<WorkerCheckIn>,
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
        if let Some(check_in) = &self.check_in {
            set.note_check_in(check_in);
        }
        Ok(Posted::Posted { balances: now })
    }
}
