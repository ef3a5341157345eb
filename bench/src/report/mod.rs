//! The report of a run (`isukit.run/1`): a fold over what the engine measured, and its renderings.

mod scenario;
mod text;

use std::io::{self, Write};

use isukit_analyze::latency::{Latencies, LatencySummary};
use isukit_analyze::report::TableStyle;
use isukit_analyze::threshold::{Finding, Measured, Threshold};
use serde::Serialize;

use crate::engine::{Outcome, Plan, SeriesPoint, ThreadUse};
use crate::score::ScoreLine;
use crate::verdict::{self, Limit, Verdict};

pub use scenario::{CheckReport, PhaseReport, UsersReport};

/// Name and version of the report's JSON form, documented in `schemas/run.v1.json`.
pub const RUN_SCHEMA: &str = "isukit.run/1";

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people at a terminal.
    #[default]
    Text,
    /// For programs: `isukit.run/1`.
    Json,
    /// For a pull request or a wiki.
    Markdown,
}

/// What was asked for, as far as a reader of the report needs it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Asked {
    /// Method of the request; empty for a scenario.
    pub method: String,
    /// The URL, or the base URL of a scenario's target, without user and password.
    pub url: String,
    /// The address behind it.
    pub endpoint: String,
    /// The scenario's folder; none for a single URL.
    pub scenario: Option<String>,
    /// `closed`, `open` or `scenario`.
    pub model: &'static str,
    /// Asked arrivals a second; none in the closed model.
    pub rate: Option<f64>,
    /// Connections; for a scenario the most users there may be at a time.
    pub connections: usize,
    /// Load threads.
    pub threads: usize,
    /// Asked duration in seconds.
    pub duration_s: f64,
}

/// What a scenario's rules say of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scored {
    /// The score; none for a scenario that gives no points.
    pub score: Option<f64>,
    /// What it is made of.
    pub breakdown: Vec<ScoreLine>,
    /// Which of its rules failed the run.
    pub failures: Vec<String>,
}

/// How late requests were sent, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct SendLag {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest.
    pub max: f64,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepReport {
    /// Its name.
    pub name: String,
    /// Finished requests.
    pub requests: u64,
    /// Failed ones, timeouts included.
    pub errors: u64,
    /// Timeouts.
    pub timeouts: u64,
    /// Bytes of reply bodies on the wire.
    pub bytes: u64,
    /// From the intended time.
    pub latency_ms: LatencySummary,
    /// From the real sending.
    pub service_ms: LatencySummary,
}

/// The failures of one kind in one step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorReport {
    /// The kind.
    pub kind: String,
    /// The step.
    pub step: String,
    /// How many.
    pub count: u64,
    /// The first few.
    pub samples: Vec<crate::engine::FaultSample>,
}

/// What the generator used of its machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GeneratorReport {
    /// CPU seconds of the load threads together while requests were sent.
    pub cpu_s: f64,
    /// CPU microseconds a request.
    pub cpu_us_per_request: f64,
    /// Of the time in which it had a CPU, the share the busiest thread used.
    pub busiest_thread: f64,
    /// Send lag while a connection was free, 99th percentile in microseconds.
    pub own_lag_us_p99: f64,
    /// Connections made.
    pub connections_opened: u64,
    /// Idle connections on which bytes came that nobody had asked for.
    pub unsolicited: u64,
    /// Events that the event file's disk was too slow for.
    pub events_lost: u64,
}

