//! What is to be placed, and where it may go.

use super::limits;

/// Nodes, services, and what holds between them. Everything is known and consistent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The services.
    pub services: Vec<Service>,
    /// Who calls whom.
    pub calls: Vec<Call>,
    /// The share of each node's CPU that is to stay free, from 0 to below 1.
    pub headroom: f64,
    /// Whether everything has to go on when any one node is lost.
    pub survive_node_failure: bool,
    /// Where the services are now, in the order of `services`.
    pub current: Option<Placement>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its processors, or its quota.
    pub cores: f64,
    /// Its memory in MiB.
    pub memory_mb: f64,
    /// CPU that belongs to none of the services, in cores.
    pub background_cores: f64,
    /// Where others reach it; its name where there is none.
    pub address: Option<String>,
}

/// A service.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// CPU milliseconds for each request to the whole.
    pub demand_ms: f64,
    /// The standard error of that, as a share of it; `None` where it was not measured.
    pub demand_error: Option<f64>,
    /// Memory in MiB that it needs on each of its nodes, a buffer pool aside.
    pub memory_mb: f64,
    /// On how many nodes it may be at once.
    pub max_replicas: usize,
    /// How many cores it can use on one node, as one with one thread; infinite for most.
    pub threads_max: f64,
    /// The nodes that it may be on; empty for all.
    pub pinned_to: Vec<usize>,
    /// Services that have to be on the same nodes.
    pub together_with: Vec<usize>,
    /// Services that must not be on the same node.
    pub apart_from: Vec<usize>,
    /// A buffer pool that takes what memory there is.
    pub pool: Option<Pool>,
    /// The port on which it listens.
    pub port: Option<u16>,
    /// CPU in cores that it used at the 90th percentile of the samples, all its nodes together.
    pub p90_cores: Option<f64>,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            name: String::new(),
            demand_ms: 0.0,
            demand_error: None,
            memory_mb: 0.0,
            max_replicas: 1,
            threads_max: f64::INFINITY,
            pinned_to: Vec::new(),
            together_with: Vec::new(),
            apart_from: Vec::new(),
            pool: None,
            port: None,
            p90_cores: None,
        }
    }
}

/// A buffer pool: memory that spares CPU, up to a size.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pool {
    /// The least that it can be, in MiB.
    pub min_mb: f64,
    /// The size from which on more is of no use, in MiB.
    pub max_mb: f64,
    /// Demand in CPU milliseconds a request by size in MiB, sizes rising.
    pub curve: Vec<(f64, f64)>,
}

impl Pool {
    /// The demand at a size, on the lines between the points of the curve.
    pub fn demand_ms(&self, size_mb: f64) -> f64 {
        let after = self.curve.partition_point(|(mb, _)| *mb < size_mb);
        match (
            after.checked_sub(1).and_then(|at| self.curve.get(at)),
            self.curve.get(after),
        ) {
            (None, Some((_, demand))) | (Some((_, demand)), None) => *demand,
            (Some((low, above)), Some((high, below))) => {
                let share = (size_mb - low) / (high - low);
                above + (below - above) * share
            }
            (None, None) => 0.0,
        }
    }
}

/// A service calls another one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Call {
    /// Who calls; `None` is whoever is outside.
    pub from: Option<usize>,
    /// Who is called.
    pub to: usize,
    /// How often for each request.
    pub per_request: f64,
}

/// Where services are: for each of them its nodes and which share of its work each does, adding up to 1.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Placement {
    /// In the order of the plan's services; nodes in the order of the plan.
    pub services: Vec<Vec<(usize, f64)>>,
}

impl Placement {
    /// The nodes of each service, a bit for each.
    pub(super) fn sets(&self) -> Vec<u32> {
        let set =
            |homes: &Vec<(usize, f64)>| homes.iter().fold(0, |set, (node, _)| set | 1 << node);
        self.services.iter().map(set).collect()
    }
}

impl Plan {
    /// The CPU of a node that services can have, in milliseconds a second.
    pub(super) fn capacity(&self, node: usize) -> f64 {
        let node = &self.nodes[node];
        let usable = node.cores * (1.0 - self.headroom) - node.background_cores;
        usable.max(0.0) * 1000.0
    }

    /// [`capacity`](Self::capacity) of all nodes.
    pub(super) fn capacities(&self) -> Vec<f64> {
        (0..self.nodes.len())
            .map(|node| self.capacity(node))
            .collect()
    }

    /// Reads where services are to be: `web=s1:28,s2:72 db=s3`. A service that is not named is an
    /// error, as is a weight that is no positive number.
    ///
    /// # Errors
    ///
    /// What is wrong, and what it could be.
    pub fn read_assignment(&self, text: &str) -> Result<Placement, String> {
        let mut services = vec![Vec::new(); self.services.len()];
        for word in text.split(|letter: char| letter.is_whitespace() || letter == ';') {
            if word.is_empty() {
                continue;
            }
            let Some((name, homes)) = word.split_once('=') else {
                return Err(format!(
                    "'{word}' is no assignment; write SERVICE=NODE or SERVICE=NODE:WEIGHT,NODE:WEIGHT"
                ));
            };
            let at = find(
                name,
                self.services.iter().map(|it| it.name.as_str()),
                "service",
            )?;
            if !services[at].is_empty() {
                return Err(format!("'{name}' is assigned twice"));
            }
            services[at] = self.homes(name, homes)?;
        }
        let missing = services.iter().position(Vec::is_empty);
        if let Some(at) = missing {
            let name = &self.services[at].name;
            return Err(format!("'{name}' is on no node; add {name}=NODE"));
        }
        Ok(Placement { services })
    }

    fn homes(&self, service: &str, text: &str) -> Result<Vec<(usize, f64)>, String> {
        let mut homes: Vec<(usize, f64)> = Vec::new();
        for home in text.split(',') {
            let (name, weight) = home.split_once(':').unwrap_or((home, "1"));
            let node = find(name, self.nodes.iter().map(|it| it.name.as_str()), "node")?;
            let weight: f64 = weight.parse().unwrap_or(f64::NAN);
            if !(weight > 0.0 && weight < 1e9) {
                return Err(format!(
                    "the weight of '{service}' on '{name}' must be a number above 0"
                ));
            }
            if homes.iter().any(|(known, _)| *known == node) {
                return Err(format!("'{service}' is on '{name}' twice"));
            }
            homes.push((node, weight));
        }
        let whole: f64 = homes.iter().map(|(_, weight)| weight).sum();
        homes.iter_mut().for_each(|(_, weight)| *weight /= whole);
        homes.sort_by_key(|(node, _)| *node);
        Ok(homes)
    }
}

/// Whether a name means the same wherever it is written: in a configuration, a path, a command.
pub(super) fn is_plain(name: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.@".contains(letter);
    let starts = name.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '_');
    starts && name.len() <= limits::NAME_BYTES && name.chars().all(plain)
}

/// The place of a name, or which one it may be.
pub(super) fn find<'n>(
    name: &str,
    known: impl Iterator<Item = &'n str> + Clone,
    what: &str,
) -> Result<usize, String> {
    let shown: String = name.chars().take(limits::NAME_BYTES).collect();
    let shown = shown.escape_debug();
    known.clone().position(|it| it == name).ok_or_else(|| {
        match isukit_proto::nearest(name, known.clone()) {
            Some(near) => format!("there is no {what} '{shown}'; did you mean '{near}'?"),
            None => {
                let all: Vec<&str> = known.take(12).collect();
                format!("there is no {what} '{shown}'; there are {}", all.join(", "))
            }
        }
    })
}
