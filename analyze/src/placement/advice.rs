//! Why each service lives where it does, and what would raise the throughput next.

use super::model::{Bottleneck, Prediction, predict};
use super::plan::Plan;
use super::search::{are_equal, rank};

/// The most that is suggested.
const MOST_STEPS: usize = 6;

/// A gain below this share is none.
const WORTH_IT: f64 = 0.005;

/// Something that could be done next.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What: `halve web's demand`.
    pub what: String,
    /// Requests a second after it, with the services placed anew.
    pub rps: f64,
    /// The gain over the best placement now, as a share.
    pub gain: f64,
    /// What limits it then.
    pub then: String,
}

/// The name of what limits a placement.
pub fn limit(plan: &Plan, bottleneck: &Bottleneck) -> String {
    match bottleneck {
        Bottleneck::Node(node) => plan.nodes[*node].name.clone(),
        Bottleneck::Threads { service, node } => {
            let (service, node) = (&plan.services[*service], &plan.nodes[*node].name);
            let threads = match service.threads_max == 1.0 {
                true => "the one thread".to_owned(),
                false => format!("the {} threads", service.threads_max),
            };
            format!("{threads} of {} on {node}", service.name)
        }
        Bottleneck::None => "nothing".to_owned(),
    }
}

/// Why each service of a placement is where it is, by what would happen elsewhere; in the order of the plan.
pub(super) fn reasons(plan: &Plan, found: &Prediction) -> Vec<String> {
    (0..plan.services.len())
        .map(|at| reason(plan, found, at))
        .collect()
}

fn reason(plan: &Plan, found: &Prediction, at: usize) -> String {
    let service = &plan.services[at];
    let homes = &found.placement.services[at];
    let name = &service.name;
    let shown: Vec<String> = homes
        .iter()
        .map(|(node, weight)| match homes.len() {
            1 => plan.nodes[*node].name.clone(),
            _ => format!("{} ({:.0}%)", plan.nodes[*node].name, weight * 100.0),
        })
        .collect();
    let shown = shown.join(" and ");
    if homes.len() > 1 {
        let best = homes.iter().map(|(node, _)| alone(plan, found, at, *node));
        let best = best
            .filter(Prediction::is_feasible)
            .map(|it| it.rps)
            .fold(0.0, f64::max);
        return if best == 0.0 {
            format!("{name} on {shown}: it may not be on one node only")
        } else if best < found.rps * (1.0 - WORTH_IT) {
            format!("{name} on {shown}: on one of them alone it would be {best:.1}/s")
        } else {
            format!(
                "{name} on {shown}: one of them alone would do for the same rate, but not for what else counts"
            )
        };
    }
    if service.pinned_to.len() == 1 {
        return format!("{name} on {shown}: it is pinned there");
    }
    let elsewhere: Vec<Prediction> = (0..plan.nodes.len())
        .filter(|node| homes.iter().all(|(home, _)| home != node))
        .filter(|node| service.pinned_to.is_empty() || service.pinned_to.contains(node))
        .map(|node| alone(plan, found, at, node))
        .collect();
    let possible = elsewhere.iter().filter(|other| other.is_feasible());
    match possible.max_by(|a, b| a.rps.total_cmp(&b.rps)) {
        None if elsewhere.is_empty() => format!("{name} on {shown}: there is no other node"),
        None => {
            let why = elsewhere[0].impossible.first().cloned().unwrap_or_default();
            format!("{name} on {shown}: it fits nowhere else ({why})")
        }
        Some(other) => {
            let node = other.placement.services[at]
                .first()
                .map_or(0, |(node, _)| *node);
            let node = &plan.nodes[node].name;
            let loss = 1.0 - other.rps / found.rps;
            if loss > WORTH_IT {
                format!(
                    "{name} on {shown}: on {node} it would be {:.1}/s ({:.0}% less), limited by {}",
                    other.rps,
                    loss * 100.0,
                    limit(plan, &other.bottleneck)
                )
            } else if are_equal(plan, other, found) {
                format!("{name} on {shown}: {node} would do as well")
            } else {
                format!(
                    "{name} on {shown}: {node} would do for the same rate, but not for what else counts"
                )
            }
        }
    }
}

/// The same placement with one service, and those that go with it, on one node only.
fn alone(plan: &Plan, found: &Prediction, at: usize, node: usize) -> Prediction {
    let mut placement = found.placement.clone();
    for service in super::model::group_of(plan, at) {
        placement.services[service] = vec![(node, 1.0)];
    }
    predict(plan, &placement)
}

