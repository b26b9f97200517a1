//! `PUT /users/{id}`: what administrators, moderators and owners change of an account.
//!
//! Each change is checked and made durable by itself, in the order in which they are listed here: if one is refused,
//! those before it stay made (spec: accounts, section 8.4).

use muster_protocol::{Kudos, ModifyUser, ModifyUserInput, ReturnCode, UserId};
use muster_store::{
    Account, AccountChanges, EventKind, KudosAction, MonthlyChange, Payment, Role, Roles, WorkerChanges,
};
use uuid::Uuid;

use super::{cache::Caller, registration::CONCURRENCY, registration::NAME_LIMIT, unknown_user};
use crate::{Call, Engine, EngineError, error::Result, names, profanity::is_profane};

/// Generations that a school may have queued.
const SCHOOL_CONCURRENCY: i32 = 200;

/// Changes that are being made.
struct Changing<'a> {
    engine: &'a Engine,
    /// Who makes them; `None`: an operator.
    caller: Option<Caller>,
    /// The account that they are made to, as it is now.
    target: Caller,
    /// What was changed so far.
    changed: ModifyUser,
}

impl Engine {
    /// Changes an account.
    ///
    /// # Errors
    /// `UserNotFound`, no or an unknown key, what the caller may not do, values that are not acceptable, and
    /// `NoUserModSelected` if nothing is to be changed.
    pub async fn modify_user(&self, call: &Call, id: &str, input: ModifyUserInput) -> Result<ModifyUser> {
        let number = id
            .parse()
            .ok()
            .and_then(|id: i64| names::user_number(&id.to_string()));
        let number = number.map(UserId).ok_or_else(unknown_user)?;
        let target = self.accounts.get(&self.store, number).await?;
        let target = target.ok_or_else(unknown_user)?;
        let caller = self.identify(call).await?;
        self.make_changes(Some(caller), target, &input).await
    }

    /// Changes an account, whoever it is about.
    ///
    /// # Errors
    /// Values that are not acceptable, and `NoUserModSelected` if nothing is to be changed.
    pub(crate) async fn modify_user_as_operator(
        &self,
        target: Caller,
        input: ModifyUserInput,
    ) -> Result<ModifyUser> {
        self.make_changes(None, target, &input).await
    }

    async fn make_changes(
        &self,
        caller: Option<Caller>,
        target: Caller,
        input: &ModifyUserInput,
    ) -> Result<ModifyUser> {
        let mut changing = Changing {
            engine: self,
            caller,
            target,
            changed: ModifyUser::default(),
        };
        changing.by_administrators(input).await?;
        changing.by_moderators(input).await?;
        changing.roles(input).await?;
        changing.notes(input).await?;
        changing.by_owners(input).await?;
        if changing.changed == ModifyUser::default() {
            let message = "Nothing was selected to be changed.";
            return Err(EngineError::refused(ReturnCode::NoUserModSelected, message));
        }
        Ok(changing.changed)
    }

    /// Whether an account is one of the horde's administrators. That does not make it a moderator.
    pub(crate) fn is_administrator(&self, caller: &Caller) -> bool {
        match &self.config.administrators {
            None => caller.id() == UserId::ADMIN,
            Some(aliases) => aliases.contains(&caller.alias()),
        }
    }

    /// Makes a change of an account durable, and known to everything in memory that goes by it.
    pub(crate) async fn set_account(&self, id: UserId, changes: AccountChanges) -> Result<Caller> {
        let journal = self.store.journal();
        let account = journal.set_account(id, changes, self.clock.now()).await?;
        Ok(self.account_changed(account))
    }

    /// Takes over an account as a commit left it.
    pub(crate) fn account_changed(&self, account: Account) -> Caller {
        let caller = self.accounts.remember(account);
        self.workers.owner_changed(caller.id(), caller.is_trusted());
        caller
    }

    /// The changes that make an account trusted: its workers are taken out of their pause, and what was held back is
    /// its own.
    pub(crate) fn trust(&self) -> AccountChanges {
        AccountChanges {
            grant: Roles::of(&[Role::Trusted]),
            unpause_workers: true,
            drain_escrow: Some(format!("trust:{}", Uuid::from_u128(self.random()))),
            ..AccountChanges::default()
        }
    }

    /// Makes an account trusted.
    ///
    /// # Errors
    /// The database failed; nothing has changed.
    pub(crate) async fn make_trusted(&self, id: UserId, also: Roles) -> Result<Caller> {
        let mut changes = self.trust();
        changes.grant = Roles::from_bits(changes.grant.bits() | also.bits());
        let caller = self.set_account(id, changes).await?;
        for worker in self.workers.all_of(id) {
            worker.lock().paused = false;
        }
        self.workers.note_change();
        Ok(caller)
    }

