//! Pictures that are shared: what is told of them, beside them.

use muster_dispatch::image::Image;
use muster_kudos::account::AccountKind;
use muster_store::Bucket;
use serde_json::{Value, json};

use crate::{
    Engine,
    accounts::Caller,
    error::Result,
    jobs::{Found, UPLOADED, blob_key},
    live::Delivered,
};

impl Engine {
    /// Writes down what a shared picture is (spec: image, section 14), if the picture is there. The result is
    /// accepted already, so its worker is not told if this fails.
    pub(super) async fn share(&self, found: &Found<Image>, delivered: &Delivered<Image>) {
        if let Err(error) = self.try_to_share(found, delivered).await {
            tracing::error!(%error, job = %found.id, "what a shared picture is could not be written down");
        }
    }

    async fn try_to_share(&self, found: &Found<Image>, delivered: &Delivered<Image>) -> Result<()> {
        if delivered.result != UPLOADED
            || self
                .blobs
                .get(Bucket::Transient, &blob_key(found.id))
                .await?
                .is_none()
        {
            return Ok(());
        }
        let requester = self.accounts.get(&self.store, found.requester).await?;
        let told = told(found, delivered, requester.as_ref()).to_string();
        let key = format!("{}.json", found.id);
        Ok(self.blobs.put(Bucket::Permanent, &key, told.into()).await?)
    }
}

fn told(found: &Found<Image>, delivered: &Delivered<Image>, requester: Option<&Caller>) -> Value {
    let spec = &found.spec;
    json!({
        "prompt": spec.prompt,
        "width": spec.width,
        "height": spec.height,
        "steps": spec.steps,
        "sampler": spec.sampler,
        "cfg": spec.cfg_scale,
        "karras": spec.karras,
        "pp": spec.params.post_processing.clone().unwrap_or_default(),
        "set": found.request,
        "user_type": match requester.map(Caller::kind) {
            Some(AccountKind::Registered) => "oauth",
            Some(AccountKind::Pseudonymous) => "pseudonymous",
            Some(AccountKind::Anonymous) | None => "anon",
        },
        "seed": delivered.seed,
        "model": found.model,
        "censored": delivered.censored,
    })
}
