//! The shapes reports are made of.

mod table;

pub use table::{Align, Table, TableStyle, printable};
