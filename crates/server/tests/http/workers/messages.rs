//! `workers/messages`.

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::support::{ANONYMOUS, BRIDGE_AGENT, Setup, TestServer, plain_request, worker};

const PATH: &str = "/api/v2/workers/messages";

struct Office {
    server: TestServer,
    moderator: String,
    ann: String,
    worker: String,
}

impl Office {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let (moderator, ann) = (server.moderator("mod").await, server.user("ann", 1000).await);
        let worker = server.worker(&ann.api_key, "Rig").await;
        Self {
            server,
            moderator: moderator.api_key,
            ann: ann.api_key,
            worker,
        }
    }

    /// Writes a message; the next one will be a little later.
    async fn write(&self, key: &str, body: Value) -> Value {
        self.server.clock.advance(std::time::Duration::from_millis(1));
        self.server.post(PATH, key, &body).await.ok(200)
    }

    async fn list(&self, key: &str, query: &str) -> Vec<String> {
        let listed = self.server.get_as(&format!("{PATH}{query}"), key).await.ok(200);
        let text = |message: &Value| message["message"].as_str().unwrap().to_owned();
        listed.as_array().unwrap().iter().map(text).collect()
    }
}

#[tokio::test]
async fn messages_come_with_every_pop_until_they_expire() {
    let office = Office::new().await;
    let to_all = office
        .write(&office.moderator, json!({"message": "to <all>", "expiry": 1}))
        .await;
    let to_one = office
        .write(
            &office.ann,
            json!({"message": "to one", "worker_id": office.worker}),
        )
        .await;
    assert_json_snapshot!([&to_all, &to_one], @r#"
    [
      {
        "created": "Tue, 02 Jan 2024 03:04:05 -0000",
        "expiry": "Tue, 02 Jan 2024 04:04:05 -0000",
        "id": "9fde3484-cf0e-465e-a8c4-c49b250b6055",
        "message": "to <all>",
        "origin": "AI Horde Moderators",
        "user_id": "1"
      },
      {
        "created": "Tue, 02 Jan 2024 03:04:05 -0000",
        "expiry": "Tue, 02 Jan 2024 15:04:05 -0000",
        "id": "03c170b8-2ec1-4a2a-bad8-01af0eb64991",
        "message": "to one",
        "origin": "2",
        "user_id": "2",
        "worker_id": "8eb37e6d-7019-4780-8fdd-d76b1a73e1ce"
      }
    ]
    "#);
    let popped = office.server.pop(&office.ann, &worker("Rig")).await.ok(200);
    assert_json_snapshot!(popped["messages"], @r#"
    [
      {
        "expiry": "Tue, 02 Jan 2024 15:04:05 -0000",
        "id": "03c170b8-2ec1-4a2a-bad8-01af0eb64991",
        "message": "to one",
        "origin": "2"
      },
      {
        "expiry": "Tue, 02 Jan 2024 04:04:05 -0000",
        "id": "9fde3484-cf0e-465e-a8c4-c49b250b6055",
        "message": "to <all>",
        "origin": "AI Horde Moderators"
      }
    ]
    "#);
    // With a job, in maintenance mode with its owner's job, and for texts.
    office.server.request(&office.ann, &plain_request()).await;
    assert_eq!(
        office.server.popped(&office.ann, "Rig").await["messages"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let scribe = json!({"name": "Scribe", "models": ["some/model"], "bridge_agent": BRIDGE_AGENT});
    let popped = office
        .server
        .post("/api/v2/generate/text/pop", &office.ann, &scribe)
        .await
        .ok(200);
    assert_eq!(popped["messages"].as_array().unwrap().len(), 1);
    assert_eq!(popped["messages"][0]["message"], "to <all>");
    // They survive a restart, and end by themselves.
    let server = office.server.restart(Setup::default()).await;
    let told = async || {
        server.pop(&office.ann, &worker("Rig")).await.ok(200)["messages"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(told().await, 2);
    server.advance(3600).await;
    assert_eq!(told().await, 1);
    server.advance(11 * 3600).await;
    assert_eq!(told().await, 0);
}

#[tokio::test]
async fn a_deleted_message_is_not_delivered() {
    let office = Office::new().await;
    let message = office
        .write(&office.moderator, json!({"message": "to all"}))
        .await;
    let path = format!("{PATH}/{}", message["id"].as_str().unwrap());
    assert_eq!(office.server.get(&path).await.ok(200), message);
    office
        .server
        .delete_as(&path, &office.ann)
        .await
        .refused(403, "Forbidden");
    let keyless = office.server.delete(&path).await;
    assert_eq!(keyless.invalid(), ["apikey"]);
    office
        .server
        .delete_as(&path, "nobody's")
        .await
        .refused(401, "InvalidAPIKey");
    assert_eq!(
        office.server.delete_as(&path, &office.moderator).await.ok(200),
        json!({"message": "OK"})
    );
    office
        .server
        .get(&path)
        .await
        .refused(404, "WorkermessageNotFound");
    office
        .server
        .delete_as(&path, &office.moderator)
        .await
        .refused(404, "WorkermessageNotFound");
    let popped = office.server.pop(&office.ann, &worker("Rig")).await.ok(200);
    assert_eq!(popped["messages"], json!([]));
    for id in ["x", "00000000-0000-0000-0000-000000000000"] {
        office
            .server
            .get(&format!("{PATH}/{id}"))
            .await
            .refused(404, "WorkermessageNotFound");
    }
}

#[tokio::test]
async fn two_messages_in_a_row_are_two() {
    let office = Office::new().await;
    let one = office.write(&office.moderator, json!({"message": "one"})).await;
    let two = office.write(&office.moderator, json!({"message": "two"})).await;
    assert_ne!(one["id"], two["id"]);
    assert_eq!(office.list(&office.moderator, "").await, ["one", "two"]);
}

#[tokio::test]
async fn who_sees_what() {
    let office = Office::new().await;
    let to_worker = |text: &str| json!({"message": text, "worker_id": office.worker, "expiry": 2});
    office.write(&office.moderator, to_worker("mod to rig")).await;
    office
        .write(&office.moderator, json!({"message": "mod to all", "expiry": 1}))
        .await;
    office.write(&office.ann, to_worker("ann to rig")).await;
    let ben = office.server.user("ben", 0).await;
    let all = ["mod to rig", "mod to all", "ann to rig"];
    assert_eq!(office.list(&office.moderator, "").await, all);
    assert_eq!(
        office.list(&office.moderator, "?user_id=2").await,
        ["mod to all", "ann to rig"]
    );
    let to_rig = format!("?worker_id={}", office.worker);
    assert_eq!(
        office.list(&office.moderator, &to_rig).await,
        ["mod to rig", "ann to rig"]
    );
    assert_eq!(office.list(&office.ann, "").await, ["mod to all", "ann to rig"]);
    assert_eq!(
        office.list(&office.ann, "?user_id=2").await,
        ["mod to all", "ann to rig"]
    );
    assert_eq!(office.list(&ben.api_key, "").await, ["mod to all"]);
    office.server.advance(3600).await;
    assert_eq!(
        office.list(&office.moderator, "?validity=").await,
        ["mod to rig", "ann to rig"]
    );
    assert_eq!(
        office.list(&office.moderator, "?validity=expired").await,
        ["mod to all"]
    );
    assert_eq!(office.list(&office.moderator, "?validity=all&page=0").await, all);
    assert!(
        office
            .list(&office.moderator, "?validity=all&page=2")
            .await
            .is_empty()
    );

    let get = async |key: &str, query: &str| office.server.get_as(&format!("{PATH}{query}"), key).await;
    get(&office.ann, "?user_id=1&validity=x")
        .await
        .refused(403, "Forbidden");
    get(&office.ann, "?validity=x").await.refused(400, "BadRequest");
    get(&office.ann, "?worker_id=x").await.refused(400, "BadRequest");
    get(&office.moderator, "?user_id=x")
        .await
        .refused(400, "BadRequest");
    assert_eq!(get(&office.ann, "?page=x").await.invalid(), ["page"]);
    get("nobody's", "").await.refused(401, "InvalidAPIKey");
    assert_eq!(office.server.get(PATH).await.invalid(), ["apikey"]);
}

#[tokio::test]
async fn who_may_write_to_whom() {
    let office = Office::new().await;
    let ben = office.server.user("ben", 0).await;
    let post = async |key: &str, body: Value| office.server.post(PATH, key, &body).await;
    let to_rig = json!({"message": "hello", "worker_id": office.worker});
    post("nobody's", to_rig.clone())
        .await
        .refused(401, "InvalidAPIKey");
    post(ANONYMOUS, to_rig.clone())
        .await
        .refused(403, "AnonForbidden");
    post(&ben.api_key, to_rig)
        .await
        .refused(403, "MessagesOnlyOwnWorkers");
    post(&office.ann, json!({"message": "hello"}))
        .await
        .refused(403, "MessagesOnlyOwnWorkers");
    let nowhere = json!({"message": "hello", "worker_id": "00000000-0000-0000-0000-000000000000"});
    post(&office.ann, nowhere).await.refused(404, "WorkerNotFound");
    post(&office.moderator, json!({"message": "a\u{0}"}))
        .await
        .refused(400, "NulByteInPayload");
    let wrong = json!({"message": "", "worker_id": "x", "origin": "", "expiry": 721});
    assert_eq!(
        post(&office.ann, wrong).await.invalid(),
        ["expiry", "message", "origin", "worker_id"]
    );
    assert_eq!(post(&office.ann, json!({})).await.invalid(), ["message"]);
    // Only moderators write in another's name.
    let named = json!({"message": "hello", "worker_id": office.worker, "origin": "The king"});
    assert_eq!(office.write(&office.ann, named.clone()).await["origin"], "2");
    assert_eq!(office.write(&office.moderator, named).await["origin"], "The king");
}
