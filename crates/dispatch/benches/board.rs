//! How fast the board decides, with up to 100,000 requests for 50 models in the queue.
//!
//! `mixed` is traffic as it comes; the other queues are made to hurt: nothing in them (or only the
//! very last request) can be served by the worker that asks, each for another reason.

#![allow(missing_docs, clippy::unwrap_used, clippy::cast_possible_wrap)]

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use muster_dispatch::{
    Blacklist, Board, Pop, Reservation, Ticket, WorkerList,
    image::{BridgeAgent, Demand, HostedModels, Image, NamedModels, Offer, Skipped},
    makes_possible, obstacles,
};
use muster_protocol::{
    Kudos, RequestId, Timestamp, UserId, WorkerId,
    image::{PostProcessor, Sampler, SourceProcessing},
};
use rand::{RngExt, SeedableRng, rngs::SmallRng, seq::IndexedRandom};
use strum::IntoEnumIterator;
use uuid::Uuid;

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const MANY: usize = 100_000;
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn models() -> Vec<Arc<str>> {
    (0..50)
        .map(|number| Arc::from(format!("A Model With A Usual Name {number}")))
        .collect()
}

fn id(number: usize) -> Uuid {
    // Spread like random ids.
    Uuid::from_u128((number as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
}

fn ticket(number: usize, models: Vec<Arc<str>>, demand: Demand) -> Ticket<Demand> {
    Ticket {
        request: RequestId(id(number)),
        requester: UserId((number % 5000) as i64),
        priority: ((number * 7919) % 100_000) as i64,
        created: Timestamp::from_millis(NOW.millis() - 600_000 + number as i64),
        expires: Timestamp::from_millis(NOW.millis() + 1_200_000 + number as i64),
        slots: 1 + number as u32 % 4,
        things: demand.things(),
        models,
        workers: WorkerList::Any,
        demand,
    }
}

/// Requests as they come: most are plain, some want this or that, all in all thousands of different
/// combinations.
fn mixed(count: usize) -> Vec<Ticket<Demand>> {
    let mut rng = SmallRng::seed_from_u64(1);
    let names = models();
    let samplers: Vec<Sampler> = Sampler::iter().collect();
    let sizes = [
        (512, 512),
        (512, 768),
        (768, 512),
        (1024, 1024),
        (832, 1216),
        (1216, 832),
        (1536, 1536),
    ];
    (0..count)
        .map(|number| {
            let mut one_in = |times| rng.random_ratio(1, times);
            let flags: Vec<bool> = [3, 8, 12, 5, 20, 20, 30, 40, 10]
                .into_iter()
                .map(&mut one_in)
                .collect();
            let (any, several) = (one_in(40), one_in(8));
            let chosen: Vec<Arc<str>> = match (any, several) {
                (true, _) => Vec::new(),
                (_, true) => names.sample(&mut rng, 4).cloned().collect(),
                _ => vec![names.choose(&mut rng).unwrap().clone()],
            };
            let &(width, height) = sizes.choose(&mut rng).unwrap();
            let demand = Demand {
                prompt: Arc::from(format!(
                    "a painting of number {number}, {} ### ugly, blurry",
                    "detailed, ".repeat(15)
                )),
                width,
                height,
                steps: rng.random_range(10..60),
                sampler: *samplers.choose(&mut rng).unwrap(),
                nsfw: flags[0],
                loras: flags[1],
                source_image: flags[2],
                hires_fix: flags[3],
                control: flags[4],
                trusted_workers: flags[5],
                tiling: flags[6],
                source_processing: if flags[7] {
                    SourceProcessing::Inpainting
                } else {
                    SourceProcessing::Img2img
                },
                post_processing: if flags[8] {
                    vec![PostProcessor::GFPGAN]
                } else {
                    Vec::new()
                },
                price: Kudos::from_whole(20),
                named: NamedModels {
                    step_limit: (!chosen.is_empty()).then_some(30),
                    ..NamedModels::default()
                },
                ..Demand::default()
            };
            ticket(number, chosen, demand)
        })
        .collect()
}

/// The mixed requests, changed to be of one kind.
fn all(count: usize, mut change: impl FnMut(usize, &mut Ticket<Demand>)) -> Vec<Ticket<Demand>> {
    let mut tickets = mixed(count);
    for (number, ticket) in tickets.iter_mut().enumerate() {
        ticket.demand.nsfw = false;
        change(number, ticket);
    }
    tickets
}

fn filled(tickets: Vec<Ticket<Demand>>) -> Board<Image> {
    let mut board = Board::new();
    for ticket in tickets {
        board.insert(ticket);
    }
    board
}

/// A worker that serves all models and everything else.
struct Worker {
    models: Vec<Arc<str>>,
    offer: Offer,
}

impl Worker {
    fn able() -> Self {
        let offer = Offer {
            bridge: BridgeAgent::parse("AI Horde Worker reGen:20:x").capabilities(),
            max_pixels: 4 << 20,
            owner_trusted: true,
            allow_controlnet: true,
            allow_sdxl_controlnet: true,
            allow_lora: true,
            hosted: HostedModels {
                inpainting: true,
                ..HostedModels::default()
            },
            ..Offer::default()
        };
        Self {
            models: models(),
            offer,
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut worker = Self::able();
        change(&mut worker);
        worker
    }

    fn pop(&self) -> Pop<'_, Offer> {
        Pop {
            worker: WorkerId(Uuid::from_u128(1)),
            owner: UserId(999_999),
            models: &self.models,
            amount: 1,
            priority_users: &[],
            offer: &self.offer,
            now: NOW,
        }
    }
}

/// Serves one pop and puts the slots back.
fn serve(board: &mut Board<Image>, worker: &Worker, rng: &mut SmallRng) {
    match board.reserve(&worker.pop(), rng) {
        Reservation::Reserved(reserved) => board.release(reserved.request, reserved.slots),
        Reservation::Unread(unread) => board.learn(unread.read()),
        Reservation::Nothing { skipped } => panic!("nothing found: {skipped:?}"),
    }
}

fn find_nothing(board: &mut Board<Image>, worker: &Worker, rng: &mut SmallRng) -> Skipped {
    loop {
        match board.reserve(&worker.pop(), rng) {
            Reservation::Reserved(reserved) => panic!("found {reserved:?}"),
            Reservation::Unread(unread) => board.learn(unread.read()),
            Reservation::Nothing { skipped } => return skipped,
        }
    }
}

fn everyday(c: &mut Criterion) {
    let mut rng = SmallRng::seed_from_u64(7);
    for size in SIZES {
        let tickets = mixed(size);
        let before = resident();
        let mut board = filled(tickets.clone());
        // The prompts and model names are shared with whoever made the tickets.
        let each = resident().saturating_sub(before) / size;
        println!("{size} requests on the board: {each} bytes each");
        let mut number = size;
        c.bench_function(&format!("insert/{size}"), |b| {
            b.iter_batched(
                || {
                    number += 1;
                    ticket(
                        number,
                        tickets[number % size].models.clone(),
                        tickets[number % size].demand.clone(),
                    )
                },
                |ticket| board.insert(ticket),
                BatchSize::SmallInput,
            );
        });
        let mut board = filled(tickets);
        let everything = Worker::able();
        let one_model = Worker::with(|it| it.models.truncate(1));
        let small = Worker::with(|it| {
            it.models.truncate(3);
            it.offer = Offer {
                nsfw: false,
                allow_lora: false,
                max_pixels: 262_144,
                ..it.offer.clone()
            };
        });
        c.bench_function(&format!("pop/50 models/{size}"), |b| {
            b.iter(|| serve(&mut board, &everything, &mut rng));
        });
        c.bench_function(&format!("pop/1 model/{size}"), |b| {
            b.iter(|| serve(&mut board, &one_model, &mut rng));
        });
        c.bench_function(&format!("pop/small worker/{size}"), |b| {
            b.iter(|| serve(&mut board, &small, &mut rng));
        });
        let picky = Worker::with(|it| it.offer.max_pixels = 100);
        c.bench_function(&format!("nothing/mixed, too large/{size}"), |b| {
            b.iter(|| find_nothing(&mut board, &picky, &mut rng));
        });
        let old = Worker::with(|it| {
            it.offer.hosted = HostedModels {
                only_inpainting: true,
                ..HostedModels::default()
            };
        });
        c.bench_function(&format!("nothing/mixed, each refused/{size}"), |b| {
            b.iter(|| find_nothing(&mut board, &old, &mut rng));
        });
        c.bench_function(&format!("place/{size}"), |b| {
            b.iter(|| {
                let number = rng.random_range(0..size);
                board.place(black_box(RequestId(id(number)))).unwrap()
            });
        });
    }
}

/// Why a request is not served, asked of 300 workers that all forbid words and refuse it for three reasons.
fn why_not(c: &mut Criterion) {
    let workers: Vec<Worker> = (0..300)
        .map(|number| {
            Worker::with(|it| {
                it.offer.max_pixels = 1;
                it.offer.allow_lora = false;
                forbid_words(it, number);
            })
        })
        .collect();
    let mut tickets = mixed(1);
    let ticket = &mut tickets[0];
    ticket.demand.loras = true;
    assert!(
        workers
            .iter()
            .all(|worker| obstacles::<Image>(ticket, &worker.pop()).len() >= 3)
    );
    c.bench_function("why not/300 workers/whether", |b| {
        b.iter(|| {
            let possible = |worker: &Worker| makes_possible::<Image>(ticket, &worker.pop()).is_ok();
            workers.iter().any(possible)
        });
    });
    c.bench_function("why not/300 workers/all reasons", |b| {
        b.iter(|| {
            let reasons = workers
                .iter()
                .map(|worker| obstacles::<Image>(ticket, &worker.pop()).len());
            reasons.sum::<usize>()
        });
    });
}

/// A queue that hurts, and the worker that it hurts.
struct Case {
    name: &'static str,
    tickets: Vec<Ticket<Demand>>,
    worker: Worker,
}

fn case(
    name: &'static str,
    change_ticket: impl FnMut(usize, &mut Ticket<Demand>),
    change_worker: impl FnOnce(&mut Worker),
) -> Case {
    Case {
        name,
        tickets: all(MANY, change_ticket),
        worker: Worker::with(change_worker),
    }
}

const ME: WorkerId = WorkerId(Uuid::from_u128(1));
const OTHER: WorkerId = WorkerId(Uuid::from_u128(2));

/// A worker that refuses everything it gets to see, for one of the last reasons.
fn refuse_all(worker: &mut Worker) {
    worker.offer.hosted = HostedModels {
        only_inpainting: true,
        ..HostedModels::default()
    };
}

/// A worker that refuses the word that is in each prompt, and a hundred others.
fn forbid_words(worker: &mut Worker, extra: usize) {
    let words = (0..100).map(|number| format!("word{number}"));
    let words = words.chain([format!("unheard of {extra}"), "blurry".to_owned()]);
    worker.offer.blacklist = Some(Arc::new(Blacklist::new(words)));
}

fn no_named_models(ticket: &mut Ticket<Demand>) {
    ticket.models.clear();
    ticket.demand.named = NamedModels::default();
}

/// Queues in which there is nothing for the worker.
fn nothing(c: &mut Criterion) {
    let mut rng = SmallRng::seed_from_u64(7);
    let mut group = c.benchmark_group("nothing of 100000");
    let names = models();
    let cases = [
        || {
            case(
                "for another worker",
                |_, it| it.workers = WorkerList::Only(vec![OTHER]),
                |_| {},
            )
        },
        || {
            case(
                "excluding this worker",
                |_, it| it.workers = WorkerList::Except(vec![ME]),
                |_| {},
            )
        },
        || {
            case(
                "all nsfw",
                |_, it| it.demand.nsfw = true,
                |it| it.offer.nsfw = false,
            )
        },
        || {
            case(
                "all sizes distinct and too large",
                |number, it| {
                    (it.demand.width, it.demand.height) = (2049, 2049 + number as u32);
                },
                |_| {},
            )
        },
        || case("a forbidden word in each", |_, _| {}, |it| forbid_words(it, 0)),
        || {
            case("needs distinct, no candidates", distinct_needs, |it| {
                it.offer.allow_unsafe_ipaddr = false;
            })
        },
        || case("needs distinct, all refused", distinct_needs, refuse_all),
        || {
            case(
                "nobody can pay",
                |_, _| {},
                |it| it.offer.require_upfront_kudos = true,
            )
        },
        || {
            case(
                "any model, too many steps",
                |_, it| no_named_models(it),
                |it| {
                    it.offer.limit_max_steps = true;
                    it.offer.hosted.step_limit = Some(5);
                },
            )
        },
    ];
    let mut measure = |Case {
                           name,
                           tickets,
                           worker,
                       }: Case| {
        let mut board = filled(tickets);
        find_nothing(&mut board, &worker, &mut rng);
        group.bench_function(name, |b| b.iter(|| find_nothing(&mut board, &worker, &mut rng)));
    };
    for make in cases {
        measure(make());
    }
    let several = |number: usize, it: &mut Ticket<Demand>| {
        it.models = (0..5)
            .map(|k| names[(number * (k + 1) + k * number / 50) % 50].clone())
            .collect();
    };
    measure(case("several models each, all refused", several, refuse_all));
    group.finish();
}

/// The first pop with a new list of forbidden words, all of whose candidates contain one: each prompt
/// has to be read. Others wait for the board only as long as it is busy in one piece.
fn first_look(c: &mut Criterion) {
    let mut board = filled(mixed(MANY));
    let mut number = 0;
    let (mut longest, mut pieces) = (Duration::ZERO, 0);
    let worker = Worker::with(|it| forbid_words(it, 0));
    let mut rng = SmallRng::seed_from_u64(1);
    let mut busy = |from: Instant| longest = longest.max(from.elapsed());
    loop {
        let from = Instant::now();
        let answer = board.reserve(&worker.pop(), &mut rng);
        busy(from);
        let Reservation::Unread(unread) = answer else {
            break;
        };
        let read = unread.read();
        let from = Instant::now();
        board.learn(read);
        busy(from);
        pieces += 1;
    }
    println!("first look at {MANY} prompts: read in {pieces} pieces, the board busy for {longest:?} at most");
    c.bench_function("nothing of 100000/a forbidden word in each, first look", |b| {
        b.iter_batched(
            || {
                number += 1;
                Worker::with(|it| forbid_words(it, number))
            },
            |worker| find_nothing(&mut board, &worker, &mut SmallRng::seed_from_u64(1)),
            BatchSize::SmallInput,
        );
    });
}

/// Queues of which the worker can only serve the very last request.
fn last(c: &mut Criterion) {
    let mut rng = SmallRng::seed_from_u64(7);
    let mut group = c.benchmark_group("last of 100000");
    let cases = [
        || {
            case(
                "others nsfw",
                |number, it| it.demand.nsfw = number > 0,
                |it| it.offer.nsfw = false,
            )
        },
        || {
            case(
                "others of distinct needs, refused",
                |number, it| {
                    distinct_needs(number, it);
                    it.demand.requester_trusted = number == 0;
                    it.demand.trusted_workers = false;
                },
                |it| it.offer.owner_trusted = false,
            )
        },
        || {
            case(
                "others for another worker",
                |number, it| {
                    it.workers = WorkerList::Only(vec![if number > 0 { OTHER } else { ME }]);
                },
                |_| {},
            )
        },
    ];
    for make in cases {
        let Case {
            name,
            mut tickets,
            worker,
        } = make();
        tickets[0].priority = -1_000_000;
        let mut board = filled(tickets);
        group.bench_function(name, |b| b.iter(|| serve(&mut board, &worker, &mut rng)));
    }
    group.finish();
}

/// A set of needs that no other request has; a suspect address is one of them.
fn distinct_needs(number: usize, ticket: &mut Ticket<Demand>) {
    let bit = |place: usize| number >> place & 1 == 1;
    let samplers: Vec<Sampler> = Sampler::iter().collect();
    ticket.demand = Demand {
        prompt: ticket.demand.prompt.clone(),
        safe_ip: false,
        nsfw: bit(0),
        loras: bit(1),
        textual_inversions: bit(2),
        hires_fix: bit(3),
        tiling: bit(4),
        r2: bit(5),
        trusted_workers: bit(6),
        post_processing: if bit(7) {
            vec![PostProcessor::NMKD_Siax]
        } else {
            Vec::new()
        },
        clip_skip: bit(8).then_some(2),
        return_control_map: bit(9),
        extra_slow_workers: bit(10),
        lora_versions: bit(11),
        requester_trusted: bit(12),
        sampler: samplers[number >> 13 & 7],
        karras: bit(16),
        ..Demand::default()
    };
}

/// Resident memory in bytes, where the system tells.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok())
        .unwrap_or_default()
        * 4096
}

fn quick() -> Criterion {
    Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args()
}

criterion_group! {
    name = benches;
    config = quick();
    targets = everyday, why_not, nothing, first_look, last
}
criterion_main!(benches);
