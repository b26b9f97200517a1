//! Who has just given kudos to whom, so that nobody plays them back and forth.

use std::{collections::HashMap, time::Duration};

use muster_protocol::{Timestamp, UserId};
use parking_lot::Mutex;

/// For how long nothing can be given back.
const PAUSE: Duration = Duration::from_mins(1);

/// The transfers of the last minute, by giver and receiver.
#[derive(Debug, Default)]
pub(crate) struct RecentTransfers(Mutex<HashMap<(UserId, UserId), Timestamp>>);

impl RecentTransfers {
    /// Notes a transfer, and forgets old ones.
    pub(super) fn note(&self, from: UserId, to: UserId, now: Timestamp) {
        let mut recent = self.0.lock();
        recent.retain(|_, at| now.since(*at) < PAUSE);
        recent.insert((from, to), now);
    }

    /// Whether there was one within the last minute.
    pub(super) fn was_there(&self, from: UserId, to: UserId, now: Timestamp) -> bool {
        let recent = self.0.lock();
        recent.get(&(from, to)).is_some_and(|at| now.since(*at) < PAUSE)
    }
}
