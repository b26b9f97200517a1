//! `POST interrogate/async`: what is refused, and what of it comes first.

use image::ImageFormat;
use muster_engine::EngineConfig;
use muster_store::Role;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{ASYNC, request};
use crate::support::{ANONYMOUS, Answer, Setup, TestServer, changed, picture_bytes};

/// Answers every connection with the same bytes and tells where.
pub(super) async fn serve(status: &'static str, body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = connection.read(&mut request).await;
            let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n");
            let _ = connection.write_all(head.as_bytes()).await;
            let _ = connection.write_all(&body).await;
        }
    });
    format!("http://{address}/picture")
}

async fn submit(server: &TestServer, changes: Value) -> Answer {
    server
        .post(ASYNC, ANONYMOUS, &changed(request(&["caption"]), changes))
        .await
}

/// A picture that says of itself to have some size; its pixels are not there.
fn bitmap(width: i32, height: i32) -> Vec<u8> {
    let mut bytes = picture_bytes(ImageFormat::Bmp);
    bytes[18..22].copy_from_slice(&width.to_le_bytes());
    bytes[22..26].copy_from_slice(&height.to_le_bytes());
    bytes
}

#[tokio::test]
async fn bodies_of_another_shape_are_invalid() {
    let server = TestServer::start().await;
    for (changes, offending) in [
        (json!({"forms": null}), "forms"),
        (json!({"forms": ["caption"]}), "forms.0"),
        (json!({"forms": [{}]}), "forms.0.name"),
        (json!({"forms": [{"name": "annotation"}]}), "forms.0.name"),
        (
            json!({"forms": [{"name": "caption", "payload": null}]}),
            "forms.0.payload",
        ),
        (
            json!({"forms": [{"name": "caption", "payload": []}]}),
            "forms.0.payload",
        ),
        (json!({"source_image": null}), "source_image"),
        (json!({"source_image": 7}), "source_image"),
        (json!({"slow_workers": 1}), "slow_workers"),
        (json!({"webhook": "https://"}), "webhook"),
    ] {
        let answer = submit(&server, changes.clone()).await;
        assert_eq!(answer.invalid(), [offending], "{changes}");
    }
    let missing = server.post(ASYNC, ANONYMOUS, &json!({"forms": []})).await;
    assert_eq!(missing.invalid(), ["source_image"]);
    let headers = [("content-type", "application/json")];
    let missing = server
        .send(reqwest::Method::POST, ASYNC, &headers, "{}".to_owned())
        .await;
    assert_eq!(missing.invalid(), ["apikey"]);
}

#[tokio::test]
async fn broken_rules_are_told() {
    let server = TestServer::start().await;
    submit(&server, json!({"webhook": "http://example.org/"}))
        .await
        .refused(400, "BadRequest");
    submit(
        &server,
        json!({"forms": [{"name": "caption", "payload": {"a": ["\u{0}"]}}]}),
    )
    .await
    .refused(400, "NulByteInPayload");
    let body = request(&["caption"]);
    server
        .post(ASYNC, "nobody's", &body)
        .await
        .refused(401, "InvalidAPIKey");
    let deleted = server.user_with("deleted", Role::Deleted).await.api_key;
    server
        .post(ASYNC, &deleted, &body)
        .await
        .refused(403, "DeletedUser");
    let closed = TestServer::with(Setup {
        engine: EngineConfig {
            maintenance: true,
            ..Setup::default().engine
        },
        ..Setup::default()
    })
    .await;
    submit(&closed, json!({"webhook": "http://example.org/"}))
        .await
        .refused(400, "MaintenanceMode");
}

#[tokio::test]
async fn pictures_that_cannot_be_used_are_refused() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let server = TestServer::with(Setup::open()).await;
    let large = STANDARD.encode(bitmap(3073, 3072));
    for (source, rc) in [
        ("no picture".to_owned(), "ImageValidationFailed"),
        ("aGVsbG8=".to_owned(), "ImageValidationFailed"),
        (large, "SourceImageResolutionExceeded"),
        ("http://127.0.0.1:1/nothing".to_owned(), "ImageValidationFailed"),
        (serve("200 OK", b"hello".to_vec()).await, "SourceImageUrlInvalid"),
        (serve("200 OK", Vec::new()).await, "SourceImageUnreadable"),
        (
            serve("200 OK", bitmap(8192, 8192)).await,
            "SourceImageResolutionExceeded",
        ),
        (
            serve("200 OK", vec![0; 5000 * 1024 + 1]).await,
            "SourceImageSizeExceeded",
        ),
    ] {
        let shown = source.chars().take(40).collect::<String>();
        let answer = submit(&server, json!({"source_image": source})).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["rc"].as_str()),
            (400, Some(rc)),
            "{shown}"
        );
    }
    assert_eq!(server.engine.requests_in_memory(), 0);
    let kept = std::fs::read_dir(server.directory().join("blobs/source")).map_or(0, Iterator::count);
    assert_eq!(kept, 0);
}

#[tokio::test]
async fn a_picture_behind_an_error_page_counts_as_a_picture() {
    let server = TestServer::with(Setup::open()).await;
    let url = serve("404 Not Found", bitmap(8160, 7680)).await;
    submit(&server, json!({"source_image": url})).await.ok(202);
}

#[tokio::test]
async fn pictures_in_private_networks_are_not_looked_at() {
    let server = TestServer::start().await;
    let url = serve("200 OK", picture_bytes(ImageFormat::Png)).await;
    submit(&server, json!({"source_image": url}))
        .await
        .refused(400, "ImageValidationFailed");
}
