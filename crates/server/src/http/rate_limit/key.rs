//! [`CounterKey`]: what tells one counter from another.

use std::fmt::{self, Write};

use axum::{
    extract::MatchedPath,
    http::{HeaderMap, request::Parts},
};
use muster_protocol::ANONYMOUS_KEY;
use sha2::{Digest, Sha256};

use super::{
    super::{ApiError, ClientAddress, EffectiveAddress},
    KeyKind, Rule,
};

/// The name of a counter: a digest of everything that its requests have in common. Its size does not
/// depend on what callers send, and no address or API key can be read from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterKey(
    /// The digest.
    pub [u8; 16],
);

impl CounterKey {
    /// The digest of `parts`. Where one part ends and the next begins matters.
    pub fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let digest: [u8; 32] = hasher.finalize().into();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        Self(key)
    }
}

impl fmt::Display for CounterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CounterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the limiter needs to know about a request.
pub(super) struct Caller<'a> {
    pub(super) client: ClientAddress,
    pub(super) effective: EffectiveAddress,
    endpoint: &'a str,
    method: &'a str,
    path: &'a str,
    api_key: &'a [u8],
}

impl<'a> Caller<'a> {
    /// # Errors
    /// If no layer resolved the addresses, which is a mistake in the wiring.
    pub(super) fn of(parts: &'a Parts) -> Result<Self, ApiError> {
        let missing = || ApiError::internal("the layer that resolves addresses is missing");
        Ok(Self {
            client: *parts.extensions.get().ok_or_else(missing)?,
            effective: *parts.extensions.get().ok_or_else(missing)?,
            endpoint: parts
                .extensions
                .get::<MatchedPath>()
                .map_or("", MatchedPath::as_str),
            method: parts.method.as_str(),
            path: parts.uri.path(),
            api_key: api_key(&parts.headers),
        })
    }

    pub(super) fn is_anonymous(&self) -> bool {
        self.api_key == ANONYMOUS_KEY.as_bytes()
    }

    /// The counter that a rule charges for this request. Every endpoint and amount has its own.
    pub(super) fn counter(&self, rule: &Rule, amount: u32) -> CounterKey {
        let address = match rule.key {
            KeyKind::Address => self.client.0.to_string(),
            KeyKind::Path => self.effective.address.to_string(),
            KeyKind::ApiKey => String::new(),
        };
        let mut name = String::new();
        // Writing to a string can't fail.
        let _ = write!(name, "{:?} {amount} {}", rule.key, rule.window.unit());
        let shared: [&[u8]; 3] = [name.as_bytes(), self.endpoint.as_bytes(), address.as_bytes()];
        let own: [&[u8]; 3] = match rule.key {
            KeyKind::Address => [b"", b"", b""],
            KeyKind::Path => [self.method.as_bytes(), self.path.as_bytes(), b""],
            KeyKind::ApiKey => [self.method.as_bytes(), self.path.as_bytes(), self.api_key],
        };
        CounterKey::digest(shared.into_iter().chain(own))
    }
}

fn api_key(headers: &HeaderMap) -> &[u8] {
    headers
        .get("apikey")
        .map_or(ANONYMOUS_KEY.as_bytes(), |value| value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let key = |parts: &[&'static str]| CounterKey::digest(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(key(&["ab", "c"]), key(&["ab", "c"]));
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_ne!(key(&["ab"]), key(&["ab", ""]));
        assert_eq!(key(&["ab"]).to_string().len(), 32);
    }
}
