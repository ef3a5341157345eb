//! Captures as they come: well-formed, reordered, cut, lossy and hostile.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod build;
mod files;
mod generate;
mod hostile;
mod http;
mod properties;
mod seen;
mod tcp;
