//! Traces for OpenTelemetry: what a request did, and how long each part of it took.

use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use tracing::Subscriber;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};
use url::Url;

use crate::settings::Settings;

/// How the service is called unless `OTEL_SERVICE_NAME` says otherwise.
const SERVICE: &str = "muster";
/// Whose spans are traced: this program's, and statements of the database.
const TRACED: [&str; 2] = ["muster", "sea_orm"];
/// How long a stopping server waits for the collector.
const FAREWELL: Duration = Duration::from_secs(5);

/// Collects spans and sends them from a thread of their own, so many at once; if the collector is away, they are lost.
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// Prepares what the settings want, if they want any traces. Connects with the first spans.
    ///
    /// # Errors
    /// The collector's address is none, or the share of what is kept.
    pub(super) fn start(settings: &Settings) -> anyhow::Result<Option<Self>> {
        check(settings)?;
        let Some(collector) = &settings.traces else {
            return Ok(None);
        };
        // Whoever comes first decides for the process; later calls change nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(collector)
            .build()
            .context("traces cannot be sent")?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource(settings))
            // By the trace's id, so that all parts of a trace are kept or none, whatever its caller wants.
            .with_sampler(Sampler::TraceIdRatioBased(settings.traces_share))
            .build();
        Ok(Some(Self(provider)))
    }

    /// What turns spans into traces.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(SERVICE))
            .with_location(false)
            .with_threads(false)
            .with_filter(filter_fn(|metadata| {
                metadata.is_span() && TRACED.iter().any(|name| metadata.target().starts_with(name))
            }))
    }

    /// Sends what is left, if somebody takes it in time.
    pub(super) async fn finish(self) {
        let Self(provider) = self;
        let sent = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FAREWELL)).await;
        if let Ok(Err(error)) = sent {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

/// Whether what the settings say about traces makes sense.
///
/// # Errors
/// In words that tell the operator what to do.
pub(crate) fn check(settings: &Settings) -> anyhow::Result<()> {
    if let Some(collector) = &settings.traces {
        let url = Url::parse(collector).ok();
        let usable = url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        anyhow::ensure!(
            usable,
            "{collector:?} is not where traces can be sent: give --traces the address of an OpenTelemetry collector, as in \
             http://127.0.0.1:4318/v1/traces"
        );
    }
    anyhow::ensure!(
        (0.0..=1.0).contains(&settings.traces_share),
        "--traces-share is {}, and must be between 0 and 1",
        settings.traces_share
    );
    Ok(())
}

/// Who sends the traces. The variables `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` are heeded.
fn resource(settings: &Settings) -> Resource {
    let mut resource =
        Resource::builder().with_attribute(KeyValue::new("service.version", muster_server::VERSION));
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(SERVICE);
    }
    if let Some(node) = &settings.node_name {
        resource = resource.with_attribute(KeyValue::new("service.instance.id", node.clone()));
    }
    if let Ok(environment) = std::env::var("DEPLOYMENT_ENVIRONMENT") {
        resource = resource.with_attribute(KeyValue::new("deployment.environment.name", environment));
    }
    resource.build()
}
