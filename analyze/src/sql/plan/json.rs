//! EXPLAIN FORMAT=JSON in three dialects.

use serde_json::{Map, Value};

use super::{Access, STEPS, Step};

/// The steps of a plan, of whatever dialect.
pub(super) fn steps(plan: &Value) -> Vec<Step> {
    let mut reader = Reader::default();
    let operation =
        |value: &Value| value.get("operation").is_some() || value.get("inputs").is_some();
    match plan.get("query_plan") {
        Some(tree) => {
            reader.operation(tree, 1, None);
        }
        None if plan.get("query_block").is_none() && operation(plan) => {
            reader.operation(plan, 1, None);
        }
        None => reader.block(plan, 1),
    }
    reader.steps
}

#[derive(Debug, Default)]
struct Reader {
    steps: Vec<Step>,
    /// A sort, a temporary table, a buffer: told with the next table.
    filesort: bool,
    temporary: bool,
    join_buffer: bool,
    selects: u32,
}

fn number(value: Option<&Value>) -> Option<f64> {
    let number = match value? {
        Value::Number(number) => number.as_f64()?,
        // MySQL's version 1 quotes some.
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    (number.is_finite() && number >= 0.0).then_some(number)
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

fn is_set(value: Option<&Value>) -> bool {
    value.and_then(Value::as_bool).unwrap_or(false)
}

impl Reader {
    fn push(&mut self, mut step: Step) {
        step.filesort = std::mem::take(&mut self.filesort);
        step.temporary = std::mem::take(&mut self.temporary);
        step.join_buffer |= std::mem::take(&mut self.join_buffer);
        if self.steps.len() < STEPS {
            self.steps.push(step);
        }
    }

    /// MariaDB, and MySQL's version 1: blocks within blocks.
    fn block(&mut self, value: &Value, select: u32) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.block(value, select)),
            Value::Object(object) => self.object(object, select),
            _ => {}
        }
    }

    fn object(&mut self, object: &Map<String, Value>, select: u32) {
        let select = number(object.get("select_id")).map_or(select, |id| id as u32);
        self.filesort |= is_set(object.get("using_filesort"));
        self.temporary |= is_set(object.get("using_temporary_table"));
        let is_union = object.contains_key("query_specifications");
        if let (Some(table), Some(access), false) = (
            text(object.get("table_name")),
            text(object.get("access_type")),
            is_union,
        ) {
            let rows = ["rows", "rows_examined_per_scan"].map(|name| number(object.get(name)));
            self.join_buffer |= object.contains_key("using_join_buffer");
            self.push(Step {
                select,
                table: table.to_owned(),
                access: Access::of(access),
                key: text(object.get("key")).map(str::to_owned),
                rows: rows[0].or(rows[1]).unwrap_or(0.0),
                filtered: number(object.get("filtered")).unwrap_or(100.0).min(100.0),
                seen_rows: number(object.get("r_rows")),
                using_index: is_set(object.get("using_index")),
                ..Step::default()
            });
        }
        for (name, value) in object {
            match name.as_str() {
                "filesort" => self.filesort = true,
                "temporary_table" => self.temporary = true,
                "block-nl-join" => self.join_buffer = true,
                _ => {}
            }
            self.block(value, select);
        }
    }

    /// MySQL's version 2: operations on the results of others. `kept` is how many rows a filter above
    /// leaves. Gives the number of the SELECT that is to be used next to this.
    fn operation(&mut self, value: &Value, select: u32, kept: Option<f64>) {
        let inputs = value.get("inputs").and_then(Value::as_array);
        let inputs = inputs.map(Vec::as_slice).unwrap_or_default();
        let rows = number(value.get("estimated_rows"));
        let access = text(value.get("access_type")).unwrap_or_default();
        self.selects = self.selects.max(select);
        match access {
            "sort" => self.filesort = true,
            "temp_table_aggregate" => self.temporary = true,
            "materialize" => {
                self.temporary = true;
                self.selects += 1;
                let select = self.selects;
                inputs
                    .iter()
                    .for_each(|input| self.operation(input, select, None));
                return;
            }
            "filter" => {
                inputs
                    .iter()
                    .for_each(|input| self.operation(input, select, rows));
                return;
            }
            _ => {}
        }
        let is_hash = text(value.get("join_algorithm")) == Some("hash");
        for (place, input) in inputs.iter().enumerate() {
            self.join_buffer |= is_hash && place > 0;
            // What is below a table's own access fills it.
            let kept = if access == "limit" || access == "sort" {
                kept
            } else {
                None
            };
            self.operation(input, select, kept);
        }
        let Some(table) = text(value.get("alias")).or_else(|| text(value.get("table_name"))) else {
            return;
        };
        let operation = text(value.get("operation")).unwrap_or_default();
        let rows = rows.unwrap_or(0.0);
        let filtered = kept.map_or(100.0, |kept| 100.0 * kept / rows.max(f64::MIN_POSITIVE));
        let seen = ["actual_rows"].map(|name| number(value.get(name)));
        self.push(Step {
            select,
            table: table.to_owned(),
            access: tree_access(access, text(value.get("index_access_type")), operation),
            key: text(value.get("index_name")).map(str::to_owned),
            rows,
            filtered: filtered.clamp(0.0, 100.0),
            seen_rows: seen[0],
            using_index: is_set(value.get("covering")),
            ..Step::default()
        });
    }
}

fn tree_access(access: &str, index: Option<&str>, operation: &str) -> Access {
    match (access, index) {
        ("table", _) => Access::All,
        (_, Some("index_lookup")) if operation.starts_with("Single-row") => Access::EqRef,
        (_, Some("index_lookup")) if operation.starts_with("Constant row") => Access::Const,
        (_, Some("index_lookup")) => Access::Ref,
        (_, Some("index_range_scan" | "index_skip_scan" | "group_index_skip_scan")) => {
            Access::Range
        }
        (_, Some("index_scan")) => Access::Index,
        (_, Some("index_merge")) => Access::IndexMerge,
        (_, Some("full_text_search")) => Access::Fulltext,
        _ if operation.starts_with("Constant row") => Access::Const,
        _ => Access::Other,
    }
}
