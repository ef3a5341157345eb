//! What is known about SQL itself: tables, candidates for indexes, plans, runs of one shape.

pub mod causes;
pub mod coupling;
pub mod indexes;
mod limits;
pub mod nplus1;
pub mod plan;
pub mod select;
pub mod settings;
pub mod tables;
mod token;
