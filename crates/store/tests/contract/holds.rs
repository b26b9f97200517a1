//! Kudos that are promised to requests before they are charged.

use futures_util::future::join_all;
use muster_protocol::{Kudos, RequestId, UserId};
use muster_store::{EventKind, JournalError, LedgerEvent, NewRequest, Store, SystemAccount, Tallies};

use crate::support::{
    MINUTES_20, TestDb, account, assert_clean, at, finish, kudos, new_request, on_both_engines, settlement,
    start,
};

on_both_engines!(
    a_promise_moves_nothing_but_is_not_available,
    charges_use_a_promise_up,
    what_is_left_is_released_once,
    expiry_releases_a_promise,
    no_kudos_are_promised_twice,
);

/// An account that owns so much.
async fn rich(store: &Store, owns: i64) -> UserId {
    let user = account(store, "client").await;
    let grant = LedgerEvent::new("grant", EventKind::Award, at(0))
        .with(SystemAccount::Grants, kudos(-owns))
        .with(user, kudos(owns));
    store.journal().post(grant, Tallies::default()).await.unwrap();
    user
}

/// A request that holds so much, with two slots.
fn promised(user: UserId, held: i64) -> NewRequest {
    let request = new_request(user, 2);
    let event = LedgerEvent::new(format!("activate:{}", request.id), EventKind::Generation, at(0))
        .of_request(request.id)
        .requiring(user, kudos(held))
        .with_hold(user, kudos(held));
    NewRequest {
        held: kudos(held),
        event: Some(event),
        ..request
    }
}

async fn held_by(store: &Store, request: RequestId) -> Kudos {
    store.request(request).await.unwrap().unwrap().0.held
}

async fn a_promise_moves_nothing_but_is_not_available(db: &TestDb) {
    let store = db.open().await;
    let user = rich(&store, 100).await;
    store.journal().create_request(promised(user, 70)).await.unwrap();
    let has = store.balances(user).await.unwrap();
    assert_eq!((has.spendable, has.held), (kudos(100), kudos(70)));

    let too_much = store.journal().create_request(promised(user, 31)).await;
    let Err(JournalError::Insufficient {
        account,
        available_hundredths,
    }) = too_much
    else {
        panic!("{too_much:?}")
    };
    assert_eq!((account, available_hundredths), (user, 30_00));
    store.journal().create_request(promised(user, 30)).await.unwrap();
    assert_clean(&store).await;
    store.close().await;
}

async fn charges_use_a_promise_up(db: &TestDb) {
    let store = db.open().await;
    let user = rich(&store, 100).await;
    let owner = account(&store, "owner").await;
    let request = promised(user, 20);
    let id = request.id;
    store.journal().create_request(request).await.unwrap();
    let start = start(id, 2);
    store.journal().start_jobs(start.clone()).await.unwrap();
    // Each job is charged 12: the second one more than what is left of the promise.
    for (job, left) in start.jobs.iter().zip([8, 0]) {
        let event = settlement(job.id, user, owner);
        store
            .journal()
            .finish_job(finish(id, job.id, Some(event)))
            .await
            .unwrap();
        assert_eq!(held_by(&store, id).await, kudos(left));
        assert_eq!(store.balances(user).await.unwrap().held, kudos(left));
    }
    assert_eq!(store.balances(user).await.unwrap().spendable, kudos(76));
    assert_clean(&store).await;
    store.close().await;
}

async fn what_is_left_is_released_once(db: &TestDb) {
    let store = db.open().await;
    let user = rich(&store, 100).await;
    let request = promised(user, 60);
    let id = request.id;
    store.journal().create_request(request).await.unwrap();
    let released = join_all((0..8).map(|_| store.journal().release_hold(id, at(3)))).await;
    let mut released: Vec<Kudos> = released.into_iter().map(Result::unwrap).collect();
    released.sort_unstable();
    assert_eq!(released.pop(), Some(kudos(60)));
    assert!(released.iter().all(|amount| *amount == Kudos::ZERO));
    assert_eq!(store.balances(user).await.unwrap().held, Kudos::ZERO);
    assert_eq!(held_by(&store, id).await, Kudos::ZERO);
    let unknown = RequestId(uuid::Uuid::from_u128(5));
    assert_eq!(
        store.journal().release_hold(unknown, at(3)).await.unwrap(),
        Kudos::ZERO
    );
    assert_clean(&store).await;
    store.close().await;
}

async fn expiry_releases_a_promise(db: &TestDb) {
    let store = db.open().await;
    let user = rich(&store, 100).await;
    let (one, other) = (promised(user, 40), promised(user, 50));
    let ids = vec![one.id, other.id];
    store.journal().create_request(one).await.unwrap();
    store.journal().create_request(other).await.unwrap();
    store
        .journal()
        .expire_requests(ids, at(0) + MINUTES_20)
        .await
        .unwrap();
    let has = store.balances(user).await.unwrap();
    assert_eq!((has.spendable, has.held), (kudos(100), Kudos::ZERO));
    assert_clean(&store).await;
    store.close().await;
}

async fn no_kudos_are_promised_twice(db: &TestDb) {
    let store = db.open().await;
    let user = rich(&store, 100).await;
    let outcomes = join_all((0..64).map(|_| store.journal().create_request(promised(user, 9)))).await;
    let accepted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(accepted, 11);
    assert_eq!(store.balances(user).await.unwrap().held, kudos(99));
    assert_clean(&store).await;
    store.close().await;
}