    /// Gives or takes kudos by an administrator's decision.
    ///
    /// # Errors
    /// The database failed; nothing has changed.
    pub(crate) async fn adjust_kudos(&self, target: &Caller, amount: Kudos) -> Result<Caller> {
        let (kind, action) = (EventKind::AdminAdjustment, KudosAction::Admin);
        self.grant("admin", kind, action, target, amount).await
    }

    /// Gives an account kudos of the horde's, or takes them. `what` begins the name of the event.
    ///
    /// # Errors
    /// The database failed; nothing has changed.
    pub(crate) async fn grant(
        &self,
        what: &str,
        kind: EventKind,
        action: KudosAction,
        target: &Caller,
        amount: Kudos,
    ) -> Result<Caller> {
        let payment = Payment {
            key: format!("{what}:{}", Uuid::from_u128(self.random())),
            kind,
            action,
            amount,
            floor: target.kind().floor(),
        };
        let changes = AccountChanges {
            payment: Some(payment),
            ..AccountChanges::default()
        };
        self.set_account(target.id(), changes).await
    }

    /// Changes what an account gets every month. The first increase starts its months.
    ///
    /// # Errors
    /// The database failed; nothing has changed.
    pub(crate) async fn change_monthly_kudos(&self, target: &Caller, amount: Kudos) -> Result<Caller> {
        let started = target.account().monthly_kudos_received.is_some();
        let changes = AccountChanges {
            monthly_kudos: Some(MonthlyChange {
                key: format!("monthly:{}", Uuid::from_u128(self.random())),
                amount,
                floor: target.kind().floor(),
            }),
            monthly_kudos_received: (!started).then(|| self.clock.now()),
            ..AccountChanges::default()
        };
        self.set_account(target.id(), changes).await
    }

    /// Forgets what is held against an account and all its workers. Those that are paused stay so.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) async fn reset_suspicion(&self, id: UserId) -> Result<Caller> {
        for worker in self.workers.all_of(id) {
            let id = worker.lock().id;
            let changes = WorkerChanges {
                suspicions: Some(Vec::new()),
                ..WorkerChanges::default()
            };
            self.set_worker(id, changes).await?;
        }
        let changes = AccountChanges {
            suspicions: Some(Vec::new()),
            ..AccountChanges::default()
        };
        self.set_account(id, changes).await
    }

    /// Gives a service the passkey with which its proxy names whom it speaks for.
    ///
    /// # Errors
    /// The database failed; nothing has changed.
    pub(crate) async fn new_passkey(&self, id: UserId) -> Result<String> {
        let passkey = self.new_key();
        let changes = AccountChanges {
            proxy_passkey: Some(Some(passkey.clone())),
            ..AccountChanges::default()
        };
        self.set_account(id, changes).await?;
        self.read_passkeys().await?;
        Ok(passkey)
    }
}

