//! How a request comes to wait and ceases to: the only place where lanes, ranking and counts change.

use super::{Board, State};
use crate::{
    blocks::{Lane, LaneRow, LaneSide, Load},
    kind::Kind,
    models::{Models, Queue, SetId},
    ticket::{Totals, WorkerList},
};

/// The lanes that don't belong to a model or a worker.
#[derive(Debug, Default)]
pub(super) struct SharedLanes {
    /// Requests that name no model.
    pub(super) any: Lane,
    /// Requests that name several.
    pub(super) several: Lane,
}

impl<K: Kind> Board<K> {
    /// Changes the number of slots, and with it whether the request waits.
    pub(super) fn set_slots_of(&mut self, slot: u32, slots: u32) {
        let entry = &mut self.entries[slot as usize];
        let before = entry.ticket.slots;
        let state = match entry.state {
            State::Waiting | State::Taken if slots == 0 => State::Taken,
            State::Waiting | State::Taken => State::Waiting,
            other => other,
        };
        if entry.state == State::Waiting && state == State::Waiting {
            entry.ticket.slots = slots;
            let key = entry.key;
            self.ranking.update(&key, |load| load.jobs = slots);
            self.book(slot, before, slots);
        } else if state == State::Waiting {
            entry.ticket.slots = slots;
            self.set_state(slot, state);
        } else {
            self.set_state(slot, state);
            self.entries[slot as usize].ticket.slots = slots;
        }
    }

    /// Changes the state, and with it whether the request waits.
    pub(super) fn set_state(&mut self, slot: u32, state: State) {
        let before = std::mem::replace(&mut self.entries[slot as usize].state, state);
        match (before == State::Waiting, state == State::Waiting) {
            (true, false) => self.dequeue(slot),
            (false, true) => self.enqueue(slot),
            _ => {}
        }
    }

    /// Lets a request be found.
    pub(super) fn enqueue(&mut self, slot: u32) {
        let entry = &self.entries[slot as usize];
        let (key, ticket) = (entry.key, &entry.ticket);
        let side = self.sides[slot as usize];
        let row = LaneRow::new(&entry.traits, self.models.signature(side.set), slot);
        self.ranking.insert(
            key,
            Load {
                jobs: ticket.slots,
                things: ticket.things,
            },
            (),
        );
        match &ticket.workers {
            WorkerList::Only(workers) => self.workers.target(workers, key, row, side),
            WorkerList::Any | WorkerList::Except(_) => {
                self.lanes.of(&mut self.models, side.set).insert(key, row, side);
            }
        }
        if let WorkerList::Except(workers) = &ticket.workers {
            self.workers.count_barred(workers, true);
        }
        self.by_user.insert((ticket.requester, key), slot);
        let slots = ticket.slots;
        self.count(slot, true);
        self.book(slot, 0, slots);
    }

    /// Lets a request no longer be found.
    fn dequeue(&mut self, slot: u32) {
        let entry = &self.entries[slot as usize];
        let (key, ticket) = (entry.key, &entry.ticket);
        self.ranking.remove(&key);
        match &ticket.workers {
            WorkerList::Only(workers) => self.workers.untarget(workers, &key),
            WorkerList::Any | WorkerList::Except(_) => {
                self.lanes
                    .of(&mut self.models, self.sides[slot as usize].set)
                    .remove(&key);
            }
        }
        if let WorkerList::Except(workers) = &ticket.workers {
            self.workers.count_barred(workers, false);
        }
        self.by_user.remove(&(ticket.requester, key));
        let slots = ticket.slots;
        self.book(slot, slots, 0);
        self.count(slot, false);
    }

    /// Counts a request in or out, whatever its slots.
    fn count(&mut self, slot: u32, waiting: bool) {
        let LaneSide { user, set, .. } = self.sides[slot as usize];
        let change = |count: &mut u64| if waiting { *count += 1 } else { *count -= 1 };
        change(&mut self.totals.requests);
        self.models.count(set, waiting);
        self.models.add_up(set, |totals| change(&mut totals.requests));
        K::count(&mut self.tally, &self.entries[slot as usize].traits, waiting);
        let user = self.users.get_mut(user);
        if waiting {
            user.waiting += 1;
        } else {
            user.waiting -= 1;
        }
    }

    /// Books a change of a waiting request's slots.
    fn book(&mut self, slot: u32, before: u32, after: u32) {
        let ticket = &self.entries[slot as usize].ticket;
        let LaneSide { user, set, .. } = self.sides[slot as usize];
        let (before, after) = (u64::from(before), u64::from(after));
        let change = |totals: &mut Totals| {
            totals.jobs = totals.jobs - before + after;
            totals.things = totals
                .things
                .saturating_sub(ticket.things.saturating_mul(before))
                .saturating_add(ticket.things.saturating_mul(after));
        };
        change(&mut self.totals);
        self.models.add_up(set, change);
        let user = self.users.get_mut(user);
        user.slots = user.slots - before + after;
        if ticket.requester.is_anonymous() {
            let slots = self.anonymous.entry(set).or_default();
            *slots = *slots - before + after;
            if *slots == 0 {
                self.anonymous.remove(&set);
            }
        }
    }
}

impl SharedLanes {
    /// The lane of the requests with this set of models.
    fn of<'a>(&'a mut self, models: &'a mut Models, set: SetId) -> &'a mut Lane {
        match models.queue(set) {
            Queue::Any => &mut self.any,
            Queue::Sole(model) => models.lane_mut(model),
            Queue::Several => &mut self.several,
        }
    }
}
