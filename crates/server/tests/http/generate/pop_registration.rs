//! `POST generate/pop`: who may run workers, and what they may be called and serve.

use muster_protocol::{WorkKind, WorkerId};
use muster_store::{AccountChanges, NewWorker, Role, WorkerCheckIn};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{ANONYMOUS, START, Setup, TestServer, changed, number, plain_request, worker};

async fn worker_count(server: &TestServer, key: &str) -> Value {
    server.get_as("/api/v2/find_user", key).await.ok(200)["worker_count"].clone()
}

#[tokio::test]
async fn some_accounts_may_not_run_workers() {
    let server = TestServer::start().await;
    let flagged = server.user_with("flagged", Role::Flagged).await;
    let deleted = server.user_with("deleted", Role::Deleted).await;
    for (key, code) in [
        (ANONYMOUS, "AnonForbiddenWorker"),
        (&flagged.api_key, "WorkerFlaggedMaintenance"),
        (&deleted.api_key, "DeletedUser"),
    ] {
        server.pop(key, &worker("Keeper")).await.refused(403, code);
    }
    // Nobody got the name.
    let owner = server.user("owner", 0).await;
    server.pop(&owner.api_key, &worker("Keeper")).await.ok(200);
}

#[tokio::test]
async fn names_must_be_there_short_and_not_betray_forbidden_machines() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    for (name, code, fragment) in [
        (String::new(), "BadRequest", "name"),
        (" \t".to_owned(), "BadRequest", "name"),
        ("x".repeat(101), "TooLongWorkerName", "100"),
        ("My CoLab worker".to_owned(), "BadRequest", "colab"),
        ("TPU".to_owned(), "BadRequest", "tpu"),
        ("googleplex".to_owned(), "BadRequest", "google"),
    ] {
        let message = server
            .pop(&owner.api_key, &worker(&name))
            .await
            .refused(400, code);
        assert!(message.contains(fragment), "{name}: {message}");
    }
    assert_eq!(worker_count(&server, &owner.api_key).await, 0);
    for name in ["x".repeat(100), "ü".repeat(100)] {
        server.pop(&owner.api_key, &worker(&name)).await.ok(200);
    }
    assert_eq!(worker_count(&server, &owner.api_key).await, 2);
}

#[tokio::test]
async fn names_of_workers_and_of_their_software_are_decent() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    let agent = |text| changed(worker("Keeper"), json!({"bridge_agent": text}));
    server
        .pop(&owner.api_key, &worker("My fuck1ng w0rker"))
        .await
        .refused(400, "ProfaneWorkerName");
    server
        .pop(&owner.api_key, &agent("Bitch Bridge:1:x"))
        .await
        .refused(400, "ProfaneBridgeAgent");
    assert_eq!(worker_count(&server, &owner.api_key).await, 0);
    // The software's name is looked at when the worker is made, not again.
    server.pop(&owner.api_key, &worker("Keeper")).await.ok(200);
    server
        .pop(&owner.api_key, &agent("Bitch Bridge:1:x"))
        .await
        .ok(200);
}

#[tokio::test]
async fn by_invitation_only_known_workers_go_on() {
    let server = TestServer::start().await;
    let (owner, guest) = (server.trusted("owner", 0).await, server.trusted("guest", 0).await);
    server.pop(&owner.api_key, &worker("Keeper")).await.ok(200);
    let invitation = AccountChanges {
        worker_invited: Some(1),
        ..AccountChanges::default()
    };
    let journal = server.engine.store().journal();
    journal
        .set_account(number(&guest), invitation, START)
        .await
        .unwrap();
    let mut setup = Setup::default();
    setup.engine.invite_only = true;
    let server = server.restart(setup).await;
    server.pop(&owner.api_key, &worker("Keeper")).await.ok(200);
    server.pop(&guest.api_key, &worker("Guest")).await.ok(200);
    for (key, name) in [(&owner.api_key, "Keeper 2"), (&guest.api_key, "Guest 2")] {
        server
            .pop(key, &worker(name))
            .await
            .refused(403, "WorkerInviteOnly");
    }
}

#[tokio::test]
async fn markup_in_a_name_is_cleaned_and_the_worker_found_again() {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.user("client", 1000).await,
    );
    for name in ["A & B", "A &amp; B", " A & B\n"] {
        server.pop(&owner.api_key, &worker(name)).await.ok(200);
    }
    assert_eq!(worker_count(&server, &owner.api_key).await, 1);
    let request = server.request(&client.api_key, &plain_request()).await;
    let popped = server.popped(&owner.api_key, "A & B").await;
    server
        .deliver(&owner.api_key, popped["id"].as_str().unwrap())
        .await
        .ok(200);
    let status = server
        .get(&format!("/api/v2/generate/status/{request}"))
        .await
        .ok(200);
    assert_eq!(status["generations"][0]["worker_name"], "A &amp; B");
}

#[tokio::test]
async fn names_are_compared_with_their_case() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    for name in ["keeper", "Keeper"] {
        server.pop(&owner.api_key, &worker(name)).await.ok(200);
    }
    assert_eq!(worker_count(&server, &owner.api_key).await, 2);
}

#[tokio::test]
async fn a_name_belongs_to_its_first_owner() {
    let server = TestServer::start().await;
    let (first, second) = (server.user("first", 0).await, server.trusted("second", 0).await);
    server.pop(&first.api_key, &worker("Keeper")).await.ok(200);
    let message = server
        .pop(&second.api_key, &worker("Keeper"))
        .await
        .refused(403, "WrongCredentials");
    assert!(message.to_lowercase().contains("wrong credentials"), "{message}");
    assert_eq!(worker_count(&server, &second.api_key).await, 0);
}

