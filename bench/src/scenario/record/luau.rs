//! Values as Luau writes them.

use std::fmt::Write as _;

use super::model::Value;
use super::names::is_name;
use super::places::Hop;

/// A table that is longer than this goes over several lines, in bytes.
const LINE_BYTES: usize = 90;

/// Integers beyond this are not exact as numbers.
const EXACT: u128 = 1 << 53;

/// Text in quotes.
pub(super) fn text(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    let shown = String::from_utf8_lossy(bytes);
    let is_utf8 = matches!(shown, std::borrow::Cow::Borrowed(_));
    if is_utf8 {
        for letter in shown.chars() {
            match letter {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                letter if letter.is_control() => {
                    let mut buffer = [0; 4];
                    escape(letter.encode_utf8(&mut buffer).as_bytes(), &mut out);
                }
                letter => out.push(letter),
            }
        }
    } else {
        escape(bytes, &mut out);
    }
    out.push('"');
    out
}

fn escape(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        // Three digits: what follows may be one.
        let _ = write!(out, "\\{byte:03}");
    }
}

/// Text within backticks, where `{` begins an expression.
pub(super) fn within_backticks(text: &str) -> String {
    let quoted = self::text(text.as_bytes());
    let inner = &quoted[1..quoted.len() - 1];
    inner
        .replace("\\\"", "\"")
        .replace('`', "\\`")
        .replace('{', "\\{")
}

/// A step into a table or a message.
pub(super) fn hop(hop: &Hop) -> String {
    match hop {
        Hop::Field(name) if is_name(name) => format!(".{name}"),
        Hop::Field(name) => format!("[{}]", text(name.as_bytes())),
        Hop::Row(row) => format!("[{}]", row + 1),
    }
}

/// A key of a table.
pub(super) fn key(name: &str) -> String {
    match is_name(name) {
        true => name.to_owned(),
        false => format!("[{}]", text(name.as_bytes())),
    }
}

/// A table of what is written already, on one line where it fits.
pub(super) fn table(items: &[String]) -> String {
    if items.is_empty() {
        return "{}".to_owned();
    }
    let length: usize = items.iter().map(|item| item.len() + 2).sum();
    if length <= LINE_BYTES && !items.iter().any(|item| item.contains('\n')) {
        return format!("{{ {} }}", items.join(", "));
    }
    let mut out = String::from("{\n");
    for item in items {
        let _ = writeln!(out, "{},", indented(item));
    }
    out.push('}');
    out
}

/// Every line one step further in.
pub(super) fn indented(code: &str) -> String {
    let lines: Vec<String> = code
        .lines()
        .map(|line| match line.is_empty() {
            true => String::new(),
            false => format!("\t{line}"),
        })
        .collect();
    lines.join("\n")
}

/// A value, where `at` says what stands in place of one: a variable.
pub(super) fn value(
    value: &Value,
    path: &mut Vec<Hop>,
    at: &dyn Fn(&[Hop]) -> Option<String>,
) -> String {
    if let Some(variable) = at(path) {
        return variable;
    }
    match value {
        Value::Null => "nil".to_owned(),
        Value::Bool(is) => is.to_string(),
        Value::Int(number) if number.unsigned_abs() <= EXACT => number.to_string(),
        Value::Int(number) => format!("\"{number}\""),
        Value::Float(number) => format!("{number:?}"),
        Value::Text(word) | Value::Word(word) => text(word.as_bytes()),
        Value::Bytes(bytes) => text(bytes),
        Value::List(items) => {
            let mut written = Vec::new();
            for (row, item) in items.iter().enumerate() {
                path.push(Hop::Row(row));
                written.push(self::value(item, path, at));
                path.pop();
            }
            table(&written)
        }
        Value::Fields(fields) => {
            let mut written = Vec::new();
            for (name, field) in fields {
                path.push(Hop::Field(name.clone()));
                written.push(format!("{} = {}", key(name), self::value(field, path, at)));
                path.pop();
            }
            table(&written)
        }
    }
}

/// Whether a table can say a JSON value: it knows no `null`, and an empty one is an object.
pub(super) fn is_table(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::List(items) => !items.is_empty() && items.iter().all(is_table),
        Value::Fields(fields) => fields.iter().all(|(_, value)| is_table(value)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted() {
        let check = |bytes: &[u8], expected: &str| assert_eq!(text(bytes), expected);
        check(b"a \"b\" \\ \n", r#""a \"b\" \\ \n""#);
        check("é\u{1}2".as_bytes(), "\"é\\0012\"");
        check(&[0xff, b'1'], "\"\\255\\049\"");
        assert_eq!(within_backticks("a`{\"b\"}"), "a\\`\\{\"b\"}");
    }

    #[test]
    fn values_are_written() {
        let check = |json: &str, expected: &str| {
            let Some(super::super::Payload::Json(json)) = super::super::json(json.as_bytes())
            else {
                panic!("no JSON: {json}");
            };
            assert_eq!(value(&json, &mut Vec::new(), &|_| None), expected);
        };
        check(
            r#"{"a":1,"b c":[true,"x"]}"#,
            r#"{ a = 1, ["b c"] = { true, "x" } }"#,
        );
        check("9007199254740993", "\"9007199254740993\"");
        check("-1.5", "-1.5");
        check(r#"{"end":{}}"#, r#"{ ["end"] = {} }"#);
    }
}
