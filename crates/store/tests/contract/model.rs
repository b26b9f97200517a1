//! Random changes against a model so simple that it is obviously right.

use std::collections::{BTreeMap, BTreeSet};

use muster_protocol::{JobId, Kudos, RequestId, UserId};
use muster_store::{
    CancelOutcome, EventKind, FaultOutcome, FinishJob, FinishOutcome, JobState, JournalError, LedgerEvent,
    Posted, StartOutcome, Store, SystemAccount, Tallies,
};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use crate::support::{
    MINUTES_20, TestDb, account, assert_clean, at, fault, finish, new_request, on_both_engines, start,
};

on_both_engines!(random_changes_agree_with_the_model);

const USERS: usize = 3;
const FLOOR: i64 = -500;

/// What may happen. Numbers pick among what exists, round and round.
#[derive(Clone, Debug)]
enum Step {
    Create {
        user: usize,
        slots: i32,
    },
    Start {
        request: usize,
        jobs: u8,
    },
    Finish {
        job: usize,
        payer: usize,
        owner: usize,
        amount: i64,
    },
    Fault {
        job: usize,
        fatal: bool,
    },
    Cancel {
        request: usize,
    },
    Expire {
        request: usize,
    },
    Give {
        from: usize,
        to: usize,
        amount: i64,
        key: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..USERS, 1..4_i32).prop_map(|(user, slots)| Step::Create { user, slots }),
        4 => (any::<usize>(), 1..3_u8).prop_map(|(request, jobs)| Step::Start { request, jobs }),
        4 => (any::<usize>(), 0..USERS, 0..USERS, 0..900_i64)
            .prop_map(|(job, payer, owner, amount)| Step::Finish { job, payer, owner, amount }),
        2 => (any::<usize>(), prop::bool::weighted(0.2)).prop_map(|(job, fatal)| Step::Fault { job, fatal }),
        1 => any::<usize>().prop_map(|request| Step::Cancel { request }),
        1 => any::<usize>().prop_map(|request| Step::Expire { request }),
        3 => (0..USERS, 0..USERS, 1..700_i64, any::<u8>())
            .prop_map(|(from, to, amount, key)| Step::Give { from, to, amount, key: key % 32 }),
    ]
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Request {
    slots: i32,
    closed: bool,
    cancelled: bool,
    consumed: i64,
}

#[derive(Debug, Default)]
struct Model {
    users: Vec<UserId>,
    balances: BTreeMap<UserId, i64>,
    requests: BTreeMap<RequestId, Request>,
    order: Vec<RequestId>,
    jobs: BTreeMap<JobId, (RequestId, JobState)>,
    job_order: Vec<JobId>,
    given: BTreeSet<u8>,
}

impl Model {
    fn request(&self, pick: usize) -> Option<RequestId> {
        (!self.order.is_empty()).then(|| self.order[pick % self.order.len()])
    }

    fn job(&self, pick: usize) -> Option<JobId> {
        (!self.job_order.is_empty()).then(|| self.job_order[pick % self.job_order.len()])
    }

    fn move_with_floor(&mut self, user: UserId, amount: i64) {
        let balance = self.balances.entry(user).or_default();
        *balance = (*balance + amount).max(FLOOR);
    }
}

async fn take(store: &Store, model: &mut Model, step: Step) {
    match step {
        Step::Create { user, slots } => {
            let request = new_request(model.users[user], slots);
            let id = request.id;
            store.journal().create_request(request).await.unwrap();
            model.requests.insert(
                id,
                Request {
                    slots,
                    ..Request::default()
                },
            );
            model.order.push(id);
        }
        Step::Start { request, jobs } => {
            if let Some(id) = model.request(request) {
                start_jobs(store, model, id, jobs).await;
            }
        }
        Step::Finish {
            job,
            payer,
            owner,
            amount,
        } => {
            if let Some(id) = model.job(job) {
                finish_job(store, model, id, (payer, owner, amount)).await;
            }
        }
        Step::Fault { job, fatal } => {
            if let Some(id) = model.job(job) {
                fault_job(store, model, id, fatal).await;
            }
        }
        Step::Cancel { request } => {
            if let Some(id) = model.request(request) {
                cancel(store, model, id).await;
            }
        }
        Step::Expire { request } => {
            if let Some(id) = model.request(request) {
                let far = at(3600) + MINUTES_20;
                assert_eq!(
                    store
                        .journal()
                        .expire_requests(vec![id], far)
                        .await
                        .unwrap()
                        .deleted,
                    [id]
                );
                model.requests.remove(&id);
                model.jobs.retain(|_, (request, _)| *request != id);
            }
        }
        Step::Give {
            from,
            to,
            amount,
            key,
        } => {
            give(store, model, (model.users[from], model.users[to]), amount, key).await;
        }
    }
}

