//! `DELETE /users/{id}`: an account is first marked, then, when nobody has used it for a month, wiped.

use std::time::Duration;

use muster_protocol::{ReturnCode, SimpleResponse, UserId};
use muster_store::{Account, AccountChanges, Role, Roles};

use super::{unknown_user, view::user_id};
use crate::{Call, Engine, EngineError, error::Result};

/// How long an account must have been idle before it can be wiped.
const IDLE: Duration = Duration::from_hours(30 * 24);

impl Engine {
    /// Schedules an account for deletion, or, the second time, wipes it.
    ///
    /// # Errors
    /// `UserNotFound`, `InvalidAPIKey`, what the caller may not do, and `CannotWipeActiveUser`.
    pub async fn delete_user(&self, call: &Call, id: &str) -> Result<SimpleResponse> {
        let number = user_id(id)?;
        let caller = self.known_caller(call).await?;
        let number = number.ok_or_else(unknown_user)?;
        // Not from memory, which does not know when an account was last active.
        let target = self.store.account(number).await?.ok_or_else(unknown_user)?;
        if caller.id().is_anonymous() {
            let message = "The anonymous account cannot do this.";
            return Err(EngineError::refused(ReturnCode::AnonForbiddenUser, message));
        }
        if target.roles.has(Role::Moderator) {
            let message = "Moderators cannot be deleted.";
            return Err(EngineError::refused(ReturnCode::CannotDeleteMod, message));
        }
        if !caller.has(Role::Moderator) && caller.id() != target.id {
            let message = "Only moderators and its owner may delete an account.";
            return Err(EngineError::refused(ReturnCode::NotUserOrMod, message));
        }
        if target.id.is_anonymous() {
            return Ok(SimpleResponse::ok());
        }
        if target.roles.has(Role::Deleted) {
            self.wipe(target).await?;
        } else {
            let changes = AccountChanges {
                grant: Roles::of(&[Role::Deleted]),
                ..AccountChanges::default()
            };
            self.set_account(target.id, changes).await?;
        }
        Ok(SimpleResponse::ok())
    }

    async fn wipe(&self, target: Account) -> Result<()> {
        if self.clock.now().since(target.last_active) < IDLE {
            let message = format!(
                "This account was used within the last 30 days. It can be wiped from {} on, if nobody uses it till \
                 then.",
                (target.last_active + IDLE).to_rfc822()
            );
            return Err(EngineError::refused(ReturnCode::CannotWipeActiveUser, message));
        }
        self.wipe_account(target.id).await
    }

    /// Wipes an account, however long it was idle.
    ///
    /// # Errors
    /// The database failed; nothing has changed.
    pub(crate) async fn wipe_account(&self, id: UserId) -> Result<()> {
        self.store.journal().wipe_account(id).await?;
        self.accounts.forget(id);
        self.workers.remove_all_of(id);
        self.read_passkeys().await?;
        tracing::info!(user = %id, "an account was wiped");
        Ok(())
    }
}
