//! Where one test's server keeps its data.

use std::{
    path::Path,
    sync::atomic::{AtomicU8, Ordering},
};

use sea_orm::{ConnectionTrait as _, Database};
use tempfile::TempDir;
use uuid::Uuid;

/// A directory and a database, gone when the test is over.
///
/// The database is a file in that directory, or, with `MUSTER_TEST_HTTP_ON=postgres`, a database of its
/// own on the server that `MUSTER_TEST_POSTGRES_URL` names.
pub(crate) struct Home {
    directory: TempDir,
    database: String,
    postgres: Option<Postgres>,
    /// How often a server was started over it.
    starts: AtomicU8,
}

impl Home {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let postgres = match std::env::var("MUSTER_TEST_HTTP_ON").as_deref() {
            Err(_) | Ok("sqlite") => None,
            Ok("postgres") => Some(Postgres::create().await),
            Ok(other) => panic!("MUSTER_TEST_HTTP_ON is sqlite or postgres, not {other}"),
        };
        let database = match &postgres {
            None => format!("sqlite:{}?mode=rwc", directory.path().join("test.db").display()),
            Some(postgres) => postgres.url(),
        };
        Self {
            directory,
            database,
            postgres,
            starts: AtomicU8::default(),
        }
    }

    /// The seed of the next server's ids and keys: always the same for the first, another for each that follows.
    pub(crate) fn next_seed(&self) -> [u8; 32] {
        [7 + self.starts.fetch_add(1, Ordering::Relaxed); 32]
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn database(&self) -> &str {
        &self.database
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(postgres) = self.postgres.take() {
            postgres.remove();
        }
    }
}

/// A database on somebody's server.
struct Postgres {
    server: String,
    name: String,
}

impl Postgres {
    async fn create() -> Self {
        let server = std::env::var("MUSTER_TEST_POSTGRES_URL").expect("MUSTER_TEST_POSTGRES_URL is set");
        let name = format!("muster_{}", Uuid::new_v4().simple());
        run(&server, &format!("CREATE DATABASE {name}")).await;
        Self { server, name }
    }

    fn url(&self) -> String {
        let (address, _) = self.server.rsplit_once('/').unwrap();
        format!("{address}/{}", self.name)
    }

    /// Waits until it is gone, on a thread of its own: a destructor cannot await.
    fn remove(self) {
        let remover = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(run(
                &self.server,
                &format!("DROP DATABASE {} WITH (FORCE)", self.name),
            ));
        });
        // A failure was reported by the thread and must not hide the test's own.
        let _ = remover.join();
    }
}

async fn run(server: &str, statement: &str) {
    let connection = Database::connect(server).await.unwrap();
    connection.execute_unprepared(statement).await.unwrap();
    connection.close().await.unwrap();
}
