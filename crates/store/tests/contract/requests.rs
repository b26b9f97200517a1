//! The life of a request.

use muster_protocol::{JobId, Kudos, RequestId};
use muster_store::{
    CancelOutcome, EventKind, Expired, FaultJob, FaultOutcome, FinishOutcome, JobState, JournalError,
    LedgerEvent, StartOutcome, SystemAccount,
};
use uuid::Uuid;

use crate::support::{
    MINUTES_20, TestDb, account, assert_clean, at, fault, finish, kudos, new_request, on_both_engines,
    running, settlement, start,
};

on_both_engines!(
    a_request_goes_its_way,
    faults_return_their_slot_once,
    cancelled_requests_hand_out_nothing_more,
    faulted_requests_hand_out_nothing_more,
    expired_requests_are_forgotten_with_their_jobs,
    fake_jobs_take_no_slot,
    a_tax_that_cannot_be_paid_refuses_the_request,
    unknown_things_are_unknown,
    malformed_changes_are_refused,
);

async fn a_request_goes_its_way(db: &TestDb) {
    let store = db.open().await;
    let (client, owner) = (account(&store, "client").await, account(&store, "owner").await);
    let mut request = new_request(client, 2);
    request.consumed = kudos(3);
    let id = request.id;
    request.event = Some(
        LedgerEvent::new(format!("activate:{id}"), EventKind::Generation, at(0))
            .of_request(id)
            .with(client, kudos(-3))
            .with(SystemAccount::Burn, kudos(3)),
    );
    let created = store.journal().create_request(request.clone()).await.unwrap();
    assert_eq!(created.balances[0].0, client);
    assert_eq!(created.balances[0].1.spendable, kudos(-3));

    let start = start(id, 1);
    let job = start.jobs[0].id;
    let started = store.journal().start_jobs(start.clone()).await.unwrap();
    assert_eq!(
        started,
        StartOutcome::Started {
            slots_left: 1,
            expiry: at(1) + MINUTES_20
        }
    );

    let finished = store
        .journal()
        .finish_job(finish(id, job, Some(settlement(job, client, owner))))
        .await
        .unwrap();
    let FinishOutcome::Finished { balances } = finished else {
        panic!("{finished:?}")
    };
    assert_eq!(
        balances
            .iter()
            .map(|(user, has)| (*user, has.spendable))
            .collect::<Vec<_>>(),
        [(client, kudos(-15)), (owner, kudos(10))]
    );

    let (stored, jobs) = store.request(id).await.unwrap().unwrap();
    assert_eq!(
        (stored.slots_left, stored.jobs_total, stored.consumed),
        (1, 2, kudos(15))
    );
    assert_eq!(
        (stored.created, stored.expiry, stored.updated_at),
        (at(0), at(2) + MINUTES_20, at(2))
    );
    assert_eq!(
        (stored.payload, stored.price.to_bits()),
        (request.payload, request.price.to_bits())
    );
    assert_eq!(
        (stored.ip, stored.things, stored.priority),
        (request.ip, request.things, 17)
    );
    assert_eq!(jobs.len(), 1);
    assert_eq!(
        (jobs[0].state, jobs[0].seed, jobs[0].reward),
        (JobState::Done, 42, Some(kudos(10)))
    );
    assert_eq!(
        (jobs[0].started, jobs[0].deadline, jobs[0].finished_at),
        (at(1), at(150), Some(at(2)))
    );
    assert_eq!(jobs[0].result.as_deref(), Some("R2"));
    assert_eq!(jobs[0].payload, start.jobs[0].payload);
    assert_eq!(jobs[0].gen_metadata, finish(id, job, None).gen_metadata);
    assert_eq!(store.job(job).await.unwrap().as_ref(), jobs.first());
    assert_clean(&store).await;
    store.close().await;
}

