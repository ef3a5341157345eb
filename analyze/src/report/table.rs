//! Tables: one set of rows, shown as aligned text or as Markdown.

use comfy_table::{CellAlignment, ContentArrangement, presets};

/// How a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Names.
    Left,
    /// Numbers.
    Right,
}

/// How a table is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableStyle {
    /// Columns aligned by spaces, without borders.
    Text,
    /// A Markdown table.
    Markdown,
}

/// A table with named columns.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new<N: Into<String>>(columns: impl IntoIterator<Item = (N, Align)>) -> Self {
        Self {
            columns: columns
                .into_iter()
                .map(|(name, align)| (name.into(), align))
                .collect(),
            rows: Vec::new(),
        }
    }

    /// Add a row: one cell a column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows
            .push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Draw it, each line ended by a newline.
    pub fn render(&self, style: TableStyle) -> String {
        let mut table = comfy_table::Table::new();
        table.set_content_arrangement(ContentArrangement::Disabled);
        match style {
            TableStyle::Text => table.load_style(presets::NOTHING),
            TableStyle::Markdown => table.load_style(presets::ASCII_MARKDOWN),
        };
        table.set_header(self.columns.iter().map(|(name, _)| name.as_str()));
        for (at, (_, align)) in self.columns.iter().enumerate() {
            if let Some(column) = table.column_mut(at) {
                column.set_cell_alignment(match align {
                    Align::Left => CellAlignment::Left,
                    Align::Right => CellAlignment::Right,
                });
                if style == TableStyle::Text {
                    column.set_padding((if at == 0 { 0 } else { 1 }, 1));
                }
            }
        }
        for row in &self.rows {
            table.add_row(row.iter().map(|cell| match style {
                TableStyle::Text => cell.clone(),
                TableStyle::Markdown => cell.replace('|', "\\|"),
            }));
        }
        let mut out = String::new();
        for line in table.lines() {
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// Text from outside with control characters replaced, so that no terminal escape and no line
/// break comes through, nor anything that turns the direction of writing.
pub fn printable(text: &str) -> String {
    let is_harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| if is_harmful(c) { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([("step", Align::Left), ("count", Align::Right)]);
        table.row(["GET /".to_owned(), "12".to_owned()]);
        table.row(["a|b\u{1b}[31m".to_owned(), "3".to_owned()]);
        table
    }

    #[test]
    fn text_is_aligned() {
        assert_eq!(
            table().render(TableStyle::Text),
            "step      count\nGET /        12\na|b\u{fffd}[31m      3\n"
        );
    }

    #[test]
    fn markdown_is_escaped() {
        let text = table().render(TableStyle::Markdown);
        assert!(text.contains("| a\\|b\u{fffd}[31m |"), "{text}");
        assert!(
            text.lines()
                .nth(1)
                .is_some_and(|rule| rule.starts_with("|--")),
            "{text}"
        );
    }
}
