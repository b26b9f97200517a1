//! The board against a naive one that follows the specification to the letter: whatever is done to
//! both, they must give the same answers.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod naive;
mod world;

use std::sync::Arc;

use muster_dispatch::{
    Blacklist, Board, Due, Reservation, could_serve,
    image::{Image, Skipped},
    makes_possible, obstacles,
};
use muster_protocol::{JobId, Kudos, RequestId, Timestamp, UserId};
use naive::{Job, Naive};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;
use world::{MODELS, USERS, Worker, random_ticket, random_worker, request_id, worker_id};

/// Both boards, and what a caller would remember.
struct Pair {
    board: Board<Image>,
    naive: Naive,
    now: Timestamp,
    requests: u128,
    jobs: u128,
    /// Slots taken and neither given back nor lost.
    taken: Vec<(RequestId, u32)>,
    /// How often prompts were handed out to be read.
    handed_out: u32,
}

/// Something done to both boards. `dice` decides the details.
#[derive(Clone, Copy, Debug)]
enum Op {
    Insert { dice: u64 },
    Pop { dice: u64 },
    Release { dice: u64 },
    Cancel { dice: u64 },
    Remove { dice: u64 },
    SetSlots { dice: u64 },
    SetExpiry { dice: u64 },
    Revise { dice: u64 },
    SetAvailable { dice: u64 },
    StartJob { dice: u64 },
    FinishJob { dice: u64 },
    Wait { seconds: u8 },
    Due,
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => any::<u64>().prop_map(|dice| Op::Insert { dice }),
        8 => any::<u64>().prop_map(|dice| Op::Pop { dice }),
        2 => any::<u64>().prop_map(|dice| Op::Release { dice }),
        1 => any::<u64>().prop_map(|dice| Op::Cancel { dice }),
        1 => any::<u64>().prop_map(|dice| Op::Remove { dice }),
        1 => any::<u64>().prop_map(|dice| Op::SetSlots { dice }),
        1 => any::<u64>().prop_map(|dice| Op::SetExpiry { dice }),
        1 => any::<u64>().prop_map(|dice| Op::Revise { dice }),
        1 => any::<u64>().prop_map(|dice| Op::SetAvailable { dice }),
        1 => any::<u64>().prop_map(|dice| Op::StartJob { dice }),
        1 => any::<u64>().prop_map(|dice| Op::FinishJob { dice }),
        1 => (0..8u8).prop_map(|seconds| Op::Wait { seconds }),
        1 => Just(Op::Due),
    ]
}

impl Pair {
    fn new(matched_targeting: bool) -> Self {
        Self {
            board: Board::new().with_matched_targeting(matched_targeting),
            naive: Naive {
                matched_targeting,
                ..Naive::default()
            },
            now: Timestamp::from_millis(1_000_000),
            requests: 0,
            jobs: 0,
            taken: Vec::new(),
            handed_out: 0,
        }
    }

    fn insert(&mut self, odd: u32, rng: &mut ChaCha8Rng) {
        self.requests += 1;
        let ticket = random_ticket(self.requests, self.now, odd, rng);
        assert!(self.board.insert(ticket.clone()));
        assert!(
            !self.board.insert(ticket.clone()),
            "a second time changes nothing"
        );
        self.naive.insert(ticket);
    }

    /// What a worker gets, after all prompts that must be have been read.
    fn reserve(&mut self, worker: &Worker, rng: &mut ChaCha8Rng) -> Reservation<Skipped> {
        loop {
            match self.board.reserve(&worker.pop(self.now), rng) {
                Reservation::Unread(unread) => {
                    self.handed_out += 1;
                    self.board.learn(unread.read());
                }
                answer => return answer,
            }
        }
    }

    fn pop(&mut self, odd: u32, rng: &mut ChaCha8Rng) -> Option<RequestId> {
        let worker = random_worker(odd, rng);
        self.pop_as(worker, rng)
    }

    fn pop_as(&mut self, mut worker: Worker, rng: &mut ChaCha8Rng) -> Option<RequestId> {
        let mut same = rng.clone();
        let expected = self.naive.reserve(&worker, self.now, &mut same);
        let answer = self.reserve(&worker, rng);
        assert_eq!(answer, expected, "{worker:?}");
        let Reservation::Reserved(reserved) = answer else {
            return None;
        };
        let ticket = self.board.get(reserved.request).unwrap();
        // The ticket says what the requester had when it was written, the board knows better.
        worker.offer.require_upfront_kudos = false;
        assert_eq!(could_serve::<Image>(ticket, &worker.pop(self.now)), Ok(()));
        if !reserved.decoy {
            self.taken.push((reserved.request, reserved.slots));
        }
        Some(reserved.request)
    }

