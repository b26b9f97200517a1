//! `POST generate/submit`: who pays and who earns, to the hundredth.

use muster_protocol::{TestUser, UserId};
use serde_json::{Value, json};

use crate::support::{
    ANONYMOUS, TestServer, assert_clean, balances, changed, find_user, movements, number, picture,
    plain_request, worker,
};

/// Has one job popped and submitted; the reward that the worker is told.
async fn work(server: &TestServer, owner: &TestUser, pop: Value, result: Value) -> Value {
    let popped = server
        .pop(&owner.api_key, &changed(worker("Keeper"), pop))
        .await
        .ok(200);
    let body = json!({"id": popped["id"], "generation": picture(), "seed": 42});
    server
        .post("/api/v2/generate/submit", &owner.api_key, &changed(body, result))
        .await
        .ok(200)["reward"]
        .clone()
}

#[tokio::test]
async fn a_trusted_owner_earns_all_at_once() {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 100).await,
        server.user("client", 1000).await,
    );
    let request = server.request(&client.api_key, &plain_request()).await;
    assert_eq!(movements(&server, number(&client)).await[0], -300, "the tax");
    assert_eq!(work(&server, &owner, json!({}), json!({})).await, 5.76);

    assert_eq!(balances(&server, number(&owner)).await, (10_576, 0));
    assert_eq!(balances(&server, number(&client)).await, (99_024, 0));
    assert_eq!(movements(&server, number(&owner)).await[0], 576);
    assert_eq!(movements(&server, number(&client)).await[..2], [-676, -300]);
    assert_clean(&server).await;

    let user = find_user(&server, &owner.api_key).await;
    assert_eq!(
        (&user["kudos"], &user["kudos_details"]["accumulated"]),
        (&json!(105.0), &json!(5.0))
    );
    assert_eq!(user["records"]["fulfillment"]["image"], 1);
    assert_eq!(user["records"]["contribution"]["megapixelsteps"], 5.24);
    let user = find_user(&server, &client.api_key).await;
    assert_eq!(
        (&user["kudos"], &user["kudos_details"]["accumulated"]),
        (&json!(990.0), &json!(-9.0))
    );
    // One for the tax and one for the picture.
    assert_eq!(user["records"]["request"]["image"], 2);
    assert_eq!(user["records"]["usage"]["megapixelsteps"], 5.24);
    let progress = server
        .get(&format!("/api/v2/generate/check/{request}"))
        .await
        .ok(200);
    assert_eq!(progress["kudos"], 10.0);
}

#[tokio::test]
async fn half_of_what_an_untrusted_owner_earns_is_withheld() {
    let server = TestServer::start().await;
    let (owner, client) = (server.user("owner", 100).await, server.user("client", 1000).await);
    server.request(&client.api_key, &plain_request()).await;
    assert_eq!(work(&server, &owner, json!({}), json!({})).await, 5.76);
    assert_eq!(balances(&server, number(&owner)).await, (10_288, 288));
    assert_eq!(balances(&server, number(&client)).await, (99_024, 0));
    assert_eq!(find_user(&server, &owner.api_key).await["kudos"], 102.0);
    assert_clean(&server).await;
}

#[tokio::test]
async fn the_anonymous_account_pays_down_to_its_floor() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 100).await;
    for (number, left) in [
        (1, -976),
        (2, -1_952),
        (3, -2_928),
        (4, -3_904),
        (5, -4_880),
        (6, -5_000),
        (7, -5_000),
    ] {
        server.request(ANONYMOUS, &plain_request()).await;
        assert_eq!(work(&server, &owner, json!({}), json!({})).await, 5.76);
        assert_eq!(
            balances(&server, UserId::ANONYMOUS).await,
            (left, 0),
            "after {number}"
        );
    }
    assert_eq!(balances(&server, number(&owner)).await, (10_000 + 7 * 576, 0));
    assert_clean(&server).await;
}

#[tokio::test]
async fn ones_own_worker_costs_tax_and_burn() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 100).await;
    server.request(&owner.api_key, &plain_request()).await;
    assert_eq!(work(&server, &owner, json!({}), json!({})).await, 5.76);
    assert_eq!(balances(&server, number(&owner)).await, (9_600, 0));
    assert_clean(&server).await;
}

