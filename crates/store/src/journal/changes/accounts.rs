//! How accounts come to be and change.

use std::{collections::BTreeSet, sync::Arc};

use muster_protocol::{Kudos, Timestamp, UserId};
use serde_json::json;

use super::super::{
    books::PotKey,
    change::{Change, Needs},
    working_set::{Origin, Row, WorkingSet},
};
use crate::{
    Account, AccountChanges, ApiKeyHash, Balances, EventKind, JournalError, KudosAction, LedgerEvent,
    NewAccount, Payment, Pot, Role, Roles, SystemAccount, Tallies, UserTally,
    entity::{api_key, user},
    reads::account_from,
};

fn account_of(set: &WorkingSet, row: &user::Model) -> Result<Account, JournalError> {
    account_from(row.clone(), set.books.balances(UserId(row.id)))
        .map_err(|_| JournalError::Invalid("the account's row cannot be read"))
}

/// An account is made.
pub(in super::super) struct RegisterAccount(pub(in super::super) NewAccount);

impl Change for RegisterAccount {
    type Outcome = Account;

    fn needs(&self, needs: &mut Needs) {
        needs.new_accounts = true;
        needs.external_ids.insert(self.0.external_id.clone());
        needs.key_hashes.insert(self.0.key_hash.as_str().to_owned());
    }

    fn apply(self: &Arc<Self>, set: &mut WorkingSet) -> Result<Account, JournalError> {
        let new = &self.0;
        let hash = new.key_hash.as_str();
        if set.external_ids.contains_key(&new.external_id) {
            return Err(JournalError::ExternalIdTaken(new.external_id.clone()));
        }
        if set.keys.contains_key(hash) {
            return Err(JournalError::KeyTaken);
        }
        let id = UserId(set.next_user);
        set.next_user += 1;
        let row = user::Model {
            id: id.0,
            username: new.username.clone(),
            external_id: new.external_id.clone(),
            created: new.created.to_datetime(),
            last_active: new.created.to_datetime(),
            contact: None,
            admin_comment: None,
            proxy_passkey: None,
            monthly_kudos: 0,
            monthly_kudos_received: None,
            usage_multiplier: 1.0,
            worker_invited: 0,
            public_workers: false,
            concurrency: new.concurrency,
            roles: new.roles.bits(),
            suspicions: json!([]),
            wiped: false,
        };
        let account = account_of(set, &row)?;
        set.external_ids.insert(new.external_id.clone(), id);
        set.keys
            .insert(hash.to_owned(), Row::new(key_row(hash, id, new.created)));
        set.users.insert(id, Row::new(row));
        // Both pots exist from the beginning, so that later they can always be locked.
        for pot in [Pot::Spendable, Pot::Escrow] {
            let key: PotKey = (id.0, pot);
            set.books.amounts.insert(key, 0);
            set.books.deltas.entry(key).or_default();
        }
        Ok(account)
    }
}

fn key_row(hash: &str, user: UserId, at: Timestamp) -> api_key::Model {
    api_key::Model {
        key_hash: hash.to_owned(),
        user_id: user.0,
        created: at.to_datetime(),
    }
}

/// An account gets a key.
pub(in super::super) struct Rekey {
    pub(in super::super) user: UserId,
    pub(in super::super) key_hash: ApiKeyHash,
    pub(in super::super) username: Option<String>,
    pub(in super::super) at: Timestamp,
}

impl Change for Rekey {
    type Outcome = Account;

    fn needs(&self, needs: &mut Needs) {
        needs.users.insert(self.user);
        needs.key_hashes.insert(self.key_hash.as_str().to_owned());
        needs.accounts.insert(self.user.0);
    }

