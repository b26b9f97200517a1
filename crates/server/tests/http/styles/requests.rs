//! Requests that are made with styles.

use serde_json::{Value, json};

use super::{IMAGE, TEXT, make, noir, tale};
use crate::support::{ANONYMOUS, BRIDGE_AGENT, TestServer, assert_clean, changed, plain_request, worker};

const ASYNC: &str = "/api/v2/generate/async";
const TEXT_ASYNC: &str = "/api/v2/generate/text/async";

/// A server with an author (1), a requester (2), and a worker's owner (3).
struct Studio {
    server: TestServer,
    author: String,
    requester: String,
    owner: String,
}

impl Studio {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let author = server.trusted("author", 1000).await.api_key;
        let requester = server.user("requester", 1000).await.api_key;
        let owner = server.trusted("owner", 0).await.api_key;
        Self {
            server,
            author,
            requester,
            owner,
        }
    }

    /// What a worker gets of a request for pictures.
    async fn job(&self, request: Value) -> Value {
        self.server.post(ASYNC, &self.requester, &request).await.ok(202);
        let any = changed(
            worker("Rig"),
            json!({"models": ["stable_diffusion", "Deliberate"]}),
        );
        self.server.pop(&self.owner, &any).await.ok(200)
    }

    async fn text_job(&self, request: Value) -> Value {
        self.server
            .post(TEXT_ASYNC, &self.requester, &request)
            .await
            .ok(202);
        let scribe = json!({"name": "Scribe", "models": ["some/model"], "bridge_agent": BRIDGE_AGENT,
            "max_length": 512, "max_context_length": 8192});
        self.server
            .post("/api/v2/generate/text/pop", &self.owner, &scribe)
            .await
            .ok(200)
    }

    async fn user(&self, id: u32) -> Value {
        self.server.get(&format!("/api/v2/users/{id}")).await.ok(200)
    }

    async fn uses(&self, path: &str) -> u64 {
        self.server.get(path).await.ok(200)["use_count"].as_u64().unwrap()
    }
}

#[tokio::test]
async fn the_style_decides_how_pictures_are_made() {
    let studio = Studio::new().await;
    make(&studio.server, IMAGE, &studio.author, &noir()).await;
    let request = json!({"prompt": "a cat###a dog", "style": "noir", "models": ["Deliberate"],
        "params": {"n": 2, "width": 576, "height": 640, "steps": 99, "seed": "client", "karras": false}});
    let job = studio.job(request).await;
    let payload = &job["payload"];
    assert_eq!(payload["prompt"], "a cat, black and white###a dog, colours");
    assert_eq!(
        (&payload["ddim_steps"], &payload["cfg_scale"], &payload["karras"]),
        (&json!(20), &json!(7.0), &json!(true))
    );
    assert_eq!(
        (&payload["width"], &payload["height"]),
        (&json!(576), &json!(640)),
        "the style leaves the size open"
    );
    assert_eq!(payload["seed"], "7", "the style has a seed");
    assert_eq!(payload["loras"][0]["name"], "film");
    assert_eq!(job["model"], "stable_diffusion");
    assert_eq!(
        studio.server.get("/api/v2/users/2").await.ok(200)["records"]["request"]["image"],
        1
    );
}

#[tokio::test]
async fn what_a_style_leaves_open_the_client_decides() {
    let studio = Studio::new().await;
    let plain =
        json!({"name": "plain", "models": ["stable_diffusion"], "params": {"width": 512, "height": 512}});
    make(&studio.server, IMAGE, &studio.author, &plain).await;
    let request = json!({"prompt": "a cat", "style": "plain", "params": {"seed": "42", "width": 1024}});
    let payload = &studio.job(request).await["payload"];
    assert_eq!(
        (&payload["seed"], &payload["width"], &payload["prompt"]),
        (&json!("42"), &json!(512), &json!("a cat"))
    );
    make(&studio.server, TEXT, &studio.author, &tale()).await;
    let request = json!({"prompt": "{x} ago", "style": "tale",
        "params": {"max_length": 300, "max_context_length": 4096, "temperature": 5}});
    let job = studio.text_job(request).await;
    let payload = &job["payload"];
    assert_eq!(payload["prompt"], "Once upon a time {x} ago");
    assert_eq!(
        (&payload["max_length"], &payload["max_context_length"]),
        (&json!(300), &json!(4096))
    );
    assert_eq!(
        (&payload["temperature"], &job["model"]),
        (&json!(0.7), &json!("some/model"))
    );
}

