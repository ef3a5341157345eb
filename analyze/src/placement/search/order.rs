//! Which of two placements is the better one, and when they are the same.

use crate::placement::model::Prediction;
use crate::placement::plan::Plan;

/// Other placements with the throughput of the best: a tie, which only what else counts has decided.
pub(super) fn ties(placements: &[Prediction]) -> usize {
    let first = placements.first().map_or(0.0, |first| first.rps);
    let same = |other: &&Prediction| other.rps >= first * (1.0 - SAME_RATE);
    placements.iter().skip(1).filter(same).count()
}

/// What a placement is worth, each figure less the better and worth more than those behind it:
/// throughput, the room on the second busiest node, calls over the network, processes, how evenly
/// memory is used.
pub(super) fn worth(plan: &Plan, it: &Prediction) -> [f64; 5] {
    let replicas: usize = it.placement.services.iter().map(Vec::len).sum();
    // Memory is spread best when the squares of its shares are least.
    let nodes = it.memory_mb.iter().zip(&plan.nodes);
    let shares = nodes.map(|(used, node)| used / node.memory_mb);
    let spread: f64 = shares.map(|share| share * share).sum();
    [
        -it.rps,
        it.second_busiest(),
        it.hops,
        replicas as f64,
        spread,
    ]
}

/// Whether two placements are worth the same in everything that counts.
pub(in crate::placement) fn are_equal(plan: &Plan, a: &Prediction, b: &Prediction) -> bool {
    let (a, b) = (worth(plan, a), worth(plan, b));
    a.iter().zip(&b).all(|(a, b)| is_same(*a, *b))
}

/// Sorts by figures, of which the first counts most; where it is the same the next one does, and so on.
/// What is nearly the same is no order by itself (a like b, b like c, a unlike c), so those that are the same
/// as the least of them are sorted as a group of their own.
pub(super) fn order<T, const N: usize>(
    items: &mut [T],
    worth: &impl Fn(&T) -> [f64; N],
    figure: usize,
) {
    if figure == N || items.len() < 2 {
        return;
    }
    items.sort_by(|a, b| worth(a)[figure].total_cmp(&worth(b)[figure]));
    let mut rest = items;
    while let Some(first) = rest.first() {
        let least = worth(first)[figure];
        let same = rest
            .iter()
            .take_while(|it| is_same(least, worth(it)[figure]));
        // At least the first, whatever its figure is.
        let (group, others) = rest.split_at_mut(same.count().max(1));
        order(group, worth, figure + 1);
        rest = others;
    }
}

/// Whether figures differ by rounding only.
fn is_same(a: f64, b: f64) -> bool {
    (a - b).abs() <= SAME_RATE * a.abs().max(b.abs())
}

/// Figures of placements that differ by less are the same: levelled weights are known to a ten-thousandth.
pub(super) const SAME_RATE: f64 = 1e-4;
