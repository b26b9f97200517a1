//! `status/*`

mod heartbeat_get;
mod modes;
