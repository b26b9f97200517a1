//! [`Blocks`]: rows in queue order, in blocks of a few hundred that carry a summary each.
//!
//! All questions about order are answered by it: with sums as summaries it tells the rank of a
//! request without walking the queue ([`Ranking`]), with the common needs of a block's rows it
//! passes over whole blocks that a worker can't serve ([`Lane`]).
//!
//! A change touches one block, so it costs the same at the front, in the middle and at the end.

use muster_protocol::Kudos;

use crate::{kind::Needs, models::SetId, order::OrderKey};

/// Rows in a block at most.
const CAPACITY: usize = 256;

/// What is known about all rows of a block.
pub(crate) trait Summary: Sized {
    /// What it sums up.
    type Row: std::fmt::Debug;
    /// What else is kept of a row, apart from what is usually looked at.
    type Side: std::fmt::Debug;
    /// That of no rows at all.
    const EMPTY: Self;
    /// Takes in one more row.
    fn add(&mut self, row: &Self::Row);
}

/// Rows in queue order.
#[derive(Debug)]
pub(crate) struct Blocks<S: Summary> {
    blocks: Vec<Block<S>>,
    len: usize,
}

/// Some consecutive rows. Never empty.
#[derive(Debug)]
pub(crate) struct Block<S: Summary> {
    keys: Vec<OrderKey>,
    rows: Vec<S::Row>,
    sides: Vec<S::Side>,
    summary: S,
}

impl<S: Summary> Default for Blocks<S> {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            len: 0,
        }
    }
}

impl<S: Summary> Block<S> {
    fn new() -> Self {
        Self {
            keys: Vec::with_capacity(1),
            rows: Vec::with_capacity(1),
            sides: Vec::with_capacity(1),
            summary: S::EMPTY,
        }
    }

    fn insert(&mut self, at: usize, key: OrderKey, row: S::Row, side: S::Side) {
        self.summary.add(&row);
        self.keys.insert(at, key);
        self.rows.insert(at, row);
        self.sides.insert(at, side);
    }

    fn sum_up(&mut self) {
        self.summary = S::EMPTY;
        for row in &self.rows {
            self.summary.add(row);
        }
    }

    /// The key of the first row.
    pub(crate) fn first(&self) -> &OrderKey {
        &self.keys[0]
    }

    /// What is known about all rows.
    pub(crate) fn summary(&self) -> &S {
        &self.summary
    }

    /// The rows in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&S::Row, &S::Side)> {
        self.rows.iter().zip(&self.sides)
    }

    /// Their keys.
    pub(crate) fn keys(&self) -> &[OrderKey] {
        &self.keys
    }
}

impl<S: Summary> Blocks<S> {
    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The blocks in order.
    pub(crate) fn blocks(&self) -> &[Block<S>] {
        &self.blocks
    }

    /// Puts a row in its place. The key must be new.
    pub(crate) fn insert(&mut self, key: OrderKey, row: S::Row, side: S::Side) {
        self.len += 1;
        let index = self.block_of(&key);
        let Some(block) = self.blocks.get_mut(index) else {
            return self.append(key, row, side);
        };
        let at = block.keys.partition_point(|other| *other < key);
        block.insert(at, key, row, side);
        if block.keys.len() > CAPACITY {
            let keys = block.keys.split_off(CAPACITY / 2);
            let rows = block.rows.split_off(CAPACITY / 2);
            let sides = block.sides.split_off(CAPACITY / 2);
            let mut tail = Block {
                keys,
                rows,
                sides,
                summary: S::EMPTY,
            };
            block.sum_up();
            tail.sum_up();
            self.blocks.insert(index + 1, tail);
        }
    }

