//! One TOML table: typed reads, unknown keys, and where everything stands.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use isukit_analyze::units::{format_bytes, format_ns, parse_duration, parse_size};
use isukit_proto::nearest;
use toml::de::{DeTable, DeValue};

use super::error::{Place, ScenarioError};

type Result<T> = std::result::Result<T, ScenarioError>;

/// A file that is being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// Something is wrong at a byte of the text.
    pub(super) fn error(&self, offset: usize, message: impl fmt::Display) -> ScenarioError {
        ScenarioError::Invalid {
            file: self.file.to_owned(),
            place: Place::of(self.text, offset),
            message: message.to_string(),
        }
    }
}

/// Something that can say where it stands when it is wrong.
pub(super) trait Complain {
    /// It is wrong.
    fn error(&self, message: impl fmt::Display) -> ScenarioError;
}

/// Keys that stand before the first table, where people forget to put them.
const TOP: [&str; 4] = ["target", "script", "user_agent", "thresholds"];

/// A table.
pub(super) struct Table<'a> {
    source: Source<'a>,
    /// How it is called in messages: `[score]`.
    name: String,
    /// Where it begins.
    at: usize,
    table: &'a DeTable<'a>,
}

impl Complain for Table<'_> {
    fn error(&self, message: impl fmt::Display) -> ScenarioError {
        self.source.error(self.at, message)
    }
}

impl<'a> Table<'a> {
    /// The whole file.
    pub(super) fn root(source: Source<'a>, table: &'a DeTable<'a>) -> Self {
        Self {
            source,
            name: "the file".to_owned(),
            at: 0,
            table,
        }
    }

    /// Its name in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The line in which it begins.
    pub(super) fn line(&self) -> usize {
        Place::of(self.source.text, self.at).line
    }

    /// Refuse every key but these.
    pub(super) fn only(&self, known: &[&str]) -> Result<()> {
        for item in self.items() {
            if known.contains(&item.key) {
                continue;
            }
            let shown = item.key.escape_debug();
            let place = &self.name;
            let remedy = if TOP.contains(&item.key) {
                "it belongs to the top of the file, before the first table".to_owned()
            } else {
                match nearest(item.key, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it takes {}", listed(known.iter().copied())),
                }
            };
            let message = format!("unknown key `{shown}` in {place}; {remedy}");
            return Err(self.source.error(item.key_at, message));
        }
        Ok(())
    }

    /// All keys, in the order of the file.
    pub(super) fn items(&self) -> impl Iterator<Item = Item<'a>> {
        let source = self.source;
        self.table.iter().map(move |(key, value)| Item {
            source,
            key: key.get_ref(),
            key_at: key.span().start,
            at: value.span().start,
            value: value.get_ref(),
        })
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<Item<'a>> {
        self.items().find(|item| item.key == key)
    }

    /// The value of a key that must be there.
    pub(super) fn need(&self, key: &str, example: &str) -> Result<Item<'a>> {
        self.get(key).ok_or_else(|| {
            self.error(format_args!(
                "{} has no `{key}`; write {example}",
                self.name
            ))
        })
    }

    /// A table in this table, if it is there.
    pub(super) fn table(&self, key: &str, name: &str) -> Result<Option<Table<'a>>> {
        self.get(key).map(|item| item.table(name)).transpose()
    }
}

/// A key and its value, or an element of an array with the array's key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    source: Source<'a>,
    /// The key.
    pub(super) key: &'a str,
    key_at: usize,
    at: usize,
    value: &'a DeValue<'a>,
}

impl Complain for Item<'_> {
    fn error(&self, message: impl fmt::Display) -> ScenarioError {
        self.source.error(self.at, message)
    }
}

impl<'a> Item<'a> {
    /// Something is wrong with the key.
    pub(super) fn key_error(&self, message: impl fmt::Display) -> ScenarioError {
        self.source.error(self.key_at, message)
    }

    /// The line of the key.
    pub(super) fn line(&self) -> usize {
        Place::of(self.source.text, self.key_at).line
    }

    /// The key as messages show it.
    fn shown(&self) -> impl fmt::Display {
        self.key.escape_debug()
    }

    fn wrong(&self, wanted: impl fmt::Display) -> ScenarioError {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.error(format_args!(
            "`{}` is {found}; write {wanted}",
            self.shown()
        ))
    }

