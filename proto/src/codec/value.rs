//! One value read off the wire, easy to compare with a literal.

use std::borrow::Cow;
use std::cmp::Ordering;

/// A value a [`FieldPath`](crate::FieldPath) leads to.
///
/// Compare it with a literal through `==` and [`PartialOrd`] (`value == 3_i64`, `value > 0.5`,
/// `value == "x"`). Numbers compare by value across their types; values of different kinds are
/// unequal and have no order. An enum equals both its name and its number.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Value<'b> {
    /// Nothing is there: an index past the end, a key the map lacks, a message that is not set.
    Absent,
    /// A `bool`.
    Bool(bool),
    /// Any signed integer type.
    I64(i64),
    /// Any unsigned integer type.
    U64(u64),
    /// A `float`.
    F32(f32),
    /// A `double`.
    F64(f64),
    /// A `string`.
    Str(&'b str),
    /// `bytes`, or a proto2 `string` that is not UTF-8.
    Bytes(&'b [u8]),
    /// An enum.
    Enum {
        /// Its number.
        number: i32,
        /// Its first declared name; `None` for a number without one.
        name: Option<&'b str>,
    },
    /// A message or group, still encoded. Borrowed unless the sender split it into parts.
    Message(Cow<'b, [u8]>),
    /// A repeated field as a whole.
    List {
        /// Its elements.
        len: u64,
    },
    /// A map as a whole.
    Map {
        /// Its distinct keys.
        len: u64,
    },
}

impl<'b> Value<'b> {
    /// Whether this is [`Value::Absent`].
    pub fn is_absent(&self) -> bool {
        matches!(self, Value::Absent)
    }

    /// The integer, when it is one that fits; an enum gives its number.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::I64(value) => Some(*value),
            Value::U64(value) => i64::try_from(*value).ok(),
            Value::Enum { number, .. } => Some(i64::from(*number)),
            _ => None,
        }
    }

    /// The integer, when it is one that fits.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::I64(value) => u64::try_from(*value).ok(),
            Value::U64(value) => Some(*value),
            _ => None,
        }
    }

    /// The number as a double; large integers are rounded.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::I64(value) => Some(*value as f64),
            Value::U64(value) => Some(*value as f64),
            Value::F32(value) => Some(f64::from(*value)),
            Value::F64(value) => Some(*value),
            Value::Enum { number, .. } => Some(f64::from(*number)),
            _ => None,
        }
    }

    /// The text of a string, or the name of an enum.
    pub fn as_str(&self) -> Option<&'b str> {
        match self {
            Value::Str(text) => Some(text),
            Value::Enum { name, .. } => *name,
            _ => None,
        }
    }

    /// The truth value of a `bool`.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number of bytes, elements, keys or (for a string) characters; what CEL's `size` gives.
    pub fn size(&self) -> Option<u64> {
        match self {
            Value::Str(text) => Some(text.chars().count() as u64),
            Value::Bytes(bytes) => Some(bytes.len() as u64),
            Value::List { len } | Value::Map { len } => Some(*len),
            _ => None,
        }
    }

    /// This number as one exact value of the widest kind, to compare across types.
    fn number(&self) -> Option<Number> {
        match self {
            Value::I64(value) => Some(Number::Int(i128::from(*value))),
            Value::U64(value) => Some(Number::Int(i128::from(*value))),
            Value::Enum { number, .. } => Some(Number::Int(i128::from(*number))),
            Value::F32(value) => Some(Number::Float(f64::from(*value))),
            Value::F64(value) => Some(Number::Float(*value)),
            _ => None,
        }
    }
}

#[derive(Clone, Copy)]
enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    /// Exact order of any two numbers; `None` with NaN.
    fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => Some(a.cmp(&b)),
            (Number::Float(a), Number::Float(b)) => a.partial_cmp(&b),
            (Number::Int(a), Number::Float(b)) => compare_int(a, b),
            (Number::Float(a), Number::Int(b)) => compare_int(b, a).map(Ordering::reverse),
        }
    }
}

