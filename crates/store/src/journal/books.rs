//! Money inside a group: events become ledger entries and balance movements, tallies are added up.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::atomic::{AtomicU64, Ordering},
};

use muster_protocol::{JobId, Kudos, RequestId, Timestamp, UserId, WorkerId};
use uuid::Uuid;

use crate::{
    AccountRef, Balances, EventKind, JournalError, KudosAction, LedgerEvent, Pot, RecordKind, SystemAccount,
    Tallies, WorkerAction, codes,
};

/// A pot: account number and which of its pots.
pub(crate) type PotKey = (i64, Pot);

/// An entry to be written.
#[derive(Clone, Debug)]
pub(crate) struct LedgerRow {
    pub(crate) event: String,
    pub(crate) leg: i16,
    pub(crate) kind: EventKind,
    pub(crate) pot: PotKey,
    pub(crate) amount: i64,
    pub(crate) at: Timestamp,
    pub(crate) request: Option<RequestId>,
    pub(crate) job: Option<JobId>,
}

/// What is added to a worker's totals.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WorkerDelta {
    pub(crate) generated: i64,
    pub(crate) uptime: i64,
    pub(crate) interrogated: i64,
    pub(crate) contributions: i64,
    pub(crate) fulfilments: i64,
    pub(crate) uncompleted_jobs: i64,
}

/// What is added to a team's totals.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TeamDelta {
    pub(crate) contributions: i64,
    pub(crate) fulfilments: i64,
    pub(crate) kudos: i64,
    pub(crate) uptime: i64,
    pub(crate) last_active: Timestamp,
}

/// Balances as they are after what was booked so far, and everything that is to be written.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// See [`Balances::version`].
    version: u64,
    /// The pots of users, as loaded and then moved. Missing ones are empty.
    pub(crate) amounts: HashMap<PotKey, i64>,
    /// Keys that are in the ledger.
    pub(crate) booked: HashSet<String>,
    /// What the group adds to each pot, in the order in which rows are written.
    pub(crate) deltas: BTreeMap<PotKey, i64>,
    pub(crate) entries: Vec<LedgerRow>,
    pub(crate) totals: BTreeMap<(UserId, KudosAction), i64>,
    pub(crate) records: BTreeMap<(UserId, RecordKind, i16), i64>,
    pub(crate) workers: BTreeMap<WorkerId, WorkerDelta>,
    /// By kind, hour, model and measure.
    pub(crate) work: BTreeMap<(i16, i64, String, i16), i64>,
    pub(crate) active: BTreeMap<UserId, Timestamp>,
    pub(crate) teams: BTreeMap<Uuid, TeamDelta>,
    /// What is charged to each shared key.
    pub(crate) shared_keys: BTreeMap<Uuid, i64>,
    /// What is added to the budget of each shared key.
    pub(crate) shared_key_gifts: BTreeMap<Uuid, i64>,
    /// How often each style or collection was used.
    pub(crate) uses: BTreeMap<Uuid, i64>,
}

/// The version of the balances after the next event. All journals of the process share it, so that a later answer always
/// has a larger one.
static VERSIONS: AtomicU64 = AtomicU64::new(1);

const MILLIS_AN_HOUR: i64 = 3_600_000;

/// What became of an event.
#[derive(Debug)]
pub(crate) enum Booked {
    /// Booked; these are the users' balances now.
    Now(Vec<(UserId, Balances)>),
    /// The key was known.
    Before,
}

impl Books {
    /// What is told from now on is newer than everything that was told before.
    pub(crate) fn begin_version(&mut self) {
        self.version = VERSIONS.fetch_add(1, Ordering::Relaxed);
    }

    /// What a user has.
    pub(crate) fn balances(&self, user: UserId) -> Balances {
        let amount = |pot| Kudos::from_hundredths(self.amounts.get(&(user.0, pot)).copied().unwrap_or(0));
        Balances {
            spendable: amount(Pot::Spendable),
            escrow: amount(Pot::Escrow),
            held: amount(Pot::Held),
            version: self.version,
        }
    }

    /// Books an event whole or not at all.
    pub(crate) fn book(&mut self, event: &LedgerEvent) -> Result<Booked, JournalError> {
        if self.booked.contains(&event.key) {
            return Ok(Booked::Before);
        }
        for requirement in &event.requires {
            let balances = self.balances(requirement.account);
            let available = balances.spendable - balances.held;
            if available < requirement.at_least {
                return Err(JournalError::Insufficient {
                    account: requirement.account,
                    available_hundredths: available.hundredths(),
                });
            }
        }
        let legs = self.legs(event)?;
        self.write(event, &legs)
    }

    /// Books an event that comes with another change, which must not be made if it is known.
    pub(crate) fn book_with_change(
        &mut self,
        event: Option<&LedgerEvent>,
    ) -> Result<Vec<(UserId, Balances)>, JournalError> {
        match event.map(|event| self.book(event)).transpose()? {
            None => Ok(Vec::new()),
            Some(Booked::Now(balances)) => Ok(balances),
            Some(Booked::Before) => Err(JournalError::DuplicateEvent {
                key: event.map(|event| event.key.clone()).unwrap_or_default(),
            }),
        }
    }

