//! The best placements: branch and bound for the highest throughput, exact unless it is cut short,
//! and then with a bound on what may be missing.
//!
//! Services that live on one node are placed first, the dearest first. A branch is given up when
//! what is left of the nodes at the throughput that is to be beaten cannot hold what still has to be
//! placed: by CPU, where rests too small for anything do not count, and by memory. Services that
//! may be split come last; until they are placed they count as if they could be anywhere.

mod climb;
mod order;

use super::flow;
use super::limits::{ALL_PLACEMENTS, KEPT, SEARCH_STEPS, TIE_STEPS};
use super::model::{
    Prediction, SAME, bits, even, group_of, pools, predict, predict_best, second_highest, splits,
};
use super::plan::Plan;
pub(super) use order::are_equal;
use order::{SAME_RATE, order, ties, worth};

/// The best placements of a plan.
#[derive(Debug, Clone, Default)]
pub struct Ranking {
    /// The best first. Empty when there is none that is possible.
    pub placements: Vec<Prediction>,
    /// Whether nothing can be better than the first: the search was not cut short.
    pub is_proven: bool,
    /// The throughput that no placement can exceed: if everything could be split over all its nodes.
    pub bound: f64,
    /// How many placements besides the first give the same throughput, as far as they were kept.
    pub ties: usize,
    /// Nodes that differ in nothing but their names, and could be exchanged: of placements that differ in
    /// that only one is named.
    pub alike: Vec<Vec<usize>>,
}

/// Finds the best placements, at most `count` of them.
pub fn rank(plan: &Plan, count: usize) -> Ranking {
    let mut search = Search::new(plan);
    let count = count.min(super::limits::MOST_RANKED);
    let mut is_proven = true;
    let bound = search.at_most(0);
    search.enough = bound * (1.0 - SAME);
    if search.placements() <= ALL_PLACEMENTS {
        search.collect(0.0, u64::MAX);
    } else {
        let highest = search.highest();
        is_proven = !search.is_cut_short;
        for share in [1.0, 0.7, 0.0] {
            if search.found.len() < count || share == 1.0 {
                search.collect(highest * share, TIE_STEPS);
            }
        }
        // The one that was found first is in any case among them.
        search.keep_best();
    }
    // Who asks for one only does not ask how many are as good.
    let as_good = if count > 1 { search.as_good() } else { 0 };
    let mut placements = search.ranked(as_good.max(count + 2));
    let ties = ties(&placements);
    placements.truncate(count);
    Ranking {
        ties,
        alike: search.alike(),
        is_proven: is_proven
            || placements
                .first()
                .is_some_and(|best| best.rps >= bound * (1.0 - SAME)),
        placements,
        bound,
    }
}

/// What a flow costs, in steps of the search.
const FLOW_STEPS: u64 = 24;

/// Choices for a service that may be split, of which most are given up at a glance, for one step.
const GLANCES: u64 = 8;

/// Steps before what was found is improved for the first time.
const FIRST_STEPS: u64 = 200;

/// Services that may be split and are looked at in all their groups; of more, only all together.
const GROUPED: usize = 4;

/// Services that have to be placed alike.
#[derive(Debug)]
struct Item {
    services: Vec<usize>,
    /// CPU milliseconds a request, with buffer pools at their largest.
    demand: f64,
    /// Memory in MiB, with buffer pools at their smallest.
    memory: f64,
    /// The sets of nodes that it may have.
    sets: Vec<u32>,
    /// The CPU that it can use on one node, in milliseconds a second.
    most: f64,
    /// Items that must not be on the same nodes.
    apart: Vec<usize>,
    is_single: bool,
}

