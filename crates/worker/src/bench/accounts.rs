//! Where a run gets its accounts from: keys that it was given, the test-user route of a server on
//! this machine, or the registration page.

use muster_protocol::TestUserInput;

use super::{BenchConfig, BenchError};
use crate::client::{ApiClient, ClientError};

/// Enough for every run.
const KUDOS: i64 = 1_000_000_000;
/// The highest value that a moderator can set.
const MOST_WAITING: u32 = 500;

/// Makes accounts, or hands out those it was given.
pub(super) struct Accounts {
    client: ApiClient,
    source: Source,
    made: u32,
}

enum Source {
    Given(Vec<String>),
    TestUser,
    Register,
}

impl Accounts {
    /// Finds out which source there is.
    pub(super) async fn open(config: &BenchConfig, client: &ApiClient) -> Result<Self, BenchError> {
        let source = if config.api_keys.is_empty() {
            let probe = TestUserInput {
                oauth_id: "muster-bench-probe".to_owned(),
                ..wish("bench-probe")
            };
            match client.test_user(&probe).await {
                Ok(_) => Source::TestUser,
                Err(error) if matches!(error.status(), Some(403 | 404)) => Source::Register,
                Err(error) => return Err(failed(error)),
            }
        } else {
            Source::Given(config.api_keys.clone())
        };
        Ok(Self {
            client: client.clone(),
            source,
            made: 0,
        })
    }

    /// How the accounts are come by, for the report.
    pub(super) fn describe(&self) -> &'static str {
        match self.source {
            Source::Given(_) => "given keys",
            Source::TestUser => "test users",
            Source::Register => "registered accounts (untrusted: few workers each, no kudos)",
        }
    }

    /// How many workers one account may own.
    pub(super) fn workers_each(&self) -> u32 {
        match self.source {
            Source::Register => 3,
            Source::Given(_) | Source::TestUser => 20,
        }
    }

    /// The key of one more account; given keys start over when all are used.
    pub(super) async fn next(&mut self) -> Result<String, BenchError> {
        let number = self.made;
        self.made += 1;
        let name = format!("bench-{number}");
        match &self.source {
            Source::Given(keys) => Ok(keys[number as usize % keys.len()].clone()),
            Source::TestUser => self.test_user(&name).await.map_err(failed),
            Source::Register => self.client.register(&name).await.map_err(failed),
        }
    }

    async fn test_user(&self, name: &str) -> Result<String, ClientError> {
        let user = self.client.test_user(&wish(name)).await?;
        // Test users are moderators here, who may allow themselves more waiting pictures. Servers
        // that don't know the route just need more accounts.
        let own = self.client.with_key(&user.api_key)?;
        if let Err(error) = own.set_concurrency(&user.user_id, MOST_WAITING).await {
            tracing::debug!(%error, "the usual concurrency has to do");
        }
        Ok(user.api_key)
    }
}

fn wish(name: &str) -> TestUserInput {
    TestUserInput {
        username: name.to_owned(),
        oauth_id: format!("muster-{name}"),
        moderator: true,
        trusted: true,
        kudos: Some(KUDOS),
    }
}

fn failed(error: ClientError) -> BenchError {
    BenchError::Setup {
        step: "making accounts".to_owned(),
        error,
    }
}
