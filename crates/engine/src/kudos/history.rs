//! Why a balance is what it is. An extension: the reference server shows nobody its ledger.

use muster_protocol::{KudosHistory, KudosMovement, ReturnCode, UserId};
use muster_store::ExplainedEntry;

use crate::{Call, Engine, EngineError, error::Result};

/// Movements on a page: usually, and at most.
const PAGE: (i64, i64) = (50, 500);

impl Engine {
    /// A page of what moved the caller's kudos, newest first: at most `limit` movements before the one with the number
    /// `before`.
    ///
    /// # Errors
    /// An unknown key, a shared key (401); the anonymous account, which is everybody's (403).
    pub async fn kudos_history(
        &self,
        call: &Call,
        before: Option<i64>,
        limit: Option<i64>,
    ) -> Result<KudosHistory> {
        let caller = self.identify(call).await?;
        if caller.id().is_anonymous() {
            let message = "What moves the kudos of the anonymous account is nobody's in particular.";
            return Err(EngineError::refused(ReturnCode::AnonForbidden, message));
        }
        self.history_of(caller.id(), before, limit).await
    }

    pub(crate) async fn history_of(
        &self,
        user: UserId,
        before: Option<i64>,
        limit: Option<i64>,
    ) -> Result<KudosHistory> {
        let (usual, most) = PAGE;
        let limit = limit.unwrap_or(usual).clamp(1, most).unsigned_abs();
        // One more, to see whether there are more.
        let mut entries = self.store.explain_balance(user, before, limit + 1).await?;
        let has_more = entries.len() as u64 > limit;
        entries.truncate(limit as usize);
        let next = entries.last().map(|last| last.entry.id).filter(|_| has_more);
        Ok(KudosHistory {
            entries: entries.into_iter().map(movement).collect(),
            next,
        })
    }
}

fn movement(explained: ExplainedEntry) -> KudosMovement {
    let ExplainedEntry {
        entry,
        balance,
        counterparty,
    } = explained;
    KudosMovement {
        id: entry.id,
        at: entry.at.to_rfc3339(),
        kind: entry.kind.as_ref().to_owned(),
        pot: entry.pot.as_ref().to_owned(),
        amount: entry.amount.to_f64(),
        balance: balance.to_f64(),
        counterparty,
        request: entry.request,
        job: entry.job,
        event: entry.event,
    }
}
