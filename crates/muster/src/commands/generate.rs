//! `muster generate`: pictures, texts or alchemy from any horde, on the command line.

use std::path::PathBuf;

use anyhow::Context;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use muster_protocol::{
    ANONYMOUS_KEY,
    alchemy::{self, Form, FormState},
    image::{ControlType, Lora, PostProcessor, RequestInput, Sampler, SourceProcessing},
    text,
};
use muster_worker::{
    client::{ApiClient, Options},
    generate,
};

use super::progress::ProgressLine;
use crate::signals;

/// Generate pictures and save them as files, write texts, or have something done with a picture.
///
/// The request waits until a worker takes it; Ctrl-C cancels it and saves what is ready by then.
#[derive(Args, Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // command line switches
pub(crate) struct GenerateArgs {
    /// What the picture shows, or the text that is to be continued
    #[arg(
        required_unless_present = "alchemy",
        default_value = "",
        hide_default_value = true
    )]
    prompt: String,
    /// Write a text instead, to the standard output
    #[arg(long, env = "MUSTER_TEXT")]
    text: bool,
    /// Do this with the picture of --source instead, for example caption or `RealESRGAN_x4plus`; may be repeated
    #[arg(
        long,
        env = "MUSTER_ALCHEMY",
        value_name = "FORM",
        value_delimiter = ',',
        requires = "source",
        conflicts_with = "text"
    )]
    alchemy: Vec<Form>,
    /// The most tokens of a text
    #[arg(long, env = "MUSTER_MAX_LENGTH", requires = "text")]
    max_length: Option<u32>,
    /// The most tokens of prompt and text together
    #[arg(long, env = "MUSTER_MAX_CONTEXT_LENGTH", requires = "text")]
    max_context_length: Option<u32>,
    /// How freely a text is written
    #[arg(long, env = "MUSTER_TEMPERATURE", requires = "text")]
    temperature: Option<f64>,
    /// A text ends where this comes; may be repeated
    #[arg(long = "stop", env = "MUSTER_STOP_SEQUENCES", requires = "text")]
    stop_sequence: Vec<String>,
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
    /// A style or collection, by id or name: it decides about the models, and about most of how the result is made
    #[arg(long, env = "MUSTER_STYLE", conflicts_with = "alchemy")]
    style: Option<String>,
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
    /// A picture to start from: a file or an address
    #[arg(long, env = "MUSTER_SOURCE", value_name = "FILE|URL")]
    source: Option<String>,
    /// Which part of it to paint over, bright where it is: a file or an address
    #[arg(long, env = "MUSTER_MASK", value_name = "FILE|URL", requires = "source")]
    mask: Option<String>,
    /// What to do with it: img2img, inpainting, outpainting or remix
    #[arg(long, env = "MUSTER_SOURCE_PROCESSING", requires = "source")]
    source_processing: Option<SourceProcessing>,
    /// How far the picture may stray from it, from 0.01 to 1
    #[arg(long, env = "MUSTER_DENOISE", requires = "source")]
    denoise: Option<f64>,
    /// The control map to derive from it, for example canny
    #[arg(long, env = "MUSTER_CONTROL", requires = "source")]
    control: Option<ControlType>,
    /// What to do with the finished picture, for example `RealESRGAN_x4plus`; may be repeated
    #[arg(
        long = "post-processing",
        env = "MUSTER_POST_PROCESSING",
        value_delimiter = ','
    )]
    post_processing: Vec<PostProcessor>,
    /// A `LoRA` to load, by name or page number, and how much it counts; may be repeated
    #[arg(
        long = "lora",
        env = "MUSTER_LORAS",
        value_name = "NAME[:STRENGTH]",
        value_delimiter = ','
    )]
    loras: Vec<String>,
    /// Render small first, then enlarge
    #[arg(long, env = "MUSTER_HIRES_FIX")]
    hires_fix: bool,
    /// A picture that continues over its borders
    #[arg(long, env = "MUSTER_TILING")]
    tiling: bool,
    /// How many layers of the text encoder to leave out
    #[arg(long, env = "MUSTER_CLIP_SKIP")]
    clip_skip: Option<u32>,
    /// Only this worker, by id; may be repeated
    #[arg(long = "worker", env = "MUSTER_WORKERS", value_delimiter = ',')]
    workers: Vec<String>,
    /// An https address that is called with each result
    #[arg(long, env = "MUSTER_WEBHOOK", value_name = "URL")]
    webhook: Option<String>,
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
    ///
    /// # Errors
    /// A source image cannot be read.
    fn request(&self) -> anyhow::Result<RequestInput> {
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
        input.params.denoising_strength = self.denoise;
        input.params.control_type = self.control;
        input.params.clip_skip = self.clip_skip;
        input.params.hires_fix = self.hires_fix.then_some(true);
        input.params.tiling = self.tiling.then_some(true);
        input.params.post_processing = some(self.post_processing.clone());
        input.params.loras = some(self.loras.iter().map(|text| lora(text)).collect());
        input.source_image = self.source.as_deref().map(picture).transpose()?;
        input.source_mask = self.mask.as_deref().map(picture).transpose()?;
        input.source_processing = self.source_processing.unwrap_or_default();
        input.style.clone_from(&self.style);
        input.workers.clone_from(&self.workers);
        input.webhook.clone_from(&self.webhook);
        Ok(input)
    }
}

