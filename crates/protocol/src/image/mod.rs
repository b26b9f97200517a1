//! The image API.

mod job;
mod rating;
mod request;
mod vocabulary;

pub use job::{JobPayload, Message, PopInput, Popped, Skipped, SubmitInput, Submitted};
pub use rating::{Rating, RatingInput};
pub use request::{
    ExtraSourceImage, ExtraText, Generation, InjectTi, Lora, Metadata, Params, Progress, RequestAccepted,
    RequestInput, Status, TextualInversion, Warning, WarningCode,
};
pub use vocabulary::*;
