//! Users that did the same are one kind of user.

use rustc_hash::{FxHashMap, FxHashSet};

use super::flow::Flow;
use super::limits::KINDS;
use super::model::Exchange;
use super::names::{Names, of_route};

/// A kind of user.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    pub(super) name: String,
    /// What one of them did, who stands for all.
    pub(super) flow: Flow,
    /// When each of them came, in microseconds since the Unix epoch.
    pub(super) arrivals: Vec<i64>,
}

/// Users that are of no kind that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rest {
    pub(super) users: usize,
    pub(super) routes: String,
}

/// How alike two flows must be, from the strictest on.
#[derive(Debug, Clone, Copy)]
enum Alike {
    /// The same requests in the same order.
    Sequence,
    /// The same where what comes several times in a row is one.
    Repeats,
    /// The same in the order of their first times.
    Order,
    /// The same in any order.
    Set,
}

fn key(flow: &Flow, all: &[Exchange], alike: Alike) -> Vec<String> {
    let mut shapes: Vec<String> = flow.steps.iter().map(|step| step.shape(all)).collect();
    match alike {
        Alike::Sequence => {}
        Alike::Repeats => shapes.dedup(),
        Alike::Order => {
            let mut seen = FxHashSet::default();
            shapes.retain(|shape| seen.insert(shape.clone()));
        }
        Alike::Set => {
            shapes.sort();
            shapes.dedup();
        }
    }
    shapes
}

/// Merge flows until there are few enough kinds; the rarest that are too many are said.
pub(super) fn kinds(
    flows: Vec<Flow>,
    all: &[Exchange],
    names: &mut Names,
) -> (Vec<Kind>, Vec<Rest>) {
    let mut groups: Vec<Vec<Flow>> = Vec::new();
    for alike in [Alike::Sequence, Alike::Repeats, Alike::Order, Alike::Set] {
        groups = grouped(&flows, all, alike);
        if groups.len() <= KINDS {
            break;
        }
    }
    // Of equals, who came first stays first.
    let mut by_size: Vec<usize> = (0..groups.len()).collect();
    by_size.sort_by_key(|&group| std::cmp::Reverse(groups[group].len()));
    let kept: FxHashSet<usize> = by_size.into_iter().take(KINDS).collect();
    let (mut kinds, mut rest) = (Vec::new(), Vec::new());
    for (number, mut group) in groups.into_iter().enumerate() {
        if !kept.contains(&number) {
            let routes = routes(&group[0], all);
            rest.push(Rest {
                users: group.len(),
                routes,
            });
            continue;
        }
        let arrivals = group.iter().map(|flow| flow.began_us).collect();
        group.sort_by_key(|flow| flow.steps.len());
        let flow = group.swap_remove(group.len() / 2);
        kinds.push(Kind {
            name: names.take(&wanted(&flow, all)),
            flow,
            arrivals,
        });
    }
    (kinds, rest)
}

fn grouped(flows: &[Flow], all: &[Exchange], alike: Alike) -> Vec<Vec<Flow>> {
    let mut groups: Vec<Vec<Flow>> = Vec::new();
    let mut numbers: FxHashMap<Vec<String>, usize> = FxHashMap::default();
    for flow in flows {
        let number = *numbers.entry(key(flow, all, alike)).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[number].push(flow.clone());
    }
    groups
}

fn routes(flow: &Flow, all: &[Exchange]) -> String {
    let mut shown: Vec<String> = flow
        .steps
        .iter()
        .map(|step| all[step.exchange].route())
        .collect();
    shown.dedup();
    let more = shown.len().saturating_sub(4);
    shown.truncate(4);
    match more {
        0 => shown.join(", "),
        _ => format!("{}, and {more} more", shown.join(", ")),
    }
}

/// A kind is called after the first thing that it does, rather than looks at.
fn wanted(flow: &Flow, all: &[Exchange]) -> String {
    let exchanges = || flow.steps.iter().map(|step| &all[step.exchange]);
    let doing = exchanges().find(|exchange| exchange.method != "GET" && exchange.method != "HEAD");
    let looking = || exchanges().find(|exchange| !exchange.is_asset() && exchange.path() != "/");
    let name = doing
        .or_else(looking)
        .map(|exchange| of_route(&exchange.route()));
    match name {
        Some(name) if !name.is_empty() => name,
        _ => "visitor".to_owned(),
    }
}
