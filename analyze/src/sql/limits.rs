//! Limits of what reads SQL.

/// Bytes of a statement that are looked at. What is behind them is mostly the rows of an INSERT.
pub(super) const STATEMENT_BYTES: usize = 1 << 20;
/// Parentheses within each other.
pub(super) const DEPTH: usize = 256;
/// Tables of a statement.
pub(super) const TABLES: usize = 256;
