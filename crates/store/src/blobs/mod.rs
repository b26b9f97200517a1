//! Objects: images, sources and the like, in a directory or in S3.
//!
//! Clients and workers read and write objects themselves, through addresses that are signed for
//! one object and one method and that expire after [`VALIDITY`]. For S3 these are presigned
//! addresses of the service; for a directory they point to the server, which asks
//! [`Blobs::verify`] before it serves `/blobs/{bucket}/{key}`.

mod local;
mod s3;

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use muster_protocol::Timestamp;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload, path::Path};
use tracing::instrument;
use url::Url;

pub use self::s3::{BucketNames, S3Config};
use self::{local::LocalSigner, s3::S3Signer};

/// How long a signed address works.
pub const VALIDITY: Duration = Duration::from_mins(30);

/// A group of objects with one retention and one audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumIter, strum::AsRefStr, strum::EnumString)]
#[strum(serialize_all = "lowercase")]
pub enum Bucket {
    /// Results, until their request expires.
    Transient,
    /// Source images and masks, until their request expires.
    Source,
    /// Shared results and what describes them.
    Permanent,
    /// Rejected prompts.
    Prompts,
}

/// What a signed address allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobMethod {
    /// Reading (also `HEAD`).
    Get,
    /// Writing.
    Put,
}

impl BlobMethod {
    /// As HTTP spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
        }
    }
}

/// Where objects are kept.
#[derive(Clone)]
pub enum BlobConfig {
    /// In a directory, served by the server itself.
    Local {
        /// The directory; made if it does not exist.
        dir: PathBuf,
        /// Where the server is reached. Can be changed later: [`Blobs::set_base_url`].
        base_url: Url,
        /// The key of the signatures. All nodes need the same.
        secret: Vec<u8>,
    },
    /// In S3 or a service that speaks its protocol.
    S3(S3Config),
}

impl fmt::Debug for BlobConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { dir, base_url, .. } => f
                .debug_struct("Local")
                .field("dir", dir)
                .field("base_url", &base_url.as_str())
                .finish_non_exhaustive(),
            Self::S3(config) => config.fmt(f),
        }
    }
}

/// Why an object cannot be kept or fetched.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// A key that could name something else: keys have 1 to 200 letters, digits, `.`, `-` and `_`,
    /// and do not begin with a dot.
    #[error("{0:?} is not the key of an object")]
    BadKey(String),
    /// The directory cannot be used.
    #[error("the directory {dir} for images cannot be used: {source}")]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An address cannot be made from the configuration.
    #[error("{0} cannot be the address of the images")]
    BadAddress(String),
    /// The storage failed.
    #[error("the storage for images failed: {0}")]
    Storage(#[from] object_store::Error),
}

/// Why a signed address is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobUrlError {
    /// The bucket, the key or the query is not one of ours.
    #[error("this is not the address of an object")]
    Malformed,
    /// It was made for another object or method, or not by us.
    #[error("the signature does not match")]
    BadSignature,
    /// It was valid until a while ago.
    #[error("the address has expired")]
    Expired,
}

/// The storage for objects. Cheap to clone.
#[derive(Clone)]
pub struct Blobs(Arc<Inner>);

struct Inner {
    signer: Signer,
    /// The storage of each bucket, in the order of [`Bucket`].
    buckets: [Arc<dyn ObjectStore>; 4],
}

enum Signer {
    Local(LocalSigner),
    S3(S3Signer),
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.signer {
            Signer::Local(_) => f.write_str("Blobs(local)"),
            Signer::S3(_) => f.write_str("Blobs(s3)"),
        }
    }
}

