//! The alchemy API: forms of work on pictures that exist already. The wire calls a request an
//! *interrogation*.

mod form;
mod job;
mod python;
mod request;

pub use form::Form;
pub use job::{PopInput, Popped, PoppedForm, Skipped, SubmitInput};
pub use request::{
    FormInput, FormPayload, FormResult, FormState, FormStatus, RequestAccepted, RequestInput, State, Status,
};
