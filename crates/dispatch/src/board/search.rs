//! The search for the request that a worker gets, and the counts it is told if there is none.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc};

use muster_protocol::{Kudos, RequestId, UserId};
use rand::{Rng, seq::IndexedRandom};
use slab::Slab;

use super::{
    Board, Entry,
    users::{UserNumber, Users},
};
use crate::{
    bits::Bits,
    blocks::{Lane, LaneRow, LaneSide, Zone},
    kind::{Abilities, Counts, Kind, Needs, Refusal, Rejections, first_missing},
    models::{Models, Offered},
    order::OrderKey,
    ticket::{Pop, Reserved, Ticket},
    words::{Unread, Verdict, Verdicts},
};

/// Above this many requests of users that come first, the lanes are searched for them instead of
/// looking at each.
const FEW: u64 = 1024;

/// Whether the worker could be given the request in this pop, and if not, why: everything but
/// expiry, slots and the matter of decoys.
pub fn could_serve<K: Kind>(
    ticket: &Ticket<K::Demand>,
    pop: &Pop<'_, K::Offer>,
) -> Result<(), K::SkipReason> {
    let abilities = K::abilities(pop.offer, pop.models);
    judge_ticket::<K>(ticket, pop, &abilities, Needs::MAX, || {
        K::upfront(&ticket.demand).map_or(Kudos::ZERO, |(_, available)| available)
    })
}

/// Whether the worker, if it is online, makes the request possible (spec: image, section 5.10), and if
/// not, why. This forgives more than [`could_serve`] in what the specification leaves out, and less
/// in that a paused worker serves its owner only. [`Board::is_possible`] is the same for requests on
/// the board and knows about decoys and what the requester has to spend now.
pub fn makes_possible<K: Kind>(
    ticket: &Ticket<K::Demand>,
    pop: &Pop<'_, K::Offer>,
) -> Result<(), K::SkipReason> {
    judge_available::<K>(ticket, pop, || {
        K::upfront(&ticket.demand).map_or(Kudos::ZERO, |(_, available)| available)
    })
}

/// All that keeps the worker from making the request possible, where [`makes_possible`] tells what comes
/// first. Nothing, if it does make it possible. Slower: every need and the whole prompt are looked at.
pub fn obstacles<K: Kind>(ticket: &Ticket<K::Demand>, pop: &Pop<'_, K::Offer>) -> Vec<K::SkipReason> {
    let abilities = K::abilities(pop.offer, pop.models);
    let mut traits = K::traits_of(&ticket.demand, ticket.models.is_empty());
    traits.needs &= !K::NOT_FOR_AVAILABILITY;
    let foreign = ticket.requester != pop.owner;
    let refusals = [
        (foreign && abilities.decoys, Refusal::Paused),
        (foreign && abilities.own_only, Refusal::Maintenance),
        (!ticket.workers.admits(pop.worker), Refusal::WorkerList),
        (offers_no_model(ticket, pop), Refusal::Models),
        (traits.size > abilities.max_size, Refusal::Size),
    ];
    let refusals = refusals.into_iter().filter(|(refused, _)| *refused);
    let mut reasons: Vec<K::SkipReason> = refusals.map(|(_, refusal)| K::refusal(refusal)).collect();
    let mut missing = traits.needs & !abilities.accepts;
    if traits.effort > abilities.max_effort {
        missing |= K::EFFORT;
    }
    if K::blacklist(pop.offer).is_some_and(|list| list.matches(K::prompt(&ticket.demand))) {
        missing |= K::WORDS;
    }
    if abilities.upfront
        && !pop.priority_users.contains(&ticket.requester)
        && K::upfront(&ticket.demand).is_some_and(|(price, available)| available < price)
    {
        missing |= K::UPFRONT;
    }
    while missing != 0 {
        reasons.push(K::reason(missing.trailing_zeros()));
        missing &= missing - 1;
    }
    reasons
}

fn offers_no_model<D, O>(ticket: &Ticket<D>, pop: &Pop<'_, O>) -> bool {
    !ticket.models.is_empty() && !ticket.models.iter().any(|model| pop.models.contains(model))
}

