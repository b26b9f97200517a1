//! How much one account may have in the queue.

use std::{marker::PhantomData, sync::Arc};

use muster_protocol::{ReturnCode, UserId};

use crate::{Engine, EngineError, accounts::Caller, error::Result, work::Work};

/// Slots that an account is about to fill with a request. They count as waiting until this is dropped, so
/// that requests sent at the same moment do not all see the same room.
pub(crate) struct Claim<W: Work> {
    engine: Engine,
    user: UserId,
    slots: u32,
    kind: PhantomData<W>,
}

impl<W: Work> Drop for Claim<W> {
    fn drop(&mut self) {
        W::desk(&self.engine).live.lock().unclaim(self.user, self.slots);
    }
}

impl Engine {
    /// Claims room for a request.
    ///
    /// # Errors
    /// `TooManyPrompts` if the account has not that much room.
    pub(crate) fn claim_slots<W: Work>(
        &self,
        caller: &Caller,
        models: &[String],
        slots: u32,
    ) -> Result<Claim<W>> {
        let user = caller.id();
        let limit = W::ROOM * u64::from(caller.account().concurrency.max(0).unsigned_abs());
        let models: Vec<Arc<str>> = models.iter().map(|model| Arc::from(model.as_str())).collect();
        let mut live = W::desk(self).live.lock();
        let waiting = W::pending(&live, user, &models) + live.claimed(user);
        if waiting + u64::from(slots) > limit {
            drop(live);
            return Err(too_many(waiting, limit, user));
        }
        live.claim(user, slots);
        Ok(Claim {
            engine: self.clone(),
            user,
            slots,
            kind: PhantomData,
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
