//! `muster bench`: measures a server by loading it.

use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use muster_worker::bench::{self, BenchConfig, BenchEvent, Delivery, Length, Load, Mix, Scenario};

use crate::signals;

/// Load a horde server and measure it.
///
/// Start the server with `HORDE_TEST_APIKEYS=1` (so that the accounts can be made) and
/// `HORDE_TEST_RATELIMIT_DISABLED=1`, on a throwaway database: nothing is cleaned up.
#[derive(Args, Clone, Debug)]
pub(crate) struct BenchArgs {
    /// Address of the server, plain http
    #[arg(long, env = "MUSTER_URL", default_value = "http://127.0.0.1:7001")]
    url: String,
    /// Allow to load a server on another machine
    #[arg(long, env = "MUSTER_BENCH_ALLOW_REMOTE")]
    allow_remote: bool,
    /// What to do
    #[arg(long, env = "MUSTER_BENCH_SCENARIO", value_enum, default_value_t = ScenarioArg::Cycles)]
    scenario: ScenarioArg,
    /// For which kinds of work, and how many cycles of a round are of each
    #[arg(
        long,
        env = "MUSTER_BENCH_MIX",
        default_value = "image=1",
        value_name = "KIND=N,…"
    )]
    mix: Mix,
    /// Lanes that do it one cycle after the other (closed loop)
    #[arg(long, env = "MUSTER_BENCH_CONCURRENCY", default_value_t = 16)]
    concurrency: u32,
    /// Cycles a second on a timetable instead (open loop); latencies count from the intended start
    #[arg(long, env = "MUSTER_BENCH_RATE")]
    rate: Option<f64>,
    /// Cycles under way at once in an open loop, at most
    #[arg(long, env = "MUSTER_BENCH_IN_FLIGHT", default_value_t = 256)]
    in_flight: u32,
    /// Seconds before the measurement starts
    #[arg(long, env = "MUSTER_BENCH_WARMUP", default_value_t = 2.0)]
    warmup: f64,
    /// Seconds of measurement
    #[arg(long, env = "MUSTER_BENCH_DURATION", default_value_t = 10.0)]
    duration: f64,
    /// Measure this many cycles instead of a time
    #[arg(long, env = "MUSTER_BENCH_CYCLES")]
    cycles: Option<u64>,
    /// Accounts that request pictures
    #[arg(long, env = "MUSTER_BENCH_USERS", default_value_t = 8)]
    users: u32,
    /// Distinct workers that pop
    #[arg(long, env = "MUSTER_BENCH_WORKERS", default_value_t = 8)]
    workers: u32,
    /// Keys to use instead of making accounts, separated by commas
    #[arg(
        long = "apikey",
        env = "MUSTER_BENCH_APIKEYS",
        hide_env_values = true,
        value_delimiter = ','
    )]
    apikeys: Vec<String>,
    /// The image models that are requested and served, separated by commas; the server must know them
    #[arg(
        long,
        env = "MUSTER_BENCH_MODELS",
        value_delimiter = ',',
        default_value = "stable_diffusion"
    )]
    models: Vec<String>,
    /// The text models that are requested and served, separated by commas
    #[arg(
        long,
        env = "MUSTER_BENCH_TEXT_MODELS",
        value_delimiter = ',',
        default_value = "koboldcpp/Mistral-7B-Instruct-v0.3"
    )]
    text_models: Vec<String>,
    /// A model that idle workers serve and nobody requests; the server must know it
    #[arg(long, env = "MUSTER_BENCH_IDLE_MODEL", default_value = "waifu_diffusion")]
    idle_model: String,
    /// Requests that wait before the run begins, for fifty models that nobody serves
    #[arg(long, env = "MUSTER_BENCH_QUEUE", default_value_t = 0)]
    queue: u32,
    /// Requests that wait before the run begins, for the served models (for the pop scenario)
    #[arg(long, env = "MUSTER_BENCH_READY", default_value_t = 0)]
    ready: u32,
    /// How pictures are handed in
    #[arg(long, env = "MUSTER_BENCH_DELIVERY", value_enum, default_value_t = DeliveryArg::Inline)]
    delivery: DeliveryArg,
    /// Width and height of the pictures that are handed in
    #[arg(long, env = "MUSTER_BENCH_IMAGE_SIZE", default_value_t = 64)]
    image_size: u32,
    /// Threads of the load generator
    #[arg(long, env = "MUSTER_BENCH_CLIENT_THREADS", default_value_t = 1)]
    client_threads: usize,
    /// Report each stretch of so many seconds by itself, too: whether the server stays as fast as it began
    #[arg(long, env = "MUSTER_BENCH_WINDOW", value_name = "SECONDS")]
    window: Option<f64>,
    /// Print the report as JSON
    #[arg(long, env = "MUSTER_BENCH_JSON")]
    json: bool,
}

