//! Identifiers: one type for each kind of thing that has one.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use strum::{AsRefStr, Display, EnumIter, EnumString};
use utoipa::ToSchema;
use uuid::Uuid;

/// The kinds of work that the horde hands out.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    AsRefStr,
    Display,
    EnumIter,
    EnumString,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum WorkKind {
    /// Pictures.
    Image,
    /// Text.
    Text,
    /// Alchemy: captions, upscaling and the like. The wire calls it `interrogation`.
    #[serde(rename = "interrogation")]
    #[strum(serialize = "interrogation")]
    Alchemy,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        /// Accepts every spelling of a UUID: with or without hyphens, in braces, as a URN.
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
    };
}

uuid_id! {
    /// A request: one accepted `POST /generate/async`.
    RequestId
}
uuid_id! {
    /// A job: one generation of a request, handed to one worker.
    JobId
}
uuid_id! {
    /// A worker of any kind.
    WorkerId
}

/// The number of an account. The anonymous account is [`UserId::ANONYMOUS`], the first account
/// made by a new server is the administrator's, 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct UserId(pub i64);

impl UserId {
    /// The account that all callers without a key of their own share.
    pub const ANONYMOUS: Self = Self(0);
    /// The account that a new server makes for its operator.
    pub const ADMIN: Self = Self(1);

    /// Whether this is the shared anonymous account.
    pub fn is_anonymous(self) -> bool {
        self == Self::ANONYMOUS
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
