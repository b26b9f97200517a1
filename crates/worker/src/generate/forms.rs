//! Alchemy.

use std::{
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use muster_protocol::{
    RequestId,
    alchemy::{Form, FormState, RequestInput, Status},
    image::{Progress, RequestAccepted},
};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::{GenerateError, Update, save_as, slug, wait::Wait};
use crate::client::ApiClient;

/// What came of a form.
#[derive(Clone, Debug, PartialEq)]
pub struct FormOutcome {
    /// The form.
    pub form: Form,
    /// Whether it was done.
    pub state: FormState,
    /// What was found out.
    pub result: Map<String, Value>,
    /// The picture that was made, if the result is one.
    pub picture: Option<Bytes>,
}

/// Requests forms and waits for them. `None` if the wait was broken off before all were done or given up; the
/// request is cancelled then.
///
/// # Errors
/// A call failed for good, or a picture that was made cannot be fetched.
pub async fn transform(
    client: &ApiClient,
    input: &RequestInput,
    stop: &CancellationToken,
    mut on_update: impl FnMut(Update),
) -> Result<(RequestId, Option<Vec<FormOutcome>>), GenerateError> {
    let id = client.request_forms(input).await?.id;
    on_update(Update::Accepted(RequestAccepted {
        id: Some(id),
        kudos: 0.0,
        message: None,
        warnings: Vec::new(),
    }));
    let look = async || {
        let status = client.forms_status(id).await?;
        let progress = progress(&status);
        let done = progress.done;
        Ok((progress, done.then_some(status)))
    };
    let Some(status) = Wait::new(id, on_update).for_results(look, stop).await? else {
        client.cancel_forms(id).await?;
        return Ok((id, None));
    };
    let mut outcomes = Vec::with_capacity(status.forms.len());
    for form in status.forms {
        let result = form.result.0;
        let made = result.get(form.form.as_ref()).and_then(Value::as_str);
        let picture =
            match made.filter(|made| form.form.post_processor().is_some() && made.starts_with("http")) {
                Some(url) => Some(client.get_blob(url).await?),
                None => None,
            };
        outcomes.push(FormOutcome {
            form: form.form,
            state: form.state,
            result,
            picture,
        });
    }
    Ok((id, Some(outcomes)))
}

/// Saves a picture that was made, under the name of its form; never overwrites a file.
pub async fn save_form(form: Form, picture: &[u8], directory: &Path, name: &str) -> io::Result<PathBuf> {
    save_as(
        &format!("{}-{}", slug(name), slug(form.as_ref())),
        picture,
        directory,
    )
    .await
}

/// How far a request is, in the terms of the other kinds of work.
fn progress(status: &Status) -> Progress {
    let count = |state: FormState| status.forms.iter().filter(|form| form.state == state).count() as u32;
    let (waiting, processing) = (count(FormState::Waiting), count(FormState::Processing));
    Progress {
        finished: status.forms.len() as u32 - waiting - processing,
        processing,
        restarted: 0,
        waiting,
        done: waiting + processing == 0,
        faulted: false,
        wait_time: 0,
        queue_position: 0,
        kudos: 0.0,
        // Nobody tells.
        is_possible: true,
    }
}
