//! What holds for all routes: headers, methods, paths, errors, limits.

use muster_server::VERSION;
use reqwest::Method;
use serde_json::json;

use crate::support::{ANONYMOUS, Answer, Setup, TestServer, number, plain_request};

const HEARTBEAT: &str = "/api/v2/status/heartbeat";
const ASYNC: &str = "/api/v2/generate/async";
const FIND_USER: &str = "/api/v2/find_user";
const JSON: &str = "application/json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// All paths with the methods that they have.
const ROUTES: [(&str, &str); 11] = [
    (ASYNC, "POST, OPTIONS"),
    (
        "/api/v2/generate/check/00000000-0000-0000-0000-000000000000",
        "GET, HEAD, OPTIONS",
    ),
    (
        "/api/v2/generate/status/00000000-0000-0000-0000-000000000000",
        "GET, HEAD, DELETE, OPTIONS",
    ),
    ("/api/v2/generate/pop", "POST, OPTIONS"),
    ("/api/v2/generate/submit", "POST, OPTIONS"),
    (FIND_USER, "GET, HEAD, OPTIONS"),
    (HEARTBEAT, "GET, HEAD, OPTIONS"),
    ("/api/v2/dev/test-user", "POST, OPTIONS"),
    ("/api/swagger.json", "GET, HEAD, OPTIONS"),
    ("/register", "GET, HEAD, POST, OPTIONS"),
    ("/", "GET, HEAD, OPTIONS"),
];

async fn limited(trusted_hops: usize) -> TestServer {
    TestServer::with(Setup {
        rate_limits: true,
        trusted_hops,
        ..Setup::default()
    })
    .await
}

fn status_path(id: &str) -> String {
    format!("/api/v2/generate/status/{id}")
}

#[tokio::test]
async fn every_answer_has_the_standard_headers() {
    let server = limited(0).await;
    let request = server.request(ANONYMOUS, &plain_request()).await;
    let path = status_path(&request);
    for _ in 0..10 {
        server.get(&path).await.ok(200);
    }
    let answers = [
        (200, server.get(HEARTBEAT).await),
        (400, server.post(ASYNC, ANONYMOUS, &json!({})).await),
        (401, server.get(FIND_USER).await),
        (404, server.get("/api/v2/nothing").await),
        (404, server.get("/nothing").await),
        (405, server.delete(HEARTBEAT).await),
        (405, server.delete("/register").await),
        (200, server.send(Method::OPTIONS, ASYNC, &[], "").await),
        (429, server.get(&path).await),
    ];
    for (status, answer) in answers {
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(
            answer.header("access-control-allow-methods"),
            "POST, GET, OPTIONS, PUT, DELETE, PATCH"
        );
        let allowed = answer.header("access-control-allow-headers");
        for name in [
            "Content-Type",
            "apikey",
            "Client-Agent",
            "X-Fields",
            "Proxied-For",
            "Idempotency-Key",
        ] {
            assert!(
                allowed.split(", ").any(|other| other == name),
                "{name} is missing in {allowed}"
            );
        }
        assert_eq!(answer.header("horde-node"), format!("node:7001:{VERSION}"));
    }
}

#[tokio::test]
async fn options_are_answered_without_a_key_and_not_counted() {
    let server = limited(0).await;
    for (path, methods) in ROUTES {
        for _ in 0..3 {
            let answer = server.send(Method::OPTIONS, path, &[], "").await;
            assert_eq!(
                (answer.status.as_u16(), answer.text.as_str()),
                (200, ""),
                "{path}"
            );
            assert_eq!(sorted(answer.header("allow")), sorted(methods), "{path}");
            assert_eq!(answer.header("x-ratelimit-limit"), "", "{path}");
        }
    }
}

fn sorted(list: &str) -> Vec<&str> {
    let mut items: Vec<&str> = list.split(", ").collect();
    items.sort_unstable();
    items
}

