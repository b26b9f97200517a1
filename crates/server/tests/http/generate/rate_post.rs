//! `POST generate/rate/{id}`: ratings are passed on, and what is rated is shared.

use axum::{Json, Router, http::StatusCode, routing::post};
use muster_protocol::TestUser;
use muster_store::{AccountChanges, Role, Roles};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{
    Answer, Receiver, START, Setup, TestServer, assert_clean, balances, changed, find_user, number, picture,
    plain_request, worker,
};

/// The model whose pictures are made to be compared.
const COMPARED: &str = "SDXL_beta::stability.ai#6901";

/// A server with a rating service, and the requester and the pictures of a request that is done.
struct Scene {
    server: TestServer,
    client: TestUser,
    request: String,
    jobs: Vec<Value>,
}

impl Scene {
    async fn new(service: Option<String>) -> Self {
        let server = TestServer::with(Setup {
            ratings: service,
            ..Setup::default()
        })
        .await;
        let owner = server.trusted("owner", 100).await;
        let changes = AccountChanges {
            grant: Roles::of(&[Role::Customizer]),
            ..AccountChanges::default()
        };
        let journal = server.engine.store().journal();
        journal.set_account(number(&owner), changes, START).await.unwrap();
        let client = server.user("client", 1000).await;
        let body = changed(plain_request(), json!({"models": [COMPARED], "params": {"n": 2}}));
        let request = server.request(&client.api_key, &body).await;
        let mut jobs = Vec::new();
        for half in 0..2 {
            let pop = changed(worker("Keeper"), json!({"models": [COMPARED]}));
            let popped = server.pop(&owner.api_key, &pop).await.ok(200);
            assert_eq!(
                popped["payload"]["special"],
                json!({"model_name": format!("pipeline{half}"), "pair_id": request,
                    "comfy_pipeline": format!("pipeline{half}.json")})
            );
            jobs.push(popped["id"].clone());
        }
        for job in &jobs {
            let body = json!({"id": job, "generation": picture(), "seed": 42});
            server
                .post("/api/v2/generate/submit", &owner.api_key, &body)
                .await
                .ok(200);
        }
        Self {
            server,
            client,
            request,
            jobs,
        }
    }

    /// A scene whose rating service answers like this.
    async fn with_answers(answers: &[u16]) -> (Receiver, Self) {
        let (receiver, url) = Receiver::listen(answers).await;
        let scene = Self::new(None).await;
        (receiver, scene.restarted(Some(url)).await)
    }

    async fn restarted(self, ratings: Option<String>) -> Self {
        self.restarted_with(Setup {
            ratings,
            ..Setup::default()
        })
        .await
    }

    async fn restarted_with(self, setup: Setup) -> Self {
        let server = self.server.restart(setup).await;
        Self { server, ..self }
    }

    async fn rate(&self, body: &Value) -> Answer {
        rate(&self.server, &self.request, body).await
    }
}

async fn rate(server: &TestServer, request: &str, body: &Value) -> Answer {
    server
        .post(&format!("/api/v2/generate/rate/{request}"), "0000000000", body)
        .await
}