async fn start_jobs(store: &Store, model: &mut Model, id: RequestId, jobs: u8) {
    let change = start(id, jobs.into());
    let ids: Vec<JobId> = change.jobs.iter().map(|job| job.id).collect();
    let outcome = store.journal().start_jobs(change).await.unwrap();
    match model.requests.get_mut(&id) {
        None => assert_eq!(outcome, StartOutcome::RequestGone),
        Some(request) if request.closed => assert_eq!(outcome, StartOutcome::RequestGone),
        Some(request) if request.slots < i32::from(jobs) => {
            assert_eq!(
                outcome,
                StartOutcome::SlotsGone {
                    slots_left: request.slots
                }
            );
        }
        Some(request) => {
            request.slots -= i32::from(jobs);
            assert!(
                matches!(outcome, StartOutcome::Started { slots_left, .. } if slots_left == request.slots)
            );
            for job in ids {
                model.jobs.insert(job, (id, JobState::Processing));
                model.job_order.push(job);
            }
        }
    }
}

async fn finish_job(store: &Store, model: &mut Model, id: JobId, money: (usize, usize, i64)) {
    let (payer, owner) = (model.users[money.0], model.users[money.1]);
    let (request, state) = model
        .jobs
        .get(&id)
        .copied()
        .unwrap_or((model.order[0], JobState::Processing));
    let known = model.jobs.contains_key(&id);
    let amount = Kudos::from_hundredths(money.2);
    let event = LedgerEvent::new(format!("settle:{id}"), EventKind::Generation, at(2))
        .with_floor(payer, -amount, Kudos::from_hundredths(FLOOR))
        .with_floor(owner, amount.half(), Kudos::from_hundredths(FLOOR))
        .with(SystemAccount::Burn, amount - amount.half());
    let change = FinishJob {
        request_consumed: amount,
        ..finish(request, id, Some(event))
    };
    let outcome = store.journal().finish_job(change).await.unwrap();
    if !known {
        assert_eq!(outcome, FinishOutcome::Unknown);
        return;
    }
    match state {
        JobState::Processing => {
            model.move_with_floor(payer, -amount.hundredths());
            model.move_with_floor(owner, amount.half().hundredths());
            model.jobs.insert(id, (request, JobState::Done));
            model.requests.get_mut(&request).unwrap().consumed += amount.hundredths();
            let FinishOutcome::Finished { balances } = outcome else {
                panic!("{outcome:?}")
            };
            for (user, has) in balances {
                assert_eq!(has.spendable.hundredths(), model.balances[&user]);
            }
        }
        JobState::Done => assert!(matches!(outcome, FinishOutcome::AlreadyFinished { .. })),
        JobState::Faulted => assert_eq!(outcome, FinishOutcome::AlreadyFaulted),
    }
}

async fn fault_job(store: &Store, model: &mut Model, id: JobId, fatal: bool) {
    let Some((request, state)) = model.jobs.get(&id).copied() else {
        return;
    };
    let change = muster_store::FaultJob {
        request_faulted: fatal,
        ..fault(request, id)
    };
    let outcome = store.journal().fault_job(change).await.unwrap();
    match state {
        JobState::Processing => {
            model.jobs.insert(id, (request, JobState::Faulted));
            let request = model.requests.get_mut(&request).unwrap();
            request.slots += i32::from(!request.cancelled);
            request.closed |= fatal;
            assert!(
                matches!(outcome, FaultOutcome::Faulted { slots_left, .. } if slots_left == request.slots)
            );
        }
        JobState::Done => assert_eq!(outcome, FaultOutcome::AlreadyFinished),
        JobState::Faulted => assert_eq!(outcome, FaultOutcome::AlreadyFaulted),
    }
}

