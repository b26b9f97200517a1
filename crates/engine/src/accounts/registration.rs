//! How accounts come to be: registration, and test accounts for automated tests.

use std::net::IpAddr;

use muster_protocol::{Kudos, ReturnCode, TestUser, TestUserInput};
use muster_store::{AccountChanges, ApiKeyHash, NewAccount, Role, Roles, SetBalance, Suspicion};
use uuid::Uuid;

use super::{cache::Caller, change::checked_username};
use crate::{Engine, EngineError, error::Result, keys::new_api_key, names, profanity::is_profane};

/// The longest user name, in characters.
pub(super) const NAME_LIMIT: usize = 30;
/// Generations that an account may have queued.
pub(super) const CONCURRENCY: i32 = 30;

/// A key that was just made. It is shown once and kept nowhere.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The public handle, `name#id`.
    pub alias: String,
    /// The key.
    pub api_key: String,
}

impl Engine {
    /// Registers a pseudonymous account for a caller from somewhere.
    ///
    /// # Errors
    /// `TimeoutIP` for a blocked address, `Forbidden` in a raid, and as [`Engine::register`].
    pub async fn register_from(&self, address: IpAddr, name: &str) -> Result<NewKey> {
        self.check_not_blocked(address)?;
        if self.modes.now().raid {
            let message = "Accounts cannot be made without a log-in at the moment.";
            return Err(EngineError::refused(ReturnCode::Forbidden, message));
        }
        self.register(name).await
    }

    /// Registers a pseudonymous account: the key is its only credential.
    ///
    /// The name is cut to 30 characters and cleaned. Whoever sends a longer one is remembered for it.
    ///
    /// # Errors
    /// `ProfaneUserName`, `BadRequest` if nothing is left of the name, or the database failed; no account was made.
    pub async fn register(&self, name: &str) -> Result<NewKey> {
        let name = name.trim();
        let too_long = name.chars().count() > NAME_LIMIT;
        let username = checked_username(&names::truncate(name, NAME_LIMIT))?;
        let external_id = Uuid::from_u128(self.random()).to_string();
        let (caller, api_key) = self.make_account(username, external_id, Roles::NONE).await?;
        if too_long {
            self.suspect_account(caller.id(), Suspicion::UsernameLong).await?;
        }
        Ok(NewKey {
            alias: caller.alias(),
            api_key,
        })
    }

    /// Makes or refreshes an account for automated tests: same external id, same account, new key.
    ///
    /// # Errors
    /// `ProfaneUserName`, or the database failed.
    pub async fn test_user(&self, input: TestUserInput) -> Result<TestUser> {
        if is_profane(&input.username) {
            let message = "A user name cannot contain profanity.";
            return Err(EngineError::refused(ReturnCode::ProfaneUserName, message));
        }
        let username = names::clean(&input.username);
        let external_id = names::clean(&input.oauth_id);
        let existing = self.store.account_by_external_id(&external_id).await?;
        let created = existing.is_none();
        let (caller, api_key) = match existing {
            None => self.make_account(username, external_id, Roles::NONE).await?,
            Some(account) => {
                let key = self.new_key();
                let hash = ApiKeyHash::of(&self.config.key_salt, &key);
                let account = self
                    .store
                    .journal()
                    .rekey_account(account.id, hash, Some(username), self.clock.now())
                    .await?;
                self.accounts.forget_keys();
                (self.accounts.remember(account), key)
            }
        };
        let mut changes = AccountChanges::default();
        match (input.moderator, input.trusted) {
            (true, _) => changes.grant = Roles::of(&[Role::Moderator, Role::Trusted]),
            (false, true) => {
                changes.grant = Roles::of(&[Role::Trusted]);
                changes.withdraw = Roles::of(&[Role::Moderator]);
            }
            (false, false) => changes.withdraw = Roles::of(&[Role::Moderator, Role::Trusted]),
        }
        changes.balance = input.kudos.map(|kudos| SetBalance {
            key: format!("test-user:{}", Uuid::from_u128(self.random())),
            spendable: Kudos::from_whole(kudos),
        });
        let caller = self.set_account(caller.id(), changes).await?;
        Ok(TestUser {
            api_key,
            user_id: caller.id().to_string(),
            username: caller.account().username.clone(),
            alias: caller.alias(),
            kudos: caller.spendable().whole() as f64,
            trusted: caller.is_trusted(),
            moderator: caller.has(Role::Moderator),
            created,
        })
    }

    pub(crate) fn new_key(&self) -> String {
        new_api_key(&mut *self.rng.lock())
    }

    pub(super) async fn make_account(
        &self,
        username: String,
        external_id: String,
        roles: Roles,
    ) -> Result<(Caller, String)> {
        let key = self.new_key();
        let account = NewAccount {
            username,
            external_id,
            key_hash: ApiKeyHash::of(&self.config.key_salt, &key),
            roles,
            concurrency: CONCURRENCY,
            created: self.clock.now(),
        };
        let account = self.store.journal().register_account(account).await?;
        Ok((self.accounts.remember(account), key))
    }
}
