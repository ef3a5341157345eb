//! How large a plan may be, and how long the search for placements may go on.

/// Nodes of a plan; sets of them are kept as bits.
pub(super) const NODES: usize = 32;

/// Services of a plan.
pub(super) const SERVICES: usize = 48;

/// Calls between services.
pub(super) const CALLS: usize = 512;

/// Points of a curve of a buffer pool.
pub(super) const CURVE_POINTS: usize = 64;

/// Bytes of a plan, a run or a line of a probe.
pub(super) const PLAN_BYTES: usize = 1 << 20;

/// Bytes of a name.
pub(super) const NAME_BYTES: usize = 100;

/// Placements that are looked at one by one when there are no more than these.
pub(super) const ALL_PLACEMENTS: f64 = 1_000.0;

/// Steps of the search for the highest throughput, about a fifth of a microsecond each.
pub(super) const SEARCH_STEPS: u64 = 20_000;

/// Steps of improving what was found.
pub(super) const CLIMB_STEPS: u64 = 10_000;

/// Steps of the search among placements that are equally good, or nearly.
pub(super) const TIE_STEPS: u64 = 2_000;

/// Placements that are kept until they are ranked in the end.
pub(super) const KEPT: usize = 32;

/// Placements in a report.
pub const MOST_RANKED: usize = 50;
