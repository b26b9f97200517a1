//! [`Call`]: who is calling and from where.

use std::net::IpAddr;

use muster_protocol::ReturnCode;
use muster_store::{ApiKeyHash, Role};

use crate::{
    Engine, EngineError,
    accounts::{Caller, unknown_key},
    error::Result,
};

/// Who is calling and from where, as far as the transport can tell.
#[derive(Clone, Debug)]
pub struct Call {
    /// The `apikey` header; `None` if there is none.
    pub api_key: Option<String>,
    /// The program that calls, `name:version:contact`.
    pub client_agent: String,
    /// The address of the client.
    pub address: IpAddr,
}

impl Call {
    /// The key, which this use case demands.
    ///
    /// # Errors
    /// The header is missing (400, not 401: clients tell the two apart).
    pub(crate) fn key(&self) -> Result<&str> {
        self.api_key
            .as_deref()
            .ok_or_else(|| EngineError::missing("apikey", "HTTP headers"))
    }
}

impl Engine {
    /// Whether the call comes from somebody whom the horde knows: others who call from the same address
    /// may be let do more.
    pub async fn vouches_for(&self, call: &Call) -> bool {
        const KNOWN: [Role; 2] = [Role::Education, Role::Service];
        let caller = self.caller(call).await;
        caller.is_ok_and(|caller| caller.is_trusted() || KNOWN.iter().any(|role| caller.has(*role)))
    }

    /// The account behind the call.
    ///
    /// # Errors
    /// No key (400), an unknown one (401), or an account that is scheduled for deletion (403).
    pub(crate) async fn caller(&self, call: &Call) -> Result<Caller> {
        let hash = ApiKeyHash::of(&self.config.key_salt, call.key()?);
        let caller = self
            .accounts
            .find(&self.store, &hash)
            .await?
            .ok_or_else(unknown_key)?;
        if caller.has(Role::Deleted) {
            let message = "This account is scheduled for deletion and can do nothing until that is undone.";
            return Err(EngineError::refused(ReturnCode::DeletedUser, message));
        }
        Ok(caller)
    }
}
