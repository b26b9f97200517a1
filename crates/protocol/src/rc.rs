//! [`ReturnCode`]: the `rc` of an error, which clients compare letter by letter.

use serde::{Deserialize, Serialize};
use strum::{AsRefStr, Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, RefOr,
        schema::{Schema, Type},
    },
};

macro_rules! return_codes {
    ($($status:literal { $($(#[$attr:meta])* $name:ident $(= $wire:literal)?),* $(,)? })*) => {
        /// Every return code of the API, in its published or actually sent spelling.
        ///
        /// Five codes end in a full stop on the wire and three contain a blank; clients know them
        /// so. Some codes are published but never sent.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, AsRefStr, Display, EnumIter,
            EnumString, IntoStaticStr,
        )]
        #[allow(missing_docs, clippy::enum_variant_names)] // the names are the documentation
        pub enum ReturnCode {
            $($($(#[$attr])* $(#[serde(rename = $wire)] #[strum(serialize = $wire)])? $name,)*)*
        }

        impl ReturnCode {
            /// The HTTP status that usually comes with the code. Two codes are also sent with
            /// another one: `DeletedUser` and `SharedKeyExpired` are 400 on kudos transfers.
            pub fn status(self) -> u16 {
                match self {
                    $($(Self::$name)|* => $status,)*
                }
            }
        }
    };
}

return_codes! {
    400 {
        AbortedGen,
        AestheticsAlreadyExist,
        AestheticsConfused,
        AestheticsDuplicate,
        AestheticsMissing,
        AestheticsNotCompleted,
        AestheticsNotPublic,
        AestheticsServerDown,
        AestheticsServerError,
        AestheticsServerRejected,
        AestheticsServerTimeout,
        AestheticsSolo,
        BadCfgDecimals = "BadCFGDecimals",
        BadCfgNumber = "BadCFGNumber",
        BadClientAgent,
        BadLoraVersion,
        BadRequest,
        BetaComparisonFault,
        ControlNetInpaintingMismatch,
        ControlNetInvalidPayload,
        ControlNetMismatch,
        ControlNetMismatchWorkflow = "ControlNetMismatch.",
        ControlNetSourceMissing,
        ControlNetUnsupported,
        CorruptPrompt,
        DuplicateGen,
        EducationCannotSendKudos,
        ExcessiveStopSequence,
        FaultWhenKudosReceiving,
        FaultWhenKudosSending,
        HiResFixMismatch,
        HiResMismatch,
        IdempotencyKeyConflict,
        ImageValidationFailed,
        Img2ImgMismatch,
        InpaintingMissingMask,
        InvalidAestheticAttempt,
        InvalidAwardUsername,
        InvalidExtraSourceImages = "InvalidExtraSourceImages.",
        InvalidExtraTexts = "InvalidExtraTexts.",
        InvalidKudosTransferAmount,
        InvalidPriorityUsername,
        InvalidPromptSize,
        InvalidRemix,
        InvalidRemixModel,
        InvalidSize,
        InvalidTargetUsername,
        InvalidTransparencyCn = "InvalidTransparencyCN",
        InvalidTransparencyImg2Img,
        InvalidTransparencyModel,
        KudosAwardToAnon,
        KudosTransferFromAnon,
        KudosTransferNotEnough,
        KudosTransferToAnon,
        KudosTransferToSelf,
        KudosValidationError,
        MaintenanceMode,
        MissingExtraTexts = "MissingExtraTexts.",
        MissingFullSamplerOrder,
        MissingPrompt,
        MoreThanMinExtraSourceImage = "MoreThanMinExtraSourceImage.",
        NameAlreadyExists,
        NegativeKudosTransfer,
        NoFilterModSelected,
        NoHordeModSelected,
        NoSharedKeyModSelected,
        NoTeamModSelected,
        NoUserModSelected,
        NoValidActions,
        NoValidWorkers,
        NoWorkerModSelected,
        NulByteInPayload,
        OnlyServiceAccountProxy,
        PolymorphicNameConflict,
        ProcGenNotFound,
        ProfaneAdminComment,
        ProfaneBridgeAgent,
        ProfaneTeamInfo,
        ProfaneTeamName,
        ProfaneUserContact,
        ProfaneUserName,
        ProfaneWorkerInfo,
        ProfaneWorkerName,
        Profanity,
        RequiresTrust,
        SourceAccountFlagged,
        SourceImageRequiredForModel,
        SourceImageResolutionExceeded,
        SourceImageSizeExceeded,
        SourceImageUnreadable,
        SourceImageUrlInvalid,
        SourceMaskUnnecessary,
        SpecialMissingPayload,
        SpecialMissingUsername,
        TargetAccountFlagged,
        TeamNameAlreadyExists,
        TilingMismatch,
        TokenOverflow,
        TooFastKudosTransfers,
        TooLong,
        TooLongUserName,
        TooLongWorkerName,
        TooManyExtraSourceImages = "TooManyExtraSourceImages.",
        TooManyLoras,
        TooManySteps,
        TooManyStopSequences,
        TooManyTis = "TooManyTIs",
        TooManyUpscalers,
        UnexpectedModelName,
        UnsupportedModel,
        UnsupportedSampler,
        UserNotDeleted,
        WorkerNameAlreadyExists,
    }
    401 {
        InvalidApiKey = "InvalidAPIKey",
    }
    403 {
        AnonForbidden,
        AnonForbiddenUser,
        AnonForbiddenUserMod,
        AnonForbiddenWorker,
        BannedClientAgent,
        BetaAnonForbidden,
        CannotDeleteMod,
        CannotWipeActiveUser,
        DeletedUser,
        Forbidden,
        KudosUpfront,
        MessagesOnlyOwnWorkers,
        NonServiceForbidden,
        NotAdmin,
        NotAllowedAwards,
        NotModerator,
        NotOwner,
        NotPrivileged,
        NotTrusted,
        NotUserOrMod,
        SharedKeyAssignedStyles,
        SharedKeyEmpty,
        SharedKeyExpired,
        SharedKeyInsufficientKudos,
        StylesAnonForbidden,
        StylesRequiresCustomizer,
        TimeoutIp = "TimeoutIP",
        TooManyNewIps = "TooManyNewIPs",
        TooManySameIps = "TooManySameIPs",
        TooManyWorkers,
        TooManyWorkersTrusted,
        UnsafeIp = "UnsafeIP",
        UntrustedTeamCreation,
        UntrustedUnsafeIp = "UntrustedUnsafeIP",
        WorkerFlaggedMaintenance,
        WorkerInviteOnly,
        WorkerMaintenance,
        WrongCredentials,
    }
    404 {
        CollectionNotFound,
        FilterNotFound,
        ImageStyleNotFound = "Image styleNotFound",
        InvalidJobId = "InvalidJobID",
        RequestNotFound,
        StyleExampleNotFound = "Style exampleNotFound",
        StyleNotFound,
        TeamNotFound,
        TextStyleNotFound = "Text styleNotFound",
        UserNotFound,
        WorkerNotFound,
        WorkerMessageNotFound = "WorkermessageNotFound",
    }
    410 {
        RequestExpired,
    }
    423 {
        Locked,
    }
    429 {
        TooManyPrompts,
    }
}

/// Codes and spellings that are published and never sent: clients that are generated from the description may name them.
const ONLY_PUBLISHED: [&str; 14] = [
    "ExampleURLAlreadyInUse",
    "InvalidExtraSourceImages",
    "InvalidExtraTexts",
    "MissingExtraTexts",
    "MoreThanMinExtraSourceImage",
    "SharedKeyInvalid",
    "SpecialFieldNeedsSpecialUser",
    "SpecialForbidden",
    "SpecialModelNeedsSpecialUser",
    "StyleGetMistmatch",
    "StyleMismatch",
    "StylePromptMissingVars",
    "TooManyExtraSourceImages",
    "TooManyStyleExamples",
];

impl PartialSchema for ReturnCode {
    /// The codes as they are sent. The derived schema would have the names of the variants.
    fn schema() -> RefOr<Schema> {
        let codes = Self::iter().map(<&'static str>::from).chain(ONLY_PUBLISHED);
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(codes))
            .description(Some("What went wrong, for programs."))
            .into()
    }
}

impl ToSchema for ReturnCode {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn wire_names_are_unique_and_parse_back() {
        let names: HashSet<&'static str> = ReturnCode::iter().map(Into::into).collect();
        assert_eq!(names.len(), ReturnCode::iter().count());
        for code in ReturnCode::iter() {
            assert_eq!(code.as_ref().parse(), Ok(code));
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_ref());
        }
    }

    #[test]
    fn odd_spellings_survive() {
        assert_eq!(
            ReturnCode::TooManyExtraSourceImages.as_ref(),
            "TooManyExtraSourceImages."
        );
        assert_eq!(
            ReturnCode::ControlNetMismatchWorkflow.as_ref(),
            "ControlNetMismatch."
        );
        assert_eq!(ReturnCode::StyleExampleNotFound.as_ref(), "Style exampleNotFound");
    }
}
