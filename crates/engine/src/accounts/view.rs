//! How an account looks from outside.

use muster_kudos::account::AccountKind;
use muster_protocol::{
    ActiveGenerations, AmountRecords, ContributionsDetails, Kudos, ListedUser, MonthlyKudos, RequestId,
    ReturnCode, ThingRecords, UsageDetails, UserDetails, UserId, UserKudosDetails, UserRecords, UserStyle,
    WorkKind,
};
use muster_store::{
    AccountFacts, AccountOrder, ApiKeyHash, KudosAction, OwnStyle, Page, RecordKind, Role, UserRecord,
    UserTotal,
};

use serde_json::Value;

use super::cache::Caller;
use crate::{Call, Engine, EngineError, accounts::unknown_user, error::Result, names};

/// Accounts on a page of the list.
const PAGE: u64 = 25;
/// The last page that is looked up.
const LAST_PAGE: i64 = 10_000;

/// How much of an account somebody may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sight {
    /// What everybody sees.
    Public,
    /// What its owner sees.
    Owner,
    /// Everything.
    Moderator,
}

impl Engine {
    /// The account that a key belongs to, as its owner sees it; for a shared key, what everybody sees of the account
    /// that pays.
    ///
    /// # Errors
    /// `InvalidAPIKey` without a key, `UserNotFound` (404) with one that nobody has.
    pub async fn find_user(&self, api_key: Option<&str>) -> Result<UserDetails> {
        let Some(api_key) = api_key.filter(|key| !key.is_empty()) else {
            let message = "Send your API key in the apikey header.";
            return Err(EngineError::refused(ReturnCode::InvalidApiKey, message));
        };
        let hash = ApiKeyHash::of(&self.config.key_salt, api_key);
        if let Some(caller) = self.accounts.find(&self.store, &hash).await? {
            return self.user_view(&caller, Sight::Owner).await;
        }
        if let Some((key, owner)) = self.find_shared_key(api_key).await? {
            let mut details = self.user_view(&owner, Sight::Public).await?;
            let suffix = key.name.map_or_else(
                || " (Shared Key)".to_owned(),
                |name| format!(" (Shared Key: {name})"),
            );
            details.username.push_str(&suffix);
            return Ok(details);
        }
        let message = "No user has this API key.";
        Err(EngineError::refused(ReturnCode::UserNotFound, message))
    }

    /// An account by its number.
    ///
    /// # Errors
    /// `UserNotFound`; `InvalidAPIKey` for a key that nobody has.
    pub async fn user(&self, call: &Call, id: &str) -> Result<UserDetails> {
        let number = user_id(id)?;
        let viewer = self.viewer(call).await?;
        let number = number.ok_or_else(unknown_user)?;
        let caller = self.accounts.get(&self.store, number).await?;
        let caller = caller.ok_or_else(unknown_user)?;
        let sight = match viewer {
            Some(viewer) if viewer.has(Role::Moderator) => Sight::Moderator,
            Some(viewer) if viewer.id() == caller.id() => Sight::Owner,
            _ => Sight::Public,
        };
        self.user_view(&caller, sight).await
    }