    /// Puts a row behind all others. Most rows come that way, and this fills the blocks.
    fn append(&mut self, key: OrderKey, row: S::Row, side: S::Side) {
        if self.blocks.last().is_none_or(|last| last.keys.len() >= CAPACITY) {
            if self.blocks.is_empty() {
                self.blocks.reserve_exact(1);
            }
            self.blocks.push(Block::new());
        }
        if let Some(last) = self.blocks.last_mut() {
            last.insert(last.keys.len(), key, row, side);
        }
    }

    /// Takes a row out.
    pub(crate) fn remove(&mut self, key: &OrderKey) -> Option<S::Row> {
        let (index, at) = self.find(key)?;
        let block = &mut self.blocks[index];
        block.keys.remove(at);
        let row = block.rows.remove(at);
        block.sides.remove(at);
        if block.keys.is_empty() {
            self.blocks.remove(index);
        } else {
            block.sum_up();
        }
        self.len -= 1;
        Some(row)
    }

    /// Changes a row.
    pub(crate) fn update(&mut self, key: &OrderKey, change: impl FnOnce(&mut S::Row)) {
        if let Some((index, at)) = self.find(key) {
            let block = &mut self.blocks[index];
            change(&mut block.rows[at]);
            block.sum_up();
        }
    }

    /// The block and place of a row.
    fn find(&self, key: &OrderKey) -> Option<(usize, usize)> {
        let index = self.block_of(key);
        let at = self.blocks.get(index)?.keys.binary_search(key).ok()?;
        Some((index, at))
    }

    /// The first block that doesn't end before `key`.
    fn block_of(&self, key: &OrderKey) -> usize {
        self.blocks
            .partition_point(|block| block.keys.last().is_some_and(|last| last < key))
    }
}

/// All waiting requests in order, to tell how much is ahead of one.
pub(crate) type Ranking = Blocks<Sums>;

/// What one request adds to the queue.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    /// Its slots.
    pub(crate) jobs: u32,
    /// The things of one slot.
    pub(crate) things: u64,
}

/// What several requests add to the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Requests.
    pub(crate) requests: u64,
    /// Slots.
    pub(crate) jobs: u64,
    /// Things of all slots.
    pub(crate) things: u64,
}

impl Summary for Sums {
    type Row = Load;
    type Side = ();
    const EMPTY: Self = Self {
        requests: 0,
        jobs: 0,
        things: 0,
    };

    fn add(&mut self, row: &Load) {
        self.requests += 1;
        self.jobs += u64::from(row.jobs);
        self.things = self
            .things
            .saturating_add(row.things.saturating_mul(u64::from(row.jobs)));
    }
}

impl Ranking {
    /// The sums up to and including a row.
    pub(crate) fn up_to(&self, key: &OrderKey) -> Option<Sums> {
        let (index, at) = self.find(key)?;
        let mut sums = Sums::EMPTY;
        for block in &self.blocks[..index] {
            sums.requests += block.summary.requests;
            sums.jobs += block.summary.jobs;
            sums.things = sums.things.saturating_add(block.summary.things);
        }
        for row in &self.blocks[index].rows[..=at] {
            sums.add(row);
        }
        Some(sums)
    }
}

/// Waiting requests that a worker finds in the same way, in order, to be compared with what it
/// accepts.
pub(crate) type Lane = Blocks<Zone>;

/// What is compared of a request: 32 bytes, so that a sweep over a long queue stays within what the
/// memory can deliver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneRow {
    needs_high: u64,
    needs_low: u64,
    /// See [`Offered::signature`](crate::models::Offered::signature).
    pub(crate) models: u32,
    /// The request's size.
    pub(crate) size: u32,
    /// The request's effort.
    pub(crate) effort: u32,
    /// Which request it is.
    pub(crate) slot: u32,
}

impl LaneRow {
    /// A row for the request in `slot`, whose models have the signature `models`.
    pub(crate) fn new(traits: &crate::kind::Traits, models: u32, slot: u32) -> Self {
        Self {
            needs_high: (traits.needs >> 64) as u64,
            needs_low: traits.needs as u64,
            models,
            size: traits.size,
            effort: traits.effort,
            slot,
        }
    }