fn judge_available<K: Kind>(
    ticket: &Ticket<K::Demand>,
    pop: &Pop<'_, K::Offer>,
    available: impl FnOnce() -> Kudos,
) -> Result<(), K::SkipReason> {
    let abilities = K::abilities(pop.offer, pop.models);
    if abilities.decoys && ticket.requester != pop.owner {
        return Err(K::refusal(Refusal::Paused));
    }
    judge_ticket::<K>(ticket, pop, &abilities, !K::NOT_FOR_AVAILABILITY, available)
}

/// The whole test for one ticket. Of the needs, those in `considered` count.
fn judge_ticket<K: Kind>(
    ticket: &Ticket<K::Demand>,
    pop: &Pop<'_, K::Offer>,
    abilities: &Abilities,
    considered: Needs,
    available: impl FnOnce() -> Kudos,
) -> Result<(), K::SkipReason> {
    let foreign = ticket.requester != pop.owner;
    let mut traits = K::traits_of(&ticket.demand, ticket.models.is_empty());
    traits.needs &= considered;
    let refusal = if foreign && abilities.own_only {
        Some(Refusal::Maintenance)
    } else if !ticket.workers.admits(pop.worker) {
        Some(Refusal::WorkerList)
    } else if offers_no_model(ticket, pop) {
        Some(Refusal::Models)
    } else if traits.size > abilities.max_size {
        Some(Refusal::Size)
    } else {
        None
    };
    if let Some(refusal) = refusal {
        return Err(K::refusal(refusal));
    }
    let forbidden_word =
        || K::blacklist(pop.offer).is_some_and(|list| list.matches(K::prompt(&ticket.demand)));
    if let Some(bit) = first_missing::<K>(&traits, abilities, forbidden_word) {
        return Err(K::reason(bit));
    }
    if abilities.upfront
        && !pop.priority_users.contains(&ticket.requester)
        && let Some((price, _)) = K::upfront(&ticket.demand)
        && available() < price
    {
        return Err(K::reason(K::UPFRONT.trailing_zeros()));
    }
    Ok(())
}