impl GenerateArgs {
    /// The request for texts that these options describe.
    fn text_request(&self) -> text::RequestInput {
        text::RequestInput {
            prompt: Some(self.prompt.clone()),
            params: text::Params {
                n: Some(self.n),
                max_length: self.max_length,
                max_context_length: self.max_context_length,
                temperature: self.temperature,
                stop_sequence: some(self.stop_sequence.clone()),
                ..text::Params::default()
            },
            models: self.models.clone(),
            trusted_workers: self.trusted_workers,
            slow_workers: true,
            allow_downgrade: self.allow_downgrade,
            workers: self.workers.clone(),
            webhook: self.webhook.clone(),
            style: self.style.clone(),
            ..text::RequestInput::default()
        }
    }

    /// The request for alchemy that these options describe.
    ///
    /// # Errors
    /// The picture cannot be read.
    fn alchemy_request(&self) -> anyhow::Result<alchemy::RequestInput> {
        let forms = self.alchemy.iter().map(|form| alchemy::FormInput {
            name: *form,
            payload: None,
        });
        Ok(alchemy::RequestInput {
            forms: forms.collect(),
            source_image: self.source.as_deref().map(picture).transpose()?,
            trusted_workers: self.trusted_workers,
            slow_workers: true,
            webhook: self.webhook.clone(),
        })
    }
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// A `LoRA` as it is written: `name` or `name:strength`.
fn lora(text: &str) -> Lora {
    let with_strength = text
        .rsplit_once(':')
        .and_then(|(name, strength)| Some((name, strength.parse().ok()?)));
    let (name, strength) = with_strength.unwrap_or((text, 1.0));
    Lora {
        name: name.to_owned(),
        model: strength,
        clip: 1.0,
        inject_trigger: None,
        is_version: false,
    }
}

/// A picture as a request carries it: an address as it is, a file as base64.
fn picture(place: &str) -> anyhow::Result<String> {
    if place.starts_with("http") {
        return Ok(place.to_owned());
    }
    let file = std::fs::read(place).with_context(|| format!("the picture {place} cannot be read"))?;
    Ok(STANDARD.encode(file))
}

/// Runs `muster generate`. The names of the files go to the standard output, all else to the
/// standard error.
///
/// # Errors
/// Why there is no picture, or no file of it.
pub(crate) async fn run(args: GenerateArgs) -> anyhow::Result<()> {
    let client = ApiClient::new(&Options::new(&args.url).with_key(&args.apikey))?;
    if args.text {
        write(&client, &args).await
    } else if args.alchemy.is_empty() {
        paint(&client, &args).await
    } else {
        transform(&client, &args).await
    }
}

/// Texts go to the standard output.
async fn write(client: &ApiClient, args: &GenerateArgs) -> anyhow::Result<()> {
    let input = args.text_request();
    if args.dry_run {
        println!("{} kudos", generate::price_of_text(client, &input).await?);
        return Ok(());
    }
    let mut line = ProgressLine::new();
    let stop = signals::stop_token()?;
    let outcome = generate::write(client, &input, &stop, |update| line.show(&update)).await;
    line.finish();
    let outcome = outcome?;
    for text in &outcome.texts {
        eprintln!(
            "seed {}, model {}, by {}",
            text.seed, text.model, text.worker_name
        );
        println!("{}", text.text);
    }
    eprintln!("{} kudos", outcome.kudos);
    anyhow::ensure!(!outcome.cancelled, "cancelled");
    anyhow::ensure!(!outcome.texts.is_empty(), "the horde returned no text");
    Ok(())
}

/// What is found out goes to the standard output as JSON, as do the names of the files of pictures.
async fn transform(client: &ApiClient, args: &GenerateArgs) -> anyhow::Result<()> {
    let input = args.alchemy_request()?;
    let mut line = ProgressLine::new();
    let stop = signals::stop_token()?;
    let outcome = generate::transform(client, &input, &stop, |update| line.show(&update)).await;
    line.finish();
    let (_, forms) = outcome?;
    let forms = forms.context("cancelled")?;
    let name = args.source.as_deref().and_then(|source| {
        let file = std::path::Path::new(source).file_stem()?;
        file.to_str()
    });
    for outcome in &forms {
        match &outcome.picture {
            Some(picture) => {
                let file = generate::save_form(outcome.form, picture, &args.out, name.unwrap_or_default())
                    .await
                    .with_context(|| format!("cannot save the picture in {}", args.out.display()))?;
                println!("{}", file.display());
            }
            None if outcome.state == FormState::Done => {
                println!("{}", serde_json::Value::Object(outcome.result.clone()));
            }
            None => eprintln!("{}: {}", outcome.form, outcome.state.as_ref()),
        }
    }
    let done = forms.iter().all(|outcome| outcome.state == FormState::Done);
    anyhow::ensure!(done, "the horde gave some of it up: workers tried and failed");
    Ok(())
}

async fn paint(client: &ApiClient, args: &GenerateArgs) -> anyhow::Result<()> {
    let input = args.request()?;
    if args.dry_run {
        let price = generate::price(client, &input).await?;
        println!("{price} kudos");
        return Ok(());
    }
    let mut line = ProgressLine::new();
    let stop = signals::stop_token()?;
    let outcome = generate::generate(client, &input, &stop, |update| line.show(&update)).await;
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
            "--style=noir",
        ]);
        let input = cli.args.request().unwrap();
        assert_eq!(input.style.as_deref(), Some("noir"));
        assert_eq!(input.prompt, "a cat ### dogs");
        assert_eq!((input.params.width, input.params.n), (Some(768), Some(2)));
        assert_eq!(input.models, ["a", "b"]);
        assert_eq!(input.params.sampler_name, Some(Sampler::KHeun));
        assert_eq!(input.params.seed.as_deref(), Some("7"));
        assert!(!input.nsfw);
    }

    #[test]
    fn source_images_and_additions_become_a_request() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.png");
        std::fs::write(&file, b"hello").unwrap();
        let source = format!("--source={}", file.display());
        let cli = Cli::parse_from([
            "generate",
            "a cat",
            &source,
            "--mask=https://example.org/mask.webp",
            "--source-processing=inpainting",
            "--denoise=0.4",
            "--post-processing=GFPGAN",
            "--lora=Magnagothica:0.5",
            "--lora=a:b",
        ]);
        let input = cli.args.request().unwrap();
        assert_eq!(input.source_image.as_deref(), Some("aGVsbG8="));
        assert_eq!(
            input.source_mask.as_deref(),
            Some("https://example.org/mask.webp")
        );
        assert_eq!(input.source_processing, SourceProcessing::Inpainting);
        assert_eq!(input.params.denoising_strength, Some(0.4));
        assert_eq!(input.params.post_processing, Some(vec![PostProcessor::GFPGAN]));
        let loras: Vec<_> = input
            .params
            .loras
            .iter()
            .flatten()
            .map(|lora| (lora.name.as_str(), lora.model))
            .collect();
        assert_eq!(loras, [("Magnagothica", 0.5), ("a:b", 1.0)]);

        let missing = Cli::parse_from(["generate", "a cat", "--source=/does/not/exist.png"]);
        let error = missing.args.request().unwrap_err();
        assert!(error.to_string().contains("/does/not/exist.png"), "{error}");
    }

    #[test]
    fn texts_and_forms_are_requested_too() {
        let cli = Cli::parse_from([
            "generate",
            "Once",
            "--text",
            "--max-length=120",
            "--stop=The end",
            "--model=m",
            "-n=2",
            "--style=tale",
        ]);
        let input = cli.args.text_request();
        assert_eq!(input.style.as_deref(), Some("tale"));
        assert_eq!(input.prompt.as_deref(), Some("Once"));
        assert_eq!((input.params.max_length, input.params.n), (Some(120), Some(2)));
        assert_eq!(input.params.stop_sequence, Some(vec!["The end".to_owned()]));

        let cli = Cli::parse_from([
            "generate",
            "--alchemy=caption,4x_AnimeSharp",
            "--source=https://example.org/a.png",
        ]);
        let input = cli.args.alchemy_request().unwrap();
        let forms: Vec<Form> = input.forms.iter().map(|form| form.name).collect();
        assert_eq!(forms, [Form::Caption, Form::AnimeSharp4x]);
        assert_eq!(input.source_image.as_deref(), Some("https://example.org/a.png"));

        for wrong in [
            &["generate", "--alchemy=caption"][..],
            &["generate"],
            &["generate", "x", "--max-length=3"],
            &["generate", "x", "--alchemy=annotation", "--source=a"],
        ] {
            assert!(Cli::try_parse_from(wrong).is_err(), "{wrong:?}");
        }
    }
}
