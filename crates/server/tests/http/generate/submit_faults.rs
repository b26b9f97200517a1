//! `POST generate/submit`: jobs that failed, came too late or came twice.

use std::{sync::Arc, time::Duration};

use muster_protocol::TestUser;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Answer, Setup, TestServer, changed, plain_request};

/// Seconds that a worker has for a job of a plain request, and one more.
const TOO_LONG: u64 = 151;

struct Horde {
    server: TestServer,
    owner: TestUser,
    client: TestUser,
    request: String,
}

impl Horde {
    async fn with_request(changes: Value) -> Self {
        let server = TestServer::start().await;
        let (owner, client) = (
            server.trusted("owner", 0).await,
            server.user("client", 1000).await,
        );
        let request = server
            .request(&client.api_key, &changed(plain_request(), changes))
            .await;
        Self {
            server,
            owner,
            client,
            request,
        }
    }

    async fn pop(&self, worker: &str) -> String {
        let popped = self.server.popped(&self.owner.api_key, worker).await;
        popped["id"].as_str().unwrap().to_owned()
    }

    async fn deliver(&self, job: &str) -> Answer {
        self.server.deliver(&self.owner.api_key, job).await
    }

    async fn report_fault(&self, job: &str) -> Answer {
        let body = json!({"id": job, "generation": "faulted", "seed": -1, "state": "faulted"});
        self.server
            .post("/api/v2/generate/submit", &self.owner.api_key, &body)
            .await
    }

    /// Asserts how far the request is.
    async fn assert_progress(&self, waiting: u32, processing: u32, finished: u32, restarted: u32) {
        let progress = self.check().await;
        let counts =
            ["waiting", "processing", "finished", "restarted"].map(|name| progress[name].as_u64().unwrap());
        assert_eq!(
            counts,
            [waiting, processing, finished, restarted].map(u64::from),
            "{progress}"
        );
    }

    async fn check(&self) -> Value {
        self.server
            .get(&format!("/api/v2/generate/check/{}", self.request))
            .await
            .ok(200)
    }

    /// Asserts what the client has left in whole kudos, and that the books are right.
    async fn assert_left(&self, kudos: f64) {
        let user = self
            .server
            .get_as("/api/v2/find_user", &self.client.api_key)
            .await
            .ok(200);
        assert_eq!(user["kudos"], kudos);
        assert!(self.server.engine.store().audit().await.unwrap().is_clean());
    }
}

