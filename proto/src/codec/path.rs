//! One field read where it lies: no message is built and, bar split messages, nothing allocated.

use std::sync::Arc;

use super::fields::FieldKind;
use super::path_parse::{Segment, parse};
use super::path_read::Course;
use super::tables::{Field, Kind, MessageTable};
use super::value::Value;
use crate::error::{DecodeError, PathError};
use crate::nearest::nearest;
use crate::schema::Message;

/// A compiled path to a field of a message type. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FieldPath {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    message: Message,
    steps: Vec<Step>,
    text: String,
    /// Table and index of the field whose type the path has.
    leaf: (u32, u32),
    /// Whether that field is meant as a whole: no index or key follows it.
    whole: bool,
}

/// One field of the path, with the index or key that follows it.
#[derive(Debug)]
pub(super) struct Step {
    /// Table of the message the field is in.
    pub(super) table: u32,
    pub(super) field: u32,
    pub(super) pick: Pick,
}

#[derive(Debug)]
pub(super) enum Pick {
    /// The field as it is.
    Whole,
    /// One element; `None` for an index below 0, which nothing has.
    Index(Option<u64>),
    /// The value of a map under a number: the key as a number, sign extended.
    Number(u64),
    /// The value of a map under a text.
    Text(Box<str>),
}

impl Message {
    /// Compiles a path such as `team.members[0].id`, `labels["x"]`, `flags[true]` or `[pkg.ext].id`.
    /// Fields go by their JSON or their `.proto` name.
    ///
    /// # Errors
    ///
    /// [`PathError`] tells which segment is wrong; an unknown name comes with the nearest.
    pub fn path(&self, path: &str) -> Result<FieldPath, PathError> {
        self.path_of(&parse(path)?)
    }

    /// Compiles a path from its segments.
    ///
    /// # Errors
    ///
    /// As [`Message::path`].
    pub fn path_of(&self, segments: &[Segment]) -> Result<FieldPath, PathError> {
        let limit = self.limits().path_segments;
        if segments.len() > limit {
            return Err(PathError::Long { limit });
        }
        let mut resolver = Resolver {
            message: self,
            text: String::new(),
            steps: Vec::new(),
        };
        for segment in segments {
            resolver.add(segment)?;
        }
        let Some((step, field)) = resolver.last() else {
            return Err(PathError::Syntax {
                at: 0,
                expected: "a field name",
            });
        };
        let (leaf, whole) = match step.pick {
            Pick::Whole => ((step.table, step.field), true),
            Pick::Index(_) => ((step.table, step.field), false),
            Pick::Number(_) | Pick::Text(_) => ((field.sub, 1), false),
        };
        let Resolver { text, steps, .. } = resolver;
        Ok(FieldPath {
            inner: Arc::new(Inner {
                message: self.clone(),
                steps,
                text,
                leaf,
                whole,
            }),
        })
    }
}

/// The index of a field by its JSON or `.proto` name.
pub(super) fn find_field(message: &MessageTable, name: &str) -> Result<usize, PathError> {
    message
        .by_name(name)
        .ok_or_else(|| PathError::UnknownField {
            message: message.full_name.to_string(),
            name: name.to_owned(),
            nearest: nearest(name, message.fields.iter().map(|field| &*field.name)),
        })
}

struct Resolver<'m> {
    message: &'m Message,
    text: String,
    steps: Vec<Step>,
}

impl<'m> Resolver<'m> {
    fn add(&mut self, segment: &Segment) -> Result<(), PathError> {
        match segment {
            Segment::Field(name) => self.add_field(name),
            Segment::Index(index) => self.add_index(*index),
            Segment::Key(key) => self.add_key(key),
        }
    }

    fn add_field(&mut self, name: &str) -> Result<(), PathError> {
        let tables = self.message.tables();
        let table = match self.last() {
            None => self.message.index(),
            Some((_, field)) => match self.target(field) {
                (Some(kind), _) if kind.is_message() => self.target(field).1,
                _ => return Err(self.misstep(field, "field")),
            },
        };
        let message = &tables.messages[table as usize];
        let field = find_field(message, name)?;
        if !self.text.is_empty() {
            self.text.push('.');
        }
        self.text.push_str(name);
        self.steps.push(Step {
            table,
            field: field as u32,
            pick: Pick::Whole,
        });
        Ok(())
    }

    fn last(&self) -> Option<(&Step, &'m Field)> {
        let step = self.steps.last()?;
        Some((
            step,
            &self.message.tables().messages[step.table as usize].fields[step.field as usize],
        ))
    }

    /// Kind and table of what the last step leads to; no kind for a whole list or map.
    fn target(&self, field: &Field) -> (Option<Kind>, u32) {
        match self.steps.last().map(|step| &step.pick) {
            Some(Pick::Whole) if field.repeated => (None, 0),
            Some(Pick::Number(_) | Pick::Text(_)) => {
                let value = &self.message.tables().sub(field).fields[1];
                (Some(value.kind), value.sub)
            }
            _ => (Some(field.kind), field.sub),
        }
    }

