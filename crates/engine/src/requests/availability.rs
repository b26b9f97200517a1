//! Whether any worker that is online can serve a request, and if not, what stands in the way.

use std::collections::BTreeMap;

use muster_dispatch::{
    Ticket,
    image::{Demand, Image, SkipReason},
    makes_possible,
};
use muster_protocol::{RequestId, Timestamp};

use crate::{Engine, live::LiveRequest};

/// How long it is remembered whether a request can be served.
const VERDICT_SECONDS: u64 = 60;

/// Why nobody serves a request: how many of the workers that are online refuse it, by the first reason
/// of each.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Obstacles {
    online: usize,
    by_reason: BTreeMap<Reason, usize>,
}

/// Reasons in the order in which they are told if they concern as many workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    Workers,
    Size,
    Steps,
    SourceImage,
    Painting,
    Nsfw,
    Lora,
    PostProcessing,
    Controlnet,
    Speed,
    Trust,
    Software,
    Address,
    Kudos,
    Words,
    Unavailable,
}

impl Reason {
    /// `None`: the worker has none of the models, which is told by itself.
    fn of(reason: SkipReason) -> Option<Self> {
        Some(match reason {
            SkipReason::Models => return None,
            SkipReason::WorkerId => Self::Workers,
            SkipReason::MaxPixels => Self::Size,
            SkipReason::StepCount => Self::Steps,
            SkipReason::Img2img => Self::SourceImage,
            SkipReason::Painting => Self::Painting,
            SkipReason::Nsfw => Self::Nsfw,
            SkipReason::Lora => Self::Lora,
            SkipReason::PostProcessing => Self::PostProcessing,
            SkipReason::Controlnet => Self::Controlnet,
            SkipReason::Performance => Self::Speed,
            SkipReason::Untrusted => Self::Trust,
            SkipReason::BridgeVersion => Self::Software,
            SkipReason::UnsafeIp => Self::Address,
            SkipReason::Kudos => Self::Kudos,
            SkipReason::Blacklist => Self::Words,
            // That a worker is paused is nobody's business.
            SkipReason::Maintenance | SkipReason::Secret => Self::Unavailable,
        })
    }

    /// What a worker refuses the request for.
    fn words(self, demand: &Demand) -> String {
        match self {
            Self::Workers => "its list of workers".to_owned(),
            Self::Size => format!("its size of {}x{} pixels", demand.width, demand.height),
            Self::Steps => format!("its {} steps", demand.steps),
            Self::SourceImage => "its source image".to_owned(),
            Self::Painting => "being an in- or outpainting".to_owned(),
            Self::Nsfw => "being unsafe for work".to_owned(),
            Self::Lora => "its LoRAs".to_owned(),
            Self::PostProcessing => "its post-processing".to_owned(),
            Self::Controlnet => "its control type".to_owned(),
            Self::Speed => "wanting faster workers".to_owned(),
            Self::Trust => "wanting workers of trusted owners".to_owned(),
            Self::Software => "what their software cannot do".to_owned(),
            Self::Address => "the address that it came from".to_owned(),
            Self::Kudos => "kudos that its requester does not have".to_owned(),
            Self::Words => "a word of its prompt".to_owned(),
            Self::Unavailable => "not being their owner's".to_owned(),
        }
    }
}

impl Obstacles {
    fn count(&mut self, reason: SkipReason) {
        self.online += 1;
        if let Some(reason) = Reason::of(reason) {
            *self.by_reason.entry(reason).or_default() += 1;
        }
    }