    /// A page of all accounts. `page` counts from one, `sort` is `kudos` (the richest first) or `age`.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn users(&self, page: i64, sort: &str) -> Result<Vec<ListedUser>> {
        if page > LAST_PAGE {
            return Ok(Vec::new());
        }
        let order = if sort == "age" {
            AccountOrder::Oldest
        } else {
            AccountOrder::Richest
        };
        let accounts = self.store.account_page(order, Page::numbered(page, PAGE)).await?;
        let ids: Vec<UserId> = accounts.iter().map(|account| account.id).collect();
        let mut facts = self.store.account_facts(&ids).await?;
        let mut listed = Vec::with_capacity(accounts.len());
        for account in accounts {
            let facts = facts.remove(&account.id).unwrap_or_default();
            // What is in memory may be newer, but for the balance that this list is ordered by.
            let caller = Caller::new(account);
            listed.push(ListedUser(self.details(&caller, &facts, Sight::Public)));
        }
        Ok(listed)
    }

    /// Everything that is known of an account, as JSON.
    pub(crate) async fn show_user(&self, caller: &Caller) -> Result<Value> {
        let details = self.user_view(caller, Sight::Moderator).await?;
        Ok(serde_json::to_value(details).expect("views are plain data"))
    }

    async fn user_view(&self, caller: &Caller, sight: Sight) -> Result<UserDetails> {
        let facts = caller.facts(&self.store, self.clock.now()).await?;
        Ok(self.details(caller, &facts, sight))
    }

    fn details(&self, caller: &Caller, facts: &AccountFacts, sight: Sight) -> UserDetails {
        let account = caller.account();
        let (owner, moderator) = (sight >= Sight::Owner, sight == Sight::Moderator);
        let workers = self.workers.owned_by(account.id);
        let styles = facts.styles.iter().filter(|style| owner || style.public);
        UserDetails {
            username: caller.alias(),
            id: account.id,
            kudos: caller.spendable().whole() as f64,
            evaluating_kudos: moderator.then(|| caller.escrow().whole() as f64),
            monthly_kudos: moderator.then(|| self.monthly(caller)),
            kudos_details: kudos_details(&facts.totals),
            concurrency: account.concurrency.max(0).unsigned_abs(),
            worker_invited: account.worker_invited.max(0).unsigned_abs(),
            moderator: caller.has(Role::Moderator),
            worker_count: workers.len() as u32,
            worker_ids: (owner || account.public_workers).then_some(workers),
            styles: styles.map(|style| own_style(caller, style)).collect(),
            sharedkey_ids: owner.then(|| facts.shared_keys.clone()),
            active_generations: owner.then(|| self.active_generations(caller)).flatten(),
            trusted: caller.is_trusted(),
            suspicious: moderator.then_some(account.suspicions.len() as u32),
            flagged: caller.has(Role::Flagged),
            vpn: owner.then(|| caller.has(Role::Vpn)),
            service: caller.has(Role::Service),
            education: caller.has(Role::Education),
            customizer: caller.has(Role::Customizer),
            special: owner.then(|| caller.has(Role::Special)),
            deleted: caller.has(Role::Deleted),
            pseudonymous: caller.kind() == AccountKind::Pseudonymous,
            contact: account.contact.clone().filter(|_| owner),
            admin_comment: account.admin_comment.clone().filter(|_| moderator),
            proxy_passkey: account.proxy_passkey.clone().filter(|_| moderator),
            account_age: self.clock.now().since(account.created).as_secs(),
            usage: UsageDetails::default(),
            contributions: ContributionsDetails::default(),
            records: user_records(&facts.records),
        }
    }

    /// What an account gets every month.
    fn monthly(&self, caller: &Caller) -> MonthlyKudos {
        let received = caller.account().monthly_kudos_received;
        MonthlyKudos {
            amount: self.entitlement(caller.account()).whole(),
            last_received: received.map(muster_protocol::Timestamp::to_rfc822),
        }
    }

    /// The requests that are still kept. Those of the anonymous account are everybody's, so they
    /// are not listed.
    fn active_generations(&self, caller: &Caller) -> Option<ActiveGenerations> {
        let image = self.image.live.lock().requests_of(caller.id());
        let text = self.text.live.lock().requests_of(caller.id());
        let alchemy = self.alchemy.live.lock().requests_of(caller.id());
        if image.is_empty() && text.is_empty() && alchemy.is_empty() {
            return None;
        }
        let told = |requests: Vec<RequestId>| {
            let hidden = caller.id().is_anonymous();
            (!requests.is_empty()).then(|| if hidden { Vec::new() } else { requests })
        };
        Some(ActiveGenerations {
            image: told(image),
            text: told(text),
            alchemy: told(alchemy),
        })
    }
}

/// The number that a path names.
///
/// # Errors
/// `UserNotFound` if it is not made of digits only. `None` for a number that no account can have.
pub(super) fn user_id(id: &str) -> Result<Option<UserId>> {
    if id.is_empty() || !id.bytes().all(|digit| digit.is_ascii_digit()) {
        let message = format!(
            "\"{}\" is not a user's number. Give only the number, the part of the name behind the #.",
            names::truncate(id, 64)
        );
        return Err(EngineError::refused(ReturnCode::UserNotFound, message));
    }
    Ok(names::user_number(id).map(UserId))
}

fn own_style(caller: &Caller, style: &OwnStyle) -> UserStyle {
    UserStyle {
        name: names::full_style_name(&caller.alias(), &style.name),
        id: style.id,
        kind: style.kind,
    }
}

fn kudos_details(totals: &[UserTotal]) -> UserKudosDetails {
    let total = |action: KudosAction| {
        let sum: Kudos = totals
            .iter()
            .filter(|total| total.action == action)
            .map(|total| total.amount)
            .sum();
        sum.whole() as f64
    };
    UserKudosDetails {
        accumulated: total(KudosAction::Accumulated),
        gifted: total(KudosAction::Gifted),
        donated: total(KudosAction::Donated),
        admin: total(KudosAction::Admin),
        received: total(KudosAction::Received),
        recurring: total(KudosAction::Recurring),
        awarded: total(KudosAction::Awarded),
        styled: total(KudosAction::Styled),
    }
}

fn user_records(records: &[UserRecord]) -> UserRecords {
    let sum = |record: RecordKind, kind: WorkKind| -> f64 {
        records
            .iter()
            .filter(|entry| entry.record == record && entry.kind == kind)
            .map(|entry| entry.amount)
            // An empty sum of floats is -0.0, which would be seen.
            .fold(0.0, |sum, amount| sum + amount)
    };
    let things = |record| ThingRecords {
        megapixelsteps: sum(record, WorkKind::Image),
        tokens: sum(record, WorkKind::Text) as u64,
    };
    let amounts = |record| AmountRecords {
        image: sum(record, WorkKind::Image) as u64,
        text: sum(record, WorkKind::Text) as u64,
        interrogation: sum(record, WorkKind::Alchemy) as u64,
    };
    UserRecords {
        usage: things(RecordKind::Usage),
        contribution: things(RecordKind::Contribution),
        fulfillment: amounts(RecordKind::Fulfillment),
        request: amounts(RecordKind::Request),
        style: amounts(RecordKind::Style),
    }
}
