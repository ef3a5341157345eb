//! Conditions compiled to walks over the wire bytes.

use cel::common::ast::operators as op;
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};
use isukit_proto::{FieldKind, FieldPath, Message, Segment, Value};

use super::interpret::Interpreted;
use super::{CheckError, Subject};

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug)]
pub(super) enum Operand {
    Field(FieldPath),
    Size(FieldPath),
    Status,
    BodyBytes,
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Bool(bool),
    Null,
}

/// A compiled condition.
#[derive(Debug)]
pub(super) enum Node {
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Compare {
        left: Operand,
        comparison: Comparison,
        right: Operand,
    },
    Truth(Operand),
    Has(FieldPath),
    /// A part that needs the whole language.
    Interpreted(Interpreted),
}

/// What an operand is, as far as comparing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Number,
    Text,
    Bytes,
    Bool,
    /// Comparable with its name and its number.
    Enum,
    Null,
    /// A message, list or map.
    Compound,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Text => "a string",
            Self::Bytes => "bytes",
            Self::Bool => "a bool",
            Self::Enum => "an enum",
            Self::Null => "null",
            Self::Compound => "a message, list or map",
        }
    }

    fn can_equal(self, other: Self) -> bool {
        self == other
            || matches!(self, Self::Null)
            || matches!(other, Self::Null)
            || matches!(
                (self, other),
                (Self::Enum, Self::Number | Self::Text) | (Self::Number | Self::Text, Self::Enum)
            )
    }
}

/// Compile `expr`, leaving what needs the whole language to the interpreter, clause by clause: so
/// a clause means the same whatever stands beside it.
pub(super) fn compile(
    expression: &str,
    expr: &IdedExpr,
    message: Option<&Message>,
) -> Result<Node, CheckError> {
    Compiler {
        expression,
        message,
    }
    .whole(expr)
}

struct Compiler<'c> {
    expression: &'c str,
    message: Option<&'c Message>,
}

impl Compiler<'_> {
    fn whole(&self, expr: &IdedExpr) -> Result<Node, CheckError> {
        match self.node(&expr.expr)? {
            Some(node) => Ok(node),
            None => Interpreted::new(self.expression, expr, self.message).map(Node::Interpreted),
        }
    }

    fn node(&self, expr: &Expr) -> Result<Option<Node>, CheckError> {
        if let Expr::Call(call) = expr
            && call.target.is_none()
        {
            let comparison = match (call.func_name.as_str(), call.args.len()) {
                (op::LOGICAL_AND, 2) => return self.both(call, Node::And),
                (op::LOGICAL_OR, 2) => return self.both(call, Node::Or),
                (op::LOGICAL_NOT, 1) => {
                    let inner = self.whole(&call.args[0])?;
                    return Ok(Some(Node::Not(Box::new(inner))));
                }
                (op::EQUALS, 2) => Some(Comparison::Equal),
                (op::NOT_EQUALS, 2) => Some(Comparison::NotEqual),
                (op::LESS, 2) => Some(Comparison::Less),
                (op::LESS_EQUALS, 2) => Some(Comparison::LessOrEqual),
                (op::GREATER, 2) => Some(Comparison::Greater),
                (op::GREATER_EQUALS, 2) => Some(Comparison::GreaterOrEqual),
                _ => None,
            };
            if let Some(comparison) = comparison {
                return self.compare(call, comparison);
            }
        }
        if let Expr::Select(select) = expr
            && select.test
        {
            let Some(mut segments) = segments(&select.operand.expr) else {
                return Ok(None);
            };
            segments.push(Segment::Field(select.field.clone()));
            return Ok(self.field(segments)?.map(Node::Has));
        }
        match self.operand(expr)? {
            Some(operand) if operand.kind() == Type::Bool => Ok(Some(Node::Truth(operand))),
            _ => Ok(None),
        }
    }

    fn both(
        &self,
        call: &CallExpr,
        join: fn(Box<Node>, Box<Node>) -> Node,
    ) -> Result<Option<Node>, CheckError> {
        let left = self.whole(&call.args[0])?;
        let right = self.whole(&call.args[1])?;
        Ok(Some(join(Box::new(left), Box::new(right))))
    }

    fn compare(&self, call: &CallExpr, comparison: Comparison) -> Result<Option<Node>, CheckError> {
        let left = self.operand(&call.args[0].expr)?;
        let right = self.operand(&call.args[1].expr)?;
        let Some((left, right)) = left.zip(right) else {
            return Ok(None);
        };
        let (left_type, right_type) = (left.kind(), right.kind());
        let only_equality = [left_type, right_type].contains(&Type::Null)
            && !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        if !left_type.can_equal(right_type) || only_equality {
            return Err(CheckError::Types {
                expression: self.expression.to_owned(),
                left: left.name(),
                left_type: left_type.name(),
                right: right.name(),
                right_type: right_type.name(),
            });
        }
        if left_type == Type::Compound && right_type == Type::Compound {
            return Ok(None);
        }
        Ok(Some(Node::Compare {
            left,
            comparison,
            right,
        }))
    }

    fn operand(&self, expr: &Expr) -> Result<Option<Operand>, CheckError> {
        let operand = match expr {
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(value) => Operand::Bool(*value.inner()),
                LiteralValue::Bytes(value) => Operand::Bytes(value.inner().to_vec()),
                LiteralValue::Double(value) => Operand::Float(*value.inner()),
                LiteralValue::Int(value) => Operand::Int(*value.inner()),
                LiteralValue::Null => Operand::Null,
                LiteralValue::String(value) => Operand::Text(value.inner().to_owned()),
                LiteralValue::UInt(value) => Operand::UInt(*value.inner()),
            },
            Expr::Call(call)
                if call.func_name == op::NEGATE
                    && call.target.is_none()
                    && call.args.len() == 1 =>
            {
                return Ok(match self.operand(&call.args[0].expr)? {
                    Some(Operand::Int(value)) => value.checked_neg().map(Operand::Int),
                    Some(Operand::Float(value)) => Some(Operand::Float(-value)),
                    _ => None,
                });
            }
            Expr::Call(call) if call.func_name == "size" => {
                let of = match (&call.target, call.args.as_slice()) {
                    (None, [arg]) => arg,
                    (Some(target), []) => target,
                    _ => return Ok(None),
                };
                let Some(segments) = segments(&of.expr) else {
                    return Ok(None);
                };
                return Ok(self.field(segments)?.map(Operand::Size));
            }
            _ => {
                let Some(segments) = segments(expr) else {
                    return Ok(None);
                };
                if let Some(operand) = http_operand(&segments) {
                    return Ok(Some(operand));
                }
                return Ok(self.field(segments)?.map(Operand::Field));
            }
        };
        Ok(Some(operand))
    }

    /// The path with these segments; `None` when there is no schema to look in.
    fn field(&self, mut segments: Vec<Segment>) -> Result<Option<FieldPath>, CheckError> {
        let Some(message) = self.message else {
            return Ok(None);
        };
        if segments.first().is_some_and(is_reply) {
            segments.remove(0);
        }
        if segments.is_empty() {
            return Ok(None);
        }
        message
            .path_of(&segments)
            .map(Some)
            .map_err(|error| CheckError::Field {
                expression: self.expression.to_owned(),
                cause: error.to_string(),
            })
    }
}

