//! What a run and the probes of its nodes say: demands, memory, and how sure that is.
//!
//! The service demand of a service is its CPU time over a time, divided by the requests of that
//! time (the service demand law: D = U / X). Its error is that of a ratio of sums (Cochran,
//! "Sampling Techniques", 6.4) over batches of samples, which are long enough to be nearly
//! independent of each other although samples are not.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use super::limits::SERVICES;
use super::plan::{Node, Plan};
use crate::host::{Host, Line, Sample};

/// Batches that a run is cut into.
const BATCHES: usize = 10;

/// Samples from which on an error can be given.
const ENOUGH_SAMPLES: usize = 10;

/// Beyond these a sample is none: cores in use, seconds, milliseconds since 1970 (the year 5138).
const MOST_CORES: f64 = 65_536.0;
const MOST_SECONDS: f64 = 1e6;
const MOST_UNIX_MS: f64 = 1e14;

const MIB: f64 = 1024.0 * 1024.0;

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// The nodes that were probed.
    pub nodes: Vec<Node>,
    /// The services that were seen on any of them.
    pub services: Vec<Seen>,
    /// Services that were watched and never seen running.
    pub absent: Vec<String>,
    /// What a person should know of it.
    pub notes: Vec<String>,
    /// The same of a node, by its name, if its background counts.
    of_nodes: Vec<(String, String)>,
}

/// A service that was seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// CPU milliseconds a request, all its nodes together; `None` without a run.
    pub demand_ms: Option<f64>,
    /// The standard error of that, as a share of it.
    pub demand_error: Option<f64>,
    /// The most memory that it had on a node, in MiB.
    pub memory_mb: f64,
    /// CPU in cores at the 90th percentile of the samples.
    pub p90_cores: f64,
}

