//! What alchemy is worth: one price for each form, fixed when it is asked for (section 5).

use muster_protocol::{Kudos, alchemy::Form};

/// A form as prices see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PricedForm {
    /// Something is found out about a picture.
    Analysis,
    /// A picture is compared with all that an interrogator knows.
    Interrogation,
    /// A picture is made into another one.
    PostProcessing,
}

impl From<Form> for PricedForm {
    fn from(form: Form) -> Self {
        match form {
            Form::Interrogation => Self::Interrogation,
            form if form.post_processor().is_some() => Self::PostProcessing,
            _ => Self::Analysis,
        }
    }
}

/// The side of a tile in pixels.
const TILE: u32 = 512;
/// The most tiles that a picture may have.
pub const MOST_TILES: u32 = 255;

/// The tiles that cover a picture.
///
/// ```
/// # use muster_kudos::alchemy::tiles;
/// assert_eq!((tiles(512, 512), tiles(513, 512), tiles(3072, 3072)), (1, 2, 36));
/// ```
pub fn tiles(width: u32, height: u32) -> u32 {
    width.div_ceil(TILE).saturating_mul(height.div_ceil(TILE))
}

/// What the worker earns for a form on a picture of so many tiles.
pub fn worker_reward(form: PricedForm, tiles: u32) -> Kudos {
    const INTERROGATION: i64 = 3;
    const TILE: i64 = 3;

    Kudos::from_whole(match form {
        PricedForm::Analysis => 1,
        PricedForm::Interrogation => INTERROGATION,
        PricedForm::PostProcessing => TILE * i64::from(tiles),
    })
}

/// What the requester pays when a form is delivered. Unlike elsewhere, waiting for slow workers too
/// costs more, not less; clients know it like that.
pub fn requester_charge(reward: Kudos, slow_workers: bool) -> Kudos {
    reward + Kudos::from_whole(if slow_workers { 2 } else { 1 })
}
