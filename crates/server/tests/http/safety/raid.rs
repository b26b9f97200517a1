//! The horde is under attack.

use muster_engine::WhenUnknown;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    addresses::{Oracle, asking},
    from, proxied,
};
use crate::support::{Setup, TestServer, number, picture, plain_request, worker};

fn raid(mut setup: Setup) -> Setup {
    setup.engine.raid = true;
    setup
}

#[tokio::test]
async fn strangers_request_nothing_from_hidden_addresses() {
    let (oracle, url) = Oracle::listen().await;
    oracle.say("8.8.8.8", 200, "1");
    oracle.say("8.8.4.4", 429, "");
    let server = TestServer::with(raid(asking(url.clone(), WhenUnknown::Refuse))).await;
    let (ann, ben) = (server.user("ann", 1000).await, server.trusted("ben", 1000).await);
    let alchemy = json!({"forms": [{"name": "caption"}], "source_image": picture()});
    let text = json!({"prompt": "a story", "params": {"max_length": 16}});
    let ask = async |address: &str, path: &str, key: &str, body: &Value| {
        from(&server, address, &format!("/api/v2/{path}/async"), key, body).await
    };
    for (path, body) in [("generate", &plain_request()), ("interrogate", &alchemy)] {
        let told = ask("8.8.8.8", path, &ann.api_key, body).await;
        assert_eq!(
            told.refused(403, "UntrustedUnsafeIP"),
            "Only Trusted users are allowed to perform this operation"
        );
        ask("8.8.4.4", path, &ann.api_key, body).await.ok(202);
        ask("8.8.8.8", path, &ben.api_key, body).await.ok(202);
    }
    ask("8.8.8.8", "generate/text", &ann.api_key, &text).await.ok(202);
    // In peace nobody asks.
    let server = server.restart(asking(url, WhenUnknown::Refuse)).await;
    let asked = from(
        &server,
        "8.8.8.8",
        "/api/v2/generate/async",
        &ann.api_key,
        &plain_request(),
    )
    .await;
    asked.ok(202);
}

#[tokio::test]
async fn hidden_workers_are_not_told_that_they_were_noticed() {
    let (oracle, url) = Oracle::listen().await;
    oracle.say("8.8.8.8", 200, "1");
    let server = TestServer::with(raid(asking(url, WhenUnknown::Refuse))).await;
    let moderator = server.moderator("mod").await;
    let ann = server.user("ann", 0).await;
    for _ in 0..3 {
        let popped = from(
            &server,
            "8.8.8.8",
            "/api/v2/generate/pop",
            &ann.api_key,
            &worker("Rig"),
        )
        .await;
        popped.ok(200);
    }
    let rig = server
        .get_as("/api/v2/workers/name/Rig", &moderator.api_key)
        .await
        .ok(200);
    assert_eq!(rig["suspicious"], 1, "it counts once");
    let account = server
        .engine
        .store()
        .account(number(&ann))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(account.suspicions.len(), 1);
}

#[tokio::test]
async fn nobody_is_told_what_the_horde_can_do() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 1000).await;
    let ask = async |server: &TestServer| {
        let asked = server
            .post("/api/v2/generate/async", &ann.api_key, &plain_request())
            .await;
        asked.ok(202)
    };
    assert!(ask(&server).await["message"].is_string());
    let server = server.restart(raid(Setup::default())).await;
    let asked = ask(&server).await;
    assert_eq!(
        (&asked["message"], &asked["warnings"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn workers_that_drop_many_jobs_are_suspected_sooner_and_not_told() {
    let server = TestServer::with(raid(Setup::default())).await;
    let moderator = server.moderator("mod").await;
    let (owner, client) = (
        server.user("owner", 0).await,
        server.user("client", 100_000).await,
    );
    for dropped in 1..=11 {
        server.request(&client.api_key, &plain_request()).await;
        let job = server.popped(&owner.api_key, "Rig").await;
        let body = json!({"id": job["id"], "generation": "", "seed": 1, "state": "faulted"});
        server
            .post("/api/v2/generate/submit", &owner.api_key, &body)
            .await
            .ok(200);
        let rig = server
            .get_as("/api/v2/workers/name/Rig", &moderator.api_key)
            .await
            .ok(200);
        assert_eq!(rig["suspicious"], i32::from(dropped == 11), "{dropped}");
        assert_eq!(rig["maintenance_mode"], false);
    }
}

#[tokio::test]
async fn nobody_registers_without_a_log_in_or_from_a_blocked_address() {
    let server = TestServer::with(raid(proxied())).await;
    let moderator = server.moderator("mod").await;
    let register = async |server: &TestServer, address: &str| {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("x-forwarded-for", address),
        ];
        let page = server
            .send(Method::POST, "/register", &headers, "username=ann")
            .await;
        assert_eq!(page.status, 200);
        page.text
    };
    let page = register(&server, "198.51.100.7").await;
    assert!(
        page.contains("without a log-in") && !page.contains("ah-api-key"),
        "{page}"
    );
    let peace = json!({"raid_mode": false});
    server
        .put("/api/v2/status/modes", &moderator.api_key, &peace)
        .await
        .ok(200);
    assert!(register(&server, "198.51.100.7").await.contains("ah-api-key"));
    let block = json!({"ipaddr": "198.51.100.7", "hours": 1});
    server
        .post("/api/v2/operations/ipaddr", &moderator.api_key, &block)
        .await
        .ok(200);
    let page = register(&server, "198.51.100.7").await;
    assert!(
        page.contains("is blocked") && !page.contains("ah-api-key"),
        "{page}"
    );
}