    /// The request's needs.
    pub(crate) fn needs(&self) -> Needs {
        Needs::from(self.needs_high) << 64 | Needs::from(self.needs_low)
    }
}

/// What is looked at of a request that has not failed the first comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneSide {
    /// What the requester must own for workers that insist on it.
    pub(crate) price: Kudos,
    /// See [`Offered::low`](crate::models::Offered::low).
    pub(crate) low_models: u64,
    /// All models named.
    pub(crate) set: SetId,
    /// Who made the request.
    pub(crate) user: u32,
}

/// What all rows of a block have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Zone {
    /// The needs of all of them.
    pub(crate) needs: Needs,
    /// The models of any of them.
    pub(crate) models: u32,
    /// The least size.
    pub(crate) min_size: u32,
    /// The least effort.
    pub(crate) min_effort: u32,
}

impl Summary for Zone {
    type Row = LaneRow;
    type Side = LaneSide;
    const EMPTY: Self = Self {
        needs: Needs::MAX,
        models: 0,
        min_size: u32::MAX,
        min_effort: u32::MAX,
    };

    fn add(&mut self, row: &LaneRow) {
        self.needs &= row.needs();
        self.models |= row.models;
        self.min_size = self.min_size.min(row.size);
        self.min_effort = self.min_effort.min(row.effort);
    }
}

#[cfg(test)]
mod tests {
    use muster_protocol::{RequestId, Timestamp};
    use rand::{RngExt, SeedableRng, rngs::SmallRng};
    use uuid::Uuid;

    use super::*;

    fn key(number: u64) -> OrderKey {
        let request = RequestId(Uuid::from_u128(number.into()));
        OrderKey::new(-number.cast_signed(), Timestamp::default(), request, true)
    }

    fn sums(rows: &[(u64, Load)]) -> Sums {
        let mut sums = Sums::EMPTY;
        for (_, row) in rows {
            sums.add(row);
        }
        sums
    }

    #[test]
    fn rows_stay_in_order_and_sums_right() {
        let mut rng = SmallRng::seed_from_u64(5);
        let mut blocks = Ranking::default();
        let mut list: Vec<(u64, Load)> = Vec::new();
        for step in 0..8000u64 {
            let number = rng.random_range(0..4000);
            let place = list.binary_search_by_key(&number, |&(number, _)| number);
            match place {
                Ok(at) if step % 3 == 0 => {
                    list[at].1.jobs += 1;
                    blocks.update(&key(number), |row| row.jobs += 1);
                }
                Ok(at) => {
                    let row = list.remove(at).1;
                    assert_eq!(blocks.remove(&key(number)).map(|it| it.things), Some(row.things));
                }
                Err(at) => {
                    let row = Load {
                        jobs: rng.random_range(0..5),
                        things: rng.random_range(0..1000),
                    };
                    assert!(blocks.remove(&key(number)).is_none() && blocks.up_to(&key(number)).is_none());
                    list.insert(at, (number, row));
                    blocks.insert(key(number), row, ());
                }
            }
            if step % 50 == 0 {
                for (at, &(number, _)) in list.iter().enumerate().step_by(61) {
                    assert_eq!(blocks.up_to(&key(number)), Some(sums(&list[..=at])));
                }
            }
        }
        assert_eq!(blocks.len(), list.len());
        assert!(blocks.blocks().len() > 5);
        let keys = blocks
            .blocks()
            .iter()
            .flat_map(|block| block.keys().iter().copied());
        assert!(keys.eq(list.iter().map(|&(number, _)| key(number))));
    }

    #[test]
    fn rows_that_come_in_order_fill_their_blocks() {
        let mut blocks = Ranking::default();
        for number in 0..1024 {
            blocks.insert(key(number), Load::default(), ());
        }
        assert_eq!(blocks.blocks().len(), 1024 / CAPACITY);
    }
}
