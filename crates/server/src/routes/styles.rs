//! `styles/*`: prompt templates with parameters and models, for anybody to use.

use axum::extract::{Path, Query, State};
use muster_engine::StyleQuery;
use muster_protocol::{
    ExampleInput, ExamplePatch, ImageStyleInput, ImageStylePatch, RequestError, RequestValidationError,
    SimpleResponse, StyleDetails, StyleModify, TextStyleInput, TextStylePatch, WorkKind,
};
use serde::Deserialize;

use super::call::Calling;
use crate::{
    AppState,
    http::{ApiError, Json, ValidBody, arguments::whole, to_the_end},
};

/// Which styles are listed.
#[derive(Deserialize)]
pub(crate) struct Listing {
    sort: Option<String>,
    page: Option<String>,
    tag: Option<String>,
    model: Option<String>,
}

impl Listing {
    fn query(self) -> Result<StyleQuery, ApiError> {
        Ok(StyleQuery {
            page: whole("page", self.page.as_deref(), 1)?,
            sort: self.sort,
            tag: self.tag,
            model: self.model,
        })
    }
}

/// Styles for pictures, 25 a page
#[utoipa::path(
    get, path = "/v2/styles/image", operation_id = "get_image_style", tag = "v2",
    params(("sort" = Option<String>, Query, description = "popular (the default) or age"),
           ("page" = Option<i64>, Query, description = "The page, from 1"),
           ("tag" = Option<String>, Query, description = "Only those with this tag"),
           ("model" = Option<String>, Query, description = "Only those with this model")),
    responses(
        (status = 200, description = "The styles of the page", body = [StyleDetails]),
        (status = 400, description = "No such order", body = RequestError),
    )
)]
pub(crate) async fn list_image(
    State(state): State<AppState>,
    Query(listing): Query<Listing>,
) -> Result<Json<Vec<StyleDetails>>, ApiError> {
    Ok(Json(
        state.engine.styles(WorkKind::Image, &listing.query()?).await?,
    ))
}

/// Make a style for pictures
#[utoipa::path(
    post, path = "/v2/styles/image", operation_id = "post_image_style", tag = "v2",
    params(("apikey" = String, Header, description = "The API key of a customizer or a trusted account")),
    request_body = ImageStyleInput,
    responses(
        (status = 200, description = "Made", body = StyleModify),
        (status = 400, description = "The body does not fit, or a rule forbids it", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Not for this account", body = RequestError),
    )
)]
pub(crate) async fn post_image(
    State(state): State<AppState>,
    Calling(call): Calling,
    ValidBody(input): ValidBody<ImageStyleInput>,
) -> Result<Json<StyleModify>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.create_image_style(&call, input).await }).await??,
    ))
}

/// A style for pictures
#[utoipa::path(
    get, path = "/v2/styles/image/{style_id}", operation_id = "get_single_image_style", tag = "v2",
    params(("style_id" = String, Path, description = "The style")),
    responses(
        (status = 200, description = "The style", body = StyleDetails),
        (status = 400, description = "It is for other requests", body = RequestError),
        (status = 404, description = "No such style", body = RequestError),
    )
)]
pub(crate) async fn get_image(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<StyleDetails>, ApiError> {
    Ok(Json(state.engine.style(WorkKind::Image, &id).await?))
}

/// A style for pictures by its name
#[utoipa::path(
    get, path = "/v2/styles/image_by_name/{style_name}", operation_id = "get_single_image_style_by_name", tag = "v2",
    params(("style_name" = String, Path, description = "Its name, alone or with its owner")),
    responses(
        (status = 200, description = "The style", body = StyleDetails),
        (status = 400, description = "It is for other requests", body = RequestError),
        (status = 404, description = "No such style", body = RequestError),
    )
)]
pub(crate) async fn get_image_by_name(
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Json<StyleDetails>, ApiError> {
    Ok(Json(state.engine.style_by_name(WorkKind::Image, &name).await?))
}

/// Change a style for pictures
#[utoipa::path(
    patch, path = "/v2/styles/image/{style_id}", operation_id = "patch_single_image_style", tag = "v2",
    params(("style_id" = String, Path, description = "The style"),
           ("apikey" = String, Header, description = "Its author's API key")),
    request_body = ImageStylePatch,
    responses(
        (status = 200, description = "Changed", body = StyleModify),
        (status = 400, description = "The body does not fit, or a rule forbids it", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Somebody else's", body = RequestError),
        (status = 404, description = "No such style", body = RequestError),
    )
)]
pub(crate) async fn patch_image(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
    ValidBody(input): ValidBody<ImageStylePatch>,
) -> Result<Json<StyleModify>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.modify_image_style(&call, &id, input).await }).await??,
    ))
}

