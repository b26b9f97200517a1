//! The few things that differ between SQLite and PostgreSQL: how they are opened, and what their
//! errors mean. All SQL is common.

use std::time::Duration;

use sea_orm::{
    ConnectOptions, DbErr, RuntimeErr, SqlErr,
    sqlx::{
        self,
        sqlite::{SqliteJournalMode, SqliteSynchronous},
    },
};

use crate::StoreError;

/// How many prepared statements a connection keeps: all shapes of the journal in all sizes.
const STATEMENT_CACHE: usize = 512;

/// How many rows SQLite's thread reads ahead; every time the buffer is full costs a switch of
/// threads.
const ROW_BUFFER: usize = 1024;

/// How long SQLite waits for another process that is writing.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The options of a pool. SQLite: write-ahead log, every commit synced to disk.
pub(crate) fn connect_options(url: &str, connections: u32) -> Result<ConnectOptions, StoreError> {
    if !(url.starts_with("sqlite:") || url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        return Err(StoreError::UnsupportedUrl {
            url: without_password(url),
        });
    }
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(0)
        .connect_timeout(Duration::from_secs(10))
        .acquire_timeout(Duration::from_secs(10))
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|options| {
            options
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(BUSY_TIMEOUT)
                .pragma("cache_size", "-8192")
                .pragma("temp_store", "MEMORY")
                .pragma("wal_autocheckpoint", "4000")
                .row_buffer_size(ROW_BUFFER)
                .statement_cache_capacity(STATEMENT_CACHE)
        })
        .map_sqlx_postgres_opts(|options| {
            options
                .application_name("muster")
                .statement_cache_capacity(STATEMENT_CACHE)
        });
    Ok(options)
}

/// Explains why a database cannot be opened.
pub(crate) fn cannot_connect(url: &str, error: DbErr) -> StoreError {
    let hint = if url.starts_with("sqlite:") {
        sqlite_hint(url)
    } else {
        postgres_hint(url)
    };
    StoreError::CannotConnect {
        url: without_password(url),
        hint,
        source: Box::new(error),
    }
}

fn sqlite_hint(url: &str) -> String {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    let path = std::path::Path::new(path.split('?').next().unwrap_or_default());
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => std::path::Path::new("."),
    };
    if !directory.is_dir() {
        format!("the directory {} does not exist", directory.display())
    } else if path.is_dir() {
        format!("{} is a directory, not a file", path.display())
    } else if !path.exists() && !url.contains("mode=rwc") {
        format!(
            "the file {} does not exist (add ?mode=rwc to create it)",
            path.display()
        )
    } else if !path.exists() {
        format!("the directory {} is not writable", directory.display())
    } else {
        format!(
            "{} is not readable and writable, or it is not an SQLite database",
            path.display()
        )
    }
}

fn postgres_hint(url: &str) -> String {
    let Ok(url) = url::Url::parse(url) else {
        return "the address cannot be read".to_owned();
    };
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .unwrap_or("localhost");
    let port = url.port().unwrap_or(5432);
    format!("no PostgreSQL answers at {host}:{port}, or it refuses the user, the password or the database")
}

/// An address that can be shown and logged.
pub(crate) fn without_password(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            // Only addresses without a host refuse a password, and this one has one.
            let _ = parsed.set_password(Some("***"));
            parsed.to_string()
        }
        Err(_) if url.contains('@') => "(an address that cannot be read)".to_owned(),
        _ => url.to_owned(),
    }
}

fn driver_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

/// Whether the connection, not the statement, failed.
pub(crate) fn is_disconnected(error: &DbErr) -> bool {
    if matches!(error, DbErr::ConnectionAcquire(_)) {
        return true;
    }
    match driver_error(error) {
        Some(sqlx::Error::Database(error)) => {
            // PostgreSQL: connection exceptions, and a server that is starting or stopping.
            error
                .code()
                .is_some_and(|code| code.starts_with("08") || code.starts_with("57P"))
        }
        Some(error) => matches!(
            error,
            sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
        ),
        None => false,
    }
}

/// Whether the same group may succeed if it is tried again.
pub(crate) fn is_transient(error: &DbErr) -> bool {
    if is_disconnected(error) {
        return true;
    }
    // PostgreSQL: serialization failure, deadlock, lock not available.
    is_locked(error) || has_code(error, &["40001", "40P01", "55P03"])
}

/// Whether another process holds the SQLite file: busy and locked, with their extended codes.
pub(crate) fn is_locked(error: &DbErr) -> bool {
    has_code(error, &["5", "6", "261", "262", "517", "773"])
}

fn has_code(error: &DbErr, codes: &[&str]) -> bool {
    let Some(sqlx::Error::Database(error)) = driver_error(error) else {
        return false;
    };
    error.code().is_some_and(|code| codes.contains(&&*code))
}

/// Whether a row with the same key exists.
pub(crate) fn is_unique_violation(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_never_shown() {
        assert_eq!(
            without_password("postgres://u:secret@h:1/d"),
            "postgres://u:***@h:1/d"
        );
        assert_eq!(
            without_password("sqlite:/tmp/a.db?mode=rwc"),
            "sqlite:/tmp/a.db?mode=rwc"
        );
    }
}
