//! `muster demo`: a whole horde on one machine, from nothing to a picture.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use clap::Args;
use muster_engine::Engine;
use muster_protocol::{TestUserInput, image::RequestInput};
use muster_worker::{
    client::{ApiClient, Options as ClientOptions},
    generate::{self, Outcome},
    runtime::{Worker, WorkerConfig},
    simulated::Simulated,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::progress::ProgressLine;
use crate::{
    logging,
    node::Node,
    settings::{Options, Settings},
    signals,
};

/// The model that the demo's workers serve.
const MODEL: &str = "stable_diffusion";
/// How many simulated workers there are.
const WORKERS: usize = 2;

/// What `muster demo` accepts.
#[derive(Args, Clone, Debug)]
pub(crate) struct DemoArgs {
    /// What the picture shows
    #[arg(default_value = "a lighthouse in a storm")]
    prompt: String,

    #[command(flatten)]
    server: Options,
}

/// Starts a server with two simulated workers, makes one picture through the public API, and keeps
/// serving until it is told to stop.
///
/// # Errors
/// What keeps the server from starting or the picture from being made.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let settings = Settings::load(&args.server, |name| std::env::var(name).ok())?;
    // The progress bar is the log of a demo, unless more is asked for.
    let filter = if settings.log == Settings::default().log {
        "warn"
    } else {
        &settings.log
    };
    let logging = logging::start(&settings, filter)?;
    let stop = signals::stop_token()?;
    let node = tokio::select! {
        node = Node::start(&settings) => node?,
        () = stop.cancelled() => return Ok(()),
    };
    println!(
        "A horde on http://{}, its data in {}",
        node.address(),
        settings.data_dir.display()
    );
    if node.new_admin().is_some() {
        println!(
            "The administrator's API key is in {}",
            node.admin_key_file().display()
        );
    }
    let engine = node.engine().clone();
    let url = format!("http://{}", node.address());
    // The server goes last: the request is cancelled and the workers finish through it.
    let server_stop = CancellationToken::new();
    let serving = tokio::spawn(node.run(server_stop.clone()));
    let outcome = perform(&engine, &url, &args.prompt, &stop).await;
    server_stop.cancel();
    let ended = serving.await.context("the server broke")?;
    logging.finish().await;
    outcome.and(ended)
}

/// The demo itself: accounts, workers, a picture, and what to try next.
async fn perform(engine: &Engine, url: &str, prompt: &str, stop: &CancellationToken) -> anyhow::Result<()> {
    let key = account(engine, "demo client").await?;
    let client = ApiClient::new(&ClientOptions::new(url).with_key(&*key))?;
    let owner = client.with_key(&account(engine, "demo worker").await?)?;
    let mut running = JoinSet::new();
    for number in 1..=WORKERS {
        let mut config = WorkerConfig::new(format!("Demo worker {number}"), vec![MODEL.to_owned()]);
        config.rhythm.idle = Duration::from_millis(500);
        let worker = Worker::new(owner.clone(), Simulated::default(), config);
        running.spawn(worker.run(stop.clone()));
    }
    wait_for_workers(&owner, stop).await?;
    println!("{WORKERS} simulated workers are asking for work");

    let earned_before = owner.find_user().await?.kudos_details.accumulated;
    if let Some(outcome) = picture(&client, prompt, stop).await? {
        let earned = owner.find_user().await?.kudos_details.accumulated - earned_before;
        show(&outcome, earned, prompt).await?;
        suggest(url, &key);
    }
    while let Some(worker) = running.join_next().await {
        worker.context("a worker broke")??;
    }
    Ok(())
}

/// Waits until all workers have asked for work once, so that the picture finds them.
async fn wait_for_workers(owner: &ApiClient, stop: &CancellationToken) -> anyhow::Result<()> {
    while !stop.is_cancelled() && (owner.find_user().await?.worker_count as usize) < WORKERS {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// An account that the demo keeps between starts, with a new key.
async fn account(engine: &Engine, name: &str) -> anyhow::Result<String> {
    let input = TestUserInput {
        username: name.to_owned(),
        oauth_id: name.replace(' ', "_"),
        moderator: false,
        trusted: true,
        kudos: None,
    };
    Ok(engine
        .test_user(input)
        .await
        .with_context(|| format!("the account of the {name} cannot be made"))?
        .api_key)
}

/// One picture through the public API; `None` if the demo was stopped meanwhile.
async fn picture(
    client: &ApiClient,
    prompt: &str,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Outcome>> {
    let mut input = RequestInput::new(prompt);
    input.models = vec![MODEL.to_owned()];
    let mut line = ProgressLine::new();
    let outcome = generate::generate(client, &input, stop, |update| line.show(&update)).await;
    line.finish();
    let outcome = outcome?;
    Ok((!outcome.cancelled).then_some(outcome))
}

async fn show(outcome: &Outcome, earned: f64, prompt: &str) -> anyhow::Result<()> {
    for picture in &outcome.pictures {
        let file = generate::save(picture, Path::new("."), prompt)
            .await
            .context("the picture cannot be saved")?;
        let file = file.canonicalize().unwrap_or(file);
        println!("\nThe picture is in {}", file.display());
        println!(
            "made by \"{}\" with {}",
            picture.details.worker_name, picture.details.model
        );
    }
    println!(
        "It cost {} kudos, of which its worker earned {earned}",
        outcome.kudos
    );
    Ok(())
}

/// Prints what to try next.
fn suggest(url: &str, key: &str) {
    println!("\nThe horde goes on until Ctrl-C. Try from another terminal:\n");
    println!("  curl -s {url}/api/v2/find_user -H 'apikey: {key}'");
    println!(
        "  curl -s {url}/api/v2/generate/async -H 'apikey: {key}' -H 'Content-Type: application/json' \
         -d '{{\"prompt\": \"a calm sea\"}}'"
    );
    println!("  curl -s {url}/api/v2/generate/status/ID    # the id that the line above answered");
}