/// Evidence that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// The report of a run is none.
    #[error("{file}: no report of a run: {why}; write one with isukit run --format json -o FILE")]
    Run {
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// A line of a probe is none.
    #[error("{file}:{line}: no line of a probe: {why}; write them with isukit probe > FILE")]
    Probe {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// The two do not belong together.
    #[error("{0}")]
    Apart(String),
}

/// A file and what is in it.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// Its name, for messages.
    pub file: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// The parts of `isukit.run/1` that count here.
#[derive(Debug, Deserialize)]
struct Run {
    schema: String,
    started_unix_us: i64,
    duration_s: f64,
    requests: u64,
    rps: f64,
    errors: u64,
    #[serde(default)]
    series: Vec<Second>,
}

#[derive(Debug, Deserialize)]
struct Second {
    second: u64,
    requests: u64,
}

impl Run {
    /// The requests between two times, in seconds from the start of the run.
    fn requests(&self, from: f64, to: f64) -> f64 {
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
}

impl Evidence {
    /// Reads a run, if there is one, and the probes of its nodes.
    ///
    /// # Errors
    ///
    /// [`EvidenceError`], with file and line.
    pub fn read(run: Option<Named<'_>>, probes: &[Named<'_>]) -> Result<Self, EvidenceError> {
        let run = run.map(read_run).transpose()?;
        let mut nodes: BTreeMap<String, (Host, Vec<Sample>)> = BTreeMap::new();
        for probe in probes {
            read_probe(*probe, &mut nodes)?;
        }
        let mut evidence = Self::default();
        let mut services: BTreeMap<String, Sums> = BTreeMap::new();
        for (name, (host, samples)) in &nodes {
            let samples = within(run.as_ref(), samples);
            if samples.is_empty() {
                return Err(EvidenceError::Apart(format!(
                    "the probe of {name} has no sample within the run; probe while it runs"
                )));
            }
            evidence.node(name, host, &samples);
            of_node(run.as_ref(), &samples, &mut services);
        }
        if let Some(run) = &run {
            if run.errors * 100 > run.requests {
                evidence.notes.push(format!(
                    "{} of {} requests of the run failed: demands are those of a service that is not well",
                    run.errors, run.requests
                ));
            }
            if nodes.is_empty() {
                evidence
                    .notes
                    .push("a run without probes says nothing of demands".to_owned());
            }
        }
        for (name, sums) in services.into_iter().take(SERVICES) {
            if sums.has_run {
                evidence.services.push(sums.seen(name, run.is_some()));
            } else {
                evidence
                    .notes
                    .push(format!("{name} was watched and never seen running"));
                evidence.absent.push(name);
            }
        }
        Ok(evidence)
    }

    /// What a person should know of it who places the services of a plan.
    pub fn notes_for(&self, plan: &Plan) -> Vec<String> {
        let mut notes = self.notes.clone();
        let of_service = |name: &str| plan.services.iter().any(|service| service.name == name);
        for seen in self.services.iter().filter(|seen| !of_service(&seen.name)) {
            notes.push(format!(
                "{} was watched and is not in the plan: it is left out of account",
                seen.name
            ));
        }
        for seen in &self.nodes {
            let planned = plan.nodes.iter().find(|node| node.name == seen.name);
            let Some(planned) = planned else {
                let names: Vec<&str> = plan.nodes.iter().map(|node| node.name.as_str()).collect();
                notes.push(format!(
                    "{} was probed and is not in the plan ({}): its services count, its cores and memory do not",
                    seen.name,
                    names.join(", ")
                ));
                continue;
            };
            if planned.background_cores == seen.background_cores {
                let of_node = self.of_nodes.iter().filter(|(name, _)| *name == seen.name);
                notes.extend(of_node.map(|(_, note)| note.clone()));
            }
        }
        notes
    }

    fn node(&mut self, name: &str, host: &Host, samples: &[&Sample]) {
        let mean = |of: &dyn Fn(&Sample) -> Option<f64>| {
            let values: Vec<f64> = samples.iter().filter_map(|sample| of(sample)).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        let services = |sample: &Sample| -> f64 {
            sample
                .services
                .iter()
                .filter_map(|service| service.cpu_cores)
                .sum()
        };
        // Under a quota the rest of the host is no business of the node.
        let background = match host.quota_cores {
            Some(_) => mean(&|sample| {
                let used = sample.limited?.cpu_cores?;
                Some((used - services(sample)).max(0.0))
            }),
            None => mean(&|sample| sample.unattributed_cores),
        };
        let background = background.unwrap_or(0.0);
        let cores = host.usable_cores();
        if background > 0.05 * cores {
            let note = format!(
                "{background:.2} of {cores:.2} cores of {name} belong to no service that was watched and count \
                 as used; if the load came from there, write background_cores = 0 for it"
            );
            self.of_nodes.push((name.to_owned(), note));
        }
        self.nodes.push(Node {
            name: name.to_owned(),
            cores,
            memory_mb: host.usable_memory() as f64 / MIB,
            background_cores: background.min(cores * 0.95),
            address: None,
        });
    }
}

fn read_run(named: Named<'_>) -> Result<Run, EvidenceError> {
    let wrong = |why: String| EvidenceError::Run {
        file: named.file.to_owned(),
        why,
    };
    let run: Run = serde_json::from_str(named.text).map_err(|error| wrong(error.to_string()))?;
    if !run.schema.starts_with("isukit.run/1") {
        return Err(wrong(format!(
            "it is {}",
            run.schema.chars().take(40).collect::<String>()
        )));
    }
    if run.requests <= run.errors || run.duration_s.is_nan() || run.duration_s <= 0.0 {
        return Err(wrong("no request succeeded".to_owned()));
    }
    Ok(run)
}

fn read_probe(
    named: Named<'_>,
    nodes: &mut BTreeMap<String, (Host, Vec<Sample>)>,
) -> Result<(), EvidenceError> {
    for (at, text) in named.text.lines().enumerate() {
        if text.trim().is_empty() {
            continue;
        }
        let wrong = |why: String| EvidenceError::Probe {
            file: named.file.to_owned(),
            line: at + 1,
            why,
        };
        let line: Line = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        match line {
            Line::Host(host) => {
                if is_unprintable(&host.node) {
                    let name = host.node.escape_debug();
                    return Err(wrong(format!("'{name}' is no name")));
                }
                if nodes.contains_key(&host.node) {
                    return Err(wrong(format!("there are two probes of {}", host.node)));
                }
                nodes.insert(host.node.clone(), (host, Vec::new()));
            }
            Line::Sample(sample) => match nodes.get_mut(&sample.node) {
                Some((_, samples)) => {
                    possible(&sample).map_err(wrong)?;
                    samples.push(sample);
                }
                None => {
                    return Err(wrong(format!(
                        "{} has a sample before it said what it is",
                        sample.node
                    )));
                }
            },
            Line::Finding(_) | Line::Lost(_) | Line::End(_) => {}
        }
    }
    if named.text.trim().is_empty() {
        return Err(EvidenceError::Probe {
            file: named.file.to_owned(),
            line: 1,
            why: "there is nothing in it".to_owned(),
        });
    }
    Ok(())
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

/// The samples that lie within the run as a whole; all without one.
fn within<'a>(run: Option<&Run>, samples: &'a [Sample]) -> Vec<&'a Sample> {
    let inside = |sample: &&Sample| {
        let Some(run) = run else { return true };
        let (from, to) = span(run, sample);
        from >= -0.05 && to <= run.duration_s + 0.05
    };
    samples.iter().filter(inside).collect()
}

/// When a sample began and ended, in seconds from the start of the run.
fn span(run: &Run, sample: &Sample) -> (f64, f64) {
    let to = sample.unix_ms / 1e3 - run.started_unix_us as f64 / 1e6;
    (to - sample.seconds, to)
}

/// What was added up of a service.
#[derive(Debug, Default)]
struct Sums {
    has_run: bool,
    demand_ms: f64,
    variance: f64,
    is_short: bool,
    memory_mb: f64,
    p90_cores: f64,
}

/// Adds what a node saw of its services.
fn of_node(run: Option<&Run>, samples: &[&Sample], services: &mut BTreeMap<String, Sums>) {
    let mut names: Vec<&str> = samples
        .iter()
        .flat_map(|sample| sample.services.iter().map(|service| service.name.as_str()))
        .collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let of = |sample: &Sample| {
            let service = sample.services.iter().find(|service| service.name == name);
            service.and_then(|service| service.cpu_cores).unwrap_or(0.0)
        };
        let sums = services.entry(name.to_owned()).or_default();
        let mut cores: Vec<f64> = samples.iter().map(|sample| of(sample)).collect();
        if let Some(run) = run {
            let pairs: Vec<(f64, f64)> = samples
                .iter()
                .zip(&cores)
                .map(|(sample, cores)| {
                    let (from, to) = span(run, sample);
                    (cores * sample.seconds * 1e3, run.requests(from, to))
                })
                .collect();
            let (ratio, error) = ratio(&pairs);
            sums.demand_ms += ratio;
            sums.variance += error.powi(2);
            sums.is_short |= pairs.len() < ENOUGH_SAMPLES;
        }
        cores.sort_by(f64::total_cmp);
        let at = (cores.len() * 9).div_ceil(10).saturating_sub(1);
        sums.p90_cores += cores.get(at).copied().unwrap_or(0.0);
        for sample in samples {
            let service = sample.services.iter().find(|service| service.name == name);
            let Some(service) = service else { continue };
            let used = service.cpu_cores.unwrap_or(0.0);
            sums.has_run |= service.processes > 0 || used > 0.0;
            let counted = service.limited.and_then(|limited| limited.memory_bytes);
            let bytes = counted.or(service.rss_bytes).unwrap_or(0);
            sums.memory_mb = sums.memory_mb.max(bytes as f64 / MIB);
        }
    }
}

