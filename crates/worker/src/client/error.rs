//! [`ClientError`]: why a call did not bring what it should.

use std::{collections::BTreeMap, fmt, time::Duration};

use muster_protocol::ReturnCode;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// Why a call failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The address or the key cannot be used at all; nothing was sent.
    #[error("{0}")]
    Usage(String),
    /// No answer: no connection, a time-out, a connection that broke.
    #[error("{call}: {}", chain(.error))]
    Transport {
        /// What was called.
        call: String,
        /// What the HTTP library says. The text above already contains its causes.
        error: reqwest::Error,
    },
    /// The server answered that it won't.
    #[error("{call}: {refusal}")]
    Api {
        /// What was called.
        call: String,
        /// The server's answer.
        refusal: Box<Refusal>,
    },
    /// The server answered, but not as the API says.
    #[error("{call}: the answer cannot be understood: {detail}")]
    Malformed {
        /// What was called.
        call: String,
        /// What is wrong with the answer.
        detail: String,
        /// The answer, if it is JSON at all.
        body: Option<Box<Value>>,
    },
}

/// What a server says when it refuses: the status, and the body as far as it is the API's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// For people. Never empty.
    pub message: String,
    /// For programs, if a rule was broken.
    pub rc: Option<String>,
    /// What is wrong with which member of the body, if its shape is.
    pub errors: BTreeMap<String, String>,
    /// When the server wants to be asked again.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.message, self.status)?;
        if let Some(rc) = &self.rc {
            write!(f, " {rc}")?;
        }
        f.write_str(")")?;
        for (member, error) in &self.errors {
            write!(f, "\n  {member}: {error}")?;
        }
        Ok(())
    }
}

impl Refusal {
    /// Reads the body of an error. Bodies that are not the API's (a proxy's HTML page) give the
    /// status alone.
    pub(crate) fn read(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Wire {
            message: Option<String>,
            rc: Option<String>,
            errors: BTreeMap<String, Value>,
        }
        let wire: Wire = serde_json::from_slice(body).unwrap_or_default();
        let message = wire
            .message
            .filter(|message| !message.is_empty())
            .unwrap_or_else(|| "the server gives no reason".to_owned());
        let errors = wire
            .errors
            .into_iter()
            .map(|(member, error)| match error {
                Value::String(text) => (member, text),
                other => (member, other.to_string()),
            })
            .collect();
        Self {
            status,
            message,
            rc: wire.rc,
            errors,
            retry_after,
        }
    }
}

impl ClientError {
    /// The server's refusal, if it is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Api { refusal, .. } => Some(refusal),
            _ => None,
        }
    }

    /// The HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        self.refusal().map(|refusal| refusal.status)
    }

    /// Whether the server refused with this return code.
    pub fn is(&self, rc: ReturnCode) -> bool {
        self.refusal()
            .and_then(|refusal| refusal.rc.as_deref())
            .is_some_and(|code| code == rc.as_ref())
    }

    /// When the server wants to be asked again, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.refusal().and_then(|refusal| refusal.retry_after)
    }

    /// Whether the same call may succeed later: the server was not reached, failed, is busy, or
    /// limits the rate.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Transport { .. } => true,
            Self::Api { refusal, .. } => refusal.status >= 500 || matches!(refusal.status, 408 | 429),
            Self::Usage(_) | Self::Malformed { .. } => false,
        }
    }
}

/// An error with everything that caused it: the HTTP library names the cause only there.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(refusal: Refusal) -> ClientError {
        ClientError::Api {
            call: "pop".into(),
            refusal: Box::new(refusal),
        }
    }

    #[test]
    fn a_broken_rule_reads_well() {
        let body = br#"{"message":"No user with that key.","rc":"InvalidAPIKey"}"#;
        let error = api(Refusal::read(401, None, body));
        assert_eq!(
            error.to_string(),
            "pop: No user with that key. (401 InvalidAPIKey)"
        );
        assert!(error.is(ReturnCode::InvalidApiKey));
        assert!(!error.is_temporary());
    }

    #[test]
    fn every_wrong_member_is_named() {
        let body =
            br#"{"message":"Input payload validation failed","errors":{"params.n":"too many","odd":7}}"#;
        let error = api(Refusal::read(400, None, body));
        assert_eq!(
            error.to_string(),
            "pop: Input payload validation failed (400)\n  odd: 7\n  params.n: too many"
        );
    }

    #[test]
    fn foreign_bodies_leave_the_status() {
        let error = api(Refusal::read(502, None, b"<html>Bad gateway</html>"));
        assert_eq!(error.to_string(), "pop: the server gives no reason (502)");
        assert!(error.is_temporary());
    }
}
