//! Conditions on a reply, written in CEL (the Common Expression Language).
//!
//! Names are fields of the reply: `team.members[0].id > 3 && size(team.members) == 2`. `reply` is
//! the whole reply, `http` what HTTP says of it: `http.status`, `http.body_bytes`. Conditions made
//! of paths, literals, comparisons, `size()`, `has()`, `&&`, `||` and `!` are compiled to walks
//! over the wire bytes; the rest (macros, arithmetic, functions) is handed to the `cel` crate with
//! the reply as a tree, which costs microseconds.

mod compile;
mod interpret;

use isukit_proto::Message;
use thiserror::Error;

use compile::Node;

/// A condition that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CheckError {
    /// Not CEL.
    #[error("`{expression}` is not a CEL expression: {cause}")]
    Syntax {
        /// The condition.
        expression: String,
        /// What the parser says.
        cause: String,
    },
    /// It names a field that the reply does not have.
    #[error("in `{expression}`: {cause}")]
    Field {
        /// The condition.
        expression: String,
        /// What is wrong, with the nearest name.
        cause: String,
    },
    /// It compares what cannot be equal.
    #[error("in `{expression}`: {left} is {left_type} and {right} is {right_type}")]
    Types {
        /// The condition.
        expression: String,
        /// One side.
        left: String,
        /// Its type.
        left_type: &'static str,
        /// The other side.
        right: String,
        /// Its type.
        right_type: &'static str,
    },
}

/// Longer conditions are refused: nesting costs stack, and nobody writes so much by hand.
const MAX_BYTES: usize = 1_000;

/// What a condition looks at.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Status code.
    pub status: u16,
    /// Size of the body on the wire in bytes.
    pub body_bytes: u64,
    /// The body, decompressed.
    pub body: &'a [u8],
}

/// A condition ready to be evaluated.
#[derive(Debug)]
pub struct Check {
    expression: String,
    node: Node,
}

impl Check {
    /// Read a condition on replies of type `message`, or on JSON replies when there is none.
    ///
    /// # Errors
    /// [`CheckError`] for what can be known before the first reply.
    pub fn new(expression: &str, message: Option<&Message>) -> Result<Self, CheckError> {
        let syntax = |cause: String| CheckError::Syntax {
            expression: expression.chars().take(200).collect(),
            cause,
        };
        if expression.len() > MAX_BYTES {
            return Err(syntax(format!("it is longer than {MAX_BYTES} bytes")));
        }
        let program = cel::Program::compile(expression)
            .map_err(|error| syntax(error.to_string().trim().replace('\n', " ")))?;
        let node = compile::compile(expression, program.expression(), message)?;
        Ok(Self {
            expression: expression.to_owned(),
            node,
        })
    }

    /// The condition as written.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// Whether it is evaluated without building the reply's tree.
    pub fn is_compiled(&self) -> bool {
        self.node.is_compiled()
    }

    /// Evaluate it.
    ///
    /// # Errors
    /// For people: why it could not be evaluated.
    #[inline]
    pub fn holds(&self, subject: &Subject<'_>) -> Result<bool, String> {
        self.node.holds(subject)
    }

    /// What its sides were, for a message about a condition that does not hold.
    pub fn explain(&self, subject: &Subject<'_>) -> String {
        let mut sides = Vec::new();
        self.node.explain(subject, &mut sides);
        sides.join(", ")
    }
}

#[cfg(test)]
mod tests;
