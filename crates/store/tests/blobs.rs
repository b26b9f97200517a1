//! Objects in a directory and in S3 (an in-process service that checks signatures).

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{path::Path, time::Duration};

use bytes::Bytes;
use hyper_util::rt::TokioIo;
use muster_protocol::Timestamp;
use muster_store::{BlobConfig, BlobError, BlobMethod, BlobUrlError, Blobs, Bucket, BucketNames, S3Config};
use url::Url;

fn now() -> Timestamp {
    Timestamp::from(chrono::Utc::now())
}

fn local(dir: &Path) -> Blobs {
    let base_url = Url::parse("http://127.0.0.1:1/").unwrap();
    Blobs::new(BlobConfig::Local {
        dir: dir.to_owned(),
        base_url,
        secret: b"secret".to_vec(),
    })
    .unwrap()
}

/// An S3 service on a free port, with all buckets.
async fn s3(dir: &Path) -> Blobs {
    for bucket in ["hot", "cold"] {
        std::fs::create_dir(dir.join(bucket)).unwrap();
    }
    let mut builder = s3s::service::S3ServiceBuilder::new(s3s_fs::FileSystem::new(dir).unwrap());
    builder.set_auth(s3s::auth::SimpleAuth::from_single("AKEXAMPLE", "not/so+secret"));
    let service = builder.build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let connection =
                hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service.clone())
                    .into_owned();
            tokio::spawn(connection);
        }
    });
    Blobs::new(BlobConfig::S3(S3Config {
        endpoint: Url::parse(&format!("http://127.0.0.1:{port}")).unwrap(),
        region: "auto".to_owned(),
        access_key_id: "AKEXAMPLE".to_owned(),
        secret_access_key: "not/so+secret".to_owned(),
        path_style: true,
        buckets: BucketNames {
            transient: "hot".to_owned(),
            source: "hot".to_owned(),
            permanent: "cold".to_owned(),
            prompts: "cold".to_owned(),
        },
    }))
    .unwrap()
}

async fn objects_come_and_go(blobs: &Blobs) {
    let content = Bytes::from_static(b"\x00RIFF webp");
    assert_eq!(blobs.get(Bucket::Transient, "a.webp").await.unwrap(), None);
    assert!(!blobs.exists(Bucket::Transient, "a.webp").await.unwrap());
    for content in [Bytes::from_static(b"old"), content.clone()] {
        blobs.put(Bucket::Transient, "a.webp", content).await.unwrap();
    }
    assert!(blobs.exists(Bucket::Transient, "a.webp").await.unwrap());
    assert!(!blobs.exists(Bucket::Permanent, "a.webp").await.unwrap());
    assert_eq!(
        blobs.get(Bucket::Transient, "a.webp").await.unwrap(),
        Some(content)
    );
    assert_eq!(
        blobs
            .prune(Bucket::Transient, now() - Duration::from_mins(1))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        blobs
            .prune(Bucket::Transient, now() + Duration::from_mins(1))
            .await
            .unwrap(),
        1
    );
    assert!(!blobs.exists(Bucket::Transient, "a.webp").await.unwrap());
    blobs.put(Bucket::Prompts, "b", Bytes::new()).await.unwrap();
    for _ in 0..2 {
        blobs.delete(Bucket::Prompts, "b").await.unwrap();
    }
    for key in ["", "../a", "a/b", "a\\b", ".hidden", "a b", "ä", "a#1", "%2e"] {
        let refused = blobs.put(Bucket::Transient, key, Bytes::new()).await;
        assert!(matches!(refused, Err(BlobError::BadKey(_))), "{key}");
        assert!(
            matches!(
                blobs.upload_url(Bucket::Transient, key, now()),
                Err(BlobError::BadKey(_))
            ),
            "{key}"
        );
    }
}

#[tokio::test]
async fn local_objects_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    objects_come_and_go(&local(dir.path())).await;
}

#[tokio::test]
async fn local_puts_leave_no_temporary_files() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = local(dir.path());
    let writers = (0..8).map(|n| blobs.put(Bucket::Source, "same", Bytes::from(vec![n; 100_000])));
    futures_util::future::join_all(writers)
        .await
        .into_iter()
        .for_each(Result::unwrap);
    let content = blobs.get(Bucket::Source, "same").await.unwrap().unwrap();
    assert!(content.len() == 100_000 && content.iter().all(|byte| *byte == content[0]));
    assert_eq!(std::fs::read_dir(dir.path().join("source")).unwrap().count(), 1);
}

