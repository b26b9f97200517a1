//! `DELETE /workers/{id}`.

use serde_json::json;

use crate::support::{ANONYMOUS, BRIDGE_AGENT, TestServer, plain_request};

#[tokio::test]
async fn workers_of_all_kinds_can_be_deleted() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 0).await;
    let alchemist = json!({"name": "Alchemist", "forms": ["caption"], "bridge_agent": BRIDGE_AGENT});
    server
        .post("/api/v2/interrogate/pop", &ann.api_key, &alchemist)
        .await
        .ok(200);
    let scribe = json!({"name": "Scribe", "models": ["some/model"], "bridge_agent": BRIDGE_AGENT});
    server
        .post("/api/v2/generate/text/pop", &ann.api_key, &scribe)
        .await
        .ok(200);
    server.worker(&ann.api_key, "Rig").await;
    for name in ["Alchemist", "Scribe", "Rig"] {
        let id = server.worker_id(name).await;
        let path = format!("/api/v2/workers/{id}");
        let deleted = server.delete_as(&path, &ann.api_key).await.ok(200);
        assert_eq!(deleted, json!({"deleted_id": id, "deleted_name": name}));
        server.get(&path).await.refused(404, "WorkerNotFound");
        server
            .delete_as(&path, &ann.api_key)
            .await
            .refused(404, "WorkerNotFound");
    }
    // The names are free, for anybody.
    let ben = server.user("ben", 0).await;
    server.worker(&ben.api_key, "Rig").await;
}

#[tokio::test]
async fn a_job_in_progress_goes_back_to_the_queue() {
    let server = TestServer::start().await;
    let (ann, ben) = (server.user("ann", 0).await, server.user("ben", 1000).await);
    let request = server.request(&ben.api_key, &plain_request()).await;
    let popped = server.popped(&ann.api_key, "Rig").await;
    let id = server.worker_id("Rig").await;
    server
        .delete_as(&format!("/api/v2/workers/{id}"), &ann.api_key)
        .await
        .ok(200);
    let job = popped["id"].as_str().unwrap();
    server
        .deliver(&ann.api_key, job)
        .await
        .refused(403, "WrongCredentials");
    server.advance(popped["ttl"].as_u64().unwrap() + 1).await;
    let check = server
        .get(&format!("/api/v2/generate/check/{request}"))
        .await
        .ok(200);
    assert_eq!((&check["waiting"], &check["restarted"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn who_may_not_delete() {
    let server = TestServer::start().await;
    let (ann, ben) = (server.user("ann", 0).await, server.user("ben", 0).await);
    let id = server.worker(&ann.api_key, "Rig").await;
    let path = format!("/api/v2/workers/{id}");
    server
        .delete("/api/v2/workers/x")
        .await
        .refused(404, "WorkerNotFound");
    server.delete(&path).await.refused(401, "InvalidAPIKey");
    server
        .delete_as(&path, "nobody's")
        .await
        .refused(401, "InvalidAPIKey");
    server
        .delete_as(&path, &ben.api_key)
        .await
        .refused(403, "NotModerator");
    server
        .delete_as(&path, ANONYMOUS)
        .await
        .refused(403, "NotModerator");
    let moderator = server.moderator("mod").await;
    server.delete_as(&path, &moderator.api_key).await.ok(200);
}
