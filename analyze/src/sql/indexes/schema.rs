//! What a database says about its tables.

use serde::{Deserialize, Serialize};

/// The tables that statements were advised on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// In any order.
    pub tables: Vec<Table>,
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name, without the database's.
    pub name: String,
    /// In their order.
    pub columns: Vec<Column>,
    /// The primary key is called PRIMARY.
    pub indexes: Vec<Index>,
    /// How many rows it has, as far as is known.
    pub rows: Option<u64>,
}

/// A column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as `information_schema.columns.data_type` has it: `bigint`, `text`.
    pub data_type: String,
}

/// An index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Names of its columns, in order.
    pub columns: Vec<String>,
    /// Whether no two rows have the same values.
    pub is_unique: bool,
}

impl Schema {
    /// The table `name`, or `db.name`.
    pub fn table(&self, name: &str) -> Option<&Table> {
        let last = name.rsplit('.').next().unwrap_or(name);
        let mut tables = self.tables.iter();
        tables.find(|table| table.name == last)
    }
}

impl Table {
    /// The column `name`, in any case.
    pub fn column(&self, name: &str) -> Option<&Column> {
        let mut columns = self.columns.iter();
        columns.find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The primary key.
    pub(super) fn primary(&self) -> Option<&Index> {
        self.indexes.iter().find(|index| index.name == "PRIMARY")
    }
}
