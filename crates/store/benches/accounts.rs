//! How long a page of the list of all accounts takes, with half a million of them:
//! `scripts/with-services cargo bench -p muster-store --bench accounts`.
//!
//! Prints the median and the worst of some reads for pages near the beginning and the last one that the API serves.

#![allow(clippy::unwrap_used, reason = "a benchmark")]

mod engines;

use std::time::{Duration, Instant};

use muster_protocol::UserId;
use muster_store::{AccountOrder, Page, Store, StoreConfig};
use sea_orm::{ConnectionTrait as _, Database};

use engines::Engine;

const ACCOUNTS: u32 = 500_000;
const READS: usize = 21;
/// As the API has them.
const ON_A_PAGE: u64 = 25;
const LAST_PAGE: i64 = 10_000;

#[tokio::main]
async fn main() {
    engines::each(async |engine| measure(&engine).await).await;
}

async fn measure(engine: &Engine) {
    let store = Store::open(StoreConfig::new(&engine.url)).await.unwrap();
    fill(&engine.url, &engine.numbers(1, ACCOUNTS.into())).await;
    println!("{}, {ACCOUNTS} accounts, {READS} reads each:", engine.name);
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
