//! `POST generate/pop`: workers in maintenance, and paused ones.

use muster_protocol::{TestUser, WorkerId};
use muster_store::WorkerChanges;
use serde_json::{Value, json};

use crate::support::{Setup, TestServer, changed, plain_request, worker};

/// A horde in which `owner` has a worker, Keeper, that was changed by its owner or a moderator.
struct Horde {
    server: TestServer,
    owner: TestUser,
    client: TestUser,
    other: TestUser,
}

impl Horde {
    async fn with_worker(changes: WorkerChanges) -> Self {
        let server = TestServer::start().await;
        let (owner, other) = (
            server.trusted("owner", 100).await,
            server.trusted("other", 0).await,
        );
        let client = server.user("client", 1000).await;
        server.pop(&owner.api_key, &worker("Keeper")).await.ok(200);
        let ids = server.get_as("/api/v2/find_user", &owner.api_key).await.ok(200)["worker_ids"].clone();
        let id: WorkerId = ids[0].as_str().unwrap().parse().unwrap();
        server
            .engine
            .store()
            .journal()
            .set_worker(id, changes)
            .await
            .unwrap();
        let server = server.restart(Setup::default()).await;
        Self {
            server,
            owner,
            client,
            other,
        }
    }

    async fn with_paused_worker() -> Self {
        Self::with_worker(WorkerChanges {
            paused: Some(true),
            ..WorkerChanges::default()
        })
        .await
    }
}

fn maintenance(message: Option<&str>) -> WorkerChanges {
    WorkerChanges {
        maintenance: Some(true),
        maintenance_message: Some(message.map(str::to_owned)),
        ..WorkerChanges::default()
    }
}

async fn check(server: &TestServer, request: &str) -> Value {
    server
        .get(&format!("/api/v2/generate/check/{request}"))
        .await
        .ok(200)
}

async fn kudos(server: &TestServer, key: &str) -> Value {
    server.get_as("/api/v2/find_user", key).await.ok(200)["kudos"].clone()
}

#[tokio::test]
async fn a_worker_in_maintenance_is_told_so() {
    for (message, told) in [
        (
            None,
            "This worker has been put into maintenance mode by its owner.",
        ),
        (Some("Back on Monday"), "maintenance mode: Back on Monday"),
        (
            Some("Maintenance Mode until Monday"),
            "Maintenance Mode until Monday",
        ),
    ] {
        let Horde {
            server,
            owner,
            client,
            ..
        } = Horde::with_worker(maintenance(message)).await;
        server.request(&client.api_key, &plain_request()).await;
        assert_eq!(
            server
                .pop(&owner.api_key, &worker("Keeper"))
                .await
                .refused(403, "WorkerMaintenance"),
            told
        );
        // The others of the same owner are not.
        server.popped(&owner.api_key, "Another").await;
    }
}

#[tokio::test]
async fn in_maintenance_only_the_owners_requests_are_served() {
    let Horde {
        server,
        owner,
        client: friend,
        ..
    } = Horde::with_worker(maintenance(None)).await;
    server.request(&friend.api_key, &plain_request()).await;
    server
        .request(
            &owner.api_key,
            &changed(plain_request(), json!({"prompt": "my own"})),
        )
        .await;
    let pop = changed(worker("Keeper"), json!({"priority_usernames": [friend.alias]}));
    let popped = server.pop(&owner.api_key, &pop).await.ok(200);
    assert_eq!(popped["payload"]["prompt"], "my own");
    server
        .pop(&owner.api_key, &pop)
        .await
        .refused(403, "WorkerMaintenance");

    let job = popped["id"].as_str().unwrap();
    server.deliver(&owner.api_key, job).await.ok(200);
    // A second result is an error for all workers but those in maintenance.
    assert_eq!(
        server.deliver(&owner.api_key, job).await.ok(200),
        json!({"reward": 0.0})
    );
}

