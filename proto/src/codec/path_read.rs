//! What a walk found, as the values a caller asked for. Field paths and single fields share it.

use std::cmp::Ordering;

use super::index::{check_size, pack};
use super::path::{Pick, Step};
use super::path_walk::{Found, Goal, Visit, scalar};
use super::tables::{DefaultValue, Field};
use super::to_json::is_zero;
use super::value::Value;
use crate::error::DecodeError;
use crate::limits::Limits;
use crate::schema::Message;
use crate::wire::Reader;

/// The steps to a field, borrowed: those of a path, or a single one on the stack.
#[derive(Clone, Copy)]
pub(super) struct Course<'b, 's> {
    pub(super) message: &'b Message,
    pub(super) steps: &'s [Step],
    /// The field whose type the value has.
    pub(super) field: &'b Field,
    /// Whether that field is meant as a whole: no index or key follows it.
    pub(super) whole: bool,
}

impl<'b> Course<'b, '_> {
    /// See [`FieldPath::get`](crate::FieldPath::get).
    pub(super) fn get(self, bytes: &'b [u8]) -> Result<Value<'b>, DecodeError> {
        let Course { field, whole, .. } = self;
        let found = self.walk(bytes, Goal::Value)?;
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
            return scalar(self.message, field, found.raw, bytes);
        }
        let picks = |step: &Step| !matches!(step.pick, Pick::Whole);
        match self.steps.iter().rposition(picks) {
            // A default below an element is only there when the element is.
            Some(last) if !self.element_present(bytes, last)? => Ok(Value::Absent),
            _ => self.default(),
        }
    }

    /// Whether the element every later step lies in is there. `last` is the last picking step.
    fn element_present(self, bytes: &'b [u8], last: usize) -> Result<bool, DecodeError> {
        let mut visit = self.visit(bytes, Goal::Presence)?;
        visit.message(last + 1, 0, Reader::new(bytes), 0)?;
        Ok(visit.found.present)
    }

    /// See [`FieldPath::has`](crate::FieldPath::has).
    pub(super) fn has(self, bytes: &'b [u8]) -> Result<bool, DecodeError> {
        let Course { field, whole, .. } = self;
        if whole && field.repeated {
            return Ok(self.count(bytes)? > 0);
        }
        let found = self.walk(bytes, Goal::Value)?;
        let implicit = whole && !field.presence;
        Ok(found.present && !(implicit && is_zero(field.kind, found.raw)))
    }

    /// See [`FieldPath::count`](crate::FieldPath::count).
    pub(super) fn count(self, bytes: &'b [u8]) -> Result<u64, DecodeError> {
        match self.whole && self.field.repeated {
            true if self.field.map => Ok(self.walk(bytes, Goal::Value)?.distinct()),
            true => Ok(self.walk(bytes, Goal::Value)?.count),
            false => self.has(bytes).map(u64::from),
        }
    }

    /// See [`FieldPath::values`](crate::FieldPath::values).
    pub(super) fn values(self, bytes: &'b [u8]) -> Result<Vec<Value<'b>>, DecodeError> {
        let mut each = Vec::new();
        if !(self.whole && self.field.repeated) || self.field.map {
            each.extend(Some(self.get(bytes)?).filter(|value| !value.is_absent()));
            return Ok(each);
        }
        self.walk(bytes, Goal::Each(&mut each))?;
        Ok(each)
    }

    /// The entries of a map by key, the last one of each key. Anything else has none.
    pub(super) fn entries(
        self,
        bytes: &'b [u8],
    ) -> Result<Vec<(Value<'b>, Value<'b>)>, DecodeError> {
        let mut entries = Vec::new();
        if self.whole && self.field.map {
            self.walk(bytes, Goal::Entries(&mut entries))?;
        }
        // The sort is stable: of equal keys, the last on the wire comes to stand first.
        entries.reverse();
        entries.sort_by(|a, b| by_key(&a.0, &b.0));
        entries.dedup_by(|a, b| by_key(&a.0, &b.0).is_eq());
        Ok(entries)
    }

    #[inline(always)]
    fn visit<'v>(self, bytes: &'b [u8], goal: Goal<'v, 'b>) -> Result<Visit<'b, 'v>, DecodeError>
    where
        Self: 'v,
    {
        let limits = self.message.limits();
        check_size(bytes, limits)?;
        Ok(Visit {
            message: self.message,
            steps: self.steps,
            limits,
            buf: bytes,
            goal,
            seen: [0; Limits::PATH_SEGMENTS_MAX],
            fields_left: limits.fields,
            found: Found::default(),
        })
    }

    #[inline(always)]
    fn walk(self, bytes: &'b [u8], goal: Goal<'_, 'b>) -> Result<Found<'b>, DecodeError> {
        let mut visit = self.visit(bytes, goal)?;
        visit.message(self.steps.len(), 0, Reader::new(bytes), 0)?;
        Ok(visit.found)
    }

    fn default(self) -> Result<Value<'b>, DecodeError> {
        let (message, field) = (self.message, self.field);
        match &field.default {
            DefaultValue::Raw(raw) => scalar(message, field, *raw, &[]),
            DefaultValue::Bytes(bytes) => scalar(message, field, pack(0, bytes.len()), bytes),
        }
    }
}

/// Orders two keys of one map: numbers by value, texts by their bytes.
fn by_key(a: &Value<'_>, b: &Value<'_>) -> Ordering {
    fn text<'v>(key: &Value<'v>) -> &'v [u8] {
        match key {
            Value::Str(text) => text.as_bytes(),
            Value::Bytes(bytes) => bytes,
            _ => &[],
        }
    }
    match (a, b) {
        (Value::Str(_) | Value::Bytes(_), _) => text(a).cmp(text(b)),
        _ => a.partial_cmp(b).unwrap_or(Ordering::Equal),
    }
}
