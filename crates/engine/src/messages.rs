//! Messages to workers (spec: accounts, section 13): from moderators to one or all of them, from owners to their own.
//! They are delivered with every pop, so those that have not expired are in memory.

use std::{collections::HashMap, time::Duration};

use muster_protocol::{
    ReturnCode, SimpleResponse, Timestamp, UserId, WorkerId, WorkerMessageDetails, WorkerMessageInput,
    image::Message,
};
use muster_store::{MessageFilter, Page, Role, Validity, WorkerMessage};
use parking_lot::RwLock;
use uuid::Uuid;

use crate::{
    Call, Engine, EngineError,
    error::Result,
    names,
    requests::{has_nul, nul_refusal},
};

/// In whose name moderators write, unless they say otherwise.
const MODERATORS: &str = "AI Horde Moderators";
/// How many hours a message is delivered, unless its author says otherwise.
const HOURS: u32 = 12;
/// Messages on a page of the list, and those that are read at once at start.
const PAGE: u64 = 50;
const READ_AT_ONCE: u64 = 500;

/// The messages that are delivered.
#[derive(Debug, Default)]
pub(crate) struct Messages(RwLock<Delivered>);

#[derive(Debug, Default)]
struct Delivered {
    to_all: Vec<WorkerMessage>,
    to_one: HashMap<WorkerId, Vec<WorkerMessage>>,
}

/// Which messages somebody wants to see.
#[derive(Clone, Debug, Default)]
pub struct MessageQuery {
    /// Those of this author.
    pub user_id: Option<String>,
    /// Those to this worker.
    pub worker_id: Option<String>,
    /// `active` (as if absent), `expired` or `all`.
    pub validity: Option<String>,
    /// From one.
    pub page: i64,
}

impl Messages {
    fn insert(&self, message: WorkerMessage) {
        let mut delivered = self.0.write();
        match message.worker {
            None => delivered.to_all.push(message),
            Some(worker) => delivered.to_one.entry(worker).or_default().push(message),
        }
    }

    fn remove(&self, id: Uuid) {
        self.retain(|message| message.id != id);
    }

    fn retain(&self, keep: impl Fn(&WorkerMessage) -> bool) {
        let mut delivered = self.0.write();
        delivered.to_all.retain(&keep);
        delivered.to_one.retain(|_, messages| {
            messages.retain(&keep);
            !messages.is_empty()
        });
    }

    /// Forgets what nobody will be told any more.
    pub(crate) fn forget_worker(&self, worker: WorkerId) {
        self.0.write().to_one.remove(&worker);
    }

    /// Forgets what has expired.
    pub(crate) fn forget_expired(&self, now: Timestamp) {
        self.retain(|message| message.expiry > now);
    }

    /// What a worker is told with a pop: first what is for it alone.
    pub(crate) fn for_pop(&self, worker: WorkerId, now: Timestamp) -> Vec<Message> {
        let delivered = self.0.read();
        let own = delivered.to_one.get(&worker).into_iter().flatten();
        own.chain(&delivered.to_all)
            .filter(|message| message.expiry > now)
            .map(|message| Message {
                id: message.id.to_string(),
                message: message.message.clone(),
                origin: Some(message.origin.clone()),
                expiry: message.expiry.to_rfc822(),
            })
            .collect()
    }

    /// What a worker alone is told, as it is shown with the worker.
    pub(crate) fn to_worker(&self, worker: WorkerId, now: Timestamp) -> Vec<WorkerMessageDetails> {
        let delivered = self.0.read();
        let own = delivered.to_one.get(&worker).into_iter().flatten();
        own.filter(|message| message.expiry > now)
            .map(|message| WorkerMessageDetails {
                id: None,
                ..details(message)
            })
            .collect()
    }
}

fn details(message: &WorkerMessage) -> WorkerMessageDetails {
    WorkerMessageDetails {
        id: Some(message.id),
        worker_id: message.worker,
        user_id: message.author.to_string(),
        message: message.message.clone(),
        origin: message.origin.clone(),
        expiry: message.expiry.to_rfc822(),
        created: message.created.to_rfc822(),
    }
}

impl Engine {
    /// Takes up the messages that are still delivered.
    pub(crate) async fn read_messages(&self) -> Result<()> {
        let filter = MessageFilter {
            author: None,
            worker: None,
            validity: Validity::Active(self.clock.now()),
        };
        for number in 1.. {
            let page = Page::numbered(number, READ_AT_ONCE);
            let messages = self.store.worker_messages(filter, page).await?;
            if messages.is_empty() {
                break;
            }
            for message in messages {
                self.messages.insert(message);
            }
        }
        Ok(())
    }

