//! How well bytes fit a message type, for finding the type of a body among all of a schema.
//!
//! One pass without an allocation, ended by the first thing the strict check refuses. Besides
//! validity it counts what an encoder of the right type would not have written.

use super::index::check_size;
use super::tables::{Field, Kind, MessageTable, NO_ONEOF, Tables};
use super::to_json::is_zero;
use crate::limits::Limits;
use crate::schema::Message;
use crate::wire::{Reader, WireType};

/// How well bytes fit a message type: what [`Message::fit`] saw. Counts include nested messages; for
/// bytes that are not valid they tell of what came before the refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Fit {
    /// Whether [`Message::validate`] passes the bytes.
    pub valid: bool,
    /// Size of the bytes.
    pub bytes: usize,
    /// Bytes read: all of them, or those before the field that was refused.
    pub read: usize,
    /// Bytes read in fields the type has, tags and lengths included.
    pub known_bytes: usize,
    /// Bytes in fields it lacks.
    pub unknown_bytes: usize,
    /// Those of the known bytes that lie in `bytes` fields and packed numbers, which take nearly
    /// anything.
    pub opaque_bytes: usize,
    /// Fields the type has.
    pub known_fields: u32,
    /// Fields it lacks; what is nested in one is not counted.
    pub unknown_fields: u32,
    /// Known fields with a wire type they cannot have: the first is a refusal, so this is 0 or 1.
    pub wire_mismatches: u32,
    /// Enum values that have no name.
    pub unnamed_enums: u32,
    /// Strings with control characters other than tab and line ends, or (in proto2) not in UTF-8.
    pub control_strings: u32,
    /// Known fields behind one with a larger number.
    pub unordered: u32,
    /// Defaults that were sent in fields without presence, which encoders leave out.
    pub explicit_defaults: u32,
    /// Single fields, and members of one oneof, that came more than once.
    pub repeated_singulars: u32,
    /// Lists that came packed where the schema has them loose, or the other way round.
    pub packing_mismatches: u32,
    /// Bools other than 0 and 1.
    pub odd_bools: u32,
    /// Integers and enums of 32 bits with a value of more bits, or negative and not sign-extended.
    pub odd_integers: u32,
    /// Distinct fields present in the outermost message, the first 64 of its type counted.
    pub present_fields: u32,
    /// Fields its type has, of these.
    pub declared_fields: u32,
}

impl Fit {
    /// A figure for ranking, from 0 to 1:
    ///
    /// `(known_bytes - opaque_bytes / 10) / (known_bytes + unknown_bytes)`
    /// `* known_fields / (known_fields + unknown_fields)`
    /// `* (0.95 + 0.05 * present_fields / declared_fields)`
    ///
    /// times `1 - p / 2 * (1 + n / known_fields)` for each kind of oddity that was met `n` times, with
    /// `p` 0.8 for bools, 0.7 for integers, 0.6 for enums and strings, 0.5 for repeated single
    /// fields, 0.4 for explicit defaults, 0.3 for order and packing. Bytes that are not valid keep
    /// a quarter of it, times `read / bytes`. No bytes at all are 0.5 when they are valid: a
    /// message of any type may be empty.
    pub fn score(&self) -> f64 {
        if self.bytes == 0 {
            return if self.valid { 0.5 } else { 0.0 };
        }
        if self.known_fields == 0 {
            return 0.0;
        }
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 1.0 };
        let (known, unknown) = (self.known_bytes as f64, self.unknown_bytes as f64);
        let fields = f64::from(self.known_fields);
        let mut score = share(known - self.opaque_bytes as f64 / 10.0, known + unknown)
            * share(fields, fields + f64::from(self.unknown_fields))
            * (0.95
                + 0.05
                    * share(
                        f64::from(self.present_fields),
                        f64::from(self.declared_fields),
                    ));
        for (times, penalty) in [
            (self.odd_bools, 0.8),
            (self.odd_integers, 0.7),
            (self.unnamed_enums, 0.6),
            (self.control_strings, 0.6),
            (self.repeated_singulars, 0.5),
            (self.explicit_defaults, 0.4),
            (self.unordered, 0.3),
            (self.packing_mismatches, 0.3),
        ] {
            if times > 0 {
                // The elements of a packed field may be more than there are fields.
                let often = (f64::from(times) / fields).min(1.0);
                score *= 1.0 - penalty / 2.0 * (1.0 + often);
            }
        }
        match self.valid {
            true => score,
            false => score * 0.25 * self.read as f64 / self.bytes as f64,
        }
    }
}

