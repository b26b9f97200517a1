//! `GET /styles/*`.

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use super::{IMAGE, TEXT, make, noir, tale};
use crate::support::{TestServer, changed};

#[tokio::test]
async fn an_image_style() {
    let server = TestServer::start().await;
    let ann = server.trusted("ann", 0).await;
    let key = server
        .put("/api/v2/sharedkeys", &ann.api_key, &json!({"name": "gift"}))
        .await
        .ok(200);
    let body = changed(noir(), json!({"sharedkey": key["id"]}));
    let id = make(&server, IMAGE, &ann.api_key, &body).await;
    let seen = server.get(&format!("{IMAGE}/{id}")).await.ok(200);
    assert_json_snapshot!(seen, @r#"
    {
      "creator": "ann#1",
      "examples": [],
      "id": "50894749-b1a7-4b68-8d47-36251d512925",
      "info": "black &amp; white pictures",
      "models": [
        "stable_diffusion"
      ],
      "name": "noir",
      "nsfw": false,
      "params": {
        "cfg_scale": 7.0,
        "loras": [
          {
            "clip": 1.0,
            "is_version": false,
            "model": 1.0,
            "name": "film"
          }
        ],
        "steps": 20
      },
      "prompt": "{p}, black and white###{np}, colours",
      "public": true,
      "shared_key": {
        "id": "8188f93d-a1cf-4420-a0dd-a47f5804a2db",
        "kudos": 5000,
        "max_image_pixels": -1,
        "max_image_steps": -1,
        "max_text_tokens": -1,
        "name": "gift",
        "username": "ann#1",
        "utilized": 0
      },
      "tags": [
        "film",
        "night"
      ],
      "use_count": 0
    }
    "#);
    assert_eq!(server.get(IMAGE).await.ok(200), json!([seen]));
}

#[tokio::test]
async fn a_text_style() {
    let server = TestServer::start().await;
    let ann = server.trusted("ann", 0).await;
    let id = make(&server, TEXT, &ann.api_key, &tale()).await;
    assert_json_snapshot!(server.get(&format!("{TEXT}/{id}")).await.ok(200), @r#"
    {
      "creator": "ann#1",
      "id": "8188f93d-a1cf-4420-a0dd-a47f5804a2db",
      "info": "",
      "models": [
        "some/model"
      ],
      "name": "tale",
      "nsfw": false,
      "params": {
        "dynatemp_exponent": 1.0,
        "dynatemp_range": 0.0,
        "min_p": 0.0,
        "smoothing_factor": 0.0,
        "temperature": 0.7
      },
      "prompt": "Once upon a time {p}",
      "public": true,
      "tags": [],
      "use_count": 0
    }
    "#);
}

#[tokio::test]
async fn names_in_all_their_forms() {
    let server = TestServer::start().await;
    let (ann, ben) = (server.trusted("ann", 0).await, server.trusted("ben", 0).await);
    let anns = make(&server, IMAGE, &ann.api_key, &noir()).await;
    server.advance(1).await;
    let bens = make(&server, IMAGE, &ben.api_key, &noir()).await;
    let found = async |name: &str| {
        let path = format!("{IMAGE}_by_name/{}", name.replace('#', "%23"));
        server.get(&path).await.ok(200)["id"].as_str().unwrap().to_owned()
    };
    for name in [
        "noir",
        "style::noir",
        "ann#1::noir",
        "style::ann#1::noir",
        "ann#1::style::noir",
        "anybody#1::noir",
    ] {
        assert_eq!(found(name).await, anns, "{name}");
    }
    for name in ["ben#2::noir", "style::2::noir", "x#2::style::noir"] {
        assert_eq!(found(name).await, bens, "{name}");
    }
    // Where only styles are looked for, a prefix does not matter.
    assert_eq!(found("collection::noir").await, anns);
    for name in ["Noir", "ben%239::noir", "ben::noir", "a::b::c::d"] {
        let path = format!("{IMAGE}_by_name/{name}");
        server.get(&path).await.refused(404, "StyleNotFound");
    }
}

#[tokio::test]
async fn what_is_not_there() {
    let server = TestServer::start().await;
    let ann = server.trusted("ann", 0).await;
    let image = make(&server, IMAGE, &ann.api_key, &noir()).await;
    let text = make(&server, TEXT, &ann.api_key, &tale()).await;
    let nowhere = "00000000-0000-0000-0000-000000000000";
    for id in ["x", nowhere] {
        server
            .get(&format!("{IMAGE}/{id}"))
            .await
            .refused(404, "Image styleNotFound");
        server
            .get(&format!("{TEXT}/{id}"))
            .await
            .refused(404, "Text styleNotFound");
    }
    server
        .get(&format!("{IMAGE}/{text}"))
        .await
        .refused(400, "BadRequest");
    server
        .get(&format!("{TEXT}/{image}"))
        .await
        .refused(400, "BadRequest");
    server
        .get(&format!("{IMAGE}_by_name/tale"))
        .await
        .refused(400, "BadRequest");
    server
        .get(&format!("{TEXT}_by_name/noir"))
        .await
        .refused(400, "BadRequest");
    // A collection is no style.
    let made = server
        .post(
            "/api/v2/collections",
            &ann.api_key,
            &json!({"name": "c", "styles": [image]}),
        )
        .await
        .ok(200);
    let path = format!("{IMAGE}/{}", made["id"].as_str().unwrap());
    server.get(&path).await.refused(404, "Image styleNotFound");
    server
        .delete_as(&path, &ann.api_key)
        .await
        .refused(404, "StyleNotFound");
}

async fn names(server: &TestServer, query: &str) -> Vec<String> {
    let listed = server.get(&format!("{IMAGE}{query}")).await.ok(200);
    let name = |style: &Value| style["name"].as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().map(name).collect()
}

#[tokio::test]
async fn lists() {
    let server = TestServer::start().await;
    let ann = server.trusted("ann", 1000).await;
    for number in 0..27 {
        let tags = if number == 3 {
            json!(["odd"])
        } else {
            json!(["even"])
        };
        let models = if number == 4 {
            json!(["other"])
        } else {
            json!(["stable_diffusion"])
        };
        let body = changed(
            noir(),
            json!({"name": format!("s{number:02}"), "tags": tags, "models": models}),
        );
        make(&server, IMAGE, &ann.api_key, &body).await;
        server.advance(1).await;
    }
    let hidden = changed(noir(), json!({"name": "hidden", "public": false}));
    let hidden = make(&server, IMAGE, &ann.api_key, &hidden).await;
    server.get(&format!("{IMAGE}/{hidden}")).await.ok(200);
    make(&server, TEXT, &ann.api_key, &tale()).await;
    let request = json!({"prompt": "a lighthouse", "style": "s20"});
    server
        .post("/api/v2/generate/async", &ann.api_key, &request)
        .await
        .ok(202);

    let popular = names(&server, "").await;
    assert_eq!(
        (popular.len(), &popular[..3]),
        (25, &["s20", "s00", "s01"].map(str::to_owned)[..])
    );
    assert_eq!(names(&server, "?page=2").await, ["s25", "s26"]);
    assert_eq!(names(&server, "?page=0").await, popular);
    assert!(names(&server, "?page=3").await.is_empty());
    assert_eq!(names(&server, "?sort=age").await[..2], ["s00", "s01"]);
    assert_eq!(names(&server, "?tag=odd").await, ["s03"]);
    assert_eq!(names(&server, "?model=other").await, ["s04"]);
    assert!(names(&server, "?tag=odd&model=other").await.is_empty());
    server
        .get(&format!("{IMAGE}?sort=magic"))
        .await
        .refused(400, "BadRequest");
    assert_eq!(server.get(&format!("{IMAGE}?page=x")).await.invalid(), ["page"]);
    assert_eq!(server.get(TEXT).await.ok(200).as_array().unwrap().len(), 1);
}
