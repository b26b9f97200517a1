//! Many callers who want the same thing.

use futures_util::future::join_all;
use muster_protocol::Kudos;
use muster_store::{
    EventKind, FaultOutcome, FinishOutcome, JournalError, LedgerEvent, Posted, StartOutcome, SystemAccount,
    Tallies,
};

use crate::support::{
    TestDb, account, assert_clean, at, fault, finish, kudos, new_account, on_both_engines, running,
    settlement, start,
};

on_both_engines!(
    a_job_is_paid_once,
    slots_are_handed_out_once,
    finish_and_fault_exclude_each_other,
    an_event_is_booked_once,
    two_nodes_share_slots_and_money,
    names_and_numbers_are_given_once,
);

async fn a_job_is_paid_once(db: &TestDb) {
    let store = db.open().await;
    let (client, owner) = (account(&store, "client").await, account(&store, "owner").await);
    let (request, jobs) = running(&store, client, 1, 1).await;
    let event = settlement(jobs[0], client, owner);
    let outcomes = join_all((0..64).map(|_| {
        store
            .journal()
            .finish_job(finish(request, jobs[0], Some(event.clone())))
    }))
    .await;
    let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    let paid = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, FinishOutcome::Finished { .. }))
        .count();
    let late = outcomes
        .iter()
        .filter(|o| **o == FinishOutcome::AlreadyFinished { reward: kudos(10) })
        .count();
    assert_eq!((paid, late), (1, 63));
    assert_eq!(store.balances(owner).await.unwrap().spendable, kudos(10));
    assert_eq!(
        store.request(request).await.unwrap().unwrap().0.consumed,
        kudos(12)
    );
    assert_clean(&store).await;
    store.close().await;
}

async fn slots_are_handed_out_once(db: &TestDb) {
    let store = db.open().await;
    let client = account(&store, "client").await;
    let (request, _) = running(&store, client, 3, 0).await;
    let outcomes = join_all((0..64).map(|_| store.journal().start_jobs(start(request, 1)))).await;
    let started = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(StartOutcome::Started { .. })))
        .count();
    let gone = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(StartOutcome::SlotsGone { slots_left: 0 })))
        .count();
    assert_eq!((started, gone), (3, 61));
    let (stored, jobs) = store.request(request).await.unwrap().unwrap();
    assert_eq!((stored.slots_left, jobs.len()), (0, 3));
    store.close().await;
}

async fn finish_and_fault_exclude_each_other(db: &TestDb) {
    let store = db.open().await;
    let (client, owner) = (account(&store, "client").await, account(&store, "owner").await);
    let (request, jobs) = running(&store, client, 20, 20).await;
    let mut slots = 0;
    for job in jobs {
        let event = settlement(job, client, owner);
        let (finished, faulted) = tokio::join!(
            store.journal().finish_job(finish(request, job, Some(event))),
            store.journal().fault_job(fault(request, job)),
        );
        let finished = matches!(finished.unwrap(), FinishOutcome::Finished { .. });
        let faulted = matches!(faulted.unwrap(), FaultOutcome::Faulted { .. });
        assert!(finished != faulted);
        slots += i32::from(faulted);
    }
    let paid = i64::from(20 - slots);
    assert_eq!(store.request(request).await.unwrap().unwrap().0.slots_left, slots);
    assert_eq!(store.balances(owner).await.unwrap().spendable, kudos(10 * paid));
    store.close().await;
}

async fn an_event_is_booked_once(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "lucky").await;
    let event = LedgerEvent::new("award:1", EventKind::Award, at(1))
        .with(SystemAccount::Grants, kudos(-100))
        .with(user, kudos(100));
    let outcomes = join_all((0..64).map(|_| store.journal().post(event.clone(), Tallies::default()))).await;
    let duplicates = outcomes
        .into_iter()
        .filter(|o| matches!(o, Ok(Posted::Duplicate)))
        .count();
    assert_eq!(duplicates, 63);
    // Also much later, and whatever it says.
    let other = LedgerEvent::new("award:1", EventKind::Award, at(2))
        .with(SystemAccount::Grants, kudos(-7))
        .with(user, kudos(7));
    assert_eq!(
        store.journal().post(other, Tallies::default()).await.unwrap(),
        Posted::Duplicate
    );
    assert_eq!(store.balances(user).await.unwrap().spendable, kudos(100));
    assert_eq!(store.ledger_event("award:1").await.unwrap().len(), 2);
    assert_clean(&store).await;
    store.close().await;
}

/// Two stores on one database are two nodes (on SQLite: the server and a command-line tool).
async fn two_nodes_share_slots_and_money(db: &TestDb) {
    let (one, two) = (db.open().await, db.open().await);
    let (client, owner) = (account(&one, "client").await, account(&one, "owner").await);
    let floor = kudos(-50);
    let (request, _) = running(&one, client, 40, 0).await;
    let node = |store: muster_store::Store| async move {
        let mut started = 0;
        for _ in 0..40 {
            let start = start(request, 1);
            let job = start.jobs[0].id;
            if !matches!(
                store.journal().start_jobs(start).await.unwrap(),
                StartOutcome::Started { .. }
            ) {
                break;
            }
            started += 1;
            let event = LedgerEvent::new(format!("settle:{job}"), EventKind::Generation, at(2))
                .with_floor(client, kudos(-12), floor)
                .with(owner, kudos(10))
                .with(SystemAccount::Burn, kudos(2));
            store
                .journal()
                .finish_job(finish(request, job, Some(event)))
                .await
                .unwrap();
        }
        started
    };
    let shared = LedgerEvent::new("both", EventKind::Award, at(1))
        .with(SystemAccount::Grants, kudos(-5))
        .with(owner, kudos(5));
    let (a, b, first, second) = tokio::join!(
        node(one.clone()),
        node(two.clone()),
        one.journal().post(shared.clone(), Tallies::default()),
        two.journal().post(shared.clone(), Tallies::default()),
    );
    assert_eq!(a + b, 40);
    assert!((first.unwrap() == Posted::Duplicate) != (second.unwrap() == Posted::Duplicate));
    assert_eq!(one.balances(owner).await.unwrap().spendable, kudos(405));
    assert_eq!(two.balances(client).await.unwrap().spendable, floor);
    assert_eq!(
        two.request(request).await.unwrap().unwrap().0.consumed,
        kudos(480)
    );
    assert_clean(&two).await;
    one.close().await;
    two.close().await;
}

async fn names_and_numbers_are_given_once(db: &TestDb) {
    let (one, two) = (db.open().await, db.open().await);
    let registrations = (0..20).map(|n| {
        let store = if n % 2 == 0 { &one } else { &two };
        store.journal().register_account(new_account(&format!("user{n}")))
    });
    let mut numbers: Vec<i64> = join_all(registrations)
        .await
        .into_iter()
        .map(|account| account.unwrap().id.0)
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    let (first, second) = tokio::join!(
        one.journal().register_account(new_account("same")),
        two.journal().register_account(new_account("same")),
    );
    let refused = match (first, second) {
        (Ok(_), Err(refused)) | (Err(refused), Ok(_)) => refused,
        other => panic!("{other:?}"),
    };
    assert!(matches!(refused, JournalError::ExternalIdTaken(_)), "{refused:?}");
    assert_eq!(
        one.balances(muster_protocol::UserId(20)).await.unwrap().spendable,
        Kudos::ZERO
    );
    one.close().await;
    two.close().await;
}
