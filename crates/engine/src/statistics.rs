//! What was done so far, by model and hour. Counted when a job is done or given up, kept in memory for whoever
//! asks, and written down with the change that it belongs to.

use std::collections::{BTreeMap, HashMap, VecDeque};

use muster_protocol::{
    ReturnCode, Timestamp, WorkKind,
    stats::{ImageStats, ImageTotals, ModelStats, TextStats, TextTotals},
};
use muster_store::{WorkStat, WorkTally};
use parking_lot::Mutex;

use crate::{Engine, EngineError, error::Result};

/// Hours that are told apart: 30 days.
const HOURS: i64 = 30 * 24;
/// Of these, those of the last day.
const DAY: i64 = 24;

/// What was done of the kinds of work that are counted.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    image: Mutex<Archive>,
    text: Mutex<Archive>,
}

/// What was done of one kind.
#[derive(Debug, Default)]
struct Archive {
    total: Figures,
    hours: Recent,
    /// The last hour, which the hours do not tell exactly. Of the time before a start only the hour is known.
    minutes: Recent,
    seconds: Recent,
    models: HashMap<String, Model>,
    speeds: HashMap<String, Speeds>,
}

/// How fast jobs with one model were in each of the last minutes, oldest first: the sum of their speeds, and how many.
/// Nothing is known of the time before a start.
#[derive(Debug, Default)]
struct Speeds(VecDeque<(i64, f64, u64)>);

impl Speeds {
    const MINUTES: i64 = 60;

    fn add(&mut self, minute: i64, speed: f64) {
        match self.0.back_mut() {
            Some((last, sum, count)) if *last >= minute => {
                *sum += speed;
                *count += 1;
            }
            _ => self.0.push_back((minute, speed, 1)),
        }
        while self
            .0
            .front()
            .is_some_and(|(first, ..)| *first <= minute - Self::MINUTES)
        {
            self.0.pop_front();
        }
    }

    /// The mean of the last hour; 0 without jobs.
    fn mean(&self, minute: i64) -> f64 {
        let recent = self.0.iter().filter(|(then, ..)| *then > minute - Self::MINUTES);
        let (sum, count) = recent.fold((0.0, 0), |(sum, count), (_, more, jobs)| {
            (sum + more, count + jobs)
        });
        if count == 0 { 0.0 } else { sum / count as f64 }
    }
}

/// What was done with one model.
#[derive(Debug, Default)]
struct Model {
    total: Figures,
    hours: Recent,
}

/// Jobs, and the work in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Figures {
    jobs: u64,
    things: u64,
}

/// Figures of the latest units of time, oldest first.
#[derive(Debug, Default)]
struct Recent(VecDeque<(i64, Figures)>);

impl Figures {
    fn add(&mut self, other: Self) {
        self.jobs += other.jobs;
        self.things = self.things.saturating_add(other.things);
    }
}

impl Recent {
    /// Adds figures for a unit of time, and forgets what is older than `kept` units.
    fn add(&mut self, unit: i64, kept: i64, figures: Figures) {
        match self.0.back_mut() {
            Some((last, sum)) if *last >= unit => sum.add(figures),
            _ => self.0.push_back((unit, figures)),
        }
        while self.0.front().is_some_and(|(first, _)| *first <= unit - kept) {
            self.0.pop_front();
        }
    }

    /// The figures of the last `units`, the current one included.
    fn sum(&self, now: i64, units: i64) -> Figures {
        let mut sum = Figures::default();
        for (_, figures) in self.0.iter().rev().take_while(|(unit, _)| *unit > now - units) {
            sum.add(*figures);
        }
        sum
    }
}

impl Archive {
    fn count(&mut self, model: &str, at: Timestamp, figures: Figures) {
        let (hour, minute, second) = units(at);
        self.seconds.add(second, 60, figures);
        self.minutes.add(minute, 60, figures);
        self.of_hour(hour, model, figures);
    }

    fn of_hour(&mut self, hour: i64, model: &str, figures: Figures) {
        self.total.add(figures);
        self.hours.add(hour, HOURS, figures);
        if !self.models.contains_key(model) {
            self.models.insert(model.to_owned(), Model::default());
        }
        if let Some(model) = self.models.get_mut(model) {
            model.total.add(figures);
            model.hours.add(hour, HOURS, figures);
        }
    }