#[tokio::test]
async fn a_second_result_is_refused_and_not_paid() {
    let horde = Horde::with_request(json!({})).await;
    let job = horde.pop("Keeper").await;
    horde.deliver(&job).await.ok(200);
    let message = horde.deliver(&job).await.refused(400, "DuplicateGen");
    assert!(message.contains("already submitted"), "{message}");
    horde.report_fault(&job).await.refused(400, "DuplicateGen");
    horde.assert_progress(0, 0, 1, 0).await;
    // 1000 - 3 - 6.76
    horde.assert_left(990.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_results_at_once_one_is_accepted() {
    let horde = Arc::new(Horde::with_request(json!({})).await);
    let job = horde.pop("Keeper").await;
    let mut calls = JoinSet::new();
    for _ in 0..64 {
        let (horde, job) = (Arc::clone(&horde), job.clone());
        calls.spawn(async move { horde.deliver(&job).await });
    }
    let mut accepted = 0;
    for answer in calls.join_all().await {
        if answer.status == 200 {
            assert_eq!(answer.json(), json!({"reward": 5.76}));
            accepted += 1;
        } else {
            answer.refused(400, "DuplicateGen");
        }
    }
    assert_eq!(accepted, 1);
    horde.assert_progress(0, 0, 1, 0).await;
    horde.assert_left(990.0).await;
    let owner = horde
        .server
        .get_as("/api/v2/find_user", &horde.owner.api_key)
        .await
        .ok(200);
    assert_eq!(owner["records"]["fulfillment"]["image"], 1);
}

#[tokio::test]
async fn a_failed_job_goes_back_to_the_queue() {
    let horde = Horde::with_request(json!({"params": {"n": 2}})).await;
    let job = horde.pop("Keeper").await;
    assert_eq!(horde.report_fault(&job).await.ok(200), json!({"reward": 0.0}));
    horde.assert_progress(2, 0, 0, 1).await;
    // Told once more, it changes nothing; and a result is too late now.
    assert_eq!(horde.report_fault(&job).await.ok(200), json!({"reward": 0.0}));
    horde.assert_progress(2, 0, 0, 1).await;
    horde.deliver(&job).await.refused(400, "AbortedGen");

    for _ in 0..2 {
        let job = horde.pop("Keeper").await;
        horde.deliver(&job).await.ok(200);
    }
    horde.assert_progress(0, 0, 2, 1).await;
    let progress = horde.check().await;
    assert_eq!(
        (&progress["done"], &progress["faulted"]),
        (&json!(true), &json!(false))
    );
    // 1000 - 3 - 2 · 6.76
    horde.assert_left(983.0).await;
}

#[tokio::test]
async fn the_third_failure_ends_a_request() {
    let horde = Horde::with_request(json!({"params": {"n": 2}})).await;
    let delivered = horde.pop("Keeper").await;
    horde.deliver(&delivered).await.ok(200);
    for failures in 1..=3 {
        assert_eq!(horde.check().await["done"], false, "before failure {failures}");
        let job = horde.pop("Keeper").await;
        horde.report_fault(&job).await.ok(200);
    }
    horde.assert_progress(0, 0, 1, 3).await;
    let progress = horde.check().await;
    assert_eq!(
        (&progress["done"], &progress["faulted"]),
        (&json!(true), &json!(true))
    );
    let nothing = horde
        .server
        .pop(&horde.owner.api_key, &crate::support::worker("Keeper"))
        .await
        .ok(200);
    assert_eq!(nothing["id"], Value::Null);
    // What was delivered stays.
    let status = horde
        .server
        .get(&format!("/api/v2/generate/status/{}", horde.request))
        .await
        .ok(200);
    assert_eq!(status["generations"].as_array().unwrap().len(), 1);
    horde.assert_left(990.0).await;
}

#[tokio::test]
async fn what_is_in_progress_at_the_third_failure_may_still_be_delivered() {
    let horde = Horde::with_request(json!({"params": {"n": 2}})).await;
    let slow = horde.pop("Slow").await;
    for _ in 0..3 {
        let job = horde.pop("Keeper").await;
        horde.report_fault(&job).await.ok(200);
    }
    horde.assert_progress(0, 1, 0, 3).await;
    assert_eq!(horde.deliver(&slow).await.ok(200), json!({"reward": 5.76}));
    horde.assert_progress(0, 0, 1, 3).await;
    horde.assert_left(990.0).await;
}

#[tokio::test]
async fn a_job_past_its_time_goes_to_another_worker() {
    let horde = Horde::with_request(json!({})).await;
    let late = horde.pop("Slow").await;
    horde.server.advance(TOO_LONG - 2).await;
    horde.assert_progress(0, 1, 0, 0).await;
    horde.server.advance(2).await;
    horde.assert_progress(1, 0, 0, 1).await;

    let job = horde.pop("Quick").await;
    let message = horde.deliver(&late).await.refused(400, "AbortedGen");
    assert!(message.contains("Please check your worker speed"), "{message}");
    assert_eq!(horde.report_fault(&late).await.ok(200), json!({"reward": 0.0}));
    horde.assert_progress(0, 1, 0, 1).await;
    horde.deliver(&job).await.ok(200);
    horde.deliver(&late).await.refused(400, "AbortedGen");
    horde.assert_progress(0, 0, 1, 1).await;
    horde.assert_left(990.0).await;
}

#[tokio::test]
async fn what_ran_out_while_the_server_was_down_is_not_held_against_the_worker() {
    let horde = Horde::with_request(json!({"params": {"n": 2}})).await;
    let (delivered, lost) = (horde.pop("Keeper").await, horde.pop("Keeper").await);
    horde.server.clock.advance(Duration::from_mins(15));
    let horde = Horde {
        server: horde.server.restart(Setup::default()).await,
        ..horde
    };
    horde.server.advance(TOO_LONG - 2).await;
    horde.assert_progress(0, 2, 0, 0).await;
    assert_eq!(horde.deliver(&delivered).await.ok(200), json!({"reward": 5.76}));
    horde.server.advance(2).await;
    horde.assert_progress(1, 0, 1, 1).await;
    horde.deliver(&lost).await.refused(400, "AbortedGen");
    horde.assert_left(990.0).await;
}

#[tokio::test]
async fn the_third_time_out_ends_a_request_too() {
    let horde = Horde::with_request(json!({})).await;
    for failures in 0..3 {
        assert_eq!(horde.check().await["faulted"], false, "after {failures}");
        horde.pop("Slow").await;
        horde.server.advance(TOO_LONG).await;
    }
    horde.assert_progress(0, 0, 0, 3).await;
    let progress = horde.check().await;
    assert_eq!(
        (&progress["done"], &progress["faulted"]),
        (&json!(true), &json!(true))
    );
    horde.assert_left(997.0).await;
}

#[tokio::test]
async fn a_job_of_an_expired_request_is_gone() {
    let horde = Horde::with_request(json!({})).await;
    let job = horde.pop("Keeper").await;
    horde.server.advance(20 * 60 + 1).await;
    for answer in [horde.deliver(&job).await, horde.report_fault(&job).await] {
        let message = answer.refused(404, "InvalidJobID");
        assert!(
            message.contains("Processing Job with ID") && message.contains("does not exist"),
            "{message}"
        );
    }
    horde
        .server
        .get(&format!("/api/v2/generate/check/{}", horde.request))
        .await
        .refused(404, "RequestNotFound");
    horde.assert_left(997.0).await;
}

#[tokio::test]
async fn a_result_extends_the_life_of_the_request() {
    let horde = Horde::with_request(json!({"params": {"n": 2}})).await;
    horde.server.advance(19 * 60).await;
    let job = horde.pop("Keeper").await;
    horde.server.advance(100).await;
    horde.deliver(&job).await.ok(200);
    // Twenty minutes from the result, not from the beginning.
    horde.server.advance(19 * 60).await;
    horde.assert_progress(1, 0, 1, 0).await;
}

#[tokio::test]
async fn a_job_of_a_cancelled_request_is_still_accepted() {
    let horde = Horde::with_request(json!({"params": {"n": 3}})).await;
    let job = horde.pop("Keeper").await;
    horde
        .server
        .delete(&format!("/api/v2/generate/status/{}", horde.request))
        .await
        .ok(200);
    assert_eq!(horde.deliver(&job).await.ok(200), json!({"reward": 5.76}));
    horde.assert_progress(0, 0, 1, 0).await;
    assert_eq!(horde.check().await["done"], true);
    horde.assert_left(990.0).await;
}

/// Has a worker drop so many jobs, each of a request of its own.
async fn drop_jobs(server: &TestServer, client: &str, owner: &str, worker: &str, count: usize) {
    for _ in 0..count {
        server.request(client, &plain_request()).await;
        let popped = server.popped(owner, worker).await;
        let body = json!({"id": popped["id"], "generation": "faulted", "seed": -1, "state": "faulted"});
        server.post("/api/v2/generate/submit", owner, &body).await.ok(200);
        let request = server
            .engine
            .store()
            .job(popped["id"].as_str().unwrap().parse().unwrap())
            .await;
        let request = request.unwrap().unwrap().request;
        server
            .delete(&format!("/api/v2/generate/status/{request}"))
            .await
            .ok(200);
    }
}

#[tokio::test]
async fn who_drops_too_many_jobs_goes_into_maintenance() {
    let server = TestServer::start().await;
    let client = server.user("client", 100_000).await.api_key;
    let owner = server.trusted("owner", 0).await.api_key;
    drop_jobs(&server, &client, &owner, "Keeper", 20).await;
    server.clock.advance(Duration::from_secs(3601));
    drop_jobs(&server, &client, &owner, "Keeper", 20).await;
    server
        .pop(&owner, &crate::support::worker("Keeper"))
        .await
        .ok(200);
    drop_jobs(&server, &client, &owner, "Keeper", 1).await;
    let message = server
        .pop(&owner, &crate::support::worker("Keeper"))
        .await
        .refused(403, "WorkerMaintenance");
    assert!(message.contains("maintenance mode"), "{message}");
    server.pop(&owner, &crate::support::worker("Other")).await.ok(200);
    // It stays so over a restart.
    let server = server.restart(Setup::default()).await;
    server
        .pop(&owner, &crate::support::worker("Keeper"))
        .await
        .refused(403, "WorkerMaintenance");
}

#[tokio::test]
async fn a_request_that_fails_on_two_workers_is_to_blame_itself() {
    let server = TestServer::start().await;
    let client = server.user("client", 100_000).await.api_key;
    let (first, second) = (
        server.trusted("first", 0).await.api_key,
        server.trusted("second", 0).await.api_key,
    );
    // Each request fails on both workers: many more than either may drop.
    for _ in 0..25 {
        server.request(&client, &plain_request()).await;
        for (owner, worker) in [(&first, "First"), (&second, "Second"), (&first, "First")] {
            let popped = server.popped(owner, worker).await;
            let body = json!({"id": popped["id"], "generation": "faulted", "seed": -1, "state": "faulted"});
            server.post("/api/v2/generate/submit", owner, &body).await.ok(200);
        }
    }
    for (owner, name) in [(&first, "First"), (&second, "Second")] {
        server.pop(owner, &crate::support::worker(name)).await.ok(200);
    }
    let workers = server.engine.store().workers().await.unwrap();
    assert!(workers.iter().all(|worker| !worker.maintenance));
}

#[tokio::test]
async fn an_outage_of_the_server_is_not_held_against_workers() {
    let server = TestServer::start().await;
    let client = server.user("client", 100_000).await.api_key;
    let owner = server.trusted("owner", 0).await.api_key;
    for _ in 0..25 {
        server.request(&client, &plain_request()).await;
        server.popped(&owner, "Keeper").await;
    }
    server.clock.advance(Duration::from_mins(10));
    let server = server.restart(Setup::default()).await;
    server.advance(TOO_LONG).await;
    let progress = server
        .engine
        .store()
        .live_requests(server.engine.clock().now())
        .await
        .unwrap();
    assert!(
        progress.iter().all(|(request, _)| request.slots_left == 1),
        "all jobs were lost"
    );
    server
        .pop(&owner, &crate::support::worker("Keeper"))
        .await
        .ok(200);
    let workers = server.engine.store().workers().await.unwrap();
    assert!(!workers[0].maintenance && workers[0].uncompleted_jobs == 0);
}
