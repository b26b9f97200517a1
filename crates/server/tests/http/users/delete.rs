//! `DELETE /users/{id}`.

use serde_json::json;

use crate::support::{ANONYMOUS, TestServer, assert_clean};

const DAY: u64 = 86_400;

#[tokio::test]
async fn the_first_call_marks_and_the_second_wipes() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 1000).await;
    let worker = server.worker(&ann.api_key, "Rig").await;
    let shared = server
        .put("/api/v2/sharedkeys", &ann.api_key, &json!({}))
        .await
        .ok(200);
    let path = "/api/v2/users/1";
    assert_eq!(
        server.delete_as(path, &ann.api_key).await.ok(200),
        json!({"message": "OK"})
    );
    assert_eq!(server.get(path).await.ok(200)["deleted"], true);
    let prompt = json!({"prompt": "a lighthouse"});
    server
        .post("/api/v2/generate/async", &ann.api_key, &prompt)
        .await
        .refused(403, "DeletedUser");
    // It can be undone.
    let undelete = json!({"undelete": true});
    assert_eq!(
        server.put(path, &ann.api_key, &undelete).await.ok(200),
        json!({"undeleted": true})
    );
    assert_eq!(server.get(path).await.ok(200)["deleted"], false);

    server.delete_as(path, &ann.api_key).await.ok(200);
    let message = server
        .delete_as(path, &ann.api_key)
        .await
        .refused(403, "CannotWipeActiveUser");
    assert!(message.contains("Thu, 01 Feb 2024"), "{message}");
    server.advance(30 * DAY).await;
    server.delete_as(path, &ann.api_key).await.ok(200);
    server.get(path).await.refused(404, "UserNotFound");
    server
        .get_as("/api/v2/find_user", &ann.api_key)
        .await
        .refused(404, "UserNotFound");
    server
        .get(&format!("/api/v2/workers/{worker}"))
        .await
        .refused(404, "WorkerNotFound");
    let shared = shared["id"].as_str().unwrap();
    server
        .get(&format!("/api/v2/sharedkeys/{shared}"))
        .await
        .refused(401, "InvalidAPIKey");
    assert_clean(&server).await;
    // It stays gone.
    let server = server.restart(crate::support::Setup::default()).await;
    server.get(path).await.refused(404, "UserNotFound");
}

#[tokio::test]
async fn any_number_of_accounts_can_be_wiped() {
    let server = TestServer::start().await;
    let moderator = server.moderator("mod").await;
    for (name, number) in [("ann", 2), ("ben", 3)] {
        server.user(name, 0).await;
        let path = format!("/api/v2/users/{number}");
        server.delete_as(&path, &moderator.api_key).await.ok(200);
        server.advance(30 * DAY).await;
        server.delete_as(&path, &moderator.api_key).await.ok(200);
        server.get(&path).await.refused(404, "UserNotFound");
    }
}

#[tokio::test]
async fn who_may_not_delete_whom() {
    let server = TestServer::start().await;
    let moderator = server.moderator("mod").await;
    let ann = server.user("ann", 0).await;
    let ben = server.user("ben", 0).await;
    server
        .delete("/api/v2/users/x")
        .await
        .refused(404, "UserNotFound");
    server
        .delete("/api/v2/users/2")
        .await
        .refused(401, "InvalidAPIKey");
    server
        .delete_as("/api/v2/users/2", "nobody's")
        .await
        .refused(401, "InvalidAPIKey");
    server
        .delete_as("/api/v2/users/9", &ann.api_key)
        .await
        .refused(404, "UserNotFound");
    server
        .delete_as("/api/v2/users/2", ANONYMOUS)
        .await
        .refused(403, "AnonForbiddenUser");
    server
        .delete_as("/api/v2/users/1", &moderator.api_key)
        .await
        .refused(403, "CannotDeleteMod");
    server
        .delete_as("/api/v2/users/2", &ben.api_key)
        .await
        .refused(403, "NotUserOrMod");
    server
        .delete_as("/api/v2/users/0", &moderator.api_key)
        .await
        .ok(200);
    assert_eq!(server.get("/api/v2/users/0").await.ok(200)["deleted"], false);
}
