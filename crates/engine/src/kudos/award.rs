//! The horde gives kudos to somebody who deserves them (spec: kudos, section 15.1).

use muster_protocol::{Kudos, KudosAwarded, RequestValidationError, ReturnCode};
use muster_store::{EventKind, KudosAction, Role};

use super::transfer::MOST;
use crate::{Call, Engine, EngineError, error::Result};

impl Engine {
    /// Awards kudos to an account; a negative amount takes them.
    ///
    /// # Errors
    /// In this order: an unknown key; a deleted account or one that may not award; an unknown, anonymous or flagged
    /// target.
    pub async fn award_kudos(&self, call: &Call, to: &str, amount: i64) -> Result<KudosAwarded> {
        let caller = self.caller(call).await?;
        if !self.config.awarders.contains(&caller.id()) {
            let message = "Only whom the operators of the horde have chosen can award kudos.";
            return Err(EngineError::refused(ReturnCode::NotAllowedAwards, message));
        }
        let Some(target) = self.account_named(to).await? else {
            let message = "There is no user of this name. Names end in # and a number.";
            return Err(EngineError::refused(ReturnCode::InvalidAwardUsername, message));
        };
        if target.id().is_anonymous() {
            let message = "The anonymous account is everybody's and gets no awards.";
            return Err(EngineError::refused(ReturnCode::KudosAwardToAnon, message));
        }
        if target.has(Role::Flagged) {
            let message = "This account has been flagged for suspicious activity and cannot receive kudos.";
            return Err(EngineError::refused(ReturnCode::TargetAccountFlagged, message));
        }
        if amount.unsigned_abs() > MOST.unsigned_abs() {
            let message = "Nobody can have that many kudos.";
            return Err(EngineError::Invalid(RequestValidationError::single(
                "amount", message,
            )));
        }
        let (kind, action) = (EventKind::Award, KudosAction::Awarded);
        self.grant("award", kind, action, &target, Kudos::from_whole(amount))
            .await?;
        tracing::info!(by = %caller.id(), to = %target.id(), kudos = amount, "kudos were awarded");
        Ok(KudosAwarded {
            awarded: amount as f64,
        })
    }
}
