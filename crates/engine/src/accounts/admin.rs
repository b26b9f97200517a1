//! The first start of a horde: somebody has to be in charge.

use muster_protocol::UserId;
use muster_store::{Role, Roles};
use uuid::Uuid;

use super::registration::NewKey;
use crate::{Engine, error::Result};

/// What a start found.
#[derive(Clone, Debug)]
pub enum FirstStart {
    /// The horde is new: here is its administrator's key.
    Yes(NewKey),
    /// The horde has an administrator already.
    No,
}

impl Engine {
    /// Makes the administrator's account, number 1, unless there is one.
    ///
    /// # Errors
    /// The database failed; there is no account then, and the next start tries again.
    pub async fn ensure_admin(&self) -> Result<FirstStart> {
        if self.store.account(UserId::ADMIN).await?.is_some() {
            return Ok(FirstStart::No);
        }
        let name = self.config.admin_name.clone();
        let external_id = Uuid::from_u128(self.random()).to_string();
        let roles = Roles::of(&[Role::Moderator, Role::Trusted, Role::Customizer]);
        let (caller, api_key) = self.make_account(name, external_id, roles).await?;
        Ok(FirstStart::Yes(NewKey {
            alias: caller.alias(),
            api_key,
        }))
    }
}
