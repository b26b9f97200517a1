//! Traces: a span for each request over HTTP, which continues the trace of whoever sent a `traceparent`.
//!
//! What a trace tells is meant for operators, and leaves the house: so there are routes in it, but no addresses, keys or
//! bodies.

use axum::{
    extract::{MatchedPath, Request},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};
use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use tracing::{Instrument as _, Span, field::Empty, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The header that names the caller's trace (W3C Trace Context).
const HEADER: &str = "traceparent";

/// The trace that a request belongs to, as `traceparent` has it.
#[derive(Clone, Debug)]
pub(crate) struct TraceParent(pub(crate) String);

/// Middleware: traces a request, if traces are wanted. It has to be inside the router, where the route is known.
pub(crate) async fn trace(mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("none", MatchedPath::as_str);
    let method = request.method().as_str();
    let span = info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
    );
    if span.is_disabled() {
        return next.run(request).await;
    }
    if let Some(parent) = parent(request.headers()) {
        // Fails only where no traces are made of spans.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
    if let Some(own) = trace_parent(&span) {
        request.extensions_mut().insert(own);
    }
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}

/// The caller's span. What is not written as the standard demands is no span.
fn parent(headers: &HeaderMap) -> Option<SpanContext> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let mut parts = text.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hexadecimal = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let version_is_known = version == "00" && parts.next().is_none();
    // Later versions may add parts.
    let version_is_later = hexadecimal(version, 2) && version != "00" && version != "ff";
    let well_formed = (version_is_known || version_is_later)
        && hexadecimal(trace, 32)
        && hexadecimal(span, 16)
        && hexadecimal(flags, 2);
    if !well_formed {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    );
    context.is_valid().then_some(context)
}

/// How others name a span as their parent, if it is kept.
fn trace_parent(span: &Span) -> Option<TraceParent> {
    let context = span.context();
    let span = context.span();
    let span = span.span_context();
    let text = || format!("00-{}-{}-01", span.trace_id(), span.span_id());
    (span.is_valid() && span.is_sampled()).then(|| TraceParent(text()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn read(text: &str) -> Option<SpanContext> {
        parent(&HeaderMap::from_iter([(
            HEADER.parse().unwrap(),
            text.parse().unwrap(),
        )]))
    }

    #[test]
    fn what_the_standard_allows_is_read() {
        for (text, sampled) in [
            (format!("00-{TRACE}-{SPAN}-01"), true),
            (format!("00-{TRACE}-{SPAN}-00"), false),
            (format!(" 00-{TRACE}-{SPAN}-ff"), true),
            (format!("42-{TRACE}-{SPAN}-01-more"), true),
        ] {
            let context = read(&text).unwrap();
            assert_eq!(context.trace_id().to_string(), TRACE);
            assert_eq!(context.span_id().to_string(), SPAN);
            assert_eq!(
                (context.is_remote(), context.is_sampled()),
                (true, sampled),
                "{text}"
            );
        }
    }

    #[test]
    fn anything_else_is_none() {
        let zeros = "0".repeat(32);
        for text in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{SPAN}-{TRACE}-01"),
        ] {
            assert!(read(&text).is_none(), "{text}");
        }
        assert!(parent(&HeaderMap::new()).is_none());
    }
}
