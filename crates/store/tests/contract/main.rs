//! What every engine must do. PostgreSQL is needed: `scripts/with-services cargo test`.

#![allow(clippy::unwrap_used, reason = "tests")]

mod accounts;
mod audit;
mod backup;
mod belongings;
mod economy;
mod holds;
mod model;
mod money;
mod opening;
mod poison;
mod races;
mod requests;
mod restart;
mod safety;
mod statistics;
mod support;
mod webhooks;
mod workers;