async fn faults_return_their_slot_once(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "client").await;
    let (request, jobs) = running(&store, user, 2, 2).await;
    let first = store.journal().fault_job(fault(request, jobs[0])).await.unwrap();
    assert_eq!(
        first,
        FaultOutcome::Faulted {
            slots_left: 1,
            request_faulted: false
        }
    );
    let second = store.journal().fault_job(fault(request, jobs[0])).await.unwrap();
    assert_eq!(second, FaultOutcome::AlreadyFaulted);
    let late = store
        .journal()
        .finish_job(finish(request, jobs[0], None))
        .await
        .unwrap();
    assert_eq!(late, FinishOutcome::AlreadyFaulted);

    store
        .journal()
        .finish_job(finish(request, jobs[1], None))
        .await
        .unwrap();
    let late = store.journal().fault_job(fault(request, jobs[1])).await.unwrap();
    assert_eq!(late, FaultOutcome::AlreadyFinished);
    let twice = store
        .journal()
        .finish_job(finish(request, jobs[1], None))
        .await
        .unwrap();
    assert_eq!(twice, FinishOutcome::AlreadyFinished { reward: kudos(10) });

    let (stored, jobs) = store.request(request).await.unwrap().unwrap();
    assert_eq!(stored.slots_left, 1);
    let faulted = jobs.iter().find(|job| job.state == JobState::Faulted).unwrap();
    assert_eq!(
        (faulted.finished_at, faulted.result.as_deref()),
        (Some(at(3)), None)
    );
    store.close().await;
}

async fn cancelled_requests_hand_out_nothing_more(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "client").await;
    let (request, jobs) = running(&store, user, 5, 2).await;
    let journal = store.journal();
    let cancelled = journal.cancel_request(request, at(4)).await.unwrap();
    assert_eq!(cancelled, CancelOutcome::Done { slots_dropped: 3 });
    assert_eq!(
        journal.cancel_request(request, at(5)).await.unwrap(),
        CancelOutcome::Already
    );
    assert_eq!(
        journal.start_jobs(start(request, 1)).await.unwrap(),
        StartOutcome::RequestGone
    );
    // What is in flight is still taken, and a fault returns no slot.
    let finished = journal.finish_job(finish(request, jobs[0], None)).await.unwrap();
    assert!(matches!(finished, FinishOutcome::Finished { .. }));
    let faulted = journal.fault_job(fault(request, jobs[1])).await.unwrap();
    assert_eq!(
        faulted,
        FaultOutcome::Faulted {
            slots_left: 0,
            request_faulted: false
        }
    );
    assert!(store.request(request).await.unwrap().unwrap().0.cancelled);
    store.close().await;
}

async fn faulted_requests_hand_out_nothing_more(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "client").await;
    let journal = store.journal();
    let (request, jobs) = running(&store, user, 3, 1).await;
    let last_straw = FaultJob {
        request_faulted: true,
        ..fault(request, jobs[0])
    };
    let outcome = journal.fault_job(last_straw).await.unwrap();
    assert_eq!(
        outcome,
        FaultOutcome::Faulted {
            slots_left: 3,
            request_faulted: true
        }
    );
    assert_eq!(
        journal.start_jobs(start(request, 1)).await.unwrap(),
        StartOutcome::RequestGone
    );

    let (request, _) = running(&store, user, 3, 1).await;
    let outcome = journal.fault_request(request, at(4)).await.unwrap();
    assert_eq!(outcome, CancelOutcome::Done { slots_dropped: 2 });
    assert_eq!(
        journal.fault_request(request, at(5)).await.unwrap(),
        CancelOutcome::Already
    );
    assert_eq!(
        journal.start_jobs(start(request, 1)).await.unwrap(),
        StartOutcome::RequestGone
    );
    store.close().await;
}

async fn expired_requests_are_forgotten_with_their_jobs(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "client").await;
    let (old, jobs) = running(&store, user, 1, 1).await;
    let (unstarted, _) = running(&store, user, 1, 0).await;
    let gone = RequestId(Uuid::new_v4());
    // The one that was started lives a second longer.
    let outcome = store
        .journal()
        .expire_requests(vec![old, unstarted, gone], at(0) + MINUTES_20)
        .await
        .unwrap();
    assert_eq!(
        outcome,
        Expired {
            deleted: vec![unstarted, gone],
            kept: vec![(old, at(1) + MINUTES_20)]
        }
    );
    assert!(store.request(old).await.unwrap().is_some());
    let late = store
        .journal()
        .start_jobs(muster_store::StartJobs {
            at: at(9000),
            ..start(old, 1)
        })
        .await
        .unwrap();
    assert_eq!(late, StartOutcome::RequestGone);

    let end = at(1) + MINUTES_20;
    let expired = |now, quiet_since| store.expired_requests(now, quiet_since, 10);
    assert!(expired(at(1), at(1)).await.unwrap().is_empty(), "it lives");
    assert!(
        expired(end, at(0)).await.unwrap().is_empty(),
        "it has changed since"
    );
    assert_eq!(expired(end, at(1)).await.unwrap(), [old]);
    let outcome = store.journal().expire_requests(vec![old], end).await.unwrap();
    assert_eq!(outcome.deleted, [old]);
    assert!(store.request(old).await.unwrap().is_none());
    assert!(store.job(jobs[0]).await.unwrap().is_none());
    let late = store
        .journal()
        .finish_job(finish(old, jobs[0], None))
        .await
        .unwrap();
    assert_eq!(late, FinishOutcome::Unknown);
    store.close().await;
}

