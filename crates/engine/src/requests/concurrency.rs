//! How much one account may have in the queue.

use std::sync::Arc;

use muster_protocol::{ReturnCode, UserId};

use crate::{Engine, EngineError, accounts::Caller, error::Result};

/// Slots that an account is about to fill with a request. They count as waiting until this is dropped, so
/// that requests sent at the same moment do not all see the same room.
pub(super) struct Claim {
    engine: Engine,
    user: UserId,
    slots: u32,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.engine.live.lock().unclaim(self.user, self.slots);
    }
}

impl Engine {
    /// Claims room for a request. What the anonymous account has waiting for other models does not count
    /// against it.
    ///
    /// # Errors
    /// `TooManyPrompts` if the account has not that much room.
    pub(super) fn claim_slots(&self, caller: &Caller, models: &[String], slots: u32) -> Result<Claim> {
        let user = caller.id();
        let limit = u64::from(caller.account().concurrency.max(0).unsigned_abs());
        let mut live = self.live.lock();
        let queued = if user.is_anonymous() {
            let models: Vec<Arc<str>> = models.iter().map(|model| Arc::from(model.as_str())).collect();
            live.board.pending_anonymous(&models)
        } else {
            live.board.pending_slots(user)
        };
        let waiting = queued + live.claimed(user);
        if waiting + u64::from(slots) > limit {
            drop(live);
            return Err(too_many(waiting, limit, user));
        }
        live.claim(user, slots);
        Ok(Claim {
            engine: self.clone(),
            user,
            slots,
        })
    }
}

fn too_many(waiting: u64, limit: u64, user: UserId) -> EngineError {
    let hint = if user.is_anonymous() {
        " Register an account to be counted alone."
    } else {
        ""
    };
    let message = format!("Too many parallel requests ({waiting}/{limit}).{hint}");
    EngineError::refused(ReturnCode::TooManyPrompts, message)
}
