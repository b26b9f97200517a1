//! What a worker's owner receives: what its software is paid, rewards for being there, what is
//! withheld until the owner is trusted, and when that happens (section 9).

use std::time::Duration;

use muster_protocol::Kudos;

use crate::{rounding::round2, text};

/// A semantic version; missing minor and patch numbers count as 0, and a pre-release comes before
/// its release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BridgeVersion {
    major: u64,
    minor: u64,
    patch: u64,
    is_release: bool,
}

impl BridgeVersion {
    /// The first release of a major version.
    pub const fn major(major: u64) -> Self {
        Self {
            major,
            minor: 0,
            patch: 0,
            is_release: true,
        }
    }

    /// Reads `13`, `13.1`, `13.1.2`, `13.1.2-rc.1` or `13.1.2+build`; `None` if it is none of these.
    pub fn parse(text: &str) -> Option<Self> {
        let (text, _build) = text.split_once('+').unwrap_or((text, ""));
        let (numbers, pre_release) = match text.split_once('-') {
            Some((numbers, tag)) => (numbers, Some(tag)),
            None => (text, None),
        };
        let mut parts = numbers.split('.').map(|part| part.parse::<u64>().ok());
        let major = parts.next()??;
        let minor = parts.next().unwrap_or(Some(0))?;
        let patch = parts.next().unwrap_or(Some(0))?;
        let is_complete = parts.next().is_none() && pre_release != Some("");
        is_complete.then_some(Self {
            major,
            minor,
            patch,
            is_release: pre_release.is_none(),
        })
    }
}

/// A worker software that is paid in full from some version on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBridge {
    /// The first part of its agent string.
    pub name: String,
    /// The first version that is paid in full.
    pub current_since: BridgeVersion,
}

/// What part of its reward an image worker receives, by the software it runs.
///
/// The thresholds move up when new capabilities appear, so the table is configuration;
/// [`BridgeMultipliers::default`] is what the published rules state. Text and alchemy workers have
/// no such multiplier.
#[derive(Clone, Debug, PartialEq)]
pub struct BridgeMultipliers {
    /// Software that is paid in full when it is current.
    pub known: Vec<KnownBridge>,
    /// For outdated versions of known software.
    pub outdated: f64,
    /// For software that is not in the table or does not say its version.
    pub unknown: f64,
}

impl Default for BridgeMultipliers {
    fn default() -> Self {
        let bridge = |name: &str, major| KnownBridge {
            name: name.to_owned(),
            current_since: BridgeVersion::major(major),
        };
        Self {
            known: vec![bridge("AI Horde Worker reGen", 13), bridge("AI Horde Worker", 24)],
            outdated: 0.9,
            unknown: 0.75,
        }
    }
}

impl BridgeMultipliers {
    /// The multiplier for an agent string, `name:version:rest`.
    pub fn multiplier(&self, bridge_agent: &str) -> f64 {
        let mut parts = bridge_agent.split(':');
        let name = parts.next().unwrap_or_default();
        let version = parts.next().and_then(BridgeVersion::parse);
        let known = self.known.iter().find(|bridge| bridge.name == name);
        match (known, version) {
            (Some(bridge), Some(version)) if version >= bridge.current_since => 1.0,
            (Some(_), Some(_)) => self.outdated,
            _ => self.unknown,
        }
    }
}

/// How an owner's income is divided; the parts add up to the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Income {
    /// What can be spent at once.
    pub spendable: Kudos,
    /// What is withheld until the owner is trusted.
    pub escrow: Kudos,
}

impl Income {
    /// Everything at once: how trusted owners and the anonymous account are paid, and everybody for
    /// the uptime of alchemy workers.
    pub const fn unrestricted(amount: Kudos) -> Self {
        Self {
            spendable: amount,
            escrow: Kudos::ZERO,
        }
    }

    /// What an owner who is neither trusted nor anonymous receives for a job or an alchemy form that
    /// is worth `reward` after the worker's multiplier: half of it is withheld.
    pub fn of_untrusted_job(reward: f64) -> Self {
        let escrow = Kudos::from_f64(reward / 2.0);
        Self {
            spendable: Kudos::from_f64(reward) - escrow,
            escrow,
        }
    }