#[tokio::test]
async fn wrong_methods_say_which_are_right() {
    let server = TestServer::start().await;
    for (path, methods) in ROUTES {
        let answer = server.send(Method::PATCH, path, &[], "").await;
        assert_eq!(sorted(answer.header("allow")), sorted(methods), "{path}");
        if path.starts_with("/api/") {
            answer.plain(405);
            assert_eq!(answer.header("content-type"), JSON);
        } else {
            assert_eq!(
                (answer.status.as_u16(), answer.header("content-type")),
                (405, HTML)
            );
        }
    }
}

#[tokio::test]
async fn unknown_paths() {
    let server = TestServer::start().await;
    for path in [
        "/api/v2/nothing",
        "/api/v2/status/heartbeat/",
        "/api/v2/generate/async/",
        "/api/v2//status/heartbeat",
        "/api/v1/status/heartbeat",
        "/api/v2/Status/heartbeat",
    ] {
        let answer = server.get(path).await;
        answer.plain(404);
        assert_eq!(answer.header("content-type"), JSON, "{path}");
    }
    for path in ["/nothing", "/register/", "/favicon.ico", "/apis"] {
        let answer = server.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (404, HTML),
            "{path}"
        );
    }
}

#[tokio::test]
async fn slashes_at_the_beginning_are_taken_as_one() {
    let server = TestServer::start().await;
    for path in ["//api/v2/status/heartbeat", "///api/v2/status/heartbeat"] {
        server.get(path).await.ok(200);
    }
    server
        .post("//api/v2/generate/async", ANONYMOUS, &plain_request())
        .await
        .ok(202);
    server.get("//api/v2/nothing").await.plain(404);
}

#[tokio::test]
async fn head_works_where_get_does() {
    let server = TestServer::start().await;
    let request = server.request(ANONYMOUS, &plain_request()).await;
    for path in [
        HEARTBEAT,
        "/",
        "/register",
        "/api/swagger.json",
        &status_path(&request),
    ] {
        let (head, get) = (
            server.send(Method::HEAD, path, &[], "").await,
            server.get(path).await,
        );
        assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert_eq!(
            head.header("content-length"),
            get.text.len().to_string(),
            "{path}"
        );
    }
    assert_eq!(server.send(Method::HEAD, ASYNC, &[], "").await.status, 405);
    assert_eq!(server.send(Method::HEAD, FIND_USER, &[], "").await.status, 401);
}

#[tokio::test]
async fn the_agent_is_read_from_either_header() {
    let server = TestServer::start().await;
    let key = ("apikey", ANONYMOUS);
    let body = ("content-type", "application/json");
    for (headers, agent) in [
        (vec![], "unknown:0:unknown"),
        (vec![("Client-Agent", "tester:1:me")], "tester:1:me"),
        (vec![("client_agent", "sdk:2:me")], "sdk:2:me"),
        (
            vec![("Client-Agent", "tester:1:me"), ("client_agent", "sdk:2:me")],
            "tester:1:me",
        ),
        (
            vec![("Client-Agent", "no convention at all")],
            "no convention at all",
        ),
    ] {
        let headers: Vec<_> = headers.into_iter().chain([key, body]).collect();
        let accepted = server
            .send(Method::POST, ASYNC, &headers, plain_request().to_string())
            .await
            .ok(202);
        let id = accepted["id"].as_str().unwrap().parse().unwrap();
        let (request, _) = server.engine.store().request(id).await.unwrap().unwrap();
        assert_eq!(request.client_agent, agent);
    }
}

/// Where an answer says that its caller stands: limit, remaining, seconds until it may come back.
fn standing(answer: &Answer) -> (u32, u32, u32) {
    let number = |name| {
        answer
            .header(name)
            .parse()
            .unwrap_or_else(|_| panic!("no {name}"))
    };
    let reset: i64 = answer.header("x-ratelimit-reset").parse().unwrap();
    let now = crate::support::START.millis() / 1000;
    assert!((now..=now + 3700).contains(&reset), "{reset}");
    (
        number("x-ratelimit-limit"),
        number("x-ratelimit-remaining"),
        number("retry-after"),
    )
}

