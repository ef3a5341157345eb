//! `isukit tap`: a reverse proxy that forwards what passes as it is and hands copies to somebody who looks.
//!
//! Only what belongs to one connection (`Connection` and what it names) is each side's own; heads, bodies and
//! their codings go on as they came. Copies go through a queue that is never waited for: whoever looks too
//! slowly misses something, the proxy loses nothing.

mod body;
mod headers;
mod proxy;
mod seen;
mod upstream;

pub(crate) use proxy::{Stop, Tap};
pub(crate) use seen::{Seen, Totals, watch};
pub(crate) use upstream::Upstream;

/// Idle connections to the target that are kept.
const IDLE_CONNECTIONS: usize = 1_024;

/// Messages that wait to be looked at.
const WAITING_MESSAGES: usize = 4_096;

/// What all copies that are being made or wait to be looked at may take together, in bytes.
const COPIED_BYTES: usize = 64 << 20;
