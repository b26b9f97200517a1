//! How many durable cycles (create → start → finish, with payment) a second the journal commits.
//!
//! ```text
//! cargo bench -p muster-store                              # SQLite in a temporary directory
//! scripts/with-services cargo bench -p muster-store        # and PostgreSQL
//! ```
//!
//! All requests are paid by one account, and all rewards go to another: the worst case for balances.
//! `MUSTER_BENCH_SECONDS` and `MUSTER_BENCH_DIR` change the duration of each figure and the place
//! of the SQLite file; `MUSTER_BENCH_RANDOM_IDS=1` uses random ids instead of ones that begin with
//! the time.

#![allow(clippy::unwrap_used, reason = "a benchmark")]

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use muster_protocol::{JobId, Kudos, RequestId, Timestamp, UserId, WorkKind, WorkerId};
use muster_store::{
    ApiKeyHash, EventKind, FinishJob, KudosAction, LedgerEvent, NewAccount, NewJob, NewRequest, NewWorker,
    RecordKind, RecordTally, Roles, StartJobs, Store, StoreConfig, SystemAccount, Tallies, UserTally,
    WorkerAction, WorkerCheckIn, WorkerTally,
};
use sea_orm::{ConnectionTrait as _, Database};
use serde_json::json;
use uuid::Uuid;

const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const HOUR: Duration = Duration::from_hours(1);

fn new_id() -> Uuid {
    static RANDOM: LazyLock<bool> = LazyLock::new(|| std::env::var_os("MUSTER_BENCH_RANDOM_IDS").is_some());
    if *RANDOM { Uuid::new_v4() } else { Uuid::now_v7() }
}

#[derive(Clone, Copy)]
struct Cast {
    client: UserId,
    owner: UserId,
    worker: WorkerId,
}

async fn cast(store: &Store) -> Cast {
    let mut users = Vec::new();
    for name in ["client", "owner"] {
        let account = NewAccount {
            username: name.to_owned(),
            external_id: name.to_owned(),
            key_hash: ApiKeyHash::of("", name),
            roles: Roles::NONE,
            concurrency: 30,
            created: AT,
        };
        users.push(store.journal().register_account(account).await.unwrap().id);
    }
    let worker = WorkerId(new_id());
    let state = WorkerCheckIn {
        worker,
        at: AT,
        ip: None,
        bridge_agent: "bench:1:none".to_owned(),
        threads: 1,
        max_power: 20,
        extra_slow: false,
        allow_unsafe_ip: true,
        speed: None,
        uptime: 0,
        last_reward_uptime: 0,
        aborted_jobs: 0,
        last_aborted_job: None,
        settings: json!({}),
    };
    let new = NewWorker {
        kind: WorkKind::Image,
        owner: users[1],
        name: "bench".to_owned(),
        state,
    };
    store.journal().register_worker(new).await.unwrap();
    Cast {
        client: users[0],
        owner: users[1],
        worker,
    }
}

fn request(cast: Cast) -> NewRequest {
    let id = RequestId(new_id());
    NewRequest {
        id,
        kind: WorkKind::Image,
        user: cast.client,
        shared_key: None,
        created: AT,
        expiry: AT + HOUR,
        jobs_total: 1,
        priority: 0,
        price: 10.33,
        consumed: Kudos::from_whole(3),
        things: 7_864_320,
        client_agent: "bench:1:none".to_owned(),
        ip: Some("192.0.2.1".to_owned()),
        webhook: None,
        payload: json!({
            "prompt": "a lighthouse on a cliff at dusk, oil on canvas, wide brush strokes, warm light ### people",
            "models": ["stable_diffusion"], "nsfw": false, "r2": true, "shared": false, "trusted_workers": false,
            "params": { "sampler_name": "k_euler", "cfg_scale": 7.5, "height": 512, "width": 512, "steps": 30,
                        "karras": true, "tiling": false, "hires_fix": false, "clip_skip": 1,
                        "post_processing": [], "loras": [{ "name": "x", "model": 1.0, "clip": 1.0 }] },
        }),
        held: Kudos::ZERO,
        event: Some(
            LedgerEvent::new(format!("activate:{id}"), EventKind::Generation, AT)
                .of_request(id)
                .with_floor(cast.client, Kudos::from_whole(-3), Kudos::from_whole(-50))
                .with(SystemAccount::Burn, Kudos::from_whole(3)),
        ),
        tallies: Tallies {
            totals: vec![UserTally {
                user: cast.client,
                action: KudosAction::Accumulated,
                amount: Kudos::from_whole(-3),
            }],
            records: vec![RecordTally {
                user: cast.client,
                record: RecordKind::Request,
                kind: WorkKind::Image,
                amount: 1.0,
            }],
            active: vec![(cast.client, AT)],
            ..Tallies::default()
        },
    }
}

