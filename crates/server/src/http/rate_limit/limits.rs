//! The limits of all routes, as data.

use std::time::Duration;

/// How long a window is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    /// One second.
    Second,
    /// One minute.
    Minute,
    /// One hour.
    Hour,
}

impl Window {
    /// The length in seconds.
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
        }
    }

    /// The length.
    pub const fn length(self) -> Duration {
        Duration::from_secs(self.seconds())
    }

    /// The name of the unit, as in the phrase of a refusal.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
        }
    }
}

/// Which requests of a route share a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Those of one client address, whatever the method and the ids in the path.
    Address,
    /// Those of one effective address with the same method and path.
    Path,
    /// Those of one API key with the same method and path. No key counts as the anonymous one.
    ApiKey,
}

/// So many requests in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// How many requests a window admits.
    pub amount: u32,
    /// How long it is open.
    pub window: Window,
    /// Who shares it.
    pub key: KeyKind,
    /// The amount for privileged addresses, if it is another.
    pub privileged: Option<u32>,
    /// The amount for the anonymous key, if it is another.
    pub anonymous: Option<u32>,
}

impl Rule {
    /// `amount` requests for everybody.
    pub const fn new(amount: u32, window: Window, key: KeyKind) -> Self {
        Self {
            amount,
            window,
            key,
            privileged: None,
            anonymous: None,
        }
    }

    /// Another amount for privileged addresses.
    #[must_use]
    pub const fn privileged(self, amount: u32) -> Self {
        Self {
            privileged: Some(amount),
            ..self
        }
    }

    /// Another amount for the anonymous key, which many callers share.
    #[must_use]
    pub const fn anonymous(self, amount: u32) -> Self {
        Self {
            anonymous: Some(amount),
            ..self
        }
    }

    /// The amount that applies.
    pub fn amount_for(&self, is_privileged: bool, is_anonymous: bool) -> u32 {
        self.privileged
            .filter(|_| is_privileged)
            .or_else(|| self.anonymous.filter(|_| is_anonymous))
            .unwrap_or(self.amount)
    }
}

/// The rules of a route, shortest window first. They are checked in this order, and the first breach
/// ends it, so that longer windows are not charged for a request that a shorter one refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits(&'static [Rule]);

impl Limits {
    /// Takes the rules in order.
    ///
    /// # Panics
    /// If a shorter window follows a longer one; in a constant that is an error of compilation.
    pub const fn new(rules: &'static [Rule]) -> Self {
        let mut next = 1;
        while next < rules.len() {
            assert!(
                rules[next - 1].window.seconds() <= rules[next].window.seconds(),
                "the shortest window comes first"
            );
            next += 1;
        }
        Self(rules)
    }

    /// The rules in order.
    pub const fn rules(self) -> &'static [Rule] {
        self.0
    }
}

const PER_SECOND: Rule = Rule::new(2, Window::Second, KeyKind::Path).privileged(10);
const PER_MINUTE: Rule = Rule::new(90, Window::Minute, KeyKind::Path).privileged(300);
const PER_KEY: Rule = Rule::new(2, Window::Second, KeyKind::ApiKey)
    .privileged(60)
    .anonymous(60);
const PER_HOUR: Rule = Rule::new(90, Window::Hour, KeyKind::ApiKey).privileged(600);

/// No limit: the heartbeat.
pub const NONE: Limits = Limits::new(&[]);
/// Every route that is not named here, pages included.
pub const DEFAULT: Limits = Limits::new(&[Rule::new(90, Window::Minute, KeyKind::Address)]);
/// `/generate/async` and `/generate/text/async`.
pub const GENERATE_ASYNC: Limits = Limits::new(&[PER_SECOND, PER_KEY, PER_MINUTE]);
/// `/generate/check/{id}`.
pub const GENERATE_CHECK: Limits = Limits::new(&[Rule::new(10, Window::Second, KeyKind::Path)]);
/// `/generate/status/{id}`.
pub const GENERATE_STATUS: Limits = Limits::new(&[Rule::new(10, Window::Minute, KeyKind::Path)]);
/// `/generate/text/status/{id}`.
pub const TEXT_STATUS: Limits = Limits::new(&[Rule::new(60, Window::Minute, KeyKind::Path)]);
/// Pop and submit of images, texts and alchemy.
pub const POP_AND_SUBMIT: Limits = Limits::new(&[Rule::new(60, Window::Second, KeyKind::Address)]);
/// `/interrogate/status/{id}`.
pub const INTERROGATE_STATUS: Limits = Limits::new(&[Rule::new(10, Window::Second, KeyKind::Path)]);
/// `/generate/rate/{id}`.
pub const GENERATE_RATE: Limits = Limits::new(&[Rule::new(5, Window::Minute, KeyKind::Path)]);
/// `/kudos/transfer`.
pub const KUDOS_TRANSFER: Limits = Limits::new(&[Rule::new(1, Window::Second, KeyKind::ApiKey), PER_HOUR]);
/// `/users/{id}`.
pub const USER: Limits = Limits::new(&[Rule::new(60, Window::Minute, KeyKind::Path)]);
/// `/workers/{id}`, `/teams` and `/teams/{id}`.
pub const WORKER_AND_TEAMS: Limits = Limits::new(&[Rule::new(30, Window::Minute, KeyKind::Path)]);
/// `/status/modes`.
pub const MODES: Limits = Limits::new(&[Rule::new(30, Window::Minute, KeyKind::Address)]);
/// `/sharedkeys`, but not `/sharedkeys/{id}`.
pub const SHARED_KEYS: Limits = Limits::new(&[Rule::new(5, Window::Minute, KeyKind::Path)]);
/// `/styles/image`, `/styles/text` and `/collections` with what is below them. (The reference server counts single image
/// styles and the list of text styles by the hour, evidently by mistake.)
pub const STYLES: Limits = Limits::new(&[PER_SECOND, PER_MINUTE]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_depend_on_who_asks() {
        let amounts = |is_privileged, is_anonymous| {
            GENERATE_ASYNC
                .rules()
                .iter()
                .map(|rule| rule.amount_for(is_privileged, is_anonymous))
                .collect::<Vec<_>>()
        };
        assert_eq!(amounts(false, false), [2, 2, 90]);
        assert_eq!(amounts(false, true), [2, 60, 90]);
        assert_eq!(amounts(true, false), [10, 60, 300]);
        assert_eq!(amounts(true, true), [10, 60, 300]);
    }

    #[test]
    #[should_panic(expected = "shortest window")]
    fn rules_must_be_in_order() {
        const MINUTE: Rule = Rule::new(1, Window::Minute, KeyKind::Path);
        const SECOND: Rule = Rule::new(1, Window::Second, KeyKind::Path);
        let _ = Limits::new(&[MINUTE, SECOND]);
    }
}
