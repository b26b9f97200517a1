//! `POST /styles/image` and `POST /styles/text`.

use muster_store::Role;
use serde_json::{Value, json};

use super::{IMAGE, TEXT, make, noir, tale};
use crate::support::{ANONYMOUS, Setup, TestServer, changed};

#[tokio::test]
async fn image_styles_have_warnings_and_text_styles_none() {
    let server = TestServer::start().await;
    let ann = server.trusted("ann", 0).await;
    let made = server.post(IMAGE, &ann.api_key, &noir()).await.ok(200);
    assert_eq!(made, json!({"id": made["id"], "message": "OK", "warnings": []}));
    let picky = changed(
        noir(),
        json!({"name": "picky", "models": ["Flux.1-Schnell fp8 (Compact)"]}),
    );
    let made = server.post(IMAGE, &ann.api_key, &picky).await.ok(200);
    let code = |warning: &Value| warning["code"].as_str().unwrap().to_owned();
    let codes: Vec<String> = made["warnings"].as_array().unwrap().iter().map(code).collect();
    assert!(codes.contains(&"StepsTooMany".to_owned()), "{codes:?}");
    let made = server.post(TEXT, &ann.api_key, &tale()).await.ok(200);
    assert_eq!(made, json!({"id": made["id"], "message": "OK"}));
}

#[tokio::test]
async fn who_may_make_styles() {
    let server = TestServer::start().await;
    let customizer = server.user_with("customizer", Role::Customizer).await;
    let server = server.restart(Setup::default()).await;
    let ben = server.user("ben", 0).await;
    for (path, body) in [(IMAGE, noir()), (TEXT, tale())] {
        server
            .post(path, "nobody's", &body)
            .await
            .refused(401, "InvalidAPIKey");
        server
            .post(path, ANONYMOUS, &body)
            .await
            .refused(403, "StylesRequiresCustomizer");
        server
            .post(path, &ben.api_key, &body)
            .await
            .refused(403, "StylesRequiresCustomizer");
        let headers = [("content-type", "application/json")];
        let keyless = server
            .send(reqwest::Method::POST, path, &headers, body.to_string())
            .await;
        assert_eq!(keyless.invalid(), ["apikey"]);
        make(&server, path, &customizer.api_key, &body).await;
    }
    server
        .delete_as("/api/v2/users/1", &customizer.api_key)
        .await
        .ok(200);
    let other = changed(noir(), json!({"name": "other"}));
    server
        .post(IMAGE, &customizer.api_key, &other)
        .await
        .refused(403, "DeletedUser");
}

#[tokio::test]
async fn names_are_unique_to_their_author() {
    let server = TestServer::start().await;
    let (ann, ben) = (server.trusted("ann", 0).await, server.trusted("ben", 0).await);
    make(&server, IMAGE, &ann.api_key, &noir()).await;
    server
        .post(IMAGE, &ann.api_key, &noir())
        .await
        .refused(400, "BadRequest");
    server
        .post(TEXT, &ann.api_key, &changed(tale(), json!({"name": "noir"})))
        .await
        .refused(400, "BadRequest");
    make(
        &server,
        IMAGE,
        &ann.api_key,
        &changed(noir(), json!({"name": "Noir"})),
    )
    .await;
    make(&server, IMAGE, &ben.api_key, &noir()).await;
}

#[tokio::test]
async fn what_is_not_acceptable() {
    let server = TestServer::start().await;
    let ann = server.trusted("ann", 0).await;
    let with = async |changes: Value| server.post(IMAGE, &ann.api_key, &changed(noir(), changes)).await;
    for changes in [
        json!({"models": []}),
        json!({"models": ["a", "b", "c", "d", "e", "f"]}),
        json!({"tags": ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]}),
        json!({"name": "fuck off"}),
        json!({"name": "a::b"}),
        json!({"name": "  "}),
        json!({"info": "fuck off you all"}),
        json!({"tags": ["fuck"]}),
        json!({"prompt": "only {p} here"}),
        json!({"prompt": "only {np} here"}),
        json!({"sharedkey": "00000000-0000-0000-0000-000000000000"}),
    ] {
        with(changes).await.refused(400, "BadRequest");
    }
    let hires = json!({"models": ["Flux.1-Schnell fp8 (Compact)"], "params": {"hires_fix": true}});
    with(hires).await.refused(400, "HiResMismatch");
    with(json!({"params": {"cfg_scale": 7.123}}))
        .await
        .refused(400, "BadCFGDecimals");
    let loras: Vec<Value> = (0..6).map(|number| json!({"name": number.to_string()})).collect();
    with(json!({"params": {"loras": loras}}))
        .await
        .refused(400, "TooManyLoras");
    with(json!({"models": ["RealESRGAN_x4plus"]}))
        .await
        .refused(400, "UnexpectedModelName");
    with(json!({"models": ["horde_special::ann#1"]}))
        .await
        .refused(403, "Forbidden");
    with(json!({"prompt": "{p}{np}\u{0}"}))
        .await
        .refused(400, "NulByteInPayload");
    let mut nameless = noir();
    nameless.as_object_mut().unwrap().remove("name");
    assert_eq!(
        server.post(IMAGE, &ann.api_key, &nameless).await.invalid(),
        ["name"]
    );
    let wrong = json!({"info": "too short", "prompt": "{p}", "params": {"steps": 501, "width": 65}, "tags": [""],
        "sharedkey": "x", "public": 1});
    assert_eq!(
        with(wrong).await.invalid(),
        [
            "info",
            "params.steps",
            "params.width",
            "prompt",
            "public",
            "sharedkey",
            "tags.0"
        ]
    );
    // Nothing was made of all that.
    assert_eq!(server.get(IMAGE).await.ok(200), json!([]));

    let text = async |changes: Value| server.post(TEXT, &ann.api_key, &changed(tale(), changes)).await;
    text(json!({"prompt": "Once upon a time"}))
        .await
        .refused(400, "BadRequest");
    text(json!({"params": {"sampler_order": [1, 2]}}))
        .await
        .refused(400, "MissingFullSamplerOrder");
    assert_eq!(
        text(json!({"params": {"temperature": 6}})).await.invalid(),
        ["params.temperature"]
    );
}

#[tokio::test]
async fn only_ones_own_shared_key_pays_for_a_style() {
    let server = TestServer::start().await;
    let (ann, ben) = (server.trusted("ann", 0).await, server.trusted("ben", 0).await);
    let key = async |user: &str, body: Value| {
        let made = server.put("/api/v2/sharedkeys", user, &body).await.ok(200);
        made["id"].as_str().unwrap().to_owned()
    };
    let (others, empty) = (
        key(&ben.api_key, json!({})).await,
        key(&ann.api_key, json!({"kudos": 0})).await,
    );
    let (expired, good) = (
        key(&ann.api_key, json!({"expiry": 1})).await,
        key(&ann.api_key, json!({})).await,
    );
    server.advance(86_400).await;
    for unusable in [others, empty, expired] {
        let body = changed(noir(), json!({"sharedkey": unusable}));
        server
            .post(IMAGE, &ann.api_key, &body)
            .await
            .refused(400, "BadRequest");
    }
    make(
        &server,
        IMAGE,
        &ann.api_key,
        &changed(noir(), json!({"sharedkey": good})),
    )
    .await;
}
