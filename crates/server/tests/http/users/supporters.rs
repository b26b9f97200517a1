//! Who supports the horde, as Patreon and Stripe tell it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    routing::get,
};
use muster_engine::{SupporterServiceKind, SupporterServiceKind::Patreon, SupporterServiceKind::Stripe};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::trust::seen;
use crate::support::{Setup, TestServer};

/// Members or subscriptions on a page, so that there are several.
const PAGE: usize = 2;

type Parameters = Query<HashMap<String, String>>;

/// Both services in one, with pages, as their documentation describes them.
#[derive(Clone, Default)]
struct Service(Arc<Mutex<Lists>>);

#[derive(Default)]
struct Lists {
    /// The members of a campaign.
    members: Vec<Value>,
    subscriptions: Vec<Value>,
    is_down: bool,
}

impl Service {
    async fn listen() -> (Self, String) {
        let service = Self::default();
        let router = Router::new()
            .route("/api/oauth2/v2/campaigns", get(campaigns))
            .route("/api/oauth2/v2/campaigns/{id}/members", get(members))
            .route("/v1/subscriptions", get(subscriptions))
            .route("/v1/products/{id}", get(product))
            .with_state(service.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (service, url)
    }

    fn set(&self, change: impl FnOnce(&mut Lists)) {
        change(&mut self.0.lock().unwrap());
    }

    /// Checks who asks.
    fn admit(&self, headers: &HeaderMap) -> Result<std::sync::MutexGuard<'_, Lists>, StatusCode> {
        let lists = self.0.lock().unwrap();
        if lists.is_down {
            return Err(StatusCode::BAD_GATEWAY);
        }
        let admitted = headers["authorization"] == "Bearer operators-key";
        admitted.then_some(lists).ok_or(StatusCode::UNAUTHORIZED)
    }
}

async fn campaigns(State(service): State<Service>, headers: HeaderMap) -> Result<Json<Value>, StatusCode> {
    drop(service.admit(&headers)?);
    Ok(Json(json!({"data": [{"id": "77", "type": "campaign"}]})))
}

async fn members(
    State(service): State<Service>,
    headers: HeaderMap,
    Path(campaign): Path<String>,
    Query(query): Parameters,
) -> Result<Json<Value>, StatusCode> {
    let lists = service.admit(&headers)?;
    assert_eq!(campaign, "77");
    assert!(query["fields[member]"].contains("currently_entitled_amount_cents"));
    let from: usize = query
        .get("page[cursor]")
        .map_or(0, |cursor| cursor.parse().unwrap());
    let rest = &lists.members[from..];
    let next = (rest.len() > PAGE).then(|| (from + PAGE).to_string());
    let page: Vec<Value> = rest
        .iter()
        .take(PAGE)
        .map(|attributes| json!({"type": "member", "id": "x", "attributes": attributes}))
        .collect();
    Ok(Json(json!({
        "data": page,
        "meta": {"pagination": {"cursors": {"next": next}, "total": lists.members.len()}},
    })))
}

async fn subscriptions(
    State(service): State<Service>,
    headers: HeaderMap,
    Query(query): Parameters,
) -> Result<Json<Value>, StatusCode> {
    let lists = service.admit(&headers)?;
    assert_eq!(query["status"], "active");
    let after = query.get("starting_after");
    let from = after.map_or(0, |after| {
        1 + lists
            .subscriptions
            .iter()
            .position(|subscription| subscription["id"] == **after)
            .unwrap()
    });
    let rest = &lists.subscriptions[from..];
    let page: Vec<&Value> = rest.iter().take(PAGE).collect();
    Ok(Json(
        json!({"object": "list", "data": page, "has_more": rest.len() > PAGE}),
    ))
}

