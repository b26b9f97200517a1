//! How busy the horde is (spec: operations, 3.3 to 3.5): what waits, who works, how fast, in all and by model. From memory,
//! and from nothing else.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use muster_dispatch::{alchemy::Alchemy, image::Image, text::Text};
use muster_kudos::rounding::{round1, round2};
use muster_protocol::{ActiveModel, ActiveModelKind, HordePerformance, Timestamp, WorkKind};
use parking_lot::Mutex;

use crate::{Engine, error::Result, statistics::known_or_custom, work::Work};

/// Names of models that are nobody's business.
const HIDDEN: &str = "horde_special";
/// Models of which single ones can be asked for besides those that are known.
const COMPARED: &str = muster_protocol::image::COMPARED_MODEL;
/// The waiting time of a model that nobody serves, in seconds.
const FOREVER: i64 = 10_000;

/// Which models are listed.
#[derive(Clone, Debug)]
pub struct ModelQuery {
    /// `image` or `text`; nothing is of another type.
    pub kind: String,
    /// Only those that at least so many threads serve.
    pub min_count: Option<i64>,
    /// Only those that at most so many threads serve.
    pub max_count: Option<i64>,
    /// `known`, `custom` or `all`.
    pub state: String,
}

/// The latest list of all models.
#[derive(Debug, Default)]
pub(crate) struct ModelLists(Mutex<Option<(Timestamp, Arc<Vec<ActiveModel>>)>>);

/// What waits and is in progress.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    jobs: u64,
    things: u64,
}

impl Load {
    fn add(&mut self, jobs: u64, things: u64) {
        self.jobs += jobs;
        self.things = self.things.saturating_add(things);
    }
}

/// What waits and is in progress of one kind, in all and by model.
struct Queue {
    all: Load,
    by_model: HashMap<Arc<str>, Load>,
}

impl Engine {
    /// How busy the horde is.
    pub fn performance(&self) -> HordePerformance {
        let now = self.clock.now();
        let (image, text) = (self.queue::<Image>(false).all, self.queue::<Text>(false).all);
        let forms = self.queue::<Alchemy>(false).all;
        let presence = self.workers.presence(now);
        let (images, texts) = (presence.of(WorkKind::Image), presence.of(WorkKind::Text));
        let alchemists = presence.of(WorkKind::Alchemy);
        let minute = |kind| self.statistics.last_minute(kind, now) as f64;
        HordePerformance {
            queued_requests: image.jobs,
            queued_text_requests: text.jobs,
            worker_count: images.workers,
            text_worker_count: texts.workers,
            thread_count: images.threads,
            text_thread_count: texts.threads,
            queued_megapixelsteps: round2(Image::amount(image.things as f64)),
            past_minute_megapixelsteps: round2(Image::amount(minute(WorkKind::Image))),
            queued_forms: forms.jobs as f64,
            interrogator_count: alchemists.workers,
            interrogator_thread_count: alchemists.threads,
            queued_tokens: round2(Text::amount(text.things as f64)),
            past_minute_tokens: round2(Text::amount(minute(WorkKind::Text))),
        }
    }

    /// The models that somebody serves or that are waited for.
    ///
    /// # Errors
    /// `BadRequest` if the state is none of `known`, `custom` and `all`.
    pub fn active_models(&self, query: &ModelQuery) -> Result<Vec<ActiveModel>> {
        let known = known_or_custom(&query.state)?;
        let is_listed = |model: &&ActiveModel| {
            model.kind.as_ref() == query.kind
                && query.min_count.is_none_or(|least| model.count as i64 >= least)
                && query.max_count.is_none_or(|most| model.count as i64 <= most)
                && known.is_none_or(|known| self.is_in_reference(model) == known)
                && !model.name.contains(HIDDEN)
        };
        Ok(self.all_models().iter().filter(is_listed).cloned().collect())
    }

