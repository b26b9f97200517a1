//! `documents/*` and `status/news`.

use muster_engine::Supporter;
use muster_protocol::{Kudos, UserId};
use muster_server::About;
use serde_json::json;

use crate::support::{Setup, TestServer};

fn about() -> About {
    About {
        title: "Us & Co".to_owned(),
        url: "https://horde.example".to_owned(),
        email: Some("op@horde.example".to_owned()),
        terms: Some("# Terms of {title}\n\nAsk **{email}** or see [us]({url}).\n\n<b>x</b>\n".to_owned()),
        ..About::default()
    }
}

#[tokio::test]
async fn documents_come_in_both_formats() {
    let setup = Setup {
        about: about(),
        ..Setup::default()
    };
    let server = TestServer::with(setup).await;
    let terms = "/api/v2/documents/terms";
    let markdown =
        "# Terms of Us & Co\n\nAsk **op@horde.example** or see [us](https://horde.example).\n\n<b>x</b>";
    let both = server.get(&format!("{terms}?format=markdown")).await.ok(200);
    assert_eq!(both, json!({"markdown": markdown}));
    let html = server.get(terms).await.ok(200);
    assert_eq!(
        html,
        json!({"html": "<h1>Terms of Us &amp; Co</h1>\n<p>Ask <strong>op@horde.example</strong> or see \
                        <a href=\"https://horde.example\">us</a>.</p>\n<p><b>x</b></p>"})
    );
    assert_eq!(server.get(&format!("{terms}?format=html")).await.ok(200), html);
    server
        .get(&format!("{terms}?format=pdf"))
        .await
        .refused(400, "BadRequest");
    // The one that is not given is a neutral one.
    let privacy = server
        .get("/api/v2/documents/privacy?format=markdown")
        .await
        .ok(200);
    let privacy = privacy["markdown"].as_str().unwrap();
    assert!(
        privacy.starts_with("# Privacy at Us & Co") && !privacy.contains('{'),
        "{privacy}"
    );
}

#[tokio::test]
async fn sponsors_are_the_supporters_with_a_name() {
    let supporter = |user, name: Option<&str>, link: Option<&str>, kudos| Supporter {
        user: UserId(user),
        monthly_kudos: Kudos::from_whole(kudos),
        name: name.map(str::to_owned),
        link: link.map(str::to_owned),
    };
    let mut setup = Setup::default();
    setup.engine.supporters = vec![
        supporter(1, Some("Ann"), None, 10),
        supporter(2, Some("Ben"), None, 20),
        supporter(3, Some("Firm"), Some("https://example.org"), 5),
        supporter(4, None, None, 50),
    ];
    let server = TestServer::with(setup).await;
    let sponsors = server
        .get("/api/v2/documents/sponsors?format=markdown")
        .await
        .ok(200);
    let expected = "# Who supports Test horde\n\n* [Firm](<https://example.org>)\n\n## Patrons\n\nBen, Ann";
    assert_eq!(sponsors, json!({"markdown": expected}));
}

#[tokio::test]
async fn news_are_read_when_they_are_asked_for() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let about = About {
        news: Some(file.path().to_owned()),
        ..about()
    };
    let setup = Setup {
        about,
        ..Setup::default()
    };
    let server = TestServer::with(setup).await;
    let path = "/api/v2/status/news";
    assert_eq!(
        server.get(path).await.ok(200),
        json!([]),
        "a file that is no list"
    );
    let piece = json!({"date_published": "2024-01-02", "title": "Hello", "newspiece": "We are *here*."});
    std::fs::write(file.path(), json!([piece]).to_string()).unwrap();
    assert_eq!(
        server.get(path).await.ok(200),
        json!([{"date_published": "2024-01-02", "title": "Hello", "newspiece": "We are *here*.", "importance": null,
            "tags": null, "more_info_urls": null}])
    );
    drop(file);
    assert_eq!(server.get(path).await.ok(200), json!([]));
}

#[tokio::test]
async fn there_are_news_from_the_beginning() {
    let server = TestServer::start().await;
    let news = server.get("/api/v2/status/news").await.ok(200);
    assert_eq!(news[0]["importance"], "Information");
}
