//! What owners and moderators change of workers (spec: accounts, sections 12.3 and 12.4).
//!
//! Each change is checked and made durable by itself, in the order in which they are listed here: if one is refused,
//! those before it stay made.

use muster_protocol::{DeletedWorker, ModifyWorker, ModifyWorkerInput, ReturnCode, UserId, WorkerId};
use muster_store::{JournalError, Role, StoredWorker, WorkerChanges};

use super::{check_in::check_words, view::unknown_worker};
use crate::{
    Call, Engine, EngineError, accounts::Caller, error::Result, names, profanity::is_profane,
    teams::unknown_team,
};

/// The longest message for a worker in maintenance, in characters.
const MESSAGE_LIMIT: usize = 300;
/// What a worker without a team is told.
const NO_TEAM: &str = "None";

impl Engine {
    /// Makes a change of a worker durable, and known in memory.
    ///
    /// # Errors
    /// The name is taken, the worker is gone, or the database failed; nothing has changed.
    pub(crate) async fn set_worker(&self, id: WorkerId, changes: WorkerChanges) -> Result<StoredWorker> {
        let stored = self.store.journal().set_worker(id, changes).await?;
        self.workers.take_over(&stored);
        Ok(stored)
    }

    /// Changes a worker.
    ///
    /// # Errors
    /// `WorkerNotFound`, no or an unknown key, what the caller may not do, values that are not acceptable, and
    /// `NoWorkerModSelected` if nothing is to be changed.
    pub async fn modify_worker(
        &self,
        call: &Call,
        id: &str,
        input: ModifyWorkerInput,
    ) -> Result<ModifyWorker> {
        let (id, owner) = {
            let worker = self.find_worker(id)?;
            let worker = worker.lock();
            (worker.id, worker.owner)
        };
        let caller = self.identify(call).await?;
        self.change_worker(Some(&caller), id, owner, &input).await
    }

    /// Changes a worker, whoever it belongs to.
    ///
    /// # Errors
    /// Values that are not acceptable, and `NoWorkerModSelected` if nothing is to be changed.
    pub(crate) async fn modify_worker_as_operator(
        &self,
        id: WorkerId,
        input: ModifyWorkerInput,
    ) -> Result<ModifyWorker> {
        let worker = self.workers.get(id).ok_or_else(unknown_worker)?;
        let owner = worker.lock().owner;
        self.change_worker(None, id, owner, &input).await
    }

    /// Makes the changes that somebody wants, or, without a caller, an operator.
    async fn change_worker(
        &self,
        caller: Option<&Caller>,
        id: WorkerId,
        owner: UserId,
        input: &ModifyWorkerInput,
    ) -> Result<ModifyWorker> {
        let check_owner = |otherwise| caller.map_or(Ok(()), |caller| check_owner(caller, owner, otherwise));
        let check_known = || caller.map_or(Ok(()), check_known);
        let mut changed = ModifyWorker::default();
        if let Some(maintenance) = input.maintenance {
            check_owner(ReturnCode::NotOwner)?;
            self.set_maintenance(id, maintenance, input.maintenance_msg.as_deref())
                .await?;
            changed.maintenance = Some(maintenance);
        }
        if let Some(info) = &input.info {
            check_owner(ReturnCode::NotOwner)?;
            check_known()?;
            changed.info = Some(self.set_info(id, info).await?);
        }
        if let Some(paused) = input.paused {
            if caller.is_some_and(|caller| !caller.has(Role::Moderator)) {
                let message = "Only moderators may pause workers.";
                return Err(EngineError::refused(ReturnCode::NotModerator, message));
            }
            self.set_paused(id, paused).await?;
            changed.paused = Some(paused);
        }
        if let Some(name) = &input.name {
            check_owner(ReturnCode::NotModerator)?;
            check_known()?;
            changed.name = Some(self.rename_worker(id, name).await?);
        }
        if let Some(team) = &input.team {
            check_owner(ReturnCode::NotModerator)?;
            check_known()?;
            changed.team = Some(self.join_team(id, team).await?);
        }
        if changed == ModifyWorker::default() {
            let message = "Nothing was selected to be changed.";
            return Err(EngineError::refused(ReturnCode::NoWorkerModSelected, message));
        }
        Ok(changed)
    }

    /// Puts a worker into maintenance mode, or ends that.
    ///
    /// # Errors
    /// The database failed; nothing has changed.
    pub(crate) async fn set_maintenance(&self, id: WorkerId, on: bool, message: Option<&str>) -> Result<()> {
        let message = message
            .filter(|message| on && !message.is_empty())
            .map(|message| names::truncate(&names::clean(message), MESSAGE_LIMIT).into_owned());
        let changes = WorkerChanges {
            maintenance: Some(on),
            maintenance_message: Some(message),
            ..WorkerChanges::default()
        };
        self.set_worker(id, changes).await?;
        Ok(())
    }

