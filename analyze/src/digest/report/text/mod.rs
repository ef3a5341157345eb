//! The report for people: what to fix first, then what it was concluded from.

mod sections;
mod wide;

use std::io::{self, Write};

use super::DigestReport;
use super::render::Page;
use crate::report::TableStyle;
use sections::Pen;
pub(super) use wide::{WideTable, draw_to_width, percent};

/// What to fix first: more than a few things are no beginning.
const FINDINGS: usize = 4;

/// A table of fewer rows is none.
const FEWEST_ROWS: usize = 3;

/// Lines around a table: an empty one, its title and its header.
const AROUND: usize = 3;

/// A part of a report, by what it is called when there is no room for it.
struct Part {
    name: &'static str,
    text: Vec<u8>,
}

impl Part {
    fn lines(&self) -> usize {
        self.text.iter().filter(|byte| **byte == b'\n').count()
    }
}

/// Write all of a report as Markdown.
pub(super) fn render_markdown(
    report: &DigestReport,
    page: Page,
    out: &mut dyn Write,
) -> io::Result<()> {
    let maker = Maker {
        report,
        style: TableStyle::Markdown,
        width: usize::MAX,
    };
    for part in maker.all(page.groups)? {
        out.write_all(&part.text)?;
    }
    Ok(())
}

/// Write a report as text: all of it, or what fits the page's height with what to fix first.
pub(super) fn render(report: &DigestReport, page: Page, out: &mut dyn Write) -> io::Result<()> {
    let maker = Maker {
        report,
        style: TableStyle::Text,
        width: page.width,
    };
    let Some(height) = page.height else {
        for part in maker.all(page.groups)? {
            out.write_all(&part.text)?;
        }
        return Ok(());
    };
    let (shown, left_out) = maker.fitting(page.groups, height)?;
    for part in shown {
        out.write_all(&part.text)?;
    }
    if left_out.is_empty() {
        return Ok(());
    }
    let text = format!("more with --all: {}", left_out.join(", "));
    let more = maker.part("", 0, |pen| pen.paragraph("", &text))?;
    writeln!(out)?;
    out.write_all(&more.text)
}

/// Makes parts.
struct Maker<'a> {
    report: &'a DigestReport,
    style: TableStyle,
    width: usize,
}

impl Maker<'_> {
    fn part(
        &self,
        name: &'static str,
        groups: usize,
        write: impl FnOnce(&mut Pen<'_>) -> io::Result<()>,
    ) -> io::Result<Part> {
        let mut text = Vec::new();
        write(&mut Pen {
            out: &mut text,
            style: self.style,
            width: self.width,
            groups,
        })?;
        Ok(Part { name, text })
    }

    /// What comes first, with so many things to fix.
    fn top(&self, findings: usize) -> io::Result<Part> {
        self.part("", 0, |pen| {
            pen.heading(self.report)?;
            pen.findings(self.report, findings)
        })
    }

    /// What comes first, with as many things to fix as leave room for a table.
    fn top_within(&self, height: usize) -> io::Result<Part> {
        // An empty line, what else there is, and the shell's prompt are below.
        let room = height.saturating_sub(4);
        for findings in (2..=FINDINGS).rev() {
            let top = self.top(findings)?;
            // Two things to fix are worth more than a table.
            let table = if findings > 2 {
                AROUND + FEWEST_ROWS
            } else {
                0
            };
            if top.lines() + table <= room {
                return Ok(top);
            }
        }
        self.top(1)
    }

    /// The tables of groups.
    fn tables(&self, groups: usize) -> io::Result<Vec<Part>> {
        let sections = self.report.sections.iter();
        let name = |kind| {
            if kind == "statement" {
                "statements"
            } else {
                "routes"
            }
        };
        let parts = sections.map(|section| {
            self.part(name(section.kind), groups, |pen| {
                pen.groups(self.report, section)
            })
        });
        parts.collect()
    }

    /// What comes behind them.
    fn details(&self, groups: usize) -> io::Result<Vec<Part>> {
        let mut parts = vec![
            self.part("routes and their statements", groups, |pen| {
                pen.causes(self.report)
            })?,
            self.part("plans and settings", groups, |pen| {
                pen.database(self.report)
            })?,
            self.part("tables", groups, |pen| pen.tables(self.report))?,
        ];
        for section in &self.report.sections {
            parts.push(self.part("samples", groups, |pen| pen.samples(self.report, section))?);
        }
        parts.push(self.part("bots", groups, |pen| pen.who(self.report))?);
        parts.push(self.part("what was skipped", groups, |pen| pen.ending(self.report))?);
        parts.retain(|part| !part.text.is_empty());
        Ok(parts)
    }

    fn all(&self, groups: usize) -> io::Result<Vec<Part>> {
        let mut parts = vec![self.top(FINDINGS)?];
        parts.extend(self.tables(groups)?);
        parts.extend(self.details(groups)?);
        Ok(parts)
    }

    /// What fits `height` lines, and the names of what does not. What comes first is always there.
    fn fitting(&self, groups: usize, height: usize) -> io::Result<(Vec<Part>, Vec<&'static str>)> {
        let mut shown = vec![self.top_within(height)?];
        // The last two lines say what else there is, one more is for the shell's prompt.
        let mut room = height.saturating_sub(shown[0].lines() + 4);
        let tables = self.report.sections.len().max(1);
        let rows = (room / tables).saturating_sub(AROUND).max(FEWEST_ROWS);
        let mut left_out = Vec::new();
        let details = self.details(groups)?;
        for part in self.tables(rows.min(groups))?.into_iter().chain(details) {
            match room.checked_sub(part.lines()) {
                Some(left) => {
                    room = left;
                    shown.push(part);
                }
                None if !left_out.contains(&part.name) => left_out.push(part.name),
                None => {}
            }
        }
        Ok((shown, left_out))
    }
}
