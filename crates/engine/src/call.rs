//! [`Call`]: who is calling and from where.

use std::net::IpAddr;

use muster_protocol::{ReturnCode, UserId};
use muster_store::{ApiKeyHash, Role};

use crate::{
    Engine, EngineError,
    accounts::{Caller, not_moderator, unknown_key},
    config::Standing,
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
    /// The proxy of a service that the call came through, if it did. Then `address` is what it says.
    pub proxy: Option<Proxy>,
    /// The trace that the call belongs to, as the `traceparent` of the W3C's Trace Context, if it is kept.
    pub trace: Option<String>,
}

/// The proxy of a service, which calls for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its own address.
    pub address: IpAddr,
    /// The account of the service.
    pub owner: UserId,
}

impl Call {
    /// The key, which this use case demands.
    ///
    /// # Errors
    /// The header is missing (400, not 401: clients tell the two apart).
    pub fn key(&self) -> Result<&str> {
        self.api_key
            .as_deref()
            .ok_or_else(|| EngineError::missing("apikey", "HTTP headers"))
    }
}

/// Who is scheduled for deletion can do nothing until that is undone.
///
/// # Errors
/// `DeletedUser`
pub(crate) fn check_not_deleted(caller: &Caller) -> Result<()> {
    if caller.has(Role::Deleted) {
        let message = "This account is scheduled for deletion and can do nothing until that is undone.";
        return Err(EngineError::refused(ReturnCode::DeletedUser, message));
    }
    Ok(())
}

impl Engine {
    /// Whether the call comes from somebody whom the horde knows, as the operator says ([`Standing`]): others who call
    /// from the same address may be let do more.
    pub async fn vouches_for(&self, call: &Call) -> bool {
        let Ok(caller) = self.caller(call).await else {
            return false;
        };
        let standings = self.config.raised_limits.iter();
        standings.copied().any(|standing| match standing {
            Standing::Trusted => caller.is_trusted(),
            Standing::Education => caller.has(Role::Education),
            Standing::Service => caller.has(Role::Service),
            Standing::Supporter => self.is_patron(&caller),
        })
    }

    /// The account behind the call.
    ///
    /// # Errors
    /// No key (400), an unknown one (401), or an account that is scheduled for deletion (403).
    pub(crate) async fn caller(&self, call: &Call) -> Result<Caller> {
        let caller = self.identify(call).await?;
        check_not_deleted(&caller)?;
        Ok(caller)
    }

    /// The account behind the call, which may be scheduled for deletion.
    ///
    /// # Errors
    /// No key (400) or an unknown one (401).
    pub(crate) async fn identify(&self, call: &Call) -> Result<Caller> {
        let hash = ApiKeyHash::of(&self.config.key_salt, call.key()?);
        let caller = self.accounts.find(&self.store, &hash).await?;
        caller.ok_or_else(unknown_key)
    }

    /// The account behind the call, where clients know a missing key as an unknown one.
    ///
    /// # Errors
    /// No or an unknown key (401).
    pub(crate) async fn known_caller(&self, call: &Call) -> Result<Caller> {
        if call.api_key.is_none() {
            return Err(unknown_key());
        }
        self.identify(call).await
    }

    /// The account behind the call, if it comes with a key.
    ///
    /// # Errors
    /// An unknown key (401).
    pub(crate) async fn viewer(&self, call: &Call) -> Result<Option<Caller>> {
        match call.api_key.as_deref() {
            None | Some("") => Ok(None),
            Some(_) => self.identify(call).await.map(Some),
        }
    }

    /// The moderator behind the call, for what only moderators may do.
    ///
    /// # Errors
    /// No key (400), an unknown one (401), `NotModerator`.
    pub(crate) async fn moderator(&self, call: &Call) -> Result<Caller> {
        let caller = self.identify(call).await?;
        if !caller.has(Role::Moderator) {
            return Err(not_moderator());
        }
        Ok(caller)
    }

    /// Whether the call comes from a moderator. A key that nobody has is none.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) async fn is_moderator(&self, call: &Call) -> Result<bool> {
        match self.viewer(call).await {
            Ok(viewer) => Ok(viewer.is_some_and(|viewer| viewer.has(Role::Moderator))),
            Err(EngineError::Refused(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
