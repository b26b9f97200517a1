//! One file for each resource. The table here says what there is and how often it may be called.

pub(crate) mod blobs;
mod browser;
mod call;
pub(crate) mod collections;
pub(crate) mod dev;
pub(crate) mod documents;
pub(crate) mod filters;
pub(crate) mod generate;
pub(crate) mod interrogate;
pub(crate) mod kudos;
pub(crate) mod messages;
pub(crate) mod operations;
pub(crate) mod pages;
pub(crate) mod shared_keys;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod styles;
pub(crate) mod teams;
pub(crate) mod text;
pub(crate) mod users;
pub(crate) mod well_known;
pub(crate) mod workers;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, patch, post, put},
};

use crate::{
    AppState, description,
    http::{
        PICTURE_LIMIT, TEXT_LIMIT,
        rate_limit::{
            DEFAULT, GENERATE_ASYNC, GENERATE_CHECK, GENERATE_RATE, GENERATE_STATUS, INTERROGATE_STATUS,
            KUDOS_TRANSFER, MODES, POP_AND_SUBMIT, RateLimiter, SHARED_KEYS, STYLES, TEXT_STATUS, USER,
            WORKER_AND_TEAMS,
        },
    },
    metrics,
};

/// All routes, each with its limits.
pub(crate) fn all(limiter: &RateLimiter) -> Router<AppState> {
    Router::new()
        .merge(images(limiter))
        .merge(texts_and_alchemy(limiter))
        .merge(people(limiter))
        .merge(kudos_by_hand(limiter))
        .merge(moderation(limiter))
        .merge(shared_things(limiter))
        .merge(about_the_horde(limiter))
        .merge(pages_and_files(limiter))
}

