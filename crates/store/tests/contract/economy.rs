//! Everything that moves kudos, in random order and with crashes between commit and acknowledgement, against a model so
//! simple that it is obviously right; then audited.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use muster_protocol::{Kudos, UserId, WorkKind};
use muster_store::{
    AccountChanges, EventKind, FinishJob, JournalError, KudosAction, LedgerEvent, NewRequest, Payment,
    Posted, RecordKind, RecordTally, SharedKeyTally, Store, SystemAccount, Tallies, UserTally,
};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use uuid::Uuid;

use crate::support::{
    MINUTES_20, TestDb, account, assert_clean, at, finish, new_request, new_worker, on_both_engines,
    shared_key, start,
};

on_both_engines!(everything_that_moves_kudos_adds_up);

const USERS: usize = 4;
const FLOOR: i64 = 1400;
const ROUNDS: u32 = 10;

/// What may happen; amounts in hundredths. Numbers pick among what exists, round and round.
#[derive(Clone, Debug)]
enum Step {
    /// A request is taxed and, if it must be, paid upfront.
    Request {
        user: usize,
        tax: i64,
        held: i64,
    },
    /// A job of a request is done: charged, burnt, half of it withheld.
    Deliver {
        request: usize,
        owner: usize,
        charge: i64,
        reward: i64,
    },
    /// What is left of a promise is released.
    Expire {
        request: usize,
    },
    Uptime {
        user: usize,
        amount: i64,
        withheld: bool,
    },
    Promote {
        user: usize,
    },
    /// With a key that may have been used.
    Transfer {
        from: usize,
        to: usize,
        amount: i64,
        key: u8,
    },
    /// Awards, monthly kudos, administrators' adjustments, rewards of styles.
    Grant {
        user: usize,
        amount: i64,
        kind: usize,
    },
}

/// How the caller fares.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Answered,
    /// Nobody hears the answer, so the caller tries again.
    Deaf,
    /// The server is gone before it answers. The caller tries again with the next one.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let user = || 0..USERS;
    prop_oneof![
        3 => (user(), 0..500_i64, prop_oneof![Just(0), 1..4000_i64])
            .prop_map(|(user, tax, held)| Step::Request { user, tax, held }),
        4 => (any::<usize>(), user(), 0..3000_i64, 0..3000_i64)
            .prop_map(|(request, owner, charge, reward)| Step::Deliver { request, owner, charge, reward }),
        1 => any::<usize>().prop_map(|request| Step::Expire { request }),
        2 => (user(), 1..9000_i64, any::<bool>()).prop_map(|(user, amount, withheld)| Step::Uptime { user, amount, withheld }),
        1 => user().prop_map(|user| Step::Promote { user }),
        4 => (user(), user(), 1..6000_i64, 0..12_u8)
            .prop_map(|(from, to, amount, key)| Step::Transfer { from, to, amount, key }),
        2 => (user(), -3000..9000_i64, 0..4_usize).prop_map(|(user, amount, kind)| Step::Grant { user, amount, kind }),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![6 => Just(Fate::Answered), 2 => Just(Fate::Deaf), 1 => Just(Fate::Crash)]
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Pots {
    spendable: i64,
    escrow: i64,
    held: i64,
}

#[derive(Debug)]
struct Request {
    id: muster_protocol::RequestId,
    user: UserId,
    held: i64,
}

/// What everybody must have.
#[derive(Debug, Default)]
struct Model {
    users: Vec<UserId>,
    pots: BTreeMap<UserId, Pots>,
    requests: Vec<Request>,
    transfers: BTreeSet<u8>,
    totals: BTreeMap<(UserId, KudosAction), i64>,
    /// What the shared key of the first user allows.
    budget: i64,
    delivered: u64,
}

impl Model {
    fn pots(&mut self, user: UserId) -> &mut Pots {
        self.pots.entry(user).or_default()
    }

    fn available(&self, user: UserId) -> i64 {
        let pots = self.pots.get(&user).copied().unwrap_or_default();
        pots.spendable - pots.held
    }

    /// Every movement of a spendable pot ends at the floor at least.
    fn spend(&mut self, user: UserId, amount: i64, action: KudosAction) {
        let pots = self.pots(user);
        pots.spendable = (pots.spendable + amount).max(FLOOR);
        *self.totals.entry((user, action)).or_default() += amount;
    }
}

fn hundredths(amount: i64) -> Kudos {
    Kudos::from_hundredths(amount)
}

fn total(user: UserId, action: KudosAction, amount: i64) -> UserTally {
    UserTally {
        user,
        action,
        amount: hundredths(amount),
    }
}

/// The stores of two nodes, of which one or the other crashes.
struct Nodes<'a> {
    db: &'a TestDb,
    stores: Vec<Store>,
    turn: usize,
}

