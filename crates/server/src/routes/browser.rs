//! `/api/`: the API to look at and try in a browser. The pages are those of Swagger UI, which come with the program.

use std::sync::{Arc, LazyLock};

use axum::{
    extract::Request,
    http::{
        HeaderValue,
        header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{IntoResponse, Redirect, Response},
};
use utoipa_swagger_ui::{Config, serve};

use crate::http::ApiError;

/// Where the pages are.
pub(crate) const ROOT: &str = "/api/";
/// Their files, each with a route of its own: so that what is not there is refused like everything else below `/api/`.
pub(crate) const FILES: [&str; 7] = [
    "index.css",
    "swagger-ui.css",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-initializer.js",
    "favicon-16x16.png",
    "favicon-32x32.png",
];
/// What the pages may do: run their own scripts, and call this server. They set styles as they go.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::from("/api/openapi.json")));

/// Where the pages are, for whoever forgets the slash.
pub(crate) async fn redirect() -> Redirect {
    Redirect::permanent(ROOT)
}

/// A page or one of its files.
pub(crate) async fn file(request: Request) -> Result<Response, ApiError> {
    let name = request.uri().path().rsplit('/').next().unwrap_or_default();
    let file = serve(name, Arc::clone(&CONFIG)).map_err(|error| ApiError::internal(error.to_string()))?;
    let file = file.ok_or(ApiError::NotFound)?;
    let kind = HeaderValue::try_from(file.content_type).map_err(ApiError::internal)?;
    let mut response = file.bytes.into_owned().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    if file.gzpipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}
