//! Access logs of nginx, Envoy and the like, and our own events.

pub mod agent;
mod cache;
mod collapse;
mod combined;
mod detect;
mod envoy;
mod escape;
mod format;
mod fuzz;
mod json;
mod labels;
mod layout;
pub mod limits;
mod line;
mod ltsv;
mod marks;
mod namer;
mod nginx;
mod reader;
mod request;
pub(crate) use request::split_target;
mod time;
mod values;

#[cfg(test)]
mod tests;

pub use collapse::{Collapse, NOT_FOUND, RouteCounts, is_refused};
pub use detect::{Attempt, explain_failure};
pub use format::{Format, FormatError};
#[doc(hidden)]
pub use fuzz::fuzz_access;
pub use namer::{BROKEN_REQUEST, Namer, NamerError, NamerOptions, QueryKeys};
pub use nginx::{LogFormat, LogFormatError};
pub use reader::Reader;

use crate::digest::{NO_TIME, Span, UNKNOWN_AT};

/// What a cache in front said about a request (`$upstream_cache_status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheStatus {
    /// No cache was asked, or the log does not tell.
    #[default]
    None,
    /// Answered by the cache.
    Hit,
    /// Not in the cache.
    Miss,
    /// In the cache, but too old.
    Expired,
    /// Too old, but sent as the upstream failed.
    Stale,
    /// Too old, sent while a fresh one is fetched.
    Updating,
    /// Too old, but the upstream said that it still holds.
    Revalidated,
    /// Not asked by configuration.
    Bypass,
}

/// A request as an access log tells it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record {
    /// Equal for requests of one method and one named path (see `Namer`).
    pub key: u64,
    /// The whole line.
    pub line: Span,
    /// The method; empty when the request line was broken.
    pub method: Span,
    /// The path without its query, escapes of the log undone; empty when the request line was broken. Of our own events the key.
    pub path: Span,
    /// What is behind the question mark.
    pub query: Span,
    /// The HTTP status; 0 when there was none.
    pub status: u16,
    /// What the cache said.
    pub cache: CacheStatus,
    /// When it ended, in microseconds since the Unix epoch; `UNKNOWN_AT` when the line does not say.
    pub at_us: i64,
    /// Duration in nanoseconds; `NO_TIME` when the line does not say.
    pub time_ns: u64,
    /// Whether `time_ns` is the upstream's, as the line tells no other.
    pub is_upstream_time: bool,
    /// Time the upstream took, all attempts together, in nanoseconds; `NO_TIME` when unknown.
    pub upstream_ns: u64,
    /// Bytes sent to the client.
    pub sent_bytes: u64,
    /// Bytes received from the client.
    pub received_bytes: u64,
    /// The user agent.
    pub agent: Span,
    /// Its hash; 0 when there is none.
    pub agent_hash: u64,
    /// The client's address.
    pub client: Span,
    /// Its hash; 0 when there is none.
    pub client_hash: u64,
    /// The request's id.
    pub request_id: Span,
    /// Why it failed, of our own events.
    pub error: Span,
}

impl CacheStatus {
    /// The names of all of them, in their order.
    pub const NAMES: [&'static str; 8] = [
        "none",
        "hit",
        "miss",
        "expired",
        "stale",
        "updating",
        "revalidated",
        "bypass",
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

impl Default for Record {
    fn default() -> Self {
        Self {
            key: 0,
            line: Span::default(),
            method: Span::default(),
            path: Span::default(),
            query: Span::default(),
            status: 0,
            cache: CacheStatus::None,
            at_us: UNKNOWN_AT,
            time_ns: NO_TIME,
            is_upstream_time: false,
            upstream_ns: NO_TIME,
            sent_bytes: 0,
            received_bytes: 0,
            agent: Span::default(),
            agent_hash: 0,
            client: Span::default(),
            client_hash: 0,
            request_id: Span::default(),
            error: Span::default(),
        }
    }
}
