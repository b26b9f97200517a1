//! How long a prompt is read for filters: 500 of them, on a prompt of 7,000 characters.
//!
//! ```sh
//! cargo bench -p muster-engine --bench filters
//! ```

#![allow(clippy::unwrap_used)]

mod horde;

use std::time::{Duration, Instant};

use muster_engine::{AdminCommand, Engine, EngineConfig};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

/// Filters, shared evenly by the three types.
const FILTERS: usize = 500;
/// Characters of a prompt.
const LENGTH: usize = 7000;
/// Times that each prompt is read.
const READINGS: usize = 500;

#[tokio::main]
async fn main() {
    let directory = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}?mode=rwc", directory.path().join("bench.db").display());
    let engine = horde::start(&database, directory.path(), EngineConfig::default()).await;
    engine.ensure_admin().await.unwrap();
    let mut rng = StdRng::seed_from_u64(7);
    let started = Instant::now();
    for number in 0..FILTERS {
        let kind = [10, 11, 20][number % 3];
        let filter = json!({"regex": expression(&mut rng), "filter_type": kind});
        operate(&engine, AdminCommand::FilterAdd { filter }).await;
    }
    println!(
        "{FILTERS} filters in 3 types, made and compiled one after the other in {:?}; prompts of {LENGTH} characters, each read {READINGS} times",
        started.elapsed()
    );
    let clean = prompt(&mut rng, false);
    let suspicious = prompt(&mut rng, true);
    // Small words of many accents have to be simplified first.
    let accented: String = clean.chars().map(|c| if c == 'a' { 'å' } else { c }).collect();
    for (name, prompt) in [
        ("nothing is found", clean),
        ("something is found at the end", suspicious),
        ("accents", accented),
    ] {
        let mut times = Vec::new();
        let mut found = Value::Null;
        for _ in 0..READINGS {
            let prompt = prompt.clone();
            let started = Instant::now();
            found = operate(&engine, AdminCommand::FilterTry { prompt }).await;
            times.push(started.elapsed());
        }
        times.sort_unstable();
        let at = |share: f64| times[(times.len() as f64 * share) as usize];
        println!(
            "{name}: median {:?}, p99 {:?}, suspicion {}",
            at(0.5),
            at(0.99),
            found["suspicion"]
        );
        assert!(at(0.5) > Duration::ZERO);
    }
    engine.store().clone().close().await;
}

async fn operate(engine: &Engine, command: AdminCommand) -> Value {
    engine.operate(command, |_| ()).await.unwrap()
}

/// A word that no prompt has by chance.
fn rare(rng: &mut StdRng) -> String {
    let letters = rng.random_range(4..9);
    let word: String = (0..letters).map(|_| rng.random_range('b'..='z')).collect();
    format!("q{word}")
}

/// What moderators write: alternatives, boundaries, optional letters, gaps between two words.
fn expression(rng: &mut StdRng) -> String {
    let (one, two) = (rare(rng), rare(rng));
    match rng.random_range(0..4) {
        0 => format!(r"\b({one}|{two})s?\b"),
        1 => format!(r"\b{one}\w*"),
        2 => format!(r"\b{one}\b.{{0,20}}\b{two}\b"),
        _ => format!(r"{one}[ _-]?{two}(ing|ed)?"),
    }
}

/// A prompt of common words; with the words of a filter at its end, or without.
fn prompt(rng: &mut StdRng, suspicious: bool) -> String {
    const WORDS: [&str; 12] = [
        "a",
        "lighthouse",
        "in",
        "the",
        "storm,",
        "(masterpiece:1.2)",
        "detailed",
        "oil painting",
        "by",
        "candlelight,",
        "4k",
        "cat",
    ];
    let mut text = String::new();
    while text.len() < LENGTH - 20 {
        text.push_str(WORDS[rng.random_range(0..WORDS.len())]);
        text.push(' ');
    }
    if suspicious {
        text.push('\u{1f476}');
    }
    text
}
