//! [`Schedule`]: which duty is due when.

use std::time::Duration;

use muster_protocol::Timestamp;
use rand::{Rng, RngExt as _};
use strum::{EnumIter, IntoEnumIterator as _, IntoStaticStr};

use crate::{EngineConfig, accounts::PAYDAY_INTERVAL};

/// How often services are asked who supports the horde.
const SUPPORTERS_INTERVAL: Duration = Duration::from_mins(30);
/// How often old objects are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_mins(5);

/// What is done from time to time without anyone asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Duty {
    /// Check-ins of workers are written down.
    CheckIns,
    /// Requests that are done and over are forgotten.
    FinishedRequests,
    /// Messages to workers that are over are forgotten.
    Messages,
    /// What filters have found is written down.
    FilterHits,
    /// Another node may have changed filters …
    Filters,
    /// … blocks of addresses …
    Blocks,
    /// … or modes.
    Modes,
    /// Censored jobs of long ago are forgotten.
    ProblemJobs,
    /// Services are asked who supports the horde.
    Supporters,
    /// Supporters and moderators are paid.
    MonthlyKudos,
    /// Old pictures and refused prompts are deleted.
    Objects,
}

impl Duty {
    /// Whether it may take long, so that it must not keep other duties waiting.
    pub(super) fn is_long(self) -> bool {
        // Whole buckets are listed, services of others called.
        matches!(self, Self::Objects | Self::Supporters)
    }

    fn period(self, config: &EngineConfig) -> Duration {
        match self {
            Self::CheckIns => config.check_in_flush,
            Self::MonthlyKudos => PAYDAY_INTERVAL,
            Self::Objects => SWEEP_INTERVAL,
            Self::Supporters => SUPPORTERS_INTERVAL,
            Self::ProblemJobs => 60 * config.prune_interval,
            Self::FinishedRequests
            | Self::Messages
            | Self::FilterHits
            | Self::Filters
            | Self::Blocks
            | Self::Modes => config.prune_interval,
        }
    }
}

/// When each duty is due.
#[derive(Debug)]
pub(super) struct Schedule(Vec<Planned>);

#[derive(Debug)]
struct Planned {
    duty: Duty,
    period: Duration,
    next: Timestamp,
}

impl Schedule {
    /// All duties, each for the first time within its period: so they do not all come at once, nor do those of nodes
    /// that were started together.
    pub(super) fn new(config: &EngineConfig, now: Timestamp, rng: &mut impl Rng) -> Self {
        let plan = |duty: Duty| {
            let period = duty.period(config);
            let next = now + period.mul_f64(rng.random_range(0.0..1.0));
            Planned { duty, period, next }
        };
        Self(Duty::iter().map(plan).collect())
    }

    /// The duties that are due. The next time is a period later, give or take a tenth.
    pub(super) fn due(&mut self, now: Timestamp, rng: &mut impl Rng) -> Vec<Duty> {
        let mut due = Vec::new();
        for planned in &mut self.0 {
            // A clock that was set back must not put a duty off for long.
            let longest = now + 2 * planned.period;
            if planned.next <= now || planned.next > longest {
                planned.next = now + planned.period.mul_f64(rng.random_range(0.9..1.1));
                due.push(planned.duty);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    #[test]
    fn every_duty_comes_once_a_period_and_not_all_at_once() {
        let config = EngineConfig::default();
        let mut rng = StdRng::seed_from_u64(7);
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let mut schedule = Schedule::new(&config, at(0), &mut rng);
        let mut times = std::collections::HashMap::<&str, u32>::new();
        let mut most = 0;
        for second in 0..3600 {
            let due = schedule.due(at(second), &mut rng);
            most = most.max(due.len());
            for duty in due {
                *times.entry(duty.into()).or_default() += 1;
            }
        }
        assert!((54..=66).contains(&times["filters"]), "{times:?}");
        assert!((10..=14).contains(&times["objects"]), "{times:?}");
        assert!((600..=800).contains(&times["check-ins"]), "{times:?}");
        assert!(most < Duty::iter().count() / 2, "{most}");
        // A clock that is set back a day puts nothing off.
        let due = schedule.due(at(-86_400), &mut rng);
        assert_eq!(due.len(), Duty::iter().count());
    }
}
