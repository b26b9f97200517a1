//! The passkeys with which the proxies of services name whom they speak for.

use std::collections::HashMap;

use muster_protocol::UserId;
use parking_lot::RwLock;

use crate::{Engine, error::Result};

/// The passkeys of accounts in good standing, in memory: they are looked at with every call that carries one.
#[derive(Debug, Default)]
pub(crate) struct Passkeys(RwLock<HashMap<String, UserId>>);

impl Engine {
    /// Whose passkey it is, if the account is in good standing.
    pub fn owner_of_passkey(&self, passkey: &str) -> Option<UserId> {
        self.passkeys.0.read().get(passkey).copied()
    }

    /// Looks up which passkeys there are.
    ///
    /// # Errors
    /// The database failed; those that were known stay so.
    pub(crate) async fn read_passkeys(&self) -> Result<()> {
        let known = self.store.passkeys().await?;
        *self.passkeys.0.write() = known.into_iter().collect();
        Ok(())
    }
}
