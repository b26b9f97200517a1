//! Proving the books: [`Auditor`] is shown every entry of the ledger once, in the order in which they were written, and
//! keeps no more of them than it must, so the ledger may be of any length.
//!
//! What it proves:
//!
//! - every event adds up to zero, and so does the whole ledger;
//! - every balance is the sum of its entries, those of the horde's own accounts included;
//! - no event was applied twice, and no job was paid twice;
//! - no job was paid without a delivered result, and none was delivered without being paid. For jobs that are still
//!   stored this is looked at one by one; of those that are forgotten it is known how many were delivered in all;
//! - what is promised to requests is what is held of the accounts that made them.

use std::collections::HashMap;

use muster_protocol::{JobId, Kudos};

use crate::{BookedEntry, EventKind, JobState, Pot};

/// How many faults of a kind are listed.
const LISTED: usize = 1000;

/// What an audit found. The books are right when [`LedgerAudit::is_clean`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerAudit {
    /// How many events were booked.
    pub events: u64,
    /// How many entries they have.
    pub entries: u64,
    /// The sum of all entries in hundredths.
    pub total_hundredths: i64,
    /// Jobs that were paid, ever.
    pub paid_jobs: u64,
    /// Jobs that were delivered, ever, by the records of those who delivered them.
    pub delivered_jobs: u64,
    /// Events whose entries do not add up to zero (at most the first thousand, as in all lists here).
    pub unbalanced: Vec<UnbalancedEvent>,
    /// Pots whose balance is not the sum of their entries.
    pub drifted: Vec<Drift>,
    /// Events of which an entry is there twice or missing.
    pub repeated: Vec<String>,
    /// Jobs that were paid under two keys.
    pub paid_twice: Vec<JobId>,
    /// Jobs that were paid although nothing was delivered for them.
    pub unearned: Vec<JobId>,
    /// Jobs that were delivered but not paid.
    pub unpaid: Vec<JobId>,
    /// Accounts of which more or less is held than is promised to their requests.
    pub promises: Vec<Promise>,
}

impl LedgerAudit {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.total_hundredths == 0
            && self.paid_jobs <= self.delivered_jobs
            && self.unbalanced.is_empty()
            && self.drifted.is_empty()
            && self.repeated.is_empty()
            && self.paid_twice.is_empty()
            && self.unearned.is_empty()
            && self.unpaid.is_empty()
            && self.promises.is_empty()
    }
}

/// An event that does not balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnbalancedEvent {
    /// Its key.
    pub event: String,
    /// What its entries add up to.
    pub sum: Kudos,
}

/// A pot whose balance differs from its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The account number (negative for the horde's own).
    pub account: i64,
    /// The pot.
    pub pot: Pot,
    /// What the balance says.
    pub balance: Kudos,
    /// What the entries add up to.
    pub entries: Kudos,
}

/// An account of which not as much is held as is promised to its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// The account number.
    pub account: i64,
    /// What is held by the ledger.
    pub held: Kudos,
    /// What its stored requests were promised.
    pub promised: Kudos,
}

/// A job that is stored, as far as it matters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AuditedJob {
    pub(crate) state: JobState,
    /// Such a job is never paid.
    pub(crate) fake: bool,
}

/// An event that is being read.
#[derive(Debug)]
struct OpenEvent {
    sum: i64,
    next_leg: i16,
    /// The page on which it was seen last.
    page: u64,
}

/// Reads a ledger. See the [module](self).
#[derive(Debug)]
pub(crate) struct Auditor {
    audit: LedgerAudit,
    page: u64,
    /// Events of this page and the one before, and those that are out of balance. Nodes that write at the same time
    /// mix their entries, but never by more than a page.
    open: HashMap<String, OpenEvent>,
    pots: HashMap<(i64, Pot), i64>,
    jobs: HashMap<JobId, (AuditedJob, Option<String>)>,
}

