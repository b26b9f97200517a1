//! [`Sizes`]: how many requests there are of each size, so that those beyond a limit can be counted
//! without looking at any.

/// Requests by size, in the order of the sizes. There are few sizes.
#[derive(Debug, Default)]
pub(crate) struct Sizes(Vec<(u32, u32)>);

impl Sizes {
    /// Counts a request in (or out again, if not `waiting`).
    pub(crate) fn count(&mut self, size: u32, waiting: bool) {
        let sizes = &mut self.0;
        match sizes.binary_search_by_key(&size, |&(size, _)| size) {
            Ok(at) if waiting => sizes[at].1 += 1,
            Ok(at) if sizes[at].1 == 1 => drop(sizes.remove(at)),
            Ok(at) => sizes[at].1 -= 1,
            Err(at) => sizes.insert(at, (size, 1)),
        }
    }

    /// Requests larger than a size.
    pub(crate) fn larger_than(&self, size: u32) -> u64 {
        let at = self.0.partition_point(|&(other, _)| other <= size);
        self.0[at..].iter().map(|&(_, count)| u64::from(count)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_beyond_a_limit_are_counted() {
        let mut sizes = Sizes::default();
        for size in [5, 1, 5, 9] {
            sizes.count(size, true);
        }
        let beyond = |sizes: &Sizes| [0, 1, 5, 8, 9].map(|limit| sizes.larger_than(limit));
        assert_eq!(beyond(&sizes), [4, 3, 1, 1, 0]);
        sizes.count(5, false);
        assert_eq!(beyond(&sizes), [3, 2, 1, 1, 0]);
        sizes.count(5, false);
        sizes.count(9, false);
        assert_eq!(beyond(&sizes), [1, 0, 0, 0, 0]);
    }
}
