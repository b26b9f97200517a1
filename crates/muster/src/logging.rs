//! Where log lines and traces go, and how log lines look.

pub(crate) mod traces;

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing::Metadata;
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, filter_fn},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use self::traces::Traces;
use crate::settings::{LogFormat, Settings};

/// The log and the traces, as long as the process runs.
pub(crate) struct Logging {
    traces: Option<Traces>,
}

/// Sends the log to standard error, so that what a command prints stays usable, and traces to whoever collects them.
///
/// # Errors
/// `filter` is not one, or the collector's address is none.
pub(crate) fn start(settings: &Settings, filter: &str) -> anyhow::Result<Logging> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("{filter:?} is not a log filter"))?;
    // Spans are for traces: in log lines they would be noise, and cost time even if nobody traces.
    let filter = filter.and(filter_fn(is_event));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match settings.log_format {
        LogFormat::Pretty => lines
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let traces = Traces::start(settings)?;
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(traces.as_ref().map(Traces::layer))
        .init();
    Ok(Logging { traces })
}

fn is_event(metadata: &Metadata<'_>) -> bool {
    metadata.is_event()
}

impl Logging {
    /// Sends what is left of the traces.
    pub(crate) async fn finish(self) {
        if let Some(traces) = self.traces {
            traces.finish().await;
        }
    }
}
