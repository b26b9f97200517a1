//! The typed changes: what each needs and how it decides.
//!
//! The functions here run in the caller's task: they refuse what is malformed and clean text,
//! before anything is queued.

mod accounts;
mod money;
mod requests;
mod workers;
mod write;

pub(super) use self::{
    accounts::{RegisterAccount, Rekey, SetAccount, WipeAccount},
    money::PostEvent,
    requests::{Cancel, Expire, ReleaseHold},
    workers::{CheckIn, DeleteWorker, RegisterWorker, SetWorker},
    write::Write,
};
use crate::{
    AccountChanges, FinishJob, JournalError, NewAccount, NewRequest, NewWorker, StartJobs, WorkerChanges,
    WorkerCheckIn,
    text::{clean, clean_json, clean_option},
};

pub(super) fn cleaned(mut text: String) -> String {
    clean(&mut text);
    text
}

pub(super) fn checked_request(mut request: NewRequest) -> Result<NewRequest, JournalError> {
    if request.jobs_total < 0 {
        return Err(JournalError::Invalid("a request cannot have fewer than no slots"));
    }
    if let Some(event) = &request.event {
        event.validate()?;
    }
    clean(&mut request.client_agent);
    clean_option(&mut request.ip);
    clean_option(&mut request.webhook);
    clean_json(&mut request.payload);
    Ok(request)
}

pub(super) fn checked_start(mut start: StartJobs) -> Result<StartJobs, JournalError> {
    if start.jobs.is_empty() {
        return Err(JournalError::Invalid("a start needs at least one job"));
    }
    for job in &mut start.jobs {
        clean(&mut job.model);
        if let Some(payload) = &mut job.payload {
            clean_json(payload);
        }
    }
    Ok(start)
}

pub(super) fn checked_finish(mut finish: FinishJob) -> Result<FinishJob, JournalError> {
    if let Some(event) = &finish.event {
        event.validate()?;
        if !event.requires.is_empty() {
            return Err(JournalError::InvalidEvent {
                key: event.key.clone(),
                why: "work that was done is paid whatever the payer has",
            });
        }
    }
    clean(&mut finish.result);
    if let Some(metadata) = &mut finish.gen_metadata {
        clean_json(metadata);
    }
    if let Some(webhook) = &mut finish.webhook {
        clean(&mut webhook.url);
        clean_json(&mut webhook.body);
    }
    Ok(finish)
}

pub(super) fn cleaned_account(mut account: NewAccount) -> NewAccount {
    clean(&mut account.username);
    clean(&mut account.external_id);
    account
}

pub(super) fn cleaned_changes(mut changes: AccountChanges) -> AccountChanges {
    clean_option(&mut changes.username);
    clean_option(&mut changes.external_id);
    let texts = [
        &mut changes.contact,
        &mut changes.admin_comment,
        &mut changes.proxy_passkey,
    ];
    texts.into_iter().flatten().for_each(clean_option);
    changes
}

pub(super) fn cleaned_worker(mut worker: NewWorker) -> NewWorker {
    clean(&mut worker.name);
    clean_check_in(&mut worker.state);
    worker
}

pub(super) fn cleaned_check_ins(mut check_ins: Vec<WorkerCheckIn>) -> Vec<WorkerCheckIn> {
    check_ins.iter_mut().for_each(clean_check_in);
    check_ins
}

fn clean_check_in(check_in: &mut WorkerCheckIn) {
    clean_option(&mut check_in.ip);
    clean(&mut check_in.bridge_agent);
    clean_json(&mut check_in.settings);
}

pub(super) fn cleaned_worker_changes(mut changes: WorkerChanges) -> WorkerChanges {
    clean_option(&mut changes.name);
    let texts = [&mut changes.info, &mut changes.maintenance_message];
    texts.into_iter().flatten().for_each(clean_option);
    changes
}