#[tokio::test]
async fn a_rating_is_passed_on_and_awarded_once() {
    let (receiver, scene) = Scene::with_answers(&[]).await;
    let before = balances(&scene.server, number(&scene.client)).await.0;
    let ratings =
        json!([{"id": scene.jobs[0], "rating": 9, "artifacts": 1}, {"id": scene.jobs[1], "rating": 4}]);
    let reward = scene.rate(&json!({"ratings": ratings})).await.ok(200);
    // Two ratings, one of which tells the flaws, too.
    assert_eq!(reward, json!({"reward": 15.0}));
    assert_eq!(
        balances(&scene.server, number(&scene.client)).await.0,
        before + 1500
    );
    assert_clean(&scene.server).await;
    let user = find_user(&scene.server, &scene.client.api_key).await;
    assert_eq!(user["kudos_details"]["awarded"], 15.0);

    let [mut body] = receiver.bodies().try_into().unwrap();
    let mut all: Vec<Value> = body["all_set_ids"].take().as_array().unwrap().clone();
    all.sort_by_key(ToString::to_string);
    let mut jobs = scene.jobs.clone();
    jobs.sort_by_key(ToString::to_string);
    assert_eq!(all, jobs);
    for member in ["kudos", "kudos_accumulated", "account_age"] {
        assert!(body["user"][member].take().is_number(), "{member}");
    }
    assert_eq!(
        body,
        json!({
            "set": scene.request, "all_set_ids": null, "client_agent": "unknown:0:unknown",
            "user": {"username": scene.client.alias, "trusted": false, "account_age": null, "kudos": null,
                "kudos_accumulated": null, "ipaddr": "127.0.0.1"},
            "ratings": ratings, "best": scene.jobs[0],
        })
    );
    scene
        .rate(&json!({"best": scene.jobs[0]}))
        .await
        .refused(400, "AestheticsAlreadyExist");
    assert_eq!(
        balances(&scene.server, number(&scene.client)).await.0,
        before + 1500
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_rating_is_told_in_order() {
    let (receiver, scene) = Scene::with_answers(&[]).await;
    let (first, none) = (&scene.jobs[0], "5e0d8d0e-93b8-4b9a-8a5c-0c9a9c1a7f11");
    for (body, rc) in [
        (json!({}), "AestheticsMissing"),
        (json!({"ratings": []}), "AestheticsMissing"),
        (json!({"best": none}), "ProcGenNotFound"),
        (json!({"ratings": [{"id": none, "rating": 1}]}), "ProcGenNotFound"),
        (
            json!({"best": none, "ratings": [{"id": first, "rating": 1}, {"id": first, "rating": 2}]}),
            "AestheticsDuplicate",
        ),
    ] {
        scene.rate(&body).await.refused(400, rc);
    }
    for (body, offending) in [
        (json!({"best": "short"}), "best"),
        (json!({"ratings": [{"rating": 1}]}), "ratings.0.id"),
        (json!({"ratings": [{"id": first}]}), "ratings.0.rating"),
        (
            json!({"ratings": [{"id": first, "rating": 11}]}),
            "ratings.0.rating",
        ),
        (
            json!({"ratings": [{"id": first, "rating": 0}]}),
            "ratings.0.rating",
        ),
        (
            json!({"ratings": [{"id": first, "rating": 1, "artifacts": 6}]}),
            "ratings.0.artifacts",
        ),
    ] {
        assert_eq!(scene.rate(&body).await.invalid(), [offending], "{body}");
    }
    assert!(receiver.bodies().is_empty());
}

#[tokio::test]
async fn only_what_is_shared_and_done_is_rated() {
    let server = TestServer::start().await;
    let client = server.user("client", 1000).await.api_key;
    let body = json!({"best": "5e0d8d0e-93b8-4b9a-8a5c-0c9a9c1a7f11"});
    rate(&server, "nothing", &body)
        .await
        .refused(404, "RequestNotFound");
    let request = server.request(&client, &plain_request()).await;
    rate(&server, &request, &body)
        .await
        .refused(400, "AestheticsNotCompleted");
    let owner = server.trusted("owner", 100).await.api_key;
    let job = server.popped(&owner, "Keeper").await;
    let result = json!({"id": job["id"], "generation": picture(), "seed": 42});
    server
        .post("/api/v2/generate/submit", &owner, &result)
        .await
        .ok(200);
    rate(&server, &request, &body)
        .await
        .refused(400, "AestheticsNotPublic");
}

#[tokio::test]
async fn one_picture_is_not_the_best_of_any() {
    let server = TestServer::start().await;
    let client = server.user("client", 1000).await;
    let owner = server.user_with("owner", Role::Customizer).await;
    let server = server.restart(Setup::default()).await;
    let body = changed(plain_request(), json!({"models": [COMPARED], "params": {"n": 2}}));
    let request = server.request(&client.api_key, &body).await;
    let pop = changed(worker("Keeper"), json!({"models": [COMPARED]}));
    let job = server.pop(&owner.api_key, &pop).await.ok(200)["id"].clone();
    server
        .deliver(&owner.api_key, job.as_str().unwrap())
        .await
        .ok(200);
    server
        .delete(&format!("/api/v2/generate/status/{request}"))
        .await
        .ok(200);
    rate(&server, &request, &json!({"best": job}))
        .await
        .refused(400, "AestheticsSolo");
}

/// A rating service that answers like this.
async fn service(answer: axum::routing::MethodRouter) -> String {
    let router = Router::new().route("/", answer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

#[tokio::test]
async fn a_service_that_says_nothing_or_too_much_is_not_waited_for() {
    let (_, scene) = Scene::with_answers(&[]).await;
    let body = json!({"best": scene.jobs[1]});
    let silent = service(post(std::future::pending::<()>)).await;
    let setup = Setup {
        ratings: Some(silent),
        ratings_timeout: std::time::Duration::from_millis(50),
        ..Setup::default()
    };
    let scene = scene.restarted_with(setup).await;
    scene.rate(&body).await.refused(400, "AestheticsServerTimeout");
    let talkative = service(post(|| async { "x".repeat(100_000) })).await;
    let scene = scene.restarted(Some(talkative)).await;
    scene.rate(&body).await.refused(400, "InvalidAestheticAttempt");
}

#[tokio::test]
async fn what_goes_wrong_with_the_service_is_told() {
    let (_, scene) = Scene::with_answers(&[500, 403]).await;
    let body = json!({"best": scene.jobs[1]});
    scene.rate(&body).await.refused(400, "AestheticsAlreadyExist");
    scene.rate(&body).await.refused(400, "AestheticsServerRejected");

    let url = service(post(|| async {
        (StatusCode::BAD_REQUEST, Json(json!({"detail": "no thanks"})))
    }))
    .await;
    let scene = scene.restarted(Some(url)).await;
    let message = scene.rate(&body).await.refused(400, "AestheticsServerError");
    assert!(message.contains("no thanks"), "{message}");

    let scene = scene.restarted(Some("http://127.0.0.1:1/".to_owned())).await;
    scene.rate(&body).await.refused(400, "AestheticsServerDown");
    let scene = scene.restarted(None).await;
    scene.rate(&body).await.refused(400, "AestheticsServerDown");
}

#[tokio::test]
async fn what_a_shared_picture_is_is_written_down_beside_it() {
    let scene = Scene::new(None).await;
    let file = |job: &Value| {
        let name = format!("{}.json", job.as_str().unwrap());
        scene.server.directory().join("blobs/permanent").join(name)
    };
    for job in &scene.jobs {
        let told: Value = serde_json::from_slice(&std::fs::read(file(job)).unwrap()).unwrap();
        assert_eq!(
            told,
            json!({
                "prompt": "a lighthouse on a cliff", "width": 512, "height": 512, "steps": 20,
                "sampler": "k_euler_a", "cfg": 7.5, "karras": true, "pp": [], "set": scene.request,
                "user_type": "oauth", "seed": 42, "model": COMPARED, "censored": false,
            })
        );
    }
    let status = scene
        .server
        .get(&format!("/api/v2/generate/status/{}", scene.request))
        .await
        .ok(200);
    assert_eq!(
        (&status["shared"], &status["finished"]),
        (&json!(true), &json!(2))
    );
}
