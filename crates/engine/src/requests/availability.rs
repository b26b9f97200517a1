//! Whether any worker that is online can serve a request, and if not, what stands in the way.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use muster_dispatch::{Ticket, makes_possible, obstacles};
use muster_protocol::{RequestId, Timestamp};

use crate::{Engine, live::LiveRequest, work::Work};

/// How long it is remembered whether a request can be served.
const VERDICT_SECONDS: u64 = 60;

/// Why nobody serves a request: what the workers that are online refuse it for, in words.
#[derive(Debug, Default, PartialEq, Eq)]
struct Obstacles {
    online: usize,
    /// Those of them that serve its models.
    suitable: usize,
    by_words: BTreeMap<String, Refusals>,
}

/// How many workers refuse a request for something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Refusals {
    workers: usize,
    /// Those that refuse it for nothing else.
    alone: usize,
}

impl Obstacles {
    /// Counts a worker that refuses the request; without words if it serves none of its models.
    fn count(&mut self, words: Option<BTreeSet<String>>) {
        self.online += 1;
        let Some(words) = words else { return };
        self.suitable += 1;
        let alone = usize::from(words.len() == 1);
        for words in words {
            let refusals = self.by_words.entry(words).or_default();
            refusals.workers += 1;
            refusals.alone += alone;
        }
    }

    /// The obstacles in a sentence. What stands in the way alone comes first: without that, the request would
    /// be served.
    fn describe<M: AsRef<str>>(&self, models: &[M]) -> String {
        const TOLD: usize = 3;
        if self.online == 0 {
            return "No worker is online.".to_owned();
        }
        if self.suitable == 0 {
            return match models {
                [] => "No worker that is online serves any model.".to_owned(),
                [model] => format!("No worker that is online serves the model {}.", model.as_ref()),
                _ => "No worker that is online serves one of the models.".to_owned(),
            };
        }
        let mut reasons: Vec<(&String, &Refusals)> = self.by_words.iter().collect();
        reasons.sort_by_key(|(_, refusals)| Reverse((refusals.alone, refusals.workers)));
        let told: Vec<String> = reasons
            .iter()
            .take(TOLD)
            .map(|(words, refusals)| format!("{words} ({refusals})"))
            .collect();
        format!(
            "Of the workers that are online, {} serve its models, but refuse it for {}.",
            self.suitable,
            told.join(", ")
        )
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workers, alone } = *self;
        match alone {
            0 => write!(f, "{workers}, among other things"),
            _ if alone == workers => write!(f, "{workers}"),
            _ => write!(f, "{workers}, {alone} of them for nothing else"),
        }
    }
}

impl Engine {
    /// What a requester should know about a request that nobody can serve at the moment; `None` if
    /// somebody can.
    pub(crate) fn availability_warning<W: Work>(&self, id: RequestId) -> Option<String> {
        if self.modes.now().raid {
            // Whoever attacks need not know what the horde can do.
            return None;
        }
        let request = W::desk(self).live.lock().request(id).cloned()?;
        if request.counts().processing > 0 {
            return None;
        }
        let ticket = self.ticket_of(&request);
        let obstacles = self.look_for_worker(&request, &ticket, self.clock.now()).err()?;
        Some(format!(
            "No worker that is online can serve this request. {} It waits for 20 minutes; {} may be served sooner.",
            obstacles.describe(&ticket.models),
            W::ADVICE
        ))
    }

    /// Whether any worker that is online can serve a request.
    pub(super) fn is_possible<W: Work>(&self, request: &LiveRequest<W>) -> bool {
        if request.counts().processing > 0 {
            return true;
        }
        let now = self.clock.now();
        if let Some((at, verdict)) = request.possible
            && now.since(at).as_secs() < VERDICT_SECONDS
            && verdict
        {
            return true;
        }
        let ticket = self.ticket_of(request);
        self.look_for_worker(request, &ticket, now).is_ok()
    }

    /// Looks for a worker that can serve a request, and remembers whether there is one. If there is none,
    /// says what stands in the way.
    fn look_for_worker<W: Work>(
        &self,
        request: &LiveRequest<W>,
        ticket: &Ticket<W::Demand>,
        now: Timestamp,
    ) -> Result<(), Obstacles> {
        let mut verdict = Err(Obstacles::default());
        if !request.faulted && request.expiry > now {
            verdict = self.obstacles::<W>(ticket, now);
        }
        if let Some(remembered) = W::desk(self).live.lock().request_mut(request.id) {
            remembered.possible = Some((now, verdict.is_ok()));
        }
        verdict
    }

    /// What stands in the way of the workers that are online, unless one can serve the request.
    fn obstacles<W: Work>(&self, ticket: &Ticket<W::Demand>, now: Timestamp) -> Result<(), Obstacles> {
        let online = self.online::<W>(now);
        // Most requests are possible, and that is quickly found out.
        if online
            .workers
            .iter()
            .any(|worker| makes_possible::<W>(ticket, &worker.pop(now)).is_ok())
        {
            return Ok(());
        }
        let mut found = Obstacles::default();
        for worker in &online.workers {
            let reasons = obstacles::<W>(ticket, &worker.pop(now));
            let words = reasons
                .into_iter()
                .map(|reason| W::refusal_words(reason, &ticket.demand));
            found.count(words.collect());
        }
        Err(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: [&str; 1] = ["stable_diffusion"];

    /// What each worker refuses a request for, separated by commas.
    fn of(workers: &[Option<&str>]) -> Obstacles {
        let mut obstacles = Obstacles::default();
        for words in workers {
            obstacles.count(words.map(|words| words.split(',').map(str::to_owned).collect()));
        }
        obstacles
    }

    #[test]
    fn missing_workers_and_models_are_told_first() {
        assert_eq!(of(&[]).describe(&MODEL), "No worker is online.");
        let others = of(&[None, None]);
        assert_eq!(
            others.describe(&MODEL),
            "No worker that is online serves the model stable_diffusion."
        );
        assert_eq!(
            others.describe(&["a", "b"]),
            "No worker that is online serves one of the models."
        );
        assert_eq!(
            others.describe(&[] as &[&str]),
            "No worker that is online serves any model."
        );
    }

    #[test]
    fn what_stands_in_the_way_alone_is_told_first() {
        let told = |workers: &[Option<&str>]| of(workers).describe(&MODEL);
        assert_eq!(
            told(&[None, Some("its LoRAs"), Some("its size"), Some("its size")]),
            "Of the workers that are online, 3 serve its models, but refuse it for its size (2), its LoRAs (1)."
        );
        assert_eq!(
            told(&[Some("a,b"), Some("a,c"), Some("a,b,d"), Some("b"), Some("c,d")]),
            "Of the workers that are online, 5 serve its models, but refuse it for b (3, 1 of them for nothing else), \
             a (3, among other things), c (2, among other things)."
        );
    }
}
