//! Objects in a directory, behind addresses that the server signs and checks itself.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use muster_protocol::Timestamp;
use object_store::{ObjectStore, local::LocalFileSystem};
use sha2::Sha256;
use strum::IntoEnumIterator as _;
use url::Url;

use super::{BlobError, BlobMethod, BlobUrlError, Bucket, VALIDITY};
use crate::text::hex;

/// Makes the directories and opens them, in the order of [`Bucket`].
pub(super) fn open(dir: &Path) -> Result<[Arc<dyn ObjectStore>; 4], BlobError> {
    let mut buckets: Vec<Arc<dyn ObjectStore>> = Vec::with_capacity(4);
    for bucket in Bucket::iter() {
        let bucket_dir = dir.join(bucket.as_ref());
        std::fs::create_dir_all(&bucket_dir).map_err(|source| BlobError::Directory {
            dir: bucket_dir.clone(),
            source,
        })?;
        // Files are written beside their place, synced and then renamed.
        buckets.push(Arc::new(
            LocalFileSystem::new_with_prefix(bucket_dir)?.with_fsync(true),
        ));
    }
    buckets
        .try_into()
        .map_err(|_| BlobError::BadAddress(dir.display().to_string()))
}

/// Signs `{base_url}/blobs/{bucket}/{key}?expires=…&method=…&signature=…`.
pub(super) struct LocalSigner {
    base_url: RwLock<Url>,
    secret: Vec<u8>,
}

impl LocalSigner {
    pub(super) fn new(base_url: Url, secret: Vec<u8>) -> Self {
        Self {
            base_url: RwLock::new(base_url),
            secret,
        }
    }

    pub(super) fn set_base_url(&self, base_url: Url) {
        // A lock that was poisoned still holds a whole address.
        *self.base_url.write().unwrap_or_else(PoisonError::into_inner) = base_url;
    }

    pub(super) fn sign(
        &self,
        method: BlobMethod,
        bucket: Bucket,
        key: &str,
        now: Timestamp,
    ) -> Result<Url, BlobError> {
        let expires = ((now + VALIDITY).millis() / 1000).to_string();
        let signature = hex(&self.mac(method, bucket, key, &expires).finalize().into_bytes());
        let mut url = self
            .base_url
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        url.path_segments_mut()
            .map_err(|()| BlobError::BadAddress("a base without a host".to_owned()))?
            .pop_if_empty()
            .extend(["blobs", bucket.as_ref(), key]);
        url.query_pairs_mut()
            .clear()
            .append_pair("expires", &expires)
            .append_pair("method", method.as_str())
            .append_pair("signature", &signature);
        Ok(url)
    }

    pub(super) fn verify(
        &self,
        method: BlobMethod,
        bucket: Bucket,
        key: &str,
        query: &str,
        now: Timestamp,
    ) -> Result<(), BlobUrlError> {
        let (mut expires, mut signature) = (None, None);
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "expires" => expires = Some(value.into_owned()),
                "signature" => signature = from_hex(&value),
                _ => {}
            }
        }
        let (Some(expires), Some(signature)) = (expires, signature) else {
            return Err(BlobUrlError::Malformed);
        };
        // Compares in constant time.
        self.mac(method, bucket, key, &expires)
            .verify_slice(&signature)
            .map_err(|_| BlobUrlError::BadSignature)?;
        let expires: i64 = expires.parse().map_err(|_| BlobUrlError::Malformed)?;
        if now.millis() / 1000 > expires {
            Err(BlobUrlError::Expired)
        } else {
            Ok(())
        }
    }

    fn mac(&self, method: BlobMethod, bucket: Bucket, key: &str, expires: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        for part in ["muster-blob", method.as_str(), bucket.as_ref(), key, expires] {
            mac.update(part.as_bytes());
            mac.update(b"\n"); // no part contains one
        }
        mac
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}