async fn product(
    State(service): State<Service>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, StatusCode> {
    drop(service.admit(&headers)?);
    Ok(Json(json!({"id": id, "name": id.replace('_', " ")})))
}

fn member(user: &str, cents: u64, alias: Option<&str>) -> Value {
    let note = json!({"stable_id": user, "alias": alias, "sponsor_link": "https://firm.example"});
    json!({
        "patron_status": "active_patron",
        "full_name": "Full Name",
        "currently_entitled_amount_cents": cents,
        "note": note.to_string(),
    })
}

fn subscription(id: &str, user: &str, product: &str) -> Value {
    json!({
        "id": id,
        "status": "active",
        "metadata": {"horde_id": user},
        "items": {"object": "list", "data": [{"price": {"id": "p", "product": product}}]},
    })
}

fn setup(services: &[SupporterServiceKind], url: &str) -> Setup {
    let mut setup = Setup {
        supporter_services: services.iter().map(|kind| (*kind, url.to_owned())).collect(),
        ..Setup::default()
    };
    setup.engine.administrators = Some(vec!["mod#1".to_owned()]);
    setup
}

/// What each of the accounts 2 to 6 gets every month.
async fn paid(server: &TestServer, moderator: &str) -> Vec<f64> {
    server.engine.pay_monthly_kudos().await.unwrap();
    let mut paid = Vec::new();
    for id in 2..=6 {
        let details = seen(server, moderator, id).await;
        paid.push(details["kudos_details"]["recurring"].as_f64().unwrap());
    }
    paid
}

async fn sponsors(server: &TestServer) -> String {
    let path = "/api/v2/documents/sponsors?format=markdown";
    server.get(path).await.ok(200)["markdown"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn patrons_and_subscribers_get_kudos_every_month() {
    let (service, url) = Service::listen().await;
    service.set(|lists| {
        lists.members = vec![
            member("user2#2", 10_000, Some("Firm")),
            member("3", 500, None),
            member("", 500, None),
            member("99", 200, None),
            member("user4#4", 1000, Some("Dan [x]")),
        ];
        lists.subscriptions = vec![
            subscription("sub_1", "user4#4", "Superior_Person"),
            subscription("sub_2", "", "Sponsor"),
            subscription("sub_3", "5", "Superior_Person"),
            subscription("sub_4", "6", "Something_else"),
        ];
    });
    let server = TestServer::with(setup(&[Patreon, Stripe], &url)).await;
    let moderator = server.moderator("mod").await.api_key;
    for id in 2..=6 {
        server.user(&format!("user{id}"), 0).await;
    }
    server.engine.refresh_supporters().await.unwrap();
    assert_eq!(
        paid(&server, &moderator).await,
        [1_500_000.0, 50_000.0, 170_000.0, 20_000.0, 0.0]
    );
    let listed = "* [Firm](<https://firm.example>)\n\n## Patrons\n\nDan \\[x\\], Full Name";
    let text = sponsors(&server).await;
    assert!(text.ends_with(listed), "{text}");

    // Whoever stops is gone with the next look.
    service.set(|lists| {
        lists.members.truncate(1);
        lists.subscriptions.clear();
    });
    server.engine.refresh_supporters().await.unwrap();
    server.advance(32 * 86_400).await;
    assert_eq!(
        paid(&server, &moderator).await,
        [3_000_000.0, 50_000.0, 170_000.0, 20_000.0, 0.0]
    );
    assert!(
        sponsors(&server)
            .await
            .ends_with("* [Firm](<https://firm.example>)")
    );
}

#[tokio::test]
async fn a_service_that_is_down_takes_nothing_from_anybody() {
    let (service, url) = Service::listen().await;
    service.set(|lists| lists.members = vec![member("2", 10_000, Some("Firm"))]);
    let server = TestServer::with(setup(&[Patreon, Stripe], &url)).await;
    let moderator = server.moderator("mod").await.api_key;
    for id in 2..=6 {
        server.user(&format!("user{id}"), 0).await;
    }
    server.engine.refresh_supporters().await.unwrap();
    service.set(|lists| lists.is_down = true);
    // Whoever watches the duties learns of it.
    assert!(server.engine.refresh_supporters().await.is_err());
    assert!(sponsors(&server).await.contains("Firm"));
    // Not even if the server starts meanwhile.
    let server = server.restart(setup(&[Patreon, Stripe], &url)).await;
    assert!(sponsors(&server).await.contains("Firm"));
    assert_eq!(paid(&server, &moderator).await, [1_500_000.0, 0.0, 0.0, 0.0, 0.0]);
    // Without the service, what it told does not count.
    let server = server.restart(setup(&[Stripe], &url)).await;
    assert!(!sponsors(&server).await.contains("Firm"));
}
