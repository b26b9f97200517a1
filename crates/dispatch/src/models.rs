//! Names of models as numbers, the distinct sets of models that requests name, and what waits for
//! each of them.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use slab::Slab;

use crate::{blocks::Lane, ticket::Totals};

/// The number of a model.
pub(crate) type ModelId = u32;
/// The number of a set of models.
pub(crate) type SetId = u32;

/// All models that requests on the board name.
#[derive(Debug, Default)]
pub(crate) struct Models {
    ids: FxHashMap<Arc<str>, ModelId>,
    slab: Slab<Model>,
    set_ids: FxHashMap<Arc<[ModelId]>, SetId>,
    sets: Slab<ModelSet>,
    /// Waiting requests that name a model.
    waiting: u64,
}

/// A model that some request names.
#[derive(Debug)]
struct Model {
    name: Arc<str>,
    /// Sets it is in.
    uses: u32,
    /// What waits for it, possibly among others.
    totals: Totals,
    /// The waiting requests that name this model alone.
    lane: Lane,
    /// How many those are.
    sole: u64,
}

/// A set of models that some request names.
#[derive(Debug)]
struct ModelSet {
    /// Sorted, without duplicates.
    models: Arc<[ModelId]>,
    low: u64,
    /// Requests on the board that name it.
    uses: u32,
    /// Those of them that are waiting.
    waiting: u32,
}

/// The models of a pop, as numbers.
#[derive(Debug)]
pub(crate) struct Offered {
    ids: Vec<ModelId>,
    /// One bit for each model.
    bits: Vec<u64>,
    signature: u32,
}

impl ModelSet {
    fn intersects(&self, offered: &Offered) -> bool {
        self.low & offered.low() != 0
            || offered.has_high() && self.models.iter().any(|&model| offered.contains(model))
    }
}

impl Offered {
    /// The models that requests on the board name.
    pub(crate) fn ids(&self) -> &[ModelId] {
        &self.ids
    }

    /// One bit for each model, by its number modulo 32: if two sets have no bit in common, they have
    /// no model in common. Requests without models have all bits set.
    pub(crate) fn signature(&self) -> u32 {
        self.signature
    }

    /// The models with numbers below 64, one bit each. Most hordes have few more.
    pub(crate) fn low(&self) -> u64 {
        self.bits.first().copied().unwrap_or_default()
    }

    /// Whether there are models with numbers from 64 on.
    pub(crate) fn has_high(&self) -> bool {
        self.bits.len() > 1
    }

    fn contains(&self, model: ModelId) -> bool {
        self.bits
            .get(model as usize / 64)
            .is_some_and(|word| word >> (model % 64) & 1 == 1)
    }
}

fn signature(models: &[ModelId]) -> u32 {
    models.iter().fold(0, |bits, model| bits | 1 << (model % 32))
}

/// The models with numbers below 64, one bit each.
fn low(models: &[ModelId]) -> u64 {
    models
        .iter()
        .filter(|&&model| model < 64)
        .fold(0, |bits, model| bits | 1 << model)
}

/// Where the waiting requests of a set are queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    /// With those that name no model.
    Any,
    /// With those that name this model alone.
    Sole(ModelId),
    /// With those that name several.
    Several,
}

impl Models {
    /// The number of the set of `names`, which counts as used until it is given back by
    /// [`Models::leave`].
    pub(crate) fn enter(&mut self, names: &[Arc<str>]) -> SetId {
        let mut models: Vec<ModelId> = names.iter().map(|name| self.intern(name)).collect();
        models.sort_unstable();
        models.dedup();
        if let Some(&set) = self.set_ids.get(models.as_slice()) {
            self.sets[set as usize].uses += 1;
            return set;
        }
        for &model in &models {
            self.slab[model as usize].uses += 1;
        }
        let models: Arc<[ModelId]> = models.into();
        let set = self.sets.insert(ModelSet {
            models: Arc::clone(&models),
            low: low(&models),
            uses: 1,
            waiting: 0,
        }) as SetId;
        self.set_ids.insert(models, set);
        set
    }

    /// Gives a set back.
    pub(crate) fn leave(&mut self, set: SetId) {
        let entry = &mut self.sets[set as usize];
        entry.uses -= 1;
        if entry.uses > 0 {
            return;
        }
        let entry = self.sets.remove(set as usize);
        self.set_ids.remove(&entry.models);
        for &id in &*entry.models {
            let model = &mut self.slab[id as usize];
            model.uses -= 1;
            if model.uses == 0 {
                let model = self.slab.remove(id as usize);
                self.ids.remove(&model.name);
            }
        }
    }

