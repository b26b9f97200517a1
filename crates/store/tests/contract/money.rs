//! The ledger.

use muster_protocol::{Kudos, UserId, WorkKind, WorkerId};
use muster_store::{
    EventKind, JournalError, KudosAction, LedgerEvent, Posted, RecordKind, RecordTally, SystemAccount,
    Tallies, UserTally, WorkerAction, WorkerTally,
};
use uuid::Uuid;

use crate::support::{TestDb, account, assert_clean, at, kudos, new_worker, on_both_engines};

on_both_engines!(
    floors_create_what_is_missing,
    escrow_is_a_pot_of_its_own,
    unbalanced_events_are_refused,
    requirements_are_tested_at_the_moment_of_booking,
    balances_do_not_overflow,
    tallies_add_up,
    the_history_of_an_account_can_be_read,
);

fn mint(key: &str, user: UserId, amount: i64) -> LedgerEvent {
    LedgerEvent::new(key, EventKind::Award, at(1))
        .with(SystemAccount::Grants, kudos(-amount))
        .with(user, kudos(amount))
}

async fn floors_create_what_is_missing(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "oauth").await;
    let floor = kudos(25);
    // A credit lifts to the floor too.
    let credit = LedgerEvent::new("a", EventKind::Generation, at(1))
        .with_floor(user, kudos(10), floor)
        .with(SystemAccount::Treasury, kudos(-10));
    let posted = store.journal().post(credit, Tallies::default()).await.unwrap();
    let Posted::Posted { balances } = posted else {
        panic!("{posted:?}")
    };
    assert_eq!(balances[0].1.spendable, floor);
    // So does each movement by itself: 25 - 40 → 25, then + 7 → 32.
    let both = LedgerEvent::new("b", EventKind::Generation, at(2))
        .with_floor(user, kudos(-40), floor)
        .with_floor(user, kudos(7), floor)
        .with(SystemAccount::Burn, kudos(33));
    store.journal().post(both, Tallies::default()).await.unwrap();
    assert_eq!(store.balances(user).await.unwrap().spendable, kudos(32));
    let created: Vec<_> = store
        .ledger_event("b")
        .await
        .unwrap()
        .into_iter()
        .filter(|entry| entry.kind == EventKind::FloorAdjustment)
        .map(|entry| (entry.account, entry.amount))
        .collect();
    assert_eq!(
        created,
        [
            (user.into(), kudos(40)),
            (SystemAccount::Floor.into(), kudos(-40))
        ]
    );
    assert_clean(&store).await;
    store.close().await;
}

async fn escrow_is_a_pot_of_its_own(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "untrusted").await;
    let reward = LedgerEvent::new("r", EventKind::Generation, at(1))
        .with_escrow(user, Kudos::from_hundredths(288))
        .with(user, Kudos::from_hundredths(289))
        .with(SystemAccount::Treasury, Kudos::from_hundredths(-577));
    store.journal().post(reward, Tallies::default()).await.unwrap();
    let has = store.balances(user).await.unwrap();
    assert_eq!((has.escrow.hundredths(), has.spendable.hundredths()), (288, 289));
    assert_clean(&store).await;
    store.close().await;
}

async fn unbalanced_events_are_refused(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "user").await;
    let refuse = async |event| store.journal().post(event, Tallies::default()).await.unwrap_err();
    let short = LedgerEvent::new("x", EventKind::Award, at(1))
        .with(user, kudos(5))
        .with(SystemAccount::Grants, kudos(-4));
    assert!(matches!(
        refuse(short).await,
        JournalError::Unbalanced {
            sum_hundredths: 100,
            ..
        }
    ));
    let empty = LedgerEvent::new("x", EventKind::Award, at(1));
    assert!(matches!(refuse(empty).await, JournalError::InvalidEvent { .. }));
    let nameless = mint("", user, 1);
    assert!(matches!(
        refuse(nameless).await,
        JournalError::InvalidEvent { .. }
    ));
    let negative = mint("x", UserId(-4), 1);
    assert!(matches!(
        refuse(negative).await,
        JournalError::InvalidEvent { .. }
    ));
    assert_eq!(store.audit().await.unwrap().events, 0);
    store.close().await;
}

async fn requirements_are_tested_at_the_moment_of_booking(db: &TestDb) {
    let store = db.open().await;
    let (rich, poor) = (account(&store, "rich").await, account(&store, "poor").await);
    store
        .journal()
        .post(mint("m", rich, 100), Tallies::default())
        .await
        .unwrap();
    let gifts = (0..20).map(|n| {
        let gift = LedgerEvent::new(format!("gift:{n}"), EventKind::Transfer, at(2))
            .with(rich, kudos(-30))
            .with(poor, kudos(30))
            .requiring(rich, kudos(30));
        store.journal().post(gift, Tallies::default())
    });
    let outcomes = futures_util::future::join_all(gifts).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3);
    assert_eq!(store.balances(rich).await.unwrap().spendable, kudos(10));
    assert_eq!(store.balances(poor).await.unwrap().spendable, kudos(90));
    assert_clean(&store).await;
    store.close().await;
}