/// Delete a style for pictures
#[utoipa::path(
    delete, path = "/v2/styles/image/{style_id}", operation_id = "delete_single_image_style", tag = "v2",
    params(("style_id" = String, Path, description = "The style"),
           ("apikey" = String, Header, description = "The API key of a moderator or its author")),
    responses(
        (status = 200, description = "Done", body = SimpleResponse),
        (status = 400, description = "There is no key", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Somebody else's", body = RequestError),
        (status = 404, description = "No such style", body = RequestError),
    )
)]
pub(crate) async fn delete_image(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
) -> Result<Json<SimpleResponse>, ApiError> {
    delete(state, call, id).await
}

/// Styles for texts, 25 a page
#[utoipa::path(
    get, path = "/v2/styles/text", operation_id = "get_text_style", tag = "v2",
    params(("sort" = Option<String>, Query, description = "popular (the default) or age"),
           ("page" = Option<i64>, Query, description = "The page, from 1"),
           ("tag" = Option<String>, Query, description = "Only those with this tag"),
           ("model" = Option<String>, Query, description = "Only those with this model")),
    responses(
        (status = 200, description = "The styles of the page", body = [StyleDetails]),
        (status = 400, description = "No such order", body = RequestError),
    )
)]
pub(crate) async fn list_text(
    State(state): State<AppState>,
    Query(listing): Query<Listing>,
) -> Result<Json<Vec<StyleDetails>>, ApiError> {
    Ok(Json(
        state.engine.styles(WorkKind::Text, &listing.query()?).await?,
    ))
}

/// Make a style for texts
#[utoipa::path(
    post, path = "/v2/styles/text", operation_id = "post_text_style", tag = "v2",
    params(("apikey" = String, Header, description = "The API key of a customizer or a trusted account")),
    request_body = TextStyleInput,
    responses(
        (status = 200, description = "Made", body = StyleModify),
        (status = 400, description = "The body does not fit, or a rule forbids it", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Not for this account", body = RequestError),
    )
)]
pub(crate) async fn post_text(
    State(state): State<AppState>,
    Calling(call): Calling,
    ValidBody(input): ValidBody<TextStyleInput>,
) -> Result<Json<StyleModify>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.create_text_style(&call, input).await }).await??,
    ))
}

/// A style for texts
#[utoipa::path(
    get, path = "/v2/styles/text/{style_id}", operation_id = "get_single_text_style", tag = "v2",
    params(("style_id" = String, Path, description = "The style")),
    responses(
        (status = 200, description = "The style", body = StyleDetails),
        (status = 400, description = "It is for other requests", body = RequestError),
        (status = 404, description = "No such style", body = RequestError),
    )
)]
pub(crate) async fn get_text(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<StyleDetails>, ApiError> {
    Ok(Json(state.engine.style(WorkKind::Text, &id).await?))
}

/// A style for texts by its name
#[utoipa::path(
    get, path = "/v2/styles/text_by_name/{style_name}", operation_id = "get_single_text_style_by_name", tag = "v2",
    params(("style_name" = String, Path, description = "Its name, alone or with its owner")),
    responses(
        (status = 200, description = "The style", body = StyleDetails),
        (status = 400, description = "It is for other requests", body = RequestError),
        (status = 404, description = "No such style", body = RequestError),
    )
)]
pub(crate) async fn get_text_by_name(
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Json<StyleDetails>, ApiError> {
    Ok(Json(state.engine.style_by_name(WorkKind::Text, &name).await?))
}

/// Change a style for texts
#[utoipa::path(
    patch, path = "/v2/styles/text/{style_id}", operation_id = "patch_single_text_style", tag = "v2",
    params(("style_id" = String, Path, description = "The style"),
           ("apikey" = String, Header, description = "Its author's API key")),
    request_body = TextStylePatch,
    responses(
        (status = 200, description = "Changed", body = StyleModify),
        (status = 400, description = "The body does not fit, or a rule forbids it", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Somebody else's", body = RequestError),
        (status = 404, description = "No such style", body = RequestError),
    )
)]
pub(crate) async fn patch_text(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
    ValidBody(input): ValidBody<TextStylePatch>,
) -> Result<Json<StyleModify>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.modify_text_style(&call, &id, input).await }).await??,
    ))
}

