//! What a run and the probes of its nodes say: demands, memory, and how sure that is.
//!
//! The service demand of a service is its CPU time over a time, divided by the requests of that
//! time (the service demand law: D = U / X). Its error is that of a ratio of sums (Cochran,
//! "Sampling Techniques", 6.4) over batches of samples, which are long enough to be nearly
//! independent of each other although samples are not.

mod files;
mod sums;

use std::collections::BTreeMap;

use thiserror::Error;

use self::files::{Probes, Run};
use self::sums::{Sums, Used, memory_bytes};
use super::limits::SERVICES;
use super::plan::{Node, Plan};
use crate::host::{Host, Sample};

const MIB: f64 = 1024.0 * 1024.0;

/// A size of a buffer pool, or a demand, that differs by this share from another is said to.
const DIFFERS: f64 = 0.1;

/// The share of a node's cores or memory from which on it is said who has it.
const MUCH: f64 = 0.05;

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
    /// The same of a node, by its name, if what was seen of its cores or memory counts.
    of_nodes: Vec<(String, Of, String)>,
    /// What each service used on each node.
    used: Vec<Used>,
}

/// What a note of a node is about.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Of {
    Cores,
    Memory,
}

/// A service that was seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// CPU milliseconds a request, all its nodes together; `None` without a run, or where it could not be read.
    pub demand_ms: Option<f64>,
    /// The standard error of that, as a share of it.
    pub demand_error: Option<f64>,
    /// The most memory that it had on a node, in MiB; `None` where it could not be read.
    pub memory_mb: Option<f64>,
    /// The buffer pool that it was configured for, in MiB.
    pub pool_mb: Option<f64>,
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

impl Evidence {
    /// Reads a run, if there is one, and the probes of its nodes.
    ///
    /// # Errors
    ///
    /// [`EvidenceError`], with file and line.
    pub fn read(run: Option<Named<'_>>, probes: &[Named<'_>]) -> Result<Self, EvidenceError> {
        let (run, notes) = run.map(Run::read).transpose()?.unzip();
        let mut evidence = Self {
            notes: notes.unwrap_or_default(),
            ..Self::default()
        };
        let mut read = Probes::default();
        for probe in probes {
            read.read(*probe)?;
        }
        let mut services: BTreeMap<String, Sums> = BTreeMap::new();
        for (name, (host, samples)) in &read.nodes {
            let samples = match &run {
                Some(run) => run.within(name, samples)?,
                None => samples.iter().collect(),
            };
            if samples.is_empty() {
                return Err(EvidenceError::Apart(format!(
                    "the probe of {name} has no sample; let it run for more than its --interval"
                )));
            }
            evidence.node(name, host, &samples);
            let mut names: Vec<&str> = samples
                .iter()
                .flat_map(|sample| sample.services.iter().map(|service| service.name.as_str()))
                .collect();
            names.sort_unstable();
            names.dedup();
            for service in names {
                let sums = services.entry(service.to_owned()).or_default();
                let used = sums.add(service, host, run.as_ref(), &samples);
                evidence.used.push(used);
            }
        }
        for lost in &read.lost {
            evidence.notes.push(format!(
                "{} was lost ({}): what its services used from then on is missing here",
                lost.node.escape_debug(),
                lost.why.escape_debug()
            ));
        }
        if run.is_some() && read.nodes.is_empty() {
            evidence
                .notes
                .push("a run without probes says nothing of demands".to_owned());
        }
        for (name, sums) in services.into_iter().take(SERVICES) {
            if sums.unread > 0 {
                evidence.notes.push(format!(
                    "the CPU of {name} is missing in {} of {} samples, which are left out",
                    sums.unread,
                    sums.samples()
                ));
            }
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

    /// What services that are none of the plan's used on a node: cores, and memory in MiB.
    pub(super) fn used_by_others(&self, node: &str, plan: &Plan) -> (f64, f64) {
        let planned = |name: &str| plan.services.iter().any(|service| service.name == name);
        let here = self.used.iter().filter(|used| used.node == node);
        here.filter(|used| !planned(&used.service))
            .fold((0.0, 0.0), |sum, used| {
                (sum.0 + used.cores, sum.1 + used.memory_mb)
            })
    }

    /// What a person should know of it who places the services of a plan.
    pub fn notes_for(&self, plan: &Plan) -> Vec<String> {
        let mut notes = self.notes.clone();
        for seen in &self.services {
            let service = plan.services.iter().find(|it| it.name == seen.name);
            let Some(service) = service else {
                notes.push(format!(
                    "{} was watched and is not in the plan: what it used is not there for the others",
                    seen.name
                ));
                continue;
            };
            let (Some(pool), Some(size), Some(demand)) =
                (&service.pool, seen.pool_mb, seen.demand_ms)
            else {
                continue;
            };
            let said = pool.demand_ms(size);
            if (said - demand).abs() > DIFFERS * demand {
                notes.push(format!(
                    "{} took {demand:.2} ms of CPU a request with a pool of {size:.0} MB, for which its curve says \
                     {said:.2}: predictions go by the curve",
                    seen.name
                ));
            }
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
            // With a figure of the plan's own, what was seen is not what counts.
            let counts = |of: Of| match of {
                Of::Cores => planned.background_cores >= seen.background_cores,
                Of::Memory => planned.memory_mb <= seen.memory_mb,
            };
            let of_node = self.of_nodes.iter().filter(|(name, ..)| *name == seen.name);
            let of_node = of_node.filter(|(_, of, _)| counts(*of));
            notes.extend(of_node.map(|(.., note)| note.clone()));
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
        if background > MUCH * cores {
            let note = format!(
                "{background:.2} of {cores:.2} cores of {name} belong to no service that was watched and count \
                 as used; if the load came from there, write background_cores = 0 for it"
            );
            self.of_nodes.push((name.to_owned(), Of::Cores, note));
        }
        // What the rest has of the memory, its services cannot have.
        let taken = mean(&|sample| {
            let used = match host.memory_limit_bytes {
                Some(_) => sample.limited?.memory_bytes?,
                None => {
                    let memory = sample.memory.as_ref()?;
                    memory.total_bytes.saturating_sub(memory.available_bytes)
                }
            };
            let services: u64 = sample.services.iter().filter_map(memory_bytes).sum();
            Some(used.saturating_sub(services) as f64 / MIB)
        });
        let taken = taken.unwrap_or(0.0);
        let memory_mb = host.usable_memory() as f64 / MIB;
        if taken > MUCH * memory_mb {
            let note = format!(
                "{taken:.0} of {memory_mb:.0} MB of memory of {name} belong to no service that was watched and count \
                 as used; write memory_mb for it if that is wrong"
            );
            self.of_nodes.push((name.to_owned(), Of::Memory, note));
        }
        self.nodes.push(Node {
            name: name.to_owned(),
            cores,
            memory_mb: (memory_mb - taken).max(0.0),
            background_cores: background.min(cores * 0.95),
            address: None,
        });
    }
}

#[cfg(test)]
mod tests;
