//! `muster generate`: one picture (or a few) from any horde, on the command line.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use muster_protocol::{
    ANONYMOUS_KEY,
    image::{Progress, RequestInput, Sampler},
};
use muster_worker::{
    client::{ApiClient, Options},
    generate::{self, Update},
};

use crate::signals;

/// Generate pictures and save them as files.
///
/// The request waits until a worker takes it; Ctrl-C cancels it and saves what is ready by then.
#[derive(Args, Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // command line switches
pub(crate) struct GenerateArgs {
    /// What the picture shows
    prompt: String,
    /// What it must not show
    #[arg(long, env = "MUSTER_NEGATIVE")]
    negative: Option<String>,
    /// Address of the horde
    #[arg(long, env = "MUSTER_URL", default_value = "http://127.0.0.1:7001")]
    url: String,
    /// API key; without one the request is anonymous
    #[arg(long, env = "MUSTER_APIKEY", hide_env_values = true, default_value = ANONYMOUS_KEY)]
    apikey: String,
    /// A model that may be used; may be repeated. Without one any model may be used
    #[arg(long = "model", env = "MUSTER_MODELS", value_delimiter = ',')]
    models: Vec<String>,
    /// Width in pixels, a multiple of 64
    #[arg(long, env = "MUSTER_WIDTH", default_value_t = 512)]
    width: u32,
    /// Height in pixels, a multiple of 64
    #[arg(long, env = "MUSTER_HEIGHT", default_value_t = 512)]
    height: u32,
    /// Diffusion steps
    #[arg(long, env = "MUSTER_STEPS", default_value_t = 30)]
    steps: u32,
    /// How many pictures
    #[arg(short, long, env = "MUSTER_N", default_value_t = 1)]
    n: u32,
    /// Seed: a number or any text. Random without one
    #[arg(long, env = "MUSTER_SEED")]
    seed: Option<String>,
    /// Sampler, for example `k_euler_a`
    #[arg(long, env = "MUSTER_SAMPLER")]
    sampler: Option<Sampler>,
    /// How closely the picture follows the prompt
    #[arg(long, env = "MUSTER_CFG_SCALE")]
    cfg_scale: Option<f64>,
    /// The picture may be unsafe for work
    #[arg(long, env = "MUSTER_NSFW")]
    nsfw: bool,
    /// Only workers of trusted owners
    #[arg(long, env = "MUSTER_TRUSTED_WORKERS")]
    trusted_workers: bool,
    /// Accept a smaller picture if the kudos do not suffice
    #[arg(long, env = "MUSTER_ALLOW_DOWNGRADE")]
    allow_downgrade: bool,
    /// Folder for the files
    #[arg(short, long, env = "MUSTER_OUT", default_value = ".")]
    out: PathBuf,
    /// Only tell what it would cost
    #[arg(long)]
    dry_run: bool,
}

impl GenerateArgs {
    /// The request that these options describe.
    fn request(&self) -> RequestInput {
        let mut input = RequestInput::new(match &self.negative {
            Some(negative) => format!("{} ### {negative}", self.prompt),
            None => self.prompt.clone(),
        });
        input.models.clone_from(&self.models);
        input.nsfw = self.nsfw;
        input.trusted_workers = self.trusted_workers;
        input.allow_downgrade = self.allow_downgrade;
        input.params.width = Some(self.width);
        input.params.height = Some(self.height);
        input.params.steps = Some(self.steps);
        input.params.n = Some(self.n);
        input.params.seed.clone_from(&self.seed);
        input.params.sampler_name = self.sampler;
        input.params.cfg_scale = self.cfg_scale;
        input
    }
}

/// Runs `muster generate`. The names of the files go to the standard output, all else to the
/// standard error.
///
/// # Errors
/// Why there is no picture, or no file of it.
pub(crate) async fn run(args: GenerateArgs) -> anyhow::Result<()> {
    let client = ApiClient::new(&Options::new(&args.url).with_key(&args.apikey))?;
    let input = args.request();
    if args.dry_run {
        let price = generate::price(&client, &input).await?;
        println!("{price} kudos");
        return Ok(());
    }
    let mut line = ProgressLine::new();
    let stop = signals::stop_token()?;
    let outcome = generate::generate(&client, &input, &stop, |update| line.show(&update)).await;
    line.finish();
    let outcome = outcome?;
    for picture in &outcome.pictures {
        let path = generate::save(picture, &args.out, &args.prompt)
            .await
            .with_context(|| format!("cannot save the picture in {}", args.out.display()))?;
        let details = &picture.details;
        let censored = if details.censored { ", censored" } else { "" };
        eprintln!(
            "seed {}, model {}, by {}{censored}",
            details.seed, details.model, details.worker_name
        );
        println!("{}", path.display());
    }
    eprintln!("{} kudos", outcome.kudos);
    anyhow::ensure!(!outcome.cancelled, "cancelled");
    anyhow::ensure!(!outcome.pictures.is_empty(), "the horde returned no picture");
    Ok(())
}