async fn fake_jobs_take_no_slot(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "client").await;
    let (request, _) = running(&store, user, 1, 0).await;
    let mut decoy = start(request, 1);
    decoy.jobs[0].fake = true;
    let job = decoy.jobs[0].id;
    let outcome = store.journal().start_jobs(decoy).await.unwrap();
    assert!(matches!(outcome, StartOutcome::Started { slots_left: 1, .. }));
    let outcome = store.journal().fault_job(fault(request, job)).await.unwrap();
    assert_eq!(
        outcome,
        FaultOutcome::Faulted {
            slots_left: 1,
            request_faulted: false
        }
    );
    let outcome = store.journal().start_jobs(start(request, 2)).await.unwrap();
    assert_eq!(outcome, StartOutcome::SlotsGone { slots_left: 1 });
    store.close().await;
}

async fn a_tax_that_cannot_be_paid_refuses_the_request(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "poor").await;
    let mut request = new_request(user, 1);
    request.event = Some(
        LedgerEvent::new("tax", EventKind::Generation, at(0))
            .with(user, kudos(-3))
            .with(SystemAccount::Burn, kudos(3))
            .requiring(user, kudos(1)),
    );
    let refused = store.journal().create_request(request.clone()).await.unwrap_err();
    assert!(
        matches!(refused, JournalError::Insufficient { account, available_hundredths: 0 } if account == user)
    );
    assert!(store.request(request.id).await.unwrap().is_none());
    assert_eq!(store.balances(user).await.unwrap().spendable, Kudos::ZERO);
    store.close().await;
}

async fn unknown_things_are_unknown(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "client").await;
    let (request, jobs) = running(&store, user, 2, 1).await;
    let (other, _) = running(&store, user, 2, 1).await;
    let (no_request, no_job) = (RequestId(Uuid::new_v4()), JobId(Uuid::new_v4()));
    let journal = store.journal();
    assert_eq!(
        journal.start_jobs(start(no_request, 1)).await.unwrap(),
        StartOutcome::RequestGone
    );
    assert_eq!(
        journal.finish_job(finish(request, no_job, None)).await.unwrap(),
        FinishOutcome::Unknown
    );
    assert_eq!(
        journal
            .finish_job(finish(no_request, jobs[0], None))
            .await
            .unwrap(),
        FinishOutcome::Unknown
    );
    assert_eq!(
        journal.fault_job(fault(request, no_job)).await.unwrap(),
        FaultOutcome::Unknown
    );
    assert_eq!(
        journal.cancel_request(no_request, at(1)).await.unwrap(),
        CancelOutcome::Unknown
    );
    let mixed_up = journal
        .finish_job(finish(other, jobs[0], None))
        .await
        .unwrap_err();
    assert!(matches!(mixed_up, JournalError::Invalid(_)));
    assert!(store.request(no_request).await.unwrap().is_none());
    assert!(store.job(no_job).await.unwrap().is_none());
    store.close().await;
}

async fn malformed_changes_are_refused(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "client").await;
    let none = store
        .journal()
        .create_request(new_request(user, -1))
        .await
        .unwrap_err();
    assert!(matches!(none, JournalError::Invalid(_)));
    let nothing = new_request(user, 0);
    store.journal().create_request(nothing.clone()).await.unwrap();
    let (stored, jobs) = store.request(nothing.id).await.unwrap().unwrap();
    assert_eq!((stored.slots_left, jobs.len()), (0, 0));
    let (request, _) = running(&store, user, 1, 0).await;
    let none = store.journal().start_jobs(start(request, 0)).await.unwrap_err();
    assert!(matches!(none, JournalError::Invalid(_)));
    let twice = new_request(user, 1);
    store.journal().create_request(twice.clone()).await.unwrap();
    assert!(store.journal().create_request(twice).await.is_err());
    store.close().await;
}