fn finish(cast: Cast, request: RequestId, job: JobId) -> FinishJob {
    let (charge, half) = (Kudos::from_hundredths(1133), Kudos::from_hundredths(516));
    FinishJob {
        job,
        request,
        at: AT,
        result: "R2".to_owned(),
        seed: 42,
        gen_metadata: Some(json!([])),
        censored: false,
        reward: Kudos::from_hundredths(1033),
        event: Some(
            LedgerEvent::new(format!("settle:{job}"), EventKind::Generation, AT)
                .of_request(request)
                .of_job(job)
                .with_floor(cast.client, -charge, Kudos::from_whole(-50))
                .with_escrow(cast.owner, half)
                .with_floor(cast.owner, half, Kudos::from_whole(25))
                .with(SystemAccount::Burn, charge - half - half),
        ),
        tallies: Tallies {
            totals: vec![
                UserTally {
                    user: cast.client,
                    action: KudosAction::Accumulated,
                    amount: -charge,
                },
                UserTally {
                    user: cast.owner,
                    action: KudosAction::Accumulated,
                    amount: half,
                },
            ],
            records: vec![
                RecordTally {
                    user: cast.client,
                    record: RecordKind::Usage,
                    kind: WorkKind::Image,
                    amount: 7.86,
                },
                RecordTally {
                    user: cast.owner,
                    record: RecordKind::Fulfillment,
                    kind: WorkKind::Image,
                    amount: 1.0,
                },
            ],
            workers: vec![WorkerTally {
                kudos: half + half,
                contributions: 7.86,
                fulfilments: 1,
                ..WorkerTally::new(cast.worker, WorkerAction::Generated)
            }],
            active: vec![(cast.client, AT), (cast.owner, AT)],
            ..Tallies::default()
        },
        request_consumed: charge,
        request_expiry: AT + HOUR,
        webhook: None,
    }
}

async fn cycle(store: &Store, cast: Cast) {
    let request = request(cast);
    let id = request.id;
    store.journal().create_request(request).await.unwrap();
    let job = JobId(new_id());
    let start = StartJobs {
        request: id,
        kind: WorkKind::Image,
        worker: cast.worker,
        at: AT,
        jobs: vec![NewJob {
            id: job,
            model: "stable_diffusion".to_owned(),
            deadline: AT + HOUR,
            seed: 1,
            fake: false,
            payload: None,
        }],
        new_expiry: AT + HOUR,
    };
    store.journal().start_jobs(start).await.unwrap();
    store.journal().finish_job(finish(cast, id, job)).await.unwrap();
}

/// Runs one kind of work with many callers for a while and prints how often it was done.
async fn measure<F, W>(what: &str, callers: usize, per_run: usize, work: W)
where
    F: Future<Output = ()> + Send,
    W: Fn() -> F + Clone + Send + 'static,
{
    let seconds = std::env::var("MUSTER_BENCH_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(5.0);
    let started = Instant::now();
    let end = started + Duration::from_secs_f64(seconds);
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let work = work.clone();
            tokio::spawn(async move {
                let mut runs = 0;
                while Instant::now() < end {
                    work().await;
                    runs += 1;
                }
                runs
            })
        })
        .collect();
    let mut runs = 0;
    for task in tasks {
        runs += task.await.unwrap();
    }
    let rate = (runs * per_run) as f64 / started.elapsed().as_secs_f64();
    println!(
        "{what:<44} {callers:>4} callers  {rate:>9.0} /s  {:>8.1} µs each",
        1e6 / rate
    );
}

async fn engine(name: &str, url: &str) {
    let store = Store::open(StoreConfig::new(url)).await.unwrap();
    let cast = cast(&store).await;
    for callers in [1, 16, 64, 256] {
        let shared = store.clone();
        let work = move || {
            let store = shared.clone();
            async move { cycle(&store, cast).await }
        };
        measure(&format!("{name}: durable cycles"), callers, 1, work).await;
    }
    let shared = store.clone();
    let inserts = move || {
        let store = shared.clone();
        async move {
            let request = NewRequest {
                event: None,
                tallies: Tallies::default(),
                ..request(cast)
            };
            store.journal().create_request(request).await.unwrap();
        }
    };
    measure(
        &format!("{name}: requests inserted, nothing else"),
        512,
        1,
        inserts,
    )
    .await;
    let started = Instant::now();
    let live = store.live_requests(AT).await.unwrap().len();
    println!("{name}: {live} requests read in {:?}", started.elapsed());
    let audit = store.audit().await.unwrap();
    assert!(audit.is_clean());
    println!("{name}: {} entries audited", audit.entries);
    store.close().await;
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return; // `cargo test --benches` only wants to know that it builds
    }
    let dir = match std::env::var_os("MUSTER_BENCH_DIR") {
        Some(dir) => tempfile::tempdir_in(dir).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    engine(
        "SQLite",
        &format!("sqlite:{}?mode=rwc", dir.path().join("bench.db").display()),
    )
    .await;
    if let Ok(server) = std::env::var("MUSTER_TEST_POSTGRES_URL") {
        let name = format!("bench_{}", Uuid::new_v4().simple());
        let admin = Database::connect(&server).await.unwrap();
        admin
            .execute_unprepared(&format!("CREATE DATABASE {name}"))
            .await
            .unwrap();
        let (address, _) = server.rsplit_once('/').unwrap();
        engine("PostgreSQL", &format!("{address}/{name}")).await;
        admin
            .execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)"))
            .await
            .unwrap();
    }
}
