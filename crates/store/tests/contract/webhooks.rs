//! Results that are to be announced.

use muster_protocol::JobId;
use muster_store::{FinishJob, FinishOutcome, NewWebhookDelivery, WebhookDelivery};
use serde_json::json;
use uuid::Uuid;

use crate::support::{MINUTES_20, TestDb, account, at, finish, on_both_engines, running};

on_both_engines!(
    an_announcement_is_kept_until_it_was_made,
    only_accepted_results_are_announced
);

fn announced(finish: FinishJob) -> FinishJob {
    FinishJob {
        webhook: Some(NewWebhookDelivery {
            url: "https://example.org/results".to_owned(),
            body: json!({"seed": 42, "gen_metadata": []}),
            as_url: true,
        }),
        ..finish
    }
}

async fn an_announcement_is_kept_until_it_was_made(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "client").await;
    let (request, jobs) = running(&store, user, 2, 2).await;
    for job in &jobs {
        store
            .journal()
            .finish_job(announced(finish(request, *job, None)))
            .await
            .unwrap();
    }
    let mut pending = store.pending_webhook_deliveries().await.unwrap();
    pending.sort_unstable();
    let mut expected = [(jobs[0], at(2)), (jobs[1], at(2))];
    expected.sort_unstable();
    assert_eq!(pending, expected);

    store.postpone_webhook_delivery(jobs[0], 1, at(60)).await.unwrap();
    store.forget_webhook_delivery(jobs[1]).await.unwrap();
    // The request may be gone by then.
    let end = at(2) + MINUTES_20;
    store.journal().expire_requests(vec![request], end).await.unwrap();
    store.close().await;

    let store = db.open().await;
    assert_eq!(
        store.pending_webhook_deliveries().await.unwrap(),
        [(jobs[0], at(60))]
    );
    let delivery = WebhookDelivery {
        job: jobs[0],
        url: "https://example.org/results".to_owned(),
        body: json!({"seed": 42, "gen_metadata": []}),
        as_url: true,
        attempts: 1,
        next_attempt: at(60),
    };
    assert_eq!(store.webhook_delivery(jobs[0]).await.unwrap(), Some(delivery));
    assert_eq!(store.webhook_delivery(jobs[1]).await.unwrap(), None);
    let unknown = JobId(Uuid::from_u128(1));
    store.forget_webhook_delivery(unknown).await.unwrap();
    store.postpone_webhook_delivery(unknown, 1, at(1)).await.unwrap();
    store.close().await;
}

async fn only_accepted_results_are_announced(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "client").await;
    let (request, jobs) = running(&store, user, 1, 1).await;
    store
        .journal()
        .finish_job(finish(request, jobs[0], None))
        .await
        .unwrap();
    let second = store
        .journal()
        .finish_job(announced(finish(request, jobs[0], None)))
        .await
        .unwrap();
    assert!(matches!(second, FinishOutcome::AlreadyFinished { .. }));
    assert!(store.pending_webhook_deliveries().await.unwrap().is_empty());
    store.close().await;
}
