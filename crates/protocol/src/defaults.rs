//! Default values that serde wants as functions.

pub(crate) fn yes() -> bool {
    true
}

pub(crate) fn one() -> f64 {
    1.0
}

pub(crate) fn one_u32() -> u32 {
    1
}
