//! [`Recorder`]: counts and latencies while a run lasts.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use serde::Deserialize;

use super::{Kind, link::Answer};

/// What is measured: a step of a cycle for a kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Endpoint(pub(super) Kind, pub(super) Step);

/// A step of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// A whole cycle, from its intended start to the last answer.
    Cycle,
    Async,
    /// A pop that brought a job.
    PopJob,
    /// A pop that brought none.
    PopNone,
    Upload,
    Submit,
    Check,
    Status,
    Heartbeat,
    /// Something that is only looked at.
    Read,
}

impl Endpoint {
    pub(super) fn name(self) -> String {
        let step = match self.1 {
            Step::Cycle => "cycle",
            Step::Async => "async",
            Step::PopJob => "pop (job)",
            Step::PopNone => "pop (none)",
            Step::Upload => "upload",
            Step::Submit => "submit",
            Step::Check => "check",
            Step::Status => "status",
            Step::Heartbeat => "heartbeat",
            Step::Read => "read",
        };
        match self.0 {
            Kind::Image => step.to_owned(),
            Kind::Text => format!("text {step}"),
            Kind::Alchemy => format!("form {step}"),
        }
    }
}

/// How the class of a call that the rate limiter refused is called.
pub(super) const RATE_LIMITED: &str = "429 rate limit";

/// What was measured at one endpoint.
pub(super) struct Series {
    /// Latencies of the calls that succeeded, in microseconds.
    pub(super) latencies: Histogram<u64>,
    /// The calls that did not, by class.
    pub(super) errors: BTreeMap<String, u64>,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            latencies: Histogram::new(3).expect("three digits are within the limits of the type"),
            errors: BTreeMap::new(),
        }
    }
}

/// All series of a run.
#[derive(Default)]
pub(super) struct Recorder {
    series: BTreeMap<Endpoint, Series>,
}

impl Recorder {
    /// A call succeeded.
    pub(super) fn success(&mut self, endpoint: Endpoint, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        // Resizes itself, so that the only failure is a latency beyond all reason.
        let _ = self
            .series
            .entry(endpoint)
            .or_default()
            .latencies
            .record(micros.max(1));
    }

    /// A call failed.
    pub(super) fn failure(&mut self, endpoint: Endpoint, class: String) {
        let errors = &mut self.series.entry(endpoint).or_default().errors;
        *errors.entry(class).or_default() += 1;
    }

    /// Adds what another one counted.
    fn add(&mut self, other: &Self) {
        for (endpoint, series) in &other.series {
            let own = self.series.entry(*endpoint).or_default();
            // Both resize themselves, so that the only failure is a latency beyond all reason.
            let _ = own.latencies.add(&series.latencies);
            for (class, count) in &series.errors {
                *own.errors.entry(class.clone()).or_default() += count;
            }
        }
    }

    /// Everything so far, in the order of a cycle.
    pub(super) fn series(&self) -> impl Iterator<Item = (Endpoint, &Series)> {
        self.series.iter().map(|(&endpoint, series)| (endpoint, series))
    }

    /// How many calls the rate limiter refused.
    pub(super) fn rate_limited(&self) -> u64 {
        let errors = self
            .series
            .values()
            .filter_map(|series| series.errors.get(RATE_LIMITED));
        errors.sum()
    }
}

/// What was measured in one stretch of a run.
pub(super) struct Window {
    /// When it ended, counted from the start of the measurement.
    pub(super) until: Duration,
    pub(super) recorder: Recorder,
}

/// All of a run, and each of its windows if they are wanted.
#[derive(Default)]
pub(super) struct Recordings {
    total: Recorder,
    /// What was measured since the last window ended.
    current: Recorder,
    windows: Vec<Window>,
}

impl Recordings {
    /// Where the present goes.
    pub(super) fn current(&mut self) -> &mut Recorder {
        &mut self.current
    }

    /// A window ends here; the next one begins.
    pub(super) fn end_window(&mut self, until: Duration) {
        let recorder = std::mem::take(&mut self.current);
        self.total.add(&recorder);
        self.windows.push(Window { until, recorder });
    }

    /// The sum of everything, and the windows that were ended.
    pub(super) fn finish(mut self) -> (Recorder, Vec<Window>) {
        self.total.add(&self.current);
        (self.total, self.windows)
    }
}

/// The class of an answer that is no success: its status and return code.
pub(super) fn class(answer: &Answer) -> String {
    #[derive(Default, Deserialize)]
    struct Wire {
        #[serde(default)]
        rc: Option<String>,
    }
    let wire: Wire = serde_json::from_slice(&answer.body).unwrap_or_default();
    match (answer.status, wire.rc) {
        (429, None) => RATE_LIMITED.to_owned(),
        (status, None) => status.to_string(),
        (status, Some(rc)) => format!("{status} {rc}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASYNC: Endpoint = Endpoint(Kind::Image, Step::Async);

    fn answer(status: u16, body: &'static str) -> Answer {
        Answer {
            status,
            body: body.into(),
            retry_after: None,
        }
    }

    #[test]
    fn errors_are_told_apart_by_status_and_code() {
        assert_eq!(
            class(&answer(429, r#"{"message":"2 per 1 second"}"#)),
            RATE_LIMITED
        );
        assert_eq!(
            class(&answer(429, r#"{"message":"","rc":"TooManyPrompts"}"#)),
            "429 TooManyPrompts"
        );
        assert_eq!(class(&answer(502, "<html>")), "502");
    }

    #[test]
    fn windows_add_up_to_the_whole() {
        let mut recordings = Recordings::default();
        for (second, latency) in [(1, 2), (2, 8), (3, 4)] {
            let latency = Duration::from_millis(latency);
            recordings.current().success(ASYNC, latency);
            recordings.current().failure(ASYNC, RATE_LIMITED.into());
            if second < 3 {
                recordings.end_window(Duration::from_secs(second));
            }
        }
        let (total, windows) = recordings.finish();
        let (_, series) = total.series().next().unwrap();
        assert_eq!((series.latencies.len(), series.errors[RATE_LIMITED]), (3, 3));
        assert!((7990..=8010).contains(&series.latencies.max()));
        let largest = windows.iter().map(|window| {
            let (_, series) = window.recorder.series().next().unwrap();
            (
                window.until.as_secs(),
                series.latencies.len(),
                series.latencies.max() / 1000,
            )
        });
        assert_eq!(largest.collect::<Vec<_>>(), [(1, 1, 2), (2, 1, 8)]);
    }

    #[test]
    fn failures_do_not_count_as_latencies() {
        let mut recorder = Recorder::default();
        recorder.success(ASYNC, Duration::from_millis(2));
        recorder.failure(ASYNC, RATE_LIMITED.into());
        let (_, series) = recorder.series().next().unwrap();
        assert_eq!((series.latencies.len(), series.errors[RATE_LIMITED]), (1, 1));
        assert_eq!(recorder.rate_limited(), 1);
    }
}