/// The message of a refusal for being too often; its caller is told to wait.
fn too_often(answer: &Answer) -> String {
    let (_, remaining, retry_after) = standing(answer);
    assert_eq!(remaining, 0);
    assert!(retry_after >= 1);
    assert_eq!(answer.header("content-type"), JSON);
    answer.plain(429)
}

#[tokio::test]
async fn the_status_of_each_request_is_limited_by_itself() {
    let server = limited(0).await;
    let first = status_path(&server.request(ANONYMOUS, &plain_request()).await);
    let second = status_path(&server.request(ANONYMOUS, &plain_request()).await);
    for remaining in (0..10).rev() {
        let answer = server.get(&first).await;
        answer.ok(200);
        let (limit, left, _) = standing(&answer);
        assert_eq!((limit, left), (10, remaining));
    }
    assert_eq!(too_often(&server.get(&first).await), "10 per 1 minute");
    server.get(&second).await.ok(200);
    // Another method has a counter of its own.
    server.delete(&first).await.ok(200);
    server.advance(60).await;
    server.get(&first).await.ok(200);
}

#[tokio::test]
async fn the_check_of_each_request_is_limited_by_itself() {
    let server = limited(0).await;
    let check = |id: String| format!("/api/v2/generate/check/{id}");
    let first = check(server.request(ANONYMOUS, &plain_request()).await);
    let second = check(server.request(ANONYMOUS, &plain_request()).await);
    for _ in 0..10 {
        server.get(&first).await.ok(200);
    }
    assert_eq!(too_often(&server.get(&first).await), "10 per 1 second");
    server.get(&second).await.ok(200);
    server.advance(1).await;
    server.get(&first).await.ok(200);
}

#[tokio::test]
async fn requests_are_limited_by_the_second_whatever_becomes_of_them() {
    let server = limited(0).await;
    let alice = server.user("alice", 1000).await;
    let bob = server.user("bob", 1000).await;
    let accepted = server.post(ASYNC, &alice.api_key, &plain_request()).await;
    accepted.ok(202);
    assert_eq!(standing(&accepted).0, 2);
    let refused = server.post(ASYNC, &alice.api_key, &json!({})).await;
    refused.invalid();
    assert_eq!(standing(&refused).1, 0);
    // It is the address that counts, too.
    assert_eq!(
        too_often(&server.post(ASYNC, &bob.api_key, &plain_request()).await),
        "2 per 1 second"
    );
    server.advance(1).await;
    server.post(ASYNC, &bob.api_key, &plain_request()).await.ok(202);
}

#[tokio::test]
async fn where_the_horde_knows_somebody_more_is_allowed() {
    let server = limited(0).await;
    let trusted = server.trusted("trusted", 1000).await.api_key;
    let stranger = server.user("stranger", 1000).await.api_key;
    server.post(ASYNC, &trusted, &plain_request()).await.ok(202);
    // From the same address, ten requests a second are allowed from then on.
    for _ in 0..10 {
        server.post(ASYNC, &stranger, &plain_request()).await.ok(202);
    }
    let refused = server.post(ASYNC, &stranger, &plain_request()).await;
    assert_eq!(too_often(&refused), "10 per 1 second");
}

