//! What text is worth: from the lengths of prompt and generation and the size of the model to what a
//! worker earns and a requester pays (section 4).
//!
//! ```
//! use muster_kudos::text::{Model, TextJob, Worker, worker_reward};
//!
//! let job = TextJob { max_length: 80, prompt_chars: 2000, generation_chars: 320 };
//! let worker = Worker { owner_trusted: true, backend_validated: true };
//! let model = Model::of_parameters(13_000_000_000);
//! assert_eq!(worker_reward(&job, model, worker), 10.44);
//! ```

use muster_protocol::Kudos;

use crate::rounding::round2;

/// Characters that count as one token.
const CHARS_PER_TOKEN: u64 = 4;
/// Tokens that every text counts, unless fewer were asked for.
const FEWEST_TOKENS: u64 = 20;
/// Kudos that a job costs its requester beyond what its worker earns.
const BURN: f64 = 1.0;

/// A model as prices see it: its size in billions of parameters, or that nothing is known of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Model {
    /// In the model reference.
    Known {
        /// Billions of parameters.
        billions: f64,
    },
    /// Not in the model reference.
    Unknown,
}

impl Model {
    /// A known model with so many parameters.
    pub fn of_parameters(parameters: u64) -> Self {
        Self::Known {
            billions: parameters as f64 / 1e9,
        }
    }

    /// Billions of parameters; an unknown model counts 1.
    pub fn billions(self) -> f64 {
        match self {
            Self::Known { billions } => billions,
            Self::Unknown => 1.0,
        }
    }
}

/// One generation, in Unicode code points, and how many tokens were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextJob {
    /// Tokens asked for.
    pub max_length: u32,
    /// Length of the prompt.
    pub prompt_chars: u64,
    /// Length of what was generated.
    pub generation_chars: u64,
}

impl TextJob {
    /// The tokens that were generated, as prices count them.
    pub fn generated_tokens(&self) -> f64 {
        self.tokens(self.generation_chars)
    }

    /// The tokens that a text of so many characters counts, at most what was asked for.
    fn tokens(&self, chars: u64) -> f64 {
        let tokens = chars.div_ceil(CHARS_PER_TOKEN).max(FEWEST_TOKENS);
        tokens.min(u64::from(self.max_length)) as f64
    }
}

/// Who did the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its owner is trusted.
    pub owner_trusted: bool,
    /// Its software is one that the horde knows to tell the truth about its model.
    pub backend_validated: bool,
}

/// What a worker earns for a generation, as it is told.
///
/// The prompt's length counts at most as many tokens as were asked for, so a long context does not
/// raise the reward; workers know it like that.
pub fn worker_reward(job: &TextJob, model: Model, worker: Worker) -> f64 {
    const REWARD_DIVISOR: f64 = 125.0;
    const UNVALIDATED_FACTOR: f64 = 0.3;
    const UNKNOWN_MODEL_PERCENT: f64 = 2.7;

    let generated = job.generated_tokens();
    let context = context_factor(job.tokens(job.prompt_chars));
    match model {
        Model::Unknown if worker.owner_trusted => generated * context * (UNKNOWN_MODEL_PERCENT / 100.0),
        Model::Unknown => context,
        Model::Known { billions } => {
            let full = generated * size_bonus(billions) * billions / REWARD_DIVISOR;
            let earned = if worker.backend_validated {
                full
            } else {
                full * UNVALIDATED_FACTOR
            };
            round2(earned * context)
        }
    }
}

/// What a worker earns for a request that names it, where such requests cost a token price.
pub const NAMED_WORKER_REWARD: f64 = 0.1;

/// What the requester pays for a generation: the worker's reward and what is burned, or only that if
/// the worker censored it.
pub fn requester_charge(reward: f64, censored: bool) -> f64 {
    if censored { BURN } else { reward + BURN }
}

/// What is debited once when a request becomes active, and never refunded.
pub fn activation_tax(styled: bool) -> Kudos {
    Kudos::from_whole(if styled { 3 } else { 1 })
}