    /// Messages as moderators and authors see them.
    ///
    /// # Errors
    /// No or an unknown key, `Forbidden` for those of others, `BadRequest` for what cannot be asked for.
    pub async fn worker_messages(
        &self,
        call: &Call,
        query: &MessageQuery,
    ) -> Result<Vec<WorkerMessageDetails>> {
        let caller = self.identify(call).await?;
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let mut author = match given(&query.user_id) {
            None => None,
            Some(user) => {
                let number = user.parse().ok().map(UserId);
                Some(number.ok_or_else(|| malformed("user_id"))?)
            }
        };
        if !caller.has(Role::Moderator) {
            if author.is_some_and(|author| author != caller.id()) {
                let message = "Only moderators see the messages of others.";
                return Err(EngineError::refused(ReturnCode::Forbidden, message));
            }
            author = Some(caller.id());
        }
        let worker = match given(&query.worker_id) {
            None => None,
            Some(worker) => Some(worker.parse().map_err(|_| malformed("worker_id"))?),
        };
        let now = self.clock.now();
        let validity = match query.validity.as_deref() {
            None | Some("" | "active") => Validity::Active(now),
            Some("expired") => Validity::Expired(now),
            Some("all") => Validity::All,
            Some(_) => return Err(malformed("validity")),
        };
        let filter = MessageFilter {
            author,
            worker,
            validity,
        };
        let page = Page::numbered(query.page, PAGE);
        let messages = self.store.worker_messages(filter, page).await?;
        Ok(messages.iter().map(details).collect())
    }

    /// Writes a message to a worker, or, by a moderator, to all.
    ///
    /// # Errors
    /// No or an unknown key, `AnonForbidden`, `WorkerNotFound`, `MessagesOnlyOwnWorkers`.
    pub async fn post_worker_message(
        &self,
        call: &Call,
        input: WorkerMessageInput,
    ) -> Result<WorkerMessageDetails> {
        let caller = self.identify(call).await?;
        if caller.id().is_anonymous() {
            let message = "The anonymous account cannot write messages.";
            return Err(EngineError::refused(ReturnCode::AnonForbidden, message));
        }
        if has_nul(&input.message) || input.origin.as_deref().is_some_and(has_nul) {
            return Err(nul_refusal());
        }
        let worker = match &input.worker_id {
            None => None,
            Some(id) => {
                let worker = self.find_worker(id)?;
                let worker = worker.lock();
                Some((worker.id, worker.owner))
            }
        };
        let moderator = caller.has(Role::Moderator);
        if !moderator && worker.is_none_or(|(_, owner)| owner != caller.id()) {
            let message = "You can only write to your own workers.";
            return Err(EngineError::refused(ReturnCode::MessagesOnlyOwnWorkers, message));
        }
        let origin = if moderator {
            input.origin.unwrap_or_else(|| MODERATORS.to_owned())
        } else {
            caller.id().to_string()
        };
        let now = self.clock.now();
        let hours = u64::from(input.expiry.unwrap_or(HOURS));
        let message = WorkerMessage {
            id: Uuid::from_u128(self.random()),
            worker: worker.map(|(id, _)| id),
            author: caller.id(),
            message: input.message,
            origin,
            created: now,
            expiry: now + Duration::from_hours(hours),
        };
        self.store.journal().post_worker_message(message.clone()).await?;
        self.messages.insert(message.clone());
        Ok(details(&message))
    }

    /// A message by its id, expired or not.
    ///
    /// # Errors
    /// `WorkermessageNotFound`.
    pub async fn worker_message(&self, id: &str) -> Result<WorkerMessageDetails> {
        Ok(details(&self.find_message(id).await?))
    }

    /// Deletes a message.
    ///
    /// # Errors
    /// No or an unknown key, `WorkermessageNotFound`, `Forbidden` for those of others.
    pub async fn delete_worker_message(&self, call: &Call, id: &str) -> Result<SimpleResponse> {
        let caller = self.identify(call).await?;
        let message = self.find_message(id).await?;
        if !caller.has(Role::Moderator) && caller.id() != message.author {
            let message = "Only moderators and its author may delete a message.";
            return Err(EngineError::refused(ReturnCode::Forbidden, message));
        }
        self.store.journal().delete_worker_message(message.id).await?;
        self.messages.remove(message.id);
        Ok(SimpleResponse::ok())
    }

    async fn find_message(&self, id: &str) -> Result<WorkerMessage> {
        let unknown = || {
            let message = format!("There is no message with the id {}.", names::truncate(id, 64));
            EngineError::refused(ReturnCode::WorkerMessageNotFound, message)
        };
        let id: Uuid = id.parse().map_err(|_| unknown())?;
        self.store.worker_message(id).await?.ok_or_else(unknown)
    }
}

fn malformed(name: &str) -> EngineError {
    let message = format!("{name} has a value that cannot be asked for.");
    EngineError::refused(ReturnCode::BadRequest, message)
}
