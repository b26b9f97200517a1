//! `muster worker`: offers work to a horde.

use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use muster_protocol::{
    alchemy::{self, Form},
    text,
};
use muster_worker::{
    client::{ApiClient, Options},
    runtime::{Craft, Rhythm, Worker, WorkerConfig, WorkerEvent, bridge_agent},
    simulated::{Pace, Simulated, SimulatedAlchemist, SimulatedScribe, Speed},
};
use strum::IntoEnumIterator as _;
use tokio::sync::broadcast::error::RecvError;

use crate::signals;

/// Run a worker.
///
/// Ctrl-C stops it in good order: jobs that run are finished, or given back when that takes too
/// long. A second Ctrl-C stops it at once.
#[derive(Args, Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // command line switches
pub(crate) struct WorkerArgs {
    /// Simulate the work, without a GPU. The only kind of worker so far
    #[arg(long, env = "MUSTER_WORKER_SIMULATE")]
    simulate: bool,
    /// The kind of work
    #[arg(long, env = "MUSTER_WORKER_KIND", value_enum, default_value_t = KindArg::Image)]
    kind: KindArg,
    /// Speed of simulated pictures in megapixelsteps a second and thread; 0 or `instant` for no waiting
    #[arg(long, env = "MUSTER_WORKER_SPEED", default_value = "1.6")]
    speed: Speed,
    /// Speed of simulated texts in tokens a second and thread; 0 or `instant` for no waiting
    #[arg(long, env = "MUSTER_WORKER_TOKENS_PER_SECOND", default_value = "20")]
    tokens_per_second: Pace,
    /// How long a simulated form takes at least
    #[arg(long, env = "MUSTER_WORKER_SECONDS_PER_FORM", default_value_t = 1.0)]
    seconds_per_form: f64,
    /// Address of the horde
    #[arg(long, env = "MUSTER_URL", default_value = "http://127.0.0.1:7001")]
    url: String,
    /// API key of the worker's owner; workers cannot be anonymous
    #[arg(long, env = "MUSTER_APIKEY", hide_env_values = true)]
    apikey: String,
    /// The worker's name, unique in the horde
    #[arg(long, env = "MUSTER_WORKER_NAME")]
    name: String,
    /// The models that it serves, separated by commas; `stable_diffusion` or a small text model without it
    #[arg(long, env = "MUSTER_WORKER_MODELS", value_delimiter = ',')]
    models: Vec<String>,
    /// The most tokens that it writes
    #[arg(long, env = "MUSTER_WORKER_MAX_LENGTH", default_value_t = 512)]
    max_length: i64,
    /// The most tokens that its text models see
    #[arg(long, env = "MUSTER_WORKER_MAX_CONTEXT_LENGTH", default_value_t = 4096)]
    max_context_length: i64,
    /// The forms that it takes, separated by commas; all without it
    #[arg(long, env = "MUSTER_WORKER_FORMS", value_delimiter = ',')]
    forms: Vec<Form>,
    /// The largest picture that it does alchemy on, in tiles of 512x512 pixels
    #[arg(long, env = "MUSTER_WORKER_MAX_TILES", default_value_t = 80, value_parser = clap::value_parser!(u32).range(1..=256))]
    max_tiles: u32,
    /// Jobs at once
    #[arg(long, env = "MUSTER_WORKER_THREADS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=50))]
    threads: u32,
    /// Pictures or texts of one request, or forms of any, at once
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

/// The kind of work, on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    /// Pictures
    Image,
    /// Texts
    Text,
    /// What is found out about pictures, or made of them
    Alchemy,
}

/// What is served unless models are named.
const IMAGE_MODEL: &str = "stable_diffusion";
const TEXT_MODEL: &str = "koboldcpp/Mistral-7B-Instruct-v0.3";

impl WorkerArgs {
    /// What it serves: models, or forms.
    fn served(&self) -> Vec<String> {
        match self.kind {
            KindArg::Alchemy => self.forms().iter().map(ToString::to_string).collect(),
            _ if !self.models.is_empty() => self.models.clone(),
            KindArg::Image => vec![IMAGE_MODEL.to_owned()],
            KindArg::Text => vec![TEXT_MODEL.to_owned()],
        }
    }

    fn forms(&self) -> Vec<Form> {
        if self.forms.is_empty() {
            Form::iter().collect()
        } else {
            self.forms.clone()
        }
    }

    fn agent(&self) -> String {
        self.bridge_agent.clone().unwrap_or_else(bridge_agent)
    }

