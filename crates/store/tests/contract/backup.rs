//! Copies of a database that is in use.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use muster_protocol::UserId;
use muster_store::{BackupError, Store, StoreConfig};

use crate::support::{TestDb, account, assert_clean, new_account, on_both_engines};

on_both_engines!(
    a_copy_has_all_that_was_acknowledged,
    an_examination_changes_nothing,
);

async fn a_copy_has_all_that_was_acknowledged(db: &TestDb) {
    let store = db.open().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("copy.db");
    if !db.url.starts_with("sqlite:") {
        let refused = store.back_up(&file).await;
        assert!(matches!(refused, Err(BackupError::NotHere)), "{refused:?}");
        store.close().await;
        return;
    }
    // Many write all the time.
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writers: Vec<_> = (0..8)
        .map(|number| {
            let (store, stop, acknowledged) = (store.clone(), Arc::clone(&stop), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                let mut turn = 0;
                while !stop.load(Ordering::Relaxed) {
                    turn += 1;
                    let name = format!("writer {number} {turn}");
                    store
                        .journal()
                        .register_account(new_account(&name))
                        .await
                        .unwrap();
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 0..3 {
        while acknowledged.load(Ordering::Relaxed) < 200 * (round + 1) {
            tokio::task::yield_now().await;
        }
        let before = acknowledged.load(Ordering::Relaxed);
        let file = directory.path().join(format!("copy{round}.db"));
        let made = store.back_up(&file).await.unwrap();
        let after = acknowledged.load(Ordering::Relaxed);
        assert_eq!(made.bytes, std::fs::metadata(&file).unwrap().len());
        let copy = Store::open(StoreConfig::new(format!("sqlite:{}", file.display())))
            .await
            .unwrap();
        let copied = accounts(&copy).await;
        // All that was acknowledged before, and nothing that came after (or was on its way then).
        assert!(
            (before..=after + 8).contains(&copied),
            "{before} {copied} {after}"
        );
        assert_clean(&copy).await;
        copy.close().await;
        // Nothing is overwritten.
        let again = store.back_up(&file).await;
        assert!(matches!(again, Err(BackupError::File { .. })), "{again:?}");
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let nowhere = store.back_up(&directory.path().join("nowhere/copy.db")).await;
    assert!(matches!(nowhere, Err(BackupError::File { .. })), "{nowhere:?}");
    store.close().await;
}

/// Accounts that were registered.
async fn accounts(store: &Store) -> u64 {
    let all = store.accounts(UserId::ANONYMOUS, 1_000_000).await.unwrap();
    all.len() as u64
}

async fn an_examination_changes_nothing(db: &TestDb) {
    // An empty database needs everything.
    let fresh = muster_store::examine(&db.url).await;
    if let Ok(examination) = fresh {
        assert!(examination.missing.len() > 5, "{examination:?}");
    }
    let store = db.open().await;
    account(&store, "ann").await;
    let examination = muster_store::examine(&db.url).await.unwrap();
    assert_eq!(examination.missing, Vec::<String>::new());
    assert_eq!(examination.damage, None);
    assert!(examination.clock_difference.as_secs() < 60, "{examination:?}");
    store.close().await;
}
