//! Who may do what: one table of routes, each tried by everybody.
//!
//! Every row is tried on a server of its own, so that no caller is in the way of the next. What the answers hold is
//! tested beside each route; here only their status and return code count.

use muster_store::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ANONYMOUS, Setup, TestServer};

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Without a key.
    Keyless,
    /// With a key that nobody has.
    Unknown,
    Anonymous,
    /// Somebody who owns nothing of what is there.
    Other,
    /// Whose it is: an account that is trusted.
    Owner,
    Moderator,
    /// An administrator who is no moderator.
    Admin,
}

use Who::{Admin, Anonymous, Keyless, Moderator, Other, Owner, Unknown};

const EVERYBODY: [Who; 7] = [Keyless, Unknown, Anonymous, Other, Owner, Moderator, Admin];

/// What is answered: a status, and a return code unless it is a success or a validation error.
type Answered = (u16, &'static str);

const OK: Answered = (200, "");
/// A missing key where the header is demanded.
const NEEDED: Answered = (400, "");
const UNKNOWN_KEY: Answered = (401, "InvalidAPIKey");

/// A route with what everybody is answered, in the order of [`EVERYBODY`].
struct Row {
    method: Method,
    /// With `{worker}`, `{team}`, `{style}`, `{example}`, `{collection}`, `{key}`, `{message}` for what is there.
    path: &'static str,
    body: Value,
    answers: [Answered; 7],
}

fn row(method: Method, path: &'static str, body: Value, answers: [Answered; 7]) -> Row {
    Row {
        method,
        path,
        body,
        answers,
    }
}

/// What is open to all.
const OPEN: [Answered; 7] = [OK; 7];

/// What demands a key, and is refused to some.
const fn keyed(
    anonymous: Answered,
    other: Answered,
    owner: Answered,
    moderator: Answered,
    admin: Answered,
) -> [Answered; 7] {
    [NEEDED, UNKNOWN_KEY, anonymous, other, owner, moderator, admin]
}

/// The same where a missing key is an unknown one.
const fn known(
    anonymous: Answered,
    other: Answered,
    owner: Answered,
    moderator: Answered,
    admin: Answered,
) -> [Answered; 7] {
    [
        UNKNOWN_KEY,
        UNKNOWN_KEY,
        anonymous,
        other,
        owner,
        moderator,
        admin,
    ]
}

const NOT_ADMIN: Answered = (403, "NotAdmin");
const NOT_MODERATOR: Answered = (403, "NotModerator");
const NOT_OWNER: Answered = (403, "NotOwner");
const FORBIDDEN: Answered = (403, "Forbidden");

fn accounts() -> Vec<Row> {
    let put = |body: Value, answers| row(Method::PUT, "/api/v2/users/1", body, answers);
    let by_owner = || keyed(NOT_MODERATOR, NOT_MODERATOR, OK, OK, NOT_MODERATOR);
    let by_moderators = || keyed(NOT_MODERATOR, NOT_MODERATOR, NOT_MODERATOR, OK, NOT_MODERATOR);
    let by_admins = || keyed(NOT_ADMIN, NOT_ADMIN, NOT_ADMIN, NOT_ADMIN, OK);
    let mut rows = vec![
        row(Method::GET, "/api/v2/users", json!(null), OPEN),
        row(
            Method::GET,
            "/api/v2/users/1",
            json!(null),
            [OK, UNKNOWN_KEY, OK, OK, OK, OK, OK],
        ),
        row(
            Method::GET,
            "/api/v2/find_user",
            json!(null),
            [UNKNOWN_KEY, (404, "UserNotFound"), OK, OK, OK, OK, OK],
        ),
        row(
            Method::DELETE,
            "/api/v2/users/1",
            json!(null),
            known(
                (403, "AnonForbiddenUser"),
                (403, "NotUserOrMod"),
                OK,
                OK,
                (403, "NotUserOrMod"),
            ),
        ),
        put(json!({"public_workers": true}), by_owner()),
        put(json!({"username": "Somebody"}), by_owner()),
        put(json!({"contact": "a@example.org"}), by_owner()),
    ];
    for name in [
        "trusted",
        "flagged",
        "customizer",
        "vpn",
        "service",
        "education",
        "special",
        "reset_suspicion",
    ] {
        rows.push(put(json!({name: true}), by_moderators()));
    }
    for body in [
        json!({"concurrency": 3}),
        json!({"worker_invited": 3}),
        json!({"admin_comment": "a comment"}),
    ] {
        rows.push(put(body, by_moderators()));
    }
    for body in [
        json!({"kudos": 1}),
        json!({"monthly_kudos": 1}),
        json!({"usage_multiplier": 2}),
        json!({"moderator": true}),
    ] {
        rows.push(put(body, by_admins()));
    }
    rows
}

fn kudos() -> Vec<Row> {
    let gift = || json!({"username": "2", "amount": 0});
    let nothing = (400, "InvalidKudosTransferAmount");
    let not_allowed = (403, "NotAllowedAwards");
    vec![
        row(
            Method::POST,
            "/api/v2/kudos/transfer",
            gift(),
            keyed((400, "KudosTransferFromAnon"), TO_SELF, nothing, nothing, nothing),
        ),
        row(
            Method::POST,
            "/api/v2/kudos/award",
            gift(),
            keyed(not_allowed, not_allowed, OK, not_allowed, not_allowed),
        ),
        row(
            Method::GET,
            "/api/v2/kudos/history",
            json!(null),
            keyed((403, "AnonForbidden"), OK, OK, OK, OK),
        ),
    ]
}

const TO_SELF: Answered = (400, "KudosTransferToSelf");

fn workers() -> Vec<Row> {
    let worker = "/api/v2/workers/{worker}";
    let put = |body: Value, answers| row(Method::PUT, worker, body, answers);
    let message = "/api/v2/workers/messages/{message}";
    vec![
        row(Method::GET, "/api/v2/workers", json!(null), OPEN),
        row(Method::GET, worker, json!(null), OPEN),
        row(Method::GET, "/api/v2/workers/name/Rig", json!(null), OPEN),
        put(
            json!({"maintenance": true}),
            keyed(NOT_OWNER, NOT_OWNER, OK, OK, NOT_OWNER),
        ),
        put(
            json!({"info": "about"}),
            keyed(NOT_OWNER, NOT_OWNER, OK, OK, NOT_OWNER),
        ),
        put(
            json!({"name": "Other"}),
            keyed(NOT_MODERATOR, NOT_MODERATOR, OK, OK, NOT_MODERATOR),
        ),
        put(
            json!({"team": ""}),
            keyed(NOT_MODERATOR, NOT_MODERATOR, OK, OK, NOT_MODERATOR),
        ),
        put(
            json!({"paused": true}),
            keyed(NOT_MODERATOR, NOT_MODERATOR, NOT_MODERATOR, OK, NOT_MODERATOR),
        ),
        row(
            Method::DELETE,
            worker,
            json!(null),
            known(NOT_MODERATOR, NOT_MODERATOR, OK, OK, NOT_MODERATOR),
        ),
        row(
            Method::GET,
            "/api/v2/workers/messages",
            json!(null),
            keyed(OK, OK, OK, OK, OK),
        ),
        row(
            Method::GET,
            "/api/v2/workers/messages?user_id=1",
            json!(null),
            keyed(FORBIDDEN, FORBIDDEN, OK, OK, FORBIDDEN),
        ),
        row(Method::GET, message, json!(null), OPEN),
        row(
            Method::POST,
            "/api/v2/workers/messages",
            json!({"message": "hello", "worker_id": "{worker}"}),
            keyed(
                (403, "AnonForbidden"),
                (403, "MessagesOnlyOwnWorkers"),
                OK,
                OK,
                (403, "MessagesOnlyOwnWorkers"),
            ),
        ),
        row(
            Method::DELETE,
            message,
            json!(null),
            keyed(FORBIDDEN, FORBIDDEN, OK, OK, FORBIDDEN),
        ),
    ]
}

fn teams() -> Vec<Row> {
    let team = "/api/v2/teams/{team}";
    let untrusted = (403, "UntrustedTeamCreation");
    vec![
        row(Method::GET, "/api/v2/teams", json!(null), OPEN),
        row(Method::GET, team, json!(null), OPEN),
        row(
            Method::POST,
            "/api/v2/teams",
            json!({"name": "Another"}),
            keyed((403, "AnonForbidden"), untrusted, OK, OK, untrusted),
        ),
        row(
            Method::PATCH,
            team,
            json!({"info": "about"}),
            known(NOT_OWNER, NOT_OWNER, OK, OK, NOT_OWNER),
        ),
        row(
            Method::PATCH,
            team,
            json!({"name": "Other"}),
            known(NOT_MODERATOR, NOT_MODERATOR, OK, OK, NOT_MODERATOR),
        ),
        row(
            Method::DELETE,
            team,
            json!(null),
            known(NOT_MODERATOR, NOT_MODERATOR, OK, OK, NOT_MODERATOR),
        ),
    ]
}

fn shared_keys() -> Vec<Row> {
    let key = "/api/v2/sharedkeys/{key}";
    vec![
        row(
            Method::PUT,
            "/api/v2/sharedkeys",
            json!({}),
            keyed((403, "AnonForbidden"), OK, OK, OK, OK),
        ),
        row(Method::GET, key, json!(null), OPEN),
        row(
            Method::PATCH,
            key,
            json!({"kudos": 1}),
            keyed(FORBIDDEN, FORBIDDEN, OK, FORBIDDEN, FORBIDDEN),
        ),
        row(
            Method::DELETE,
            key,
            json!(null),
            keyed(FORBIDDEN, FORBIDDEN, OK, FORBIDDEN, FORBIDDEN),
        ),
    ]
}

fn styles() -> Vec<Row> {
    let style = "/api/v2/styles/image/{style}";
    let examples = "/api/v2/styles/image/{style}/example";
    let example = "/api/v2/styles/image/{style}/example/{example}";
    let collection = "/api/v2/collections/{collection}";
    let needs = (403, "StylesRequiresCustomizer");
    let anonymous = (403, "StylesAnonForbidden");
    let new = json!({"name": "another", "models": ["stable_diffusion"]});
    let picture = json!({"url": "https://example.org/2", "primary": true});
    vec![
        row(Method::GET, "/api/v2/styles/image", json!(null), OPEN),
        row(Method::GET, "/api/v2/styles/text", json!(null), OPEN),
        row(Method::GET, style, json!(null), OPEN),
        row(
            Method::GET,
            "/api/v2/styles/image_by_name/noir",
            json!(null),
            OPEN,
        ),
        row(
            Method::POST,
            "/api/v2/styles/image",
            new.clone(),
            keyed(needs, needs, OK, OK, needs),
        ),
        row(
            Method::POST,
            "/api/v2/styles/text",
            new,
            keyed(needs, needs, OK, OK, needs),
        ),
        row(
            Method::PATCH,
            style,
            json!({"nsfw": true}),
            keyed(FORBIDDEN, FORBIDDEN, OK, FORBIDDEN, FORBIDDEN),
        ),
        row(
            Method::DELETE,
            style,
            json!(null),
            keyed(anonymous, FORBIDDEN, OK, OK, FORBIDDEN),
        ),
        row(
            Method::POST,
            examples,
            picture,
            keyed(FORBIDDEN, FORBIDDEN, OK, OK, FORBIDDEN),
        ),
        row(
            Method::PATCH,
            example,
            json!({"primary": true}),
            keyed(FORBIDDEN, FORBIDDEN, OK, OK, FORBIDDEN),
        ),
        row(
            Method::DELETE,
            example,
            json!(null),
            keyed(FORBIDDEN, FORBIDDEN, OK, OK, FORBIDDEN),
        ),
        row(Method::GET, "/api/v2/collections", json!(null), OPEN),
        row(Method::GET, collection, json!(null), OPEN),
        row(Method::GET, "/api/v2/collection_by_name/all", json!(null), OPEN),
        row(
            Method::POST,
            "/api/v2/collections",
            json!({"name": "more", "styles": ["{style}"]}),
            keyed(anonymous, OK, OK, OK, OK),
        ),
        row(
            Method::PATCH,
            collection,
            json!({"info": "about"}),
            keyed(FORBIDDEN, FORBIDDEN, OK, FORBIDDEN, FORBIDDEN),
        ),
        row(
            Method::DELETE,
            collection,
            json!(null),
            keyed(FORBIDDEN, FORBIDDEN, OK, OK, FORBIDDEN),
        ),
    ]
}

fn moderation() -> Vec<Row> {
    let by_moderators = || keyed(NOT_MODERATOR, NOT_MODERATOR, NOT_MODERATOR, OK, NOT_MODERATOR);
    let filters = "/api/v2/filters";
    let addresses = "/api/v2/operations/ipaddr";
    let worker = "/api/v2/operations/block_worker_ipaddr/{worker}";
    let modes = "/api/v2/status/modes";
    let put = |body| row(Method::PUT, modes, body, by_moderators());
    let filter = json!({"regex": "fight", "filter_type": 20});
    vec![
        row(Method::GET, filters, json!(null), by_moderators()),
        row(Method::PUT, filters, filter, by_moderators()),
        row(Method::POST, filters, json!({"prompt": "x"}), by_moderators()),
        row(Method::GET, "/api/v2/filters/regex", json!(null), by_moderators()),
        row(Method::GET, addresses, json!(null), by_moderators()),
        row(
            Method::GET,
            "/api/v2/operations/ipaddr/1.2.3.4",
            json!(null),
            by_moderators(),
        ),
        row(
            Method::POST,
            addresses,
            json!({"ipaddr": "1.2.3.4", "hours": 1}),
            by_moderators(),
        ),
        row(
            Method::DELETE,
            addresses,
            json!({"ipaddr": "1.2.3.4"}),
            by_moderators(),
        ),
        row(Method::PUT, worker, json!({"days": 1}), by_moderators()),
        row(Method::DELETE, worker, json!(null), by_moderators()),
        row(
            Method::GET,
            modes,
            json!(null),
            [
                OK,
                UNKNOWN_KEY,
                NOT_MODERATOR,
                NOT_MODERATOR,
                NOT_MODERATOR,
                OK,
                NOT_MODERATOR,
            ],
        ),
        put(json!({"raid_mode": true})),
        put(json!({"invite_only_mode": true})),
        row(
            Method::PUT,
            modes,
            json!({"maintenance_mode": true}),
            keyed(NOT_ADMIN, NOT_ADMIN, NOT_ADMIN, NOT_ADMIN, OK),
        ),
    ]
}

fn about() -> Vec<Row> {
    let get = |path| row(Method::GET, path, json!(null), OPEN);
    vec![
        get("/api/v2/status/news"),
        get("/api/v2/documents/terms"),
        get("/api/v2/documents/privacy"),
        get("/api/v2/documents/sponsors"),
    ]
}

/// A server on which the account 1 owns one of everything.
struct Stage {
    server: TestServer,
    keys: Vec<(Who, String)>,
    things: Vec<(&'static str, String)>,
}

impl Stage {
    async fn new() -> Self {
        let mut setup = Setup::default();
        setup.engine.administrators = Some(vec!["admin#4".to_owned()]);
        let server = TestServer::with(setup).await;
        let owner = server.trusted("owner", 100).await.api_key;
        let keys = vec![
            (Unknown, "nobody's".to_owned()),
            (Anonymous, ANONYMOUS.to_owned()),
            (Owner, owner.clone()),
            (Other, server.user("other", 100).await.api_key),
            (Moderator, server.moderator("mod").await.api_key),
            (Admin, server.user("admin", 100).await.api_key),
        ];
        let made = async |path: &str, body: Value| {
            let method = if path.ends_with("sharedkeys") {
                Method::PUT
            } else {
                Method::POST
            };
            let made = server
                .call(method, &format!("/api/v2/{path}"), &owner, &body)
                .await
                .ok(200);
            made["id"].as_str().unwrap().to_owned()
        };
        let worker = server.worker(&owner, "Rig").await;
        let style = made(
            "styles/image",
            json!({"name": "noir", "models": ["stable_diffusion"]}),
        )
        .await;
        let picture = json!({"url": "https://example.org/1", "primary": true});
        let things = vec![
            (
                "{message}",
                made(
                    "workers/messages",
                    json!({"message": "hello", "worker_id": worker}),
                )
                .await,
            ),
            ("{worker}", worker),
            ("{team}", made("teams", json!({"name": "Rust"})).await),
            ("{key}", made("sharedkeys", json!({})).await),
            (
                "{example}",
                made(&format!("styles/image/{style}/example"), picture).await,
            ),
            (
                "{collection}",
                made("collections", json!({"name": "all", "styles": [style]})).await,
            ),
            ("{style}", style),
        ];
        Self { server, keys, things }
    }

    fn named(&self, text: &str) -> String {
        let named = |text: String, (name, id): &(&str, String)| text.replace(name, id);
        self.things.iter().fold(text.to_owned(), named)
    }

    async fn answer(&self, row: &Row, who: Who) -> (u16, String) {
        let key = self.keys.iter().find(|(other, _)| *other == who);
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(key.map(|(_, key)| ("apikey", key.as_str())));
        let body = if row.body.is_null() {
            String::new()
        } else {
            self.named(&row.body.to_string())
        };
        let path = self.named(row.path);
        let answer = self.server.send(row.method.clone(), &path, &headers, body).await;
        let rc = answer.json()["rc"].as_str().unwrap_or_default().to_owned();
        (answer.status.as_u16(), rc)
    }
}

async fn everybody_tries(rows: Vec<Row>) {
    let mut wrong = Vec::new();
    for row in rows {
        // Those who fail change nothing, so only those who succeed need a stage of their own.
        let mut stage = Stage::new().await;
        for (who, expected) in EVERYBODY.into_iter().zip(row.answers) {
            let (status, rc) = stage.answer(&row, who).await;
            if (status, rc.as_str()) != expected {
                wrong.push(format!(
                    "{} {} {} by {who:?}: {status} {rc}, not {expected:?}",
                    row.method, row.path, row.body
                ));
            }
            if status == 200 && row.method != Method::GET {
                stage = Stage::new().await;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn of_accounts() {
    everybody_tries(accounts()).await;
}

#[tokio::test]
async fn of_kudos() {
    everybody_tries(kudos()).await;
}

#[tokio::test]
async fn of_workers() {
    everybody_tries(workers()).await;
}

#[tokio::test]
async fn of_teams() {
    everybody_tries(teams()).await;
}

#[tokio::test]
async fn of_shared_keys() {
    everybody_tries(shared_keys()).await;
}

#[tokio::test]
async fn of_styles_and_collections() {
    everybody_tries(styles()).await;
}

#[tokio::test]
async fn of_moderation() {
    everybody_tries(moderation()).await;
}

#[tokio::test]
async fn of_what_the_operator_tells() {
    everybody_tries(about()).await;
}

/// A role alone opens nothing.
#[tokio::test]
async fn of_roles_without_trust() {
    let server = TestServer::start().await;
    for (name, role) in [
        ("vpn", Role::Vpn),
        ("special", Role::Special),
        ("service", Role::Service),
    ] {
        let user = server.user_with(name, role).await;
        let team = json!({"name": name});
        server
            .post("/api/v2/teams", &user.api_key, &team)
            .await
            .refused(403, "UntrustedTeamCreation");
    }
}
