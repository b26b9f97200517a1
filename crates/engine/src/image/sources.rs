//! The pictures that an image request brings along, on their way into the blob store and out to
//! the workers (spec: image, sections 5.8 and 6.4).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::future::try_join_all;
use muster_protocol::{
    RequestId, ReturnCode,
    image::{ExtraSourceImage, RequestInput, SourceProcessing},
};
use muster_store::Bucket;
use serde::{Deserialize, Serialize};

use crate::{Engine, EngineError, error::Result, sources};

/// What pictures a request has besides its source image. Their names in the blob store follow from the
/// request's id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sources {
    /// It has a mask.
    pub(crate) mask: bool,
    /// How much each extra source image counts.
    pub(crate) extra: Vec<f64>,
}

/// A picture on its way: its name, what the client sent, and whether it must have transparency.
struct Arriving {
    key: String,
    sent: String,
    must_have_alpha: bool,
}

/// The source images of a job as a worker gets them.
#[derive(Default)]
pub(crate) struct WireSources {
    pub(crate) image: Option<String>,
    pub(crate) mask: Option<String>,
    pub(crate) extra: Option<Vec<ExtraSourceImage>>,
}

/// How a worker wants its source images.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceAbilities {
    /// It takes source images at all.
    pub(crate) image: bool,
    /// As addresses; otherwise as base64.
    pub(crate) by_url: bool,
    /// It takes extra source images.
    pub(crate) extra: bool,
}

fn image_key(request: RequestId) -> String {
    format!("{request}_src.webp")
}

fn mask_key(request: RequestId) -> String {
    format!("{request}_msk.webp")
}

fn extra_key(request: RequestId, index: usize) -> String {
    format!("{request}_exra_src_{index}.webp")
}

impl Sources {
    /// What pictures a request brings, if it has a source image. Without one, nothing else counts.
    pub(crate) fn of(input: &RequestInput) -> Option<Self> {
        input.source_image.as_ref().map(|_| Self {
            mask: input.source_mask.is_some(),
            extra: input
                .extra_source_images
                .iter()
                .map(|extra| extra.strength)
                .collect(),
        })
    }
}

/// The texts of a request that stand for pictures, taken out of it.
pub(crate) struct SentPictures {
    image: String,
    mask: Option<String>,
    extra: Vec<String>,
    must_have_alpha: bool,
}

impl SentPictures {
    /// Takes the pictures out of a request.
    pub(crate) fn take(input: &mut RequestInput) -> Option<Self> {
        let image = input.source_image.take()?;
        let mask = input.source_mask.take();
        Some(Self {
            image,
            // What is to be painted over must be told by a mask or by transparency.
            must_have_alpha: input.source_processing == SourceProcessing::Inpainting && mask.is_none(),
            mask,
            extra: std::mem::take(&mut input.extra_source_images)
                .into_iter()
                .map(|extra| extra.image)
                .collect(),
        })
    }

    fn arriving(self, request: RequestId) -> Vec<Arriving> {
        let arriving = |key, sent| Arriving {
            key,
            sent,
            must_have_alpha: false,
        };
        let mut all = vec![Arriving {
            must_have_alpha: self.must_have_alpha,
            ..arriving(image_key(request), self.image)
        }];
        all.extend(self.mask.map(|mask| arriving(mask_key(request), mask)));
        let extra = self.extra.into_iter().enumerate();
        all.extend(extra.map(|(index, sent)| arriving(extra_key(request, index), sent)));
        all
    }
}

impl Engine {
    /// Fetches, converts and stores the pictures of a request, one after the other, so that the first
    /// that is wrong decides. If any is, none stays behind.
    ///
    /// # Errors
    /// What is wrong with the picture; failures of the blob store.
    pub(crate) async fn keep_sources(&self, request: RequestId, sent: SentPictures) -> Result<()> {
        let mut kept = Vec::new();
        for arriving in sent.arriving(request) {
            let key = arriving.key.clone();
            let outcome = match self.read_source(arriving).await {
                Ok(picture) => {
                    kept.push(key.clone());
                    self.blobs
                        .put(Bucket::Source, &key, picture)
                        .await
                        .map_err(Into::into)
                }
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                self.drop_objects(&kept).await;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Deletes the pictures of a request that did not come to be.
    pub(crate) async fn drop_sources(&self, request: RequestId, sources: &Sources) {
        let mut keys = vec![image_key(request)];
        keys.extend(sources.mask.then(|| mask_key(request)));
        keys.extend((0..sources.extra.len()).map(|index| extra_key(request, index)));
        self.drop_objects(&keys).await;
    }

    async fn drop_objects(&self, keys: &[String]) {
        for key in keys {
            if let Err(error) = self.blobs.delete(Bucket::Source, key).await {
                tracing::warn!(%error, key, "a source image stays until it is pruned");
            }
        }
    }

    /// A picture in the form in which it is kept.
    async fn read_source(&self, arriving: Arriving) -> Result<Bytes> {
        let Arriving {
            sent,
            must_have_alpha,
            ..
        } = arriving;
        if sent.starts_with("http") {
            let bytes = self.fetch_source(&sent).await?;
            self.convert_source(move || sources::read_fetched(&bytes), must_have_alpha)
                .await
        } else {
            self.convert_source(move || sources::read_sent(&sent), must_have_alpha)
                .await
        }
    }

    async fn convert_source(
        &self,
        read: impl FnOnce() -> Result<image::DynamicImage> + Send + 'static,
        must_have_alpha: bool,
    ) -> Result<Bytes> {
        let convert = move || {
            let picture = read()?;
            if must_have_alpha && picture.color().channel_count() != 4 {
                return Err(sources::refusal(
                    ReturnCode::InpaintingMissingMask,
                    "inpainting needs a mask, or a picture that is transparent where it is to be painted over",
                ));
            }
            sources::encode(&picture)
        };
        self.studio.work(convert).await.ok_or(EngineError::Stopping)?
    }

    /// The source images of a job as its worker gets them. Addresses are signed now, so that they are valid
    /// however long the request has waited.
    pub(crate) async fn wire_sources(
        &self,
        request: RequestId,
        sources: &Sources,
        worker: SourceAbilities,
    ) -> Result<WireSources> {
        let mut wire = WireSources::default();
        if worker.image {
            wire.image = self.wire_source(&image_key(request), worker.by_url).await?;
            if sources.mask {
                wire.mask = self.wire_source(&mask_key(request), worker.by_url).await?;
            }
        }
        if worker.extra && !sources.extra.is_empty() {
            let signed = sources.extra.iter().enumerate().map(async |(index, strength)| {
                let image = self.wire_source(&extra_key(request, index), true).await?;
                Result::Ok(ExtraSourceImage {
                    image: image.unwrap_or_default(),
                    strength: *strength,
                })
            });
            wire.extra = Some(try_join_all(signed).await?);
        }
        Ok(wire)
    }

    /// One picture as an address or as base64; `None` if it should be the picture itself but is gone.
    async fn wire_source(&self, key: &str, by_url: bool) -> Result<Option<String>> {
        if by_url {
            let url = self.blobs.download_url(Bucket::Source, key, self.clock.now())?;
            return Ok(Some(url.into()));
        }
        let bytes = self.blobs.get(Bucket::Source, key).await?;
        Ok(bytes.map(|bytes| STANDARD.encode(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_without_a_source_image_counts_nothing() {
        let input = RequestInput {
            source_mask: Some("AAAA".into()),
            ..RequestInput::new("a lighthouse")
        };
        assert_eq!(Sources::of(&input), None);
    }
}