fn images(limiter: &RateLimiter) -> Router<AppState> {
    Router::new()
        .route(
            "/api/v2/generate/async",
            post(generate::submit)
                .layer(DefaultBodyLimit::max(PICTURE_LIMIT))
                .route_layer(limiter.layer(GENERATE_ASYNC)),
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
            post(generate::deliver)
                .layer(DefaultBodyLimit::max(PICTURE_LIMIT))
                .route_layer(limiter.layer(POP_AND_SUBMIT)),
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
            post(text::submit)
                .layer(DefaultBodyLimit::max(TEXT_LIMIT))
                .route_layer(limiter.layer(GENERATE_ASYNC)),
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
            post(interrogate::submit)
                .layer(DefaultBodyLimit::max(PICTURE_LIMIT))
                .route_layer(default()),
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

fn people(limiter: &RateLimiter) -> Router<AppState> {
    let default = || limiter.layer(DEFAULT);
    Router::new()
        .route("/api/v2/find_user", get(users::find).route_layer(default()))
        .route("/api/v2/users", get(users::list).route_layer(default()))
        .route(
            "/api/v2/users/{id}",
            get(users::get)
                .put(users::put)
                .delete(users::delete)
                .route_layer(limiter.layer(USER)),
        )
        .route("/api/v2/workers", get(workers::list).route_layer(default()))
        .route(
            "/api/v2/workers/name/{name}",
            get(workers::get_by_name).route_layer(default()),
        )
        .route(
            "/api/v2/workers/messages",
            get(messages::list).post(messages::post).route_layer(default()),
        )
        .route(
            "/api/v2/workers/messages/{id}",
            get(messages::get).delete(messages::delete).route_layer(default()),
        )
        .route(
            "/api/v2/workers/{id}",
            get(workers::get)
                .put(workers::put)
                .delete(workers::delete)
                .route_layer(limiter.layer(WORKER_AND_TEAMS)),
        )
        .route(
            "/api/v2/teams",
            get(teams::list)
                .post(teams::post)
                .route_layer(limiter.layer(WORKER_AND_TEAMS)),
        )
        .route(
            "/api/v2/teams/{id}",
            get(teams::get)
                .patch(teams::patch)
                .delete(teams::delete)
                .route_layer(limiter.layer(WORKER_AND_TEAMS)),
        )
}

fn moderation(limiter: &RateLimiter) -> Router<AppState> {
    let default = || limiter.layer(DEFAULT);
    Router::new()
        .route(
            "/api/v2/filters",
            get(filters::list)
                .put(filters::put)
                .post(filters::check)
                .route_layer(default()),
        )
        .route(
            "/api/v2/filters/regex",
            get(filters::expressions).route_layer(default()),
        )
        .route(
            "/api/v2/filters/{id}",
            get(filters::get)
                .patch(filters::patch)
                .delete(filters::delete)
                .route_layer(default()),
        )
        .route(
            "/api/v2/operations/ipaddr",
            get(operations::list)
                .post(operations::post)
                .delete(operations::delete)
                .route_layer(default()),
        )
        .route(
            "/api/v2/operations/ipaddr/{ipaddr}",
            get(operations::get).route_layer(default()),
        )
        .route(
            "/api/v2/operations/block_worker_ipaddr/{worker_id}",
            put(operations::block_worker)
                .delete(operations::unblock_worker)
                .route_layer(default()),
        )
}

fn kudos_by_hand(limiter: &RateLimiter) -> Router<AppState> {
    let default = || limiter.layer(DEFAULT);
    Router::new()
        .route(
            "/api/v2/kudos/transfer",
            post(kudos::transfer).route_layer(limiter.layer(KUDOS_TRANSFER)),
        )
        .route("/api/v2/kudos/award", post(kudos::award).route_layer(default()))
        .route(
            "/api/v2/kudos/history",
            get(kudos::history).route_layer(default()),
        )
}

fn shared_things(limiter: &RateLimiter) -> Router<AppState> {
    let default = || limiter.layer(DEFAULT);
    let styles = || limiter.layer(STYLES);
    Router::new()
        .route(
            "/api/v2/sharedkeys",
            put(shared_keys::put).route_layer(limiter.layer(SHARED_KEYS)),
        )
        .route(
            "/api/v2/sharedkeys/{id}",
            get(shared_keys::get)
                .patch(shared_keys::patch)
                .delete(shared_keys::delete)
                .route_layer(default()),
        )
        .route(
            "/api/v2/styles/image",
            get(styles::list_image)
                .post(styles::post_image)
                .route_layer(styles()),
        )
        .route(
            "/api/v2/styles/image/{id}",
            get(styles::get_image)
                .patch(styles::patch_image)
                .delete(styles::delete_image)
                .route_layer(styles()),
        )
        .route(
            "/api/v2/styles/image_by_name/{name}",
            get(styles::get_image_by_name).route_layer(default()),
        )
        .route(
            "/api/v2/styles/image/{id}/example",
            post(styles::post_example).route_layer(styles()),
        )
        .route(
            "/api/v2/styles/image/{id}/example/{example}",
            patch(styles::patch_example)
                .delete(styles::delete_example)
                .route_layer(default()),
        )
        .route(
            "/api/v2/styles/text",
            get(styles::list_text)
                .post(styles::post_text)
                .route_layer(styles()),
        )
        .route(
            "/api/v2/styles/text/{id}",
            get(styles::get_text)
                .patch(styles::patch_text)
                .delete(styles::delete_text)
                .route_layer(styles()),
        )
        .route(
            "/api/v2/styles/text_by_name/{name}",
            get(styles::get_text_by_name).route_layer(default()),
        )
        .route(
            "/api/v2/collections",
            get(collections::list)
                .post(collections::post)
                .route_layer(styles()),
        )
        .route(
            "/api/v2/collections/{id}",
            get(collections::get)
                .patch(collections::patch)
                .delete(collections::delete)
                .route_layer(styles()),
        )
        .route(
            "/api/v2/collection_by_name/{name}",
            get(collections::get_by_name).route_layer(default()),
        )
}

fn about_the_horde(limiter: &RateLimiter) -> Router<AppState> {
    let default = || limiter.layer(DEFAULT);
    Router::new()
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
            "/api/v2/status/performance",
            get(status::performance).route_layer(default()),
        )
        .route(
            "/api/v2/status/models",
            get(status::models).route_layer(default()),
        )
        .route(
            "/api/v2/status/models/{model_name}",
            get(status::model).route_layer(default()),
        )
        .route(
            "/api/v2/status/modes",
            get(status::modes)
                .put(status::put_modes)
                .route_layer(limiter.layer(MODES)),
        )
        .route("/api/v2/status/news", get(status::news).route_layer(default()))
        .route(
            "/api/v2/documents/terms",
            get(documents::terms).route_layer(default()),
        )
        .route(
            "/api/v2/documents/privacy",
            get(documents::privacy).route_layer(default()),
        )
        .route(
            "/api/v2/documents/sponsors",
            get(documents::sponsors).route_layer(default()),
        )
        .route(
            "/api/v2/dev/test-user",
            post(dev::test_user).route_layer(default()),
        )
        .route(
            "/api/swagger.json",
            get(description::swagger).route_layer(default()),
        )
        .route(
            "/api/openapi.json",
            get(description::openapi).route_layer(default()),
        )
}

fn pages_and_files(limiter: &RateLimiter) -> Router<AppState> {
    let default = || limiter.layer(DEFAULT);
    let mut router = Router::new()
        .route("/api", get(browser::redirect).route_layer(default()))
        .route(browser::ROOT, get(browser::file).route_layer(default()));
    for file in browser::FILES {
        let path = format!("{}{file}", browser::ROOT);
        router = router.route(&path, get(browser::file).route_layer(default()));
    }
    router
        .route(
            "/register",
            get(pages::register_form)
                .post(pages::register)
                .route_layer(default()),
        )
        .route("/terms", get(pages::terms).route_layer(default()))
        .route("/privacy", get(pages::privacy).route_layer(default()))
        .route("/sponsors", get(pages::sponsors).route_layer(default()))
        .route(
            "/.well-known/serviceinfo",
            get(well_known::service_info).route_layer(default()),
        )
        .route("/metrics", get(metrics::page))
        .route("/", get(pages::index).route_layer(default()))
        .route(
            "/blobs/{bucket}/{key}",
            get(blobs::download)
                .put(blobs::upload)
                .layer(DefaultBodyLimit::max(PICTURE_LIMIT)),
        )
}
