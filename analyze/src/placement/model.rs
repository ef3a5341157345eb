//! What a placement does: throughput, what limits it, how busy its nodes are.
//!
//! By the service demand law (Denning and Buzen 1978) a node is busy for throughput times the
//! demand that it has to serve, and none can be busy for more than its capacity. A service with few
//! threads cannot use more cores of a node than it has threads. Memory either suffices or does not.

use super::flow::{self, Split};
use super::plan::{Placement, Plan, Service};

/// Figures closer than this share are the same: the rest is rounding.
pub(super) const SAME: f64 = 1e-9;

/// Halvings when weights are levelled out: a hundredth of a percent is more than anybody measures.
const LEVELLING: usize = 13;

/// Levels of nodes that are told apart: who has more of them looks at the busiest.
const LEVELS: usize = 8;

/// What limits a placement.
#[derive(Debug, Clone, PartialEq)]
pub enum Bottleneck {
    /// The CPU of a node.
    Node(usize),
    /// The threads of a service on a node.
    Threads {
        /// The service.
        service: usize,
        /// The node.
        node: usize,
    },
    /// Nothing: no service needs any CPU.
    None,
}

/// What a placement does.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Where the services are, and with which weights.
    pub placement: Placement,
    /// Requests a second at most; 0 where it is not possible.
    pub rps: f64,
    /// What limits it.
    pub bottleneck: Bottleneck,
    /// The share of each node's cores, its background included, that is used at that throughput.
    pub utilisation: Vec<f64>,
    /// The memory used on each node, in MiB.
    pub memory_mb: Vec<f64>,
    /// The size of each service's buffer pool, in MiB; 0 for those that have none.
    pub pool_mb: Vec<f64>,
    /// Calls a request that go from one node to another.
    pub hops: f64,
    /// The standard error of `rps` as a share of it, from those of the demands; `None` without any.
    pub error: Option<f64>,
    /// Requests a second that are left when the worst node is lost, where that is asked for.
    pub worst_failure_rps: Option<f64>,
    /// Why it is not possible; empty if it is.
    pub impossible: Vec<String>,
}

impl Prediction {
    /// Whether it is possible.
    pub fn is_feasible(&self) -> bool {
        self.impossible.is_empty()
    }

    /// The utilisation of the second busiest node: the room that is left when the first is relieved.
    pub(super) fn second_busiest(&self) -> f64 {
        second_highest(self.utilisation.clone())
    }
}

/// The second highest of some figures; 0 where there are fewer.
pub(super) fn second_highest(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(|a, b| b.total_cmp(a));
    figures.get(1).copied().unwrap_or(0.0)
}

/// Predicts a placement with its weights as they are.
pub fn predict(plan: &Plan, placement: &Placement) -> Prediction {
    let (pool_mb, demands) = pools(plan, placement);
    let mut work = vec![0.0; plan.nodes.len()];
    let (mut rps, mut bottleneck) = (f64::INFINITY, Bottleneck::None);
    for (at, homes) in placement.services.iter().enumerate() {
        let service = &plan.services[at];
        for &(node, weight) in homes {
            let each = demands[at] * weight;
            work[node] += each;
            let limit = service.threads_max * 1000.0 / each;
            if each > 0.0 && limit < rps {
                (rps, bottleneck) = (limit, Bottleneck::Threads { service: at, node });
            }
        }
    }
    for (node, work) in work.iter().enumerate() {
        let limit = plan.capacity(node) / work;
        // A node without any work has no limit, whatever its capacity is.
        if *work > 0.0 && limit <= rps * (1.0 + SAME) {
            (rps, bottleneck) = (limit.min(rps), Bottleneck::Node(node));
        }
    }
    let busy = |node: usize| {
        let used = if rps.is_finite() {
            work[node] * rps / 1000.0
        } else {
            0.0
        };
        (used + plan.nodes[node].background_cores) / plan.nodes[node].cores
    };
    let memory_mb = memory(plan, placement, &pool_mb);
    let mut prediction = Prediction {
        placement: placement.clone(),
        rps,
        utilisation: (0..plan.nodes.len()).map(busy).collect(),
        error: error(plan, placement, &demands, &bottleneck),
        bottleneck,
        hops: hops(plan, placement),
        impossible: impossible(plan, placement, &memory_mb),
        memory_mb,
        pool_mb,
        worst_failure_rps: None,
    };
    if plan.survive_node_failure {
        prediction.worst_failure_rps = Some(worst_failure(plan, placement, &demands));
    }
    prediction
}