    fn intern(&mut self, name: &Arc<str>) -> ModelId {
        if let Some(&id) = self.ids.get(name) {
            return id;
        }
        let id = self.slab.insert(Model {
            name: Arc::clone(name),
            uses: 0,
            totals: Totals::default(),
            lane: Lane::default(),
            sole: 0,
        }) as ModelId;
        self.ids.insert(Arc::clone(name), id);
        id
    }

    /// The models that a worker offers.
    pub(crate) fn offered(&self, names: &[Arc<str>]) -> Offered {
        let mut bits: Vec<u64> = Vec::new();
        let mut ids: Vec<ModelId> = Vec::with_capacity(names.len());
        for id in names.iter().filter_map(|name| self.ids.get(name).copied()) {
            let word = id as usize / 64;
            if word >= bits.len() {
                bits.resize(word + 1, 0);
            }
            if bits[word] >> (id % 64) & 1 == 0 {
                bits[word] |= 1 << (id % 64);
                ids.push(id);
            }
        }
        let signature = signature(&ids);
        Offered { ids, bits, signature }
    }

    /// Whether a set has a model that is offered. A set without models has none.
    pub(crate) fn intersects(&self, set: SetId, offered: &Offered) -> bool {
        self.sets[set as usize].intersects(offered)
    }

    /// The signature of a set, see [`Offered::signature`].
    pub(crate) fn signature(&self, set: SetId) -> u32 {
        let models = &self.sets[set as usize].models;
        if models.is_empty() {
            u32::MAX
        } else {
            signature(models)
        }
    }

    /// The models of a set with numbers below 64, one bit each.
    pub(crate) fn low(&self, set: SetId) -> u64 {
        self.sets[set as usize].low
    }

    /// Where requests with this set wait.
    pub(crate) fn queue(&self, set: SetId) -> Queue {
        match *self.sets[set as usize].models {
            [] => Queue::Any,
            [model] => Queue::Sole(model),
            _ => Queue::Several,
        }
    }

    /// The waiting requests that name this model alone.
    pub(crate) fn lane(&self, model: ModelId) -> &Lane {
        &self.slab[model as usize].lane
    }

    /// The same, to change them.
    pub(crate) fn lane_mut(&mut self, model: ModelId) -> &mut Lane {
        &mut self.slab[model as usize].lane
    }

    /// Counts a request with this set in (or out again, if not `waiting`).
    pub(crate) fn count(&mut self, set: SetId, waiting: bool) {
        let entry = &mut self.sets[set as usize];
        if waiting {
            entry.waiting += 1;
        } else {
            entry.waiting -= 1;
        }
        if let [model] = *entry.models {
            self.slab[model as usize].sole = u64::from(entry.waiting);
        }
        match (entry.models.is_empty(), waiting) {
            (true, _) => {}
            (false, true) => self.waiting += 1,
            (false, false) => self.waiting -= 1,
        }
    }

    /// Changes what waits for each model of a set.
    pub(crate) fn add_up(&mut self, set: SetId, change: impl Fn(&mut Totals)) {
        for &model in &*self.sets[set as usize].models {
            change(&mut self.slab[model as usize].totals);
        }
    }

    /// Waiting requests that name a model.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Waiting requests that name an offered model.
    pub(crate) fn waiting_for(&self, offered: &Offered) -> u64 {
        let sole: u64 = offered.ids.iter().map(|&id| self.slab[id as usize].sole).sum();
        let several: u64 = self
            .sets
            .iter()
            .filter(|(_, set)| set.models.len() > 1 && set.intersects(offered))
            .map(|(_, set)| u64::from(set.waiting))
            .sum();
        sole + several
    }

    /// What waits for a model.
    pub(crate) fn totals(&self, name: &str) -> Totals {
        self.ids
            .get(name)
            .map_or_else(Totals::default, |&id| self.slab[id as usize].totals)
    }

    /// What waits for each model.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Arc<str>, Totals)> {
        self.slab
            .iter()
            .map(|(_, model)| (&model.name, model.totals))
            .filter(|(_, totals)| totals.requests > 0)
    }
}