fn is_reply(segment: &Segment) -> bool {
    matches!(segment, Segment::Field(name) if name == "reply")
}

fn http_operand(segments: &[Segment]) -> Option<Operand> {
    match segments {
        [Segment::Field(http), Segment::Field(name)] if http == "http" => match name.as_str() {
            "status" => Some(Operand::Status),
            "body_bytes" => Some(Operand::BodyBytes),
            _ => None,
        },
        _ => None,
    }
}

/// `a.b[0]["c"]` as segments; `None` for anything else.
fn segments(expr: &Expr) -> Option<Vec<Segment>> {
    match expr {
        Expr::Ident(name) => Some(vec![Segment::Field(name.clone())]),
        Expr::Select(select) if !select.test => {
            let mut path = segments(&select.operand.expr)?;
            path.push(Segment::Field(select.field.clone()));
            Some(path)
        }
        Expr::Call(call) if call.func_name == op::INDEX && call.args.len() == 2 => {
            let mut path = segments(&call.args[0].expr)?;
            path.push(match &call.args[1].expr {
                Expr::Literal(LiteralValue::Int(index)) => Segment::Index(*index.inner()),
                Expr::Literal(LiteralValue::String(key)) => Segment::Key(key.inner().to_owned()),
                _ => return None,
            });
            Some(path)
        }
        _ => None,
    }
}

impl Operand {
    fn kind(&self) -> Type {
        match self {
            Self::Field(path) => match path.kind() {
                FieldKind::Bool => Type::Bool,
                FieldKind::String => Type::Text,
                FieldKind::Bytes => Type::Bytes,
                FieldKind::Enum(_) => Type::Enum,
                FieldKind::Message(_) | FieldKind::List(_) | FieldKind::Map(..) => Type::Compound,
                _ => Type::Number,
            },
            Self::Size(_) | Self::Status | Self::BodyBytes => Type::Number,
            Self::Int(_) | Self::UInt(_) | Self::Float(_) => Type::Number,
            Self::Text(_) => Type::Text,
            Self::Bytes(_) => Type::Bytes,
            Self::Bool(_) => Type::Bool,
            Self::Null => Type::Null,
        }
    }

    /// As it may be written in a condition.
    fn name(&self) -> String {
        match self {
            Self::Field(path) => path.as_str().to_owned(),
            Self::Size(path) => format!("size({})", path.as_str()),
            Self::Status => "http.status".to_owned(),
            Self::BodyBytes => "http.body_bytes".to_owned(),
            Self::Int(value) => value.to_string(),
            Self::UInt(value) => format!("{value}u"),
            Self::Float(value) => value.to_string(),
            Self::Text(value) => format!("{value:?}"),
            Self::Bytes(value) => format!("b\"{}\"", value.escape_ascii()),
            Self::Bool(value) => value.to_string(),
            Self::Null => "null".to_owned(),
        }
    }

