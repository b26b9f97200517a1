//! How long the audit of a long ledger takes, and how much memory: `scripts/with-services cargo bench -p muster-store
//! --bench audit`. `MUSTER_BENCH_ENTRIES` (10,000,000) says how long the ledger is.

#![allow(clippy::unwrap_used, reason = "a benchmark")]

mod engines;

use std::time::Instant;

use muster_store::{Store, StoreConfig};
use sea_orm::{ConnectionTrait as _, Database};

use engines::Engine;

/// Accounts that the entries are spread over.
const ACCOUNTS: u64 = 100_000;
/// When it all happened, as both engines read it.
const MOMENT: &str = "'2024-01-02 03:04:05+00:00'";

#[tokio::main]
async fn main() {
    let entries: u64 = std::env::var("MUSTER_BENCH_ENTRIES").map_or(10_000_000, |text| text.parse().unwrap());
    engines::each(async |engine| measure(&engine, entries).await).await;
}

async fn measure(engine: &Engine, entries: u64) {
    let store = Store::open(StoreConfig::new(&engine.url)).await.unwrap();
    fill(&engine.url, &engine.numbers(0, entries - 1)).await;
    let before = memory("VmRSS");
    let begun = Instant::now();
    let audit = store.audit().await.unwrap();
    let took = begun.elapsed();
    assert!(audit.is_clean(), "{audit:?}");
    println!(
        "{}: {} entries of {ACCOUNTS} accounts proved in {:.1} s, {:.0} entries/s; memory {before} kB before, {} kB at most",
        engine.name,
        audit.entries,
        took.as_secs_f64(),
        audit.entries as f64 / took.as_secs_f64(),
        memory("VmHWM"),
    );
    store.close().await;
}

/// Each event gives an account a kudos.
async fn fill(url: &str, numbers: &str) {
    let database = Database::connect(url).await.unwrap();
    let entries = format!(
        "INSERT INTO kudos_ledger (event, leg, kind, account, pot, amount, created) \
         SELECT 'grant:' || (i / 2), i % 2, 5, CASE i % 2 WHEN 0 THEN 1 + i / 2 % {ACCOUNTS} ELSE -4 END, 0, \
         CASE i % 2 WHEN 0 THEN 100 ELSE -100 END, {MOMENT} FROM ({numbers}) AS numbers"
    );
    database.execute_unprepared(&entries).await.unwrap();
    let balances = "INSERT INTO balances (account, pot, amount) \
        SELECT account, pot, CAST(SUM(amount) AS bigint) FROM kudos_ledger WHERE true GROUP BY account, pot \
        ON CONFLICT (account, pot) DO UPDATE SET amount = excluded.amount";
    database.execute_unprepared(balances).await.unwrap();
    database.close().await.unwrap();
}

/// A figure of this process in kB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name));
    let figure = line.and_then(|line| line.split_whitespace().nth(1));
    figure.and_then(|figure| figure.parse().ok()).unwrap_or(0)
}