/// What the published rules make of a reward: a factor, the burn, and the premiums of the request.
#[tokio::test]
async fn rewards_and_charges_are_those_published() {
    let sdxl =
        json!({"prompt": "x", "models": ["AlbedoBase XL (SDXL)"], "params": {"width": 1024, "height": 1024}});
    let additions = json!({"params": {
        "loras": [{"name": "1"}, {"name": "2"}], "tis": [{"name": "1"}, {"name": "2"}, {"name": "3"}],
    }});
    for (request, published, factor, premium) in [
        (json!({"prompt": "x"}), 7.61, 1.0, 1.0),
        (json!({"prompt": "x", "slow_workers": false}), 7.61, 1.0, 1.2),
        (json!({"prompt": "x", "worker_blacklist": true}), 7.61, 1.0, 1.1),
        (
            json!({"prompt": "x", "params": {"post_processing": ["RealESRGAN_x4plus"]}}),
            10.28,
            1.05,
            1.0,
        ),
        (
            json!({"prompt": "x", "params": {"post_processing": ["GFPGAN"]}}),
            9.21,
            1.0,
            1.0,
        ),
        (sdxl.clone(), 41.98, 1.0, 1.0),
        (changed(sdxl.clone(), additions), 55.98, 1.0, 1.0),
        (
            changed(sdxl, json!({"slow_workers": false, "worker_blacklist": true})),
            41.98,
            1.0,
            1.32,
        ),
    ] {
        let server = TestServer::start().await;
        let (owner, client) = (
            server.trusted("owner", 100).await,
            server.user("client", 1000).await,
        );
        server.request(&client.api_key, &request).await;
        let pop = json!({"models": ["AlbedoBase XL (SDXL)", "stable_diffusion"]});
        let reward = work(&server, &owner, pop, json!({})).await.as_f64().unwrap();
        // Prices are learnt, so they are close to the published ones rather than equal.
        assert!((reward / published - 1.0).abs() < 0.03, "{request}: {reward}");
        let hundredths = |kudos: f64| (kudos * 100.0).round() as i64;
        let charge = hundredths((reward * factor + 1.0) * premium);
        assert_eq!(
            balances(&server, number(&owner)).await,
            (10_000 + hundredths(reward), 0),
            "{request}"
        );
        assert_eq!(
            balances(&server, number(&client)).await,
            (99_700 - charge, 0),
            "{request}"
        );
        assert_clean(&server).await;
    }
}

#[tokio::test]
async fn a_censored_picture_costs_the_burn_alone() {
    for value in ["nsfw", "csam"] {
        let server = TestServer::start().await;
        let (owner, client) = (
            server.trusted("owner", 100).await,
            server.user("client", 1000).await,
        );
        let request = server.request(&client.api_key, &plain_request()).await;
        let remarks = json!([{"type": "censorship", "value": value}]);
        assert_eq!(
            work(&server, &owner, json!({}), json!({"gen_metadata": remarks})).await,
            5.76
        );
        assert_eq!(balances(&server, number(&owner)).await, (10_576, 0));
        assert_eq!(balances(&server, number(&client)).await, (99_600, 0));
        assert_clean(&server).await;

        let status = server
            .get(&format!("/api/v2/generate/status/{request}"))
            .await
            .ok(200);
        let generation = &status["generations"][0];
        assert_eq!(
            (&generation["censored"], &generation["state"]),
            (&json!(true), &json!("ok"))
        );
        assert_eq!(
            (&generation["gen_metadata"], &status["kudos"]),
            (&remarks, &json!(4.0))
        );
    }
}

#[tokio::test]
async fn only_remarks_make_a_picture_censored() {
    for result in [
        json!({"state": "censored"}),
        json!({"state": "csam"}),
        json!({"censored": true}),
        json!({"gen_metadata": [{"type": "information", "value": "nsfw"}]}),
    ] {
        let server = TestServer::start().await;
        let (owner, client) = (
            server.trusted("owner", 100).await,
            server.user("client", 1000).await,
        );
        let request = server.request(&client.api_key, &plain_request()).await;
        work(&server, &owner, json!({}), result.clone()).await;
        assert_eq!(balances(&server, number(&client)).await, (99_024, 0), "{result}");
        let status = server
            .get(&format!("/api/v2/generate/status/{request}"))
            .await
            .ok(200);
        assert_eq!(status["generations"][0]["censored"], false, "{result}");
    }
}

#[tokio::test]
async fn a_failure_costs_nothing_even_if_it_is_called_censored() {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 100).await,
        server.user("client", 1000).await,
    );
    server.request(&client.api_key, &plain_request()).await;
    let failed = json!({"state": "faulted", "gen_metadata": [{"type": "censorship", "value": "csam"}]});
    assert_eq!(work(&server, &owner, json!({}), failed).await, 0.0);
    assert_eq!(balances(&server, number(&owner)).await, (10_000, 0));
    assert_eq!(balances(&server, number(&client)).await, (99_700, 0));
    assert_clean(&server).await;
}

#[tokio::test]
async fn other_software_is_told_the_full_reward_and_credited_less() {
    for (agent, credited) in [
        ("AI Horde Worker reGen:13.0.0:x", 576),
        ("AI Horde Worker:24.1.2:x", 576),
        ("AI Horde Worker reGen:12.9.9:x", 518),
        ("AI Horde Worker:23:x", 518),
        ("Somebody's Worker:99:x", 432),
        ("unknown:0:unknown", 432),
    ] {
        let server = TestServer::start().await;
        let (owner, client) = (
            server.trusted("owner", 100).await,
            server.user("client", 1000).await,
        );
        server
            .request(&client.api_key, &changed(plain_request(), json!({"r2": false})))
            .await;
        assert_eq!(
            work(&server, &owner, json!({"bridge_agent": agent}), json!({})).await,
            5.76,
            "{agent}"
        );
        assert_eq!(
            balances(&server, number(&owner)).await,
            (10_000 + credited, 0),
            "{agent}"
        );
        assert_eq!(balances(&server, number(&client)).await, (99_024, 0), "{agent}");
        assert_clean(&server).await;
    }
}
