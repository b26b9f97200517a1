//! The vocabulary of money: events and entries. How they are booked is in [`crate::journal`], how they are proved in
//! [`crate::audit`]; the statistics that move with them are in [`crate::tallies`].
//!
//! Every movement of kudos is an *event* whose entries add up to zero. What is minted comes from a
//! system account and what is burnt goes to one, so the sum of all balances is always zero.

use muster_protocol::{JobId, Kudos, RequestId, Timestamp, UserId};
use strum::{EnumIter, FromRepr};

use crate::error::JournalError;

/// Which part of an account an entry moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, FromRepr, strum::AsRefStr)]
#[strum(serialize_all = "lowercase")]
#[repr(i16)]
pub enum Pot {
    /// What its owner can spend. System accounts only have this one.
    Spendable = 0,
    /// What is held back until its owner is trusted.
    Escrow = 1,
    /// How much of what its owner could spend is promised to requests that must be paid upfront. A
    /// promise is no debit: it moves nothing out of the spendable pot, but is not available to other
    /// promises and to transfers.
    Held = 2,
}

/// The horde's own accounts. They have negative numbers, no user row and no floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, FromRepr)]
#[repr(i64)]
pub enum SystemAccount {
    /// Mints what workers earn beyond what requesters pay: uptime, generosity, rewards for
    /// censored work. Its balance is minus all that was minted so.
    Treasury = -1,
    /// Takes what requesters pay beyond what workers earn: taxes and burn.
    Burn = -2,
    /// Creates what lifts an account to its floor.
    Floor = -3,
    /// Gives awards, monthly kudos and administrators' adjustments.
    Grants = -4,
    /// The other side of promises: minus all that is held.
    Holds = -5,
}

/// Whose kudos move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountRef {
    /// A user's account.
    User(UserId),
    /// One of the horde's own.
    System(SystemAccount),
}

impl AccountRef {
    /// The account number in the tables.
    pub const fn number(self) -> i64 {
        match self {
            Self::User(user) => user.0,
            Self::System(account) => account as i64,
        }
    }

    /// From the number in the tables. Negative numbers that this version does not know are `None`.
    pub fn from_number(number: i64) -> Option<Self> {
        if number < 0 {
            SystemAccount::from_repr(number).map(Self::System)
        } else {
            Some(Self::User(UserId(number)))
        }
    }
}

impl From<UserId> for AccountRef {
    fn from(user: UserId) -> Self {
        Self::User(user)
    }
}

impl From<SystemAccount> for AccountRef {
    fn from(account: SystemAccount) -> Self {
        Self::System(account)
    }
}

/// Why kudos moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, FromRepr, strum::AsRefStr)]
#[strum(serialize_all = "snake_case")]
#[repr(i16)]
pub enum EventKind {
    /// Taxes, charges and rewards of requests.
    Generation = 0,
    /// A worker was online.
    UptimeReward = 1,
    /// Escrow became spendable.
    EscrowPromotion = 2,
    /// One user gave kudos to another.
    Transfer = 3,
    /// An administrator set a balance.
    AdminAdjustment = 4,
    /// An award or a rating reward.
    Award = 5,
    /// Monthly kudos.
    Recurring = 6,
    /// A style was used.
    StyleReward = 7,
    /// An account was lifted to its floor. Only the journal books this.
    FloorAdjustment = 8,
    /// A repair.
    Reconciliation = 9,
    /// Taken over from another installation.
    Import = 10,
    /// What was left of a promise was released.
    Release = 11,
}

/// A movement of an account, with what its pot had afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedEntry {
    /// The movement.
    pub entry: BookedEntry,
    /// What the pot had then.
    pub balance: Kudos,
    /// The other account of a transfer.
    pub counterparty: Option<UserId>,
}

/// One movement of one pot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose.
    pub account: AccountRef,
    /// Which pot.
    pub pot: Pot,
    /// How much; negative is a debit.
    pub amount: Kudos,
    /// The lowest balance that this movement may leave. What lies below is created: the journal
    /// books the difference against [`SystemAccount::Floor`]. A credit also lifts to the floor.
    pub floor: Option<Kudos>,
}

/// What an account must have for an event to be booked, tested inside the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Who must have it, in the spendable pot and not promised.
    pub account: UserId,
    /// How much, before the event.
    pub at_least: Kudos,
}

