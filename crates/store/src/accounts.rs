//! Accounts as they are stored: keys, roles, balances, statistics.

use std::fmt;

use muster_protocol::{Kudos, Timestamp, UserId, WorkKind};
use sha2::{Digest, Sha256};

use crate::{
    EventKind, Suspicion,
    tallies::{KudosAction, RecordKind},
    text::hex,
};

/// The stored form of an API key: lower-case hexadecimal SHA-256 of salt and key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiKeyHash(String);

impl ApiKeyHash {
    /// Hashes a key with the installation's salt (the setting `secret_key`).
    pub fn of(salt: &str, key: &str) -> Self {
        Self(hex(&Sha256::new()
            .chain_update(salt)
            .chain_update(key)
            .finalize()))
    }

    /// A hash that was computed elsewhere, as when accounts are imported.
    pub fn from_stored(hash: impl Into<String>) -> Self {
        Self(hash.into())
    }

    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyHash(…)")
    }
}

/// A role or flag of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumIter)]
#[repr(i32)]
pub enum Role {
    /// Runs the horde's daily business.
    Moderator = 1,
    /// Earns without escrow and may do more.
    Trusted = 1 << 1,
    /// Misbehaved; most is refused.
    Flagged = 1 << 2,
    /// May serve models that the reference does not list.
    Customizer = 1 << 3,
    /// Its workers may come from VPN addresses.
    Vpn = 1 << 4,
    /// May use special models and payloads.
    Special = 1 << 5,
    /// A service that calls for others.
    Service = 1 << 6,
    /// A school.
    Education = 1 << 7,
    /// Deleted by its owner or a moderator; can be undone.
    Deleted = 1 << 8,
}

/// A set of roles, stored as one number.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Roles(i32);

impl Roles {
    /// No roles.
    pub const NONE: Self = Self(0);

    /// The set with these roles.
    pub fn of(roles: &[Role]) -> Self {
        roles.iter().fold(Self::NONE, |set, role| set.with(*role))
    }

    /// Whether a role is in the set.
    pub const fn has(self, role: Role) -> bool {
        self.0 & role as i32 != 0
    }

    /// The set with one more role.
    #[must_use]
    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | role as i32)
    }

    /// The set without a role.
    #[must_use]
    pub const fn without(self, role: Role) -> Self {
        Self(self.0 & !(role as i32))
    }

    /// The stored number.
    pub const fn bits(self) -> i32 {
        self.0
    }

    /// From the stored number. Bits that this version does not know are kept.
    pub const fn from_bits(bits: i32) -> Self {
        Self(bits)
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use strum::IntoEnumIterator as _;
        f.debug_set()
            .entries(Role::iter().filter(|role| self.has(*role)))
            .finish()
    }
}

/// What an account has in its pots. Two are equal if the amounts are, whenever they were told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Balances {
    /// What it can spend.
    pub spendable: Kudos,
    /// What is held back until its owner is trusted.
    pub escrow: Kudos,
    /// How much of what it can spend is promised to requests that are paid upfront.
    pub held: Kudos,
    /// Which of two answers of this process's journals is newer: the one with the larger number. What was read from
    /// the database has 0.
    pub version: u64,
}

impl PartialEq for Balances {
    fn eq(&self, other: &Self) -> bool {
        let amounts = |balances: &Self| (balances.spendable, balances.escrow, balances.held);
        amounts(self) == amounts(other)
    }
}

impl Eq for Balances {}

/// An account as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Its number.
    pub id: UserId,
    /// The name, without the number.
    pub username: String,
    /// Who it is for the login provider: `anon`, a UUID (pseudonymous) or a provider's id.
    pub external_id: String,
    /// When it was registered.
    pub created: Timestamp,
    /// When it last spent or earned something.
    pub last_active: Timestamp,
    /// How its owner can be reached.
    pub contact: Option<String>,
    /// A moderator's note.
    pub admin_comment: Option<String>,
    /// The passkey of a service's proxy, in clear.
    pub proxy_passkey: Option<String>,
    /// Kudos it gets every month.
    pub monthly_kudos: Kudos,
    /// When it last got them.
    pub monthly_kudos_received: Option<Timestamp>,
    /// Scales the usage record, not the price.
    pub usage_multiplier: f64,
    /// How many workers it may run in invite-only mode and beyond the usual limits.
    pub worker_invited: i32,
    /// Whether everybody sees which workers it runs.
    pub public_workers: bool,
    /// How many generations it may have queued.
    pub concurrency: i32,
    /// Its roles.
    pub roles: Roles,
    /// Reasons for suspicion, by number, in the order they were given.
    pub suspicions: Vec<i16>,
    /// What it has.
    pub balances: Balances,
}

