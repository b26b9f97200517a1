//! `collections`.

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::support::{ANONYMOUS, TestServer};

const PATH: &str = "/api/v2/collections";

/// A server with an author and the ids of two image styles and a text style.
async fn shelf() -> (TestServer, String, [String; 3]) {
    let server = TestServer::start().await;
    let ann = server.trusted("ann", 0).await.api_key;
    let make = async |path: &str, name: &str, public: bool| {
        let body = json!({"name": name, "models": ["stable_diffusion"], "public": public});
        let made = server.post(path, &ann, &body).await.ok(200);
        server.advance(1).await;
        made["id"].as_str().unwrap().to_owned()
    };
    let ids = [
        make("/api/v2/styles/image", "one", true).await,
        make("/api/v2/styles/image", "two", false).await,
        make("/api/v2/styles/text", "tale", true).await,
    ];
    (server, ann, ids)
}

async fn make(server: &TestServer, key: &str, body: Value) -> String {
    let made = server.post(PATH, key, &body).await.ok(200);
    assert_eq!(made, json!({"id": made["id"], "message": "OK", "warnings": []}));
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_collection_by_id_and_by_name() {
    let (server, _, [one, two, _]) = shelf().await;
    let ben = server.user("ben", 0).await.api_key;
    // Others' styles and private ones may be in it, by id or name, each once.
    let body =
        json!({"name": "both & more", "info": "about", "styles": [two, "one", one, "ann#1::style::one"]});
    let id = make(&server, &ben, body).await;
    let seen = server.get(&format!("{PATH}/{id}")).await.ok(200);
    assert_json_snapshot!(seen, @r#"
    {
      "id": "6b790eb9-2512-4a2e-8134-0c560c3a8107",
      "info": "about",
      "name": "both &amp; more",
      "public": true,
      "styles": [
        {
          "id": "50894749-b1a7-4b68-8d47-36251d512925",
          "name": "ann#1::style::two"
        },
        {
          "id": "8188f93d-a1cf-4420-a0dd-a47f5804a2db",
          "name": "ann#1::style::one"
        }
      ],
      "type": "image",
      "use_count": 0
    }
    "#);
    for name in [
        "both%20&amp;%20more",
        "collection::both%20&amp;%20more",
        "ben%232::both%20&amp;%20more",
    ] {
        assert_eq!(
            server
                .get(&format!("/api/v2/collection_by_name/{name}"))
                .await
                .ok(200),
            seen,
            "{name}"
        );
    }
    for id in ["x", "00000000-0000-0000-0000-000000000000", one.as_str()] {
        server
            .get(&format!("{PATH}/{id}"))
            .await
            .refused(404, "CollectionNotFound");
    }
    for name in ["one", "nothing", "ann%231::both%20&amp;%20more"] {
        server
            .get(&format!("/api/v2/collection_by_name/{name}"))
            .await
            .refused(404, "CollectionNotFound");
    }
}

#[tokio::test]
async fn lists() {
    let (server, ann, [one, _, tale]) = shelf().await;
    for number in 0..26 {
        make(
            &server,
            &ann,
            json!({"name": format!("c{number:02}"), "styles": [one]}),
        )
        .await;
        server.advance(1).await;
    }
    make(&server, &ann, json!({"name": "tales", "styles": [tale]})).await;
    make(
        &server,
        &ann,
        json!({"name": "hidden", "styles": [tale], "public": false}),
    )
    .await;
    let request = json!({"prompt": "a cat", "style": "collection::c07"});
    server
        .post("/api/v2/generate/async", &ann, &request)
        .await
        .ok(202);
    let names = async |query: &str| {
        let listed = server.get(&format!("{PATH}{query}")).await.ok(200);
        let name = |collection: &Value| collection["name"].as_str().unwrap().to_owned();
        listed.as_array().unwrap().iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names("").await[..3], ["c07", "c00", "c01"]);
    assert_eq!(names("?sort=age").await[..2], ["c00", "c01"]);
    assert_eq!(names("?sort=age&page=2").await, ["c25", "tales"]);
    assert_eq!(names("?type=text").await, ["tales"]);
    assert_eq!(names("?type=image&page=2").await, ["c25"]);
    assert_eq!(names("?type=all&page=0").await.len(), 25);
    server
        .get(&format!("{PATH}?sort=x&type=y"))
        .await
        .refused(400, "BadRequest");
    server
        .get(&format!("{PATH}?type=alchemy"))
        .await
        .refused(400, "BadRequest");
    assert_eq!(server.get(&format!("{PATH}?page=x")).await.invalid(), ["page"]);
}

#[tokio::test]
async fn what_is_not_acceptable() {
    let (server, ann, [one, _, tale]) = shelf().await;
    let post = async |key: &str, body: Value| server.post(PATH, key, &body).await;
    assert_eq!(post(&ann, json!({"styles": [one]})).await.invalid(), ["name"]);
    assert_eq!(post(&ann, json!({"name": "c"})).await.invalid(), ["styles"]);
    assert_eq!(
        post(&ann, json!({"name": "", "info": "", "styles": [""]}))
            .await
            .invalid(),
        ["info", "name", "styles.0"]
    );
    post(&ann, json!({"name": "c", "styles": []}))
        .await
        .refused(400, "BadRequest");
    post("nobody's", json!({"name": "c", "styles": [one]}))
        .await
        .refused(401, "InvalidAPIKey");
    post(ANONYMOUS, json!({"name": "c", "styles": [one]}))
        .await
        .refused(403, "StylesAnonForbidden");
    let message = post(&ann, json!({"name": "c", "styles": [one, "nothing"]}))
        .await
        .refused(400, "BadRequest");
    assert!(message.contains("nothing"), "{message}");
    for styles in [json!([one, tale]), json!(["one", "tale"]), json!([tale, one])] {
        post(&ann, json!({"name": "c", "styles": styles}))
            .await
            .refused(400, "BadRequest");
    }
    for name in ["fuck off", "a::b", " "] {
        post(&ann, json!({"name": name, "styles": [one]}))
            .await
            .refused(400, "BadRequest");
    }
    post(&ann, json!({"name": "c", "info": "fuck off", "styles": [one]}))
        .await
        .refused(400, "BadRequest");
    make(&server, &ann, json!({"name": "c", "styles": [one]})).await;
    post(&ann, json!({"name": "c", "styles": [one]}))
        .await
        .refused(400, "BadRequest");
    server.delete_as("/api/v2/users/1", &ann).await.ok(200);
    post(&ann, json!({"name": "d", "styles": [one]}))
        .await
        .refused(403, "DeletedUser");
}

#[tokio::test]
async fn collections_change_and_go() {
    let (server, ann, [one, two, tale]) = shelf().await;
    let (ben, moderator) = (
        server.user("ben", 0).await.api_key,
        server.moderator("mod").await.api_key,
    );
    let id = make(&server, &ann, json!({"name": "c", "styles": [one]})).await;
    make(&server, &ann, json!({"name": "taken", "styles": [one]})).await;
    let path = format!("{PATH}/{id}");
    let modify = async |key: &str, body: Value| server.patch(&path, key, &body).await;
    assert_eq!(
        modify(&ann, json!({})).await.ok(200),
        json!({"id": id, "message": "OK"})
    );
    assert_eq!(
        modify(&ann, json!({"styles": []})).await.ok(200),
        json!({"id": id, "message": "OK"})
    );
    let body = json!({"name": "d", "info": "about", "public": false, "styles": [two]});
    assert_eq!(
        modify(&ann, body).await.ok(200),
        json!({"id": id, "message": "OK", "warnings": []})
    );
    let seen = server.get(&path).await.ok(200);
    assert_eq!(
        (&seen["name"], &seen["info"], &seen["public"]),
        (&json!("d"), &json!("about"), &json!(false))
    );
    assert_eq!(seen["styles"], json!([{"name": "ann#1::style::two", "id": two}]));

    modify("nobody's", json!({"styles": ["nothing"]}))
        .await
        .refused(400, "BadRequest");
    modify("nobody's", json!({})).await.refused(401, "InvalidAPIKey");
    modify(&ben, json!({"name": "mine"}))
        .await
        .refused(403, "Forbidden");
    modify(&moderator, json!({"name": "mine"}))
        .await
        .refused(403, "Forbidden");
    modify(&ann, json!({"styles": [tale]}))
        .await
        .refused(400, "BadRequest");
    modify(&ann, json!({"name": "taken"}))
        .await
        .refused(400, "BadRequest");
    modify(&ann, json!({"info": "fuck off"}))
        .await
        .refused(400, "BadRequest");
    server
        .patch(&format!("{PATH}/x"), &ann, &json!({}))
        .await
        .refused(404, "CollectionNotFound");

    assert_eq!(server.delete(&path).await.invalid(), ["apikey"]);
    server
        .delete_as(&path, "nobody's")
        .await
        .refused(401, "InvalidAPIKey");
    server.delete_as(&path, &ben).await.refused(403, "Forbidden");
    assert_eq!(
        server.delete_as(&path, &ann).await.ok(200),
        json!({"message": "OK"})
    );
    server
        .delete_as(&path, &ann)
        .await
        .refused(404, "CollectionNotFound");
    server.get(&format!("/api/v2/styles/image/{two}")).await.ok(200);
    let other = make(&server, &ann, json!({"name": "c", "styles": [one]})).await;
    server
        .delete_as(&format!("{PATH}/{other}"), &moderator)
        .await
        .ok(200);
}
