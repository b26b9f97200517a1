//! Who is turned away because of the address that they call from.

use std::{net::IpAddr, time::Duration};

use muster_protocol::ReturnCode;
use muster_store::Role;

use super::reputation::Verdict;
use crate::{Call, Engine, EngineError, accounts::Caller, error::Result};

/// The longest time that somebody is told who is blocked.
const TOLD: Duration = Duration::from_hours(96);

impl Engine {
    /// Whether an address is not blocked.
    ///
    /// # Errors
    /// `TimeoutIP`
    pub(crate) fn check_not_blocked(&self, address: IpAddr) -> Result<()> {
        let Some(remaining) = self.blocks.remaining(address, self.clock.now()) else {
            return Ok(());
        };
        let wait = if remaining <= TOLD {
            format!("for another {} seconds", remaining.as_millis().div_ceil(1000))
        } else {
            "for a long time".to_owned()
        };
        let message = format!("Your address {address} is blocked {wait} because of what was sent from it.");
        Err(EngineError::refused(ReturnCode::TimeoutIp, message))
    }

    /// Whether a program that does not say who it is may ask how far a request is.
    ///
    /// # Errors
    /// `Forbidden` if its address is blocked.
    pub(crate) fn check_follower(&self, call: &Call) -> Result<()> {
        if call.client_agent != muster_protocol::UNKNOWN_AGENT
            || self.blocks.remaining(call.address, self.clock.now()).is_none()
        {
            return Ok(());
        }
        let message =
            "Your address is blocked. Clients that name themselves in the header Client-Agent may go on.";
        Err(EngineError::refused(ReturnCode::Forbidden, message))
    }

    /// Whether a worker may work from where it is, and whether that is a safe address: in a raid those behind others
    /// are not told that this was noticed.
    ///
    /// # Errors
    /// `TimeoutIP`, `TooManyNewIPs`, `UnsafeIP`.
    pub(crate) async fn check_worker_address(&self, call: &Call, caller: &Caller) -> Result<bool> {
        self.check_not_blocked(call.address)?;
        if caller.is_trusted() || caller.has(Role::Vpn) || self.is_patron(caller) {
            return Ok(true);
        }
        match self.reputation.verdict(call.address, self.clock.now()).await {
            Verdict::Safe => Ok(true),
            Verdict::Unknown if self.reputation.accepts_unknown() => Ok(true),
            Verdict::Unknown => {
                let message =
                    "It cannot be told at the moment whether your worker's address is safe. Try again later.";
                Err(EngineError::refused(ReturnCode::TooManyNewIps, message))
            }
            Verdict::Unsafe if self.modes.now().raid => Ok(false),
            Verdict::Unsafe => {
                let message = format!(
                    "Your worker's address {} seems to be that of a VPN or proxy, which only trusted accounts may use.",
                    call.address
                );
                Err(EngineError::refused(ReturnCode::UnsafeIp, message))
            }
        }
    }

    /// In a raid, strangers may not request anything from addresses that hide who they are.
    ///
    /// # Errors
    /// `UntrustedUnsafeIP`
    pub(crate) async fn check_requester_address(&self, call: &Call, caller: &Caller) -> Result<()> {
        if !self.modes.now().raid || self.is_known_well(caller) {
            return Ok(());
        }
        let verdict = self.reputation.verdict(call.address, self.clock.now()).await;
        if verdict == Verdict::Unsafe {
            // Clients compare the whole text.
            let message = "Only Trusted users are allowed to perform this operation";
            return Err(EngineError::refused(ReturnCode::UntrustedUnsafeIp, message));
        }
        Ok(())
    }
}
