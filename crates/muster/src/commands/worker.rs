//! `muster worker`: offers work to a horde.

use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use muster_worker::{
    client::{ApiClient, Options},
    runtime::{Worker, WorkerConfig, WorkerEvent, bridge_agent},
    simulated::{Simulated, Speed},
};
use tokio::sync::broadcast::error::RecvError;

use crate::signals;

/// Run a worker.
///
/// Ctrl-C stops it in good order: jobs that run are finished, or given back when that takes too
/// long. A second Ctrl-C stops it at once.
#[derive(Args, Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // command line switches
pub(crate) struct WorkerArgs {
    /// Make simulated pictures, without a GPU. The only kind of worker so far
    #[arg(long, env = "MUSTER_WORKER_SIMULATE")]
    simulate: bool,
    /// Speed of the simulation in megapixelsteps a second and thread; 0 or `instant` for no waiting
    #[arg(long, env = "MUSTER_WORKER_SPEED", default_value = "1.6")]
    speed: Speed,
    /// Address of the horde
    #[arg(long, env = "MUSTER_URL", default_value = "http://127.0.0.1:7001")]
    url: String,
    /// API key of the worker's owner; workers cannot be anonymous
    #[arg(long, env = "MUSTER_APIKEY", hide_env_values = true)]
    apikey: String,
    /// The worker's name, unique in the horde
    #[arg(long, env = "MUSTER_WORKER_NAME")]
    name: String,
    /// The models that it serves, separated by commas
    #[arg(
        long,
        env = "MUSTER_WORKER_MODELS",
        value_delimiter = ',',
        default_value = "stable_diffusion"
    )]
    models: Vec<String>,
    /// Jobs at once
    #[arg(long, env = "MUSTER_WORKER_THREADS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=50))]
    threads: u32,
    /// Pictures of one request at once
    #[arg(long, env = "MUSTER_WORKER_AMOUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=20))]
    amount: u32,
    /// The largest picture, in pixels
    #[arg(long, env = "MUSTER_WORKER_MAX_PIXELS", default_value_t = 1024 * 1024)]
    max_pixels: i64,
    /// Words that a prompt must not contain, separated by commas
    #[arg(long, env = "MUSTER_WORKER_BLACKLIST", value_delimiter = ',')]
    blacklist: Vec<String>,
    /// Users (`name#number`) whose requests come first, separated by commas
    #[arg(long, env = "MUSTER_WORKER_PRIORITY_USERNAMES", value_delimiter = ',')]
    priority_usernames: Vec<String>,
    /// Refuse requests that are unsafe for work
    #[arg(long, env = "MUSTER_WORKER_NO_NSFW")]
    no_nsfw: bool,
    /// Refuse requests with a source image
    #[arg(long, env = "MUSTER_WORKER_NO_IMG2IMG")]
    no_img2img: bool,
    /// Refuse inpainting and outpainting
    #[arg(long, env = "MUSTER_WORKER_NO_PAINTING")]
    no_painting: bool,
    /// Refuse requests from unsafe addresses
    #[arg(long, env = "MUSTER_WORKER_NO_UNSAFE_IP")]
    no_unsafe_ip: bool,
    /// Refuse requests with post-processing
    #[arg(long, env = "MUSTER_WORKER_NO_POST_PROCESSING")]
    no_post_processing: bool,
    /// Take requests with a control type
    #[arg(long, env = "MUSTER_WORKER_CONTROLNET")]
    controlnet: bool,
    /// Take control types on SDXL, too
    #[arg(long, env = "MUSTER_WORKER_SDXL_CONTROLNET")]
    sdxl_controlnet: bool,
    /// Take requests with `LoRAs`
    #[arg(long, env = "MUSTER_WORKER_LORA")]
    lora: bool,
    /// Take only requests of users who can pay now
    #[arg(long, env = "MUSTER_WORKER_REQUIRE_UPFRONT_KUDOS")]
    require_upfront_kudos: bool,
    /// Take only requests with no more steps than usual for the model
    #[arg(long, env = "MUSTER_WORKER_LIMIT_MAX_STEPS")]
    limit_max_steps: bool,
    /// Say that the worker is very slow; it then gets only requests that opted in
    #[arg(long, env = "MUSTER_WORKER_EXTRA_SLOW")]
    extra_slow: bool,
    /// Software to pose as (`name:version:url`); servers judge abilities by it
    #[arg(long, env = "MUSTER_WORKER_BRIDGE_AGENT")]
    bridge_agent: Option<String>,
    /// Send pictures inside the submission instead of uploading them
    #[arg(long, env = "MUSTER_WORKER_INLINE")]
    inline: bool,
    /// Seconds between pops while there is nothing to do
    #[arg(long, env = "MUSTER_WORKER_IDLE", default_value_t = 1.0)]
    idle: f64,
    /// Seconds that jobs may still run after the worker was told to stop
    #[arg(long, env = "MUSTER_WORKER_GRACE", default_value_t = 60)]
    grace: u64,
}

