//! Logs in, hotspots out: what slow-query logs and access logs have in common.

mod block;

pub use block::{Batch, NO_TIME, Reader, Skip, Span, UNKNOWN_AT};
