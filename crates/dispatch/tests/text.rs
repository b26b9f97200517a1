//! The text kind against its rules, written down once more as plainly as possible (spec: text, section
//! A10).

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use muster_dispatch::{
    Board, Pop, Reservation, Ticket, WorkerList, could_serve, makes_possible, obstacles,
    text::{Demand, Offer, SkipReason, Skipped, Text},
};
use muster_protocol::{RequestId, Timestamp, UserId, WorkerId};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const MODELS: [&str; 3] = ["koboldcpp/a", "aphrodite/org/b", "c"];

fn worker_id(number: u128) -> WorkerId {
    WorkerId(Uuid::from_u128(number))
}

#[derive(Clone, Debug)]
struct Worker {
    id: WorkerId,
    owner: UserId,
    models: Vec<Arc<str>>,
    offer: Offer,
}

impl Worker {
    fn pop(&self) -> Pop<'_, Offer> {
        Pop {
            worker: self.id,
            owner: self.owner,
            models: &self.models,
            amount: 3,
            priority_users: &[],
            offer: &self.offer,
            now: NOW,
        }
    }
}

fn models() -> impl Strategy<Value = Vec<Arc<str>>> {
    proptest::sample::subsequence(MODELS.to_vec(), 0..=3)
        .prop_map(|names| names.into_iter().map(Arc::from).collect())
}

fn workers() -> impl Strategy<Value = WorkerList> {
    let some = proptest::sample::subsequence(vec![1, 2, 3], 1..=2)
        .prop_map(|ids| ids.into_iter().map(worker_id).collect::<Vec<_>>());
    prop_oneof![
        3 => Just(WorkerList::Any),
        1 => some.clone().prop_map(WorkerList::Only),
        1 => some.prop_map(WorkerList::Except),
    ]
}

prop_compose! {
    fn ticket()(
        user in 0..4_i64, priority in 0..100_i64, slots in 1..4_u32, models in models(), workers in workers(),
        max_length in proptest::sample::select(vec![80, 512, 1024]),
        max_context_length in proptest::sample::select(vec![2048, 8192]),
        trusted_workers in any::<bool>(), validated_backends in any::<bool>(), slow_workers in any::<bool>(),
        id in any::<u128>(),
    ) -> Ticket<Demand> {
        Ticket {
            request: RequestId(Uuid::from_u128(id)),
            requester: UserId(user),
            priority,
            created: NOW,
            expires: NOW + std::time::Duration::from_mins(20),
            slots,
            things: u64::from(max_length),
            models,
            workers,
            demand: Demand { max_length, max_context_length, trusted_workers, validated_backends, slow_workers },
        }
    }
}

prop_compose! {
    fn worker()(
        id in 1..4_u128, owner in 0..4_i64, models in models(),
        max_length in proptest::sample::select(vec![80, 512, 1024]),
        max_context_length in proptest::sample::select(vec![2048, 8192]),
        speed in proptest::sample::select(vec![1.0, 5.0]),
        owner_trusted in any::<bool>(), validated_backend in any::<bool>(), maintenance in any::<bool>(),
    ) -> Worker {
        Worker {
            id: worker_id(id),
            owner: UserId(owner),
            models,
            offer: Offer {
                max_length, max_context_length, speed, fast_from: 5.0, owner_trusted, validated_backend,
                maintenance, paused: false,
            },
        }
    }
}

/// Whether the worker may have the request.
fn fits(ticket: &Ticket<Demand>, worker: &Worker) -> bool {
    let (demand, offer) = (&ticket.demand, &worker.offer);
    (ticket.models.is_empty() || ticket.models.iter().any(|model| worker.models.contains(model)))
        && ticket.workers.admits(worker.id)
        && demand.max_length <= offer.max_length
        && demand.max_context_length <= offer.max_context_length
        && (demand.slow_workers || offer.speed >= offer.fast_from)
        && (!demand.validated_backends || offer.validated_backend)
        && (!demand.trusted_workers || offer.owner_trusted)
        && (!offer.maintenance || ticket.requester == worker.owner)
}

/// The request that the worker gets: its owner's first, then everybody's, each in queue order.
fn first<'a>(tickets: &'a [Ticket<Demand>], worker: &Worker) -> Option<&'a Ticket<Demand>> {
    let waiting = tickets
        .iter()
        .filter(|ticket| ticket.slots > 0 && fits(ticket, worker));
    waiting.min_by_key(|ticket| {
        (
            ticket.requester != worker.owner,
            -ticket.priority,
            ticket.created,
            ticket.request,
        )
    })
}

fn count(tickets: &[Ticket<Demand>], test: impl Fn(&Ticket<Demand>) -> bool) -> u64 {
    tickets
        .iter()
        .filter(|ticket| ticket.slots > 0 && test(ticket))
        .count() as u64
}

