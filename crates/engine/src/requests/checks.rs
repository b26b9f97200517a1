//! The rules that requests of several kinds must keep, in the order that clients know.

use muster_protocol::{ReturnCode, WorkerId};
use muster_store::Role;
use serde_json::Value;

use super::payer::Payer;
use crate::{
    Call, Engine, EngineError, accounts::Caller, call::check_not_deleted, error::Result, names,
    outbound::Reach, styles::StyleUse,
};

/// The most extra source images.
const EXTRA_SOURCES: usize = 5;
/// How many of the workers that a request names count.
const COUNTED_WORKERS: usize = 5;

/// What is looked at of an image or text request before anything else.
pub(crate) struct Asking<'a> {
    /// The style that it is made with.
    pub(crate) style: Option<&'a StyleUse>,
    /// Whether it takes less rather than nothing.
    pub(crate) allow_downgrade: bool,
    pub(crate) webhook: Option<&'a str>,
    pub(crate) proxied_account: Option<&'a str>,
    pub(crate) extra_source_images: usize,
}

impl Engine {
    /// Who pays for an image or text request, if it may be made at all.
    ///
    /// # Errors
    /// In this order: maintenance, an unsuitable webhook, an unknown account or an unusable shared key, a proxied
    /// account that is named by somebody else than a service, a deleted account, too many extra source images.
    pub(crate) async fn requester(&self, call: &Call, asking: Asking<'_>) -> Result<Payer> {
        self.check_open()?;
        self.check_webhook(asking.webhook)?;
        let payer = self.payer(call, asking.style, asking.allow_downgrade).await?;
        let caller = &payer.caller;
        if asking.proxied_account.is_some_and(|account| !account.is_empty()) && !caller.has(Role::Service) {
            let message = "Only service accounts can name a proxied account.";
            return Err(EngineError::refused(ReturnCode::OnlyServiceAccountProxy, message));
        }
        check_not_deleted(caller)?;
        if asking.extra_source_images > EXTRA_SOURCES {
            let message = format!("A request can have {EXTRA_SOURCES} extra source images.");
            return Err(EngineError::refused(
                ReturnCode::TooManyExtraSourceImages,
                message,
            ));
        }
        if asking.extra_source_images > 1 && !self.is_known_well(caller) {
            let message = "Only trusted accounts and supporters can send more than one extra source image.";
            return Err(EngineError::refused(
                ReturnCode::MoreThanMinExtraSourceImage,
                message,
            ));
        }
        Ok(payer)
    }

    /// Whether an account is trusted or supports the horde.
    pub(crate) fn is_known_well(&self, caller: &Caller) -> bool {
        caller.is_trusted() || self.is_patron(caller)
    }

    /// Jobs that must not be done together are for those whom the horde knows.
    ///
    /// # Errors
    /// `RequiresTrust`
    pub(crate) fn check_batching(&self, count: u32, disable_batching: bool, caller: &Caller) -> Result<()> {
        if count > 1 && disable_batching && !self.is_known_well(caller) {
            let message = "Only trusted accounts and supporters can disable batching.";
            return Err(EngineError::refused(ReturnCode::RequiresTrust, message));
        }
        Ok(())
    }

    /// Whether the horde takes requests at the moment.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.modes.now().maintenance {
            let message = "The horde is in maintenance mode and takes no new requests.";
            return Err(EngineError::refused(ReturnCode::MaintenanceMode, message));
        }
        Ok(())
    }

    /// Results are announced over secure connections only, unless the operator lets calls go anywhere.
    pub(crate) fn check_webhook(&self, webhook: Option<&str>) -> Result<()> {
        let closed_network = self.outbound.reach() == Reach::Anywhere;
        if let Some(webhook) = webhook
            && !webhook.starts_with("https://")
            && !(closed_network && webhook.starts_with("http://"))
        {
            let message = "A webhook must be an https address.";
            return Err(EngineError::refused(ReturnCode::BadRequest, message));
        }
        Ok(())
    }

    /// The workers that a request names; the first five count, but all must exist.
    pub(crate) fn named_workers(&self, names: &[String]) -> Result<Vec<WorkerId>> {
        let workers: Vec<WorkerId> = names
            .iter()
            .map(|name| {
                let known = name.parse().ok().filter(|id| self.workers.exists(*id));
                known.ok_or_else(|| {
                    let message = format!("There is no worker with the id {}.", names::truncate(name, 64));
                    EngineError::refused(ReturnCode::WorkerNotFound, message)
                })
            })
            .collect::<Result<_>>()?;
        Ok(workers.into_iter().take(COUNTED_WORKERS).collect())
    }
}

/// Looks at everything of a request that is kept as it was sent: no text may contain NUL, and all of it may take
/// `limit` bytes together, for it waits in memory. (The reference server leaves that to its proxy.)
///
/// # Errors
/// `NulByteInPayload`, `BadRequest`.
pub(crate) fn check_kept<'a>(
    texts: impl IntoIterator<Item = &'a String>,
    values: impl IntoIterator<Item = &'a Value>,
    limit: usize,
) -> Result<()> {
    let mut bytes = 0;
    for text in texts {
        if has_nul(text) {
            return Err(nul_refusal());
        }
        bytes += text.len();
    }
    for value in values {
        if value_has_nul(value) {
            return Err(nul_refusal());
        }
        bytes += bytes_of(value);
    }
    if bytes > limit {
        let message = format!("The texts of this request take {bytes} bytes; {limit} are allowed.");
        return Err(EngineError::refused(ReturnCode::BadRequest, message));
    }
    Ok(())
}

/// What a value takes, roughly.
fn bytes_of(value: &Value) -> usize {
    /// A number, a bracket, a comma.
    const SMALL: usize = 8;
    match value {
        Value::String(text) => text.len() + SMALL,
        Value::Array(items) => items.iter().map(bytes_of).sum::<usize>() + SMALL,
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| name.len() + bytes_of(value);
            members.iter().map(member).sum::<usize>() + SMALL
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => SMALL,
    }
}

/// Whether a text contains NUL, which databases do not store.
pub(crate) fn has_nul(text: &str) -> bool {
    text.contains('\0')
}

/// Whether any text in a value does.
pub(crate) fn value_has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => has_nul(text),
        Value::Array(items) => items.iter().any(value_has_nul),
        Value::Object(members) => members
            .iter()
            .any(|(name, value)| has_nul(name) || value_has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The refusal of a request that contains NUL.
pub(crate) fn nul_refusal() -> EngineError {
    let message = "The request contains a NUL character, which cannot be stored.";
    EngineError::refused(ReturnCode::NulByteInPayload, message)
}