#[tokio::test]
async fn a_key_is_limited_wherever_it_is_used_from() {
    let server = limited(1).await;
    let alice = server.user("alice", 1000).await;
    let from = async |address: &str, key: &str| {
        let headers = [
            ("apikey", key),
            ("content-type", "application/json"),
            ("x-forwarded-for", address),
        ];
        server
            .send(Method::POST, ASYNC, &headers, plain_request().to_string())
            .await
    };
    from("192.0.2.1", &alice.api_key).await.ok(202);
    from("192.0.2.2", &alice.api_key).await.ok(202);
    assert_eq!(
        too_often(&from("192.0.2.3", &alice.api_key).await),
        "2 per 1 second"
    );
    // Everybody without an account shares a key, which is limited less.
    for last in 4..10 {
        from(&format!("192.0.2.{last}"), ANONYMOUS).await.ok(202);
    }
}

#[tokio::test]
async fn other_routes_are_limited_by_address() {
    let server = limited(0).await;
    for key in (0..90).map(|number| number.to_string()) {
        server.get_as(FIND_USER, &key).await.refused(404, "UserNotFound");
    }
    assert_eq!(
        too_often(&server.get_as(FIND_USER, ANONYMOUS).await),
        "90 per 1 minute"
    );
    // Every route counts for itself.
    assert_eq!(server.get("/register").await.status, 200);
}

/// Asks for a status 11 times, each time with another `X-Forwarded-For`; the last status.
async fn eleventh(trusted_hops: usize, forwarded: fn(u32) -> String) -> u16 {
    let server = limited(trusted_hops).await;
    let path = status_path(&server.request(ANONYMOUS, &plain_request()).await);
    let mut last = 0;
    for number in 0..11 {
        let forwarded = forwarded(number);
        let answer = server
            .send(Method::GET, &path, &[("x-forwarded-for", &forwarded)], "")
            .await;
        last = answer.status.as_u16();
    }
    last
}

#[tokio::test]
async fn forwarded_addresses_are_believed_of_the_operators_proxies_alone() {
    let own = |number| format!("192.0.2.{number}");
    let invented = |number| format!("192.0.2.{number}, 198.51.100.7");
    let behind_two = |number| format!("203.0.113.1, 192.0.2.{number}, 198.51.100.7");
    assert_eq!(eleventh(0, own).await, 429);
    assert_eq!(eleventh(1, own).await, 200);
    assert_eq!(eleventh(1, invented).await, 429);
    assert_eq!(eleventh(2, behind_two).await, 200);
}

#[tokio::test]
async fn the_operator_says_whose_limits_are_raised() {
    use muster_engine::{Standing, Supporter};
    use muster_protocol::Kudos;
    let setup = |supporter: Option<&muster_protocol::TestUser>| {
        let mut setup = Setup {
            rate_limits: true,
            trusted_hops: 1,
            ..Setup::default()
        };
        setup.engine.raised_limits = vec![Standing::Supporter];
        setup.engine.service_addresses = vec!["198.51.100.9".parse().unwrap()];
        setup.engine.supporters.extend(supporter.map(|user| Supporter {
            user: number(user),
            monthly_kudos: Kudos::ZERO,
            name: None,
            link: None,
        }));
        setup
    };
    let server = TestServer::with(setup(None)).await;
    let (trusted, supporter) = (
        server.trusted("trusted", 0).await,
        server.user("supporter", 0).await,
    );
    let server = server.restart(setup(Some(&supporter))).await;
    // The answer to a request tells the limit that held before it was accepted.
    let limit = async |address: &str, key: &str| {
        let headers = [
            ("apikey", key),
            ("content-type", "application/json"),
            ("x-forwarded-for", address),
        ];
        let asked = server
            .send(Method::POST, ASYNC, &headers, plain_request().to_string())
            .await;
        asked.header("x-ratelimit-limit").to_owned()
    };
    for (address, user) in [("198.51.100.1", &trusted), ("198.51.100.2", &supporter)] {
        assert_eq!(limit(address, &user.api_key).await, "2");
    }
    assert_eq!(limit("198.51.100.1", &trusted.api_key).await, "2");
    assert_eq!(limit("198.51.100.2", &supporter.api_key).await, "10");
    assert_eq!(limit("198.51.100.9", ANONYMOUS).await, "10", "a service");
}
