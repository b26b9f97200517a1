//! Rounding of figures as the API shows them.

/// Rounds to two decimals, correctly on the exact binary value, ties to even.
///
/// Multiplying by 100 is inexact and may land on a tie that the value itself misses by a hair, so
/// the part lost in the multiplication decides such cases: 2.675 is stored slightly below its
/// decimal spelling and becomes 2.67. Values beyond 4.5e13 have no decimals left to round and are
/// returned as they are, like infinities and `NaN`.
///
/// ```
/// # use muster_kudos::rounding::round2;
/// assert_eq!(round2(2.675), 2.67);
/// assert_eq!(round2(0.125), 0.12);
/// assert_eq!(round2(1.0049), 1.0);
/// ```
pub fn round2(value: f64) -> f64 {
    round(value, 100.0)
}

/// Rounds to one decimal, ties to even: how a worker's speed is kept.
///
/// ```
/// # use muster_kudos::rounding::round1;
/// assert_eq!((round1(16.04), round1(0.25), round1(0.35)), (16.0, 0.2, 0.3));
/// ```
pub fn round1(value: f64) -> f64 {
    round(value, 10.0)
}

#[allow(clippy::float_cmp)] // a tie is exactly a tie
fn round(value: f64, places: f64) -> f64 {
    const NO_DECIMALS: f64 = 4_503_599_627_370_496.0;

    let scaled = value * places;
    if scaled.is_nan() || scaled.abs() >= NO_DECIMALS {
        return value;
    }
    let lost = value.mul_add(places, -scaled);
    let rest = scaled - scaled.trunc();
    let is_tie = rest.abs() == 0.5;
    let whole = if is_tie && lost > 0.0 {
        scaled.ceil()
    } else if is_tie && lost < 0.0 {
        scaled.floor()
    } else {
        scaled.round_ties_even()
    };
    whole / places
}

/// Rounds to a whole number, ties to even: how the API shows prices and estimates.
///
/// ```
/// # use muster_kudos::rounding::round0;
/// assert_eq!((round0(9.61), round0(2.5), round0(3.5)), (10.0, 2.0, 4.0));
/// ```
pub fn round0(value: f64) -> f64 {
    value.round_ties_even()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Decimal formatting works on the exact value; only its treatment of ties is left aside.
    fn through_decimal_text(value: f64) -> f64 {
        format!("{value:.2}").parse().expect("formatted numbers parse")
    }

    #[test]
    fn near_ties_follow_the_exact_value() {
        for value in [
            2.675,
            1.005,
            1.115,
            0.285,
            8.345,
            1.255,
            4.015,
            10.075,
            1e6 + 0.005,
        ] {
            assert_eq!(round2(value), through_decimal_text(value), "{value}");
        }
    }

    #[test]
    fn exact_ties_go_to_the_even_neighbour() {
        for (value, rounded) in [
            (0.125, 0.12),
            (0.375, 0.38),
            (0.625, 0.62),
            (-0.125, -0.12),
            (2.5, 2.5),
        ] {
            assert_eq!(round2(value), rounded, "{value}");
        }
    }

    #[test]
    fn huge_and_odd_values_pass_through() {
        assert_eq!(round2(1e300), 1e300);
        assert_eq!(round2(f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert!(round2(f64::NAN).is_nan());
    }

    proptest! {
        #[test]
        fn agrees_with_decimal_text(value in -1e7..1e7_f64) {
            prop_assert_eq!(round2(value), through_decimal_text(value));
        }

        #[test]
        fn thousandths_agree_with_decimal_text(thousandths in -10_000_000_i64..10_000_000) {
            let value = thousandths as f64 / 1000.0;
            prop_assume!(thousandths % 125 != 0);
            prop_assert_eq!(round2(value), through_decimal_text(value));
        }
    }
}
