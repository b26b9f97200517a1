//! `POST generate/async`: what is accepted, at what price, and how much of it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ANONYMOUS, Answer, Setup, TestServer, changed, plain_request, worker};

pub(super) const PATH: &str = "/api/v2/generate/async";
pub(super) const UNKNOWN: &str = "5e0d8d0e-93b8-4b9a-8a5c-0c9a9c1a7f11";

/// A server and the key of an account with 1000 kudos.
pub(super) async fn with_client() -> (TestServer, String) {
    let server = TestServer::start().await;
    let client = server.user("client", 1000).await.api_key;
    (server, client)
}

/// The answer to the plain request with some changes.
pub(super) async fn submit(server: &TestServer, key: &str, changes: Value) -> Answer {
    server.post(PATH, key, &changed(plain_request(), changes)).await
}

/// The plain request with some members of `params` changed.
async fn submit_params(server: &TestServer, key: &str, params: Value) -> Answer {
    submit(server, key, json!({"params": params})).await
}

/// What an account has, as written in its profile.
pub(super) async fn kudos(server: &TestServer, key: &str) -> Value {
    server.get_as("/api/v2/find_user", key).await.ok(200)["kudos"].clone()
}

/// A body whose id, which must be one, is replaced.
fn without_id(mut body: Value) -> Value {
    uuid::Uuid::parse_str(body["id"].as_str().unwrap()).unwrap();
    body["id"] = json!("<id>");
    body
}

