//! The parts of the report for people.

use std::io::{self, Write};

use super::wide::{WideTable, draw_to_width, percent, shortened, wrapped};
use crate::digest::report::{DigestReport, GroupReport, SectionReport};
use crate::report::{Align, TableStyle, printable};
use crate::units::{format_bytes, format_count, format_ns};

/// Columns of a statement as it stood in the log.
const SAMPLE: usize = 600;

/// What to fix first: more than a few things are no beginning.
const SHOWN_FINDINGS: usize = 4;

/// Writes the parts of a report, each by itself.
pub(super) struct Pen<'a> {
    pub(super) out: &'a mut dyn Write,
    pub(super) style: TableStyle,
    pub(super) width: usize,
    /// Groups of a table.
    pub(super) groups: usize,
}

impl Pen<'_> {
    pub(super) fn title(&mut self, text: &str) -> io::Result<()> {
        match self.style {
            TableStyle::Text => writeln!(self.out, "\n{text}"),
            TableStyle::Markdown => writeln!(self.out, "\n### {text}\n"),
        }
    }

    /// A sentence, broken into lines.
    pub(super) fn paragraph(&mut self, indent: &str, text: &str) -> io::Result<()> {
        let first = match self.style {
            TableStyle::Text => indent.to_owned(),
            TableStyle::Markdown => "- ".to_owned(),
        };
        let behind = " ".repeat(first.chars().count());
        let width = self.width.saturating_sub(behind.len()).max(20);
        for (at, line) in wrapped(&printable(text), width).iter().enumerate() {
            writeln!(self.out, "{}{line}", if at == 0 { &first } else { &behind })?;
        }
        Ok(())
    }

    pub(super) fn heading(&mut self, report: &DigestReport) -> io::Result<()> {
        if self.style == TableStyle::Markdown {
            writeln!(self.out, "## Digest\n")?;
        }
        for section in &report.sections {
            let line = heading_of(report, section);
            match self.style {
                TableStyle::Text => self.paragraph("", &line)?,
                TableStyle::Markdown => writeln!(self.out, "{line}  ")?,
            }
        }
        for note in &report.notes {
            self.paragraph("! ", note)?;
        }
        Ok(())
    }

    pub(super) fn findings(&mut self, report: &DigestReport) -> io::Result<()> {
        if report.findings.is_empty() {
            return Ok(());
        }
        self.title("fix first (share of the time that it may save)")?;
        for finding in report.findings.iter().take(SHOWN_FINDINGS) {
            let gain = finding.gain * 100.0;
            let text = format!("{}: {}", finding.what, finding.fix);
            match self.style {
                TableStyle::Text => self.paragraph(&format!("{gain:>3.0}%  "), &text)?,
                TableStyle::Markdown => self.paragraph("", &format!("**{gain:.0}%** {text}"))?,
            }
        }
        Ok(())
    }

    pub(super) fn groups(
        &mut self,
        report: &DigestReport,
        section: &SectionReport,
    ) -> io::Result<()> {
        let all: Vec<_> = report
            .groups
            .iter()
            .filter(|g| g.kind == section.kind)
            .collect();
        let shown = &all[..all.len().min(self.groups)];
        let name = match section.kind {
            "statement" => "statements",
            _ => "routes",
        };
        self.title(&format!("{name}, {} of {}", shown.len(), section.groups))?;
        let table = group_table(shown, section);
        draw_to_width(&table, self.style, self.width, self.out)
    }

    pub(super) fn causes(&mut self, report: &DigestReport) -> io::Result<()> {
        /// Columns of a route's name.
        const ROUTE: usize = 34;
        if report.causes.is_empty() {
            return Ok(());
        }
        let shown = &report.causes[..report.causes.len().min(self.groups)];
        self.title(&format!(
            "which route causes which statements, {} of {}",
            shown.len(),
            report.causes.len()
        ))?;
        let right = |name: &'static str| (name, Align::Right);
        let columns = vec![
            right("time"),
            right("a request"),
            right("sure"),
            ("route", Align::Left),
        ];
        let mut table = WideTable::new(columns, "statement");
        for it in shown {
            let sure = match it.source {
                "request_id" => "exact".to_owned(),
                _ => format!("{:.0}%", it.confidence * 100.0),
            };
            let route = match self.style {
                TableStyle::Text => shortened(&printable(&it.route), ROUTE),
                TableStyle::Markdown => it.route.clone(),
            };
            let cells = vec![
                format_ns(it.total_s * 1e9),
                ratio(it.per_request),
                sure,
                route,
            ];
            table.row(cells, &it.statement);
        }
        draw_to_width(&table, self.style, self.width, self.out)
    }

    pub(super) fn tables(&mut self, report: &DigestReport) -> io::Result<()> {
        if report.tables.is_empty() {
            return Ok(());
        }
        let shown = &report.tables[..report.tables.len().min(self.groups)];
        self.title(&format!(
            "tables, {} of {}",
            shown.len(),
            report.tables.len()
        ))?;
        let right = |name: &'static str| (name, Align::Right);
        let columns = vec![
            right("share"),
            right("total"),
            right("reads"),
            right("writes"),
            right("time read"),
        ];
        let mut table = WideTable::new(columns, "table");
        for it in shown {
            let cells = vec![
                percent(it.share),
                format_ns(it.total_s * 1e9),
                format_count(it.reads),
                format_count(it.writes),
                percent(it.read_s / it.total_s.max(1e-12)),
            ];
            table.row(cells, &it.table);
        }
        draw_to_width(&table, self.style, self.width, self.out)?;
        let Some(split) = &report.split else {
            return Ok(());
        };
        let [one, other] = &split.sides;
        let list = |tables: &[String]| match tables.len() {
            0..=6 => tables.join(", "),
            more => format!("{} and {} more", tables[..5].join(", "), more - 5),
        };
        let crossing = match split.crossing.len() {
            0 => "no statement uses tables of both".to_owned(),
            1 => format!(
                "1 statement ({} of the time) uses tables of both",
                percent(split.crossing_share)
            ),
            n => format!(
                "{n} statements ({} of the time) use tables of both",
                percent(split.crossing_share)
            ),
        };
        writeln!(self.out)?;
        self.paragraph(
            "",
            &format!(
                "two databases would be: {} ({} of the time) and {} ({}); {crossing}",
                list(&one.tables),
                percent(one.share),
                list(&other.tables),
                percent(other.share)
            ),
        )
    }

    /// The dearest ones as they stood in the log.
    pub(super) fn samples(
        &mut self,
        report: &DigestReport,
        section: &SectionReport,
    ) -> io::Result<()> {
        let of_kind = report.groups.iter().filter(|g| g.kind == section.kind);
        let shown: Vec<_> = of_kind.take(self.groups).collect();
        self.title(match section.kind {
            "statement" => "the slowest statement of each shape",
            _ => "the slowest request of each route",
        })?;
        for group in shown {
            let Some(sample) = &group.sample else {
                continue;
            };
            let mut about = format!("{} {}", group.id, format_ns(sample.time_s * 1e9));
            if let Some(at) = &sample.at {
                about += &format!(" at {at}");
            }
            if let Some(user) = group.sql.as_ref().and_then(|sql| sql.users.first()) {
                about += &format!(" by {}", user.name);
            }
            if !sample.database.is_empty() {
                about += &format!(" in {}", sample.database);
            }
            let text: Vec<&str> = sample.text.split_whitespace().collect();
            let text = shortened(&text.join(" "), SAMPLE);
            match self.style {
                TableStyle::Text => {
                    self.paragraph(&format!("{:>2}  ", group.rank), &about)?;
                    self.paragraph("    ", &text)?;
                }
                TableStyle::Markdown => {
                    writeln!(self.out, "{}. {}  ", group.rank, printable(&about))?;
                    writeln!(self.out, "   `{}`", printable(&text).replace('`', "'"))?;
                }
            }
        }
        Ok(())
    }

    /// What the server's plans and settings say.
    pub(super) fn database(&mut self, report: &DigestReport) -> io::Result<()> {
        let planned = report.groups.iter().filter_map(|group| {
            let sql = group.sql.as_ref()?;
            (sql.plan.is_some() || sql.plan_error.is_some()).then_some((group, sql))
        });
        let planned: Vec<_> = planned.take(self.groups).collect();
        if !planned.is_empty() {
            self.title("plans")?;
        }
        for (group, sql) in planned {
            let mut said: Vec<String> = match (&sql.plan, &sql.plan_error) {
                (Some(plan), _) if plan.problems.is_empty() => vec!["nothing wrong".to_owned()],
                (Some(plan), _) => plan.problems.clone(),
                (None, why) => vec![format!("no plan: {}", why.as_deref().unwrap_or_default())],
            };
            for index in &sql.indexes {
                let saves = match (index.rows_before, index.rows_after) {
                    (Some(before), Some(after)) => format!(
                        " ({}; reads about {} rows instead of {})",
                        index.why,
                        ratio(after),
                        ratio(before)
                    ),
                    _ => format!(" ({})", index.why),
                };
                said.push(format!("{}{saves}", index.ddl));
            }
            said.extend(sql.hints.iter().cloned());
            let text = format!("{}: {}", shortened(&group.key, 70), said.join("; "));
            self.paragraph(&format!("{:>2}  ", group.rank), &text)?;
        }
        let Some(database) = &report.database else {
            return Ok(());
        };
        self.title(&format!("settings of the server, {}", database.version))?;
        if database.settings.is_empty() {
            self.paragraph("", "nothing worth a word")?;
        }
        for setting in &database.settings {
            let risk = setting
                .risk
                .as_ref()
                .map_or_else(String::new, |risk| format!("; risk: {risk}"));
            let text = format!(
                "{} = {}: {}, {}{risk}",
                setting.name, setting.value, setting.advice, setting.why
            );
            self.paragraph("  ", &text)?;
        }
        for missing in &database.missing {
            self.paragraph("! ", missing)?;
        }
        Ok(())
    }

    pub(super) fn who(&mut self, report: &DigestReport) -> io::Result<()> {
        if let Some(bots) = report.bots_share.filter(|share| *share >= 0.005) {
            let text = format!("bots take {} of the requests' time", percent(bots));
            writeln!(self.out)?;
            self.paragraph("", &text)?;
        }
        Ok(())
    }

    pub(super) fn ending(&mut self, report: &DigestReport) -> io::Result<()> {
        if report.skips.is_empty() {
            return Ok(());
        }
        self.title(&format!(
            "skipped {} ({})",
            format_count(report.skipped),
            format_bytes(report.bytes.skipped)
        ))?;
        for skip in &report.skips {
            let excerpt = skip
                .excerpts
                .first()
                .map(String::as_str)
                .unwrap_or_default();
            self.paragraph(
                "  ",
                &format!("{} {}: {excerpt}", format_count(skip.count), skip.reason),
            )?;
        }
        Ok(())
    }
}

