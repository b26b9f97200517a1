//! `GET` and `PUT /blobs/{bucket}/{key}`: pictures behind signed addresses.

use muster_store::Bucket;
use reqwest::{Method, Url};
use serde_json::json;

use crate::support::{Answer, Setup, TestServer, picture_bytes, plain_request};

/// A name that a picture may have.
const KEY: &str = "picture.webp";

fn picture() -> Vec<u8> {
    picture_bytes(image::ImageFormat::WebP)
}

/// An address that allows reading, of a picture that is there.
async fn stored(server: &TestServer) -> Url {
    let blobs = server.engine.blobs();
    blobs.put(Bucket::Transient, KEY, picture().into()).await.unwrap();
    blobs
        .download_url(Bucket::Transient, KEY, server.engine.clock().now())
        .unwrap()
}

/// An address that allows writing.
fn writable(server: &TestServer) -> Url {
    server
        .engine
        .blobs()
        .upload_url(Bucket::Transient, KEY, server.engine.clock().now())
        .unwrap()
}

async fn is_stored(server: &TestServer) -> bool {
    server
        .engine
        .blobs()
        .exists(Bucket::Transient, KEY)
        .await
        .unwrap()
}

async fn get(server: &TestServer, url: &Url) -> Answer {
    server.send(Method::GET, url.as_str(), &[], "").await
}

async fn put(server: &TestServer, url: &Url) -> Answer {
    server.send(Method::PUT, url.as_str(), &[], picture()).await
}

/// The same address with one part of the query replaced.
fn with_pair(url: &Url, name: &str, value: &str) -> Url {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let mut changed = url.clone();
    changed.query_pairs_mut().clear().extend_pairs(
        pairs
            .iter()
            .map(|(old, text)| (old.as_str(), if old == name { value } else { text.as_str() })),
    );
    assert_ne!(&changed, url);
    changed
}

#[tokio::test]
async fn a_picture_goes_from_the_worker_to_the_client() {
    let server = TestServer::with(Setup {
        public_url: Some("https://horde.example"),
        ..Setup::default()
    })
    .await;
    let local = |address: &str| {
        let path = address.strip_prefix("https://horde.example/blobs/").unwrap();
        Url::parse(&server.url(&format!("/blobs/{path}"))).unwrap()
    };
    let user = server.user("alice", 1000).await;
    let request = server.request(&user.api_key, &plain_request()).await;
    let popped = server.popped(&user.api_key, "keeper").await;
    let uploaded = put(&server, &local(popped["r2_upload"].as_str().unwrap())).await;
    assert_eq!((uploaded.status.as_u16(), uploaded.text.as_str()), (200, ""));
    let result = json!({"id": popped["id"], "generation": "R2", "seed": 1});
    server
        .post("/api/v2/generate/submit", &user.api_key, &result)
        .await
        .ok(200);

    let status = server
        .get(&format!("/api/v2/generate/status/{request}"))
        .await
        .ok(200);
    let download = get(&server, &local(status["generations"][0]["img"].as_str().unwrap())).await;
    assert_eq!(download.status, 200);
    assert_eq!(download.header("content-type"), "image/webp");
    assert_eq!(download.header("x-content-type-options"), "nosniff");
    assert_eq!(download.header("content-length"), picture().len().to_string());
    assert_eq!(download.text, String::from_utf8_lossy(&picture()));
}

#[tokio::test]
async fn uploads_need_no_content_type_and_replace_each_other() {
    let server = TestServer::start().await;
    let url = writable(&server);
    for headers in [
        &[][..],
        &[("content-type", "image/webp")],
        &[("content-type", "application/json")],
    ] {
        for text in ["first", "second"] {
            let answer = server.send(Method::PUT, url.as_str(), headers, text).await;
            assert_eq!(answer.status, 200);
            let kept = server
                .engine
                .blobs()
                .get(Bucket::Transient, KEY)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(kept, text);
        }
    }
}

