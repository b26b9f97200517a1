//! Traces for OpenTelemetry: what a request did, and how long each part of it took.

use std::{collections::HashMap, time::Duration};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use percent_encoding::percent_decode_str;
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
        let Some(collector) = settings.traces.as_deref().and_then(collector) else {
            return Ok(None);
        };
        // Whoever comes first decides for the process; later calls change nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(String::from(collector.url))
            .with_headers(collector.headers)
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
    if let Some(text) = &settings.traces {
        anyhow::ensure!(
            collector(text).is_some(),
            "{text:?} is not where traces can be sent: give --traces the address of an OpenTelemetry collector, as in \
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

/// Whom traces are sent to, and as whom.
struct Collector {
    url: Url,
    headers: HashMap<String, String>,
}

/// Reads the address of a collector. A name and password in it are sent as headers have them: whoever makes a call may log
/// its address.
fn collector(text: &str) -> Option<Collector> {
    let mut url = Url::parse(text).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let mut headers = HashMap::new();
    if !url.username().is_empty() || url.password().is_some() {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (name, password) = (
            decoded(url.username()),
            decoded(url.password().unwrap_or_default()),
        );
        let value = format!("Basic {}", STANDARD.encode(format!("{name}:{password}")));
        headers.insert("authorization".to_owned(), value);
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
    }
    Some(Collector { url, headers })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_password_leave_the_address() {
        let read = |text: &str| {
            let Collector { url, headers } = collector(text).unwrap();
            (url.to_string(), headers.get("authorization").cloned())
        };
        let url = "https://collector.example/v1/traces".to_owned();
        assert_eq!(read(&url), (url.clone(), None));
        let basic = Some("Basic YW5uOnA6dw==".to_owned());
        assert_eq!(
            read("https://ann:p%3Aw@collector.example/v1/traces"),
            (url, basic)
        );
        for text in ["collector.example", "ftp://collector.example", "localhost:4318"] {
            assert!(collector(text).is_none(), "{text}");
        }
    }
}
