//! The conventions of the API that no single route owns: how addresses, limits, headers, bodies,
//! field masks and errors look on the wire. No route and no business rule lives here.
//!
//! [`with_conventions`] puts everything that concerns the whole server around a finished router.
//! What concerns single routes is attached where the route is declared: a [`RateLimiter`] layer, the
//! extractors and the responder [`Json`].

pub mod arguments;
pub mod body_guard;
pub mod client_address;
pub mod complete;
pub mod error;
pub mod extract;
pub mod field_mask;
pub mod headers;
pub mod json;
pub mod json_shape;
pub mod path;
pub mod rate_limit;

use axum::{Router, extract::DefaultBodyLimit, middleware};
use tower_http::catch_panic::CatchPanicLayer;

pub use body_guard::{BodyGuard, BodyLimits};
pub use client_address::{
    AddressRules, ClientAddress, EffectiveAddress, NoPasskeys, Passkeys, TransportPeer,
};
pub use complete::to_the_end;
pub use error::ApiError;
pub use extract::{
    AnyBody, ApiKey, BODY_LIMIT, ClientAgent, MaybeApiKey, PICTURE_LIMIT, TEXT_LIMIT, ValidBody,
};
pub use field_mask::{FieldMask, MaskError};
pub use headers::NodeName;
pub use json::Json;
pub use rate_limit::{Limits, MemoryStore, PrivilegedAddresses, RateLimiter, RateStore};

/// Wraps a finished `router`, whose state has been supplied, into everything that holds for all
/// routes.
///
/// From the outside inwards: the standard headers and the answers to `OPTIONS`, errors below `/api/`
/// forced into JSON, panics turned into 500, leading slashes collapsed, addresses resolved, field
/// masks applied, bodies watched, the body limit, and the answers to unknown paths and wrong methods. A route may
/// lower the body limit for itself with a [`DefaultBodyLimit`] of its own.
///
/// The layers go around a router that holds `router` as its only service, because layers added to
/// `router` itself would run after routing: too late to change a path, and before axum adds `Allow`.
pub fn with_conventions(
    router: Router,
    node: NodeName,
    addresses: AddressRules,
    bodies: BodyGuard,
) -> Router {
    let router = router
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed);
    Router::new()
        .fallback_service(router)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn(field_mask::mask_response))
        .layer(middleware::from_fn_with_state(bodies, body_guard::guard_body))
        .layer(middleware::from_fn_with_state(
            addresses,
            client_address::resolve_addresses,
        ))
        .layer(middleware::from_fn(path::collapse_leading_slashes))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(middleware::from_fn(error::force_json_errors))
        .layer(middleware::from_fn_with_state(node, headers::standard_headers))
}

/// Whether `path` belongs to the API, where every error is JSON. Slashes at its start count as one, as
/// in routing.
fn is_api(path: &str) -> bool {
    path.trim_start_matches('/').starts_with("api/")
}

