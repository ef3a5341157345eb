//! Which records are wanted, in CEL (the Common Expression Language): `status >= 500 &&
//! path.startsWith("/api")`.

use std::fmt;
use std::sync::Arc;

use cel::{Context, Env, Program, Value};
use isukit_proto::nearest;
use thiserror::Error;

use super::fold::has_failed;
use super::group::verb_name;
use super::{Batch, NO_TIME, Span, UNKNOWN_AT, timestamp};
use crate::slow::Flags;
use crate::{access, slow};

/// A filter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FilterError {
    /// Not CEL.
    #[error("`{expression}` is not a CEL expression: {cause}")]
    Syntax {
        /// The filter.
        expression: String,
        /// What the parser says.
        cause: String,
    },
    /// It names something that records do not have.
    #[error("in `{expression}`: there is no `{name}`{hint}; names are {} (at is text, as in 2026-11-20T10:00:00Z; time, upstream and lock are seconds)", NAMES.join(", "))]
    Name {
        /// The filter.
        expression: String,
        /// The name.
        name: String,
        /// The nearest name, as a question.
        hint: String,
    },
    /// It gives no truth value for any record.
    #[error("`{expression}` does not give true or false")]
    NotBool {
        /// The filter.
        expression: String,
    },
}

/// Longer filters are refused: nesting costs stack, and nobody writes so much by hand.
const LONGEST: usize = 2_000;

/// What a filter may name. Those of the other kind of log are null.
const NAMES: [&str; 26] = [
    "at",
    "bytes",
    "cache",
    "client",
    "connection",
    "db",
    "error",
    "failed",
    "full_scan",
    "host",
    "lock",
    "method",
    "path",
    "query",
    "received",
    "request_id",
    "rows_affected",
    "rows_examined",
    "rows_sent",
    "status",
    "time",
    "tmp_table",
    "ua",
    "upstream",
    "user",
    "verb",
];

/// A condition on records.
pub struct Filter {
    expression: String,
    program: Program,
    env: Arc<Env>,
    /// Those of [`NAMES`] that it uses.
    names: Vec<&'static str>,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.expression).finish()
    }
}

impl Filter {
    /// Read a filter.
    ///
    /// # Errors
    /// [`FilterError`] for what can be known before the first record.
    pub fn new(expression: &str) -> Result<Self, FilterError> {
        let syntax = |cause: String| FilterError::Syntax {
            expression: expression.to_owned(),
            cause,
        };
        if expression.len() > LONGEST {
            return Err(syntax(format!("it is longer than {LONGEST} bytes")));
        }
        let program = Program::compile(expression).map_err(|error| syntax(error.to_string()))?;
        let mut names = Vec::new();
        for used in program.references().variables() {
            let Some(name) = NAMES.iter().find(|name| **name == used) else {
                let near = nearest(used, NAMES.into_iter());
                return Err(FilterError::Name {
                    expression: expression.to_owned(),
                    name: used.to_owned(),
                    hint: near.map_or_else(String::new, |near| format!(", did you mean {near}?")),
                });
            };
            names.push(*name);
        }
        let filter = Self {
            expression: expression.to_owned(),
            program,
            env: Arc::new(Env::stdlib()),
            names,
        };
        // A name alone may be true or false; a sum may not.
        match filter.evaluate(|_| Value::Null) {
            Ok(Value::Bool(_) | Value::Null) | Err(_) => Ok(filter),
            Ok(_) => Err(FilterError::NotBool {
                expression: expression.to_owned(),
            }),
        }
    }

    fn evaluate(&self, value: impl Fn(&str) -> Value) -> Result<Value, cel::ExecutionError> {
        let mut context = Context::with_env(Arc::clone(&self.env));
        for name in &self.names {
            context.add_variable_from_value(*name, value(name));
        }
        self.program.execute(&context)
    }

