//! `POST generate/pop`: several jobs at once, and their seeds.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{TestServer, changed, plain_request, worker};

/// A server with a request that differs from the plain one, and the key of a worker's owner.
async fn with_request(changes: Value) -> (TestServer, String) {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.trusted("client", 9000).await,
    );
    server
        .request(&client.api_key, &changed(plain_request(), changes))
        .await;
    (server, owner.api_key)
}

/// How many jobs each of the next pops gets, until there are none.
async fn batches(server: &TestServer, key: &str, changes: Value) -> Vec<usize> {
    let pop = changed(worker("Keeper"), changes);
    let mut sizes = Vec::new();
    loop {
        let popped = server.pop(key, &pop).await.ok(200);
        let ids = popped["ids"].as_array().unwrap().len();
        if ids == 0 {
            return sizes;
        }
        assert_eq!(popped["payload"]["n_iter"], ids);
        assert_eq!(popped["r2_uploads"].as_array().unwrap().len(), ids);
        sizes.push(ids);
    }
}

#[tokio::test]
async fn a_batch_has_an_id_and_an_upload_for_each_picture() {
    let (server, key) = with_request(json!({"params": {"n": 3}})).await;
    let popped = server
        .pop(&key, &changed(worker("Keeper"), json!({"amount": 3})))
        .await
        .ok(200);
    let strings = |list: &Value| -> Vec<String> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|entry| entry.as_str().unwrap().to_owned())
            .collect()
    };
    let (ids, uploads) = (strings(&popped["ids"]), strings(&popped["r2_uploads"]));
    assert_eq!(BTreeSet::from_iter(&ids).len(), 3);
    assert_eq!(
        (&popped["id"], &popped["r2_upload"]),
        (&json!(ids[0]), &json!(uploads[0]))
    );
    assert_eq!(uploads.len(), 3);
    for (id, upload) in ids.iter().zip(&uploads) {
        assert!(upload.contains(&format!("{id}.webp")), "{id} {upload}");
    }
    assert_eq!(popped["payload"]["n_iter"], 3);
}

#[tokio::test]
async fn a_batch_is_what_is_left_what_is_asked_and_what_fits() {
    let upscaled = json!({"params": {"n": 6, "post_processing": ["NMKD_Siax"]}});
    for (request, pop, expected) in [
        (json!({"params": {"n": 5}}), json!({"amount": 3}), vec![3, 2]),
        (json!({"params": {"n": 2}}), json!({"amount": 20}), vec![2]),
        (json!({"params": {"n": 3}}), json!({"amount": 1}), vec![1, 1, 1]),
        (json!({"params": {"n": 3}}), json!({}), vec![1, 1, 1]),
        // One picture's worth of pixels, divided by 3.5, for each of the three.
        (
            json!({"params": {"n": 3}}),
            json!({"amount": 3, "max_pixels": 262_144}),
            vec![1, 1, 1],
        ),
        (
            json!({"params": {"n": 5}}),
            json!({"amount": 6, "max_pixels": 262_144}),
            vec![2, 2, 1],
        ),
        // 4 / 3.5 · 4 / (1.4 · 1.8) = 1.81
        (
            upscaled,
            json!({"amount": 4, "max_pixels": 1_048_576}),
            vec![2, 2, 2],
        ),
        (
            json!({"params": {"n": 3}, "disable_batching": true}),
            json!({"amount": 3}),
            vec![1, 1, 1],
        ),
    ] {
        let (server, key) = with_request(request.clone()).await;
        assert_eq!(
            batches(&server, &key, pop.clone()).await,
            expected,
            "{request} {pop}"
        );
    }
}

#[tokio::test]
async fn all_jobs_of_a_batch_have_one_model() {
    let models = json!(["Deliberate", "stable_diffusion"]);
    let (server, key) = with_request(json!({"models": models, "params": {"n": 4}, "r2": false})).await;
    let pop = changed(worker("Keeper"), json!({"amount": 4, "models": models}));
    let popped = server.pop(&key, &pop).await.ok(200);
    let model = popped["model"].as_str().unwrap();
    assert!(["Deliberate", "stable_diffusion"].contains(&model), "{model}");
    assert_eq!(popped["ids"].as_array().unwrap().len(), 4);
}

/// The seeds of three pops of one job each.
async fn seeds(params: Value) -> Vec<String> {
    let (server, key) = with_request(json!({"params": params})).await;
    let mut seeds = Vec::new();
    for _ in 0..3 {
        let popped = server.popped(&key, "Keeper").await;
        seeds.push(popped["payload"]["seed"].as_str().unwrap().to_owned());
    }
    seeds
}

#[tokio::test]
async fn given_seeds_are_used_as_documented() {
    for (params, expected) in [
        (json!({"n": 3, "seed": "42"}), ["42", "42", "42"]),
        (json!({"n": 3, "seed": "0"}), ["0", "0", "0"]),
        // Too large by one bit: the upper half is left.
        (json!({"n": 3, "seed": "4294967296"}), ["1", "1", "1"]),
        // The bytes of "abc" as a little-endian number.
        (json!({"n": 3, "seed": "abc"}), ["6513249", "6513249", "6513249"]),
        // As many variations as pictures are left.
        (
            json!({"n": 3, "seed": "100", "seed_variation": 1000}),
            ["3100", "2100", "1100"],
        ),
        (
            json!({"n": 3, "seed": "4294967295", "seed_variation": 1}),
            ["1", "1", "1"],
        ),
    ] {
        assert_eq!(seeds(params.clone()).await, expected, "{params}");
    }
}

#[tokio::test]
async fn without_a_seed_each_pop_draws_one() {
    for params in [
        json!({"n": 3, "seed": ""}),
        json!({"n": 3, "seed": "", "karras": true}),
    ] {
        let seeds = seeds(params).await;
        assert_eq!(BTreeSet::from_iter(&seeds).len(), 3, "{seeds:?}");
        for seed in seeds {
            assert!(seed.bytes().all(|byte| byte.is_ascii_digit()), "{seed}");
            assert!((1..1_u64 << 32).contains(&seed.parse().unwrap()), "{seed}");
        }
    }
}

#[tokio::test]
async fn a_variation_without_a_seed_counts_down_from_one_drawn_once() {
    let seeds: Vec<i64> = seeds(json!({"n": 3, "seed": "", "seed_variation": 7}))
        .await
        .iter()
        .map(|seed| seed.parse().unwrap())
        .collect();
    assert_eq!((seeds[0] - seeds[1], seeds[1] - seeds[2]), (7, 7), "{seeds:?}");
}
