//! What an operator does by hand: [`AdminCommand`]. Whoever can send one is trusted with everything, so no right is
//! checked here; what nobody may have, like a name that is taken, is refused all the same.

use std::path::{Path, PathBuf};

use muster_protocol::{
    Body as _, HordeModes, Kudos, ModifyUserInput, ModifyWorkerInput, PutNewFilter, ReturnCode, UserId,
    WorkerId,
};
use muster_store::{AccountChanges, ApiKeyHash, Role, Roles};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Engine, EngineError,
    accounts::{Caller, unknown_user},
    error::Result,
    workers::unknown_worker,
};

/// Something that an operator wants to know or have done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum AdminCommand {
    /// A page of all accounts.
    UserList {
        /// From one.
        page: i64,
        /// `kudos` or `age`.
        sort: String,
    },
    /// An account, with everything that is known of it.
    UserShow {
        /// Its number, or its name with it.
        user: String,
    },
    /// Makes an account.
    UserCreate {
        /// Its name.
        name: String,
    },
    /// Changes an account, as `PUT /users/{id}` does.
    UserSet {
        /// Its number, or its name with it.
        user: String,
        /// The body.
        changes: Value,
    },
    /// Schedules an account for deletion.
    UserDelete {
        /// Its number, or its name with it.
        user: String,
    },
    /// Wipes an account, however long it was idle.
    UserWipe {
        /// Its number, or its name with it.
        user: String,
    },
    /// Gives an account a new key; the old one dies.
    KeyReset {
        /// Its number, or its name with it.
        user: String,
    },
    /// All workers that are known, online or not.
    WorkerList,
    /// A worker, with everything that is known of it.
    WorkerShow {
        /// Its id or name.
        worker: String,
    },
    /// Changes a worker, as `PUT /workers/{id}` does.
    WorkerSet {
        /// Its id or name.
        worker: String,
        /// The body.
        changes: Value,
    },
    /// Deletes a worker.
    WorkerDelete {
        /// Its id or name.
        worker: String,
    },
    /// Gives an account kudos, or takes them.
    KudosGive {
        /// Its number, or its name with it.
        user: String,
        /// Whole kudos; negative takes.
        amount: i64,
    },
    /// Changes what an account gets every month; an increase is paid at once.
    KudosMonthly {
        /// Its number, or its name with it.
        user: String,
        /// How many whole kudos more, or less.
        amount: i64,
    },
    /// Pays an account what it gets every month, now.
    KudosPay {
        /// Its number, or its name with it.
        user: String,
        /// The next month begins when it would have begun anyway.
        keep_date: bool,
    },
    /// What moved an account's kudos, newest first.
    KudosHistory {
        /// Its number, or its name with it.
        user: String,
        /// Only what happened before this movement.
        before: Option<i64>,
        /// How many movements at most.
        limit: i64,
    },
    /// Copies the database into a new file.
    Backup {
        /// The file; its path begins at the root.
        file: PathBuf,
    },
    /// The modes of the horde.
    ModesShow,
    /// Switches modes, as `PUT /status/modes` does.
    ModesSet {
        /// The body.
        modes: HordeModes,
    },
    /// The networks that are blocked.
    BlockList,
    /// Blocks an address or a network.
    BlockAdd {
        /// It, in CIDR notation.
        address: String,
        /// For how many hours.
        hours: i64,
    },
    /// Lets an address or a network in again.
    BlockRemove {
        /// It, in CIDR notation.
        address: String,
    },
    /// All prompt filters.
    FilterList,
    /// Makes a filter, as `PUT /filters` does.
    FilterAdd {
        /// The body.
        filter: Value,
    },
    /// Deletes a filter.
    FilterRemove {
        /// Its number.
        id: String,
    },
    /// How much filters find in a prompt.
    FilterTry {
        /// The prompt.
        prompt: String,
    },
    /// Proves the books.
    KudosAudit,
    /// Says what would make up for what is wrong in the books.
    KudosRepair {
        /// And books it.
        apply: bool,
    },
}

fn shown(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("views are plain data")
}

