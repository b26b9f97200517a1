//! `POST /register`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, TestServer};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn register(server: &TestServer, form: &str) -> Answer {
    let page = server
        .send(Method::POST, "/register", &[FORM], form.to_owned())
        .await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    page
}

/// The key as scripts find it.
fn key(page: &Answer) -> Option<&str> {
    assert_eq!(page.status, 200);
    let (_, rest) = page.text.split_once("class=\"ah-api-key\">")?;
    Some(rest.split_once('<').unwrap().0)
}

async fn account(server: &TestServer, key: &str) -> Value {
    server.get_as("/api/v2/find_user", key).await.ok(200)
}

#[tokio::test]
async fn an_account_is_made_and_its_key_shown() {
    let server = TestServer::start().await;
    let page = register(&server, "username=Alice+B.").await;
    let key = key(&page).unwrap();
    assert_eq!(key.len(), 22);
    let account = account(&server, key).await;
    let alias = account["username"].as_str().unwrap();
    assert_eq!(alias, format!("Alice B.#{}", account["id"]));
    assert!(page.text.contains(alias), "{}", page.text);
    for (member, expected) in [
        ("pseudonymous", json!(true)),
        ("trusted", json!(false)),
        ("moderator", json!(false)),
        ("kudos", json!(0.0)),
        ("concurrency", json!(30)),
        ("worker_count", json!(0)),
        ("account_age", json!(0)),
    ] {
        assert_eq!(account[member], expected, "{member}");
    }
}

#[tokio::test]
async fn everybody_gets_an_account_of_their_own() {
    let server = TestServer::start().await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let page = register(&server, "username=Alice").await;
        seen.push(account(&server, key(&page).unwrap()).await["id"].clone());
    }
    seen.dedup();
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn names_are_cut_and_cleaned() {
    let server = TestServer::start().await;
    let long = "x".repeat(31);
    let accents = "%C3%A9".repeat(40);
    for (sent, name) in [
        (long.as_str(), "x".repeat(30)),
        (accents.as_str(), "é".repeat(30)),
        ("++Alice++", "Alice".to_owned()),
        ("Al%00ice", "Alice".to_owned()),
        (
            "%3Cb%3EBo%3C%2Fb%3E+%26+Co",
            "&lt;b&gt;Bo&lt;/b&gt; &amp; Co".to_owned(),
        ),
        (
            "%22%3E%3Cscript%3Ealert(1)",
            "\"&gt;&lt;script&gt;alert(1)".to_owned(),
        ),
    ] {
        let page = register(&server, &format!("username={sent}")).await;
        let account = account(&server, key(&page).unwrap()).await;
        let alias = format!("{name}#{}", account["id"]);
        assert_eq!(account["username"], alias);
        assert!(
            page.text.contains(&format!("<strong>{alias}</strong>")),
            "{}",
            page.text
        );
        assert!(
            !page.text.contains("<b>") && !page.text.contains("<script>"),
            "{}",
            page.text
        );
    }
}

#[tokio::test]
async fn a_name_of_nothing_gets_the_form_again() {
    let server = TestServer::start().await;
    for form in ["username=", "username=+++", "username=%00", "username=%0A%09"] {
        let page = register(&server, form).await;
        assert_eq!(key(&page), None, "{form}");
        assert!(
            page.text.contains("role=\"alert\"") && page.text.contains("<form"),
            "{form}: {}",
            page.text
        );
    }
}

#[tokio::test]
async fn a_missing_name_is_an_error() {
    let server = TestServer::start().await;
    for form in ["", "name=Alice", "USERNAME=Alice"] {
        let page = register(&server, form).await;
        assert_eq!(page.status, 400, "{form}");
        assert!(
            page.text.contains("<form") && !page.text.contains("ah-api-key"),
            "{form}: {}",
            page.text
        );
    }
    let page = server.post("/register", "", &json!({"username": "Alice"})).await;
    assert_eq!(page.status, 400);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
}

#[tokio::test]
async fn profane_names_make_no_account() {
    let server = TestServer::start().await;
    let page = register(&server, "username=fuckface").await;
    assert_eq!(key(&page), None);
    assert!(
        page.text.contains("profanity") && page.text.contains("name=\"username\""),
        "{}",
        page.text
    );
    server.get("/api/v2/users/1").await.refused(404, "UserNotFound");
}

#[tokio::test]
async fn a_name_that_is_too_long_is_remembered() {
    let server = TestServer::start().await;
    let moderator = server.moderator("mod").await;
    for (length, level) in [(30, 0), (31, 1)] {
        let page = register(&server, &format!("username={}", "x".repeat(length))).await;
        let id = account(&server, key(&page).unwrap()).await["id"].clone();
        let path = format!("/api/v2/users/{id}");
        let seen = server.get_as(&path, &moderator.api_key).await.ok(200);
        assert_eq!(seen["suspicious"], level);
    }
}

#[tokio::test]
async fn forms_that_another_site_sends_are_refused() {
    let server = TestServer::start().await;
    let register = async |site: &str| {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("sec-fetch-site", site),
        ];
        server
            .send(Method::POST, "/register", &headers, "username=ann")
            .await
    };
    for site in ["cross-site", "same-site"] {
        let refused = register(site).await;
        assert_eq!(refused.status, 403);
        assert!(!refused.text.contains("ah-api-key"), "{}", refused.text);
    }
    for site in ["same-origin", "none"] {
        let page = register(site).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains("ah-api-key"));
    }
}

#[tokio::test]
async fn pages_run_no_scripts_and_load_nothing() {
    let server = TestServer::start().await;
    for path in ["/", "/register"] {
        let page = server.get(path).await;
        let policy = page.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(policy.contains("form-action 'self'") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert!(!page.text.contains("<script"));
    }
}
