//! Cold reads: at start, for what is not in memory, for audits. They never wait for the writer.

mod accounts;
mod audit;
mod facts;
mod ledger;
mod requests;
mod statistics;
mod workers;

pub use self::facts::{AccountFacts, OwnStyle};
pub(crate) use self::{accounts::account_from, ledger::SUM_TYPE, workers::worker_from};