#[tokio::test]
async fn what_nobody_has_checked_is_checked_when_it_is_used() {
    let studio = Studio::new().await;
    // When the style is made ...
    let sly = changed(
        noir(),
        json!({"name": "sly", "params": {"control_type": "magic"}}),
    );
    let refused = studio.server.post(IMAGE, &studio.author, &sly).await;
    assert_eq!(refused.invalid(), ["params.control_type"]);
    let long = changed(tale(), json!({"name": "long", "params": {"max_length": 100_000}}));
    let refused = studio.server.post(TEXT, &studio.author, &long).await;
    assert_eq!(refused.invalid(), ["params.max_length"]);
    // ... and when it comes together with what the client asks for.
    let short = changed(
        tale(),
        json!({"name": "short", "params": {"max_context_length": 80}}),
    );
    make(&studio.server, TEXT, &studio.author, &short).await;
    let request = json!({"prompt": "ago", "style": "short", "params": {"max_length": 81}});
    studio
        .server
        .post(TEXT_ASYNC, &studio.requester, &request)
        .await
        .refused(400, "TokenOverflow");
}

#[tokio::test]
async fn authors_are_rewarded_for_accepted_requests_of_others() {
    let studio = Studio::new().await;
    let server = &studio.server;
    let image = format!("{IMAGE}/{}", make(server, IMAGE, &studio.author, &noir()).await);
    let text = format!("{TEXT}/{}", make(server, TEXT, &studio.author, &tale()).await);
    let styled = json!({"prompt": "a cat", "style": "noir"});
    // Nothing for what is not accepted.
    server
        .post(ASYNC, "nobody's", &styled)
        .await
        .refused(401, "InvalidAPIKey");
    server
        .post(
            ASYNC,
            &studio.requester,
            &changed(styled.clone(), json!({"dry_run": true})),
        )
        .await
        .ok(200);
    let refused = changed(styled.clone(), json!({"workers": ["x"]}));
    server
        .post(ASYNC, &studio.requester, &refused)
        .await
        .refused(404, "WorkerNotFound");
    assert_eq!(
        (studio.uses(&image).await, &studio.user(1).await["kudos"]),
        (0, &json!(1000.0))
    );

    server.post(ASYNC, &studio.requester, &styled).await.ok(202);
    let author = studio.user(1).await;
    assert_eq!(
        (&author["kudos"], &author["kudos_details"]["styled"]),
        (&json!(1002.0), &json!(2.0))
    );
    assert_eq!(
        author["records"]["style"],
        json!({"image": 1, "text": 0, "interrogation": 0})
    );
    assert_eq!(
        (studio.uses(&image).await, &studio.user(2).await["kudos"]),
        (1, &json!(997.0))
    );

    let tale = json!({"prompt": "there was", "style": "tale"});
    server.post(TEXT_ASYNC, &studio.requester, &tale).await.ok(202);
    assert_eq!(
        (&studio.user(1).await["kudos"], &studio.user(2).await["kudos"]),
        (&json!(1004.0), &json!(994.0))
    );
    let unstyled = json!({"prompt": "there was"});
    server
        .post(TEXT_ASYNC, &studio.requester, &unstyled)
        .await
        .ok(202);
    assert_eq!(studio.user(2).await["kudos"], 993.0);
    // One's own style is free of the surcharge, and earns nothing.
    server.post(TEXT_ASYNC, &studio.author, &tale).await.ok(202);
    let author = studio.user(1).await;
    assert_eq!(
        (&author["kudos"], &author["records"]["style"]["text"]),
        (&json!(1003.0), &json!(1))
    );
    assert_eq!(studio.uses(&text).await, 2);
    assert_clean(server).await;
}