    /// The obstacles in a sentence, those that concern most workers first.
    fn describe<M: AsRef<str>>(&self, models: &[M], demand: &Demand) -> String {
        const TOLD: usize = 3;
        if self.online == 0 {
            return "No worker is online.".to_owned();
        }
        if self.by_reason.is_empty() {
            return match models {
                [] => "No worker that is online serves any model.".to_owned(),
                [model] => format!("No worker that is online serves the model {}.", model.as_ref()),
                _ => "No worker that is online serves one of the models.".to_owned(),
            };
        }
        let mut reasons: Vec<(Reason, usize)> =
            self.by_reason.iter().map(|(reason, n)| (*reason, *n)).collect();
        reasons.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let suitable: usize = self.by_reason.values().sum();
        let told: Vec<String> = reasons
            .iter()
            .take(TOLD)
            .map(|(reason, n)| format!("{} ({n})", reason.words(demand)))
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
    pub(super) fn availability_warning(&self, id: RequestId) -> Option<String> {
        let request = self.live.lock().request(id).cloned()?;
        if request.counts().processing > 0 {
            return None;
        }
        let ticket = self.ticket_of(&request);
        let obstacles = self.look_for_worker(&request, &ticket, self.clock.now()).err()?;
        Some(format!(
            "No worker that is online can serve this request. {} It waits for 20 minutes; a smaller picture or \
             another model may be served sooner.",
            obstacles.describe(&ticket.models, &ticket.demand)
        ))
    }

    /// Whether any worker that is online can serve a request.
    pub(super) fn is_possible(&self, request: &LiveRequest) -> bool {
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
    fn look_for_worker(
        &self,
        request: &LiveRequest,
        ticket: &Ticket<Demand>,
        now: Timestamp,
    ) -> Result<(), Obstacles> {
        let mut verdict = Err(Obstacles::default());
        if !request.faulted && request.expiry > now {
            verdict = self.obstacles(ticket, now);
        }
        if let Some(remembered) = self.live.lock().request_mut(request.id) {
            remembered.possible = Some((now, verdict.is_ok()));
        }
        verdict
    }

    /// What stands in the way of each worker that is online, unless one can serve the request.
    fn obstacles(&self, ticket: &Ticket<Demand>, now: Timestamp) -> Result<(), Obstacles> {
        let mut obstacles = Obstacles::default();
        for worker in &self.workers.online(now).workers {
            match makes_possible::<Image>(ticket, &worker.pop(now)) {
                Ok(()) => return Ok(()),
                Err(reason) => obstacles.count(reason),
            }
        }
        Err(obstacles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: [&str; 1] = ["stable_diffusion"];

    fn of(reasons: &[SkipReason]) -> Obstacles {
        let mut obstacles = Obstacles::default();
        for reason in reasons {
            obstacles.count(*reason);
        }
        obstacles
    }

    fn described(reasons: &[SkipReason]) -> String {
        of(reasons).describe(&MODEL, &Demand::default())
    }

    #[test]
    fn missing_workers_and_models_are_told_first() {
        assert_eq!(described(&[]), "No worker is online.");
        let others = [SkipReason::Models, SkipReason::Models];
        assert_eq!(
            described(&others),
            "No worker that is online serves the model stable_diffusion."
        );
        assert_eq!(
            of(&others).describe(&["a", "b"], &Demand::default()),
            "No worker that is online serves one of the models."
        );
        assert_eq!(
            of(&others).describe(&[] as &[&str], &Demand::default()),
            "No worker that is online serves any model."
        );
    }

    #[test]
    fn the_commonest_obstacles_are_told() {
        use SkipReason::{BridgeVersion, Kudos, Lora, MaxPixels, Models, Secret};
        assert_eq!(
            described(&[Models, Lora, MaxPixels, MaxPixels]),
            "Of the workers that are online, 3 serve its models, but refuse it for its size of 512x512 pixels (2), its \
             LoRAs (1)."
        );
        assert_eq!(
            described(&[BridgeVersion, Secret, Secret, Lora, Kudos, Kudos, Kudos]),
            "Of the workers that are online, 7 serve its models, but refuse it for kudos that its requester does not \
             have (3), not being their owner's (2), its LoRAs (1)."
        );
    }

    #[test]
    fn every_reason_has_words() {
        use strum::IntoEnumIterator as _;
        for reason in SkipReason::iter().filter(|reason| *reason != SkipReason::Models) {
            let text = described(&[reason]);
            assert!(
                text.starts_with("Of the workers that are online, 1 serve"),
                "{text}"
            );
        }
    }
}