impl Nodes<'_> {
    /// Does something on one node. Whoever gets no answer does it again, which must change nothing.
    async fn perform<T, F>(&mut self, fate: Fate, work: F) -> Vec<Result<T, JournalError>>
    where
        F: AsyncFn(Store) -> Result<T, JournalError>,
    {
        self.turn += 1;
        let node = self.turn % self.stores.len();
        let store = self.stores[node].clone();
        match fate {
            Fate::Answered => return vec![work(store).await],
            Fate::Deaf => {
                let first = work(store.clone()).await;
                return vec![first, work(store).await];
            }
            Fate::Crash => {
                // Queued, but nobody waits: as when the process is gone after the commit.
                drop(Box::pin(work(store)).as_mut().now_or_never());
            }
        }
        let next = self.db.open().await;
        std::mem::replace(&mut self.stores[node], next).close().await;
        vec![work(self.stores[node].clone()).await]
    }
}

/// Everything that a round needs to name things that no other round has.
struct Round<'a> {
    nodes: Nodes<'a>,
    model: Model,
    number: u32,
    step: usize,
    key: Uuid,
    worker: muster_store::WorkerCheckIn,
}

impl Round<'_> {
    fn event(&self, what: &str, kind: EventKind) -> LedgerEvent {
        LedgerEvent::new(format!("{what}:{}:{}", self.number, self.step), kind, at(1))
    }

    async fn take(&mut self, step: Step, fate: Fate) {
        let user = |model: &Model, n: usize| model.users[n];
        match step {
            Step::Request { user: n, tax, held } => self.request(user(&self.model, n), tax, held, fate).await,
            Step::Deliver {
                request,
                owner,
                charge,
                reward,
            } => {
                if !self.model.requests.is_empty() {
                    let request = request % self.model.requests.len();
                    self.deliver(request, user(&self.model, owner), (charge, reward), fate)
                        .await;
                }
            }
            Step::Expire { request } => {
                if !self.model.requests.is_empty() {
                    let Request { id, user, held } = self
                        .model
                        .requests
                        .swap_remove(request % self.model.requests.len());
                    let far = at(3600) + MINUTES_20;
                    self.nodes
                        .perform(fate, async |store: Store| {
                            store.journal().expire_requests(vec![id], far).await
                        })
                        .await;
                    self.model.pots(user).held -= held;
                }
            }
            Step::Uptime {
                user: n,
                amount,
                withheld,
            } => {
                self.uptime(user(&self.model, n), amount, withheld, fate).await;
            }
            Step::Promote { user: n } => self.promote(user(&self.model, n), fate).await,
            Step::Transfer {
                from,
                to,
                amount,
                key,
            } => {
                if from != to {
                    let (from, to) = (user(&self.model, from), user(&self.model, to));
                    self.transfer((from, to), amount, key, fate).await;
                }
            }
            Step::Grant {
                user: n,
                amount,
                kind,
            } => self.grant(user(&self.model, n), amount, kind, fate).await,
        }
    }

    async fn request(&mut self, user: UserId, tax: i64, held: i64, fate: Fate) {
        let request = new_request(user, 100);
        let id = request.id;
        let mut event = LedgerEvent::new(format!("activate:{id}"), EventKind::Generation, at(0))
            .of_request(id)
            .with_floor(user, hundredths(-tax), hundredths(FLOOR))
            .with(SystemAccount::Burn, hundredths(tax));
        if held > 0 {
            event = event
                .requiring(user, hundredths(held + FLOOR))
                .with_hold(user, hundredths(held));
        }
        let request = NewRequest {
            held: hundredths(held),
            event: Some(event),
            ..request
        };
        let outcomes = self
            .nodes
            .perform(fate, async |store: Store| {
                store.journal().create_request(request.clone()).await
            })
            .await;
        if held > 0 && self.model.available(user) < held + FLOOR {
            for outcome in outcomes {
                assert!(
                    matches!(outcome, Err(JournalError::Insufficient { .. })),
                    "{outcome:?}"
                );
            }
            return;
        }
        let pots = self.model.pots(user);
        pots.spendable = (pots.spendable - tax).max(FLOOR);
        pots.held += held;
        self.model.requests.push(Request { id, user, held });
    }

    async fn deliver(&mut self, request: usize, owner: UserId, (charge, reward): (i64, i64), fate: Fate) {
        let Request {
            id,
            user: payer,
            held,
        } = self.model.requests[request];
        let job = start(id, 1);
        let job_id = job.jobs[0].id;
        self.nodes.stores[0].journal().start_jobs(job).await.unwrap();
        let (escrow, spendable) = (reward / 2, reward - reward / 2);
        let event = LedgerEvent::new(format!("deliver:{job_id}"), EventKind::Generation, at(2))
            .with_floor(payer, hundredths(-charge), hundredths(FLOOR))
            .with_floor(owner, hundredths(spendable), hundredths(FLOOR))
            .with_escrow(owner, hundredths(escrow))
            .with(SystemAccount::Burn, hundredths(charge - reward));
        let finish = finish(id, job_id, Some(event));
        let finish = FinishJob {
            request_consumed: hundredths(charge),
            tallies: Tallies {
                totals: vec![
                    total(payer, KudosAction::Accumulated, -charge),
                    total(owner, KudosAction::Accumulated, spendable),
                ],
                records: vec![RecordTally {
                    user: owner,
                    record: RecordKind::Fulfillment,
                    kind: WorkKind::Image,
                    amount: 1.0,
                }],
                shared_keys: vec![SharedKeyTally {
                    key: self.key,
                    amount: hundredths(charge),
                }],
                ..Tallies::default()
            },
            ..finish
        };
        self.nodes
            .perform(fate, async |store: Store| {
                store.journal().finish_job(finish.clone()).await
            })
            .await
            .into_iter()
            .for_each(|outcome| drop(outcome.unwrap()));
        let model = &mut self.model;
        model.spend(payer, -charge, KudosAction::Accumulated);
        model.spend(owner, spendable, KudosAction::Accumulated);
        model.pots(owner).escrow += escrow;
        let used = held.min(charge);
        model.pots(payer).held -= used;
        model.requests[request].held -= used;
        if model.budget > 0 {
            model.budget = (model.budget - charge).max(0);
        }
        model.delivered += 1;
    }

    async fn uptime(&mut self, user: UserId, amount: i64, withheld: bool, fate: Fate) {
        let event = self
            .event("uptime", EventKind::UptimeReward)
            .with(SystemAccount::Treasury, hundredths(-amount));
        let (event, totals) = if withheld {
            (event.with_escrow(user, hundredths(amount)), Vec::new())
        } else {
            let event = event.with_floor(user, hundredths(amount), hundredths(FLOOR));
            (event, vec![total(user, KudosAction::Accumulated, amount)])
        };
        let tallies = Tallies {
            totals,
            ..Tallies::default()
        };
        let mut check_in = self.worker.clone();
        check_in.at = at(10 + self.step as i64);
        check_in.last_reward_uptime = self.step as i64;
        let outcomes = self
            .nodes
            .perform(fate, async |store: Store| {
                let journal = store.journal();
                journal
                    .reward_uptime(event.clone(), tallies.clone(), check_in.clone())
                    .await
            })
            .await;
        once(&outcomes, fate);
        let worker = self.nodes.stores[0]
            .worker(check_in.worker)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(worker.last_reward_uptime, check_in.last_reward_uptime);
        if withheld {
            self.model.pots(user).escrow += amount;
        } else {
            self.model.spend(user, amount, KudosAction::Accumulated);
        }
    }

    async fn promote(&mut self, user: UserId, fate: Fate) {
        let changes = AccountChanges {
            drain_escrow: Some(self.event("trust", EventKind::EscrowPromotion).key),
            ..AccountChanges::default()
        };
        self.nodes
            .perform(fate, async |store: Store| {
                store.journal().set_account(user, changes.clone(), at(1)).await
            })
            .await;
        let escrow = std::mem::take(&mut self.model.pots(user).escrow);
        if escrow > 0 {
            self.model.pots(user).spendable += escrow;
            *self
                .model
                .totals
                .entry((user, KudosAction::Accumulated))
                .or_default() += escrow;
        }
    }

    async fn transfer(&mut self, (from, to): (UserId, UserId), amount: i64, key: u8, fate: Fate) {
        let to_key = to == self.model.users[0];
        let event = LedgerEvent::new(
            format!("transfer:{}:{key}", self.number),
            EventKind::Transfer,
            at(1),
        )
        .with(from, hundredths(-amount))
        .with_floor(to, hundredths(amount), hundredths(FLOOR))
        .requiring(from, hundredths(amount + FLOOR));
        let gift = SharedKeyTally {
            key: self.key,
            amount: hundredths(amount),
        };
        let tallies = Tallies {
            totals: vec![
                total(from, KudosAction::Gifted, -amount),
                total(to, KudosAction::Received, amount),
            ],
            shared_key_gifts: to_key.then_some(gift).into_iter().collect(),
            ..Tallies::default()
        };
        let outcomes = self
            .nodes
            .perform(fate, async |store: Store| {
                store.journal().post(event.clone(), tallies.clone()).await
            })
            .await;
        let model = &mut self.model;
        if model.transfers.contains(&key) {
            assert!(
                outcomes
                    .iter()
                    .all(|outcome| matches!(outcome, Ok(Posted::Duplicate)))
            );
        } else if model.available(from) < amount + FLOOR {
            let refused = |outcome| matches!(outcome, &Err(JournalError::Insufficient { .. }));
            assert!(outcomes.iter().all(refused), "{outcomes:?}");
        } else {
            once(&outcomes, fate);
            model.transfers.insert(key);
            model.pots(from).spendable -= amount;
            *model.totals.entry((from, KudosAction::Gifted)).or_default() -= amount;
            model.spend(to, amount, KudosAction::Received);
            if to_key {
                model.budget += amount;
            }
        }
    }

    async fn grant(&mut self, user: UserId, amount: i64, kind: usize, fate: Fate) {
        let (kind, action) = [
            (EventKind::Award, KudosAction::Awarded),
            (EventKind::Recurring, KudosAction::Recurring),
            (EventKind::AdminAdjustment, KudosAction::Admin),
            (EventKind::StyleReward, KudosAction::Styled),
        ][kind];
        let payment = Payment {
            key: self.event("grant", kind).key,
            kind,
            action,
            amount: hundredths(amount),
            floor: hundredths(FLOOR),
        };
        let changes = AccountChanges {
            payment: Some(payment),
            ..AccountChanges::default()
        };
        self.nodes
            .perform(fate, async |store: Store| {
                store.journal().set_account(user, changes.clone(), at(1)).await
            })
            .await;
        self.model.spend(user, amount, action);
    }

    /// Everybody has what they must have, and it can be explained.
    async fn compare(&self) {
        let store = &self.nodes.stores[self.step % 2];
        for user in &self.model.users {
            let expected = self.model.pots.get(user).copied().unwrap_or_default();
            let has = store.balances(*user).await.unwrap();
            let has = Pots {
                spendable: has.spendable.hundredths(),
                escrow: has.escrow.hundredths(),
                held: has.held.hundredths(),
            };
            assert_eq!(has, expected, "{user}");
            let explained = store.explain_balance(*user, None, 10_000).await.unwrap();
            let mut last = BTreeMap::new();
            for line in explained.iter().rev() {
                let pot = last.entry(line.entry.pot).or_insert(Kudos::ZERO);
                *pot += line.entry.amount;
                assert_eq!(*pot, line.balance);
            }
            for counted in store.user_totals(*user).await.unwrap() {
                let expected = self
                    .model
                    .totals
                    .get(&(*user, counted.action))
                    .copied()
                    .unwrap_or(0);
                assert_eq!(
                    counted.amount.hundredths(),
                    expected,
                    "{user} {:?}",
                    counted.action
                );
            }
        }
        let key = store.shared_key(self.key).await.unwrap().unwrap();
        assert_eq!(key.kudos.hundredths(), self.model.budget);
        assert_clean(store).await;
    }
}

