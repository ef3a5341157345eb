//! How much work fits: services that may be split over nodes, as a flow.
//!
//! For a throughput X an item asks for X times its demand of CPU, through its nodes, each of which
//! takes so much of it, to the capacities of the nodes. X is possible if all of that flows. If it
//! does not, the smallest cut names items and nodes that are too small together, and with them the
//! largest X that they allow (Dinkelbach's method on the cut); a few rounds reach the maximum.

/// Below this share of the whole a rest of a flow is none.
const NOTHING: f64 = 1e-12;

/// Rounds that are enough for any number of items and nodes.
const ROUNDS: usize = 200;

/// An item to be split.
#[derive(Debug, Clone, Copy)]
pub(super) struct Split {
    /// CPU milliseconds a request.
    pub(super) demand: f64,
    /// The nodes that it may use, a bit for each.
    pub(super) nodes: u32,
    /// CPU milliseconds a second that it can use on one node.
    pub(super) most: f64,
}

/// The largest throughput, and the CPU that each item then has on each node.
#[derive(Debug, Clone, Default)]
pub(super) struct Flow {
    pub(super) throughput: f64,
    /// Item by item, node by node, in milliseconds a second.
    pub(super) used: Vec<f64>,
}

/// Finds the largest throughput. Without a demand it is infinite.
pub(super) fn largest(items: &[Split], capacities: &[f64]) -> Flow {
    let total: f64 = items.iter().map(|item| item.demand).sum();
    if total <= 0.0 {
        return Flow {
            throughput: f64::INFINITY,
            used: vec![0.0; items.len() * capacities.len()],
        };
    }
    let whole: f64 = capacities.iter().sum();
    let mut throughput = whole / total;
    let mut network = Network::new(items, capacities);
    for _ in 0..ROUNDS {
        network.push(throughput);
        match network.cut() {
            Some(lower) if lower < throughput * (1.0 - 1e-13) => throughput = lower,
            _ => break,
        }
    }
    Flow {
        throughput,
        used: network.used,
    }
}

/// Whether all items get what a throughput asks for, with capacities as given; then how.
pub(super) fn fits(items: &[Split], capacities: &[f64], throughput: f64) -> Option<Vec<f64>> {
    let mut network = Network::new(items, capacities);
    network.push(throughput);
    network.cut().is_none().then_some(network.used)
}

struct Network<'a> {
    items: &'a [Split],
    capacities: &'a [f64],
    /// What flows from an item to a node.
    used: Vec<f64>,
    /// What an item still wants.
    wanted: Vec<f64>,
    /// What a node still has.
    left: Vec<f64>,
    nothing: f64,
    seen_items: Vec<bool>,
    /// The items that were seen, in order.
    queue: Vec<usize>,
    /// For each of them the node from which it was seen, if it does not want something itself.
    from: Vec<Option<usize>>,
    /// For each node that was reached the item from which.
    reached: Vec<Option<usize>>,
}

impl<'a> Network<'a> {
    fn new(items: &'a [Split], capacities: &'a [f64]) -> Self {
        Self {
            items,
            capacities,
            used: vec![0.0; items.len() * capacities.len()],
            wanted: vec![0.0; items.len()],
            left: vec![0.0; capacities.len()],
            nothing: 0.0,
            seen_items: vec![false; items.len()],
            queue: Vec::with_capacity(items.len()),
            from: vec![None; items.len()],
            reached: vec![None; capacities.len()],
        }
    }

    /// Lets as much flow as can for a throughput.
    fn push(&mut self, throughput: f64) {
        self.used.fill(0.0);
        self.left.copy_from_slice(self.capacities);
        for (wanted, item) in self.wanted.iter_mut().zip(self.items) {
            *wanted = item.demand * throughput;
        }
        self.nothing = NOTHING * self.wanted.iter().sum::<f64>().max(1e-300);
        // Each round fills an edge on a shortest path; so many rounds are never needed.
        for _ in 0..10_000 {
            if !self.push_once() {
                return;
            }
        }
    }

    /// One path from an item that wants to a node that has, over items that can give way.
    fn push_once(&mut self) -> bool {
        self.seen_items.fill(false);
        self.reached.fill(None);
        self.queue.clear();
        self.from.fill(None);
        for item in 0..self.items.len() {
            if self.wanted[item] > self.nothing {
                self.seen_items[item] = true;
                self.queue.push(item);
            }
        }
        let mut at = 0;
        while let Some(&item) = self.queue.get(at) {
            at += 1;
            for node in 0..self.capacities.len() {
                if self.reached[node].is_some() || self.room(item, node) <= self.nothing {
                    continue;
                }
                self.reached[node] = Some(item);
                if self.left[node] > self.nothing {
                    self.take(item, node);
                    return true;
                }
                for (other, giver) in self.from.iter_mut().enumerate() {
                    let gives = self.used[other * self.capacities.len() + node];
                    if !self.seen_items[other] && gives > self.nothing {
                        self.seen_items[other] = true;
                        *giver = Some(node);
                        self.queue.push(other);
                    }
                }
            }
        }
        false
    }