impl<K: Kind> Board<K> {
    /// Whether any of the workers, which should be those that are online, could serve the request at
    /// some time (spec: image, section 5.10). `None` if the request is not on the board.
    pub fn is_possible<'a>(
        &self,
        request: RequestId,
        workers: impl IntoIterator<Item = Pop<'a, K::Offer>>,
    ) -> Option<bool>
    where
        K::Offer: 'a,
    {
        let slot = *self.slots.get(&request)?;
        let entry = &self.entries[slot as usize];
        let available = self.users.available(self.sides[slot as usize].user);
        Some(workers.into_iter().any(|pop| {
            !entry.tricked.contains(&pop.worker)
                && judge_available::<K>(&entry.ticket, &pop, || available).is_ok()
        }))
    }

    /// Looks for the first request that the worker can serve.
    pub(super) fn search(&mut self, pop: &Pop<'_, K::Offer>) -> Outcome<K> {
        let verdicts = K::blacklist(pop.offer)
            .filter(|list| !list.is_empty())
            .map(|list| self.words.take(list));
        let mut search = Search::<K> {
            entries: &self.entries,
            users: &self.users,
            models: &self.models,
            pop,
            abilities: K::abilities(pop.offer, pop.models),
            offered: self.models.offered(pop.models),
            prioritised: pop
                .priority_users
                .iter()
                .filter_map(|&user| self.users.number(user))
                .collect(),
            barred: self.workers.barred(pop.worker),
            verdicts,
            rejections: [0; _],
            best: None,
            first_unread: None,
        };
        let found = self.pass_over(&mut search);
        let outcome = if let Some(unread) = search.unread() {
            Outcome::Unread(unread)
        } else if let Some(slot) = found {
            let own = self.entries[slot as usize].ticket.requester == pop.owner;
            let decoy = search.abilities.decoys && !own;
            Outcome::Found { slot, decoy }
        } else {
            Outcome::Nothing(self.skipped(&search))
        };
        if let Some(verdicts) = search.verdicts {
            self.words.give_back(verdicts);
        }
        outcome
    }

    /// The passes: users who come first, then everybody.
    fn pass_over(&self, search: &mut Search<'_, K>) -> Option<u32> {
        let pop = search.pop;
        if search.abilities.own_only {
            self.search_users(search, &[pop.owner], Tallied::All);
            return search.found();
        }
        let mut first: Vec<UserId> = vec![pop.owner];
        first.extend(pop.priority_users);
        first.retain(|&user| self.users.find(user).is_some_and(|user| user.waiting > 0));
        first.sort_unstable();
        first.dedup();
        if !first.is_empty() {
            let tallied = if self.matched_targeting {
                Tallied::Targeted
            } else {
                Tallied::None
            };
            self.search_users(search, &first, tallied);
            if search.best.is_some() || search.is_undecided() {
                return search.found();
            }
        }
        let lanes = self.lanes_for(search, !self.matched_targeting);
        search.sweep(&lanes, None, Tallied::All);
        search.found()
    }

    /// The lanes in which the worker may find something.
    fn lanes_for<'a>(&'a self, search: &Search<'_, K>, targeted: bool) -> Vec<Found<'a>> {
        let sole = search.offered.ids().iter().map(|&model| self.models.lane(model));
        let mut lanes: Vec<Found<'_>> = sole
            .map(|lane| Found {
                lane,
                mixed: false,
                targeted: false,
            })
            .collect();
        lanes.push(Found {
            lane: &self.lanes.any,
            mixed: false,
            targeted: false,
        });
        lanes.push(Found {
            lane: &self.lanes.several,
            mixed: true,
            targeted: false,
        });
        if targeted && let Some(lane) = self.workers.lane(search.pop.worker) {
            lanes.push(Found {
                lane,
                mixed: true,
                targeted: true,
            });
        }
        lanes
    }

    /// Searches the requests of some users.
    fn search_users(&self, search: &mut Search<'_, K>, users: &[UserId], tallied: Tallied) {
        let waiting: u64 = users
            .iter()
            .filter_map(|&user| self.users.find(user))
            .map(|user| u64::from(user.waiting))
            .sum();
        if waiting > FEW {
            let numbers: Vec<UserNumber> = users.iter().filter_map(|&user| self.users.number(user)).collect();
            let lanes = self.lanes_for(search, true);
            search.sweep(&lanes, Some(&numbers), tallied);
            return;
        }
        for &user in users {
            for (&(_, key), &slot) in self.requests_of(user) {
                if search.best.is_some_and(|(best, _)| best < key) || search.is_full() {
                    break;
                }
                let entry = &self.entries[slot as usize];
                if !entry.ticket.workers.admits(search.pop.worker) {
                    continue;
                }
                let targeted = matches!(entry.ticket.workers, crate::WorkerList::Only(_));
                let side = &self.sides[slot as usize];
                let row = LaneRow::new(&entry.traits, self.models.signature(side.set), slot);
                if search.judge(&row, side, true, tallied.counts(targeted)) {
                    search.best = Some((key, slot));
                    break;
                }
            }
        }
    }

    /// The waiting requests of a user, in order.
    fn requests_of(&self, user: UserId) -> impl Iterator<Item = (&(UserId, OrderKey), &u32)> {
        self.by_user
            .range((user, OrderKey::FIRST)..=(user, OrderKey::LAST))
    }

    fn skipped(&self, search: &Search<'_, K>) -> K::Skipped {
        let (pop, offered) = (search.pop, &search.offered);
        let own;
        let (tally, models, worker_list) = if search.abilities.own_only {
            own = self.count_requests_of(pop, offered);
            (&own.0, own.1, own.2)
        } else {
            let models = self.models.waiting() - self.models.waiting_for(offered);
            (
                &self.tally,
                models,
                self.workers.excluding(pop.worker, self.matched_targeting),
            )
        };
        K::skipped(&Counts {
            offer: pop.offer,
            abilities: &search.abilities,
            tally,
            rejections: &search.rejections,
            models,
            worker_list,
        })
    }

    /// The counts over the requests of the worker's owner alone.
    fn count_requests_of(&self, pop: &Pop<'_, K::Offer>, offered: &Offered) -> (K::Tally, u64, u64) {
        let mut tally = K::Tally::default();
        let (mut models, mut worker_list) = (0, 0);
        for (_, &slot) in self.requests_of(pop.owner) {
            let entry = &self.entries[slot as usize];
            let workers = &entry.ticket.workers;
            K::count(&mut tally, &entry.traits, true);
            let named = !entry.ticket.models.is_empty();
            models += u64::from(named && !self.models.intersects(self.sides[slot as usize].set, offered));
            worker_list += u64::from(!workers.admits(pop.worker));
        }
        (tally, models, worker_list)
    }

    /// Takes slots out of the request for the worker, or tricks it with a decoy.
    pub(super) fn take<R: Rng + ?Sized>(
        &mut self,
        slot: u32,
        decoy: bool,
        pop: &Pop<'_, K::Offer>,
        rng: &mut R,
    ) -> Reserved {
        let entry = &mut self.entries[slot as usize];
        let ticket = &entry.ticket;
        let request = ticket.request;
        let model = choose_model(&ticket.models, pop.models, rng);
        if decoy {
            entry.tricked.push(pop.worker);
            self.workers.bar(pop.worker, slot);
            return Reserved {
                request,
                slots: 1,
                model,
                decoy,
            };
        }
        let left = ticket.slots;
        let slots = K::batch(&ticket.demand, pop.offer, pop.amount.max(1)).clamp(1, left);
        self.set_slots_of(slot, left - slots);
        Reserved {
            request,
            slots,
            model,
            decoy,
        }
    }
}

