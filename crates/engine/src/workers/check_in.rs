//! What happens first in every pop: the worker is found or made, and says what it can do.

use muster_protocol::{ReturnCode, WorkKind, WorkerId, image::PopInput};
use muster_store::{NewWorker, Role, WorkerCheckIn, WorkerRegistration};
use uuid::Uuid;

use super::{
    registry::{SharedWorker, Worker},
    settings::{Derived, WorkerSettings},
};
use crate::{Call, Engine, EngineError, accounts::Caller, error::Result, profanity::is_profane, text};

/// The longest worker name and bridge agent, in characters.
const NAME_LIMIT: usize = 100;
/// Words that betray machines whose terms forbid what workers do.
const REFUSED_NAMES: [&str; 3] = ["colab", "tpu", "google"];
/// Workers that an account may own before it is trusted, and after.
const WORKER_LIMITS: (usize, usize) = (3, 20);

impl Engine {
    /// Finds the caller's worker, or makes it, and takes in what it says about itself.
    ///
    /// # Errors
    /// In this order: the account may not run workers; the name belongs to another kind of worker;
    /// a new worker may not be made; the name belongs to somebody else; no model is known.
    pub(crate) async fn check_in(
        &self,
        call: &Call,
        caller: &Caller,
        input: &PopInput,
    ) -> Result<SharedWorker> {
        check_owner(caller)?;
        let name = text::clean(input.name.as_deref().unwrap_or_default());
        let worker = match self.workers.by_name(&name) {
            Some(worker) => worker,
            None => self.make_worker(call, caller, input, name).await?,
        };
        if worker.lock().kind != WorkKind::Image {
            let message = "A worker of another kind has this name.";
            return Err(EngineError::refused(ReturnCode::PolymorphicNameConflict, message));
        }
        if worker.lock().owner != caller.id() {
            let message = "Wrong credentials to submit as this worker: its name belongs to another account.";
            return Err(EngineError::refused(ReturnCode::WrongCredentials, message));
        }
        let settings = WorkerSettings::of(input, caller, &self.models())?;
        self.update_worker(&worker, call, caller, input, settings);
        Ok(worker)
    }

    /// Makes a worker, which exists from then on even if it never pops again; or finds the one that
    /// another first pop made in the meantime.
    async fn make_worker(
        &self,
        call: &Call,
        caller: &Caller,
        input: &PopInput,
        name: String,
    ) -> Result<SharedWorker> {
        // One at a time: so a worker that begins with several pops at once is made once, and nobody gets
        // more workers by asking for all of them at once.
        let _turn = self.workers.registration.lock().await;
        if let Some(worker) = self.workers.by_name(&name) {
            return Ok(worker);
        }
        check_name(&name, &input.bridge_agent)?;
        self.check_worker_count(call, caller)?;
        // What is wrong with its models is told when it checks in; the worker exists all the same.
        let settings = WorkerSettings::of(input, caller, &self.models())
            .unwrap_or_else(|_| WorkerSettings::without_models(input));
        let state = WorkerCheckIn {
            worker: WorkerId(Uuid::from_u128(self.random())),
            at: self.clock.now(),
            ip: Some(call.address.to_string()),
            bridge_agent: text::clean(&input.bridge_agent),
            threads: input.threads as i32,
            max_power: settings.max_power(),
            extra_slow: settings.extra_slow_worker,
            allow_unsafe_ip: settings.allow_unsafe_ipaddr,
            speed: None,
            uptime: 0,
            last_reward_uptime: 0,
            aborted_jobs: 0,
            last_aborted_job: None,
            settings: serde_json::to_value(&settings).expect("settings are plain data"),
        };
        let worker = NewWorker {
            kind: WorkKind::Image,
            owner: caller.id(),
            name: name.clone(),
            state,
        };
        match self.store.journal().register_worker(worker).await? {
            WorkerRegistration::Registered(stored) => {
                Ok(self.workers.insert(Worker::from_stored(*stored, &self.models())))
            }
            // Another node made it.
            WorkerRegistration::NameTaken { .. } => {
                let message = "Another worker is being made with this name; try again.";
                Err(EngineError::refused(ReturnCode::WrongCredentials, message))
            }
        }
    }

