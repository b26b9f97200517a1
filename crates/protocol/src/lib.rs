//! What goes over the wire: the types of AI Horde's API v2, their limits and enumerations.
//!
//! Nothing here does I/O, reads a clock or knows who is asking. Rules about shape live here; rules
//! about money, permission or order do not.

mod ids;
pub mod image;
mod kudos;
mod time;

pub use ids::{JobId, RequestId, UserId, WorkKind, WorkerId};
pub use kudos::Kudos;
pub use time::Timestamp;