#[tokio::test]
async fn a_collection_gives_one_of_its_styles() {
    let studio = Studio::new().await;
    let server = &studio.server;
    let mut ids = Vec::new();
    for name in ["one", "two"] {
        let body =
            json!({"name": name, "prompt": format!("{{p}} {name}{{np}}"), "models": ["stable_diffusion"]});
        ids.push(make(server, IMAGE, &studio.author, &body).await);
    }
    let body = json!({"name": "both", "styles": ids});
    let made = server
        .post("/api/v2/collections", &studio.author, &body)
        .await
        .ok(200);
    let id = made["id"].as_str().unwrap();
    let mut prompts = std::collections::BTreeSet::new();
    for name in [
        id,
        "both",
        "collection::both",
        "collection::author#1::both",
        "author#1::collection::both",
    ] {
        for _ in 0..3 {
            let job = studio.job(json!({"prompt": "cat", "style": name})).await;
            prompts.insert(job["payload"]["prompt"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(prompts.into_iter().collect::<Vec<_>>(), ["cat one", "cat two"]);
    let uses =
        studio.uses(&format!("{IMAGE}/{}", ids[0])).await + studio.uses(&format!("{IMAGE}/{}", ids[1])).await;
    assert_eq!(
        (uses, studio.uses(&format!("/api/v2/collections/{id}")).await),
        (15, 15)
    );
    let text = json!({"prompt": "cat", "style": "both"});
    server
        .post(TEXT_ASYNC, &studio.requester, &text)
        .await
        .refused(400, "BadRequest");
    // One that has become empty is as good as none.
    for id in ids {
        server
            .delete_as(&format!("{IMAGE}/{id}"), &studio.author)
            .await
            .ok(200);
    }
    server
        .post(ASYNC, &studio.requester, &text)
        .await
        .refused(404, "StyleNotFound");
}

#[tokio::test]
async fn styles_that_do_not_fit() {
    let studio = Studio::new().await;
    make(&studio.server, IMAGE, &studio.author, &noir()).await;
    make(&studio.server, TEXT, &studio.author, &tale()).await;
    let with = async |path: &str, style: &str| {
        let body = json!({"prompt": "a cat", "style": style});
        studio.server.post(path, &studio.requester, &body).await
    };
    with(ASYNC, "nowhere").await.refused(404, "StyleNotFound");
    with(ASYNC, "00000000-0000-0000-0000-000000000000")
        .await
        .refused(404, "StyleNotFound");
    with(ASYNC, "requester#2::noir")
        .await
        .refused(404, "StyleNotFound");
    with(ASYNC, "tale").await.refused(400, "BadRequest");
    with(TEXT_ASYNC, "noir").await.refused(400, "BadRequest");
    let empty = json!({"prompt": "", "style": "tale"});
    studio
        .server
        .post(TEXT_ASYNC, &studio.requester, &empty)
        .await
        .refused(400, "MissingPrompt");
}

#[tokio::test]
async fn a_styles_shared_key_pays_whoever_asks() {
    let studio = Studio::new().await;
    let server = &studio.server;
    let key = server
        .put(
            "/api/v2/sharedkeys",
            &studio.author,
            &json!({"kudos": 100, "max_image_steps": 1}),
        )
        .await
        .ok(200);
    let key = key["id"].as_str().unwrap();
    make(
        server,
        IMAGE,
        &studio.author,
        &changed(noir(), json!({"sharedkey": key})),
    )
    .await;
    let request = json!({"prompt": "a cat", "style": "noir"});
    // The key of the request is not even looked at, nor are the limits of the shared one.
    server.post(ASYNC, "nobody's", &request).await.ok(202);
    assert_eq!(
        (&studio.user(1).await["kudos"], &studio.user(2).await["kudos"]),
        (&json!(997.0), &json!(1000.0))
    );
    let path = format!("/api/v2/sharedkeys/{key}");
    assert_eq!(server.get(&path).await.ok(200)["kudos"], 97);
    // It pays for nothing else.
    server
        .post(ASYNC, key, &plain_request())
        .await
        .refused(403, "SharedKeyAssignedStyles");
    // Once it cannot pay, everybody pays for themselves.
    server
        .patch(&path, &studio.author, &json!({"kudos": 0}))
        .await
        .ok(200);
    server
        .post(ASYNC, "nobody's", &request)
        .await
        .refused(401, "InvalidAPIKey");
    server.post(ASYNC, &studio.requester, &request).await.ok(202);
    assert_eq!(studio.user(2).await["kudos"], 997.0);
    server.post(ASYNC, ANONYMOUS, &request).await.ok(202);
    assert_clean(server).await;
}