    /// How many workers an account may own, in all and at one address.
    fn check_worker_count(&self, call: &Call, caller: &Caller) -> Result<()> {
        let owned = self.workers.owned_by(caller.id());
        let (untrusted, trusted) = WORKER_LIMITS;
        let invited = caller.account().worker_invited.max(0) as usize;
        if self.config.invite_only && owned.len() >= invited {
            let message = "This horde takes new workers by invitation only.";
            return Err(EngineError::refused(ReturnCode::WorkerInviteOnly, message));
        }
        if !caller.is_trusted() && owned.len() > untrusted {
            let message = "To avoid abuse, untrusted users can only have 3 distinct workers.";
            return Err(EngineError::refused(ReturnCode::TooManyWorkers, message));
        }
        if owned.len() > trusted.max(invited) {
            let message = "Ask the operators of the horde before you onboard more than 20 workers.";
            return Err(EngineError::refused(ReturnCode::TooManyWorkersTrusted, message));
        }
        let address = call.address.to_string();
        let here = owned
            .iter()
            .filter_map(|id| self.workers.get(*id))
            .filter(|worker| worker.lock().address.as_deref() == Some(&address))
            .count();
        let limit = if caller.is_trusted() { trusted } else { untrusted };
        if here > limit.max(invited) {
            let message = "You run too many workers from this address.";
            return Err(EngineError::refused(ReturnCode::TooManySameIps, message));
        }
        Ok(())
    }

    /// Takes in what the worker says about itself, and counts the time it was online.
    ///
    /// The reference server ignores what changed within 30 seconds of the last check-in; there is no
    /// reason for that in memory, so every pop counts.
    fn update_worker(
        &self,
        worker: &SharedWorker,
        call: &Call,
        caller: &Caller,
        input: &PopInput,
        settings: WorkerSettings,
    ) {
        let now = self.clock.now();
        let mut worker = worker.lock();
        let was_online = worker.is_online(now);
        let bridge_agent = text::clean(&input.bridge_agent);
        let changed = worker.settings != settings || worker.bridge_agent != bridge_agent;
        if changed {
            worker.derived = Derived::of(&settings, &bridge_agent, &self.models());
            worker.settings = settings;
            worker.bridge_agent = bridge_agent;
        }
        if was_online && !worker.paused && !worker.maintenance {
            let online = now.since(worker.last_check_in);
            worker.uptime += online;
        } else {
            worker.last_reward_uptime = worker.uptime;
        }
        worker.owner_trusted = caller.is_trusted();
        worker.threads = input.threads;
        worker.address = Some(call.address.to_string());
        worker.last_check_in = now;
        worker.dirty = true;
        if changed || !was_online {
            self.workers.online.invalidate();
        }
    }
}

/// Who may run workers at all.
fn check_owner(caller: &Caller) -> Result<()> {
    if caller.has(Role::Flagged) {
        let message =
            "Your account has been flagged for suspicious activity: its workers are in maintenance mode.";
        return Err(EngineError::refused(
            ReturnCode::WorkerFlaggedMaintenance,
            message,
        ));
    }
    if caller.id().is_anonymous() {
        let message =
            "The anonymous account cannot run workers. Register an account: it takes a name, no more.";
        return Err(EngineError::refused(ReturnCode::AnonForbiddenWorker, message));
    }
    Ok(())
}

fn check_name(name: &str, bridge_agent: &str) -> Result<()> {
    if name.is_empty() {
        return Err(EngineError::refused(
            ReturnCode::BadRequest,
            "A worker needs a name.",
        ));
    }
    if name.chars().count() > NAME_LIMIT {
        let message = format!("A worker's name has at most {NAME_LIMIT} characters.");
        return Err(EngineError::refused(ReturnCode::TooLongWorkerName, message));
    }
    if is_profane(name) {
        let message = "A worker's name is shown to everybody and cannot contain profanity.";
        return Err(EngineError::refused(ReturnCode::ProfaneWorkerName, message));
    }
    if is_profane(bridge_agent) {
        let message = "The name of a worker's software cannot contain profanity.";
        return Err(EngineError::refused(ReturnCode::ProfaneBridgeAgent, message));
    }
    let lower = name.to_lowercase();
    if let Some(word) = REFUSED_NAMES.iter().find(|word| lower.contains(**word)) {
        let message = format!("A worker's name cannot contain \"{word}\".");
        return Err(EngineError::refused(ReturnCode::BadRequest, message));
    }
    Ok(())
}
