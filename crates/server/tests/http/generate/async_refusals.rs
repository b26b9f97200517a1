//! `POST generate/async`: what is refused, and how.

use muster_store::Role;
use reqwest::Method;
use serde_json::json;

use super::async_post::{PATH, UNKNOWN, kudos, submit, with_client};
use crate::support::{Setup, TestServer, changed, plain_request};

#[tokio::test]
async fn an_unreadable_body_has_a_message_alone() {
    let (server, client) = with_client().await;
    let key = ("apikey", client.as_str());
    let json = ("content-type", "application/json");
    let deep = format!(
        r#"{{"prompt": "x", "deep": {}{}}}"#,
        "[".repeat(1000),
        "]".repeat(1000)
    );
    for (headers, body) in [
        (&[key, json][..], "{not json"),
        (&[key, json], &deep),
        (&[key, json], r#"{"prompt": "half of a pair: \ud83d"}"#),
        (&[key, json], r#"{"prompt": "x", "params": {"cfg_scale": 1e999}}"#),
        (&[key, json], ""),
        (&[key], ""),
        (&[key], r#"{"prompt": "x"}"#),
        (&[key, ("content-type", "text/plain")], r#"{"prompt": "x"}"#),
        (&[json], "{not json"),
    ] {
        let message = server
            .send(Method::POST, PATH, headers, body.to_owned())
            .await
            .plain(400);
        assert!(!message.is_empty(), "{body}");
    }
}

#[tokio::test]
async fn offending_members_are_named_by_their_path() {
    let (server, client) = with_client().await;
    let long = "x".repeat(256);
    for (changes, paths) in [
        (json!({"prompt": ""}), vec!["prompt"]),
        (
            json!({"prompt": 5, "nsfw": "yes", "r2": 1}),
            vec!["nsfw", "prompt", "r2"],
        ),
        (json!({"models": "stable_diffusion"}), vec!["models"]),
        (json!({"models": ["ok", 5, long]}), vec!["models.1", "models.2"]),
        (json!({"workers": [true]}), vec!["workers.0"]),
        (
            json!({"params": {"width": "wide", "height": 100, "steps": 0, "n": 21}}),
            vec!["height", "n", "steps", "width"],
        ),
        (
            json!({"params": {"width": 3136, "cfg_scale": 100.5, "clip_skip": 2.5}}),
            vec!["cfg_scale", "clip_skip", "width"],
        ),
        (
            json!({"params": {"seed": 5, "karras": "true", "sampler_name": "k_magic"}}),
            vec!["karras", "sampler_name", "seed"],
        ),
        (
            json!({"params": {"post_processing": ["GFPGAN", "Sharpener"]}}),
            vec!["post_processing.1"],
        ),
        (
            json!({"params": {"loras": [{"name": "a"}, {"model": 6}]}}),
            vec!["loras.1.model", "loras.1.name"],
        ),
        (
            json!({"params": {"tis": [{"name": "", "inject_ti": "both"}]}}),
            vec!["tis.0.inject_ti", "tis.0.name"],
        ),
        (
            json!({"params": {"extra_texts": [{"text": "x"}]}}),
            vec!["extra_texts.0.reference"],
        ),
        (json!({"params": []}), vec!["params"]),
        (json!({"proxied_account": long}), vec!["proxied_account"]),
        (
            json!({"extra_source_images": [{"strength": 1}]}),
            vec!["extra_source_images.0.image"],
        ),
    ] {
        let prefix = if changes["params"].is_object() {
            "params."
        } else {
            ""
        };
        let expected: Vec<String> = paths.iter().map(|path| format!("{prefix}{path}")).collect();
        assert_eq!(submit(&server, &client, changes).await.invalid(), expected);
    }
    assert_eq!(
        server.post(PATH, &client, &json!({"params": {}})).await.invalid(),
        ["prompt"]
    );
    for body in [json!([]), json!("text"), json!(null)] {
        assert_eq!(server.post(PATH, &client, &body).await.invalid(), [""]);
    }
}

#[tokio::test]
async fn null_is_no_value() {
    let (server, client) = with_client().await;
    for name in [
        "models",
        "workers",
        "source_image",
        "r2",
        "webhook",
        "params",
        "style",
    ] {
        let body = json!({"prompt": "x", name: null});
        assert_eq!(server.post(PATH, &client, &body).await.invalid(), [name]);
    }
    for name in [
        "seed",
        "width",
        "sampler_name",
        "loras",
        "control_type",
        "karras",
        "special",
    ] {
        let body = json!({"prompt": "x", "params": {name: null}});
        assert_eq!(
            server.post(PATH, &client, &body).await.invalid(),
            [format!("params.{name}")]
        );
    }
}

#[tokio::test]
async fn a_key_is_needed_but_the_body_is_looked_at_first() {
    let server = TestServer::start().await;
    let json = [("content-type", "application/json")];
    let valid = plain_request().to_string();
    assert_eq!(
        server.send(Method::POST, PATH, &json, valid).await.invalid(),
        ["apikey"]
    );
    assert_eq!(
        server.send(Method::POST, PATH, &json, "{}").await.invalid(),
        ["prompt"]
    );
    for key in ["no_such_key_anywhere_00", ""] {
        let message = submit(&server, key, json!({}))
            .await
            .refused(401, "InvalidAPIKey");
        assert!(key.is_empty() || !message.contains(key), "{message}");
        assert_eq!(
            submit(&server, key, json!({"prompt": ""})).await.invalid(),
            ["prompt"]
        );
    }
}

#[tokio::test]
async fn no_text_contains_nul() {
    let (server, client) = with_client().await;
    for changes in [
        json!({"prompt": "a\0b"}),
        json!({"models": ["stable_diffusion", "\0"]}),
        json!({"workers": [format!("{UNKNOWN}\0")]}),
        json!({"proxied_account": "a\0b"}),
        json!({"webhook": "https://example.org/\0"}),
        json!({"style": "style\0"}),
        json!({"params": {"seed": "4\0 2"}}),
        json!({"params": {"loras": [{"name": "a"}, {"name": "b\0"}]}}),
        json!({"params": {"loras": [{"name": "a", "inject_trigger": "\0"}]}}),
        json!({"params": {"tis": [{"name": "\0a"}]}}),
        json!({"params": {"extra_texts": [{"text": "a\0", "reference": "qr_code"}]}}),
        json!({"params": {"extra_texts": [{"text": "a", "reference": "qr_\0code"}]}}),
        json!({"params": {"special": {"list": [{"inner\0": 1}]}}}),
        json!({"params": {"control_strength": "\0"}}),
    ] {
        submit(&server, &client, changes)
            .await
            .refused(400, "NulByteInPayload");
    }
    // What is not kept may contain anything.
    submit(
        &server,
        &client,
        json!({"unknown": "\0", "params": {"unknown": "\0"}}),
    )
    .await
    .ok(202);
}

#[tokio::test]
async fn broken_rules_have_a_code() {
    let (server, client) = with_client().await;
    let loras = |count: usize| vec![json!({"name": "a"}); count];
    let words = "word ".repeat(7501);
    let code = json!({"text": "https://example.org", "reference": "qr_code"});
    let other = json!({"text": "https://example.org", "reference": "other"});
    let (flux, qwen) = ("Flux.1-Schnell fp8 (Compact)", "Mine [Qwen]");
    for (changes, status, rc) in [
        (
            json!({"proxied_account": "someone"}),
            400,
            "OnlyServiceAccountProxy",
        ),
        (
            json!({"disable_batching": true, "params": {"n": 2}}),
            400,
            "RequiresTrust",
        ),
        (json!({"params": {"loras": loras(6)}}), 400, "TooManyLoras"),
        (
            json!({"params": {"loras": [{"name": "v1", "is_version": true}]}}),
            400,
            "BadLoraVersion",
        ),
        (json!({"params": {"tis": loras(21)}}), 400, "TooManyTIs"),
        (
            json!({"params": {"post_processing": ["RealESRGAN_x4plus", "NMKD_Siax"]}}),
            400,
            "TooManyUpscalers",
        ),
        (json!({"params": {"cfg_scale": 7.123}}), 400, "BadCFGDecimals"),
        (
            json!({"models": ["stable_diffusion", flux], "params": {"hires_fix": true}}),
            400,
            "HiResMismatch",
        ),
        (
            json!({"models": [qwen], "params": {"hires_fix": true}}),
            400,
            "HiResMismatch",
        ),
        (
            json!({"models": [flux], "params": {"transparent": true}}),
            400,
            "InvalidTransparencyModel",
        ),
        (
            json!({"models": [flux], "params": {"workflow": "qr_code"}}),
            400,
            "ControlNetMismatch.",
        ),
        (json!({"prompt": words}), 400, "InvalidPromptSize"),
        (json!({"models": ["GFPGAN"]}), 400, "UnexpectedModelName"),
        (json!({"source_mask": "AAAA"}), 400, "SourceMaskUnnecessary"),
        (
            json!({"params": {"control_type": "canny"}}),
            400,
            "ControlNetSourceMissing",
        ),
        (json!({"params": {"special": {"a": 1}}}), 400, "BadRequest"),
        (json!({"source_processing": "remix"}), 400, "InvalidRemix"),
        (
            json!({"params": {"extra_texts": [code]}}),
            400,
            "InvalidExtraTexts.",
        ),
        (
            json!({"params": {"workflow": "qr_code"}}),
            400,
            "MissingExtraTexts.",
        ),
        (
            json!({"params": {"workflow": "qr_code", "extra_texts": [other]}}),
            400,
            "MissingExtraTexts.",
        ),
        (
            json!({"params": {"init_as_image": true, "return_control_map": true}}),
            400,
            "ControlNetInvalidPayload",
        ),
        (json!({"models": ["pix2pix"]}), 400, "SourceImageRequiredForModel"),
        (json!({"style": UNKNOWN}), 404, "StyleNotFound"),
        (
            json!({"webhook": "http://example.org/results"}),
            400,
            "BadRequest",
        ),
    ] {
        submit(&server, &client, changes).await.refused(status, rc);
    }
    assert_eq!(server.engine.requests_in_memory(), 0);
    assert_eq!(kudos(&server, &client).await, 1000.0);
}

#[tokio::test]
async fn the_first_broken_rule_is_reported() {
    let (server, client) = with_client().await;
    // From the last rule to the first: each one added hides those before it.
    let mut body = json!({"source_mask": "AAAA", "params": {"n": 2}});
    for (change, status, rc) in [
        (json!({}), 400, "SourceMaskUnnecessary"),
        (json!({"params": {"cfg_scale": 1.234}}), 400, "BadCFGDecimals"),
        (
            json!({"params": {"tis": vec![json!({"name": "a"}); 21]}}),
            400,
            "TooManyTIs",
        ),
        (json!({"disable_batching": true}), 400, "RequiresTrust"),
        (json!({"workers": [UNKNOWN]}), 404, "WorkerNotFound"),
        (
            json!({"proxied_account": "someone"}),
            400,
            "OnlyServiceAccountProxy",
        ),
    ] {
        body = changed(body, change);
        submit(&server, &client, body.clone()).await.refused(status, rc);
    }
    submit(&server, "nobody's", body.clone())
        .await
        .refused(401, "InvalidAPIKey");
    let webhook = changed(body, json!({"webhook": "http://example.org/results"}));
    let message = submit(&server, "nobody's", webhook.clone())
        .await
        .refused(400, "BadRequest");
    assert!(message.contains("https"), "{message}");
    let style = changed(webhook, json!({"style": "unknown"}));
    submit(&server, "nobody's", style)
        .await
        .refused(404, "StyleNotFound");
}

#[tokio::test]
async fn in_maintenance_nothing_is_accepted() {
    let mut setup = Setup::default();
    setup.engine.maintenance = true;
    let server = TestServer::with(setup).await;
    let client = server.user("client", 1000).await.api_key;
    for changes in [json!({}), json!({"dry_run": true}), json!({"workers": [UNKNOWN]})] {
        submit(&server, &client, changes)
            .await
            .refused(400, "MaintenanceMode");
    }
    submit(&server, "nobody's", json!({}))
        .await
        .refused(400, "MaintenanceMode");
    let json = [("content-type", "application/json")];
    let keyless = server
        .send(Method::POST, PATH, &json, plain_request().to_string())
        .await;
    assert_eq!(keyless.invalid(), ["apikey"]);
}

#[tokio::test]
async fn a_deleted_account_can_do_nothing() {
    let server = TestServer::start().await;
    let client = server.user_with("client", Role::Deleted).await;
    for changes in [json!({}), json!({"dry_run": true})] {
        submit(&server, &client.api_key, changes)
            .await
            .refused(403, "DeletedUser");
    }
}

#[tokio::test]
async fn programs_must_not_bear_the_name_of_an_example() {
    let (server, client) = with_client().await;
    let submit_as = async |agent| {
        let headers = [
            ("apikey", client.as_str()),
            ("content-type", "application/json"),
            ("client-agent", agent),
        ];
        server
            .send(Method::POST, PATH, &headers, plain_request().to_string())
            .await
    };
    submit_as("My-Project:v0.0.1:My-Contact")
        .await
        .refused(403, "BannedClientAgent");
    submit_as("My-Project:v0.0.2:My-Contact").await.ok(202);
}

#[tokio::test]
async fn special_models_and_parameters_are_for_accounts_with_that_role() {
    let server = TestServer::start().await;
    let plain = server.user("plain", 1000).await;
    let special = server.user_with("special", Role::Special).await;
    let own = format!("horde_special::{}", special.alias);
    let params = json!({"special": {"a": 1}});
    for (key, models, params, status, rc) in [
        (&plain.api_key, json!([own]), params.clone(), 403, "Forbidden"),
        (&plain.api_key, json!([]), params.clone(), 400, "BadRequest"),
        (
            &special.api_key,
            json!(["horde_special"]),
            params.clone(),
            400,
            "SpecialMissingUsername",
        ),
        (
            &special.api_key,
            json!([own, "horde_special::plain#1"]),
            params.clone(),
            403,
            "Forbidden",
        ),
        (
            &special.api_key,
            json!([own]),
            json!({}),
            400,
            "SpecialMissingPayload",
        ),
    ] {
        let message = submit(&server, key, json!({"models": models, "params": params}))
            .await
            .refused(status, rc);
        assert!(message.to_lowercase().contains("special"), "{message}");
    }
    for models in [json!([own]), json!(["stable_diffusion"])] {
        let changes = json!({"models": models, "params": params});
        submit(&server, &special.api_key, changes).await.ok(202);
    }
}

#[tokio::test]
async fn numbers_beyond_all_bounds_are_named_by_their_path() {
    let (server, client) = with_client().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let huge = json!({"max_pixels": 1e30});
    let pop = changed(crate::support::worker("Keeper"), huge);
    assert_eq!(server.pop(&owner, &pop).await.invalid(), ["max_pixels"]);
    let submission = json!({"id": UNKNOWN, "generation": "R2", "seed": 1e30});
    let path = "/api/v2/generate/submit";
    assert_eq!(server.post(path, &client, &submission).await.invalid(), ["seed"]);
}

#[tokio::test]
async fn pictures_that_are_compared_come_in_pairs() {
    let (server, client) = with_client().await;
    let model = "SDXL_beta::stability.ai#6901";
    let request = |n: u32| json!({"models": ["stable_diffusion", model], "params": {"n": n}});
    submit(&server, crate::support::ANONYMOUS, request(2))
        .await
        .refused(403, "BetaAnonForbidden");
    submit(&server, &client, request(1))
        .await
        .refused(400, "BetaComparisonFault");
    let accepted = submit(&server, &client, request(5)).await.ok(202);
    let id = accepted["id"].as_str().unwrap();
    let status = server.get(&format!("/api/v2/generate/status/{id}")).await.ok(200);
    assert_eq!((&status["waiting"], &status["shared"]), (&json!(2), &json!(true)));
}

#[tokio::test]
async fn schools_get_nothing_unsafe_and_from_trusted_workers_only() {
    let server = TestServer::start().await;
    let school = server.user_with("school", Role::Education).await.api_key;
    let stranger = server.user("stranger", 0).await.api_key;
    let teacher = server.trusted("teacher", 0).await.api_key;
    submit(&server, &school, json!({"nsfw": true, "censor_nsfw": false}))
        .await
        .ok(202);
    let refused = server
        .pop(&stranger, &crate::support::worker("Stranger"))
        .await
        .ok(200);
    assert_eq!(refused["skipped"]["untrusted"], 1);
    let popped = server.popped(&teacher, "Teacher").await;
    assert_eq!(popped["payload"]["use_nsfw_censor"], true);
}
