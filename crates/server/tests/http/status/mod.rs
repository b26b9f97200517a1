//! `status/*`

mod heartbeat_get;
