//! Log files: a line for each request, an entry for each statement.

pub(crate) mod access;
pub(crate) mod slow;
pub(crate) mod writer;
