//! Slow-query logs: real ones, hostile ones, and those of the real pt-query-digest.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod hostile;
mod logs;
mod properties;
mod pt;
mod variants;
