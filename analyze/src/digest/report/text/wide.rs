//! Tables and sentences that fit a line.

use std::io::{self, Write};

use crate::report::{Align, Table, TableStyle, printable};

/// A table's last column is at least this wide.
const NARROWEST_KEY: usize = 24;

/// Draw a table whose last cells are cut so that the lines fit.
pub(in crate::digest::report) fn draw_to_width(
    table: &WideTable,
    style: TableStyle,
    width: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let widest = |text: &str| text.lines().map(|l| l.chars().count()).max().unwrap_or(0);
    let others = widest(&table.draw(0).render(TableStyle::Text));
    let room = width.saturating_sub(others + 1).max(NARROWEST_KEY);
    out.write_all(table.draw(room).render(style).as_bytes())
}

/// A table whose last column takes what is left of the line.
pub(in crate::digest::report) struct WideTable {
    columns: Vec<(String, Align)>,
    rows: Vec<(Vec<String>, String)>,
    last: String,
}

impl WideTable {
    pub(in crate::digest::report) fn new<N: Into<String>>(
        columns: Vec<(N, Align)>,
        last: &str,
    ) -> Self {
        Self {
            columns: columns.into_iter().map(|(n, a)| (n.into(), a)).collect(),
            rows: Vec::new(),
            last: last.to_owned(),
        }
    }

    pub(in crate::digest::report) fn row(&mut self, cells: Vec<String>, last: &str) {
        self.rows.push((cells, printable(last)));
    }

    fn draw(&self, room: usize) -> Table {
        let last = (self.last.clone(), Align::Left);
        let mut table = Table::new(self.columns.iter().cloned().chain([last]));
        for (cells, last) in &self.rows {
            table.row(cells.iter().cloned().chain([shortened(last, room)]));
        }
        table
    }
}

/// At most `room` characters of a text.
pub(in crate::digest::report) fn shortened(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(room.saturating_sub(1)).collect();
    if room > 0 {
        short.push('…');
    }
    short
}

/// A share of 0 to 1 for people.
pub(in crate::digest::report) fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// Break a text into lines of at most `width` characters, at blanks where there are any.
pub(in crate::digest::report) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        let used = lines[last].chars().count();
        if used > 0 && used + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if used > 0 {
                lines[last].push(' ');
            }
            lines[last].push_str(word);
        }
    }
    lines
}
