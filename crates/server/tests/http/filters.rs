//! `filters`, and prompts in which they find something.

use insta::assert_json_snapshot;
use muster_protocol::TestUser;
use muster_store::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ANONYMOUS, Answer, Setup, TestServer, changed, number, plain_request};

const PATH: &str = "/api/v2/filters";
const ASYNC: &str = "/api/v2/generate/async";
const NEVER: &str = "child, infant, underage, immature, teenager, tween";

async fn put(server: &TestServer, by: &TestUser, kind: i64, regex: &str, replacement: &str) -> Value {
    let body = json!({"regex": regex, "filter_type": kind, "replacement": replacement});
    server.put(PATH, &by.api_key, &body).await.ok(200)
}

/// A horde with filters, and its moderator.
async fn filtered() -> (TestServer, TestUser) {
    let server = TestServer::start().await;
    let moderator = server.moderator("mod").await;
    put(&server, &moderator, 10, r"\bkit(ten)?s?\b", "cat").await;
    put(&server, &moderator, 11, "cub", "").await;
    put(&server, &moderator, 20, "fight|brawl", "").await;
    (server, moderator)
}

async fn ask(server: &TestServer, key: &str, prompt: &str, changes: Value) -> Answer {
    let body = changed(changed(plain_request(), json!({"prompt": prompt})), changes);
    server.post(ASYNC, key, &body).await
}