    /// Takes in what was done before a start, in the order of the hours.
    fn restore(&mut self, stats: Vec<WorkStat>, now: Timestamp) {
        let (hour, minute, _) = units(now);
        for stat in stats {
            let figures = Figures {
                jobs: stat.jobs,
                things: stat.things,
            };
            self.of_hour(stat.hour, &stat.model, figures);
            if stat.hour == hour {
                self.minutes.add(minute, 60, figures);
            }
        }
    }

    /// The last minute, hour, day and month, and all time.
    fn periods(&self, now: Timestamp) -> [Figures; 5] {
        let (hour, minute, second) = units(now);
        [
            self.seconds.sum(second, 60),
            self.minutes.sum(minute, 60),
            self.hours.sum(hour, DAY),
            self.hours.sum(hour, HOURS),
            self.total,
        ]
    }

    fn models(&self, now: Timestamp, told: impl Fn(&str) -> bool) -> ModelStats {
        let (hour, _, _) = units(now);
        let told: Vec<(&String, &Model)> = self.models.iter().filter(|(name, _)| told(name)).collect();
        let by = |jobs: &dyn Fn(&Model) -> u64| -> BTreeMap<String, u64> {
            told.iter()
                .map(|(name, model)| ((*name).clone(), jobs(model)))
                .collect()
        };
        ModelStats {
            day: by(&|model| model.hours.sum(hour, DAY).jobs),
            month: by(&|model| model.hours.sum(hour, HOURS).jobs),
            total: by(&|model| model.total.jobs),
        }
    }
}

/// Hours, minutes and seconds since 1970.
fn units(at: Timestamp) -> (i64, i64, i64) {
    let millis = at.millis();
    (
        millis.div_euclid(3_600_000),
        millis.div_euclid(60_000),
        millis.div_euclid(1000),
    )
}

impl Statistics {
    fn of(&self, kind: WorkKind) -> Option<&Mutex<Archive>> {
        match kind {
            WorkKind::Image => Some(&self.image),
            WorkKind::Text => Some(&self.text),
            WorkKind::Alchemy => None,
        }
    }

    /// Counts a job whose end is durable.
    pub(crate) fn count(&self, tally: &WorkTally) {
        let figures = Figures {
            jobs: 1,
            things: tally.things,
        };
        if let Some(archive) = self.of(tally.kind) {
            archive.lock().count(&tally.model, tally.at, figures);
        }
    }
}

impl Statistics {
    /// Counts how fast a job was, in things a second.
    pub(crate) fn count_speed(&self, kind: WorkKind, model: &str, at: Timestamp, speed: f64) {
        let Some(archive) = self.of(kind) else { return };
        let mut archive = archive.lock();
        let (_, minute, _) = units(at);
        match archive.speeds.get_mut(model) {
            Some(speeds) => speeds.add(minute, speed),
            None => archive
                .speeds
                .entry(model.to_owned())
                .or_default()
                .add(minute, speed),
        }
    }

    /// How fast jobs with a model were in the last hour, in things a second.
    pub(crate) fn speed(&self, kind: WorkKind, model: &str, now: Timestamp) -> f64 {
        let (_, minute, _) = units(now);
        let archive = self.of(kind).map(Mutex::lock);
        archive.map_or(0.0, |archive| {
            archive
                .speeds
                .get(model)
                .map_or(0.0, |speeds| speeds.mean(minute))
        })
    }

    /// The work of a kind that was done in the last minute, in things.
    pub(crate) fn last_minute(&self, kind: WorkKind, now: Timestamp) -> u64 {
        let (_, _, second) = units(now);
        self.of(kind)
            .map_or(0, |archive| archive.lock().seconds.sum(second, 60).things)
    }
}

impl Engine {
    /// Learns what was done before.
    pub(crate) async fn restore_statistics(&self) -> Result<()> {
        let now = self.clock.now();
        let (hour, _, _) = units(now);
        for kind in [WorkKind::Image, WorkKind::Text] {
            let stats = self.store.work_stats(kind, hour - HOURS + 1).await?;
            if let Some(archive) = self.statistics.of(kind) {
                archive.lock().restore(stats, now);
            }
        }
        Ok(())
    }

