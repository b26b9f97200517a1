//! The `muster` command line: wiring and configuration, nothing else.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod commands;
mod control;
mod logging;
mod node;
mod settings;
mod signals;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

/// The system's allocator keeps what many threads have freed, in pieces too small to be given back: after a flood the
/// server stayed as large as it had been in it. Without huge pages: with them, what was given back in small pieces comes
/// back as soon as the kernel makes one large page of many small ones.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// An AI Horde server: turns volunteers' GPUs into one inference cluster
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a horde
    Serve(Box<settings::Options>),
    /// Run a horde with two simulated workers, make one picture, and keep serving
    Demo(Box<commands::demo::DemoArgs>),
    /// Ask a horde for a picture
    Generate(Box<commands::generate::GenerateArgs>),
    /// Work for a horde
    Worker(Box<commands::worker::WorkerArgs>),
    /// Measure a horde under load
    Bench(Box<commands::bench::BenchArgs>),
    /// Look after a horde: accounts, keys, workers, kudos
    Admin(Box<commands::admin::AdminArgs>),
    /// Look at everything that a server needs, and say what to do; with the options of serve
    Doctor(Box<settings::Options>),
    /// Bring a database to this version's schema
    Migrate(Box<settings::Options>),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(options) => commands::serve::run(*options).await,
        Command::Demo(args) => commands::demo::run(*args).await,
        Command::Generate(args) => commands::generate::run(*args).await,
        Command::Worker(args) => commands::worker::run(*args).await,
        Command::Bench(args) => commands::bench::run(*args).await,
        Command::Admin(args) => commands::admin::run(*args).await,
        Command::Doctor(options) => commands::doctor::run(*options).await,
        Command::Migrate(options) => commands::migrate::run(*options).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("muster: {error:#}");
            ExitCode::FAILURE
        }
    }
}