    fn some_request(&self, rng: &mut ChaCha8Rng) -> RequestId {
        request_id(rng.random_range(0..=self.requests))
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Insert { dice } => self.insert(dice as u32 % 8, &mut ChaCha8Rng::seed_from_u64(dice)),
            Op::Pop { dice } => {
                self.pop(dice as u32 % 8, &mut ChaCha8Rng::seed_from_u64(dice));
            }
            Op::Wait { seconds } => {
                self.now = Timestamp::from_millis(self.now.millis() + 1000 * i64::from(seconds));
            }
            Op::Due => assert_eq!(self.board.due(self.now), self.naive.due(self.now)),
            Op::Release { dice }
            | Op::Cancel { dice }
            | Op::Remove { dice }
            | Op::SetSlots { dice }
            | Op::SetExpiry { dice }
            | Op::Revise { dice }
            | Op::SetAvailable { dice }
            | Op::StartJob { dice }
            | Op::FinishJob { dice } => self.change(op, &mut ChaCha8Rng::seed_from_u64(dice)),
        }
    }

    fn change(&mut self, op: Op, rng: &mut ChaCha8Rng) {
        let id = self.some_request(rng);
        match op {
            Op::Release { .. } => {
                if self.taken.is_empty() {
                    return;
                }
                let (id, slots) = self.taken.swap_remove(rng.random_range(0..self.taken.len()));
                self.board.release(id, slots);
                if let Some(it) = self.naive.find(id).filter(|it| !it.cancelled) {
                    it.ticket.slots += slots;
                }
            }
            Op::Cancel { .. } => {
                self.board.cancel(id);
                if let Some(it) = self.naive.find(id) {
                    it.cancelled = true;
                    it.ticket.slots = 0;
                }
            }
            Op::Remove { .. } => {
                let there = self.naive.find(id).is_some();
                assert_eq!(self.board.remove(id).is_some(), there);
                self.naive.remove(id);
            }
            Op::SetSlots { .. } => {
                let slots = rng.random_range(0..4);
                self.board.set_slots(id, slots);
                if let Some(it) = self.naive.find(id).filter(|it| !it.cancelled) {
                    it.ticket.slots = slots;
                }
            }
            Op::SetExpiry { .. } => {
                let expires = Timestamp::from_millis(self.now.millis() + rng.random_range(-5..30) * 1000);
                self.board.set_expiry(id, expires);
                if let Some(it) = self.naive.find(id) {
                    it.ticket.expires = expires;
                    it.announced = false;
                }
            }
            Op::Revise { .. } => {
                let models = self
                    .board
                    .get(id)
                    .map(|ticket| ticket.models.clone())
                    .unwrap_or_default();
                let mut demand = random_ticket(0, self.now, 3, rng).demand;
                demand.named = muster_dispatch::image::NamedModels::of(&models, world::reference());
                self.board.revise(id, demand.clone());
                if let Some(it) = self.naive.find(id) {
                    let user = it.ticket.requester;
                    it.ticket.demand = demand.clone();
                    if !demand.requester_trusted {
                        self.naive.available.insert(user, demand.available);
                    }
                }
            }
            Op::SetAvailable { .. } => {
                let (user, kudos) = (
                    UserId(rng.random_range(0..USERS)),
                    Kudos::from_whole(rng.random_range(0..20)),
                );
                self.board.set_available(user, kudos);
                if self.naive.requests.iter().any(|it| it.ticket.requester == user) {
                    self.naive.available.insert(user, kudos);
                }
            }
            Op::StartJob { .. } => {
                self.jobs += 1;
                let job = JobId(Uuid::from_u128(self.jobs));
                let deadline = Timestamp::from_millis(self.now.millis() + rng.random_range(-3..20) * 1000);
                let there = self.naive.find(id).is_some();
                assert_eq!(self.board.start_job(job, id, worker_id(0), deadline), there);
                if there {
                    self.naive.jobs.push(Job {
                        id: job,
                        request: id,
                        deadline,
                        announced: false,
                    });
                }
            }
            _ => {
                let job = JobId(Uuid::from_u128(rng.random_range(0..=self.jobs)));
                let known = self
                    .naive
                    .jobs
                    .iter()
                    .position(|it| it.id == job)
                    .map(|at| self.naive.jobs.remove(at));
                assert_eq!(
                    self.board.finish_job(job).map(|it| it.request),
                    known.map(|it| it.request)
                );
            }
        }
    }

    /// Everything that can be asked without changing anything.
    fn compare(&mut self, rng: &mut ChaCha8Rng) {
        let worker = random_worker(3, rng);
        let id = self.some_request(rng);
        let possible = self.board.is_possible(id, [worker.pop(self.now)]);
        assert_eq!(possible, self.naive.is_possible(id, &worker), "{id} {worker:?}");
        if let Some(ticket) = self.board.get(id) {
            let pop = worker.pop(self.now);
            let all = obstacles::<Image>(ticket, &pop);
            match makes_possible::<Image>(ticket, &pop) {
                Ok(()) => assert_eq!(all, []),
                Err(first) => assert!(all.contains(&first), "{first} is not in {all:?}"),
            }
        }
        for number in 0..=self.requests {
            let id = request_id(number);
            assert_eq!(self.board.place(id), self.naive.place(id), "place of {id}");
        }
        assert_eq!(self.board.totals(), self.naive.totals(None));
        for name in MODELS {
            assert_eq!(
                self.board.model_totals(name),
                self.naive.totals(Some(name)),
                "{name}"
            );
        }
        for user in (0..USERS).map(UserId) {
            assert_eq!(self.board.pending_slots(user), self.naive.pending(user, &[]));
        }
        for names in [&MODELS[..1], &MODELS[2..5]] {
            let names: Vec<Arc<str>> = names.iter().map(|&name| Arc::from(name)).collect();
            assert_eq!(
                self.board.pending_anonymous(&names),
                self.naive.pending(UserId::ANONYMOUS, &names)
            );
        }
        assert_eq!(self.board.next_due(), self.naive.next_due());
        assert_eq!(self.board.len(), self.naive.requests.len());
        assert_eq!(self.board.jobs_in_progress(), self.naive.jobs.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Same request, same slots, same model, same skip counts, same places, same due events.
    #[test]
    fn both_boards_agree(ops in prop::collection::vec(ops(), 1..120), matched in prop::bool::weighted(0.2)) {
        let mut pair = Pair::new(matched);
        let mut rng = ChaCha8Rng::seed_from_u64(ops.len() as u64);
        for op in ops {
            pair.apply(op);
            pair.compare(&mut rng);
        }
    }

    /// Whatever is served is served in order, and nothing that can be served stays behind: one
    /// worker that takes one slot at a time sees exactly the requests it can serve, in order.
    #[test]
    fn nothing_starves(seed in any::<u64>(), odd in 0..8u32) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut pair = Pair::new(false);
        for _ in 0..60 {
            pair.insert(odd, &mut rng);
        }
        let mut worker = random_worker(1, &mut rng);
        worker.offer.paused = false;
        worker.offer.require_upfront_kudos = false;
        worker.amount = 1;
        let mut expected = Vec::new();
        let pop = worker.pop(pair.now);
        pair.naive.now = pair.now;
        for first in [true, false] {
            for it in pair.naive.queue() {
                let is_first = it.ticket.requester == worker.owner || worker.priority_users.contains(&it.ticket.requester);
                if is_first == first && could_serve::<Image>(pair.board.get(it.ticket.request).unwrap(), &pop).is_ok() {
                    expected.extend(std::iter::repeat_n(it.ticket.request, it.ticket.slots as usize));
                }
            }
        }
        let mut served = Vec::new();
        while let Reservation::Reserved(reserved) = pair.board.reserve(&pop, &mut rng) {
            prop_assert_eq!(reserved.slots, 1);
            served.push(reserved.request);
        }
        prop_assert_eq!(served, expected);
    }
}