    /// The event's entries in order, with what the floors create. Changes nothing.
    fn legs(&self, event: &LedgerEvent) -> Result<Vec<(PotKey, i64, EventKind)>, JournalError> {
        let overflow = || JournalError::Overflow {
            key: event.key.clone(),
        };
        let mut moved: HashMap<PotKey, i64> = HashMap::new();
        let mut legs = Vec::with_capacity(event.entries.len() + 2);
        for entry in &event.entries {
            let pot = (entry.account.number(), entry.pot);
            let amount = entry.amount.hundredths();
            legs.push((pot, amount, event.kind));
            let AccountRef::User(_) = entry.account else {
                continue;
            };
            let before = moved
                .get(&pot)
                .or_else(|| self.amounts.get(&pot))
                .copied()
                .unwrap_or(0);
            let mut after = before.checked_add(amount).ok_or_else(overflow)?;
            if let Some(floor) = entry.floor.map(Kudos::hundredths).filter(|floor| *floor > after) {
                let created = floor.checked_sub(after).ok_or_else(overflow)?;
                let source = (SystemAccount::Floor as i64, Pot::Spendable);
                legs.push((pot, created, EventKind::FloorAdjustment));
                legs.push((source, -created, EventKind::FloorAdjustment));
                after = floor;
            }
            moved.insert(pot, after);
        }
        Ok(legs)
    }

    fn write(
        &mut self,
        event: &LedgerEvent,
        legs: &[(PotKey, i64, EventKind)],
    ) -> Result<Booked, JournalError> {
        let overflow = || JournalError::Overflow {
            key: event.key.clone(),
        };
        let mut deltas: BTreeMap<PotKey, i64> = BTreeMap::new();
        for (pot, amount, _) in legs {
            let before = deltas
                .get(pot)
                .or_else(|| self.deltas.get(pot))
                .copied()
                .unwrap_or(0);
            deltas.insert(*pot, before.checked_add(*amount).ok_or_else(overflow)?);
        }
        // Nothing below fails.
        self.begin_version();
        let mut users: Vec<UserId> = Vec::new();
        for (leg, (pot, amount, kind)) in (0_i16..).zip(legs) {
            self.entries.push(LedgerRow {
                event: event.key.clone(),
                leg,
                kind: *kind,
                pot: *pot,
                amount: *amount,
                at: event.at,
                request: event.request,
                job: event.job,
            });
            if pot.0 >= 0 {
                *self.amounts.entry(*pot).or_default() += amount;
                if !users.contains(&UserId(pot.0)) {
                    users.push(UserId(pot.0));
                }
            }
        }
        self.deltas.extend(deltas);
        self.booked.insert(event.key.clone());
        Ok(Booked::Now(
            users
                .into_iter()
                .map(|user| (user, self.balances(user)))
                .collect(),
        ))
    }

    /// Adds statistics up.
    pub(crate) fn tally(&mut self, tallies: &Tallies) {
        for tally in &tallies.totals {
            add(
                self.totals.entry((tally.user, tally.action)).or_default(),
                tally.amount.hundredths(),
            );
        }
        for tally in &tallies.records {
            let key = (tally.user, tally.record, codes::kind_to_code(tally.kind));
            add(
                self.records.entry(key).or_default(),
                Kudos::from_f64(tally.amount).hundredths(),
            );
        }
        for tally in &tallies.work {
            let hour = tally.at.millis().div_euclid(MILLIS_AN_HOUR);
            let things = i64::try_from(tally.things).unwrap_or(i64::MAX);
            for (measure, amount) in [(0, 1), (1, things)] {
                let key = (
                    codes::kind_to_code(tally.kind),
                    hour,
                    tally.model.clone(),
                    measure,
                );
                add(self.work.entry(key).or_default(), amount);
            }
        }
        for tally in &tallies.workers {
            let delta = self.workers.entry(tally.worker).or_default();
            let kudos = match tally.action {
                WorkerAction::Generated => &mut delta.generated,
                WorkerAction::Uptime => &mut delta.uptime,
                WorkerAction::Interrogated => &mut delta.interrogated,
            };
            add(kudos, tally.kudos.hundredths());
            add(
                &mut delta.contributions,
                Kudos::from_f64(tally.contributions).hundredths(),
            );
            add(&mut delta.fulfilments, tally.fulfilments);
            add(&mut delta.uncompleted_jobs, tally.uncompleted_jobs);
        }
        for tally in &tallies.teams {
            let delta = self.teams.entry(tally.team).or_default();
            add(
                &mut delta.contributions,
                Kudos::from_f64(tally.contributions).hundredths(),
            );
            add(&mut delta.fulfilments, tally.fulfilments);
            add(&mut delta.kudos, tally.kudos.hundredths());
            add(&mut delta.uptime, tally.uptime);
            delta.last_active = delta.last_active.max(tally.at);
        }
        for tally in &tallies.shared_keys {
            add(
                self.shared_keys.entry(tally.key).or_default(),
                tally.amount.hundredths(),
            );
        }
        for tally in &tallies.shared_key_gifts {
            add(
                self.shared_key_gifts.entry(tally.key).or_default(),
                tally.amount.hundredths(),
            );
        }
        for used in &tallies.uses {
            add(self.uses.entry(*used).or_default(), 1);
        }
        for (user, at) in &tallies.active {
            let newest = self.active.entry(*user).or_default();
            *newest = (*newest).max(*at);
        }
    }
}

fn add(total: &mut i64, amount: i64) {
    *total = total.saturating_add(amount);
}
