//! Every hard limit of decoding, in one place.

/// Bodies of one side of a route that are held against all types.
pub const EVIDENCE_BODIES: u32 = 64;

/// A body larger than this is held against all types only among the first ones, in bytes.
pub const EVIDENCE_BYTES: usize = 256 * 1024;

/// Types that are named as candidates of one body.
pub const CANDIDATES: usize = 16;

/// Routes that are told apart; all further ones are one.
pub const ROUTES: usize = 5_000;

/// Routes of one map.
pub const MAP_ROUTES: usize = 1_000;

/// A decompressed body, in bytes.
pub const PLAIN_BYTES: u64 = 64 << 20;

/// A file that is read whole because it is no capture, in bytes.
pub const FILE_BYTES: u64 = 256 << 20;

/// A text body that is shown, in bytes.
pub const TEXT_BYTES: usize = 64 * 1024;

/// Routes and types whose sums are kept.
pub const STATS_GROUPS: usize = 2_000;

/// Fields of one route and type whose sums are kept.
pub const STATS_FIELDS: usize = 500;

/// Values of one body that are remembered, to tell those that come again.
pub const STATS_VALUES: usize = 100_000;
