//! `POST interrogate/async`: what is accepted, and where its picture goes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::ImageFormat;
use muster_store::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ASYNC, accepted, pop, popped, request, states};
use crate::support::{ANONYMOUS, Setup, TestServer, changed, encoded, movements, number, picture_bytes};

#[tokio::test]
async fn a_request_is_accepted_and_nothing_charged() {
    let server = TestServer::start().await;
    let client = server.user("client", 1000).await;
    let mut body = server
        .post(ASYNC, &client.api_key, &request(&["caption"]))
        .await
        .ok(202);
    uuid::Uuid::parse_str(body["id"].take().as_str().unwrap()).unwrap();
    assert_eq!(body, json!({"id": null}));
    assert_eq!(movements(&server, number(&client)).await, [100_000]);
}

#[tokio::test]
async fn a_picture_that_is_sent_is_kept_as_webp() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    for format in [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::WebP,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::Gif,
    ] {
        let body = changed(request(&["caption"]), json!({"source_image": encoded(format)}));
        let id = accepted(&server, ANONYMOUS, &body).await;
        let popped = pop(&server, &owner, json!({})).await.ok(200);
        let source = popped["forms"][0]["source_image"].as_str().unwrap();
        assert!(source.contains(&format!("{id}.webp")), "{source}");
        let answer = server.send(Method::GET, source, &[], "").await;
        assert_eq!(answer.status, 200);
        assert!(answer.text.starts_with("RIFF"));
    }
}

#[tokio::test]
async fn an_address_is_passed_on_as_it_is() {
    let server = TestServer::with(Setup::open()).await;
    let owner = server.trusted("owner", 0).await.api_key;
    let url = super::async_refusals::serve("200 OK", picture_bytes(ImageFormat::Png)).await;
    let body = changed(request(&["caption"]), json!({"source_image": url}));
    accepted(&server, ANONYMOUS, &body).await;
    let popped = pop(&server, &owner, json!({})).await.ok(200);
    assert_eq!(popped["forms"][0]["source_image"], url);
    let kept = std::fs::read_dir(server.directory().join("blobs/source")).unwrap();
    assert_eq!(kept.count(), 0);
}

#[tokio::test]
async fn a_request_without_forms_is_faulted_at_once() {
    let server = TestServer::start().await;
    let body = json!({"source_image": crate::support::picture()});
    for body in [body.clone(), changed(body, json!({"forms": []}))] {
        let id = accepted(&server, ANONYMOUS, &body).await;
        assert_eq!(states(&server, &id).await, ["faulted"]);
    }
}

#[tokio::test]
async fn the_same_form_may_be_asked_for_twice() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    accepted(&server, ANONYMOUS, &request(&["caption", "caption"])).await;
    assert_eq!(popped(&server, &owner, json!({"amount": 5})).await.len(), 2);
}

#[tokio::test]
async fn so_many_forms_may_wait_or_be_worked_on() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let client = server.user("client", 0).await.api_key;
    // Ten times the concurrency of 30.
    accepted(&server, &client, &request(&["caption"; 299])).await;
    popped(&server, &owner, json!({"amount": 50})).await;
    let refused = server.post(ASYNC, &client, &request(&["nsfw"; 2])).await;
    refused.refused(429, "TooManyPrompts");
    accepted(&server, &client, &request(&["nsfw"])).await;
}

#[tokio::test]
async fn a_request_survives_a_restart() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let forms = ["caption", "nsfw", "caption", "caption"];
    let id = accepted(&server, ANONYMOUS, &request(&forms)).await;
    let taken = popped(&server, &owner, json!({"forms": ["nsfw"], "amount": 1})).await;
    popped(&server, &owner, json!({"forms": ["caption"], "amount": 1})).await;
    super::deliver(&server, &owner, &taken[0].1, json!({"nsfw": false}))
        .await
        .ok(200);
    let before = super::status(&server, &id).await;
    let server = server.restart(Setup::default()).await;
    assert_eq!(super::status(&server, &id).await, before);
    assert_eq!(
        states(&server, &id).await,
        ["processing", "processing", "done", "waiting", "waiting"]
    );
    assert!(
        popped(&server, &owner, json!({"forms": ["nsfw"]}))
            .await
            .is_empty()
    );
    assert_eq!(popped(&server, &owner, json!({"amount": 9})).await.len(), 2);
}

#[tokio::test]
async fn unknown_members_are_passed_over_and_trust_is_read_leniently() {
    let server = TestServer::start().await;
    let untrusted = server.user("untrusted", 0).await.api_key;
    let changes = json!({"extra_slow_workers": true, "trusted_workers": "false"});
    accepted(&server, ANONYMOUS, &changed(request(&["caption"]), changes)).await;
    let body = pop(&server, &untrusted, json!({})).await.ok(200);
    assert_eq!(body, json!({"forms": null, "skipped": {"untrusted": 1}}));
    let changes = json!({"trusted_workers": null});
    accepted(&server, ANONYMOUS, &changed(request(&["caption"]), changes)).await;
    assert_eq!(popped(&server, &untrusted, json!({})).await.len(), 1);
}

#[tokio::test]
async fn flagged_accounts_are_served() {
    let server = TestServer::start().await;
    let flagged = server.user_with("flagged", Role::Flagged).await.api_key;
    accepted(&server, &flagged, &request(&["caption"])).await;
}

#[tokio::test]
async fn base64_is_read_as_people_send_it() {
    let server = TestServer::start().await;
    let sent = STANDARD.encode(picture_bytes(ImageFormat::Png));
    let (head, tail) = sent.split_at(20);
    for source in [
        format!(" {head}\n{tail}\0"),
        format!("data:image/png;base64,{sent}"),
    ] {
        let body: Value = changed(request(&["caption"]), json!({"source_image": source}));
        accepted(&server, ANONYMOUS, &body).await;
    }
}
