//! [`Timer`]: what is due when, in order.

use std::collections::BTreeSet;

use muster_protocol::Timestamp;

use crate::ticket::Due;

/// What is due when. Nothing is ever searched for: every entry is known by its moment.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    /// Moments that no clock reading has reached yet.
    ahead: BTreeSet<(Timestamp, Due)>,
    /// Moments that are over, but were not asked for yet.
    over: BTreeSet<(Timestamp, Due)>,
}

impl Timer {
    /// Adds an entry.
    pub(crate) fn set(&mut self, at: Timestamp, what: Due) {
        self.ahead.insert((at, what));
    }

    /// Takes an entry out.
    pub(crate) fn unset(&mut self, at: Timestamp, what: Due) {
        if !self.ahead.remove(&(at, what)) {
            self.over.remove(&(at, what));
        }
    }

    /// The next entry whose moment has come, each once.
    pub(crate) fn advance(&mut self, now: Timestamp) -> Option<Due> {
        let first = *self.ahead.first()?;
        if first.0 > now {
            return None;
        }
        self.ahead.remove(&first);
        self.over.insert(first);
        Some(first.1)
    }

    /// All entries that [`Timer::advance`] has passed, in order, and forgets them.
    pub(crate) fn take(&mut self) -> Vec<Due> {
        std::mem::take(&mut self.over)
            .into_iter()
            .map(|(_, what)| what)
            .collect()
    }

    /// The earliest entry there is.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        let earliest = |set: &BTreeSet<(Timestamp, Due)>| set.first().map(|&(at, _)| at);
        match (earliest(&self.over), earliest(&self.ahead)) {
            (Some(over), Some(ahead)) => Some(over.min(ahead)),
            (over, ahead) => over.or(ahead),
        }
    }
}

#[cfg(test)]
mod tests {
    use muster_protocol::RequestId;
    use uuid::Uuid;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn what(number: u128) -> Due {
        Due::RequestExpired(RequestId(Uuid::from_u128(number)))
    }

    #[test]
    fn entries_come_in_order_even_if_set_late() {
        let mut timer = Timer::default();
        timer.set(at(20), what(2));
        timer.set(at(10), what(3));
        timer.set(at(30), what(1));
        assert_eq!(timer.advance(at(20)), Some(what(3)));
        assert_eq!(timer.advance(at(20)), Some(what(2)));
        assert_eq!(timer.advance(at(20)), None);
        timer.set(at(5), what(4));
        assert_eq!(timer.next(), Some(at(5)));
        assert_eq!(timer.advance(at(20)), Some(what(4)));
        assert_eq!(timer.take(), [what(4), what(3), what(2)]);
        assert_eq!(timer.take(), []);
        assert_eq!(timer.next(), Some(at(30)));
    }

    #[test]
    fn what_is_unset_never_comes() {
        let mut timer = Timer::default();
        timer.set(at(1), what(1));
        timer.set(at(2), what(2));
        assert_eq!(timer.advance(at(1)), Some(what(1)));
        timer.unset(at(1), what(1));
        timer.unset(at(2), what(2));
        assert_eq!(timer.advance(at(9)), None);
        assert_eq!(timer.take(), []);
        assert_eq!(timer.next(), None);
    }
}
