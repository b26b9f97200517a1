//! Workers: who is there, what each can do, how fast it is.

mod check_in;
mod conduct;
mod online;
mod registry;
mod service;

pub(crate) use check_in::{Introduction, Present};
pub(crate) use online::OnlineCache;
pub(crate) use registry::{Registry, Worker};
pub(crate) use service::{Service, Serving, Standing, serves};
