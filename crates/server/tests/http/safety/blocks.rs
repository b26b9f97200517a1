//! `operations/*`: addresses and networks that are blocked.

use insta::assert_json_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use super::{from, proxied};
use crate::support::{ANONYMOUS, TestServer, plain_request, worker};

const PATH: &str = "/api/v2/operations/ipaddr";

async fn list(server: &TestServer, key: &str) -> Value {
    server.get_as(PATH, key).await.ok(200)
}

#[tokio::test]
async fn networks_are_blocked_listed_and_let_in() {
    let server = TestServer::with(proxied()).await;
    let moderator = server.moderator("mod").await;
    let key = moderator.api_key.as_str();
    let block = async |place: &str, hours: i64| {
        let body = json!({"ipaddr": place, "hours": hours});
        let done = server.post(PATH, key, &body).await.ok(200);
        assert_eq!(done, json!({"message": "OK"}));
    };
    block("198.51.100.0/24", 1).await;
    block("198.51.0.0/255.255.0.0", 2).await;
    block("198.51.100.7", 720).await;
    block("2001:db8::/32", 1).await;
    assert_json_snapshot!(list(&server, key).await, @r#"
    [
      {
        "ipaddr": "198.51.0.0/16",
        "seconds": 7200
      },
      {
        "ipaddr": "198.51.100.0/24",
        "seconds": 3600
      },
      {
        "ipaddr": "2001:db8::/32",
        "seconds": 3600
      }
    ]
    "#);
    let of = async |address: &str| server.get_as(&format!("{PATH}/{address}"), key).await.ok(200);
    assert_json_snapshot!(of("198.51.100.7").await, @r#"
    [
      {
        "ipaddr": "198.51.0.0/16",
        "seconds": 7200
      },
      {
        "ipaddr": "198.51.100.0/24",
        "seconds": 3600
      },
      {
        "ipaddr": "198.51.100.7",
        "seconds": 2592000
      }
    ]
    "#);
    assert_eq!(of("203.0.113.1").await, json!([]));

    // Whoever is blocked is told for how long, unless it is very long.
    let client = server.user("client", 1000).await;
    let ask = async |address: &str| {
        let path = "/api/v2/generate/async";
        from(&server, address, path, &client.api_key, &plain_request()).await
    };
    let told = ask("198.51.100.8").await.refused(403, "TimeoutIP");
    assert!(told.contains("7200 seconds"), "{told}");
    let told = ask("198.51.100.7").await.refused(403, "TimeoutIP");
    assert!(!told.contains("seconds"), "{told}");
    ask("203.0.113.1").await.ok(202);

    // It ends by itself, survives a restart, or ends when a moderator says so.
    server.advance(3600).await;
    let server = server.restart(proxied()).await;
    assert_json_snapshot!(list(&server, key).await, @r#"
    [
      {
        "ipaddr": "198.51.0.0/16",
        "seconds": 3600
      }
    ]
    "#);
    for place in ["198.51.0.0/16", "198.51.100.7", "203.0.113.0/24"] {
        let body = json!({"ipaddr": place});
        server.call(Method::DELETE, PATH, key, &body).await.ok(200);
    }
    assert_eq!(list(&server, key).await, json!([]));
    let path = "/api/v2/generate/async";
    let asked = from(&server, "198.51.100.7", path, &client.api_key, &plain_request()).await;
    asked.ok(202);
}

#[tokio::test]
async fn bad_places_are_refused_before_the_key_is_looked_at() {
    let server = TestServer::start().await;
    for (place, hours, expected) in [
        ("::1", 1, Some("ipaddr")),
        ("198.51.100.0/24", 0, Some("hours")),
        ("198.51.100.0/24", 721, Some("hours")),
        ("198.51.100.1/24", 1, None),
        ("198.51.100.0/99", 1, None),
        ("198.51.100.007", 1, None),
        ("somewhere", 1, None),
        ("198.51.100.0/2\u{0}4", 1, None),
    ] {
        let body = json!({"ipaddr": place, "hours": hours});
        let answer = server.post(PATH, "nobody's", &body).await;
        match expected {
            Some(member) => assert_eq!(answer.invalid(), [member]),
            None => drop(answer.refused(400, "BadRequest")),
        }
    }
    let get = async |path: &str| server.get_as(&format!("{PATH}/{path}"), "nobody's").await;
    get("somewhere").await.refused(400, "BadRequest");
    get("198.51.100.0%2F24").await.refused(400, "BadRequest");
    get("198.51.100.1").await.refused(401, "InvalidAPIKey");
    let body = json!({"ipaddr": "somewhere"});
    let deleted = server.call(Method::DELETE, PATH, "nobody's", &body).await;
    deleted.refused(400, "BadRequest");
}

#[tokio::test]
async fn workers_are_blocked_where_they_are() {
    let server = TestServer::with(proxied()).await;
    let moderator = server.moderator("mod").await;
    let key = moderator.api_key.as_str();
    let owner = server.user("owner", 0).await;
    let pop = async |address: &str, name: &str| {
        let path = "/api/v2/generate/pop";
        from(&server, address, path, &owner.api_key, &worker(name)).await
    };
    pop("2001:db8:0:7::1", "Six").await.ok(200);
    pop("198.51.100.7", "Four").await.ok(200);
    let path = async |name: &str| {
        let id = server.worker_id(name).await;
        format!("/api/v2/operations/block_worker_ipaddr/{id}")
    };
    let (six, four) = (path("Six").await, path("Four").await);
    for path in [&six, &four] {
        let done = server.put(path, key, &json!({"days": 30})).await.ok(200);
        assert_eq!(done, json!({"message": "OK"}));
    }
    // Of IPv6 the whole network.
    assert_json_snapshot!(list(&server, key).await, @r#"
    [
      {
        "ipaddr": "2001:db8:0:7::/64",
        "seconds": 2592000
      }
    ]
    "#);
    pop("2001:db8:0:7::2", "Six").await.refused(403, "TimeoutIP");
    pop("2001:db8:0:8::1", "Six").await.ok(200);
    pop("198.51.100.7", "Four").await.refused(403, "TimeoutIP");
    pop("198.51.100.8", "Four").await.ok(200);
    // Other kinds of workers are turned away, too.
    for path in ["/api/v2/generate/text/pop", "/api/v2/interrogate/pop"] {
        let body = json!({"name": "Other", "models": ["some/model"], "forms": ["caption"]});
        let popped = from(&server, "198.51.100.7", path, &owner.api_key, &body).await;
        popped.refused(403, "TimeoutIP");
    }

    // They are let in where they are now.
    pop("2001:db8:0:8::1", "Six").await.ok(200);
    server.delete_as(&six, key).await.ok(200);
    pop("2001:db8:0:7::2", "Six").await.refused(403, "TimeoutIP");
    let body = json!({"ipaddr": "2001:db8:0:7::/64"});
    server.call(Method::DELETE, PATH, key, &body).await.ok(200);
    pop("2001:db8:0:7::2", "Six").await.ok(200);

    assert_eq!(
        server.put(&six, key, &json!({"days": 31})).await.invalid(),
        ["days"]
    );
    let unknown = "/api/v2/operations/block_worker_ipaddr/11111111-2222-3333-4444-555555555555";
    for nobody in [unknown, "/api/v2/operations/block_worker_ipaddr/x"] {
        let put = server.put(nobody, key, &json!({"days": 1})).await;
        put.refused(404, "WorkerNotFound");
        server.delete_as(nobody, key).await.refused(404, "WorkerNotFound");
    }
}

#[tokio::test]
async fn programs_without_a_name_do_not_follow_requests_from_blocked_addresses() {
    let server = TestServer::with(proxied()).await;
    let moderator = server.moderator("mod").await;
    let id = server.request(ANONYMOUS, &plain_request()).await;
    let body = json!({"ipaddr": "198.51.100.7", "hours": 1});
    server.post(PATH, &moderator.api_key, &body).await.ok(200);
    let check = async |agent: &str, address: &str| {
        let headers = [("x-forwarded-for", address), ("client-agent", agent)];
        let path = format!("/api/v2/generate/check/{id}");
        server.send(Method::GET, &path, &headers, "").await
    };
    check("unknown:0:unknown", "198.51.100.7")
        .await
        .refused(403, "Forbidden");
    check("unknown:0:unknown", "198.51.100.8").await.ok(200);
    check("Client:1:contact", "198.51.100.7").await.ok(200);
}
