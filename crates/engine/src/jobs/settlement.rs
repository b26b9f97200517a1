//! Who pays and who earns when a job is delivered: one balanced event and its statistics.

use muster_kudos::{
    image::{
        ImageJob,
        settlement::{RequestTerms, censored_charge, requester_charge},
    },
    income::Income,
    rounding::round2,
};
use muster_protocol::{JobId, Kudos, RequestId, Timestamp, WorkKind, WorkerId};
use muster_store::{
    EventKind, KudosAction, LedgerEvent, RecordKind, RecordTally, SystemAccount, Tallies, UserTally,
    WorkerAction, WorkerTally,
};

use crate::accounts::Caller;

/// A job that was delivered.
pub(crate) struct Delivery<'a> {
    pub(crate) request: RequestId,
    pub(crate) job: JobId,
    pub(crate) worker: WorkerId,
    pub(crate) requester: &'a Caller,
    pub(crate) owner: &'a Caller,
    pub(crate) priced: &'a ImageJob,
    pub(crate) terms: RequestTerms,
    /// What the worker is told: the price times the multiplier of its model.
    pub(crate) reward: f64,
    /// The share of it that the worker's software earns.
    pub(crate) bridge_multiplier: f64,
    pub(crate) censored: bool,
    /// Pixelsteps.
    pub(crate) things: u64,
    pub(crate) at: Timestamp,
}

/// What a delivery moves.
pub(crate) struct Settlement {
    pub(crate) event: LedgerEvent,
    pub(crate) tallies: Tallies,
    /// What the requester pays.
    pub(crate) charge: Kudos,
}

impl Delivery<'_> {
    /// Books the delivery: the requester pays the charge, the owner earns, the difference is burnt
    /// or minted (spec: kudos, sections 3, 9 and 17).
    pub(crate) fn settle(&self) -> Settlement {
        let charge = Kudos::from_f64(if self.censored {
            censored_charge(self.terms)
        } else {
            requester_charge(self.reward, self.priced, self.terms)
        });
        let reward = self.reward * self.bridge_multiplier;
        let income = if self.owner.is_trusted() {
            Income::unrestricted(Kudos::from_f64(reward))
        } else {
            Income::of_untrusted_job(reward)
        };
        let earned = income.total();

        let requester = self.requester.id();
        let owner = self.owner.id();
        let floor = |account: &Caller| account.kind().floor();
        let mut event = LedgerEvent::new(format!("deliver:{}", self.job), EventKind::Generation, self.at)
            .of_request(self.request)
            .of_job(self.job)
            .with_floor(requester, -charge, floor(self.requester))
            .with_floor(owner, income.spendable, floor(self.owner));
        if income.escrow > Kudos::ZERO {
            event = event.with_escrow(owner, income.escrow);
        }
        let difference = charge - earned;
        let system = if difference >= Kudos::ZERO {
            SystemAccount::Burn
        } else {
            SystemAccount::Treasury
        };
        if difference != Kudos::ZERO {
            event = event.with(system, difference);
        }
        Settlement {
            event,
            tallies: self.tallies(earned, income.spendable, charge),
            charge,
        }
    }

    fn tallies(&self, earned: Kudos, spendable: Kudos, charge: Kudos) -> Tallies {
        let (requester, owner) = (self.requester.id(), self.owner.id());
        let megapixelsteps = round2(self.things as f64 / 1e6);
        let usage = round2(self.things as f64 * self.requester.account().usage_multiplier / 1e6);
        let record = |user, record, amount| RecordTally {
            user,
            record,
            kind: WorkKind::Image,
            amount,
        };
        let total = |user, amount| UserTally {
            user,
            action: KudosAction::Accumulated,
            amount,
        };
        let mut active = vec![(owner, self.at)];
        if !requester.is_anonymous() {
            active.push((requester, self.at));
        }
        Tallies {
            totals: vec![total(owner, spendable), total(requester, -charge)],
            records: vec![
                record(owner, RecordKind::Fulfillment, 1.0),
                record(owner, RecordKind::Contribution, megapixelsteps),
                record(requester, RecordKind::Request, 1.0),
                record(requester, RecordKind::Usage, usage),
            ],
            workers: vec![WorkerTally {
                kudos: earned,
                contributions: megapixelsteps,
                fulfilments: 1,
                ..WorkerTally::new(self.worker, WorkerAction::Generated)
            }],
            active,
        }
    }
}
