//! What callers may cost: sizes, shapes, time and connections.

use std::time::Duration;

use muster_server::{BodyLimits, ConnectionLimits};
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{ANONYMOUS, Setup, TestServer, changed, picture, plain_request};

const MIB: usize = 1024 * 1024;

/// What the server answers to raw bytes, until it closes the connection.
async fn raw(server: &TestServer, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    read(&mut stream).await
}

/// Everything up to the end of the connection, however it ends.
async fn read(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn every_route_has_a_limit_of_its_own() {
    let server = TestServer::start().await;
    for (path, limit) in [
        ("/api/v2/generate/async", 64),
        ("/api/v2/generate/submit", 64),
        ("/api/v2/interrogate/async", 64),
        ("/api/v2/generate/text/async", 8),
        ("/api/v2/generate/text/submit", 1),
        ("/api/v2/interrogate/submit", 1),
        ("/api/v2/generate/pop", 1),
        ("/api/v2/filters", 1),
        ("/api/v2/kudos/transfer", 1),
    ] {
        let post = async |size: usize| {
            let headers = [("content-type", "application/json"), ("apikey", ANONYMOUS)];
            let body = format!("\"{}\"", "x".repeat(size - 2));
            server.send(Method::POST, path, &headers, body).await
        };
        let within = post(limit * MIB).await;
        assert_eq!(within.status, 400, "{path}: {}", within.text);
        post(limit * MIB + 1).await.plain(413);
    }
}

#[tokio::test]
async fn json_of_brackets_is_not_read() {
    let server = TestServer::start().await;
    let post = async |path: &str, body: String| {
        let headers = [("content-type", "application/json"), ("apikey", ANONYMOUS)];
        server.send(Method::POST, path, &headers, body).await.plain(400)
    };
    for path in ["/api/v2/generate/async", "/api/v2/interrogate/submit"] {
        let deep = format!("{{\"prompt\": {}{}}}", "[".repeat(40), "]".repeat(40));
        assert!(post(path, deep).await.contains("deep"));
        let many = format!("{{\"prompt\": [{}[]]}}", "[],".repeat(250_000));
        assert!(post(path, many).await.contains("200000 values"));
    }
}

#[tokio::test]
async fn what_waits_in_memory_is_not_too_long() {
    let server = TestServer::start().await;
    let picture = json!({"source_image": picture(), "forms": [{"name": "caption", "payload": {}}]});
    let text = json!({"prompt": "x", "params": {"max_length": 16}});
    let long = |bytes: usize| "x".repeat(bytes);
    for (path, body) in [
        (
            "generate",
            changed(plain_request(), json!({"prompt": long(513 * 1024)})),
        ),
        (
            "generate/text",
            changed(text.clone(), json!({"prompt": long(4 * MIB + 1)})),
        ),
        (
            "interrogate",
            changed(
                picture,
                json!({"forms": [{"name": "caption", "payload": {"a": long(257 * 1024)}}]}),
            ),
        ),
    ] {
        let path = format!("/api/v2/{path}/async");
        let told = server
            .post(&path, ANONYMOUS, &body)
            .await
            .refused(400, "BadRequest");
        assert!(told.contains("bytes"), "{told}");
    }
    // The longest contexts fit.
    let long = changed(text, json!({"prompt": long(4 * MIB - 100)}));
    server
        .post("/api/v2/generate/text/async", ANONYMOUS, &long)
        .await
        .ok(202);
}

#[tokio::test]
async fn compressed_bodies_are_not_unpacked() {
    let server = TestServer::start().await;
    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
        ("apikey", ANONYMOUS),
    ];
    // What gzip makes of nothing.
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let path = "/api/v2/generate/async";
    server
        .send(Method::POST, path, &headers, gzip.to_vec())
        .await
        .plain(400);
}

