//! All limits of the search for repeated statements.

/// Connections that are followed at once; the one unused for longest makes room.
pub(super) const CONNECTIONS: usize = 2_048;
/// Statements in the body of a loop.
pub(super) const BODY: usize = 8;
/// Items before a loop among which its parent is sought.
pub(super) const PARENTS: usize = 4;
/// Items before a loop that may lie between it and the `BEGIN` of its transaction.
pub(super) const UNIT: usize = 8;
/// Items that a connection remembers: two rounds of the longest body, and what is before them.
/// A power of two.
pub(super) const RING: usize = 32;
/// Items at a connection's begin that are kept as they are, so that what is before them can still
/// be put in front. Loops that begin behind the first `BODY + UNIT` do not depend on what that is,
/// and those that begin within them have made two rounds when `BODY` more have come.
pub(super) const HEAD: usize = BODY + UNIT + BODY;
/// Different loops (parent and body) that are counted.
pub(super) const LOOPS: usize = 16_384;
/// Shapes whose results are counted.
pub(super) const SHAPES: u32 = 1 << 20;

const _: () = assert!(RING.is_power_of_two() && RING >= 2 * BODY + UNIT && UNIT >= PARENTS);
