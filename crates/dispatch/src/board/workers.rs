//! What requests say about particular workers: who may serve them, who may not, who had a decoy.

use muster_protocol::WorkerId;
use rustc_hash::FxHashMap;

use crate::{
    bits::Bits,
    blocks::{Lane, LaneRow, LaneSide},
    order::OrderKey,
};

/// What requests say about particular workers.
#[derive(Debug, Default)]
pub(super) struct Workers {
    workers: FxHashMap<WorkerId, Mentioned>,
    /// Waiting requests that only certain workers may serve.
    targeted: u64,
}

/// What requests say about one worker.
#[derive(Debug, Default)]
struct Mentioned {
    /// Waiting requests that it may serve and most others may not.
    lane: Lane,
    /// Slots of requests that it is never to be offered: their list excludes it, or it had a decoy.
    barred: Bits,
    /// Number of entries in `barred`.
    bars: u32,
    /// Waiting requests whose list excludes it.
    excluded: u64,
}

impl Workers {
    /// Waiting requests meant for this worker.
    pub(super) fn lane(&self, worker: WorkerId) -> Option<&Lane> {
        self.workers
            .get(&worker)
            .map(|mentioned| &mentioned.lane)
            .filter(|lane| !lane.is_empty())
    }

    /// Slots of requests that the worker is never to be offered.
    pub(super) fn barred(&self, worker: WorkerId) -> Option<&Bits> {
        self.workers
            .get(&worker)
            .filter(|mentioned| mentioned.bars > 0)
            .map(|mentioned| &mentioned.barred)
    }

    /// Waiting requests whose list excludes the worker. With `all_targeted`, those meant for it count
    /// as well.
    pub(super) fn excluding(&self, worker: WorkerId, all_targeted: bool) -> u64 {
        let mentioned = self.workers.get(&worker);
        let excluded = mentioned.map_or(0, |mentioned| mentioned.excluded);
        let meant = mentioned.map_or(0, |mentioned| mentioned.lane.len() as u64);
        self.targeted + excluded - if all_targeted { 0 } else { meant }
    }

    /// A request for these workers begins to wait.
    pub(super) fn target(&mut self, workers: &[WorkerId], key: OrderKey, row: LaneRow, side: LaneSide) {
        self.targeted += 1;
        for (index, worker) in workers.iter().enumerate() {
            if !workers[..index].contains(worker) {
                self.workers
                    .entry(*worker)
                    .or_default()
                    .lane
                    .insert(key, row, side);
            }
        }
    }

    /// It no longer waits.
    pub(super) fn untarget(&mut self, workers: &[WorkerId], key: &OrderKey) {
        self.targeted -= 1;
        for worker in workers {
            if let Some(mentioned) = self.workers.get_mut(worker) {
                mentioned.lane.remove(key);
            }
            self.tidy(*worker);
        }
    }

    /// A request that excludes these workers begins to wait or no longer does.
    pub(super) fn count_barred(&mut self, workers: &[WorkerId], waiting: bool) {
        for (index, worker) in workers.iter().enumerate() {
            if !workers[..index].contains(worker) {
                let excluded = &mut self.workers.entry(*worker).or_default().excluded;
                if waiting {
                    *excluded += 1;
                } else {
                    *excluded -= 1;
                }
            }
        }
    }

    /// The worker is never to be offered the request in this slot.
    pub(super) fn bar(&mut self, worker: WorkerId, slot: u32) {
        let mentioned = self.workers.entry(worker).or_default();
        if !mentioned.barred.has(slot) {
            mentioned.barred.insert(slot);
            mentioned.bars += 1;
        }
    }

    /// The slot is free for another request.
    pub(super) fn unbar(&mut self, worker: WorkerId, slot: u32) {
        if let Some(mentioned) = self.workers.get_mut(&worker)
            && mentioned.barred.has(slot)
        {
            mentioned.barred.remove(slot);
            mentioned.bars -= 1;
        }
        self.tidy(worker);
    }

    /// Forgets a worker that no request mentions any more.
    fn tidy(&mut self, worker: WorkerId) {
        if self
            .workers
            .get(&worker)
            .is_some_and(|it| it.lane.is_empty() && it.bars == 0 && it.excluded == 0)
        {
            self.workers.remove(&worker);
        }
    }
}
