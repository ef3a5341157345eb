//! The report for people: text for a terminal, Markdown for a page.

use std::io::{self, Write};

use isukit_analyze::latency::LatencySummary;
use isukit_analyze::report::{Align, Table, TableStyle, printable};
use isukit_analyze::units::{format_bytes, format_count, format_ms, format_ns};

use super::RunReport;

pub(super) fn render(report: &RunReport, style: TableStyle, out: &mut dyn Write) -> io::Result<()> {
    heading(report, style, out)?;
    out.write_all(counts(report).render(style).as_bytes())?;
    writeln!(out)?;
    out.write_all(latencies(report).render(style).as_bytes())?;
    if !report.score_breakdown.is_empty() {
        section("score", style, out)?;
        out.write_all(score(report).render(style).as_bytes())?;
    }
    if report.asked.scenario.is_some() {
        section("phases", style, out)?;
        out.write_all(phases(report).render(style).as_bytes())?;
    }
    if !report.checks.is_empty() {
        section("checks", style, out)?;
        out.write_all(checks(report).render(style).as_bytes())?;
    }
    if report.steps.len() > 1 {
        section("steps", style, out)?;
        out.write_all(steps(report).render(style).as_bytes())?;
    }
    if !report.errors_by_kind.is_empty() {
        section("errors", style, out)?;
        out.write_all(errors(report).render(style).as_bytes())?;
    }
    if !report.thresholds.is_empty() {
        section("thresholds", style, out)?;
        out.write_all(thresholds(report).render(style).as_bytes())?;
    }
    ending(report, style, out)
}

fn section(name: &str, style: TableStyle, out: &mut dyn Write) -> io::Result<()> {
    match style {
        TableStyle::Text => writeln!(out, "\n{name}"),
        TableStyle::Markdown => writeln!(out, "\n### {name}\n"),
    }
}

fn heading(report: &RunReport, style: TableStyle, out: &mut dyn Write) -> io::Result<()> {
    let asked = &report.asked;
    let load = match (&asked.scenario, asked.rate) {
        (Some(_), _) => format!("up to {} users", report.users.most),
        (None, Some(rate)) => format!("{rate}/s over up to {} connections", asked.connections),
        (None, None) => format!("{} connections", asked.connections),
    };
    let request = match &asked.scenario {
        Some(folder) => printable(&format!("{folder} against {}", asked.url)),
        None => printable(&format!("{} {}", asked.method, asked.url)),
    };
    let stopped = if report.interrupted {
        ", stopped early"
    } else {
        ""
    };
    let what = format!(
        "{load}, {} thread{}, {:.1} s{stopped}, to {}",
        asked.threads,
        if asked.threads == 1 { "" } else { "s" },
        report.duration_s,
        asked.endpoint,
    );
    match style {
        TableStyle::Text => writeln!(out, "{request}\n{what}\n"),
        TableStyle::Markdown => writeln!(out, "## `{request}`\n\n{what}\n"),
    }
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    format!("{:.2}%", 100.0 * part as f64 / whole as f64)
}

fn counts(report: &RunReport) -> Table {
    let mut table = Table::new([
        ("", Align::Left),
        ("count", Align::Right),
        ("", Align::Right),
    ]);
    let mut row = |name: &str, count: u64, note: String| {
        table.row([name.to_owned(), format_count(count), note]);
    };
    row("requests", report.requests, format!("{:.1}/s", report.rps));
    row(
        "errors",
        report.errors,
        percent(report.errors, report.requests),
    );
    row(
        "timeouts",
        report.timeouts,
        percent(report.timeouts, report.requests),
    );
    if report.asked.rate.is_some() {
        let arrivals = report.sent + report.dropped;
        row("sent", report.sent, percent(report.sent, arrivals));
        row("late", report.late, percent(report.late, arrivals));
        row("dropped", report.dropped, percent(report.dropped, arrivals));
    }
    let rate = report.bytes_received as f64 / report.duration_s.max(1e-9);
    row(
        "bytes received",
        report.bytes_received,
        format!("{}/s", format_bytes(rate as u64)),
    );
    table
}

fn latencies(report: &RunReport) -> Table {
    let mut table = Table::new([
        ("", Align::Left),
        ("p50", Align::Right),
        ("p90", Align::Right),
        ("p95", Align::Right),
        ("p99", Align::Right),
        ("p99.9", Align::Right),
        ("max", Align::Right),
        ("mean", Align::Right),
    ]);
    let cells = |name: &str, times: &LatencySummary| {
        let mut cells = vec![name.to_owned()];
        let numbers = [
            times.p50, times.p90, times.p95, times.p99, times.p999, times.max, times.mean,
        ];
        // Without a single reply or timeout there is nothing to tell.
        let none = times.max == 0.0;
        cells.extend(numbers.map(|ms| if none { "-".to_owned() } else { format_ms(ms) }));
        cells
    };
    table.row(cells("latency", &report.latency_ms));
    table.row(cells("service time", &report.service_ms));
    let lag = &report.send_lag_us;
    let us = |us: f64| format_ns(us * 1e3);
    let none = String::new;
    table.row([
        "send lag".to_owned(),
        us(lag.p50),
        none(),
        none(),
        us(lag.p99),
        none(),
        us(lag.max),
        none(),
    ]);
    table
}

