//! Numbers of text format, as the wire carries them.

use super::tables::Kind;
use crate::wire::zigzag;

/// An integer in decimal, hexadecimal or octal, when the type can hold it.
pub(super) fn integer(digits: &str, negative: bool, kind: Kind) -> Option<u64> {
    let size = magnitude(digits)?;
    let value = i128::from(size) * if negative { -1 } else { 1 };
    let narrow = || i32::try_from(value).ok();
    let wide = || i64::try_from(value).ok();
    match kind {
        Kind::Int32 | Kind::Enum => narrow().map(|value| i64::from(value) as u64),
        Kind::Sfixed32 => narrow().map(|value| u64::from(value as u32)),
        Kind::Sint32 => narrow().map(|value| zigzag(i64::from(value))),
        Kind::Int64 | Kind::Sfixed64 => wide().map(|value| value as u64),
        Kind::Sint64 => wide().map(zigzag),
        Kind::Uint32 | Kind::Fixed32 => u32::try_from(value).ok().map(u64::from),
        Kind::Uint64 | Kind::Fixed64 => u64::try_from(value).ok(),
        Kind::Bool => u64::try_from(value).ok().filter(|value| *value < 2),
        _ => None,
    }
}

fn magnitude(digits: &str) -> Option<u64> {
    let hex = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"));
    let (digits, radix) = match (hex, digits.strip_prefix('0')) {
        (Some(hex), _) => (hex, 16),
        (None, Some(octal)) if !octal.is_empty() => (octal, 8),
        _ => (digits, 10),
    };
    // The library takes a sign.
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    all_digits.then(|| u64::from_str_radix(digits, radix).ok())?
}

/// Whether a number was meant as an integer, so that only its size can be wrong.
pub(super) fn looks_whole(digits: &str) -> bool {
    digits.bytes().all(|byte| byte.is_ascii_digit())
        || digits
            .strip_prefix("0x")
            .is_some_and(|hex| !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A floating point number in decimal.
pub(super) fn floating(digits: &str, negative: bool, kind: Kind) -> Option<u64> {
    let octal = digits.len() > 1 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if octal && digits.starts_with('0') {
        return None;
    }
    let plain = digits.strip_suffix(['f', 'F']).unwrap_or(digits);
    // The library knows more words than the format.
    if !plain
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'))
    {
        return None;
    }
    plain.parse().ok().map(|value| bits(value, negative, kind))
}

/// The names of numbers that are not finite.
pub(super) fn special(name: &str, negative: bool, kind: Kind) -> Option<u64> {
    let is = |word: &str| name.eq_ignore_ascii_case(word);
    let value = match () {
        () if is("inf") || is("infinity") => f64::INFINITY,
        () if is("nan") => f64::NAN,
        () => return None,
    };
    Some(bits(value, negative, kind))
}

/// As protoc does, single precision comes by way of double.
fn bits(value: f64, negative: bool, kind: Kind) -> u64 {
    let value = if negative { -value } else { value };
    match kind {
        Kind::Float if value.is_nan() => u64::from(f32::NAN.to_bits() | u32::from(negative) << 31),
        Kind::Float => u64::from((value as f32).to_bits()),
        _ => value.to_bits(),
    }
}

pub(super) fn boolean(name: &str) -> Option<u64> {
    match name {
        "true" | "True" | "t" => Some(1),
        "false" | "False" | "f" => Some(0),
        _ => None,
    }
}
