//! A digest's report as bytes: text, Markdown, tab- or comma-separated values, JSON.

use std::io::{self, Write};

use super::{DigestReport, GroupReport, text};

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DigestFormat {
    /// For people at a terminal.
    #[default]
    Text,
    /// For a pull request or a wiki.
    Markdown,
    /// One group a line, tabs between the values, no quotes.
    Tsv,
    /// One group a line, RFC 4180.
    Csv,
    /// `isukit.digest/1`.
    Json,
}

/// What a terminal or a page has room for.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Columns of a line.
    pub width: usize,
    /// Lines of a screen that should hold what matters; none to write everything.
    pub height: Option<usize>,
    /// Groups of each sort in text and Markdown.
    pub groups: usize,
}

impl DigestReport {
    /// Write the report.
    ///
    /// # Errors
    /// What `out` gives.
    pub fn render(&self, format: DigestFormat, page: Page, out: &mut dyn Write) -> io::Result<()> {
        match format {
            DigestFormat::Text => text::render(self, page, out),
            DigestFormat::Markdown => text::render_markdown(self, page, out),
            DigestFormat::Tsv => self.separated(b'\t', out),
            DigestFormat::Csv => self.separated(b',', out),
            DigestFormat::Json => {
                serde_json::to_writer_pretty(&mut *out, self)?;
                writeln!(out)
            }
        }
    }

    fn separated(&self, separator: u8, out: &mut dyn Write) -> io::Result<()> {
        let style = match separator {
            b'\t' => csv::QuoteStyle::Never,
            _ => csv::QuoteStyle::Necessary,
        };
        let mut writer = csv::WriterBuilder::new()
            .delimiter(separator)
            .quote_style(style)
            .from_writer(out);
        let before = [
            "rank", "kind", "id", "count", "total_s", "share", "mean_s", "min_s",
        ];
        let behind = [
            "max_s",
            "errors",
            "bytes",
            "rows_sent",
            "rows_examined",
            "lock_s",
            "upstream_s",
            "first_at",
            "last_at",
            "key",
        ];
        let header = before
            .iter()
            .copied()
            .chain(self.percentiles.iter().map(String::as_str))
            .chain(behind);
        writer.write_record(header).map_err(csv_error)?;
        for group in &self.groups {
            writer
                .write_record(values(group, separator))
                .map_err(csv_error)?;
        }
        writer.flush()
    }
}

fn csv_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// The key without tabs and line breaks, so that tab-separated values need no quotes. A spreadsheet takes
/// what begins so for a formula, whoever wrote it: an apostrophe makes it text.
fn key(group: &GroupReport, separator: u8) -> String {
    let key = crate::report::printable(&group.key);
    match key.starts_with(['=', '+', '-', '@']) && separator == b',' {
        true => format!("'{key}"),
        false => key,
    }
}

/// The values of a line, in the order of the header.
fn values(group: &GroupReport, separator: u8) -> Vec<String> {
    let mut values = vec![
        group.rank.to_string(),
        group.kind.to_owned(),
        group.id.clone(),
        group.count.to_string(),
        group.total_s.to_string(),
        group.share.to_string(),
        group.mean_s.to_string(),
        group.min_s.to_string(),
    ];
    values.extend(group.percentiles.values().map(ToString::to_string));
    let sql = group.sql.as_ref();
    let or_empty = |value: Option<String>| value.unwrap_or_default();
    values.extend([
        group.max_s.to_string(),
        group.errors.to_string(),
        group.bytes.to_string(),
        or_empty(sql.map(|sql| sql.rows_sent.to_string())),
        or_empty(sql.map(|sql| sql.rows_examined.to_string())),
        or_empty(sql.map(|sql| sql.lock_s.to_string())),
        or_empty(group.http.as_ref().map(|http| http.upstream_s.to_string())),
        or_empty(group.first_at.clone()),
        or_empty(group.last_at.clone()),
        key(group, separator),
    ]);
    values
}
