//! A store of its own for each test, on either engine, and the usual inhabitants.

use std::time::Duration;

use muster_protocol::{JobId, Kudos, RequestId, Timestamp, UserId, WorkKind, WorkerId};
use muster_store::{
    ApiKeyHash, EventKind, FaultJob, FinishJob, LedgerEvent, NewAccount, NewJob, NewRequest, NewWorker,
    RecordKind, RecordTally, Roles, SharedKey, StartJobs, Store, StoreConfig, SystemAccount, Tallies,
    WorkerCheckIn,
};
use sea_orm::{ConnectionTrait as _, Database};
use serde_json::json;
use uuid::Uuid;

/// Declares every case twice: once for each engine.
macro_rules! on_both_engines {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let db = $crate::support::TestDb::sqlite();
                    super::$case(&db).await;
                }
            )*
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let Some(db) = $crate::support::TestDb::postgres().await else { return };
                    super::$case(&db).await;
                    db.remove().await;
                }
            )*
        }
    };
}
pub(crate) use on_both_engines;

/// An empty database.
pub(crate) struct TestDb {
    pub(crate) url: String,
    /// Holds the file of SQLite.
    pub(crate) dir: Option<tempfile::TempDir>,
    /// The database of the server that made this one.
    server: Option<(String, String)>,
}

impl TestDb {
    pub(crate) fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}?mode=rwc", dir.path().join("muster.db").display());
        Self {
            url,
            dir: Some(dir),
            server: None,
        }
    }

    /// `None` if PostgreSQL is to be skipped; fails if nobody said so.
    pub(crate) async fn postgres() -> Option<Self> {
        let Ok(server) = std::env::var("MUSTER_TEST_POSTGRES_URL") else {
            assert!(
                std::env::var("MUSTER_TEST_SKIP_POSTGRES").is_ok_and(|skip| skip == "1"),
                "MUSTER_TEST_POSTGRES_URL is not set: run the tests as `scripts/with-services cargo test …`, \
                 or set MUSTER_TEST_SKIP_POSTGRES=1 to leave PostgreSQL out"
            );
            return None;
        };
        let name = format!("muster_{}", Uuid::new_v4().simple());
        let admin = Database::connect(&server).await.unwrap();
        admin
            .execute_unprepared(&format!("CREATE DATABASE {name}"))
            .await
            .unwrap();
        admin.close().await.unwrap();
        let (address, _) = server.rsplit_once('/').unwrap();
        Some(Self {
            url: format!("{address}/{name}"),
            dir: None,
            server: Some((server.clone(), name)),
        })
    }

    pub(crate) async fn remove(&self) {
        let Some((server, name)) = &self.server else {
            return;
        };
        let admin = Database::connect(server).await.unwrap();
        admin
            .execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)"))
            .await
            .unwrap();
        admin.close().await.unwrap();
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(StoreConfig::new(&self.url)).await.unwrap()
    }

    /// A connection past the store, for tampering.
    pub(crate) async fn raw(&self) -> sea_orm::DatabaseConnection {
        Database::connect(&self.url).await.unwrap()
    }
}

/// A moment, in seconds after some beginning.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + seconds * 1000 + 7)
}

pub(crate) const MINUTES_20: Duration = Duration::from_mins(20);

pub(crate) fn kudos(whole: i64) -> Kudos {
    Kudos::from_whole(whole)
}

pub(crate) fn new_account(name: &str) -> NewAccount {
    NewAccount {
        username: name.to_owned(),
        external_id: format!("g_{name}"),
        key_hash: ApiKeyHash::of("salt", name),
        roles: Roles::NONE,
        concurrency: 30,
        created: at(0),
    }
}

pub(crate) async fn account(store: &Store, name: &str) -> UserId {
    store
        .journal()
        .register_account(new_account(name))
        .await
        .unwrap()
        .id
}

pub(crate) fn check_in(worker: WorkerId, seconds: i64) -> WorkerCheckIn {
    WorkerCheckIn {
        worker,
        at: at(seconds),
        ip: Some("192.0.2.7".to_owned()),
        bridge_agent: "test:1:none".to_owned(),
        threads: 2,
        max_power: 20,
        extra_slow: false,
        allow_unsafe_ip: true,
        speed: None,
        uptime: 0,
        last_reward_uptime: 0,
        aborted_jobs: 0,
        last_aborted_job: None,
        settings: json!({ "models": ["m"], "nsfw": true }),
    }
}