/// The prompt of the only request, as it is stored.
async fn stored_prompt(server: &TestServer, asked: &Answer) -> String {
    let id = asked.ok(202)["id"].as_str().unwrap().parse().unwrap();
    let (request, _) = server.engine.store().request(id).await.unwrap().unwrap();
    request.payload["prompt"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn filters_are_made_changed_and_deleted() {
    let server = TestServer::start().await;
    let moderator = server.moderator("mod").await;
    let body = json!({"regex": "fight", "filter_type": 20, "description": "no fights"});
    let made = server.put(PATH, &moderator.api_key, &body).await.ok(200);
    assert_json_snapshot!(made, @r#"
    {
      "description": "no fights",
      "filter_type": 20,
      "id": "1",
      "regex": "fight",
      "replacement": "",
      "user": "mod#1"
    }
    "#);
    // The same again is the same one.
    assert_eq!(server.put(PATH, &moderator.api_key, &body).await.ok(200), made);
    let other = put(&server, &moderator, 10, "kitten", "cat").await;
    let path = |filter: &Value| format!("{PATH}/{}", filter["id"].as_str().unwrap());
    assert_eq!(
        server.get_as(&path(&made), &moderator.api_key).await.ok(200),
        made
    );
    let list = async |query: &str| {
        server
            .get_as(&format!("{PATH}{query}"), &moderator.api_key)
            .await
            .ok(200)
    };
    assert_eq!(list("").await, json!([made, other]));
    assert_eq!(list("?filter_type=10").await, json!([other]));
    assert_eq!(list("?contains=fights").await, json!([made]));
    assert_eq!(list("?contains=kit").await, json!([other]));
    assert_eq!(list("?filter_type=11").await, json!([]));

    let second = server.moderator("second").await;
    let modify = async |body: Value| server.patch(&path(&other), &second.api_key, &body).await;
    let expected = changed(
        other.clone(),
        json!({"replacement": "dog", "user": format!("second#{}", second.user_id)}),
    );
    assert_eq!(
        modify(json!({"replacement": "dog", "regex": ""})).await.ok(200),
        expected
    );
    modify(json!({})).await.refused(400, "NoFilterModSelected");
    modify(json!({"regex": ""}))
        .await
        .refused(400, "NoFilterModSelected");
    modify(json!({"regex": "("})).await.refused(400, "BadRequest");
    modify(json!({"regex": "fight", "filter_type": 20}))
        .await
        .refused(400, "BadRequest");
    assert_eq!(
        server.delete_as(&path(&made), &second.api_key).await.ok(200),
        json!({"message": "OK"})
    );
    server
        .delete_as(&path(&made), &second.api_key)
        .await
        .refused(404, "FilterNotFound");
    assert_eq!(list("").await, json!([expected]));
    // They are there after a restart.
    let server = server.restart(Setup::default()).await;
    let checked = server
        .post(PATH, &moderator.api_key, &json!({"prompt": "a kitten"}))
        .await
        .ok(200);
    assert_eq!(checked, json!({"suspicion": "1", "matches": ["kitten"]}));
}

#[tokio::test]
async fn what_is_no_filter() {
    let server = TestServer::start().await;
    let moderator = server.moderator("mod").await;
    let put = async |body: Value| server.put(PATH, &moderator.api_key, &body).await;
    for (body, wrong) in [
        (json!({"filter_type": 10}), "regex"),
        (json!({"regex": "a"}), "filter_type"),
        (json!({"regex": "a", "filter_type": 9}), "filter_type"),
        (json!({"regex": "a", "filter_type": 30}), "filter_type"),
        (json!({"regex": "a".repeat(10_001), "filter_type": 10}), "regex"),
        (
            json!({"regex": "a", "filter_type": 10, "replacement": "a".repeat(256)}),
            "replacement",
        ),
    ] {
        let answer = put(body).await;
        let told = answer.invalid();
        assert!(
            told.iter().all(|name| name.is_empty() || name == wrong),
            "{told:?}"
        );
    }
    for (regex, why) in [
        ("(", "unclosed group"),
        ("(?<!1)girl", "look-around"),
        ("a*", "every prompt"),
        ("a\u{0}", ""),
    ] {
        let refused = put(json!({"regex": regex, "filter_type": 10})).await;
        let rc = if why.is_empty() {
            "NulByteInPayload"
        } else {
            "BadRequest"
        };
        let message = refused.refused(400, rc);
        assert!(message.contains(why), "{message}");
    }
}

#[tokio::test]
async fn they_are_for_moderators() {
    let (server, moderator) = filtered().await;
    let ann = server.user("ann", 100).await;
    let prompt = json!({"prompt": "a fight"});
    let filter = json!({"regex": "x", "filter_type": 20});
    for (method, path, body) in [
        (Method::GET, PATH.to_owned(), json!(null)),
        (Method::PUT, PATH.to_owned(), filter),
        (Method::POST, PATH.to_owned(), prompt),
        (Method::GET, format!("{PATH}/regex"), json!(null)),
        (Method::GET, format!("{PATH}/1"), json!(null)),
        (Method::PATCH, format!("{PATH}/1"), json!({"description": "x"})),
        (Method::DELETE, format!("{PATH}/1"), json!(null)),
    ] {
        let call = async |key: &str| server.call(method.clone(), &path, key, &body).await;
        call("unknown").await.refused(401, "InvalidAPIKey");
        call(ANONYMOUS).await.refused(403, "NotModerator");
        call(&ann.api_key).await.refused(403, "NotModerator");
        call(&moderator.api_key).await.ok(200);
    }
    for nowhere in ["x", "99", "-1", "1x"] {
        let path = format!("{PATH}/{nowhere}");
        server
            .get_as(&path, &moderator.api_key)
            .await
            .refused(404, "FilterNotFound");
    }
    assert_eq!(server.get(PATH).await.invalid(), ["apikey"]);
    assert_eq!(
        server.send(Method::POST, PATH, &[], "{}").await.invalid(),
        ["apikey"]
    );
    let bare = server.post(PATH, &moderator.api_key, &json!({})).await;
    assert_eq!(bare.invalid(), ["prompt"]);
    let typed = server
        .get_as(&format!("{PATH}?filter_type=x"), &moderator.api_key)
        .await;
    assert_eq!(typed.invalid(), ["filter_type"]);
}

#[tokio::test]
async fn prompts_are_tried_out() {
    let (server, moderator) = filtered().await;
    let check = async |body: Value| server.post(PATH, &moderator.api_key, &body).await.ok(200);
    assert_eq!(
        check(json!({"prompt": "a brawl of k i t t e n s"})).await,
        json!({"suspicion": "2", "matches": ["kittens", "brawl"]})
    );
    assert_eq!(
        check(json!({"prompt": "a brawl of kittens", "filter_type": 20})).await,
        json!({"suspicion": "1", "matches": ["brawl"]})
    );
    assert_eq!(
        check(json!({"prompt": "peace"})).await,
        json!({"suspicion": "0", "matches": []})
    );
    let regex = async |query: &str| {
        server
            .get_as(&format!("{PATH}/regex{query}"), &moderator.api_key)
            .await
            .ok(200)
    };
    assert_json_snapshot!(regex("").await, @r#"
    [
      {
        "filter_type": 10,
        "regex": "\\bkit(ten)?s?\\b"
      },
      {
        "filter_type": 11,
        "regex": "cub"
      },
      {
        "filter_type": 20,
        "regex": "fight|brawl"
      }
    ]
    "#);
    assert_eq!(
        regex("?filter_type=20").await,
        json!([{"filter_type": 20, "regex": "fight|brawl"}])
    );
    assert_eq!(regex("?filter_type=15").await, json!([]));
}

#[tokio::test]
async fn a_suspicious_prompt_is_changed_or_refused() {
    let (server, moderator) = filtered().await;
    let ann = server.user("ann", 1000).await;
    let asked = ask(&server, &ann.api_key, "kittens fight###dogs", json!({})).await;
    assert_eq!(
        stored_prompt(&server, &asked).await,
        format!("cat fight###{NEVER}, dogs")
    );
    // One group alone does not matter.
    let asked = ask(&server, &ann.api_key, "a (fight:1.2)", json!({})).await;
    assert_eq!(stored_prompt(&server, &asked).await, "a (fight:1.2)");

    let strict = json!({"replacement_filter": false});
    let refused = ask(&server, &ann.api_key, "kittens fight", strict.clone()).await;
    refused.refused(400, "CorruptPrompt");
    let suspicions = async |user: &TestUser| {
        let account = server.engine.store().account(number(user)).await.unwrap();
        account.unwrap().suspicions.len()
    };
    assert_eq!(suspicions(&ann).await, 1);
    // The address is blocked for three minutes.
    server.advance(180).await;
    // Moderators may try.
    ask(&server, &moderator.api_key, "kittens fight", strict.clone())
        .await
        .refused(400, "CorruptPrompt");
    assert_eq!(suspicions(&moderator).await, 0);
    let long = format!("kittens fight {}", "x".repeat(7000));
    ask(&server, &ann.api_key, &long, json!({}))
        .await
        .refused(400, "BadRequest");
    // Schools get no choice.
    let school = server.user_with("school", Role::Education).await;
    let asked = ask(&server, &school.api_key, "kittens fight", strict).await;
    assert_eq!(
        stored_prompt(&server, &asked).await,
        format!("cat fight###{NEVER}")
    );
    // A prompt of which nothing is left is refused.
    put(&server, &moderator, 10, "nothing fight", "").await;
    ask(&server, &ann.api_key, "nothing fight", json!({}))
        .await
        .refused(400, "CorruptPrompt");
    // It is held against somebody once.
    assert_eq!(suspicions(&ann).await, 1);
}

#[tokio::test]
async fn models_for_unsafe_pictures_get_no_words_for_the_young() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 1000).await;
    let unsafe_model = json!({"models": ["Hentai Diffusion"]});
    let asked = ask(&server, &ann.api_key, "two young boys", unsafe_model.clone()).await;
    assert_eq!(
        stored_prompt(&server, &asked).await,
        format!("two adult adult man###{NEVER}")
    );
    let asked = ask(&server, &ann.api_key, "1girl", unsafe_model.clone()).await;
    assert_eq!(stored_prompt(&server, &asked).await, "1girl");
    let asked = ask(&server, &ann.api_key, "two young boys", json!({})).await;
    assert_eq!(stored_prompt(&server, &asked).await, "two young boys");
    let refused = ask(&server, &ann.api_key, "\u{1f466}", unsafe_model).await;
    let message = refused.refused(400, "CorruptPrompt");
    assert!(message.contains("unethical images"), "{message}");
    // The words of flagged accounts are always changed, also in texts.
    let flagged = server.user_with("flagged", Role::Flagged).await;
    let asked = ask(&server, &flagged.api_key, "a girl", json!({})).await;
    assert_eq!(
        stored_prompt(&server, &asked).await,
        format!("a adult woman###{NEVER}")
    );
    let body = json!({"prompt": "a girl", "params": {"max_length": 16}});
    let asked = server
        .post("/api/v2/generate/text/async", &flagged.api_key, &body)
        .await;
    assert_eq!(
        stored_prompt(&server, &asked).await,
        format!("a adult woman###{NEVER}")
    );
}