#[tokio::test]
async fn a_name_is_for_one_kind_of_worker() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    let state = WorkerCheckIn {
        worker: WorkerId(Uuid::from_u128(1)),
        at: START,
        ip: None,
        bridge_agent: "a text worker:1:x".to_owned(),
        threads: 1,
        max_power: 80,
        extra_slow: false,
        allow_unsafe_ip: true,
        speed: None,
        uptime: 0,
        last_reward_uptime: 0,
        aborted_jobs: 0,
        last_aborted_job: None,
        settings: json!({}),
    };
    let scribe = NewWorker {
        kind: WorkKind::Text,
        owner: number(&owner),
        name: "Scribe".to_owned(),
        state,
    };
    let journal = server.engine.store().journal();
    journal.register_worker(scribe).await.unwrap();
    let server = server.restart(Setup::default()).await;
    server
        .pop(&owner.api_key, &worker("Scribe"))
        .await
        .refused(400, "PolymorphicNameConflict");
}

#[tokio::test]
async fn an_untrusted_account_gets_no_fifth_worker() {
    let server = TestServer::start().await;
    let owner = server.user("owner", 0).await;
    for number in 1..=4 {
        server
            .pop(&owner.api_key, &worker(&format!("Worker {number}")))
            .await
            .ok(200);
    }
    let message = server
        .pop(&owner.api_key, &worker("Worker 5"))
        .await
        .refused(403, "TooManyWorkers");
    assert!(message.contains("untrusted users can only have"), "{message}");
    server.pop(&owner.api_key, &worker("Worker 4")).await.ok(200);
    assert_eq!(worker_count(&server, &owner.api_key).await, 4);
}

#[tokio::test]
async fn a_trusted_account_gets_twenty_one_workers() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    for number in 1..=21 {
        server
            .pop(&owner.api_key, &worker(&format!("Worker {number}")))
            .await
            .ok(200);
    }
    server
        .pop(&owner.api_key, &worker("Worker 22"))
        .await
        .refused(403, "TooManyWorkersTrusted");
}

#[tokio::test]
async fn a_worker_must_serve_a_model_that_is_known() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    for models in [json!([]), json!(["my own model"]), json!(["STABLE_DIFFUSION"])] {
        let message = server
            .pop(
                &owner.api_key,
                &changed(worker("Keeper"), json!({"models": models})),
            )
            .await
            .refused(400, "BadRequest");
        assert!(message.contains("we cannot accept workers serving"), "{message}");
        // It has its name from then on, but does not count as online.
        assert_eq!(worker_count(&server, &owner.api_key).await, 1);
        let any_model = changed(plain_request(), json!({"models": []}));
        let request = server.request(&owner.api_key, &any_model).await;
        let check = server
            .get(&format!("/api/v2/generate/check/{request}"))
            .await
            .ok(200);
        assert_eq!(check["is_possible"], false);
    }
    let one_known = json!({"models": ["my own model", "Deliberate"]});
    server
        .pop(&owner.api_key, &changed(worker("Keeper"), one_known))
        .await
        .ok(200);
}

#[tokio::test]
async fn only_customizers_get_jobs_for_models_that_are_not_known() {
    let server = TestServer::start().await;
    let client = server.user("client", 1000).await;
    let (owner, custom) = (
        server.user("owner", 0).await,
        server.user_with("custom", Role::Customizer).await,
    );
    let request = changed(plain_request(), json!({"models": ["my own model"]}));
    server.request(&client.api_key, &request).await;
    let models = json!({"models": ["my own model", "stable_diffusion"]});
    let refused = server
        .pop(&owner.api_key, &changed(worker("Plain"), models))
        .await
        .ok(200);
    assert_eq!(
        (&refused["id"], &refused["skipped"]["models"]),
        (&Value::Null, &json!(1))
    );
    let models = json!({"models": ["my own model"]});
    let popped = server
        .pop(&custom.api_key, &changed(worker("Custom"), models))
        .await
        .ok(200);
    assert_eq!(popped["model"], "my own model");
}

#[tokio::test]
async fn priority_users_are_named_with_their_numbers() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    for name in [
        "nobody",
        "",
        "name#",
        "name#x",
        "name#1.5",
        "name#-1",
        "name#99999999999999999999",
        "#1#",
    ] {
        let body = changed(
            worker("Keeper"),
            json!({"priority_usernames": [owner.alias, name]}),
        );
        server
            .pop(&owner.api_key, &body)
            .await
            .refused(400, "InvalidPriorityUsername");
    }
    // Whether there is such a user does not matter.
    let body = changed(
        worker("Keeper"),
        json!({"priority_usernames": ["nobody#4711", "a#b#1", owner.alias]}),
    );
    server.pop(&owner.api_key, &body).await.ok(200);
}

#[tokio::test]
async fn special_models_belong_to_their_owner() {
    let server = TestServer::start().await;
    let special = server.user_with("special", muster_store::Role::Special).await;
    let own = format!("horde_special::special#{}", special.user_id);
    let pop = |model: &str| changed(worker("Keeper"), json!({"models": [model]}));
    server.pop(&special.api_key, &pop(&own)).await.ok(200);
    let message = server
        .pop(&special.api_key, &pop("horde_special::other#1"))
        .await
        .refused(400, "BadRequest");
    assert!(message.contains("another account"), "{message}");
    let plain = server.user("plain", 0).await.api_key;
    let pop = changed(worker("Plain"), json!({"models": [own]}));
    let message = server.pop(&plain, &pop).await.refused(400, "BadRequest");
    assert!(
        message
            .to_lowercase()
            .contains("we cannot accept workers serving")
    );
}
