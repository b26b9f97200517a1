//! Jobs whose worker found what nobody may make (spec: alchemy and safety, B15): they are written down, and the operator
//! is told of whoever requests many. Nobody is punished by itself.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    time::Duration,
};

use muster_dispatch::image::Image;
use muster_protocol::{Timestamp, UserId};
use muster_store::{ProblemCount, ProblemJob};
use parking_lot::Mutex;

use crate::{Engine, addresses::home_of, error::Result, jobs::Found};

/// Jobs within an hour and within a day beyond which the operator is told.
const MANY: ProblemCount = ProblemCount { hour: 50, day: 200 };
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// How long such jobs are kept.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// The most characters of a prompt in a notice.
const QUOTED: usize = 500;

/// Of what the operator was told lately, and until when nothing more is said about it.
#[derive(Debug, Default)]
pub(crate) struct ProblemNotices(Mutex<HashMap<(String, Duration), Timestamp>>);

impl ProblemNotices {
    /// Whether the operator has not been told of this within `span`. From now on it counts as told.
    fn is_news(&self, about: &str, span: Duration, now: Timestamp) -> bool {
        let mut told = self.0.lock();
        told.retain(|_, until| now < *until);
        match told.entry((about.to_owned(), span)) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(now + span);
                true
            }
        }
    }

    /// Over which span somebody requested too many, and whether that is news. Who does within an hour is not looked at
    /// by day.
    fn exceeded(&self, about: &str, count: ProblemCount, now: Timestamp) -> Option<(u64, Duration, bool)> {
        let (amount, span) = if count.hour > MANY.hour {
            (count.hour, HOUR)
        } else if count.day > MANY.day {
            (count.day, DAY)
        } else {
            return None;
        };
        Some((amount, span, self.is_news(about, span, now)))
    }
}

impl Engine {
    /// Writes down that a worker found what nobody may make.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) async fn record_problem(&self, found: &Found<Image>) -> Result<()> {
        if found.requester == UserId::ADMIN {
            return Ok(());
        }
        let request = self.store.request(found.request).await?;
        let address: Option<IpAddr> = request.and_then(|(request, _)| request.ip?.parse().ok());
        let now = self.clock.now();
        let problem = ProblemJob {
            job: found.id,
            user: found.requester,
            ip: address.map(home_of),
            proxied_account: found.spec.proxied_account.clone(),
            worker: found.worker,
            at: now,
        };
        let (by_account, by_address) = self.store.journal().record_problem_job(problem.clone()).await?;
        let account = match &problem.proxied_account {
            Some(proxied) => format!("account #{} for {proxied}", problem.user),
            None => format!("account #{}", problem.user),
        };
        let mut exceeded = None;
        if !problem.user.is_anonymous() {
            exceeded = self
                .problem_notices
                .exceeded(&account, by_account, now)
                .map(|over| (account, over));
        }
        if exceeded.is_none()
            && let Some(address) = &problem.ip
        {
            let address = format!("address {address}");
            exceeded = self
                .problem_notices
                .exceeded(&address, by_address, now)
                .map(|over| (address, over));
        }
        if let Some((who, (amount, span, true))) = exceeded {
            self.notice_problem(told(&who, amount, span, &problem, found));
        }
        Ok(())
    }

    /// Forgets jobs of long ago.
    pub(crate) async fn prune_problems(&self, now: Timestamp) -> Result<()> {
        self.store.journal().prune_problem_jobs(now - KEPT).await?;
        Ok(())
    }
}

fn told(who: &str, amount: u64, span: Duration, problem: &ProblemJob, found: &Found<Image>) -> String {
    let loras = found.spec.params.loras.iter().flatten();
    let loras: Vec<&str> = loras.map(|lora| lora.name.as_str()).collect();
    format!(
        "{amount} pictures that {who} requested within {} hours were censored as child abuse. The last one: job {}, by \
         worker {}, requested by account #{} from {}. LoRAs: {}. Prompt: {}",
        span.as_secs() / 3600,
        problem.job,
        problem.worker,
        problem.user,
        problem.ip.as_deref().unwrap_or("an unknown address"),
        if loras.is_empty() {
            "none".to_owned()
        } else {
            loras.join(", ")
        },
        crate::names::truncate(&found.spec.prompt, QUOTED),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_told_once_an_hour_and_once_a_day() {
        let notices = ProblemNotices::default();
        let at = |hours: i64| Timestamp::from_millis(hours * 3_600_000);
        let count = |hour, day| ProblemCount { hour, day };
        assert_eq!(notices.exceeded("a", count(50, 200), at(0)), None);
        assert_eq!(
            notices.exceeded("a", count(51, 51), at(0)),
            Some((51, HOUR, true))
        );
        assert_eq!(
            notices.exceeded("a", count(52, 52), at(0)),
            Some((52, HOUR, false))
        );
        assert_eq!(
            notices.exceeded("b", count(51, 51), at(0)),
            Some((51, HOUR, true))
        );
        assert_eq!(
            notices.exceeded("a", count(53, 53), at(1)),
            Some((53, HOUR, true))
        );
        assert_eq!(
            notices.exceeded("a", count(9, 201), at(2)),
            Some((201, DAY, true))
        );
        assert_eq!(
            notices.exceeded("a", count(9, 202), at(25)),
            Some((202, DAY, false))
        );
        assert_eq!(
            notices.exceeded("a", count(9, 202), at(26)),
            Some((202, DAY, true))
        );
    }
}
