//! Writes what a group changed: set-based statements, new rows first, deletions last.

use muster_protocol::{JobId, RequestId, UserId};
use sea_orm::{
    DatabaseTransaction, DbErr, Value,
    sea_query::{Expr, ExprTrait as _, IntoIden as _, IntoTableRef as _, Query, UpdateStatement},
};

use super::{
    flush_tallies,
    working_set::{JobRow, Origin, RequestRow, WorkingSet},
};
use crate::{
    FinishJob, NewRequest, StartJobs, codes,
    entity::{api_key, job, request, shared_key, style, user, webhook_delivery, worker, worker_message},
    sql::{execute_all, lists, nth, pieces, update_from_values},
};

type Tx = DatabaseTransaction;

/// Writes everything that differs from the database.
pub(super) async fn flush(tx: &Tx, set: &WorkingSet) -> Result<(), DbErr> {
    requests(tx, set).await?;
    jobs(tx, set).await?;
    webhook_deliveries(tx, set).await?;
    deletions(tx, set).await?;
    accounts(tx, set).await?;
    workers(tx, set).await?;
    flush_tallies::flush(tx, &set.books).await
}

async fn requests(tx: &Tx, set: &WorkingSet) -> Result<(), DbErr> {
    use request::Column as C;
    let mut new = Vec::new();
    let mut changed = Vec::new();
    for (id, row) in &set.requests {
        match (&row.new, row.origin) {
            (Some(request), _) => new.push((row, request)),
            (None, Origin::Changed) => changed.push(request_update(*id, row)),
            (None, _) => {}
        }
    }
    for piece in pieces(&new) {
        let mut insert = Query::insert();
        insert.into_table(request::Entity).columns(request::COLUMNS);
        for (row, request) in piece {
            insert.values_panic(request_row(row, request).map(Expr::from));
        }
        execute_all(tx, vec![insert]).await?;
    }
    let columns = [
        C::SlotsLeft,
        C::Faulted,
        C::Cancelled,
        C::Expiry,
        C::Consumed,
        C::UpdatedAt,
        C::Held,
    ];
    let updates = update_from_values(request::Entity, C::Id, &changed, |update| assign(update, columns));
    execute_all(tx, updates).await
}

/// Assigns the second and following columns of the rows.
fn assign<const N: usize>(update: &mut UpdateStatement, columns: [impl sea_orm::sea_query::IntoIden; N]) {
    for (index, column) in columns.into_iter().enumerate() {
        update.value(column, nth(index + 2));
    }
}

fn request_row(row: &RequestRow, request: &NewRequest) -> [Value; 20] {
    [
        request.id.0.into(),
        codes::kind_to_code(request.kind).into(),
        request.user.0.into(),
        request.shared_key.into(),
        request.created.to_datetime().into(),
        row.expiry.to_datetime().into(),
        row.slots_left.into(),
        request.jobs_total.into(),
        row.faulted.into(),
        row.cancelled.into(),
        request.priority.into(),
        request.price.into(),
        row.consumed.hundredths().into(),
        request.things.into(),
        request.client_agent.clone().into(),
        request.ip.clone().into(),
        request.webhook.clone().into(),
        request.payload.clone().into(),
        row.updated_at.to_datetime().into(),
        row.held.hundredths().into(),
    ]
}

fn request_update(id: RequestId, row: &RequestRow) -> Vec<Value> {
    vec![
        id.0.into(),
        row.slots_left.into(),
        row.faulted.into(),
        row.cancelled.into(),
        row.expiry.to_datetime().into(),
        row.consumed.hundredths().into(),
        row.updated_at.to_datetime().into(),
        row.held.hundredths().into(),
    ]
}

async fn jobs(tx: &Tx, set: &WorkingSet) -> Result<(), DbErr> {
    use job::Column as C;
    let mut new = Vec::new();
    let mut finished = Vec::new();
    let mut faulted = Vec::new();
    for (id, row) in &set.jobs {
        if let Some((start, index)) = &row.new {
            new.push((row, start, *index));
        } else if row.origin == Origin::Changed {
            match &row.finish {
                Some(finish) => finished.push(job_result(*id, row, finish)),
                None => faulted.push(job_end(*id, row)),
            }
        }
    }
    for piece in pieces(&new) {
        let mut insert = Query::insert();
        insert.into_table(job::Entity).columns(job::COLUMNS);
        for (row, start, index) in piece {
            insert.values_panic(job_row(row, start, *index).map(Expr::from));
        }
        execute_all(tx, vec![insert]).await?;
    }
    let columns = [
        C::State,
        C::FinishedAt,
        C::Seed,
        C::Result,
        C::GenMetadata,
        C::Censored,
        C::Reward,
    ];
    let results = update_from_values(job::Entity, C::Id, &finished, |update| assign(update, columns));
    execute_all(tx, results).await?;
    let columns = [C::State, C::FinishedAt];
    let faults = update_from_values(job::Entity, C::Id, &faulted, |update| assign(update, columns));
    execute_all(tx, faults).await
}

