//! [`Craft`]: a kind of work from the side of those who do it.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use muster_protocol::{
    JobId,
    image::{Message, Submitted},
};

use crate::{
    backend::{BackendError, Progress},
    client::{ApiClient, ClientError},
};

/// A kind of work: how it is asked for, done and handed in. The runtime minds all else: lanes, pauses, time
/// limits, repeated calls, what is told.
pub trait Craft: Send + Sync + 'static {
    /// The answer to a pop.
    type Popped: Send;
    /// Jobs that are done together.
    type Task: Send + Sync;
    /// What comes of one job.
    type Product: Send + Sync;
    /// What is sent when a job is handed in or given back.
    type Submission: Send + Sync;

    /// How many tasks at once.
    fn threads(&self) -> u32;

    /// Asks for work.
    fn pop(&self, client: &ApiClient) -> impl Future<Output = Result<Self::Popped, ClientError>> + Send;

    /// What there is to do.
    fn unpack(&self, popped: Self::Popped) -> Unpacked<Self::Task>;

    /// Fetches what is needed to begin. The error says why that is not possible.
    fn prepare(
        &self,
        client: &ApiClient,
        task: &mut Self::Task,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// Does it: one product for each job, in their order.
    ///
    /// The future may be dropped when time runs out.
    fn make(
        &self,
        task: &Self::Task,
        progress: &Progress<'_>,
    ) -> impl Future<Output = Result<Vec<Self::Product>, BackendError>> + Send;

    /// The jobs of a task.
    fn jobs(task: &Self::Task) -> &[JobId];

    /// What there is to do, in words.
    fn describe(task: &Self::Task) -> String;

    /// How long the server waits for it.
    fn time_to_live(task: &Self::Task) -> Option<Duration>;

    /// The file that belongs to a product, if there is one.
    fn parcel(&self, task: &Self::Task, index: usize, product: &Self::Product) -> Option<Parcel>;

    /// How a product is handed in. The error says why it cannot be.
    fn hand_in(
        &self,
        task: &Self::Task,
        index: usize,
        product: Self::Product,
        file: Handover,
    ) -> Result<Self::Submission, String>;

    /// How a job is given back. The task is not known if it could not be understood.
    fn give_back(job: JobId, task: Option<&Self::Task>) -> Self::Submission;

    /// Hands in or gives back.
    fn submit(
        client: &ApiClient,
        submission: &Self::Submission,
    ) -> impl Future<Output = Result<Submitted, ClientError>> + Send;
}

/// What a pop brought.
#[derive(Debug)]
pub struct Unpacked<T> {
    /// Notes of the horde's operators.
    pub notes: Vec<Message>,
    /// What there is to do.
    pub tasks: Vec<T>,
    /// Jobs that make no sense, and why.
    pub unusable: Vec<(JobId, String)>,
}

impl<T> Default for Unpacked<T> {
    fn default() -> Self {
        Self {
            notes: Vec::new(),
            tasks: Vec::new(),
            unusable: Vec::new(),
        }
    }
}

/// A file on its way to the server.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The file.
    pub file: Bytes,
    /// Where it is to be uploaded; `None` if it is not.
    pub url: Option<String>,
}

/// What has become of the file of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handover {
    /// It was uploaded.
    Uploaded,
    /// It was not, so it has to travel in the submission.
    Inside(Bytes),
    /// There is none.
    Nothing,
}
