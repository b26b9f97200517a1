//! [`Forms`]: alchemy, from the side of a worker.

use std::time::Duration;

use muster_protocol::{
    JobId,
    alchemy::{PopInput, Popped, SubmitInput},
    image::Submitted,
};
use serde_json::{Map, Value};

use super::{
    craft::{Craft, Handover, Parcel, Unpacked},
    pictures::fetch_source,
};
use crate::{
    backend::{AlchemyBackend, BackendError, FormJob, FormProduct, Progress},
    client::{ApiClient, ClientError},
};

/// What a result says when the picture was uploaded.
const UPLOADED: &str = "R2";
/// Servers that speak this API give up a form after three minutes, and do not say so.
const TIME_TO_LIVE: Duration = Duration::from_mins(3);

/// Works on pictures with a backend.
#[derive(Debug)]
pub struct Forms<B> {
    pub(super) backend: B,
    pub(super) offer: PopInput,
}

/// A form with what is needed to begin and to hand it in.
#[derive(Debug)]
pub struct FormTask {
    ids: [JobId; 1],
    job: FormJob,
    source: String,
    upload: Option<String>,
}

impl<B: AlchemyBackend> Craft for Forms<B> {
    type Popped = Popped;
    type Task = FormTask;
    type Product = FormProduct;
    type Submission = SubmitInput;

    fn threads(&self) -> u32 {
        self.offer.threads
    }

    async fn pop(&self, client: &ApiClient) -> Result<Popped, ClientError> {
        client.pop_forms(&self.offer).await
    }

    fn unpack(&self, popped: Popped) -> Unpacked<FormTask> {
        let tasks = popped.forms.unwrap_or_default().into_iter().map(|form| FormTask {
            ids: [form.id],
            job: FormJob {
                id: form.id,
                form: form.form,
                payload: form.payload,
                picture: bytes::Bytes::new(),
            },
            source: form.source_image,
            upload: form.r2_upload,
        });
        Unpacked {
            tasks: tasks.collect(),
            ..Unpacked::default()
        }
    }

    async fn prepare(&self, client: &ApiClient, task: &mut FormTask) -> Result<(), String> {
        let picture = fetch_source(client, Some(&task.source)).await?;
        task.job.picture = picture.unwrap_or_default();
        Ok(())
    }

    async fn make(&self, task: &FormTask, progress: &Progress<'_>) -> Result<Vec<FormProduct>, BackendError> {
        Ok(vec![self.backend.transform(&task.job, progress).await?])
    }

    fn jobs(task: &FormTask) -> &[JobId] {
        &task.ids
    }

    fn describe(task: &FormTask) -> String {
        task.job.form.to_string()
    }

    fn time_to_live(_: &FormTask) -> Option<Duration> {
        Some(TIME_TO_LIVE)
    }

    fn parcel(&self, task: &FormTask, _: usize, product: &FormProduct) -> Option<Parcel> {
        match product {
            FormProduct::Picture(file) => Some(Parcel {
                file: file.clone(),
                url: task.upload.clone(),
            }),
            FormProduct::Finding(_) => None,
        }
    }

    fn hand_in(
        &self,
        task: &FormTask,
        _: usize,
        product: FormProduct,
        file: Handover,
    ) -> Result<SubmitInput, String> {
        let finding = match (product, file) {
            (FormProduct::Finding(finding), _) => finding,
            (FormProduct::Picture(_), Handover::Uploaded) => Value::from(UPLOADED),
            (FormProduct::Picture(_), _) => return Err("the picture cannot be uploaded".to_owned()),
        };
        let result = Map::from_iter([(task.job.form.to_string(), finding)]);
        Ok(SubmitInput {
            id: Some(task.job.id.to_string()),
            result: Some(result.into()),
            state: Some("ok".to_owned()),
        })
    }

    fn give_back(job: JobId, _: Option<&FormTask>) -> SubmitInput {
        SubmitInput {
            id: Some(job.to_string()),
            // Some servers insist on a result.
            result: Some(Map::new().into()),
            state: Some("faulted".to_owned()),
        }
    }

    async fn submit(client: &ApiClient, submission: &SubmitInput) -> Result<Submitted, ClientError> {
        client.submit_form(submission).await
    }
}