/// Orders an integer of 65 bits and a double without rounding the integer.
fn compare_int(a: i128, b: f64) -> Option<Ordering> {
    if b.is_nan() {
        return None;
    }
    // The cast saturates, far outside what `a` can be; the fraction decides between equals.
    Some(
        a.cmp(&(b.floor() as i128))
            .then_with(|| 0.0_f64.total_cmp(&(b - b.floor()))),
    )
}

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Value<'_>) -> bool {
        if let (Some(a), Some(b)) = (self.number(), other.number()) {
            return a.compare(b) == Some(Ordering::Equal);
        }
        match (self, other) {
            (Value::Absent, Value::Absent) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Bytes(a), Value::Bytes(b)) => a == b,
            (Value::Message(a), Value::Message(b)) => a == b,
            (Value::List { len: a }, Value::List { len: b }) => a == b,
            (Value::Map { len: a }, Value::Map { len: b }) => a == b,
            (a, b) => matches!((a.as_str(), b.as_str()), (Some(a), Some(b)) if a == b),
        }
    }
}

impl PartialOrd for Value<'_> {
    fn partial_cmp(&self, other: &Value<'_>) -> Option<Ordering> {
        if let (Some(a), Some(b)) = (self.number(), other.number()) {
            return a.compare(b);
        }
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
            (a, b) => Some(a.as_str()?.cmp(b.as_str()?)),
        }
    }
}

macro_rules! compares_with {
    ($($literal:ty: $other:ident => $value:expr),* $(,)?) => {$(
        impl PartialEq<$literal> for Value<'_> {
            fn eq(&self, $other: &$literal) -> bool {
                *self == $value
            }
        }

        impl PartialOrd<$literal> for Value<'_> {
            fn partial_cmp(&self, $other: &$literal) -> Option<Ordering> {
                self.partial_cmp(&$value)
            }
        }
    )*};
}

compares_with! {
    bool: other => Value::Bool(*other),
    i32: other => Value::I64(i64::from(*other)),
    i64: other => Value::I64(*other),
    u64: other => Value::U64(*other),
    f64: other => Value::F64(*other),
    str: other => Value::Str(other),
    &str: other => Value::Str(other),
    String: other => Value::Str(other),
    [u8]: other => Value::Bytes(other),
    &[u8]: other => Value::Bytes(other),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_across_types() {
        #[track_caller]
        fn check(a: Value<'_>, b: Value<'_>, expected: Option<Ordering>) {
            assert_eq!(a.partial_cmp(&b), expected);
            assert_eq!(a == b, expected == Some(Ordering::Equal));
            assert_eq!(b.partial_cmp(&a), expected.map(Ordering::reverse));
        }
        use Ordering::{Equal, Greater, Less};
        check(Value::I64(-1), Value::U64(u64::MAX), Some(Less));
        check(
            Value::U64(u64::MAX),
            Value::F64(18_446_744_073_709_551_616.0),
            Some(Less),
        );
        check(
            Value::I64(i64::MAX),
            Value::F64(9_223_372_036_854_775_808.0),
            Some(Less),
        );
        check(Value::I64(-2), Value::F64(-1.5), Some(Less));
        check(Value::I64(-1), Value::F64(-1.5), Some(Greater));
        check(Value::I64(3), Value::F32(3.0), Some(Equal));
        check(Value::I64(0), Value::F64(-0.0), Some(Equal));
        check(Value::I64(0), Value::F64(f64::NAN), None);
        check(Value::I64(0), Value::F64(f64::INFINITY), Some(Less));
        check(
            Value::Enum {
                number: 2,
                name: Some("RED"),
            },
            Value::Str("RED"),
            Some(Equal),
        );
        check(
            Value::Enum {
                number: 2,
                name: None,
            },
            Value::I64(2),
            Some(Equal),
        );
        check(Value::Bool(true), Value::I64(1), None);
        assert!(Value::Str("x") == "x" && Value::I64(4) > 3 && Value::Bool(true) == true);
        assert!(Value::Absent != 0 && Value::Absent.partial_cmp(&0).is_none());
    }
}
