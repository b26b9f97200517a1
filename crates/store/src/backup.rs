//! Copies of a database that is in use, and what can be said about a database from outside.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};

use crate::{Store, StoreError, migration, store::connect};

/// A copy that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Where it is.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// Why a copy was not made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// PostgreSQL has tools of its own for it.
    #[error("this database is PostgreSQL: copy it with pg_dump or a base backup, see docs/backup.md")]
    NotHere,
    /// The file cannot be made, or is there already.
    #[error("the copy {file} cannot be made: {source}")]
    File {
        /// Where it was to be.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The copy is there, but is not a sound database. It was deleted.
    #[error("the copy was damaged and has been deleted; is the disk all right? {0}")]
    Damaged(String),
    /// The database failed.
    #[error("the database failed: {0}")]
    Store(#[from] StoreError),
}

impl From<DbErr> for BackupError {
    fn from(error: DbErr) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Copies an SQLite database into a new file, as it is at one moment, while it is in use. Whatever was acknowledged
    /// before is in it. The copy is checked before this returns.
    ///
    /// # Errors
    /// See [`BackupError`]; no file is left behind then.
    pub async fn back_up(&self, file: &Path) -> Result<Backup, BackupError> {
        let reader = self.reader();
        if reader.get_database_backend() != DbBackend::Sqlite {
            return Err(BackupError::NotHere);
        }
        let failed = |source| BackupError::File {
            file: file.to_owned(),
            source,
        };
        // It holds hashes of keys and the salt: for its owner only. Nothing is overwritten.
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file);
        drop(made.map_err(failed)?);
        let outcome = copy(reader, file).await;
        if outcome.is_err() {
            let _ = std::fs::remove_file(file);
        }
        outcome?;
        let copied = File::open(file).map_err(failed)?;
        copied.sync_all().map_err(failed)?;
        let bytes = copied.metadata().map_err(failed)?.len();
        let file = file.to_owned();
        Ok(Backup { file, bytes })
    }
}

async fn copy(reader: &DatabaseConnection, file: &Path) -> Result<(), BackupError> {
    let name = file.to_string_lossy().into_owned();
    let vacuum = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [name.into()]);
    reader.execute_raw(vacuum).await?;
    let copy = connect(&format!("sqlite:{}?mode=ro&immutable=1", file.display()), 1).await?;
    let verdict = integrity(&copy).await;
    copy.close().await?;
    match verdict?.as_str() {
        "ok" => Ok(()),
        damage => Err(BackupError::Damaged(damage.to_owned())),
    }
}

/// What SQLite says about the soundness of a database: `ok`, or what is wrong.
async fn integrity(db: &DatabaseConnection) -> Result<String, DbErr> {
    let check = Statement::from_string(DbBackend::Sqlite, "PRAGMA quick_check(5)");
    let rows = db.query_all_raw(check).await?;
    let lines: Result<Vec<String>, DbErr> = rows.iter().map(|row| row.try_get_by_index(0)).collect();
    Ok(lines?.join("; "))
}

/// What is found out about a database without changing anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examination {
    /// Migrations that are missing; all of them for an empty database.
    pub missing: Vec<String>,
    /// What is wrong with the file, if the database has one and something is.
    pub damage: Option<String>,
    /// By how much the clock of the database's machine differs from ours.
    pub clock_difference: Duration,
}

/// Looks at a database without changing anything.
///
/// # Errors
/// It cannot be reached, or was written by a newer Muster.
pub async fn examine(url: &str) -> Result<Examination, StoreError> {
    let db = connect(&url.replace("mode=rwc", "mode=rw"), 1).await?;
    let examination = look_at(&db).await;
    db.close().await?;
    examination
}

async fn look_at(db: &DatabaseConnection) -> Result<Examination, StoreError> {
    let backend = db.get_database_backend();
    let missing = migration::missing(db).await?;
    let damage = match backend {
        DbBackend::Sqlite => Some(integrity(db).await?).filter(|verdict| verdict != "ok"),
        _ => None,
    };
    let clock_difference = match backend {
        DbBackend::Sqlite => Duration::ZERO,
        backend => {
            let now = Statement::from_string(backend, "SELECT CURRENT_TIMESTAMP AS now");
            let row = db.query_one_raw(now).await?;
            let theirs: Option<DateTime<Utc>> = row.map(|row| row.try_get("", "now")).transpose()?;
            theirs.map_or(Duration::ZERO, |theirs| {
                difference(theirs.into(), SystemTime::now())
            })
        }
    };
    Ok(Examination {
        missing,
        damage,
        clock_difference,
    })
}

fn difference(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other).unwrap_or_else(|error| error.duration())
}
