//! Who pays and who earns when a job is delivered: one balanced event and its statistics.

use muster_kudos::{income::Income, rounding::round2};
use muster_protocol::{JobId, Kudos, RequestId, Timestamp, WorkerId};
use muster_store::{
    EventKind, KudosAction, LedgerEvent, RecordKind, RecordTally, SharedKeyTally, SystemAccount, Tallies,
    TeamTally, UserTally, WorkerTally,
};
use uuid::Uuid;

use crate::{accounts::Caller, work::Work};

/// A job that was delivered.
pub(crate) struct Delivery<'a> {
    pub(crate) request: RequestId,
    pub(crate) job: JobId,
    pub(crate) worker: WorkerId,
    pub(crate) requester: &'a Caller,
    /// The shared key that is charged, too.
    pub(crate) shared_key: Option<Uuid>,
    /// The team that the job counts for.
    pub(crate) team: Option<Uuid>,
    pub(crate) owner: &'a Caller,
    /// What the owner earns, of which an untrusted one gets a part later.
    pub(crate) earned: f64,
    /// What the requester pays.
    pub(crate) charge: Kudos,
    /// Work in the job: pixelsteps, tokens.
    pub(crate) things: u64,
    pub(crate) at: Timestamp,
}

/// What a delivery moves.
pub(crate) struct Settlement {
    pub(crate) event: LedgerEvent,
    pub(crate) tallies: Tallies,
}

impl Delivery<'_> {
    /// Books the delivery: the requester pays the charge, the owner earns, the difference is burnt
    /// or minted (spec: kudos, sections 3, 4, 5, 9 and 17).
    pub(crate) fn settle<W: Work>(&self) -> Settlement {
        let income = if self.owner.is_trusted() {
            Income::unrestricted(Kudos::from_f64(self.earned))
        } else {
            Income::of_untrusted_job(self.earned)
        };
        let earned = income.total();

        let requester = self.requester.id();
        let owner = self.owner.id();
        let floor = |account: &Caller| account.kind().floor();
        let mut event = LedgerEvent::new(format!("deliver:{}", self.job), EventKind::Generation, self.at)
            .of_request(self.request)
            .of_job(self.job)
            .with_floor(requester, -self.charge, floor(self.requester))
            .with_floor(owner, income.spendable, floor(self.owner));
        if income.escrow > Kudos::ZERO {
            event = event.with_escrow(owner, income.escrow);
        }
        let difference = self.charge - earned;
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
            tallies: self.tallies::<W>(earned, income.spendable),
        }
    }

    fn tallies<W: Work>(&self, earned: Kudos, spendable: Kudos) -> Tallies {
        let (requester, owner) = (self.requester.id(), self.owner.id());
        let amount = round2(W::amount(self.things as f64));
        let usage = round2(W::amount(
            self.things as f64 * self.requester.account().usage_multiplier,
        ));
        let record = |user, record, amount| RecordTally {
            user,
            record,
            kind: W::KIND,
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
            totals: vec![total(owner, spendable), total(requester, -self.charge)],
            records: vec![
                record(owner, RecordKind::Fulfillment, 1.0),
                record(owner, RecordKind::Contribution, amount),
                record(requester, RecordKind::Request, 1.0),
                record(requester, RecordKind::Usage, usage),
            ],
            workers: vec![WorkerTally {
                kudos: earned,
                contributions: amount,
                fulfilments: 1,
                ..WorkerTally::new(self.worker, W::ACTION)
            }],
            active,
            teams: self
                .team
                .map(|team| TeamTally {
                    team,
                    at: self.at,
                    contributions: amount,
                    fulfilments: 1,
                    kudos: earned,
                    uptime: 0,
                })
                .into_iter()
                .collect(),
            shared_keys: self
                .shared_key
                .map(|key| SharedKeyTally {
                    key,
                    amount: self.charge,
                })
                .into_iter()
                .collect(),
            ..Tallies::default()
        }
    }
}
