//! How far ahead in the queue a request starts, and how waiting moves it forward (section 8).
//!
//! Ageing is linear and the same for all, so the order of two requests never changes; the queue
//! itself is kept elsewhere.

use std::time::Duration;

use muster_protocol::Kudos;

/// What a request gains in priority for every [`AGEING_INTERVAL`] that it waits.
pub const AGEING_GAIN: i64 = 50;

/// How long a request waits for one [`AGEING_GAIN`].
pub const AGEING_INTERVAL: Duration = Duration::from_secs(10);

/// Priority of a request from a flagged account without notable kudos.
const FLAGGED: i64 = -100;

/// Priority of a request that was accepted although its shared key could not pay for it.
const UNPAID_SHARED_KEY: i64 = -50;

/// What is known of the payer at the moment a request is activated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payer {
    /// Spendable balance before the activation tax; with a shared key, that of the key's owner.
    pub balance: Kudos,
    /// Whether the account is flagged for abuse.
    pub flagged: bool,
    /// Whether the request was let through although its shared key's budget does not cover it.
    pub shared_key_exhausted: bool,
}

/// The priority that a request enters the queue with; higher is served earlier.
pub fn initial_priority(payer: Payer) -> i64 {
    if payer.flagged {
        if payer.balance > Kudos::from_whole(10) {
            return (payer.balance.to_f64() / 1000.0).round_ties_even() as i64;
        }
        return FLAGGED;
    }
    if payer.shared_key_exhausted {
        return UNPAID_SHARED_KEY;
    }
    payer.balance.whole()
}

/// The priority of an image or text request after it has waited; alchemy requests don't age.
pub fn aged_priority(initial: i64, waited: Duration) -> i64 {
    let intervals = waited.as_secs() / AGEING_INTERVAL.as_secs();
    i64::try_from(intervals)
        .unwrap_or(i64::MAX)
        .saturating_mul(AGEING_GAIN)
        .saturating_add(initial)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payer(balance: i64) -> Payer {
        Payer {
            balance: Kudos::from_whole(balance),
            flagged: false,
            shared_key_exhausted: false,
        }
    }

    #[test]
    fn priority_is_the_balance() {
        assert_eq!(initial_priority(payer(-50)), -50);
        assert_eq!(initial_priority(payer(3_000_000_000)), 3_000_000_000);
    }

    #[test]
    fn an_exhausted_shared_key_starts_behind() {
        let exhausted = Payer {
            shared_key_exhausted: true,
            ..payer(10_000)
        };
        assert_eq!(initial_priority(exhausted), -50);
    }

    #[test]
    fn flagged_accounts_start_far_behind_whatever_else_holds() {
        let flagged = |balance| Payer {
            flagged: true,
            shared_key_exhausted: true,
            ..payer(balance)
        };
        assert_eq!(initial_priority(flagged(10)), -100);
        assert_eq!(initial_priority(flagged(11)), 0);
        assert_eq!(initial_priority(flagged(2_500)), 2);
        assert_eq!(initial_priority(flagged(3_500)), 4);
    }

    #[test]
    fn ten_seconds_outweigh_fifty_kudos() {
        assert_eq!(aged_priority(-50, Duration::from_secs(9)), -50);
        assert_eq!(aged_priority(-50, Duration::from_secs(10)), 0);
        assert_eq!(aged_priority(25, Duration::from_hours(1)), 18_025);
        assert_eq!(aged_priority(0, Duration::MAX), i64::MAX);
    }
}
