//! [`AlchemyRequest`]: an alchemy request as it is stored.

use muster_dispatch::alchemy::Demand;
use muster_kudos::alchemy::worker_reward;
use muster_protocol::{
    Kudos, RequestId,
    alchemy::{Form, FormInput},
};
use serde::{Deserialize, Serialize};

use crate::work::Part;

/// An alchemy request. What does not change while it lives; stored as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AlchemyRequest {
    pub(crate) forms: Vec<FormInput>,
    pub(crate) source: Source,
    /// The size of its picture in tiles of 512 x 512 pixels.
    pub(crate) tiles: u32,
    pub(crate) trusted_workers: bool,
    pub(crate) slow_workers: bool,
}

/// Where the picture is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// Where its client says, who must keep it there.
    Address(String),
    /// In the blob store, see [`source_key`].
    Kept,
}

/// The name of a request's picture in the blob store.
pub(crate) fn source_key(request: RequestId) -> String {
    format!("{request}.webp")
}

impl AlchemyRequest {
    /// The form that is a part of the request.
    pub(crate) fn form(&self, part: Part) -> Form {
        self.forms[usize::from(part)].name
    }

    /// Its name.
    pub(crate) fn form_name(&self, part: Part) -> &'static str {
        self.form(part).into()
    }

    /// What a worker earns for it.
    pub(crate) fn reward(&self, part: Part) -> Kudos {
        worker_reward(self.form(part).into(), self.tiles)
    }

    /// What the board needs to know for matching.
    pub(crate) fn demand(&self) -> Demand {
        Demand {
            tiles: self.tiles,
            trusted_workers: self.trusted_workers,
            slow_workers: self.slow_workers,
        }
    }
}