impl Changing<'_> {
    async fn set(&mut self, changes: AccountChanges) -> Result<()> {
        self.target = self.engine.set_account(self.target.id(), changes).await?;
        self.refresh_caller();
        Ok(())
    }

    /// Whoever changes their own account goes by what it is now.
    fn refresh_caller(&mut self) {
        if self
            .caller
            .as_ref()
            .is_some_and(|caller| caller.id() == self.target.id())
        {
            self.caller = Some(self.target.clone());
        }
    }

    fn as_administrator(&self) -> Result<()> {
        if self
            .caller
            .as_ref()
            .is_none_or(|caller| self.engine.is_administrator(caller))
        {
            return Ok(());
        }
        Err(not_administrator())
    }

    fn as_moderator(&self) -> Result<()> {
        if self
            .caller
            .as_ref()
            .is_none_or(|caller| caller.has(Role::Moderator))
        {
            return Ok(());
        }
        Err(not_moderator())
    }

    fn as_owner(&self) -> Result<()> {
        let is_owner = self
            .caller
            .as_ref()
            .is_some_and(|caller| caller.id() == self.target.id());
        if is_owner { Ok(()) } else { self.as_moderator() }
    }

    /// The anonymous account is everybody's, so nobody changes it by its own key.
    fn as_known_owner(&self) -> Result<()> {
        self.as_owner()?;
        if self
            .caller
            .as_ref()
            .is_some_and(|caller| caller.id().is_anonymous())
        {
            let message = "The anonymous account cannot be changed.";
            return Err(EngineError::refused(ReturnCode::AnonForbiddenUserMod, message));
        }
        Ok(())
    }

    async fn by_administrators(&mut self, input: &ModifyUserInput) -> Result<()> {
        if let Some(kudos) = input.kudos {
            self.as_administrator()?;
            let amount = whole_kudos(kudos)?;
            self.target = self.engine.adjust_kudos(&self.target, amount).await?;
            let floor = self.target.kind().floor();
            self.changed.new_kudos = Some(self.target.spendable().max(floor).whole() as f64);
        }
        if let Some(monthly) = input.monthly_kudos {
            self.as_administrator()?;
            let amount = whole_kudos(monthly as f64)?;
            self.target = self.engine.change_monthly_kudos(&self.target, amount).await?;
            self.changed.monthly_kudos = Some(self.target.account().monthly_kudos.whole());
        }
        if let Some(multiplier) = input.usage_multiplier {
            self.as_administrator()?;
            let changes = AccountChanges {
                usage_multiplier: Some(multiplier),
                ..AccountChanges::default()
            };
            self.set(changes).await?;
            self.changed.usage_multiplier = Some(multiplier);
        }
        if let Some(moderator) = input.moderator {
            self.as_administrator()?;
            self.set_role(Role::Moderator, moderator).await?;
            self.changed.moderator = Some(self.target.has(Role::Moderator));
        }
        self.refresh_caller();
        Ok(())
    }

    async fn by_moderators(&mut self, input: &ModifyUserInput) -> Result<()> {
        if let Some(concurrency) = input.concurrency {
            self.as_moderator()?;
            let changes = AccountChanges {
                concurrency: Some(concurrency),
                ..AccountChanges::default()
            };
            self.set(changes).await?;
            self.changed.concurrency = Some(concurrency);
        }
        if let Some(worker_invited) = input.worker_invited {
            self.as_moderator()?;
            let changes = AccountChanges {
                worker_invited: Some(worker_invited),
                ..AccountChanges::default()
            };
            self.set(changes).await?;
            self.changed.worker_invited = Some(worker_invited);
        }
        Ok(())
    }

    async fn roles(&mut self, input: &ModifyUserInput) -> Result<()> {
        let roles = [
            (Role::Trusted, input.trusted),
            (Role::Flagged, input.flagged),
            (Role::Customizer, input.customizer),
            (Role::Vpn, input.vpn),
            (Role::Service, input.service),
            (Role::Education, input.education),
            (Role::Special, input.special),
        ];
        for (role, wanted) in roles {
            let Some(wanted) = wanted else { continue };
            self.as_moderator()?;
            self.set_role(role, wanted).await?;
            if role == Role::Education && input.concurrency.is_none() {
                self.follow_school(wanted).await?;
            }
            let now = Some(self.target.has(role));
            match role {
                Role::Trusted => self.changed.trusted = now,
                Role::Flagged => self.changed.flagged = now,
                Role::Customizer => self.changed.customizer = now,
                Role::Vpn => self.changed.vpn = now,
                Role::Service => self.changed.service = now,
                Role::Education => self.changed.education = now,
                Role::Special => self.changed.special = now,
                Role::Moderator | Role::Deleted => {}
            }
        }
        Ok(())
    }

    /// Grants or withdraws a role. The anonymous account never has one.
    async fn set_role(&mut self, role: Role, wanted: bool) -> Result<()> {
        let id = self.target.id();
        if id.is_anonymous() {
            return Ok(());
        }
        if wanted && matches!(role, Role::Trusted | Role::Moderator) {
            self.target = self.engine.make_trusted(id, Roles::of(&[role])).await?;
            self.refresh_caller();
            return Ok(());
        }
        let roles = Roles::of(&[role]);
        let changes = if wanted {
            AccountChanges {
                grant: roles,
                ..AccountChanges::default()
            }
        } else {
            AccountChanges {
                withdraw: roles,
                ..AccountChanges::default()
            }
        };
        self.set(changes).await?;
        if role == Role::Flagged {
            self.engine.read_passkeys().await?;
        }
        Ok(())
    }

    /// A school may queue more, and somebody who is none any more what everybody may.
    async fn follow_school(&mut self, school: bool) -> Result<()> {
        let concurrency = self.target.account().concurrency;
        let usual = match (school, concurrency) {
            (true, ..SCHOOL_CONCURRENCY) => SCHOOL_CONCURRENCY,
            (false, SCHOOL_CONCURRENCY) => CONCURRENCY,
            _ => return Ok(()),
        };
        let changes = AccountChanges {
            concurrency: Some(usual),
            ..AccountChanges::default()
        };
        self.set(changes).await?;
        self.changed.concurrency = Some(usual);
        Ok(())
    }

    async fn notes(&mut self, input: &ModifyUserInput) -> Result<()> {
        if input.reset_suspicion == Some(true) {
            self.as_moderator()?;
            self.target = self.engine.reset_suspicion(self.target.id()).await?;
            self.refresh_caller();
            self.changed.new_suspicion = Some(0);
        }
        if let Some(comment) = &input.admin_comment {
            self.as_moderator()?;
            if is_profane(comment) {
                let message = "A comment cannot contain profanity.";
                return Err(EngineError::refused(ReturnCode::ProfaneAdminComment, message));
            }
            let comment = names::clean(comment);
            let changes = AccountChanges {
                admin_comment: Some(Some(comment.clone())),
                ..AccountChanges::default()
            };
            self.set(changes).await?;
            self.changed.admin_comment = Some(comment);
        }
        Ok(())
    }

    async fn by_owners(&mut self, input: &ModifyUserInput) -> Result<()> {
        if let Some(public_workers) = input.public_workers {
            self.as_known_owner()?;
            if !self.target.id().is_anonymous() {
                let changes = AccountChanges {
                    public_workers: Some(public_workers),
                    ..AccountChanges::default()
                };
                self.set(changes).await?;
            }
            self.changed.public_workers = Some(self.target.account().public_workers);
        }
        if let Some(username) = &input.username {
            self.as_known_owner()?;
            let username = checked_username(username)?;
            let changes = AccountChanges {
                username: Some(username.clone()),
                ..AccountChanges::default()
            };
            self.set(changes).await?;
            self.changed.username = Some(username);
        }
        if let Some(contact) = &input.contact {
            self.as_known_owner()?;
            if is_profane(contact) {
                let message = "A contact cannot contain profanity.";
                return Err(EngineError::refused(ReturnCode::ProfaneUserContact, message));
            }
            let contact = names::clean(contact);
            let changes = AccountChanges {
                contact: Some(Some(contact.clone())),
                ..AccountChanges::default()
            };
            self.set(changes).await?;
            self.changed.contact = Some(contact);
        }
        if input.generate_proxy_passkey == Some(true) {
            self.as_owner()?;
            // An operator makes passkeys for services.
            let service = self.caller.as_ref().unwrap_or(&self.target);
            if !service.has(Role::Service) {
                let message = "Only services have passkeys for their proxies.";
                return Err(EngineError::refused(ReturnCode::NonServiceForbidden, message));
            }
            self.changed.proxy_passkey = Some(self.engine.new_passkey(self.target.id()).await?);
        }
        if input.undelete == Some(true) {
            self.as_owner()?;
            if !self.target.has(Role::Deleted) {
                let message = "This account is not scheduled for deletion.";
                return Err(EngineError::refused(ReturnCode::UserNotDeleted, message));
            }
            let changes = AccountChanges {
                withdraw: Roles::of(&[Role::Deleted]),
                ..AccountChanges::default()
            };
            self.set(changes).await?;
            self.changed.undeleted = Some(true);
        }
        Ok(())
    }
}