/// Predicts a placement whose weights are the best ones: the throughput is the highest that these
/// nodes allow, and what is free then is spread evenly.
pub(super) fn predict_best(plan: &Plan, nodes: &[u32]) -> Prediction {
    let even = even(nodes);
    if nodes.iter().all(|set| set.count_ones() <= 1) {
        return predict(plan, &even);
    }
    let (_, demands) = pools(plan, &even);
    let splits = splits(plan, nodes, &demands);
    let capacities = plan.capacities();
    let flow = flow::largest(&splits, &capacities);
    if !flow.throughput.is_finite() || flow.throughput <= 0.0 {
        return predict(plan, &even);
    }
    let used = level(&splits, &capacities, flow);
    let count = plan.nodes.len();
    let mut placement = even;
    for (at, homes) in placement.services.iter_mut().enumerate() {
        let all: f64 = used[at * count..(at + 1) * count].iter().sum();
        if all > 0.0 {
            for (node, weight) in homes.iter_mut() {
                *weight = used[at * count + *node] / all;
            }
            // A copy that has nothing to do is none, unless it stands by for the loss of another.
            if !plan.survive_node_failure {
                homes.retain(|(_, weight)| *weight > SAME);
            }
        }
    }
    together(plan, &mut placement);
    predict(plan, &placement)
}

/// Services that go together share their weights; each of them may have been split in its own way.
fn together(plan: &Plan, placement: &mut Placement) {
    for at in 0..plan.services.len() {
        let first = plan.services[at].together_with.iter().copied().min();
        if let Some(first) = first.filter(|first| *first < at) {
            placement.services[at] = placement.services[first].clone();
        }
    }
}

/// The placement on sets of nodes, by service, with equal weights.
pub(super) fn even(sets: &[u32]) -> Placement {
    let homes = |set: &u32| {
        let weight = 1.0 / f64::from(set.count_ones().max(1));
        bits(*set).map(|node| (node, weight)).collect()
    };
    Placement {
        services: sets.iter().map(homes).collect(),
    }
}

/// The places of the bits of a set.
pub(super) fn bits(mut set: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = set.trailing_zeros();
        set &= set.checked_sub(1)?;
        Some(bit as usize)
    })
}

/// The services as what may be split. Those that go together are one, as the first of them.
pub(super) fn splits(plan: &Plan, nodes: &[u32], demands: &[f64]) -> Vec<Split> {
    let split = |(at, service): (usize, &Service)| {
        let group = group_of(plan, at);
        let first = group.iter().min() == Some(&at);
        let demand: f64 = group.iter().map(|at| demands[*at]).sum();
        // Each member uses its own part of what the group uses.
        let most = group.iter().map(|member| {
            let part = demands[*member] / demand;
            plan.services[*member].threads_max * 1000.0 / part
        });
        let most = most.fold(f64::INFINITY, f64::min);
        Split {
            demand: if first { demand } else { 0.0 },
            nodes: nodes[at],
            most: if demand > 0.0 {
                most
            } else {
                service.threads_max * 1000.0
            },
        }
    };
    plan.services.iter().enumerate().map(split).collect()
}

/// A service and those that go with it.
pub(super) fn group_of(plan: &Plan, service: usize) -> Vec<usize> {
    let mut group = plan.services[service].together_with.clone();
    group.push(service);
    group.sort_unstable();
    group.dedup();
    group
}

