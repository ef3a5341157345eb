//! Reading the report of a run and the lines of probes: both come from elsewhere.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{EvidenceError, Named};
use crate::host::{Host, Line, Lost, Sample};

/// Beyond these a sample is none: cores in use, seconds, milliseconds since 1970 (the year 5138).
const MOST_CORES: f64 = 65_536.0;
const MOST_SECONDS: f64 = 1e6;
const MOST_UNIX_MS: f64 = 1e14;

/// The parts of `isukit.run/1` that count here.
#[derive(Debug, Deserialize)]
pub(super) struct Run {
    schema: String,
    started_unix_us: i64,
    /// How long requests were sent; of several measured phases, how long the first took.
    duration_s: f64,
    pub(super) requests: u64,
    rps: f64,
    pub(super) errors: u64,
    #[serde(default)]
    phases: Vec<Phase>,
    #[serde(default)]
    series: Vec<Second>,
}

#[derive(Debug, Deserialize)]
struct Phase {
    name: String,
    counts: bool,
    duration_s: f64,
}

#[derive(Debug, Deserialize)]
struct Second {
    second: u64,
    requests: u64,
}

impl Run {
    /// Reads a report, and what a person should know of it.
    pub(super) fn read(named: Named<'_>) -> Result<(Self, Vec<String>), EvidenceError> {
        let wrong = |why: String| EvidenceError::Run {
            file: named.file.to_owned(),
            why,
        };
        let mut run: Run =
            serde_json::from_str(named.text).map_err(|error| wrong(error.to_string()))?;
        if !run.schema.starts_with("isukit.run/1") {
            let schema: String = run.schema.chars().take(40).collect();
            return Err(wrong(format!("it is {schema}")));
        }
        // Failed checks are errors besides those of the requests, so that there may be more of them.
        if run.requests == 0 || run.requests == run.errors {
            return Err(wrong("no request succeeded".to_owned()));
        }
        let mut notes = Vec::new();
        let counted: Vec<&Phase> = run.phases.iter().filter(|phase| phase.counts).collect();
        if let [first, _, ..] = counted[..] {
            // The report does not tell when the others began.
            notes.push(format!(
                "the run has {} measured phases: demands are those of the first, {}",
                counted.len(),
                first.name.escape_debug()
            ));
            run.duration_s = first.duration_s;
        }
        if !(run.duration_s > 0.0 && run.duration_s <= MOST_SECONDS) {
            return Err(wrong(format!("it took {} s", run.duration_s)));
        }
        if run.errors * 100 > run.requests {
            notes.push(format!(
                "the run has {} errors in {} requests: demands are those of a service that is not well",
                run.errors, run.requests
            ));
        }
        Ok((run, notes))
    }

    /// The requests between two times, in seconds from the start of the run.
    pub(super) fn requests(&self, from: f64, to: f64) -> f64 {
        if self.series.is_empty() {
            return self.rps * (to - from);
        }
        let of = |it: &Second| {
            let start = it.second as f64;
            let shared = to.min(start + 1.0) - from.max(start);
            it.requests as f64 * shared.clamp(0.0, 1.0)
        };
        self.series.iter().map(of).sum()
    }

    /// When a sample began and ended, in seconds from the start of the run.
    pub(super) fn span(&self, sample: &Sample) -> (f64, f64) {
        let to = sample.unix_ms / 1e3 - self.started_unix_us as f64 / 1e6;
        (to - sample.seconds, to)
    }