/// The ratio of two sums and its standard error, from batches of pairs that follow each other.
fn ratio(pairs: &[(f64, f64)]) -> (f64, f64) {
    let sum = |pairs: &[(f64, f64)]| {
        pairs
            .iter()
            .fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1))
    };
    let (above, below) = sum(pairs);
    if below <= 0.0 {
        return (0.0, 0.0);
    }
    let ratio = above / below;
    let size = pairs.len().div_ceil(BATCHES).max(1);
    let batches: Vec<(f64, f64)> = pairs.chunks(size).map(sum).collect();
    let count = batches.len() as f64;
    if count < 2.0 {
        return (ratio, 0.0);
    }
    let squares = batches
        .iter()
        .map(|(above, below)| (above - ratio * below).powi(2));
    let error = (squares.sum::<f64>() * count / (count - 1.0)).sqrt() / below;
    (ratio, error)
}

impl Sums {
    fn seen(self, name: String, has_run: bool) -> Seen {
        let is_known = has_run && self.demand_ms > 0.0;
        Seen {
            name,
            demand_ms: has_run.then_some(self.demand_ms),
            demand_error: (is_known && !self.is_short)
                .then(|| self.variance.sqrt() / self.demand_ms),
            memory_mb: self.memory_mb,
            p90_cores: self.p90_cores,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Service;

    fn run(requests: u64) -> String {
        let series: Vec<String> = (0..20)
            .map(|second| format!("{{\"second\":{second},\"requests\":{}}}", requests / 20))
            .collect();
        format!(
            "{{\"schema\":\"isukit.run/1\",\"started_unix_us\":1000000000,\"duration_s\":20.0,\
             \"requests\":{requests},\"rps\":{},\"errors\":0,\"series\":[{}]}}",
            requests / 20,
            series.join(",")
        )
    }

    /// A node that uses so many cores in each second from a time on.
    fn probe(node: &str, from_ms: f64, cores: impl Fn(usize) -> f64) -> String {
        let host = Host {
            node: node.to_owned(),
            cores: 2,
            memory_bytes: 1 << 30,
            ..Host::default()
        };
        let mut lines = vec![serde_json::to_string(&Line::Host(host)).unwrap()];
        for second in 0..30 {
            let sample = Sample {
                node: node.to_owned(),
                unix_ms: from_ms + second as f64 * 1e3,
                seconds: 1.0,
                services: vec![Service {
                    name: "web".to_owned(),
                    cpu_cores: Some(cores(second)),
                    rss_bytes: Some((second as u64 + 1) << 20),
                    processes: 1,
                    ..Service::default()
                }],
                unattributed_cores: Some(0.01),
                ..Sample::default()
            };
            lines.push(serde_json::to_string(&Line::Sample(sample)).unwrap());
        }
        lines.join("\n")
    }

    fn named(text: &str) -> Named<'_> {
        Named { file: "f", text }
    }

    #[test]
    fn demand_is_cpu_over_requests_within_the_run() {
        let run = run(2000);
        // Before and after the run the service does something else.
        let one = probe("s1", 995_000.0, |second| {
            if (6..=25).contains(&second) { 0.5 } else { 2.0 }
        });
        let two = probe("s2", 995_000.0, |second| {
            if (6..=25).contains(&second) {
                0.25
            } else {
                2.0
            }
        });
        let probes = [named(&one), named(&two)];
        let evidence = Evidence::read(Some(named(&run)), &probes).unwrap();
        let web = &evidence.services[0];
        assert!((web.demand_ms.unwrap() - 7.5).abs() < 1e-9, "{web:?}");
        assert!(web.demand_error.unwrap() < 1e-9);
        assert_eq!(web.memory_mb, 26.0);
        assert!((web.p90_cores - 0.75).abs() < 1e-9);
        assert_eq!(evidence.nodes.len(), 2);
        assert_eq!(evidence.nodes[0].memory_mb, 1024.0);
    }

    #[test]
    fn the_error_is_that_of_batches() {
        let run = run(2000);
        let rough = probe(
            "s1",
            1_000_000.0,
            |second| if second % 8 < 4 { 0.4 } else { 0.6 },
        );
        let evidence = Evidence::read(Some(named(&run)), &[named(&rough)]).unwrap();
        let error = evidence.services[0].demand_error.unwrap();
        assert!((0.02..0.12).contains(&error), "{error}");
        // The same samples in another order have no batches that differ so much.
        let smooth = probe(
            "s1",
            1_000_000.0,
            |second| if second % 2 == 0 { 0.4 } else { 0.6 },
        );
        let evidence = Evidence::read(Some(named(&run)), &[named(&smooth)]).unwrap();
        assert!(evidence.services[0].demand_error.unwrap() < error / 2.0);
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_place() {
        let (run, probe) = (run(2000), probe("s1", 995_000.0, |_| 0.5));
        let check = |run: &str, probe: &str, why: &str| {
            let error = Evidence::read(Some(named(run)), &[named(probe)])
                .unwrap_err()
                .to_string();
            assert!(error.contains(why), "{error}");
        };
        check("{}", &probe, "f: no report of a run");
        check(
            &run.replace("run/1", "diff/1"),
            &probe,
            "it is isukit.diff/1",
        );
        check(
            &run.replace("\"errors\":0", "\"errors\":2000"),
            &probe,
            "no request succeeded",
        );
        check(&run, "\n\n{\"kind\":\"x\"}", "f:3: no line of a probe");
        check(&run, &probe.replacen("\"host\"", "\"end\"", 1), "f:1");
        check(&run, &format!("{probe}\n{probe}"), "two probes of s1");
        let late = probe.replace("\"unix_ms\":10", "\"unix_ms\":90");
        check(&run, &late, "no sample within the run");
        check(
            &run,
            " \n",
            "f:1: no line of a probe: there is nothing in it",
        );
        let cores = |text: &str| probe.replacen("\"cpu_cores\":0.5", text, 1);
        check(
            &run,
            &cores("\"cpu_cores\":-0.5"),
            "f:2: no line of a probe: `cpu_cores` of web cannot be -0.5",
        );
        check(&run, &cores("\"cpu_cores\":1e308"), "cannot be 1");
        let named_so = |name: &str| probe.replace("\"web\"", name);
        check(&run, &named_so("\"w\\n\""), "is no name of a service");
        check(&run, &probe.replace("\"s1\"", "\"s\\u001b\""), "is no name");
        let web = "{\"name\":\"web\",\"processes\":1}";
        let twice = probe.replacen(
            ":[{\"name\":\"web\"",
            &format!(":[{web},{{\"name\":\"web\""),
            1,
        );
        check(
            &run,
            &twice,
            "f:2: no line of a probe: two services are named web",
        );
    }

    #[test]
    fn what_never_ran_has_no_demand() {
        let idle = probe("s1", 995_000.0, |_| 0.0).replace("\"processes\":1", "\"processes\":0");
        let evidence = Evidence::read(Some(named(&run(2000))), &[named(&idle)]).unwrap();
        assert_eq!(evidence.services, []);
        assert_eq!(evidence.absent, ["web"]);
        let plan = "[[service]]\nname = \"web\"\n";
        let error = super::super::read("p", plan, &evidence)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("web was watched and never seen running"),
            "{error}"
        );
    }

    #[test]
    fn a_name_that_was_probed_is_held_to_the_rules_of_a_plan() {
        let odd = probe("s1:80; } server {", 995_000.0, |_| 0.5);
        let evidence = Evidence::read(Some(named(&run(2000))), &[named(&odd)]).unwrap();
        let plan = "[[service]]\nname = \"web\"\n";
        let error = super::super::read("p", plan, &evidence)
            .unwrap_err()
            .to_string();
        assert!(error.contains("which is no name for a plan"), "{error}");
    }

    mod any {
        use proptest::prelude::*;

        use super::*;

        proptest! {
            #![proptest_config(ProptestConfig::with_cases(200))]

            /// Whatever the files hold, they are read or refused, and figures stay figures.
            #[test]
            fn any_files_are_survived(
                changes in proptest::collection::vec((any::<u16>(), any::<u8>(), any::<bool>()), 1..8),
                cut in proptest::option::weighted(0.3, any::<u16>()),
            ) {
                let (mut run, mut probe) = (run(2000).into_bytes(), probe("s1", 995_000.0, |_| 0.5).into_bytes());
                for (at, byte, in_run) in changes {
                    let text = if in_run { &mut run } else { &mut probe };
                    let at = usize::from(at) % text.len();
                    text[at] = byte;
                }
                if let Some(cut) = cut {
                    probe.truncate(usize::from(cut) % probe.len());
                }
                let (run, probe) = (String::from_utf8_lossy(&run), String::from_utf8_lossy(&probe));
                if let Ok(evidence) = Evidence::read(Some(named(&run)), &[named(&probe)]) {
                    for service in &evidence.services {
                        prop_assert!(service.demand_ms.is_none_or(f64::is_finite), "{service:?}");
                        prop_assert!(service.memory_mb.is_finite() && service.p90_cores.is_finite());
                    }
                }
            }
        }
    }
}
