//! `POST generate/text/async`: what is accepted, and what it is answered.

use muster_engine::EngineConfig;
use muster_store::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ASYNC, accepted, pop, request, status, submit};
use crate::support::{ANONYMOUS, Setup, TestServer, movements, number};

#[tokio::test]
async fn a_request_is_accepted_and_its_tax_charged() {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.user("client", 1000).await,
    );
    pop(&server, &owner.api_key, json!({})).await.ok(200);
    let mut body = submit(&server, &client.api_key, json!({})).await.ok(202);
    uuid::Uuid::parse_str(body["id"].as_str().unwrap()).unwrap();
    body["id"] = json!("<id>");
    assert_eq!(body, json!({"id": "<id>", "kudos": 0.0}));
    assert_eq!(movements(&server, number(&client)).await[0], -100);
}

#[tokio::test]
async fn whoever_cannot_be_served_is_told_why() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    let message = |body: Value| body["message"].as_str().unwrap().to_owned();
    let body = submit(&server, ANONYMOUS, json!({})).await.ok(202);
    assert_eq!(
        message(body),
        "No worker that is online can serve this request. No worker is online. It waits for 20 minutes; fewer \
         tokens or another model may be served sooner."
    );
    pop(
        &server,
        &owner.api_key,
        json!({"max_length": 64, "max_context_length": 512}),
    )
    .await
    .ok(200);
    let body = submit(&server, ANONYMOUS, json!({})).await.ok(202);
    assert!(message(body).contains(
        "1 serve its models, but refuse it for its 80 tokens (1, among other things), its context of 1024 tokens (1, \
         among other things)."
    ));
    let body = submit(
        &server,
        ANONYMOUS,
        json!({"params": {"max_length": 64}, "validated_backends": true}),
    )
    .await
    .ok(202);
    assert!(message(body).contains("refuse it for its context of 1024 tokens (1)."));
    let body = submit(
        &server,
        ANONYMOUS,
        json!({"models": ["koboldcpp/Other"], "params": {"max_length": 64}}),
    )
    .await
    .ok(202);
    assert!(message(body).contains("No worker that is online serves the model koboldcpp/Other."));
}

#[tokio::test]
async fn only_the_prompt_is_needed() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    let body = server
        .post(ASYNC, ANONYMOUS, &json!({"prompt": " "}))
        .await
        .ok(202);
    assert!(body["id"].is_string());
    let popped = pop(&server, &owner.api_key, json!({})).await.ok(200);
    assert_eq!(
        popped["payload"],
        json!({"prompt": " ", "n": 1, "max_context_length": 2048, "max_length": 80, "min_p": 0.0,
            "smoothing_factor": 0.0, "dynatemp_range": 0.0, "dynatemp_exponent": 1.0})
    );
}

#[tokio::test]
async fn what_clients_send_along_is_passed_on_or_over() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    // As SillyTavern and KoboldAI Lite send it.
    let params = json!({
        "n": 1, "frmtadsnsp": false, "frmtrmblln": false, "frmtrmspch": false, "frmttriminc": true,
        "max_context_length": 1024, "max_length": 80, "rep_pen": 1.1, "rep_pen_range": 320, "rep_pen_slope": 0.7,
        "temperature": 0.7, "tfs": 1, "top_a": 0, "top_k": 100, "top_p": 0.92, "typical": 1, "min_p": 0.1,
        "singleline": false, "use_default_badwordsids": false, "sampler_order": [6, 0, 1, 3, 4, 2, 5],
        "stop_sequence": ["\n", "You:"], "quiet": true, "memory": "a note", "smoothing_curve": 1.0,
    });
    let body = json!({"nsfw": "yes", "softprompt": "old", "gathered": 1, "params": params});
    accepted(&server, ANONYMOUS, body).await;
    let popped = pop(&server, &owner.api_key, json!({})).await.ok(200);
    assert_eq!(
        popped["payload"],
        json!({
            "prompt": "Once upon a time", "n": 1, "frmtadsnsp": false, "frmtrmblln": false, "frmtrmspch": false,
            "frmttriminc": true, "max_context_length": 1024, "max_length": 80, "rep_pen": 1.1, "rep_pen_range": 320,
            "rep_pen_slope": 0.7, "temperature": 0.7, "tfs": 1.0, "top_a": 0.0, "top_k": 100, "top_p": 0.92,
            "typical": 1.0, "min_p": 0.1, "singleline": false, "use_default_badwordsids": false,
            "sampler_order": [6, 0, 1, 3, 4, 2, 5], "stop_sequence": ["\n", "You:"], "smoothing_factor": 0.0,
            "dynatemp_range": 0.0, "dynatemp_exponent": 1.0,
        })
    );
    assert_eq!(popped["softprompt"], Value::Null);
}

