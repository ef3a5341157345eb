//! What the loops that were seen say for and against a parent.
//!
//! An N+1 asks once for a list and then once for each of its rows. So the number of rounds equals the
//! rows that the parent sent, whatever that number is. A client that asks the same thing again and
//! again on a pooled connection makes loops too, but their number of rounds has nothing to do with
//! what came before. That is the whole of the evidence.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::NPlusOne;
use super::item::Parent;
use super::limits::{BODY, LOOPS, SHAPES};
use super::machine::{Ended, Sink, Sum};

/// One match of `n` rounds counts for `1 - 1/n` of this: two rounds may be chance, twenty are not.
const WHOLE: u64 = 1_000_000;
/// What stands against every loop before it is seen, in matches.
const DOUBT: f64 = 0.5;
/// What is less sure is not told.
const TELL_FROM: f64 = 0.55;
/// A row more than the parent sent: the loop's statement is asked once more behind it.
const ONE_MORE: f64 = 0.9;
/// Fewer than the parent sent, in one transaction: the loop leaves out some rows.
const SOME_LESS: f64 = 0.8;

/// A body and the statement that it is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Key {
    parent: u32,
    /// Filled up with the largest number.
    body: [u32; BODY],
}

const NO_SHAPE: u32 = u32::MAX;

/// What was seen of a loop.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Tally {
    runs: u64,
    rounds: u64,
    /// Runs with as many rounds as the parent sent rows, and what they weigh.
    exact: Evidence,
    /// Runs with one round more.
    one_more: Evidence,
    /// Runs with as many rounds or fewer, in one transaction with the parent.
    in_unit: Evidence,
    sums: [Sum; BODY],
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Evidence {
    runs: u64,
    weight: u64,
}

impl Evidence {
    fn add(&mut self, other: Evidence) {
        self.runs = self.runs.saturating_add(other.runs);
        self.weight = self.weight.saturating_add(other.weight);
    }

    /// How sure it is, of so many runs.
    fn share_of(self, runs: u64) -> f64 {
        let weight = self.weight as f64 / WHOLE as f64;
        weight / (weight + runs.saturating_sub(self.runs) as f64 + DOUBT)
    }
}

/// Everything that was seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Tallies {
    loops: FxHashMap<Key, Tally>,
    /// By shape: how often it sent two rows or more.
    lists: Vec<u64>,
    /// Loops that were not counted, as there are too many different ones.
    dropped: u64,
}

impl Tallies {
    /// A statement that reads has sent so many rows.
    #[inline]
    pub(super) fn result(&mut self, shape: u32, rows: u64) {
        if rows >= 2 {
            self.lists(shape, 1);
        }
    }

    #[inline]
    fn lists(&mut self, shape: u32, times: u64) {
        if let Some(count) = self.lists.get_mut(shape as usize) {
            *count = count.saturating_add(times);
        } else if shape < SHAPES {
            self.lists.resize(shape as usize + 1, 0);
            self.lists[shape as usize] = times;
        }
    }

    fn at(&mut self, key: Key) -> Option<&mut Tally> {
        if self.loops.len() >= LOOPS && !self.loops.contains_key(&key) {
            self.dropped = self.dropped.saturating_add(1);
            return None;
        }
        Some(self.loops.entry(key).or_default())
    }

    /// Add what another part saw, whose shapes have other numbers.
    pub(super) fn merge(&mut self, other: Tallies, map: &impl Fn(u32) -> u32) {
        self.dropped = self.dropped.saturating_add(other.dropped);
        for (shape, times) in (0..).zip(other.lists) {
            if times > 0 {
                self.lists(map(shape), times);
            }
        }
        let mut loops: Vec<_> = other.loops.into_iter().collect();
        loops.sort_unstable_by_key(|(key, _)| *key);
        for (mut key, tally) in loops {
            for shape in std::iter::once(&mut key.parent).chain(&mut key.body) {
                if *shape != NO_SHAPE {
                    *shape = map(*shape);
                }
            }
            if let Some(own) = self.at(key) {
                own.add(&tally);
            }
        }
    }

    /// What is sure enough to be told, what takes most time first.
    pub(super) fn findings(&self) -> Vec<NPlusOne> {
        let mut matched = FxHashMap::<u32, u64>::default();
        for (key, tally) in &self.loops {
            let matched = matched.entry(key.parent).or_default();
            *matched = matched.saturating_add(tally.exact.runs);
        }
        // Bodies that differ in where they begin are one.
        let mut found = FxHashMap::<(u32, Vec<u32>), NPlusOne>::default();
        let mut loops: Vec<_> = self.loops.iter().collect();
        loops.sort_unstable_by_key(|(key, _)| **key);
        for (key, tally) in loops {
            let lists = self.lists.get(key.parent as usize).copied().unwrap_or(0);
            let all = matched.get(&key.parent).copied().unwrap_or(0);
            let confidence = tally.confidence(lists, all.saturating_sub(tally.exact.runs));
            if confidence < TELL_FROM {
                continue;
            }
            let told = tally.tell(key, confidence);
            let mut children: Vec<_> = told.children.iter().map(|child| child.shape).collect();
            children.sort_unstable();
            found
                .entry((key.parent, children))
                .and_modify(|other| other.add(&told))
                .or_insert(told);
        }
        let mut found: Vec<_> = found.into_values().collect();
        found.sort_by(|a, b| {
            let first = |it: &NPlusOne| it.children.first().map(|child| child.shape);
            let rest = |it: &NPlusOne| (it.parent, first(it), it.children.len());
            b.time_ns.cmp(&a.time_ns).then(rest(a).cmp(&rest(b)))
        });
        found
    }
}

