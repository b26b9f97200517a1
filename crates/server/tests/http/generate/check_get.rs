//! `GET generate/check`: how far a request is.

use muster_protocol::TestUser;
use serde_json::{Value, json};

use crate::support::{TestServer, changed, plain_request, worker};

/// A server with one request, and the owner of a worker.
struct Scene {
    server: TestServer,
    owner: TestUser,
    request: String,
}

impl Scene {
    /// The plain request with some changes.
    async fn with_request(changes: Value) -> Self {
        let server = TestServer::start().await;
        let owner = server.trusted("owner", 0).await;
        let client = server.user("client", 1000).await;
        let request = server
            .request(&client.api_key, &changed(plain_request(), changes))
            .await;
        Self {
            server,
            owner,
            request,
        }
    }

    fn path(&self) -> String {
        format!("/api/v2/generate/check/{}", self.request)
    }

    async fn check(&self) -> Value {
        self.server.get(&self.path()).await.ok(200)
    }

    /// Pops a job; its id.
    async fn pop(&self) -> String {
        let popped = self.server.popped(&self.owner.api_key, "Keeper").await;
        popped["id"].as_str().unwrap().to_owned()
    }

    /// Delivers a job after five seconds, so that its worker counts as one of a usual speed.
    async fn deliver(&self, job: &str) {
        self.server.advance(5).await;
        self.server.deliver(&self.owner.api_key, job).await.ok(200);
    }

    async fn report_fault(&self, job: &str) {
        let body = json!({"id": job, "generation": "", "state": "faulted", "seed": 0});
        self.server
            .post("/api/v2/generate/submit", &self.owner.api_key, &body)
            .await
            .ok(200);
    }

    async fn cancel(&self) {
        self.server
            .delete(&format!("/api/v2/generate/status/{}", self.request))
            .await
            .ok(200);
    }
}