    /// What such an owner receives for the uptime of an image or text worker: all of it is withheld.
    pub const fn of_untrusted_uptime(amount: Kudos) -> Self {
        Self {
            spendable: Kudos::ZERO,
            escrow: amount,
        }
    }

    /// Both parts together.
    pub fn total(self) -> Kudos {
        self.spendable + self.escrow
    }
}

/// What an image worker earns each time [`UptimeMeter::check_in`] says so: more for every model it
/// offers, and for offering `LoRA`s.
pub fn image_uptime_reward(models: u32, allows_loras: bool) -> Kudos {
    const BASE: i64 = 50;
    const PER_MODEL: i64 = 2;
    const LORAS: i64 = 30;
    const MOST_MODELS: u32 = 300;

    let models = i64::from(models.min(MOST_MODELS));
    Kudos::from_whole(BASE + PER_MODEL * models + if allows_loras { LORAS } else { 0 })
}

/// What an alchemist earns likewise.
pub const ALCHEMY_UPTIME_REWARD: Kudos = Kudos::from_whole(40);

/// What a text worker earns likewise: more for a longer context and a larger model, less if its software may say what
/// it likes. `model`: the first that it serves.
pub fn text_uptime_reward(max_context_length: u32, model: text::Model, backend_validated: bool) -> Kudos {
    const BASE: f64 = 25.0;
    const PER_1024_TOKENS: f64 = 15.0;
    const MOST_TOKENS: u32 = 262_144;
    const UNKNOWN_MODEL: f64 = 0.5;
    const UNVALIDATED: f64 = 0.3;
    const USUAL_BILLIONS: f64 = 7.0;
    const LEAST_FACTOR: f64 = 0.25;

    let base = BASE + PER_1024_TOKENS * f64::from(max_context_length.min(MOST_TOKENS)) / 1024.0;
    let reward = match model {
        // What its software is does not count then.
        text::Model::Unknown => UNKNOWN_MODEL * base,
        text::Model::Known { billions } => {
            let trust = if backend_validated { 1.0 } else { UNVALIDATED };
            round2(base * trust * (billions / USUAL_BILLIONS).max(LEAST_FACTOR))
        }
    };
    Kudos::from_f64(reward)
}

/// How long a worker has been there, in all and when it was last rewarded for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UptimeMeter {
    /// All the time that counted.
    pub uptime: Duration,
    /// What `uptime` was at the last reward, or when progress towards the next was lost.
    pub rewarded_until: Duration,
}

impl UptimeMeter {
    /// Uptime that must be exceeded for a reward. A team is credited just this much with it.
    pub const REWARD_INTERVAL: Duration = Duration::from_mins(10);

    /// The longest silence that still counts as being there.
    pub const LONGEST_SILENCE: Duration = Duration::from_mins(5);

    /// Counts a check-in and returns whether a reward is due.
    ///
    /// `since_last` is the time since the check-in before. A worker that was silent for too long, is
    /// paused or in maintenance loses its progress towards the next reward.
    pub fn check_in(&mut self, since_last: Duration, is_active: bool) -> bool {
        if since_last > Self::LONGEST_SILENCE || !is_active {
            self.rewarded_until = self.uptime;
            return false;
        }
        self.uptime += since_last;
        let is_due = self.uptime.saturating_sub(self.rewarded_until) > Self::REWARD_INTERVAL;
        if is_due {
            self.rewarded_until = self.uptime;
        }
        is_due
    }
}

/// What decides whether an owner becomes trusted by itself.
#[derive(Clone, Copy, Debug)]
pub struct TrustCandidate {
    /// What is withheld from the account.
    pub escrow: Kudos,
    /// Suspicions recorded against it.
    pub suspicions: u32,
    /// Whether it is the shared anonymous account.
    pub is_anonymous: bool,
    /// How long ago it was created.
    pub age: Duration,
}

impl TrustCandidate {
    /// Suspicions from which an account is suspicious.
    pub const SUSPICIOUS: u32 = 5;

