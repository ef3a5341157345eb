//! The `isukit` binary.
fn main() {}
