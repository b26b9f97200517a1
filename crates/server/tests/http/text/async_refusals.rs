//! `POST generate/text/async`: each rule that a request can break, and which comes first.

use muster_store::Role;
use serde_json::{Value, json};

use super::{ASYNC, popped, request, submit};
use crate::support::{ANONYMOUS, TestServer, changed};

const NOBODY: &str = "5e0d8d0e-93b8-4b9a-8a5c-0c9a9c1a7f11";

#[tokio::test]
async fn bodies_of_another_shape_are_invalid() {
    let server = TestServer::start().await;
    let long = "x".repeat(256);
    for (changes, offending) in [
        (json!({"prompt": 7}), "prompt"),
        (json!({"params": []}), "params"),
        (json!({"models": "a"}), "models"),
        (json!({"models": ["a", 1]}), "models.1"),
        (json!({"models": [long]}), "models.0"),
        (json!({"softprompt": ""}), "softprompt"),
        (json!({"trusted_workers": 1}), "trusted_workers"),
        (json!({"validated_backends": "yes"}), "validated_backends"),
        (json!({"slow_workers": null}), "slow_workers"),
        (json!({"workers": [1]}), "workers.0"),
        (
            json!({"extra_source_images": [{"image": ""}]}),
            "extra_source_images.0.image",
        ),
        (json!({"webhook": "https://"}), "webhook"),
        (json!({"style": "ab"}), "style"),
        (json!({"params": {"n": 0}}), "params.n"),
        (json!({"params": {"n": 21}}), "params.n"),
        (
            json!({"params": {"max_context_length": 79}}),
            "params.max_context_length",
        ),
        (
            json!({"params": {"max_context_length": 1_048_577}}),
            "params.max_context_length",
        ),
        (json!({"params": {"max_length": 15}}), "params.max_length"),
        (json!({"params": {"max_length": 4097}}), "params.max_length"),
        (json!({"params": {"temperature": 5.1}}), "params.temperature"),
        (json!({"params": {"temperature": null}}), "params.temperature"),
        (json!({"params": {"rep_pen": 0.9}}), "params.rep_pen"),
        (json!({"params": {"rep_pen": 3.1}}), "params.rep_pen"),
        (json!({"params": {"rep_pen_range": 4097}}), "params.rep_pen_range"),
        (json!({"params": {"rep_pen_slope": 10.1}}), "params.rep_pen_slope"),
        (json!({"params": {"tfs": 1.1}}), "params.tfs"),
        (json!({"params": {"top_a": -0.1}}), "params.top_a"),
        (json!({"params": {"top_k": 201}}), "params.top_k"),
        (json!({"params": {"top_p": 0.0}}), "params.top_p"),
        (json!({"params": {"typical": 1.1}}), "params.typical"),
        (json!({"params": {"min_p": 1.1}}), "params.min_p"),
        (
            json!({"params": {"smoothing_factor": 10.1}}),
            "params.smoothing_factor",
        ),
        (
            json!({"params": {"dynatemp_range": 5.1}}),
            "params.dynatemp_range",
        ),
        (
            json!({"params": {"dynatemp_exponent": 5.1}}),
            "params.dynatemp_exponent",
        ),
        (
            json!({"params": {"sampler_order": ["a"]}}),
            "params.sampler_order.0",
        ),
        (
            json!({"params": {"stop_sequence": [1]}}),
            "params.stop_sequence.0",
        ),
        (json!({"params": {"singleline": "no"}}), "params.singleline"),
    ] {
        let answer = submit(&server, ANONYMOUS, changes.clone()).await;
        assert_eq!(answer.invalid(), [offending], "{changes}");
    }
    assert_eq!(
        server.post(ASYNC, ANONYMOUS, &json!({})).await.invalid(),
        ["prompt"]
    );
    let headers = [("content-type", "application/json")];
    let without_key = server
        .send(reqwest::Method::POST, ASYNC, &headers, request().to_string())
        .await;
    assert_eq!(without_key.invalid(), ["apikey"]);
}

