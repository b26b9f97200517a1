//! `POST kudos/transfer`.

use std::time::Duration;

use insta::assert_json_snapshot;
use muster_store::{AccountChanges, Role, Roles, Suspicion};
use reqwest::Method;
use serde_json::{Value, json};

use super::{TRANSFER, change, details, transfer};
use crate::support::{ANONYMOUS, Answer, Setup, TestServer, assert_clean, plain_request};

const SHARED_KEYS: &str = "/api/v2/sharedkeys";

#[tokio::test]
async fn kudos_change_hands() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 1000).await;
    let bob = server.user("bob", 0).await;
    let answer = transfer(&server, &ann.api_key, "bob#2", 300).await.ok(200);
    assert_json_snapshot!(answer, @r#"
    {
      "transferred": 300.0
    }
    "#);
    let (kudos, totals) = details(&server, &ann).await;
    assert_eq!(kudos, json!(700.0));
    assert_eq!(
        (&totals["gifted"], &totals["received"]),
        (&json!(-300.0), &json!(0.0))
    );
    let (kudos, totals) = details(&server, &bob).await;
    assert_eq!(kudos, json!(300.0));
    assert_eq!(
        (&totals["gifted"], &totals["received"]),
        (&json!(0.0), &json!(300.0))
    );
    assert_clean(&server).await;
}

#[tokio::test]
async fn a_receiver_is_named_in_many_ways() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 1000).await;
    let bob = server.user("bob", 100).await;
    // The name before the number does not matter.
    for name in ["2", "somebody else#2", "#2", "a#1#2"] {
        let answer = transfer(&server, &ann.api_key, name, 10).await.ok(200);
        assert_eq!(answer, json!({"transferred": 10.0}), "{name}");
    }
    let post = async |body: Value| server.post(TRANSFER, &ann.api_key, &body).await;
    post(json!({"username": 2, "amount": "7"})).await.ok(200);
    assert_eq!(
        post(json!({"username": "2", "amount": 3.9})).await.ok(200),
        json!({"transferred": 3.0})
    );
    assert_eq!(
        post(json!({"username": "2"})).await.ok(200),
        json!({"transferred": 100.0})
    );
    let (kudos, _) = details(&server, &bob).await;
    assert_eq!(kudos, json!(250.0));
}

