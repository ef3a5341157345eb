//! What a report says of a scenario's phases, checks and users.

use serde::Serialize;

use crate::engine::{FaultEntry, FaultKind, FaultSample, Outcome, Plan};

/// One phase.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseReport {
    /// Its name.
    pub name: String,
    /// `done`, `failed`, or `skipped` when the run ended before it.
    pub result: &'static str,
    /// Whether it counts for latencies and the score.
    pub counts: bool,
    /// How long it took, in seconds.
    pub duration_s: f64,
    /// Finished requests.
    pub requests: u64,
    /// Failed ones, timeouts included.
    pub errors: u64,
    /// Timeouts.
    pub timeouts: u64,
    /// The first few failures.
    pub failures: Vec<String>,
}

/// How many users there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct UsersReport {
    /// The most at a time.
    pub most: u64,
}

/// One check of a scenario, in all phases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    /// Its name.
    pub name: String,
    /// How often it held.
    pub passed: u64,
    /// How often it did not.
    pub failed: u64,
    /// The first time it did not.
    pub sample: Option<FaultSample>,
}

/// Failures of a phase that are shown.
const SHOWN: usize = 3;

pub(super) fn phases(plan: &Plan, outcome: &Outcome) -> Vec<PhaseReport> {
    let phases = plan.phases.iter().zip(&outcome.totals.phases);
    phases
        .map(|(phase, totals)| {
            let criticals = totals.criticals.iter().map(|sample| sample.detail.clone());
            let faults = totals.faults.entries().iter().flat_map(|entry| {
                let samples = entry.samples.iter();
                samples.map(|sample| told(&outcome.steps, entry, &sample.detail))
            });
            let failed = !totals.criticals.is_empty() || (phase.strict && totals.errors > 0);
            PhaseReport {
                name: phase.name.clone(),
                result: match (totals.began, failed) {
                    (false, _) => "skipped",
                    (true, true) => "failed",
                    (true, false) => "done",
                },
                counts: phase.measured,
                duration_s: totals.end.saturating_sub(totals.start) as f64 / 1e9,
                requests: totals.requests,
                errors: totals.errors,
                timeouts: totals.timeouts,
                failures: criticals.chain(faults).take(SHOWN).collect(),
            }
        })
        .collect()
}

/// A failure for people. Those that the script found name their request; others are told its step.
fn told(steps: &[String], entry: &FaultEntry, detail: &str) -> String {
    let label = entry.kind.label();
    let found_by_script = matches!(
        entry.kind,
        FaultKind::Status(_) | FaultKind::Check | FaultKind::BadMessage | FaultKind::Script
    );
    match steps.get(usize::from(entry.step.0)) {
        Some(step) if !found_by_script => format!("{label}: {step}: {detail}"),
        _ => format!("{label}: {detail}"),
    }
}

/// Checks in all phases together.
pub(super) fn checks(outcome: &Outcome) -> Vec<CheckReport> {
    let names = outcome.checks.iter().enumerate();
    names
        .map(|(at, name)| {
            let tallies = outcome.totals.phases.iter();
            let tallies: Vec<_> = tallies.filter_map(|phase| phase.checks.get(at)).collect();
            CheckReport {
                name: name.clone(),
                passed: tallies.iter().map(|tally| tally.passed).sum(),
                failed: tallies.iter().map(|tally| tally.failed).sum(),
                sample: tallies.iter().find_map(|tally| tally.sample.clone()),
            }
        })
        .collect()
}

/// Whether a script threw, looped without end or took too much memory.
pub(super) fn is_script_broken(outcome: &Outcome) -> bool {
    let phases = outcome.totals.phases.iter();
    phases
        .flat_map(|phase| phase.faults.entries())
        .any(|entry| entry.kind == FaultKind::Script)
}

/// What failed the run in its phases: criticals, errors where none are allowed, a broken script.
pub(super) fn failures(plan: &Plan, outcome: &Outcome) -> Vec<String> {
    let mut failures = Vec::new();
    for (phase, totals) in plan.phases.iter().zip(&outcome.totals.phases) {
        let name = &phase.name;
        for critical in &totals.criticals {
            failures.push(format!("{name}: {}", critical.detail));
        }
        for entry in totals.faults.entries() {
            let is_script = entry.kind == FaultKind::Script;
            if !is_script && !phase.strict {
                continue;
            }
            let sample = entry.samples.first().map_or("", |sample| &*sample.detail);
            let what = if is_script {
                format!("the script is broken: {sample}")
            } else {
                told(&outcome.steps, entry, sample)
            };
            let times = match entry.count {
                1 => String::new(),
                n => format!(" ({n} times)"),
            };
            failures.push(format!("{name}: {what}{times}"));
        }
    }
    failures
}

/// The phases that somebody who stopped the run left out: it has not passed without them.
pub(super) fn left_out(plan: &Plan, outcome: &Outcome) -> Option<String> {
    let phases = plan.phases.iter().zip(&outcome.totals.phases);
    let left = phases.filter(|(_, totals)| !totals.began);
    let names: Vec<&str> = left.map(|(phase, _)| phase.name.as_str()).collect();
    (!names.is_empty()).then(|| format!("stopped before it was through: {}", names.join(", ")))
}
