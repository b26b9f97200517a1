//! How long to wait before the next try: doubling pauses with jitter, never shorter than the server
//! asked for.

use std::time::Duration;

use crate::random::Stream;

/// The limits of a [`Backoff`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The first pause, before jitter.
    pub first: Duration,
    /// No pause that was not asked for by the server is longer.
    pub longest: Duration,
    /// How often a delivery (an upload, a submission) is tried.
    pub attempts: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
            attempts: 8,
        }
    }
}

/// Counts failures in a row and says how long to pause after each.
#[derive(Debug)]
pub struct Backoff {
    policy: RetryPolicy,
    failures: u32,
    random: Stream,
}

impl Backoff {
    /// Nothing has failed yet.
    pub fn new(policy: RetryPolicy) -> Self {
        Self {
            policy,
            failures: 0,
            random: Stream::unrepeatable(),
        }
    }

    /// The pause after one more failure: `first · 2ⁿ`, capped, of which up to half is taken off at
    /// random so that many workers don't come back in step. A pause that the server asked for is
    /// a lower limit.
    pub fn pause(&mut self, asked_for: Option<Duration>) -> Duration {
        let doubled = self
            .policy
            .first
            .saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        let pause = self.random.jitter(doubled.min(self.policy.longest), 0.5);
        pause.max(asked_for.unwrap_or_default())
    }

    /// Whether the policy allows another try after the failures so far.
    pub fn may_retry(&self) -> bool {
        self.failures < self.policy.attempts
    }

    /// Something succeeded: start over.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap() {
        let mut backoff = Backoff::new(RetryPolicy::default());
        for full in [1, 2, 4, 8, 16, 30, 30].map(Duration::from_secs) {
            let pause = backoff.pause(None);
            assert!(pause >= full / 2 && pause <= full, "{pause:?} for {full:?}");
        }
        backoff.reset();
        assert!(backoff.pause(None) <= Duration::from_secs(1));
    }

    #[test]
    fn the_server_may_ask_for_more() {
        let mut backoff = Backoff::new(RetryPolicy::default());
        assert_eq!(
            backoff.pause(Some(Duration::from_secs(90))),
            Duration::from_secs(90)
        );
    }

    #[test]
    fn many_failures_do_not_overflow() {
        let mut backoff = Backoff::new(RetryPolicy::default());
        for _ in 0..100 {
            assert!(backoff.pause(None) <= Duration::from_secs(30));
        }
        assert!(!backoff.may_retry());
    }
}