impl Message {
    /// Tells how well bytes fit this type, ending at the first refusal.
    pub fn fit(&self, bytes: &[u8]) -> Fit {
        let limits = self.limits();
        let mut fitter = Fitter {
            tables: self.tables(),
            limits,
            fields_left: limits.fields,
            group_ends: 0,
            at: 0,
            fit: Fit {
                bytes: bytes.len(),
                ..Fit::default()
            },
        };
        if check_size(bytes, limits).is_err() {
            return fitter.fit;
        }
        let table = self.table();
        let walked = fitter.message(table, &mut Reader::new(bytes), 0, 0);
        let mut fit = fitter.fit;
        fit.declared_fields = table.fields.len().min(64) as u32;
        fit.valid = walked.is_ok() && (!table.requires || self.validate(bytes).is_ok());
        fit.read = match walked {
            Ok(()) => bytes.len(),
            Err(Refused) => fitter.at,
        };
        // What is left over is known: nothing need be added up on the way.
        fit.known_bytes = fit.read.saturating_sub(fit.unknown_bytes);
        let tags = limits.fields - fitter.fields_left - fitter.group_ends;
        let refused = usize::from(walked.is_err());
        fit.known_fields = (tags as u32)
            .saturating_sub(fit.unknown_fields)
            .saturating_sub(refused as u32);
        fit
    }
}

/// The bytes are not of this type.
struct Refused;

impl<E: std::error::Error> From<E> for Refused {
    fn from(_: E) -> Refused {
        Refused
    }
}

struct Fitter<'a> {
    tables: &'a Tables,
    limits: &'a Limits,
    fields_left: usize,
    /// Tags that end a group, which are no fields.
    group_ends: usize,
    /// Where the field being read starts.
    at: usize,
    fit: Fit,
}

/// What came before in one message.
#[derive(Default)]
struct Seen {
    fields: u64,
    oneofs: u64,
    /// One more than the highest index.
    next: usize,
}

impl<'a> Fitter<'a> {
    fn message(
        &mut self,
        table: &'a MessageTable,
        reader: &mut Reader<'_>,
        group: u32,
        depth: usize,
    ) -> Result<(), Refused> {
        if depth > self.limits.depth {
            return Err(Refused);
        }
        let mut seen = Seen::default();
        let walked = self.fields(table, reader, group, depth, &mut seen);
        if depth == 0 {
            self.fit.present_fields = seen.fields.count_ones();
        }
        walked
    }

    fn fields(
        &mut self,
        table: &'a MessageTable,
        reader: &mut Reader<'_>,
        group: u32,
        depth: usize,
        seen: &mut Seen,
    ) -> Result<(), Refused> {
        while !reader.is_empty() {
            let offset = reader.offset();
            self.at = offset;
            // Before the tag is read, so that whatever is refused was counted.
            self.fields_left = self.fields_left.checked_sub(1).ok_or(Refused)?;
            let (number, wire) = reader.tag()?;
            if wire == WireType::EndGroup {
                if number != group {
                    return Err(Refused);
                }
                self.group_ends += 1;
                return Ok(());
            }
            let Some(index) = table.find(number) else {
                reader.skip(number, wire, self.limits.depth - depth)?;
                self.fit.unknown_fields += 1;
                self.fit.unknown_bytes += reader.offset() - offset;
                continue;
            };
            let field = &table.fields[index];
            if !field.accepts(wire) {
                self.fit.wire_mismatches += 1;
                return Err(Refused);
            }
            self.place(field, index, seen);
            self.value(field, number, wire, reader, depth)?;
        }
        if group != 0 {
            self.fields_left = self.fields_left.saturating_sub(1);
            self.at = reader.offset();
            return Err(Refused);
        }
        Ok(())
    }