/// The report of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunReport {
    /// [`RUN_SCHEMA`].
    pub schema: &'static str,
    /// Whether something succeeded and every threshold was met.
    pub passed: bool,
    /// Why not.
    pub failures: Vec<String>,
    /// Whether a scenario's script is broken: then it was not the target that failed.
    #[serde(skip)]
    pub is_script_broken: bool,
    /// The score, where a scenario gives one.
    pub score: Option<f64>,
    /// What the score is made of.
    pub score_breakdown: Vec<ScoreLine>,
    /// By phase of the run.
    pub phases: Vec<PhaseReport>,
    /// How many users there were.
    pub users: UsersReport,
    /// By check of the scenario.
    pub checks: Vec<CheckReport>,
    /// Whether somebody stopped the run before its end.
    pub interrupted: bool,
    /// What was asked for.
    pub asked: Asked,
    /// Wall clock at the start, microseconds since the Unix epoch.
    pub started_unix_us: i64,
    /// How long requests were sent, in seconds.
    pub duration_s: f64,
    /// Finished requests.
    pub requests: u64,
    /// Failed ones, timeouts included.
    pub errors: u64,
    /// Timeouts.
    pub timeouts: u64,
    /// Requests handed to a connection.
    pub sent: u64,
    /// Those sent more than 1 ms after they were due.
    pub late: u64,
    /// Arrivals that were never sent.
    pub dropped: u64,
    /// Requests finished a second while requests were being sent.
    pub rps: f64,
    /// Bytes written to connections (before TLS).
    pub bytes_sent: u64,
    /// Bytes read from connections (after TLS).
    pub bytes_received: u64,
    /// What limited the run.
    pub verdict: Limit,
    /// How we know.
    pub evidence: Vec<String>,
    /// From the intended time to the end of the reply.
    pub latency_ms: LatencySummary,
    /// From the real sending to the end of the reply.
    pub service_ms: LatencySummary,
    /// From the intended time to the real sending.
    pub send_lag_us: SendLag,
    /// By step.
    pub steps: Vec<StepReport>,
    /// By second.
    pub series: Vec<SeriesPoint>,
    /// By kind of failure, most frequent first.
    pub errors_by_kind: Vec<ErrorReport>,
    /// How each threshold ended.
    pub thresholds: Vec<Finding>,
    /// What the generator used.
    pub generator: GeneratorReport,
}

/// Fold what was measured into a report.
pub fn report(
    asked: Asked,
    plan: &Plan,
    outcome: &Outcome,
    thresholds: &[Threshold],
    scored: Option<Scored>,
) -> RunReport {
    let steps = outcome.steps.as_slice();
    let all = &outcome.totals.all;
    let (latency, service) = all.distributions();
    let Verdict {
        limit,
        mut evidence,
    } = verdict::judge(
        &outcome.totals,
        asked.rate,
        match scored {
            Some(_) => verdict::MORE_USERS,
            None => verdict::MORE_CONNECTIONS,
        },
    );
    if !outcome.was_measured() {
        evidence = vec!["the run ended before anything was measured".to_owned()];
    }
    let findings = judge_thresholds(steps, outcome, thresholds, &latency, &service);
    let is_script_broken = scenario::is_script_broken(outcome);
    let is_scenario = scored.is_some();
    let scored = scored.unwrap_or_default();
    let mut failures = scenario::failures(plan, outcome);
    if outcome.interrupted && is_scenario {
        failures.extend(scenario::left_out(plan, outcome));
    }
    failures.extend(scored.failures);
    // What never answered well was not measured; users of a scenario may have had nothing to ask for.
    let asked_nothing = is_scenario && all.requests() == 0;
    if !asked_nothing && all.well == 0 {
        failures.push("no request succeeded".to_owned());
    }
    // A run that never came to its load missed no threshold; it failed before.
    if outcome.was_measured() {
        failures.extend(missed(&findings));
    }
    RunReport {
        schema: RUN_SCHEMA,
        passed: failures.is_empty(),
        failures,
        is_script_broken,
        score: scored.score,
        score_breakdown: scored.breakdown,
        phases: scenario::phases(plan, outcome),
        users: UsersReport {
            most: outcome
                .series
                .iter()
                .map(|point| point.users)
                .max()
                .unwrap_or(0),
        },
        checks: scenario::checks(outcome),
        interrupted: outcome.interrupted,
        asked,
        started_unix_us: outcome.started_unix_us,
        duration_s: outcome.sending_s,
        requests: all.requests(),
        errors: all.errors(),
        timeouts: all.timeouts(),
        sent: all.sent,
        late: all.late,
        dropped: all.dropped,
        rps: per_second(all.in_time(), outcome.sending_s),
        bytes_sent: all.bytes_sent,
        bytes_received: all.bytes_received,
        verdict: limit,
        evidence,
        latency_ms: latency.summary(),
        service_ms: service.summary(),
        send_lag_us: send_lag(&all.send_lag),
        steps: step_reports(steps, outcome),
        series: outcome.series.clone(),
        errors_by_kind: error_reports(steps, outcome),
        thresholds: findings,
        generator: generator_report(outcome),
    }
}

fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}

fn send_lag(lag: &Latencies) -> SendLag {
    let us = |ns: u64| ns as f64 / 1e3;
    SendLag {
        p50: us(lag.quantile_ns(0.50)),
        p99: us(lag.quantile_ns(0.99)),
        max: us(lag.max_ns()),
    }
}

fn step_reports(steps: &[String], outcome: &Outcome) -> Vec<StepReport> {
    steps
        .iter()
        .zip(&outcome.totals.all.steps)
        // A scenario's steps of other phases were not measured.
        .filter(|(_, tally)| steps.len() == 1 || tally.requests > 0 || tally.errors > 0)
        .map(|(name, tally)| StepReport {
            name: name.clone(),
            requests: tally.requests,
            errors: tally.errors,
            timeouts: tally.timeouts,
            bytes: tally.body_bytes,
            latency_ms: tally.latency.summary(),
            service_ms: tally.service.summary(),
        })
        .collect()
}

fn error_reports(steps: &[String], outcome: &Outcome) -> Vec<ErrorReport> {
    let mut errors: Vec<ErrorReport> = outcome
        .totals
        .all
        .faults
        .entries()
        .iter()
        .map(|entry| ErrorReport {
            kind: entry.kind.label().into_owned(),
            step: steps
                .get(usize::from(entry.step.0))
                .cloned()
                .unwrap_or_default(),
            count: entry.count,
            samples: entry.samples.clone(),
        })
        .collect();
    errors.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.kind.cmp(&b.kind)));
    errors
}

fn generator_report(outcome: &Outcome) -> GeneratorReport {
    let all = &outcome.totals.all;
    let mut used = ThreadUse::default();
    for thread in &outcome.totals.threads {
        used.merge(thread);
    }
    let cpu_s = used.cpu_ns as f64 / 1e9;
    GeneratorReport {
        cpu_s,
        cpu_us_per_request: cpu_s * 1e6 / all.in_time().max(1) as f64,
        busiest_thread: verdict::busiest(&outcome.totals.threads),
        own_lag_us_p99: all.own_lag.quantile_ns(0.99) as f64 / 1e3,
        connections_opened: all.connections,
        unsolicited: all.unsolicited,
        events_lost: all.events_lost,
    }
}

fn judge_thresholds(
    steps: &[String],
    outcome: &Outcome,
    thresholds: &[Threshold],
    latency: &Latencies,
    service: &Latencies,
) -> Vec<Finding> {
    let all = &outcome.totals.all;
    let whole = Measured {
        latency,
        service,
        send_lag: &all.send_lag,
        requests: all.requests(),
        in_time: all.in_time(),
        errors: all.errors(),
        timeouts: all.timeouts(),
        late: all.late,
        dropped: all.dropped,
        seconds: outcome.sending_s,
    };
    let judge = |threshold: &Threshold| match threshold.step() {
        None => threshold.judge(Some(&whole)),
        Some(name) => {
            let tally = steps
                .iter()
                .position(|step| step == name)
                .map(|at| &all.steps[at]);
            let measured = tally.map(|tally| Measured {
                latency: &tally.latency,
                service: &tally.service,
                requests: tally.requests,
                in_time: tally.in_time,
                errors: tally.errors,
                timeouts: tally.timeouts,
                ..whole
            });
            threshold.judge(measured.as_ref())
        }
    };
    thresholds.iter().map(judge).collect()
}

fn missed(findings: &[Finding]) -> impl Iterator<Item = String> {
    let missed = findings.iter().filter(|finding| !finding.passed);
    missed.map(|finding| match &finding.actual {
        Some(actual) => format!("threshold {} missed: {actual}", finding.threshold),
        None => format!("threshold {} saw no sample", finding.threshold),
    })
}

/// Write the report.
///
/// # Errors
/// Those of `out`.
pub fn render(report: &RunReport, format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Text => text::render(report, TableStyle::Text, out),
        Format::Markdown => text::render(report, TableStyle::Markdown, out),
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, report)?;
            writeln!(out)
        }
    }
}
