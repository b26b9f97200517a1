//! Full durable cycles (submit a request, pop its job, submit the result, ask for the status) without
//! HTTP, to tell what the engine and the store cost by themselves.
//!
//! ```sh
//! cargo bench -p muster-engine --bench cycle                              # SQLite
//! scripts/with-services cargo bench -p muster-engine --bench cycle        # and PostgreSQL
//! ```

#![allow(clippy::unwrap_used)]

mod horde;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use muster_engine::{Call, Engine, EngineConfig, Submission};
use muster_protocol::{
    Body as _, TestUserInput,
    image::{PopInput, RequestInput, SubmitInput},
};
use serde_json::json;

/// Cycles that run at the same time.
const CONCURRENCY: u32 = 64;
/// Accounts, each with a worker.
const USERS: u32 = 8;
/// Cycles that are measured.
const CYCLES: u32 = 20_000;
const WARM_UP: u32 = 1_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let sqlite = format!("sqlite:{}?mode=rwc", directory.path().join("bench.db").display());
        run("SQLite", &sqlite, directory.path()).await;
        match std::env::var("MUSTER_TEST_POSTGRES_URL") {
            Ok(url) => run("PostgreSQL", &url, directory.path()).await,
            Err(_) => println!("PostgreSQL: skipped, MUSTER_TEST_POSTGRES_URL is not set"),
        }
    });
}

async fn run(name: &str, url: &str, directory: &std::path::Path) {
    let config = EngineConfig {
        test_accounts: true,
        ..EngineConfig::default()
    };
    let engine = horde::start(url, directory, config).await;
    let mut keys = Vec::new();
    for number in 0..USERS {
        let input = TestUserInput {
            oauth_id: format!("bench{number}"),
            ..TestUserInput::default()
        };
        keys.push(engine.test_user(input).await.unwrap().api_key);
    }
    cycles(&engine, &keys, WARM_UP).await;
    let (elapsed, mut latencies) = cycles(&engine, &keys, CYCLES).await;
    latencies.sort_unstable();
    let at = |share: f64| latencies[(latencies.len() as f64 * share) as usize];
    println!(
        "{name}: {:.0} cycles/s ({CYCLES} cycles, {CONCURRENCY} at a time); a cycle: median {:?}, p99 {:?}",
        f64::from(CYCLES) / elapsed.as_secs_f64(),
        at(0.5),
        at(0.99),
    );
    engine.store().clone().close().await;
}

async fn cycles(engine: &Engine, keys: &[String], count: u32) -> (Duration, Vec<Duration>) {
    let next = Arc::new(AtomicU32::new(0));
    let start = Instant::now();
    let tasks: Vec<_> = (0..CONCURRENCY)
        .map(|number| {
            let user = number % USERS;
            let (engine, key, next) = (engine.clone(), keys[user as usize].clone(), Arc::clone(&next));
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while next.fetch_add(1, Ordering::Relaxed) < count {
                    let start = Instant::now();
                    cycle(&engine, &key, user).await;
                    latencies.push(start.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    (start.elapsed(), latencies)
}

async fn cycle(engine: &Engine, key: &str, user: u32) {
    let call = Call {
        proxy: None,
        trace: None,
        api_key: Some(key.to_owned()),
        client_agent: "bench:1:local".to_owned(),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let accepted = engine
        .submit_image_request(&call, RequestInput::new("a lighthouse in a storm"))
        .await
        .unwrap();
    let Submission::Accepted(accepted) = accepted else {
        panic!("not a dry run")
    };
    let pop = PopInput::parse(json!({
        "name": format!("bench {user}"),
        "models": ["stable_diffusion"],
        "bridge_agent": "AI Horde Worker reGen:13.0.0:bench",
        "max_pixels": 1_048_576,
    }))
    .unwrap();
    let popped = engine.pop_image_job(&call, pop).await.unwrap();
    let job = popped.id.expect("there are as many requests as pops");
    let submit =
        SubmitInput::parse(json!({"id": job.to_string(), "generation": picture(), "seed": 1})).unwrap();
    engine.submit_image_job(&call, submit).await.unwrap();
    engine
        .image_status(&accepted.id.unwrap().to_string())
        .await
        .unwrap();
}

/// A small picture, as a worker would send it along.
fn picture() -> String {
    let picture = image::RgbImage::from_pixel(64, 64, image::Rgb([40, 80, 160]));
    let picture = image::DynamicImage::ImageRgb8(picture);
    let encoded = webp::Encoder::from_image(&picture).unwrap().encode(80.0);
    STANDARD.encode(&*encoded)
}
