//! Texts.

use muster_protocol::{
    RequestId,
    image::RequestAccepted,
    text::{Generation, RequestInput},
};
use tokio_util::sync::CancellationToken;

use super::{GenerateError, Update, wait::Wait};
use crate::client::{ApiClient, ClientError};

/// What came of a request for texts.
#[derive(Clone, Debug)]
pub struct TextOutcome {
    /// The request.
    pub id: RequestId,
    /// The texts; fewer than asked for if the request was cancelled or partly failed.
    pub texts: Vec<Generation>,
    /// What it cost.
    pub kudos: f64,
    /// The wait was broken off and the request cancelled.
    pub cancelled: bool,
}

/// Asks what a request would cost. Nothing is written or paid.
pub async fn price_of_text(client: &ApiClient, input: &RequestInput) -> Result<f64, ClientError> {
    let mut input = input.clone();
    input.dry_run = true;
    client.request_text(&input).await.map(|answer| answer.kudos)
}

/// Requests texts and waits for them.
///
/// When `stop` is cancelled, so is the request, and what is ready by then is returned.
pub async fn write(
    client: &ApiClient,
    input: &RequestInput,
    stop: &CancellationToken,
    mut on_update: impl FnMut(Update),
) -> Result<TextOutcome, GenerateError> {
    let accepted = client.request_text(input).await?;
    let id = accepted.id.ok_or(GenerateError::NoId)?;
    on_update(Update::Accepted(RequestAccepted {
        id: Some(id),
        kudos: accepted.kudos,
        message: accepted.message,
        warnings: Vec::new(),
    }));
    let look = async || {
        let status = client.text_status(id).await?;
        let progress = status.progress.clone();
        let done = progress.done || progress.faulted;
        Ok((progress, done.then_some(status)))
    };
    let waited = Wait::new(id, on_update).for_results(look, stop).await?;
    let cancelled = waited.is_none();
    let status = match waited {
        Some(status) => status,
        None => client.cancel_text(id).await?,
    };
    if status.progress.faulted && status.generations.is_empty() {
        return Err(GenerateError::Faulted(id));
    }
    Ok(TextOutcome {
        id,
        texts: status.generations,
        kudos: status.progress.kudos,
        cancelled,
    })
}
