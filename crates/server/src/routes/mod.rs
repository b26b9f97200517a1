//! One file for each resource. The table here says what there is and how often it may be called.

pub(crate) mod blobs;
mod call;
pub(crate) mod dev;
pub(crate) mod generate;
pub(crate) mod interrogate;
pub(crate) mod pages;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod text;
pub(crate) mod users;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};

use crate::{
    AppState, description,
    http::rate_limit::{
        DEFAULT, GENERATE_ASYNC, GENERATE_CHECK, GENERATE_RATE, GENERATE_STATUS, INTERROGATE_STATUS,
        POP_AND_SUBMIT, RateLimiter, TEXT_STATUS,
    },
};

/// The largest picture that a worker may upload.
const UPLOAD_LIMIT: usize = 64 * 1024 * 1024;

/// All routes, each with its limits.
pub(crate) fn all(limiter: &RateLimiter) -> Router<AppState> {
    Router::new()
        .merge(images(limiter))
        .merge(texts_and_alchemy(limiter))
        .merge(about_the_horde(limiter))
        .merge(pages_and_files(limiter))
}

fn images(limiter: &RateLimiter) -> Router<AppState> {
    Router::new()
        .route(
            "/api/v2/generate/async",
            post(generate::submit).route_layer(limiter.layer(GENERATE_ASYNC)),
        )
        .route(
            "/api/v2/generate/check/{id}",
            get(generate::check).route_layer(limiter.layer(GENERATE_CHECK)),
        )
        .route(
            "/api/v2/generate/status/{id}",
            get(generate::status)
                .delete(generate::cancel)
                .route_layer(limiter.layer(GENERATE_STATUS)),
        )
        .route(
            "/api/v2/generate/pop",
            post(generate::pop).route_layer(limiter.layer(POP_AND_SUBMIT)),
        )
        .route(
            "/api/v2/generate/submit",
            post(generate::deliver).route_layer(limiter.layer(POP_AND_SUBMIT)),
        )
        .route(
            "/api/v2/generate/rate/{id}",
            post(generate::rate).route_layer(limiter.layer(GENERATE_RATE)),
        )
}

fn texts_and_alchemy(limiter: &RateLimiter) -> Router<AppState> {
    let default = || limiter.layer(DEFAULT);
    Router::new()
        .route(
            "/api/v2/generate/text/async",
            post(text::submit).route_layer(limiter.layer(GENERATE_ASYNC)),
        )
        .route(
            "/api/v2/generate/text/status/{id}",
            get(text::status)
                .delete(text::cancel)
                .route_layer(limiter.layer(TEXT_STATUS)),
        )
        .route(
            "/api/v2/generate/text/pop",
            post(text::pop).route_layer(limiter.layer(POP_AND_SUBMIT)),
        )
        .route(
            "/api/v2/generate/text/submit",
            post(text::deliver).route_layer(limiter.layer(POP_AND_SUBMIT)),
        )
        .route(
            "/api/v2/interrogate/async",
            post(interrogate::submit).route_layer(default()),
        )
        .route(
            "/api/v2/interrogate/status/{id}",
            get(interrogate::status)
                .delete(interrogate::cancel)
                .route_layer(limiter.layer(INTERROGATE_STATUS)),
        )
        .route(
            "/api/v2/interrogate/pop",
            post(interrogate::pop).route_layer(limiter.layer(POP_AND_SUBMIT)),
        )
        .route(
            "/api/v2/interrogate/submit",
            post(interrogate::deliver).route_layer(limiter.layer(POP_AND_SUBMIT)),
        )
}

fn about_the_horde(limiter: &RateLimiter) -> Router<AppState> {
    let default = || limiter.layer(DEFAULT);
    Router::new()
        .route("/api/v2/find_user", get(users::find).route_layer(default()))
        .route(
            "/api/v2/stats/img/totals",
            get(stats::image_totals).route_layer(default()),
        )
        .route(
            "/api/v2/stats/img/models",
            get(stats::image_models).route_layer(default()),
        )
        .route(
            "/api/v2/stats/text/totals",
            get(stats::text_totals).route_layer(default()),
        )
        .route(
            "/api/v2/stats/text/models",
            get(stats::text_models).route_layer(default()),
        )
        .route("/api/v2/status/heartbeat", get(status::heartbeat))
        .route(
            "/api/v2/dev/test-user",
            post(dev::test_user).route_layer(default()),
        )
        .route(
            "/api/swagger.json",
            get(description::document).route_layer(default()),
        )
}

fn pages_and_files(limiter: &RateLimiter) -> Router<AppState> {
    let default = || limiter.layer(DEFAULT);
    Router::new()
        .route(
            "/register",
            get(pages::register_form)
                .post(pages::register)
                .route_layer(default()),
        )
        .route("/", get(pages::index).route_layer(default()))
        .route(
            "/blobs/{bucket}/{key}",
            get(blobs::download)
                .put(blobs::upload)
                .layer(DefaultBodyLimit::max(UPLOAD_LIMIT)),
        )
}
