//! Opening, migrating and closing.

use muster_store::{JournalError, MigrationReport, Store, StoreConfig, StoreError};
use sea_orm::ConnectionTrait as _;

use crate::support::{TestDb, new_account, on_both_engines};

on_both_engines!(
    migrations_run_once,
    a_newer_schema_is_refused,
    a_closed_store_takes_nothing,
    everything_queued_is_committed_on_close,
    many_nodes_start_at_once,
);

async fn migrations_run_once(db: &TestDb) {
    let report = Store::migrate(&db.url).await.unwrap();
    assert_eq!(
        (report.applied.first().map(String::as_str), report.already_applied),
        (Some("m0001_core"), 0)
    );
    let again = Store::migrate(&db.url).await.unwrap();
    assert_eq!(
        again,
        MigrationReport {
            applied: Vec::new(),
            already_applied: report.applied.len()
        }
    );
    db.open().await.close().await;
}

async fn a_newer_schema_is_refused(db: &TestDb) {
    db.open().await.close().await;
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_future', 0)";
    db.raw().await.execute_unprepared(newer).await.unwrap();
    let refused = Store::open(StoreConfig::new(&db.url)).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::NewerSchema { found, known } if found == "m9999_future" && !known.is_empty()),
        "{refused:?}"
    );
    assert!(Store::migrate(&db.url).await.is_err());
}

async fn a_closed_store_takes_nothing(db: &TestDb) {
    let store = db.open().await;
    let clone = store.clone();
    store.close().await;
    let refused = clone
        .journal()
        .register_account(new_account("late"))
        .await
        .unwrap_err();
    assert!(matches!(refused, JournalError::Closed));
    assert!(clone.has_accounts().await.is_err());
    clone.close().await;
}

async fn everything_queued_is_committed_on_close(db: &TestDb) {
    let store = db.open().await;
    let waiting: Vec<_> = (0..100)
        .map(|n| {
            let journal = store.journal().clone();
            tokio::spawn(async move { journal.register_account(new_account(&format!("u{n}"))).await })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await;
    let mut accepted = 0;
    for task in waiting {
        match task.await.unwrap() {
            Ok(_) => accepted += 1,
            Err(error) => assert!(matches!(error, JournalError::Closed), "{error:?}"),
        }
    }
    let store = db.open().await;
    assert_eq!(
        store
            .accounts(muster_protocol::UserId(0), 1000)
            .await
            .unwrap()
            .len(),
        accepted
    );
    store.close().await;
}

async fn many_nodes_start_at_once(db: &TestDb) {
    let opened = futures_util::future::join_all((0..12).map(|_| db.open())).await;
    for store in opened {
        store.close().await;
    }
}

#[tokio::test]
async fn a_directory_that_is_missing_is_named() {
    let refused = Store::open(StoreConfig::new("sqlite:/no/such/place/muster.db?mode=rwc"))
        .await
        .unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains("the directory /no/such/place does not exist"),
        "{text}"
    );
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        "this is not a database, by no means, not at all, however long it may be",
    )
    .unwrap();
    let refused = Store::open(StoreConfig::new(format!("sqlite:{}", file.path().display())))
        .await
        .unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("is not an SQLite database"), "{text}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_named() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("postgres://user:hunter2@127.0.0.1:{port}/horde");
    let started = std::time::Instant::now();
    let refused = Store::open(StoreConfig::new(url)).await.unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains(&format!("no PostgreSQL answers at 127.0.0.1:{port}")),
        "{text}"
    );
    assert!(!format!("{refused:?} {text}").contains("hunter2"));
    assert!(started.elapsed().as_secs() < 30);
}

#[tokio::test]
async fn other_databases_are_refused() {
    let refused = Store::open(StoreConfig::new("mysql://root:pw@localhost/x"))
        .await
        .unwrap_err();
    assert!(matches!(refused, StoreError::UnsupportedUrl { .. }));
    assert!(!refused.to_string().contains("pw"));
}
