//! [`Report`]: what a run measured, with everything one needs to repeat it.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{
    BenchConfig, Driven, Length, Load,
    record::{Recorder, Series},
};
use crate::VERSION;

/// The result of a run. Serialises to the JSON report and displays as a table.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The address of the server.
    pub target: String,
    /// What the server says its version is.
    pub server_version: String,
    /// What the load generator ran on, and with it usually the server.
    pub environment: Environment,
    /// What was measured, and how.
    pub settings: BenchConfig,
    /// Seconds from the end of the warm-up until all lanes were through.
    pub elapsed_seconds: f64,
    /// Cycles that were completed in that time.
    pub cycles: u64,
    /// The same a second.
    pub cycles_per_second: f64,
    /// What was measured, in the order of a cycle.
    pub endpoints: Vec<EndpointReport>,
    /// The same for each window, if they were wanted. The last one may be missing a little: lanes may still be in it
    /// when the time is up.
    pub windows: Vec<WindowReport>,
    /// What the reader should know.
    pub notes: Vec<String>,
}

/// Where a run took place.
#[derive(Clone, Debug, Serialize)]
pub struct Environment {
    /// Version of the load generator.
    pub version: &'static str,
    /// Processors that it may use.
    pub cpus: usize,
    /// Operating system.
    pub os: &'static str,
    /// Kind of processor.
    pub arch: &'static str,
    /// `release` or `debug`; figures of the latter mean nothing.
    pub profile: &'static str,
}

impl Environment {
    fn here() -> Self {
        Self {
            version: VERSION,
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
            profile: if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            },
        }
    }
}

/// What was measured at one endpoint.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointReport {
    /// Its name in the table.
    pub name: String,
    /// Calls that succeeded.
    pub count: u64,
    /// The same a second.
    pub per_second: f64,
    /// Latencies of these calls in milliseconds.
    pub latency_ms: Latencies,
    /// Calls that failed, by status and return code.
    pub errors: BTreeMap<String, u64>,
}

/// What was measured in one window.
#[derive(Clone, Debug, Serialize)]
pub struct WindowReport {
    /// When it began, in seconds from the start of the measurement.
    pub from_seconds: f64,
    /// When it ended.
    pub to_seconds: f64,
    /// What was measured, in the order of a cycle.
    pub endpoints: Vec<EndpointReport>,
}

/// Latencies in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs)] // percentiles
pub struct Latencies {
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p99_9: f64,
    pub max: f64,
}

impl EndpointReport {
    fn new(name: String, series: &Series, elapsed: f64) -> Self {
        let latencies = &series.latencies;
        let millis = |quantile: f64| latencies.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            name,
            count: latencies.len(),
            per_second: latencies.len() as f64 / elapsed,
            latency_ms: Latencies {
                mean: latencies.mean() / 1000.0,
                p50: millis(0.5),
                p90: millis(0.9),
                p99: millis(0.99),
                p99_9: millis(0.999),
                max: latencies.max() as f64 / 1000.0,
            },
            errors: series.errors.clone(),
        }
    }

    /// Calls that failed.
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl Report {
    pub(super) fn new(settings: BenchConfig, target: String, server_version: String, driven: Driven) -> Self {
        let elapsed = driven.elapsed.as_secs_f64().max(1e-6);
        let mut from_seconds = 0.0;
        let windows = driven.windows.iter().map(|window| {
            let to_seconds = window.until.as_secs_f64();
            let report = WindowReport {
                from_seconds,
                to_seconds,
                endpoints: endpoints(&window.recorder, to_seconds - from_seconds),
            };
            from_seconds = to_seconds;
            report
        });
        let windows = windows.collect();
        let environment = Environment::here();
        let mut notes = driven.notes;
        if environment.profile == "debug" {
            notes.push("the load generator is a debug build; its figures mean nothing".to_owned());
        }
        Self {
            target,
            server_version,
            environment,
            elapsed_seconds: elapsed,
            cycles: driven.cycles,
            cycles_per_second: driven.cycles as f64 / elapsed,
            endpoints: endpoints(&driven.recorder, elapsed),
            windows,
            notes,
            settings,
        }
    }
}