/// What to do, on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScenarioArg {
    /// Request, pop, submit, status
    Cycles,
    /// Pop and submit; every second lane belongs to an idle worker
    Pop,
    /// Cycles with progress checks, idle pops and heartbeats
    Mixed,
    /// Look at an account
    User,
    /// Look at the workers that are online: as many as --workers says
    Workers,
    /// Look up the account behind a key
    FindUser,
}

/// How pictures are handed in, on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeliveryArg {
    /// As base64 inside the submission
    Inline,
    /// By a PUT to the address that came with the job
    Upload,
    /// Not at all; for servers that don't look
    Claim,
}

impl BenchArgs {
    fn config(self) -> anyhow::Result<BenchConfig> {
        let span = |seconds, option| {
            Duration::try_from_secs_f64(seconds).with_context(|| format!("{option} is no time span"))
        };
        Ok(BenchConfig {
            allow_remote: self.allow_remote,
            scenario: match self.scenario {
                ScenarioArg::Cycles => Scenario::Cycles,
                ScenarioArg::Pop => Scenario::Pop,
                ScenarioArg::Mixed => Scenario::Mixed,
                ScenarioArg::User => Scenario::User,
                ScenarioArg::Workers => Scenario::Workers,
                ScenarioArg::FindUser => Scenario::FindUser,
            },
            mix: self.mix,
            load: match self.rate {
                None => Load::Closed {
                    concurrency: self.concurrency,
                },
                Some(rate) => Load::Open {
                    rate,
                    in_flight: self.in_flight,
                },
            },
            warmup: span(self.warmup, "--warmup")?,
            length: match self.cycles {
                Some(cycles) => Length::Cycles(cycles),
                None => Length::Time(span(self.duration, "--duration")?),
            },
            users: self.users,
            workers: self.workers,
            api_keys: self.apikeys,
            models: self.models,
            text_models: self.text_models,
            idle_model: self.idle_model,
            queue: self.queue,
            ready: self.ready,
            delivery: match self.delivery {
                DeliveryArg::Inline => Delivery::Inline,
                DeliveryArg::Upload => Delivery::Upload,
                DeliveryArg::Claim => Delivery::Claim,
            },
            image_size: self.image_size,
            client_threads: self.client_threads,
            window: self.window.map(|window| span(window, "--window")).transpose()?,
            ..BenchConfig::new(self.url)
        })
    }
}

/// Runs `muster bench`. The report goes to the standard output, progress to the standard error.
///
/// # Errors
/// Why there is no measurement.
pub(crate) async fn run(args: BenchArgs) -> anyhow::Result<()> {
    let json = args.json;
    let report = bench::run(args.config()?, signals::stop_token()?, |event| match event {
        BenchEvent::Preparing(text) => eprintln!("{text}"),
        BenchEvent::Tick { elapsed, cycles } => eprintln!("{:>4} s {cycles:>9} cycles", elapsed.as_secs()),
    })
    .await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{report}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: BenchArgs,
    }

    #[test]
    fn options_become_settings() {
        let cli = Cli::parse_from([
            "bench",
            "--scenario=pop",
            "--rate=200",
            "--cycles=50",
            "--delivery=upload",
            "--apikey=a,b",
            "--queue=1000",
            "--mix=image=2,text=1",
            "--window=60",
        ]);
        let config = cli.args.config().unwrap();
        assert_eq!(config.scenario, Scenario::Pop);
        assert_eq!(
            config.load,
            Load::Open {
                rate: 200.0,
                in_flight: 256
            }
        );
        assert_eq!((config.length, config.queue), (Length::Cycles(50), 1000));
        assert_eq!(config.delivery, Delivery::Upload);
        assert_eq!(config.mix.to_string(), "image=2,text=1,alchemy=0");
        assert_eq!(config.api_keys, ["a", "b"]);
        assert_eq!(config.window, Some(Duration::from_mins(1)));
    }

    #[test]
    fn negative_times_are_refused() {
        let cli = Cli::parse_from(["bench", "--duration=-1"]);
        assert!(cli.args.config().unwrap_err().to_string().contains("--duration"));
    }
}