#[tokio::test]
async fn a_paused_worker_gets_a_decoy_that_nobody_notices() {
    let Horde {
        server,
        owner,
        client,
        other,
    } = Horde::with_paused_worker().await;
    let request = server.request(&client.api_key, &plain_request()).await;
    let before = check(&server, &request).await;
    let decoy = server.popped(&owner.api_key, "Keeper").await;
    assert_eq!(check(&server, &request).await, before);

    // It cannot be told from a real one.
    let real = server.popped(&other.api_key, "Another").await;
    let members = |job: &Value| -> Vec<String> { job.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(members(&decoy), members(&real));
    assert_eq!(
        (&decoy["payload"], &decoy["ttl"], &decoy["model"]),
        (&real["payload"], &real["ttl"], &real["model"])
    );
    assert_eq!(decoy["r2_uploads"].as_array().unwrap().len(), 1);
    let (decoy, real) = (decoy["id"].as_str().unwrap(), real["id"].as_str().unwrap());
    assert_ne!(decoy, real);
    assert_eq!(
        server.deliver(&owner.api_key, decoy).await.ok(200),
        json!({"reward": 5.76})
    );
    server
        .deliver(&owner.api_key, decoy)
        .await
        .refused(400, "DuplicateGen");

    // Nothing came of it: the tax alone is paid, and the other worker's result is the only one.
    assert_eq!(kudos(&server, &owner.api_key).await, 100.0);
    assert_eq!(kudos(&server, &client.api_key).await, 997.0);
    assert_eq!(check(&server, &request).await["finished"], 0);
    server.deliver(&other.api_key, real).await.ok(200);
    let status = server
        .get(&format!("/api/v2/generate/status/{request}"))
        .await
        .ok(200);
    assert_eq!((&status["finished"], &status["done"]), (&json!(1), &json!(true)));
    assert_eq!(status["generations"].as_array().unwrap().len(), 1);
    assert_eq!(status["generations"][0]["id"], real);
    assert!(server.engine.store().audit().await.unwrap().is_clean());
}

#[tokio::test]
async fn decoys_do_not_keep_a_request_alive() {
    let Horde {
        server,
        owner,
        client,
        ..
    } = Horde::with_paused_worker().await;
    let request = server.request(&client.api_key, &plain_request()).await;
    server.advance(10 * 60).await;
    let decoy = server.popped(&owner.api_key, "Keeper").await;
    server.advance(60).await;
    server
        .deliver(&owner.api_key, decoy["id"].as_str().unwrap())
        .await
        .ok(200);
    server.advance(9 * 60).await;
    server
        .get(&format!("/api/v2/generate/check/{request}"))
        .await
        .refused(404, "RequestNotFound");
}

#[tokio::test]
async fn a_paused_worker_gets_one_decoy_of_a_request() {
    let Horde {
        server,
        owner,
        client,
        ..
    } = Horde::with_paused_worker().await;
    server
        .request(
            &client.api_key,
            &changed(plain_request(), json!({"params": {"n": 3}})),
        )
        .await;
    let popped = server
        .pop(&owner.api_key, &changed(worker("Keeper"), json!({"amount": 3})))
        .await
        .ok(200);
    assert_eq!(popped["ids"].as_array().unwrap().len(), 1);
    assert_eq!(
        server.pop(&owner.api_key, &worker("Keeper")).await.ok(200)["id"],
        Value::Null
    );
    server.request(&client.api_key, &plain_request()).await;
    server.popped(&owner.api_key, "Keeper").await;
}

#[tokio::test]
async fn a_failed_decoy_changes_nothing() {
    let Horde {
        server,
        owner,
        client,
        ..
    } = Horde::with_paused_worker().await;
    let request = server.request(&client.api_key, &plain_request()).await;
    let decoy = server.popped(&owner.api_key, "Keeper").await;
    let body = json!({"id": decoy["id"], "generation": "faulted", "seed": 0, "state": "faulted"});
    assert_eq!(
        server
            .post("/api/v2/generate/submit", &owner.api_key, &body)
            .await
            .ok(200),
        json!({"reward": 0.0})
    );
    let second = server.request(&client.api_key, &plain_request()).await;
    server.popped(&owner.api_key, "Keeper").await;
    server.advance(151).await;
    for request in [request, second] {
        let progress = check(&server, &request).await;
        assert_eq!(
            (&progress["waiting"], &progress["restarted"]),
            (&json!(1), &json!(0)),
            "{progress}"
        );
    }
}

#[tokio::test]
async fn a_paused_worker_serves_its_owner() {
    let Horde { server, owner, .. } = Horde::with_paused_worker().await;
    let request = server.request(&owner.api_key, &plain_request()).await;
    let popped = server.popped(&owner.api_key, "Keeper").await;
    server
        .deliver(&owner.api_key, popped["id"].as_str().unwrap())
        .await
        .ok(200);
    let progress = check(&server, &request).await;
    assert_eq!(
        (&progress["finished"], &progress["done"]),
        (&json!(1), &json!(true))
    );
}
