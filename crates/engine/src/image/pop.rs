//! `generate/pop`: an image worker asks for work.

use muster_dispatch::image::{Capability, Image};
use muster_protocol::{
    RequestId, ReturnCode, WorkKind,
    image::{PopInput, Popped, Skipped},
};
use muster_store::Bucket;
use serde_json::{Map, Value};
use tracing::instrument;

use super::{
    service::ImageSettings,
    sources::{SourceAbilities, WireSources},
};
use crate::{
    Call, Engine, EngineError,
    error::Result,
    jobs::{HandedOut, Popping, Unprioritised, blob_key, priority_users},
    metrics,
    workers::Introduction,
};

impl Engine {
    /// Hands a worker jobs of one image request, or tells it why there are none.
    ///
    /// When this returns jobs, it is durable that they are the worker's.
    ///
    /// # Errors
    /// Every rule of the image API for workers, in its documented order.
    #[instrument(name = "horde.pop", skip_all, fields(horde.gentype = "image"))]
    pub async fn pop_image_job(&self, call: &Call, input: PopInput) -> Result<Popped> {
        const STRANGE: ReturnCode = ReturnCode::InvalidPriorityUsername;
        call.key()?;
        let Some(name) = &input.name else {
            return Err(EngineError::missing("name", "JSON body"));
        };
        let users = priority_users(&input.priority_usernames, STRANGE, Unprioritised::Ignored)?;
        let caller = self.caller(call).await?;
        let (settings, flaw) = ImageSettings::of(&input, &caller, &self.models());
        let introduction = Introduction {
            name,
            bridge_agent: &input.bridge_agent,
            threads: input.threads,
            priority_users: users,
            settings,
            flaw,
        };
        let present = self.check_in::<Image>(call, &caller, introduction).await?;
        if self.is_draining() {
            return Ok(Popped::default());
        }
        let messages = self.messages.for_pop(present.id, self.clock.now());
        let strange = Unprioritised::Refused(STRANGE);
        priority_users(&input.priority_usernames, STRANGE, strange)?;
        let popping = Popping {
            present,
            amount: input.amount,
        };
        match self.next_jobs(&popping).await? {
            Ok(handed_out) => {
                let jobs = self.image_jobs(&popping, handed_out).await?;
                Ok(Popped { messages, ..jobs })
            }
            Err(skipped) => {
                popping.check_maintenance()?;
                let skipped = wire_skipped(&skipped);
                metrics::skipped(WorkKind::Image, &skipped);
                Ok(Popped {
                    skipped,
                    messages,
                    ..Popped::default()
                })
            }
        }
    }

    /// Jobs as their worker gets them.
    async fn image_jobs(&self, popping: &Popping<Image>, handed_out: HandedOut<Image>) -> Result<Popped> {
        let HandedOut {
            request,
            spec,
            model,
            jobs,
            seed,
            remaining,
            ttl,
        } = handed_out;
        let mut uploads = Vec::with_capacity(jobs.len());
        for (id, _) in &jobs {
            let url = self
                .blobs
                .upload_url(Bucket::Transient, &blob_key(*id), self.clock.now())?;
            uploads.push(String::from(url));
        }
        let sources = match &spec.sources {
            Some(sources) => {
                let worker = source_abilities(popping);
                self.wire_sources(request, sources, worker).await?
            }
            None => WireSources::default(),
        };
        let mut payload = spec.payload(seed, jobs.len() as u32);
        if spec.shared {
            payload.special = Some(compared(request, remaining));
        }
        Ok(Popped {
            payload,
            id: jobs.first().map(|(id, _)| *id),
            ids: jobs.iter().map(|(id, _)| *id).collect(),
            ttl: Some(ttl.as_secs()),
            model: Some(model.to_string()),
            source_image: sources.image,
            source_mask: sources.mask,
            source_processing: spec.wire_source_processing(),
            extra_source_images: sources.extra,
            r2_upload: uploads.first().cloned(),
            r2_uploads: Some(uploads),
            traceparent: spec.trace.clone(),
            ..Popped::default()
        })
    }
}

/// Which half of a comparison a job is (spec: image, section 6.1). `remaining`: jobs that were left before.
fn compared(request: RequestId, remaining: u32) -> Map<String, Value> {
    let pipeline = format!("pipeline{}", 2 - i64::from(remaining));
    Map::from_iter([
        ("model_name".to_owned(), pipeline.as_str().into()),
        ("pair_id".to_owned(), request.to_string().into()),
        ("comfy_pipeline".to_owned(), format!("{pipeline}.json").into()),
    ])
}

/// How the worker wants its source images.
fn source_abilities(popping: &Popping<Image>) -> SourceAbilities {
    let bridge = popping.present.offer.bridge;
    SourceAbilities {
        image: bridge.has(Capability::Img2img),
        by_url: bridge.has(Capability::R2Source),
        extra: bridge.has(Capability::ExtraSourceImages),
    }
}

/// The counts as workers get them. Four of them are left out when nothing was counted.
fn wire_skipped(skipped: &muster_dispatch::image::Skipped) -> Skipped {
    let unless_zero = |count: u64| (count > 0).then_some(count);
    Skipped {
        models: Some(skipped.models),
        worker_id: Some(skipped.worker_id),
        max_pixels: unless_zero(skipped.max_pixels),
        img2img: Some(skipped.img2img),
        painting: Some(skipped.painting),
        unsafe_ip: Some(skipped.unsafe_ip),
        nsfw: Some(skipped.nsfw),
        lora: Some(skipped.lora),
        post_processing: Some(skipped.post_processing),
        controlnet: Some(skipped.controlnet),
        performance: Some(skipped.performance),
        untrusted: Some(skipped.untrusted),
        bridge_version: Some(skipped.bridge_version),
        kudos: unless_zero(skipped.kudos),
        blacklist: unless_zero(skipped.blacklist),
        step_count: unless_zero(skipped.step_count),
    }
}
