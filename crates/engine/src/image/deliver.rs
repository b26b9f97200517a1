//! `generate/submit`: a worker brings an image, or the news that there is none.

use bytes::Bytes;
use muster_dispatch::image::Image;
use muster_kudos::image::settlement::{self, censored_charge, requester_charge};
use muster_protocol::{
    JobId,
    image::{GenerationState, MetadataType, MetadataValue, SubmitInput, Submitted},
};
use muster_store::Bucket;
use serde_json::json;
use tracing::instrument;

use super::result::{self, Sent};
use crate::{
    Call, Engine, EngineError,
    error::Result,
    jobs::{Finishing, Found, UPLOADED, blob_key, check_metadata},
    live::Delivered,
};

/// Pixelsteps a second that nobody reaches.
const FASTEST: f64 = 20e6;

impl Engine {
    /// Accepts a result, pays for it, and tells the worker its reward.
    ///
    /// When this returns, the result and all kudos are durable.
    ///
    /// # Errors
    /// `InvalidJobID` (404), an unknown key (401), `WrongCredentials` for somebody else's job,
    /// `DuplicateGen` for a job that is delivered already and `AbortedGen` for one that was given up.
    #[instrument(name = "horde.submit", skip_all, fields(horde.gentype = "image"))]
    pub async fn submit_image_job(&self, call: &Call, input: SubmitInput) -> Result<Submitted> {
        call.key()?;
        let Some(generation) = input.generation.as_deref() else {
            return Err(EngineError::missing("generation", "JSON body"));
        };
        let found = self.find_job::<Image>(&input.id).await?;
        let owner = self.caller(call).await?;
        self.check_worker(&found, &owner)?;
        check_metadata(&input.gen_metadata)?;
        let faulted = input.state == GenerationState::Faulted;
        if let Some(reward) = self.without_result(&found, faulted).await? {
            return Ok(Submitted { reward });
        }
        let result = self.keep_picture(found.id, generation).await?;
        let is_problem = !found.fake && is_problem(&input);
        let finishing = self.image_delivery(&found, input, result);
        let shared = (found.spec.shared && !found.fake).then(|| finishing.delivered.clone());
        let reward = self.finish(&found, &owner, finishing).await?;
        if let Some(delivered) = shared {
            self.share(&found, &delivered).await;
        }
        if is_problem {
            // The job is done and paid, whatever becomes of the note.
            if let Err(error) = self.record_problem(&found).await {
                tracing::error!(%error, job = %found.id, "a censored job was not written down");
            }
        }
        Ok(Submitted { reward })
    }

    /// Stores what the worker sent along. Answers what the job's result is: `R2` or a text.
    async fn keep_picture(&self, id: JobId, generation: &str) -> Result<String> {
        if generation == UPLOADED {
            return Ok(UPLOADED.to_owned());
        }
        let sent = if result::is_quick(generation) {
            result::read(generation)
        } else {
            let generation = generation.to_owned();
            self.studio
                .work(move || result::read(&generation))
                .await
                .ok_or(EngineError::Stopping)?
        };
        match sent {
            Sent::Picture(bytes) => {
                self.put_result(id, bytes).await?;
                Ok(UPLOADED.to_owned())
            }
            Sent::Text => Ok(generation.replace('\0', "\u{fffd}")),
        }
    }

    async fn put_result(&self, id: JobId, bytes: Bytes) -> Result<()> {
        Ok(self.blobs.put(Bucket::Transient, &blob_key(id), bytes).await?)
    }

    /// What a picture is worth, and what is told of it.
    fn image_delivery(&self, found: &Found<Image>, input: SubmitInput, result: String) -> Finishing<Image> {
        let priced = found.spec.priced();
        let terms = found.spec.terms();
        let reward = settlement::worker_reward(found.price, self.models().baseline(&found.model), &priced);
        let censored = input
            .gen_metadata
            .iter()
            .any(|entry| entry.kind == MetadataType::Censorship);
        let charge = if censored {
            censored_charge(terms)
        } else {
            requester_charge(reward, &priced, terms)
        };
        let announcement = json!({
            "img": result,
            "seed": input.seed,
            "worker_id": found.worker,
            "worker_name": self.workers.name(found.worker),
            "model": found.model,
            "id": found.id,
            "censored": censored,
            "gen_metadata": input.gen_metadata,
            "request": found.request,
            "kudos": reward,
        });
        let speed = found.speed(found.things as f64, self.clock.now());
        Finishing {
            delivered: Delivered {
                result,
                seed: input.seed,
                metadata: input.gen_metadata,
                censored,
            },
            reward,
            earned: reward * self.bridge_multiplier(found.worker),
            charge,
            speed: Some(speed),
            too_fast: speed > FASTEST,
            announcement,
            silent: false,
            as_url: found.spec.r2,
        }
    }
}

/// Whether the worker found what nobody may make. Of several remarks the last one counts.
fn is_problem(input: &SubmitInput) -> bool {
    let mut latest_first = input.gen_metadata.iter().rev();
    let censorship = latest_first.find(|remark| remark.kind == MetadataType::Censorship);
    censorship.is_some_and(|remark| remark.value == MetadataValue::Csam)
}
