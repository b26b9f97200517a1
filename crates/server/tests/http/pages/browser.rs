//! `/api/`: the API in a browser.

use crate::support::{Setup, TestServer};

#[tokio::test]
async fn the_api_can_be_looked_at_and_tried() {
    let server = TestServer::with(Setup::default()).await;
    let page = server.get("/api").await;
    assert_eq!(page.status, 200, "after a redirect");
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.text.contains("swagger-ui-bundle.js"), "{}", page.text);
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    // Every file that the page names is there.
    let mut files = 0;
    for quoted in page.text.split('"').filter(|text| text.starts_with("./")) {
        let file = server
            .get(&format!("/api/{}", quoted.trim_start_matches("./")))
            .await;
        assert_eq!(file.status, 200, "{quoted}");
        files += 1;
    }
    assert!(files >= 6, "{files}");
    let start = server.get("/api/swagger-initializer.js").await;
    assert!(start.text.contains("/api/openapi.json"), "{}", start.text);
    // What is not there is refused like everything else.
    server.get("/api/nothing.js").await.plain(404);
    server.get("/api/index.html").await.plain(404);
}
