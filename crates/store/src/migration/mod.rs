//! The schema, as a list of steps that only ever grows.
//!
//! Tables that later parts of the server need come with later steps.

mod m0001_core;
mod m0003_holds;
mod m0004_webhooks;
mod m0005_work_stats;
mod m0006_people;
mod m0007_prompt_filters;
mod m0008_safety;

use std::time::Duration;

use sea_orm::DatabaseConnection;
use sea_orm_migration::prelude::*;

use crate::{MigrationReport, StoreError};

/// All steps of this binary, oldest first.
pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_core::Migration),
            Box::new(m0003_holds::Migration),
            Box::new(m0004_webhooks::Migration),
            Box::new(m0005_work_stats::Migration),
            Box::new(m0006_people::Migration),
            Box::new(m0007_prompt_filters::Migration),
            Box::new(m0008_safety::Migration),
        ]
    }
}

/// How often, and how far apart, a failed migration is tried: when several nodes start at once, all
/// but one fail, and find the work done when they look again.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);

/// Brings a database up to date, or refuses one that is newer than this binary.
pub(crate) async fn run(db: &DatabaseConnection) -> Result<MigrationReport, StoreError> {
    let mut attempt = 1;
    loop {
        match run_once(db).await {
            Err(StoreError::Database(error)) if attempt < ATTEMPTS => {
                tracing::debug!(%error, attempt, "the migration is tried again");
                tokio::time::sleep(PAUSE).await;
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

/// The steps that a database still needs, oldest first, or a refusal of one that is newer than this binary. Nothing is
/// changed.
pub(crate) async fn missing(db: &DatabaseConnection) -> Result<Vec<String>, StoreError> {
    let known: Vec<String> = Migrator::migrations()
        .iter()
        .map(|migration| migration.name().to_owned())
        .collect();
    if !SchemaManager::new(db).has_table("seaql_migrations").await? {
        return Ok(known);
    }
    let found: Vec<String> = Migrator::get_migration_models(db)
        .await?
        .into_iter()
        .map(|model| model.version)
        .collect();
    if let Some(unknown) = found.iter().filter(|name| !known.contains(name)).max() {
        return Err(StoreError::NewerSchema {
            found: unknown.clone(),
            known: known.last().cloned().unwrap_or_default(),
        });
    }
    Ok(known.into_iter().filter(|name| !found.contains(name)).collect())
}

async fn run_once(db: &DatabaseConnection) -> Result<MigrationReport, StoreError> {
    Migrator::install(db).await?;
    let applied = missing(db).await?;
    Migrator::up(db, None).await?;
    Ok(MigrationReport {
        already_applied: Migrator::migrations().len() - applied.len(),
        applied,
    })
}