/// Of several attempts the first one counted, if it was heard of.
fn once(outcomes: &[Result<Posted, JournalError>], fate: Fate) {
    let posted = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(Posted::Posted { .. })))
        .count();
    let expected = usize::from(fate != Fate::Crash);
    assert_eq!(posted, expected, "{outcomes:?}");
    assert!(matches!(outcomes.last(), Some(Ok(_))));
}

async fn everything_that_moves_kudos_adds_up(db: &TestDb) {
    let mut runner = TestRunner::deterministic();
    let mut stores = vec![db.open().await, db.open().await];
    for round in 0..ROUNDS {
        let steps = prop::collection::vec((step(), fate()), 1..70)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let mut model = Model::default();
        for n in 0..USERS {
            model
                .users
                .push(account(&stores[0], &format!("user{round}-{n}")).await);
        }
        let key = shared_key(model.users[0]);
        stores[0]
            .journal()
            .create_shared_key(key.clone(), 3)
            .await
            .unwrap();
        model.budget = key.kudos.hundredths();
        let worker = new_worker(model.users[0], &format!("worker{round}"));
        stores[0].journal().register_worker(worker.clone()).await.unwrap();
        let mut this = Round {
            nodes: Nodes { db, stores, turn: 0 },
            model,
            number: round,
            step: 0,
            key: key.id,
            worker: worker.state,
        };
        for (n, (step, fate)) in steps.into_iter().enumerate() {
            this.step = n;
            this.take(step, fate).await;
        }
        this.compare().await;
        stores = this.nodes.stores;
    }
    for store in stores {
        store.close().await;
    }
}
