//! [`Bits`]: a set of small numbers.

/// A set of small numbers that grows as needed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    /// Whether a number is in the set.
    pub(crate) fn has(&self, number: u32) -> bool {
        self.0
            .get(number as usize / 64)
            .is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Puts a number in.
    pub(crate) fn insert(&mut self, number: u32) {
        let word = number as usize / 64;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (number % 64);
    }

    /// Takes a number out.
    pub(crate) fn remove(&mut self, number: u32) {
        if let Some(word) = self.0.get_mut(number as usize / 64) {
            *word &= !(1 << (number % 64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_in_and_out() {
        let mut bits = Bits::default();
        bits.insert(130);
        bits.insert(3);
        assert!(bits.has(130) && bits.has(3) && !bits.has(2) && !bits.has(1000));
        bits.remove(3);
        bits.remove(5000);
        assert!(!bits.has(3) && bits.has(130));
    }
}