    #[inline]
    fn value<'v>(&'v self, subject: &Subject<'v>) -> Result<Value<'v>, String> {
        Ok(match self {
            Self::Field(path) => path.get(subject.body).map_err(|error| error.to_string())?,
            Self::Size(path) => {
                let value = path.get(subject.body).map_err(|error| error.to_string())?;
                Value::U64(value.size().unwrap_or(0))
            }
            Self::Status => Value::U64(u64::from(subject.status)),
            Self::BodyBytes => Value::U64(subject.body_bytes),
            Self::Int(value) => Value::I64(*value),
            Self::UInt(value) => Value::U64(*value),
            Self::Float(value) => Value::F64(*value),
            Self::Text(value) => Value::Str(value),
            Self::Bytes(value) => Value::Bytes(value),
            Self::Bool(value) => Value::Bool(*value),
            Self::Null => Value::Absent,
        })
    }
}

impl Node {
    #[inline]
    pub(super) fn holds(&self, subject: &Subject<'_>) -> Result<bool, String> {
        Ok(match self {
            Self::And(left, right) => left.holds(subject)? && right.holds(subject)?,
            Self::Or(left, right) => left.holds(subject)? || right.holds(subject)?,
            Self::Not(inner) => !inner.holds(subject)?,
            Self::Compare {
                left,
                comparison,
                right,
            } => {
                let (a, b) = (left.value(subject)?, right.value(subject)?);
                // An element that is not there equals nothing, and differs from nothing either.
                for (operand, value, other) in [(left, &a, right), (right, &b, left)] {
                    let asked = matches!(operand, Operand::Null) || matches!(other, Operand::Null);
                    if value.is_absent() && !asked {
                        return Err(format!("{} is absent", operand.name()));
                    }
                }
                let (left, right) = (a, b);
                match comparison {
                    Comparison::Equal => left == right,
                    Comparison::NotEqual => left != right,
                    Comparison::Less => left < right,
                    Comparison::LessOrEqual => left <= right,
                    Comparison::Greater => left > right,
                    Comparison::GreaterOrEqual => left >= right,
                }
            }
            Self::Truth(operand) => operand
                .value(subject)?
                .as_bool()
                .ok_or_else(|| format!("{} is absent", operand.name()))?,
            Self::Interpreted(interpreted) => interpreted.holds(subject)?,
            Self::Has(path) => path.has(subject.body).map_err(|error| error.to_string())?,
        })
    }

    /// Whether no part of it needs the interpreter.
    pub(super) fn is_compiled(&self) -> bool {
        match self {
            Self::And(left, right) | Self::Or(left, right) => {
                left.is_compiled() && right.is_compiled()
            }
            Self::Not(inner) => inner.is_compiled(),
            Self::Interpreted(_) => false,
            Self::Compare { .. } | Self::Truth(_) | Self::Has(_) => true,
        }
    }

    /// Collect `name is value` for every field looked at.
    pub(super) fn explain(&self, subject: &Subject<'_>, sides: &mut Vec<String>) {
        match self {
            Self::And(left, right) | Self::Or(left, right) => {
                left.explain(subject, sides);
                right.explain(subject, sides);
            }
            Self::Not(inner) => inner.explain(subject, sides),
            Self::Compare { left, right, .. } => {
                for operand in [left, right] {
                    operand.explain(subject, sides);
                }
            }
            Self::Truth(operand) => operand.explain(subject, sides),
            Self::Interpreted(_) => {}
            Self::Has(path) => {
                let is = match path.has(subject.body) {
                    Ok(true) => "is set",
                    _ => "is not set",
                };
                sides.push(format!("{} {is}", path.as_str()));
            }
        }
    }
}

impl Operand {
    fn explain(&self, subject: &Subject<'_>, sides: &mut Vec<String>) {
        if !matches!(
            self,
            Self::Field(_) | Self::Size(_) | Self::Status | Self::BodyBytes
        ) {
            return;
        }
        let shown = match self.value(subject) {
            Ok(Value::Absent) => "absent".to_owned(),
            Ok(Value::Bool(value)) => value.to_string(),
            Ok(Value::I64(value)) => value.to_string(),
            Ok(Value::U64(value)) => value.to_string(),
            Ok(Value::F32(value)) => value.to_string(),
            Ok(Value::F64(value)) => value.to_string(),
            Ok(Value::Str(value)) => format!("{value:?}"),
            Ok(Value::Enum {
                name: Some(name), ..
            }) => name.to_owned(),
            Ok(Value::Enum { number, .. }) => number.to_string(),
            Ok(Value::Bytes(value)) => format!("{} bytes", value.len()),
            Ok(Value::List { len } | Value::Map { len }) => format!("{len} elements"),
            Ok(_) => "a message".to_owned(),
            Err(error) => error,
        };
        sides.push(format!("{} is {shown}", self.name()));
    }
}
