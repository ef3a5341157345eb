//! Limits of what reads SQL.

/// Bytes of a statement that are looked at. What is behind them is mostly the rows of an INSERT.
pub(super) const STATEMENT_BYTES: usize = 1 << 20;
/// Parentheses within each other.
pub(super) const DEPTH: usize = 256;
/// Tables of a statement.
pub(super) const TABLES: usize = 256;
/// Bytes and words of a statement that the grammar is tried on. A chain of operators becomes a tree
/// as deep as it is long, which takes stack.
pub(super) const GRAMMAR_BYTES: usize = 1 << 16;
pub(super) const GRAMMAR_WORDS: usize = 1_000;
/// Nesting that the grammar follows.
pub(super) const GRAMMAR_DEPTH: usize = 40;
/// Columns of an index.
pub(super) const INDEX_COLUMNS: usize = 6;
