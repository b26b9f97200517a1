//! Workers: who is there, what each can do, how fast it is.

mod change;
mod check_in;
mod conduct;
mod online;
mod registry;
mod service;
mod uptime;
mod view;

pub(crate) use check_in::{Introduction, Present};
pub(crate) use online::OnlineCache;
pub(crate) use registry::{Registry, Worker};
pub(crate) use service::{Service, Serving, Standing, serves};
pub use view::{WorkerFilter, WorkerList};
pub(crate) use view::{WorkerLists, in_short, unknown_worker};
