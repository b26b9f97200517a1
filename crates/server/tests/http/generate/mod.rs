//! `generate/*`

mod async_post;
mod async_refusals;
mod async_upfront;
mod check_get;
mod pop_at_once;
mod pop_batches;
mod pop_maintenance;
mod pop_matching;
mod pop_order;
mod pop_post;
mod pop_registration;
mod status_delete;
mod status_get;
mod submit_faults;
mod submit_kudos;
mod submit_post;
