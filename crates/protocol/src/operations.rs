//! Addresses that are blocked, from outside.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An address or a network that is blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = IPTimeout)]
pub struct IpTimeout {
    /// The address, or the network in CIDR notation.
    #[schema(example = "127.0.0.1", min_length = 7, max_length = 40)]
    pub ipaddr: String,
    /// For how many more seconds.
    #[schema(example = 1440)]
    pub seconds: i64,
}

/// The body of `POST /operations/ipaddr`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AddTimeoutIPInput)]
pub struct AddTimeoutIpInput {
    /// The address, or the network in CIDR notation.
    #[schema(example = "127.0.0.1", min_length = 7, max_length = 40)]
    pub ipaddr: String,
    /// For how many hours.
    #[schema(example = 24, minimum = 1, maximum = 720)]
    pub hours: i64,
}

/// The body of `DELETE /operations/ipaddr`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DeleteTimeoutIPInput)]
pub struct DeleteTimeoutIpInput {
    /// The address, or the network in CIDR notation.
    #[schema(example = "127.0.0.1", min_length = 7, max_length = 40)]
    pub ipaddr: String,
}

/// The body of `PUT /operations/block_worker_ipaddr/{worker_id}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AddWorkerTimeout {
    /// For how many days.
    #[schema(example = 7, minimum = 1, maximum = 30)]
    pub days: i64,
}
