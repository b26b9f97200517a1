//! Small repeatable randomness: hashing of texts and a stream of numbers from a seed.
//!
//! The pictures of the simulated backend must not change when a dependency does, so the two
//! well-known algorithms are written out here. Not for secrets.

use std::time::Duration;

/// The 64-bit FNV-1a hash of a text, then mixed so that similar texts differ in all bits.
pub(crate) fn hash(text: &str) -> u64 {
    let fnv = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(fnv)
}

/// The finaliser of splitmix64: a bijection that spreads every input bit over the whole word.
pub(crate) fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// A splitmix64 stream.
#[derive(Clone, Debug)]
pub(crate) struct Stream(u64);

impl Stream {
    /// The stream that belongs to a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream that nobody can repeat.
    pub(crate) fn unrepeatable() -> Self {
        let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
        Self(high ^ low)
    }

    /// The next 64 bits.
    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// The next number in `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.word() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// The next number in `from..to`.
    pub(crate) fn range(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * self.unit()
    }

    /// The next number in `0..count`; `count` must not be zero.
    pub(crate) fn below(&mut self, count: u64) -> u64 {
        self.word() % count
    }

    /// A span between `share` times `full` and `full`.
    pub(crate) fn jitter(&mut self, full: Duration, share: f32) -> Duration {
        full.mul_f32(self.range(share, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_published_one() {
        let mut stream = Stream::new(1_234_567);
        assert_eq!(stream.word(), 6_457_827_717_110_365_317);
        assert_eq!(stream.word(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn numbers_stay_in_their_range() {
        let mut stream = Stream::new(7);
        for _ in 0..1000 {
            let number = stream.range(2.0, 3.0);
            assert!((2.0..3.0).contains(&number));
            assert!(stream.below(3) < 3);
        }
    }

    #[test]
    fn similar_texts_have_different_hashes() {
        assert_ne!(hash("a cat") >> 32, hash("a bat") >> 32);
    }
}
