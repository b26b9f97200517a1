//! Seeds: from what clients write to the number that workers get (spec: image, section 6.2).

use rand::RngExt;

/// One more than the largest seed.
const LIMIT: i64 = 1 << 32;

/// Turns a client's seed into a number: digits are read as they are, any other text as the number
/// that its UTF-8 bytes spell in little-endian order. Too large a number loses its low bits until it
/// fits into 32.
pub(crate) fn parse(text: &str) -> i64 {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        fold_decimal(text)
    } else {
        fold_bytes(text.as_bytes())
    }
}

/// Shifts a seed right by 32 bits until it fits into 32.
pub(crate) fn fold(mut seed: i64) -> i64 {
    while seed >= LIMIT {
        seed >>= 32;
    }
    seed
}

/// A random seed for a request of `count` pictures.
pub(crate) fn random(count: u32, rng: &mut impl RngExt) -> i64 {
    rng.random_range(i64::from(count)..LIMIT)
}

/// The most significant 32-bit limb of the number that `bytes` spell, which is what repeated
/// shifting leaves.
fn fold_bytes(bytes: &[u8]) -> i64 {
    let significant = bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1);
    let start = significant.saturating_sub(1) / 4 * 4;
    bytes[start..significant]
        .iter()
        .rev()
        .fold(0, |seed, &byte| seed << 8 | i64::from(byte))
}

/// The same for a decimal number of any length: it is converted to 32-bit limbs, of which the most
/// significant one remains.
fn fold_decimal(digits: &str) -> i64 {
    let mut limbs: Vec<u32> = Vec::new();
    for digit in digits.bytes() {
        let mut carry = u64::from(digit - b'0');
        for limb in &mut limbs {
            let value = u64::from(*limb) * 10 + carry;
            *limb = value as u32;
            carry = value >> 32;
        }
        if carry > 0 {
            limbs.push(carry as u32);
        }
    }
    limbs.last().copied().map_or(0, i64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_stay() {
        assert_eq!(parse("42"), 42);
        assert_eq!(parse("0"), 0);
        assert_eq!(parse("4294967295"), 4_294_967_295);
    }

    #[test]
    fn large_numbers_lose_low_bits() {
        assert_eq!(parse("4294967296"), 1);
        assert_eq!(parse("18446744073709551616"), 1, "2^64");
        assert_eq!(parse("79228162514264337593543950335"), 4_294_967_295, "2^96 - 1");
    }

    #[test]
    fn text_is_a_little_endian_number() {
        assert_eq!(parse("a"), 97);
        assert_eq!(parse("ab"), 97 + (98 << 8));
        assert_eq!(parse("abcdef"), i64::from(b'e') + (i64::from(b'f') << 8));
        assert_eq!(parse("-5"), 45 + (53 << 8));
    }
}