impl Engine {
    /// Does what an operator wants. Answers what came of it, in the shapes of the API. What takes long tells `progress`
    /// how many things it has looked at.
    ///
    /// # Errors
    /// What it is about does not exist, or cannot be like that.
    pub async fn operate(&self, command: AdminCommand, progress: impl FnMut(u64) + Send) -> Result<Value> {
        match command {
            AdminCommand::UserList { page, sort } => Ok(shown(&self.users(page, &sort).await?)),
            AdminCommand::UserShow { user } => self.show_user(&self.named_user(&user).await?).await,
            AdminCommand::UserCreate { name } => {
                let made = self.register(&name).await?;
                Ok(json!({"username": made.alias, "api_key": made.api_key}))
            }
            AdminCommand::UserSet { user, changes } => {
                let target = self.named_user(&user).await?;
                let changes = ModifyUserInput::parse(changes).map_err(EngineError::Invalid)?;
                Ok(shown(&self.modify_user_as_operator(target, changes).await?))
            }
            AdminCommand::UserDelete { user } => {
                let target = self.deletable_user(&user).await?;
                let changes = AccountChanges {
                    grant: Roles::of(&[Role::Deleted]),
                    ..AccountChanges::default()
                };
                let target = self.set_account(target.id(), changes).await?;
                self.show_user(&target).await
            }
            AdminCommand::UserWipe { user } => {
                let target = self.deletable_user(&user).await?;
                self.wipe_account(target.id()).await?;
                Ok(json!({"wiped": target.alias()}))
            }
            AdminCommand::KeyReset { user } => self.reset_key(&user).await,
            AdminCommand::WorkerList => self.known_workers().await,
            AdminCommand::WorkerShow { worker } => self.show_worker(self.named_worker(&worker)?).await,
            AdminCommand::WorkerSet { worker, changes } => {
                let id = self.named_worker(&worker)?;
                let changes = ModifyWorkerInput::parse(changes).map_err(EngineError::Invalid)?;
                Ok(shown(&self.modify_worker_as_operator(id, changes).await?))
            }
            AdminCommand::WorkerDelete { worker } => {
                let id = self.named_worker(&worker)?;
                let name = self.workers.shown_name(id);
                self.remove_worker(id).await?;
                Ok(json!({"deleted_id": id, "deleted_name": name}))
            }
            AdminCommand::KudosGive { user, amount } => {
                let target = self.named_user(&user).await?;
                let target = self.adjust_kudos(&target, Kudos::from_whole(amount)).await?;
                Ok(balance(&target))
            }
            AdminCommand::KudosMonthly { user, amount } => {
                let target = self.named_user(&user).await?;
                let target = self
                    .change_monthly_kudos(&target, Kudos::from_whole(amount))
                    .await?;
                Ok(balance(&target))
            }
            AdminCommand::KudosPay { user, keep_date } => self.pay_now(&user, keep_date).await,
            AdminCommand::KudosHistory { user, before, limit } => {
                let target = self.named_user(&user).await?;
                Ok(shown(&self.history_of(target.id(), before, Some(limit)).await?))
            }
            AdminCommand::Backup { file } => self.back_up(&file).await,
            AdminCommand::ModesShow => Ok(shown(&self.all_modes())),
            AdminCommand::ModesSet { modes } => {
                self.switch_modes_as_operator(modes).await?;
                Ok(shown(&self.all_modes()))
            }
            AdminCommand::BlockList => Ok(shown(&self.listed_networks())),
            AdminCommand::BlockAdd { address, hours } => {
                Ok(shown(&self.block_as_operator(&address, hours).await?))
            }
            AdminCommand::BlockRemove { address } => Ok(shown(&self.unblock_as_operator(&address).await?)),
            AdminCommand::FilterList => self.counted_filters().await,
            AdminCommand::FilterAdd { filter } => {
                let filter = PutNewFilter::parse(filter).map_err(EngineError::Invalid)?;
                Ok(shown(&self.make_filter(UserId::ADMIN, filter).await?))
            }
            AdminCommand::FilterRemove { id } => Ok(shown(&self.remove_filter(&id).await?)),
            AdminCommand::FilterTry { prompt } => Ok(shown(&self.try_prompt(&prompt, 0))),
            AdminCommand::KudosAudit => self.audit_books(progress).await,
            AdminCommand::KudosRepair { apply } => self.repair_books(apply, progress).await,
        }
    }

    async fn named_user(&self, user: &str) -> Result<Caller> {
        self.account_named(user).await?.ok_or_else(unknown_user)
    }

    /// An account that can be deleted: neither everybody's nor a moderator's.
    async fn deletable_user(&self, user: &str) -> Result<Caller> {
        let target = self.named_user(user).await?;
        if target.id().is_anonymous() || target.has(Role::Moderator) {
            let message = "The anonymous account and moderators cannot be deleted.";
            return Err(EngineError::refused(ReturnCode::CannotDeleteMod, message));
        }
        Ok(target)
    }

    async fn back_up(&self, file: &Path) -> Result<Value> {
        let made = self.store.back_up(file).await.map_err(|error| {
            let message = error.to_string();
            EngineError::refused(ReturnCode::BadRequest, message)
        })?;
        tracing::info!(file = %made.file.display(), bytes = made.bytes, "the database was backed up");
        Ok(json!({"file": made.file, "bytes": made.bytes}))
    }

    async fn reset_key(&self, user: &str) -> Result<Value> {
        let target = self.named_user(user).await?;
        if target.id().is_anonymous() {
            let message = "The key of the anonymous account is the same everywhere.";
            return Err(EngineError::refused(ReturnCode::AnonForbidden, message));
        }
        let key = self.new_key();
        let hash = ApiKeyHash::of(&self.config.key_salt, &key);
        let journal = self.store.journal();
        let account = journal
            .rekey_account(target.id(), hash, None, self.clock.now())
            .await?;
        self.accounts.forget_keys();
        let target = self.account_changed(account);
        Ok(json!({"username": target.alias(), "api_key": key}))
    }

    async fn pay_now(&self, user: &str, keep_date: bool) -> Result<Value> {
        let target = self.named_user(user).await?;
        let paid = self
            .pay_month(target.account(), self.clock.now(), !keep_date)
            .await?;
        let Some(target) = paid else {
            let message = "This account gets no monthly kudos, or was paid at this very moment.";
            return Err(EngineError::refused(ReturnCode::BadRequest, message));
        };
        Ok(balance(&target))
    }

    /// A worker by its id or name.
    fn named_worker(&self, worker: &str) -> Result<WorkerId> {
        if let Ok(worker) = self.find_worker(worker) {
            return Ok(worker.lock().id);
        }
        let worker = self.workers.by_name(worker).ok_or_else(unknown_worker)?;
        let id = worker.lock().id;
        Ok(id)
    }
}

fn balance(caller: &Caller) -> Value {
    json!({
        "username": caller.alias(),
        "kudos": caller.spendable().whole(),
        "monthly_kudos": caller.account().monthly_kudos.whole(),
    })
}
