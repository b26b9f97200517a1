//! [`Kind`]: what the board must be told about a kind of work, so that one board serves all kinds.
//!
//! A kind translates what a request asks for into a set of *needs* and two numbers ([`Traits`]),
//! and what a worker offers into the set of needs it satisfies and two limits ([`Abilities`]).
//! Whether a worker can serve a request then is one mask test and two comparisons. Only what has no
//! place in a mask is tested by itself: worker lists, forbidden words and the requester's kudos.

use std::sync::Arc;

use muster_protocol::Kudos;

use crate::Blacklist;

/// A set of needs, one bit each. The lowest bit that a worker lacks is the reason it is refused.
pub type Needs = u128;

/// How often each need was the reason to refuse a request, by bit.
pub type Rejections = [u32; Needs::BITS as usize];

/// What a request needs, in the form that is compared with [`Abilities`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// What the worker must be able to do.
    pub needs: Needs,
    /// A size that a worker may limit: pixels for pictures.
    pub size: u32,
    /// A second one: steps for pictures, if the worker's limit decides and not the request's models.
    pub effort: u32,
}

/// What a worker can do, in the form that is compared with [`Traits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// The needs it satisfies.
    pub accepts: Needs,
    /// The largest size it takes.
    pub max_size: u32,
    /// The largest effort it takes.
    pub max_effort: u32,
    /// It serves its owner's requests only (maintenance).
    pub own_only: bool,
    /// It gets decoys in place of other people's requests (paused).
    pub decoys: bool,
    /// It wants requesters to own the price of a job already.
    pub upfront: bool,
}

/// A kind of work.
pub trait Kind: Sized {
    /// What a request needs, as the engine describes it.
    type Demand;
    /// What a worker offers, as the engine describes it.
    type Offer;
    /// Why a request can't go to a worker.
    type SkipReason;
    /// The counts a worker is told when there is nothing for it.
    type Skipped;
    /// Whatever must be counted over all waiting requests to fill in [`Self::Skipped`].
    type Tally: Default;

    /// Whether waiting raises the priority.
    const AGES: bool = true;
    /// The needs without which a request isn't even looked at: it counts under the general skip
    /// counts, not as a candidate that was refused.
    const QUERY: Needs;
    /// The needs that don't count when the question is whether anybody could ever serve a request.
    const NOT_FOR_AVAILABILITY: Needs;
    /// The need that stands for "names no model".
    const ANY_MODEL: Needs;
    /// The need that stands for "contains none of the worker's forbidden words". Not part of any
    /// request's needs; its bit says which needs are tested earlier and which later.
    const WORDS: Needs;
    /// The need that stands for "no more effort than the worker's limit".
    const EFFORT: Needs;
    /// The need that stands for "the requester owns the price". The last one tested.
    const UPFRONT: Needs;

    /// What a request needs. `any_model`: it names none.
    fn traits_of(demand: &Self::Demand, any_model: bool) -> Traits;

    /// What a worker can do while it offers `models`.
    fn abilities(offer: &Self::Offer, models: &[Arc<str>]) -> Abilities;

    /// The text that forbidden words are looked for in.
    fn prompt(demand: &Self::Demand) -> &Arc<str>;

    /// The worker's forbidden words, if it has any.
    fn blacklist(offer: &Self::Offer) -> Option<&Arc<Blacklist>>;

    /// What a worker may ask the requester to own, and what the requester owned when the ticket was
    /// written. `None`: nothing is asked.
    fn upfront(demand: &Self::Demand) -> Option<(Kudos, Kudos)>;

    /// How many jobs of one request a worker that asked for `amount` gets at once.
    fn batch(demand: &Self::Demand, offer: &Self::Offer, amount: u32) -> u32;

    /// Counts a request in (or out again, if not `waiting`).
    fn count(tally: &mut Self::Tally, traits: &Traits, waiting: bool);

    /// Puts the counts together.
    fn skipped(counts: &Counts<'_, Self>) -> Self::Skipped;

    /// The reason that a missing need stands for.
    fn reason(bit: u32) -> Self::SkipReason;

    /// The reason for the refusals that the board finds by itself.
    fn refusal(refusal: Refusal) -> Self::SkipReason;
}

/// The first need that a worker lacks, in the order of the bits. Whether the prompt contains a
/// forbidden word is only asked if it decides.
pub(crate) fn first_missing<K: Kind>(
    traits: &Traits,
    abilities: &Abilities,
    forbidden_word: impl FnOnce() -> bool,
) -> Option<u32> {
    let mut missing = traits.needs & !abilities.accepts;
    if traits.effort > abilities.max_effort {
        missing |= K::EFFORT;
    }
    if missing & (K::WORDS - 1) == 0 && forbidden_word() {
        missing |= K::WORDS;
    }
    (missing != 0).then(|| missing.trailing_zeros())
}

/// Refusals that are no missing need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// None of the request's models is offered.
    Models,
    /// The request's worker list excludes the worker.
    WorkerList,
    /// The request is larger than the worker's limit.
    Size,
    /// The worker serves its owner only.
    Maintenance,
    /// The worker is paused and only gets decoys.
    Paused,
}

/// All that was counted while nothing was found for a worker.
pub struct Counts<'a, K: Kind> {
    /// What the worker offers.
    pub offer: &'a K::Offer,
    /// The same as abilities.
    pub abilities: &'a Abilities,
    /// The kind's own counts over the waiting requests.
    pub tally: &'a K::Tally,
    /// Candidates refused, by the first need that was missing.
    pub rejections: &'a Rejections,
    /// Waiting requests that name models, none of which the worker offers.
    pub models: u64,
    /// Waiting requests whose worker list excludes the worker.
    pub worker_list: u64,
}