/// A request as estimates see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextRequest {
    /// Tokens asked for, for each generation.
    pub max_length: u32,
    /// Tokens of context.
    pub max_context_length: u32,
    /// Generations.
    pub count: u32,
}

/// What a request is estimated to cost, unrounded; a dry run answers it rounded to a whole number.
/// `model` is the first that the request names, if any.
///
/// The estimate is a good deal higher than what is charged in the end: it counts all tokens and the
/// full context.
pub fn estimate(request: TextRequest, model: Option<Model>) -> f64 {
    const ANY_MODEL_BILLIONS: f64 = 13.0;
    const ESTIMATE_DIVISOR: f64 = 100.0;
    const UNKNOWN_MODEL_FACTOR: f64 = 0.027;
    const TAX: f64 = 1.0;

    let length = f64::from(request.max_length);
    let context = context_factor(f64::from(request.max_context_length));
    let generation = match model {
        None => round2(length * ANY_MODEL_BILLIONS * context / ESTIMATE_DIVISOR),
        Some(Model::Known { billions }) => {
            round2(length * size_bonus(billions) * billions * context / ESTIMATE_DIVISOR)
        }
        Some(Model::Unknown) => length * UNKNOWN_MODEL_FACTOR * context,
    };
    (generation + BURN) * f64::from(request.count) + TAX
}

/// What must be paid upfront for a request, where that is needed. `models` are those that it names.
pub fn upfront_amount(request: TextRequest, models: &[Model]) -> f64 {
    const ANY_MODEL: f64 = 20.0;
    const DIVISOR: f64 = 21.0;

    let largest = models.iter().map(|model| model.billions()).reduce(f64::max);
    let generation = largest.map_or(ANY_MODEL, |billions| {
        round2(f64::from(request.max_length) * billions / DIVISOR)
    });
    generation * f64::from(request.count)
}

/// How busy the horde is with text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HordeLoad {
    /// Generations waiting or being made.
    pub queued: u32,
    /// Threads of the text workers seen of late.
    pub threads: u32,
}

impl HordeLoad {
    /// The most tokens that are free to request: the more threads and the shorter the queue, the more.
    pub fn free_tokens(self) -> u32 {
        const BASE: i64 = 512;
        const PER_THREAD: i64 = 5;
        const PER_QUEUED: f64 = 0.9;
        const RANGE: (i64, i64) = (256, 512);

        let queued = (PER_QUEUED * f64::from(self.queued)).round_ties_even() as i64;
        let free = BASE + PER_THREAD * i64::from(self.threads) - queued;
        free.clamp(RANGE.0, RANGE.1) as u32
    }
}

/// A request that must be paid upfront.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upfront {
    /// The tokens that a request may have that is not paid for.
    pub free_tokens: u32,
    /// Whether whoever cannot pay may take that instead.
    pub allows_downgrade: bool,
}

/// Whether a request of `max_length` tokens must be paid upfront (section 7.2). `slow_workers`: any worker may
/// serve it. `named_workers_pay`: it names workers, and those requests are always paid upfront.
pub fn upfront(
    max_length: u32,
    slow_workers: bool,
    named_workers_pay: bool,
    load: HordeLoad,
) -> Option<Upfront> {
    let free_tokens = load.free_tokens();
    let allows_downgrade = !slow_workers || max_length > free_tokens;
    (allows_downgrade || named_workers_pay).then_some(Upfront {
        free_tokens,
        allows_downgrade,
    })
}

/// How much dearer a long context makes each token.
fn context_factor(tokens: f64) -> f64 {
    const BASE: f64 = 1.2;
    const GROWTH: f64 = 2.2;
    const UNIT: f64 = 1024.0;

    (BASE + GROWTH.powf((tokens / UNIT).log2())).clamp(0.1, 30.0)
}

