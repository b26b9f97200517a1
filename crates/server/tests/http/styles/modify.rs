//! `PATCH` and `DELETE /styles/image/{id}` and `/styles/text/{id}`.

use serde_json::{Value, json};

use super::{IMAGE, TEXT, make, noir, tale};
use crate::support::{ANONYMOUS, TestServer, changed};

#[tokio::test]
async fn what_is_absent_stays() {
    let server = TestServer::start().await;
    let ann = server.trusted("ann", 0).await;
    let id = make(&server, IMAGE, &ann.api_key, &noir()).await;
    let path = format!("{IMAGE}/{id}");
    let before = server.get(&path).await.ok(200);
    let modify = async |body: Value| server.patch(&path, &ann.api_key, &body).await;
    let done = json!({"id": id, "message": "OK", "warnings": []});
    assert_eq!(modify(json!({})).await.ok(200), done);
    assert_eq!(server.get(&path).await.ok(200), before);
    for (change, seen) in [
        (json!({"name": "gris"}), json!({"name": "gris"})),
        (json!({"name": "gris"}), json!({"name": "gris"})),
        (json!({"info": "a"}), json!({"name": "gris", "info": "a"})),
        (
            json!({"public": false, "nsfw": true}),
            json!({"name": "gris", "info": "a", "public": false, "nsfw": true}),
        ),
    ] {
        modify(change.clone()).await.ok(200);
        assert_eq!(
            server.get(&path).await.ok(200),
            changed(before.clone(), seen),
            "{change}"
        );
    }
    modify(json!({"tags": [], "models": [], "params": {"steps": 5}, "prompt": "{p}, grey{np}"}))
        .await
        .ok(200);
    let after = server.get(&path).await.ok(200);
    assert_eq!(
        (&after["tags"], &after["models"]),
        (&json!([]), &json!(["stable_diffusion"]))
    );
    assert_eq!(
        (&after["params"], &after["prompt"]),
        (&json!({"steps": 5}), &json!("{p}, grey{np}"))
    );
}

#[tokio::test]
async fn text_styles_and_shared_keys() {
    let server = TestServer::start().await;
    let ann = server.trusted("ann", 0).await;
    let id = make(&server, TEXT, &ann.api_key, &tale()).await;
    let body = json!({"name": "saga", "prompt": "Long ago {p}"});
    let done = server
        .patch(&format!("{TEXT}/{id}"), &ann.api_key, &body)
        .await
        .ok(200);
    assert_eq!(done, json!({"id": id, "message": "OK"}));
    let seen = server.get(&format!("{TEXT}_by_name/saga")).await.ok(200);
    assert_eq!(seen["prompt"], "Long ago {p}");
    let key = server
        .put("/api/v2/sharedkeys", &ann.api_key, &json!({}))
        .await
        .ok(200);
    let image = make(&server, IMAGE, &ann.api_key, &noir()).await;
    let path = format!("{IMAGE}/{image}");
    server
        .patch(&path, &ann.api_key, &json!({"sharedkey": key["id"]}))
        .await
        .ok(200);
    assert_eq!(server.get(&path).await.ok(200)["shared_key"]["id"], key["id"]);
    // A deleted key is bound to nothing.
    server
        .delete_as(
            &format!("/api/v2/sharedkeys/{}", key["id"].as_str().unwrap()),
            &ann.api_key,
        )
        .await
        .ok(200);
    assert_eq!(server.get(&path).await.ok(200)["shared_key"], Value::Null);
}

#[tokio::test]
async fn what_is_not_acceptable() {
    let server = TestServer::start().await;
    let (ann, moderator) = (server.trusted("ann", 0).await, server.moderator("mod").await);
    let id = make(&server, IMAGE, &ann.api_key, &noir()).await;
    make(
        &server,
        IMAGE,
        &ann.api_key,
        &changed(noir(), json!({"name": "taken"})),
    )
    .await;
    let text = make(&server, TEXT, &ann.api_key, &tale()).await;
    let path = format!("{IMAGE}/{id}");
    let modify = async |key: &str, body: Value| server.patch(&path, key, &body).await;
    for body in [
        json!({"name": "taken"}),
        json!({"name": "fuck off"}),
        json!({"name": "a::b"}),
        json!({"prompt": "nothing at all"}),
        json!({"models": ["a", "b", "c", "d", "e", "f"]}),
        json!({"tags": ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]}),
        json!({"sharedkey": "00000000-0000-0000-0000-000000000000"}),
    ] {
        modify(&ann.api_key, body).await.refused(400, "BadRequest");
    }
    assert_eq!(
        modify(&ann.api_key, json!({"info": "", "prompt": "{p}"}))
            .await
            .invalid(),
        ["info", "prompt"]
    );
    modify("nobody's", json!({})).await.refused(401, "InvalidAPIKey");
    modify(&moderator.api_key, json!({}))
        .await
        .refused(403, "Forbidden");
    modify(ANONYMOUS, json!({})).await.refused(403, "Forbidden");
    let other = format!("{IMAGE}/{text}");
    server
        .patch(&other, &ann.api_key, &json!({}))
        .await
        .refused(400, "BadRequest");
    server
        .patch(&format!("{IMAGE}/x"), &ann.api_key, &json!({}))
        .await
        .refused(404, "StyleNotFound");
    assert_eq!(server.get(&path).await.ok(200)["name"], "noir");
}

#[tokio::test]
async fn authors_and_moderators_delete() {
    let server = TestServer::start().await;
    let (ann, ben) = (server.trusted("ann", 0).await, server.trusted("ben", 0).await);
    let moderator = server.moderator("mod").await;
    let one = format!("{IMAGE}/{}", make(&server, IMAGE, &ann.api_key, &noir()).await);
    let two = format!("{TEXT}/{}", make(&server, TEXT, &ann.api_key, &tale()).await);
    assert_eq!(server.delete(&one).await.invalid(), ["apikey"]);
    server
        .delete_as(&one, "nobody's")
        .await
        .refused(401, "InvalidAPIKey");
    server
        .delete_as(&one, ANONYMOUS)
        .await
        .refused(403, "StylesAnonForbidden");
    server
        .delete_as(&one, &ben.api_key)
        .await
        .refused(403, "Forbidden");
    assert_eq!(
        server.delete_as(&one, &ann.api_key).await.ok(200),
        json!({"message": "OK"})
    );
    server
        .delete_as(&one, &ann.api_key)
        .await
        .refused(404, "StyleNotFound");
    server.delete_as(&two, &moderator.api_key).await.ok(200);
    let own = server.get_as("/api/v2/find_user", &ann.api_key).await.ok(200);
    assert_eq!(own["styles"], json!([]));
}