/// What is announced of the results that came in this group.
async fn webhook_deliveries(tx: &Tx, set: &WorkingSet) -> Result<(), DbErr> {
    use webhook_delivery::Column as C;
    let finished = set.jobs.values().filter_map(|row| row.finish.as_deref());
    let new: Vec<_> = finished
        .filter_map(|finish| Some((finish, finish.webhook.as_ref()?)))
        .collect();
    for piece in pieces(&new) {
        let mut insert = Query::insert();
        insert.into_table(webhook_delivery::Entity).columns([
            C::JobId,
            C::Url,
            C::Body,
            C::AsUrl,
            C::Attempts,
            C::NextAttempt,
        ]);
        for (finish, webhook) in piece {
            insert.values_panic([
                finish.job.0.into(),
                webhook.url.clone().into(),
                webhook.body.clone().into(),
                webhook.as_url.into(),
                0.into(),
                finish.at.to_datetime().into(),
            ]);
        }
        execute_all(tx, vec![insert]).await?;
    }
    Ok(())
}

fn job_row(row: &JobRow, start: &StartJobs, index: usize) -> [Value; 16] {
    let job = &start.jobs[index];
    let finish = row.finish.as_deref();
    [
        job.id.0.into(),
        start.request.0.into(),
        start.worker.0.into(),
        codes::kind_to_code(start.kind).into(),
        job.model.clone().into(),
        (row.state as i16).into(),
        start.at.to_datetime().into(),
        job.deadline.to_datetime().into(),
        finish.map_or(job.seed, |finish| finish.seed).into(),
        finish.map(|finish| finish.result.clone()).into(),
        finish.and_then(|finish| finish.gen_metadata.clone()).into(),
        finish.is_some_and(|finish| finish.censored).into(),
        job.fake.into(),
        row.reward.map(muster_protocol::Kudos::hundredths).into(),
        row.finished_at
            .map(muster_protocol::Timestamp::to_datetime)
            .into(),
        job.payload.clone().into(),
    ]
}

fn job_end(id: JobId, row: &JobRow) -> Vec<Value> {
    vec![
        id.0.into(),
        (row.state as i16).into(),
        row.finished_at
            .map(muster_protocol::Timestamp::to_datetime)
            .into(),
    ]
}

fn job_result(id: JobId, row: &JobRow, finish: &FinishJob) -> Vec<Value> {
    let mut values = job_end(id, row);
    values.extend([
        finish.seed.into(),
        finish.result.clone().into(),
        finish.gen_metadata.clone().into(),
        finish.censored.into(),
        finish.reward.hundredths().into(),
    ]);
    values
}

async fn deletions(tx: &Tx, set: &WorkingSet) -> Result<(), DbErr> {
    let deleted = set
        .requests
        .iter()
        .filter(|(_, row)| row.deleted)
        .map(|(id, _)| id.0);
    for ids in lists(deleted) {
        let of_request = Expr::col(job::Column::RequestId).is_in(ids.clone());
        let jobs = Query::delete()
            .from_table(job::Entity)
            .and_where(of_request)
            .take();
        let by_id = Expr::col(request::Column::Id).is_in(ids);
        let requests = Query::delete()
            .from_table(request::Entity)
            .and_where(by_id)
            .take();
        execute_all(tx, vec![jobs, requests]).await?;
    }
    Ok(())
}

