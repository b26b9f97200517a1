//! How long a page of the list of all accounts takes, with half a million of them:
//! `scripts/with-services cargo bench -p muster-store --bench accounts`.
//!
//! Prints the median and the worst of some reads for pages near the beginning and the last one that the API serves.

#![allow(clippy::unwrap_used, reason = "a benchmark")]

use std::time::{Duration, Instant};

use muster_protocol::UserId;
use muster_store::{AccountOrder, Page, Store, StoreConfig};
use sea_orm::{ConnectionTrait as _, Database};

const ACCOUNTS: u32 = 500_000;
const READS: usize = 21;
/// As the API has them.
const ON_A_PAGE: u64 = 25;
const LAST_PAGE: i64 = 10_000;

#[tokio::main]
async fn main() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}?mode=rwc", directory.path().join("muster.db").display());
    measure("SQLite", &file, SQLITE_NUMBERS).await;
    match std::env::var("MUSTER_TEST_POSTGRES_URL") {
        Ok(server) => {
            let name = format!("muster_bench_{}", std::process::id());
            let admin = Database::connect(&server).await.unwrap();
            admin
                .execute_unprepared(&format!("CREATE DATABASE {name}"))
                .await
                .unwrap();
            let (address, _) = server.rsplit_once('/').unwrap();
            measure("PostgreSQL", &format!("{address}/{name}"), POSTGRES_NUMBERS).await;
            admin
                .execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)"))
                .await
                .unwrap();
        }
        Err(_) => println!("PostgreSQL was left out: run it by scripts/with-services"),
    }
}

/// Queries whose rows are the numbers from 1 to so many.
const SQLITE_NUMBERS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT i FROM n";
const POSTGRES_NUMBERS: &str = "SELECT generate_series(1, {}) AS i";

async fn measure(engine: &str, url: &str, numbers: &str) {
    let store = Store::open(StoreConfig::new(url)).await.unwrap();
    fill(url, &numbers.replace("{}", &ACCOUNTS.to_string())).await;
    println!("{engine}, {ACCOUNTS} accounts, {READS} reads each:");
    for (name, order) in [("kudos", AccountOrder::Richest), ("age", AccountOrder::Oldest)] {
        for page in [1, 100, LAST_PAGE] {
            let mut times = Vec::with_capacity(READS);
            for _ in 0..READS {
                let begun = Instant::now();
                let accounts = store
                    .account_page(order, Page::numbered(page, ON_A_PAGE))
                    .await
                    .unwrap();
                let ids: Vec<UserId> = accounts.iter().map(|account| account.id).collect();
                store.account_facts(&ids).await.unwrap();
                times.push(begun.elapsed());
                assert_eq!(accounts.len() as u64, ON_A_PAGE);
            }
            times.sort_unstable();
            let millis = |time: Duration| time.as_secs_f64() * 1000.0;
            println!(
                "  by {name:<5}  page {page:>5}: median {:>7.2} ms, worst {:>7.2} ms",
                millis(times[READS / 2]),
                millis(times[READS - 1])
            );
        }
    }
    store.close().await;
}

async fn fill(url: &str, numbers: &str) {
    let db = Database::connect(url).await.unwrap();
    let created = "'2024-01-02 03:04:05+00:00'";
    let users = format!(
        "INSERT INTO users (id, username, external_id, created, last_active, monthly_kudos, usage_multiplier, \
         worker_invited, public_workers, concurrency, roles, suspicions, wiped) \
         SELECT i, 'user', 'g_' || i, {created}, {created}, 0, 1.0, 0, FALSE, 30, 0, '[]', FALSE FROM ({numbers}) AS numbers"
    );
    // A large prime, so that riches do not follow age.
    let balances = format!(
        "INSERT INTO balances (account, pot, amount) \
         SELECT i, 0, (CAST(i AS BIGINT) * 7919) % 1000003 FROM ({numbers}) AS numbers"
    );
    let escrow =
        format!("INSERT INTO balances (account, pot, amount) SELECT i, 1, 0 FROM ({numbers}) AS numbers");
    for statement in [users, balances, escrow] {
        db.execute_unprepared(&statement).await.unwrap();
    }
    db.execute_unprepared("ANALYZE").await.unwrap();
    db.close().await.unwrap();
}
