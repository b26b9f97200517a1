//! [`Text`]: the text kind, that is how requests and workers become masks.

use std::sync::{Arc, LazyLock};

use muster_protocol::Kudos;

use super::{Demand, Offer, SkipReason, Skipped};
use crate::{
    Blacklist,
    kind::{Abilities, Counts, Kind, Needs, Refusal, Traits},
    sizes::Sizes,
};

/// The bits, in the order in which they are tested.
mod bit {
    /// Names no model.
    pub(super) const ANY_MODEL: u32 = 0;
    /// Is not for slow workers.
    pub(super) const FAST: u32 = 1;
    /// Is for backends that the horde has checked.
    pub(super) const VALIDATED: u32 = 2;
    /// Is for workers of trusted owners.
    pub(super) const TRUSTED_OWNER: u32 = 3;
    /// Contains no forbidden word; text workers have none.
    pub(super) const WORDS: u32 = 4;
    /// Fits into the worker's context.
    pub(super) const CONTEXT: u32 = 5;
    /// Can be paid for; text workers don't ask.
    pub(super) const UPFRONT: u32 = 6;
}

/// The text kind. Never a value, only a type parameter of the [`Board`](crate::Board).
#[derive(Clone, Debug)]
pub enum Text {}

/// What is counted over all waiting requests.
#[derive(Debug, Default)]
pub struct Tally {
    fast: u64,
    validated: u64,
    trusted: u64,
    lengths: Sizes,
    contexts: Sizes,
}

impl Kind for Text {
    type Demand = Demand;
    type Offer = Offer;
    type SkipReason = SkipReason;
    type Skipped = Skipped;
    type Tally = Tally;

    const QUERY: Needs = 1 << bit::ANY_MODEL | 1 << bit::FAST | 1 << bit::VALIDATED;
    const NOT_FOR_AVAILABILITY: Needs = 1 << bit::ANY_MODEL;
    const ANY_MODEL: Needs = 1 << bit::ANY_MODEL;
    const WORDS: Needs = 1 << bit::WORDS;
    const EFFORT: Needs = 1 << bit::CONTEXT;
    const UPFRONT: Needs = 1 << bit::UPFRONT;

    fn traits_of(demand: &Demand, any_model: bool) -> Traits {
        let needs = [
            (bit::ANY_MODEL, any_model),
            (bit::FAST, !demand.slow_workers),
            (bit::VALIDATED, demand.validated_backends),
            (bit::TRUSTED_OWNER, demand.trusted_workers),
        ];
        Traits {
            needs: mask(needs),
            size: demand.max_length,
            effort: demand.max_context_length,
        }
    }

    fn abilities(offer: &Offer, _: &[Arc<str>]) -> Abilities {
        let accepts = [
            (bit::ANY_MODEL, true),
            (bit::FAST, offer.speed >= offer.fast_from),
            (bit::VALIDATED, offer.validated_backend),
            (bit::TRUSTED_OWNER, offer.owner_trusted),
            (bit::WORDS, true),
            (bit::UPFRONT, true),
        ];
        Abilities {
            accepts: mask(accepts),
            max_size: offer.max_length,
            max_effort: offer.max_context_length,
            own_only: offer.maintenance,
            decoys: offer.paused,
            upfront: false,
        }
    }

    fn prompt(_: &Demand) -> &Arc<str> {
        static NONE: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(""));
        &NONE
    }

    fn blacklist(_: &Offer) -> Option<&Arc<Blacklist>> {
        None
    }

    fn upfront(_: &Demand) -> Option<(Kudos, Kudos)> {
        None
    }

    fn batch(_: &Demand, _: &Offer, amount: u32) -> u32 {
        amount.max(1)
    }

    fn count(tally: &mut Tally, traits: &Traits, waiting: bool) {
        let counts = [
            (bit::FAST, &mut tally.fast),
            (bit::VALIDATED, &mut tally.validated),
            (bit::TRUSTED_OWNER, &mut tally.trusted),
        ];
        for (bit, count) in counts {
            match (traits.needs >> bit & 1, waiting) {
                (1, true) => *count += 1,
                (1, false) => *count -= 1,
                _ => {}
            }
        }
        tally.lengths.count(traits.size, waiting);
        tally.contexts.count(traits.effort, waiting);
    }

    fn skipped(counts: &Counts<'_, Self>) -> Skipped {
        let (tally, abilities) = (counts.tally, counts.abilities);
        let unless = |bit: u32, count: u64| {
            if abilities.accepts >> bit & 1 == 1 {
                0
            } else {
                count
            }
        };
        Skipped {
            models: counts.models,
            worker_id: counts.worker_list,
            max_length: tally.lengths.larger_than(abilities.max_size),
            max_context_length: tally.contexts.larger_than(abilities.max_effort),
            performance: unless(bit::FAST, tally.fast),
            untrusted: unless(bit::TRUSTED_OWNER, tally.trusted),
            bridge_version: unless(bit::VALIDATED, tally.validated),
        }
    }

    fn reason(bit: u32) -> SkipReason {
        match bit {
            bit::ANY_MODEL => SkipReason::Models,
            bit::FAST => SkipReason::Performance,
            bit::VALIDATED => SkipReason::BridgeVersion,
            bit::CONTEXT => SkipReason::MaxContextLength,
            _ => SkipReason::Untrusted,
        }
    }

    fn refusal(refusal: Refusal) -> SkipReason {
        match refusal {
            Refusal::Models => SkipReason::Models,
            Refusal::WorkerList => SkipReason::WorkerId,
            Refusal::Size => SkipReason::MaxLength,
            Refusal::Maintenance => SkipReason::Maintenance,
            Refusal::Paused => SkipReason::Secret,
        }
    }
}

fn mask<const N: usize>(bits: [(u32, bool); N]) -> Needs {
    bits.iter()
        .fold(0, |mask, &(bit, set)| mask | Needs::from(set) << bit)
}
