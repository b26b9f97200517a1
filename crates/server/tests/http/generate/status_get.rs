//! `GET generate/status`: progress and results.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::ImageFormat;
use muster_protocol::TestUser;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Setup, TestServer, changed, picture, picture_bytes, plain_request, worker};

const PUBLIC_URL: &str = "https://horde.example";
const SUBMIT: &str = "/api/v2/generate/submit";

/// A server that is reached over TLS, as it thinks.
fn secure() -> Setup {
    Setup {
        public_url: Some(PUBLIC_URL),
        ..Setup::default()
    }
}

/// A server that forgets finished requests at once.
fn forgetful() -> Setup {
    let mut setup = Setup::default();
    setup.engine.remembered_requests = 0;
    setup
}

/// A server with one request, and the owner of a worker.
struct Scene {
    server: TestServer,
    owner: TestUser,
    request: String,
}

impl Scene {
    /// The plain request with some changes.
    async fn new(setup: Setup, changes: Value) -> Self {
        let server = TestServer::with(setup).await;
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

    async fn restart(self, setup: Setup) -> Self {
        Self {
            server: self.server.restart(setup).await,
            ..self
        }
    }

    async fn status(&self) -> Value {
        self.server
            .get(&format!("/api/v2/generate/status/{}", self.request))
            .await
            .ok(200)
    }

    /// The picture of the only result.
    async fn img(&self) -> String {
        let status = self.status().await;
        assert_eq!(status["generations"].as_array().unwrap().len(), 1);
        status["generations"][0]["img"].as_str().unwrap().to_owned()
    }

    /// Pops up to `amount` jobs; their ids.
    async fn pop(&self, amount: u32) -> Vec<String> {
        let body = changed(worker("Keeper"), json!({"amount": amount}));
        let popped = self.server.pop(&self.owner.api_key, &body).await.ok(200);
        serde_json::from_value(popped["ids"].clone()).unwrap()
    }

    /// Submits a small picture, or what the changes say.
    async fn submit(&self, job: &str, changes: Value) {
        let body = json!({"id": job, "generation": picture(), "seed": 42});
        self.server
            .post(SUBMIT, &self.owner.api_key, &changed(body, changes))
            .await
            .ok(200);
    }

    /// Pops the only job and submits its result.
    async fn serve(&self, changes: Value) {
        let jobs = self.pop(1).await;
        self.submit(&jobs[0], changes).await;
    }
}

fn members<'a>(status: &'a Value, name: &str) -> Vec<&'a str> {
    let generations = status["generations"].as_array().unwrap();
    generations
        .iter()
        .map(|generation| generation[name].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn before_the_first_result() {
    let scene = Scene::new(Setup::default(), json!({})).await;
    insta::assert_json_snapshot!(scene.status().await, @r#"
    {
      "done": false,
      "faulted": false,
      "finished": 0,
      "generations": [],
      "is_possible": false,
      "kudos": 3.0,
      "processing": 0,
      "queue_position": 1,
      "restarted": 0,
      "shared": false,
      "wait_time": 5,
      "waiting": 1
    }
    "#);
}

#[tokio::test]
async fn with_results() {
    let scene = Scene::new(Setup::default(), json!({"params": {"n": 3}})).await;
    let jobs = scene.pop(2).await;
    scene.server.advance(5).await;
    let download_failed = json!({"type": "lora", "value": "download_failed", "ref": "12345"});
    let censored = json!({"type": "censorship", "value": "csam"});
    scene
        .submit(
            &jobs[0],
            json!({"seed": 4_294_967_295_u32, "gen_metadata": [download_failed]}),
        )
        .await;
    scene
        .submit(
            &jobs[1],
            json!({"seed": 1, "state": "censored", "gen_metadata": [censored]}),
        )
        .await;
    let mut status = scene.status().await;
    assert_eq!(members(&status, "id"), jobs);
    assert_eq!(members(&status, "img"), [picture(), picture()]);
    let ids = scene
        .server
        .get_as("/api/v2/find_user", &scene.owner.api_key)
        .await
        .ok(200)["worker_ids"]
        .clone();
    assert_eq!(
        members(&status, "worker_id"),
        [&ids[0], &ids[0]].map(|id| id.as_str().unwrap())
    );
    for generation in status["generations"].as_array_mut().unwrap() {
        *generation = changed(
            generation.take(),
            json!({"id": "<id>", "img": "<img>", "worker_id": "<worker>"}),
        );
    }
    insta::assert_json_snapshot!(status, @r#"
    {
      "done": false,
      "faulted": false,
      "finished": 2,
      "generations": [
        {
          "censored": false,
          "gen_metadata": [
            {
              "ref": "12345",
              "type": "lora",
              "value": "download_failed"
            }
          ],
          "id": "<id>",
          "img": "<img>",
          "model": "stable_diffusion",
          "seed": "4294967295",
          "state": "ok",
          "worker_id": "<worker>",
          "worker_name": "Keeper"
        },
        {
          "censored": true,
          "gen_metadata": [
            {
              "type": "censorship",
              "value": "csam"
            }
          ],
          "id": "<id>",
          "img": "<img>",
          "model": "stable_diffusion",
          "seed": "1",
          "state": "ok",
          "worker_id": "<worker>",
          "worker_name": "Keeper"
        }
      ],
      "is_possible": true,
      "kudos": 11.0,
      "processing": 0,
      "queue_position": 1,
      "restarted": 0,
      "shared": false,
      "wait_time": 5,
      "waiting": 1
    }
    "#);
}

#[tokio::test]
async fn what_is_inside_depends_on_r2_and_on_how_the_server_is_reached() {
    for (setup, r2, is_address) in [
        (Setup::default(), true, false),
        (Setup::default(), false, false),
        (secure(), true, true),
        (secure(), false, false),
    ] {
        let scene = Scene::new(setup, json!({"r2": r2})).await;
        scene.serve(json!({})).await;
        let img = scene.img().await;
        if is_address {
            let path = img.strip_prefix(PUBLIC_URL).unwrap_or_else(|| panic!("{img}"));
            let download = scene.server.send(Method::GET, path, &[], "").await;
            assert_eq!(
                (download.status.as_u16(), download.header("content-type")),
                (200, "image/webp")
            );
            assert_eq!(download.header("access-control-allow-origin"), "*");
        } else {
            assert_eq!(STANDARD.decode(img).unwrap(), picture_bytes(ImageFormat::WebP));
        }
    }
}

#[tokio::test]
async fn addresses_are_renewed_with_each_look() {
    let scene = Scene::new(secure(), json!({})).await;
    scene.serve(json!({})).await;
    let first = scene.img().await;
    scene.server.advance(19 * 60).await;
    let second = scene.img().await;
    assert_ne!(first, second);
    let path = second.strip_prefix(PUBLIC_URL).unwrap();
    assert_eq!(scene.server.get(path).await.status, 200);
}

#[tokio::test]
async fn what_never_was_a_picture_is_given_as_it_is() {
    for (setup, r2) in [(secure(), true), (secure(), false), (forgetful(), true)] {
        let scene = Scene::new(setup, json!({"r2": r2})).await;
        scene
            .serve(json!({"generation": "out of <memory> & \u{fc}"}))
            .await;
        assert_eq!(scene.img().await, "out of <memory> & \u{fc}");
    }
}

#[tokio::test]
async fn a_result_that_was_never_uploaded_is_not_available() {
    for (setup, r2) in [(Setup::default(), true), (secure(), false)] {
        let scene = Scene::new(setup, json!({"r2": r2})).await;
        scene.serve(json!({"generation": "R2"})).await;
        let status = scene.status().await;
        assert_eq!((&status["finished"], &status["done"]), (&json!(1), &json!(true)));
        assert_eq!(scene.img().await, "N/A");
    }
}

#[tokio::test]
async fn results_come_in_the_order_of_the_pops() {
    let scene = Scene::new(forgetful(), json!({"params": {"n": 8}})).await;
    let mut jobs = scene.pop(4).await;
    scene.server.advance(1).await;
    jobs.extend(scene.pop(1).await);
    scene.server.advance(1).await;
    jobs.extend(scene.pop(3).await);
    for (seed, job) in jobs.iter().enumerate().rev() {
        scene.submit(job, json!({"seed": seed})).await;
        let delivered = jobs[seed..].iter().map(String::as_str).collect::<Vec<_>>();
        // After the last one memory has forgotten the request, and the store is asked.
        assert_eq!(members(&scene.status().await, "id"), delivered);
    }
    assert_eq!(scene.server.engine.requests_in_memory(), 0);
    let seeds: Vec<String> = (0..8).map(|seed: u32| seed.to_string()).collect();
    assert_eq!(members(&scene.status().await, "seed"), seeds);
}

#[tokio::test]
async fn results_outlive_memory_and_restarts() {
    let metadata = json!([{"type": "lora", "value": "download_failed", "ref": "12345"}]);
    let changes = json!({"gen_metadata": metadata, "seed": 7});
    let remembered = Scene::new(Setup::default(), json!({})).await;
    let forgotten = Scene::new(forgetful(), json!({})).await;
    for scene in [&remembered, &forgotten] {
        scene.serve(changes.clone()).await;
    }
    assert_eq!(remembered.server.engine.requests_in_memory(), 1);
    assert_eq!(forgotten.server.engine.requests_in_memory(), 0);
    // The same seeds and the same steps: all ids are the same, too.
    let expected = remembered.status().await;
    assert_eq!(expected["generations"][0]["gen_metadata"], metadata);
    assert_eq!(forgotten.status().await, expected);
    let restarted = remembered.restart(Setup::default()).await;
    assert_eq!(restarted.server.engine.requests_in_memory(), 0);
    assert_eq!(restarted.status().await, expected);
    restarted.server.advance(20 * 60).await;
    let path = format!("/api/v2/generate/status/{}", restarted.request);
    restarted.server.get(&path).await.refused(404, "RequestNotFound");
}

#[tokio::test]
async fn waiting_requests_and_jobs_in_flight_outlive_a_restart() {
    let scene = Scene::new(Setup::default(), json!({"params": {"n": 3}})).await;
    let in_flight = scene.pop(1).await;
    let before = scene.status().await;
    let scene = scene.restart(Setup::default()).await;
    assert_eq!(scene.status().await, before);
    let payload = scene.server.popped(&scene.owner.api_key, "Keeper").await["payload"].clone();
    assert_eq!(
        (&payload["prompt"], &payload["seed"]),
        (&json!("a lighthouse on a cliff"), &json!("42"))
    );
    scene.submit(&in_flight[0], json!({"seed": 5})).await;
    let status = scene.status().await;
    assert_eq!(members(&status, "seed"), ["5"]);
    let counts = ["finished", "processing", "waiting"].map(|name| status[name].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 1]);
}

#[tokio::test]
async fn unknown_ids_are_not_found() {
    let server = TestServer::start().await;
    for id in ["5e0d8d0e-93b8-4b9a-8a5c-0c9a9c1a7f11", "not-a-uuid", "%00"] {
        let path = format!("/api/v2/generate/status/{id}");
        server.get(&path).await.refused(404, "RequestNotFound");
    }
}

#[tokio::test]
async fn reads_need_no_key_and_mind_none_and_no_content_type() {
    let scene = Scene::new(Setup::default(), json!({})).await;
    let path = format!("/api/v2/generate/status/{}", scene.request);
    let headers = [("apikey", "nobody's"), ("content-type", "application/json")];
    let status = scene.server.send(Method::GET, &path, &headers, "").await;
    assert_eq!(status.ok(200), scene.status().await);
}
