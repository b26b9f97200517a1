//! An empty database on each engine, one after the other.

use sea_orm::{ConnectionTrait as _, Database};

/// An engine with a database that is gone afterwards.
pub(crate) struct Engine {
    pub(crate) name: &'static str,
    pub(crate) url: String,
    is_sqlite: bool,
}

impl Engine {
    /// A query whose rows, in the column `i`, are the numbers from `first` to `last`.
    pub(crate) fn numbers(&self, first: u64, last: u64) -> String {
        if self.is_sqlite {
            format!(
                "WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) SELECT i FROM n"
            )
        } else {
            format!("SELECT generate_series({first}, {last}) AS i")
        }
    }
}

/// Measures on both; PostgreSQL is left out if it does not run.
pub(crate) async fn each(measure: impl AsyncFn(Engine)) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("muster.db");
    measure(Engine {
        name: "SQLite",
        url: format!("sqlite:{}?mode=rwc", file.display()),
        is_sqlite: true,
    })
    .await;
    let Ok(server) = std::env::var("MUSTER_TEST_POSTGRES_URL") else {
        println!("PostgreSQL was left out: run it by scripts/with-services");
        return;
    };
    let name = format!("muster_bench_{}", std::process::id());
    let admin = Database::connect(&server).await.unwrap();
    let create = format!("CREATE DATABASE {name}");
    admin.execute_unprepared(&create).await.unwrap();
    let (address, _) = server.rsplit_once('/').unwrap();
    measure(Engine {
        name: "PostgreSQL",
        url: format!("{address}/{name}"),
        is_sqlite: false,
    })
    .await;
    let drop = format!("DROP DATABASE {name} WITH (FORCE)");
    admin.execute_unprepared(&drop).await.unwrap();
}
