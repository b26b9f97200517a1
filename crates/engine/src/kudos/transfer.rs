//! One user gives kudos to another (spec: kudos, section 14).

use muster_protocol::{Kudos, KudosTransferred, ReturnCode, Timestamp, UserId};
use muster_store::{
    BookedEntry, EventKind, JournalError, KudosAction, LedgerEvent, Posted, Role, SharedKey, SharedKeyTally,
    Tallies, UserTally,
};
use uuid::Uuid;

use crate::{
    Call, Engine, EngineError, Refusal,
    accounts::Caller,
    error::Result,
    metrics::{self, Flow},
    names,
};

/// The most kudos that one transfer can move: more than there will ever be, and far from what cannot be counted.
pub(super) const MOST: i64 = 1_000_000_000_000_000;

/// What somebody wants to give.
#[derive(Clone, Debug)]
pub struct Gift {
    /// To whom: `name#id`, a number, or a shared key.
    pub to: String,
    /// How many whole kudos.
    pub amount: i64,
    /// What the client calls this transfer, so that trying again does not repeat it.
    pub idempotency_key: Option<String>,
}

/// Who gets kudos, and through which of their shared keys more can be spent then.
struct Receiver {
    account: Caller,
    key: Option<SharedKey>,
}

/// Whatever the usual status of its code, a refused transfer is a bad request.
fn refused<T>(code: ReturnCode, message: &str) -> Result<T> {
    Err(EngineError::Refused(Refusal {
        status: 400,
        ..Refusal::new(code, message)
    }))
}

impl Engine {
    /// Gives kudos to another account.
    ///
    /// # Errors
    /// In this order: an unknown key; anonymous givers; an unknown, expired, anonymous or own target; what was just
    /// received from there; suspicious, flagged, school and deleted accounts; amounts that cannot be given; a used
    /// idempotency key; too little to give.
    pub async fn transfer_kudos(&self, call: &Call, gift: Gift) -> Result<KudosTransferred> {
        let sender = self.identify(call).await?;
        if sender.id().is_anonymous() {
            let message = "Kudos of the anonymous account belong to everybody and cannot be given away.";
            return refused(ReturnCode::KudosTransferFromAnon, message);
        }
        let now = self.clock.now();
        let receiver = self.receiver(&gift.to, now).await?;
        let to = &receiver.account;
        if to.id().is_anonymous() {
            let message = "Kudos given to the anonymous account would be lost, so they stay with you.";
            return refused(ReturnCode::KudosTransferToAnon, message);
        }
        if to.id() == sender.id() {
            return refused(ReturnCode::KudosTransferToSelf, "These kudos are yours already.");
        }
        if self.recent_transfers.was_there(to.id(), sender.id(), now) {
            let message = "This user has just given kudos to you. Wait a minute before you give any back.";
            return refused(ReturnCode::TooFastKudosTransfers, message);
        }
        check_accounts(&sender, to)?;
        let amount = checked_amount(gift.amount)?;
        self.book_transfer(&sender, &receiver, amount, gift.idempotency_key, now)
            .await?;
        Ok(KudosTransferred {
            transferred: gift.amount as f64,
        })
    }

    async fn receiver(&self, named: &str, now: Timestamp) -> Result<Receiver> {
        if let Some(account) = self.account_named(named).await? {
            return Ok(Receiver { account, key: None });
        }
        let Some((key, account)) = self.find_shared_key(named).await? else {
            let message =
                "There is neither a user nor a shared key of this name. Names end in # and a number.";
            return refused(ReturnCode::InvalidTargetUsername, message);
        };
        if key.is_expired(now) {
            return refused(ReturnCode::SharedKeyExpired, "This shared key has expired.");
        }
        Ok(Receiver {
            account,
            key: Some(key),
        })
    }

    /// The account with a number or a name that ends in one.
    pub(crate) async fn account_named(&self, named: &str) -> Result<Option<Caller>> {
        match names::user_number(named) {
            Some(number) => self.accounts.get(&self.store, UserId(number)).await,
            None => Ok(None),
        }
    }