#[tokio::test]
async fn what_does_not_fit() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 1000).await;
    let post = async |body: &str| {
        let headers = [
            ("apikey", ann.api_key.as_str()),
            ("content-type", "application/json"),
        ];
        server
            .send(Method::POST, TRANSFER, &headers, body.to_owned())
            .await
    };
    for (body, wrong) in [
        ("", "username"),
        ("no json", "username"),
        ("{}", "username"),
        (r#"{"username": null}"#, "username"),
        (r#"{"username": []}"#, "username"),
        (r#"{"username": "2", "amount": "many"}"#, "amount"),
        (r#"{"username": "2", "amount": {}}"#, "amount"),
    ] {
        assert_eq!(post(body).await.invalid(), [wrong], "{body}");
    }
    let keyless = server.send(Method::POST, TRANSFER, &[], "{}").await;
    assert_eq!(keyless.invalid(), ["apikey"]);
}

/// Each refusal, in the order in which they are looked for.
#[tokio::test]
async fn who_may_not_give_what_to_whom() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 100).await;
    let _bob = server.user("bob", 100).await;
    let give = async |key: &str, to: &str, amount: i64| transfer(&server, key, to, amount).await;
    give("unknown", "2", 1).await.refused(401, "InvalidAPIKey");
    give(ANONYMOUS, "2", 1)
        .await
        .refused(400, "KudosTransferFromAnon");
    for nobody in [
        "nobody",
        "99",
        "bob",
        "",
        "-2",
        "#",
        "2#x",
        "5c2b5e2f-35b8-4bd5-b9d5-2f4b3f2e5a11",
    ] {
        give(&ann.api_key, nobody, 1)
            .await
            .refused(400, "InvalidTargetUsername");
    }
    give(&ann.api_key, "Anonymous#0", 1)
        .await
        .refused(400, "KudosTransferToAnon");
    give(&ann.api_key, "0", 1)
        .await
        .refused(400, "KudosTransferToAnon");
    give(&ann.api_key, "ann#1", 1)
        .await
        .refused(400, "KudosTransferToSelf");
    give(&ann.api_key, "2", -5)
        .await
        .refused(400, "NegativeKudosTransfer");
    give(&ann.api_key, "2", 0)
        .await
        .refused(400, "InvalidKudosTransferAmount");
    // What every account starts with cannot be given away: 25 of 100.
    give(&ann.api_key, "2", 76)
        .await
        .refused(400, "KudosTransferNotEnough");
    give(&ann.api_key, "2", i64::MAX)
        .await
        .refused(400, "KudosTransferNotEnough");
    give(&ann.api_key, "2", 75).await.ok(200);
    give(&ann.api_key, "2", 1)
        .await
        .refused(400, "KudosTransferNotEnough");
    assert_clean(&server).await;
}

#[tokio::test]
async fn accounts_that_take_part_in_no_transfers() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 1000).await;
    let suspect = async |name: &str, trusted: bool| {
        let user = server.user(name, 1000).await;
        let changes = AccountChanges {
            suspicions: Some(vec![Suspicion::ExtremeMaxPixels as i16; 5]),
            grant: if trusted {
                Roles::of(&[Role::Trusted])
            } else {
                Roles::NONE
            },
            ..AccountChanges::default()
        };
        change(&server, &user, changes).await;
        user
    };
    let shady = suspect("shady", false).await;
    let trusted = suspect("trusted", true).await;
    let flagged = server.user_with("flagged", Role::Flagged).await;
    let school = server.user_with("school", Role::Education).await;
    let deleted = server.user_with("deleted", Role::Deleted).await;
    for user in [&flagged, &school, &deleted] {
        // So that the server knows what has become of them.
        details(&server, user).await;
    }
    let receive = async |to: &str| transfer(&server, &ann.api_key, to, 10).await;
    let send = async |key: &str| transfer(&server, key, &ann.user_id, 10).await;
    receive(&shady.user_id)
        .await
        .refused(400, "FaultWhenKudosReceiving");
    receive(&flagged.user_id)
        .await
        .refused(400, "TargetAccountFlagged");
    receive(&deleted.user_id).await.refused(400, "DeletedUser");
    send(&shady.api_key).await.refused(400, "FaultWhenKudosSending");
    send(&flagged.api_key).await.refused(400, "SourceAccountFlagged");
    send(&school.api_key)
        .await
        .refused(400, "EducationCannotSendKudos");
    send(&deleted.api_key).await.refused(400, "DeletedUser");
    send(&trusted.api_key).await.ok(200);
    // Whatever is given to a school is a donation.
    receive(&school.user_id).await.ok(200);
    let (_, totals) = details(&server, &ann).await;
    assert_eq!(
        (&totals["donated"], &totals["gifted"]),
        (&json!(-10.0), &json!(0.0))
    );
}

#[tokio::test]
async fn nothing_is_given_back_within_a_minute() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 1000).await;
    let bob = server.user("bob", 1000).await;
    transfer(&server, &ann.api_key, "2", 10).await.ok(200);
    transfer(&server, &bob.api_key, "1", 10)
        .await
        .refused(400, "TooFastKudosTransfers");
    transfer(&server, &ann.api_key, "2", 10).await.ok(200);
    server.clock.advance(Duration::from_secs(59));
    transfer(&server, &bob.api_key, "1", 10)
        .await
        .refused(400, "TooFastKudosTransfers");
    server.clock.advance(Duration::from_secs(1));
    transfer(&server, &bob.api_key, "1", 10).await.ok(200);
}

#[tokio::test]
async fn trying_again_gives_nothing_twice() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 1000).await;
    let bob = server.user("bob", 1000).await;
    let cid = server.user("cid", 1000).await;
    let give = async |from: &str, to: &str, amount: i64, idempotency: &str| -> Answer {
        let headers = [
            ("apikey", from),
            ("content-type", "application/json"),
            ("Idempotency-Key", idempotency),
        ];
        let body = json!({"username": to, "amount": amount}).to_string();
        server.send(Method::POST, TRANSFER, &headers, body).await
    };
    let first = give(&ann.api_key, "2", 100, "rent").await.ok(200);
    assert_eq!(give(&ann.api_key, "bob#2", 100, "rent").await.ok(200), first);
    give(&ann.api_key, "2", 101, "rent")
        .await
        .refused(400, "IdempotencyKeyConflict");
    give(&ann.api_key, "3", 100, "rent")
        .await
        .refused(400, "IdempotencyKeyConflict");
    // Whoever gave everything away can ask about it all the same, but the rules come first.
    transfer(&server, &ann.api_key, "3", 875).await.ok(200);
    assert_eq!(give(&ann.api_key, "2", 100, "rent").await.ok(200), first);
    give(&ann.api_key, "0", 100, "rent")
        .await
        .refused(400, "KudosTransferToAnon");
    // The key is the sender's alone.
    give(&cid.api_key, "2", 100, "rent").await.ok(200);
    let (kudos, _) = details(&server, &bob).await;
    assert_eq!(kudos, json!(1200.0));
    // And it is remembered for ever.
    let server = server.restart(Setup::default()).await;
    let headers = [("apikey", ann.api_key.as_str()), ("idempotency-key", "rent")];
    let body = json!({"username": "2", "amount": 100}).to_string();
    let again = server.send(Method::POST, TRANSFER, &headers, body).await;
    assert_eq!(again.ok(200), first);
    assert_clean(&server).await;
}

