//! `GET /register` and the front page that leads to it.

use crate::support::TestServer;

#[tokio::test]
async fn the_form() {
    let server = TestServer::start().await;
    let page = server.get("/register").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    for part in [
        "<title>Test horde</title>",
        "<form method=\"post\" action=\"/register\">",
        "<input name=\"username\" maxlength=\"30\" required",
        "<button>",
    ] {
        assert!(page.text.contains(part), "{part} is missing in {}", page.text);
    }
    assert!(!page.text.contains("ah-api-key"));
}

#[tokio::test]
async fn the_front_page_leads_there() {
    let server = TestServer::start().await;
    let page = server.get("/").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    for link in ["href=\"/register\"", "href=\"/api/\""] {
        assert!(page.text.contains(link), "{link} is missing in {}", page.text);
    }
}