pub(crate) fn new_worker(owner: UserId, name: &str) -> NewWorker {
    let state = check_in(WorkerId(Uuid::new_v4()), 0);
    NewWorker {
        kind: WorkKind::Image,
        owner,
        name: name.to_owned(),
        state,
    }
}

pub(crate) fn new_request(user: UserId, slots: i32) -> NewRequest {
    NewRequest {
        id: RequestId(Uuid::new_v4()),
        kind: WorkKind::Image,
        user,
        shared_key: None,
        created: at(0),
        expiry: at(0) + MINUTES_20,
        jobs_total: slots,
        priority: 17,
        price: 10.332,
        consumed: Kudos::ZERO,
        things: 512 * 512 * 30,
        client_agent: "test:1:none".to_owned(),
        ip: Some("2001:db8::1".to_owned()),
        webhook: None,
        payload: json!({ "prompt": "a cat", "params": { "steps": 30, "cfg": 7.5, "list": [1, null] } }),
        held: Kudos::ZERO,
        event: None,
        tallies: Tallies::default(),
    }
}

pub(crate) fn new_job() -> NewJob {
    NewJob {
        id: JobId(Uuid::new_v4()),
        model: "m".to_owned(),
        deadline: at(150),
        seed: -5,
        fake: false,
        payload: Some(json!({ "seed": "-5" })),
    }
}

pub(crate) fn start(request: RequestId, jobs: usize) -> StartJobs {
    StartJobs {
        request,
        kind: WorkKind::Image,
        worker: WorkerId(Uuid::from_u128(1)),
        at: at(1),
        jobs: (0..jobs).map(|_| new_job()).collect(),
        new_expiry: at(1) + MINUTES_20,
    }
}

/// A reward of 10 for the worker's owner, paid with 12 by the requester.
pub(crate) fn settlement(job: JobId, requester: UserId, owner: UserId) -> LedgerEvent {
    LedgerEvent::new(format!("settle:{job}"), EventKind::Generation, at(2))
        .of_job(job)
        .with(requester, kudos(-12))
        .with(owner, kudos(10))
        .with(SystemAccount::Burn, kudos(2))
}

/// A result. If it is paid, somebody's record says so.
pub(crate) fn finish(request: RequestId, job: JobId, event: Option<LedgerEvent>) -> FinishJob {
    let event = event.map(|event| event.of_request(request).of_job(job));
    let fulfilled = event.as_ref().map(|_| RecordTally {
        user: UserId::ANONYMOUS,
        record: RecordKind::Fulfillment,
        kind: WorkKind::Image,
        amount: 1.0,
    });
    FinishJob {
        job,
        request,
        at: at(2),
        result: "R2".to_owned(),
        seed: 42,
        gen_metadata: Some(json!([{ "type": "lora", "value": "download_failed" }])),
        censored: false,
        reward: kudos(10),
        event,
        tallies: Tallies {
            records: fulfilled.into_iter().collect(),
            ..Tallies::default()
        },
        request_consumed: kudos(12),
        request_expiry: at(2) + MINUTES_20,
        webhook: None,
    }
}

pub(crate) fn fault(request: RequestId, job: JobId) -> FaultJob {
    FaultJob {
        job,
        request,
        at: at(3),
        return_slot: true,
        request_faulted: false,
        tallies: Tallies::default(),
    }
}

/// A new request with `slots` slots, and the ids of its first `started` jobs.
pub(crate) async fn running(
    store: &Store,
    user: UserId,
    slots: i32,
    started: usize,
) -> (RequestId, Vec<JobId>) {
    let request = new_request(user, slots);
    let id = request.id;
    store.journal().create_request(request).await.unwrap();
    let start = start(id, started);
    let jobs = start.jobs.iter().map(|job| job.id).collect();
    if started > 0 {
        store.journal().start_jobs(start).await.unwrap();
    }
    (id, jobs)
}

/// A key with a budget of 100 that nothing else limits.
pub(crate) fn shared_key(owner: UserId) -> SharedKey {
    SharedKey {
        id: Uuid::new_v4(),
        owner,
        name: Some("for a friend".to_owned()),
        kudos: kudos(100),
        utilized: Kudos::ZERO,
        expiry: None,
        max_image_pixels: -1,
        max_image_steps: -1,
        max_text_tokens: -1,
        created: at(0),
    }
}

/// The books must be right at any time.
pub(crate) async fn assert_clean(store: &Store) {
    let audit = store.audit().await.unwrap();
    assert!(audit.is_clean(), "{audit:?}");
}
