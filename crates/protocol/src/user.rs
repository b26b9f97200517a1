//! How an account looks from outside: `find_user` and `users`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{RequestId, UserId, WorkKind, WorkerId};

/// An account. What the viewer may not see is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = UserDetails)]
#[allow(clippy::struct_excessive_bools)] // the wire format is what it is
pub struct UserDetails {
    /// The public handle, `name#id`.
    pub username: String,
    #[allow(missing_docs)]
    pub id: UserId,
    /// Spendable balance in whole kudos.
    pub kudos: f64,
    /// For moderators: what is held back until its owner is trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluating_kudos: Option<f64>,
    /// For moderators: what it gets every month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly_kudos: Option<MonthlyKudos>,
    /// Where the balance came from.
    pub kudos_details: UserKudosDetails,
    /// Jobs that may wait in the queue at once.
    pub concurrency: u32,
    /// How many workers the account may own while the horde takes new ones by invitation only.
    pub worker_invited: u32,
    #[allow(missing_docs)]
    pub moderator: bool,
    /// Image and text workers, whether online or not.
    pub worker_count: u32,
    /// The same by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_ids: Option<Vec<WorkerId>>,
    /// Styles that the account offers.
    #[serde(default)]
    pub styles: Vec<UserStyle>,
    /// Shared keys that the account pays for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharedkey_ids: Option<Vec<Uuid>>,
    /// Requests that are still kept, by kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_generations: Option<ActiveGenerations>,
    #[allow(missing_docs)]
    pub trusted: bool,
    /// For moderators: how many reasons for suspicion there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspicious: Option<u32>,
    #[allow(missing_docs)]
    pub flagged: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub vpn: Option<bool>,
    #[allow(missing_docs)]
    pub service: bool,
    #[allow(missing_docs)]
    pub education: bool,
    #[allow(missing_docs)]
    pub customizer: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub special: Option<bool>,
    /// Scheduled for deletion.
    pub deleted: bool,
    /// Registered without a log-in: the key is the only credential.
    pub pseudonymous: bool,
    /// How to reach the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// For moderators: their note about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_comment: Option<String>,
    /// For moderators: the passkey of its proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_passkey: Option<String>,
    /// Seconds since registration.
    pub account_age: u64,
    /// Obsolete, always null inside.
    pub usage: UsageDetails,
    /// Obsolete, always null inside.
    pub contributions: ContributionsDetails,
    /// What was requested and delivered.
    pub records: UserRecords,
}

/// What an account gets every month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = MonthlyKudos)]
pub struct MonthlyKudos {
    /// Kudos a month. Lists of accounts leave it out.
    #[schema(required = false)]
    pub amount: i64,
    /// RFC 822 date of the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_received: Option<String>,
}

/// An account in a list, where what the viewer may not see is null rather than absent.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedUser(
    /// The account.
    pub UserDetails,
);

impl Serialize for ListedUser {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const NULL: [&str; 9] = [
            "evaluating_kudos",
            "worker_ids",
            "sharedkey_ids",
            "vpn",
            "special",
            "suspicious",
            "contact",
            "admin_comment",
            "proxy_passkey",
        ];
        const EMPTY: [&str; 2] = ["active_generations", "monthly_kudos"];
        let mut account = serde_json::to_value(&self.0).map_err(serde::ser::Error::custom)?;
        if let Some(members) = account.as_object_mut() {
            for name in NULL {
                members.entry(name).or_insert(serde_json::Value::Null);
            }
            for name in EMPTY {
                members.entry(name).or_insert_with(|| serde_json::json!({}));
            }
        }
        account.serialize(serializer)
    }
}

/// Totals of kudos by what moved them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct UserKudosDetails {
    pub accumulated: f64,
    pub gifted: f64,
    pub donated: f64,
    pub admin: f64,
    pub received: f64,
    pub recurring: f64,
    pub awarded: f64,
    pub styled: f64,
}

/// A style in the list of its author.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResponseModelStylesUser)]
#[allow(missing_docs)]
pub struct UserStyle {
    pub name: String,
    pub id: Uuid,
    /// `image` or `text`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: WorkKind,
}

/// Requests that are still kept, by kind; a kind without requests is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = UserActiveGenerations)]
#[allow(missing_docs)]
pub struct ActiveGenerations {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Vec<RequestId>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Vec<RequestId>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alchemy: Option<Vec<RequestId>>,
}

/// Obsolete; clients expect the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct UsageDetails {
    pub megapixelsteps: Option<f64>,
    pub requests: Option<u64>,
}

/// Obsolete; clients expect the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct ContributionsDetails {
    pub megapixelsteps: Option<f64>,
    pub fulfillments: Option<u64>,
}

/// What an account requested and what its workers delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct UserRecords {
    pub usage: ThingRecords,
    pub contribution: ThingRecords,
    pub fulfillment: AmountRecords,
    pub request: AmountRecords,
    pub style: AmountRecords,
}

/// Work by its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = UserThingRecords)]
#[allow(missing_docs)]
pub struct ThingRecords {
    pub megapixelsteps: f64,
    pub tokens: u64,
}

/// Work by its number of pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = UserAmountRecords)]
#[allow(missing_docs)]
pub struct AmountRecords {
    pub image: u64,
    pub text: u64,
    pub interrogation: u64,
}
