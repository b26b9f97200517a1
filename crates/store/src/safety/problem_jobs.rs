//! Jobs whose worker found what nobody may make.

use std::time::Duration;

use muster_protocol::{JobId, Timestamp, UserId, WorkerId};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    Select,
    sea_query::OnConflict,
};

use crate::{
    Journal, JournalError,
    belongings::unless_there,
    entity::problem_job::{self, Column as C},
};

/// A job whose worker found what nobody may make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProblemJob {
    /// The job.
    pub job: JobId,
    /// Who requested it.
    pub user: UserId,
    /// From where; of IPv6 the network.
    pub ip: Option<String>,
    /// The account at a service that it was requested for.
    pub proxied_account: Option<String>,
    /// Who found it.
    pub worker: WorkerId,
    /// When.
    pub at: Timestamp,
}

/// How many such jobs somebody requested, the latest included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProblemCount {
    /// Within the last hour.
    pub hour: u64,
    /// Within the last day.
    pub day: u64,
}

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

impl Journal {
    /// Writes such a job down, once. Answers how many there were of the same account (and account at a service), and
    /// from the same address.
    pub async fn record_problem_job(
        &self,
        problem: ProblemJob,
    ) -> Result<(ProblemCount, ProblemCount), JournalError> {
        self.write(move |tx| {
            let problem = problem.clone();
            Box::pin(async move {
                let row = problem_job::ActiveModel {
                    id: NotSet,
                    job: Set(problem.job.0),
                    user_id: Set(problem.user.0),
                    ip: Set(problem.ip.clone()),
                    proxied_account: Set(problem.proxied_account.clone()),
                    worker: Set(problem.worker.0),
                    at: Set(problem.at.to_datetime()),
                };
                let there = OnConflict::column(C::Job).do_nothing().to_owned();
                let insert = problem_job::Entity::insert(row).on_conflict(there);
                unless_there(insert.exec_without_returning(tx).await)?;
                let of_account = problem_job::Entity::find().filter(C::UserId.eq(problem.user.0));
                let of_account = match &problem.proxied_account {
                    Some(account) => of_account.filter(C::ProxiedAccount.eq(account)),
                    None => of_account.filter(C::ProxiedAccount.is_null()),
                };
                let by_account = counted(tx, of_account, problem.at).await?;
                let by_address = match &problem.ip {
                    Some(ip) => {
                        let from_there = problem_job::Entity::find().filter(C::Ip.eq(ip));
                        counted(tx, from_there, problem.at).await?
                    }
                    None => ProblemCount::default(),
                };
                Ok((by_account, by_address))
            })
        })
        .await
    }

    /// Forgets jobs that were before a moment.
    pub async fn prune_problem_jobs(&self, before: Timestamp) -> Result<u64, JournalError> {
        self.write(move |tx| {
            Box::pin(async move {
                let pruned = problem_job::Entity::delete_many()
                    .filter(C::At.lt(before.to_datetime()))
                    .exec(tx)
                    .await?;
                Ok(pruned.rows_affected)
            })
        })
        .await
    }
}

async fn counted(
    tx: &DatabaseTransaction,
    jobs: Select<problem_job::Entity>,
    now: Timestamp,
) -> Result<ProblemCount, DbErr> {
    let since = |span: Duration| jobs.clone().filter(C::At.gt((now - span).to_datetime()));
    Ok(ProblemCount {
        hour: since(HOUR).count(tx).await?,
        day: since(DAY).count(tx).await?,
    })
}