/// A balanced set of movements that are booked together, at most once.
///
/// ```
/// # use muster_store::{EventKind, LedgerEvent, SystemAccount};
/// # use muster_protocol::{Kudos, Timestamp, UserId};
/// let tax = LedgerEvent::new("activate:42", EventKind::Generation, Timestamp::from_millis(0))
///     .with_floor(UserId(7), Kudos::from_whole(-3), Kudos::from_whole(25))
///     .with(SystemAccount::Burn, Kudos::from_whole(3));
/// assert!(tax.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEvent {
    /// The idempotency key: a second event with the same key changes nothing.
    pub key: String,
    /// Why the kudos move.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// The request it belongs to.
    pub request: Option<RequestId>,
    /// The job it belongs to.
    pub job: Option<JobId>,
    /// What must hold for it to be booked.
    pub requires: Vec<Requirement>,
    /// The movements, applied in this order.
    pub entries: Vec<Entry>,
}

impl LedgerEvent {
    /// An event without entries yet.
    pub fn new(key: impl Into<String>, kind: EventKind, at: Timestamp) -> Self {
        Self {
            key: key.into(),
            kind,
            at,
            request: None,
            job: None,
            requires: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// Names the request that it belongs to.
    #[must_use]
    pub fn of_request(mut self, request: RequestId) -> Self {
        self.request = Some(request);
        self
    }

    /// Names the job that it belongs to.
    #[must_use]
    pub fn of_job(mut self, job: JobId) -> Self {
        self.job = Some(job);
        self
    }

    /// Adds a movement of a spendable pot.
    #[must_use]
    pub fn with(self, account: impl Into<AccountRef>, amount: Kudos) -> Self {
        self.with_entry(Entry {
            account: account.into(),
            pot: Pot::Spendable,
            amount,
            floor: None,
        })
    }

    /// Adds a movement of a user's spendable pot that does not leave less than `floor`.
    #[must_use]
    pub fn with_floor(self, user: UserId, amount: Kudos, floor: Kudos) -> Self {
        self.with_entry(Entry {
            account: user.into(),
            pot: Pot::Spendable,
            amount,
            floor: Some(floor),
        })
    }

    /// Adds a movement of a user's escrow.
    #[must_use]
    pub fn with_escrow(self, user: UserId, amount: Kudos) -> Self {
        self.with_entry(Entry {
            account: user.into(),
            pot: Pot::Escrow,
            amount,
            floor: None,
        })
    }

    /// Promises more of a user's kudos, or, if `amount` is negative, less.
    #[must_use]
    pub fn with_hold(self, user: UserId, amount: Kudos) -> Self {
        self.with_entry(Entry {
            account: user.into(),
            pot: Pot::Held,
            amount,
            floor: None,
        })
        .with(SystemAccount::Holds, -amount)
    }

    /// Adds a movement.
    #[must_use]
    pub fn with_entry(mut self, entry: Entry) -> Self {
        self.entries.push(entry);
        self
    }

    /// Books the event only if the account has at least this much to spend that is not promised.
    #[must_use]
    pub fn requiring(mut self, account: UserId, at_least: Kudos) -> Self {
        self.requires.push(Requirement { account, at_least });
        self
    }

    /// Whether the event is well formed: a key, entries that sum to zero, floors and escrow only on
    /// users.
    pub fn validate(&self) -> Result<(), JournalError> {
        let invalid = |why| {
            Err(JournalError::InvalidEvent {
                key: self.key.clone(),
                why,
            })
        };
        if self.key.is_empty() || self.key.len() > 255 {
            return invalid("its key must have 1 to 255 bytes");
        }
        if self.entries.is_empty() {
            return invalid("it has no entries");
        }
        if self.entries.len() > 1000 {
            return invalid("it has more than 1000 entries");
        }
        for entry in &self.entries {
            let of_user = matches!(entry.account, AccountRef::User(_));
            if !of_user && (entry.floor.is_some() || entry.pot != Pot::Spendable) {
                return invalid("system accounts have neither floor nor escrow");
            }
            if matches!(entry.account, AccountRef::User(UserId(..0))) {
                return invalid("user numbers are not negative");
            }
        }
        let sum: i128 = self
            .entries
            .iter()
            .map(|entry| i128::from(entry.amount.hundredths()))
            .sum();
        if sum != 0 {
            return Err(JournalError::Unbalanced {
                key: self.key.clone(),
                sum_hundredths: sum,
            });
        }
        Ok(())
    }
}

/// An entry as booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookedEntry {
    /// Its place in the ledger.
    pub id: i64,
    /// The key of its event.
    pub event: String,
    /// Why it was booked.
    pub kind: EventKind,
    /// Whose kudos moved.
    pub account: AccountRef,
    /// Which pot.
    pub pot: Pot,
    /// How much.
    pub amount: Kudos,
    /// When.
    pub at: Timestamp,
    /// The request it belongs to.
    pub request: Option<RequestId>,
    /// The job it belongs to.
    pub job: Option<JobId>,
}
