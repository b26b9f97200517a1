//! `GET interrogate/status/{id}`: what became of each form.

use reqwest::Method;
use serde_json::json;

use super::{accepted, deliver, fault, popped, request, states, status};
use crate::support::{ANONYMOUS, Setup, TestServer, picture_bytes};

#[tokio::test]
async fn forms_are_followed_to_their_results() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let request = accepted(&server, ANONYMOUS, &request(&["caption", "nsfw"])).await;
    assert_eq!(
        status(&server, &request).await,
        json!({"state": "waiting", "forms": [
            {"form": "caption", "state": "waiting"},
            {"form": "nsfw", "state": "waiting"},
        ]})
    );
    let caption = popped(&server, &owner, json!({})).await.remove(0).1;
    assert_eq!(
        states(&server, &request).await,
        ["processing", "processing", "waiting"]
    );
    let result = json!({"caption": "a lighthouse", "score": {"deep": null}, "none": null, "no": false});
    deliver(&server, &owner, &caption, result).await.ok(200);
    assert_eq!(
        status(&server, &request).await,
        json!({"state": "waiting", "forms": [
            {"form": "caption", "state": "done",
             "result": {"caption": "a lighthouse", "score": {"deep": null}, "no": false}},
            {"form": "nsfw", "state": "waiting"},
        ]})
    );
    let nsfw = popped(&server, &owner, json!({})).await.remove(0).1;
    deliver(&server, &owner, &nsfw, json!({})).await.ok(200);
    let body = status(&server, &request).await;
    assert_eq!(body["state"], "done");
    assert_eq!(body["forms"][1], json!({"form": "nsfw", "state": "done"}));
}

#[tokio::test]
async fn an_uploaded_picture_is_told_by_its_address() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let request = accepted(&server, ANONYMOUS, &request(&["RealESRGAN_x4plus"])).await;
    let body = super::pop(&server, &owner, json!({})).await.ok(200);
    let form = &body["forms"][0];
    let bytes = picture_bytes(image::ImageFormat::WebP);
    let put = server
        .send(
            Method::PUT,
            form["r2_upload"].as_str().unwrap(),
            &[],
            bytes.clone(),
        )
        .await;
    assert_eq!(put.status, 200);
    let result = json!({"RealESRGAN_x4plus": "R2", "note": "R2!"});
    deliver(&server, &owner, form["id"].as_str().unwrap(), result)
        .await
        .ok(200);
    // However long after the result.
    server.advance(19 * 60).await;
    let body = status(&server, &request).await;
    let result = &body["forms"][0]["result"];
    assert_eq!(result["note"], "R2!");
    let url = result["RealESRGAN_x4plus"].as_str().unwrap();
    let got = server.send(Method::GET, url, &[], "").await;
    assert_eq!(got.status, 200);
    assert!(got.text.starts_with("RIFF"));
}

#[tokio::test]
async fn a_form_is_given_up_after_four_attempts_and_the_others_are_not() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let request = accepted(&server, ANONYMOUS, &request(&["caption", "nsfw"])).await;
    for attempt in 1..=4 {
        let taken = popped(&server, &owner, json!({"forms": ["caption"]})).await;
        assert_eq!(taken.len(), 1, "attempt {attempt}");
        fault(&server, &owner, &taken[0].1).await.ok(200);
    }
    assert_eq!(states(&server, &request).await, ["waiting", "faulted", "waiting"]);
    assert!(
        popped(&server, &owner, json!({"forms": ["caption"]}))
            .await
            .is_empty()
    );
    let taken = popped(&server, &owner, json!({})).await;
    deliver(&server, &owner, &taken[0].1, json!({"nsfw": true}))
        .await
        .ok(200);
    assert_eq!(states(&server, &request).await, ["partial", "faulted", "done"]);
}

#[tokio::test]
async fn a_form_past_its_time_waits_again() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let request = accepted(&server, ANONYMOUS, &request(&["caption"])).await;
    popped(&server, &owner, json!({})).await;
    server.advance(179).await;
    assert_eq!(states(&server, &request).await[1], "processing");
    server.advance(1).await;
    assert_eq!(states(&server, &request).await[1], "waiting");
    for _ in 0..3 {
        popped(&server, &owner, json!({})).await;
        server.advance(180).await;
    }
    assert_eq!(states(&server, &request).await, ["faulted", "faulted"]);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = TestServer::start().await;
    let form = accepted(&server, ANONYMOUS, &request(&["caption"])).await;
    for id in ["nothing", "5e0d8d0e-93b8-4b9a-8a5c-0c9a9c1a7f11"] {
        let path = format!("/api/v2/interrogate/status/{id}");
        server.get(&path).await.refused(404, "RequestNotFound");
        server.delete(&path).await.refused(404, "RequestNotFound");
    }
    let picture = format!("/api/v2/generate/status/{form}");
    server.get(&picture).await.refused(404, "RequestNotFound");
    server.advance(20 * 60).await;
    let path = format!("/api/v2/interrogate/status/{form}");
    server.get(&path).await.refused(404, "RequestNotFound");
}

#[tokio::test]
async fn a_done_request_is_remembered_by_the_store() {
    let setup = || Setup {
        engine: muster_engine::EngineConfig {
            remembered_requests: 0,
            ..Setup::default().engine
        },
        ..Setup::default()
    };
    let server = TestServer::with(setup()).await;
    let owner = server.trusted("owner", 0).await.api_key;
    let request = accepted(&server, ANONYMOUS, &request(&["nsfw", "caption", "caption"])).await;
    let taken = popped(&server, &owner, json!({"amount": 3})).await;
    for (index, (_, id)) in taken.iter().enumerate() {
        deliver(&server, &owner, id, json!({"index": index}))
            .await
            .ok(200);
    }
    assert_eq!(server.engine.requests_in_memory(), 0);
    let body = status(&server, &request).await;
    for index in 0..3 {
        assert_eq!(body["forms"][index]["result"], json!({"index": index}));
    }
    let server = server.restart(setup()).await;
    assert_eq!(status(&server, &request).await, body);
}

#[tokio::test]
async fn limits_are_those_of_the_published_table() {
    let server = TestServer::with(Setup {
        rate_limits: true,
        ..Setup::default()
    })
    .await;
    let request = accepted(&server, ANONYMOUS, &request(&["caption"])).await;
    let path = format!("/api/v2/interrogate/status/{request}");
    for _ in 0..10 {
        server.get(&path).await.ok(200);
    }
    assert_eq!(server.get(&path).await.plain(429), "10 per 1 second");
}