/// Progress as a bar on a terminal, as lines elsewhere.
pub(crate) struct ProgressLine {
    bar: Option<ProgressBar>,
    last: String,
}

impl ProgressLine {
    /// Nothing is shown before the first update.
    pub(crate) fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(1);
            if let Ok(style) = ProgressStyle::with_template("{spinner} [{bar:20}] {pos}/{len} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self {
            bar,
            last: String::new(),
        }
    }

    /// Shows what is new.
    pub(crate) fn show(&mut self, update: &Update) {
        match update {
            Update::Accepted(accepted) => {
                for warning in &accepted.warnings {
                    self.line(&format!("warning: {}", warning.message));
                }
                let said = |message: &&String| {
                    accepted
                        .warnings
                        .iter()
                        .any(|warning| warning.message == **message)
                };
                if let Some(message) = accepted.message.as_ref().filter(|message| !said(message)) {
                    self.line(message);
                }
            }
            Update::Progress(progress) => self.progress(progress),
            Update::Impossible => {
                self.line("No worker that is online can do this; waiting for one. Ctrl-C cancels.");
            }
            Update::Trouble { error, again_in } => {
                self.line(&format!(
                    "{error}; trying again in {:.0} s",
                    again_in.as_secs_f64()
                ));
            }
        }
    }

    fn progress(&mut self, progress: &Progress) {
        let text = describe(progress);
        match &self.bar {
            Some(bar) => {
                let pictures = progress.finished + progress.processing + progress.waiting;
                bar.set_length(u64::from(pictures.max(1)));
                bar.set_position(u64::from(progress.finished));
                bar.set_message(text);
            }
            None if text != self.last => {
                eprintln!("{text}");
                self.last = text;
            }
            None => (),
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// Clears the bar.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Where a request is, in a few words.
fn describe(progress: &Progress) -> String {
    let mut text = if progress.done {
        "done".to_owned()
    } else if progress.processing > 0 {
        format!("{} in the making", progress.processing)
    } else {
        format!("number {} in the queue", progress.queue_position)
    };
    if !progress.done && progress.wait_time > 0 {
        // Writing to a string does not fail.
        let _ = write!(text, ", about {} s", progress.wait_time);
    }
    if progress.restarted > 0 {
        let _ = write!(text, ", {} restarted", progress.restarted);
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: GenerateArgs,
    }

    #[test]
    fn options_become_a_request() {
        let cli = Cli::parse_from([
            "generate",
            "a cat",
            "--negative=dogs",
            "--width=768",
            "-n=2",
            "--model=a,b",
            "--sampler=k_heun",
            "--seed=7",
        ]);
        let input = cli.args.request();
        assert_eq!(input.prompt, "a cat ### dogs");
        assert_eq!((input.params.width, input.params.n), (Some(768), Some(2)));
        assert_eq!(input.models, ["a", "b"]);
        assert_eq!(input.params.sampler_name, Some(Sampler::KHeun));
        assert_eq!(input.params.seed.as_deref(), Some("7"));
        assert!(!input.nsfw);
    }

    #[test]
    fn progress_is_told_in_words() {
        let mut progress = Progress {
            finished: 0,
            processing: 0,
            restarted: 0,
            waiting: 1,
            done: false,
            faulted: false,
            wait_time: 12,
            queue_position: 3,
            kudos: 0.0,
            is_possible: true,
        };
        assert_eq!(describe(&progress), "number 3 in the queue, about 12 s");
        progress.processing = 1;
        progress.restarted = 1;
        assert_eq!(describe(&progress), "1 in the making, about 12 s, 1 restarted");
        progress.done = true;
        progress.restarted = 0;
        assert_eq!(describe(&progress), "done");
    }
}
