//! What happens to a request once all its rules are kept: it is made durable, put on the board, and its tax is
//! charged.

use std::sync::Arc;

use muster_protocol::{Kudos, RequestId, Timestamp};
use muster_store::{
    EventKind, KudosAction, LedgerEvent, NewRequest, RecordKind, RecordTally, SharedKeyTally, SystemAccount,
    Tallies, UserTally,
};
use uuid::Uuid;

use super::LIFETIME;
use crate::{
    Call, Engine,
    accounts::Caller,
    error::Result,
    live::LiveRequest,
    metrics::{self, Flow},
    styles::StyleUse,
    work::Work,
};

/// What the author of a style gets for each request with it.
const STYLE_REWARD: Kudos = Kudos::from_whole(2);

/// A request on its way into the queue.
pub(crate) struct Accepting<'a> {
    pub(crate) id: RequestId,
    pub(crate) call: &'a Call,
    pub(crate) caller: &'a Caller,
    /// The shared key that is charged, too.
    pub(crate) shared_key: Option<Uuid>,
    /// The style that it is made with.
    pub(crate) style: Option<&'a StyleUse>,
    /// Jobs asked for.
    pub(crate) count: u32,
    /// Where results are announced.
    pub(crate) webhook: Option<String>,
    /// Its place in the queue: higher first.
    pub(crate) priority: i64,
    /// What is charged at once and never given back.
    pub(crate) tax: Kudos,
    /// Price of one job before multipliers.
    pub(crate) price: f64,
}

impl Engine {
    /// An id for a new request.
    pub(crate) fn new_request_id(&self) -> RequestId {
        RequestId(Uuid::from_u128(self.random()))
    }

    /// Makes a request durable and puts it on the board. `required`: what it must promise.
    ///
    /// # Errors
    /// [`JournalError::Insufficient`](muster_store::JournalError::Insufficient) if what is required is not
    /// there or promised otherwise; other failures of the database.
    pub(crate) async fn accept<W: Work>(
        &self,
        accepting: &Accepting<'_>,
        spec: Arc<W::Request>,
        required: Option<Kudos>,
    ) -> Result<()> {
        let Accepting { id, caller, tax, .. } = *accepting;
        let now = self.clock.now();
        let price = Kudos::from_f64(accepting.price);
        let demand = W::demand(&spec, &self.facts(), price, caller.available());
        let things = W::things(&demand);
        let author = accepting.style.and_then(|style| style.rewarded(caller));
        let mut event = tax_event(id, caller, tax, now);
        if let Some(author) = author {
            event = reward_author(event, author);
        }
        let (held, event) = promise(caller, tax, required, event);
        let request = NewRequest {
            id,
            kind: W::KIND,
            user: caller.id(),
            shared_key: accepting.shared_key,
            created: now,
            expiry: now + LIFETIME,
            jobs_total: accepting.count as i32,
            priority: accepting.priority,
            price: accepting.price,
            consumed: tax,
            things: i64::try_from(things).unwrap_or(i64::MAX),
            client_agent: accepting.call.client_agent.clone(),
            ip: Some(accepting.call.address.to_string()),
            webhook: accepting.webhook.clone(),
            payload: serde_json::to_value(&*spec).expect("a request is plain data"),
            held,
            event: (tax > Kudos::ZERO || held > Kudos::ZERO).then_some(event),
            tallies: tallies::<W>(accepting, author, now),
        };
        let created = self.store.journal().create_request(request).await?;
        self.learn_balances(&created.balances);
        metrics::request_accepted(W::KIND);
        metrics::kudos_moved(Flow::Tax, tax);

        let request = LiveRequest {
            id,
            spec,
            user: caller.id(),
            shared_key: accepting.shared_key,
            expiry: now + LIFETIME,
            slots: accepting.count,
            reserved: Vec::new(),
            total: accepting.count,
            faulted: false,
            cancelled: false,
            consumed: tax,
            webhook: accepting.webhook.as_deref().map(Into::into),
            held: held > Kudos::ZERO,
            price: accepting.price,
            things,
            jobs: Vec::new(),
            possible: None,
        };
        let mut live = W::desk(self).live.lock();
        live.board.insert(request.ticket(accepting.priority, now, demand));
        live.insert(request);
        live.settle(id);
        drop(live);
        self.wake_duties();
        Ok(())
    }
}

/// The tax: from the requester to nobody.
fn tax_event(request: RequestId, caller: &Caller, tax: Kudos, at: Timestamp) -> LedgerEvent {
    LedgerEvent::new(format!("activate:{request}"), EventKind::Generation, at)
        .of_request(request)
        .with_floor(caller.id(), -tax, caller.kind().floor())
        .with(SystemAccount::Burn, tax)
}

/// The author of a style is rewarded for its use, out of nothing.
fn reward_author(event: LedgerEvent, author: &Caller) -> LedgerEvent {
    event
        .with_floor(author.id(), STYLE_REWARD, author.kind().floor())
        .with(SystemAccount::Treasury, -STYLE_REWARD)
}

/// What is promised to a request and the event that promises it: what it requires, less the tax, which
/// is the first charge on it. The account's floor can never be promised.
fn promise(caller: &Caller, tax: Kudos, required: Option<Kudos>, event: LedgerEvent) -> (Kudos, LedgerEvent) {
    let Some(required) = required else {
        return (Kudos::ZERO, event);
    };
    let held = (required - tax).max(Kudos::ZERO);
    let needed = required + caller.kind().floor();
    let event = event.requiring(caller.id(), needed);
    if held == Kudos::ZERO {
        return (held, event);
    }
    (held, event.with_hold(caller.id(), held))
}

/// The statistics of a taxed request, and of the style that it is made with. One without a tax counts only once it is
/// served.
fn tallies<W: Work>(accepting: &Accepting<'_>, author: Option<&Caller>, at: Timestamp) -> Tallies {
    let Accepting { caller, tax, .. } = *accepting;
    if tax == Kudos::ZERO {
        return Tallies::default();
    }
    let user = caller.id();
    let mut tallies = Tallies {
        totals: vec![UserTally {
            user,
            action: KudosAction::Accumulated,
            amount: -tax,
        }],
        records: vec![RecordTally {
            user,
            record: RecordKind::Request,
            kind: W::KIND,
            amount: 1.0,
        }],
        active: if user.is_anonymous() {
            Vec::new()
        } else {
            vec![(user, at)]
        },
        shared_keys: accepting
            .shared_key
            .map(|key| SharedKeyTally { key, amount: tax })
            .into_iter()
            .collect(),
        uses: accepting.style.map(StyleUse::uses).unwrap_or_default(),
        ..Tallies::default()
    };
    if let Some(author) = author {
        tallies.totals.push(UserTally {
            user: author.id(),
            action: KudosAction::Styled,
            amount: STYLE_REWARD,
        });
        tallies.records.push(RecordTally {
            user: author.id(),
            record: RecordKind::Style,
            kind: W::KIND,
            amount: 1.0,
        });
    }
    tallies
}