    fn rhythm(&self) -> anyhow::Result<Rhythm> {
        Ok(Rhythm {
            idle: Duration::try_from_secs_f64(self.idle).context("--idle is no time span")?,
            grace: Duration::from_secs(self.grace),
            ..Rhythm::default()
        })
    }

    fn image_config(&self) -> anyhow::Result<WorkerConfig> {
        let mut config = WorkerConfig::new(&self.name, self.served());
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
        offer.bridge_agent = self.agent();
        config.inline = self.inline;
        config.rhythm = self.rhythm()?;
        Ok(config)
    }

    fn text_config(&self) -> anyhow::Result<WorkerConfig<text::PopInput>> {
        let mut config = WorkerConfig::of_text(&self.name, self.served());
        let offer = &mut config.offer;
        offer.threads = self.threads;
        offer.amount = self.amount;
        offer.max_length = self.max_length;
        offer.max_context_length = self.max_context_length;
        offer.priority_usernames.clone_from(&self.priority_usernames);
        offer.nsfw = !self.no_nsfw;
        offer.bridge_agent = self.agent();
        config.rhythm = self.rhythm()?;
        Ok(config)
    }

    fn alchemy_config(&self) -> anyhow::Result<WorkerConfig<alchemy::PopInput>> {
        let mut config = WorkerConfig::of_alchemy(&self.name, self.forms());
        let offer = &mut config.offer;
        offer.threads = self.threads;
        offer.amount = i64::from(self.amount);
        offer.max_tiles = self.max_tiles;
        offer.priority_usernames.clone_from(&self.priority_usernames);
        offer.bridge_agent = self.agent();
        config.rhythm = self.rhythm()?;
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
    match args.kind {
        KindArg::Image => {
            let backend = Simulated { speed: args.speed };
            work(&args, Worker::new(client, backend, args.image_config()?)).await
        }
        KindArg::Text => {
            let backend = SimulatedScribe {
                pace: args.tokens_per_second,
            };
            work(&args, Worker::of_text(client, backend, args.text_config()?)).await
        }
        KindArg::Alchemy => {
            let time = Duration::try_from_secs_f64(args.seconds_per_form)
                .context("--seconds-per-form is no time span")?;
            let backend = SimulatedAlchemist { time };
            work(&args, Worker::of_alchemy(client, backend, args.alchemy_config()?)).await
        }
    }
}

async fn work<C: Craft>(args: &WorkerArgs, worker: Worker<C>) -> anyhow::Result<()> {
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
    println!(
        "{} serves {} at {}",
        args.name,
        args.served().join(", "),
        args.url
    );
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
        WorkerEvent::Taken { lane, ids, task } => println!("[{lane}] {} × {task}", ids.len()),
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
        let config = cli.args.image_config().unwrap();
        assert_eq!(config.offer.models, ["a", "b"]);
        assert_eq!(
            (config.offer.threads, config.offer.nsfw, config.offer.allow_lora),
            (3, false, true)
        );
        assert_eq!(config.rhythm.idle, Duration::from_millis(500));
        assert!(config.offer.bridge_agent.starts_with("Muster Worker:"));
    }

    #[test]
    fn each_kind_has_an_offer_of_its_own() {
        let parse = |options: &[&str]| {
            let usual = ["worker", "--simulate", "--apikey=k", "--name=w", "--amount=3"];
            Cli::parse_from(usual.iter().chain(options)).args
        };
        let scribe = parse(&["--kind=text", "--max-length=80", "--tokens-per-second=5"]);
        assert_eq!(scribe.tokens_per_second, Pace::Tokens(5.0));
        let offer = scribe.text_config().unwrap().offer;
        assert_eq!(
            (offer.models, offer.max_length, offer.amount),
            (vec![TEXT_MODEL.to_owned()], 80, 3)
        );
        let offer = parse(&["--kind=alchemy", "--forms=caption,4x_AnimeSharp"])
            .alchemy_config()
            .unwrap()
            .offer;
        assert_eq!(offer.forms, [Form::Caption, Form::AnimeSharp4x]);
        assert_eq!((offer.amount, offer.max_tiles), (3, 80));
        assert_eq!(
            parse(&["--kind=alchemy"])
                .alchemy_config()
                .unwrap()
                .offer
                .forms
                .len(),
            23
        );
    }

    #[tokio::test]
    async fn a_worker_without_a_backend_says_so() {
        let cli = Cli::parse_from(["worker", "--apikey=k", "--name=w"]);
        let error = run(cli.args).await.unwrap_err();
        assert!(error.to_string().contains("--simulate"));
    }
}
