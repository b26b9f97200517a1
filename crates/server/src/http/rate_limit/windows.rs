//! Counting: [`Windows`] in memory, and [`RateStore`] for counters that nodes share.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use muster_protocol::Timestamp;

use super::CounterKey;

/// Where a counter stands after a request was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// How many requests the window has seen, this one included.
    pub count: u32,
    /// When the window closes. The first request after that opens another.
    pub ends_at: Timestamp,
}

/// The answer of a [`RateStore`].
pub type HitFuture<'a> = Pin<Box<dyn Future<Output = Hit> + Send + 'a>>;

/// Keeps counters: in this process, or where all nodes see them.
///
/// A store that can't reach its server must answer all the same. It decides itself whether to count
/// locally meanwhile; a limiter that refuses everybody would be worse than one that forgets.
pub trait RateStore: Send + Sync + 'static {
    /// Counts a request under `key`. If no window is open there at `now`, one of `length` opens.
    fn hit(&self, key: CounterKey, length: Duration, now: Timestamp) -> HitFuture<'_>;
}

/// Counters in the memory of this process.
///
/// The mutex is held for one look-up and never across an `await`.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Windows>);

impl RateStore for MemoryStore {
    fn hit(&self, key: CounterKey, length: Duration, now: Timestamp) -> HitFuture<'_> {
        // Counters stay usable whatever happened to the thread that held them.
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hit = windows.hit(key, length, now);
        Box::pin(std::future::ready(hit))
    }
}

/// Fixed windows: each opens at the first request under its key, counts all requests until it closes,
/// including those that are refused, and is not prolonged by them.
///
/// Memory is bounded. Every request drops up to two closed windows, while it opens at most one; and if
/// the capacity is reached all the same, the window that would close first gives way. That forgets
/// counts early, but only under a flood from more addresses than the capacity.
#[derive(Debug)]
pub struct Windows {
    open: HashMap<CounterKey, Hit>,
    /// When which window closes, earliest first. An entry whose window has been replaced since is
    /// recognised by its time and ignored.
    closing: BinaryHeap<Reverse<(Timestamp, CounterKey)>>,
    capacity: usize,
}

impl Windows {
    /// How many windows are kept by default: some 20 MB.
    pub const DEFAULT_CAPACITY: usize = 200_000;
    /// How many closed windows a request drops.
    const SWEEP: usize = 2;

    /// Keeps up to `capacity` windows, at least one.
    pub fn new(capacity: usize) -> Self {
        Self {
            open: HashMap::new(),
            closing: BinaryHeap::new(),
            capacity: capacity.max(1),
        }
    }

    /// How many windows are kept, some of which may be closed.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether no window is kept.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Counts a request under `key`. If no window is open there at `now`, one of `length` opens.
    pub fn hit(&mut self, key: CounterKey, length: Duration, now: Timestamp) -> Hit {
        self.drop_closed(now);
        if let Some(window) = self.open.get_mut(&key) {
            // A window that ends later than a new one would is left from before the clock was set back.
            if now < window.ends_at && window.ends_at <= now + length {
                window.count = window.count.saturating_add(1);
                return *window;
            }
        } else if self.open.len() >= self.capacity {
            self.drop_earliest();
        }
        let window = Hit {
            count: 1,
            ends_at: now + length,
        };
        self.open.insert(key, window);
        self.closing.push(Reverse((window.ends_at, key)));
        window
    }

    fn drop_closed(&mut self, now: Timestamp) {
        for _ in 0..Self::SWEEP {
            match self.closing.peek() {
                Some(Reverse((ends_at, _))) if *ends_at <= now => {
                    self.drop_next();
                }
                _ => return,
            }
        }
    }

    fn drop_earliest(&mut self) {
        while self.drop_next() == Some(false) {}
    }

    /// Takes the next entry off the heap and says whether its window went with it.
    fn drop_next(&mut self) -> Option<bool> {
        let Reverse((ends_at, key)) = self.closing.pop()?;
        let current = self
            .open
            .get(&key)
            .is_some_and(|window| window.ends_at == ends_at);
        if current {
            self.open.remove(&key);
        }
        Some(current)
    }
}

impl Default for Windows {
    fn default() -> Self {
        Self::new(Self::DEFAULT_CAPACITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(number: u32) -> CounterKey {
        CounterKey::digest([number.to_le_bytes().as_slice()])
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_window_opens_at_the_first_hit_and_is_not_prolonged() {
        let mut windows = Windows::default();
        let mut hit = |millis| {
            let hit = windows.hit(key(1), SECOND, at(millis));
            (hit.count, hit.ends_at.millis())
        };
        assert_eq!(hit(300), (1, 1300));
        assert_eq!(hit(300), (2, 1300));
        assert_eq!(hit(1299), (3, 1300));
        assert_eq!(hit(1300), (1, 2300));
        assert_eq!(hit(9000), (1, 10_000));
    }

    #[test]
    fn keys_are_counted_apart() {
        let mut windows = Windows::default();
        assert_eq!(windows.hit(key(1), SECOND, at(0)).count, 1);
        assert_eq!(windows.hit(key(2), SECOND, at(0)).count, 1);
        assert_eq!(windows.hit(key(1), SECOND, at(0)).count, 2);
    }

    #[test]
    fn closed_windows_are_dropped_in_passing() {
        let mut windows = Windows::default();
        for number in 0..1000 {
            windows.hit(key(number), SECOND, at(0));
        }
        assert_eq!(windows.len(), 1000);
        for number in 0..1000 {
            windows.hit(key(5000 + number % 10), SECOND * 60, at(2000));
        }
        assert_eq!(windows.len(), 10);
        assert_eq!(windows.closing.len(), 10);
    }

    #[test]
    fn a_full_table_gives_up_the_window_that_closes_first() {
        let mut windows = Windows::new(2);
        windows.hit(key(1), SECOND * 60, at(0));
        windows.hit(key(2), SECOND, at(0));
        windows.hit(key(3), SECOND, at(0));
        assert_eq!(windows.len(), 2);
        assert_eq!(windows.hit(key(1), SECOND * 60, at(0)).count, 2);
        assert_eq!(windows.hit(key(2), SECOND, at(0)).count, 1, "it was forgotten");
        for number in 0..10_000 {
            windows.hit(key(number), SECOND, at(i64::from(number) / 100));
            assert!(windows.len() <= 2 && windows.closing.len() <= 4);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_lock_anybody_out() {
        let mut windows = Windows::default();
        windows.hit(key(1), SECOND, at(100_000));
        assert_eq!(
            windows.hit(key(1), SECOND, at(0)),
            Hit {
                count: 1,
                ends_at: at(1000)
            }
        );
        assert_eq!(windows.hit(key(1), SECOND, at(1)).count, 2);
    }
}
