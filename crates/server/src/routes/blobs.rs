//! `/blobs/*`: pictures in the server's own directory, behind signed addresses.
//!
//! With an S3 store nothing of this is used: addresses point there.

use axum::{
    body::Bytes,
    extract::{Path, RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use muster_store::{BlobMethod, BlobUrlError, Bucket};

use crate::{
    AppState,
    http::{ApiError, error::plain},
};

/// Where a picture is and the signature of its address.
type Address = (Path<(String, String)>, RawQuery);

/// Hands out a picture.
pub(crate) async fn download(State(state): State<AppState>, address: Address) -> Result<Response, ApiError> {
    let (bucket, key) = match verified(&state, BlobMethod::Get, address) {
        Ok(found) => found,
        Err(error) => return Ok(refuse(error)),
    };
    match state
        .engine
        .blobs()
        .get(bucket, &key)
        .await
        .map_err(ApiError::internal)?
    {
        Some(picture) => {
            let headers = [
                (header::CONTENT_TYPE, "image/webp"),
                (header::CACHE_CONTROL, "private, max-age=1800"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            Ok((headers, picture).into_response())
        }
        None => Ok(plain(
            StatusCode::NOT_FOUND,
            "There is no such picture (any more).",
        )),
    }
}

/// Takes a picture in. The content type does not matter: workers send any or none.
pub(crate) async fn upload(
    State(state): State<AppState>,
    address: Address,
    picture: Bytes,
) -> Result<Response, ApiError> {
    let (bucket, key) = match verified(&state, BlobMethod::Put, address) {
        Ok(found) => found,
        Err(error) => return Ok(refuse(error)),
    };
    state
        .engine
        .blobs()
        .put(bucket, &key, picture)
        .await
        .map_err(ApiError::internal)?;
    Ok(StatusCode::OK.into_response())
}

fn verified(
    state: &AppState,
    method: BlobMethod,
    (Path((bucket, key)), RawQuery(query)): Address,
) -> Result<(Bucket, String), BlobUrlError> {
    let now = state.engine.clock().now();
    let query = query.unwrap_or_default();
    let bucket = state.engine.blobs().verify(method, &bucket, &key, &query, now)?;
    Ok((bucket, key))
}

fn refuse(error: BlobUrlError) -> Response {
    let status = match error {
        BlobUrlError::Malformed => StatusCode::NOT_FOUND,
        BlobUrlError::BadSignature | BlobUrlError::Expired => StatusCode::FORBIDDEN,
    };
    plain(status, error.to_string())
}
