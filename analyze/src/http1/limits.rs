//! Every hard limit of the reply reader, in one place.

/// Limits on what a target may send. A reply beyond one of them is an error of its own kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyLimits {
    /// Status line and headers together, and also the trailers of a chunked body, in bytes.
    pub head_bytes: usize,
    /// A body, before and after decompression, in bytes.
    pub body_bytes: u64,
}

impl Default for ReplyLimits {
    fn default() -> Self {
        Self {
            head_bytes: 64 * 1024,
            body_bytes: 64 * 1024 * 1024,
        }
    }
}

/// One chunk-size line with its extensions, in bytes.
pub const CHUNK_LINE_BYTES: usize = 4 * 1024;

/// Interim (1xx) replies before the final one.
pub const INTERIM_REPLIES: u32 = 16;

/// Content codings stacked on one body.
pub const STACKED_CODINGS: usize = 4;

/// A request's method, in bytes.
pub const METHOD_BYTES: usize = 32;
