//! The few pages for people: the front page, registration, documents.

use std::sync::LazyLock;

use axum::{
    Form,
    extract::{State, rejection::FormRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use muster_engine::{EngineError, NewKey};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{
    AppState,
    about::Document,
    http::{ApiError, ClientAddress, to_the_end},
};

/// What the registration form sends.
#[derive(Deserialize)]
pub(crate) struct Registration {
    username: String,
}

/// The front page.
pub(crate) async fn index(State(state): State<AppState>) -> Response {
    page(
        &state.about.title,
        "<p>This is an AI Horde: volunteers' computers make the pictures that people ask for.</p>\
         <ul><li><a href=\"/register\">Register</a> to get an API key.</li>\
         <li>Point a client or a worker at this address.</li>\
         <li><a href=\"/api/\">The API</a>, to look at and to try.</li>\
         <li><a href=\"/terms\">Terms</a>, <a href=\"/privacy\">privacy</a> and \
         <a href=\"/sponsors\">who supports it</a>.</li></ul>",
    )
}

/// The terms of service.
pub(crate) async fn terms(State(state): State<AppState>) -> Response {
    document(&state, Document::Terms)
}

/// What is done with data.
pub(crate) async fn privacy(State(state): State<AppState>) -> Response {
    document(&state, Document::Privacy)
}

/// Who supports the horde.
pub(crate) async fn sponsors(State(state): State<AppState>) -> Response {
    document(&state, Document::Sponsors)
}

fn document(state: &AppState, document: Document) -> Response {
    let supporters = state.engine.supporters();
    page(&state.about.title, &state.about.markup(document, &supporters))
}

/// The form to register with.
pub(crate) async fn register_form(State(state): State<AppState>) -> Response {
    page(&state.about.title, &form(""))
}

/// Registers a pseudonymous account and shows its key, this once. A form that another site sends is refused: whoever
/// looks at that site did not want it.
///
/// As with the reference server every outcome is a page with status 200, but for a missing field.
/// Scripts find the key in the element of class `ah-api-key`.
pub(crate) async fn register(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    registration: Result<Form<Registration>, FormRejection>,
) -> Result<Response, ApiError> {
    if is_from_elsewhere(&headers) {
        let body = form("<p role=\"alert\">Another site sent you here. Please send the form yourself.</p>");
        return Ok((StatusCode::FORBIDDEN, page(&state.about.title, &body)).into_response());
    }
    let Ok(Form(Registration { username })) = registration else {
        let body = form("<p role=\"alert\">The form needs a user name.</p>");
        return Ok((StatusCode::BAD_REQUEST, page(&state.about.title, &body)).into_response());
    };
    let engine = state.engine.clone();
    let body = match to_the_end(async move { engine.register_from(address, &username).await }).await? {
        Err(EngineError::Refused(refusal)) => {
            let advice = if refusal.status == 403 {
                ""
            } else {
                " Please choose another one."
            };
            let why = muster_engine::names::clean(&refusal.message);
            form(&format!("<p role=\"alert\">{why}{advice}</p>"))
        }
        outcome => welcome(&outcome?),
    };
    Ok(page(&state.about.title, &body))
}

/// Whether a browser says that another site sent the form. Programs do not say anything.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    site.is_some_and(|site| !matches!(site, "same-origin" | "none"))
}

fn welcome(key: &NewKey) -> String {
    format!(
        "<p>Welcome, <strong>{}</strong>. This is your API key:</p>\
             <p><code class=\"ah-api-key\">{}</code></p>\
             <p>Keep it safe: it is shown this once, it is your only credential, and nobody can recover it.</p>",
        key.alias, key.api_key
    )
}

fn form(notice: &str) -> String {
    format!(
        "<h2>Register</h2>{notice}\
         <p>An account without a log-in is pseudonymous: whoever has its key owns it.</p>\
         <form method=\"post\" action=\"/register\">\
         <label>User name <input name=\"username\" maxlength=\"30\" required autofocus></label> \
         <button>Register</button></form>"
    )
}

/// How pages look. It is part of each page, and the only style that browsers are told to accept.
const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}\
                     code{font-size:1.2rem;background:#eee;padding:.2rem .4rem}";

/// What pages may do: look as we say, and send their forms to us. No script, no frame, nothing from elsewhere.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("a policy is plain text")
});

/// The frame around every page. `title` is the operator's, `body` is markup.
fn page(title: &str, body: &str) -> Response {
    let title = muster_engine::names::clean(title);
    let markup = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
         <style>{STYLE}</style></head>\
         <body><h1>{title}</h1>{body}</body></html>"
    );
    ([(header::CONTENT_SECURITY_POLICY, POLICY.clone())], Html(markup)).into_response()
}
