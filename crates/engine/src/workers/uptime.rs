//! What a worker earns for being there (spec: kudos, section 9.2).

use std::time::Duration;

use muster_kudos::income::{Income, UptimeMeter};
use muster_protocol::{Kudos, Timestamp, WorkerId};
use muster_store::{
    EventKind, KudosAction, LedgerEvent, Posted, SystemAccount, Tallies, TeamTally, UserTally, WorkerAction,
    WorkerCheckIn, WorkerTally,
};
use uuid::Uuid;

use super::registry::{SharedWorker, Worker};
use crate::{
    Engine,
    accounts::Caller,
    metrics::{self, Flow},
    work::Work,
};

/// A reward that a check-in has earned.
pub(super) struct UptimeReward {
    amount: Kudos,
    worker: WorkerId,
    team: Option<Uuid>,
    /// All the time that counted so far, with which the reward is booked: it is never the same twice.
    uptime: Duration,
    /// What was rewarded before.
    rewarded_until: Duration,
    check_in: WorkerCheckIn,
}

impl UptimeReward {
    pub(super) fn of(amount: Kudos, worker: &Worker, rewarded_until: Duration) -> Self {
        Self {
            amount,
            worker: worker.id,
            team: worker.team,
            uptime: worker.uptime,
            rewarded_until,
            check_in: worker.check_in_row(),
        }
    }

    fn event(&self, owner: &Caller, income: Income, at: Timestamp) -> LedgerEvent {
        let key = format!("uptime:{}:{}", self.worker, self.uptime.as_millis());
        let mut event = LedgerEvent::new(key, EventKind::UptimeReward, at);
        if income.spendable > Kudos::ZERO {
            event = event.with_floor(owner.id(), income.spendable, owner.kind().floor());
        }
        if income.escrow > Kudos::ZERO {
            event = event.with_escrow(owner.id(), income.escrow);
        }
        event.with(SystemAccount::Treasury, -income.total())
    }

    fn tallies(&self, owner: &Caller, income: Income, at: Timestamp) -> Tallies {
        let spendable = (income.spendable > Kudos::ZERO).then_some(UserTally {
            user: owner.id(),
            action: KudosAction::Accumulated,
            amount: income.spendable,
        });
        Tallies {
            totals: spendable.into_iter().collect(),
            workers: vec![WorkerTally {
                kudos: self.amount,
                ..WorkerTally::new(self.worker, WorkerAction::Uptime)
            }],
            teams: self
                .team
                .map(|team| TeamTally {
                    team,
                    at,
                    contributions: 0.0,
                    fulfilments: 0,
                    kudos: Kudos::ZERO,
                    uptime: UptimeMeter::REWARD_INTERVAL.as_secs() as i64,
                })
                .into_iter()
                .collect(),
            active: vec![(owner.id(), at)],
            ..Tallies::default()
        }
    }
}

impl Engine {
    /// Pays a reward. If it cannot be booked, the worker earns it again with its next check-in, so whoever pops is not
    /// bothered with that.
    pub(super) async fn pay_uptime<W: Work>(
        &self,
        owner: &Caller,
        worker: &SharedWorker,
        reward: UptimeReward,
    ) {
        let now = self.clock.now();
        let income = if owner.is_trusted() || owner.id().is_anonymous() || !W::WITHHOLDS_UPTIME {
            Income::unrestricted(reward.amount)
        } else {
            Income::of_untrusted_uptime(reward.amount)
        };
        let event = reward.event(owner, income, now);
        let tallies = reward.tallies(owner, income, now);
        let done = tallies.workers.clone();
        let journal = self.store.journal();
        match journal.reward_uptime(event, tallies, reward.check_in).await {
            Ok(Posted::Posted { balances }) => {
                self.learn_balances(&balances);
                metrics::kudos_moved(Flow::Uptime, reward.amount);
                self.count_for_workers(&done);
                self.evaluate_trust(owner.id()).await;
            }
            Ok(Posted::Duplicate) => {}
            Err(error) => {
                tracing::error!(%error, worker = %reward.worker, "uptime could not be rewarded; it is tried again");
                worker.lock().last_reward_uptime = reward.rewarded_until;
            }
        }
    }
}
