//! The headers that every response carries, and the answers to `OPTIONS`.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// The methods that scripts of other sites may use.
const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("POST, GET, OPTIONS, PUT, DELETE, PATCH");
/// The headers that scripts of other sites may send.
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "Accept, Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token, apikey, Client-Agent, X-Fields, \
     X-Forwarded-For, Proxied-For, Proxy-Authorization, Idempotency-Key",
);

/// What documents may do that are none.
const NOTHING_ALLOWED: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Which node answered: the value of the header `Horde-Node`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName(HeaderValue);

impl NodeName {
    /// `<host>:<port>:<version>`. Characters that a header can't carry are replaced by `?`.
    pub fn new(host: &str, port: u16, version: &str) -> Self {
        let text: String = format!("{host}:{port}:{version}")
            .chars()
            .map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' })
            .collect();
        Self(HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("unknown")))
    }
}

/// Middleware: adds the CORS headers and `Horde-Node` to every response, and turns the refusal of
/// `OPTIONS` into the answer that browsers ask for.
///
/// It relies on the router, which refuses methods it has no handler for with 405 and `Allow`; so an
/// existing path answers `OPTIONS` with 200, and an unknown one stays 404. It has to go around the
/// router, as [`super::with_conventions`] does.
pub async fn standard_headers(State(node): State<NodeName>, request: Request, next: Next) -> Response {
    let asks_options = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let allow = with_options(response.headers());
        if asks_options {
            response = StatusCode::OK.into_response();
        }
        response.headers_mut().insert(header::ALLOW, allow);
    }
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
    headers.insert("horde-node", node.0);
    secure(headers);
    response
}

/// What no answer may be used for. Pages say themselves what they may load; nothing else is a document.
fn secure(headers: &mut HeaderMap) {
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(NOTHING_ALLOWED);
}

/// The methods of `Allow` and `OPTIONS`, which every path has.
fn with_options(headers: &HeaderMap) -> HeaderValue {
    let allow = headers
        .get(header::ALLOW)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut methods: Vec<&str> = allow
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    if !methods.contains(&"OPTIONS") {
        methods.push("OPTIONS");
    }
    HeaderValue::try_from(methods.join(", ")).unwrap_or(ALLOWED_METHODS)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::{Router, middleware, routing::get};

    use super::{super::testing::send, *};

    fn router() -> Router {
        let routes = Router::new()
            .route("/here", get(|| async { StatusCode::FORBIDDEN }))
            .route(
                "/own",
                get(|| async { "" }).options(|| async { StatusCode::NO_CONTENT }),
            );
        Router::new()
            .fallback_service(routes)
            .layer(middleware::from_fn_with_state(
                NodeName::new("hé", 80, "2"),
                standard_headers,
            ))
    }

    #[tokio::test]
    async fn scripts_of_other_sites_may_call() {
        let answer = send(
            &router(),
            "GET",
            "/here",
            &[("origin", "https://example.org")],
            "",
        )
        .await;
        assert_eq!(answer.status, 403);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(
            answer.header("access-control-allow-methods"),
            "POST, GET, OPTIONS, PUT, DELETE, PATCH"
        );
        let allowed = answer.header("access-control-allow-headers");
        for name in ["apikey", "Client-Agent", "X-Fields", "Idempotency-Key"] {
            assert!(allowed.split(", ").any(|other| other == name), "{name}");
        }
        assert_eq!(answer.header("horde-node"), "h?:80:2");
    }

    #[tokio::test]
    async fn options_is_answered_for_existing_paths() {
        let answer = send(&router(), "OPTIONS", "/here", &[], "").await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
        assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS");
        assert_eq!(
            send(&router(), "OPTIONS", "/elsewhere", &[], "").await.status,
            404
        );
        assert_eq!(send(&router(), "OPTIONS", "/own", &[], "").await.status, 204);
    }
}
