//! Feeds: data files of a scenario, `.csv` with a line of names or `.jsonl`.

use std::path::Path;

use super::plain::Plain;
use crate::scenario::error::ScenarioError;

/// A feed's file is at most this large, in bytes: it is kept in memory.
const FEED_BYTES: u64 = 256 * 1024 * 1024;

/// Read a feed's rows.
///
/// # Errors
/// The line that cannot be read, or that there is none.
pub(super) fn read(path: &Path) -> Result<Vec<Plain>, ScenarioError> {
    let failed = |error: std::io::Error| ScenarioError::new(path, error.to_string());
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > FEED_BYTES {
        let message = format!("the feed has {size} bytes, more than {FEED_BYTES}");
        return Err(ScenarioError::new(path, message));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let is_csv = path.extension().is_some_and(|extension| extension == "csv");
    let rows = match is_csv {
        true => csv_rows(&bytes),
        false => json_rows(&bytes),
    };
    let rows = rows.map_err(|(line, message)| ScenarioError::at_line(path, line, message))?;
    if rows.is_empty() {
        return Err(ScenarioError::new(path, "the feed has no row"));
    }
    Ok(rows)
}

type Rows = Result<Vec<Plain>, (usize, String)>;

fn csv_rows(bytes: &[u8]) -> Rows {
    let mut reader = csv::Reader::from_reader(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
    let wrong = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        (line as usize, error.to_string())
    };
    let names = reader.byte_headers().map_err(wrong)?.clone();
    let mut rows = Vec::new();
    for record in reader.byte_records() {
        let record = record.map_err(wrong)?;
        let fields = names.iter().zip(record.iter());
        rows.push(Plain::Table {
            list: Vec::new(),
            fields: fields
                .map(|(name, value)| (Plain::Text(name.into()), Plain::Text(value.into())))
                .collect(),
        });
    }
    Ok(rows)
}

fn json_rows(bytes: &[u8]) -> Rows {
    let lines = bytes.split(|&byte| byte == b'\n').zip(1..);
    lines
        .filter(|(line, _)| !line.trim_ascii().is_empty())
        .map(|(line, at)| {
            serde_json::from_slice(line)
                .map(|json| Plain::from_json(&json))
                .map_err(|error| (at, format!("no JSON: {error}")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Plain {
        Plain::Text(value.as_bytes().into())
    }

    #[test]
    fn rows_have_the_names_of_the_first_line() {
        let rows = csv_rows(b"\xef\xbb\xbfid,name\n1,\"a, b\"\n2,c\n").unwrap();
        let row = |id, name| Plain::Table {
            list: Vec::new(),
            fields: vec![(text("id"), text(id)), (text("name"), text(name))],
        };
        assert_eq!(rows, [row("1", "a, b"), row("2", "c")]);
    }

    #[test]
    fn lines_that_cannot_be_read_are_named() {
        assert_eq!(csv_rows(b"a,b\n1,2\n3\n").unwrap_err().0, 3);
        let (line, message) = json_rows(b"{\"a\":1}\n\n{oops}\n").unwrap_err();
        assert_eq!(line, 3);
        assert!(message.starts_with("no JSON"), "{message}");
        assert_eq!(json_rows(b"[1]\n2\n").unwrap().len(), 2);
    }
}
