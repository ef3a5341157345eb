//! Conditions that need the whole language: handed to the `cel` crate with the reply as a tree.

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Context, ExecutionError, Value};
use isukit_analyze::condition::json_value;
use isukit_proto::{JsonOptions, Message};

use super::{CheckError, Subject};

/// A condition for the interpreter.
#[derive(Debug)]
pub(super) struct Interpreted {
    expr: IdedExpr,
    message: Option<Message>,
}

/// A reply in which every field has its default.
const EMPTY: Subject<'static> = Subject {
    status: 200,
    body_bytes: 0,
    body: &[],
};

/// Names that are not fields of the reply.
const OWN_NAMES: [&str; 2] = ["reply", "http"];

impl Interpreted {
    pub(super) fn new(
        expression: &str,
        expr: &IdedExpr,
        message: Option<&Message>,
    ) -> Result<Self, CheckError> {
        if let Some(message) = message {
            let mut names = Vec::new();
            free_names(&expr.expr, &mut Vec::new(), &mut names);
            for name in names {
                if OWN_NAMES.contains(&name) {
                    continue;
                }
                message.path(name).map_err(|error| CheckError::Field {
                    expression: expression.to_owned(),
                    cause: error.to_string(),
                })?;
            }
        }
        let interpreted = Self {
            expr: expr.clone(),
            message: message.cloned(),
        };
        // What no reply can make right is told before the first one: the empty message has every
        // field, so a name or a function that is unknown there is unknown everywhere.
        if message.is_some()
            && let Err(ExecutionError::UndeclaredReference(name)) =
                interpreted.run(&EMPTY).unwrap_or(Ok(Value::Null))
        {
            return Err(CheckError::Field {
                expression: expression.to_owned(),
                cause: format!(
                    "there is no `{name}`; CEL's types and time functions are not known"
                ),
            });
        }
        Ok(interpreted)
    }

    pub(super) fn holds(&self, subject: &Subject<'_>) -> Result<bool, String> {
        match self.run(subject)? {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => Err(format!("it gives {:?}, not true or false", other.type_of())),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The expression's value; the outer error is a reply that makes no tree.
    fn run(&self, subject: &Subject<'_>) -> Result<Result<Value, ExecutionError>, String> {
        let tree = self.tree(subject)?;
        let mut context = Context::default();
        if let serde_json::Value::Object(fields) = &tree {
            for (name, value) in fields {
                context.add_variable_from_value(name.as_str(), json_value(value));
            }
        }
        let http = serde_json::json!({
            "status": subject.status,
            "body_bytes": subject.body_bytes,
        });
        context.add_variable_from_value("http", json_value(&http));
        context.add_variable_from_value("reply", json_value(&tree));
        Ok(Value::resolve(&self.expr, &context))
    }

    fn tree(&self, subject: &Subject<'_>) -> Result<serde_json::Value, String> {
        let Some(message) = &self.message else {
            return serde_json::from_slice(subject.body)
                .map_err(|error| format!("the body is not JSON: {error}"));
        };
        let mut json = Vec::new();
        // Every field has a value, under the name it has in the .proto, and numbers are numbers.
        let options = JsonOptions::new()
            .defaults(true)
            .proto_names(true)
            .plain_integers(true);
        message
            .to_json(subject.body, &options, &mut json)
            .map_err(|error| error.to_string())?;
        serde_json::from_slice(&json).map_err(|error| error.to_string())
    }
}

/// Collect the names that `expr` takes from outside: not the variables its macros bind.
fn free_names<'e>(expr: &'e Expr, bound: &mut Vec<&'e str>, names: &mut Vec<&'e str>) {
    match expr {
        Expr::Ident(name) => {
            if !bound.contains(&name.as_str()) {
                names.push(name);
            }
        }
        Expr::Call(call) => {
            for part in call.target.iter().map(|target| &**target).chain(&call.args) {
                free_names(&part.expr, bound, names);
            }
        }
        Expr::Comprehension(macro_) => {
            free_names(&macro_.iter_range.expr, bound, names);
            free_names(&macro_.accu_init.expr, bound, names);
            let outer = bound.len();
            bound.push(&macro_.iter_var);
            bound.extend(macro_.iter_var2.as_deref());
            bound.push(&macro_.accu_var);
            for part in [&macro_.loop_cond, &macro_.loop_step, &macro_.result] {
                free_names(&part.expr, bound, names);
            }
            bound.truncate(outer);
        }
        Expr::List(list) => {
            for element in &list.elements {
                free_names(&element.expr, bound, names);
            }
        }
        Expr::Select(select) => free_names(&select.operand.expr, bound, names),
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    free_names(&entry.key.expr, bound, names);
                    free_names(&entry.value.expr, bound, names);
                }
            }
        }
        Expr::Struct(_) | Expr::Literal(_) | Expr::Unspecified => {}
    }
}