fn score(report: &RunReport) -> Table {
    let mut table = Table::new([
        ("", Align::Left),
        ("count", Align::Right),
        ("points", Align::Right),
        ("factor", Align::Right),
        ("sum", Align::Right),
    ]);
    for line in &report.score_breakdown {
        let per = if line.per > 1 {
            format!("{}/{}", line.points, line.per)
        } else {
            line.points.to_string()
        };
        table.row([
            line.name.clone(),
            format_count(line.count),
            per,
            if line.factor == 1.0 {
                String::new()
            } else {
                format!("x {}", line.factor)
            },
            line.subtotal.to_string(),
        ]);
    }
    let total = report.score.unwrap_or_default().to_string();
    let none = String::new;
    table.row(["score".to_owned(), none(), none(), none(), total]);
    table
}

fn phases(report: &RunReport) -> Table {
    let mut table = Table::new([
        ("phase", Align::Left),
        ("result", Align::Left),
        ("time", Align::Right),
        ("requests", Align::Right),
        ("errors", Align::Right),
        ("timeouts", Align::Right),
    ]);
    for phase in &report.phases {
        table.row([
            phase.name.clone(),
            phase.result.to_owned(),
            format!("{:.2} s", phase.duration_s),
            format_count(phase.requests),
            format_count(phase.errors),
            format_count(phase.timeouts),
        ]);
    }
    table
}

fn checks(report: &RunReport) -> Table {
    let mut table = Table::new([
        ("check", Align::Left),
        ("passed", Align::Right),
        ("failed", Align::Right),
        ("first failure", Align::Left),
    ]);
    for check in &report.checks {
        let sample = check.sample.as_ref();
        table.row([
            check.name.clone(),
            format_count(check.passed),
            format_count(check.failed),
            sample.map_or_else(String::new, |sample| sample.detail.clone()),
        ]);
    }
    table
}

fn steps(report: &RunReport) -> Table {
    let mut table = Table::new([
        ("step", Align::Left),
        ("requests", Align::Right),
        ("errors", Align::Right),
        ("timeouts", Align::Right),
        ("p50", Align::Right),
        ("p99", Align::Right),
        ("max", Align::Right),
    ]);
    for step in &report.steps {
        table.row([
            step.name.clone(),
            format_count(step.requests),
            format_count(step.errors),
            format_count(step.timeouts),
            format_ms(step.latency_ms.p50),
            format_ms(step.latency_ms.p99),
            format_ms(step.latency_ms.max),
        ]);
    }
    table
}

fn errors(report: &RunReport) -> Table {
    let mut table = Table::new([
        ("kind", Align::Left),
        ("step", Align::Left),
        ("count", Align::Right),
        ("first at", Align::Right),
        ("sample", Align::Left),
    ]);
    for error in &report.errors_by_kind {
        let sample = error.samples.first();
        table.row([
            error.kind.clone(),
            error.step.clone(),
            format_count(error.count),
            sample.map_or_else(String::new, |sample| format!("{:.3} s", sample.at_s)),
            sample.map_or_else(String::new, |sample| sample.detail.clone()),
        ]);
    }
    table
}

fn thresholds(report: &RunReport) -> Table {
    let mut table = Table::new([
        ("threshold", Align::Left),
        ("actual", Align::Right),
        ("", Align::Left),
    ]);
    for finding in &report.thresholds {
        table.row([
            finding.threshold.clone(),
            finding
                .actual
                .clone()
                .unwrap_or_else(|| "no sample".to_owned()),
            if finding.passed { "met" } else { "MISSED" }.to_owned(),
        ]);
    }
    table
}

fn ending(report: &RunReport, style: TableStyle, out: &mut dyn Write) -> io::Result<()> {
    let label = report.verdict.label();
    match style {
        TableStyle::Text => writeln!(out, "\nverdict: {label}")?,
        TableStyle::Markdown => writeln!(out, "\n### verdict: {label}\n")?,
    }
    for line in &report.evidence {
        writeln!(out, "- {line}")?;
    }
    if report.generator.events_lost > 0 {
        let lost = format_count(report.generator.events_lost);
        writeln!(
            out,
            "- {lost} events are missing from the event file: its disk was too slow"
        )?;
    }
    if report.generator.unsolicited > 0 {
        let count = format_count(report.generator.unsolicited);
        writeln!(
            out,
            "- {count} connections were closed because bytes came unasked"
        )?;
    }
    if report.passed && report.asked.scenario.is_some() {
        let score = match report.score {
            Some(score) => format!(" with a score of {score}"),
            None => String::new(),
        };
        let mark = if style == TableStyle::Text { "" } else { "- " };
        writeln!(out, "{mark}PASSED{score}")?;
    }
    for failure in &report.failures {
        let failure = printable(failure);
        writeln!(
            out,
            "{}FAILED: {failure}",
            if style == TableStyle::Text { "" } else { "- " }
        )?;
    }
    Ok(())
}
