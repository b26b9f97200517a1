//! What moderators do about addresses (spec: alchemy and safety, B10).

use std::{net::IpAddr, time::Duration};

use muster_protocol::{
    AddTimeoutIpInput, AddWorkerTimeout, DeleteTimeoutIpInput, IpTimeout, ReturnCode, SimpleResponse,
};

use super::blocks::Place;
use crate::{Call, Engine, EngineError, error::Result};

impl Engine {
    /// The networks that are blocked.
    ///
    /// # Errors
    /// No or an unknown key, `NotModerator`.
    pub async fn blocked_networks(&self, call: &Call) -> Result<Vec<IpTimeout>> {
        self.moderator(call).await?;
        Ok(self.listed_networks())
    }

    /// The same, for the operator.
    pub(crate) fn listed_networks(&self) -> Vec<IpTimeout> {
        let networks = self.blocks.networks(self.clock.now()).into_iter();
        networks
            .map(|(network, left)| shown(Place::Network(network), left))
            .collect()
    }

    /// What blocks an address: networks around it, and itself.
    ///
    /// # Errors
    /// `BadRequest` if it is none, no or an unknown key, `NotModerator`.
    pub async fn blocks_of(&self, call: &Call, address: &str) -> Result<Vec<IpTimeout>> {
        let Some(Place::Address(address)) = Place::read(address) else {
            return Err(no_place());
        };
        self.moderator(call).await?;
        let now = self.clock.now();
        let around = self.blocks.networks(now).into_iter();
        let around = around.filter(|(network, _)| network.contains(&address));
        let mut blocks: Vec<IpTimeout> = around
            .map(|(network, left)| shown(Place::Network(network), left))
            .collect();
        let own = self.blocks.own(address, now);
        blocks.extend(own.map(|left| shown(Place::Address(address), left)));
        Ok(blocks)
    }

    /// Blocks an address or a network for hours.
    ///
    /// # Errors
    /// `BadRequest` if it is neither, no or an unknown key, `NotModerator`.
    pub async fn block(&self, call: &Call, input: &AddTimeoutIpInput) -> Result<SimpleResponse> {
        let place = read(&input.ipaddr)?;
        let moderator = self.moderator(call).await?;
        tracing::info!(moderator = %moderator.id(), %place, hours = input.hours, "an address is blocked");
        self.block_place(place, hours(input.hours)).await
    }

    /// Lets an address or a network in again.
    ///
    /// # Errors
    /// As [`Engine::block`].
    pub async fn unblock(&self, call: &Call, input: &DeleteTimeoutIpInput) -> Result<SimpleResponse> {
        let place = read(&input.ipaddr)?;
        let moderator = self.moderator(call).await?;
        tracing::info!(moderator = %moderator.id(), %place, "an address is not blocked any more");
        self.unblock_place(place).await
    }

    /// Blocks where a worker was last heard of: of IPv6 the network.
    ///
    /// # Errors
    /// No or an unknown key, `NotModerator`, `WorkerNotFound`, `BadRequest` if it was never heard of.
    pub async fn block_worker(
        &self,
        call: &Call,
        worker: &str,
        input: &AddWorkerTimeout,
    ) -> Result<SimpleResponse> {
        let moderator = self.moderator(call).await?;
        let address = self.address_of_worker(worker)?;
        let place = Place::home_of(address);
        tracing::info!(moderator = %moderator.id(), %place, worker, days = input.days, "a worker is blocked");
        self.block_place(place, hours(24 * input.days)).await
    }

    /// Lets in again where a worker was last heard of.
    ///
    /// # Errors
    /// As [`Engine::block_worker`].
    pub async fn unblock_worker(&self, call: &Call, worker: &str) -> Result<SimpleResponse> {
        let moderator = self.moderator(call).await?;
        let address = self.address_of_worker(worker)?;
        tracing::info!(moderator = %moderator.id(), %address, worker, "a worker is not blocked any more");
        let home = Place::home_of(address);
        if home != Place::Address(address) {
            self.unblock_place(home).await?;
        }
        self.unblock_place(Place::Address(address)).await
    }

    /// Blocks an address or a network for hours, for the operator.
    pub(crate) async fn block_as_operator(&self, place: &str, for_hours: i64) -> Result<SimpleResponse> {
        self.block_place(read(place)?, hours(for_hours)).await
    }

    /// Lets an address or a network in again, for the operator.
    pub(crate) async fn unblock_as_operator(&self, place: &str) -> Result<SimpleResponse> {
        self.unblock_place(read(place)?).await
    }

    async fn block_place(&self, place: Place, length: Duration) -> Result<SimpleResponse> {
        let until = self.clock.now() + length;
        let journal = self.store.journal();
        let mark = journal.block_address(place.to_string(), until).await?;
        self.blocks.learn(&mark);
        Ok(SimpleResponse::ok())
    }

    async fn unblock_place(&self, place: Place) -> Result<SimpleResponse> {
        self.store.journal().forgive_address(place.to_string()).await?;
        self.blocks.forget(place);
        Ok(SimpleResponse::ok())
    }

    fn address_of_worker(&self, worker: &str) -> Result<IpAddr> {
        let worker = self.find_worker(worker)?;
        let address = worker.lock().address.clone();
        address.and_then(|address| address.parse().ok()).ok_or_else(|| {
            let message = "It is not known from where this worker calls.";
            EngineError::refused(ReturnCode::BadRequest, message)
        })
    }
}

fn hours(hours: i64) -> Duration {
    Duration::from_hours(hours.max(0).unsigned_abs())
}

fn read(text: &str) -> Result<Place> {
    Place::read(text).ok_or_else(no_place)
}

fn no_place() -> EngineError {
    let message =
        "This is no IP address, and no network in CIDR notation whose address ends with its prefix.";
    EngineError::refused(ReturnCode::BadRequest, message)
}

fn shown(place: Place, left: Duration) -> IpTimeout {
    IpTimeout {
        ipaddr: place.to_string(),
        seconds: left.as_millis().div_ceil(1000) as i64,
    }
}
