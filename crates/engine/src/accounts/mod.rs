//! Accounts: who is calling, how accounts come to be and change, how they look from outside, what they get without
//! working.

mod admin;
mod cache;
mod change;
mod delete;
mod income;
mod passkeys;
mod registration;
mod view;

use muster_protocol::ReturnCode;

pub use admin::FirstStart;
pub(crate) use cache::{AccountCache, Caller, unknown_key};
pub(crate) use change::{not_administrator, not_moderator};
pub(crate) use income::PAYDAY_INTERVAL;
pub(crate) use passkeys::Passkeys;
pub use registration::NewKey;

use crate::EngineError;

/// The refusal of a number that no account has.
pub(crate) fn unknown_user() -> EngineError {
    EngineError::refused(ReturnCode::UserNotFound, "There is no user with this number.")
}
