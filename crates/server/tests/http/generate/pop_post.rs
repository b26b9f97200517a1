//! `POST generate/pop`: the shape of its answers, and of what it accepts.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Setup, TestServer, changed, plain_request, worker};

const POP: &str = "/api/v2/generate/pop";

/// Replaces what differs between runs, after a look at it.
fn masked(mut popped: Value) -> Value {
    let id = popped["id"].as_str().unwrap().to_owned();
    let upload = popped["r2_upload"].as_str().unwrap().to_owned();
    assert!(
        upload.starts_with("http://127.0.0.1:") && upload.contains(&format!("{id}.webp?")),
        "{upload}"
    );
    assert_eq!(popped["ids"], json!([id]));
    assert_eq!(popped["r2_uploads"], json!([upload]));
    popped["id"] = json!("<job>");
    popped["ids"] = json!(["<job>"]);
    popped["r2_upload"] = json!("<upload>");
    popped["r2_uploads"] = json!(["<upload>"]);
    popped
}

#[tokio::test]
async fn without_a_job_everything_is_there_and_empty() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    let body = server.pop(&owner.api_key, &worker("Keeper")).await.ok(200);
    insta::assert_json_snapshot!(body, @r#"
    {
      "extra_source_images": null,
      "id": null,
      "ids": [],
      "messages": [],
      "model": null,
      "payload": {
        "cfg_scale": 7.5,
        "ddim_steps": 30,
        "height": 512,
        "hires_fix": false,
        "image_is_control": false,
        "karras": false,
        "n_iter": 1,
        "return_control_map": false,
        "sampler_name": "k_euler_a",
        "tiling": false,
        "transparent": false,
        "width": 512
      },
      "r2_upload": null,
      "r2_uploads": null,
      "skipped": {
        "bridge_version": 0,
        "controlnet": 0,
        "img2img": 0,
        "lora": 0,
        "models": 0,
        "nsfw": 0,
        "painting": 0,
        "performance": 0,
        "post-processing": 0,
        "unsafe_ip": 0,
        "untrusted": 0,
        "worker_id": 0
      },
      "source_image": null,
      "source_mask": null,
      "source_processing": "img2img",
      "ttl": null
    }
    "#);
}

#[tokio::test]
async fn a_job_comes_with_its_payload_and_where_to_put_the_result() {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.user("client", 1000).await,
    );
    server.request(&client.api_key, &plain_request()).await;
    let body = server.pop(&owner.api_key, &worker("Keeper")).await.ok(200);
    insta::assert_json_snapshot!(masked(body), @r#"
    {
      "extra_source_images": null,
      "id": "<job>",
      "ids": [
        "<job>"
      ],
      "messages": [],
      "model": "stable_diffusion",
      "payload": {
        "cfg_scale": 7.5,
        "ddim_steps": 20,
        "height": 512,
        "hires_fix": false,
        "image_is_control": false,
        "karras": true,
        "n_iter": 1,
        "prompt": "a lighthouse on a cliff",
        "return_control_map": false,
        "sampler_name": "k_euler_a",
        "seed": "42",
        "tiling": false,
        "transparent": false,
        "use_nsfw_censor": true,
        "width": 512
      },
      "r2_upload": "<upload>",
      "r2_uploads": [
        "<upload>"
      ],
      "skipped": {},
      "source_image": null,
      "source_mask": null,
      "source_processing": "img2img",
      "ttl": 150
    }
    "#);
}