/// Long queues: many blocks in each lane, users with more requests than are looked at one by one.
#[test]
fn both_boards_agree_on_long_queues() {
    for seed in 0..3 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut pair = Pair::new(seed == 2);
        for _ in 0..6000 {
            pair.insert(1, &mut rng);
        }
        for round in 0..400 {
            let odd = if round % 2 == 0 { 12 } else { 1 };
            if let Some(request) = pair.pop(odd, &mut rng)
                && round % 3 == 0
            {
                assert_eq!(pair.board.place(request), pair.naive.place(request));
                let (id, slots) = pair.taken.pop().unwrap_or((request, 0));
                pair.board.release(id, slots);
                pair.naive.find(id).unwrap().ticket.slots += slots;
            }
            let id = pair.some_request(&mut rng);
            if round % 5 == 0 {
                pair.board.remove(id);
                pair.naive.remove(id);
            }
        }
        for number in (1..pair.requests).step_by(97) {
            assert_eq!(
                pair.board.place(request_id(number)),
                pair.naive.place(request_id(number))
            );
        }
        assert_eq!(pair.board.totals(), pair.naive.totals(None));
    }
}

/// Long queues of long prompts: whatever is read by the board itself and whatever elsewhere, and whatever
/// changes meanwhile, the answers are the same.
#[test]
fn it_does_not_matter_who_reads_the_prompts() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut pair = Pair::new(false);
    for _ in 0..9000 {
        pair.requests += 1;
        let mut ticket = random_ticket(pair.requests, pair.now, 1, &mut rng);
        let prompt = format!("{} and {}", ticket.demand.prompt, "no end of details ".repeat(10));
        ticket.demand.prompt = prompt.into();
        assert!(pair.board.insert(ticket.clone()));
        pair.naive.insert(ticket);
    }
    for round in 0..60 {
        let mut worker = random_worker(1, &mut rng);
        worker.words = vec![
            ["details", "unheard of", "dög"][round % 3].to_owned(),
            format!("word {}", round / 9),
        ];
        worker.offer.blacklist = Some(Arc::new(Blacklist::new(&worker.words)));
        worker.offer.paused = false;
        match pair.board.reserve(&worker.pop(pair.now), &mut rng.clone()) {
            // Somebody else changes the queue while the prompts are being read.
            Reservation::Unread(unread) => {
                let id = pair.some_request(&mut rng);
                pair.board.remove(id);
                pair.naive.remove(id);
                pair.insert(1, &mut rng);
                pair.board.learn(unread.read());
            }
            Reservation::Reserved(reserved) => pair.board.release(reserved.request, reserved.slots),
            Reservation::Nothing { .. } => {}
        }
        pair.pop_as(worker, &mut rng);
    }
    assert!(pair.handed_out > 10, "{}", pair.handed_out);
}