#[tokio::test]
async fn while_it_waits() {
    let scene = Scene::with_request(json!({})).await;
    insta::assert_json_snapshot!(scene.check().await, @r#"
    {
      "done": false,
      "faulted": false,
      "finished": 0,
      "is_possible": false,
      "kudos": 3.0,
      "processing": 0,
      "queue_position": 1,
      "restarted": 0,
      "wait_time": 5,
      "waiting": 1
    }
    "#);
}

#[tokio::test]
async fn while_it_is_processed() {
    let scene = Scene::with_request(json!({})).await;
    scene.pop().await;
    insta::assert_json_snapshot!(scene.check().await, @r#"
    {
      "done": false,
      "faulted": false,
      "finished": 0,
      "is_possible": true,
      "kudos": 3.0,
      "processing": 1,
      "queue_position": 0,
      "restarted": 0,
      "wait_time": 5,
      "waiting": 0
    }
    "#);
}

#[tokio::test]
async fn when_it_is_done() {
    let scene = Scene::with_request(json!({})).await;
    let job = scene.pop().await;
    scene.deliver(&job).await;
    insta::assert_json_snapshot!(scene.check().await, @r#"
    {
      "done": true,
      "faulted": false,
      "finished": 1,
      "is_possible": true,
      "kudos": 10.0,
      "processing": 0,
      "queue_position": 0,
      "restarted": 0,
      "wait_time": 0,
      "waiting": 0
    }
    "#);
}

#[tokio::test]
async fn with_jobs_in_every_state() {
    let scene = Scene::with_request(json!({"params": {"n": 4}})).await;
    let jobs = [scene.pop().await, scene.pop().await, scene.pop().await];
    scene.deliver(&jobs[0]).await;
    scene.report_fault(&jobs[1]).await;
    insta::assert_json_snapshot!(scene.check().await, @r#"
    {
      "done": false,
      "faulted": false,
      "finished": 1,
      "is_possible": true,
      "kudos": 10.0,
      "processing": 1,
      "queue_position": 1,
      "restarted": 1,
      "wait_time": 10,
      "waiting": 2
    }
    "#);
}

#[tokio::test]
async fn when_it_is_given_up() {
    let scene = Scene::with_request(json!({})).await;
    for _ in 0..3 {
        let job = scene.pop().await;
        scene.report_fault(&job).await;
    }
    insta::assert_json_snapshot!(scene.check().await, @r#"
    {
      "done": true,
      "faulted": true,
      "finished": 0,
      "is_possible": false,
      "kudos": 3.0,
      "processing": 0,
      "queue_position": 0,
      "restarted": 3,
      "wait_time": 0,
      "waiting": 0
    }
    "#);
}

#[tokio::test]
async fn when_it_is_cancelled() {
    let scene = Scene::with_request(json!({"params": {"n": 3}})).await;
    let job = scene.pop().await;
    scene.deliver(&job).await;
    scene.cancel().await;
    insta::assert_json_snapshot!(scene.check().await, @r#"
    {
      "done": true,
      "faulted": false,
      "finished": 1,
      "is_possible": true,
      "kudos": 10.0,
      "processing": 0,
      "queue_position": 0,
      "restarted": 0,
      "wait_time": 0,
      "waiting": 0
    }
    "#);
}

/// The text of a member's value in a body.
fn raw<'a>(body: &'a str, name: &str) -> &'a str {
    let (_, rest) = body
        .split_once(&format!("\"{name}\":"))
        .unwrap_or_else(|| panic!("no {name} in {body}"));
    rest.split([',', '}']).next().unwrap()
}

#[tokio::test]
async fn integers_are_written_as_integers_and_kudos_as_a_float() {
    // The waiting time of this one is a fraction: 1.31 seconds, and then 1.31 less 0.75.
    let scene = Scene::with_request(json!({"params": {"steps": 5}})).await;
    for popped in [false, true] {
        if popped {
            scene.pop().await;
            scene.server.clock.advance(std::time::Duration::from_millis(750));
        }
        let text = scene.server.get(&scene.path()).await.text;
        for name in [
            "finished",
            "processing",
            "restarted",
            "waiting",
            "wait_time",
            "queue_position",
        ] {
            let value = raw(&text, name);
            assert!(value.bytes().all(|byte| byte.is_ascii_digit()), "{name} {text}");
        }
        assert_eq!(raw(&text, "wait_time"), "1");
        assert_eq!(raw(&text, "kudos"), "3.0");
    }
}

#[tokio::test]
async fn those_who_have_more_kudos_are_served_first() {
    let server = TestServer::start().await;
    let mut requests = Vec::new();
    for (name, kudos, n) in [("poor", 50, 1), ("rich", 5000, 2), ("middling", 500, 1)] {
        let key = server.user(name, kudos).await.api_key;
        let body = changed(plain_request(), json!({"params": {"n": n}}));
        requests.push(server.request(&key, &body).await);
    }
    // A picture is 512 * 512 * 20 = 5.24 million pixelsteps. Nobody online: a million a second.
    assert_eq!(places(&server, &requests).await, [(3, 21), (1, 10), (2, 16)]);
    // Two threads that make a million a second each, together with the first job that they take.
    let owner = server.trusted("owner", 0).await.api_key;
    let pop = changed(worker("Keeper"), json!({"threads": 2, "amount": 2}));
    assert_eq!(
        server.pop(&owner, &pop).await.ok(200)["ids"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(places(&server, &requests).await, [(2, 5), (0, 5), (1, 5)]);
    server.advance(3).await;
    assert_eq!(places(&server, &requests).await, [(2, 5), (0, 2), (1, 5)]);
    server.advance(3).await;
    assert_eq!(places(&server, &requests).await, [(2, 5), (0, 0), (1, 5)]);
}

#[tokio::test]
async fn what_waits_takes_a_second_at_least() {
    let scene = Scene::with_request(json!({"params": {"width": 64, "height": 64, "steps": 1}})).await;
    assert_eq!(scene.check().await["wait_time"], 1);
    scene.pop().await;
    assert_eq!(scene.check().await["wait_time"], 0);
}

/// The queue position and waiting time of each request.
async fn places(server: &TestServer, requests: &[String]) -> Vec<(u64, u64)> {
    let mut places = Vec::new();
    for request in requests {
        let check = server
            .get(&format!("/api/v2/generate/check/{request}"))
            .await
            .ok(200);
        places.push((
            check["queue_position"].as_u64().unwrap(),
            check["wait_time"].as_u64().unwrap(),
        ));
    }
    places
}

#[tokio::test]
async fn who_can_serve_it_decides_whether_it_is_possible() {
    let scene = Scene::with_request(json!({})).await;
    let possible = async |changes: Value| {
        let pop = changed(worker("Keeper"), json!({"models": ["Deliberate"]}));
        scene
            .server
            .pop(&scene.owner.api_key, &changed(pop, changes))
            .await
            .ok(200);
        scene.check().await["is_possible"].clone()
    };
    assert_eq!(possible(json!({})).await, false);
    assert_eq!(
        possible(json!({"models": ["stable_diffusion"], "max_pixels": 65_536})).await,
        false
    );
    assert_eq!(possible(json!({"models": ["stable_diffusion"]})).await, true);
}

#[tokio::test]
async fn unknown_ids_are_not_found() {
    let server = TestServer::start().await;
    for id in [
        "5e0d8d0e-93b8-4b9a-8a5c-0c9a9c1a7f11",
        "not-a-uuid",
        "1",
        "%00",
        "5e0d8d0e-93b8",
    ] {
        let path = format!("/api/v2/generate/check/{id}");
        server.get(&path).await.refused(404, "RequestNotFound");
    }
}

#[tokio::test]
async fn ids_may_be_spelt_in_every_way() {
    let scene = Scene::with_request(json!({})).await;
    let id = &scene.request;
    let simple = id.replace('-', "");
    for spelling in [
        id.to_uppercase(),
        simple.to_uppercase(),
        simple,
        format!("%7B{id}%7D"),
        format!("urn:uuid:{id}"),
    ] {
        let check = scene
            .server
            .get(&format!("/api/v2/generate/check/{spelling}"))
            .await;
        assert_eq!(check.ok(200), scene.check().await, "{spelling}");
    }
}

#[tokio::test]
async fn a_request_is_forgotten_twenty_minutes_after_it_was_last_touched() {
    let scene = Scene::with_request(json!({"params": {"n": 2}})).await;
    scene.server.advance(20 * 60 - 1).await;
    let job = scene.pop().await;
    scene.server.advance(60).await;
    scene.deliver(&job).await;
    scene.server.advance(20 * 60 - 1).await;
    scene.check().await;
    scene.server.advance(1).await;
    scene
        .server
        .get(&scene.path())
        .await
        .refused(404, "RequestNotFound");
}
