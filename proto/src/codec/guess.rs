//! What bytes without a schema are likeliest to be.

use crate::limits::Limits;
use crate::wire::{Reader, WireType, varint_len};

/// The likeliest reading of a length-delimited field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading<'b> {
    /// Printable UTF-8.
    Text(&'b str),
    /// Fields that look meant.
    Message,
    /// Varints.
    Packed,
    /// Single precision.
    Floats,
    /// Double precision.
    Doubles,
    /// Nothing of these.
    Bytes,
}

/// Decides what a content is. Looks at one level: what lies in its messages is decided when they are
/// shown.
pub(crate) fn reading(content: &[u8]) -> Reading<'_> {
    // A message often starts with 0x0a, which text may as well, but seldom does.
    let text = printable(content);
    if let Some(text) = text.filter(|text| !text.starts_with(['\n', '\r', '\t'])) {
        return Reading::Text(text);
    }
    if plausibility(content) >= 0.4 {
        return Reading::Message;
    }
    if let Some(text) = text {
        return Reading::Text(text);
    }
    if content.len() >= 16 && content.len().is_multiple_of(8) && doubles(content).all(sane_double) {
        return Reading::Doubles;
    }
    if content.len() >= 8 && content.len().is_multiple_of(4) && floats(content).all(sane_float) {
        return Reading::Floats;
    }
    match likely_varints(content) {
        true => Reading::Packed,
        false => Reading::Bytes,
    }
}

/// The content as text, when all of it is printable.
pub(crate) fn printable(content: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(content).ok()?;
    let control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r') || c == '\u{fffd}';
    (!text.contains(control)).then_some(text)
}

/// See [`plausibility`](crate::schemaless::plausibility).
pub(crate) fn plausibility(bytes: &[u8]) -> f64 {
    if bytes.is_empty() {
        return 0.5;
    }
    let mut reader = Reader::new(bytes);
    let mut seen = Seen::default();
    let (mut fields, mut sum) = (0u32, 0.0);
    while !reader.is_empty() {
        let Some(weight) = field(&mut reader, &mut seen) else {
            return 0.0;
        };
        fields = fields.saturating_add(1);
        sum += weight;
    }
    let count = f64::from(fields);
    // One field may come about by chance, many will not.
    let mut score = sum / count * (1.0 - 0.25 / count);
    if printable(bytes).is_some() {
        score *= if bytes[0] < b' ' { 0.8 } else { 0.2 };
    }
    score
}

/// The fields seen before, for those with small numbers.
#[derive(Default)]
struct Seen {
    highest: u32,
    /// The wire type of each number below 64, and one more.
    wires: [u8; 32],
}

/// Weighs one field, from 0 to 1; `None` when it is malformed.
fn field(reader: &mut Reader<'_>, seen: &mut Seen) -> Option<f64> {
    let start = reader.offset();
    let (number, wire) = reader.tag().ok()?;
    let tag = reader.offset() - start;
    let mut weight: f64 = match number {
        1..=15 => 1.0,
        16..=127 => 0.95,
        128..=2047 => 0.6,
        19_000..=19_999 => 0.05,
        _ => 0.25,
    };
    if tag != varint_len(u64::from(number) << 3) {
        weight *= 0.1;
    }
    if number < seen.highest {
        weight *= 0.85;
    }
    seen.highest = seen.highest.max(number);
    if let Some(known) = seen.wires.get_mut(number as usize) {
        let code = wire as u8 + 1;
        if *known != 0 && *known != code {
            weight *= 0.4;
        }
        *known = code;
    }
    let start = reader.offset();
    match wire {
        WireType::Varint => {
            let value = reader.varint().ok()?;
            if reader.offset() - start != varint_len(value) {
                weight *= 0.1;
            }
            // Beyond 2^56 there is hardly anything but small negative numbers.
            if value >> 56 != 0 && value >> 31 != u64::MAX >> 31 {
                weight *= 0.5;
            }
        }
        WireType::Fixed32 => {
            let bits = reader.fixed32().ok()?;
            weight *= if float(bits).is_some() || bits < 1 << 24 {
                1.0
            } else {
                0.6
            };
        }
        WireType::Fixed64 => {
            let bits = reader.fixed64().ok()?;
            weight *= if double(bits).is_some() || bits < 1 << 56 {
                1.0
            } else {
                0.6
            };
        }
        WireType::Len => {
            let content = reader.bytes().ok()?;
            weight *= match printable(content) {
                Some(_) => 1.0,
                None => 0.8,
            };
        }
        WireType::StartGroup | WireType::EndGroup => {
            reader.skip(number, wire, Limits::DEPTH_MAX).ok()?;
            weight *= 0.3;
        }
    }
    Some(weight)
}

/// Four bytes as a floating point number, where that is likely.
pub(crate) fn float(bits: u32) -> Option<f32> {
    let value = f32::from_bits(bits);
    let few_digits = || digits(zmij::Buffer::new().format(value)) <= 6;
    let size = value.abs();
    let likely = (1e-6..1e9).contains(&size) && ((0.01..1e5).contains(&size) || few_digits());
    likely.then_some(value)
}

/// Eight bytes as a floating point number, where that is likely.
pub(crate) fn double(bits: u64) -> Option<f64> {
    let value = f64::from_bits(bits);
    let few_digits = || digits(zmij::Buffer::new().format(value)) <= 6;
    let size = value.abs();
    let likely = (1e-9..1e15).contains(&size) || size.is_normal() && few_digits();
    likely.then_some(value)
}

/// Significant digits of a number as it is written.
fn digits(number: &str) -> usize {
    let mantissa = number.split(['e', 'E']).next().unwrap_or(number);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').len()
}

fn sane_float(value: f32) -> bool {
    value == 0.0 || (1e-6..1e9).contains(&value.abs())
}

fn sane_double(value: f64) -> bool {
    value == 0.0 || (1e-9..1e15).contains(&value.abs())
}

/// The varints of a content, as `int64` has them, up to the first fault.
pub(crate) fn varints(content: &[u8]) -> impl Iterator<Item = i64> {
    let mut reader = Reader::new(content);
    std::iter::from_fn(move || {
        let value = (!reader.is_empty()).then(|| reader.varint().ok()).flatten();
        value.map(|value| value as i64)
    })
}

pub(crate) fn floats(content: &[u8]) -> impl Iterator<Item = f32> {
    let (chunks, _) = content.as_chunks();
    chunks.iter().map(|chunk| f32::from_le_bytes(*chunk))
}

pub(crate) fn doubles(content: &[u8]) -> impl Iterator<Item = f64> {
    let (chunks, _) = content.as_chunks();
    chunks.iter().map(|chunk| f64::from_le_bytes(*chunk))
}

/// Whether a content looks like packed varints: whole, none longer than it need be, and of like size,
/// as random bytes would not be for long.
fn likely_varints(content: &[u8]) -> bool {
    let mut reader = Reader::new(content);
    let (mut count, mut single) = (0usize, 0usize);
    let (mut shortest, mut longest) = (usize::MAX, 0);
    while !reader.is_empty() {
        let start = reader.offset();
        let Ok(value) = reader.varint() else {
            return false;
        };
        let len = reader.offset() - start;
        if len != varint_len(value) {
            return false;
        }
        count += 1;
        single += usize::from(len == 1);
        // A small negative number takes ten bytes.
        if value >> 31 != u64::MAX >> 31 {
            (shortest, longest) = (shortest.min(len), longest.max(len));
        }
    }
    let alike = longest.saturating_sub(shortest) <= 1 || single * 4 >= count * 3;
    longest <= 9 && (content.len() < 8 || alike)
}