async fn cancel(store: &Store, model: &mut Model, id: RequestId) {
    let outcome = store.journal().cancel_request(id, at(4)).await.unwrap();
    match model.requests.get_mut(&id) {
        None => assert_eq!(outcome, CancelOutcome::Unknown),
        Some(request) if request.cancelled => assert_eq!(outcome, CancelOutcome::Already),
        Some(request) => {
            assert_eq!(
                outcome,
                CancelOutcome::Done {
                    slots_dropped: request.slots
                }
            );
            *request = Request {
                slots: 0,
                closed: true,
                cancelled: true,
                consumed: request.consumed,
            };
        }
    }
}

async fn give(store: &Store, model: &mut Model, (from, to): (UserId, UserId), amount: i64, key: u8) {
    let gift = Kudos::from_hundredths(amount);
    let event = LedgerEvent::new(format!("give:{key}"), EventKind::Transfer, at(1))
        .with(from, -gift)
        .with(to, gift)
        .requiring(from, gift);
    let outcome = store.journal().post(event, Tallies::default()).await;
    let has = model.balances.get(&from).copied().unwrap_or(0);
    if model.given.contains(&key) {
        assert_eq!(outcome.unwrap(), Posted::Duplicate);
    } else if has < amount {
        assert!(matches!(
            outcome.unwrap_err(),
            JournalError::Insufficient { available_hundredths, .. } if available_hundredths == has
        ));
    } else {
        assert!(matches!(outcome.unwrap(), Posted::Posted { .. }));
        *model.balances.entry(from).or_default() -= amount;
        *model.balances.entry(to).or_default() += amount;
        model.given.insert(key);
    }
}

async fn compare(store: &Store, model: &Model) {
    for user in &model.users {
        let expected = model.balances.get(user).copied().unwrap_or(0);
        assert_eq!(
            store.balances(*user).await.unwrap().spendable.hundredths(),
            expected
        );
    }
    let mut live = BTreeMap::new();
    let mut jobs = BTreeMap::new();
    for (request, of_request) in store.live_requests(at(0)).await.unwrap() {
        let seen = Request {
            slots: request.slots_left,
            closed: request.cancelled || request.faulted,
            cancelled: request.cancelled,
            consumed: request.consumed.hundredths(),
        };
        live.insert(request.id, seen);
        jobs.extend(
            of_request
                .into_iter()
                .map(|job| (job.id, (request.id, job.state))),
        );
    }
    assert_eq!(live, model.requests);
    assert_eq!(jobs, model.jobs);
    assert_clean(store).await;
}

async fn random_changes_agree_with_the_model(db: &TestDb) {
    // Two stores, so that nothing that one of them remembers can help it.
    let stores = [db.open().await, db.open().await];
    let mut runner = TestRunner::deterministic();
    for round in 0..12 {
        let steps = prop::collection::vec(step(), 1..80)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let mut model = Model::default();
        for n in 0..USERS {
            model
                .users
                .push(account(&stores[0], &format!("user{round}-{n}")).await);
        }
        // Every round has its own gifts, requests and jobs.
        let treasure = LedgerEvent::new(format!("treasure:{round}"), EventKind::Award, at(0))
            .with(model.users[0], Kudos::from_whole(20))
            .with(SystemAccount::Grants, Kudos::from_whole(-20));
        stores[1]
            .journal()
            .post(treasure, Tallies::default())
            .await
            .unwrap();
        model.balances.insert(model.users[0], 2000);
        for (n, mut step) in steps.into_iter().enumerate() {
            if let Step::Give { key, .. } = &mut step {
                *key = (*key % 16) + 16 * round;
            }
            take(&stores[n % 2], &mut model, step).await;
        }
        compare(&stores[round as usize % 2], &model).await;
        let ids: Vec<RequestId> = model.requests.keys().copied().collect();
        stores[0].journal().expire_requests(ids, at(7200)).await.unwrap();
    }
    for store in stores {
        store.close().await;
    }
}
