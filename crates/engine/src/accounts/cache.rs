//! The accounts in use, so that no call reads a row to learn who is calling.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use muster_kudos::account::{self, AccountKind};
use muster_protocol::{Kudos, ReturnCode, Timestamp, UserId};
use muster_store::{Account, AccountFacts, ApiKeyHash, Balances, Role, Store};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use uuid::Uuid;

use crate::{EngineError, error::Result};

/// Accounts that fit in memory at once; the least used go first.
const CAPACITY: usize = 100_000;
/// How long what is told of an account is used: another node may have changed it.
const FACTS_LIFETIME: Duration = Duration::from_secs(30);

/// Accounts by key and by number. What a commit changes is told to the cache by whoever committed.
#[derive(Debug)]
pub(crate) struct AccountCache {
    by_key: Cache<ApiKeyHash, UserId>,
    by_number: Cache<UserId, Caller>,
}

/// An account in use. Clones share the balances.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    account: Arc<Account>,
    state: Arc<State>,
}

/// What changes of an account without the account being written anew.
#[derive(Debug)]
struct State {
    balances: Mutex<Balances>,
    /// How often something changed that others may have looked up.
    changes: AtomicU64,
    facts: Mutex<Option<KnownFacts>>,
}

/// What was looked up about an account, and what [`State::changes`] was before.
#[derive(Debug)]
struct KnownFacts {
    changes: u64,
    at: Timestamp,
    facts: Arc<AccountFacts>,
}

impl Caller {
    pub(super) fn new(account: Account) -> Self {
        Self {
            state: Arc::new(State {
                balances: Mutex::new(account.balances),
                changes: AtomicU64::default(),
                facts: Mutex::default(),
            }),
            account: Arc::new(account),
        }
    }

    pub(crate) fn id(&self) -> UserId {
        self.account.id
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// The spendable balance as of the last commit that this node knows of.
    pub(crate) fn spendable(&self) -> Kudos {
        self.state.balances.lock().spendable
    }

    /// What is held back until its owner is trusted, as of the last commit that this node knows of.
    pub(crate) fn escrow(&self) -> Kudos {
        self.state.balances.lock().escrow
    }

    /// What is told of the account beside its row: from memory, if nothing has changed since it was looked up.
    pub(super) async fn facts(&self, store: &Store, now: Timestamp) -> Result<Arc<AccountFacts>> {
        let changes = self.state.changes.load(Ordering::Acquire);
        if let Some(known) = &*self.state.facts.lock()
            && known.changes == changes
            && now.since(known.at) < FACTS_LIFETIME
        {
            return Ok(Arc::clone(&known.facts));
        }
        let found = store.account_facts(&[self.id()]).await?.remove(&self.id());
        let facts = Arc::new(found.unwrap_or_default());
        *self.state.facts.lock() = Some(KnownFacts {
            changes,
            at: now,
            facts: Arc::clone(&facts),
        });
        Ok(facts)
    }

    pub(crate) fn has(&self, role: Role) -> bool {
        self.account.roles.has(role)
    }

    /// Whether the account earns without escrow. Moderators are trusted by their role.
    pub(crate) fn is_trusted(&self) -> bool {
        !self.id().is_anonymous() && (self.has(Role::Trusted) || self.has(Role::Moderator))
    }

    pub(crate) fn kind(&self) -> AccountKind {
        kind_of(&self.account)
    }

    /// What the account can promise to a worker that wants to see the price first: the balance,
    /// less the part that can never be spent.
    pub(crate) fn available(&self) -> Kudos {
        let balance = self.spendable();
        if balance > Kudos::ZERO {
            balance - self.kind().floor()
        } else {
            balance
        }
    }

    /// Whether the account has so much to promise, as far as this node knows. The commit decides: it also
    /// knows what is promised already.
    pub(crate) fn can_promise(&self, required: Kudos) -> bool {
        account::available(self.spendable(), self.kind().floor(), Kudos::ZERO) >= required
    }

    /// The public handle, `name#id`.
    pub(crate) fn alias(&self) -> String {
        format!("{}#{}", self.account.username, self.account.id)
    }
}

/// How an account came to be, told by its external id.
pub(crate) fn kind_of(account: &Account) -> AccountKind {
    if account.id.is_anonymous() {
        AccountKind::Anonymous
    } else if Uuid::try_parse(&account.external_id).is_ok() {
        AccountKind::Pseudonymous
    } else {
        AccountKind::Registered
    }
}

impl AccountCache {
    pub(crate) fn new() -> Self {
        Self {
            by_key: Cache::new(CAPACITY),
            by_number: Cache::new(CAPACITY),
        }
    }

    /// The account that a key belongs to.
    pub(crate) async fn find(&self, store: &Store, key: &ApiKeyHash) -> Result<Option<Caller>> {
        if let Some(id) = self.by_key.get(key)
            && let Some(caller) = self.by_number.get(&id)
        {
            return Ok(Some(caller));
        }
        let Some(account) = store.account_by_key(key).await? else {
            return Ok(None);
        };
        self.by_key.insert(key.clone(), account.id);
        Ok(Some(self.remember(account)))
    }

    /// The account with a number, if it is in memory.
    pub(crate) fn peek(&self, id: UserId) -> Option<Caller> {
        self.by_number.get(&id)
    }

    /// The account with a number.
    pub(crate) async fn get(&self, store: &Store, id: UserId) -> Result<Option<Caller>> {
        if let Some(caller) = self.by_number.get(&id) {
            return Ok(Some(caller));
        }
        Ok(store.account(id).await?.map(|account| self.remember(account)))
    }

    /// Takes over an account as a commit left it, or as it was read. Balances of a later commit stay.
    pub(crate) fn remember(&self, mut account: Account) -> Caller {
        if let Some(known) = self.by_number.get(&account.id) {
            let known = *known.state.balances.lock();
            if account.balances.version > 0 && known.version > account.balances.version {
                account.balances = known;
            }
        }
        let caller = Caller::new(account);
        self.by_number.insert(caller.id(), caller.clone());
        caller
    }

    /// Takes over balances as a commit left them, unless those of a later one are known: whoever waits for a commit may
    /// be overtaken. What else is told of the account has changed with them.
    pub(crate) fn set_balances(&self, id: UserId, balances: Balances) {
        if let Some(caller) = self.by_number.get(&id) {
            let state = &*caller.state;
            let mut known = state.balances.lock();
            if balances.version == 0 || balances.version > known.version {
                *known = balances;
            }
            drop(known);
            state.changes.fetch_add(1, Ordering::Release);
        }
    }

    /// What is told of an account beside its row has changed.
    pub(crate) fn note_change(&self, id: UserId) {
        if let Some(caller) = self.by_number.get(&id) {
            caller.state.changes.fetch_add(1, Ordering::Release);
        }
    }

    /// Forgets an account that is there no more.
    pub(crate) fn forget(&self, id: UserId) {
        self.by_number.remove(&id);
        self.by_key.clear();
    }

    /// Forgets which keys belong to whom: some account has a new key.
    pub(crate) fn forget_keys(&self) {
        self.by_key.clear();
    }
}

/// The refusal of a key that nobody has.
pub(crate) fn unknown_key() -> EngineError {
    EngineError::refused(
        ReturnCode::InvalidApiKey,
        "No user matches this API key: invalid API key. Register an account to get one.",
    )
}
