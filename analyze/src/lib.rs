//! Evidence in, report out.