/// How much more a parameter of a large model is worth.
fn size_bonus(billions: f64) -> f64 {
    const USUAL: f64 = 13.0;
    const EXPONENT: f64 = 0.20;

    (billions.max(USUAL) / USUAL).powf(EXPONENT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VALIDATED: Worker = Worker {
        owner_trusted: false,
        backend_validated: true,
    };
    const JOB: TextJob = TextJob {
        max_length: 80,
        prompt_chars: 2000,
        generation_chars: 320,
    };

    #[test]
    fn what_is_free_follows_the_load() {
        let free = |queued, threads| HordeLoad { queued, threads }.free_tokens();
        assert_eq!(free(0, 0), 512);
        assert_eq!(free(100, 0), 422);
        assert_eq!(free(100, 10), 472);
        assert_eq!(free(1000, 10), 256);
        assert_eq!(free(100, 100), 512);
    }

    #[test]
    fn long_fast_and_targeted_texts_are_paid_upfront() {
        let load = HordeLoad {
            queued: 100,
            threads: 0,
        };
        let terms = |allows_downgrade| {
            Some(Upfront {
                free_tokens: 422,
                allows_downgrade,
            })
        };
        assert_eq!(upfront(422, true, false, load), None);
        assert_eq!(upfront(423, true, false, load), terms(true));
        assert_eq!(upfront(80, false, false, load), terms(true));
        assert_eq!(upfront(80, true, true, load), terms(false));
        assert_eq!(upfront(500, true, true, load), terms(true));
    }

    #[test]
    fn published_examples() {
        for (billions, reward) in [(7, 5.62), (13, 10.44), (70, 78.73)] {
            let model = Model::of_parameters(billions * 1_000_000_000);
            assert_eq!(worker_reward(&JOB, model, VALIDATED), reward);
        }
        let request = TextRequest {
            max_length: 80,
            max_context_length: 2048,
            count: 1,
        };
        assert_eq!(
            estimate(request, Some(Model::of_parameters(13_000_000_000))),
            37.36
        );
        assert_eq!(estimate(request, None), 37.36);
    }

    #[test]
    fn an_empty_generation_counts_twenty_tokens() {
        let model = Model::of_parameters(13_000_000_000);
        let of = |generation_chars| {
            worker_reward(
                &TextJob {
                    generation_chars,
                    ..JOB
                },
                model,
                VALIDATED,
            )
        };
        assert_eq!(of(0), of(80));
        assert!(of(81) > of(80));
    }

    #[test]
    fn the_charge_adds_a_burn_that_is_left_when_censored() {
        assert_eq!(requester_charge(10.44, false), 11.44);
        assert_eq!(requester_charge(10.44, true), 1.0);
        assert_eq!(activation_tax(false), Kudos::from_whole(1));
        assert_eq!(activation_tax(true), Kudos::from_whole(3));
    }

    #[test]
    fn what_must_be_paid_upfront_follows_the_largest_model() {
        let request = TextRequest {
            max_length: 512,
            max_context_length: 2048,
            count: 2,
        };
        let (small, large) = (
            Model::of_parameters(7_000_000_000),
            Model::of_parameters(70_000_000_000),
        );
        assert_eq!(upfront_amount(request, &[]), 40.0);
        assert_eq!(upfront_amount(request, &[small, large]), 2.0 * 1706.67);
        assert_eq!(upfront_amount(request, &[Model::Unknown]), 2.0 * 24.38);
    }

    proptest! {
        #[test]
        fn more_work_never_earns_less(
            max_length in 16_u32..4096, prompt in 0_u64..100_000, generation in 0_u64..100_000, more in 0_u64..1000,
            billions in 0.1..400.0_f64,
        ) {
            let model = Model::Known { billions };
            let job = TextJob { max_length, prompt_chars: prompt, generation_chars: generation };
            let longer = TextJob { generation_chars: generation + more, ..job };
            prop_assert!(worker_reward(&job, model, VALIDATED) <= worker_reward(&longer, model, VALIDATED));
        }
    }
}
