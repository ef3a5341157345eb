//! The parts of the report for people.

use std::io::{self, Write};

use super::wide::{WideTable, draw_to_width, percent, shortened, wrapped};
use crate::digest::report::{DigestReport, GroupReport, RequestsReport, SectionReport};
use crate::report::{Align, TableStyle, printable};
use crate::units::{format_bytes, format_count, format_ns};

/// Lines of this width have room for all columns.
const WIDE: usize = 96;

/// Columns of a statement as it stood in the log.
const SAMPLE: usize = 600;

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

    pub(super) fn findings(&mut self, report: &DigestReport, most: usize) -> io::Result<()> {
        if report.findings.is_empty() {
            return Ok(());
        }
        let has_open = report
            .findings
            .iter()
            .take(most)
            .any(|it| it.gain.is_none());
        self.title(match has_open {
            false => "fix first (share of the time that it may save)",
            true => "fix first (share of the time that it may save; in brackets: that it takes)",
        })?;
        for finding in report.findings.iter().take(most) {
            let mut gain = match finding.gain {
                Some(gain) => format!("{:.0}%", gain * 100.0),
                None => format!("({:.0}%)", finding.share * 100.0),
            };
            // Shares of different times do not compare.
            if report.sections.len() > 1 {
                let of = if finding.kind == "statement" {
                    "SQL"
                } else {
                    "HTTP"
                };
                gain = format!("{gain:>5} {of:<4}");
            }
            let text = format!("{}: {}", finding.what, finding.fix);
            match self.style {
                TableStyle::Text => self.paragraph(&format!("{gain:>5}  "), &text)?,
                TableStyle::Markdown => {
                    self.paragraph("", &format!("**{}** {text}", gain.trim()))?
                }
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
        let table = group_table(shown, section, self.width);
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
            let mut about = group.id.clone();
            if section.is_timed {
                about += &format!(" {}", format_ns(sample.time_s * 1e9));
            }
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
        "statement" => (" statement", " shape"),
        _ => (" request", " route"),
    };
    let mut line = format!(
        "{}{} of {}{}",
        format_count(section.count),
        plural(section.count, what),
        format_count(section.groups as u64),
        plural(section.groups as u64, groups)
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

/// A column of a table of groups.
type Column<'a> = (String, Box<dyn Fn(&GroupReport) -> String + 'a>);

/// The columns that fit a line of `width`.
fn columns<'a>(
    section: &'a SectionReport,
    percentile: Option<&'a str>,
    width: usize,
) -> Vec<Column<'a>> {
    let is_sql = section.kind == "statement";
    let is_wide = width >= WIDE;
    let mut columns: Vec<Column<'a>> = Vec::new();
    let mut add = |wanted: bool, name: &str, cell: Box<dyn Fn(&GroupReport) -> String + 'a>| {
        if wanted {
            columns.push((name.to_owned(), cell));
        }
    };
    let time = |seconds: f64| format_ns(seconds * 1e9);
    let is_timed = section.is_timed;
    add(true, "#", Box::new(|group| group.rank.to_string()));
    add(true, "share", Box::new(|group| percent(group.share)));
    add(
        is_timed,
        "total",
        Box::new(move |group| time(group.total_s)),
    );
    add(true, "count", Box::new(|group| format_count(group.count)));
    add(is_timed, "mean", Box::new(move |group| time(group.mean_s)));
    // The last percentile tells most; the others are in the other formats.
    if let Some(key) = percentile {
        let value = move |group: &GroupReport| group.percentiles[key].as_f64().unwrap_or_default();
        let name = key.trim_end_matches("_s");
        add(is_timed, name, Box::new(move |group| time(value(group))));
    }
    add(
        is_timed && is_wide,
        "max",
        Box::new(move |group| time(group.max_s)),
    );
    let exam = |group: &GroupReport| {
        group
            .sql
            .as_ref()
            .map(|sql| ratio(sql.rows_examined_per_row))
    };
    add(
        is_sql,
        "exam/row",
        Box::new(move |group| exam(group).unwrap_or_default()),
    );
    let http = |group: &GroupReport, count: fn(&RequestsReport) -> u64| {
        count_or_dash(group.http.as_ref().map_or(0, count))
    };
    add(
        !is_sql,
        "4xx",
        Box::new(move |group| http(group, |it| it.client_errors)),
    );
    add(
        !is_sql,
        "5xx",
        Box::new(move |group| http(group, |it| it.server_errors)),
    );
    let size = |group: &GroupReport| format_bytes(group.bytes / group.count.max(1));
    add(!is_sql && is_wide, "bytes", Box::new(size));
    columns
}

fn group_table(groups: &[&GroupReport], section: &SectionReport, width: usize) -> WideTable {
    let percentiles = groups.first().map(|group| &group.percentiles);
    let last = percentiles.and_then(|percentiles| percentiles.keys().next_back());
    let columns = columns(section, last.map(String::as_str), width);
    let heads = columns.iter().map(|(name, _)| (name.clone(), Align::Right));
    let kind = if section.kind == "statement" {
        "statement"
    } else {
        "route"
    };
    let mut table = WideTable::new(heads.collect(), kind);
    for group in groups {
        let cells = columns.iter().map(|(_, cell)| cell(group));
        table.row(cells.collect(), &group.key);
    }
    table
}

fn plural(count: u64, word: &str) -> String {
    match count {
        1 => word.to_owned(),
        _ => format!("{word}s"),
    }
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
