//! [`OrderKey`]: the order of the queue, fixed for each request at the moment it is made.

use muster_protocol::{RequestId, Timestamp};
use uuid::Uuid;

/// The place of a request relative to all others; smaller is served earlier.
///
/// A request begins with its requester's kudos as priority and gains 50 every 10 seconds, that is
/// 0.005 a millisecond. At time `t` (in milliseconds) its priority is
///
/// ```text
/// priority + 0.005 · (t − created)
/// ```
///
/// Multiplied by 1000 that is `(1000 · priority − 5 · created) + 5 · t`. The last term is the same
/// for all requests, so whichever of two is ahead stays ahead, and what is left in the brackets is
/// a key that never changes. No queue ever has to be sorted again. On a tie the older request is
/// first, then the smaller id.
///
/// Kinds that do not age use `1000 · priority` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey {
    /// The key above, negated: what is served earlier is smaller.
    rank: i64,
    created: Timestamp,
    request: RequestId,
}

impl OrderKey {
    /// Before all requests.
    pub(crate) const FIRST: Self = Self {
        rank: i64::MIN,
        created: Timestamp::from_millis(i64::MIN),
        request: RequestId(Uuid::nil()),
    };
    /// After all requests.
    pub(crate) const LAST: Self = Self {
        rank: i64::MAX,
        created: Timestamp::from_millis(i64::MAX),
        request: RequestId(Uuid::max()),
    };

    /// The key of a request.
    pub fn new(priority: i64, created: Timestamp, request: RequestId, ages: bool) -> Self {
        let age_term = if ages {
            created.millis().saturating_mul(5)
        } else {
            0
        };
        Self {
            rank: age_term.saturating_sub(priority.saturating_mul(1000)),
            created,
            request,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(priority: i64, created: i64, id: u128) -> OrderKey {
        let request = RequestId(Uuid::from_u128(id));
        OrderKey::new(priority, Timestamp::from_millis(created), request, true)
    }

    #[test]
    fn ten_seconds_of_waiting_outweigh_fifty_kudos() {
        assert!(
            key(50, 10_000, 1) > key(0, 0, 2),
            "equal at every moment: the older is first"
        );
        assert!(key(51, 10_000, 1) < key(0, 0, 2));
        assert!(key(50, 10_001, 1) > key(0, 0, 2));
    }

    #[test]
    fn ties_go_to_the_older_then_to_the_smaller_id() {
        assert!(key(7, 5, 1) < key(7, 5, 2));
        assert!(key(7, 4, 2) < key(7, 5, 1));
    }

    #[test]
    fn absurd_priorities_do_not_wrap_around() {
        assert!(key(i64::MAX, 0, 1) < key(0, 0, 2));
        assert!(key(i64::MIN, 0, 1) > key(0, 0, 2));
    }
}
