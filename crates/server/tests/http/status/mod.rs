//! `status/*`

mod heartbeat_get;
mod load;
mod modes;
