//! Every limit of the slow-log reader.

/// An event may be this long, header included. What is longer is cut here: the record gets
/// [`Flags::CUT`](super::Flags::CUT), and what follows up to the next header is skipped.
pub(super) const EVENT_BYTES: usize = 8 << 20;

/// How far behind a header inside an open literal to look for what closes the literal.
pub(super) const AHEAD_BYTES: usize = 4 << 20;

/// Lines of a header from its first one to `# Query_time`.
pub(super) const HEADER_LINES: usize = 16;

/// A shape's text may be this long; the rest of the statement does not count.
pub(super) const SHAPE_BYTES: usize = 16 << 10;

/// Parentheses and CASEs within each other whose lists are folded.
pub(super) const NESTING: usize = 64;

/// A comment is searched this far for a request's id.
pub(super) const COMMENT_BYTES: usize = 2048;

/// A request's id may be this long.
pub(super) const REQUEST_ID_BYTES: usize = 128;

/// A duration above this many seconds is a negative one that wrapped around.
pub(super) const WRAPPED_SECONDS: u64 = 1_000_000_000;

/// Headers inside open literals that are remembered, so that none is looked behind twice.
pub(super) const REMEMBERED_HEADERS: usize = 1 << 17;

/// Pairs of SELECT and UNION that are compared for pt-query-digest's fingerprint of a statement.
pub(super) const PT_UNION_TRIES: usize = 1 << 20;
