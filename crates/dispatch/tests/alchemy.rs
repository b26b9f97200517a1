//! Forms against their rules, written down once more as plainly as possible (spec: alchemy, section A8).

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use muster_dispatch::{
    Board, Pop, Reservation, Ticket, WorkerList,
    alchemy::{Alchemy, Demand, Offer, Skipped},
};
use muster_protocol::{RequestId, Timestamp, UserId, WorkerId};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const FORMS: [&str; 4] = ["caption", "interrogation", "nsfw", "GFPGAN"];

/// A request as its engine sees it: the forms that still wait, in order.
#[derive(Clone, Debug)]
struct Request {
    id: RequestId,
    user: UserId,
    priority: i64,
    forms: Vec<&'static str>,
    demand: Demand,
}

impl Request {
    fn models(&self) -> Vec<Arc<str>> {
        let mut models: Vec<Arc<str>> = Vec::new();
        for form in &self.forms {
            if !models.iter().any(|model| **model == **form) {
                models.push(Arc::from(*form));
            }
        }
        models
    }

    fn ticket(&self) -> Ticket<Demand> {
        Ticket {
            request: self.id,
            requester: self.user,
            priority: self.priority,
            created: NOW,
            expires: Timestamp::from_millis(2_000_000),
            slots: self.forms.len() as u32,
            things: 1,
            models: self.models(),
            workers: WorkerList::Any,
            demand: self.demand.clone(),
        }
    }
}

#[derive(Clone, Debug)]
struct Worker {
    owner: UserId,
    forms: Vec<Arc<str>>,
    offer: Offer,
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let request = (
        proptest::collection::vec(proptest::sample::select(FORMS.to_vec()), 0..5),
        0..3_i64,
        -3..3_i64,
        1..4_u32,
        any::<bool>(),
        any::<bool>(),
    );
    proptest::collection::vec(request, 1..8).prop_map(|requests| {
        let numbered = requests.into_iter().enumerate();
        numbered
            .map(
                |(number, (forms, user, priority, tiles, trusted_workers, slow_workers))| Request {
                    id: RequestId(Uuid::from_u128(number as u128)),
                    user: UserId(user),
                    priority,
                    forms,
                    demand: Demand {
                        tiles,
                        trusted_workers,
                        slow_workers,
                    },
                },
            )
            .collect()
    })
}

fn workers() -> impl Strategy<Value = Vec<Worker>> {
    let worker = (
        0..3_i64,
        proptest::sample::subsequence(FORMS.to_vec(), 0..=4),
        1..4_u32,
        prop_oneof![Just(1.0), Just(9.99), Just(10.0)],
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(owner, forms, max_tiles, seconds_per_form, owner_trusted, maintenance)| Worker {
                owner: UserId(owner),
                forms: forms.into_iter().map(Arc::from).collect(),
                offer: Offer {
                    max_tiles,
                    seconds_per_form,
                    owner_trusted,
                    maintenance,
                },
            },
        );
    proptest::collection::vec(worker, 1..20)
}

/// Whether the request is a candidate at all, and whether it may be had.
fn judge(request: &Request, worker: &Worker) -> (bool, bool) {
    let (demand, offer) = (&request.demand, &worker.offer);
    let candidate = request
        .forms
        .iter()
        .any(|form| worker.forms.iter().any(|offered| **offered == **form))
        && demand.tiles <= offer.max_tiles
        && (!offer.maintenance || request.user == worker.owner)
        && (offer.seconds_per_form < 10.0 || demand.slow_workers);
    (candidate, !demand.trusted_workers || offer.owner_trusted)
}

/// The request that the worker should get: the owner's first, then by priority, then the older one.
fn expected(requests: &[Request], worker: &Worker) -> Option<RequestId> {
    let mut suitable: Vec<&Request> = requests
        .iter()
        .filter(|request| judge(request, worker) == (true, true))
        .collect();
    suitable.sort_by_key(|request| (request.user != worker.owner, -request.priority, request.id));
    suitable.first().map(|request| request.id)
}

proptest! {
    #[test]
    fn forms_are_handed_out_as_the_rules_say(mut requests in requests(), workers in workers()) {
        let mut board: Board<Alchemy> = Board::new();
        let mut rng = StdRng::seed_from_u64(7);
        for request in &requests {
            board.insert(request.ticket());
        }
        for (number, worker) in workers.iter().enumerate() {
            let pop = Pop {
                worker: WorkerId(Uuid::from_u128(1000 + number as u128)),
                owner: worker.owner,
                models: &worker.forms,
                amount: 5,
                priority_users: &[],
                offer: &worker.offer,
                now: NOW,
            };
            let expected = expected(&requests, worker);
            match board.reserve(&pop, &mut rng) {
                Reservation::Reserved(reserved) => {
                    prop_assert_eq!(Some(reserved.request), expected);
                    prop_assert_eq!((reserved.slots, reserved.decoy), (1, false));
                    prop_assert!(worker.forms.contains(&reserved.model));
                    let request = requests.iter_mut().find(|request| request.id == reserved.request).unwrap();
                    let taken = request.forms.iter().position(|form| **form == *reserved.model).unwrap();
                    request.forms.remove(taken);
                    board.set_models(request.id, request.models());
                    prop_assert_eq!(board.get(request.id).unwrap().slots, request.forms.len() as u32);
                }
                Reservation::Nothing { skipped } => {
                    prop_assert_eq!(None, expected);
                    let untrusted = requests
                        .iter()
                        .filter(|request| judge(request, worker) == (true, false))
                        .count() as u64;
                    prop_assert_eq!(skipped, Skipped { worker_id: 0, untrusted });
                }
                Reservation::Unread(_) => prop_assert!(false, "alchemists have no forbidden words"),
            }
            for form in FORMS {
                let waiting = requests.iter().filter(|request| request.forms.contains(&form)).count() as u64;
                prop_assert_eq!(board.model_totals(form).requests, waiting);
            }
        }
    }
}

#[test]
fn a_form_that_comes_back_waits_again() {
    let mut board: Board<Alchemy> = Board::new();
    let request = Request {
        id: RequestId(Uuid::from_u128(1)),
        user: UserId(1),
        priority: 0,
        forms: vec!["caption"],
        demand: Demand::default(),
    };
    board.insert(request.ticket());
    let forms = [Arc::from("caption")];
    let offer = Offer::default();
    let pop = Pop {
        worker: WorkerId(Uuid::from_u128(2)),
        owner: UserId(2),
        models: &forms,
        amount: 1,
        priority_users: &[],
        offer: &offer,
        now: NOW,
    };
    let mut rng = StdRng::seed_from_u64(1);
    assert!(matches!(board.reserve(&pop, &mut rng), Reservation::Reserved(_)));
    board.set_models(request.id, Vec::new());
    assert!(matches!(
        board.reserve(&pop, &mut rng),
        Reservation::Nothing { .. }
    ));
    board.set_models(request.id, forms.to_vec());
    board.release(request.id, 1);
    assert!(matches!(board.reserve(&pop, &mut rng), Reservation::Reserved(_)));
}
