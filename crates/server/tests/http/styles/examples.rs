//! `styles/image/{id}/example`.

use serde_json::{Value, json};

use super::{IMAGE, TEXT, make, noir, tale};
use crate::support::{TestServer, changed};

struct Gallery {
    server: TestServer,
    ann: String,
    style: String,
}

impl Gallery {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let ann = server.trusted("ann", 0).await;
        let id = make(&server, IMAGE, &ann.api_key, &noir()).await;
        Self {
            server,
            ann: ann.api_key,
            style: format!("{IMAGE}/{id}"),
        }
    }

    async fn add(&self, url: &str, primary: bool) -> String {
        let body = json!({"url": url, "primary": primary});
        let made = self
            .server
            .post(&format!("{}/example", self.style), &self.ann, &body)
            .await
            .ok(200);
        assert_eq!(made, json!({"id": made["id"], "message": "OK", "warnings": []}));
        format!("{}/example/{}", self.style, made["id"].as_str().unwrap())
    }

    async fn patch(&self, example: &str, body: Value) -> crate::support::Answer {
        self.server.patch(example, &self.ann, &body).await
    }

    /// The last letter of each address, with a star for the one to show.
    async fn shown(&self) -> Vec<String> {
        let style = self.server.get(&self.style).await.ok(200);
        let shown = |example: &Value| {
            let url = example["url"].as_str().unwrap();
            let star = if example["primary"].as_bool().unwrap() {
                "*"
            } else {
                ""
            };
            format!("{}{star}", &url[url.len() - 1..])
        };
        style["examples"].as_array().unwrap().iter().map(shown).collect()
    }
}

#[tokio::test]
async fn one_of_them_is_the_one_to_show() {
    let gallery = Gallery::new().await;
    let a = gallery.add("https://example.org/a", false).await;
    assert_eq!(
        gallery.shown().await,
        ["a*"],
        "the first one is, whatever it says"
    );
    let b = gallery.add("https://example.org/b", true).await;
    gallery.add("https://example.org/c", false).await;
    assert_eq!(gallery.shown().await, ["a", "b*", "c"]);
    gallery.patch(&a, json!({"primary": true})).await.ok(200);
    assert_eq!(gallery.shown().await, ["a*", "b", "c"]);
    gallery
        .patch(&a, json!({"url": "https://example.org/x"}))
        .await
        .ok(200);
    assert_eq!(gallery.shown().await, ["x*", "b", "c"]);
    gallery
        .patch(&a, json!({"primary": false}))
        .await
        .refused(400, "BadRequest");
    gallery.patch(&b, json!({"primary": false})).await.ok(200);
    assert_eq!(
        gallery.server.delete_as(&a, &gallery.ann).await.ok(200),
        json!({"message": "OK"})
    );
    assert_eq!(gallery.shown().await, ["b*", "c"], "the oldest takes its place");
    gallery
        .server
        .delete_as(&a, &gallery.ann)
        .await
        .refused(404, "Style exampleNotFound");
}

#[tokio::test]
async fn what_is_not_acceptable() {
    let gallery = Gallery::new().await;
    let Gallery { server, ann, style } = &gallery;
    let path = format!("{style}/example");
    let post = async |key: &str, body: Value| server.post(&path, key, &body).await;
    post(ann, json!({"url": "http://example.org/a", "primary": true}))
        .await
        .refused(400, "BadRequest");
    assert_eq!(post(ann, json!({})).await.invalid(), ["primary", "url"]);
    let a = gallery.add("https://example.org/a", true).await;
    post(ann, json!({"url": "https://example.org/a", "primary": true}))
        .await
        .refused(400, "BadRequest");
    let b = gallery.add("https://example.org/b", true).await;
    gallery
        .patch(&b, json!({"url": "https://example.org/a"}))
        .await
        .refused(400, "BadRequest");
    gallery
        .patch(&b, json!({"url": "ftp://example.org/a"}))
        .await
        .refused(400, "BadRequest");
    gallery
        .patch(&b, json!({"url": "https://example.org/b"}))
        .await
        .ok(200);
    gallery.add("https://example.org/c", true).await;
    gallery.add("https://example.org/d", true).await;
    post(ann, json!({"url": "https://example.org/e", "primary": true}))
        .await
        .refused(403, "Forbidden");
    let text = make(server, TEXT, ann, &tale()).await;
    let body = json!({"url": "https://example.org/e", "primary": true});
    server
        .post(&format!("{IMAGE}/{text}/example"), ann, &body)
        .await
        .refused(400, "BadRequest");
    server
        .post(&format!("{IMAGE}/x/example"), ann, &body)
        .await
        .refused(404, "StyleNotFound");
    server
        .patch(&format!("{style}/example/x"), ann, &json!({}))
        .await
        .refused(404, "Style exampleNotFound");
    // An example of another style is not within reach of its author.
    let ben = server.trusted("ben", 0).await;
    let bens = make(
        server,
        IMAGE,
        &ben.api_key,
        &changed(noir(), json!({"name": "bens"})),
    )
    .await;
    let id = a.rsplit('/').next().unwrap();
    let through = format!("{IMAGE}/{bens}/example/{id}");
    server
        .patch(&through, &ben.api_key, &json!({"primary": true}))
        .await
        .refused(404, "Style exampleNotFound");
    server
        .delete_as(&through, &ben.api_key)
        .await
        .refused(404, "Style exampleNotFound");
}

#[tokio::test]
async fn who_may_do_it() {
    let gallery = Gallery::new().await;
    let a = gallery.add("https://example.org/a", true).await;
    let Gallery { server, style, .. } = &gallery;
    let (ben, moderator) = (server.trusted("ben", 0).await, server.moderator("mod").await);
    let path = format!("{style}/example");
    let body = json!({"url": "https://example.org/b", "primary": true});
    for (key, status, rc) in [
        ("nobody's", 401, "InvalidAPIKey"),
        (ben.api_key.as_str(), 403, "Forbidden"),
    ] {
        server.post(&path, key, &body).await.refused(status, rc);
        server.patch(&a, key, &body).await.refused(status, rc);
        server.delete_as(&a, key).await.refused(status, rc);
    }
    server.post(&path, &moderator.api_key, &body).await.ok(200);
    server
        .patch(&a, &moderator.api_key, &json!({"primary": true}))
        .await
        .ok(200);
    server.delete_as(&a, &moderator.api_key).await.ok(200);
    assert_eq!(gallery.shown().await, ["b*"]);
}
