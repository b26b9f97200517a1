//! `generate/text/submit`: a worker brings a text, or the news that there is none.

use muster_dispatch::text::Text;
use muster_kudos::{
    rounding::round1,
    text::{self, Model, TextJob, Worker},
};
use muster_protocol::{
    image::{GenerationState, Submitted},
    text::{Metadata, MetadataType, MetadataValue, SubmitInput},
};
use serde_json::json;
use tracing::instrument;

use super::{service, status};
use crate::{
    Call, Engine, EngineError,
    accounts::Caller,
    error::Result,
    jobs::{Finishing, Found, check_metadata},
    live::Delivered,
};

impl Engine {
    /// Accepts a text, pays for it, and tells the worker its reward.
    ///
    /// When this returns, the text and all kudos are durable.
    ///
    /// # Errors
    /// `InvalidJobID` (404), an unknown key (401), `WrongCredentials` for somebody else's job,
    /// `DuplicateGen` for a job that is delivered already and `AbortedGen` for one that was given up.
    #[instrument(name = "horde.submit", skip_all, fields(horde.gentype = "text"))]
    pub async fn submit_text_job(&self, call: &Call, input: SubmitInput) -> Result<Submitted> {
        call.key()?;
        let Some(generation) = &input.generation else {
            return Err(EngineError::missing("generation", "JSON body"));
        };
        let generation = generation.replace('\0', "\u{fffd}");
        let found = self.find_job::<Text>(&input.id).await?;
        let owner = self.caller(call).await?;
        self.check_worker(&found, &owner)?;
        check_metadata(&input.gen_metadata)?;
        let faulted = input.state == GenerationState::Faulted;
        if let Some(reward) = self.without_result(&found, faulted).await? {
            return Ok(Submitted { reward });
        }
        let finishing = self.text_delivery(&found, &owner, input, generation);
        let reward = self.finish(&found, &owner, finishing).await?;
        Ok(Submitted { reward })
    }

    /// What a text is worth, and what is told of it (spec: text, sections A14 to A16).
    fn text_delivery(
        &self,
        found: &Found<Text>,
        owner: &Caller,
        input: SubmitInput,
        generation: String,
    ) -> Finishing<Text> {
        let job = TextJob {
            max_length: found.spec.params.length(),
            prompt_chars: found.spec.prompt.chars().count() as u64,
            generation_chars: generation.chars().count() as u64,
        };
        let delivered = delivered(input, generation);
        let model = self.text_models().priced(&found.model);
        let reward = if self.config.matched_targeting && !found.spec.workers.is_empty() {
            text::NAMED_WORKER_REWARD
        } else {
            let agent = self.workers.get(found.worker);
            let agent = agent.map(|worker| worker.lock().bridge_agent.clone());
            let worker = Worker {
                owner_trusted: owner.is_trusted(),
                backend_validated: agent.is_some_and(|agent| service::is_validated(&agent)),
            };
            text::worker_reward(&job, model, worker)
        };
        let announcement = json!({
            "text": delivered.result,
            "seed": delivered.seed,
            "worker_id": found.worker,
            "worker_name": self.workers.name(found.worker),
            "model": found.model,
            "id": found.id,
            "state": status::state(&delivered),
            "gen_metadata": delivered.metadata,
            "request": found.request,
            "kudos": reward,
        });
        let speed = round1(found.speed(job.generated_tokens(), self.clock.now()));
        let too_fast = is_too_fast(speed, model, &found.model, owner.is_trusted());
        Finishing {
            reward,
            earned: reward,
            charge: text::requester_charge(reward, delivered.censored),
            delivered,
            speed: Some(speed),
            too_fast,
            announcement,
            silent: false,
            as_url: false,
        }
    }
}

/// Whether nobody writes so many tokens a second with such a model (spec: text, section A15). Of trusted owners
/// only what no model does is doubted.
fn is_too_fast(speed: f64, model: Model, name: &str, owner_trusted: bool) -> bool {
    const FASTEST: f64 = 150.0;
    const OF_SIZE: [(f64, f64); 3] = [(70.0, 30.0), (14.0, 100.0), (0.0, FASTEST)];
    const EXPERTS: f64 = 3.0;

    let of_model = match model {
        Model::Known { billions } if !owner_trusted => {
            let limit = OF_SIZE.iter().find(|(size, _)| billions >= *size);
            let limit = limit.map_or(FASTEST, |(_, limit)| *limit);
            let limit = if name.contains("8x") {
                limit * EXPERTS
            } else {
                limit
            };
            speed > limit
        }
        _ => false,
    };
    of_model || speed > FASTEST
}

/// A text as it is kept. Whoever says that it is illegal has that noted down with it.
fn delivered(input: SubmitInput, generation: String) -> Delivered<Text> {
    let mut metadata = input.gen_metadata;
    let illegal = metadata.iter().any(|entry| entry.value == MetadataValue::Csam);
    if input.state == GenerationState::Csam && !illegal {
        metadata.push(Metadata {
            kind: MetadataType::Censorship,
            value: MetadataValue::Csam,
            reference: None,
        });
    }
    Delivered {
        censored: !metadata.is_empty() || input.state == GenerationState::Censored,
        result: generation,
        seed: input.seed,
        metadata,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(state: GenerationState, marked: bool) -> (GenerationState, bool, usize) {
        let metadata = Metadata {
            kind: MetadataType::Censorship,
            value: MetadataValue::Csam,
            reference: None,
        };
        let input = SubmitInput {
            id: String::new(),
            generation: None,
            state,
            seed: 1,
            gen_metadata: if marked { vec![metadata] } else { Vec::new() },
        };
        let delivered = delivered(input, "text".to_owned());
        (
            status::state(&delivered),
            delivered.censored,
            delivered.metadata.len(),
        )
    }

    #[test]
    fn nobody_is_faster_than_large_models_are() {
        let of = |billions, name: &str, speed, trusted| {
            is_too_fast(speed, Model::Known { billions }, name, trusted)
        };
        assert!(of(70.0, "m", 30.1, false) && !of(70.0, "m", 30.0, false));
        assert!(!of(70.0, "m", 150.0, true) && of(70.0, "m", 150.1, true));
        assert!(of(14.0, "m", 100.1, false) && !of(13.9, "m", 150.0, false));
        assert!(!of(70.0, "8x7B", 90.0, false) && of(70.0, "8x7B", 90.1, false));
        assert!(!is_too_fast(150.0, Model::Unknown, "m", false));
        assert!(is_too_fast(151.0, Model::Unknown, "m", true));
    }

    #[test]
    fn states_and_remarks_say_the_same_in_the_end() {
        use GenerationState::{Censored, Csam, Ok};
        assert_eq!(kept(Ok, false), (Ok, false, 0));
        assert_eq!(kept(Ok, true), (Csam, true, 1));
        assert_eq!(kept(Censored, false), (Censored, true, 0));
        assert_eq!(kept(Censored, true), (Csam, true, 1));
        assert_eq!(kept(Csam, false), (Csam, true, 1));
        assert_eq!(kept(Csam, true), (Csam, true, 1));
    }
}
