//! Traces: what a collector is told, and what it is not.

#![allow(clippy::unwrap_used)]

mod process;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind},
};
use process::Running;
use prost::Message as _;
use serde_json::Value as Json;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A collector that takes traces as OTLP over HTTP.
struct Collector {
    address: String,
    taken: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let taken = Arc::new(Mutex::new(Vec::new()));
        let into = taken.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (connection, into) = (connection.unwrap(), into.clone());
                std::thread::spawn(move || while take(&connection, &into).is_some() {});
            }
        });
        Self { address, taken }
    }

    fn spans(&self) -> Vec<Span> {
        let taken = self.taken.lock().unwrap();
        let resources = taken.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// Who sent the traces.
    fn resource(&self) -> Vec<KeyValue> {
        let taken = self.taken.lock().unwrap();
        let resource = taken[0].resource_spans[0].resource.clone();
        resource.unwrap().attributes
    }
}

/// Takes one request; `None` if there are no more.
fn take(connection: &TcpStream, into: &Mutex<Vec<ExportTraceServiceRequest>>) -> Option<()> {
    let mut reader = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    assert!(head.starts_with("POST /v1/traces "), "{head}");
    let head = head.to_lowercase();
    assert!(head.contains("content-type: application/x-protobuf"), "{head}");
    let length = head.split("content-length: ").nth(1).unwrap();
    let length = length.split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    into.lock()
        .unwrap()
        .push(ExportTraceServiceRequest::decode(body.as_slice()).unwrap());
    let mut connection = connection;
    connection
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")
        .ok()
}

fn serve(data: &Path, options: &[&str]) -> Running {
    let common = ["--test-apikeys", "--log", "warn"];
    Running::serve(data, &[&common[..], options].concat())
}

fn post(server: &Running, path: &str, headers: &str, body: &str) -> Json {
    let headers = format!("Content-Type: application/json\r\n{headers}");
    let (head, body) = server.call(&format!("POST /api/v2/{path}"), &headers, body);
    assert!(head.starts_with("HTTP/1.1 20"), "{head} {body}");
    serde_json::from_str(&body).unwrap()
}

/// Asks for a picture as part of a trace; what the worker gets that is to make it, and the key.
fn request_and_pop(server: &Running) -> (Json, String) {
    let account = post(server, "dev/test-user", "", "{}");
    let key = account["api_key"].as_str().unwrap().to_owned();
    let headers = format!("apikey: {key}\r\n");
    let traced = format!("{headers}traceparent: 00-{TRACE}-{PARENT}-01\r\n");
    let request = r#"{"prompt": "a secret garden", "params": {"width": 64, "height": 64, "steps": 1}}"#;
    post(server, "generate/async", &traced, request);
    let worker = r#"{"name": "tracer", "bridge_agent": "AI Horde Worker reGen:9:x", "models": ["stable_diffusion"], "nsfw": true, "max_pixels": 262144}"#;
    (post(server, "generate/pop", &headers, worker), key)
}

fn text<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        other => panic!("{name}: {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Whether a span is below another one.
fn is_below(spans: &[Span], span: &Span, above: &Span) -> bool {
    let parent = spans.iter().find(|other| other.span_id == span.parent_span_id);
    span.parent_span_id == above.span_id || parent.is_some_and(|parent| is_below(spans, parent, above))
}

#[test]
fn a_request_is_part_of_its_callers_trace_and_so_is_the_workers_job() {
    let collector = Collector::start();
    let directory = tempfile::tempdir().unwrap();
    let mut server = serve(directory.path(), &["--traces", &collector.address]);
    let (job, key) = request_and_pop(&server);
    let (status, errors) = server.stop();
    assert!(status.success() && errors.is_empty(), "{errors}");

    let spans = collector.spans();
    let named = |name: &str| {
        let found = spans
            .iter()
            .find(|span| span.name == name && hex(&span.trace_id) == TRACE);
        found.unwrap_or_else(|| panic!("there is no {name}: {:?}", names(&spans)))
    };
    let request = named("POST /api/v2/generate/async");
    assert_eq!(request.kind(), SpanKind::Server);
    assert_eq!(hex(&request.parent_span_id), PARENT);
    assert_eq!(
        job["traceparent"],
        format!("00-{TRACE}-{}-01", hex(&request.span_id))
    );
    assert_eq!(
        text(&request.attributes, "http.route"),
        Some("/api/v2/generate/async")
    );
    let status = AnyValue {
        value: Some(Value::IntValue(202)),
    };
    let status_code = request
        .attributes
        .iter()
        .find(|attribute| attribute.key == "http.response.status_code");
    assert_eq!(status_code.unwrap().value, Some(status));

    let generate = named("horde.generate");
    assert_eq!(generate.parent_span_id, request.span_id);
    assert_eq!(text(&generate.attributes, "horde.gentype"), Some("image"));
    assert!(is_below(&spans, named("horde.db.journal"), generate));
    // Others' calls have traces of their own, and so has the writer.
    for name in [
        "POST /api/v2/generate/pop",
        "horde.pop.next_jobs",
        "horde.db.commit",
        "sea_orm.execute",
    ] {
        let found = spans.iter().find(|span| span.name == name);
        assert_ne!(
            hex(&found
                .unwrap_or_else(|| panic!("{name}: {:?}", names(&spans)))
                .trace_id),
            TRACE
        );
    }
    assert_eq!(text(&collector.resource(), "service.name"), Some("muster"));

    // What leaves the house tells nothing about people.
    let told = format!("{:?}", collector.taken.lock().unwrap());
    for secret in [key.as_str(), "secret garden", "127.0.0.1"] {
        assert!(!told.contains(secret), "{secret}");
    }
}

fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

#[test]
fn of_what_is_not_kept_nobody_hears() {
    let collector = Collector::start();
    let directory = tempfile::tempdir().unwrap();
    let options = ["--traces", &collector.address, "--traces-share", "0"];
    let mut server = serve(directory.path(), &options);
    let (job, _) = request_and_pop(&server);
    assert!(job["id"].is_string(), "{job}");
    assert_eq!(job.get("traceparent"), None);
    assert!(server.stop().0.success());
    assert!(collector.spans().is_empty());
}

#[test]
fn a_collector_that_is_away_disturbs_nobody() {
    // A port that nobody listens on.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut server = serve(
        directory.path(),
        &["--traces", &format!("http://{nobody}/v1/traces")],
    );
    let (job, _) = request_and_pop(&server);
    assert!(job["traceparent"].is_string());
    let (status, errors) = server.stop();
    assert!(status.success(), "{errors}");
    assert!(errors.contains("telemetry data will be lost"), "{errors}");
}

#[test]
fn wrong_settings_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    for (options, complaint) in [
        (["--traces", "localhost:4318"], "is not where traces can be sent"),
        (["--traces-share", "2"], "must be between 0 and 1"),
    ] {
        for command in ["serve", "doctor"] {
            let arguments = [&[command, "--data-dir", data][..], &options].concat();
            let output = process::muster(&arguments).output().unwrap();
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(
                !output.status.success() && said.contains(complaint),
                "{command}: {said}"
            );
        }
    }
}