/// The refusal of what only administrators may do.
pub(crate) fn not_administrator() -> EngineError {
    let message = "Only the horde's administrators may change this.";
    EngineError::refused(ReturnCode::NotAdmin, message)
}

/// The refusal of what only moderators may do.
pub(crate) fn not_moderator() -> EngineError {
    let message = "Only moderators may do this.";
    EngineError::refused(ReturnCode::NotModerator, message)
}

/// An amount of kudos as somebody wrote it, without its fraction.
fn whole_kudos(amount: f64) -> Result<Kudos> {
    /// More than all hordes together have.
    const MOST: f64 = 1e15;
    if !amount.is_finite() || amount.abs() > MOST {
        let message = "This is more kudos than there are.";
        return Err(EngineError::refused(ReturnCode::BadRequest, message));
    }
    Ok(Kudos::from_whole(amount.trunc() as i64))
}

/// A new name of an account.
///
/// # Errors
/// `ProfaneUserName`, `TooLongUserName`, and `BadRequest` if nothing is left of it.
pub(crate) fn checked_username(name: &str) -> Result<String> {
    if is_profane(name) {
        let message = "A user name cannot contain profanity.";
        return Err(EngineError::refused(ReturnCode::ProfaneUserName, message));
    }
    if name.chars().count() > NAME_LIMIT {
        let message = format!("A user name has at most {NAME_LIMIT} characters.");
        return Err(EngineError::refused(ReturnCode::TooLongUserName, message));
    }
    let cleaned = names::clean(name);
    if cleaned.is_empty() {
        let message = "Nothing is left of this user name.";
        return Err(EngineError::refused(ReturnCode::BadRequest, message));
    }
    Ok(cleaned)
}
