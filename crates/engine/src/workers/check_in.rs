//! What happens first in every pop: the worker is found or made, and says what it can do.

use std::sync::Arc;

use muster_dispatch::Pop;
use muster_protocol::{ReturnCode, Timestamp, UserId, WorkerId};
use muster_store::{NewWorker, Role, Suspicion, WorkerCheckIn, WorkerRegistration};
use uuid::Uuid;

use super::{
    registry::{SharedWorker, Worker},
    service::{Serving, to_stored},
    uptime::UptimeReward,
};
use crate::{
    Call, Engine, EngineError,
    accounts::Caller,
    error::Result,
    names,
    profanity::is_profane,
    work::{Names, Work},
};

/// The longest worker name and bridge agent, in characters.
const NAME_LIMIT: usize = 100;
/// Words that betray machines whose terms forbid what workers do.
const REFUSED_NAMES: [&str; 3] = ["colab", "tpu", "google"];
/// The largest pictures, in pixels, that a worker of an untrusted owner can announce and be believed.
const EXTREME_PIXELS: u64 = 3072 * 3072;
/// Workers that an account may own before it is trusted, and after.
const WORKER_LIMITS: (usize, usize) = (3, 20);

/// How a worker introduces itself when it pops.
pub(crate) struct Introduction<'a, W: Work> {
    pub(crate) name: &'a str,
    pub(crate) bridge_agent: &'a str,
    pub(crate) threads: u32,
    /// The users whom it serves first.
    pub(crate) priority_users: Vec<UserId>,
    pub(crate) settings: W::Settings,
    /// What is wrong with the settings. A new worker exists all the same, but gets nothing.
    pub(crate) flaw: Option<EngineError>,
}

/// A worker that is there and may work.
pub(crate) struct Present<W: Work> {
    pub(crate) worker: SharedWorker,
    pub(crate) id: WorkerId,
    owner: UserId,
    priority_users: Arc<[UserId]>,
    models: Names,
    pub(crate) offer: W::Offer,
}

impl<W: Work> Present<W> {
    /// The models or forms that the worker serves.
    pub(crate) fn models(&self) -> &[Arc<str>] {
        &self.models
    }

    /// The worker's question to the board.
    pub(crate) fn pop(&self, amount: u32, now: Timestamp) -> Pop<'_, W::Offer> {
        Pop {
            worker: self.id,
            owner: self.owner,
            models: &self.models,
            amount,
            priority_users: &self.priority_users,
            offer: &self.offer,
            now,
        }
    }
}

impl Engine {
    /// Finds the caller's worker, or makes it, and takes in what it says about itself.
    ///
    /// # Errors
    /// In this order: the account may not run workers; the name belongs to another kind of worker; the address is
    /// blocked or hides somebody; a new worker may not be made; the name belongs to somebody else; what it says has a flaw.
    pub(crate) async fn check_in<W: Work>(
        &self,
        call: &Call,
        caller: &Caller,
        introduction: Introduction<'_, W>,
    ) -> Result<Present<W>> {
        check_owner(caller)?;
        let name = names::clean(introduction.name);
        let known = self.workers.by_name(&name);
        if let Some(worker) = &known {
            check_kind::<W>(worker)?;
        }
        let safe = self.check_worker_address(call, caller).await?;
        let worker = match known {
            Some(worker) => worker,
            None => self.make_worker(call, caller, &introduction, name).await?,
        };
        check_kind::<W>(&worker)?;
        if worker.lock().owner != caller.id() {
            let message = "Wrong credentials to submit as this worker: its name belongs to another account.";
            return Err(EngineError::refused(ReturnCode::WrongCredentials, message));
        }
        if let Some(flaw) = introduction.flaw {
            return Err(flaw);
        }
        self.check_announced_size::<W>(&worker, caller, &introduction.settings)
            .await?;
        if !safe {
            self.hold_address_against(&worker).await?;
        }
        let (present, reward) = self
            .update_worker(&worker, call, caller, introduction)
            .ok_or(EngineError::Stopping)?;
        if let Some(reward) = reward {
            self.pay_uptime::<W>(caller, &worker, reward).await;
        }
        Ok(present)
    }

    /// Makes a worker, which exists from then on even if it never pops again; or finds the one that
    /// another first pop made in the meantime.
    async fn make_worker<W: Work>(
        &self,
        call: &Call,
        caller: &Caller,
        introduction: &Introduction<'_, W>,
        name: String,
    ) -> Result<SharedWorker> {
        // One at a time: so a worker that begins with several pops at once is made once, and nobody gets
        // more workers by asking for all of them at once.
        let _turn = self.workers.registration.lock().await;
        if let Some(worker) = self.workers.by_name(&name) {
            return Ok(worker);
        }
        check_name(&name, introduction.bridge_agent)?;
        self.check_worker_count(caller)?;
        let columns = W::columns(&introduction.settings);
        let state = WorkerCheckIn {
            worker: WorkerId(Uuid::from_u128(self.random())),
            at: self.clock.now(),
            ip: Some(call.address.to_string()),
            bridge_agent: names::clean(introduction.bridge_agent),
            threads: introduction.threads as i32,
            max_power: columns.max_power,
            extra_slow: columns.extra_slow,
            allow_unsafe_ip: columns.allow_unsafe_ip,
            speed: None,
            uptime: 0,
            last_reward_uptime: 0,
            aborted_jobs: 0,
            last_aborted_job: None,
            settings: to_stored::<W>(&introduction.settings),
        };
        let worker = NewWorker {
            kind: W::KIND,
            owner: caller.id(),
            name: name.clone(),
            state,
        };
        match self.store.journal().register_worker(worker).await? {
            WorkerRegistration::Registered(stored) => {
                Ok(self.workers.insert(Worker::from_stored(*stored, &self.facts())))
            }
            // Another node made it.
            WorkerRegistration::NameTaken { .. } => {
                let message = "Another worker is being made with this name; try again.";
                Err(EngineError::refused(ReturnCode::WrongCredentials, message))
            }
        }
    }

