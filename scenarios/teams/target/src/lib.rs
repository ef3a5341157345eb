//! Sample target.
