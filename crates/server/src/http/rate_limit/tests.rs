//! The limiter in front of routes, as callers see it.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use axum::{
    Router,
    http::StatusCode,
    middleware,
    routing::{get, post},
};
use muster_protocol::Timestamp;
use serde_json::json;

use super::{
    super::{
        AddressRules,
        client_address::resolve_addresses,
        testing::{Answer, send},
    },
    MemoryStore, PrivilegedAddresses, RateLimiter, limits,
};

/// A server with one route of each kind, whose clock is set by hand.
struct Horde {
    router: Router,
    clock: Arc<AtomicI64>,
    privileged: Arc<PrivilegedAddresses>,
}

impl Horde {
    fn new() -> Self {
        let clock = Arc::new(AtomicI64::new(100_300));
        let privileged = Arc::new(PrivilegedAddresses::default());
        let hands = clock.clone();
        let now = move || Timestamp::from_millis(hands.load(Ordering::Relaxed));
        let limiter = RateLimiter::new(MemoryStore::default(), privileged.clone(), now);
        Self {
            router: routes(&limiter),
            clock,
            privileged,
        }
    }

    async fn send(&self, method: &str, path: &str, address: &str, key: &str) -> Answer {
        let headers = [("x-forwarded-for", address), ("apikey", key)];
        send(&self.router, method, path, &headers, "").await
    }

    /// Sends requests until one is refused and says how many were admitted.
    async fn admitted(&self, method: &str, path: &str, address: &str, key: &str) -> usize {
        for count in 0..1000 {
            if self.send(method, path, address, key).await.status == 429 {
                return count;
            }
        }
        1000
    }
}

fn routes(limiter: &RateLimiter) -> Router {
    let ok = || async { "ok" };
    let addresses = AddressRules {
        trusted_hops: 1,
        ..AddressRules::default()
    };
    Router::new()
        .route(
            "/async",
            post(ok).route_layer(limiter.layer(limits::GENERATE_ASYNC)),
        )
        .route(
            "/check/{id}",
            get(|| async { StatusCode::NOT_FOUND }).route_layer(limiter.layer(limits::GENERATE_CHECK)),
        )
        .route(
            "/pop",
            post(ok).route_layer(limiter.layer(limits::POP_AND_SUBMIT)),
        )
        .route("/heartbeat", get(ok).route_layer(limiter.layer(limits::NONE)))
        .route(
            "/users/{id}",
            get(ok).put(ok).route_layer(limiter.layer(limits::DEFAULT)),
        )
        .route("/page", get(ok).route_layer(limiter.layer(limits::DEFAULT)))
        .layer(middleware::from_fn_with_state(addresses, resolve_addresses))
}

fn standing(answer: &Answer) -> [&str; 4] {
    [
        answer.header("x-ratelimit-limit"),
        answer.header("x-ratelimit-remaining"),
        answer.header("x-ratelimit-reset"),
        answer.header("retry-after"),
    ]
}

#[tokio::test]
async fn every_limited_response_says_where_the_caller_stands() {
    let horde = Horde::new();
    let first = horde.send("POST", "/async", "192.0.2.1", "key").await;
    assert_eq!(first.status, 200);
    assert_eq!(standing(&first), ["2", "1", "102", "1"]);
    let second = horde.send("POST", "/async", "192.0.2.1", "key").await;
    assert_eq!(standing(&second), ["2", "0", "102", "1"]);

    let refused = horde.send("POST", "/async", "192.0.2.1", "key").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json(), json!({"message": "2 per 1 second"}));
    assert_eq!(standing(&refused), ["2", "0", "102", "1"]);

    let failed = horde.send("GET", "/check/1", "192.0.2.1", "key").await;
    assert_eq!(failed.status, 404);
    assert_eq!(standing(&failed), ["10", "9", "102", "1"]);
    let minute = horde.send("GET", "/page", "192.0.2.1", "key").await;
    assert_eq!(standing(&minute), ["90", "89", "161", "60"]);

    horde.clock.store(101_299, Ordering::Relaxed);
    let late = horde.send("POST", "/async", "192.0.2.1", "key").await;
    assert_eq!(
        standing(&late),
        ["2", "0", "102", "1"],
        "never told to retry at once"
    );
    horde.clock.store(101_300, Ordering::Relaxed);
    let next = horde.send("POST", "/async", "192.0.2.1", "key").await;
    assert_eq!(next.status, 200);
}

