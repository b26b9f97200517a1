//! `DELETE generate/status`: a client wants no more of a request.

use muster_protocol::TestUser;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Setup, TestServer, changed, plain_request, worker};

/// A server with a request for three pictures, the owner of a worker, and who asked.
struct Scene {
    server: TestServer,
    owner: TestUser,
    client: TestUser,
    request: String,
}

impl Scene {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let owner = server.trusted("owner", 0).await;
        let client = server.user("client", 1000).await;
        let body = changed(plain_request(), json!({"params": {"n": 3}}));
        let request = server.request(&client.api_key, &body).await;
        Self {
            server,
            owner,
            client,
            request,
        }
    }

    async fn restart(self) -> Self {
        Self {
            server: self.server.restart(Setup::default()).await,
            ..self
        }
    }

    fn path(&self) -> String {
        format!("/api/v2/generate/status/{}", self.request)
    }

    async fn cancel(&self) -> Value {
        self.server.delete(&self.path()).await.ok(200)
    }

    async fn status(&self) -> Value {
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

    async fn assert_nothing_to_pop(&self) {
        let popped = self
            .server
            .pop(&self.owner.api_key, &worker("Keeper"))
            .await
            .ok(200);
        assert_eq!(popped["id"], Value::Null);
    }
}

/// Jobs that are finished, processing and waiting, and whether all is done.
fn state(status: &Value) -> (u64, u64, u64, bool) {
    let count = |name: &str| status[name].as_u64().unwrap();
    let results = status["generations"].as_array().unwrap().len() as u64;
    assert_eq!(count("finished"), results, "{status}");
    (
        results,
        count("processing"),
        count("waiting"),
        status["done"].as_bool().unwrap(),
    )
}

#[tokio::test]
async fn the_answer_is_the_status_before() {
    let scene = Scene::new().await;
    let job = scene.pop().await;
    scene.deliver(&job).await;
    let before = scene.status().await;
    assert_eq!(state(&before), (1, 0, 2, false));
    assert_eq!(scene.cancel().await, before);
    let mut after = scene.status().await;
    after["generations"] = json!("<as before>");
    insta::assert_json_snapshot!(after, @r#"
    {
      "done": true,
      "faulted": false,
      "finished": 1,
      "generations": "<as before>",
      "is_possible": true,
      "kudos": 10.0,
      "processing": 0,
      "queue_position": 0,
      "restarted": 0,
      "shared": false,
      "wait_time": 0,
      "waiting": 0
    }
    "#);
}

#[tokio::test]
async fn nothing_is_handed_out_any_more() {
    let scene = Scene::new().await;
    scene.cancel().await;
    scene.assert_nothing_to_pop().await;
    assert_eq!(state(&scene.status().await), (0, 0, 0, true));
    let scene = scene.restart().await;
    scene.assert_nothing_to_pop().await;
    assert_eq!(state(&scene.status().await), (0, 0, 0, true));
}

#[tokio::test]
async fn a_job_in_flight_is_delivered_and_paid() {
    for restarted in [false, true] {
        let mut scene = Scene::new().await;
        let job = scene.pop().await;
        scene.cancel().await;
        if restarted {
            scene = scene.restart().await;
        }
        assert_eq!(state(&scene.status().await), (0, 1, 0, false));
        scene.deliver(&job).await;
        let status = scene.status().await;
        assert_eq!(state(&status), (1, 0, 0, true));
        assert_eq!(
            (&status["generations"][0]["id"], &status["kudos"]),
            (&json!(job), &json!(10.0))
        );
        // 1000 - 3 - 6.76: the tax is not given back, and the picture is paid.
        let client = scene
            .server
            .get_as("/api/v2/find_user", &scene.client.api_key)
            .await
            .ok(200);
        assert_eq!(client["kudos"], 990.0);
        assert!(scene.server.engine.store().audit().await.unwrap().is_clean());
        scene.assert_nothing_to_pop().await;
    }
}

#[tokio::test]
async fn a_job_in_flight_that_is_lost_is_not_queued_again() {
    for timed_out in [false, true] {
        let scene = Scene::new().await;
        let job = scene.pop().await;
        scene.cancel().await;
        if timed_out {
            scene.server.advance(15 * 60).await;
        } else {
            scene.report_fault(&job).await;
        }
        scene.assert_nothing_to_pop().await;
        assert_eq!(state(&scene.status().await), (0, 0, 0, true));
        let scene = scene.restart().await;
        scene.assert_nothing_to_pop().await;
        assert_eq!(state(&scene.status().await), (0, 0, 0, true));
    }
}

#[tokio::test]
async fn it_can_be_repeated() {
    let scene = Scene::new().await;
    let before = scene.cancel().await;
    assert_eq!(state(&before), (0, 0, 3, false));
    for _ in 0..2 {
        let again = scene.cancel().await;
        assert_eq!(state(&again), (0, 0, 0, true));
        assert_eq!(again, scene.status().await);
    }
    let scene = scene.restart().await;
    assert_eq!(state(&scene.cancel().await), (0, 0, 0, true));
    scene.server.advance(20 * 60).await;
    scene
        .server
        .delete(&scene.path())
        .await
        .refused(404, "RequestNotFound");
}

#[tokio::test]
async fn after_the_end_it_answers_as_status_does() {
    let scene = Scene::new().await;
    for _ in 0..3 {
        let job = scene.pop().await;
        scene.deliver(&job).await;
    }
    let status = scene.status().await;
    assert_eq!(state(&status), (3, 0, 0, true));
    assert_eq!(scene.cancel().await, status);
    assert_eq!(scene.status().await, status);
}

#[tokio::test]
async fn other_requests_are_not_concerned() {
    let scene = Scene::new().await;
    let other = scene
        .server
        .request(&scene.client.api_key, &plain_request())
        .await;
    scene.cancel().await;
    let check = scene
        .server
        .get(&format!("/api/v2/generate/check/{other}"))
        .await
        .ok(200);
    assert_eq!(
        (&check["queue_position"], &check["waiting"]),
        (&json!(1), &json!(1))
    );
    let job = scene.pop().await;
    scene.deliver(&job).await;
    let other = scene
        .server
        .get(&format!("/api/v2/generate/status/{other}"))
        .await
        .ok(200);
    assert_eq!(other["generations"][0]["id"], json!(job));
}

#[tokio::test]
async fn no_key_is_needed_but_the_id_must_exist() {
    let scene = Scene::new().await;
    for id in ["5e0d8d0e-93b8-4b9a-8a5c-0c9a9c1a7f11", "not-a-uuid", "%00"] {
        let path = format!("/api/v2/generate/status/{id}");
        scene.server.delete(&path).await.refused(404, "RequestNotFound");
    }
    assert_eq!(state(&scene.status().await), (0, 0, 3, false));
    // Browsers send the content type without a body.
    let headers = [("apikey", "nobody's"), ("content-type", "application/json")];
    scene
        .server
        .send(Method::DELETE, &scene.path(), &headers, "")
        .await
        .ok(200);
    assert_eq!(state(&scene.status().await), (0, 0, 0, true));
}
