//! Backends without a GPU. [`Simulated`] takes as long as a real one would and makes a picture from prompt and
//! seed, which says in its lower edge that it is simulated; [`SimulatedScribe`] writes a text that says so, word
//! by word; [`SimulatedAlchemist`] really enlarges pictures, and tells of them what can be seen without a model.
//!
//! The same job gives the same result, byte for byte, so tests can compare results.

mod alchemy;
mod canvas;
mod caption;
mod look;
mod scene;
mod source;
mod text;

use std::{str::FromStr, time::Duration};

use bytes::Bytes;
use muster_protocol::image::{GenerationState, Metadata, MetadataType, MetadataValue};
use tokio::time::Instant;

pub use self::{
    alchemy::SimulatedAlchemist,
    source::Source,
    text::{Pace, SimulatedScribe},
};
use crate::{
    backend::{Backend, BackendError, Job, Picture, Progress},
    random::{self, Stream},
};

/// How fast the simulated backend is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// No faster than drawing takes.
    Instant,
    /// So many megapixelsteps a second in each thread, give or take a tenth.
    Mps(f64),
}

impl Default for Speed {
    /// A 512×512 picture in 30 steps takes five seconds.
    fn default() -> Self {
        Self::Mps(1.6)
    }
}

/// A number of megapixelsteps a second; 0 or `instant` for no waiting.
impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("instant") {
            return Ok(Self::Instant);
        }
        match text.parse::<f64>() {
            Ok(0.0) => Ok(Self::Instant),
            Ok(speed) if speed.is_finite() && speed > 0.0 => Ok(Self::Mps(speed)),
            _ => Err("neither `instant` nor a number of megapixelsteps a second".to_owned()),
        }
    }
}

impl Speed {
    /// The time a job takes; the jitter is the job's own, so it repeats with the job.
    fn time_for(self, job: &Job) -> Duration {
        match self {
            Self::Mps(speed) if speed > 0.0 => {
                let jitter = f64::from(Stream::new(job.seed).range(0.9, 1.1));
                Duration::try_from_secs_f64(job.megapixelsteps() / speed * jitter)
                    .unwrap_or(Duration::from_hours(1))
            }
            _ => Duration::ZERO,
        }
    }
}

/// The backend that only pretends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Simulated {
    /// How fast it is.
    pub speed: Speed,
}

impl Backend for Simulated {
    async fn generate(&self, job: &Job, progress: &Progress<'_>) -> Result<Vec<Picture>, BackendError> {
        let start = Instant::now();
        let time = self.speed.time_for(job);
        let (width, height) = (job.payload.width, job.payload.height);
        let count = job.ids.len();
        let mut pictures = Vec::with_capacity(count);
        for index in 0..count {
            let (prompt, seed) = (job.prompt().to_owned(), job.seed_of(index));
            let source = Source::of(job);
            let webp =
                tokio::task::spawn_blocking(move || draw(&prompt, seed, (width, height), source.as_ref()))
                    .await
                    .map_err(|error| BackendError::Failed(error.to_string()))??;
            for tenth in 1..=10 {
                let share = (index as f64 + f64::from(tenth) / 10.0) / count as f64;
                tokio::time::sleep_until(start + time.mul_f64(share)).await;
                progress(share as f32);
            }
            pictures.push(Picture {
                webp,
                seed,
                state: GenerationState::Ok,
                metadata: vec![Metadata {
                    kind: MetadataType::Information,
                    value: MetadataValue::SeeRef,
                    reference: Some("simulated".to_owned()),
                }],
            });
        }
        Ok(pictures)
    }
}

/// Draws the picture that belongs to a prompt and a seed, as a WebP file. Takes some ten
/// milliseconds of computing; not for async threads.
///
/// `source` is what the picture starts from: it shines through, or keeps what is not to be painted over.
pub fn draw(
    prompt: &str,
    seed: u64,
    (width, height): (u32, u32),
    source: Option<&Source>,
) -> Result<Bytes, BackendError> {
    if width == 0 || height == 0 || width > webp_limit() || height > webp_limit() {
        return Err(BackendError::Unusable(format!(
            "{width}×{height} is no size for a picture"
        )));
    }
    let mut canvas = canvas::Canvas::new(width, height);
    scene::paint(&mut canvas, random::hash(prompt), seed);
    if let Some(source) = source {
        source.apply(&mut canvas)?;
    }
    caption::write(&mut canvas, prompt);
    encode(&canvas)
}

