//! What accounts get without working: trust, monthly kudos.

use muster_engine::Supporter;
use muster_protocol::{Kudos, UserId};
use muster_store::{AccountChanges, Suspicion, WorkerChanges};
use serde_json::{Value, json};

use crate::support::{START, Setup, TestServer, assert_clean, number, plain_request};

const DAY: u64 = 86_400;

pub(super) async fn seen(server: &TestServer, key: &str, id: u32) -> Value {
    server.get_as(&format!("/api/v2/users/{id}"), key).await.ok(200)
}

/// A server on which one delivery is enough to be trusted.
async fn trusting() -> TestServer {
    let mut setup = Setup::default();
    setup.engine.trust_threshold = Some(Kudos::from_whole(1));
    TestServer::with(setup).await
}

async fn one_delivery(server: &TestServer, requester: &str, worker: &str) {
    server.request(requester, &plain_request()).await;
    let popped = server.popped(worker, "Rig").await;
    server
        .deliver(worker, popped["id"].as_str().unwrap())
        .await
        .ok(200);
}

#[tokio::test]
async fn whoever_has_earned_enough_is_trusted_after_a_week() {
    let server = trusting().await;
    let moderator = server.moderator("mod").await;
    let (ben, ann) = (server.user("ben", 1000).await, server.user("ann", 0).await);
    one_delivery(&server, &ben.api_key, &ann.api_key).await;
    let before = seen(&server, &moderator.api_key, 3).await;
    let held_back = before["evaluating_kudos"].as_f64().unwrap();
    assert!(
        !before["trusted"].as_bool().unwrap() && held_back > 1.0,
        "{before}"
    );
    let changes = WorkerChanges {
        paused: Some(true),
        ..WorkerChanges::default()
    };
    let worker = server.worker_id("Rig").await.parse().unwrap();
    server.advance(7 * DAY).await;
    one_delivery(&server, &ben.api_key, &ann.api_key).await;
    let after = seen(&server, &moderator.api_key, 3).await;
    assert_eq!(
        (&after["trusted"], &after["evaluating_kudos"]),
        (&json!(true), &json!(0.0))
    );
    assert!(after["kudos"].as_f64().unwrap() > before["kudos"].as_f64().unwrap() + held_back);
    assert_clean(&server).await;
    // Granting it again, by hand, un-pauses the workers.
    server
        .engine
        .store()
        .journal()
        .set_worker(worker, changes)
        .await
        .unwrap();
    let server = server.restart(Setup::default()).await;
    let path = format!("/api/v2/workers/{worker}");
    assert_eq!(
        server.get_as(&path, &moderator.api_key).await.ok(200)["paused"],
        true
    );
    server
        .put("/api/v2/users/3", &moderator.api_key, &json!({"trusted": true}))
        .await
        .ok(200);
    assert_eq!(
        server.get_as(&path, &moderator.api_key).await.ok(200)["paused"],
        false
    );
    assert_eq!(
        server.get_as(&path, &moderator.api_key).await.ok(200)["trusted"],
        true
    );
}

#[tokio::test]
async fn the_suspicious_are_not_trusted() {
    let server = trusting().await;
    let moderator = server.moderator("mod").await;
    let (ben, ann) = (server.user("ben", 1000).await, server.user("ann", 0).await);
    for _ in 0..5 {
        let changes = AccountChanges {
            suspect: Some(Suspicion::UnreasonablyFast),
            ..AccountChanges::default()
        };
        server
            .engine
            .store()
            .journal()
            .set_account(number(&ann), changes, START)
            .await
            .unwrap();
    }
    let mut setup = Setup::default();
    setup.engine.trust_threshold = Some(Kudos::from_whole(1));
    let server = server.restart(setup).await;
    server.advance(8 * DAY).await;
    one_delivery(&server, &ben.api_key, &ann.api_key).await;
    let suspected = seen(&server, &moderator.api_key, 3).await;
    assert_eq!(
        (&suspected["trusted"], &suspected["suspicious"]),
        (&json!(false), &json!(5))
    );
    let body = json!({"reset_suspicion": true});
    let reset = server
        .put("/api/v2/users/3", &moderator.api_key, &body)
        .await
        .ok(200);
    assert_eq!(reset, json!({"new_suspicion": 0}));
    one_delivery(&server, &ben.api_key, &ann.api_key).await;
    assert_eq!(seen(&server, &moderator.api_key, 3).await["trusted"], true);
}

#[tokio::test]
async fn monthly_kudos_are_paid_once_a_month() {
    let mut setup = Setup::default();
    setup.engine.administrators = Some(vec!["mod#1".to_owned()]);
    setup.engine.supporters = vec![Supporter {
        user: UserId(3),
        monthly_kudos: Kudos::from_whole(150),
        name: None,
        link: None,
    }];
    let server = TestServer::with(setup).await;
    let moderator = server.moderator("mod").await;
    server.user("ann", 1000).await;
    server.user("ben", 1000).await;
    let put = json!({"monthly_kudos": 100});
    server
        .put("/api/v2/users/2", &moderator.api_key, &put)
        .await
        .ok(200);
    let kudos = async || {
        let mut seen_kudos = Vec::new();
        for id in 1..=3 {
            seen_kudos.push(
                seen(&server, &moderator.api_key, id).await["kudos"]
                    .as_f64()
                    .unwrap(),
            );
        }
        seen_kudos
    };
    // Ann got her first month with the change.
    assert_eq!(kudos().await, [0.0, 1100.0, 1000.0]);
    for _ in 0..2 {
        server.engine.pay_monthly_kudos().await.unwrap();
        assert_eq!(kudos().await, [300_000.0, 1100.0, 1150.0]);
    }
    server.advance(31 * DAY).await;
    server.engine.pay_monthly_kudos().await.unwrap();
    assert_eq!(
        kudos().await,
        [300_000.0, 1100.0, 1150.0],
        "to the second, it is not over a month"
    );
    server.advance(1).await;
    server.engine.pay_monthly_kudos().await.unwrap();
    assert_eq!(kudos().await, [600_000.0, 1200.0, 1300.0]);
    // Several months are caught up one by one, counted from the day.
    server.advance(70 * DAY).await;
    for _ in 0..4 {
        server.engine.pay_monthly_kudos().await.unwrap();
    }
    assert_eq!(kudos().await, [1_200_000.0, 1400.0, 1600.0]);
    let monthly = &seen(&server, &moderator.api_key, 2).await["monthly_kudos"];
    assert_eq!(
        *monthly,
        json!({"amount": 100, "last_received": "Tue, 02 Apr 2024 03:04:05 -0000"})
    );
    assert_clean(&server).await;
}

#[tokio::test]
async fn supporters_may_do_more() {
    let mut setup = Setup::default();
    setup.engine.supporters = vec![Supporter {
        user: UserId(1),
        monthly_kudos: Kudos::from_whole(1),
        name: None,
        link: None,
    }];
    let server = TestServer::with(setup).await;
    let (ann, ben) = (server.user("ann", 1000).await, server.user("ben", 1000).await);
    let body = json!({"prompt": "a lighthouse", "params": {"n": 2}, "disable_batching": true});
    server
        .post("/api/v2/generate/async", &ann.api_key, &body)
        .await
        .ok(202);
    server
        .post("/api/v2/generate/async", &ben.api_key, &body)
        .await
        .refused(400, "RequiresTrust");
}