impl WorkerArgs {
    fn config(&self) -> anyhow::Result<WorkerConfig> {
        let mut config = WorkerConfig::new(&self.name, self.models.clone());
        let offer = &mut config.offer;
        offer.threads = self.threads;
        offer.amount = self.amount;
        offer.max_pixels = self.max_pixels;
        offer.blacklist.clone_from(&self.blacklist);
        offer.priority_usernames.clone_from(&self.priority_usernames);
        offer.nsfw = !self.no_nsfw;
        offer.allow_img2img = !self.no_img2img;
        offer.allow_painting = !self.no_painting;
        offer.allow_unsafe_ipaddr = !self.no_unsafe_ip;
        offer.allow_post_processing = !self.no_post_processing;
        offer.allow_controlnet = self.controlnet;
        offer.allow_sdxl_controlnet = self.sdxl_controlnet;
        offer.allow_lora = self.lora;
        offer.require_upfront_kudos = self.require_upfront_kudos;
        offer.limit_max_steps = self.limit_max_steps;
        offer.extra_slow_worker = self.extra_slow;
        offer.bridge_agent = self.bridge_agent.clone().unwrap_or_else(bridge_agent);
        config.inline = self.inline;
        config.idle = Duration::try_from_secs_f64(self.idle).context("--idle is no time span")?;
        config.grace = Duration::from_secs(self.grace);
        Ok(config)
    }
}

/// Runs `muster worker` until it is told to stop.
///
/// # Errors
/// Why the server refuses the worker for good.
pub(crate) async fn run(args: WorkerArgs) -> anyhow::Result<()> {
    ensure!(
        args.simulate,
        "there is no other kind of worker than --simulate yet; for a real one, point a worker like reGen to this horde"
    );
    let client = ApiClient::new(&Options::new(&args.url).with_key(&args.apikey))?;
    let worker = Worker::new(client, Simulated { speed: args.speed }, args.config()?);
    let mut events = worker.events();
    let printer = tokio::spawn(async move {
        loop {
            match events.recv().await {
                Ok(event) => tell(&event),
                Err(RecvError::Lagged(_)) => (),
                Err(RecvError::Closed) => break,
            }
        }
    });
    println!("{} serves {} at {}", args.name, args.models.join(", "), args.url);
    let ran = worker.run(signals::stop_token()?).await;
    // The worker is gone, and with it the sender of its events.
    let _ = printer.await;
    let totals = ran?;
    println!(
        "{} delivered, {} faulted, {} lost, {:.2} kudos earned",
        totals.delivered, totals.faulted, totals.lost, totals.kudos
    );
    Ok(())
}

/// Prints what an owner wants to see.
fn tell(event: &WorkerEvent) {
    match event {
        WorkerEvent::Taken {
            lane,
            ids,
            model,
            width,
            height,
            steps,
        } => println!(
            "[{lane}] {} × {model}, {width}×{height}, {steps} steps",
            ids.len()
        ),
        WorkerEvent::Delivered { id, reward, took } => {
            println!(
                "{id}: delivered after {:.1} s, {reward} kudos",
                took.as_secs_f64()
            );
        }
        WorkerEvent::Faulted { id, reason } => println!("{id}: given back, {reason}"),
        WorkerEvent::Lost { id, reason } => println!("{id}: lost, {reason}"),
        WorkerEvent::Note { origin, text } => {
            println!("note from {}: {text}", origin.as_deref().unwrap_or("the horde"));
        }
        WorkerEvent::Maintenance { message } => println!("in maintenance: {message}"),
        WorkerEvent::Trouble { error, again_in } => {
            eprintln!("{error}; trying again in {:.1} s", again_in.as_secs_f64());
        }
        WorkerEvent::Progress { .. } | WorkerEvent::Stopped(_) => (),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: WorkerArgs,
    }

    #[test]
    fn options_become_an_offer() {
        let cli = Cli::parse_from([
            "worker",
            "--simulate",
            "--apikey=k",
            "--name=w",
            "--models=a,b",
            "--threads=3",
            "--no-nsfw",
            "--lora",
            "--speed=instant",
            "--idle=0.5",
        ]);
        assert_eq!(cli.args.speed, Speed::Instant);
        let config = cli.args.config().unwrap();
        assert_eq!(config.offer.models, ["a", "b"]);
        assert_eq!(
            (config.offer.threads, config.offer.nsfw, config.offer.allow_lora),
            (3, false, true)
        );
        assert_eq!(config.idle, Duration::from_millis(500));
        assert!(config.offer.bridge_agent.starts_with("Muster Worker:"));
    }

    #[tokio::test]
    async fn a_worker_without_a_backend_says_so() {
        let cli = Cli::parse_from(["worker", "--apikey=k", "--name=w"]);
        let error = run(cli.args).await.unwrap_err();
        assert!(error.to_string().contains("--simulate"));
    }
}
