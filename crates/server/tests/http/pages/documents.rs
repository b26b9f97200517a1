//! The documents as pages, and what programs find out about the horde.

use muster_server::About;
use serde_json::json;

use crate::support::{Setup, TestServer};

async fn server() -> TestServer {
    let about = About {
        title: "Us & Co".to_owned(),
        url: "https://horde.example".to_owned(),
        logo: Some("https://horde.example/logo.png".to_owned()),
        repository: Some("https://code.example/muster".to_owned()),
        terms: Some("Do *no* harm.".to_owned()),
        ..About::default()
    };
    TestServer::with(Setup {
        about,
        ..Setup::default()
    })
    .await
}

#[tokio::test]
async fn documents_are_pages_too() {
    let server = server().await;
    for (path, part) in [
        ("/terms", "<p>Do <em>no</em> harm.</p>"),
        ("/privacy", "<h1>Privacy at Us &amp; Co</h1>"),
        ("/sponsors", "<h1>Who supports Us &amp; Co</h1>"),
    ] {
        let page = server.get(path).await;
        assert_eq!(page.status, 200);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(page.text.contains("<title>Us &amp; Co</title>"), "{}", page.text);
        assert!(page.text.contains(part), "{path}: {}", page.text);
        assert!(
            server.get("/").await.text.contains(&format!("href=\"{path}\"")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn programs_find_out_what_runs_here() {
    let info = server().await.get("/.well-known/serviceinfo").await;
    assert_eq!(info.header("content-type"), "application/json");
    assert_eq!(
        info.json(),
        json!({
            "version": "0.2",
            "software": {
                "name": "Us & Co",
                "version": muster_server::VERSION,
                "repository": "https://code.example/muster",
                "homepage": "https://horde.example",
                "logo": "https://horde.example/logo.png",
            },
            "api": {
                "aihorde": {
                    "name": "AI Horde API",
                    "version": "2.5",
                    "base_url": "https://horde.example/api/v2",
                    "rel_url": "/api/v2",
                    "documentation": "https://horde.example/api",
                },
            },
        })
    );
}
