//! What is known about SQL itself: tables, candidates for indexes, plans, runs of one shape.

pub mod nplus1;
