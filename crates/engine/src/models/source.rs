//! [`ModelSource`]: files and addresses that describe models, and a copy of what they said last.

use std::{
    io,
    marker::PhantomData,
    path::{Path, PathBuf},
    time::Duration,
};

use super::Reference;
use crate::outbound::{Outbound, OutboundError, Reach};

/// The most bytes that a description may have.
const LIMIT: usize = 64 << 20;
const TIMEOUT: Duration = Duration::from_secs(20);

/// Files and addresses that describe models, each overlaid over those before it, and a copy of what they said
/// last, for when an address cannot be reached. The operator chooses them, so they may be anywhere.
#[derive(Clone, Debug)]
pub struct ModelSource<R> {
    places: Vec<String>,
    copy: PathBuf,
    outbound: Outbound,
    kind: PhantomData<fn() -> R>,
}

/// Why models cannot be described.
#[derive(Debug, thiserror::Error)]
pub enum ModelSourceError {
    /// A file cannot be read.
    #[error("{place} cannot be read: {error}")]
    File {
        /// The file.
        place: String,
        /// What the system said.
        error: io::Error,
    },
    /// An address cannot be read.
    #[error("{place} cannot be fetched: {error}")]
    Address {
        /// The address.
        place: String,
        /// What went wrong.
        error: OutboundError,
    },
    /// It is not a JSON object from names to descriptions, or describes nothing.
    #[error("{place} does not describe models: {why}")]
    Malformed {
        /// The file or address.
        place: String,
        /// What is wrong with it.
        why: String,
    },
}

impl<R: Reference> ModelSource<R> {
    /// Reads `places`, files or addresses, and keeps a copy in the directory `copy`, which must exist.
    ///
    /// # Errors
    /// The system's certificates cannot be loaded.
    pub fn new(places: Vec<String>, copy: PathBuf) -> Result<Self, OutboundError> {
        Ok(Self {
            places,
            copy,
            outbound: Outbound::new(Reach::Anywhere)?,
            kind: PhantomData,
        })
    }

    /// What the places say now. Keeps a copy of it if all of them make sense.
    ///
    /// # Errors
    /// The first place that cannot be read or makes no sense.
    pub async fn read(&self) -> Result<R, ModelSourceError> {
        let mut texts = Vec::with_capacity(self.places.len());
        let mut reference = R::default();
        for place in &self.places {
            let text = self.text(place).await?;
            reference = reference.overlaid_with(parse(place, &text)?);
            texts.push(text);
        }
        for (index, text) in texts.iter().enumerate() {
            if let Err(error) = replace(&self.copy_of(index), text).await {
                tracing::warn!(%error, "no copy of the model reference can be kept");
            }
        }
        Ok(reference)
    }

    /// What the places said last, if there is a copy of all of them.
    pub async fn read_copy(&self) -> Option<R> {
        let mut reference = R::default();
        for index in 0..self.places.len() {
            let file = self.copy_of(index);
            let text = tokio::fs::read_to_string(&file).await.ok()?;
            reference = reference.overlaid_with(parse(&file.display().to_string(), &text).ok()?);
        }
        Some(reference)
    }

    /// Whether all places are files on this machine.
    pub fn is_local(&self) -> bool {
        !self.places.iter().any(|place| is_address(place))
    }

    fn copy_of(&self, index: usize) -> PathBuf {
        self.copy.join(format!("{}-models-{index}.json", R::CALLED))
    }

    async fn text(&self, place: &str) -> Result<String, ModelSourceError> {
        if !is_address(place) {
            return tokio::fs::read_to_string(place)
                .await
                .map_err(|error| ModelSourceError::File {
                    place: place.to_owned(),
                    error,
                });
        }
        let bytes = self
            .outbound
            .fetch(place, LIMIT, TIMEOUT)
            .await
            .map_err(|error| ModelSourceError::Address {
                place: place.to_owned(),
                error,
            })?;
        String::from_utf8(bytes.into()).map_err(|error| malformed(place, &error))
    }
}

fn is_address(place: &str) -> bool {
    place.starts_with("http://") || place.starts_with("https://")
}

fn parse<R: Reference>(place: &str, text: &str) -> Result<R, ModelSourceError> {
    let reference = R::read(text).map_err(|error| malformed(place, &error))?;
    if reference.is_empty() {
        return Err(malformed(place, &"it is empty"));
    }
    Ok(reference)
}

fn malformed(place: &str, why: &dyn std::fmt::Display) -> ModelSourceError {
    ModelSourceError::Malformed {
        place: place.to_owned(),
        why: why.to_string(),
    }
}

/// Replaces a file, so that nobody ever sees half of it.
async fn replace(file: &Path, text: &str) -> io::Result<()> {
    let next = file.with_extension("next");
    tokio::fs::write(&next, text).await?;
    tokio::fs::rename(&next, file).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelReference;

    fn written(directory: &Path, name: &str, text: &str) -> String {
        let file = directory.join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    }

    #[tokio::test]
    async fn later_places_overlay_earlier_ones_and_a_copy_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let first = written(directory.path(), "a", r#"{"A": {"nsfw": true}, "B": {}}"#);
        let second = written(directory.path(), "b", r#"{"A": {"nsfw": false}}"#);
        let source =
            ModelSource::<ModelReference>::new(vec![first.clone(), second], directory.path().to_owned())
                .unwrap();
        assert_eq!(source.read_copy().await, None);
        let reference = source.read().await.unwrap();
        assert!(!reference.get("A").unwrap().nsfw && reference.get("B").is_some());

        std::fs::write(&first, "{broken").unwrap();
        assert!(matches!(
            source.read().await,
            Err(ModelSourceError::Malformed { .. })
        ));
        assert_eq!(source.read_copy().await, Some(reference));
    }

    #[tokio::test]
    async fn what_is_missing_or_empty_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let empty = written(directory.path(), "empty", "{}");
        let of = |place: String| {
            ModelSource::<ModelReference>::new(vec![place], directory.path().to_owned()).unwrap()
        };
        assert!(matches!(
            of(empty).read().await,
            Err(ModelSourceError::Malformed { .. })
        ));
        let missing = directory.path().join("missing").display().to_string();
        assert!(matches!(
            of(missing).read().await,
            Err(ModelSourceError::File { .. })
        ));
        let address = of("http://127.0.0.1:1/models.json".to_owned());
        assert!(!address.is_local());
        assert!(matches!(
            address.read().await,
            Err(ModelSourceError::Address { .. })
        ));
    }
}
