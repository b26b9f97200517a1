//! [`Alchemy`]: the kind, that is how requests and workers become masks.

use std::sync::{Arc, LazyLock};

use muster_protocol::Kudos;

use super::{Demand, Offer, SLOW_FROM, SkipReason, Skipped};
use crate::{
    Blacklist,
    kind::{Abilities, Counts, Kind, Needs, Refusal, Traits},
};

/// The bits, in the order in which they are tested.
mod bit {
    /// Has no form left.
    pub(super) const ANY_MODEL: u32 = 0;
    /// Is not for slow workers.
    pub(super) const FAST: u32 = 1;
    /// Contains no forbidden word; alchemists have none.
    pub(super) const WORDS: u32 = 2;
    /// Is for workers of trusted owners.
    pub(super) const TRUSTED_OWNER: u32 = 3;
    /// Takes no more effort than the worker's limit; forms have none.
    pub(super) const EFFORT: u32 = 4;
    /// Can be paid for; alchemists don't ask.
    pub(super) const UPFRONT: u32 = 5;
}

/// The kind. Never a value, only a type parameter of the [`Board`](crate::Board).
#[derive(Clone, Debug)]
pub enum Alchemy {}

impl Kind for Alchemy {
    type Demand = Demand;
    type Offer = Offer;
    type SkipReason = SkipReason;
    type Skipped = Skipped;
    type Tally = ();

    const AGES: bool = false;
    const QUERY: Needs = 1 << bit::ANY_MODEL | 1 << bit::FAST;
    const NOT_FOR_AVAILABILITY: Needs = 1 << bit::ANY_MODEL;
    const ANY_MODEL: Needs = 1 << bit::ANY_MODEL;
    const WORDS: Needs = 1 << bit::WORDS;
    const EFFORT: Needs = 1 << bit::EFFORT;
    const UPFRONT: Needs = 1 << bit::UPFRONT;

    fn traits_of(demand: &Demand, any_model: bool) -> Traits {
        let needs = Needs::from(any_model) << bit::ANY_MODEL
            | Needs::from(!demand.slow_workers) << bit::FAST
            | Needs::from(demand.trusted_workers) << bit::TRUSTED_OWNER;
        Traits {
            needs,
            size: demand.tiles,
            effort: 0,
        }
    }

    fn abilities(offer: &Offer, _: &[Arc<str>]) -> Abilities {
        let accepts = Needs::from(offer.seconds_per_form < SLOW_FROM) << bit::FAST
            | Needs::from(offer.owner_trusted) << bit::TRUSTED_OWNER
            | Self::WORDS
            | Self::UPFRONT;
        Abilities {
            accepts,
            max_size: offer.max_tiles,
            max_effort: u32::MAX,
            own_only: offer.maintenance,
            decoys: false,
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

    /// One form at a time: which one is left afterwards is told by its client's list.
    fn batch(_: &Demand, _: &Offer, _: u32) -> u32 {
        1
    }

    fn count((): &mut (), _: &Traits, _: bool) {}

    fn skipped(counts: &Counts<'_, Self>) -> Skipped {
        Skipped {
            worker_id: counts.worker_list,
            untrusted: u64::from(counts.rejections[bit::TRUSTED_OWNER as usize]),
        }
    }

    fn reason(bit: u32) -> SkipReason {
        match bit {
            bit::ANY_MODEL => SkipReason::Forms,
            bit::FAST => SkipReason::Performance,
            _ => SkipReason::Untrusted,
        }
    }

    fn refusal(refusal: Refusal) -> SkipReason {
        match refusal {
            Refusal::Models => SkipReason::Forms,
            Refusal::WorkerList => SkipReason::WorkerId,
            Refusal::Size => SkipReason::MaxTiles,
            Refusal::Maintenance | Refusal::Paused => SkipReason::Maintenance,
        }
    }
}