    /// How much more of an item a node could take, its own capacity aside.
    fn room(&self, item: usize, node: usize) -> f64 {
        let split = &self.items[item];
        if split.nodes & (1 << node) == 0 {
            return 0.0;
        }
        split.most - self.used[item * self.capacities.len() + node]
    }

    /// Lets flow along the path that ends with `item` to `node`.
    fn take(&mut self, item: usize, node: usize) {
        let (nodes, from) = (self.capacities.len(), &self.from);
        // The narrowest place first, from the end back to an item that wants.
        let mut amount = self.left[node];
        let (mut here, mut to) = (item, node);
        loop {
            amount = amount.min(self.room(here, to));
            let Some(given) = from[here] else { break };
            amount = amount.min(self.used[here * nodes + given]);
            let Some(giver) = self.reached[given] else {
                break;
            };
            (here, to) = (giver, given);
        }
        amount = amount.min(self.wanted[here]);
        self.left[node] -= amount;
        let (mut here, mut to) = (item, node);
        loop {
            self.used[here * nodes + to] += amount;
            let Some(given) = from[here] else { break };
            self.used[here * nodes + given] -= amount;
            let Some(giver) = self.reached[given] else {
                break;
            };
            (here, to) = (giver, given);
        }
        self.wanted[here] -= amount;
    }

    /// The throughput that the smallest cut allows, if something still wants. After a push that went
    /// as far as it could, what was seen and reached are the two sides of that cut.
    fn cut(&self) -> Option<f64> {
        let wants = self
            .wanted
            .iter()
            .any(|wanted| *wanted > self.nothing * 4.0);
        if !wants {
            return None;
        }
        let (mut demand, mut capacity) = (0.0, 0.0);
        for (node, reached) in self.reached.iter().enumerate() {
            if reached.is_some() {
                capacity += self.capacities[node];
            }
        }
        for (item, split) in self.items.iter().enumerate() {
            if !self.seen_items[item] {
                continue;
            }
            demand += split.demand;
            for node in 0..self.capacities.len() {
                if split.nodes & (1 << node) != 0 && self.reached[node].is_none() {
                    capacity += split.most;
                }
            }
        }
        (demand > 0.0).then(|| capacity / demand)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(demand: f64, nodes: u32, most: f64) -> Split {
        Split {
            demand,
            nodes,
            most,
        }
    }

    #[test]
    fn the_largest_throughput_is_that_of_the_tightest_part() {
        let check = |items: &[Split], capacities: &[f64], expected: f64| {
            let flow = largest(items, capacities);
            assert!(
                (flow.throughput - expected).abs() <= 1e-9 * expected,
                "{flow:?}"
            );
            let nodes = capacities.len();
            for (node, capacity) in capacities.iter().enumerate() {
                let used: f64 = (0..items.len())
                    .map(|at| flow.used[at * nodes + node])
                    .sum();
                assert!(used <= capacity * (1.0 + 1e-9), "{flow:?}");
            }
            for (at, item) in items.iter().enumerate() {
                let used: f64 = flow.used[at * nodes..(at + 1) * nodes].iter().sum();
                assert!(
                    (used - item.demand * expected).abs() <= 1e-6 * expected,
                    "{flow:?}"
                );
            }
        };
        let any = f64::INFINITY;
        // One on one; split over two; held back by its threads; by the node that two share.
        check(&[item(10.0, 0b1, any)], &[1000.0], 100.0);
        check(&[item(10.0, 0b11, any)], &[1000.0, 500.0], 150.0);
        check(&[item(10.0, 0b11, 400.0)], &[1000.0, 500.0], 80.0);
        check(
            &[item(10.0, 0b01, any), item(5.0, 0b01, any)],
            &[1500.0, 9e9],
            100.0,
        );
        // The first has to give way to the second, which has no other place.
        check(
            &[item(10.0, 0b11, any), item(10.0, 0b01, any)],
            &[1000.0, 1000.0],
            100.0,
        );
        check(
            &[
                item(4.0, 0b011, any),
                item(6.0, 0b110, any),
                item(2.0, 0b001, 100.0),
            ],
            &[300.0, 300.0, 150.0],
            50.0,
        );
        check(&[item(10.0, 0b0, any)], &[1000.0], 0.0);
    }

    #[test]
    fn nothing_to_do_has_no_limit() {
        assert_eq!(
            largest(&[item(0.0, 1, 1.0)], &[1.0]).throughput,
            f64::INFINITY
        );
    }
}
