//! Paths that are tidied up before routing.

use axum::{
    extract::Request,
    http::{Uri, uri::PathAndQuery},
    middleware::Next,
    response::Response,
};

/// Middleware: `//api/v2/…` is taken as `/api/v2/…`, as callers write it who join a base address that
/// ends in a slash with a path. Slashes anywhere else stay.
///
/// It must run before routing, that is around the router and not as one of its layers.
pub async fn collapse_leading_slashes(mut request: Request, next: Next) -> Response {
    if let Some(uri) = collapsed(request.uri()) {
        *request.uri_mut() = uri;
    }
    next.run(request).await
}

/// The address with a single slash at the start of its path; `None` if it has that already.
fn collapsed(uri: &Uri) -> Option<Uri> {
    let path_and_query = uri.path_and_query()?.as_str();
    let rest = path_and_query.strip_prefix("//")?.trim_start_matches('/');
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("/{rest}")).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_the_start_of_a_path_is_touched() {
        let collapse = |path: &'static str| collapsed(&Uri::from_static(path)).map(|uri| uri.to_string());
        assert_eq!(
            collapse("///api/v2//x?y=//z"),
            Some("/api/v2//x?y=//z".to_owned())
        );
        assert_eq!(collapse("/api//v2"), None);
        assert_eq!(collapse("//"), Some("/".to_owned()));
    }
}
