//! Somebody to whom webhooks are sent.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use serde_json::Value;
use tokio::{net::TcpListener, sync::Notify};

/// Somebody who takes notice of results.
#[derive(Clone, Default)]
pub(crate) struct Receiver(Arc<Mutex<Notes>>, Arc<Notify>);

#[derive(Default)]
struct Notes {
    bodies: Vec<Value>,
    /// What is answered; 200 if there is nothing.
    answers: Vec<u16>,
}

impl Receiver {
    /// Starts to listen; answers with these statuses first, last one first. Tells the address.
    pub(crate) async fn listen(answers: &[u16]) -> (Self, String) {
        let receiver = Self::default();
        receiver.0.lock().unwrap().answers = answers.to_vec();
        let router = Router::new()
            .route("/results", post(Self::take))
            .with_state(receiver.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/results", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (receiver, url)
    }

    #[allow(clippy::unused_async)] // handlers are
    async fn take(State(receiver): State<Self>, Json(body): Json<Value>) -> StatusCode {
        let mut notes = receiver.0.lock().unwrap();
        notes.bodies.push(body);
        receiver.1.notify_one();
        StatusCode::from_u16(notes.answers.pop().unwrap_or(200)).unwrap()
    }

    /// The first note, once it has come.
    pub(crate) async fn first(&self) -> Value {
        self.wait_for(1).await.swap_remove(0)
    }

    /// All notes, once there are so many.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Value> {
        loop {
            let bodies = self.bodies();
            if bodies.len() >= count {
                return bodies;
            }
            self.1.notified().await;
        }
    }

    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.0.lock().unwrap().bodies.clone()
    }
}