/// What would raise the throughput: cheaper services, more cores, more copies. The best first.
pub(super) fn steps(plan: &Plan, best: &Prediction) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut tried = |what: String, changed: &Plan| {
        let Some(after) = rank(changed, 1).placements.into_iter().next() else {
            return;
        };
        let gain = after.rps / best.rps - 1.0;
        if gain > WORTH_IT {
            let then = limit(changed, &after.bottleneck);
            steps.push(Step {
                what,
                rps: after.rps,
                gain,
                then,
            });
        }
    };
    for at in concerned(plan, best) {
        let name = &plan.services[at].name;
        let mut cheaper = plan.clone();
        let service = &mut cheaper.services[at];
        service.demand_ms /= 2.0;
        if let Some(pool) = &mut service.pool {
            pool.curve.iter_mut().for_each(|(_, demand)| *demand /= 2.0);
        }
        tried(format!("halve {name}'s demand"), &cheaper);
        let has_room = plan.services[at].max_replicas < plan.nodes.len();
        if has_room
            && plan.services[at].pool.is_none()
            && plan.services[at].together_with.is_empty()
        {
            let mut more = plan.clone();
            more.services[at].max_replicas += 1;
            tried(format!("let {name} run on one node more"), &more);
        }
        if plan.services[at].threads_max.is_finite() {
            let mut more = plan.clone();
            more.services[at].threads_max *= 2.0;
            tried(format!("give {name} twice its threads"), &more);
        }
    }
    if let Bottleneck::Node(node) = best.bottleneck {
        let mut larger = plan.clone();
        let name = &plan.nodes[node].name;
        let cores = plan.nodes[node].cores;
        let (what, more) = match cores >= 1.0 {
            true => (format!("one core more for {name}"), 1.0),
            false => (format!("twice the CPU for {name}"), cores),
        };
        larger.nodes[node].cores += more;
        tried(what, &larger);
    }
    for (node, it) in plan.nodes.iter().enumerate() {
        let wants = |at: &usize| {
            let pool = plan.services[*at].pool.as_ref();
            pool.is_some_and(|pool| best.pool_mb[*at] < pool.max_mb)
        };
        let here = |at: &usize| {
            best.placement.services[*at]
                .iter()
                .any(|(home, _)| *home == node)
        };
        if (0..plan.services.len()).filter(here).any(|at| wants(&at)) {
            let mut larger = plan.clone();
            larger.nodes[node].memory_mb *= 2.0;
            tried(format!("twice the memory for {}", it.name), &larger);
        }
    }
    steps.sort_by(|a, b| b.gain.total_cmp(&a.gain));
    steps.truncate(MOST_STEPS);
    steps
}

/// The services that have to do with the bottleneck.
fn concerned(plan: &Plan, best: &Prediction) -> Vec<usize> {
    let services = 0..plan.services.len();
    match best.bottleneck {
        Bottleneck::Node(node) => services
            .filter(|at| plan.services[*at].demand_ms > 0.0)
            .filter(|at| {
                best.placement.services[*at]
                    .iter()
                    .any(|(home, _)| *home == node)
            })
            .collect(),
        Bottleneck::Threads { service, .. } => vec![service],
        Bottleneck::None => Vec::new(),
    }
}

/// Which rule leaves no placement: without it there would be one.
pub(super) fn in_the_way(plan: &Plan) -> Vec<String> {
    let mut why = Vec::new();
    let mut without = |what: &str, change: &dyn Fn(&mut Plan)| {
        let mut changed = plan.clone();
        change(&mut changed);
        if !rank(&changed, 1).placements.is_empty() {
            why.push(what.to_owned());
        }
    };
    without(
        "memory: with enough of it there would be a placement",
        &|plan| {
            plan.nodes.iter_mut().for_each(|node| node.memory_mb = 1e9);
        },
    );
    without(
        "apart_from: without it there would be a placement",
        &|plan| {
            plan.services
                .iter_mut()
                .for_each(|service| service.apart_from.clear());
        },
    );
    without(
        "pinned_to: without it there would be a placement",
        &|plan| {
            plan.services
                .iter_mut()
                .for_each(|service| service.pinned_to.clear());
        },
    );
    without(
        "background_cores and headroom: with all CPU for services there would be a placement",
        &|plan| {
            plan.headroom = 0.0;
            plan.nodes
                .iter_mut()
                .for_each(|node| node.background_cores = 0.0);
        },
    );
    without(
        "survive_node_failure: without it there would be a placement",
        &|plan| {
            plan.survive_node_failure = false;
        },
    );
    for (at, service) in plan.services.iter().enumerate() {
        let needs = service.memory_mb + service.pool.as_ref().map_or(0.0, |pool| pool.min_mb);
        let most = plan
            .nodes
            .iter()
            .map(|node| node.memory_mb)
            .fold(0.0, f64::max);
        if needs > most {
            why.push(format!(
                "{} needs {} MB, and the largest node has {} MB",
                plan.services[at].name,
                needs.ceil(),
                most.floor()
            ));
        }
    }
    if why.is_empty() {
        why.push("the rules together: no single one can be left out to make room".to_owned());
    }
    why
}