/// Accounts change rarely, so each has a statement of its own.
async fn accounts(tx: &Tx, set: &WorkingSet) -> Result<(), DbErr> {
    use sea_orm::{ActiveModelTrait as _, EntityTrait as _, IntoActiveModel as _};
    for row in set.users.values() {
        match row.origin {
            Origin::Stored => {}
            Origin::New => {
                user::Entity::insert(row.model.clone().into_active_model())
                    .exec_without_returning(tx)
                    .await?;
            }
            Origin::Changed => {
                let mut changed = row.model.clone().into_active_model().reset_all();
                changed.last_active = sea_orm::ActiveValue::NotSet; // belongs to the tallies
                changed.update(tx).await?;
            }
        }
    }
    let dead = set.dead_keys.iter().map(|user: &UserId| user.0);
    for users in lists(dead) {
        let of_users = Expr::col(api_key::Column::UserId).is_in(users);
        execute_all(
            tx,
            vec![
                Query::delete()
                    .from_table(api_key::Entity)
                    .and_where(of_users)
                    .take(),
            ],
        )
        .await?;
    }
    for key in set.keys.values().filter(|key| key.origin == Origin::New) {
        api_key::Entity::insert(key.model.clone().into_active_model())
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}

async fn workers(tx: &Tx, set: &WorkingSet) -> Result<(), DbErr> {
    use sea_orm::{ActiveModelTrait as _, EntityTrait as _, IntoActiveModel as _};
    use worker::Column as C;
    for owners in lists(set.unpaused.iter().map(|user| user.0)) {
        let unpause = Query::update()
            .table(worker::Entity)
            .value(C::Paused, false)
            .and_where(Expr::col(C::Owner).is_in(owners))
            .take();
        execute_all(tx, vec![unpause]).await?;
    }
    for owners in lists(set.wiped.iter().map(|user| user.0)) {
        wipe(tx, owners).await?;
    }
    for (_, row) in set
        .workers
        .iter()
        .filter(|(id, _)| !set.deleted_workers.contains(id))
    {
        match row.origin {
            Origin::Stored => {}
            Origin::New => {
                let new = row.model.clone().into_active_model();
                worker::Entity::insert(new).exec_without_returning(tx).await?;
            }
            Origin::Changed => {
                own_columns(&row.model).update(tx).await?;
            }
        }
    }
    let check_ins: Vec<_> = set.check_ins.values().map(check_in_row).collect();
    let updates = update_from_values(worker::Entity, C::Id, &check_ins, |update| {
        assign(update, CHECK_IN_COLUMNS);
        update.and_where(Expr::col((worker::Entity, C::LastCheckIn)).lte(nth(2)));
    });
    execute_all(tx, updates).await?;
    for ids in lists(set.deleted_workers.iter().map(|id| id.0)) {
        let to_worker = Expr::col(worker_message::Column::Worker).is_in(ids.clone());
        let by_id = Expr::col(C::Id).is_in(ids);
        let deletions = vec![
            Query::delete()
                .from_table(worker_message::Entity)
                .and_where(to_worker)
                .take(),
            Query::delete().from_table(worker::Entity).and_where(by_id).take(),
        ];
        execute_all(tx, deletions).await?;
    }
    Ok(())
}

/// Deletes the workers and shared keys of accounts, with the messages to those workers.
async fn wipe(tx: &Tx, owners: Vec<Value>) -> Result<(), DbErr> {
    let workers = Query::select()
        .column(worker::Column::Id)
        .from(worker::Entity)
        .and_where(Expr::col(worker::Column::Owner).is_in(owners.clone()))
        .take();
    let keys = Query::select()
        .column(shared_key::Column::Id)
        .from(shared_key::Entity)
        .and_where(Expr::col(shared_key::Column::Owner).is_in(owners.clone()))
        .take();
    let unbind = Query::update()
        .table(style::Entity)
        .value(style::Column::SharedKey, None::<uuid::Uuid>)
        .and_where(Expr::col(style::Column::SharedKey).in_subquery(keys))
        .take();
    execute_all(tx, vec![unbind]).await?;
    let mut messages = Query::delete();
    messages
        .from_table(worker_message::Entity)
        .and_where(Expr::col(worker_message::Column::Worker).in_subquery(workers));
    let mut of_owners = vec![messages];
    for (table, owner) in [
        (worker::Entity.into_table_ref(), worker::Column::Owner.into_iden()),
        (
            shared_key::Entity.into_table_ref(),
            shared_key::Column::Owner.into_iden(),
        ),
    ] {
        let mut delete = Query::delete();
        delete
            .from_table(table)
            .and_where(Expr::col(owner).is_in(owners.clone()));
        of_owners.push(delete);
    }
    execute_all(tx, of_owners).await
}

/// The columns that [`crate::WorkerChanges`] may change; the others belong to check-ins and tallies.
fn own_columns(model: &worker::Model) -> worker::ActiveModel {
    use sea_orm::ActiveValue::{Set, Unchanged};
    worker::ActiveModel {
        id: Unchanged(model.id),
        name: Set(model.name.clone()),
        info: Set(model.info.clone()),
        team: Set(model.team),
        paused: Set(model.paused),
        maintenance: Set(model.maintenance),
        maintenance_message: Set(model.maintenance_message.clone()),
        suspicions: Set(model.suspicions.clone()),
        ..Default::default()
    }
}

const CHECK_IN_COLUMNS: [worker::Column; 13] = {
    use worker::Column as C;
    [
        C::LastCheckIn,
        C::Ip,
        C::BridgeAgent,
        C::Threads,
        C::MaxPower,
        C::ExtraSlow,
        C::AllowUnsafeIp,
        C::Speed,
        C::Uptime,
        C::LastRewardUptime,
        C::AbortedJobs,
        C::LastAbortedJob,
        C::Settings,
    ]
};

fn check_in_row(check_in: &crate::WorkerCheckIn) -> Vec<Value> {
    vec![
        check_in.worker.0.into(),
        check_in.at.to_datetime().into(),
        check_in.ip.clone().into(),
        check_in.bridge_agent.clone().into(),
        check_in.threads.into(),
        check_in.max_power.into(),
        check_in.extra_slow.into(),
        check_in.allow_unsafe_ip.into(),
        check_in.speed.into(),
        check_in.uptime.into(),
        check_in.last_reward_uptime.into(),
        check_in.aborted_jobs.into(),
        check_in
            .last_aborted_job
            .map(muster_protocol::Timestamp::to_datetime)
            .into(),
        check_in.settings.clone().into(),
    ]
}