/// Spreads the work of a throughput so that first the busiest of the nodes that are not at their
/// limit anyway is as little busy as can be, then the next.
fn level(splits: &[Split], capacities: &[f64], flow: flow::Flow) -> Vec<f64> {
    let mut limits = capacities.to_vec();
    let mut used = flow.used;
    // A hair less, as the largest throughput itself may not fit by a rounding.
    let throughput = flow.throughput * (1.0 - SAME);
    let load = |used: &[f64], node: usize| -> f64 {
        (0..splits.len())
            .map(|at| used[at * capacities.len() + node])
            .sum()
    };
    let mut fixed = vec![false; capacities.len()];
    for _ in 0..capacities.len().min(LEVELS) {
        let free: Vec<usize> = (0..capacities.len()).filter(|node| !fixed[*node]).collect();
        let share = |node: usize| load(&used, node) / capacities[node].max(1e-300);
        let Some(highest) = free.iter().map(|node| share(*node)).max_by(f64::total_cmp) else {
            break;
        };
        // The least share that all nodes that are free can keep to.
        let (mut low, mut high) = (0.0, highest);
        for _ in 0..LEVELLING {
            let middle = (low + high) / 2.0;
            let mut tried = limits.clone();
            free.iter()
                .for_each(|node| tried[*node] = capacities[*node] * middle);
            match flow::fits(splits, &tried, throughput) {
                Some(found) => (high, used) = (middle, found),
                None => low = middle,
            }
        }
        free.iter()
            .for_each(|node| limits[*node] = capacities[*node] * high);
        // Those that cannot do with less are done.
        let mut any = false;
        for &node in &free {
            let mut tried = limits.clone();
            tried[node] *= 1.0 - 1e-3;
            if flow::fits(splits, &tried, throughput).is_none() {
                fixed[node] = true;
                any = true;
            }
        }
        if !any {
            break;
        }
    }
    used
}

/// What memory there is left for buffer pools on each node goes to them, and with it their demand.
pub(super) fn pools(plan: &Plan, placement: &Placement) -> (Vec<f64>, Vec<f64>) {
    let mut pool_mb = vec![0.0; plan.services.len()];
    let mut demands: Vec<f64> = plan
        .services
        .iter()
        .map(|service| service.demand_ms)
        .collect();
    let with_pools = || {
        let services = plan.services.iter().enumerate();
        services.filter_map(|(at, service)| Some((at, service.pool.as_ref()?)))
    };
    if with_pools().next().is_none() {
        return (pool_mb, demands);
    }
    for (at, pool) in with_pools() {
        pool_mb[at] = pool.min_mb;
    }
    let memory = memory(plan, placement, &pool_mb);
    for (node, used) in memory.iter().enumerate() {
        let here: Vec<(usize, &super::plan::Pool)> = with_pools()
            .filter(|(at, _)| {
                placement.services[*at]
                    .iter()
                    .any(|(home, _)| *home == node)
            })
            .collect();
        let mut left = (plan.nodes[node].memory_mb - used).max(0.0);
        let mut wishes: Vec<(usize, f64)> = here
            .iter()
            .map(|(at, pool)| (*at, pool.max_mb - pool.min_mb))
            .collect();
        // The smallest wish first: what it does not want is for the others.
        wishes.sort_by(|a, b| a.1.total_cmp(&b.1));
        let count = wishes.len();
        for (done, (at, wish)) in wishes.into_iter().enumerate() {
            let given = wish.min(left / (count - done) as f64);
            pool_mb[at] += given;
            left -= given;
        }
    }
    for (at, pool) in with_pools() {
        demands[at] = pool.demand_ms(pool_mb[at]);
    }
    (pool_mb, demands)
}

fn memory(plan: &Plan, placement: &Placement, pool_mb: &[f64]) -> Vec<f64> {
    let mut memory = vec![0.0; plan.nodes.len()];
    for (at, homes) in placement.services.iter().enumerate() {
        for (node, _) in homes {
            memory[*node] += plan.services[at].memory_mb + pool_mb[at];
        }
    }
    memory
}