/// In which order accounts are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AccountOrder {
    /// Those with most to spend first.
    #[default]
    Richest,
    /// Oldest first.
    Oldest,
}

/// A new account; its number is assigned by the journal.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The name, without the number.
    pub username: String,
    /// Who it is for the login provider; unique.
    pub external_id: String,
    /// The hash of its key.
    pub key_hash: ApiKeyHash,
    /// Its roles.
    pub roles: Roles,
    /// How many generations it may have queued (usually 30).
    pub concurrency: i32,
    /// When it was registered.
    pub created: Timestamp,
}

/// An absolute balance, to be reached through a balanced adjustment.
#[derive(Clone, Debug)]
pub struct SetBalance {
    /// The idempotency key of the adjustment.
    pub key: String,
    /// What the account shall have to spend.
    pub spendable: Kudos,
}

/// Kudos that the horde gives to an account, or takes from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The idempotency key.
    pub key: String,
    /// Why.
    pub kind: EventKind,
    /// Which of the account's totals it counts in.
    pub action: KudosAction,
    /// How much; negative takes.
    pub amount: Kudos,
    /// The lowest balance that it may leave.
    pub floor: Kudos,
}

/// A change of what an account gets every month. An increase is paid at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonthlyChange {
    /// The idempotency key of the payment.
    pub key: String,
    /// How much more, or less; the result is never negative.
    pub amount: Kudos,
    /// The lowest balance of the account.
    pub floor: Kudos,
}

/// Changes to an account: what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct AccountChanges {
    /// A new name.
    pub username: Option<String>,
    /// A new external id.
    pub external_id: Option<String>,
    /// A new contact, or none.
    pub contact: Option<Option<String>>,
    /// A new moderator's note, or none.
    pub admin_comment: Option<Option<String>>,
    /// A new passkey, or none.
    pub proxy_passkey: Option<Option<String>>,
    /// A change of the monthly kudos.
    pub monthly_kudos: Option<MonthlyChange>,
    /// When monthly kudos were last received.
    pub monthly_kudos_received: Option<Timestamp>,
    /// A new usage multiplier.
    pub usage_multiplier: Option<f64>,
    /// A new number of invited workers.
    pub worker_invited: Option<i32>,
    /// Whether its workers are public.
    pub public_workers: Option<bool>,
    /// A new concurrency.
    pub concurrency: Option<i32>,
    /// Roles to grant.
    pub grant: Roles,
    /// Roles to withdraw; granted ones win.
    pub withdraw: Roles,
    /// The whole list of suspicions.
    pub suspicions: Option<Vec<i16>>,
    /// One more of them.
    pub suspect: Option<Suspicion>,
    /// Un-pauses all its workers, as trust does.
    pub unpause_workers: bool,
    /// Moves the whole escrow to the spendable pot (counted as `accumulated`), booked under this
    /// idempotency key; nothing happens when the escrow is not positive.
    pub drain_escrow: Option<String>,
    /// Sets the spendable balance.
    pub balance: Option<SetBalance>,
    /// Gives or takes kudos.
    pub payment: Option<Payment>,
}

/// One of an account's action totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserTotal {
    /// What moved the kudos.
    pub action: KudosAction,
    /// How many.
    pub amount: Kudos,
}

/// One of an account's records.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UserRecord {
    /// What is counted.
    pub record: RecordKind,
    /// For which kind of work.
    pub kind: WorkKind,
    /// The count or quantity, exact to hundredths.
    pub amount: f64,
}
