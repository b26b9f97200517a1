//! What follows for whoever sends a prompt that filters refuse.

use serde_json::{Value, json};

use super::{filtered, from, proxied};
use crate::support::{ANONYMOUS, TestServer, changed, number, plain_request};

const ASYNC: &str = "/api/v2/generate/async";

fn bad_request() -> Value {
    changed(
        plain_request(),
        json!({"prompt": "kittens fight", "replacement_filter": false}),
    )
}

fn kept_prompts(server: &TestServer) -> Vec<Value> {
    let directory = server.directory().join("blobs/prompts");
    let files = std::fs::read_dir(directory).into_iter().flatten();
    files
        .map(|file| serde_json::from_slice(&std::fs::read(file.unwrap().path()).unwrap()).unwrap())
        .collect()
}

#[tokio::test]
async fn the_address_is_blocked_longer_each_time() {
    let server = filtered(proxied()).await;
    let ann = server.user("ann", 1000).await;
    let ask = async |address: &str, body: &Value| from(&server, address, ASYNC, &ann.api_key, body).await;
    for minutes in [3, 9, 15] {
        ask("198.51.100.7", &bad_request())
            .await
            .refused(400, "CorruptPrompt");
        server.advance(minutes * 60 - 1).await;
        let told = ask("198.51.100.7", &plain_request())
            .await
            .refused(403, "TimeoutIP");
        assert!(told.contains("another 1 seconds"), "{told}");
        // Texts and workers from there have to wait, too; nobody else has.
        let text = json!({"prompt": "a story", "params": {"max_length": 16}});
        from(
            &server,
            "198.51.100.7",
            "/api/v2/generate/text/async",
            &ann.api_key,
            &text,
        )
        .await
        .refused(403, "TimeoutIP");
        ask("198.51.100.8", &plain_request()).await.ok(202);
        server.advance(1).await;
        ask("198.51.100.7", &plain_request()).await.ok(202);
    }
    // After a day nobody remembers; a moderator can forgive before.
    server.advance(24 * 3600).await;
    ask("198.51.100.7", &bad_request())
        .await
        .refused(400, "CorruptPrompt");
    server.advance(3 * 60).await;
    ask("198.51.100.7", &plain_request()).await.ok(202);
    // One entry a refusal in the archive.
    let kept = kept_prompts(&server);
    assert_eq!(kept.len(), 4);
    assert_eq!(
        kept[0],
        json!({"prompt": "kittens fight", "user": ann.alias, "type": "regex"})
    );
}

#[tokio::test]
async fn addresses_of_services_are_blocked_for_less_long() {
    let mut setup = proxied();
    setup.engine.service_addresses = vec!["198.51.100.7".parse().unwrap()];
    setup.engine.keep_refused_prompts = false;
    let server = filtered(setup).await;
    for minutes in [3, 5, 5] {
        let refused = from(&server, "198.51.100.7", ASYNC, ANONYMOUS, &bad_request()).await;
        refused.refused(400, "CorruptPrompt");
        server.advance(minutes * 60 - 1).await;
        let told = from(&server, "198.51.100.7", ASYNC, ANONYMOUS, &plain_request()).await;
        told.refused(403, "TimeoutIP");
        server.advance(1).await;
    }
    assert!(kept_prompts(&server).is_empty());
}

#[tokio::test]
async fn moderators_may_try_what_filters_find() {
    let server = filtered(proxied()).await;
    let moderator = server.moderator("second").await;
    for _ in 0..2 {
        let refused = from(&server, "198.51.100.7", ASYNC, &moderator.api_key, &bad_request()).await;
        refused.refused(400, "CorruptPrompt");
    }
    assert!(kept_prompts(&server).is_empty());
    let account = server.engine.store().account(number(&moderator)).await.unwrap();
    assert!(account.unwrap().suspicions.is_empty());
}
