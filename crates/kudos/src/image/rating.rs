//! What the rating of pictures is worth to whoever requested them (section 15.2).

use muster_protocol::Kudos;

/// A rating of a request's pictures.
#[derive(Clone, Copy, Debug)]
pub struct RatedSet<'a> {
    /// How many pictures there are.
    pub pictures: usize,
    /// The ratings of single ones, if any.
    pub ratings: &'a [RatedPicture],
    /// Whether a best one is named.
    pub best: bool,
}

/// The rating of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RatedPicture {
    /// From 1 to 10.
    pub rating: u32,
    /// Whether its flaws are told, too.
    pub artifacts: bool,
}

/// What the requester is awarded: never as much as the request has cost.
///
/// ```
/// # use muster_kudos::image::rating::{RatedPicture, RatedSet, reward};
/// # use muster_protocol::Kudos;
/// let ratings = [RatedPicture { rating: 6, artifacts: true }];
/// let set = RatedSet { pictures: 2, ratings: &ratings, best: true };
/// assert_eq!(reward(set, Kudos::from_whole(100)), Kudos::from_whole(25));
/// assert_eq!(reward(set, Kudos::from_whole(20)), Kudos::from_whole(19));
/// ```
pub fn reward(set: RatedSet<'_>, consumed: Kudos) -> Kudos {
    const BEST: i64 = 15;
    const RATING: i64 = 5;
    const ARTIFACTS: i64 = 5;
    /// From this rating on, a picture that is rated alone is taken for the best one anyway.
    const GOOD: u32 = 7;

    let told = set.ratings.iter().filter(|rated| rated.artifacts).count() as i64;
    let singles = RATING * set.ratings.len() as i64 + ARTIFACTS * told;
    let names_another = matches!(set.ratings, [rated] if rated.rating < GOOD) && set.pictures > 1;
    let best = if set.best && (set.ratings.is_empty() || names_another) {
        BEST
    } else {
        0
    };
    let reward = Kudos::from_whole(singles + best);
    if reward >= consumed {
        consumed - Kudos::from_whole(1)
    } else {
        reward
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(pictures: usize, ratings: &[(u32, bool)], best: bool) -> i64 {
        let ratings: Vec<RatedPicture> = ratings
            .iter()
            .map(|&(rating, artifacts)| RatedPicture { rating, artifacts })
            .collect();
        let set = RatedSet {
            pictures,
            ratings: &ratings,
            best,
        };
        reward(set, Kudos::from_whole(1000)).whole()
    }

    #[test]
    fn each_remark_is_worth_something() {
        assert_eq!(whole(2, &[], true), 15);
        assert_eq!(whole(2, &[(9, false), (3, true)], false), 15);
        assert_eq!(
            whole(2, &[(9, false), (3, true)], true),
            15,
            "the best one follows from the ratings"
        );
        assert_eq!(whole(2, &[(6, false)], true), 20);
        assert_eq!(whole(2, &[(7, false)], true), 5);
        assert_eq!(whole(1, &[(6, false)], true), 5);
        assert_eq!(whole(2, &[(6, false)], false), 5);
    }
}