/// One of the models that both sides name, or one of the worker's if the request names none.
fn choose_model<R: Rng + ?Sized>(named: &[Arc<str>], offered: &[Arc<str>], rng: &mut R) -> Arc<str> {
    let common: Vec<&Arc<str>> = named.iter().filter(|model| offered.contains(model)).collect();
    if let Some(&model) = common.choose(rng) {
        return Arc::clone(model);
    }
    offered.choose(rng).map_or_else(|| Arc::from(""), Arc::clone)
}

/// Which refusals are counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tallied {
    /// None: the request is looked at again in the next pass.
    None,
    /// Those of requests for certain workers: the next pass doesn't look at them.
    Targeted,
    /// All.
    All,
}

impl Tallied {
    fn counts(self, targeted: bool) -> bool {
        self == Self::All || self == Self::Targeted && targeted
    }
}

/// A lane in which the worker may find something.
struct Found<'a> {
    lane: &'a Lane,
    /// Whether there are requests in it for models that the worker doesn't offer.
    mixed: bool,
    /// Whether it is the worker's own lane.
    targeted: bool,
}

/// One search.
struct Search<'a, K: Kind> {
    entries: &'a Slab<Entry<K::Demand>>,
    users: &'a Users,
    models: &'a Models,
    pop: &'a Pop<'a, K::Offer>,
    abilities: Abilities,
    offered: Offered,
    /// The pop's priority users.
    prioritised: Vec<UserNumber>,
    barred: Option<&'a Bits>,
    verdicts: Option<Verdicts>,
    /// Candidates refused, by need.
    rejections: Rejections,
    /// The first request that can be served, as far as is known.
    best: Option<(OrderKey, u32)>,
    /// The first request that may or may not be served: its prompt is unread.
    first_unread: Option<OrderKey>,
}

/// What a search came to.
pub(super) enum Outcome<K: Kind> {
    /// The worker gets this request, or only a decoy of it.
    Found { slot: u32, decoy: bool },
    /// These prompts have to be read first.
    Unread(Unread),
    /// There is nothing for it.
    Nothing(K::Skipped),
}