    /// Nobody makes pictures that large. Whoever announces it, and is not trusted, is remembered for it once.
    async fn check_announced_size<W: Work>(
        &self,
        worker: &SharedWorker,
        caller: &Caller,
        settings: &W::Settings,
    ) -> Result<()> {
        if caller.is_trusted() || W::announced_pixels(settings).is_none_or(|pixels| pixels <= EXTREME_PIXELS)
        {
            return Ok(());
        }
        let id = {
            let mut worker = worker.lock();
            if std::mem::replace(&mut worker.announced_extreme, true) {
                return Ok(());
            }
            worker.id
        };
        self.suspect(id, Suspicion::ExtremeMaxPixels).await
    }

    /// A worker works from an address that hides its owner. It is remembered for it once.
    async fn hold_address_against(&self, worker: &SharedWorker) -> Result<()> {
        let id = {
            let mut worker = worker.lock();
            if std::mem::replace(&mut worker.seen_hidden, true) {
                return Ok(());
            }
            worker.id
        };
        self.suspect(id, Suspicion::UnsafeIp).await
    }

    /// How many workers an account may own. (The reference server looks at those at one address, too, with the same
    /// limits, so that it never gets there.)
    fn check_worker_count(&self, caller: &Caller) -> Result<()> {
        let owned = self.workers.owned_by(caller.id());
        let (untrusted, trusted) = WORKER_LIMITS;
        let invited = caller.account().worker_invited.max(0) as usize;
        if self.modes.now().invite_only && owned.len() >= invited {
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
        Ok(())
    }

    /// Takes in what the worker says about itself, and counts the time it was online, for which it may have earned a
    /// reward.
    ///
    /// The reference server ignores what changed within 30 seconds of the last check-in; there is no
    /// reason for that in memory, so every pop counts.
    fn update_worker<W: Work>(
        &self,
        shared: &SharedWorker,
        call: &Call,
        caller: &Caller,
        introduction: Introduction<'_, W>,
    ) -> Option<(Present<W>, Option<UptimeReward>)> {
        let now = self.clock.now();
        let bridge_agent = names::clean(introduction.bridge_agent);
        let facts = self.facts();
        let mut worker = shared.lock();
        let was_online = worker.is_online(now);
        let rewarded_until = worker.last_reward_uptime;
        let reward = if worker.count_uptime(now) {
            let serving = W::serving(&worker.service)?;
            Some(W::uptime_reward(serving, &bridge_agent, &facts))
        } else {
            None
        };
        let same_agent = worker.bridge_agent == bridge_agent;
        let serving = W::serving_mut(&mut worker.service)?;
        let changed = serving.settings != introduction.settings || !same_agent;
        if changed {
            *serving = Serving::new(introduction.settings, &bridge_agent, &facts);
            worker.bridge_agent = bridge_agent;
        }
        worker.owner_trusted = caller.is_trusted();
        let other_users = *worker.priority_users != *introduction.priority_users;
        if other_users {
            worker.priority_users = introduction.priority_users.into();
        }
        worker.threads = introduction.threads;
        worker.address = Some(call.address.to_string());
        worker.last_check_in = now;
        worker.dirty = true;
        if changed || other_users || !was_online {
            self.workers.note_change();
        }
        let (offer, models) = worker.offer::<W>()?;
        let reward = reward.map(|amount| UptimeReward::of(amount, &worker, rewarded_until));
        let present = Present {
            worker: Arc::clone(shared),
            id: worker.id,
            owner: worker.owner,
            priority_users: Arc::clone(&worker.priority_users),
            models,
            offer,
        };
        Some((present, reward))
    }
}

/// A name belongs to one kind of worker.
fn check_kind<W: Work>(worker: &SharedWorker) -> Result<()> {
    if worker.lock().kind() == W::KIND {
        return Ok(());
    }
    let message = "A worker of another kind has this name.";
    Err(EngineError::refused(ReturnCode::PolymorphicNameConflict, message))
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

/// Whether a worker can have a name, new or not.
///
/// # Errors
/// `BadRequest` if nothing is left of it, `TooLongWorkerName`, `ProfaneWorkerName`.
pub(super) fn check_words(name: &str) -> Result<()> {
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
    Ok(())
}

fn check_name(name: &str, bridge_agent: &str) -> Result<()> {
    check_words(name)?;
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