    /// How old an account must be.
    pub const LEAST_AGE: Duration = Duration::from_hours(7 * 24);

    /// Whether the account earned trust: more withheld than `threshold`, old enough, not suspicious.
    /// Without a threshold nobody does.
    pub fn earns_trust(self, threshold: Option<Kudos>) -> bool {
        threshold.is_some_and(|threshold| self.escrow > threshold)
            && self.suspicions < Self::SUSPICIOUS
            && !self.is_anonymous
            && self.age >= Self::LEAST_AGE
    }
}

/// What a member of the horde's Patreon campaign gets every month for so much, in whole units of the campaign's
/// currency; `None` for an amount that nothing is planned for (spec: operations, 6.12). Small amounts count one by one; the
/// others are the published tiers, that of 10 also paid for a year at once, with a discount.
pub fn patreon_month(amount: u64) -> Option<Kudos> {
    let kudos = match amount {
        0..10 => amount as i64 * 10_000,
        10 | 102..=108 => 150_000,
        24 => 600_000,
        25 => 900_000,
        50 | 100 => 1_500_000,
        _ => return None,
    };
    Some(Kudos::from_whole(kudos))
}

/// What a subscriber through Stripe gets every month, by the name of the product, as it is spelt there; `None` for
/// others (spec: operations, 6.12).
pub fn stripe_month(product: &str) -> Option<Kudos> {
    let kudos = match product {
        "Superior Person" => 20_000,
        "Recognised" => 75_000,
        "Cherised" => 200_000,
        "Treasured" => 700_000,
        "Celebrated" | "Sponsor" => 1_500_000,
        _ => return None,
    };
    Some(Kudos::from_whole(kudos))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn software_is_paid_by_name_and_version() {
        let table = BridgeMultipliers::default();
        for (agent, multiplier) in [
            ("AI Horde Worker reGen:13.0.0:https://example.org/worker", 1.0),
            ("AI Horde Worker reGen:13:x", 1.0),
            ("AI Horde Worker reGen:13", 1.0),
            ("AI Horde Worker reGen:13.0.0-rc.1:x", 0.9),
            ("AI Horde Worker reGen:12.9.9:x", 0.9),
            ("AI Horde Worker reGen:9.10.1:x", 0.9),
            ("AI Horde Worker:24.0.1:x", 1.0),
            ("AI Horde Worker:23:x", 0.9),
            ("AI Horde Worker:13.0.0:x", 0.9),
            ("AI Horde Worker:latest:x", 0.75),
            ("AI Horde Worker", 0.75),
            ("ai horde worker:24:x", 0.75),
            ("SomeoneElse:99.0.0:x", 0.75),
            ("unknown", 0.75),
            ("", 0.75),
        ] {
            assert_eq!(table.multiplier(agent), multiplier, "{agent}");
        }
    }

    #[test]
    fn versions_compare_by_number() {
        let version = |text| BridgeVersion::parse(text).expect("a version");
        assert!(version("10") > version("9.9.9"));
        assert!(version("1.2.3-rc.1") < version("1.2.3"));
        assert_eq!(version("2.1+build-7"), version("2.1.0"));
        for text in ["", "v1", "1.2.3.4", "1..2", "1.x", "1-", "-1", "1.2.-3"] {
            assert_eq!(BridgeVersion::parse(text), None, "{text}");
        }
    }

    #[test]
    fn half_of_an_untrusted_job_is_withheld() {
        let odd = Income::of_untrusted_job(5.77);
        assert_eq!(odd.escrow, Kudos::from_hundredths(288));
        assert_eq!(odd.spendable, Kudos::from_hundredths(289));
        assert_eq!(
            Income::of_untrusted_uptime(Kudos::from_whole(82)).spendable,
            Kudos::ZERO
        );
        assert_eq!(Income::unrestricted(Kudos::from_whole(40)).escrow, Kudos::ZERO);
    }

    #[test]
    fn uptime_pays_for_models_and_loras() {
        assert_eq!(image_uptime_reward(1, false), Kudos::from_whole(52));
        assert_eq!(image_uptime_reward(10, true), Kudos::from_whole(100));
        assert_eq!(image_uptime_reward(5000, true), Kudos::from_whole(680));
    }

    #[test]
    fn uptime_of_scribes_pays_for_context_and_size() {
        let known = |billions| text::Model::Known { billions };
        let of = |context, model, validated| text_uptime_reward(context, model, validated).to_f64();
        for (context, billions, reward) in [
            (2048, 7.0, 55.0),
            (4096, 13.0, 157.86),
            (8192, 8.03, 166.34),
            (8192, 1.0, 36.25),
            (32_768, 70.0, 5050.0),
            (1_048_576, 123.0, 67_913.57),
        ] {
            assert_eq!(of(context, known(billions), true), reward, "{context} {billions}");
        }
        assert_eq!(of(8192, known(13.0), false), 80.79);
        assert_eq!(of(4096, text::Model::Unknown, true), 42.5);
        assert_eq!(of(4096, text::Model::Unknown, false), 42.5);
    }

    #[test]
    fn a_reward_is_due_after_more_than_ten_minutes() {
        let mut meter = UptimeMeter::default();
        let minute = Duration::from_mins(1);
        let due: Vec<bool> = (0..23).map(|_| meter.check_in(minute, true)).collect();
        assert_eq!(due.iter().filter(|&&due| due).count(), 2);
        assert!(due[10] && due[21]);
    }

    #[test]
    fn silence_and_maintenance_lose_progress() {
        let almost = UptimeMeter {
            uptime: Duration::from_mins(110),
            rewarded_until: Duration::from_mins(100),
        };
        let second = Duration::from_secs(1);
        for (since_last, is_active) in [(Duration::from_secs(301), true), (second, false)] {
            let mut meter = almost;
            assert!(!meter.check_in(since_last, is_active));
            assert_eq!(meter.rewarded_until, meter.uptime);
            assert!(!meter.check_in(second, true));
        }
        let mut meter = almost;
        assert!(meter.check_in(Duration::from_mins(5), true));
    }

    #[test]
    fn trust_needs_escrow_age_and_a_good_name() {
        let candidate = TrustCandidate {
            escrow: Kudos::from_hundredths(101),
            suspicions: 4,
            is_anonymous: false,
            age: TrustCandidate::LEAST_AGE,
        };
        let threshold = Some(Kudos::from_whole(1));
        assert!(candidate.earns_trust(threshold));
        assert!(!candidate.earns_trust(None));
        assert!(!candidate.earns_trust(Some(candidate.escrow)));
        assert!(
            !TrustCandidate {
                suspicions: 5,
                ..candidate
            }
            .earns_trust(threshold)
        );
        assert!(
            !TrustCandidate {
                is_anonymous: true,
                ..candidate
            }
            .earns_trust(threshold)
        );
        assert!(
            !TrustCandidate {
                age: Duration::from_secs(604_799),
                ..candidate
            }
            .earns_trust(threshold)
        );
    }

    proptest! {
        #[test]
        fn the_parts_of_an_income_add_up(reward in 0.0..100_000.0_f64) {
            let income = Income::of_untrusted_job(reward);
            prop_assert_eq!(income.total(), Kudos::from_f64(reward));
            prop_assert!(income.spendable >= Kudos::ZERO && income.escrow >= Kudos::ZERO);
        }
    }

    #[test]
    fn supporters_get_what_is_published() {
        let month = |amount| patreon_month(amount).map(Kudos::whole);
        for (amount, kudos) in [
            (0, 0),
            (1, 10_000),
            (9, 90_000),
            (10, 150_000),
            (24, 600_000),
            (25, 900_000),
            (50, 1_500_000),
            (100, 1_500_000),
            (102, 150_000),
            (108, 150_000),
        ] {
            assert_eq!(month(amount), Some(kudos), "{amount}");
        }
        for amount in [11, 23, 26, 99, 101, 109, 1001] {
            assert_eq!(month(amount), None, "{amount}");
        }
        assert_eq!(stripe_month("Cherised").map(Kudos::whole), Some(200_000));
        assert_eq!(stripe_month("Cherished"), None);
    }
}
