//! Schemas and their message types.

mod build;
mod compile;
pub(crate) mod services;

use std::path::PathBuf;
use std::sync::Arc;

use prost_reflect::DescriptorPool;

use crate::codec::tables::{MessageTable, Tables};
use crate::error::{SchemaError, UnknownType};
use crate::limits::Limits;
use crate::nearest::nearest;

/// A compiled set of `.proto` files. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Schema {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tables: Arc<Tables>,
    limits: Limits,
}

impl Schema {
    /// Compiles every `*.proto` file below each directory. Each directory is an import root; imports
    /// may cross from one to another; `google/protobuf/*.proto` can always be imported, and the
    /// well-known types are always part of the schema. So can `google/api/annotations.proto` and
    /// `google/api/http.proto`; files of these names below the directories go first. No `protoc` is
    /// needed.
    ///
    /// # Errors
    ///
    /// [`SchemaError::Source`] names file, line and column of a fault in a source; the other variants
    /// tell of unreadable directories, none or too many files.
    pub fn compile(dirs: &[PathBuf]) -> Result<Schema, SchemaError> {
        let limits = Limits::default();
        compile::sources(dirs, &limits).map(|pool| Schema::from_pool(&pool, limits))
    }

    /// Reads an encoded `google.protobuf.FileDescriptorSet`, as `protoc --descriptor_set_out` writes.
    /// Imports from `google/protobuf` may be absent, and so may `google/api/annotations.proto` and
    /// `google/api/http.proto`; all others must be included.
    ///
    /// # Errors
    ///
    /// [`SchemaError::Descriptor`] when the bytes are no such set or the set is incomplete,
    /// [`SchemaError::Limit`] when it is larger than [`Limits::descriptor_bytes`].
    pub fn from_descriptor_set(bytes: &[u8]) -> Result<Schema, SchemaError> {
        let limits = Limits::default();
        compile::descriptor_set(bytes, &limits).map(|pool| Schema::from_pool(&pool, limits))
    }

    fn from_pool(pool: &DescriptorPool, limits: Limits) -> Schema {
        Schema {
            inner: Arc::new(Inner {
                tables: Arc::new(build::tables(pool)),
                limits,
            }),
        }
    }

    /// The same schema with other limits, each brought down to what its documentation allows at most.
    #[must_use]
    pub fn with_limits(&self, limits: Limits) -> Schema {
        Schema {
            inner: Arc::new(Inner {
                tables: self.inner.tables.clone(),
                limits: limits.clamped(),
            }),
        }
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// Finds a message type by its full name, or by an end of it that is unambiguous (`Team` for
    /// `shop.v1.Team`). A leading dot is ignored. Where only one of several matches is outside
    /// `google.protobuf`, it is taken.
    ///
    /// # Errors
    ///
    /// [`UnknownType::Missing`] with the nearest name, [`UnknownType::Ambiguous`] with all candidates.
    pub fn message(&self, name: &str) -> Result<Message, UnknownType> {
        let tables = &self.inner.tables;
        let name = name.strip_prefix('.').unwrap_or(name);
        if let Some(index) = tables.by_name.get(name) {
            return Ok(Message {
                schema: self.clone(),
                index: *index,
            });
        }
        let ends = |full: &str| {
            full.strip_suffix(name)
                .is_some_and(|head| !name.is_empty() && head.ends_with('.'))
        };
        let mut found: Vec<Message> = self
            .messages()
            .filter(|message| ends(message.full_name()))
            .collect();
        if found.len() > 1 {
            let own = |message: &Message| !message.full_name().starts_with("google.protobuf.");
            if found.iter().filter(|message| own(message)).count() == 1 {
                found.retain(own);
            }
        }
        match found.len() {
            0 => Err(UnknownType::Missing {
                name: name.to_owned(),
                nearest: nearest(name, self.names()),
            }),
            1 => Ok(found.remove(0)),
            _ => {
                let mut candidates: Vec<_> = found
                    .iter()
                    .map(|message| message.full_name().to_owned())
                    .collect();
                candidates.sort();
                Err(UnknownType::Ambiguous {
                    name: name.to_owned(),
                    candidates,
                })
            }
        }
    }

    /// Every message type, well-known ones included, without the hidden types of map entries.
    pub fn messages(&self) -> impl Iterator<Item = Message> + '_ {
        let tables = &self.inner.tables;
        let shown = tables
            .messages
            .iter()
            .zip(0..)
            .filter(|(table, _)| !table.map_entry);
        shown.map(|(_, index)| Message {
            schema: self.clone(),
            index,
        })
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.inner.tables
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.inner
            .tables
            .messages
            .iter()
            .filter(|table| !table.map_entry)
            .map(|table| &*table.full_name)
    }
}

/// A message type of a [`Schema`]. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Message {
    schema: Schema,
    index: u32,
}

impl Message {
    /// The full name, such as `shop.v1.Team`.
    pub fn full_name(&self) -> &str {
        &self.table().full_name
    }

    /// The schema it belongs to.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    #[inline]
    pub(crate) fn table(&self) -> &MessageTable {
        &self.schema.inner.tables.messages[self.index as usize]
    }

    #[inline]
    pub(crate) fn tables(&self) -> &Tables {
        &self.schema.inner.tables
    }

    /// Index of its table.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// Another message type of the same schema, by the index of its table.
    pub(crate) fn sibling(&self, index: u32) -> Message {
        Message {
            schema: self.schema.clone(),
            index,
        }
    }

    #[inline]
    pub(crate) fn limits(&self) -> &Limits {
        &self.schema.inner.limits
    }
}

impl PartialEq for Message {
    /// The same type of the same schema; two compilations of one source are two schemas.
    fn eq(&self, other: &Message) -> bool {
        self.index == other.index
            && Arc::ptr_eq(&self.schema.inner.tables, &other.schema.inner.tables)
    }
}

impl Eq for Message {}