    /// Gives a worker no real jobs, or does again.
    ///
    /// # Errors
    /// The database failed; nothing has changed.
    pub(crate) async fn set_paused(&self, id: WorkerId, paused: bool) -> Result<()> {
        let changes = WorkerChanges {
            paused: Some(paused),
            ..WorkerChanges::default()
        };
        self.set_worker(id, changes).await?;
        Ok(())
    }

    async fn set_info(&self, id: WorkerId, info: &str) -> Result<String> {
        if is_profane(info) {
            let message = "What is said about a worker cannot contain profanity.";
            return Err(EngineError::refused(ReturnCode::ProfaneWorkerInfo, message));
        }
        let info = names::clean(info);
        let changes = WorkerChanges {
            info: Some((!info.is_empty()).then(|| info.clone())),
            ..WorkerChanges::default()
        };
        self.set_worker(id, changes).await?;
        Ok(info)
    }

    /// Gives a worker another name. The one that it has is fine, too.
    ///
    /// # Errors
    /// Names that no worker may have, `WorkerNameAlreadyExists`, or the database failed.
    pub(crate) async fn rename_worker(&self, id: WorkerId, name: &str) -> Result<String> {
        if self.workers.name(id).is_some_and(|current| current == name) {
            return Ok(name.to_owned());
        }
        let name = names::clean(name);
        check_words(&name)?;
        let changes = WorkerChanges {
            name: Some(name.clone()),
            ..WorkerChanges::default()
        };
        match self.set_worker(id, changes).await {
            Ok(_) => Ok(name),
            Err(EngineError::Journal(JournalError::NameTaken(_))) => {
                let message = "Another worker has this name.";
                Err(EngineError::refused(ReturnCode::WorkerNameAlreadyExists, message))
            }
            Err(error) => Err(error),
        }
    }

    /// Lets a worker join a team, or leave its team. Answers the team's name.
    async fn join_team(&self, id: WorkerId, team: &str) -> Result<String> {
        let team = if team.is_empty() {
            None
        } else {
            let id = team.parse().map_err(|_| unknown_team())?;
            Some(self.store.team(id).await?.ok_or_else(unknown_team)?)
        };
        let changes = WorkerChanges {
            team: Some(team.as_ref().map(|team| team.id)),
            ..WorkerChanges::default()
        };
        self.set_worker(id, changes).await?;
        Ok(team.map_or_else(|| NO_TEAM.to_owned(), |team| team.name))
    }

    /// Deletes a worker. What its owner has earned stays, and jobs that it has in progress go back to the queue when
    /// their time is over.
    ///
    /// # Errors
    /// `WorkerNotFound`, `InvalidAPIKey`, `NotModerator`, `AnonForbiddenWorker`.
    pub async fn delete_worker(&self, call: &Call, id: &str) -> Result<DeletedWorker> {
        let (id, owner, name) = {
            let worker = self.find_worker(id)?;
            let worker = worker.lock();
            (worker.id, worker.owner, worker.name.clone())
        };
        let caller = self.known_caller(call).await?;
        check_owner(&caller, owner, ReturnCode::NotModerator)?;
        check_known(&caller)?;
        self.remove_worker(id).await?;
        Ok(DeletedWorker {
            deleted_id: id,
            deleted_name: name,
        })
    }

    /// Deletes a worker, whoever asks.
    ///
    /// # Errors
    /// The database failed; nothing has changed.
    pub(crate) async fn remove_worker(&self, id: WorkerId) -> Result<()> {
        self.store.journal().delete_worker(id).await?;
        self.workers.remove(id);
        self.messages.forget_worker(id);
        tracing::info!(worker = %id, "a worker was deleted");
        Ok(())
    }
}

/// Whether somebody may change a worker: its owner and moderators may.
fn check_owner(caller: &Caller, owner: UserId, otherwise: ReturnCode) -> Result<()> {
    if caller.id() == owner || caller.has(Role::Moderator) {
        return Ok(());
    }
    let message = "Only its owner and moderators may change a worker.";
    Err(EngineError::refused(otherwise, message))
}

fn check_known(caller: &Caller) -> Result<()> {
    if caller.id().is_anonymous() {
        let message = "The anonymous account has no workers.";
        return Err(EngineError::refused(ReturnCode::AnonForbiddenWorker, message));
    }
    Ok(())
}
