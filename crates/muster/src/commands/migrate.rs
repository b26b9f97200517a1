//! `muster migrate`: bring a database to this version's schema without serving.

use anyhow::Context as _;
use muster_store::Store;

use crate::{
    node,
    settings::{Options, Settings},
};

/// Runs the migrations that are missing and tells which.
///
/// # Errors
/// The database cannot be reached or is newer than this version.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let settings = Settings::load(&options, |name| std::env::var(name).ok())?;
    if settings.database.is_none() {
        let directory = &settings.data_dir;
        std::fs::create_dir_all(directory)
            .with_context(|| format!("the data directory {} cannot be made", directory.display()))?;
    }
    let report = Store::migrate(&node::database_url(&settings)).await?;
    for name in &report.applied {
        println!("applied {name}");
    }
    println!(
        "{} applied now, {} before: the schema is up to date",
        report.applied.len(),
        report.already_applied
    );
    Ok(())
}
