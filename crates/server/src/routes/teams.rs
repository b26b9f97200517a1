//! `teams`: workers that count together.

use axum::extract::{Path, State};
use muster_protocol::{
    CreateTeamInput, DeletedTeam, ModifyTeam, ModifyTeamInput, RequestError, RequestValidationError,
    TeamDetails,
};

use super::call::Calling;
use crate::{
    AppState,
    http::{ApiError, Json, ValidBody, to_the_end},
};

/// All teams
#[utoipa::path(
    get, path = "/v2/teams", operation_id = "get_teams", tag = "v2",
    responses((status = 200, description = "The teams, oldest first", body = [TeamDetails]))
)]
pub(crate) async fn list(State(state): State<AppState>) -> Result<Json<Vec<TeamDetails>>, ApiError> {
    Ok(Json(state.engine.teams().await?))
}

/// Make a team
#[utoipa::path(
    post, path = "/v2/teams", operation_id = "post_teams", tag = "v2",
    params(("apikey" = String, Header, description = "The API key of a trusted account")),
    request_body = CreateTeamInput,
    responses(
        (status = 200, description = "Made", body = ModifyTeam),
        (status = 400, description = "The body does not fit, or a rule forbids it", body = RequestError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Not for this account", body = RequestError),
    )
)]
pub(crate) async fn post(
    State(state): State<AppState>,
    Calling(call): Calling,
    ValidBody(input): ValidBody<CreateTeamInput>,
) -> Result<Json<ModifyTeam>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.create_team(&call, input).await }).await??,
    ))
}

/// A team
#[utoipa::path(
    get, path = "/v2/teams/{team_id}", operation_id = "get_team_single", tag = "v2",
    params(("team_id" = String, Path, description = "The team")),
    responses(
        (status = 200, description = "The team", body = TeamDetails),
        (status = 404, description = "No such team", body = RequestError),
    )
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<TeamDetails>, ApiError> {
    Ok(Json(state.engine.team(&id).await?))
}

/// Change a team
#[utoipa::path(
    patch, path = "/v2/teams/{team_id}", operation_id = "patch_team_single", tag = "v2",
    params(("team_id" = String, Path, description = "The team"),
           ("apikey" = String, Header, description = "The API key of a moderator or the owner")),
    request_body = ModifyTeamInput,
    responses(
        (status = 200, description = "What was changed", body = ModifyTeam),
        (status = 400, description = "The body does not fit, or a rule forbids it", body = RequestError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Not for this account", body = RequestError),
        (status = 404, description = "No such team", body = RequestError),
    )
)]
pub(crate) async fn patch(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
    ValidBody(input): ValidBody<ModifyTeamInput>,
) -> Result<Json<ModifyTeam>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.modify_team(&call, &id, input).await }).await??,
    ))
}

/// Delete a team
///
/// Its workers are in none then.
#[utoipa::path(
    delete, path = "/v2/teams/{team_id}", operation_id = "delete_team_single", tag = "v2",
    params(("team_id" = String, Path, description = "The team"),
           ("apikey" = String, Header, description = "The API key of a moderator or the owner")),
    responses(
        (status = 200, description = "Done", body = DeletedTeam),
        (status = 400, description = "There is no key", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Not for this account", body = RequestError),
        (status = 404, description = "No such team", body = RequestError),
    )
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
) -> Result<Json<DeletedTeam>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.delete_team(&call, &id).await }).await??,
    ))
}