    /// The samples of a node that lie within the run as a whole; there is one at least.
    pub(super) fn within<'a>(
        &self,
        node: &str,
        samples: &'a [Sample],
    ) -> Result<Vec<&'a Sample>, EvidenceError> {
        let inside = |sample: &&Sample| {
            let (from, to) = self.span(sample);
            from >= -0.05 && to <= self.duration_s + 0.05
        };
        let found: Vec<&Sample> = samples.iter().filter(inside).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let why = match (samples.first(), samples.last()) {
            (Some(first), Some(last)) => format!(
                "they are of {:.1} to {:.1} s from its start, and it took {:.1} s; probe while it runs, at a \
                 shorter --interval, and with --host where clocks differ, as that corrects them",
                self.span(first).0,
                self.span(last).1,
                self.duration_s
            ),
            _ => "there is none at all; probe while it runs".to_owned(),
        };
        Err(EvidenceError::Apart(format!(
            "the probe of {node} has no sample within the run: {why}"
        )))
    }
}

/// What probes say, by node.
#[derive(Debug, Default)]
pub(super) struct Probes {
    pub(super) nodes: BTreeMap<String, (Host, Vec<Sample>)>,
    /// The nodes that were lost.
    pub(super) lost: Vec<Lost>,
}

impl Probes {
    /// Reads one more file.
    pub(super) fn read(&mut self, named: Named<'_>) -> Result<(), EvidenceError> {
        let wrong = |line: usize, why: String| EvidenceError::Probe {
            file: named.file.to_owned(),
            line,
            why,
        };
        if named.text.trim().is_empty() {
            return Err(wrong(1, "there is nothing in it".to_owned()));
        }
        for (at, text) in named.text.lines().enumerate() {
            if text.trim().is_empty() {
                continue;
            }
            let line =
                serde_json::from_str(text).map_err(|error| wrong(at + 1, error.to_string()))?;
            self.add(line).map_err(|why| wrong(at + 1, why))?;
        }
        Ok(())
    }

    fn add(&mut self, line: Line) -> Result<(), String> {
        match line {
            Line::Host(host) => {
                if is_unprintable(&host.node) {
                    return Err(format!("'{}' is no name", host.node.escape_debug()));
                }
                if self.nodes.contains_key(&host.node) {
                    return Err(format!("there are two probes of {}", host.node));
                }
                self.nodes.insert(host.node.clone(), (host, Vec::new()));
            }
            Line::Sample(sample) => {
                let Some((_, samples)) = self.nodes.get_mut(&sample.node) else {
                    return Err(format!(
                        "{} has a sample before it said what it is",
                        sample.node
                    ));
                };
                possible(&sample)?;
                samples.push(sample);
            }
            Line::Lost(lost) => self.lost.push(lost),
            Line::Finding(_) | Line::End(_) => {}
        }
        Ok(())
    }
}

/// A name that cannot be shown as it is.
fn is_unprintable(name: &str) -> bool {
    name.chars().any(char::is_control)
}

/// Whether a sample can be one: what came from elsewhere is added up, divided and shown.
fn possible(sample: &Sample) -> Result<(), String> {
    let check = |what: &str, value: f64, most: f64| match (0.0..=most).contains(&value) {
        true => Ok(()),
        false => Err(format!("{what} cannot be {value}")),
    };
    let names = sample.services.iter().map(|service| service.name.as_str());
    if let Some(name) = names.clone().find(|name| is_unprintable(name)) {
        return Err(format!("'{}' is no name of a service", name.escape_debug()));
    }
    let mut sorted: Vec<&str> = names.collect();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("two services are named {}", pair[0]));
    }
    check("`unix_ms`", sample.unix_ms, MOST_UNIX_MS)?;
    check("`seconds`", sample.seconds, MOST_SECONDS)?;
    let unattributed = sample.unattributed_cores.unwrap_or(0.0);
    check("`unattributed_cores`", unattributed, MOST_CORES)?;
    let limited = sample.limited.and_then(|limited| limited.cpu_cores);
    check("`cpu_cores`", limited.unwrap_or(0.0), MOST_CORES)?;
    for service in &sample.services {
        let cores = service.cpu_cores.unwrap_or(0.0);
        check(
            &format!("`cpu_cores` of {}", service.name),
            cores,
            MOST_CORES,
        )?;
    }
    Ok(())
}