/// What the tests of this module share.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing {
    use axum::{
        Router,
        body::{Body, to_bytes},
        extract::Request,
        http::{HeaderMap, StatusCode},
        response::Response,
    };
    use serde_json::Value;
    use tower::ServiceExt;

    /// A response taken apart.
    pub(super) struct Answer {
        pub(super) status: StatusCode,
        pub(super) headers: HeaderMap,
        pub(super) text: String,
    }

    impl Answer {
        pub(super) async fn of(response: Response) -> Self {
            let (parts, body) = response.into_parts();
            let bytes = to_bytes(body, usize::MAX).await.unwrap();
            Self {
                status: parts.status,
                headers: parts.headers,
                text: String::from_utf8(bytes.to_vec()).unwrap(),
            }
        }

        pub(super) fn json(&self) -> Value {
            serde_json::from_str(&self.text).unwrap()
        }

        /// The text of a header, `-` if it is missing.
        pub(super) fn header(&self, name: &str) -> &str {
            self.headers
                .get(name)
                .map_or("-", |value| value.to_str().unwrap())
        }
    }

    /// Sends one request with the given headers and body.
    pub(super) async fn send(
        router: &Router,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).unwrap();
        Answer::of(router.clone().oneshot(request).await.unwrap()).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::{
        Extension,
        routing::{get, post},
    };
    use serde_json::json;

    use super::{testing::send, *};

    fn router() -> Router {
        let router = Router::new()
            .route(
                "/api/v2/thing",
                get(|| async { Json(json!({"a": 1, "b": 2})) }).post(|| async { "posted" }),
            )
            .route("/api/v2/panic", get(|| async { panic!("secret") as Json<()> }))
            .route(
                "/api/v2/plain",
                get(|| async { axum::http::StatusCode::CONFLICT }),
            )
            .route(
                "/api/v2/needs",
                get(|_: Extension<std::time::Instant>| async { "never" }),
            )
            .route("/page", post(|| async { "page" }));
        with_conventions(
            router,
            NodeName::new("host", 7001, "1.0"),
            AddressRules::default(),
            BodyGuard::new(BodyLimits::default()),
        )
    }

    #[tokio::test]
    async fn every_response_carries_the_standard_headers() {
        for (method, path, status) in [
            ("GET", "/api/v2/thing", 200),
            ("HEAD", "/api/v2/thing", 200),
            ("PUT", "/api/v2/thing", 405),
            ("OPTIONS", "/api/v2/thing", 200),
            ("OPTIONS", "/api/v2/nothing", 404),
            ("GET", "/api/v2/thing/", 404),
            ("GET", "/nothing", 404),
            ("GET", "/page", 405),
            ("GET", "/api/v2/panic", 500),
            ("GET", "/api/v2/plain", 409),
        ] {
            let answer = send(&router(), method, path, &[], "").await;
            assert_eq!(answer.status, status, "{method} {path}");
            assert_eq!(answer.header("access-control-allow-origin"), "*");
            assert_eq!(answer.header("horde-node"), "host:7001:1.0");
        }
    }

    #[tokio::test]
    async fn every_error_of_the_api_is_json() {
        for (method, path) in [
            ("PUT", "/api/v2/thing"),
            ("GET", "/api/v2/nothing"),
            ("GET", "/api/v2/panic"),
            ("GET", "/api/v2/plain"),
            ("GET", "/api/v2/needs"),
        ] {
            let answer = send(&router(), method, path, &[], "").await;
            assert_eq!(answer.header("content-type"), json::CONTENT_TYPE_JSON, "{path}");
            let body = answer.json();
            assert_eq!(body.as_object().unwrap().len(), 1, "{path}");
            assert!(!body["message"].as_str().unwrap().is_empty(), "{path}");
        }
        let answer = send(&router(), "GET", "/api/v2/panic", &[], "").await;
        assert_eq!(answer.json(), json!({"message": "Internal Server Error"}));
    }

    #[tokio::test]
    async fn allow_lists_what_a_route_can_do() {
        let answer = send(&router(), "OPTIONS", "/api/v2/thing", &[], "").await;
        assert_eq!(answer.header("allow"), "GET, HEAD, POST, OPTIONS");
        assert_eq!(answer.text, "");
        let answer = send(&router(), "PATCH", "/api/v2/thing", &[], "").await;
        assert_eq!(answer.header("allow"), "GET, HEAD, POST, OPTIONS");
    }

    #[tokio::test]
    async fn pages_have_errors_for_people() {
        for (method, path, status) in [("GET", "/nothing", 404), ("GET", "/page", 405)] {
            let answer = send(&router(), method, path, &[], "").await;
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
            assert!(answer.text.contains("<h1>"));
        }
    }

    #[tokio::test]
    async fn masks_and_leading_slashes_work_together() {
        let answer = send(&router(), "GET", "//api/v2/thing", &[("x-fields", "{b}")], "").await;
        assert_eq!(answer.json(), json!({"b": 2}));
        assert_ne!(answer.header("content-length"), "13", "the length before masking");
    }
}