/// Calls a request whose two sides are on different nodes, if each side chooses by its weights.
fn hops(plan: &Plan, placement: &Placement) -> f64 {
    let call = |call: &super::plan::Call| {
        let Some(from) = call.from else {
            return 0.0;
        };
        let to = &placement.services[call.to];
        let same = placement.services[from].iter().map(|(node, weight)| {
            let there = to.iter().find(|(other, _)| other == node);
            weight * there.map_or(0.0, |(_, weight)| *weight)
        });
        call.per_request * (1.0 - same.sum::<f64>()).max(0.0)
    };
    plan.calls.iter().map(call).sum()
}

/// The error of the throughput: that of the demand which the bottleneck has to serve, whose parts
/// were measured independently of each other.
fn error(
    plan: &Plan,
    placement: &Placement,
    demands: &[f64],
    bottleneck: &Bottleneck,
) -> Option<f64> {
    let node = match bottleneck {
        Bottleneck::None => return None,
        Bottleneck::Threads { service, .. } => return plan.services[*service].demand_error,
        Bottleneck::Node(node) => *node,
    };
    let (mut sum, mut squares, mut any) = (0.0, 0.0, false);
    for (at, homes) in placement.services.iter().enumerate() {
        for (_, weight) in homes.iter().filter(|(home, _)| *home == node) {
            let each = demands[at] * weight;
            sum += each;
            if let Some(error) = plan.services[at].demand_error {
                any = true;
                squares += (each * error).powi(2);
            }
        }
    }
    (any && sum > 0.0).then(|| squares.sqrt() / sum)
}

/// What is left when the worst node is lost; the others take over by their weights.
fn worst_failure(plan: &Plan, placement: &Placement, demands: &[f64]) -> f64 {
    let sets = placement.sets();
    let used = sets.iter().fold(0, |all, set| all | set);
    let capacities = plan.capacities();
    let without = |lost: usize| {
        let left: Vec<u32> = sets.iter().map(|set| set & !(1 << lost)).collect();
        flow::largest(&splits(plan, &left, demands), &capacities).throughput
    };
    bits(used).map(without).fold(f64::INFINITY, f64::min)
}

/// Which rules of the plan a placement breaks.
fn impossible(plan: &Plan, placement: &Placement, memory_mb: &[f64]) -> Vec<String> {
    let mut why = Vec::new();
    for (node, used) in plan.nodes.iter().zip(memory_mb) {
        if *used > node.memory_mb * (1.0 + SAME) {
            why.push(format!(
                "{} has {} MB of memory, and what is on it needs {} MB",
                node.name,
                node.memory_mb.floor(),
                used.ceil()
            ));
        }
    }
    let homes = |at: usize| -> Vec<usize> {
        placement.services[at]
            .iter()
            .map(|(node, _)| *node)
            .collect()
    };
    for (at, service) in plan.services.iter().enumerate() {
        let nodes = homes(at);
        let name = &service.name;
        if nodes.len() > service.max_replicas {
            why.push(format!(
                "{name} can be on at most {} nodes",
                service.max_replicas
            ));
        }
        if !service.pinned_to.is_empty() && nodes.iter().any(|it| !service.pinned_to.contains(it)) {
            why.push(format!("{name} is pinned to other nodes"));
        }
        if plan.survive_node_failure && nodes.len() < 2 {
            why.push(format!(
                "{name} is on one node only, and would be lost with it"
            ));
        }
        for other in service.together_with.iter().filter(|other| **other > at) {
            if homes(*other) != nodes {
                why.push(format!(
                    "{name} and {} belong together",
                    plan.services[*other].name
                ));
            }
        }
        for other in service.apart_from.iter().filter(|other| **other > at) {
            if homes(*other).iter().any(|node| nodes.contains(node)) {
                why.push(format!(
                    "{name} and {} must be apart",
                    plan.services[*other].name
                ));
            }
        }
    }
    for (node, it) in plan.nodes.iter().enumerate() {
        let used = placement.services.iter().enumerate().any(|(at, homes)| {
            plan.services[at].demand_ms > 0.0 && homes.iter().any(|(home, _)| *home == node)
        });
        if used && plan.capacity(node) <= 0.0 {
            why.push(format!("{} has no CPU left for services", it.name));
        }
    }
    why
}