impl Auditor {
    /// An auditor who knows the jobs that are stored.
    pub(crate) fn new(jobs: impl IntoIterator<Item = (JobId, AuditedJob)>) -> Self {
        Self {
            audit: LedgerAudit::default(),
            page: 0,
            open: HashMap::new(),
            pots: HashMap::new(),
            jobs: jobs.into_iter().map(|(id, job)| (id, (job, None))).collect(),
        }
    }

    /// Reads the next entry, `leg` of its event.
    pub(crate) fn read(&mut self, entry: &BookedEntry, leg: i16) {
        let amount = entry.amount.hundredths();
        self.audit.entries += 1;
        self.audit.total_hundredths = self.audit.total_hundredths.wrapping_add(amount);
        let pot = self.pots.entry((entry.account.number(), entry.pot)).or_default();
        *pot = pot.wrapping_add(amount);
        self.follow(entry, leg);
        if leg == 0
            && entry.kind == EventKind::Generation
            && let Some(job) = entry.job
        {
            self.audit.paid_jobs += 1;
            self.pay(job, &entry.event);
        }
    }

    fn follow(&mut self, entry: &BookedEntry, leg: i16) {
        let amount = entry.amount.hundredths();
        let page = self.page;
        if let Some(event) = self.open.get_mut(&entry.event) {
            if leg != event.next_leg {
                list(&mut self.audit.repeated, entry.event.clone());
            }
            event.sum = event.sum.wrapping_add(amount);
            event.next_leg = event.next_leg.max(leg.saturating_add(1));
            event.page = page;
            return;
        }
        self.audit.events += 1;
        if leg != 0 {
            list(&mut self.audit.repeated, entry.event.clone());
        }
        let event = OpenEvent {
            sum: amount,
            next_leg: leg.saturating_add(1),
            page,
        };
        self.open.insert(entry.event.clone(), event);
    }

    fn pay(&mut self, id: JobId, event: &str) {
        let Some((job, paid_by)) = self.jobs.get_mut(&id) else {
            return;
        };
        if job.fake || job.state != JobState::Done {
            list(&mut self.audit.unearned, id);
        }
        match paid_by {
            Some(known) if known != event => list(&mut self.audit.paid_twice, id),
            Some(_) => {}
            None => *paid_by = Some(event.to_owned()),
        }
    }

    /// Forgets events that are complete for sure.
    pub(crate) fn turn_page(&mut self) {
        let page = self.page;
        self.open.retain(|_, event| event.sum != 0 || event.page == page);
        self.page += 1;
    }

    /// Says what is wrong. `balances`: what every pot is said to have; `promised`: what is promised to the requests of
    /// each account, in hundredths both; `delivered`: jobs that were delivered, ever.
    pub(crate) fn finish(
        self,
        balances: impl IntoIterator<Item = ((i64, Pot), i64)>,
        promised: &HashMap<i64, i64>,
        delivered: u64,
    ) -> LedgerAudit {
        let mut audit = self.audit;
        audit.delivered_jobs = delivered;
        let mut unbalanced: Vec<_> = self
            .open
            .into_iter()
            .filter(|(_, event)| event.sum != 0)
            .collect();
        unbalanced.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (event, OpenEvent { sum, .. }) in unbalanced {
            let sum = Kudos::from_hundredths(sum);
            list(&mut audit.unbalanced, UnbalancedEvent { event, sum });
        }
        let mut pots: HashMap<(i64, Pot), (i64, i64)> = HashMap::new();
        for (pot, entries) in self.pots {
            pots.entry(pot).or_default().1 = entries;
        }
        for (pot, balance) in balances {
            pots.entry(pot).or_default().0 = balance;
        }
        let mut held: HashMap<i64, (i64, i64)> = HashMap::new();
        let mut pots: Vec<_> = pots.into_iter().collect();
        pots.sort_unstable();
        for ((account, pot), (balance, entries)) in pots {
            if pot == Pot::Held {
                held.entry(account).or_default().0 = balance;
            }
            if balance != entries {
                let (balance, entries) = (Kudos::from_hundredths(balance), Kudos::from_hundredths(entries));
                list(
                    &mut audit.drifted,
                    Drift {
                        account,
                        pot,
                        balance,
                        entries,
                    },
                );
            }
        }
        for (account, promised) in promised {
            held.entry(*account).or_default().1 = *promised;
        }
        let mut held: Vec<_> = held.into_iter().collect();
        held.sort_unstable();
        for (account, (held, promised)) in held {
            if held != promised {
                let (held, promised) = (Kudos::from_hundredths(held), Kudos::from_hundredths(promised));
                list(
                    &mut audit.promises,
                    Promise {
                        account,
                        held,
                        promised,
                    },
                );
            }
        }
        let delivered = self
            .jobs
            .into_iter()
            .filter(|(_, (job, paid_by))| job.state == JobState::Done && !job.fake && paid_by.is_none());
        let mut unpaid: Vec<JobId> = delivered.map(|(id, _)| id).collect();
        unpaid.sort_unstable_by_key(|id| id.0);
        unpaid.truncate(LISTED);
        audit.unpaid = unpaid;
        audit
    }
}

