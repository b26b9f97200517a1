//! Pictures that their workers found to be what nobody may make.

use serde_json::{Value, json};

use super::{from, proxied};
use crate::support::{Receiver, TestServer, changed, picture, plain_request};

/// Has a picture made whose worker remarks on it.
async fn made(server: &TestServer, address: &str, key: &str, worker: &str, remarks: Value) {
    let request = changed(
        plain_request(),
        json!({"prompt": "a hill", "params": {"loras": [{"name": "Hills"}]}}),
    );
    from(server, address, "/api/v2/generate/async", key, &request)
        .await
        .ok(202);
    let job = server.popped(worker, "Rig").await;
    let body = json!({
        "id": job["id"], "generation": picture(), "seed": 1, "gen_metadata": remarks,
    });
    server
        .post("/api/v2/generate/submit", worker, &body)
        .await
        .ok(200);
}

fn csam() -> Value {
    json!([{"type": "censorship", "value": "nsfw"}, {"type": "censorship", "value": "csam"}])
}

#[tokio::test]
async fn the_operator_is_told_of_whoever_requests_many() {
    let (receiver, url) = Receiver::listen(&[]).await;
    let mut setup = proxied();
    setup.engine.problem_notice_webhook = Some(url);
    let server = TestServer::with(setup).await;
    // The first account is the operator's own.
    let owner = server.trusted("owner", 0).await;
    let (ann, ben) = (
        server.user("ann", 1_000_000).await,
        server.user("ben", 1_000_000).await,
    );
    let nsfw = json!([{"type": "censorship", "value": "csam"}, {"type": "censorship", "value": "nsfw"}]);
    made(&server, "198.51.100.1", &ann.api_key, &owner.api_key, nsfw).await;
    for _ in 0..50 {
        made(&server, "198.51.100.1", &ann.api_key, &owner.api_key, csam()).await;
    }
    assert!(receiver.bodies().is_empty());
    made(&server, "198.51.100.1", &ann.api_key, &owner.api_key, csam()).await;
    let told = receiver.first().await;
    let told = told["content"].as_str().unwrap();
    for part in [
        "51 pictures",
        &format!("account #{}", ann.user_id),
        "198.51.100.1",
        "Hills",
        "a hill",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // Somebody else from there: the address is the problem, once.
    for _ in 0..2 {
        made(&server, "198.51.100.1", &ben.api_key, &owner.api_key, csam()).await;
    }
    let bodies = receiver.wait_for(2).await;
    let told = bodies[1]["content"].as_str().unwrap();
    assert!(told.contains("52 pictures that address 198.51.100.1"), "{told}");
    assert_eq!(bodies.len(), 2);
}
