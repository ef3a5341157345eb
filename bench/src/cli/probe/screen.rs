//! A table for people: written again for every sample on a terminal, once at the end elsewhere.

use std::path::Path;

use anyhow::Result;
use isukit_analyze::host::view::{Figures, View};
use isukit_analyze::host::{Finding, Line};
use isukit_analyze::report::{TableStyle, printable};

use crate::cli::digest::terminal;
use crate::cli::output::Output;
use crate::cli::{complain, print};

/// The table, and where it stands.
pub(super) struct Screen {
    view: View,
    output: Option<Output>,
    refreshed: bool,
    check: bool,
    /// Lines that stand on the terminal, to be written over.
    shown: usize,
    notices: Vec<String>,
}

impl Screen {
    pub(super) fn new(output: Option<&Path>, refreshed: bool, check: bool) -> Result<Self> {
        Ok(Self {
            view: View::default(),
            output: output.map(Output::create_private).transpose()?,
            refreshed,
            check,
            shown: 0,
            notices: Vec::new(),
        })
    }

    pub(super) fn line(&mut self, line: &Line) -> Result<()> {
        self.view.line(line);
        match line {
            Line::Finding(finding) if self.check => {
                // Whoever waits should know at once, wherever the report goes in the end.
                if self.output.is_some() {
                    complain(&shown(finding));
                    return Ok(());
                }
                print((shown(finding) + "\n").as_bytes())
            }
            Line::Sample(_) | Line::Lost(_) if self.refreshed => self.refresh(),
            _ => Ok(()),
        }
    }

    pub(super) fn notice(&mut self, text: &str) {
        self.notices.push(printable(text));
    }

    fn refresh(&mut self) -> Result<()> {
        let (columns, lines) = terminal(true).unwrap_or((80, 24));
        let table = self.view.table(Figures::Now, TableStyle::Text);
        let notes = self.view.notes();
        let mut rows: Vec<String> = table.lines().map(str::to_owned).collect();
        rows.extend(notes);
        rows.extend(self.notices.iter().cloned());
        // What does not fit could not be written over.
        rows.truncate(lines.saturating_sub(1));
        let mut frame = String::new();
        if self.shown > 0 {
            frame.push_str(&format!("\x1b[{}A", self.shown));
        }
        for row in &rows {
            frame.extend(row.chars().take(columns));
            frame.push_str("\x1b[K\n");
        }
        frame.push_str("\x1b[J");
        self.shown = rows.len();
        print(frame.as_bytes())
    }

    /// The last word: figures over the whole time.
    pub(super) fn finish(mut self, findings: Option<usize>) -> Result<()> {
        let mut text = String::new();
        if self.refreshed && self.shown > 0 {
            text.push_str(&format!("\x1b[{}A\x1b[J", self.shown));
        }
        match findings {
            Some(0) => text.push_str("nothing is wrong, as far as could be seen\n"),
            Some(_) if self.output.is_some() => {
                let all = self
                    .view
                    .findings()
                    .iter()
                    .map(|finding| shown(finding) + "\n");
                text.extend(all);
            }
            Some(_) => {}
            None => text.push_str(&self.view.table(Figures::Whole, TableStyle::Text)),
        }
        let mut notes = match findings {
            // What is lost is a finding already.
            Some(_) => self.view.unchecked(),
            None => self.view.notes(),
        };
        notes.append(&mut self.notices);
        if !notes.is_empty() {
            text.push('\n');
        }
        for note in notes {
            text.push_str(&note);
            text.push('\n');
        }
        if findings.is_none() {
            for cost in self.view.costs() {
                text.push_str(&cost);
                text.push('\n');
            }
        }
        match self.output {
            Some(output) => output.finish(text.as_bytes()),
            None => print(text.as_bytes()),
        }
    }
}

/// A finding for people: what, where, and what to do.
fn shown(finding: &Finding) -> String {
    let of = finding
        .service
        .as_ref()
        .map(|service| format!(" {service}"));
    let what = format!(
        "{}{}: {}: {}",
        finding.node,
        of.unwrap_or_default(),
        finding.rule,
        finding.evidence,
    );
    format!("{}\n    {}", printable(&what), printable(&finding.remedy))
}
