//! What a server acknowledged survives `kill -9`: under load, at random moments, on either database.
//!
//! Clients ask for pictures, pop, submit and look while the server is killed again and again and
//! started over what it left. They note what they were answered. After each start everything that was
//! answered must be there, and whatever was in flight must have happened wholly or not at all. In the
//! end the books must say exactly that, to the hundredth.

#![allow(clippy::float_cmp, clippy::unwrap_used)]

mod books;
mod load;
mod notes;
#[path = "../process/mod.rs"]
mod process;
mod recovery;

use std::{path::Path, time::Duration};

use muster_protocol::{TestUserInput, UserId};
use muster_store::{Store, StoreConfig};
use muster_worker::client::{ApiClient, Options};
use notes::Notes;
use process::Running;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sea_orm::{ConnectionTrait as _, Database};

/// How often the server is killed.
const ROUNDS: usize = 5;
/// Clients at work, each with a worker of its own.
const CLIENTS: usize = 6;
/// Accounts that the clients ask with, and those that their workers belong to.
const REQUESTERS: usize = 3;
const OWNERS: usize = 2;
/// Pictures of each request.
const PICTURES: u32 = 2;
/// Whole kudos that every account begins with: enough never to meet a floor.
const WEALTH: i64 = 100_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_work_survives_on_sqlite() {
    let data = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}?mode=rwc", data.path().join("muster.db").display());
    survive(data.path(), &database, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_work_survives_on_postgres() {
    let Ok(server) = std::env::var("MUSTER_TEST_POSTGRES_URL") else {
        assert!(
            std::env::var("MUSTER_TEST_SKIP_POSTGRES").is_ok_and(|skip| skip == "1"),
            "MUSTER_TEST_POSTGRES_URL is not set: run the tests as `scripts/with-services cargo test …`, \
             or set MUSTER_TEST_SKIP_POSTGRES=1 to leave PostgreSQL out"
        );
        return;
    };
    let name = format!("muster_{}", uuid::Uuid::new_v4().simple());
    let admin = Database::connect(&server).await.unwrap();
    admin
        .execute_unprepared(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    let (address, _) = server.rsplit_once('/').unwrap();
    let data = tempfile::tempdir().unwrap();
    survive(data.path(), &format!("{address}/{name}"), 2).await;
    admin
        .execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)"))
        .await
        .unwrap();
}

/// The whole story on one database.
async fn survive(data: &Path, database: &str, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut notes = Notes::default();
    let mut server = start(data, database);
    let horde = Horde::found(server.url()).await;
    for round in 0..ROUNDS {
        let answers = random.random_range(150..600);
        let delay = Duration::from_micros(random.random_range(0..20_000));
        notes = load::until_killed(&mut server, &horde, notes, round, (answers, delay)).await;
        server = start(data, database);
        recovery::check(server.url(), &horde, &mut notes, round).await;
    }
    let (status, errors) = server.stop();
    assert!(status.success(), "{errors}");
    assert!(
        notes.jobs.len() > ROUNDS * 20,
        "hardly any load: {} jobs",
        notes.jobs.len()
    );
    let store = Store::open(StoreConfig::new(database)).await.unwrap();
    books::check(&store, &horde, &notes).await;
    store.close().await;
}

fn start(data: &Path, database: &str) -> Running {
    Running::serve(
        data,
        &[
            "--database",
            database,
            "--test-apikeys",
            "--test-ratelimit-disabled",
        ],
    )
}

/// The accounts of the story.
struct Horde {
    requesters: Vec<Account>,
    /// The first is trusted, the other is not: half of what it earns is withheld.
    owners: Vec<Account>,
}

struct Account {
    id: UserId,
    key: String,
}

impl Horde {
    async fn found(url: &str) -> Self {
        let mut horde = Self {
            requesters: Vec::new(),
            owners: Vec::new(),
        };
        for number in 0..REQUESTERS {
            horde
                .requesters
                .push(account(url, &format!("requester{number}"), false).await);
        }
        for number in 0..OWNERS {
            horde
                .owners
                .push(account(url, &format!("owner{number}"), number == 0).await);
        }
        horde
    }
}

async fn account(url: &str, name: &str, trusted: bool) -> Account {
    let input = TestUserInput {
        username: name.to_owned(),
        oauth_id: format!("test_{name}"),
        moderator: false,
        trusted,
        kudos: Some(WEALTH),
    };
    let made = ApiClient::new(&Options::new(url))
        .unwrap()
        .test_user(&input)
        .await
        .unwrap();
    Account {
        id: UserId(made.user_id.parse().unwrap()),
        key: made.api_key,
    }
}
