//! What accounts get without working: monthly kudos, and trust when they have earned it.

use std::time::Duration;

use muster_kudos::income::TrustCandidate;
use muster_protocol::{Kudos, Timestamp, UserId};
use muster_store::{Account, AccountChanges, EventKind, JournalError, KudosAction, Payment, Role, Roles};

use uuid::Uuid;

use super::cache::{Caller, kind_of};
use crate::{Engine, EngineError, error::Result};

/// What moderators get every month.
const MODERATOR: Kudos = Kudos::from_whole(300_000);
/// How often it is looked who is due.
pub(crate) const PAYDAY_INTERVAL: Duration = Duration::from_hours(1);

impl Engine {
    /// What an account gets every month.
    pub(crate) fn entitlement(&self, account: &Account) -> Kudos {
        let as_moderator = if account.roles.has(Role::Moderator) {
            MODERATOR
        } else {
            Kudos::ZERO
        };
        let supporters = self.supporters();
        let as_supporter: Kudos = supporters
            .iter()
            .filter(|supporter| supporter.user == account.id)
            .map(|supporter| supporter.monthly_kudos)
            .sum();
        account.monthly_kudos + as_moderator + as_supporter
    }

    /// Whether an account supports the horde, which lets it do more.
    pub(crate) fn is_patron(&self, caller: &Caller) -> bool {
        self.supporters()
            .iter()
            .any(|supporter| supporter.user == caller.id())
    }

    /// Pays everybody whose month is over. Whoever missed several months is paid one of them.
    ///
    /// # Errors
    /// The database failed; who was not paid yet is paid the next time.
    pub async fn pay_monthly_kudos(&self) -> Result<()> {
        let now = self.clock.now();
        let supporters: Vec<UserId> = self.supporters().iter().map(|supporter| supporter.user).collect();
        for account in self.store.accounts_with_income(&supporters).await? {
            let due = account.monthly_kudos_received.map(Timestamp::next_month);
            if due.is_none_or(|due| now > due) {
                self.pay_month(&account, due.unwrap_or(now), true).await?;
            }
        }
        Ok(())
    }

    /// Pays an account what it gets every month. `month`: when it is paid for. With `counts`, its next month begins
    /// then. Answers the account as it is afterwards; `None` if it gets nothing.
    ///
    /// # Errors
    /// The database failed; nothing was paid.
    pub(crate) async fn pay_month(
        &self,
        account: &Account,
        month: Timestamp,
        counts: bool,
    ) -> Result<Option<Caller>> {
        let amount = self.entitlement(account);
        if amount <= Kudos::ZERO {
            return Ok(None);
        }
        let payment = Payment {
            // Whoever else pays the same month finds it paid.
            key: format!("month:{}:{}", account.id, month.millis()),
            kind: EventKind::Recurring,
            action: KudosAction::Recurring,
            amount,
            floor: kind_of(account).floor(),
        };
        let changes = AccountChanges {
            payment: Some(payment),
            monthly_kudos_received: counts.then_some(month),
            ..AccountChanges::default()
        };
        match self.set_account(account.id, changes).await {
            Ok(caller) => {
                tracing::info!(user = %account.id, kudos = amount.whole(), "monthly kudos were paid");
                Ok(Some(caller))
            }
            Err(EngineError::Journal(JournalError::DuplicateEvent { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes an account trusted if it has earned that, and gives it what was held back. Whoever waits for it was paid
    /// already, so failures are only logged.
    pub(crate) async fn evaluate_trust(&self, owner: UserId) {
        let Some(caller) = self.accounts.peek(owner) else {
            return;
        };
        if caller.is_trusted() {
            self.drain_escrow(&caller).await;
            return;
        }
        let account = caller.account();
        let candidate = TrustCandidate {
            escrow: caller.escrow(),
            suspicions: account.suspicions.len() as u32,
            is_anonymous: owner.is_anonymous(),
            age: self.clock.now().since(account.created),
        };
        if !candidate.earns_trust(self.config.trust_threshold) {
            return;
        }
        match self.make_trusted(owner, Roles::NONE).await {
            Ok(_) => tracing::info!(user = %owner, "an account has earned trust"),
            Err(error) => tracing::error!(%error, user = %owner, "an account could not be made trusted"),
        }
    }

    /// Nothing of a trusted account is held back: not even what was booked while it became trusted.
    async fn drain_escrow(&self, trusted: &Caller) {
        if trusted.escrow() <= Kudos::ZERO {
            return;
        }
        let changes = AccountChanges {
            drain_escrow: Some(format!("drain:{}", Uuid::from_u128(self.random()))),
            ..AccountChanges::default()
        };
        if let Err(error) = self.set_account(trusted.id(), changes).await {
            tracing::error!(%error, user = %trusted.id(), "what was held back could not be released");
        }
    }
}