#[tokio::test]
async fn an_accepted_request_has_an_id_and_the_price_of_a_picture() {
    let (server, client) = with_client().await;
    let owner = server.trusted("owner", 0).await.api_key;
    server.pop(&owner, &worker("Keeper")).await.ok(200);
    for n in [1, 4] {
        let accepted = submit_params(&server, &client, json!({"n": n})).await;
        insta::allow_duplicates! {
            insta::assert_json_snapshot!(without_id(accepted.ok(202)), @r#"
            {
              "id": "<id>",
              "kudos": 6.0
            }
            "#);
        }
        assert!(accepted.text.contains(r#""kudos":6.0"#), "{}", accepted.text);
    }
}

#[tokio::test]
async fn a_request_that_nobody_can_serve_is_accepted_with_a_warning() {
    let (server, client) = with_client().await;
    let accepted = submit(&server, &client, json!({})).await.ok(202);
    insta::assert_json_snapshot!(without_id(accepted), @r#"
    {
      "id": "<id>",
      "kudos": 6.0,
      "message": "No worker that is online can serve this request. No worker is online. It waits for 20 minutes; a smaller picture or another model may be served sooner.",
      "warnings": [
        {
          "code": "NoAvailableWorker",
          "message": "No worker that is online can serve this request. No worker is online. It waits for 20 minutes; a smaller picture or another model may be served sooner."
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn the_warning_says_what_stands_in_the_way() {
    let (server, client) = with_client().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let small = json!({"max_pixels": 262_144, "nsfw": false});
    server
        .pop(&owner, &changed(worker("Keeper"), small))
        .await
        .ok(200);
    for (changes, obstacle) in [
        (
            json!({"params": {"width": 1024, "height": 1024}}),
            "Of the workers that are online, 1 serve its models, but refuse it for its size of 1024x1024 pixels (1).",
        ),
        (json!({"nsfw": true}), "refuse it for being unsafe for work (1)"),
        (
            json!({"models": ["Deliberate"]}),
            "No worker that is online serves the model Deliberate.",
        ),
    ] {
        let accepted = submit(&server, &client, changes).await.ok(202);
        let message = accepted["message"].as_str().unwrap();
        assert!(message.contains(obstacle), "{message}");
        assert_eq!(accepted["warnings"][0]["message"], message);
    }
}

#[tokio::test]
async fn parameters_that_do_not_suit_the_model_are_accepted_with_warnings() {
    let (server, client) = with_client().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let model = "Flux.1-Schnell fp8 (Compact)";
    let accepted = submit(&server, &client, json!({"models": [model]})).await.ok(202);
    let codes: Vec<&Value> = accepted["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| &warning["code"])
        .collect();
    assert_eq!(
        codes,
        [
            "CfgScaleMismatch",
            "NoAvailableWorker",
            "SamplerMismatch",
            "StepsTooMany"
        ]
    );
    server
        .pop(&owner, &changed(worker("Keeper"), json!({"models": [model]})))
        .await
        .ok(200);
    let accepted = submit(&server, &client, json!({"models": [model]})).await.ok(202);
    insta::assert_json_snapshot!(without_id(accepted), @r#"
    {
      "id": "<id>",
      "kudos": 6.0,
      "warnings": [
        {
          "code": "CfgScaleMismatch",
          "message": "Flux.1-Schnell fp8 (Compact) works best with a cfg_scale of 1."
        },
        {
          "code": "SamplerMismatch",
          "message": "Flux.1-Schnell fp8 (Compact) works best with the sampler k_euler."
        },
        {
          "code": "StepsTooMany",
          "message": "Flux.1-Schnell fp8 (Compact) works best with 8 steps or fewer."
        }
      ]
    }
    "#);
    let suitable = json!({"steps": 4, "cfg_scale": 1, "sampler_name": "k_euler"});
    let accepted = submit(&server, &client, json!({"models": [model], "params": suitable}))
        .await
        .ok(202);
    assert_eq!(accepted.get("warnings"), None);
}

#[tokio::test]
async fn the_tax_is_debited_once() {
    let (server, client) = with_client().await;
    let request = server
        .request(&client, &changed(plain_request(), json!({"params": {"n": 3}})))
        .await;
    assert_eq!(kudos(&server, &client).await, 997.0);
    let check = format!("/api/v2/generate/check/{request}");
    for _ in 0..2 {
        assert_eq!(server.get(&check).await.ok(200)["kudos"], 3.0);
    }
    let server = server.restart(Setup::default()).await;
    assert_eq!(kudos(&server, &client).await, 997.0);
    assert!(server.engine.store().audit().await.unwrap().is_clean());
}

#[tokio::test]
async fn a_prompt_is_enough() {
    let (server, client) = with_client().await;
    let accepted = server
        .post(PATH, &client, &json!({"prompt": "a lighthouse"}))
        .await
        .ok(202);
    assert_eq!(accepted["kudos"], 8.0);
    let owner = server.trusted("owner", 0).await.api_key;
    let mut popped = server.popped(&owner, "Keeper").await;
    let seed = popped["payload"]["seed"].as_str().unwrap();
    assert!((1..1_i64 << 32).contains(&seed.parse().unwrap()), "{seed}");
    popped["payload"]["seed"] = json!("<seed>");
    assert_eq!(popped["model"], "stable_diffusion");
    assert_eq!(popped["source_processing"], "img2img");
    insta::assert_json_snapshot!(popped["payload"], @r#"
    {
      "cfg_scale": 5.0,
      "ddim_steps": 30,
      "height": 512,
      "hires_fix": false,
      "image_is_control": false,
      "karras": true,
      "n_iter": 1,
      "prompt": "a lighthouse",
      "return_control_map": false,
      "sampler_name": "k_euler_a",
      "seed": "<seed>",
      "tiling": false,
      "transparent": false,
      "width": 512
    }
    "#);
}

#[tokio::test]
async fn odd_requests_are_accepted() {
    let (server, client) = with_client().await;
    let long_prompt = format!(" {} ### blurry ", "lighthouse ".repeat(1200));
    let models = ["Deliberate", " Deliberate", "Deliberate ", "Deliberate"];
    let lora = json!({"name": "Magnagothica", "id": 12, "original_name": "x", "versions": [{"id": 1.0}]});
    for body in [
        json!({"prompt": "x", "params": {"seed": "", "post_processing": [], "karras": false}, "r2": false}),
        json!({"prompt": "x", "params": {"gui_settings": false, "singleline": true, "use_gfpgan": false}}),
        json!({"prompt": "x", "params": {"order": null, "smoothing_factor": null, "nsfw": true}}),
        json!({"prompt": "x", "workerslow_workers": true, "_blacklist": [], "client_agent": "x", "unknown": null}),
        json!({"prompt": "x", "models": models, "workers": [], "worker_blacklist": true, "shared": false}),
        json!({"prompt": "x", "models": []}),
        json!({"prompt": "x", "models": ["nobody knows this model"]}),
        json!({"prompt": "x", "params": {"loras": [], "tis": []}, "extra_source_images": [], "dry_run": false}),
        json!({"prompt": "x", "params": {"loras": [lora], "tis": [{"name": "7808", "id": 1}]}}),
        json!({"prompt": "x", "params": {"loras": [{"name": "247778", "is_version": true, "model": 1, "clip": 1}]}}),
        json!({"prompt": "x", "params": {"width": 512.0, "height": 576.0, "steps": 20.0, "n": 1.0, "clip_skip": 2.0}}),
        json!({"prompt": "x", "proxied_account": ""}),
        json!({"prompt": long_prompt}),
    ] {
        let accepted = server.post(PATH, &client, &body).await;
        assert_eq!(accepted.status, 202, "{body} {}", accepted.text);
    }
    let charset = [
        ("apikey", client.as_str()),
        ("content-type", "application/json; charset=utf-8"),
    ];
    server
        .send(Method::POST, PATH, &charset, r#"{"prompt": "x"}"#)
        .await
        .ok(202);
}

#[tokio::test]
async fn odd_values_mean_what_their_senders_mean() {
    let odd =
        json!({"params": {"seed": "", "width": 576.0, "steps": 21.0, "cfg_scale": 7, "loras": [], "gui": 1}});
    let (server, client) = with_client().await;
    server.request(&client, &changed(plain_request(), odd)).await;
    let owner = server.trusted("owner", 0).await.api_key;
    let pop = changed(worker("Keeper"), json!({"allow_lora": false}));
    let payload = server.pop(&owner, &pop).await.ok(200)["payload"].clone();
    assert_eq!(payload["width"], json!(576));
    assert_eq!(payload["ddim_steps"], json!(21));
    assert_eq!(payload["cfg_scale"], json!(7.0));
    assert!(payload["seed"].as_str().unwrap().parse::<u32>().unwrap() > 0);
    assert_eq!((payload.get("loras"), payload.get("gui")), (None, None));
}

#[tokio::test]
async fn a_dry_run_tells_the_price_and_does_nothing() {
    let (server, client) = with_client().await;
    for (changes, price) in [
        (json!({}), 8.0),
        (json!({"params": {"n": 4}}), 28.0),
        (json!({"slow_workers": false, "params": {"n": 2}}), 17.0),
        (
            json!({"params": {"post_processing": ["RealESRGAN_x4plus"]}}),
            11.0,
        ),
    ] {
        let answer = submit(
            &server,
            &client,
            changed(changes.clone(), json!({"dry_run": true})),
        )
        .await;
        assert_eq!(answer.ok(200), json!({"kudos": price}), "{changes}");
    }
    assert_eq!(server.engine.requests_in_memory(), 0);
    assert_eq!(kudos(&server, &client).await, 1000.0);
    // All rules hold for it.
    let many = json!({"dry_run": true, "workers": [UNKNOWN]});
    submit(&server, &client, many)
        .await
        .refused(404, "WorkerNotFound");
    submit(&server, "nobody's", json!({"dry_run": true}))
        .await
        .refused(401, "InvalidAPIKey");
}

#[tokio::test]
async fn named_workers_must_exist() {
    let (server, client) = with_client().await;
    let owner = server.trusted("owner", 0).await.api_key;
    server.pop(&owner, &worker("Keeper")).await.ok(200);
    let ids = server.get_as("/api/v2/find_user", &owner).await.ok(200)["worker_ids"].clone();
    let known = ids[0].as_str().unwrap();
    assert_eq!(
        submit(&server, &client, json!({"workers": [known]}))
            .await
            .ok(202)
            .get("warnings"),
        None
    );
    for workers in [
        json!([UNKNOWN]),
        json!(["Keeper"]),
        json!([""]),
        json!([known, UNKNOWN]),
    ] {
        submit(&server, &client, json!({"workers": workers}))
            .await
            .refused(404, "WorkerNotFound");
    }
}

#[tokio::test]
async fn an_account_may_have_thirty_pictures_waiting() {
    let (server, client) = with_client().await;
    let owner = server.trusted("owner", 0).await.api_key;
    submit_params(&server, &client, json!({"n": 20})).await.ok(202);
    let message = submit_params(&server, &client, json!({"n": 11}))
        .await
        .refused(429, "TooManyPrompts");
    assert!(
        message.contains("20/30") && !message.contains("Register"),
        "{message}"
    );
    let id = server
        .request(&client, &changed(plain_request(), json!({"params": {"n": 10}})))
        .await;
    submit(&server, &client, json!({}))
        .await
        .refused(429, "TooManyPrompts");
    // Others are not concerned, and what a worker took or was cancelled does not wait any more.
    submit(&server, &owner, json!({})).await.ok(202);
    server.popped(&owner, "Keeper").await;
    server.popped(&owner, "Keeper").await;
    submit(&server, &client, json!({})).await.ok(202);
    submit(&server, &client, json!({}))
        .await
        .refused(429, "TooManyPrompts");
    server
        .delete(&format!("/api/v2/generate/status/{id}"))
        .await
        .ok(200);
    submit_params(&server, &client, json!({"n": 10})).await.ok(202);
}

#[tokio::test]
async fn all_without_an_account_share_five_hundred_pictures_for_a_model() {
    let server = TestServer::start().await;
    for _ in 0..25 {
        submit_params(&server, ANONYMOUS, json!({"n": 20})).await.ok(202);
    }
    let message = submit(&server, ANONYMOUS, json!({}))
        .await
        .refused(429, "TooManyPrompts");
    assert!(
        message.contains("500/500") && message.contains("Register"),
        "{message}"
    );
    submit(&server, ANONYMOUS, json!({"models": ["Deliberate"]}))
        .await
        .ok(202);
    submit(&server, ANONYMOUS, json!({"models": []}))
        .await
        .refused(429, "TooManyPrompts");
}

#[tokio::test]
async fn the_limits_themselves_are_allowed() {
    let (server, client) = with_client().await;
    let trusted = server.trusted("trusted", 1000).await.api_key;
    submit(
        &server,
        &trusted,
        json!({"disable_batching": true, "params": {"n": 2}}),
    )
    .await
    .ok(202);
    let code = json!({"text": "https://example.org", "reference": "qr_code"});
    let version = json!({"name": "12345", "is_version": true});
    for changes in [
        json!({"disable_batching": true}),
        json!({"params": {"loras": vec![version; 5], "tis": vec![json!({"name": "a"}); 20]}}),
        json!({"params": {"post_processing": ["GFPGAN", "CodeFormers", "NMKD_Siax"]}}),
        json!({"params": {"cfg_scale": 7.12}}),
        json!({"params": {"hires_fix": true}}),
        json!({"params": {"special": {}, "transparent": true, "extra_texts": []}}),
        json!({"params": {"workflow": "qr_code", "extra_texts": [code]}}),
        json!({"prompt": "word ".repeat(7500)}),
    ] {
        let accepted = submit(&server, &client, changes.clone()).await;
        assert_eq!(accepted.status, 202, "{changes} {}", accepted.text);
    }
}

#[tokio::test]
async fn requests_at_the_same_moment_do_not_share_room() {
    let (server, client) = with_client().await;
    let server = std::sync::Arc::new(server);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (server, client) = (std::sync::Arc::clone(&server), client.clone());
        calls.spawn(async move { submit(&server, &client, json!({})).await.status.as_u16() });
    }
    let statuses = calls.join_all().await;
    let accepted = statuses.iter().filter(|status| **status == 202).count();
    assert_eq!(accepted, 30, "an account may have 30 in the queue");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 34);
}
