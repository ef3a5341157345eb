//! A good placement soon: a first one by itself, then small changes as long as they help.

use super::{FLOW_STEPS, Item, Leaf, Search, bits};
use crate::placement::limits::CLIMB_STEPS;
use crate::placement::model::SAME;

/// Items that are moved at random before what was found is improved anew: few, then more, and again.
const SHAKEN: [usize; 5] = [2, 3, 2, 4, 6];

/// So many moved, and it goes on from what came of that, not from the best: away from a dead end.
const WANDERS: usize = 2;

impl Search<'_> {
    /// Improves the best that was found as long as small changes help, then shakes it and tries again.
    pub(super) fn climb(&mut self) {
        (self.steps, self.most_steps) = (0, CLIMB_STEPS);
        let Some(best) = self.found.first() else {
            return;
        };
        let of = |item: &Item| item.services.first().map_or(0, |at| best.sets[*at]);
        let mut best: Vec<u32> = self.items.iter().map(of).collect();
        let mut tried = best.clone();
        // The same plan gets the same answer.
        let mut random = fastrand::Rng::with_seed(1);
        for shaken in SHAKEN.into_iter().cycle() {
            if self.is_over() {
                return;
            }
            let reached = self.improve(&mut tried);
            if reached > self.floor * (1.0 + SAME) {
                self.keep(&tried);
                best.clone_from(&tried);
            }
            if shaken != WANDERS {
                tried.clone_from(&best);
            }
            for _ in 0..shaken {
                let at = random.usize(..tried.len());
                let sets = &self.items[at].sets;
                tried[at] = sets[random.usize(..sets.len())];
            }
        }
    }

    /// Takes a placement, by item, as the best so far.
    pub(super) fn keep(&mut self, by_item: &[u32]) {
        let sets = self.by_service(by_item);
        let rank = self.worth(&sets);
        self.floor = -rank[0];
        self.found = vec![Leaf { rank, sets }];
    }

    /// A placement to begin with: the dearest first, each where most CPU is left at the throughput that
    /// nothing can exceed. `None` if that ends where nothing fits.
    pub(super) fn greedy(&self) -> Option<Vec<u32>> {
        let mut left: Vec<f64> = match self.enough.is_finite() {
            true => self
                .capacities
                .iter()
                .map(|capacity| capacity / self.enough)
                .collect(),
            false => return None,
        };
        let mut memory: Vec<f64> = self.plan.nodes.iter().map(|node| node.memory_mb).collect();
        let mut chosen = vec![0u32; self.items.len()];
        let mut order: Vec<usize> = (0..self.items.len()).collect();
        order.sort_by(|a, b| self.items[*b].demand.total_cmp(&self.items[*a].demand));
        for at in order {
            let item = &self.items[at];
            let room = |set: u32| bits(set).map(|node| left[node].max(0.0)).sum::<f64>();
            let mut sets = item.sets.iter().copied().filter(|set| {
                bits(*set).all(|node| memory[node] >= item.memory - 1e-6)
                    && item.apart.iter().all(|other| chosen[*other] & set == 0)
            });
            let first = sets.next()?;
            let best = sets.fold((first, room(first)), |best, set| {
                let room = room(set);
                if room > best.1 { (set, room) } else { best }
            });
            let (set, room) = best;
            for node in bits(set) {
                let share = match room > 0.0 {
                    true => left[node].max(0.0) / room,
                    false => 1.0 / f64::from(set.count_ones()),
                };
                left[node] -= item.demand * share;
                memory[node] -= item.memory;
            }
            chosen[at] = set;
        }
        Some(chosen)
    }

    /// Moves one item, or two against each other, as long as that helps. Returns the throughput that
    /// is reached then; 0 for what is not allowed.
    fn improve(&mut self, sets: &mut [u32]) -> f64 {
        let Some(mut reached) = self.reaches(sets, 0.0) else {
            return 0.0;
        };
        loop {
            let before = reached;
            for at in 0..sets.len() {
                for choice in 0..self.items[at].sets.len() {
                    let old = std::mem::replace(&mut sets[at], self.items[at].sets[choice]);
                    match self.reaches(sets, reached) {
                        Some(more) => reached = more,
                        None => sets[at] = old,
                    }
                }
                for other in 0..at {
                    let can = |item: usize, set: u32| self.items[item].sets.contains(&set);
                    if sets[at] == sets[other] || !can(at, sets[other]) || !can(other, sets[at]) {
                        continue;
                    }
                    sets.swap(at, other);
                    match self.reaches(sets, reached) {
                        Some(more) => reached = more,
                        None => sets.swap(at, other),
                    }
                }
                if self.is_over() {
                    return reached;
                }
            }
            if reached <= before {
                return reached;
            }
        }
    }

    /// The throughput of a placement, by item, if it is allowed and more than a floor.
    pub(super) fn reaches(&mut self, by_item: &[u32], floor: f64) -> Option<f64> {
        self.steps += 1;
        let target = floor * (1.0 + SAME);
        if !self.is_allowed(by_item) || !self.could_reach(by_item, target) {
            return None;
        }
        self.steps += FLOW_STEPS;
        let reached = -self.worth(&self.by_service(by_item))[0];
        (reached > target).then_some(reached)
    }

    /// What no throughput as high can do without: each on one node finds room there, and those that
    /// may be split find it beside them.
    fn could_reach(&self, by_item: &[u32], target: f64) -> bool {
        let mut load = vec![0.0; self.capacities.len()];
        for (item, set) in self.items[..self.singles].iter().zip(by_item) {
            load[set.trailing_zeros() as usize] += item.demand;
            if item.most < item.demand * target {
                return false;
            }
        }
        let mut nodes = self.capacities.iter().zip(&load);
        if !nodes.all(|(capacity, load)| *capacity >= load * target) {
            return false;
        }
        let room = self.room(&load, target);
        (self.singles..self.items.len()).all(|at| {
            let groups = self.groups(at, by_item);
            self.shares_fit(at, by_item, &groups, &room, target)
        })
    }

    /// Whether memory suffices and strangers are apart.
    fn is_allowed(&self, by_item: &[u32]) -> bool {
        let fits = self.plan.nodes.iter().enumerate().all(|(node, it)| {
            let items = self.items.iter().zip(by_item);
            let here = items.filter(|(_, set)| **set & (1 << node) != 0);
            here.map(|(item, _)| item.memory).sum::<f64>() <= it.memory_mb + 1e-6
        });
        let mut items = self.items.iter().zip(by_item);
        fits && items.all(|(item, set)| item.apart.iter().all(|other| set & by_item[*other] == 0))
    }
}
