//! What work is worth: prices, rewards, charges, floors and priorities as pure functions.
//!
//! Nothing here does I/O, keeps an account or reads a clock. A *price* is an `f64`, since the API
//! shows some prices unrounded; an amount that is *booked* is [`Kudos`](muster_protocol::Kudos),
//! in exact hundredths. Section numbers in the documentation refer to the API's published kudos
//! rules.
//!
//! | module | the question it answers |
//! | --- | --- |
//! | [`image`] | What does an image cost, what does its worker earn, must it be paid upfront? |
//! | [`text`] | What does a text cost, what does its worker earn? |
//! | [`alchemy`] | The same for the forms of alchemy. |
//! | [`income`] | What does a worker's owner receive, and how much of it is withheld? |
//! | [`account`] | How does a balance move, how low may it go, what can be promised? |
//! | [`priority`] | How far ahead in the queue does a request start, and how does it age? |
//! | [`rounding`] | How is a figure rounded to hundredths or to a whole number? |

// Tests state exact figures, and compare them exactly.
#![cfg_attr(test, allow(clippy::float_cmp, clippy::unwrap_used))]

pub mod account;
pub mod alchemy;
pub mod image;
pub mod income;
pub mod priority;
pub mod rounding;
pub mod text;
