//! `POST interrogate/submit`: who pays and who earns, to the hundredth.

use serde_json::{Value, json};

use super::{accepted, deliver, popped, request};
use crate::support::{TestServer, assert_clean, balances, changed, find_user, movements, number};

/// The reward for one form on a picture of one tile.
async fn reward(server: &TestServer, owner: &str, client: &str, form: &str, changes: Value) -> Value {
    accepted(server, client, &changed(request(&[form]), changes)).await;
    let taken = popped(server, owner, json!({"forms": [form]})).await;
    deliver(server, owner, &taken[0].1, json!({})).await.ok(200)["reward"].clone()
}

#[tokio::test]
async fn a_form_is_paid_when_it_is_delivered() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 100).await;
    let client = server.user("client", 1000).await;
    for (form, expected) in [
        ("caption", 1.0),
        ("interrogation", 3.0),
        ("strip_background", 3.0),
    ] {
        let told = reward(&server, &owner.api_key, &client.api_key, form, json!({})).await;
        assert_eq!(told, expected, "{form}");
    }
    // Two are burnt of each; one if slow workers are not wanted.
    reward(
        &server,
        &owner.api_key,
        &client.api_key,
        "nsfw",
        json!({"slow_workers": false}),
    )
    .await;
    assert_eq!(
        movements(&server, number(&client)).await[..4],
        [-200, -500, -500, -300]
    );
    assert_eq!(balances(&server, number(&owner)).await, (10_800, 0));
    assert_clean(&server).await;

    let user = find_user(&server, &owner.api_key).await;
    assert_eq!(user["records"]["fulfillment"]["interrogation"], 4);
    assert_eq!(
        user["records"]["contribution"],
        json!({"megapixelsteps": 0.0, "tokens": 0})
    );
    let user = find_user(&server, &client.api_key).await;
    assert_eq!(user["records"]["request"]["interrogation"], 4);
    assert_eq!(user["kudos_details"]["accumulated"], -15.0);
}

#[tokio::test]
async fn half_of_what_an_untrusted_owner_earns_waits() {
    let server = TestServer::start().await;
    let owner = server.user("owner", 100).await;
    let client = server.user("client", 1000).await;
    reward(
        &server,
        &owner.api_key,
        &client.api_key,
        "interrogation",
        json!({}),
    )
    .await;
    assert_eq!(balances(&server, number(&owner)).await, (10_150, 150));
    assert_clean(&server).await;
}