    fn apply(self: &Arc<Self>, set: &mut WorkingSet) -> Result<Account, JournalError> {
        let hash = self.key_hash.as_str();
        set.user(self.user)?;
        match set.keys.get(hash) {
            Some(key) if key.model.user_id != self.user.0 => return Err(JournalError::KeyTaken),
            Some(_) => {}
            None => {
                set.keys.retain(|_, key| key.model.user_id != self.user.0);
                set.dead_keys.insert(self.user);
                set.keys
                    .insert(hash.to_owned(), Row::new(key_row(hash, self.user, self.at)));
            }
        }
        let row = set.user(self.user)?;
        if let Some(username) = &self.username {
            row.origin.touch();
            row.model.username.clone_from(username);
        }
        let row = row.model.clone();
        account_of(set, &row)
    }
}

/// An account changes.
pub(in super::super) struct SetAccount {
    pub(in super::super) user: UserId,
    pub(in super::super) changes: AccountChanges,
    pub(in super::super) at: Timestamp,
}

impl Change for SetAccount {
    type Outcome = Account;

    fn needs(&self, needs: &mut Needs) {
        needs.users.insert(self.user);
        needs.accounts.insert(self.user.0);
        needs.external_ids.extend(self.changes.external_id.clone());
        needs.events.extend(self.changes.drain_escrow.clone());
        let changes = &self.changes;
        let keys = [
            changes.balance.as_ref().map(|balance| &balance.key),
            changes.payment.as_ref().map(|payment| &payment.key),
            changes.monthly_kudos.as_ref().map(|monthly| &monthly.key),
        ];
        needs.events.extend(keys.into_iter().flatten().cloned());
    }

    fn apply(self: &Arc<Self>, set: &mut WorkingSet) -> Result<Account, JournalError> {
        set.user(self.user)?;
        if let Some(external_id) = &self.changes.external_id
            && set
                .external_ids
                .get(external_id)
                .is_some_and(|owner| *owner != self.user)
        {
            return Err(JournalError::ExternalIdTaken(external_id.clone()));
        }
        self.move_kudos(set)?;
        if let Some(external_id) = &self.changes.external_id {
            set.external_ids.insert(external_id.clone(), self.user);
        }
        if self.changes.unpause_workers {
            set.unpaused.insert(self.user);
            for worker in set
                .workers
                .values_mut()
                .filter(|worker| worker.model.owner == self.user.0)
            {
                worker.model.paused = false;
            }
        }
        let row = set.user(self.user)?;
        if row.origin == Origin::Stored {
            row.origin = Origin::Changed;
        }
        change_row(&mut row.model, &self.changes);
        let row = row.model.clone();
        account_of(set, &row)
    }
}

impl SetAccount {
    /// Books what the changes do to the balances; if one event cannot be booked, none is.
    fn move_kudos(&self, set: &mut WorkingSet) -> Result<(), JournalError> {
        let movements = self.movements(set.books.balances(self.user));
        let mut keys = BTreeSet::new();
        for (event, _, _) in &movements {
            event.validate()?;
            if set.books.booked.contains(&event.key) || !keys.insert(&event.key) {
                return Err(JournalError::DuplicateEvent {
                    key: event.key.clone(),
                });
            }
        }
        for (event, action, amount) in &movements {
            set.books.book(event)?;
            self.count(set, *action, *amount);
        }
        Ok(())
    }

    /// The events that the changes ask for, each with the total that it counts in.
    fn movements(&self, now: Balances) -> Vec<(LedgerEvent, KudosAction, Kudos)> {
        let mut movements = Vec::new();
        let mut spendable = now.spendable;
        if let Some(key) = self
            .changes
            .drain_escrow
            .as_ref()
            .filter(|_| now.escrow > Kudos::ZERO)
        {
            let event = LedgerEvent::new(key, EventKind::EscrowPromotion, self.at)
                .with_escrow(self.user, -now.escrow)
                .with(self.user, now.escrow);
            movements.push((event, KudosAction::Accumulated, now.escrow));
            spendable += now.escrow;
        }
        if let Some(target) = &self.changes.balance {
            let difference = target.spendable - spendable;
            let event = LedgerEvent::new(&target.key, EventKind::AdminAdjustment, self.at)
                .with(self.user, difference)
                .with(SystemAccount::Grants, -difference);
            movements.push((event, KudosAction::Admin, difference));
        }
        if let Some(payment) = &self.changes.payment {
            movements.push((self.paid(payment), payment.action, payment.amount));
        }
        if let Some(monthly) = self
            .changes
            .monthly_kudos
            .as_ref()
            .filter(|monthly| monthly.amount > Kudos::ZERO)
        {
            let payment = Payment {
                key: monthly.key.clone(),
                kind: EventKind::Recurring,
                action: KudosAction::Recurring,
                amount: monthly.amount,
                floor: monthly.floor,
            };
            movements.push((self.paid(&payment), payment.action, payment.amount));
        }
        movements
    }

