//! Reading requests and jobs.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use muster_protocol::{JobId, Kudos, RequestId, Timestamp, UserId, WorkerId};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DbErr, EntityTrait as _, QueryFilter as _, QueryResult,
    QuerySelect as _, TryGetable,
    sea_query::{Expr, ExprTrait as _, Order, Query, SelectStatement},
};

use crate::{
    JobState, Store, StoreError, StoredJob, StoredRequest, codes,
    entity::{job, request},
};

/// How many requests are read at once at start.
const PAGE: u64 = 512;

/// The columns of a row, one after the other. Looking them up by name would double the time that a
/// large queue takes to load.
struct Columns<'row> {
    row: &'row QueryResult,
    next: usize,
}

impl<'row> Columns<'row> {
    fn of(row: &'row QueryResult) -> Self {
        Self { row, next: 0 }
    }

    fn next<T: TryGetable>(&mut self) -> Result<T, DbErr> {
        self.next += 1;
        self.row.try_get_by_index(self.next - 1)
    }

    fn timestamp(&mut self) -> Result<Timestamp, DbErr> {
        self.next::<DateTime<Utc>>().map(Into::into)
    }
}

/// Reads [`request::COLUMNS`], in their order.
fn request_from(row: &QueryResult) -> Result<StoredRequest, StoreError> {
    let mut row = Columns::of(row);
    Ok(StoredRequest {
        id: RequestId(row.next()?),
        kind: codes::kind_from_code(row.next()?, "requests")?,
        user: UserId(row.next()?),
        shared_key: row.next()?,
        created: row.timestamp()?,
        expiry: row.timestamp()?,
        slots_left: row.next()?,
        jobs_total: row.next()?,
        faulted: row.next()?,
        cancelled: row.next()?,
        priority: row.next()?,
        price: row.next()?,
        consumed: Kudos::from_hundredths(row.next()?),
        things: row.next()?,
        client_agent: row.next()?,
        ip: row.next()?,
        webhook: row.next()?,
        payload: row.next()?,
        updated_at: row.timestamp()?,
        held: Kudos::from_hundredths(row.next()?),
    })
}

/// A job's state as it is stored.
pub(super) fn state_from(code: i16) -> Result<JobState, StoreError> {
    JobState::from_repr(code).ok_or_else(|| StoreError::Corrupt {
        table: "jobs",
        what: format!("{code} is no state"),
    })
}

/// Reads [`job::COLUMNS`], in their order.
fn job_from(row: &QueryResult) -> Result<StoredJob, StoreError> {
    let mut row = Columns::of(row);
    Ok(StoredJob {
        id: JobId(row.next()?),
        request: RequestId(row.next()?),
        worker: WorkerId(row.next()?),
        kind: codes::kind_from_code(row.next()?, "jobs")?,
        model: row.next()?,
        state: state_from(row.next()?)?,
        started: row.timestamp()?,
        deadline: row.timestamp()?,
        seed: row.next()?,
        result: row.next()?,
        gen_metadata: row.next()?,
        censored: row.next()?,
        fake: row.next()?,
        reward: row.next::<Option<i64>>()?.map(Kudos::from_hundredths),
        finished_at: row.next::<Option<DateTime<Utc>>>()?.map(Into::into),
        payload: row.next()?,
    })
}

fn select_requests(condition: Expr) -> SelectStatement {
    Query::select()
        .columns(request::COLUMNS)
        .from(request::Entity)
        .and_where(condition)
        .take()
}

fn select_jobs(condition: Expr) -> SelectStatement {
    Query::select()
        .columns(job::COLUMNS)
        .from(job::Entity)
        .and_where(condition)
        .take()
}

impl Store {
    /// Every request that has not expired, with its jobs, all at once; see [`Store::live_page`].
    pub async fn live_requests(
        &self,
        now: Timestamp,
    ) -> Result<Vec<(StoredRequest, Vec<StoredJob>)>, StoreError> {
        let mut live = Vec::new();
        loop {
            let last = live.last().map(|(request, _): &(StoredRequest, _)| request.id);
            let page = self.live_page(now, last).await?;
            if page.is_empty() {
                return Ok(live);
            }
            live.extend(page);
        }
    }