fn list<T>(faults: &mut Vec<T>, fault: T) {
    if faults.len() < LISTED {
        faults.push(fault);
    }
}

#[cfg(test)]
mod tests {
    use muster_protocol::{Timestamp, UserId};

    use super::*;
    use crate::AccountRef;

    fn entry(event: &str, account: impl Into<AccountRef>, amount: i64) -> BookedEntry {
        BookedEntry {
            id: 0,
            event: event.to_owned(),
            kind: EventKind::Award,
            account: account.into(),
            pot: Pot::Spendable,
            amount: Kudos::from_hundredths(amount),
            at: Timestamp::from_millis(0),
            request: None,
            job: None,
        }
    }

    fn audited(read: impl FnOnce(&mut Auditor), balances: &[(i64, i64)]) -> LedgerAudit {
        let mut auditor = Auditor::new([]);
        read(&mut auditor);
        let balances = balances
            .iter()
            .map(|(account, amount)| ((*account, Pot::Spendable), *amount));
        auditor.finish(balances, &HashMap::new(), 0)
    }

    #[test]
    fn events_may_be_mixed_and_lie_across_pages() {
        let audit = audited(
            |auditor| {
                auditor.read(&entry("a", UserId(1), 5), 0);
                auditor.read(&entry("b", UserId(1), 7), 0);
                auditor.turn_page();
                auditor.read(&entry("a", UserId(2), -5), 1);
                auditor.read(&entry("b", UserId(2), -7), 1);
                // It was balanced at the end of the page before, too.
                auditor.turn_page();
                auditor.read(&entry("b", UserId(2), 0), 2);
            },
            &[(1, 12), (2, -12)],
        );
        assert!(audit.is_clean(), "{audit:?}");
        assert_eq!((audit.events, audit.entries), (2, 5));
    }

    #[test]
    fn memory_does_not_grow_with_the_ledger() {
        let mut auditor = Auditor::new([]);
        for page in 0..100 {
            for n in 0..10 {
                auditor.read(&entry(&format!("{page}:{n}"), UserId(1), 5), 0);
                auditor.read(&entry(&format!("{page}:{n}"), UserId(2), -5), 1);
            }
            auditor.turn_page();
            assert!(auditor.open.len() <= 20, "{}", auditor.open.len());
        }
        assert_eq!(auditor.pots.len(), 2);
    }

    #[test]
    fn an_unbalanced_event_is_never_forgotten() {
        let audit = audited(
            |auditor| {
                auditor.read(&entry("a", UserId(1), 5), 0);
                for _ in 0..9 {
                    auditor.turn_page();
                }
            },
            &[(1, 5)],
        );
        assert_eq!(audit.unbalanced.len(), 1);
        assert_eq!(audit.total_hundredths, 5);
    }

    #[test]
    fn an_entry_that_is_there_twice_is_found() {
        let audit = audited(
            |auditor| {
                for leg in [0, 1, 1, 0] {
                    let amount = if leg == 0 { 5 } else { -5 };
                    auditor.read(&entry("a", UserId(1), amount), leg);
                }
            },
            &[(1, 0)],
        );
        assert_eq!(audit.repeated, ["a", "a"]);
    }
}