    /// How many pictures were made.
    pub fn image_totals(&self) -> ImageTotals {
        let periods = self.statistics.image.lock().periods(self.clock.now());
        let [minute, hour, day, month, total] = periods.map(|figures| ImageStats {
            images: figures.jobs,
            ps: figures.things,
        });
        ImageTotals {
            minute,
            hour,
            day,
            month,
            total,
        }
    }

    /// How many texts were written.
    pub fn text_totals(&self) -> TextTotals {
        let periods = self.statistics.text.lock().periods(self.clock.now());
        let [minute, hour, day, month, total] = periods.map(|figures| TextStats {
            requests: figures.jobs,
            tokens: figures.things,
        });
        TextTotals {
            minute,
            hour,
            day,
            month,
            total,
        }
    }

    /// How many pictures were made with each model: those that are known, the custom ones, or all.
    ///
    /// # Errors
    /// `BadRequest` if `state` is none of `known`, `custom` and `all`.
    pub fn image_model_stats(&self, state: &str) -> Result<ModelStats> {
        let reference = self.models();
        let wanted = known_or_custom(state)?;
        let archive = self.statistics.image.lock();
        Ok(archive.models(self.clock.now(), |name| {
            wanted.is_none_or(|known| reference.get(name).is_some() == known)
        }))
    }

    /// How many texts were written with each model.
    pub fn text_model_stats(&self) -> ModelStats {
        let archive = self.statistics.text.lock();
        archive.models(self.clock.now(), |_| true)
    }
}

/// Which models are wanted: those that are known, those that are not, or (`None`) all.
///
/// # Errors
/// `BadRequest` if `state` is none of `known`, `custom` and `all`.
pub(crate) fn known_or_custom(state: &str) -> Result<Option<bool>> {
    match state {
        "known" => Ok(Some(true)),
        "custom" => Ok(Some(false)),
        "all" => Ok(None),
        _ => {
            let message = "The model_state is one of known, custom and all.";
            Err(EngineError::refused(ReturnCode::BadRequest, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn jobs(archive: &Archive, now: i64) -> [u64; 5] {
        archive
            .periods(Timestamp::from_millis(now))
            .map(|figures| figures.jobs)
    }

    #[test]
    fn each_period_ends_now() {
        let mut archive = Archive::default();
        let one = Figures { jobs: 1, things: 7 };
        let start = 1_000_000 * HOUR;
        archive.count("a", Timestamp::from_millis(start), one);
        assert_eq!(jobs(&archive, start), [1; 5]);
        assert_eq!(jobs(&archive, start + 59_999), [1; 5]);
        assert_eq!(jobs(&archive, start + 60_000), [0, 1, 1, 1, 1]);
        assert_eq!(jobs(&archive, start + HOUR), [0, 0, 1, 1, 1]);
        assert_eq!(jobs(&archive, start + 24 * HOUR), [0, 0, 0, 1, 1]);
        assert_eq!(jobs(&archive, start + 720 * HOUR), [0, 0, 0, 0, 1]);

        archive.count("b", Timestamp::from_millis(start + 30 * HOUR), one);
        let stats = archive.models(Timestamp::from_millis(start + 30 * HOUR), |_| true);
        assert_eq!((stats.day["a"], stats.day["b"]), (0, 1));
        assert_eq!((stats.month["a"], stats.total["b"]), (1, 1));
    }

    #[test]
    fn speeds_are_those_of_the_last_hour() {
        let mut speeds = Speeds::default();
        speeds.add(0, 1.0);
        speeds.add(0, 2.0);
        speeds.add(30, 6.0);
        let mean = |minute| format!("{:.2}", speeds.mean(minute));
        assert_eq!(
            [mean(30), mean(59), mean(60), mean(90)],
            ["3.00", "3.00", "6.00", "0.00"]
        );
    }

    #[test]
    fn a_restart_remembers_all_but_the_minute() {
        let mut archive = Archive::default();
        let stat = |hour, jobs| WorkStat {
            hour,
            model: "a".to_owned(),
            jobs,
            things: 0,
        };
        let now = 1_000_000;
        archive.restore(
            vec![stat(now - HOURS, 100), stat(now - 30, 10), stat(now, 1)],
            Timestamp::from_millis(now * HOUR + 5),
        );
        assert_eq!(jobs(&archive, now * HOUR + 5), [0, 1, 1, 11, 111]);
    }
}
