//! Accounts: who is calling, how accounts come to be, how they look from outside.

mod admin;
mod cache;
mod registration;
mod view;

pub use admin::FirstStart;
pub(crate) use cache::{AccountCache, Caller, unknown_key};
pub use registration::NewKey;
