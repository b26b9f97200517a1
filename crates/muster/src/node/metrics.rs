//! What is measured, written down for Prometheus.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use ipnet::IpNet;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use metrics_util::MetricKindMask;
use muster_server::MetricsPage;

use super::parts::networks;
use crate::settings::Settings;

/// How long a figure of something that is gone (a model that nobody waits for) is still told.
const IDLE: Duration = Duration::from_mins(2);
/// How often figures are put together if nobody looks.
const UPKEEP: Duration = Duration::from_secs(5);
/// Seconds that are told apart: from a pop from memory to a large picture.
const SECONDS: [f64; 14] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];
/// Changes in a group of the journal.
const CHANGES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// From where figures may be read.
pub(super) fn readers(settings: &Settings) -> anyhow::Result<Vec<IpNet>> {
    networks(&settings.metrics_readers, "--metrics-readers")
}

/// Starts to measure. There is one recorder in a process, so this is done once.
pub(super) fn page(settings: &Settings) -> anyhow::Result<Option<MetricsPage>> {
    if settings.metrics_readers.is_empty() {
        return Ok(None);
    }
    let readers = readers(settings)?;
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_changes".to_owned()), &CHANGES)?
        .idle_timeout(MetricKindMask::GAUGE, Some(IDLE))
        .install_recorder()
        .context("what is measured cannot be recorded")?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    Ok(Some(MetricsPage {
        render: Arc::new(move || handle.render()),
        readers,
    }))
}
