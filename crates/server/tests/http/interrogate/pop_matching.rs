//! `POST interrogate/pop`: who gets what, and in which order.

use image::ImageFormat;
use serde_json::json;

use super::{accepted, deliver, pop, popped, request};
use crate::support::{ANONYMOUS, Setup, TestServer, changed};

#[tokio::test]
async fn only_forms_that_the_worker_takes_are_handed_out() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    accepted(&server, ANONYMOUS, &request(&["palette", "caption"])).await;
    assert!(popped(&server, &owner, json!({"forms": []})).await.is_empty());
    assert!(
        popped(&server, &owner, json!({"forms": ["describe"]}))
            .await
            .is_empty()
    );
    let taken = popped(&server, &owner, json!({"forms": ["caption"], "amount": 5})).await;
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].0, "caption");
}

#[tokio::test]
async fn a_picture_must_not_be_larger_than_the_worker_takes() {
    let server = TestServer::with(Setup::open()).await;
    let owner = server.trusted("owner", 0).await.api_key;
    let picture = image::RgbImage::new(513, 512);
    let mut bytes = Vec::new();
    picture
        .write_to(&mut std::io::Cursor::new(&mut bytes), ImageFormat::Png)
        .unwrap();
    let url = super::async_refusals::serve("200 OK", bytes).await;
    accepted(
        &server,
        ANONYMOUS,
        &changed(request(&["caption"]), json!({"source_image": url})),
    )
    .await;
    let body = pop(&server, &owner, json!({"max_tiles": 1})).await.ok(200);
    assert_eq!(body, json!({"forms": null, "skipped": {}}));
    assert_eq!(popped(&server, &owner, json!({"max_tiles": 2})).await.len(), 1);
}

#[tokio::test]
async fn users_that_a_worker_names_come_first() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    let rich = server.user("rich", 1000).await;
    let poor = server.user("poor", 0).await;
    accepted(&server, &rich.api_key, &request(&["caption", "caption"])).await;
    let mine = accepted(&server, &owner.api_key, &request(&["caption"])).await;
    let listed = accepted(&server, &poor.api_key, &request(&["caption"])).await;
    let alias = format!("poor#{}", poor.user_id);
    let first = json!({"priority_usernames": [alias], "amount": 2});
    assert_eq!(popped(&server, &owner.api_key, first).await.len(), 2);
    for request in [mine, listed] {
        assert_eq!(super::states(&server, &request).await[0], "processing");
    }
}

#[tokio::test]
async fn waiting_does_not_raise_the_priority() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let rich = server.user("rich", 100).await.api_key;
    let poor = server.user("poor", 0).await.api_key;
    accepted(&server, &poor, &request(&["nsfw"])).await;
    server.advance(300).await;
    accepted(&server, &rich, &request(&["caption"])).await;
    assert_eq!(popped(&server, &owner, json!({})).await[0].0, "caption");
}

#[tokio::test]
async fn slow_workers_get_what_is_for_all() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    accepted(&server, ANONYMOUS, &request(&["caption"])).await;
    let taken = popped(&server, &owner, json!({})).await;
    server.advance(10).await;
    deliver(&server, &owner, &taken[0].1, json!({"caption": "x"}))
        .await
        .ok(200);
    let fast_only = changed(request(&["caption"]), json!({"slow_workers": false}));
    accepted(&server, ANONYMOUS, &fast_only).await;
    assert!(popped(&server, &owner, json!({})).await.is_empty());
    accepted(&server, ANONYMOUS, &request(&["nsfw"])).await;
    assert_eq!(popped(&server, &owner, json!({})).await[0].0, "nsfw");
}
