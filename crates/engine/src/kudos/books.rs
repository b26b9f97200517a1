//! What operators do with the books: prove them, and make up for what is wrong.

use muster_protocol::UserId;
use muster_store::{Drift, LedgerAudit, Promise, UnbalancedEvent};
use serde_json::{Value, json};

use crate::{Engine, error::Result};

impl Engine {
    /// Proves the books. `progress` is told from time to time how many entries were read.
    pub(crate) async fn audit_books(&self, progress: impl FnMut(u64) + Send) -> Result<Value> {
        let audit = self.store.audit_with(progress).await?;
        if !audit.is_clean() {
            tracing::error!(?audit, "the books are wrong");
        }
        Ok(told(&audit))
    }

    /// Says what would make up for what an audit finds, and, if `apply`, books it. What no entry can make up for, as a
    /// job that was paid twice, is left to the operator.
    pub(crate) async fn repair_books(&self, apply: bool, progress: impl FnMut(u64) + Send) -> Result<Value> {
        let audit = self.store.audit_with(progress).await?;
        let mut proposed = Vec::new();
        let (journal, now) = (self.store.journal(), self.clock.now());
        for UnbalancedEvent { event, sum } in &audit.unbalanced {
            if apply {
                journal.close_event(event.clone(), now).await?;
            }
            proposed.push(json!({
                "repair": "close event", "event": event, "treasury": (-*sum).to_f64(),
            }));
        }
        for drift in &audit.drifted {
            if apply {
                journal.repair_balance(drift.account, drift.pot, now).await?;
            }
            proposed.push(json!({
                "repair": "correct balance", "account": drift.account, "pot": drift.pot.as_ref(),
                "balance": drift.balance.to_f64(), "entries": drift.entries.to_f64(),
                "correction": (drift.entries - drift.balance).to_f64(),
            }));
        }
        if apply {
            self.reread_balances(&audit.drifted).await?;
        }
        Ok(json!({"applied": apply, "repairs": proposed}))
    }

    /// What is in memory follows what was repaired.
    async fn reread_balances(&self, drifted: &[Drift]) -> Result<()> {
        for drift in drifted.iter().filter(|drift| drift.account >= 0) {
            let user = UserId(drift.account);
            let balances = self.store.balances(user).await?;
            self.accounts.set_balances(user, balances);
        }
        Ok(())
    }
}

fn told(audit: &LedgerAudit) -> Value {
    let unbalanced = audit.unbalanced.iter();
    let unbalanced =
        unbalanced.map(|UnbalancedEvent { event, sum }| json!({"event": event, "sum": sum.to_f64()}));
    let drifted = audit.drifted.iter().map(|drift| {
        json!({
            "account": drift.account, "pot": drift.pot.as_ref(),
            "balance": drift.balance.to_f64(), "entries": drift.entries.to_f64(),
        })
    });
    let promises = audit.promises.iter().map(
        |Promise {
             account,
             held,
             promised,
         }| json!({"account": account, "held": held.to_f64(), "promised": promised.to_f64()}),
    );
    json!({
        "clean": audit.is_clean(),
        "events": audit.events,
        "entries": audit.entries,
        "total_hundredths": audit.total_hundredths,
        "paid_jobs": audit.paid_jobs,
        "delivered_jobs": audit.delivered_jobs,
        "unbalanced": unbalanced.collect::<Vec<_>>(),
        "drifted": drifted.collect::<Vec<_>>(),
        "repeated": audit.repeated,
        "paid_twice": audit.paid_twice,
        "unearned": audit.unearned,
        "unpaid": audit.unpaid,
        "promises": promises.collect::<Vec<_>>(),
    })
}