    async fn book_transfer(
        &self,
        sender: &Caller,
        receiver: &Receiver,
        amount: Kudos,
        idempotency_key: Option<String>,
        now: Timestamp,
    ) -> Result<()> {
        let (from, to) = (sender.id(), receiver.account.id());
        let id = match idempotency_key {
            Some(key) => Uuid::new_v5(&Uuid::NAMESPACE_URL, key.as_bytes()),
            None => Uuid::from_u128(self.random()),
        };
        let floor = sender.kind().floor();
        let event = LedgerEvent::new(format!("transfer:{from}:{id}"), EventKind::Transfer, now)
            .with(from, -amount)
            .with_floor(to, amount, receiver.account.kind().floor())
            .requiring(from, amount + floor);
        let key = event.key.clone();
        let tallies = tallies(sender, receiver, amount);
        match self.store.journal().post(event, tallies).await {
            Ok(Posted::Posted { balances }) => {
                self.learn_balances(&balances);
                self.recent_transfers.note(from, to, now);
                metrics::kudos_moved(Flow::Transfer, amount);
                tracing::info!(%from, %to, kudos = amount.whole(), "kudos were transferred");
                Ok(())
            }
            Ok(Posted::Duplicate) => {
                let booked = self.store.ledger_event(&key).await?;
                if is_the_same(&booked, from, to, amount) {
                    return Ok(());
                }
                let message = "This idempotency key belongs to another transfer of yours.";
                refused(ReturnCode::IdempotencyKeyConflict, message)
            }
            Err(JournalError::Insufficient { .. }) => {
                let message = "You do not have that many kudos to give. What every account starts with, and what is \
                               promised to your requests, cannot be given away.";
                refused(ReturnCode::KudosTransferNotEnough, message)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether these two may exchange kudos.
fn check_accounts(sender: &Caller, receiver: &Caller) -> Result<()> {
    if sender.is_suspicious() {
        let message = "Your kudos could not be sent. Please ask the moderators of this horde.";
        return refused(ReturnCode::FaultWhenKudosSending, message);
    }
    if sender.has(Role::Flagged) {
        let message = "Your account has been flagged for suspicious activity and cannot give kudos away.";
        return refused(ReturnCode::SourceAccountFlagged, message);
    }
    if sender.has(Role::Education) {
        let message = "Accounts of schools cannot give kudos away.";
        return refused(ReturnCode::EducationCannotSendKudos, message);
    }
    if receiver.is_suspicious() {
        let message = "This user cannot receive kudos. Please ask the moderators of this horde.";
        return refused(ReturnCode::FaultWhenKudosReceiving, message);
    }
    if receiver.has(Role::Flagged) {
        let message = "This account has been flagged for suspicious activity and cannot receive kudos.";
        return refused(ReturnCode::TargetAccountFlagged, message);
    }
    if receiver.has(Role::Deleted) {
        let message = "This account is scheduled for deletion and cannot receive kudos.";
        return refused(ReturnCode::DeletedUser, message);
    }
    if sender.has(Role::Deleted) {
        let message = "Your account is scheduled for deletion and can do nothing until that is undone.";
        return refused(ReturnCode::DeletedUser, message);
    }
    Ok(())
}

fn checked_amount(amount: i64) -> Result<Kudos> {
    if amount < 0 {
        let message = "Kudos can be given, not taken.";
        return refused(ReturnCode::NegativeKudosTransfer, message);
    }
    if amount == 0 {
        let message = "A transfer moves at least one kudos.";
        return refused(ReturnCode::InvalidKudosTransferAmount, message);
    }
    if amount > MOST {
        let message = "Nobody has that many kudos.";
        return refused(ReturnCode::KudosTransferNotEnough, message);
    }
    Ok(Kudos::from_whole(amount))
}

fn tallies(sender: &Caller, receiver: &Receiver, amount: Kudos) -> Tallies {
    let sent = if receiver.account.has(Role::Education) {
        KudosAction::Donated
    } else {
        KudosAction::Gifted
    };
    let total = |user, action, amount| UserTally { user, action, amount };
    let gift = receiver
        .key
        .as_ref()
        .map(|key| SharedKeyTally { key: key.id, amount });
    Tallies {
        totals: vec![
            total(sender.id(), sent, -amount),
            total(receiver.account.id(), KudosAction::Received, amount),
        ],
        shared_key_gifts: gift.into_iter().collect(),
        ..Tallies::default()
    }
}

/// Whether an event moved just that.
fn is_the_same(booked: &[BookedEntry], from: UserId, to: UserId, amount: Kudos) -> bool {
    let moved = |user: UserId, amount| {
        let mut of_transfer = booked.iter().filter(|entry| entry.kind == EventKind::Transfer);
        of_transfer.any(|entry| entry.account == user.into() && entry.amount == amount)
    };
    moved(from, -amount) && moved(to, amount)
}
