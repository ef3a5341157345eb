//! How much of a capture becomes a scenario: what is beyond is counted and told, not written.

/// Exchanges that are looked at.
pub const EXCHANGES: usize = 200_000;

/// Bytes of heads and bodies that are kept until the capture was read.
pub const CAPTURED_BYTES: usize = 512 << 20;

/// A request with a larger body is left out, in bytes: nobody edits it in a script.
pub const REQUEST_BYTES: usize = 64 << 10;

/// Values of one body that are looked at.
pub(super) const VALUES: usize = 1_000;

/// How deep values are looked for in a body.
pub(super) const DEPTH: usize = 16;

/// Elements of a list that are looked into: nobody asks for the hundredth row.
pub(super) const ROWS: usize = 20;

/// Texts that are known to come from replies, in all.
pub(super) const TEXTS: usize = 1_000_000;

/// Kinds of users of a part.
pub(super) const KINDS: usize = 20;

/// Parts of a capture, each begun by a reset of the target.
pub(super) const PARTS: usize = 5;

/// Clients that one user has: people who hand values to each other.
pub(super) const CLIENTS: usize = 8;

/// Requests of one user's function.
pub(super) const STEPS: usize = 150;

/// Values that one user's function keeps; Luau has 200 locals at most.
pub(super) const LOCALS: usize = 120;

/// The longest pause that is kept, in microseconds.
pub(super) const PAUSE_US: i64 = 5_000_000;

/// A shorter pause is none, in microseconds.
pub(super) const NO_PAUSE_US: i64 = 20_000;
