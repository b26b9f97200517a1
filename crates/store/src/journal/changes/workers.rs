//! How workers come to be and change.

use std::sync::Arc;

use muster_protocol::WorkerId;
use serde_json::json;

use super::super::{
    change::{Change, Needs},
    working_set::{Origin, Row, WorkingSet},
};
use crate::{
    JournalError, NewWorker, StoredWorker, WorkerChanges, WorkerCheckIn, WorkerRegistration, codes,
    entity::worker, reads::worker_from,
};

fn stored(row: worker::Model) -> Result<StoredWorker, JournalError> {
    worker_from(row).map_err(|_| JournalError::Invalid("the worker's row cannot be read"))
}

/// A worker is made.
pub(in super::super) struct RegisterWorker(pub(in super::super) NewWorker);

impl Change for RegisterWorker {
    type Outcome = WorkerRegistration;

    fn needs(&self, needs: &mut Needs) {
        needs.worker_names.insert(self.0.name.clone());
        needs.workers.insert(self.0.state.worker);
    }

    fn apply(self: &Arc<Self>, set: &mut WorkingSet) -> Result<WorkerRegistration, JournalError> {
        let new = &self.0;
        let id = new.state.worker;
        if let Some(taken_by) = set.worker_names.get(&new.name).and_then(|id| set.workers.get(id)) {
            let same = taken_by.model.id == id.0 && taken_by.model.owner == new.owner.0;
            let row = taken_by.model.clone();
            return if set.again && same {
                // The attempt before this one was committed after all.
                Ok(WorkerRegistration::Registered(Box::new(stored(row)?)))
            } else {
                let worker = stored(row)?;
                let (kind, owner) = (worker.kind, worker.owner);
                Ok(WorkerRegistration::NameTaken {
                    worker: worker.id,
                    kind,
                    owner,
                })
            };
        }
        if set.workers.contains_key(&id) {
            return Err(JournalError::Invalid("the worker exists"));
        }
        let row = new_row(new);
        let worker = stored(row.clone())?;
        set.worker_names.insert(new.name.clone(), id);
        set.workers.insert(id, Row::new(row));
        Ok(WorkerRegistration::Registered(Box::new(worker)))
    }
}

fn new_row(new: &NewWorker) -> worker::Model {
    let state = &new.state;
    worker::Model {
        id: state.worker.0,
        kind: codes::kind_to_code(new.kind),
        owner: new.owner.0,
        name: new.name.clone(),
        created: state.at.to_datetime(),
        info: None,
        team: None,
        paused: false,
        maintenance: false,
        maintenance_message: None,
        suspicions: json!([]),
        ip: state.ip.clone(),
        bridge_agent: state.bridge_agent.clone(),
        threads: state.threads,
        max_power: state.max_power,
        extra_slow: state.extra_slow,
        allow_unsafe_ip: state.allow_unsafe_ip,
        speed: state.speed,
        last_check_in: state.at.to_datetime(),
        uptime: state.uptime,
        last_reward_uptime: state.last_reward_uptime,
        aborted_jobs: state.aborted_jobs,
        last_aborted_job: state
            .last_aborted_job
            .map(muster_protocol::Timestamp::to_datetime),
        settings: state.settings.clone(),
        kudos: 0,
        kudos_generated: 0,
        kudos_uptime: 0,
        kudos_interrogated: 0,
        contributions: 0,
        fulfilments: 0,
        uncompleted_jobs: 0,
    }
}

/// Workers said something about themselves.
pub(in super::super) struct CheckIn(pub(in super::super) Vec<WorkerCheckIn>);

impl Change for CheckIn {
    type Outcome = ();

    fn needs(&self, _: &mut Needs) {}

    fn apply(self: &Arc<Self>, set: &mut WorkingSet) -> Result<(), JournalError> {
        for check_in in &self.0 {
            set.note_check_in(check_in);
        }
        Ok(())
    }
}

/// A worker changes.
pub(in super::super) struct SetWorker {
    pub(in super::super) worker: WorkerId,
    pub(in super::super) changes: WorkerChanges,
}

impl Change for SetWorker {
    type Outcome = StoredWorker;

    fn needs(&self, needs: &mut Needs) {
        needs.workers.insert(self.worker);
        needs.worker_names.extend(self.changes.name.clone());
    }

    fn apply(self: &Arc<Self>, set: &mut WorkingSet) -> Result<StoredWorker, JournalError> {
        let old_name = set.worker(self.worker)?.model.name.clone();
        if let Some(name) = &self.changes.name {
            match set.worker_names.get(name) {
                Some(owner) if *owner != self.worker => return Err(JournalError::NameTaken(name.clone())),
                Some(_) => {}
                None => {
                    set.worker_names.remove(&old_name);
                    set.worker_names.insert(name.clone(), self.worker);
                }
            }
        }
        let row = set.worker(self.worker)?;
        if row.origin == Origin::Stored {
            row.origin = Origin::Changed;
        }
        let model = &mut row.model;
        change_row(model, &self.changes);
        stored(row.model.clone())
    }
}

fn change_row(row: &mut worker::Model, changes: &WorkerChanges) {
    fn set<T: Clone>(field: &mut T, new: Option<&T>) {
        if let Some(new) = new {
            field.clone_from(new);
        }
    }
    set(&mut row.name, changes.name.as_ref());
    set(&mut row.info, changes.info.as_ref());
    set(&mut row.team, changes.team.as_ref());
    set(&mut row.paused, changes.paused.as_ref());
    set(&mut row.maintenance, changes.maintenance.as_ref());
    set(&mut row.maintenance_message, changes.maintenance_message.as_ref());
    if let Some(suspicions) = &changes.suspicions {
        row.suspicions = json!(suspicions);
    }
    if let Some(suspicion) = changes.suspect {
        suspicion.add_to(&mut row.suspicions);
    }
}

/// A worker is deleted.
pub(in super::super) struct DeleteWorker(pub(in super::super) WorkerId);

impl Change for DeleteWorker {
    type Outcome = bool;

    fn needs(&self, needs: &mut Needs) {
        needs.workers.insert(self.0);
    }

    fn apply(self: &Arc<Self>, set: &mut WorkingSet) -> Result<bool, JournalError> {
        let Ok(row) = set.worker(self.0) else {
            return Ok(false);
        };
        let name = row.model.name.clone();
        set.worker_names.remove(&name);
        set.deleted_workers.insert(self.0);
        Ok(true)
    }
}
