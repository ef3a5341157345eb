//! One field read where it lies: no message is built and, bar split messages, nothing allocated.

use std::sync::Arc;

use super::index::check_size;
use super::path_parse::{Segment, parse};
use super::path_walk::{Found, Goal, Visit, scalar};
use super::tables::{DefaultValue, Field, Kind};
use super::value::Value;
use crate::error::{DecodeError, PathError};
use crate::limits::Limits;
use crate::nearest::nearest;
use crate::schema::Message;
use crate::wire::Reader;

/// The type of what a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldKind {
    /// A `bool`.
    Bool,
    /// A signed integer.
    Int,
    /// An unsigned integer.
    Uint,
    /// A `float`.
    Float,
    /// A `double`.
    Double,
    /// A `string`.
    String,
    /// `bytes`.
    Bytes,
    /// An enum, with its full name.
    Enum(String),
    /// A message or group.
    Message(Message),
    /// A repeated field of these.
    List(Box<FieldKind>),
    /// A map to these.
    Map(Box<FieldKind>),
}

/// A compiled path to a field of a message type. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FieldPath {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) message: Message,
    pub(super) steps: Vec<Step>,
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
        let Some(field) = message.by_name(name) else {
            return Err(PathError::UnknownField {
                message: message.full_name.to_string(),
                name: name.to_owned(),
                nearest: nearest(name, message.fields.iter().map(|field| &*field.name)),
            });
        };
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
        if whole && field.map {
            let value = &self.inner.message.tables().sub(field).fields[1];
            return FieldKind::Map(Box::new(self.single_kind(value)));
        }
        let kind = self.single_kind(field);
        if whole && field.repeated {
            FieldKind::List(Box::new(kind))
        } else {
            kind
        }
    }

    fn single_kind(&self, field: &Field) -> FieldKind {
        match field.kind {
            Kind::Bool => FieldKind::Bool,
            Kind::Double => FieldKind::Double,
            Kind::Float => FieldKind::Float,
            Kind::String => FieldKind::String,
            Kind::Bytes => FieldKind::Bytes,
            Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64 => FieldKind::Uint,
            Kind::Enum => FieldKind::Enum(
                self.inner
                    .message
                    .tables()
                    .enumeration(field)
                    .full_name
                    .to_string(),
            ),
            Kind::Message | Kind::Group => {
                FieldKind::Message(self.inner.message.sibling(field.sub))
            }
            _ => FieldKind::Int,
        }
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
        let visit = self.walk(bytes, Goal::Value)?;
        let (field, whole) = self.target();
        let found = visit.found;
        if whole && field.map {
            return Ok(Value::Map {
                len: found.distinct(),
            });
        }
        if whole && field.repeated {
            return Ok(Value::List { len: found.count });
        }
        if field.kind.is_message() {
            return Ok(match (found.present, found.part) {
                (false, _) => Value::Absent,
                (true, part) => Value::Message(part.unwrap_or_default()),
            });
        }
        if found.present {
            return self.scalar(field, found.raw, bytes);
        }
        let steps = &self.inner.steps;
        let picked = steps
            .iter()
            .position(|step| !matches!(step.pick, Pick::Whole));
        match picked {
            // A default below an element is only there when the element is.
            Some(last) if !self.element_present(bytes, last)? => Ok(Value::Absent),
            _ => self.default(field),
        }
    }

    /// Whether the element every later step lies in is there. `first` is the first picking step.
    fn element_present(&self, bytes: &[u8], first: usize) -> Result<bool, DecodeError> {
        let steps = &self.inner.steps;
        let last = steps
            .iter()
            .rposition(|step| !matches!(step.pick, Pick::Whole))
            .unwrap_or(first);
        let mut visit = self.visit(bytes, Goal::Presence)?;
        visit.message(last + 1, 0, Reader::new(bytes), 0)?;
        Ok(visit.found.present)
    }

    /// Whether the value is on the wire: for a field without presence, whether it differs from the
    /// default; for a list or map, whether it has an element.
    ///
    /// # Errors
    ///
    /// As [`FieldPath::get`].
    pub fn has(&self, bytes: &[u8]) -> Result<bool, DecodeError> {
        let (field, whole) = self.target();
        if whole && field.repeated {
            return Ok(self.count(bytes)? > 0);
        }
        let found = self.walk(bytes, Goal::Value)?.found;
        let implicit = whole && !field.presence;
        Ok(found.present && !(implicit && super::to_json::is_zero(field.kind, found.raw)))
    }

    /// The elements of a list, the distinct keys of a map; 1 or 0 for anything else, as [`FieldPath::has`].
    ///
    /// # Errors
    ///
    /// As [`FieldPath::get`].
    pub fn count(&self, bytes: &[u8]) -> Result<u64, DecodeError> {
        let (field, whole) = self.target();
        match whole && field.repeated {
            true if field.map => Ok(self.walk(bytes, Goal::Value)?.found.distinct()),
            true => Ok(self.walk(bytes, Goal::Value)?.found.count),
            false => self.has(bytes).map(u64::from),
        }
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
        let (field, whole) = self.target();
        if !(whole && field.repeated) || field.map {
            out.extend(Some(self.get(bytes)?).filter(|value| !value.is_absent()));
            return Ok(());
        }
        let mut each = Vec::new();
        self.walk(bytes, Goal::Each(&mut each))?;
        out.append(&mut each);
        Ok(())
    }

    #[inline(always)]
    fn visit<'b, 'v>(
        &'b self,
        bytes: &'b [u8],
        goal: Goal<'v, 'b>,
    ) -> Result<Visit<'b, 'v>, DecodeError> {
        let limits = self.inner.message.limits();
        check_size(bytes, limits)?;
        Ok(Visit {
            path: &self.inner,
            limits,
            buf: bytes,
            goal,
            seen: [0; Limits::PATH_SEGMENTS_MAX],
            fields_left: limits.fields,
            found: Found::default(),
        })
    }

    #[inline(always)]
    fn walk<'b, 'v>(
        &'b self,
        bytes: &'b [u8],
        goal: Goal<'v, 'b>,
    ) -> Result<Visit<'b, 'v>, DecodeError> {
        let mut visit = self.visit(bytes, goal)?;
        visit.message(self.inner.steps.len(), 0, Reader::new(bytes), 0)?;
        Ok(visit)
    }

    fn scalar<'b>(
        &'b self,
        field: &'b Field,
        raw: u64,
        bytes: &'b [u8],
    ) -> Result<Value<'b>, DecodeError> {
        scalar(&self.inner.message, field, raw, bytes)
    }

    fn default<'b>(&'b self, field: &'b Field) -> Result<Value<'b>, DecodeError> {
        match &field.default {
            DefaultValue::Raw(raw) => self.scalar(field, *raw, &[]),
            DefaultValue::Bytes(bytes) => {
                self.scalar(field, super::index::pack(0, bytes.len()), bytes)
            }
        }
    }
}
