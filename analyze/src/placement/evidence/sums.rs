//! Adding up what was seen of a service on its nodes.

use super::files::Run;
use super::{MIB, Seen};
use crate::host::{Host, Sample, Service};

/// Batches that a run is cut into.
const BATCHES: usize = 10;

/// Samples from which on an error can be given.
const ENOUGH_SAMPLES: usize = 10;

/// What was added up of a service.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Whether it was seen running.
    pub(super) has_run: bool,
    /// Whether some of its CPU is not known: its demand is not either.
    is_unknown: bool,
    /// Samples without its CPU although it ran, and those with it.
    pub(super) unread: usize,
    read: usize,
    demand_ms: f64,
    variance: f64,
    is_short: bool,
    memory_mb: Option<f64>,
    pool_mb: Option<f64>,
    p90_cores: f64,
}

/// What a service used on a node on average.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Used {
    pub(super) node: String,
    pub(super) service: String,
    pub(super) cores: f64,
    pub(super) memory_mb: f64,
}

impl Sums {
    /// Adds what a node saw of the service.
    pub(super) fn add(
        &mut self,
        name: &str,
        host: &Host,
        run: Option<&Run>,
        samples: &[&Sample],
    ) -> Used {
        let (mut pairs, mut cores, mut memory) = (Vec::new(), Vec::new(), Vec::new());
        for sample in samples {
            let service = sample.services.iter().find(|service| service.name == name);
            let runs = service.is_some_and(|service| service.processes > 0);
            let used = match service.and_then(|service| service.cpu_cores) {
                Some(used) => used,
                // It did nothing then, and the requests of the time count.
                None if !runs => 0.0,
                None => {
                    self.unread += 1;
                    continue;
                }
            };
            self.has_run |= runs || used > 0.0;
            memory.extend(service.and_then(memory_bytes));
            cores.push(used);
            if let Some(run) = run {
                let (from, to) = run.span(sample);
                pairs.push((used * sample.seconds * 1e3, run.requests(from, to)));
            }
        }
        self.has_run |= self.unread > 0;
        self.read += cores.len();
        match ratio(&pairs) {
            Some((ratio, error)) => {
                self.demand_ms += ratio;
                self.variance += error.powi(2);
                self.is_short |= pairs.len() < ENOUGH_SAMPLES;
            }
            None => self.is_unknown = true,
        }
        let most = memory.iter().max().map(|most| *most as f64 / MIB);
        // Zero pages are those of a service that does not run here.
        if let Some(most) = most.filter(|most| *most > 0.0) {
            self.memory_mb = Some(self.memory_mb.unwrap_or(0.0).max(most));
        }
        let watched = host.services.iter().find(|watched| watched.name == name);
        if let Some(pool) = watched.and_then(|watched| watched.buffer_pool_bytes) {
            self.pool_mb = Some(self.pool_mb.unwrap_or(0.0).max(pool as f64 / MIB));
        }
        let used = Used {
            node: host.node.clone(),
            service: name.to_owned(),
            cores: cores.iter().sum::<f64>() / cores.len().max(1) as f64,
            memory_mb: most.unwrap_or(0.0),
        };
        cores.sort_by(f64::total_cmp);
        let at = (cores.len() * 9).div_ceil(10).saturating_sub(1);
        self.p90_cores += cores.get(at).copied().unwrap_or(0.0);
        used
    }

    /// Samples of it in all.
    pub(super) fn samples(&self) -> usize {
        self.read + self.unread
    }

    pub(super) fn seen(self, name: String, has_run: bool) -> Seen {
        let demand_ms = (has_run && !self.is_unknown).then_some(self.demand_ms);
        let is_known = demand_ms.is_some_and(|demand| demand > 0.0) && !self.is_short;
        Seen {
            name,
            demand_ms,
            demand_error: is_known.then(|| self.variance.sqrt() / self.demand_ms),
            memory_mb: self.memory_mb,
            pool_mb: self.pool_mb,
            p90_cores: self.p90_cores,
        }
    }
}

/// The memory of a service that counts: against its limit, or what its processes hold.
pub(super) fn memory_bytes(service: &Service) -> Option<u64> {
    let counted = service.limited.and_then(|limited| limited.memory_bytes);
    counted.or(service.rss_bytes)
}

/// The ratio of two sums and its standard error, from batches of pairs that follow each other; `None` where the
/// second is zero.
fn ratio(pairs: &[(f64, f64)]) -> Option<(f64, f64)> {
    let sum = |pairs: &[(f64, f64)]| {
        pairs
            .iter()
            .fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1))
    };
    let (above, below) = sum(pairs);
    if below <= 0.0 {
        return None;
    }
    let ratio = above / below;
    let size = pairs.len().div_ceil(BATCHES).max(1);
    let batches: Vec<(f64, f64)> = pairs.chunks(size).map(sum).collect();
    let count = batches.len() as f64;
    if count < 2.0 {
        return Some((ratio, 0.0));
    }
    let squares = batches
        .iter()
        .map(|(above, below)| (above - ratio * below).powi(2));
    let error = (squares.sum::<f64>() * count / (count - 1.0)).sqrt() / below;
    Some((ratio, error))
}
