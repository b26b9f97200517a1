//! A look into the books.

use muster_protocol::UserId;
use muster_store::BookedEntry;
use serde_json::Value;

use super::TestServer;

/// What an account has to spend and in escrow, in hundredths.
pub(crate) async fn balances(server: &TestServer, user: UserId) -> (i64, i64) {
    let balances = server.engine.store().balances(user).await.unwrap();
    (balances.spendable.hundredths(), balances.escrow.hundredths())
}

/// The movements of an account in hundredths, latest first.
pub(crate) async fn movements(server: &TestServer, user: UserId) -> Vec<i64> {
    let entries = server.engine.store().ledger_of(user, None, 100).await.unwrap();
    entries
        .iter()
        .map(|entry: &BookedEntry| entry.amount.hundredths())
        .collect()
}

/// Nothing was lost or made up.
pub(crate) async fn assert_clean(server: &TestServer) {
    let audit = server.engine.store().audit().await.unwrap();
    assert!(audit.is_clean(), "{audit:?}");
}

/// What an account is told about itself.
pub(crate) async fn find_user(server: &TestServer, key: &str) -> Value {
    server.get_as("/api/v2/find_user", key).await.ok(200)
}