struct Search<'a> {
    plan: &'a Plan,
    items: Vec<Item>,
    /// How many of them, from the first on, live on one node.
    singles: usize,
    /// Whether demands are what they are, wherever a service is: no buffer pools.
    is_linear: bool,
    capacities: Vec<f64>,
    /// Nodes that differ in nothing but their name have the same class.
    classes: Vec<usize>,
    /// Of the items from a place on: what they need.
    rest: Vec<Rest>,
    load: Vec<f64>,
    memory: Vec<f64>,
    /// How many items are on a node.
    placed: Vec<u32>,
    chosen: Vec<u32>,
    /// The throughput that has to be reached.
    floor: f64,
    /// The throughput at which the search for the highest ends.
    enough: f64,
    collects: bool,
    steps: u64,
    most_steps: u64,
    is_cut_short: bool,
    found: Vec<Leaf>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Rest {
    /// Of those on one node.
    demand: f64,
    least: f64,
    /// Of those that may be split, and on how many nodes they can be.
    split_demand: f64,
    split_nodes: usize,
    memory: f64,
}

#[derive(Debug, Clone)]
struct Leaf {
    rank: [f64; 4],
    sets: Vec<u32>,
}

impl<'a> Search<'a> {
    fn new(plan: &'a Plan) -> Self {
        let mut items: Vec<Item> = Vec::new();
        for at in 0..plan.services.len() {
            let group = group_of(plan, at);
            if group.first() == Some(&at) {
                items.push(item(plan, group));
            }
        }
        let cost = |item: &Item| (item.is_single, item.demand, item.memory);
        items.sort_by(|a, b| {
            let (a, b) = (cost(a), cost(b));
            b.0.cmp(&a.0)
                .then(b.1.total_cmp(&a.1))
                .then(b.2.total_cmp(&a.2))
        });
        let apart: Vec<Vec<usize>> = items.iter().map(|it| apart(plan, &items, it)).collect();
        for (item, apart) in items.iter_mut().zip(apart) {
            item.apart = apart;
        }
        let singles = items.iter().filter(|item| item.is_single).count();
        let mut rest = vec![
            Rest {
                least: f64::INFINITY,
                ..Rest::default()
            };
            items.len() + 1
        ];
        for at in (0..items.len()).rev() {
            let (item, after) = (&items[at], rest[at + 1]);
            rest[at] = Rest {
                memory: after.memory + item.memory,
                ..after
            };
            if item.is_single {
                rest[at].demand += item.demand;
                rest[at].least = after.least.min(item.demand);
            } else {
                rest[at].split_demand += item.demand;
                rest[at].split_nodes += item
                    .sets
                    .iter()
                    .map(|set| set.count_ones() as usize)
                    .max()
                    .unwrap_or(0);
            }
        }
        let nodes = plan.nodes.len();
        Self {
            capacities: plan.capacities(),
            classes: classes(plan, &items),
            load: vec![0.0; nodes],
            memory: plan.nodes.iter().map(|node| node.memory_mb).collect(),
            placed: vec![0; nodes],
            chosen: vec![0; items.len()],
            is_linear: plan.services.iter().all(|service| service.pool.is_none()),
            singles,
            rest,
            items,
            plan,
            floor: 0.0,
            enough: f64::INFINITY,
            collects: false,
            steps: 0,
            most_steps: 0,
            is_cut_short: false,
            found: Vec::new(),
        }
    }

    /// How many placements there are, rules aside.
    fn placements(&self) -> f64 {
        self.items
            .iter()
            .map(|item| item.sets.len() as f64)
            .product()
    }

    /// The highest throughput. A good one is found first, so that what is not better is given up early.
    fn highest(&mut self) -> f64 {
        self.floor = 0.0;
        if let Some(first) = self.greedy()
            && self.reaches(&first, 0.0).is_some()
        {
            self.keep(&first);
        }
        self.descend(FIRST_STEPS);
        if self.is_cut_short {
            self.climb();
            self.descend(SEARCH_STEPS);
        }
        self.floor
    }

    /// Looks for something better than the floor.
    fn descend(&mut self, most_steps: u64) {
        (self.collects, self.steps, self.most_steps) = (false, 0, most_steps);
        self.place(0);
        self.is_cut_short = self.steps >= self.most_steps;
    }

    /// What is left of each node for a throughput beside a load, in milliseconds a request.
    fn room(&self, load: &[f64], target: f64) -> Vec<f64> {
        let nodes = self.capacities.iter().zip(load);
        let room = nodes.map(|(capacity, load)| (capacity / target - load).max(0.0));
        room.collect()
    }