async fn balances_do_not_overflow(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "user").await;
    let most = Kudos::from_hundredths(i64::MAX);
    let all = LedgerEvent::new("all", EventKind::Award, at(1))
        .with(SystemAccount::Grants, -most)
        .with(user, most);
    store.journal().post(all, Tallies::default()).await.unwrap();
    let refused = store
        .journal()
        .post(mint("more", user, 1), Tallies::default())
        .await
        .unwrap_err();
    assert!(matches!(refused, JournalError::Overflow { .. }), "{refused:?}");
    assert_eq!(store.balances(user).await.unwrap().spendable, most);
    store.close().await;
}

fn some_tallies(user: UserId, id: WorkerId) -> Tallies {
    Tallies {
        totals: vec![
            UserTally {
                user,
                action: KudosAction::Accumulated,
                amount: Kudos::from_hundredths(577),
            },
            UserTally {
                user,
                action: KudosAction::Accumulated,
                amount: Kudos::from_hundredths(-7),
            },
            UserTally {
                user,
                action: KudosAction::Styled,
                amount: kudos(2),
            },
        ],
        work: Vec::new(),
        records: vec![
            RecordTally {
                user,
                record: RecordKind::Request,
                kind: WorkKind::Image,
                amount: 1.0,
            },
            RecordTally {
                user,
                record: RecordKind::Contribution,
                kind: WorkKind::Text,
                amount: 7.86,
            },
        ],
        workers: vec![
            WorkerTally {
                kudos: Kudos::from_hundredths(577),
                contributions: 7.86,
                fulfilments: 1,
                ..WorkerTally::new(id, WorkerAction::Generated)
            },
            WorkerTally {
                uncompleted_jobs: 1,
                ..WorkerTally::new(id, WorkerAction::Generated)
            },
            WorkerTally {
                kudos: kudos(50),
                ..WorkerTally::new(id, WorkerAction::Uptime)
            },
            // Deleted meanwhile.
            WorkerTally {
                kudos: kudos(1),
                ..WorkerTally::new(WorkerId(Uuid::nil()), WorkerAction::Uptime)
            },
        ],
        active: vec![(user, at(9)), (user, at(8))],
        ..Tallies::default()
    }
}

async fn tallies_add_up(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "user").await;
    let worker = new_worker(user, "w");
    let id = worker.state.worker;
    store.journal().register_worker(worker).await.unwrap();
    let tallies = some_tallies(user, id);
    let posts = (0..10).map(|n| {
        store
            .journal()
            .post(mint(&format!("m{n}"), user, 1), tallies.clone())
    });
    futures_util::future::join_all(posts)
        .await
        .into_iter()
        .for_each(|posted| drop(posted.unwrap()));
    store.journal().tally(tallies).await.unwrap();

    let totals: Vec<_> = store
        .user_totals(user)
        .await
        .unwrap()
        .iter()
        .map(|total| (total.action, total.amount.hundredths()))
        .collect();
    assert_eq!(
        totals,
        [
            (KudosAction::Accumulated, 11 * 570),
            (KudosAction::Styled, 11 * 200)
        ]
    );
    let records: Vec<_> = store
        .user_records(user)
        .await
        .unwrap()
        .iter()
        .map(|record| (record.record, record.kind, (record.amount * 100.0).round() as i64))
        .collect();
    assert_eq!(
        records,
        [
            (RecordKind::Request, WorkKind::Image, 1100),
            (RecordKind::Contribution, WorkKind::Text, 11 * 786)
        ]
    );
    let worker = store.worker(id).await.unwrap().unwrap();
    assert_eq!((worker.fulfilments, worker.uncompleted_jobs), (11, 11));
    assert_eq!(worker.kudos.hundredths(), 11 * 5577);
    assert_eq!(
        (worker.kudos_generated.hundredths(), worker.kudos_uptime),
        (11 * 577, kudos(550))
    );
    assert_eq!((worker.contributions * 100.0).round() as i64, 11 * 786);
    assert_eq!(store.account(user).await.unwrap().unwrap().last_active, at(9));
    store.close().await;
}

async fn the_history_of_an_account_can_be_read(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "user").await;
    for n in 1..=5 {
        store
            .journal()
            .post(mint(&format!("m{n}"), user, n), Tallies::default())
            .await
            .unwrap();
    }
    let newest = store.ledger_of(user, None, 2).await.unwrap();
    assert_eq!(
        newest
            .iter()
            .map(|entry| entry.event.as_str())
            .collect::<Vec<_>>(),
        ["m5", "m4"]
    );
    assert_eq!(
        (newest[0].amount, newest[0].at, newest[0].kind),
        (kudos(5), at(1), EventKind::Award)
    );
    let older = store.ledger_of(user, Some(newest[1].id), 10).await.unwrap();
    assert_eq!(older.iter().map(|entry| entry.amount).sum::<Kudos>(), kudos(6));
    store.close().await;
}
