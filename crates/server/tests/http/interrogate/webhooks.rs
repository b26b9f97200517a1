//! Webhooks of alchemy requests.

use serde_json::json;

use super::{accepted, deliver, fault, popped, request};
use crate::support::{ANONYMOUS, Receiver, Setup, TestServer, changed};

#[tokio::test]
async fn each_form_is_announced_when_it_is_delivered() {
    let server = TestServer::with(Setup::open()).await;
    let (receiver, url) = Receiver::listen(&[]).await;
    let owner = server.trusted("owner", 0).await.api_key;
    let body = changed(
        request(&["caption", "RealESRGAN_x4plus"]),
        json!({"webhook": url}),
    );
    let request = accepted(&server, ANONYMOUS, &body).await;
    let taken = popped(&server, &owner, json!({"amount": 2})).await;
    fault(&server, &owner, &taken[0].1).await.ok(200);
    server.engine.deliver_webhooks().await;
    assert!(receiver.bodies().is_empty());
    deliver(&server, &owner, &taken[1].1, json!({"RealESRGAN_x4plus": "R2"}))
        .await
        .ok(200);
    server.engine.deliver_webhooks().await;
    let [mut body] = receiver.bodies().try_into().unwrap();
    uuid::Uuid::parse_str(body["worker_id"].take().as_str().unwrap()).unwrap();
    let result = body["result"]["RealESRGAN_x4plus"].take();
    assert!(
        result.as_str().unwrap().contains(&format!("{}.webp", taken[1].1)),
        "{result}"
    );
    assert_eq!(
        body,
        json!({
            "form": "RealESRGAN_x4plus", "state": "done", "result": {"RealESRGAN_x4plus": null}, "worker_id": null,
            "worker_name": "Alchemist", "request": request, "id": taken[1].1, "kudos": 3.0,
        })
    );
}