    /// Whether an item that may be split could have what it needs for a throughput, alone and with
    /// each group of those before it: what a group needs has to be there on its nodes together.
    fn shares_fit(
        &self,
        at: usize,
        by_item: &[u32],
        groups: &[(u32, f64)],
        room: &[f64],
        target: f64,
    ) -> bool {
        if target <= 0.0 {
            return true;
        }
        let slack = 1.0 - SAME;
        let item = &self.items[at];
        let most = item.most / target;
        let own: f64 = bits(by_item[at]).map(|node| room[node].min(most)).sum();
        if own < item.demand * slack {
            return false;
        }
        groups.iter().all(|(set, demand)| {
            let room = bits(set | by_item[at]).map(|node| room[node]);
            room.sum::<f64>() >= (demand + item.demand) * slack
        })
    }

    /// The nodes and the demand of all groups of those before an item that may be split, if there are
    /// few; else of all of them together.
    fn groups(&self, at: usize, by_item: &[u32]) -> Vec<(u32, f64)> {
        let items = self.items[..at].iter().zip(by_item).skip(self.singles);
        let mut groups = vec![(0, 0.0)];
        for (item, set) in items {
            let joined = groups
                .iter()
                .map(|(all, demand)| (all | set, demand + item.demand));
            match at - self.singles <= GROUPED {
                true => groups.extend(joined.collect::<Vec<_>>()),
                false => groups = joined.collect(),
            }
        }
        groups
    }

    /// Gathers placements that reach a throughput.
    fn collect(&mut self, floor: f64, most_steps: u64) {
        let floor = floor * (1.0 - SAME * 10.0);
        (self.collects, self.floor, self.steps, self.most_steps) = (true, floor, 0, most_steps);
        self.place(0);
        self.keep_best();
    }

    fn place(&mut self, at: usize) {
        self.steps += 1;
        if self.is_over() {
            return;
        }
        if at == self.items.len() {
            self.leaf();
        } else if at < self.singles {
            self.place_single(at);
        } else {
            self.place_split(at);
        }
    }

    /// Whether it has taken too long, or nothing can be better.
    fn is_over(&self) -> bool {
        self.steps >= self.most_steps || !self.collects && self.floor >= self.enough
    }

    /// What has to be reached: more than the best so far, or the floor.
    fn target(&self) -> f64 {
        match self.collects {
            true => self.floor,
            false => self.floor * (1.0 + SAME),
        }
    }

    fn place_single(&mut self, at: usize) {
        let (demand, memory) = (self.items[at].demand, self.items[at].memory);
        let mut nodes: Vec<usize> = Vec::with_capacity(self.items[at].sets.len());
        let mut empty_classes = 0u32;
        for set in &self.items[at].sets {
            let node = set.trailing_zeros() as usize;
            // Empty nodes that differ in nothing are one choice.
            if self.placed[node] == 0 {
                if empty_classes & (1 << self.classes[node]) != 0 {
                    continue;
                }
                empty_classes |= 1 << self.classes[node];
            }
            nodes.push(node);
        }
        let busy = |node: usize| (self.load[node] + demand) / self.capacities[node].max(1e-300);
        nodes.sort_by(|a, b| busy(*a).total_cmp(&busy(*b)));
        for node in nodes {
            // The floor rises when something better is found.
            let target = self.target();
            let load = self.load[node] + demand;
            if self.capacities[node] < load * target
                || self.items[at].most < demand * target
                || self.memory[node] < memory - 1e-6
                || self.is_beside_a_stranger(at, 1 << node)
            {
                continue;
            }
            let before = self.load[node];
            self.load[node] = load;
            self.memory[node] -= memory;
            self.placed[node] += 1;
            self.chosen[at] = 1 << node;
            if self.rest_fits(at + 1, target) {
                self.place(at + 1);
            }
            self.load[node] = before;
            self.memory[node] += memory;
            self.placed[node] -= 1;
            self.chosen[at] = 0;
        }
    }