impl Blobs {
    /// Opens the storage. A directory is made if it does not exist; buckets must exist.
    pub fn new(config: BlobConfig) -> Result<Self, BlobError> {
        let inner = match config {
            BlobConfig::Local {
                dir,
                base_url,
                secret,
            } => Inner {
                buckets: local::open(&dir)?,
                signer: Signer::Local(LocalSigner::new(base_url, secret)),
            },
            BlobConfig::S3(config) => Inner {
                buckets: s3::open(&config)?,
                signer: Signer::S3(S3Signer::new(config)?),
            },
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Changes where a local storage is reached; for S3 it does nothing.
    pub fn set_base_url(&self, base_url: Url) {
        if let Signer::Local(signer) = &self.0.signer {
            signer.set_base_url(base_url);
        }
    }

    /// Whether the server itself serves the objects.
    pub fn is_local(&self) -> bool {
        matches!(self.0.signer, Signer::Local(_))
    }

    /// Keeps an object, in place of one with the same key. Nobody ever sees half of it, and a
    /// local object is on the disk afterwards.
    #[instrument(name = "horde.blobs.put", skip_all, fields(otel.kind = "client", horde.blobs.bucket = bucket.as_ref()))]
    pub async fn put(&self, bucket: Bucket, key: &str, content: Bytes) -> Result<(), BlobError> {
        self.bucket(bucket)
            .put(&path(key)?, PutPayload::from_bytes(content))
            .await?;
        Ok(())
    }

    /// Fetches an object.
    #[instrument(name = "horde.blobs.get", skip_all, fields(otel.kind = "client", horde.blobs.bucket = bucket.as_ref()))]
    pub async fn get(&self, bucket: Bucket, key: &str) -> Result<Option<Bytes>, BlobError> {
        match self.bucket(bucket).get(&path(key)?).await {
            Ok(object) => Ok(Some(object.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether there is an object.
    #[instrument(name = "horde.blobs.exists", skip_all, fields(otel.kind = "client", horde.blobs.bucket = bucket.as_ref()))]
    pub async fn exists(&self, bucket: Bucket, key: &str) -> Result<bool, BlobError> {
        match self.bucket(bucket).head(&path(key)?).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes an object, if there is one.
    #[instrument(name = "horde.blobs.delete", skip_all, fields(otel.kind = "client", horde.blobs.bucket = bucket.as_ref()))]
    pub async fn delete(&self, bucket: Bucket, key: &str) -> Result<(), BlobError> {
        match self.bucket(bucket).delete(&path(key)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes the objects of a bucket that were last written before a moment; says how many.
    #[instrument(name = "horde.blobs.prune", skip_all, fields(otel.kind = "client", horde.blobs.bucket = bucket.as_ref()))]
    pub async fn prune(&self, bucket: Bucket, before: Timestamp) -> Result<u64, BlobError> {
        let storage = self.bucket(bucket);
        let mut objects = storage.list(None);
        let mut pruned = 0;
        while let Some(object) = objects.try_next().await? {
            if Timestamp::from(object.last_modified) < before {
                match storage.delete(&object.location).await {
                    // Another node may be pruning too.
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => pruned += 1,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(pruned)
    }

    /// An address to which one object can be written with `PUT`, valid for [`VALIDITY`].
    pub fn upload_url(&self, bucket: Bucket, key: &str, now: Timestamp) -> Result<Url, BlobError> {
        self.signed_url(BlobMethod::Put, bucket, key, now)
    }

    /// An address from which one object can be read with `GET`, valid for [`VALIDITY`].
    pub fn download_url(&self, bucket: Bucket, key: &str, now: Timestamp) -> Result<Url, BlobError> {
        self.signed_url(BlobMethod::Get, bucket, key, now)
    }

    fn signed_url(
        &self,
        method: BlobMethod,
        bucket: Bucket,
        key: &str,
        now: Timestamp,
    ) -> Result<Url, BlobError> {
        path(key)?;
        match &self.0.signer {
            Signer::Local(signer) => signer.sign(method, bucket, key, now),
            Signer::S3(signer) => signer.sign(method, bucket, key, now),
        }
    }

    /// Whether a call to `/blobs/{bucket}/{key}?{query}` may do what it wants. Takes the same time
    /// for every wrong signature. With S3 nothing is accepted: such calls do not come here.
    pub fn verify(
        &self,
        method: BlobMethod,
        bucket: &str,
        key: &str,
        query: &str,
        now: Timestamp,
    ) -> Result<Bucket, BlobUrlError> {
        let Signer::Local(signer) = &self.0.signer else {
            return Err(BlobUrlError::Malformed);
        };
        let bucket = Bucket::from_str(bucket).map_err(|_| BlobUrlError::Malformed)?;
        path(key).map_err(|_| BlobUrlError::Malformed)?;
        signer.verify(method, bucket, key, query, now)?;
        Ok(bucket)
    }

    fn bucket(&self, bucket: Bucket) -> &Arc<dyn ObjectStore> {
        &self.0.buckets[bucket as usize]
    }
}

/// The path of a key, which is a single plain name: it can neither leave its bucket nor meet a
/// file that is still being written.
fn path(key: &str) -> Result<Path, BlobError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if key.is_empty() || key.len() > 200 || key.starts_with('.') || !key.bytes().all(plain) {
        return Err(BlobError::BadKey(key.to_owned()));
    }
    Ok(Path::from(key))
}
