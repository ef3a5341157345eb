//! Values that go into statements and come out of rows.

use super::DbError;

/// A value of a statement or of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

/// What a statement gave.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Its rows.
    pub(crate) rows: Vec<Row>,
    /// How many rows it changed.
    pub(crate) changed: u64,
    /// The id that it made, if it inserted a row into a table with an own id.
    pub(crate) id: i64,
}

/// A row; columns count from 0.
#[derive(Debug, Clone)]
pub(crate) struct Row(pub(crate) Vec<Value>);

impl Row {
    pub(crate) fn int(&self, column: usize) -> Result<i64, DbError> {
        match self.0.get(column) {
            Some(Value::Int(value)) => Ok(*value),
            _ => Err(DbError::Shape(column)),
        }
    }

    /// An integer, or nothing for NULL.
    pub(crate) fn maybe_int(&self, column: usize) -> Result<Option<i64>, DbError> {
        match self.0.get(column) {
            Some(Value::Int(value)) => Ok(Some(*value)),
            Some(Value::Null) => Ok(None),
            _ => Err(DbError::Shape(column)),
        }
    }

    pub(crate) fn bool(&self, column: usize) -> Result<bool, DbError> {
        Ok(self.int(column)? != 0)
    }

    pub(crate) fn text(&self, column: usize) -> Result<String, DbError> {
        match self.0.get(column) {
            Some(Value::Text(value)) => Ok(value.clone()),
            _ => Err(DbError::Shape(column)),
        }
    }
}