#[tokio::test]
async fn a_shared_key_gets_a_larger_budget() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 1000).await;
    let bob = server.user("bob", 1000).await;
    let make = async |body: Value| {
        let made = server.put(SHARED_KEYS, &bob.api_key, &body).await.ok(200);
        made["id"].as_str().unwrap().to_owned()
    };
    let budget = async |key: &str| server.get(&format!("{SHARED_KEYS}/{key}")).await.ok(200)["kudos"].clone();
    let limited = make(json!({"kudos": 50})).await;
    let empty = make(json!({"kudos": 0})).await;
    let unlimited = make(json!({"kudos": -1})).await;
    for key in [&limited, &empty, &unlimited] {
        transfer(&server, &ann.api_key, key, 100).await.ok(200);
    }
    assert_eq!(
        [
            budget(&limited).await,
            budget(&empty).await,
            budget(&unlimited).await
        ],
        [json!(150), json!(100), json!(-1)]
    );
    // The kudos themselves are their owner's.
    let (kudos, totals) = details(&server, &bob).await;
    assert_eq!((kudos, &totals["received"]), (json!(1300.0), &json!(300.0)));
    server.clock.advance(Duration::from_mins(2));
    transfer(&server, &bob.api_key, &limited, 1)
        .await
        .refused(400, "KudosTransferToSelf");
    let path = format!("{SHARED_KEYS}/{limited}");
    server
        .patch(&path, &bob.api_key, &json!({"expiry": 0}))
        .await
        .ok(200);
    transfer(&server, &ann.api_key, &limited, 1)
        .await
        .refused(400, "SharedKeyExpired");
    // A shared key cannot give.
    transfer(&server, &empty, "1", 1)
        .await
        .refused(401, "InvalidAPIKey");
    // Trying again gives the budget nothing either.
    let headers = [("apikey", ann.api_key.as_str()), ("idempotency-key", "once")];
    let body = json!({"username": empty, "amount": 5}).to_string();
    for _ in 0..2 {
        server
            .send(Method::POST, TRANSFER, &headers, body.clone())
            .await
            .ok(200);
    }
    assert_eq!(budget(&empty).await, json!(105));
}

#[tokio::test]
async fn what_is_promised_is_not_given_away() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 1000).await;
    let _bob = server.user("bob", 0).await;
    // Large enough to be paid upfront.
    let mut body = plain_request();
    body["params"] = json!({"width": 1024, "height": 1024, "steps": 100, "n": 2});
    server.request(&ann.api_key, &body).await;
    let balances = server
        .engine
        .store()
        .balances(crate::support::number(&ann))
        .await
        .unwrap();
    let (spendable, held) = (balances.spendable.whole(), balances.held.rounded());
    assert!(held > 25, "{held}");
    let most = spendable - 25 - held;
    transfer(&server, &ann.api_key, "2", most + 1)
        .await
        .refused(400, "KudosTransferNotEnough");
    transfer(&server, &ann.api_key, "2", most - 1).await.ok(200);
    assert_clean(&server).await;
}

#[tokio::test]
async fn transfers_are_limited_to_one_a_second() {
    let setup = Setup {
        rate_limits: true,
        ..Setup::default()
    };
    let server = TestServer::with(setup).await;
    let ann = server.user("ann", 1000).await;
    let _bob = server.user("bob", 0).await;
    transfer(&server, &ann.api_key, "2", 1).await.ok(200);
    let refused = transfer(&server, &ann.api_key, "2", 1).await;
    assert_eq!(refused.status, 429);
}
