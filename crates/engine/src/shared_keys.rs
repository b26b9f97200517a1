//! Shared keys: keys that stand in for their owner's, with a budget of their own (spec: text and styles, part D).

use std::time::Duration;

use muster_protocol::{Kudos, ReturnCode, SharedKeyDetails, SharedKeyInput, SimpleResponse, Timestamp};
use muster_store::{Role, SharedKey};
use uuid::Uuid;

use crate::{
    Call, Engine, EngineError,
    accounts::{Caller, unknown_key},
    error::Result,
    requests::{has_nul, nul_refusal},
    work::{Work, for_each_kind},
};

/// What can be spent through a key, unless its owner says otherwise.
const BUDGET: i64 = 5000;
/// The longest name, in characters.
const NAME_LIMIT: usize = 255;
/// Keys that an account may have: usually, if it is trusted, if it is a school.
const KEYS: (u64, u64, u64) = (3, 10, 1000);
/// The largest number of any kind.
const MOST: i64 = 1_000_000_000_000;

impl Engine {
    /// A shared key and the account that pays for it.
    pub(crate) async fn find_shared_key(&self, key: &str) -> Result<Option<(SharedKey, Caller)>> {
        let Ok(id) = key.parse::<Uuid>() else {
            return Ok(None);
        };
        let Some(key) = self.store.shared_key(id).await? else {
            return Ok(None);
        };
        let owner = self.accounts.get(&self.store, key.owner).await?;
        Ok(owner.map(|owner| (key, owner)))
    }

    /// Makes a shared key.
    ///
    /// # Errors
    /// No or an unknown key, `AnonForbidden`, `Forbidden` if the account has enough of them, numbers that are none.
    pub async fn create_shared_key(&self, call: &Call, input: SharedKeyInput) -> Result<SharedKeyDetails> {
        call.key()?;
        check(&input)?;
        let caller = self.identify(call).await?;
        if caller.id().is_anonymous() {
            let message = "The anonymous account cannot share keys.";
            return Err(EngineError::refused(ReturnCode::AnonForbidden, message));
        }
        let now = self.clock.now();
        let key = SharedKey {
            id: Uuid::from_u128(self.random()),
            owner: caller.id(),
            name: input.name,
            kudos: Kudos::from_whole(input.kudos.unwrap_or(BUDGET)),
            utilized: Kudos::ZERO,
            expiry: input
                .expiry
                .filter(|days| *days > 0)
                .map(|days| in_days(now, days)),
            max_image_pixels: input.max_image_pixels.unwrap_or(-1),
            max_image_steps: input.max_image_steps.unwrap_or(-1),
            max_text_tokens: input.max_text_tokens.unwrap_or(-1),
            created: now,
        };
        let limit = limit_for(&caller);
        if !self.store.journal().create_shared_key(key.clone(), limit).await? {
            let message = format!("You have {limit} shared keys, which is as many as you may have.");
            return Err(EngineError::refused(ReturnCode::Forbidden, message));
        }
        self.accounts.note_change(caller.id());
        Ok(details(key, &caller))
    }

    /// A shared key. Whoever knows it sees all of it.
    ///
    /// # Errors
    /// `InvalidAPIKey` for one that nobody has.
    pub async fn shared_key(&self, id: &str) -> Result<SharedKeyDetails> {
        let (key, owner) = self.find_shared_key(id).await?.ok_or_else(unknown_key)?;
        Ok(details(key, &owner))
    }

    /// Changes a shared key.
    ///
    /// # Errors
    /// `InvalidAPIKey`, `Forbidden` for those of others, `NoSharedKeyModSelected`, numbers that are none.
    pub async fn modify_shared_key(
        &self,
        call: &Call,
        id: &str,
        input: SharedKeyInput,
    ) -> Result<SharedKeyDetails> {
        call.key()?;
        check(&input)?;
        let (mut key, owner) = self.own_shared_key(call, id).await?;
        if input == SharedKeyInput::default() {
            let message = "Nothing was selected to be changed.";
            return Err(EngineError::refused(ReturnCode::NoSharedKeyModSelected, message));
        }
        if let Some(days) = input.expiry {
            key.expiry = (days >= 0).then(|| in_days(self.clock.now(), days));
        }
        key.name = input.name.or(key.name);
        key.max_image_pixels = input.max_image_pixels.unwrap_or(key.max_image_pixels);
        key.max_image_steps = input.max_image_steps.unwrap_or(key.max_image_steps);
        key.max_text_tokens = input.max_text_tokens.unwrap_or(key.max_text_tokens);
        let kudos = input.kudos.map(Kudos::from_whole);
        let changed = self.store.journal().change_shared_key(key, kudos).await?;
        Ok(details(changed.ok_or_else(unknown_key)?, &owner))
    }