/// Delete a style for texts
#[utoipa::path(
    delete, path = "/v2/styles/text/{style_id}", operation_id = "delete_single_text_style", tag = "v2",
    params(("style_id" = String, Path, description = "The style"),
           ("apikey" = String, Header, description = "The API key of a moderator or its author")),
    responses(
        (status = 200, description = "Done", body = SimpleResponse),
        (status = 400, description = "There is no key", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Somebody else's", body = RequestError),
        (status = 404, description = "No such style", body = RequestError),
    )
)]
pub(crate) async fn delete_text(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
) -> Result<Json<SimpleResponse>, ApiError> {
    delete(state, call, id).await
}

/// The kind in the path of a deletion does not matter, as clients know it.
async fn delete(
    state: AppState,
    call: muster_engine::Call,
    id: String,
) -> Result<Json<SimpleResponse>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.delete_style(&call, &id).await }).await??,
    ))
}

/// Add an example to a style
#[utoipa::path(
    post, path = "/v2/styles/image/{style_id}/example", operation_id = "post_image_style_example", tag = "v2",
    params(("style_id" = String, Path, description = "The style"),
           ("apikey" = String, Header, description = "The API key of a moderator or its author")),
    request_body = ExampleInput,
    responses(
        (status = 200, description = "Added", body = StyleModify),
        (status = 400, description = "The body does not fit, or a rule forbids it", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Somebody else's style, or one with enough examples", body = RequestError),
        (status = 404, description = "No such style", body = RequestError),
    )
)]
pub(crate) async fn post_example(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
    ValidBody(input): ValidBody<ExampleInput>,
) -> Result<Json<StyleModify>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.add_style_example(&call, &id, input).await }).await??,
    ))
}

/// Change an example of a style
#[utoipa::path(
    patch, path = "/v2/styles/image/{style_id}/example/{example_id}", tag = "v2",
    operation_id = "patch_single_image_style_example",
    params(("style_id" = String, Path, description = "The style"),
           ("example_id" = String, Path, description = "The example"),
           ("apikey" = String, Header, description = "The API key of a moderator or its author")),
    request_body = ExamplePatch,
    responses(
        (status = 200, description = "Changed", body = StyleModify),
        (status = 400, description = "The body does not fit, or a rule forbids it", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Somebody else's", body = RequestError),
        (status = 404, description = "No such style or example", body = RequestError),
    )
)]
pub(crate) async fn patch_example(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path((style, example)): Path<(String, String)>,
    ValidBody(input): ValidBody<ExamplePatch>,
) -> Result<Json<StyleModify>, ApiError> {
    let change = async move {
        state
            .engine
            .modify_style_example(&call, &style, &example, input)
            .await
    };
    Ok(Json(to_the_end(change).await??))
}

/// Delete an example of a style
#[utoipa::path(
    delete, path = "/v2/styles/image/{style_id}/example/{example_id}", tag = "v2",
    operation_id = "delete_single_image_style_example",
    params(("style_id" = String, Path, description = "The style"),
           ("example_id" = String, Path, description = "The example"),
           ("apikey" = String, Header, description = "The API key of a moderator or its author")),
    responses(
        (status = 200, description = "Done", body = SimpleResponse),
        (status = 400, description = "There is no key", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Somebody else's", body = RequestError),
        (status = 404, description = "No such style or example", body = RequestError),
    )
)]
pub(crate) async fn delete_example(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path((style, example)): Path<(String, String)>,
) -> Result<Json<SimpleResponse>, ApiError> {
    let delete = async move { state.engine.delete_style_example(&call, &style, &example).await };
    Ok(Json(to_the_end(delete).await??))
}
