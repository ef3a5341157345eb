//! What is known about SQL itself: tables, candidates for indexes, plans, runs of one shape.

mod limits;
pub mod nplus1;
pub mod tables;
mod token;
