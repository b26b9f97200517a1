//! Many at once: nobody spends what they do not have, and no work is paid twice.

use futures_util::future::join_all;

use super::{details, transfer};
use crate::support::{TestServer, assert_clean, movements, number, plain_request};

const AT_ONCE: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balance_is_never_overdrawn() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 1000).await;
    let bob = server.user("bob", 1000).await;
    // 975 can be given: 19 times 50.
    let gifts = (0..AT_ONCE).map(|_| transfer(&server, &ann.api_key, "2", 50));
    let answers = join_all(gifts).await;
    let given = answers.iter().filter(|answer| answer.status == 200).count();
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        refused.refused(400, "KudosTransferNotEnough");
    }
    assert_eq!(given, 19);
    assert_eq!(details(&server, &ann).await.0, 50.0);
    assert_eq!(details(&server, &bob).await.0, 1950.0);
    assert_clean(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gifts_and_promises_share_one_balance() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 500).await;
    let _bob = server.user("bob", 0).await;
    let mut body = plain_request();
    // Each is promised well over 50 kudos.
    body["params"] = serde_json::json!({"width": 1024, "height": 1024, "steps": 100});
    let gifts = join_all((0..AT_ONCE / 2).map(|_| transfer(&server, &ann.api_key, "2", 40)));
    let requests =
        join_all((0..AT_ONCE / 2).map(|_| server.post("/api/v2/generate/async", &ann.api_key, &body)));
    let (gifts, requests) = tokio::join!(gifts, requests);
    assert!(gifts.iter().any(|answer| answer.status == 400));
    assert!(requests.iter().any(|answer| answer.status != 202));
    let has = server.engine.store().balances(number(&ann)).await.unwrap();
    assert!(
        has.spendable - has.held >= muster_protocol::Kudos::ZERO,
        "{has:?}"
    );
    assert_clean(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_paid_once() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 1000).await;
    let owner = server.trusted("owner", 100).await;
    server.worker(&owner.api_key, "Rig").await;
    server.request(&ann.api_key, &plain_request()).await;
    let job = server.popped(&owner.api_key, "Rig").await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let submits = (0..AT_ONCE).map(|_| server.deliver(&owner.api_key, &job));
    let answers = join_all(submits).await;
    let paid = answers.iter().filter(|answer| answer.status == 200).count();
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        refused.refused(400, "DuplicateGen");
    }
    assert_eq!(paid, 1);
    // What the test gave it, and one reward.
    assert_eq!(movements(&server, number(&owner)).await.len(), 2);
    assert_clean(&server).await;
}
