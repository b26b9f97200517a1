//! `interrogate/async`: an alchemy request is checked and accepted.

use std::sync::Arc;

use muster_dispatch::alchemy::Alchemy;
use muster_kudos::alchemy::{MOST_TILES, tiles};
use muster_protocol::{
    Kudos, RequestId, ReturnCode,
    alchemy::{RequestAccepted, RequestInput},
};
use muster_store::Bucket;
use serde_json::Value;
use tracing::instrument;

use super::request::{AlchemyRequest, Source, source_key};
use crate::{
    Call, Engine, EngineError,
    error::Result,
    requests::{Accepting, check_kept, has_nul, nul_refusal},
    sources,
    work::Part,
};

/// What the texts of a request take at most, in bytes.
const KEPT: usize = 256 * 1024;

impl Engine {
    /// Accepts a request for forms on a picture.
    ///
    /// When this returns, the request is durable. Nothing is charged before a form is delivered.
    ///
    /// # Errors
    /// Every rule of the alchemy API, in its documented order (spec: alchemy, section A3).
    #[instrument(name = "horde.generate", skip_all, fields(horde.gentype = "interrogation"))]
    pub async fn submit_alchemy_request(
        &self,
        call: &Call,
        mut input: RequestInput,
    ) -> Result<RequestAccepted> {
        call.key()?;
        let Some(source) = input.source_image.take() else {
            return Err(EngineError::missing("source_image", "JSON body"));
        };
        check_texts(&input)?;
        self.check_open()?;
        self.check_webhook(input.webhook.as_deref())?;
        let caller = self.caller(call).await?;
        let count = Part::try_from(input.forms.len()).map_or(u32::MAX, u32::from);
        let _claim = self.claim_slots::<Alchemy>(&caller, &[], count)?;
        self.check_requester_address(call, &caller).await?;
        let id = self.new_request_id();
        let (source, tiles) = self.keep_source(id, source).await?;
        let kept = source == Source::Kept;
        let spec = AlchemyRequest {
            forms: input.forms,
            source,
            tiles,
            trusted_workers: input.trusted_workers,
            slow_workers: input.slow_workers,
        };
        let accepting = Accepting {
            id,
            call,
            caller: &caller,
            shared_key: None,
            style: None,
            count,
            webhook: input.webhook,
            priority: caller.spendable().whole(),
            tax: Kudos::ZERO,
            price: 0.0,
        };
        let outcome = self.accept::<Alchemy>(&accepting, Arc::new(spec), None).await;
        if outcome.is_err() && kept {
            self.drop_source(id).await;
        }
        outcome.map(|()| RequestAccepted { id })
    }

    /// Looks at the picture of a request and keeps it, if it was sent along. Answers where it is, and its size
    /// in tiles.
    async fn keep_source(&self, id: RequestId, sent: String) -> Result<(Source, u32)> {
        if sent.starts_with("http") {
            if has_nul(&sent) {
                return Err(nul_refusal());
            }
            let bytes = self.fetch_source(&sent).await?;
            let size = sources::size_of_fetched(&bytes)?;
            return Ok((Source::Address(sent), checked_tiles(size)?));
        }
        let convert = move || {
            let picture = sources::read_sent(&sent)?;
            let tiles = checked_tiles((picture.width(), picture.height()))?;
            Result::Ok((sources::encode(&picture)?, tiles))
        };
        let (picture, tiles) = self.studio.work(convert).await.ok_or(EngineError::Stopping)??;
        self.blobs.put(Bucket::Source, &source_key(id), picture).await?;
        Ok((Source::Kept, tiles))
    }

    /// Deletes the picture of a request that did not come to be.
    async fn drop_source(&self, id: RequestId) {
        if let Err(error) = self.blobs.delete(Bucket::Source, &source_key(id)).await {
            tracing::warn!(%error, request = %id, "a source image stays until it is pruned");
        }
    }
}

fn checked_tiles((width, height): (u32, u32)) -> Result<u32> {
    let tiles = tiles(width, height);
    if tiles > MOST_TILES {
        return Err(sources::refusal(
            ReturnCode::SourceImageResolutionExceeded,
            format!("it has {tiles} tiles of 512x512 pixels, of which {MOST_TILES} are allowed"),
        ));
    }
    Ok(tiles)
}

/// What is kept as it was sent.
fn check_texts(input: &RequestInput) -> Result<()> {
    let payloads = input.forms.iter().filter_map(|form| form.payload.as_ref());
    let (names, values): (Vec<&String>, Vec<&Value>) = payloads.flat_map(|payload| &payload.0).unzip();
    check_kept(names.into_iter().chain(&input.webhook), values, KEPT)
}