fn webp_limit() -> u32 {
    16_383
}

fn encode(canvas: &canvas::Canvas) -> Result<Bytes, BackendError> {
    let failed = |what: String| BackendError::Failed(format!("WebP encoding: {what}"));
    let mut config = webp::WebPConfig::new().map_err(|()| failed("no configuration".to_owned()))?;
    config.quality = 85.0;
    config.method = 3;
    let file = webp::Encoder::from_rgb(canvas.rgb(), canvas.width(), canvas.height())
        .encode_advanced(&config)
        .map_err(|error| failed(format!("{error:?}")))?;
    Ok(Bytes::copy_from_slice(&file))
}

#[cfg(test)]
mod tests {
    use muster_protocol::{
        JobId,
        image::{JobPayload, SourceProcessing},
    };

    use super::*;

    fn job(ids: usize) -> Job {
        Job {
            ids: vec![JobId(uuid::Uuid::nil()); ids],
            model: "stable_diffusion".into(),
            seed: 7,
            payload: JobPayload {
                prompt: Some("a lighthouse in a storm ### text".into()),
                width: 128,
                height: 64,
                ..JobPayload::default()
            },
            source_image: None,
            source_processing: SourceProcessing::default(),
            source_mask: None,
            extra_source_images: Vec::new(),
        }
    }

    #[test]
    fn the_same_request_gives_the_same_file() {
        let file = draw("a lighthouse", 7, (128, 64), None).unwrap();
        assert_eq!(file, draw("a lighthouse", 7, (128, 64), None).unwrap());
        assert_ne!(file, draw("a lighthouse", 8, (128, 64), None).unwrap());
        assert_ne!(file, draw("a windmill", 7, (128, 64), None).unwrap());
    }

    #[test]
    fn the_file_is_a_webp_of_the_requested_size() {
        for (width, height) in [(64, 64), (128, 64), (64, 192), (512, 512)] {
            let file = draw("Größe §", 1, (width, height), None).unwrap();
            let picture = webp::Decoder::new(&file).decode().unwrap();
            assert_eq!((picture.width(), picture.height()), (width, height));
            assert!(
                file.len() < 100_000,
                "{width}×{height} takes {} bytes",
                file.len()
            );
        }
    }

    #[test]
    fn pictures_are_neither_flat_nor_dull() {
        for seed in 0..12 {
            let file = draw("variety", seed, (96, 96), None).unwrap();
            let picture = webp::Decoder::new(&file).decode().unwrap();
            let (low, high) = picture
                .iter()
                .fold((255, 0), |(low, high), &value| (value.min(low), value.max(high)));
            assert!(high - low > 100, "seed {seed}: only {low}..{high}");
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(matches!(
            draw("x", 1, (0, 64), None),
            Err(BackendError::Unusable(_))
        ));
        assert!(matches!(
            draw("x", 1, (64, 20_000), None),
            Err(BackendError::Unusable(_))
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_takes_its_time_and_counts_seeds_up() {
        let start = Instant::now();
        let shares = std::sync::Mutex::new(Vec::new());
        let backend = Simulated {
            speed: Speed::Mps(0.1),
        };
        let pictures = backend
            .generate(&job(2), &|share| shares.lock().unwrap().push(share))
            .await
            .unwrap();
        // 128 · 64 · 30 · 2 pixelsteps at 0.1 million a second
        let expected = 4.9152;
        let taken = start.elapsed().as_secs_f64();
        assert!(taken > expected * 0.89 && taken < expected * 1.11, "{taken}");
        assert_eq!(pictures.iter().map(|p| p.seed).collect::<Vec<_>>(), [7, 8]);
        let shares = shares.into_inner().unwrap();
        assert_eq!((shares.len(), shares[9], shares[19]), (20, 0.5, 1.0));
        assert_eq!(
            pictures[0].webp,
            draw("a lighthouse in a storm", 7, (128, 64), None).unwrap()
        );
    }

    #[test]
    fn speeds_are_numbers_or_instant() {
        assert_eq!("instant".parse(), Ok(Speed::Instant));
        assert_eq!("0".parse(), Ok(Speed::Instant));
        assert_eq!("2.5".parse(), Ok(Speed::Mps(2.5)));
        assert!("-1".parse::<Speed>().is_err() && "fast".parse::<Speed>().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn instant_does_not_wait() {
        let start = Instant::now();
        let backend = Simulated {
            speed: Speed::Instant,
        };
        backend.generate(&job(1), &|_| ()).await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