#[tokio::test]
async fn a_breach_does_not_charge_longer_windows() {
    let horde = Horde::new();
    let mut admitted = 0;
    let mut breach = String::new();
    for step in 0..100 {
        horde.clock.store(100_000 + 500 * step, Ordering::Relaxed);
        for _ in 0..5 {
            let answer = horde.send("POST", "/async", "192.0.2.1", "0000000000").await;
            if answer.status == 200 {
                admitted += 1;
            } else {
                breach = answer.json()["message"].as_str().unwrap_or_default().to_owned();
            }
        }
    }
    assert_eq!(admitted, 90);
    assert_eq!(breach, "2 per 1 second", "the shorter window is checked first");
    horde.clock.store(151_000, Ordering::Relaxed);
    let answer = horde.send("POST", "/async", "192.0.2.1", "0000000000").await;
    assert_eq!(answer.json(), json!({"message": "90 per 1 minute"}));
    assert_eq!(standing(&answer), ["90", "0", "161", "10"]);
}

#[tokio::test]
async fn keys_of_counters() {
    let horde = Horde::new();
    assert_eq!(horde.admitted("GET", "/check/1", "192.0.2.1", "k").await, 10);
    assert_eq!(
        horde.admitted("GET", "/check/2", "192.0.2.1", "k").await,
        10,
        "another path"
    );
    assert_eq!(
        horde.admitted("GET", "/check/1", "192.0.2.2", "k").await,
        10,
        "another address"
    );
    assert_eq!(horde.admitted("POST", "/pop", "192.0.2.1", "k").await, 60);
    assert_eq!(
        horde.admitted("POST", "/pop", "192.0.2.1", "other").await,
        0,
        "the same address"
    );

    assert_eq!(horde.admitted("GET", "/users/1", "192.0.2.1", "k").await, 90);
    assert_eq!(
        horde.admitted("PUT", "/users/2", "192.0.2.1", "k").await,
        0,
        "one counter per endpoint"
    );
    assert_eq!(
        horde.admitted("GET", "/page", "192.0.2.1", "k").await,
        90,
        "another endpoint"
    );
}

#[tokio::test]
async fn a_key_is_limited_wherever_it_comes_from() {
    let horde = Horde::new();
    assert_eq!(horde.admitted("POST", "/async", "192.0.2.1", "key").await, 2);
    assert_eq!(horde.admitted("POST", "/async", "192.0.2.2", "key").await, 0);
    for last in 10..40 {
        let address = format!("192.0.2.{last}");
        assert_eq!(horde.admitted("POST", "/async", &address, "0000000000").await, 2);
    }
    assert_eq!(
        horde.admitted("POST", "/async", "192.0.2.9", "0000000000").await,
        0
    );
}

#[tokio::test]
async fn privileged_addresses_may_ask_more_often() {
    let horde = Horde::new();
    let now = Timestamp::from_millis(100_000);
    horde
        .privileged
        .admit("192.0.2.1".parse().expect("an address"), now);
    assert_eq!(horde.admitted("POST", "/async", "192.0.2.1", "key").await, 10);
    let answer = horde.send("POST", "/async", "192.0.2.1", "key").await;
    assert_eq!(answer.json(), json!({"message": "10 per 1 second"}));
}

#[tokio::test]
async fn what_is_never_counted() {
    let horde = Horde::new();
    for _ in 0..200 {
        let wrong = horde.send("DELETE", "/page", "192.0.2.1", "k").await;
        assert_eq!(
            (wrong.status.as_u16(), standing(&wrong)),
            (405, ["-", "-", "-", "-"])
        );
        horde.send("OPTIONS", "/page", "192.0.2.1", "k").await;
    }
    assert_eq!(horde.admitted("GET", "/page", "192.0.2.1", "k").await, 90);
    assert_eq!(horde.admitted("GET", "/heartbeat", "192.0.2.1", "k").await, 1000);

    let router = routes(&RateLimiter::disabled());
    for _ in 0..5 {
        let answer = send(&router, "POST", "/async", &[], "").await;
        assert_eq!(
            (answer.status.as_u16(), standing(&answer)),
            (200, ["-", "-", "-", "-"])
        );
    }
}