    fn misstep(&self, field: &Field, step: &'static str) -> PathError {
        let is = match self.target(field).0 {
            None if field.map => "a map",
            None => "a list",
            Some(kind) => kind.name(),
        };
        PathError::Step {
            field: self.text.clone(),
            is,
            step,
        }
    }

    fn add_index(&mut self, index: i64) -> Result<(), PathError> {
        let pick = match self.last() {
            Some((
                Step {
                    pick: Pick::Whole, ..
                },
                field,
            )) if field.map => self.key(field, &index.to_string())?,
            Some((
                Step {
                    pick: Pick::Whole, ..
                },
                field,
            )) if field.repeated => Pick::Index(u64::try_from(index).ok()),
            Some((_, field)) => return Err(self.misstep(field, "index")),
            None => {
                return Err(PathError::Syntax {
                    at: 0,
                    expected: "a field name",
                });
            }
        };
        self.text.push_str(&format!("[{index}]"));
        self.set(pick);
        Ok(())
    }

    fn add_key(&mut self, key: &str) -> Result<(), PathError> {
        let pick = match self.last() {
            Some((
                Step {
                    pick: Pick::Whole, ..
                },
                field,
            )) if field.map => self.key(field, key)?,
            Some((_, field)) => return Err(self.misstep(field, "key")),
            None => {
                return Err(PathError::Syntax {
                    at: 0,
                    expected: "a field name",
                });
            }
        };
        self.text.push_str(&format!("[{key:?}]"));
        self.set(pick);
        Ok(())
    }

    fn set(&mut self, pick: Pick) {
        if let Some(step) = self.steps.last_mut() {
            step.pick = pick;
        }
    }

    fn key(&self, field: &Field, key: &str) -> Result<Pick, PathError> {
        let kind = self.message.tables().sub(field).fields[0].kind;
        let number = match kind {
            Kind::String => return Ok(Pick::Text(key.into())),
            Kind::Bool => key.parse::<bool>().ok().map(u64::from),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                key.parse::<i32>().ok().map(|key| i64::from(key) as u64)
            }
            Kind::Uint32 | Kind::Fixed32 => key.parse::<u32>().ok().map(u64::from),
            Kind::Uint64 | Kind::Fixed64 => key.parse::<u64>().ok(),
            _ => key.parse::<i64>().ok().map(|key| key as u64),
        };
        number.map(Pick::Number).ok_or_else(|| PathError::Key {
            field: self.text.clone(),
            kind: kind.name(),
        })
    }
}

impl FieldPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.inner.text
    }

    /// The message type it starts at.
    pub fn message(&self) -> &Message {
        &self.inner.message
    }

    /// The type it leads to.
    pub fn kind(&self) -> FieldKind {
        let (field, whole) = self.target();
        FieldKind::of(&self.inner.message, field, whole)
    }

    /// The field whose type the path has, and whether it is meant as a whole.
    fn target(&self) -> (&Field, bool) {
        let (table, field) = self.inner.leaf;
        let table = &self.inner.message.tables().messages[table as usize];
        (&table.fields[field as usize], self.inner.whole)
    }

    /// The value in an encoded message, as a conforming parser would give it. A scalar that is not
    /// set has its default (the one declared in proto2); [`Value::Absent`] stands for a message that
    /// is not set, for an index past the end and for a key the map lacks, and for everything below
    /// such an element. [`FieldPath::has`] tells a default from a value. A field with a foreign wire
    /// type counts as unknown; [`Message::validate`] refuses it.
    ///
    /// # Errors
    ///
    /// The first fault met on the way, with its offset in `bytes`. Fields beside the path are only
    /// stepped over.
    pub fn get<'b>(&'b self, bytes: &'b [u8]) -> Result<Value<'b>, DecodeError> {
        self.course().get(bytes)
    }

    /// Whether the value is on the wire: for a field without presence, whether it differs from the
    /// default; for a list or map, whether it has an element.
    ///
    /// # Errors
    ///
    /// As [`FieldPath::get`].
    pub fn has(&self, bytes: &[u8]) -> Result<bool, DecodeError> {
        self.course().has(bytes)
    }

    /// The elements of a list, the distinct keys of a map; 1 or 0 for anything else, as [`FieldPath::has`].
    ///
    /// # Errors
    ///
    /// As [`FieldPath::get`].
    pub fn count(&self, bytes: &[u8]) -> Result<u64, DecodeError> {
        self.course().count(bytes)
    }

    /// Appends every element of a list, in order. A path to anything else appends its value unless
    /// that is absent.
    ///
    /// # Errors
    ///
    /// As [`FieldPath::get`]; `out` is then as it was.
    pub fn values<'b>(
        &'b self,
        bytes: &'b [u8],
        out: &mut Vec<Value<'b>>,
    ) -> Result<(), DecodeError> {
        out.append(&mut self.course().values(bytes)?);
        Ok(())
    }

    #[inline(always)]
    fn course(&self) -> Course<'_, '_> {
        let (field, whole) = self.target();
        Course {
            message: &self.inner.message,
            steps: &self.inner.steps,
            field,
            whole,
        }
    }
}