    /// A string; `example` shows one.
    pub(super) fn string(&self, example: &str) -> Result<&'a str> {
        self.value
            .as_str()
            .ok_or_else(|| self.wrong(format_args!("a string such as {example}")))
    }

    /// A string of 1 to `most` bytes without control characters.
    pub(super) fn text(&self, example: &str, most: usize) -> Result<&'a str> {
        let text = self.string(example)?;
        check_text(text, most).map_err(|fault| {
            self.error(format_args!(
                "`{}` {fault}; write one such as {example}",
                self.shown()
            ))
        })?;
        Ok(text)
    }

    /// Hold the key itself, which is a name, to the same rule.
    pub(super) fn named(&self, what: &str) -> Result<&'a str> {
        check_text(self.key, MAX_NAME)
            .map_err(|fault| self.key_error(format_args!("the name of {what} {fault}")))?;
        Ok(self.key)
    }

    pub(super) fn boolean(&self) -> Result<bool> {
        self.value
            .as_bool()
            .ok_or_else(|| self.wrong("true or false"))
    }

    /// An integer in a range.
    pub(super) fn integer(&self, least: i64, most: i64) -> Result<i64> {
        let DeValue::Integer(integer) = self.value else {
            return Err(self.wrong(format_args!("an integer from {least} to {most}")));
        };
        let digits = integer.as_str();
        i64::from_str_radix(digits, integer.radix())
            .ok()
            .filter(|value| (least..=most).contains(value))
            .ok_or_else(|| {
                let shown = self.shown();
                self.error(format_args!(
                    "`{shown}` must be an integer from {least} to {most}"
                ))
            })
    }

    /// A number of things.
    pub(super) fn count(&self, least: u64, most: u64) -> Result<u64> {
        let bound = |value| i64::try_from(value).unwrap_or(i64::MAX);
        self.integer(bound(least), bound(most))
            .map(i64::unsigned_abs)
    }

    /// A number of users or connections.
    pub(super) fn size(&self, least: usize, most: usize) -> Result<usize> {
        let count = self.count(least as u64, most as u64)?;
        Ok(usize::try_from(count).unwrap_or(most))
    }

    /// Whether it is a number of any kind.
    pub(super) fn is_number(&self) -> bool {
        self.value.is_integer() || self.value.is_float()
    }

    /// Any finite number.
    pub(super) fn number(&self) -> Result<f64> {
        let number = match self.value {
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .ok()
                .map(|value| value as f64),
            DeValue::Float(float) => float.as_str().parse().ok(),
            _ => return Err(self.wrong("a number")),
        };
        number
            .filter(|number: &f64| number.is_finite())
            .ok_or_else(|| self.error(format_args!("`{}` is no finite number", self.shown())))
    }

    /// A duration in a range.
    pub(super) fn duration(&self, least: Duration, most: Duration) -> Result<Duration> {
        let text = self.string("\"10s\"")?;
        let duration = parse_duration(text)
            .map_err(|error| self.error(format_args!("`{}`: {error}", self.shown())))?;
        if (least..=most).contains(&duration) {
            return Ok(duration);
        }
        let [least, most] = [least, most].map(|bound| format_ns(bound.as_nanos() as f64));
        let shown = self.shown();
        Err(self.error(format_args!(
            "`{shown}` is {text}; it must be from {least} to {most}"
        )))
    }

    /// A number of bytes in a range.
    pub(super) fn bytes(&self, least: u64, most: u64) -> Result<u64> {
        let text = self.string("\"64M\"")?;
        let bytes = parse_size(text)
            .map_err(|error| self.error(format_args!("`{}`: {error}", self.shown())))?;
        if (least..=most).contains(&bytes) {
            return Ok(bytes);
        }
        let [least, most] = [least, most].map(format_bytes);
        let shown = self.shown();
        Err(self.error(format_args!(
            "`{shown}` is {text}; it must be from {least} to {most}"
        )))
    }

    /// A table, called `name` in messages, as its header is.
    pub(super) fn table(&self, name: &str) -> Result<Table<'a>> {
        self.table_like(name, name)
    }

    /// A table without a header; `example` shows one.
    pub(super) fn table_like(&self, name: &str, example: &str) -> Result<Table<'a>> {
        let DeValue::Table(table) = self.value else {
            return Err(self.wrong(format_args!("a table: {example}")));
        };
        Ok(Table {
            source: self.source,
            name: name.to_owned(),
            at: self.at,
            table,
        })
    }

    /// The elements of an array of at most `most`.
    pub(super) fn array(&self, most: usize, example: &str) -> Result<Vec<Item<'a>>> {
        let DeValue::Array(array) = self.value else {
            return Err(self.wrong(format_args!("an array such as {example}")));
        };
        if array.len() > most {
            let (shown, count) = (self.shown(), array.len());
            return Err(self.error(format_args!(
                "`{shown}` has {count} elements; at most {most}"
            )));
        }
        let element = |value: &'a toml::Spanned<DeValue<'a>>| Item {
            at: value.span().start,
            value: value.get_ref(),
            ..*self
        };
        Ok(array.iter().map(element).collect())
    }

    /// An array of strings.
    pub(super) fn strings(&self, most: usize, example: &str) -> Result<Vec<(Item<'a>, &'a str)>> {
        let items = self.array(most, example)?;
        items
            .into_iter()
            .map(|item| Ok((item, item.string(example)?)))
            .collect()
    }
}

/// Bytes of a name.
pub(super) const MAX_NAME: usize = 100;

/// What is wrong with a text that people must be able to read in a line.
fn check_text(text: &str, most: usize) -> std::result::Result<(), String> {
    if text.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    if text.len() > most {
        return Err(format!("has {} bytes, more than {most}", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err("has control characters in it".to_owned());
    }
    Ok(())
}

/// Names for a message, shortened when there are many.
pub(super) fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.take(21).map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 => "nothing".to_owned(),
        21 => format!("{} and more", names[..20].join(", ")),
        _ => names.join(", "),
    }
}
