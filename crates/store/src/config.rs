//! How a store is opened, and what a migration reports.

/// How to open a [`Store`](crate::Store).
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// `sqlite:PATH?mode=rwc` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    pub url: String,
    /// The most changes that share one transaction. 1 to 256 are sensible; the default is 256.
    pub max_group: usize,
    /// How many changes may wait for the writer (default 4096). When that many wait, callers wait
    /// before they are queued.
    pub queue: usize,
    /// Connections for reads, beside the writer's own (default 4).
    pub read_connections: u32,
}

impl StoreConfig {
    /// The defaults for a database.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_group: 256,
            queue: 4096,
            read_connections: 4,
        }
    }
}

/// What a migration did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MigrationReport {
    /// The names of the migrations that ran now, in order.
    pub applied: Vec<String>,
    /// How many had been applied before.
    pub already_applied: usize,
}
