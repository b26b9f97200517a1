//! Who pays for an image or text request: the account behind the key, or that of a shared key (spec: text and styles,
//! sections D6 to D9).

use muster_kudos::priority::{self, initial_priority};
use muster_protocol::{Kudos, ReturnCode, UserId};
use muster_store::{Role, SharedKey};

use crate::{
    Call, Engine, EngineError,
    accounts::{Caller, unknown_user},
    error::Result,
    styles::StyleUse,
};

/// Who pays for a request.
#[derive(Clone, Debug)]
pub(crate) struct Payer {
    /// The account that is charged, and whose rights count.
    pub(crate) caller: Caller,
    key: Option<UsedKey>,
    /// The request goes on although its shared key cannot pay for it: last.
    exhausted: bool,
}

/// A shared key that a request is made with.
#[derive(Clone, Debug)]
struct UsedKey {
    key: SharedKey,
    /// It belongs to the style: then its limits do not count.
    of_style: bool,
}

impl Payer {
    /// The shared key that is charged, too.
    pub(crate) fn shared_key(&self) -> Option<uuid::Uuid> {
        self.key.as_ref().map(|used| used.key.id)
    }

    /// The place in the queue that the account's kudos earn.
    pub(crate) fn priority(&self) -> i64 {
        initial_priority(priority::Payer {
            balance: self.caller.spendable(),
            flagged: self.caller.has(Role::Flagged),
            shared_key_exhausted: self.exhausted,
        })
    }

    /// Whether the shared key can pay for a request that is estimated to cost `required`. With `goes_on`, one that is
    /// too dear is served last.
    ///
    /// # Errors
    /// `SharedKeyInsufficientKudos`
    pub(crate) fn check_budget(&mut self, required: impl FnOnce() -> Kudos, goes_on: bool) -> Result<()> {
        let Some(UsedKey { key, .. }) = &self.key else {
            return Ok(());
        };
        if key.is_unlimited() {
            return Ok(());
        }
        let required = required();
        if required <= key.kudos {
            return Ok(());
        }
        if goes_on {
            self.exhausted = true;
            return Ok(());
        }
        let message = format!(
            "This shared key can spend {} kudos, but the request takes {}.",
            key.kudos.rounded(),
            required.rounded()
        );
        Err(EngineError::refused(
            ReturnCode::SharedKeyInsufficientKudos,
            message,
        ))
    }

    /// Whether pictures are not too large for the shared key.
    ///
    /// # Errors
    /// `BadRequest`
    pub(crate) fn check_picture(&self, pixels: u64, steps: u32) -> Result<()> {
        let Some(key) = self.limiting_key() else {
            return Ok(());
        };
        let pixels = i64::try_from(pixels).unwrap_or(i64::MAX);
        check_limit("pixels", key.max_image_pixels, pixels)?;
        check_limit("steps", key.max_image_steps, steps.into())
    }

    /// Whether texts are not too long for the shared key.
    ///
    /// # Errors
    /// `BadRequest`
    pub(crate) fn check_text(&self, tokens: u32) -> Result<()> {
        let Some(key) = self.limiting_key() else {
            return Ok(());
        };
        check_limit("tokens", key.max_text_tokens, tokens.into())
    }

    fn limiting_key(&self) -> Option<&SharedKey> {
        let used = self.key.as_ref().filter(|used| !used.of_style);
        used.map(|used| &used.key)
    }
}

/// A negative limit is none.
fn check_limit(what: &str, limit: i64, asked: i64) -> Result<()> {
    if limit < 0 || asked <= limit {
        return Ok(());
    }
    let message = format!("This shared key allows {limit} {what}, but the request asks for {asked}.");
    Err(EngineError::refused(ReturnCode::BadRequest, message))
}

impl Engine {
    /// Who pays for a request: a shared key of its style, a shared key, or the account whose key it comes with.
    ///
    /// # Errors
    /// `SharedKeyEmpty`, `SharedKeyExpired`, `SharedKeyAssignedStyles`, no or an unknown key, `DeletedUser`.
    pub(super) async fn payer(
        &self,
        call: &Call,
        style: Option<&StyleUse>,
        allow_downgrade: bool,
    ) -> Result<Payer> {
        if let Some((key, owner)) = style.and_then(|style| style.key.clone()) {
            return Ok(with_key(owner, key, true));
        }
        let sent = call.key()?;
        if let Some((key, owner)) = self.find_shared_key(sent).await? {
            return self.behind_shared_key(key, owner, allow_downgrade).await;
        }
        Ok(Payer {
            caller: self.identify(call).await?,
            key: None,
            exhausted: false,
        })
    }

    async fn behind_shared_key(&self, key: SharedKey, owner: Caller, allow_downgrade: bool) -> Result<Payer> {
        let mut payer = owner;
        if key.is_empty() {
            if !allow_downgrade {
                let message = "This shared key has no kudos left to spend.";
                return Err(EngineError::refused(ReturnCode::SharedKeyEmpty, message));
            }
            let anonymous = self.accounts.get(&self.store, UserId::ANONYMOUS).await?;
            payer = anonymous.ok_or_else(unknown_user)?;
        } else if key.is_expired(self.clock.now()) {
            let message = "This shared key has expired.";
            return Err(EngineError::refused(ReturnCode::SharedKeyExpired, message));
        }
        if self.store.is_bound_to_style(key.id).await? {
            let message = "This shared key pays for a style and cannot be used for anything else.";
            return Err(EngineError::refused(ReturnCode::SharedKeyAssignedStyles, message));
        }
        Ok(with_key(payer, key, false))
    }
}

fn with_key(caller: Caller, key: SharedKey, of_style: bool) -> Payer {
    Payer {
        caller,
        key: Some(UsedKey { key, of_style }),
        exhausted: false,
    }
}
