//! Objects in S3, behind addresses that the service checks (Signature Version 4 in the query).

use std::{fmt, sync::Arc};

use hmac::{Hmac, KeyInit as _, Mac as _};
use muster_protocol::Timestamp;
use object_store::{ObjectStore, aws::AmazonS3Builder};
use sha2::{Digest as _, Sha256};
use strum::IntoEnumIterator as _;
use url::Url;

use super::{BlobError, BlobMethod, Bucket, VALIDITY};
use crate::text::hex;

/// The names of the buckets. They may coincide.
#[derive(Clone, Debug)]
pub struct BucketNames {
    /// For [`Bucket::Transient`].
    pub transient: String,
    /// For [`Bucket::Source`].
    pub source: String,
    /// For [`Bucket::Permanent`].
    pub permanent: String,
    /// For [`Bucket::Prompts`].
    pub prompts: String,
}

/// How an S3 service is reached.
#[derive(Clone)]
pub struct S3Config {
    /// Its address, without a bucket: `https://HOST[:PORT]`.
    pub endpoint: Url,
    /// Its region; `auto` for services without regions.
    pub region: String,
    /// The name of the access key.
    pub access_key_id: String,
    /// The access key.
    pub secret_access_key: String,
    /// Whether the bucket is part of the path (`https://HOST/BUCKET/KEY`) or of the host.
    pub path_style: bool,
    /// The names of the buckets.
    pub buckets: BucketNames,
}

impl fmt::Debug for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3")
            .field("endpoint", &self.endpoint.as_str())
            .field("region", &self.region)
            .field("buckets", &self.buckets)
            .finish_non_exhaustive()
    }
}

impl S3Config {
    fn bucket_name(&self, bucket: Bucket) -> &str {
        match bucket {
            Bucket::Transient => &self.buckets.transient,
            Bucket::Source => &self.buckets.source,
            Bucket::Permanent => &self.buckets.permanent,
            Bucket::Prompts => &self.buckets.prompts,
        }
    }

    /// The address of a bucket, without a slash at its end.
    fn bucket_url(&self, bucket: Bucket) -> Result<Url, BlobError> {
        let mut url = self.endpoint.clone();
        let name = self.bucket_name(bucket);
        let bad = || BlobError::BadAddress(self.endpoint.to_string());
        if self.path_style {
            url.path_segments_mut()
                .map_err(|()| bad())?
                .pop_if_empty()
                .push(name);
        } else {
            let host = format!("{name}.{}", url.host_str().ok_or_else(bad)?);
            url.set_host(Some(&host)).map_err(|_| bad())?;
        }
        Ok(url)
    }
}

/// Opens the buckets, in the order of [`Bucket`].
pub(super) fn open(config: &S3Config) -> Result<[Arc<dyn ObjectStore>; 4], BlobError> {
    // Whoever comes first in this process decides; all of ours choose the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut buckets: Vec<Arc<dyn ObjectStore>> = Vec::with_capacity(4);
    for bucket in Bucket::iter() {
        let store = AmazonS3Builder::new()
            // With a host of its own, the bucket is expected to be in the address.
            .with_endpoint(if config.path_style {
                config.endpoint.as_str().trim_end_matches('/').to_owned()
            } else {
                config
                    .bucket_url(bucket)?
                    .as_str()
                    .trim_end_matches('/')
                    .to_owned()
            })
            .with_region(&config.region)
            .with_bucket_name(config.bucket_name(bucket))
            .with_access_key_id(&config.access_key_id)
            .with_secret_access_key(&config.secret_access_key)
            .with_virtual_hosted_style_request(!config.path_style)
            .with_allow_http(config.endpoint.scheme() == "http")
            .build()?;
        buckets.push(Arc::new(store));
    }
    buckets
        .try_into()
        .map_err(|_| BlobError::BadAddress(config.endpoint.to_string()))
}

/// Signs addresses without asking the service.
///
/// Only the host header is signed, so that a `PUT` works with any `Content-Type` or none.
pub(super) struct S3Signer {
    config: S3Config,
}

impl S3Signer {
    pub(super) fn new(config: S3Config) -> Result<Self, BlobError> {
        config.bucket_url(Bucket::Transient)?;
        Ok(Self { config })
    }

    pub(super) fn sign(
        &self,
        method: BlobMethod,
        bucket: Bucket,
        key: &str,
        now: Timestamp,
    ) -> Result<Url, BlobError> {
        let mut url = self.config.bucket_url(bucket)?;
        url.path_segments_mut()
            .map_err(|()| BlobError::BadAddress(self.config.endpoint.to_string()))?
            .pop_if_empty()
            .push(key);
        let moment = now.to_datetime().format("%Y%m%dT%H%M%SZ").to_string();
        let day = moment[..8].to_owned();
        let scope = format!("{day}/{}/s3/aws4_request", self.config.region);
        let query = [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
            (
                "X-Amz-Credential",
                encode(&format!("{}/{scope}", self.config.access_key_id)),
            ),
            ("X-Amz-Date", moment.clone()),
            ("X-Amz-Expires", VALIDITY.as_secs().to_string()),
            ("X-Amz-SignedHeaders", "host".to_owned()),
        ]
        .map(|(name, value)| format!("{name}={value}"))
        .join("&");
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => return Err(BlobError::BadAddress(url.to_string())),
        };
        let request = format!(
            "{}\n{}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD",
            method.as_str(),
            url.path()
        );
        let digest = hex(&Sha256::digest(request));
        let to_sign = format!("AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}");
        let signature = hex(&mac(&self.day_key(&day), &to_sign));
        url.set_query(Some(&format!("{query}&X-Amz-Signature={signature}")));
        Ok(url)
    }

    fn day_key(&self, day: &str) -> Vec<u8> {
        let secret = format!("AWS4{}", self.config.secret_access_key);
        [day, &self.config.region, "s3", "aws4_request"]
            .iter()
            .fold(secret.into_bytes(), |key, part| mac(&key, part))
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Percent-encodes everything but letters, digits, `-`, `.`, `_` and `~`.
fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
