//! Whether any worker that is online can serve a request, and if not, what stands in the way.

use std::{cmp::Reverse, collections::BTreeMap};

use muster_dispatch::{Ticket, makes_possible};
use muster_protocol::{RequestId, Timestamp};

use crate::{Engine, live::LiveRequest, work::Work};

/// How long it is remembered whether a request can be served.
const VERDICT_SECONDS: u64 = 60;

/// Why nobody serves a request: how many of the workers that are online refuse it, by what the first reason of
/// each is in words.
#[derive(Debug, Default, PartialEq, Eq)]
struct Obstacles {
    online: usize,
    by_words: BTreeMap<String, usize>,
}

impl Obstacles {
    /// Counts a worker that refuses the request; without words if it serves none of its models.
    fn count(&mut self, words: Option<String>) {
        self.online += 1;
        if let Some(words) = words {
            *self.by_words.entry(words).or_default() += 1;
        }
    }

    /// The obstacles in a sentence, those that concern most workers first.
    fn describe<M: AsRef<str>>(&self, models: &[M]) -> String {
        const TOLD: usize = 3;
        if self.online == 0 {
            return "No worker is online.".to_owned();
        }
        if self.by_words.is_empty() {
            return match models {
                [] => "No worker that is online serves any model.".to_owned(),
                [model] => format!("No worker that is online serves the model {}.", model.as_ref()),
                _ => "No worker that is online serves one of the models.".to_owned(),
            };
        }
        let mut reasons: Vec<(&String, &usize)> = self.by_words.iter().collect();
        reasons.sort_by_key(|(_, workers)| Reverse(**workers));
        let suitable: usize = self.by_words.values().sum();
        let told: Vec<String> = reasons
            .iter()
            .take(TOLD)
            .map(|(words, workers)| format!("{words} ({workers})"))
            .collect();
        format!(
            "Of the workers that are online, {suitable} serve its models, but refuse it for {}.",
            told.join(", ")
        )
    }
}

impl Engine {
    /// What a requester should know about a request that nobody can serve at the moment; `None` if
    /// somebody can.
    pub(crate) fn availability_warning<W: Work>(&self, id: RequestId) -> Option<String> {
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

    /// What stands in the way of each worker that is online, unless one can serve the request.
    fn obstacles<W: Work>(&self, ticket: &Ticket<W::Demand>, now: Timestamp) -> Result<(), Obstacles> {
        let mut obstacles = Obstacles::default();
        for worker in &self.online::<W>(now).workers {
            match makes_possible::<W>(ticket, &worker.pop(now)) {
                Ok(()) => return Ok(()),
                Err(reason) => obstacles.count(W::refusal_words(reason, &ticket.demand)),
            }
        }
        Err(obstacles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: [&str; 1] = ["stable_diffusion"];

    fn of(reasons: &[Option<&str>]) -> Obstacles {
        let mut obstacles = Obstacles::default();
        for words in reasons {
            obstacles.count(words.map(str::to_owned));
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
    fn the_commonest_obstacles_are_told() {
        assert_eq!(
            of(&[None, Some("its LoRAs"), Some("its size"), Some("its size")]).describe(&MODEL),
            "Of the workers that are online, 3 serve its models, but refuse it for its size (2), its LoRAs (1)."
        );
        assert_eq!(
            of(&[
                Some("d"),
                Some("b"),
                Some("b"),
                Some("c"),
                Some("a"),
                Some("a"),
                Some("a")
            ])
            .describe(&MODEL),
            "Of the workers that are online, 7 serve its models, but refuse it for a (3), b (2), c (1)."
        );
    }
}