#[tokio::test]
async fn what_a_request_sets_reaches_the_worker() {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.user("client", 1000).await,
    );
    let params = json!({
        "width": 576, "height": 1024, "steps": 35, "cfg_scale": 6.25, "sampler_name": "k_dpmpp_2m", "seed": "4294967295",
        "karras": false, "tiling": true, "hires_fix": true, "hires_fix_denoising_strength": 0.5, "clip_skip": 2,
        "denoising_strength": 0.6, "facefixer_strength": 0.75, "post_processing": ["GFPGAN", "RealESRGAN_x4plus"],
        "loras": [{"name": "12345", "is_version": true, "model": 0.8}, {"name": "detail", "inject_trigger": "any"}],
        "tis": [{"name": "7808", "inject_ti": "prompt", "strength": 0.5}, {"name": "1234"}],
        "an unknown one": true,
    });
    let request = changed(plain_request(), json!({"params": params, "nsfw": true}));
    server.request(&client.api_key, &request).await;
    let body = server.pop(&owner.api_key, &worker("Keeper")).await.ok(200);
    insta::assert_json_snapshot!(body["payload"], @r#"
    {
      "cfg_scale": 6.25,
      "clip_skip": 2,
      "ddim_steps": 35,
      "denoising_strength": 0.6,
      "facefixer_strength": 0.75,
      "height": 1024,
      "hires_fix": true,
      "hires_fix_denoising_strength": 0.5,
      "image_is_control": false,
      "karras": false,
      "loras": [
        {
          "clip": 1.0,
          "is_version": true,
          "model": 0.8,
          "name": "12345"
        },
        {
          "clip": 1.0,
          "inject_trigger": "any",
          "is_version": false,
          "model": 1.0,
          "name": "detail"
        }
      ],
      "n_iter": 1,
      "post_processing": [
        "GFPGAN",
        "RealESRGAN_x4plus"
      ],
      "prompt": "a lighthouse on a cliff",
      "return_control_map": false,
      "sampler_name": "k_dpmpp_2m",
      "seed": "4294967295",
      "tiling": true,
      "tis": [
        {
          "inject_ti": "prompt",
          "name": "7808",
          "strength": 0.5
        },
        {
          "name": "1234",
          "strength": 1.0
        }
      ],
      "transparent": false,
      "width": 576
    }
    "#);
    // 30 + 35 · 2 · 576 · 1024 / 512²
    assert_eq!(body["ttl"], 187);
}

#[tokio::test]
async fn what_a_request_leaves_out_gets_the_documented_defaults() {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.user("client", 1000).await,
    );
    server
        .request(&client.api_key, &json!({"prompt": "x", "params": {"seed": "1"}}))
        .await;
    let body = server.pop(&owner.api_key, &worker("Keeper")).await.ok(200);
    insta::assert_json_snapshot!(body["payload"], @r#"
    {
      "cfg_scale": 5.0,
      "ddim_steps": 30,
      "height": 512,
      "hires_fix": false,
      "image_is_control": false,
      "karras": true,
      "n_iter": 1,
      "prompt": "x",
      "return_control_map": false,
      "sampler_name": "k_euler_a",
      "seed": "1",
      "tiling": false,
      "transparent": false,
      "width": 512
    }
    "#);
    assert_eq!(
        (&body["model"], &body["ttl"]),
        (&json!("stable_diffusion"), &json!(150))
    );
}

#[tokio::test]
async fn the_censor_is_asked_for_unless_the_request_declines_or_is_nsfw() {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.user("client", 1000).await,
    );
    for (nsfw, censor, expected) in [
        (false, true, json!(true)),
        (false, false, Value::Null),
        (true, true, Value::Null),
        (true, false, Value::Null),
    ] {
        let request = changed(plain_request(), json!({"nsfw": nsfw, "censor_nsfw": censor}));
        server.request(&client.api_key, &request).await;
        let popped = server.popped(&owner.api_key, "Keeper").await;
        assert_eq!(
            popped["payload"]["use_nsfw_censor"], expected,
            "nsfw {nsfw}, censor {censor}"
        );
    }
}

#[tokio::test]
async fn a_key_and_a_name_are_required() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    let json_only = [("content-type", "application/json")];
    let keyless = server
        .send(Method::POST, POP, &json_only, worker("Keeper").to_string())
        .await;
    assert_eq!(keyless.invalid(), ["apikey"]);
    let nameless = server
        .pop(&owner.api_key, &json!({"models": ["stable_diffusion"]}))
        .await;
    assert_eq!(nameless.invalid(), ["name"]);
    for key in ["unknown", ""] {
        let message = server
            .pop(key, &worker("Keeper"))
            .await
            .refused(401, "InvalidAPIKey");
        assert!(message.to_lowercase().contains("invalid api key"), "{message}");
    }
    assert_eq!(
        server.get_as("/api/v2/find_user", &owner.api_key).await.ok(200)["worker_count"],
        0
    );
}