#[tokio::test]
async fn broken_rules_are_told() {
    let server = TestServer::start().await;
    let client = server.user("client", 1000).await.api_key;
    let image = json!({"image": "AAAA", "strength": 1.0});
    let stops: Vec<String> = (0..129).map(|number| number.to_string()).collect();
    for (changes, status, rc) in [
        (json!({"style": "a style"}), 404, "StyleNotFound"),
        (
            json!({"webhook": "http://example.org/results"}),
            400,
            "BadRequest",
        ),
        (
            json!({"proxied_account": "someone"}),
            400,
            "OnlyServiceAccountProxy",
        ),
        (
            json!({"extra_source_images": vec![image.clone(); 6]}),
            400,
            "TooManyExtraSourceImages.",
        ),
        (
            json!({"extra_source_images": vec![image.clone(); 2]}),
            400,
            "MoreThanMinExtraSourceImage.",
        ),
        (
            json!({"extra_source_images": [image]}),
            400,
            "InvalidExtraSourceImages.",
        ),
        (json!({"prompt": ""}), 400, "MissingPrompt"),
        (json!({"prompt": "a\u{0}"}), 400, "NulByteInPayload"),
        (json!({"workers": [NOBODY]}), 404, "WorkerNotFound"),
        (json!({"workers": ["someone"]}), 404, "WorkerNotFound"),
        (
            json!({"disable_batching": true, "params": {"n": 2}}),
            400,
            "RequiresTrust",
        ),
        (json!({"params": {"max_length": 1025}}), 400, "TokenOverflow"),
        (
            json!({"params": {"sampler_order": [6, 0, 1, 3, 4, 2]}}),
            400,
            "MissingFullSamplerOrder",
        ),
        (
            json!({"params": {"stop_sequence": stops}}),
            400,
            "TooManyStopSequences",
        ),
        (
            json!({"params": {"stop_sequence": ["x".repeat(2001)]}}),
            400,
            "ExcessiveStopSequence",
        ),
    ] {
        let message = submit(&server, &client, changes.clone())
            .await
            .refused(status, rc);
        assert!(!message.is_empty(), "{changes}");
    }
    assert_eq!(server.engine.requests_in_memory(), 0);
}

#[tokio::test]
async fn accounts_that_may_not_ask_are_refused() {
    let server = TestServer::start().await;
    submit(&server, "nobody's key", json!({}))
        .await
        .refused(401, "InvalidAPIKey");
    let deleted = server.user_with("deleted", Role::Deleted).await;
    submit(&server, &deleted.api_key, json!({}))
        .await
        .refused(403, "DeletedUser");
}

#[tokio::test]
async fn the_first_broken_rule_is_told() {
    let server = TestServer::start().await;
    let client = server.user("client", 1000).await.api_key;
    let image = json!({"image": "AAAA", "strength": 1.0});
    // Each breaks one more rule, which comes before those that were broken before.
    let steps = [
        (
            json!({"params": {"stop_sequence": ["x".repeat(2001)]}}),
            "ExcessiveStopSequence",
        ),
        (
            json!({"params": {"sampler_order": [1]}}),
            "MissingFullSamplerOrder",
        ),
        (json!({"params": {"max_length": 1025}}), "TokenOverflow"),
        (json!({"params": {"n": 20}}), "TooManyPrompts"),
        (json!({"disable_batching": true}), "RequiresTrust"),
        (json!({"workers": [NOBODY]}), "WorkerNotFound"),
        (json!({"prompt": ""}), "MissingPrompt"),
        (
            json!({"extra_source_images": vec![image; 6]}),
            "TooManyExtraSourceImages.",
        ),
        (json!({"proxied_account": "someone"}), "OnlyServiceAccountProxy"),
        (json!({"webhook": "http://example.org"}), "BadRequest"),
        (json!({"style": "a style"}), "StyleNotFound"),
    ];
    submit(&server, &client, json!({"params": {"n": 20}}))
        .await
        .ok(202);
    let mut body = request();
    for (changes, rc) in steps {
        body = changed(body, changes);
        let answer = server.post(ASYNC, &client, &body).await.json();
        assert_eq!(answer["rc"], rc);
    }
}

#[tokio::test]
async fn workers_that_a_request_names_must_exist_and_may_be_of_any_kind_but_one() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    let picture = server
        .pop(&owner.api_key, &crate::support::worker("Painter"))
        .await;
    picture.ok(200);
    submit(&server, ANONYMOUS, json!({})).await.ok(202);
    popped(&server, &owner.api_key).await;
    let alchemist = json!({"name": "Alchemist", "forms": ["caption"]});
    server
        .post("/api/v2/interrogate/pop", &owner.api_key, &alchemist)
        .await
        .ok(200);
    let workers = server.engine.store().workers().await.unwrap();
    let id = |name: &str| {
        let worker = workers.iter().find(|worker| worker.name == name).unwrap();
        json!({"workers": [worker.id]})
    };
    submit(&server, ANONYMOUS, id("Scribe")).await.ok(202);
    submit(&server, ANONYMOUS, id("Painter")).await.ok(202);
    submit(&server, ANONYMOUS, id("Alchemist"))
        .await
        .refused(404, "WorkerNotFound");
    let all: Value = json!({"workers": [workers[0].id, NOBODY]});
    submit(&server, ANONYMOUS, all)
        .await
        .refused(404, "WorkerNotFound");
}