    /// Whether it holds, or why that cannot be said.
    fn holds(&self, value: impl Fn(&str) -> Value) -> Result<bool, String> {
        match self.evaluate(value) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => Err(format!("it gives {:?}, not true or false", other.type_of())),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Whether a statement is wanted that ran in `database`.
    ///
    /// # Errors
    /// Why that cannot be said: something is compared that this record does not have.
    pub fn wants_statement(
        &self,
        block: &[u8],
        batch: &Batch<slow::Record>,
        record: &slow::Record,
        at_us: i64,
        database: Option<&str>,
    ) -> Result<bool, String> {
        let text = |span: Span| text_value(span.of(block, &batch.side));
        self.holds(|name| match name {
            "at" => at_value(at_us),
            "bytes" => count(record.bytes_sent),
            "connection" => count(record.connection),
            "db" => database.map_or(Value::Null, Value::from),
            "error" | "failed" => Value::Bool(record.flags.has(Flags::FAILED)),
            "full_scan" => Value::Bool(record.flags.has(Flags::FULL_SCAN)),
            "host" | "client" => text(record.host),
            "lock" => seconds(record.lock_ns),
            "query" => text(record.statement),
            "request_id" => text(record.request_id),
            "rows_affected" => count(record.rows_affected),
            "rows_examined" => count(record.rows_examined),
            "rows_sent" => count(record.rows_sent),
            "time" => seconds(record.query_ns),
            "tmp_table" => Value::Bool(record.flags.has(Flags::TMP_TABLE)),
            "user" => text(record.user),
            "verb" => Value::from(verb_name(record.verb)),
            _ => Value::Null,
        })
    }

    /// Whether a request is wanted.
    ///
    /// # Errors
    /// Why that cannot be said: something is compared that this record does not have.
    pub fn wants_request(
        &self,
        block: &[u8],
        batch: &Batch<access::Record>,
        record: &access::Record,
        at_us: i64,
    ) -> Result<bool, String> {
        let text = |span: Span| text_value(span.of(block, &batch.side));
        self.holds(|name| match name {
            "at" => at_value(at_us),
            "bytes" => count(record.sent_bytes),
            "cache" => Value::from(record.cache.name()),
            "client" | "host" => text(record.client),
            "error" => text(record.error),
            "failed" => Value::Bool(has_failed(record)),
            "method" => text(record.method),
            "path" => text(record.path),
            "query" => text(record.query),
            "received" => count(record.received_bytes),
            "request_id" => text(record.request_id),
            "status" => Value::Int(i64::from(record.status)),
            "time" => seconds(record.time_ns),
            "ua" => text(record.agent),
            "upstream" => seconds(record.upstream_ns),
            _ => Value::Null,
        })
    }
}

fn text_value(text: &[u8]) -> Value {
    Value::from(&*String::from_utf8_lossy(text))
}

fn count(value: u64) -> Value {
    Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

fn seconds(ns: u64) -> Value {
    match ns {
        NO_TIME => Value::Null,
        ns => Value::Float(ns as f64 / 1e9),
    }
}

/// Times of day compare as texts: ISO 8601 in UTC.
fn at_value(at_us: i64) -> Value {
    match at_us {
        UNKNOWN_AT => Value::Null,
        at_us => Value::from(&*timestamp(at_us)),
    }
}

#[cfg(test)]
mod tests {
    // Failing here is failing a test.
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn request() -> (Vec<u8>, access::Record) {
        let line = b"GET /api/teams/7 curl".to_vec();
        let record = access::Record {
            method: Span::new(0, 3),
            path: Span::new(4, 16),
            agent: Span::new(17, 21),
            line: Span::new(0, 21),
            status: 503,
            time_ns: 1_500_000_000,
            ..access::Record::default()
        };
        (line, record)
    }

    #[test]
    fn requests_are_chosen() {
        let (line, record) = request();
        let check = |expression: &str, wanted: bool| {
            let filter = Filter::new(expression).unwrap();
            let batch = Batch::default();
            let seen = filter.wants_request(&line, &batch, &record, 0);
            assert_eq!(seen.unwrap_or(false), wanted, "{expression}");
        };
        check("status >= 500 && path.startsWith(\"/api\")", true);
        check("status < 500", false);
        check("time > 1", true);
        check("time > 1.5", false);
        check("ua.contains('curl') || method == 'POST'", true);
        check("path.matches('^/api/teams/[0-9]+$')", true);
        check("failed", true);
        check("at < '1971'", true);
        // Nothing is known of these.
        check("upstream > 0.1", false);
        check("rows_examined > 5", false);
        check("db == null", true);
    }

    #[test]
    fn what_cannot_be_judged_says_why() {
        let (line, record) = request();
        for expression in [
            "time > 'x'",
            "status / 0 > 1",
            "rows_examined > 5",
            "status",
        ] {
            let filter = Filter::new(expression).unwrap();
            let seen = filter.wants_request(&line, &Batch::default(), &record, 0);
            assert!(seen.is_err(), "{expression}: {seen:?}");
        }
    }

    #[test]
    fn bad_filters_are_told_before_the_first_record() {
        let check = |expression: &str, part: &str| {
            let error = Filter::new(expression).unwrap_err().to_string();
            assert!(error.contains(part), "{expression}: {error}");
        };
        check("statu >= 500", "did you mean status?");
        check("status >=", "is not a CEL expression");
        check("1 + 1", "does not give true or false");
        check(&"!".repeat(5_000), "longer than");
    }
}