    /// Whether what is not placed yet could still fit for a throughput.
    fn rest_fits(&self, from: usize, target: f64) -> bool {
        let rest = self.rest[from];
        let spare: f64 = self.memory.iter().filter(|memory| **memory > 0.0).sum();
        if spare < rest.memory - 1e-6 {
            return false;
        }
        if target <= 0.0 {
            return true;
        }
        let mut left = self.room(&self.load, target);
        if !self.rest_has_slots(from, &left) {
            return false;
        }
        if rest.split_nodes > 0 && rest.split_nodes < left.len() {
            left.sort_unstable_by(|a, b| b.total_cmp(a));
        }
        // What may be split is poured into the nodes with most room; on the others room that is too
        // small for anything is none.
        let (poured, others) = left.split_at(rest.split_nodes.min(left.len()));
        let poured: f64 = poured.iter().sum();
        let fits = |left: &&f64| **left >= rest.least * (1.0 - SAME);
        let others: f64 = others.iter().filter(fits).sum();
        let slack = 1.0 - SAME;
        poured >= rest.split_demand * slack
            && poured + others.min(rest.demand) >= (rest.demand + rest.split_demand) * slack
    }

    /// Whether the nodes have places enough for those on one node that are still to be placed, at
    /// each of their sizes: so many as are at least so large.
    fn rest_has_slots(&self, from: usize, left: &[f64]) -> bool {
        let rest = self.items[..self.singles].iter().skip(from);
        let largest = left.iter().copied().fold(0.0, f64::max) * (1.0 + SAME);
        // Where many go into one node, the sum of what is left says as much.
        let rest = rest.take_while(|item| item.demand * 3.0 > largest);
        rest.zip(1..).all(|(item, needed)| {
            let slots = |left: &f64| match () {
                () if left * (1.0 + SAME) < item.demand => 0,
                () if left * (1.0 + SAME) < item.demand * 2.0 => 1,
                () => 2,
            };
            left.iter().map(slots).sum::<usize>() >= needed
        })
    }

    fn is_beside_a_stranger(&self, at: usize, set: u32) -> bool {
        let mut apart = self.items[at].apart.iter();
        apart.any(|other| self.chosen[*other] & set != 0)
    }

    fn place_split(&mut self, at: usize) {
        let memory = self.items[at].memory;
        let has_many = self.items.len() - self.singles > GROUPED;
        self.steps += self.items[at].sets.len() as u64 / GLANCES;
        let groups = self.groups(at, &self.chosen);
        let mut target = self.target();
        let mut room = self.room(&self.load, target);
        for choice in 0..self.items[at].sets.len() {
            if self.is_over() {
                break;
            }
            if self.target() > target {
                target = self.target();
                room = self.room(&self.load, target);
            }
            let set = self.items[at].sets[choice];
            self.chosen[at] = set;
            if !self.shares_fit(at, &self.chosen, &groups, &room, target)
                || bits(set).any(|node| self.memory[node] < memory - 1e-6)
                || self.is_beside_a_stranger(at, set)
                || has_many && target > 0.0 && self.at_most(at + 1) < target
            {
                continue;
            }
            bits(set).for_each(|node| self.memory[node] -= memory);
            bits(set).for_each(|node| self.placed[node] += 1);
            self.place(at + 1);
            bits(set).for_each(|node| self.placed[node] -= 1);
            bits(set).for_each(|node| self.memory[node] += memory);
        }
        self.chosen[at] = 0;
    }

    /// The throughput that is not exceeded if those from `from` on may be split over all their nodes.
    fn at_most(&mut self, from: usize) -> f64 {
        self.steps += FLOW_STEPS;
        let split = |(at, item): (usize, &Item)| flow::Split {
            demand: item.demand,
            nodes: match at < from {
                true => self.chosen[at],
                false => item.sets.iter().fold(0, |all, set| all | set),
            },
            most: item.most,
        };
        let splits: Vec<flow::Split> = self.items.iter().enumerate().map(split).collect();
        flow::largest(&splits, &self.capacities).throughput
    }

