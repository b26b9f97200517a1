//! The audit finds whatever is wrong with the books, and repairs make up for it.

use muster_protocol::{JobId, UserId};
use muster_store::{EventKind, LedgerAudit, LedgerEvent, NewRequest, Pot, Store, SystemAccount, Tallies};
use sea_orm::ConnectionTrait as _;

use crate::support::{
    TestDb, account, assert_clean, at, finish, kudos, new_request, on_both_engines, running, settlement,
};

on_both_engines!(
    a_tampered_entry_is_found_and_made_up_for,
    a_tampered_balance_is_found_and_made_up_for,
    work_that_was_not_delivered_is_not_paid,
    work_is_paid_once,
    delivered_work_is_paid,
    forgotten_work_was_delivered_too,
    entries_are_complete,
    promises_are_held,
);

fn mint(key: &str, user: UserId, amount: i64) -> LedgerEvent {
    LedgerEvent::new(key, EventKind::Award, at(1))
        .with(SystemAccount::Grants, kudos(-amount))
        .with(user, kudos(amount))
}

async fn tamper(db: &TestDb, statement: &str) {
    let changed = db.raw().await.execute_unprepared(statement).await.unwrap();
    assert!(changed.rows_affected() > 0, "{statement}");
}

async fn found(store: &Store) -> LedgerAudit {
    let audit = store.audit().await.unwrap();
    assert!(!audit.is_clean());
    audit
}

/// A delivered and paid job.
async fn paid_job(store: &Store) -> (UserId, JobId) {
    let user = account(store, "user").await;
    let (request, jobs) = running(store, user, 1, 1).await;
    let finish = finish(request, jobs[0], Some(settlement(jobs[0], user, user)));
    store.journal().finish_job(finish).await.unwrap();
    assert_clean(store).await;
    (user, jobs[0])
}

async fn a_tampered_entry_is_found_and_made_up_for(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "user").await;
    for key in ["good", "bad"] {
        store
            .journal()
            .post(mint(key, user, 10), Tallies::default())
            .await
            .unwrap();
    }
    let audit = store.audit().await.unwrap();
    assert!(audit.is_clean());
    assert_eq!((audit.events, audit.entries), (2, 4));
    tamper(
        db,
        "UPDATE kudos_ledger SET amount = amount + 1 WHERE event = 'bad' AND account > 0",
    )
    .await;
    let audit = found(&store).await;
    assert_eq!(audit.total_hundredths, 1);
    let unbalanced = &audit.unbalanced[0];
    assert_eq!(
        (unbalanced.event.as_str(), unbalanced.sum.hundredths()),
        ("bad", 1)
    );
    assert_eq!(audit.drifted.len(), 1);
    let drift = audit.drifted[0];
    assert_eq!((drift.balance, drift.entries.hundredths()), (kudos(20), 2001));

    let journal = store.journal();
    let closed = journal.close_event("bad".to_owned(), at(5)).await.unwrap();
    assert_eq!(closed.hundredths(), 1);
    let corrected = journal
        .repair_balance(user.0, Pot::Spendable, at(5))
        .await
        .unwrap();
    assert_eq!(corrected.hundredths(), -1);
    assert_clean(&store).await;
    // Doing it again does nothing.
    assert_eq!(
        journal.close_event("bad".to_owned(), at(6)).await.unwrap(),
        kudos(0)
    );
    assert_eq!(
        journal
            .repair_balance(user.0, Pot::Spendable, at(6))
            .await
            .unwrap(),
        kudos(0)
    );
    assert_eq!(store.audit().await.unwrap().entries, 4 + 1 + 2);
    store.close().await;
}

