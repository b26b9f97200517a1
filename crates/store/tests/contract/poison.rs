//! Changes that fail must not harm their neighbours.

use futures_util::future::{BoxFuture, join_all};
use muster_protocol::WorkKind;
use muster_store::JournalError;
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr};
use serde_json::json;

use crate::support::{TestDb, account, new_request, on_both_engines, running, start};

on_both_engines!(
    a_row_that_the_database_refuses_fails_alone,
    a_failing_write_is_rolled_back_alone,
    a_panicking_write_does_not_stop_the_writer,
    nul_characters_are_replaced,
    failing_writes_and_failing_rows_in_one_group,
);

/// The primary key of a job exists already: only the database notices.
async fn a_row_that_the_database_refuses_fails_alone(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "client").await;
    let (request, jobs) = running(&store, user, 100, 1).await;
    let mut poison = start(request, 2);
    poison.jobs[1].id = jobs[0];
    let journal = store.journal();
    let good = join_all((0..50).map(|_| journal.start_jobs(start(request, 1))));
    let (good, poisoned) = tokio::join!(good, journal.start_jobs(poison));
    assert!(matches!(poisoned.unwrap_err(), JournalError::Database(_)));
    assert!(good.into_iter().all(|outcome| outcome.is_ok()));
    let (stored, jobs) = store.request(request).await.unwrap().unwrap();
    assert_eq!((stored.slots_left, jobs.len()), (49, 51));
    store.close().await;
}

fn insert_setting<'t>(tx: &'t DatabaseTransaction, key: &str) -> BoxFuture<'t, Result<(), DbErr>> {
    let insert = format!("INSERT INTO settings (key, value) VALUES ('{key}', '1')");
    Box::pin(async move { tx.execute_unprepared(&insert).await.map(|_| ()) })
}

async fn a_failing_write_is_rolled_back_alone(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "client").await;
    let journal = store.journal();
    let failing = journal.write(|tx| {
        Box::pin(async move {
            insert_setting(tx, "half").await?;
            tx.execute_unprepared("INSERT INTO nowhere VALUES (1)")
                .await
                .map(|_| ())
        })
    });
    let (failed, written, created) = tokio::join!(
        failing,
        journal.write(|tx| insert_setting(tx, "whole")),
        journal.create_request(new_request(user, 1)),
    );
    assert!(matches!(failed.unwrap_err(), JournalError::Database(_)));
    written.unwrap();
    created.unwrap();
    assert_eq!(store.setting("half").await.unwrap(), None);
    assert_eq!(store.setting("whole").await.unwrap(), Some(json!(1)));
    store.close().await;
}

async fn a_panicking_write_does_not_stop_the_writer(db: &TestDb) {
    let store = db.open().await;
    let panicked: Result<(), _> = store
        .journal()
        .write(|_| Box::pin(async { panic!("on purpose") }))
        .await;
    assert!(matches!(panicked.unwrap_err(), JournalError::Invalid(_)));
    account(&store, "next").await;
    store.close().await;
}

async fn nul_characters_are_replaced(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "client").await;
    let mut request = new_request(user, 1);
    "a\0b".clone_into(&mut request.client_agent);
    request.payload = json!({ "prompt": "a\0cat" });
    request.kind = WorkKind::Text;
    let id = request.id;
    store.journal().create_request(request).await.unwrap();
    let (stored, _) = store.request(id).await.unwrap().unwrap();
    assert_eq!(
        (stored.client_agent.as_str(), stored.kind),
        ("a\u{FFFD}b", WorkKind::Text)
    );
    assert_eq!(stored.payload, json!({ "prompt": "a\u{FFFD}cat" }));
    store.close().await;
}

async fn failing_writes_and_failing_rows_in_one_group(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "client").await;
    let (request, jobs) = running(&store, user, 10, 1).await;
    let mut poison = start(request, 1);
    poison.jobs[0].id = jobs[0];
    let journal = store.journal();
    let (poisoned, written, good) = tokio::join!(
        journal.start_jobs(poison),
        journal.write(|tx| insert_setting(tx, "once")),
        journal.start_jobs(start(request, 1)),
    );
    assert!(poisoned.is_err());
    // It ran in the group that failed and again alone: the first run left nothing behind.
    written.unwrap();
    good.unwrap();
    assert_eq!(store.request(request).await.unwrap().unwrap().0.slots_left, 8);
    store.close().await;
}