    fn leaf(&mut self) {
        if !self.collects && self.singles == self.items.len() && self.is_linear {
            // Everything is on one node each: the loads say it all.
            let nodes = self.capacities.iter().zip(&self.load);
            let busy = nodes.filter(|(_, load)| **load > 0.0);
            let rps = busy
                .map(|(capacity, load)| capacity / load)
                .fold(f64::INFINITY, f64::min);
            let threads = self.items.iter().filter(|item| item.demand > 0.0);
            let threads = threads.map(|item| item.most / item.demand);
            let rps = threads.fold(rps, f64::min);
            if rps > self.floor {
                self.floor = rps;
                let (rank, sets) = ([-rps, 0.0, 0.0, 0.0], self.by_service(&self.chosen));
                self.found = vec![Leaf { rank, sets }];
            }
            return;
        }
        self.steps += FLOW_STEPS;
        let sets = self.by_service(&self.chosen);
        let rank = self.worth(&sets);
        if -rank[0] < self.target() {
            return;
        }
        if !self.collects {
            self.floor = -rank[0];
            self.found.clear();
        }
        self.found.push(Leaf { rank, sets });
        if self.found.len() > KEPT * 8 {
            self.keep_best();
        }
    }

    /// Sets of nodes by service, from those by item.
    fn by_service(&self, by_item: &[u32]) -> Vec<u32> {
        let mut sets = vec![0; self.plan.services.len()];
        for (item, set) in self.items.iter().zip(by_item) {
            item.services
                .iter()
                .for_each(|service| sets[*service] = *set);
        }
        sets
    }

    /// What a placement is worth, roughly where it is split: throughput first.
    fn worth(&self, sets: &[u32]) -> [f64; 4] {
        let replicas: u32 = sets.iter().map(|set| set.count_ones()).sum();
        let even = even(sets);
        if replicas as usize == sets.len() {
            let found = predict(self.plan, &even);
            return [
                -found.rps,
                found.second_busiest(),
                found.hops,
                f64::from(replicas),
            ];
        }
        let (_, demands) = pools(self.plan, &even);
        let flow = flow::largest(&splits(self.plan, sets, &demands), &self.capacities);
        let nodes = self.capacities.len();
        let busy = |node: usize| {
            let used: f64 = (0..sets.len()).map(|at| flow.used[at * nodes + node]).sum();
            used / self.capacities[node].max(1e-300)
        };
        let second = second_highest((0..nodes).map(busy).collect());
        [-flow.throughput, second, 0.0, f64::from(replicas)]
    }

    /// How many of those that were found have the highest throughput.
    fn as_good(&self) -> usize {
        let best = self.found.first().map_or(0.0, |leaf| leaf.rank[0]);
        let same = |leaf: &&Leaf| leaf.rank[0] <= best * (1.0 - SAME_RATE);
        self.found.iter().filter(same).count()
    }

    /// Nodes of one class, where there are several.
    fn alike(&self) -> Vec<Vec<usize>> {
        let nodes = 0..self.classes.len();
        let of = |class: usize| {
            nodes
                .clone()
                .filter(move |node| self.classes[*node] == class)
        };
        let classes = nodes.clone().map(|class| of(class).collect::<Vec<usize>>());
        classes.filter(|nodes| nodes.len() > 1).collect()
    }

    fn keep_best(&mut self) {
        order(&mut self.found, &|leaf: &Leaf| leaf.rank, 0);
        self.found.dedup_by(|a, b| a.sets == b.sets);
        self.found.truncate(KEPT);
    }

    /// The best, those that are split with their weights: some more than asked for, as levelled weights
    /// may change their order.
    fn ranked(&self, most: usize) -> Vec<Prediction> {
        let most = if self.singles == self.items.len() {
            KEPT
        } else {
            most
        };
        let found = self.found.iter().take(most);
        let found = found.map(|leaf| predict_best(self.plan, &leaf.sets));
        let mut placements: Vec<Prediction> = found.filter(Prediction::is_feasible).collect();
        order(&mut placements, &|it: &Prediction| worth(self.plan, it), 0);
        // Without the copies that have nothing to do, two may be one.
        let mut seen: Vec<Vec<u32>> = Vec::new();
        placements.retain(|found| {
            let sets = found.placement.sets();
            let is_new = !seen.contains(&sets);
            seen.extend(is_new.then_some(sets));
            is_new
        });
        placements
    }
}

