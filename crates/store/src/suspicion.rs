//! [`Suspicion`]: what is held against accounts and workers, by number.

use strum::FromRepr;

/// A reason for suspicion (spec: alchemy and safety, section B11). The numbers are those of the reference server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, FromRepr)]
#[repr(i16)]
#[allow(missing_docs)] // the names say it
pub enum Suspicion {
    WorkerNameLong = 0,
    WorkerNameExtreme = 1,
    WorkerProfanity = 2,
    UnsafeIp = 3,
    ExtremeMaxPixels = 4,
    UnreasonablyFast = 5,
    UsernameLong = 6,
    UsernameProfanity = 7,
    CorruptPrompt = 8,
    TooManyJobsAborted = 9,
}

impl Suspicion {
    /// The most reasons that are kept of an account or a worker.
    pub const MOST: usize = 100;

    /// Whether it counts each time, not only the first.
    pub fn is_repeatable(self) -> bool {
        matches!(self, Self::UnreasonablyFast | Self::TooManyJobsAborted)
    }

    /// Adds it to a list of reasons, unless it must not be there twice or there are plenty.
    pub(crate) fn add_to(self, list: &mut serde_json::Value) {
        let Some(list) = list.as_array_mut() else { return };
        let known = || list.iter().any(|reason| *reason == self as i16);
        if list.len() < Self::MOST && (self.is_repeatable() || !known()) {
            list.push((self as i16).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn some_reasons_count_once_and_no_list_grows_forever() {
        let mut list = json!([]);
        for _ in 0..3 {
            Suspicion::CorruptPrompt.add_to(&mut list);
            Suspicion::UnreasonablyFast.add_to(&mut list);
        }
        assert_eq!(list, json!([8, 5, 5, 5]));
        for _ in 0..200 {
            Suspicion::TooManyJobsAborted.add_to(&mut list);
        }
        assert_eq!(list.as_array().map(Vec::len), Some(Suspicion::MOST));
    }
}
