//! Workers: registration, check-ins, changes.

use muster_protocol::{Kudos, UserId, WorkKind, WorkerId};
use muster_store::{JournalError, Suspicion, WorkerChanges, WorkerRegistration};
use serde_json::json;
use uuid::Uuid;

use crate::support::{TestDb, account, at, check_in, new_worker, on_both_engines};

on_both_engines!(
    names_are_unique_over_all_kinds,
    check_ins_write_what_workers_say,
    owners_change_their_workers,
    deleted_workers_are_gone,
);

async fn names_are_unique_over_all_kinds(db: &TestDb) {
    let store = db.open().await;
    let (one, two) = (account(&store, "one").await, account(&store, "two").await);
    let worker = new_worker(one, "Rig");
    let id = worker.state.worker;
    let made = store.journal().register_worker(worker).await.unwrap();
    let WorkerRegistration::Registered(made) = made else {
        panic!("{made:?}")
    };
    assert_eq!(
        (made.id, made.owner, made.created, made.kudos),
        (id, one, at(0), Kudos::ZERO)
    );
    assert_eq!(store.worker_by_name("Rig").await.unwrap(), Some(*made.clone()));
    assert!(store.worker_by_name("rig").await.unwrap().is_none());

    let mut thief = new_worker(two, "Rig");
    thief.kind = WorkKind::Text;
    let refused = store.journal().register_worker(thief).await.unwrap();
    assert_eq!(
        refused,
        WorkerRegistration::NameTaken {
            worker: id,
            kind: WorkKind::Image,
            owner: one
        }
    );
    store
        .journal()
        .register_worker(new_worker(two, "rig"))
        .await
        .unwrap();
    assert_eq!(store.workers().await.unwrap().len(), 2);
    assert_eq!(store.workers_of(one).await.unwrap(), [*made]);
    assert_eq!(store.workers_of(UserId(55)).await.unwrap(), []);
    store.close().await;
}

async fn check_ins_write_what_workers_say(db: &TestDb) {
    let store = db.open().await;
    let owner = account(&store, "owner").await;
    let workers: Vec<_> = (0..5).map(|n| new_worker(owner, &format!("w{n}"))).collect();
    for worker in &workers {
        store.journal().register_worker(worker.clone()).await.unwrap();
    }
    let mut check_ins: Vec<_> = workers
        .iter()
        .map(|worker| check_in(worker.state.worker, 60))
        .collect();
    check_ins.push(check_in(WorkerId(Uuid::new_v4()), 60)); // deleted meanwhile
    check_ins[0].settings = json!({ "models": ["a", "b"] });
    check_ins[0].speed = Some(0.1 + 0.2);
    check_ins[0].uptime = 61;
    check_ins[0].last_aborted_job = Some(at(3));
    check_ins[0].ip = None;
    check_ins.push(check_in(workers[1].state.worker, 59)); // overtaken
    store.journal().check_in_workers(check_ins.clone()).await.unwrap();
    store
        .journal()
        .check_in_workers(vec![check_in(workers[0].state.worker, 10)])
        .await
        .unwrap();
    store.journal().check_in_workers(Vec::new()).await.unwrap();

    let first = store.worker(workers[0].state.worker).await.unwrap().unwrap();
    assert_eq!(
        (first.last_check_in, first.uptime, first.speed),
        (at(60), 61, Some(0.1 + 0.2))
    );
    assert_eq!((first.settings, first.ip), (check_ins[0].settings.clone(), None));
    assert_eq!((first.last_aborted_job, first.created), (Some(at(3)), at(0)));
    for worker in &workers[1..] {
        let stored = store.worker(worker.state.worker).await.unwrap().unwrap();
        assert_eq!((stored.last_check_in, stored.speed), (at(60), None));
    }
    store.close().await;
}

async fn owners_change_their_workers(db: &TestDb) {
    let store = db.open().await;
    let owner = account(&store, "owner").await;
    let (one, two) = (new_worker(owner, "one"), new_worker(owner, "two"));
    store.journal().register_worker(one.clone()).await.unwrap();
    store.journal().register_worker(two).await.unwrap();
    let team = Uuid::new_v4();
    let changes = WorkerChanges {
        name: Some("renamed".to_owned()),
        info: Some(Some("in the cellar".to_owned())),
        team: Some(Some(team)),
        maintenance: Some(true),
        suspicions: Some(vec![9]),
        suspect: Some(Suspicion::UnreasonablyFast),
        ..WorkerChanges::default()
    };
    let (after, ()) = tokio::join!(
        async {
            store
                .journal()
                .set_worker(one.state.worker, changes)
                .await
                .unwrap()
        },
        async {
            store
                .journal()
                .check_in_workers(vec![check_in(one.state.worker, 60)])
                .await
                .unwrap();
        },
    );
    assert_eq!(
        (after.name.as_str(), after.team, after.maintenance),
        ("renamed", Some(team), true)
    );
    let stored = store.worker(one.state.worker).await.unwrap().unwrap();
    assert_eq!(
        (stored.info.as_deref(), stored.suspicions),
        (Some("in the cellar"), vec![9, 5])
    );
    assert_eq!(stored.last_check_in, at(60));
    let taken = WorkerChanges {
        name: Some("two".to_owned()),
        ..WorkerChanges::default()
    };
    let refused = store
        .journal()
        .set_worker(one.state.worker, taken)
        .await
        .unwrap_err();
    assert!(matches!(refused, JournalError::NameTaken(_)));
    // The old name is free again.
    let again = store
        .journal()
        .register_worker(new_worker(owner, "one"))
        .await
        .unwrap();
    assert!(matches!(again, WorkerRegistration::Registered(_)));
    store.close().await;
}

async fn deleted_workers_are_gone(db: &TestDb) {
    let store = db.open().await;
    let owner = account(&store, "owner").await;
    let worker = new_worker(owner, "w");
    let id = worker.state.worker;
    store.journal().register_worker(worker).await.unwrap();
    assert!(store.journal().delete_worker(id).await.unwrap());
    assert!(!store.journal().delete_worker(id).await.unwrap());
    assert!(store.worker(id).await.unwrap().is_none());
    let gone = store
        .journal()
        .set_worker(id, WorkerChanges::default())
        .await
        .unwrap_err();
    assert!(matches!(gone, JournalError::UnknownWorker(_)));
    let again = store
        .journal()
        .register_worker(new_worker(owner, "w"))
        .await
        .unwrap();
    assert!(matches!(again, WorkerRegistration::Registered(_)));
    store.close().await;
}