async fn a_tampered_balance_is_found_and_made_up_for(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "user").await;
    store
        .journal()
        .post(mint("m", user, 10), Tallies::default())
        .await
        .unwrap();
    tamper(
        db,
        &format!("UPDATE balances SET amount = 5000 WHERE account = {user} AND pot = 0"),
    )
    .await;
    let audit = found(&store).await;
    assert!(audit.unbalanced.is_empty());
    assert_eq!(audit.drifted.len(), 1);
    let drift = audit.drifted[0];
    assert_eq!(
        (drift.account, drift.balance, drift.entries),
        (user.0, kudos(50), kudos(10))
    );

    let corrected = store
        .journal()
        .repair_balance(user.0, Pot::Spendable, at(5))
        .await
        .unwrap();
    assert_eq!(corrected, kudos(40));
    assert_clean(&store).await;
    assert_eq!(store.balances(user).await.unwrap().spendable, kudos(10));
    // The ledger tells what was found, and that it was taken back.
    let entries = store.ledger_of(user, None, 10).await.unwrap();
    let told: Vec<_> = entries.iter().map(|entry| (entry.kind, entry.amount)).collect();
    assert_eq!(
        told,
        [
            (EventKind::Reconciliation, kudos(-40)),
            (EventKind::Reconciliation, kudos(40)),
            (EventKind::Award, kudos(10))
        ]
    );
    store.close().await;
}

async fn work_that_was_not_delivered_is_not_paid(db: &TestDb) {
    let store = db.open().await;
    let (_, job) = paid_job(&store).await;
    tamper(db, "UPDATE jobs SET state = 0").await;
    assert_eq!(found(&store).await.unearned, [job]);
    tamper(db, "UPDATE jobs SET state = 1, fake = true").await;
    assert_eq!(found(&store).await.unearned, [job]);
    store.close().await;
}

async fn work_is_paid_once(db: &TestDb) {
    let store = db.open().await;
    let (user, job) = paid_job(&store).await;
    let again = LedgerEvent::new("once more", EventKind::Generation, at(9))
        .of_job(job)
        .with(SystemAccount::Treasury, kudos(-10))
        .with(user, kudos(10));
    store.journal().post(again, Tallies::default()).await.unwrap();
    let audit = found(&store).await;
    assert_eq!(audit.paid_twice, [job]);
    assert_eq!((audit.paid_jobs, audit.delivered_jobs), (2, 1));
    store.close().await;
}

async fn delivered_work_is_paid(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "user").await;
    let (request, jobs) = running(&store, user, 1, 1).await;
    store
        .journal()
        .finish_job(finish(request, jobs[0], None))
        .await
        .unwrap();
    assert_eq!(found(&store).await.unpaid, jobs);
    store.close().await;
}

async fn forgotten_work_was_delivered_too(db: &TestDb) {
    let store = db.open().await;
    paid_job(&store).await;
    tamper(db, "DELETE FROM jobs").await;
    assert_clean(&store).await;
    tamper(db, "UPDATE user_records SET amount = 0").await;
    let audit = found(&store).await;
    assert_eq!((audit.paid_jobs, audit.delivered_jobs), (1, 0));
    store.close().await;
}

async fn entries_are_complete(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "user").await;
    for key in ["a", "b"] {
        let event = mint(key, user, 1).with(user, kudos(0));
        store.journal().post(event, Tallies::default()).await.unwrap();
    }
    assert_clean(&store).await;
    tamper(
        db,
        "UPDATE kudos_ledger SET leg = 7 WHERE event = 'b' AND leg = 2",
    )
    .await;
    assert_eq!(found(&store).await.repeated, ["b"]);
    store.close().await;
}

async fn promises_are_held(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "user").await;
    let request = new_request(user, 1);
    let event = LedgerEvent::new("activate", EventKind::Generation, at(1)).with_hold(user, kudos(5));
    let request = NewRequest {
        held: kudos(5),
        event: Some(event),
        ..request
    };
    store.journal().create_request(request).await.unwrap();
    assert_clean(&store).await;
    tamper(db, "UPDATE requests SET held = 700").await;
    let promise = found(&store).await.promises[0];
    assert_eq!(
        (promise.account, promise.held, promise.promised),
        (user.0, kudos(5), kudos(7))
    );
    store.close().await;
}
