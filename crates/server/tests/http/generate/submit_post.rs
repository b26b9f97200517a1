//! `POST generate/submit`: what is accepted as a result, who may send it, and what becomes of it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::ImageFormat;
use muster_protocol::TestUser;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, TestServer, changed, encoded, picture, picture_bytes, plain_request};

const SUBMIT: &str = "/api/v2/generate/submit";
const NO_JOB: &str = "5e0d8d0e-93b8-4b9a-8a5c-0c9a9c1a7f11";

/// A server, a worker's owner, and the job of a plain request.
async fn with_job() -> (TestServer, TestUser, Value, String) {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.user("client", 1000).await,
    );
    let request = server.request(&client.api_key, &plain_request()).await;
    let popped = server.popped(&owner.api_key, "Keeper").await;
    (server, owner, popped, request)
}

fn result(job: &Value) -> Value {
    json!({"id": job, "generation": picture(), "seed": 42})
}

async fn submit(server: &TestServer, owner: &TestUser, body: &Value) -> Answer {
    server.post(SUBMIT, &owner.api_key, body).await
}

async fn status(server: &TestServer, request: &str) -> Value {
    server
        .get(&format!("/api/v2/generate/status/{request}"))
        .await
        .ok(200)
}

#[tokio::test]
async fn a_result_is_rewarded_and_shows_up() {
    let (server, owner, popped, request) = with_job().await;
    let reward = submit(&server, &owner, &result(&popped["id"])).await.ok(200);
    insta::assert_json_snapshot!(reward, @r#"
    {
      "reward": 5.76
    }
    "#);
    let mut status = status(&server, &request).await;
    let generation = &mut status["generations"][0];
    assert_eq!(generation["id"], popped["id"]);
    assert_eq!(generation["img"], picture());
    for member in ["id", "img", "worker_id"] {
        assert!(generation[member].is_string());
        generation[member] = json!(format!("<{member}>"));
    }
    insta::assert_json_snapshot!(status, @r#"
    {
      "done": true,
      "faulted": false,
      "finished": 1,
      "generations": [
        {
          "censored": false,
          "gen_metadata": [],
          "id": "<id>",
          "img": "<img>",
          "model": "stable_diffusion",
          "seed": "42",
          "state": "ok",
          "worker_id": "<worker_id>",
          "worker_name": "Keeper"
        }
      ],
      "is_possible": true,
      "kudos": 10.0,
      "processing": 0,
      "queue_position": 0,
      "restarted": 0,
      "shared": false,
      "wait_time": 0,
      "waiting": 0
    }
    "#);
}

#[tokio::test]
async fn pictures_are_kept_as_webp_and_text_as_it_is() {
    for format in [ImageFormat::WebP, ImageFormat::Png, ImageFormat::Jpeg] {
        let (server, owner, popped, request) = with_job().await;
        let sent = encoded(format);
        submit(
            &server,
            &owner,
            &changed(result(&popped["id"]), json!({"generation": sent})),
        )
        .await
        .ok(200);
        let shown = status(&server, &request).await["generations"][0]["img"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(shown == sent, format == ImageFormat::WebP, "{format:?}");
        let bytes = STANDARD.decode(shown).unwrap();
        assert_eq!(image::guess_format(&bytes).unwrap(), ImageFormat::WebP);
        let picture = image::load_from_memory(&bytes).unwrap();
        assert_eq!((picture.width(), picture.height()), (16, 16));
    }
    for (sent, shown) in [
        ("the model is missing", "the model is missing"),
        ("", ""),
        ("a\0b", "a\u{fffd}b"),
    ] {
        let (server, owner, popped, request) = with_job().await;
        submit(
            &server,
            &owner,
            &changed(result(&popped["id"]), json!({"generation": sent})),
        )
        .await
        .ok(200);
        assert_eq!(status(&server, &request).await["generations"][0]["img"], shown);
    }
}

#[tokio::test]
async fn an_upload_may_name_a_content_type_or_none() {
    for headers in [
        &[][..],
        &[("content-type", "application/octet-stream")],
        &[("content-type", "image/webp")],
    ] {
        let (server, owner, popped, request) = with_job().await;
        let bytes = picture_bytes(ImageFormat::WebP);
        let upload = popped["r2_upload"].as_str().unwrap();
        let put = server.send(Method::PUT, upload, headers, bytes).await;
        assert_eq!(put.status, 200, "{headers:?}: {}", put.text);
        submit(
            &server,
            &owner,
            &changed(result(&popped["id"]), json!({"generation": "R2"})),
        )
        .await
        .ok(200);
        assert_eq!(
            status(&server, &request).await["generations"][0]["img"],
            picture(),
            "{headers:?}"
        );
    }
}

#[tokio::test]
async fn an_upload_that_never_came_is_said_to_be_missing() {
    let (server, owner, popped, request) = with_job().await;
    submit(
        &server,
        &owner,
        &changed(result(&popped["id"]), json!({"generation": "R2"})),
    )
    .await
    .ok(200);
    assert_eq!(status(&server, &request).await["generations"][0]["img"], "N/A");
}

#[tokio::test]
async fn bodies_of_another_shape_are_invalid() {
    let (server, owner, popped, request) = with_job().await;
    let many = |entry: Value| json!({"gen_metadata": [entry]});
    for (changes, offending) in [
        (json!({"id": null}), "id"),
        (json!({"id": 7}), "id"),
        (json!({"generation": 7}), "generation"),
        (json!({"generation": null}), "generation"),
        (json!({"seed": "42"}), "seed"),
        (json!({"seed": 4.5}), "seed"),
        (json!({"seed": 1e30}), "seed"),
        (json!({"seed": u64::MAX}), "seed"),
        (json!({"state": "done"}), "state"),
        (json!({"censored": "no"}), "censored"),
        (
            many(json!({"type": "generation", "value": "nsfw"})),
            "gen_metadata.0.type",
        ),
        (
            many(json!({"type": "lora", "value": "faulted"})),
            "gen_metadata.0.value",
        ),
        (many(json!({"type": "lora"})), "gen_metadata.0.value"),
        (many(json!({"value": "nsfw"})), "gen_metadata.0.type"),
        (
            many(json!({"type": "lora", "value": "see_ref", "ref": "x".repeat(256)})),
            "gen_metadata.0.ref",
        ),
    ] {
        let answer = submit(&server, &owner, &changed(result(&popped["id"]), changes.clone())).await;
        assert_eq!(answer.invalid(), [offending], "{changes}");
    }
    for missing in ["id", "generation", "seed"] {
        let mut body = result(&popped["id"]);
        body.as_object_mut().unwrap().remove(missing);
        assert_eq!(submit(&server, &owner, &body).await.invalid(), [missing]);
    }
    assert_eq!(
        status(&server, &request).await["processing"],
        1,
        "nothing was accepted"
    );
}

#[tokio::test]
async fn the_job_is_looked_up_before_the_key() {
    let (server, owner, popped, _) = with_job().await;
    let stranger = server.trusted("stranger", 0).await;
    let headers = [("content-type", "application/json")];
    let keyless = server
        .send(Method::POST, SUBMIT, &headers, result(&popped["id"]).to_string())
        .await;
    assert_eq!(keyless.invalid(), ["apikey"]);
    server
        .post(SUBMIT, "unknown", &result(&popped["id"]))
        .await
        .refused(401, "InvalidAPIKey");
    let message = server
        .post(SUBMIT, &stranger.api_key, &result(&popped["id"]))
        .await
        .refused(403, "WrongCredentials");
    assert!(message.to_lowercase().contains("wrong credentials"), "{message}");

    for id in [NO_JOB, "not-a-uuid", ""] {
        for key in [owner.api_key.as_str(), "unknown"] {
            let message = server
                .post(SUBMIT, key, &result(&json!(id)))
                .await
                .refused(404, "InvalidJobID");
            assert!(
                message.contains("Processing Job with ID") && message.contains("does not exist"),
                "{message}"
            );
        }
    }
    submit(&server, &owner, &result(&popped["id"])).await.ok(200);
}

#[tokio::test]
async fn an_id_may_be_written_without_hyphens() {
    let (server, owner, popped, _) = with_job().await;
    let bare = popped["id"].as_str().unwrap().replace('-', "").to_uppercase();
    submit(&server, &owner, &result(&json!(bare))).await.ok(200);
    submit(&server, &owner, &result(&popped["id"]))
        .await
        .refused(400, "DuplicateGen");
}

#[tokio::test]
async fn every_job_of_a_batch_is_delivered_on_its_own() {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.user("client", 1000).await,
    );
    let request = changed(plain_request(), json!({"params": {"n": 2}}));
    let request = server.request(&client.api_key, &request).await;
    let pop = changed(crate::support::worker("Keeper"), json!({"amount": 2}));
    let popped = server.pop(&owner.api_key, &pop).await.ok(200);
    for (index, seed) in [(1, 43), (0, 42)] {
        let remark = json!([{"type": "batch_index", "value": "see_ref", "ref": index.to_string()}]);
        let body = changed(
            result(&popped["ids"][index]),
            json!({"seed": seed, "gen_metadata": remark}),
        );
        submit(&server, &owner, &body).await.ok(200);
    }
    let status = status(&server, &request).await;
    let mut seeds: Vec<_> = status["generations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["seed"].clone())
        .collect();
    seeds.sort_by_key(ToString::to_string);
    assert_eq!(seeds, ["42", "43"]);
    assert_eq!((&status["finished"], &status["done"]), (&json!(2), &json!(true)));
}

#[tokio::test]
async fn remarks_are_passed_on_fifty_at_most() {
    let (server, owner, popped, request) = with_job().await;
    let remark = json!({"type": "information", "value": "nsfw"});
    let too_many = json!({"gen_metadata": vec![remark.clone(); 51]});
    submit(&server, &owner, &changed(result(&popped["id"]), too_many))
        .await
        .refused(400, "BadRequest");
    assert_eq!(status(&server, &request).await["processing"], 1);

    let mut remarks = vec![remark; 49];
    remarks.push(json!({"type": "lora", "value": "download_failed", "ref": "12345"}));
    submit(
        &server,
        &owner,
        &changed(result(&popped["id"]), json!({"gen_metadata": remarks})),
    )
    .await
    .ok(200);
    let generation = status(&server, &request).await["generations"][0].clone();
    assert_eq!(
        (&generation["gen_metadata"], &generation["censored"]),
        (&json!(remarks), &json!(false))
    );
}
