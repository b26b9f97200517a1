//! The source images of a job, fetched before its backend begins.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use muster_protocol::image::Popped;

use super::Shared;
use crate::backend::{Backend, Job};

impl<B: Backend> Shared<B> {
    /// Fetches what a job starts from. The error says why that is not possible.
    pub(super) async fn fetch_sources(&self, popped: &Popped, job: &mut Job) -> Result<(), String> {
        job.source_image = self.fetch_source(popped.source_image.as_deref()).await?;
        job.source_mask = self.fetch_source(popped.source_mask.as_deref()).await?;
        Ok(())
    }

    async fn fetch_source(&self, source: Option<&str>) -> Result<Option<Bytes>, String> {
        let Some(source) = source else { return Ok(None) };
        if source.starts_with("http") {
            let fetched = self.client.get_blob(source).await;
            return fetched
                .map(Some)
                .map_err(|error| format!("a source image cannot be fetched: {error}"));
        }
        let decoded = STANDARD.decode(source);
        decoded
            .map(|bytes| Some(bytes.into()))
            .map_err(|_| "a source image is neither an address nor base64".to_owned())
    }
}
