//! `/.well-known/serviceinfo`: by which programs find out what runs here.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use crate::{API_VERSION, AppState, VERSION};

/// The version of the format.
const FORMAT: &str = "0.2";

/// What runs here, and where its API is.
pub(crate) async fn service_info(State(state): State<AppState>) -> Json<Value> {
    let about = &state.about;
    let (home, api) = (&about.url, "/api/v2");
    Json(json!({
        "version": FORMAT,
        "software": {
            "name": about.title,
            "version": VERSION,
            "repository": about.repository,
            "homepage": home,
            "logo": about.logo,
        },
        "api": {
            "aihorde": {
                "name": "AI Horde API",
                "version": API_VERSION,
                "base_url": format!("{home}{api}"),
                "rel_url": api,
                "documentation": format!("{home}/api"),
            },
        },
    }))
}