fn heading_of(report: &DigestReport, section: &SectionReport) -> String {
    let (what, groups) = match section.kind {
        "statement" => ("statements", "shapes"),
        _ => ("requests", "routes"),
    };
    let mut line = format!(
        "{} {what} of {} {groups}",
        format_count(section.count),
        format_count(section.groups as u64)
    );
    if let (Some(span), Some(first)) = (section.span_s, &section.first_at) {
        let start = first.get(..19).unwrap_or(first).replace('T', " ");
        line += &format!(" in {} (from {start} UTC)", format_ns(span * 1e9));
        if span > 0.0 && section.is_timed {
            line += &format!(
                ": {} of time, {:.1} at once",
                format_ns(section.total_s * 1e9),
                section.total_s / span
            );
        }
    } else if section.is_timed {
        line += &format!(", {} of time", format_ns(section.total_s * 1e9));
    }
    if section.errors > 0 {
        line += &format!(", {} failed", format_count(section.errors));
    }
    if report.filtered > 0 {
        line += &format!(", {} left out by filters", format_count(report.filtered));
    }
    line
}

fn group_table(groups: &[&GroupReport], section: &SectionReport) -> WideTable {
    let is_sql = section.kind == "statement";
    let percentiles = groups.first().map(|group| &group.percentiles);
    let percentiles: Vec<&String> = percentiles.map(|p| p.keys().collect()).unwrap_or_default();
    let mut columns = vec![
        ("#".to_owned(), Align::Right),
        ("share".to_owned(), Align::Right),
    ];
    let right = |name: &str| (name.to_owned(), Align::Right);
    if section.is_timed {
        columns.push(right("total"));
    }
    columns.push(right("count"));
    if section.is_timed {
        columns.push(right("mean"));
        // The last percentile tells most; the others are in the other formats.
        columns.extend(percentiles.last().map(|p| right(p.trim_end_matches("_s"))));
        columns.push(right("max"));
    }
    columns.push(right(if is_sql { "exam/row" } else { "errors" }));
    if !is_sql {
        columns.push(right("bytes"));
    }
    let mut table = WideTable::new(columns, if is_sql { "statement" } else { "route" });
    for group in groups {
        let time = |seconds: f64| format_ns(seconds * 1e9);
        let mut cells = vec![group.rank.to_string(), percent(group.share)];
        if section.is_timed {
            cells.push(time(group.total_s));
        }
        cells.push(format_count(group.count));
        if section.is_timed {
            cells.push(time(group.mean_s));
            if let Some(p) = percentiles.last() {
                cells.push(time(group.percentiles[*p].as_f64().unwrap_or_default()));
            }
            cells.push(time(group.max_s));
        }
        match &group.sql {
            Some(sql) => cells.push(ratio(sql.rows_examined_per_row)),
            None => cells.push(count_or_dash(group.errors)),
        }
        if !is_sql {
            cells.push(format_bytes(group.bytes / group.count.max(1)));
        }
        table.row(cells, &group.key);
    }
    table
}

fn count_or_dash(count: u64) -> String {
    match count {
        0 => "-".to_owned(),
        count => format_count(count),
    }
}

fn ratio(value: f64) -> String {
    match value {
        v if v < 9.95 => format!("{v:.1}"),
        v => format_count(v.round() as u64),
    }
}
