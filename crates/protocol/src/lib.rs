//! What goes over the wire: the types of AI Horde's API v2, their limits and enumerations.
//!
//! Nothing here does I/O, reads a clock or knows who is asking. Rules about shape live here; rules
//! about money, permission or order do not.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod about;
pub mod alchemy;
mod defaults;
mod error;
mod filter;
mod ids;
pub mod image;
mod kudos;
mod ledger;
mod modify_user;
mod operations;
mod rc;
mod schema;
mod shared_key;
pub mod stats;
mod status;
mod style;
mod team;
pub mod text;
mod time;
mod user;
mod worker;

pub use about::{HordeDocument, Newspiece, SimpleResponse};
pub use error::{RequestError, RequestValidationError};
pub use filter::{
    FilterDetails, FilterPromptInput, FilterPromptSuspicion, FilterRegex, PatchExistingFilter, PutNewFilter,
};
pub use ids::{JobId, RequestId, UserId, WorkKind, WorkerId};
pub use kudos::Kudos;
pub use ledger::{KudosAwarded, KudosGift, KudosHistory, KudosMovement, KudosTransferred};
pub use modify_user::{ModifyUser, ModifyUserInput};
pub use operations::{AddTimeoutIpInput, AddWorkerTimeout, DeleteTimeoutIpInput, IpTimeout};
pub use rc::ReturnCode;
pub use schema::{Body, request_schemas};
pub use shared_key::{SharedKeyDetails, SharedKeyInput};
pub use status::{
    ActiveModel, ActiveModelKind, Heartbeat, HordeModes, HordePerformance, TestUser, TestUserInput,
};
pub use style::{
    CollectionDetails, CollectionInput, ExampleInput, ExamplePatch, ImageStyleInput, ImageStyleParams,
    ImageStylePatch, StyleDetails, StyleExampleDetails, StyleInCollection, StyleModify, TextStyleInput,
    TextStyleParams, TextStylePatch,
};
pub use team::{ActiveModelLite, CreateTeamInput, DeletedTeam, ModifyTeam, ModifyTeamInput, TeamDetails};
pub use time::Timestamp;
pub use user::{
    ActiveGenerations, AmountRecords, ContributionsDetails, ListedUser, MonthlyKudos, ThingRecords,
    UsageDetails, UserDetails, UserKudosDetails, UserRecords, UserStyle,
};
pub use worker::{
    DeletedWorker, ModifyWorker, ModifyWorkerInput, TeamDetailsLite, WorkerDetails, WorkerDetailsLite,
    WorkerKudosDetails, WorkerMessageDetails, WorkerMessageInput,
};

/// The key of the account that all callers without a key of their own share.
pub const ANONYMOUS_KEY: &str = "0000000000";
/// What a client counts as that does not say who it is.
pub const UNKNOWN_AGENT: &str = "unknown:0:unknown";
/// The name of Muster's own worker in its bridge agent string.
pub const BUNDLED_WORKER: &str = "Muster Worker";