fn item(plan: &Plan, services: Vec<usize>) -> Item {
    let all = (0..plan.nodes.len()).fold(0u32, |set, node| set | 1 << node);
    let of = |at: &usize| &plan.services[*at];
    let allowed =
        services
            .iter()
            .map(of)
            .fold(all, |allowed, service| match service.pinned_to.is_empty() {
                true => allowed,
                false => {
                    allowed
                        & service
                            .pinned_to
                            .iter()
                            .fold(0, |set, node| set | 1 << node)
                }
            });
    let most = services
        .iter()
        .map(|at| of(at).max_replicas)
        .min()
        .unwrap_or(1);
    let least = if plan.survive_node_failure { 2 } else { 1 };
    let demand_of = |at: &usize| {
        let service = of(at);
        service
            .pool
            .as_ref()
            .map_or(service.demand_ms, |pool| pool.demand_ms(pool.max_mb))
    };
    let demand: f64 = services.iter().map(demand_of).sum();
    let threads = services.iter().map(|at| match demand_of(at) > 0.0 {
        true => of(at).threads_max * 1000.0 * demand / demand_of(at),
        false => f64::INFINITY,
    });
    let memory = services.iter().map(|at| {
        let service = of(at);
        service.memory_mb + service.pool.as_ref().map_or(0.0, |pool| pool.min_mb)
    });
    let sets = subsets(allowed, least, most);
    Item {
        is_single: most == 1 && least == 1,
        demand,
        memory: memory.sum(),
        most: threads.fold(f64::INFINITY, f64::min),
        sets,
        apart: Vec::new(),
        services,
    }
}

/// The subsets of a set with `least` to `most` members.
fn subsets(set: u32, least: usize, most: usize) -> Vec<u32> {
    let mut subsets = vec![0u32];
    for bit in bits(set) {
        let with: Vec<u32> = subsets
            .iter()
            .filter(|subset| (subset.count_ones() as usize) < most)
            .map(|subset| subset | 1 << bit)
            .collect();
        subsets.extend(with);
    }
    subsets.retain(|subset| (subset.count_ones() as usize) >= least);
    // Many places first: they allow the most.
    subsets.sort_by_key(|subset| (std::cmp::Reverse(subset.count_ones()), *subset));
    subsets
}

fn apart(plan: &Plan, items: &[Item], item: &Item) -> Vec<usize> {
    let against = |other: &Item| {
        item.services.iter().any(|at| {
            let apart = &plan.services[*at].apart_from;
            let also = other.services.iter();
            also.clone()
                .any(|it| apart.contains(it) || plan.services[*it].apart_from.contains(at))
        })
    };
    let others = items.iter().enumerate();
    others
        .filter(|(_, other)| against(other))
        .map(|(at, _)| at)
        .collect()
}

/// Numbers for nodes that are alike: in what they have, and in what may be on them.
fn classes(plan: &Plan, items: &[Item]) -> Vec<usize> {
    let kind = |node: usize| {
        let it = &plan.nodes[node];
        let allowed: Vec<bool> = items
            .iter()
            .map(|item| item.sets.iter().any(|set| set & (1 << node) != 0))
            .collect();
        let figures = [it.cores, it.memory_mb, it.background_cores].map(f64::to_bits);
        (figures, allowed)
    };
    let kinds: Vec<_> = (0..plan.nodes.len()).map(kind).collect();
    let first = |of: &([u64; 3], Vec<bool>)| kinds.iter().position(|kind| kind == of);
    kinds.iter().map(|kind| first(kind).unwrap_or(0)).collect()
}

/// The highest throughput by branch and bound, however small the plan is.
#[cfg(test)]
pub(super) fn highest_of(plan: &Plan) -> f64 {
    Search::new(plan).highest()
}
