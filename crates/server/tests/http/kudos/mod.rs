//! `kudos`, and how kudos are earned without work.

mod award;
mod history;
mod races;
mod transfer;
mod uptime;

use muster_protocol::TestUser;
use muster_store::AccountChanges;
use serde_json::{Value, json};

use crate::support::{Answer, START, TestServer, number};

const TRANSFER: &str = "/api/v2/kudos/transfer";

async fn transfer(server: &TestServer, from: &str, to: &str, amount: i64) -> Answer {
    server
        .post(TRANSFER, from, &json!({"username": to, "amount": amount}))
        .await
}

/// Changes an account that nobody has used yet.
async fn change(server: &TestServer, user: &TestUser, changes: AccountChanges) {
    let journal = server.engine.store().journal();
    journal.set_account(number(user), changes, START).await.unwrap();
    details(server, user).await;
}

/// What the account has to spend, and the totals that were counted for it.
async fn details(server: &TestServer, user: &TestUser) -> (Value, Value) {
    let seen = server.get_as("/api/v2/find_user", &user.api_key).await.ok(200);
    (seen["kudos"].clone(), seen["kudos_details"].clone())
}