#[tokio::test]
async fn whole_floats_are_integers() {
    let server = TestServer::start().await;
    submit(
        &server,
        ANONYMOUS,
        json!({"params": {"max_length": 80.0, "top_k": 1e2}}),
    )
    .await
    .ok(202);
    assert_eq!(
        submit(&server, ANONYMOUS, json!({"params": {"max_length": 80.5}}))
            .await
            .invalid(),
        ["params.max_length"]
    );
}

#[tokio::test]
async fn a_dry_run_tells_the_price_and_nothing_else() {
    let server = TestServer::start().await;
    let client = server.user("client", 1000).await;
    let price = async |changes: Value| {
        let changes = crate::support::changed(json!({"dry_run": true}), changes);
        submit(&server, &client.api_key, changes).await.ok(200)
    };
    // 80 tokens, 1,024 of context, 7.25 billion parameters.
    assert_eq!(price(json!({})).await, json!({"kudos": 15.0}));
    let context = json!({"params": {"max_context_length": 2048}, "models": []});
    assert_eq!(price(context.clone()).await, json!({"kudos": 37.0}));
    let three = crate::support::changed(context, json!({"params": {"n": 3}}));
    assert_eq!(price(three).await, json!({"kudos": 110.0}));
    let unknown = json!({"models": ["who knows"]});
    assert_eq!(price(unknown).await, json!({"kudos": 7.0}));
    assert!(
        movements(&server, number(&client))
            .await
            .iter()
            .all(|amount| *amount > 0)
    );
    assert_eq!(server.engine.requests_in_memory(), 0);
}

#[tokio::test]
async fn several_texts_of_a_request_are_counted() {
    let server = TestServer::start().await;
    let client = server.user("client", 1000).await;
    let request = accepted(&server, &client.api_key, json!({"params": {"n": 20}})).await;
    assert_eq!(status(&server, &request).await["waiting"], 20);
    submit(&server, &client.api_key, json!({"params": {"n": 11}}))
        .await
        .refused(429, "TooManyPrompts");
    submit(&server, &client.api_key, json!({"params": {"n": 10}}))
        .await
        .ok(202);
    // Pictures are counted by themselves.
    server
        .request(&client.api_key, &crate::support::plain_request())
        .await;
}

#[tokio::test]
async fn a_request_survives_a_restart() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    let request = accepted(
        &server,
        ANONYMOUS,
        json!({"params": {"n": 2, "temperature": 0.5}}),
    )
    .await;
    pop(&server, &owner.api_key, json!({})).await.ok(200);
    let before = status(&server, &request).await;
    let server = server.restart(Setup::default()).await;
    assert_eq!(status(&server, &request).await, before);
    let popped = pop(&server, &owner.api_key, json!({})).await.ok(200);
    assert_eq!(popped["payload"]["temperature"], 0.5);
    assert_eq!(status(&server, &request).await["processing"], 2);
}

#[tokio::test]
async fn services_name_whom_they_ask_for() {
    let server = TestServer::start().await;
    let service = server.user_with("service", Role::Service).await;
    submit(&server, &service.api_key, json!({"proxied_account": "someone"}))
        .await
        .ok(202);
}

#[tokio::test]
async fn a_horde_in_maintenance_takes_none() {
    let server = TestServer::with(Setup {
        engine: EngineConfig {
            maintenance: true,
            ..Setup::default().engine
        },
        ..Setup::default()
    })
    .await;
    submit(&server, ANONYMOUS, json!({}))
        .await
        .refused(400, "MaintenanceMode");
}

#[tokio::test]
async fn limits_are_those_of_the_published_table() {
    let server = TestServer::with(Setup {
        rate_limits: true,
        ..Setup::default()
    })
    .await;
    let client = server.user("client", 0).await;
    for _ in 0..2 {
        submit(&server, &client.api_key, json!({})).await.ok(202);
    }
    let refused = submit(&server, &client.api_key, json!({})).await;
    assert_eq!(refused.plain(429), "2 per 1 second");
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused() {
    let server = TestServer::start().await;
    let answer = server
        .send(
            Method::POST,
            ASYNC,
            &[("apikey", ANONYMOUS)],
            request().to_string(),
        )
        .await;
    answer.plain(400);
    let headers = [("apikey", ANONYMOUS), ("content-type", "application/json")];
    server.send(Method::POST, ASYNC, &headers, "{").await.plain(400);
    assert_eq!(server.post(ASYNC, ANONYMOUS, &json!([])).await.invalid(), [""]);
}
