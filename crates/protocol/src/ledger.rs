//! Kudos that move by hand, and why a balance is what it is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{JobId, RequestId, UserId};

/// What is sent to give kudos away or to award them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = KudosGift)]
pub struct KudosGift {
    /// Who gets them: `name#id`, or the number alone; for transfers also a shared key.
    pub username: String,
    /// How many.
    #[schema(default = 100)]
    pub amount: i64,
}

/// Kudos went to another account.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = KudosTransferred)]
pub struct KudosTransferred {
    /// How many.
    pub transferred: f64,
}

/// Kudos were awarded to an account.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = KudosAwarded)]
pub struct KudosAwarded {
    /// How many; negative if they were taken.
    pub awarded: f64,
}

/// A page of what moved an account's kudos, newest first. An extension of this server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = KudosHistory)]
pub struct KudosHistory {
    /// The movements.
    pub entries: Vec<KudosMovement>,
    /// What to send as `before` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// One movement of one part of an account's kudos.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = KudosMovement)]
pub struct KudosMovement {
    /// Its place in the ledger; later movements have larger ones.
    pub id: i64,
    /// RFC 3339 time.
    pub at: String,
    /// Why: `generation`, `uptime_reward`, `transfer` and so on.
    pub kind: String,
    /// Which part: `spendable`, `escrow` (held back until the account is trusted), `held` (promised to requests that
    /// are paid upfront).
    pub pot: String,
    /// How much, exact to hundredths; negative is a debit.
    pub amount: f64,
    /// What was in this part afterwards.
    pub balance: f64,
    /// The other account of a transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counterparty: Option<UserId>,
    /// The request that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// The job that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// Everything that moved together carries the same event.
    pub event: String,
}
