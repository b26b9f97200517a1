//! Services that call for others, and what they let through.

use muster_store::{AccountChanges, Role, Roles};
use reqwest::Method;
use serde_json::json;

use super::filtered;
use crate::support::{Answer, Receiver, START, Setup, TestServer, changed, number, plain_request};

async fn through(server: &TestServer, passkey: &str, behind: &str, prompt: &str, key: &str) -> Answer {
    let headers = [
        ("apikey", key),
        ("content-type", "application/json"),
        ("proxy-authorization", passkey),
        ("proxied-for", behind),
    ];
    let body = changed(
        plain_request(),
        json!({"prompt": prompt, "replacement_filter": false}),
    );
    server
        .send(Method::POST, "/api/v2/generate/async", &headers, body.to_string())
        .await
}

#[tokio::test]
async fn whoever_is_behind_a_service_is_blocked_and_the_operator_told_of_many() {
    let (receiver, url) = Receiver::listen(&[]).await;
    let telling = || {
        let mut setup = Setup::default();
        setup.engine.problem_notice_webhook = Some(url.clone());
        setup
    };
    let server = filtered(telling()).await;
    let service = server.user_with("service", Role::Service).await;
    let server = server.restart(telling()).await;
    let made = server
        .put(
            &format!("/api/v2/users/{}", service.user_id),
            &service.api_key,
            &json!({"generate_proxy_passkey": true}),
        )
        .await
        .ok(200);
    let passkey = made["proxy_passkey"].as_str().unwrap();
    for number in 0..12 {
        let behind = format!("198.51.100.{number}");
        let ask = async |prompt| through(&server, passkey, &behind, prompt, &service.api_key).await;
        assert!(receiver.bodies().is_empty(), "not before the twelfth");
        ask("kittens fight").await.refused(400, "CorruptPrompt");
        ask("a lighthouse").await.refused(403, "TimeoutIP");
    }
    let told = receiver.first().await;
    let told = told["content"].as_str().unwrap();
    assert!(
        told.contains("127.0.0.1") && told.contains(&format!("#{}", service.user_id)),
        "{told}"
    );
    // The proxy itself is not blocked.
    through(
        &server,
        passkey,
        "198.51.100.99",
        "a lighthouse",
        &service.api_key,
    )
    .await
    .ok(202);
    // An unknown passkey and nonsense behind it change nothing: then the proxy's own address counts.
    for (passkey, behind) in [
        ("guess", "198.51.100.1"),
        (passkey, "somebody"),
        ("", "198.51.100.1"),
    ] {
        through(&server, passkey, behind, "a lighthouse", &service.api_key)
            .await
            .ok(202);
    }
    // The passkey of a flagged account is none.
    let changes = AccountChanges {
        grant: Roles::of(&[Role::Flagged]),
        ..AccountChanges::default()
    };
    let journal = server.engine.store().journal();
    journal
        .set_account(number(&service), changes, START)
        .await
        .unwrap();
    let server = server.restart(Setup::default()).await;
    let other = server.user("other", 1000).await;
    through(&server, passkey, "198.51.100.1", "a lighthouse", &other.api_key)
        .await
        .ok(202);
}
