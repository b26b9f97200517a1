//! The waiting time shown to clients (spec: image, section 10). How the numbers are measured is the
//! engine's business.

/// What the estimate of a request's waiting time is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Waiting {
    /// How many things make a unit: the queue is reckoned in hundredths of it, and without any measured speed
    /// one of it a second is assumed. A million for pictures, one for text.
    pub unit: f64,
    /// Things of all queued jobs up to and including this request; 0 if it is not queued.
    pub things: u64,
    /// The number of those jobs; 0 if the request is not queued.
    pub jobs: u64,
    /// Threads of the workers that are online.
    pub threads: u64,
    /// Mean speed of a thread in things a second.
    pub speed: f64,
    /// Seconds until the last job in progress is expected back; 0 if there is none. See
    /// [`Waiting::job_left`].
    pub in_progress: f64,
}

impl Waiting {
    /// Seconds until a job of `things`, which a worker of `speed` began `elapsed` seconds ago, is
    /// expected back.
    pub fn job_left(things: u64, speed: f64, elapsed: f64) -> f64 {
        if speed > 0.0 {
            (things as f64 / speed - elapsed).max(0.0)
        } else {
            0.0
        }
    }
}

/// Seconds until all of a request's jobs are expected to be done.
///
/// The queue up to and including the request is shared by as many threads as there are jobs in it
/// at most; jobs in progress finish after that.
pub fn wait_time(waiting: Waiting) -> u64 {
    let ahead = (waiting.things as f64 / waiting.unit * 100.0).round_ties_even() / 100.0;
    let threads = waiting.threads.min(waiting.jobs);
    let rate = waiting.speed / waiting.unit * threads as f64;
    let rate = if rate > 0.0 { rate } else { 1.0 };
    (ahead / rate + waiting.in_progress).round_ties_even().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_shared_by_at_most_as_many_threads_as_jobs() {
        let queue = Waiting {
            unit: 1e6,
            things: 100_000_000,
            jobs: 4,
            threads: 10,
            speed: 500_000.0,
            in_progress: 0.0,
        };
        assert_eq!(wait_time(queue), 50);
        assert_eq!(wait_time(Waiting { threads: 2, ..queue }), 100);
        assert_eq!(
            wait_time(Waiting {
                in_progress: 7.4,
                ..queue
            }),
            57
        );
    }

    #[test]
    fn a_horde_without_workers_counts_as_one_million_a_second() {
        let queue = Waiting {
            unit: 1e6,
            things: 20_971_520,
            jobs: 4,
            threads: 0,
            speed: 0.0,
            in_progress: 0.0,
        };
        assert_eq!(wait_time(queue), 21);
    }

    #[test]
    fn text_is_reckoned_in_tokens() {
        let queue = Waiting {
            unit: 1.0,
            things: 160,
            jobs: 2,
            threads: 1,
            speed: 20.0,
            in_progress: 0.0,
        };
        assert_eq!(wait_time(queue), 8);
        assert_eq!(wait_time(Waiting { speed: 0.0, ..queue }), 160);
    }

    #[test]
    fn nothing_queued_leaves_the_jobs_in_progress() {
        assert_eq!(
            wait_time(Waiting {
                unit: 1e6,
                things: 0,
                jobs: 0,
                threads: 0,
                speed: 0.0,
                in_progress: 12.5,
            }),
            12
        );
        assert!((Waiting::job_left(5_000_000, 1_000_000.0, 2.0) - 3.0).abs() < 1e-9);
        assert!(Waiting::job_left(5_000_000, 1_000_000.0, 9.0).abs() < 1e-9);
    }
}
