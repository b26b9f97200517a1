//! [`Reputation`]: what a service on the web thinks of an address (spec: alchemy and safety, B8): whether somebody hides
//! behind it.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;
use muster_protocol::Timestamp;
use quick_cache::sync::Cache;

use crate::outbound::{Outbound, is_public};

/// Addresses whose verdict is kept.
const CAPACITY: usize = 100_000;
/// How long a verdict is used.
const VERDICT_LIFETIME: Duration = Duration::from_hours(6);
/// How long an address is not asked about again after the service failed, so that a service that is down does not hold
/// up every pop. (The reference server asks each time.)
const FAILURE_LIFETIME: Duration = Duration::from_secs(10);
/// How long the service may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The longest answer that is read, in bytes: it is a number.
const ANSWER_LIMIT: usize = 1024;
/// The probability from which on an address is taken to hide somebody.
const HIDDEN: f64 = 0.93;

/// A service that tells how probably somebody hides behind an address.
#[derive(Clone, Debug)]
pub struct ReputationService {
    /// Its address, with `{ipaddr}` in the place of what is asked about. It answers with a number from 0 to 1.
    pub url: String,
    /// The number with which it says that it has no opinion, although it answers with an error.
    pub no_opinion: Option<f64>,
    /// Networks that it is not asked about: everybody may come from there.
    pub exempt: Vec<IpNet>,
    /// What becomes of workers if it has no verdict.
    pub when_unknown: WhenUnknown,
    /// How it is called.
    pub outbound: Outbound,
}

/// What becomes of a worker whose address the service cannot be asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenUnknown {
    /// It is turned away, and may try again.
    #[default]
    Refuse,
    /// It may work.
    Accept,
}

/// What is thought of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Safe,
    /// Somebody hides behind it.
    Unsafe,
    /// The service does not answer.
    Unknown,
}

/// The service, if there is one, and what it said.
#[derive(Debug)]
pub(crate) struct Reputation {
    service: Option<ReputationService>,
    verdicts: Cache<IpAddr, (Verdict, Timestamp)>,
}

impl Reputation {
    pub(crate) fn new(service: Option<ReputationService>) -> Self {
        Self {
            service,
            verdicts: Cache::new(CAPACITY),
        }
    }

    /// Whether a worker may work without a verdict.
    pub(super) fn accepts_unknown(&self) -> bool {
        let service = self.service.as_ref();
        service.is_none_or(|service| service.when_unknown == WhenUnknown::Accept)
    }

    /// What is thought of an address. Many who ask about the same one at the same time wait for one call.
    pub(super) async fn verdict(&self, address: IpAddr, now: Timestamp) -> Verdict {
        let Some(service) = &self.service else {
            return Verdict::Safe;
        };
        // Nobody outside knows anything of private addresses.
        if !is_public(address) || service.exempt.iter().any(|network| network.contains(&address)) {
            return Verdict::Safe;
        }
        if let Some((verdict, until)) = self.verdicts.get(&address) {
            if now < until {
                return verdict;
            }
            self.verdicts.remove(&address);
        }
        match self.verdicts.get_value_or_guard_async(&address).await {
            Ok((verdict, _)) => verdict,
            Err(place) => {
                let verdict = service.ask(address).await;
                let lifetime = if verdict == Verdict::Unknown {
                    FAILURE_LIFETIME
                } else {
                    VERDICT_LIFETIME
                };
                // It fails if the entry was removed meanwhile: then the next one asks again.
                let _ = place.insert((verdict, now + lifetime));
                verdict
            }
        }
    }
}

impl ReputationService {
    async fn ask(&self, address: IpAddr) -> Verdict {
        let url = self.url.replace("{ipaddr}", &address.to_string());
        let (status, answer) = match self.outbound.get(&url, ANSWER_LIMIT, TIMEOUT).await {
            Ok(answered) => answered,
            Err(error) => {
                tracing::warn!(%error, "the reputation service cannot be asked about an address");
                return Verdict::Unknown;
            }
        };
        let text = String::from_utf8_lossy(&answer);
        let verdict = read(status.as_u16(), &text, self.no_opinion);
        tracing::debug!(%address, %status, ?verdict, "the reputation service has answered");
        verdict
    }
}

/// What an answer of the service means.
fn read(status: u16, text: &str, no_opinion: Option<f64>) -> Verdict {
    let number: Option<f64> = text.trim().parse().ok().filter(|number: &f64| number.is_finite());
    match (status, number) {
        (200..400, Some(probability)) if probability < HIDDEN => Verdict::Safe,
        (200..400, Some(_)) => Verdict::Unsafe,
        (200..400 | 429, None) | (429, Some(_)) => Verdict::Unknown,
        (_, Some(number)) => {
            #[allow(clippy::float_cmp)] // a code, not an amount
            if no_opinion != Some(number) {
                tracing::warn!(
                    status,
                    number,
                    "the reputation service has no opinion of an address"
                );
            }
            Verdict::Safe
        }
        (_, None) => {
            tracing::warn!(
                status,
                "the reputation service answers something that is no number"
            );
            Verdict::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_probabilities_or_codes() {
        for (status, text, expected) in [
            (200, "0.1", Verdict::Safe),
            (200, " 0.9299\n", Verdict::Safe),
            (200, "0.93", Verdict::Unsafe),
            (200, "1", Verdict::Unsafe),
            (200, "nan", Verdict::Unknown),
            (200, "", Verdict::Unknown),
            (200, "<html>", Verdict::Unknown),
            (429, "0.1", Verdict::Unknown),
            (400, "-3", Verdict::Safe),
            (500, "-1", Verdict::Safe),
            (500, "sorry", Verdict::Unknown),
        ] {
            assert_eq!(read(status, text, Some(-3.0)), expected, "{status} {text}");
        }
    }
}