/// The random world is no desert: everything that can be reported is, and pops of all outcomes occur.
#[test]
fn all_outcomes_occur() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (mut served, mut decoys) = (0, 0);
    let mut sum = Skipped::default();
    for _ in 0..150 {
        let mut pair = Pair::new(false);
        for _ in 0..12 {
            pair.insert(4, &mut rng);
        }
        for _ in 0..8 {
            let worker = random_worker(5, &mut rng);
            match pair.board.reserve(&worker.pop(pair.now), &mut rng) {
                Reservation::Reserved(reserved) if reserved.decoy => decoys += 1,
                Reservation::Reserved(_) => served += 1,
                Reservation::Unread(unread) => panic!("there is little to read: {unread:?}"),
                Reservation::Nothing { skipped: s } => {
                    sum.models += s.models;
                    sum.worker_id += s.worker_id;
                    sum.max_pixels += s.max_pixels;
                    sum.img2img += s.img2img;
                    sum.painting += s.painting;
                    sum.unsafe_ip += s.unsafe_ip;
                    sum.nsfw += s.nsfw;
                    sum.lora += s.lora;
                    sum.post_processing += s.post_processing;
                    sum.controlnet += s.controlnet;
                    sum.performance += s.performance;
                    sum.untrusted += s.untrusted;
                    sum.bridge_version += s.bridge_version;
                    sum.kudos += s.kudos;
                    sum.blacklist += s.blacklist;
                    sum.step_count += s.step_count;
                }
            }
        }
    }
    let text = format!("{sum:?}");
    assert!(!text.contains(": 0,") && !text.contains(": 0 "), "{text}");
    assert!(served > 100 && decoys > 10, "{served} {decoys}");
}

#[test]
fn what_is_due_comes_once_and_in_order() {
    let mut pair = Pair::new(false);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..50 {
        pair.insert(0, &mut rng);
        pair.apply(Op::StartJob { dice: rng.random() });
    }
    let later = Timestamp::from_millis(pair.now.millis() + 60_000);
    let due = pair.board.due(later);
    assert_eq!(due, pair.naive.due(later));
    assert_eq!(
        due.iter()
            .filter(|due| matches!(due, Due::RequestExpired(_)))
            .count(),
        50
    );
    assert_eq!(pair.board.due(later), []);
    assert_eq!(pair.board.next_due(), None);
    assert_eq!(
        pair.board.len(),
        50,
        "expired requests stay until they are removed"
    );
}
