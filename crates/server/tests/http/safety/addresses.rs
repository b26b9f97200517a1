//! What the reputation service makes of addresses.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{Router, extract::Path, http::StatusCode, routing::get};
use muster_engine::{Supporter, WhenUnknown};
use muster_protocol::Kudos;
use muster_store::Role;
use tokio::net::TcpListener;

use super::{from, proxied};
use crate::support::{Answer, Setup, TestServer, number, worker};

const POP: &str = "/api/v2/generate/pop";

/// A service that answers what it is told to.
#[derive(Clone, Default)]
pub(super) struct Oracle(Arc<Mutex<Answers>>);

#[derive(Default)]
struct Answers {
    /// By address; `0.1` with 200 otherwise.
    special: HashMap<String, (u16, String)>,
    asked: Vec<String>,
}

impl Oracle {
    /// Starts to listen. Tells its address as the configuration has it.
    pub(super) async fn listen() -> (Self, String) {
        let oracle = Self::default();
        let answering = oracle.clone();
        let router = Router::new().route(
            "/check/{address}",
            get(move |Path(address): Path<String>| {
                let mut answers = answering.0.lock().unwrap();
                answers.asked.push(address.clone());
                let usual = || (200, "0.1".to_owned());
                let (status, text) = answers.special.get(&address).cloned().unwrap_or_else(usual);
                std::future::ready((StatusCode::from_u16(status).unwrap(), text))
            }),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/check/{{ipaddr}}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (oracle, url)
    }

    pub(super) fn say(&self, address: &str, status: u16, text: &str) {
        let mut answers = self.0.lock().unwrap();
        answers
            .special
            .insert(address.to_owned(), (status, text.to_owned()));
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }
}

pub(super) fn asking(url: String, when_unknown: WhenUnknown) -> Setup {
    Setup {
        reputation: Some((url, when_unknown)),
        ..proxied()
    }
}

async fn pop(server: &TestServer, address: &str, key: &str, name: &str) -> Answer {
    from(server, address, POP, key, &worker(name)).await
}

#[tokio::test]
async fn workers_behind_others_are_turned_away() {
    let (oracle, url) = Oracle::listen().await;
    oracle.say("8.8.8.8", 200, "0.93");
    let server = TestServer::with(asking(url, WhenUnknown::Refuse)).await;
    let owner = server.user("owner", 0).await;
    pop(&server, "8.8.4.4", &owner.api_key, "Rig").await.ok(200);
    pop(&server, "8.8.8.8", &owner.api_key, "Rig")
        .await
        .refused(403, "UnsafeIP");
    // Nothing is made for them.
    pop(&server, "8.8.8.8", &owner.api_key, "New")
        .await
        .refused(403, "UnsafeIP");
    assert!(
        server
            .engine
            .store()
            .worker_by_name("New")
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(oracle.asked(), ["8.8.4.4", "8.8.8.8"], "once each");

    // A verdict is used for six hours.
    oracle.say("8.8.8.8", 200, "0.5");
    server.advance(6 * 3600 - 1).await;
    pop(&server, "8.8.8.8", &owner.api_key, "Rig")
        .await
        .refused(403, "UnsafeIP");
    server.advance(1).await;
    pop(&server, "8.8.8.8", &owner.api_key, "Rig").await.ok(200);
    assert_eq!(oracle.asked(), ["8.8.8.8"]);
}

#[tokio::test]
async fn some_workers_may_be_anywhere_and_some_addresses_are_not_asked_about() {
    let (oracle, url) = Oracle::listen().await;
    for address in ["8.8.8.8", "9.9.9.9", "10.1.2.3"] {
        oracle.say(address, 200, "1");
    }
    let mut setup = asking(url.clone(), WhenUnknown::Refuse);
    let server = TestServer::with(asking(url, WhenUnknown::Refuse)).await;
    let (trusted, vpn) = (
        server.trusted("trusted", 0).await,
        server.user_with("vpn", Role::Vpn).await,
    );
    let (patron, other) = (server.user("patron", 0).await, server.user("other", 0).await);
    setup.engine.supporters = vec![Supporter {
        user: number(&patron),
        monthly_kudos: Kudos::ZERO,
        name: None,
        link: None,
    }];
    let server = server.restart(setup).await;
    for (user, name) in [(&trusted, "One"), (&vpn, "Two"), (&patron, "Three")] {
        pop(&server, "8.8.8.8", &user.api_key, name).await.ok(200);
    }
    pop(&server, "9.9.9.9", &other.api_key, "Exempt").await.ok(200);
    pop(&server, "10.1.2.3", &other.api_key, "Private").await.ok(200);
    assert!(oracle.asked().is_empty());
    pop(&server, "8.8.8.8", &other.api_key, "Four")
        .await
        .refused(403, "UnsafeIP");
}

#[tokio::test]
async fn without_a_verdict_it_is_the_operator_who_decides() {
    let (oracle, url) = Oracle::listen().await;
    oracle.say("8.8.8.8", 429, "");
    oracle.say("8.8.4.4", 200, "what?");
    oracle.say("1.1.1.1", 400, "-3");
    let server = TestServer::with(asking(url.clone(), WhenUnknown::Refuse)).await;
    let owner = server.user("owner", 0).await;
    for address in ["8.8.8.8", "8.8.4.4"] {
        let refused = pop(&server, address, &owner.api_key, "Rig").await;
        refused.refused(403, "TooManyNewIPs");
    }
    // A number with an error is no verdict, and no reason either.
    pop(&server, "1.1.1.1", &owner.api_key, "Rig").await.ok(200);
    // It is asked again after a while, not each time.
    oracle.say("8.8.8.8", 200, "0.2");
    pop(&server, "8.8.8.8", &owner.api_key, "Rig")
        .await
        .refused(403, "TooManyNewIPs");
    server.advance(10).await;
    pop(&server, "8.8.8.8", &owner.api_key, "Rig").await.ok(200);
    assert_eq!(oracle.asked(), ["8.8.8.8", "8.8.4.4", "1.1.1.1", "8.8.8.8"]);

    let server = server.restart(asking(url, WhenUnknown::Accept)).await;
    pop(&server, "8.8.4.4", &owner.api_key, "Rig").await.ok(200);
    // Nobody is there.
    let nowhere = "http://127.0.0.1:9/{ipaddr}".to_owned();
    let server = server.restart(asking(nowhere.clone(), WhenUnknown::Refuse)).await;
    pop(&server, "8.8.8.8", &owner.api_key, "Rig")
        .await
        .refused(403, "TooManyNewIPs");
    let server = server.restart(asking(nowhere, WhenUnknown::Accept)).await;
    pop(&server, "8.8.8.8", &owner.api_key, "Rig").await.ok(200);
}