    fn paid(&self, payment: &Payment) -> LedgerEvent {
        LedgerEvent::new(&payment.key, payment.kind, self.at)
            .with_floor(self.user, payment.amount, payment.floor)
            .with(SystemAccount::Grants, -payment.amount)
    }

    fn count(&self, set: &mut WorkingSet, action: KudosAction, amount: Kudos) {
        let total = UserTally {
            user: self.user,
            action,
            amount,
        };
        set.books.tally(&Tallies {
            totals: vec![total],
            ..Tallies::default()
        });
    }
}

fn change_row(row: &mut user::Model, changes: &AccountChanges) {
    fn set<T: Clone>(field: &mut T, new: Option<&T>) {
        if let Some(new) = new {
            field.clone_from(new);
        }
    }
    set(&mut row.username, changes.username.as_ref());
    set(&mut row.external_id, changes.external_id.as_ref());
    set(&mut row.contact, changes.contact.as_ref());
    set(&mut row.admin_comment, changes.admin_comment.as_ref());
    set(&mut row.proxy_passkey, changes.proxy_passkey.as_ref());
    set(&mut row.usage_multiplier, changes.usage_multiplier.as_ref());
    set(&mut row.worker_invited, changes.worker_invited.as_ref());
    set(&mut row.public_workers, changes.public_workers.as_ref());
    set(&mut row.concurrency, changes.concurrency.as_ref());
    if let Some(monthly) = &changes.monthly_kudos {
        row.monthly_kudos = row
            .monthly_kudos
            .saturating_add(monthly.amount.hundredths())
            .max(0);
    }
    if let Some(at) = changes.monthly_kudos_received {
        row.monthly_kudos_received = Some(at.to_datetime());
    }
    if let Some(suspicions) = &changes.suspicions {
        row.suspicions = json!(suspicions);
    }
    if let Some(suspicion) = changes.suspect {
        suspicion.add_to(&mut row.suspicions);
    }
    row.roles = (Roles::from_bits(row.roles).bits() & !changes.withdraw.bits()) | changes.grant.bits();
}

/// An account is wiped: what identifies its owner is overwritten, its key, workers and shared keys are gone. Its
/// number, kudos and statistics stay, for the ledger speaks of them.
pub(in super::super) struct WipeAccount(pub(in super::super) UserId);

impl Change for WipeAccount {
    type Outcome = Account;

    fn needs(&self, needs: &mut Needs) {
        needs.users.insert(self.0);
        needs.accounts.insert(self.0.0);
    }

    fn apply(self: &Arc<Self>, set: &mut WorkingSet) -> Result<Account, JournalError> {
        let user = self.0;
        let row = set.user(user)?;
        row.origin.touch();
        let model = &mut row.model;
        let marker = format!("wiped:{user}");
        model.username.clone_from(&marker);
        model.external_id = marker;
        model.contact = None;
        model.admin_comment = None;
        model.proxy_passkey = None;
        model.wiped = true;
        model.roles = Roles::from_bits(model.roles).with(Role::Deleted).bits();
        let row = model.clone();
        set.keys.retain(|_, key| key.model.user_id != user.0);
        set.dead_keys.insert(user);
        set.wiped.insert(user);
        let gone: Vec<_> = set
            .workers
            .iter()
            .filter(|(_, worker)| worker.model.owner == user.0)
            .map(|(id, _)| *id)
            .collect();
        set.worker_names.retain(|_, id| !gone.contains(id));
        set.deleted_workers.extend(gone);
        account_of(set, &row)
    }
}
