//! The loop of a client: ask for pictures, texts or forms, wait for them, fetch and save them.

mod forms;
mod texts;
mod wait;

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use muster_protocol::{
    RequestId,
    image::{Generation, Progress, RequestAccepted, RequestInput},
};
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

pub use forms::{FormOutcome, save_form, transform};
pub use texts::{TextOutcome, price_of_text, write};

use crate::client::{ApiClient, ClientError};
use wait::Wait;

/// What is known so far about a request that is being waited for.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// The server took the request.
    Accepted(RequestAccepted),
    /// How far it is.
    Progress(Progress),
    /// No worker that is online could serve the request; it waits for one. Told once.
    Impossible,
    /// A call failed; the wait goes on.
    Trouble {
        /// What went wrong.
        error: String,
        /// When it is tried again.
        again_in: Duration,
    },
}

/// Why there is no picture.
#[derive(Debug, Error)]
pub enum GenerateError {
    /// A call failed for good.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The workers could not do it.
    #[error("the horde gave request {0} up: workers tried and failed")]
    Faulted(RequestId),
    /// The server forgot the request.
    #[error("request {0} is gone: it waited too long for a worker")]
    Expired(RequestId),
    /// The server took the request without naming it.
    #[error("the server accepted the request without an id")]
    NoId,
    /// A result is no picture.
    #[error("the picture {id} is unusable: {reason}")]
    BadPicture {
        /// What made it.
        id: String,
        /// What is wrong.
        reason: String,
    },
}

/// What came of a request.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The request.
    pub id: RequestId,
    /// The pictures; fewer than asked for if the request was cancelled or partly failed.
    pub pictures: Vec<Picture>,
    /// What it cost.
    pub kudos: f64,
    /// The wait was broken off and the request cancelled.
    pub cancelled: bool,
}

/// A picture with what is known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// The file.
    pub file: Bytes,
    /// What the server says about it. `img` is emptied.
    pub details: Generation,
}

/// Asks what a request would cost. Nothing is generated or paid.
pub async fn price(client: &ApiClient, input: &RequestInput) -> Result<f64, ClientError> {
    let mut input = input.clone();
    input.dry_run = true;
    client.request_image(&input).await.map(|answer| answer.kudos)
}

/// Requests pictures and waits for them.
///
/// When `stop` is cancelled, so is the request, and what is ready by then is returned.
pub async fn generate(
    client: &ApiClient,
    input: &RequestInput,
    stop: &CancellationToken,
    mut on_update: impl FnMut(Update),
) -> Result<Outcome, GenerateError> {
    let accepted = client.request_image(input).await?;
    let id = accepted.id.ok_or(GenerateError::NoId)?;
    on_update(Update::Accepted(accepted));
    let look = async || {
        let progress = client.check(id).await?;
        let results = if progress.done || progress.faulted {
            Some(client.status(id).await?)
        } else {
            None
        };
        Ok((progress, results))
    };
    let waited = Wait::new(id, on_update).for_results(look, stop).await?;
    let cancelled = waited.is_none();
    let status = match waited {
        Some(status) => status,
        None => client.cancel(id).await?,
    };
    if status.progress.faulted && status.generations.is_empty() {
        return Err(GenerateError::Faulted(id));
    }
    let mut pictures = Vec::with_capacity(status.generations.len());
    for generation in status.generations {
        pictures.push(fetch(client, generation).await?);
    }
    Ok(Outcome {
        id,
        pictures,
        kudos: status.progress.kudos,
        cancelled,
    })
}

async fn fetch(client: &ApiClient, mut generation: Generation) -> Result<Picture, GenerateError> {
    let place = std::mem::take(&mut generation.img);
    let file = if place.starts_with("http") {
        client.get_blob(&place).await?
    } else {
        let decoded = STANDARD.decode(&place).map_err(|_| GenerateError::BadPicture {
            id: generation.id.to_string(),
            reason: format!(
                "neither a URL nor base64 (`{}`)",
                place.chars().take(20).collect::<String>()
            ),
        })?;
        decoded.into()
    };
    Ok(Picture {
        file,
        details: generation,
    })
}

/// Saves a picture under a name made of prompt and seed; never overwrites a file.
pub async fn save(picture: &Picture, directory: &Path, prompt: &str) -> io::Result<PathBuf> {
    let name = format!("{}-{}", slug(prompt), slug(&picture.details.seed));
    save_as(&name, &picture.file, directory).await
}

/// Saves a picture under a name, or a similar one if there is such a file.
async fn save_as(name: &str, picture: &[u8], directory: &Path) -> io::Result<PathBuf> {
    tokio::fs::create_dir_all(directory).await?;
    let extension = extension(picture);
    for number in 0_u32.. {
        let path = match number {
            0 => directory.join(format!("{name}.{extension}")),
            _ => directory.join(format!("{name}-{number}.{extension}")),
        };
        let created = tokio::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .await;
        match created {
            Ok(mut file) => {
                file.write_all(picture).await?;
                file.flush().await?;
                return Ok(path);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => (),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from(ErrorKind::AlreadyExists))
}

/// The beginning of a text as a harmless file name.
fn slug(text: &str) -> String {
    const LONGEST: usize = 48;
    let text = text.split("###").next().unwrap_or_default();
    let mut slug = String::new();
    for word in text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        let word = word.to_lowercase();
        if !slug.is_empty() && slug.len() + 1 + word.len() > LONGEST {
            break;
        }
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.extend(word.chars().take(LONGEST));
    }
    if slug.is_empty() {
        "picture".to_owned()
    } else {
        slug
    }
}

/// The usual extension of a picture file, by its first bytes.
fn extension(file: &[u8]) -> &'static str {
    match file {
        [0x89, b'P', b'N', b'G', ..] => "png",
        [0xff, 0xd8, 0xff, ..] => "jpg",
        _ => "webp",
    }
}

#[cfg(test)]
mod tests {
    use muster_protocol::{JobId, WorkerId, image::GenerationState};
    use uuid::Uuid;

    use super::*;

    fn picture(file: &'static [u8]) -> Picture {
        Picture {
            file: Bytes::from_static(file),
            details: Generation {
                img: String::new(),
                seed: "42".into(),
                id: JobId(Uuid::nil()),
                censored: false,
                gen_metadata: Vec::new(),
                worker_id: WorkerId(Uuid::nil()),
                worker_name: "w".into(),
                model: "m".into(),
                state: GenerationState::Ok,
            },
        }
    }

    #[test]
    fn slugs_are_short_and_harmless() {
        assert_eq!(
            slug("A lighthouse, in a storm! ### blurry"),
            "a-lighthouse-in-a-storm"
        );
        assert_eq!(slug("../../etc/passwd"), "etc-passwd");
        assert_eq!(slug("###"), "picture");
        assert_eq!(slug("Ölgemälde 夜"), "ölgemälde-夜");
        assert!(slug(&"word ".repeat(100)).len() <= 48);
        assert_eq!(slug(&"x".repeat(300)).len(), 48);
    }

    #[tokio::test]
    async fn files_are_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let mut names = Vec::new();
        for file in [&b"RIFF"[..], b"RIFF", b"\x89PNG", b"RIFF"] {
            let path = save(&picture(file), directory.path(), "a cat").await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), file);
            names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
        assert_eq!(
            names,
            [
                "a-cat-42.webp",
                "a-cat-42-1.webp",
                "a-cat-42.png",
                "a-cat-42-2.webp"
            ]
        );
    }
}