#[test]
fn local_addresses_allow_one_thing_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = local(dir.path());
    let moment = Timestamp::from_millis(1_800_000_000_000);
    let later = |seconds| moment + Duration::from_secs(seconds);
    blobs.set_base_url(Url::parse("https://horde.example/sub/").unwrap());
    let url = blobs.upload_url(Bucket::Transient, "k.webp", moment).unwrap();
    assert_eq!(url.path(), "/sub/blobs/transient/k.webp");
    assert_eq!(url.host_str(), Some("horde.example"));
    let query = url.query().unwrap();
    let verify = |method, bucket, key, query: &str, when| blobs.verify(method, bucket, key, query, when);

    assert_eq!(
        verify(BlobMethod::Put, "transient", "k.webp", query, later(1800)),
        Ok(Bucket::Transient)
    );
    let expired = verify(BlobMethod::Put, "transient", "k.webp", query, later(1801));
    assert_eq!(expired, Err(BlobUrlError::Expired));
    for (method, bucket, key) in [
        (BlobMethod::Get, "transient", "k.webp"),
        (BlobMethod::Put, "source", "k.webp"),
        (BlobMethod::Put, "transient", "other.webp"),
    ] {
        assert_eq!(
            verify(method, bucket, key, query, moment),
            Err(BlobUrlError::BadSignature)
        );
    }
    let longer = query.replace("expires=1800001800", "expires=1900001800");
    assert_ne!(longer, query);
    assert_eq!(
        verify(BlobMethod::Put, "transient", "k.webp", &longer, moment),
        Err(BlobUrlError::BadSignature)
    );
    for (bucket, key, query) in [
        ("attic", "k.webp", query),
        ("transient", "../k.webp", query),
        ("transient", "k.webp", "expires=1"),
    ] {
        assert_eq!(
            verify(BlobMethod::Put, bucket, key, query, moment),
            Err(BlobUrlError::Malformed)
        );
    }
    let download = blobs.download_url(Bucket::Transient, "k.webp", moment).unwrap();
    let query = download.query().unwrap();
    assert!(verify(BlobMethod::Get, "transient", "k.webp", query, moment).is_ok());
    assert!(verify(BlobMethod::Put, "transient", "k.webp", query, moment).is_err());
}

#[tokio::test]
async fn s3_objects_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    objects_come_and_go(&s3(dir.path()).await).await;
}

#[tokio::test]
async fn s3_addresses_allow_one_thing_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = s3(dir.path()).await;
    let client = reqwest::Client::new();
    let upload = blobs.upload_url(Bucket::Transient, "k.webp", now()).unwrap();
    let plain = client.put(upload.clone()).body("one").send().await.unwrap();
    assert_eq!(plain.status(), 200);
    let typed = client
        .put(upload.clone())
        .header("Content-Type", "image/webp")
        .body("two")
        .send()
        .await
        .unwrap();
    assert_eq!(typed.status(), 200);
    assert_eq!(
        blobs.get(Bucket::Transient, "k.webp").await.unwrap(),
        Some(Bytes::from_static(b"two"))
    );

    let download = blobs.download_url(Bucket::Transient, "k.webp", now()).unwrap();
    let got = client.get(download.clone()).send().await.unwrap();
    assert_eq!(got.status(), 200);
    assert_eq!(got.bytes().await.unwrap(), "two");

    assert!(!client.get(upload).send().await.unwrap().status().is_success());
    assert!(
        !client
            .put(download.clone())
            .body("x")
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );
    let mut other = download;
    other.set_path("/hot/other.webp");
    assert!(!client.get(other).send().await.unwrap().status().is_success());
    let long_ago = now() - Duration::from_secs(1900);
    let expired = blobs.download_url(Bucket::Transient, "k.webp", long_ago).unwrap();
    assert!(!client.get(expired).send().await.unwrap().status().is_success());
    assert_eq!(
        blobs.get(Bucket::Transient, "k.webp").await.unwrap(),
        Some(Bytes::from_static(b"two"))
    );
    // Such addresses are none of the server's business.
    let verdict = blobs.verify(BlobMethod::Get, "transient", "k.webp", "", now());
    assert_eq!(verdict, Err(BlobUrlError::Malformed));
}

#[test]
fn s3_addresses_may_have_the_bucket_in_the_host() {
    let blobs = Blobs::new(BlobConfig::S3(S3Config {
        endpoint: Url::parse("https://s3.example:8443").unwrap(),
        region: "eu-1".to_owned(),
        access_key_id: "id".to_owned(),
        secret_access_key: "hush".to_owned(),
        path_style: false,
        buckets: BucketNames {
            transient: "t".to_owned(),
            source: "s".to_owned(),
            permanent: "p".to_owned(),
            prompts: "r".to_owned(),
        },
    }))
    .unwrap();
    let url = blobs
        .download_url(Bucket::Source, "a_src", Timestamp::from_millis(0))
        .unwrap();
    assert!(
        url.as_str()
            .starts_with("https://s.s3.example:8443/a_src?X-Amz-Algorithm=AWS4-HMAC-SHA256&")
    );
    assert!(
        url.as_str()
            .contains("X-Amz-Credential=id%2F19700101%2Feu-1%2Fs3%2Faws4_request")
    );
    assert!(!format!("{blobs:?}{url}").contains("hush"));
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let base_url = Url::parse("http://localhost/").unwrap();
    let config = BlobConfig::Local {
        dir: file.path().to_owned(),
        base_url,
        secret: Vec::new(),
    };
    let refused = Blobs::new(config).unwrap_err();
    assert!(matches!(&refused, BlobError::Directory { .. }), "{refused}");
}
