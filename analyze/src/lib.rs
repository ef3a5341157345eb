//! Evidence in, report out.
//!
//! This layer turns what was observed into what a person reads: samples, latency distributions,
//! thresholds and tables. It opens no sockets, runs no async code, asks no clock and prints
//! nothing; readers, roots and times are handed to it.

pub mod access;
pub mod capture;
pub mod condition;
pub mod decode;
pub mod digest;
mod hash;
pub mod host;
pub mod http1;
pub mod latency;
pub mod placement;
pub mod report;
pub mod sample;
pub mod slow;
pub mod sql;
pub mod threshold;
pub mod units;