fn endpoints(recorder: &Recorder, elapsed: f64) -> Vec<EndpointReport> {
    let reports = recorder
        .series()
        .map(|(endpoint, series)| EndpointReport::new(endpoint.name(), series, elapsed));
    reports.collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (settings, here) = (&self.settings, &self.environment);
        writeln!(f, "target     {} (version {})", self.target, self.server_version)?;
        writeln!(
            f,
            "generator  muster {} ({} build), {} CPUs, {} {}, {} thread(s)",
            here.version,
            here.profile,
            here.cpus,
            here.os,
            here.arch,
            settings.client_threads.max(1)
        )?;
        write!(f, "workload   {:?}, ", settings.scenario)?;
        match settings.load {
            Load::Closed { concurrency } => write!(f, "closed loop, {concurrency} lanes")?,
            Load::Open { rate, in_flight } => {
                write!(f, "open loop, {rate} cycles/s, at most {in_flight} at once")?;
            }
        }
        match settings.length {
            Length::Time(time) => write!(f, ", {} s", time.as_secs_f64())?,
            Length::Cycles(cycles) => write!(f, ", {cycles} cycles")?,
        }
        writeln!(f, " after {} s of warm-up", settings.warmup.as_secs_f64())?;
        writeln!(
            f,
            "           {}; {} users, {} workers, queue of {} + {}, pictures of {} px handed in {:?}",
            settings.mix,
            settings.users,
            settings.workers,
            settings.queue,
            settings.ready,
            settings.image_size,
            settings.delivery
        )?;
        writeln!(
            f,
            "result     {} cycles in {:.2} s: {:.1} cycles/s",
            self.cycles, self.elapsed_seconds, self.cycles_per_second
        )?;
        writeln!(f)?;
        self.table(f)?;
        self.windows(f)?;
        for note in &self.notes {
            write!(f, "\nnote: {note}")?;
        }
        Ok(())
    }
}

impl Report {
    /// A line for each window: how long the median and the slowest hundredth of the calls took.
    fn windows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.windows.is_empty() {
            return Ok(());
        }
        write!(f, "\n{:<16}", "p50/p99 ms")?;
        for EndpointReport { name, .. } in &self.endpoints {
            write!(f, "{name:>18}")?;
        }
        for window in &self.windows {
            write!(f, "\n{:<16}", format!("until {:.0} s", window.to_seconds))?;
            for EndpointReport { name, .. } in &self.endpoints {
                let same = window.endpoints.iter().find(|endpoint| endpoint.name == *name);
                let text = same.map_or_else(
                    || "-".to_owned(),
                    |EndpointReport { latency_ms, .. }| {
                        format!("{:.2}/{:.2}", latency_ms.p50, latency_ms.p99)
                    },
                );
                write!(f, "{text:>18}")?;
            }
        }
        writeln!(f)
    }

    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<16}{:>9}{:>8}{:>10}{:>9}{:>9}{:>9}{:>9}{:>10}",
            "ms", "calls", "errors", "per s", "p50", "p90", "p99", "p99.9", "max"
        )?;
        for endpoint in &self.endpoints {
            let ms = &endpoint.latency_ms;
            writeln!(
                f,
                "{:<16}{:>9}{:>8}{:>10.1}{:>9.2}{:>9.2}{:>9.2}{:>9.2}{:>10.2}",
                endpoint.name,
                endpoint.count,
                endpoint.error_count(),
                endpoint.per_second,
                ms.p50,
                ms.p90,
                ms.p99,
                ms.p99_9,
                ms.max
            )?;
            for (class, count) in &endpoint.errors {
                writeln!(f, "  {count:>9} × {class}")?;
            }
        }
        Ok(())
    }
}