fn skipped(tickets: &[Ticket<Demand>], worker: &Worker) -> Skipped {
    let offer = &worker.offer;
    let offered = |ticket: &Ticket<Demand>| ticket.models.iter().any(|model| worker.models.contains(model));
    Skipped {
        models: count(tickets, |ticket| !ticket.models.is_empty() && !offered(ticket)),
        worker_id: count(tickets, |ticket| !ticket.workers.admits(worker.id)),
        max_length: count(tickets, |ticket| ticket.demand.max_length > offer.max_length),
        max_context_length: count(tickets, |ticket| {
            ticket.demand.max_context_length > offer.max_context_length
        }),
        performance: count(tickets, |ticket| {
            !ticket.demand.slow_workers && offer.speed < offer.fast_from
        }),
        untrusted: count(tickets, |ticket| {
            ticket.demand.trusted_workers && !offer.owner_trusted
        }),
        bridge_version: count(tickets, |ticket| {
            ticket.demand.validated_backends && !offer.validated_backend
        }),
    }
}

proptest! {
    #[test]
    fn every_pop_is_answered_by_the_rules(
        mut tickets in proptest::collection::vec(ticket(), 0..12), pops in proptest::collection::vec(worker(), 1..20),
    ) {
        let mut board = Board::<Text>::new();
        for ticket in &tickets {
            prop_assert!(board.insert(ticket.clone()));
        }
        let mut rng = StdRng::seed_from_u64(1);
        for worker in pops {
            let expected = first(&tickets, &worker).cloned();
            match board.reserve(&worker.pop(), &mut rng) {
                Reservation::Reserved(reserved) => {
                    let expected = expected.unwrap();
                    prop_assert_eq!(reserved.request, expected.request);
                    prop_assert_eq!(reserved.slots, expected.slots.min(3));
                    let shared = expected.models.iter().any(|model| worker.models.contains(model));
                    prop_assert!(!shared || expected.models.contains(&reserved.model));
                    let ticket = tickets.iter_mut().find(|ticket| ticket.request == reserved.request).unwrap();
                    ticket.slots -= reserved.slots;
                }
                Reservation::Unread(unread) => prop_assert!(false, "text workers forbid no words: {:?}", unread),
                Reservation::Nothing { skipped: told } => {
                    prop_assert!(expected.is_none());
                    if !worker.offer.maintenance {
                        prop_assert_eq!(told, skipped(&tickets, &worker));
                    }
                }
            }
        }
    }

    #[test]
    fn a_request_is_possible_if_some_worker_fits(ticket in ticket(), worker in worker()) {
        prop_assert_eq!(makes_possible::<Text>(&ticket, &worker.pop()).is_ok(), fits(&ticket, &worker));
        prop_assert_eq!(could_serve::<Text>(&ticket, &worker.pop()).is_ok(), fits(&ticket, &worker));
        let obstacles = obstacles::<Text>(&ticket, &worker.pop());
        match makes_possible::<Text>(&ticket, &worker.pop()) {
            Ok(()) => prop_assert_eq!(obstacles, []),
            Err(first) => prop_assert!(obstacles.contains(&first), "{:?} is not in {:?}", first, obstacles),
        }
    }
}

#[test]
fn the_first_reason_is_told() {
    let worker = Worker {
        id: worker_id(1),
        owner: UserId(1),
        models: vec!["a".into()],
        offer: Offer::default(),
    };
    let ticket = |demand| Ticket {
        request: RequestId(Uuid::from_u128(1)),
        requester: UserId(2),
        priority: 0,
        created: NOW,
        expires: NOW + std::time::Duration::from_mins(20),
        slots: 1,
        things: 80,
        models: vec!["a".into()],
        workers: WorkerList::Any,
        demand,
    };
    let reason = |demand| could_serve::<Text>(&ticket(demand), &worker.pop()).unwrap_err();
    let long = Demand {
        max_length: 513,
        ..Demand::default()
    };
    assert_eq!(reason(long), SkipReason::MaxLength);
    let wide = Demand {
        max_context_length: 4096,
        ..Demand::default()
    };
    assert_eq!(reason(wide), SkipReason::MaxContextLength);
    let hurried = Demand {
        slow_workers: false,
        ..Demand::default()
    };
    assert_eq!(reason(hurried), SkipReason::Performance);
    let checked = Demand {
        validated_backends: true,
        ..Demand::default()
    };
    assert_eq!(reason(checked), SkipReason::BridgeVersion);
    let trusted = Demand {
        trusted_workers: true,
        ..Demand::default()
    };
    assert_eq!(reason(trusted), SkipReason::Untrusted);
}
