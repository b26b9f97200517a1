//! The `muster` command line.
fn main() {}