    /// The next requests that have not expired after the one with id `after`, with their jobs, for
    /// rebuilding the board a few hundred at a time. An empty page is the last.
    ///
    /// Requests come in the order of their ids, the jobs of each in the order of their start.
    pub async fn live_page(
        &self,
        now: Timestamp,
        after: Option<RequestId>,
    ) -> Result<Vec<(StoredRequest, Vec<StoredJob>)>, StoreError> {
        let page = self.page_of_requests(now, after).await?;
        let mut jobs = self.jobs_of(&page).await?;
        let with_jobs = |request: StoredRequest| {
            let jobs = jobs.remove(&request.id).unwrap_or_default();
            (request, jobs)
        };
        Ok(page.into_iter().map(with_jobs).collect())
    }

    async fn page_of_requests(
        &self,
        now: Timestamp,
        after: Option<RequestId>,
    ) -> Result<Vec<StoredRequest>, StoreError> {
        let mut select = select_requests(Expr::col(request::Column::Expiry).gt(now.to_datetime()));
        select.order_by(request::Column::Id, Order::Asc).limit(PAGE);
        if let Some(after) = after {
            select.and_where(Expr::col(request::Column::Id).gt(after.0));
        }
        let rows = self.reader().query_all(&select).await?;
        rows.iter().map(request_from).collect()
    }

    /// The jobs of requests that are in the order of their ids. One range of the index is read,
    /// with the few jobs of expired requests that lie in it.
    async fn jobs_of(
        &self,
        requests: &[StoredRequest],
    ) -> Result<HashMap<RequestId, Vec<StoredJob>>, StoreError> {
        let mut jobs: HashMap<RequestId, Vec<StoredJob>> = HashMap::new();
        let (Some(first), Some(last)) = (requests.first(), requests.last()) else {
            return Ok(jobs);
        };
        let range = Expr::col(job::Column::RequestId).between(first.id.0, last.id.0);
        for row in self.reader().query_all(&select_jobs(range)).await? {
            let job = job_from(&row)?;
            jobs.entry(job.request).or_default().push(job);
        }
        for of_request in jobs.values_mut() {
            of_request.sort_by_key(|job| (job.started, job.id));
        }
        Ok(jobs)
    }

    /// Requests that have expired and have not changed since `quiet_since`, finished or not, `limit` at
    /// most. Every change makes a request live longer, so `quiet_since` finds them through the index of
    /// changes instead of reading the whole table.
    pub async fn expired_requests(
        &self,
        now: Timestamp,
        quiet_since: Timestamp,
        limit: u64,
    ) -> Result<Vec<RequestId>, StoreError> {
        let ids: Vec<uuid::Uuid> = request::Entity::find()
            .select_only()
            .column(request::Column::Id)
            .filter(request::Column::UpdatedAt.lte(quiet_since.to_datetime()))
            .filter(request::Column::Expiry.lte(now.to_datetime()))
            .limit(limit)
            .into_tuple()
            .all(self.reader())
            .await?;
        Ok(ids.into_iter().map(RequestId).collect())
    }

    /// A request with its jobs in the order of their start, expired or not.
    pub async fn request(
        &self,
        id: RequestId,
    ) -> Result<Option<(StoredRequest, Vec<StoredJob>)>, StoreError> {
        let select = select_requests(Expr::col(request::Column::Id).eq(id.0));
        let Some(row) = self.reader().query_one(&select).await? else {
            return Ok(None);
        };
        let request = request_from(&row)?;
        let jobs = self
            .jobs_of(std::slice::from_ref(&request))
            .await?
            .remove(&id)
            .unwrap_or_default();
        Ok(Some((request, jobs)))
    }

    /// A job by its id.
    pub async fn job(&self, id: JobId) -> Result<Option<StoredJob>, StoreError> {
        let select = select_jobs(Expr::col(job::Column::Id).eq(id.0));
        let row = self.reader().query_one(&select).await?;
        row.as_ref().map(job_from).transpose()
    }
}
