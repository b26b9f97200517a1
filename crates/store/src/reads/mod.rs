//! Cold reads: at start, for what is not in memory, for audits. They never wait for the writer.

mod accounts;
mod facts;
mod ledger;
mod requests;
mod statistics;
mod workers;

pub use self::facts::{AccountFacts, OwnStyle};
pub(crate) use self::{accounts::account_from, workers::worker_from};