    /// Compares a field with those before it.
    #[inline(always)]
    fn place(&mut self, field: &Field, index: usize, seen: &mut Seen) {
        // A shift by more than the bits there are is none of the first 64.
        let bit = u64::from(index < 64) << (index & 63);
        let mut again = false;
        if index < seen.next {
            self.fit.unordered += u32::from(index + 1 < seen.next);
            again = seen.fields & bit != 0;
        } else {
            seen.next = index + 1;
        }
        seen.fields |= bit;
        if field.oneof != NO_ONEOF {
            let bit = u64::from(field.oneof < 64) << (field.oneof & 63);
            again |= seen.oneofs & bit != 0;
            seen.oneofs |= bit;
        }
        self.fit.repeated_singulars += u32::from(again && !field.repeated);
    }

    #[inline(always)]
    fn value(
        &mut self,
        field: &'a Field,
        number: u32,
        wire: WireType,
        reader: &mut Reader<'_>,
        depth: usize,
    ) -> Result<(), Refused> {
        let raw = match wire {
            WireType::Varint => reader.varint()?,
            WireType::Fixed32 => u64::from(reader.fixed32()?),
            WireType::Fixed64 => reader.fixed64()?,
            WireType::Len => {
                let content = reader.bytes()?;
                if field.kind == Kind::Message {
                    let start = reader.offset() - content.len();
                    let mut reader = Reader::nested(content, start);
                    return self.message(self.tables.sub(field), &mut reader, 0, depth + 1);
                }
                if content.is_empty() && field.omits_default {
                    self.fit.explicit_defaults += 1;
                }
                return self.content(field, content);
            }
            _ => {
                return self.message(self.tables.sub(field), reader, number, depth + 1);
            }
        };
        self.fit.packing_mismatches += u32::from(field.packed);
        if field.omits_default && is_zero(field.kind, raw) {
            self.fit.explicit_defaults += 1;
        }
        self.number(field, raw);
        Ok(())
    }

    /// A string, bytes or packed numbers.
    #[inline(always)]
    fn content(&mut self, field: &'a Field, content: &[u8]) -> Result<(), Refused> {
        match field.kind {
            Kind::String => {
                // Without an early end, so that it becomes vector code.
                let plain = content
                    .iter()
                    .fold(true, |plain, byte| plain & (0x20..0x7f).contains(byte));
                return if plain {
                    Ok(())
                } else {
                    self.odd_text(field, content)
                };
            }
            Kind::Bytes => self.fit.opaque_bytes += content.len(),
            _ => {
                self.packed(field, content)?;
                self.fit.opaque_bytes += content.len();
                self.fit.packing_mismatches += u32::from(!field.packed);
            }
        }
        Ok(())
    }

    /// Text with more than printable ASCII.
    #[inline(never)]
    fn odd_text(&mut self, field: &Field, content: &[u8]) -> Result<(), Refused> {
        let utf8 = std::str::from_utf8(content).is_ok();
        if field.utf8 && !utf8 {
            return Err(Refused);
        }
        let control = content
            .iter()
            .any(|&byte| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r') || byte == 0x7f);
        self.fit.control_strings += u32::from(control || !utf8);
        Ok(())
    }

    fn packed(&mut self, field: &'a Field, content: &[u8]) -> Result<(), Refused> {
        let size = match field.kind.wire() {
            WireType::Fixed64 => 8,
            WireType::Fixed32 => 4,
            _ => {
                let mut reader = Reader::new(content);
                while !reader.is_empty() {
                    let raw = reader.varint()?;
                    self.number(field, raw);
                }
                return Ok(());
            }
        };
        match content.len() % size {
            0 => Ok(()),
            _ => Err(Refused),
        }
    }

    /// Looks for numbers an encoder of this type would not write.
    #[inline(always)]
    fn number(&mut self, field: &'a Field, raw: u64) {
        match field.kind {
            Kind::Bool => self.fit.odd_bools += u32::from(raw > 1),
            Kind::Int32 => self.fit.odd_integers += u32::from(!extended(raw)),
            Kind::Uint32 | Kind::Sint32 => {
                self.fit.odd_integers += u32::from(raw > u64::from(u32::MAX));
            }
            Kind::Enum => {
                self.fit.odd_integers += u32::from(!extended(raw));
                let kind = self.tables.enumeration(field);
                self.fit.unnamed_enums += u32::from(kind.name(raw as i32).is_none());
            }
            _ => {}
        }
    }
}

/// Whether a number is one of 32 bits with its sign carried on.
#[inline(always)]
fn extended(raw: u64) -> bool {
    raw as i64 == i64::from(raw as i32)
}
