//! A comparison for people.

use std::io::{self, Write};

use super::render::Page;
use super::text::{WideTable, draw_to_width, percent};
use crate::digest::diff::{Change, DiffReport, GroupChange, Whole};
use crate::report::{Align, TableStyle};
use crate::units::{format_count, format_ns};

impl DiffReport {
    /// Write the comparison as text or Markdown.
    ///
    /// # Errors
    /// What `out` gives.
    pub fn render(&self, style: TableStyle, page: Page, out: &mut dyn Write) -> io::Result<()> {
        if style == TableStyle::Markdown {
            writeln!(out, "## What changed\n")?;
        }
        for whole in &self.wholes {
            writeln!(out, "{}", self.whole_line(whole))?;
        }
        for note in &self.notes {
            writeln!(out, "! {note}")?;
        }
        let shown: Vec<_> = self
            .groups
            .iter()
            .filter(|group| group.change != Change::Same || group.is_mean_changed)
            .take(page.groups)
            .collect();
        if shown.is_empty() {
            writeln!(out, "\nNothing changed by more than noise.")?;
        } else {
            writeln!(out)?;
            draw_to_width(&self.table(&shown, page.width), style, page.width, out)?;
        }
        let same = self.groups.len()
            - self
                .groups
                .iter()
                .filter(|g| g.change != Change::Same)
                .count();
        if same > 0 {
            writeln!(
                out,
                "\n{} of {} groups take as much time as before, as far as noise lets one tell.",
                format_count(same as u64),
                format_count(self.groups.len() as u64)
            )?;
        }
        Ok(())
    }

    fn whole_line(&self, whole: &Whole) -> String {
        let what = match whole.kind {
            "statement" => "statements",
            _ => "requests",
        };
        let [a, b] = whole.count.map(format_count);
        let [mean_a, mean_b] = whole.mean_s.map(|s| format_ns(s * 1e9));
        let [total_a, total_b] = whole.total_s.map(|s| format_ns(s * 1e9));
        let mut line =
            format!("{what}: {a} -> {b}; time {total_a} -> {total_b}; mean {mean_a} -> {mean_b}");
        if let ([Some(a), Some(b)], "per_second") = (whole.span_s, self.basis) {
            line += &format!(
                "; over {} and {}, so times are compared per second",
                format_ns(a * 1e9),
                format_ns(b * 1e9)
            );
        }
        line
    }

    fn table(&self, groups: &[&GroupChange], width: usize) -> WideTable {
        // A narrow line has no room for what the two means tell as well.
        let is_wide = width >= 96;
        let right = |name: &'static str| (name, Align::Right);
        let mut table = WideTable::new(
            vec![
                ("", Align::Left),
                right("of total"),
                right("count"),
                right("mean before"),
                right("after"),
            ]
            .into_iter()
            .chain(is_wide.then_some(right("ratio")))
            .collect(),
            "group",
        );
        for group in groups {
            let mean = |count: u64, mean_s: f64| match count {
                0 => "-".to_owned(),
                _ => format_ns(mean_s * 1e9),
            };
            let ratio = group
                .mean_ratio
                .map_or_else(|| "-".to_owned(), |r| format!("{r:.2}x"));
            table.row(
                vec![
                    change_name(group).to_owned(),
                    format!("{}{}", sign(group.delta), percent(group.delta_share.abs())),
                    format!(
                        "{} -> {}",
                        format_count(group.a.count),
                        format_count(group.b.count)
                    ),
                    mean(group.a.count, group.a.mean_s),
                    mean(group.b.count, group.b.mean_s),
                ]
                .into_iter()
                .chain(is_wide.then_some(ratio))
                .collect(),
                &group.key,
            );
        }
        table
    }
}

fn sign(delta: f64) -> &'static str {
    if delta < 0.0 { "-" } else { "+" }
}

fn change_name(group: &GroupChange) -> &'static str {
    match group.change {
        Change::Worse => "worse",
        Change::Better => "better",
        Change::New => "new",
        Change::Gone => "gone",
        Change::Same if group.z_mean > 0.0 => "slower",
        Change::Same => "faster",
    }
}
