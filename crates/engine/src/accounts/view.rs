//! How an account looks from outside.

use muster_kudos::account::AccountKind;
use muster_protocol::{
    ActiveGenerations, AmountRecords, ContributionsDetails, Kudos, RequestId, ReturnCode, ThingRecords,
    UsageDetails, UserDetails, UserKudosDetails, UserRecords, WorkKind,
};
use muster_store::{ApiKeyHash, KudosAction, RecordKind, Role, UserRecord, UserTotal};

use super::cache::Caller;
use crate::{Engine, EngineError, error::Result};

impl Engine {
    /// The account that an API key belongs to, as its owner sees it.
    ///
    /// # Errors
    /// `InvalidAPIKey` without a key, `UserNotFound` (404) with one that nobody has.
    pub async fn find_user(&self, api_key: Option<&str>) -> Result<UserDetails> {
        let Some(api_key) = api_key.filter(|key| !key.is_empty()) else {
            return Err(EngineError::refused(
                ReturnCode::InvalidApiKey,
                "Send your API key in the apikey header.",
            ));
        };
        let hash = ApiKeyHash::of(&self.config.key_salt, api_key);
        match self.accounts.find(&self.store, &hash).await? {
            Some(caller) => self.own_view(&caller).await,
            None => Err(EngineError::refused(
                ReturnCode::UserNotFound,
                "No user has this API key.",
            )),
        }
    }

    async fn own_view(&self, caller: &Caller) -> Result<UserDetails> {
        let account = caller.account();
        let totals = self.store.user_totals(account.id).await?;
        let records = self.store.user_records(account.id).await?;
        let workers = self.workers.owned_by(account.id);
        Ok(UserDetails {
            username: caller.alias(),
            id: account.id,
            kudos: caller.spendable().whole() as f64,
            kudos_details: kudos_details(&totals),
            concurrency: account.concurrency.max(0).unsigned_abs(),
            worker_invited: account.worker_invited.max(0).unsigned_abs(),
            moderator: caller.has(Role::Moderator),
            worker_count: workers.len() as u32,
            worker_ids: Some(workers),
            styles: Vec::new(),
            sharedkey_ids: Some(Vec::new()),
            active_generations: self.active_generations(caller),
            trusted: caller.is_trusted(),
            flagged: caller.has(Role::Flagged),
            vpn: Some(caller.has(Role::Vpn)),
            service: caller.has(Role::Service),
            education: caller.has(Role::Education),
            customizer: caller.has(Role::Customizer),
            special: Some(caller.has(Role::Special)),
            deleted: caller.has(Role::Deleted),
            pseudonymous: caller.kind() == AccountKind::Pseudonymous,
            contact: account.contact.clone(),
            account_age: self.clock.now().since(account.created).as_secs(),
            usage: UsageDetails::default(),
            contributions: ContributionsDetails::default(),
            records: user_records(&records),
        })
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
