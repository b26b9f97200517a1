//! Which worker gets which job: the board, matching, queue positions, waiting times and expiry
//! order.
//!
//! Nothing here does I/O, reads a clock or owns a source of randomness: time is a
//! [`Timestamp`](muster_protocol::Timestamp) argument and randomness an `rng` argument, so every
//! decision can be replayed.
//!
//! - [`Board`] holds the live requests of one [`Kind`] of work and answers every question about
//!   them: who is served next, what is due, where in the queue a request stands.
//! - [`image`] is the kind that makes pictures: what a request needs, what a worker offers, what
//!   a bridge agent is able to do.
//! - [`text`] is the kind that writes text, [`alchemy`] the one that works on pictures that exist.
//! - [`wait_time`] is the arithmetic of the waiting time shown to clients.
//!
//! What a request costs is decided in `kudos`, what happens around a decision in `engine`.

pub mod alchemy;
mod bits;
mod blocks;
mod board;
mod eta;
pub mod image;
mod kind;
mod models;
mod order;
mod sizes;
pub mod text;
mod ticket;
mod timer;
mod words;

pub use board::{Board, could_serve, makes_possible, obstacles};
pub use eta::{Waiting, wait_time};
pub use kind::{Abilities, Counts, Kind, Needs, Refusal, Rejections, Traits};
pub use order::OrderKey;
pub use ticket::{Due, Job, Pop, QueuePlace, Reservation, Reserved, Ticket, Totals, WorkerList};
pub use words::{Blacklist, ReadPrompts, Unread};