impl Sink for Tallies {
    fn ended(&mut self, ended: &Ended<'_>) {
        let Some((parent, fit, rounds)) = choose(ended) else {
            return;
        };
        let mut key = Key {
            parent: parent.shape,
            body: [NO_SHAPE; BODY],
        };
        for (to, from) in key.body.iter_mut().zip(ended.body) {
            *to = *from;
        }
        let Some(tally) = self.at(key) else {
            return;
        };
        let once = Evidence {
            runs: 1,
            weight: WHOLE - WHOLE / rounds.max(1),
        };
        tally.runs = tally.runs.saturating_add(1);
        tally.rounds = tally.rounds.saturating_add(rounds);
        match fit {
            Fit::Exact => tally.exact.add(once),
            Fit::OneMore => tally.one_more.add(once),
            Fit::Fewer | Fit::None => {}
        }
        if parent.in_unit && fit != Fit::None {
            tally.in_unit.add(once);
        }
        for (sum, more) in tally.sums.iter_mut().zip(ended.sums) {
            sum.add(*more);
        }
    }
}

/// How the rounds of a loop fit the rows of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    Exact,
    OneMore,
    Fewer,
    None,
}

/// The statement before a loop that fits it best (of several the nearest), how it fits, and how many
/// rounds the loop then had.
fn choose(ended: &Ended<'_>) -> Option<(Parent, Fit, u64)> {
    let rounds = ended.rounds;
    // What was asked for again since is no parent, and a part of the body is none either.
    let is_last = |(place, parent): &(usize, &Parent)| {
        let mut nearer = ended.parents.iter().flatten().take(*place);
        !nearer.any(|it| it.shape == parent.shape) && !ended.body.contains(&parent.shape)
    };
    let last = || {
        let parents = ended.parents.iter().flatten().enumerate();
        parents.filter(is_last).map(|(_, parent)| parent)
    };
    let lists = || last().filter(|it| it.reads && it.rows > 1);
    let rows = |parent: &Parent| u64::from(parent.rows);
    if let Some(parent) = lists().find(|it| rows(it) == rounds) {
        return Some((*parent, Fit::Exact, rounds));
    }
    // One statement ran for each row, others of the body only for some.
    let some = |parent: &&Parent| {
        let mut counts = ended.sums.iter().map(|sum| sum.statements);
        counts.any(|count| count == rows(parent) && count > rounds)
    };
    if let Some(parent) = lists().find(some) {
        return Some((*parent, Fit::Exact, rows(parent)));
    }
    if let Some(parent) = lists().find(|it| rows(it) + 1 == rounds) {
        return Some((*parent, Fit::OneMore, rounds));
    }
    if let Some(parent) = lists().find(|it| it.in_unit && rows(it) > rounds) {
        return Some((*parent, Fit::Fewer, rounds));
    }
    Some((*last().next()?, Fit::None, rounds))
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        self.runs = self.runs.saturating_add(other.runs);
        self.rounds = self.rounds.saturating_add(other.rounds);
        self.exact.add(other.exact);
        self.one_more.add(other.one_more);
        self.in_unit.add(other.in_unit);
        for (sum, more) in self.sums.iter_mut().zip(&other.sums) {
            sum.add(*more);
        }
    }

    /// From 0 to 1. `lists` is how often the parent sent two rows or more, `others` how many of these
    /// fit other loops.
    fn confidence(&self, lists: u64, others: u64) -> f64 {
        // Of the lists that were asked for, how many had this loop behind them. A statement that
        // leads to several loops (one for each branch) is not held against any of them.
        let covered = |evidence: Evidence| {
            let left = lists.saturating_sub(others);
            // Some of the others' fits are chance; but what comes only behind another loop is, too.
            let of = match left >= evidence.runs.div_ceil(2) {
                true => left.max(evidence.runs),
                false => lists,
            };
            (evidence.runs as f64 / of.max(1) as f64).min(1.0).sqrt()
        };
        let exact = self.exact.share_of(self.runs) * covered(self.exact);
        let one_more = self.one_more.share_of(self.runs) * covered(self.one_more) * ONE_MORE;
        let in_unit = self.in_unit.share_of(self.runs) * SOME_LESS;
        exact.max(one_more).max(in_unit)
    }

    fn tell(&self, key: &Key, confidence: f64) -> NPlusOne {
        let children = key.body.iter().take_while(|shape| **shape != NO_SHAPE);
        let children: Vec<_> = children
            .zip(&self.sums)
            .map(|(shape, sum)| super::Child {
                shape: *shape,
                statements: sum.statements,
                time_ns: sum.ns,
            })
            .collect();
        NPlusOne {
            parent: key.parent,
            statements: children
                .iter()
                .fold(0, |all, it| all.saturating_add(it.statements)),
            time_ns: children
                .iter()
                .fold(0, |all, it| all.saturating_add(it.time_ns)),
            children,
            runs: self.runs,
            rounds: self.rounds,
            rows_match: self.exact.runs as f64 / self.runs.max(1) as f64,
            confidence,
        }
    }
}

/// As it is saved: in an order that does not depend on the map's.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    loops: Vec<(Key, Tally)>,
    lists: Vec<u64>,
    dropped: u64,
}

impl From<Tallies> for Saved {
    fn from(tallies: Tallies) -> Self {
        let mut loops: Vec<_> = tallies.loops.into_iter().collect();
        loops.sort_unstable_by_key(|(key, _)| *key);
        Self {
            loops,
            lists: tallies.lists,
            dropped: tallies.dropped,
        }
    }
}

impl From<Saved> for Tallies {
    fn from(mut saved: Saved) -> Self {
        saved.lists.truncate(SHAPES as usize);
        Self {
            loops: saved.loops.into_iter().take(LOOPS).collect(),
            lists: saved.lists,
            dropped: saved.dropped,
        }
    }
}