impl<K: Kind> Search<'_, K> {
    fn found(&self) -> Option<u32> {
        self.best.map(|(_, slot)| slot)
    }

    /// Whether enough was found unread that it is better read before the search goes on.
    fn is_full(&self) -> bool {
        self.verdicts.as_ref().is_some_and(Verdicts::is_full)
    }

    /// Whether what is unread may come before what was found.
    fn is_undecided(&self) -> bool {
        self.is_full()
            || self
                .first_unread
                .is_some_and(|unread| self.best.is_none_or(|(best, _)| unread < best))
    }

    /// What has to be read before it can be decided.
    fn unread(&mut self) -> Option<Unread> {
        let undecided = self.is_undecided();
        let verdicts = self.verdicts.as_mut()?;
        if undecided {
            return Some(verdicts.take_unread());
        }
        verdicts.drop_unread();
        None
    }

    /// Looks through lanes for the first request that can be served, block by block in the order of
    /// the blocks' first rows: no more is looked at than the rows ahead of the one found and what
    /// shares a block with them.
    fn sweep(&mut self, lanes: &[Found<'_>], users: Option<&[UserNumber]>, tallied: Tallied) {
        let head = |lane: usize, block: usize| {
            lanes[lane]
                .lane
                .blocks()
                .get(block)
                .map(|it| Reverse((*it.first(), lane, block)))
        };
        let mut heads: BinaryHeap<_> = (0..lanes.len()).filter_map(|lane| head(lane, 0)).collect();
        while let Some(Reverse((first, lane, block))) = heads.pop() {
            if self.best.is_some_and(|(best, _)| best < first) || self.is_full() {
                break;
            }
            self.sweep_block(&lanes[lane], block, users, tallied);
            heads.extend(head(lane, block + 1));
        }
    }

    fn sweep_block(
        &mut self,
        found: &Found<'_>,
        block: usize,
        users: Option<&[UserNumber]>,
        tallied: Tallied,
    ) {
        let block = &found.lane.blocks()[block];
        if self.passes_over(block.summary(), found.mixed) {
            return;
        }
        let tally = tallied.counts(found.targeted);
        let served = block.rows().position(|(row, side)| {
            users.is_none_or(|users| users.contains(&side.user)) && self.judge(row, side, found.mixed, tally)
        });
        if let Some((at, (row, _))) = served.and_then(|at| Some((at, block.rows().nth(at)?))) {
            let key = block.keys()[at];
            if self.best.is_none_or(|(best, _)| key < best) {
                self.best = Some((key, row.slot));
            }
        }
    }

    /// Whether no row of a block is even a candidate.
    fn passes_over(&self, zone: &Zone, mixed: bool) -> bool {
        let mut missing = zone.needs & !self.abilities.accepts;
        if zone.min_effort > self.abilities.max_effort {
            missing |= K::EFFORT;
        }
        missing & K::QUERY != 0
            || zone.min_size > self.abilities.max_size
            || mixed && zone.models != u32::MAX && zone.models & self.offered.signature() == 0
    }

    /// Whether the worker can serve a request, cheapest test first. Refused candidates are counted if
    /// `tally` says so; requests that are no candidates at all (spec: image, section 7.5) are not.
    #[inline]
    fn judge(&mut self, row: &LaneRow, side: &LaneSide, mixed: bool, tally: bool) -> bool {
        let needs = row.needs();
        let mut missing = needs & !self.abilities.accepts;
        if row.effort > self.abilities.max_effort {
            missing |= K::EFFORT;
        }
        if missing & K::QUERY != 0 || row.size > self.abilities.max_size {
            return false;
        }
        if self.barred.is_some_and(|barred| barred.has(row.slot)) {
            return false;
        }
        if mixed && needs & K::ANY_MODEL == 0 && !self.offers(row, side) {
            return false;
        }
        let entries = self.entries;
        if missing & (K::WORDS - 1) == 0
            && let Some(verdicts) = &mut self.verdicts
        {
            match verdicts.of(row.slot, || K::prompt(&entries[row.slot as usize].ticket.demand)) {
                Verdict::Clean => {}
                Verdict::Forbidden => missing |= K::WORDS,
                Verdict::Unread => {
                    let key = entries[row.slot as usize].key;
                    self.first_unread = Some(self.first_unread.map_or(key, |first| first.min(key)));
                    return false;
                }
            }
        }
        if missing == 0 && self.abilities.upfront && !self.can_pay(side) {
            missing |= K::UPFRONT;
        }
        if missing != 0 && tally {
            self.rejections[missing.trailing_zeros() as usize] += 1;
        }
        missing == 0
    }

    /// Whether the worker offers one of the models named.
    #[inline]
    fn offers(&self, row: &LaneRow, side: &LaneSide) -> bool {
        side.low_models & self.offered.low() != 0
            || self.offered.has_high()
                && row.models & self.offered.signature() != 0
                && self.models.intersects(side.set, &self.offered)
    }

    /// Whether the requester owns the price of a job, or needn't.
    #[inline]
    fn can_pay(&self, side: &LaneSide) -> bool {
        self.users.available(side.user) >= side.price || self.prioritised.contains(&side.user)
    }
}