#[tokio::test]
async fn bodies_of_another_shape_are_invalid() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    for (changes, offending) in [
        (json!({"name": 5}), "name"),
        (json!({"name": null}), "name"),
        (json!({"threads": 0}), "threads"),
        (json!({"threads": 51}), "threads"),
        (json!({"threads": true}), "threads"),
        (json!({"amount": 0}), "amount"),
        (json!({"amount": 21}), "amount"),
        (json!({"amount": 1.5}), "amount"),
        (json!({"models": "stable_diffusion"}), "models"),
        (json!({"models": ["stable_diffusion", "ab"]}), "models.1"),
        (json!({"models": ["x".repeat(256)]}), "models.0"),
        (json!({"models": null}), "models"),
        (json!({"nsfw": "yes"}), "nsfw"),
        (json!({"max_pixels": "262144"}), "max_pixels"),
        (json!({"bridge_agent": "x".repeat(1001)}), "bridge_agent"),
        (json!({"blacklist": [1]}), "blacklist.0"),
        (json!({"priority_usernames": [1]}), "priority_usernames.0"),
        (json!({"allow_lora": 1}), "allow_lora"),
    ] {
        let answer = server
            .pop(&owner.api_key, &changed(worker("Keeper"), changes.clone()))
            .await;
        assert_eq!(answer.invalid(), [offending], "{changes}");
    }
    let answer = server
        .pop(
            &owner.api_key,
            &changed(worker("Keeper"), json!({"threads": 0, "amount": 0})),
        )
        .await;
    assert_eq!(answer.invalid(), ["amount", "threads"]);
    assert_eq!(server.pop(&owner.api_key, &json!([])).await.invalid(), [""]);
}

#[tokio::test]
async fn what_is_no_json_gets_a_message_alone() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    let key = ("apikey", owner.api_key.as_str());
    for (kind, body) in [
        ("application/json", "{\"name\": "),
        ("application/json", ""),
        ("text/plain", "{}"),
    ] {
        let answer = server
            .send(Method::POST, POP, &[key, ("content-type", kind)], body)
            .await;
        assert!(!answer.plain(400).is_empty(), "{kind} {body}");
    }
}

#[tokio::test]
async fn whole_floats_and_fields_of_old_workers_are_accepted() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    let odd = json!({
        "amount": 1.0, "threads": 2.0, "max_pixels": 262_144.0, "bridge_version": 11, "allow_unsafe_ip": true,
        "limit_max_steps": false, "allow_extended_controlnet": true, "sampler_execution_contract_version": 1,
    });
    server
        .pop(&owner.api_key, &changed(worker("Keeper"), odd))
        .await
        .ok(200);
    // The embedded worker sends no more than this.
    let least = json!({"name": "Least", "models": ["stable_diffusion"]});
    assert_eq!(
        server.pop(&owner.api_key, &least).await.ok(200)["id"],
        Value::Null
    );
}

#[tokio::test]
async fn any_number_of_pixels_is_accepted() {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.user("client", 1000).await,
    );
    for (max_pixels, gets_a_job) in [
        (json!(-1), false),
        (json!(0), false),
        (json!(1e15), true),
        (json!(i64::MAX), true),
    ] {
        server.request(&client.api_key, &plain_request()).await;
        let pop = changed(worker("Keeper"), json!({"max_pixels": max_pixels}));
        let popped = server.pop(&owner.api_key, &pop).await.ok(200);
        assert_eq!(popped["id"].is_string(), gets_a_job, "{max_pixels}");
    }
}

#[tokio::test]
async fn a_server_that_is_about_to_stop_hands_out_nothing_and_takes_results() {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.user("client", 1000).await,
    );
    for _ in 0..2 {
        server.request(&client.api_key, &plain_request()).await;
    }
    let popped = server.popped(&owner.api_key, "Keeper").await;
    server.engine.drain();
    let nothing = server.pop(&owner.api_key, &worker("Keeper")).await.ok(200);
    assert_eq!((&nothing["id"], &nothing["ids"]), (&Value::Null, &json!([])));
    server
        .deliver(&owner.api_key, popped["id"].as_str().unwrap())
        .await
        .ok(200);
    let server = server.restart(Setup::default()).await;
    server.popped(&owner.api_key, "Keeper").await;
}
