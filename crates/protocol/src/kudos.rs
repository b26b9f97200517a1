//! [`Kudos`]: the currency, counted in exact hundredths.

use std::{
    fmt,
    iter::Sum,
    ops::{Add, AddAssign, Neg, Sub, SubAssign},
};

use serde::{Deserialize, Serialize};

/// An amount of kudos in exact hundredths; negative amounts are debits.
///
/// Prices are computed as `f64` by the `kudos` crate and become `Kudos` at the moment they are
/// booked, through [`Kudos::from_f64`]: that is the only place where a price is rounded.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kudos(i64);

impl Kudos {
    /// No kudos.
    pub const ZERO: Self = Self(0);

    /// An amount given in hundredths: `from_hundredths(761)` is 7.61 kudos.
    pub const fn from_hundredths(hundredths: i64) -> Self {
        Self(hundredths)
    }

    /// A whole number of kudos.
    pub const fn from_whole(kudos: i64) -> Self {
        Self(kudos * 100)
    }

    /// Rounds a computed price to hundredths, ties to even.
    ///
    /// Amounts that no account could hold are clamped to the range of the type; `NaN` becomes zero.
    pub fn from_f64(kudos: f64) -> Self {
        Self((kudos * 100.0).round_ties_even() as i64)
    }

    /// The amount in hundredths.
    pub const fn hundredths(self) -> i64 {
        self.0
    }

    /// The amount as a floating-point number, for prices and the wire.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 100.0
    }

    /// Whole kudos, truncated toward zero: how balances are shown on the wire, so that nobody is
    /// shown more than they can spend.
    pub const fn whole(self) -> i64 {
        self.0 / 100
    }

    /// Whole kudos, rounded with ties to even: how the consumption of a request is shown.
    pub fn rounded(self) -> i64 {
        self.to_f64().round_ties_even() as i64
    }

    /// Half of the amount, rounded to hundredths with ties to even.
    ///
    /// ```
    /// # use muster_protocol::Kudos;
    /// assert_eq!(Kudos::from_hundredths(577).half(), Kudos::from_hundredths(288));
    /// ```
    #[must_use]
    pub fn half(self) -> Self {
        Self::from_f64(self.to_f64() / 2.0)
    }
}

impl fmt::Display for Kudos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", magnitude / 100, magnitude % 100)
    }
}

impl fmt::Debug for Kudos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kudos({self})")
    }
}

impl Add for Kudos {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Kudos {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Kudos {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl AddAssign for Kudos {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Kudos {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Kudos {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_round_to_hundredths() {
        assert_eq!(Kudos::from_f64(10.332), Kudos::from_hundredths(1033));
        assert_eq!(Kudos::from_f64(-0.125), Kudos::from_hundredths(-12));
        assert_eq!(Kudos::from_f64(f64::NAN), Kudos::ZERO);
    }

    #[test]
    fn display_keeps_the_sign_of_small_debits() {
        assert_eq!(Kudos::from_hundredths(-5).to_string(), "-0.05");
        assert_eq!(Kudos::from_hundredths(4205).to_string(), "42.05");
    }

    #[test]
    fn balances_truncate_and_consumption_rounds() {
        let amount = Kudos::from_hundredths(976);
        assert_eq!((amount.whole(), amount.rounded()), (9, 10));
        assert_eq!(Kudos::from_hundredths(-199).whole(), -1);
    }
}
