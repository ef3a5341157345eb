//! All limits of the readers of access logs and of the naming of routes.

/// Longest line in bytes; a longer one is skipped and counted.
pub const LINE_BYTES: usize = 1 << 20;

/// How much of a log is looked at to find its format, in bytes.
pub const DETECT_BYTES: usize = 64 << 10;

/// Fields of a line whose labels are remembered from line to line; those behind them are looked up.
pub(crate) const LAYOUT_FIELDS: usize = 64;

/// Longest label in bytes that is looked up; a longer one means nothing to us.
pub(crate) const LABEL_BYTES: usize = 48;

/// How deep objects of a JSON line may lie in each other.
pub(crate) const JSON_DEPTH: usize = 64;

/// Longest method in bytes.
pub(crate) const METHOD_BYTES: usize = 24;

/// Longest segment of a path in bytes that may stand in a name as it is.
pub(crate) const SEGMENT_BYTES: usize = 64;

/// Segments of a path that stand in a name; the rest of a deeper path is one `*`.
pub(crate) const SEGMENTS: usize = 24;

/// Query keys that stand in a name.
pub(crate) const QUERY_KEYS: usize = 16;

/// Patterns of routes that a user may give.
pub(crate) const PATTERNS: usize = 10_000;

/// Longest `log_format` in bytes.
pub(crate) const LOG_FORMAT_BYTES: usize = 64 << 10;

/// Largest `nginx.conf` in bytes.
pub(crate) const NGINX_CONF_BYTES: usize = 16 << 20;
