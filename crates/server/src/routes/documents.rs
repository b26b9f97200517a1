//! `documents/*`: what the operator has to say, as pages embed it.

use axum::extract::{Query, State};
use muster_protocol::{HordeDocument, RequestError, ReturnCode};
use serde::Deserialize;

use crate::{
    AppState,
    about::Document,
    http::{ApiError, Json},
};

/// In which format.
#[derive(Deserialize)]
pub(crate) struct Form {
    format: Option<String>,
}

fn document(state: &AppState, document: Document, form: &Form) -> Result<Json<HordeDocument>, ApiError> {
    let supporters = state.engine.supporters();
    let format = form.format.as_deref().unwrap_or("html");
    let document = state.about.document(document, format, &supporters);
    document
        .map(Json)
        .ok_or_else(|| ApiError::rule(ReturnCode::BadRequest, "format is html or markdown."))
}

/// The terms of service
#[utoipa::path(
    get, path = "/v2/documents/terms", operation_id = "get_docs_terms", tag = "v2",
    params(("format" = Option<String>, Query, description = "html (the default) or markdown")),
    responses(
        (status = 200, description = "The document", body = HordeDocument),
        (status = 400, description = "No such format", body = RequestError),
    )
)]
pub(crate) async fn terms(
    State(state): State<AppState>,
    Query(form): Query<Form>,
) -> Result<Json<HordeDocument>, ApiError> {
    document(&state, Document::Terms, &form)
}

/// What is done with data
#[utoipa::path(
    get, path = "/v2/documents/privacy", operation_id = "get_docs_privacy", tag = "v2",
    params(("format" = Option<String>, Query, description = "html (the default) or markdown")),
    responses(
        (status = 200, description = "The document", body = HordeDocument),
        (status = 400, description = "No such format", body = RequestError),
    )
)]
pub(crate) async fn privacy(
    State(state): State<AppState>,
    Query(form): Query<Form>,
) -> Result<Json<HordeDocument>, ApiError> {
    document(&state, Document::Privacy, &form)
}

/// Who supports the horde
#[utoipa::path(
    get, path = "/v2/documents/sponsors", operation_id = "get_docs_sponsors", tag = "v2",
    params(("format" = Option<String>, Query, description = "html (the default) or markdown")),
    responses(
        (status = 200, description = "The document", body = HordeDocument),
        (status = 400, description = "No such format", body = RequestError),
    )
)]
pub(crate) async fn sponsors(
    State(state): State<AppState>,
    Query(form): Query<Form>,
) -> Result<Json<HordeDocument>, ApiError> {
    document(&state, Document::Sponsors, &form)
}