    /// Deletes a shared key, and every request that was made with it.
    ///
    /// # Errors
    /// `InvalidAPIKey`, `Forbidden` for those of others.
    pub async fn delete_shared_key(&self, call: &Call, id: &str) -> Result<SimpleResponse> {
        let (key, owner) = self.own_shared_key(call, id).await?;
        let journal = self.store.journal();
        // The key goes first, so that nobody makes another request with it.
        journal.delete_shared_key(key.id).await?;
        let requests = self.store.requests_of_shared_key(key.id).await?;
        let forgotten = journal.forget_requests(requests, self.clock.now()).await?;
        for_each_kind!(W => {
            let mut live = W::desk(self).live.lock();
            for request in &forgotten {
                live.remove(*request);
            }
        });
        self.accounts.note_change(owner.id());
        Ok(SimpleResponse::ok())
    }

    async fn own_shared_key(&self, call: &Call, id: &str) -> Result<(SharedKey, Caller)> {
        let (key, owner) = self.find_shared_key(id).await?.ok_or_else(unknown_key)?;
        let caller = self.identify(call).await?;
        if caller.id() != owner.id() {
            let message = "Only its owner may change a shared key.";
            return Err(EngineError::refused(ReturnCode::Forbidden, message));
        }
        Ok((key, owner))
    }
}

/// How many shared keys an account may have: the most of what it may have for what it is.
fn limit_for(caller: &Caller) -> u64 {
    let (usual, trusted, school) = KEYS;
    if caller.has(Role::Education) {
        school
    } else if caller.is_trusted() {
        trusted
    } else {
        usual
    }
}

fn in_days(now: Timestamp, days: i64) -> Timestamp {
    /// Longer than anybody waits, and a date that can be written.
    const MOST_DAYS: u64 = 365_000;
    let days = days.max(0).unsigned_abs().min(MOST_DAYS);
    now + Duration::from_hours(24 * days)
}

/// What the schema would say: -1 or more everywhere.
fn check(input: &SharedKeyInput) -> Result<()> {
    let numbers = [
        ("kudos", input.kudos),
        ("expiry", input.expiry),
        ("max_image_pixels", input.max_image_pixels),
        ("max_image_steps", input.max_image_steps),
        ("max_text_tokens", input.max_text_tokens),
    ];
    for (name, number) in numbers {
        if number.is_some_and(|number| !(-1..=MOST).contains(&number)) {
            return Err(EngineError::Invalid(
                muster_protocol::RequestValidationError::single(
                    name,
                    format!("The number must be between -1 and {MOST}."),
                ),
            ));
        }
    }
    if let Some(name) = &input.name {
        if has_nul(name) {
            return Err(nul_refusal());
        }
        if name.chars().count() > NAME_LIMIT {
            return Err(EngineError::Invalid(
                muster_protocol::RequestValidationError::single(
                    "name",
                    format!("A name has at most {NAME_LIMIT} characters."),
                ),
            ));
        }
    }
    Ok(())
}

/// A key as it is shown.
pub(crate) fn details(key: SharedKey, owner: &Caller) -> SharedKeyDetails {
    SharedKeyDetails {
        id: key.id,
        username: owner.alias(),
        name: key.name,
        kudos: if key.kudos < Kudos::ZERO {
            -1
        } else {
            key.kudos.rounded()
        },
        expiry: key.expiry.map(Timestamp::to_rfc822),
        utilized: key.utilized.rounded(),
        max_image_pixels: key.max_image_pixels,
        max_image_steps: key.max_image_steps,
        max_text_tokens: key.max_text_tokens,
    }
}
