//! `POST generate/pop`: many at the same time.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Answer, TestServer, changed, plain_request, worker};

/// A server, the key of a worker's owner, and a request for some pictures.
async fn with_request(n: u32) -> (Arc<TestServer>, String, String) {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.user("client", 1000).await,
    );
    let body = changed(plain_request(), json!({"params": {"n": n}}));
    let request = server.request(&client.api_key, &body).await;
    (Arc::new(server), owner.api_key, request)
}

/// The answers to pops that are sent at the same time.
async fn pop_at_once(server: &Arc<TestServer>, key: &str, pops: Vec<Value>) -> Vec<Answer> {
    let mut calls = JoinSet::new();
    for pop in pops {
        let (server, key) = (Arc::clone(server), key.to_owned());
        calls.spawn(async move { server.pop(&key, &pop).await });
    }
    calls.join_all().await
}

/// The jobs that are handed out in some answers; none twice.
fn jobs(answers: &[Answer]) -> BTreeSet<String> {
    let mut jobs = BTreeSet::new();
    for answer in answers {
        for id in answer.ok(200)["ids"].as_array().unwrap() {
            let id = id.as_str().unwrap().to_owned();
            assert!(jobs.insert(id.clone()), "{id} was handed out twice");
        }
    }
    jobs
}

/// How many pictures of a request wait and are in progress.
async fn counts(server: &TestServer, request: &str) -> (u64, u64) {
    let progress = server
        .get(&format!("/api/v2/generate/check/{request}"))
        .await
        .ok(200);
    let count = |name: &str| progress[name].as_u64().unwrap();
    (count("waiting"), count("processing"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_picture_is_handed_out_once() {
    let (server, owner, request) = with_request(20).await;
    let pops = (0..64)
        .map(|number| {
            let name = format!("Keeper {}", number % 16);
            changed(worker(&name), json!({"amount": number % 3 + 1}))
        })
        .collect();
    let answers = pop_at_once(&server, &owner, pops).await;
    assert_eq!(jobs(&answers).len(), 20);
    assert_eq!(counts(&server, &request).await, (0, 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_handed_out_while_it_is_cancelled_is_in_progress() {
    let (server, owner, request) = with_request(20).await;
    let pops = vec![worker("Keeper"); 32];
    let path = format!("/api/v2/generate/status/{request}");
    let (answers, cancelled) = tokio::join!(pop_at_once(&server, &owner, pops), server.delete(&path));
    cancelled.ok(200);
    let handed_out = jobs(&answers);
    assert_eq!(counts(&server, &request).await, (0, handed_out.len() as u64));
    for job in handed_out {
        server.deliver(&owner, &job).await.ok(200);
    }
    assert_eq!(server.get(&path).await.ok(200)["done"], true);
    let later = pop_at_once(&server, &owner, vec![worker("Keeper")]).await;
    assert!(jobs(&later).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_worker_that_begins_with_several_pops_is_made_once() {
    let (server, owner, _) = with_request(5).await;
    let answers = pop_at_once(&server, &owner, vec![worker("Keeper"); 16]).await;
    assert_eq!(jobs(&answers).len(), 5);
    let owner = server.get_as("/api/v2/find_user", &owner).await.ok(200);
    assert_eq!(owner["worker_count"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn asking_for_all_workers_at_once_gets_no_more_of_them() {
    let server = Arc::new(TestServer::start().await);
    let owner = server.user("owner", 0).await.api_key;
    let pops = (0..16)
        .map(|number| worker(&format!("Worker {number}")))
        .collect();
    let mut made = 0;
    for answer in pop_at_once(&server, &owner, pops).await {
        if answer.status == 200 {
            made += 1;
        } else {
            answer.refused(403, "TooManyWorkers");
        }
    }
    assert_eq!(made, 4);
    let owner = server.get_as("/api/v2/find_user", &owner).await.ok(200);
    assert_eq!(owner["worker_count"], 4);
}