#[tokio::test]
async fn a_changed_address_is_refused() {
    let server = TestServer::start().await;
    let url = stored(&server).await;
    let upload = writable(&server);
    let later = "1999999999";
    let signature = url
        .query_pairs()
        .find(|(name, _)| name == "signature")
        .unwrap()
        .1
        .into_owned();
    let first = if signature.starts_with('0') { '1' } else { '0' };
    let forged = format!("{first}{}", &signature[1..]);
    let mut other_key = url.clone();
    other_key.set_path("/blobs/transient/other.webp");
    let mut other_bucket = url.clone();
    other_bucket.set_path(&format!("/blobs/permanent/{KEY}"));
    for changed in [
        with_pair(&url, "signature", &forged),
        with_pair(&url, "signature", &signature[2..]),
        with_pair(&url, "signature", "00"),
        with_pair(&url, "expires", later),
        other_key,
        other_bucket,
    ] {
        get(&server, &changed).await.plain(403);
    }
    server
        .engine
        .blobs()
        .delete(Bucket::Transient, KEY)
        .await
        .unwrap();
    put(&server, &with_pair(&upload, "expires", later))
        .await
        .plain(403);
    assert!(!is_stored(&server).await);
}

#[tokio::test]
async fn an_address_is_for_one_method() {
    let server = TestServer::start().await;
    let download = stored(&server).await;
    let upload = writable(&server);
    get(&server, &upload).await.plain(403);
    get(&server, &with_pair(&upload, "method", "GET"))
        .await
        .plain(403);
    put(&server, &download).await.plain(403);
    put(&server, &with_pair(&download, "method", "PUT"))
        .await
        .plain(403);
    let head = server.send(Method::HEAD, download.as_str(), &[], "").await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
    for method in [Method::DELETE, Method::POST] {
        assert_eq!(server.send(method, download.as_str(), &[], "").await.status, 405);
    }
    assert!(is_stored(&server).await);
}

#[tokio::test]
async fn an_address_lasts_half_an_hour() {
    let server = TestServer::start().await;
    let (download, upload) = (stored(&server).await, writable(&server));
    server.advance(30 * 60).await;
    assert_eq!(put(&server, &upload).await.status, 200);
    assert_eq!(get(&server, &download).await.status, 200);
    server.advance(1).await;
    let message = put(&server, &upload).await.plain(403);
    assert!(message.contains("expired"), "{message}");
    get(&server, &download).await.plain(403);
}

#[tokio::test]
async fn what_is_no_address_is_not_found() {
    let server = TestServer::start().await;
    let url = stored(&server).await;
    let query = url.query().unwrap();
    for path in [
        format!("/blobs/unknown/{KEY}?{query}"),
        format!("/blobs/transient/{KEY}"),
        format!("/blobs/transient/{KEY}?signature=00"),
        format!("/blobs/transient/.hidden?{query}"),
        format!("/blobs/transient/..%2Ftransient%2F{KEY}?{query}"),
        format!("/blobs/transient/..%2F..%2Ftest.db?{query}"),
        format!("/blobs/transient/%2Fetc%2Fpasswd?{query}"),
        format!("/blobs/..%2Fblobs%2Ftransient/{KEY}?{query}"),
        format!("/blobs/transient/a%00b?{query}"),
        format!("/blobs/transient/{}?{query}", "x".repeat(201)),
    ] {
        server.get(&path).await.plain(404);
        server.send(Method::PUT, &path, &[], picture()).await.plain(404);
    }
    assert!(!server.directory().join("blobs/transient/.hidden").exists());
}

#[tokio::test]
async fn a_picture_that_is_gone_is_not_found() {
    let server = TestServer::start().await;
    let url = stored(&server).await;
    server
        .engine
        .blobs()
        .delete(Bucket::Transient, KEY)
        .await
        .unwrap();
    get(&server, &url).await.plain(404);
}