    /// One model, if there is such a model that somebody serves or waits for.
    pub fn active_model(&self, name: &str) -> Vec<ActiveModel> {
        let may_be_told = name == COMPARED
            || name.contains(HIDDEN)
            || self.models().is_known(name)
            || self.text_models().get(name).is_some();
        if !may_be_told {
            return Vec::new();
        }
        let all = self.all_models();
        all.iter().filter(|model| model.name == name).cloned().collect()
    }

    fn is_in_reference(&self, model: &ActiveModel) -> bool {
        match model.kind {
            ActiveModelKind::Text => self.text_models().get(&model.name).is_some(),
            ActiveModelKind::Image => self.models().get(&model.name).is_some(),
        }
    }

    /// All models, as they were a moment ago.
    fn all_models(&self) -> Arc<Vec<ActiveModel>> {
        let now = self.clock.now();
        let mut latest = self.model_lists.0.lock();
        if let Some((taken, models)) = &*latest
            && now >= *taken
            && now.since(*taken) < self.config.worker_list_lifetime
        {
            return Arc::clone(models);
        }
        // A model of both kinds is a text model.
        let mut models = BTreeMap::new();
        self.list_models::<Image>(ActiveModelKind::Image, now, &mut models);
        self.list_models::<Text>(ActiveModelKind::Text, now, &mut models);
        let models = Arc::new(models.into_values().collect());
        *latest = Some((now, Arc::clone(&models)));
        models
    }

    fn list_models<W: Work>(
        &self,
        kind: ActiveModelKind,
        now: Timestamp,
        models: &mut BTreeMap<Arc<str>, ActiveModel>,
    ) {
        let queue = self.queue::<W>(true).by_model;
        let mut counts: HashMap<Arc<str>, u64> = HashMap::new();
        for worker in self.workers.all() {
            let worker = worker.lock();
            if let Some(serving) = W::serving(&worker.service)
                && worker.is_online(now)
                && !worker.maintenance
            {
                for name in W::offered(&serving.derived).iter() {
                    *counts.entry(Arc::clone(name)).or_default() += u64::from(worker.threads);
                }
            }
        }
        let reference = self.models();
        for name in queue.keys() {
            if reference.is_known(name) && !models.contains_key(name) {
                counts.entry(Arc::clone(name)).or_default();
            }
        }
        for (name, count) in counts {
            let load = queue.get(&name).copied().unwrap_or_default();
            let performance = round1(self.statistics.speed(W::KIND, &name, now));
            let model = ActiveModel {
                performance,
                queued: load.things as f64,
                jobs: load.jobs as f64,
                eta: eta(load.things, count as f64 * performance),
                kind,
                name: name.to_string(),
                count,
            };
            models.insert(name, model);
        }
    }

    /// What waits and is in progress of a kind.
    fn queue<W: Work>(&self, by_model: bool) -> Queue {
        let live = W::desk(self).live.lock();
        let waiting = live.board.totals();
        let mut queue = Queue {
            all: Load {
                jobs: waiting.jobs,
                things: waiting.things,
            },
            by_model: HashMap::new(),
        };
        if by_model {
            for (name, totals) in live.board.models() {
                let load = queue.by_model.entry(name.into()).or_default();
                load.add(totals.jobs, totals.things);
            }
        }
        for (request, _) in live.jobs_in_progress() {
            queue.all.add(1, request.things);
            let named = live.board.get(request.id).map(|ticket| &ticket.models);
            for name in named.into_iter().flatten().filter(|_| by_model) {
                let load = queue.by_model.entry(Arc::clone(name)).or_default();
                load.add(1, request.things);
            }
        }
        queue
    }
}

/// Seconds until so many things are done at a speed.
fn eta(things: u64, speed: f64) -> i64 {
    if things == 0 {
        return 0;
    }
    if speed <= 0.0 {
        return FOREVER;
    }
    (things as f64 / speed) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_times_are_whole_seconds() {
        assert_eq!(eta(0, 0.0), 0);
        assert_eq!(eta(7, 0.0), FOREVER);
        assert_eq!(eta(7, 2.0), 3);
    }
}
