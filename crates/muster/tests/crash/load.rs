//! Clients that ask for pictures and make them until the server is gone.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use muster_protocol::{
    JobId, RequestId,
    image::{PopInput, RequestInput, SubmitInput},
};
use muster_worker::client::{ApiClient, ClientError, Options};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::{
    CLIENTS, Horde, OWNERS, PICTURES, REQUESTERS,
    notes::{Asked, Given, Notes, Stage},
    process::Running,
};

/// Lets the clients work until they have had so many answers and a little longer, then kills the
/// server in the middle of it.
pub(crate) async fn until_killed(
    server: &mut Running,
    horde: &Horde,
    notes: Notes,
    round: usize,
    (count, delay): (usize, Duration),
) -> Notes {
    let notes = Arc::new(Mutex::new(notes));
    let (answers, mut answered) = unbounded_channel();
    let killed = Arc::new(AtomicBool::new(false));
    let anyone = ApiClient::new(&Options::new(server.url())).unwrap();
    let clients = (0..CLIENTS).map(|number| {
        let (requester, owner) = (number % REQUESTERS, number % OWNERS);
        let client = Client {
            requester,
            owner,
            round,
            asking: anyone.with_key(&horde.requesters[requester].key).unwrap(),
            working: anyone.with_key(&horde.owners[owner].key).unwrap(),
            worker: worker(number),
            notes: Arc::clone(&notes),
            answers: answers.clone(),
            killed: Arc::clone(&killed),
        };
        tokio::spawn(client.run())
    });
    let clients: Vec<_> = clients.collect();
    drop(answers);
    for _ in 0..count {
        if answered.recv().await.is_none() {
            break; // They all failed; why is said below.
        }
    }
    tokio::time::sleep(delay).await;
    killed.store(true, Ordering::SeqCst);
    server.kill();
    for client in clients {
        client.await.unwrap();
    }
    Arc::into_inner(notes).unwrap().into_inner().unwrap()
}

/// One that asks for pictures and also makes some, not necessarily its own.
struct Client {
    requester: usize,
    owner: usize,
    round: usize,
    asking: ApiClient,
    working: ApiClient,
    worker: PopInput,
    notes: Arc<Mutex<Notes>>,
    answers: UnboundedSender<()>,
    killed: Arc<AtomicBool>,
}

/// There was no answer, because the server was killed.
struct Killed;

impl Client {
    async fn run(self) {
        while self.turn().await.is_ok() {}
    }

    async fn turn(&self) -> Result<(), Killed> {
        let request = self.ask().await?;
        for job in self.pop().await? {
            self.submit(job).await?;
        }
        let status = self.answer(self.asking.status(request).await)?;
        assert_eq!(status.progress.restarted, 0);
        Ok(())
    }

    async fn ask(&self) -> Result<RequestId, Killed> {
        let number = {
            let mut notes = self.notes();
            notes.requests.push(Asked {
                requester: self.requester,
                id: None,
            });
            notes.requests.len() - 1
        };
        let accepted = self.answer(self.asking.request_image(&request(number)).await)?;
        let id = accepted.id.unwrap();
        self.notes().requests[number].id = Some(id);
        Ok(id)
    }

    async fn pop(&self) -> Result<Vec<JobId>, Killed> {
        let popped = self.answer(self.working.pop(&self.worker).await)?;
        let Some(prompt) = popped.payload.prompt else {
            return Ok(Vec::new());
        };
        let asked = number_in(&prompt);
        let mut notes = self.notes();
        for &id in &popped.ids {
            let given = Given {
                asked,
                owner: self.owner,
                round: self.round,
                stage: Stage::Popped,
            };
            assert!(
                notes.jobs.insert(id, given).is_none(),
                "{id} was handed out twice"
            );
        }
        Ok(popped.ids)
    }

    async fn submit(&self, job: JobId) -> Result<(), Killed> {
        let note = |stage| self.notes().jobs.get_mut(&job).unwrap().stage = stage;
        note(Stage::Sent);
        let submitted = self.answer(self.working.submit(&result(job)).await)?;
        note(Stage::Delivered(Some(submitted.reward)));
        Ok(())
    }

    /// Held for one note.
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap()
    }

    /// Counts an answer. Nothing but the kill may keep the server from giving a good one.
    fn answer<T>(&self, result: Result<T, ClientError>) -> Result<T, Killed> {
        match result {
            Ok(answer) => {
                let _ = self.answers.send(());
                Ok(answer)
            }
            Err(ClientError::Transport { .. }) if self.killed.load(Ordering::SeqCst) => Err(Killed),
            Err(error) => panic!("{error}"),
        }
    }
}

fn request(number: usize) -> RequestInput {
    let request = json!({
        "prompt": format!("picture {number}"),
        "models": ["stable_diffusion"],
        // So small that a worker that delivers at once is not too fast to be true.
        "params": {"width": 64, "height": 64, "steps": 1, "n": PICTURES},
        "nsfw": false,
    });
    serde_json::from_value(request).unwrap()
}

pub(crate) fn number_in(prompt: &str) -> usize {
    prompt.strip_prefix("picture ").unwrap().parse().unwrap()
}

fn worker(number: usize) -> PopInput {
    let worker = json!({
        "name": format!("worker {number}"),
        "models": ["stable_diffusion"],
        "bridge_agent": "AI Horde Worker reGen:13.0.0:https://example.org",
        "amount": PICTURES,
        "max_pixels": 4_194_304,
    });
    serde_json::from_value(worker).unwrap()
}

pub(crate) fn result(job: JobId) -> SubmitInput {
    let result = json!({"id": job, "generation": picture(job), "seed": 42});
    serde_json::from_value(result).unwrap()
}

/// A WebP picture of one pixel that no other job has: its id follows in a chunk that readers skip.
pub(crate) fn picture(job: JobId) -> String {
    let mut bytes = STANDARD
        .decode("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
        .unwrap();
    let id = job.to_string();
    bytes.extend(b"note");
    bytes.extend((id.len() as u32).to_le_bytes());
    bytes.extend(id.as_bytes());
    let size = (bytes.len() - 8) as u32;
    bytes[4..8].copy_from_slice(&size.to_le_bytes());
    STANDARD.encode(bytes)
}