#[tokio::test]
async fn headers_are_limited() {
    let server = TestServer::start().await;
    let request =
        |headers: &str| format!("GET /api/v2/status/heartbeat HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    let large = format!("X: {}\r\n", "x".repeat(70_000));
    let many = "X: x\r\n".repeat(150);
    for headers in [large, many] {
        let answer = raw(&server, request(&headers).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    let answer = raw(&server, b"GET / HTTP/1.1\r\nHost x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn whoever_dawdles_is_cut_off() {
    let short = Duration::from_millis(50);
    let setup = Setup {
        connections: ConnectionLimits {
            header: short,
            idle: short,
            ..ConnectionLimits::default()
        },
        bodies: BodyLimits {
            grace: short,
            ..BodyLimits::default()
        },
        ..Setup::default()
    };
    let server = TestServer::with(setup).await;
    // Nothing, half a header, nothing more after a request.
    assert_eq!(raw(&server, b"").await, "");
    assert_eq!(
        raw(&server, b"GET /api/v2/status/heartbeat HTTP/1.1\r\nHost:").await,
        ""
    );
    let answer = raw(
        &server,
        b"GET /api/v2/status/heartbeat HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // Half a body.
    let half = "POST /api/v2/generate/async HTTP/1.1\r\nHost: x\r\napikey: 0000000000\r\n\
                Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
    let answer = raw(&server, half.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(
        answer.contains(r#"{"message":"The request body arrives too slowly."}"#),
        "{answer}"
    );
}

#[tokio::test]
async fn bodies_share_a_limit() {
    let setup = Setup {
        bodies: BodyLimits {
            memory: 3000,
            ..BodyLimits::default()
        },
        ..Setup::default()
    };
    let server = TestServer::with(setup).await;
    let headers = [("content-type", "application/json"), ("apikey", ANONYMOUS)];
    let path = "/api/v2/generate/async";
    let long = "x".repeat(4000);
    server.send(Method::POST, path, &headers, long).await.plain(503);
    server.request(ANONYMOUS, &plain_request()).await;
}

#[tokio::test]
async fn connections_are_limited() {
    let setup = Setup {
        connections: ConnectionLimits {
            per_address: Some(3),
            ..ConnectionLimits::default()
        },
        ..Setup::default()
    };
    let server = TestServer::with(setup).await;
    let open = async || TcpStream::connect(server.address()).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(open().await);
    }
    // Those who are let in are served, the next one is sent away at once.
    let mut refused = open().await;
    assert_eq!(read(&mut refused).await, "");
    let request = b"GET /api/v2/status/heartbeat HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut first = held.remove(0);
    first.write_all(request).await.unwrap();
    let answer = read(&mut first).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // Its place is free again, at the latest when the server has noticed.
    loop {
        let mut next = open().await;
        let _ = next.write_all(request).await;
        if read(&mut next).await.starts_with("HTTP/1.1 200") {
            break;
        }
    }
}

/// Many who open connections and say nothing, read nothing, or send large bodies, and one who just calls.
#[tokio::test]
async fn a_flood_passes() {
    let setup = Setup {
        connections: ConnectionLimits {
            per_address: None,
            ..ConnectionLimits::default()
        },
        bodies: BodyLimits {
            memory: 16 * MIB,
            ..BodyLimits::default()
        },
        ..Setup::default()
    };
    let server = TestServer::with(setup).await;
    let id = server.request(ANONYMOUS, &plain_request()).await;
    let mut silent = Vec::new();
    for number in 0..600 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        if number % 2 == 0 {
            // Asks for something large, again and again, and reads nothing of it.
            let request = b"GET /api/swagger.json HTTP/1.1\r\nHost: x\r\n\r\n";
            stream.write_all(request).await.unwrap();
        }
        silent.push(stream);
    }
    let large = json!({"prompt": "x".repeat(6 * MIB)}).to_string();
    let path = "/api/v2/generate/async";
    let headers = [("content-type", "application/json"), ("apikey", ANONYMOUS)];
    let posts = (0..8).map(|_| server.send(Method::POST, path, &headers, large.clone()));
    for answer in futures_util::future::join_all(posts).await {
        // Taken, or one too many at this moment.
        assert!(
            [202, 400, 503].contains(&answer.status.as_u16()),
            "{}",
            answer.text
        );
    }
    let check = format!("/api/v2/generate/check/{id}");
    server.get(&check).await.ok(200);
    drop(silent);
    server.get(&check).await.ok(200);
    server.request(ANONYMOUS, &plain_request()).await;
}
