//! Which tables take the time, which are used together, and how the database could be split in two.
//!
//! A statement's time is divided equally among its tables, so that the times of all tables add up to
//! the time of all statements that have any. Counts are not divided: a join of two tables is a read of
//! either.

#[cfg(test)]
mod tests;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::tables::Tables;

/// Tables that are looked at as pairs and for a split; the rest takes little time.
const MOST_TABLES: usize = 64;
/// What crossing statements cost, against an imbalance of the same share of the time.
const CROSSING: f64 = 2.0;
/// A split that leaves one side more than this share of the time is no split.
const LARGEST_SIDE: f64 = 0.97;

/// A shape and its tables.
#[derive(Debug, Clone, Copy)]
pub struct Use<'a> {
    /// What it reads and writes.
    pub tables: &'a Tables,
    /// How often it ran.
    pub count: u64,
    /// How long that took, in nanoseconds.
    pub time_ns: u64,
}

/// What a table takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableUse {
    /// Its name.
    pub table: String,
    /// Statements that read it and do not write it.
    pub reads: u64,
    /// Statements that write it.
    pub writes: u64,
    /// Its part of the time of the former, in nanoseconds.
    pub read_ns: u64,
    /// Its part of the time of the latter, in nanoseconds.
    pub write_ns: u64,
}

impl TableUse {
    /// Its time, in nanoseconds.
    pub fn time_ns(&self) -> u64 {
        self.read_ns.saturating_add(self.write_ns)
    }
}

/// What each table takes, what takes most first.
pub fn by_table(uses: &[Use<'_>]) -> Vec<TableUse> {
    let mut found = FxHashMap::<&str, TableUse>::default();
    for one in uses {
        let tables = one.tables.all().count() as u64;
        let Some(part) = one.time_ns.checked_div(tables) else {
            continue;
        };
        // The first gets what is left over, so that the sum is right.
        let mut left_over = one.time_ns - part * tables;
        for table in one.tables.all() {
            let own = found.entry(table).or_default();
            let part = part + std::mem::take(&mut left_over);
            let is_written = one.tables.written.iter().any(|it| it == table);
            let (count, time) = match is_written {
                true => (&mut own.writes, &mut own.write_ns),
                false => (&mut own.reads, &mut own.read_ns),
            };
            *count = count.saturating_add(one.count);
            *time = time.saturating_add(part);
        }
    }
    let named = found.into_iter().map(|(table, found)| TableUse {
        table: table.to_owned(),
        ..found
    });
    let mut found: Vec<_> = named.collect();
    found.sort_by(|a, b| b.time_ns().cmp(&a.time_ns()).then(a.table.cmp(&b.table)));
    found
}

/// Two tables in one statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The one that takes more time.
    pub one: String,
    /// The other one.
    pub other: String,
    /// Statements with both.
    pub count: u64,
    /// Time of these statements, in nanoseconds, whole.
    pub time_ns: u64,
}

/// Which tables are used together in one statement, what takes most time first. Only the 64 tables
/// that take most time are looked at.
pub fn pairs(uses: &[Use<'_>]) -> Vec<Pair> {
    let graph = Graph::of(uses);
    let mut found = FxHashMap::<(u32, u32), (u64, u64)>::default();
    for (one, set) in uses.iter().zip(&graph.sets) {
        for a in bits(*set) {
            for b in bits(*set).filter(|b| *b > a) {
                let (count, time) = found.entry((a, b)).or_default();
                *count = count.saturating_add(one.count);
                *time = time.saturating_add(one.time_ns);
            }
        }
    }
    let name = |place: u32| graph.tables.get(place as usize).map(|it| it.table.clone());
    let mut found: Vec<_> = found
        .into_iter()
        .filter_map(|((one, other), (count, time_ns))| {
            Some(Pair {
                one: name(one)?,
                other: name(other)?,
                count,
                time_ns,
            })
        })
        .collect();
    found.sort_by(|a, b| {
        let names = |it: &Pair| (it.one.clone(), it.other.clone());
        b.time_ns
            .cmp(&a.time_ns)
            .then_with(|| names(a).cmp(&names(b)))
    });
    found
}

/// Half of a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Its tables, what takes most time first.
    pub tables: Vec<String>,
    /// Their part of the time, from 0 to 1.
    pub share: f64,
}

/// A proposal for two databases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// The larger side, and the other one.
    pub sides: [Side; 2],
    /// Which of the shapes use tables of both and would have to be taken apart (their places in what
    /// was given). None: the two are never used together.
    pub crossing: Vec<usize>,
    /// The share of the time of these, from 0 to 1.
    pub crossing_share: f64,
}

/// How to split the database in two so that the time is balanced and little crosses; nothing if
/// there is no good way. A share of time that crosses counts as much as twice that share of
/// imbalance. Tables beyond the 64 that take most time are left out.
pub fn split(uses: &[Use<'_>]) -> Option<Split> {
    let graph = Graph::of(uses);
    let tables = graph.tables.len();
    if tables < 2 || graph.total <= 0.0 {
        return None;
    }
    let all = u64::MAX >> (64 - tables.min(64));
    let components = graph.components(all);
    let mut starts = vec![graph.pack(&components)];
    // Also from each table with what it is used with, and alone.
    for place in 0..tables as u32 {
        let together = graph.sets.iter().filter(|set| **set & (1 << place) != 0);
        starts.push(together.fold(1 << place, |side, set| side | set));
        starts.push(1 << place);
    }
    let valid = |side: &u64| *side & all != 0 && *side & all != all;
    let best = starts
        .into_iter()
        .filter(valid)
        .map(|start| graph.climb(start, all))
        .min_by(|(cost, side), (other_cost, other)| {
            cost.total_cmp(other_cost).then(side.cmp(other))
        })?;
    let mut side = best.1;
    if graph.time(side) < graph.time(all & !side) {
        side = all & !side;
    }
    let half = |side: u64| Side {
        tables: bits(side)
            .filter_map(|place| Some(graph.tables.get(place as usize)?.table.clone()))
            .collect(),
        share: graph.time(side) / graph.total,
    };
    let split = Split {
        sides: [half(side), half(all & !side)],
        crossing: (0..)
            .zip(&graph.sets)
            .filter(|(_, set)| crosses(**set, side))
            .map(|it| it.0)
            .collect(),
        crossing_share: graph.crossing(side) / graph.total,
    };
    let is_good = split.sides[0].share <= LARGEST_SIDE && split.crossing_share < 0.25;
    is_good.then_some(split)
}

/// The tables as places of a bit set, what takes most time first.
struct Graph {
    tables: Vec<TableUse>,
    /// By shape: its tables.
    sets: Vec<u64>,
    /// By shape: its time.
    times: Vec<f64>,
    total: f64,
}

fn bits(set: u64) -> impl Iterator<Item = u32> {
    (0..u64::BITS).filter(move |place| set & (1 << place) != 0)
}

fn crosses(set: u64, side: u64) -> bool {
    set & side != 0 && set & !side != 0
}

impl Graph {
    fn of(uses: &[Use<'_>]) -> Self {
        let mut tables = by_table(uses);
        tables.truncate(MOST_TABLES);
        let places: FxHashMap<&str, u32> = (tables.iter().zip(0..))
            .map(|(it, place)| (it.table.as_str(), place))
            .collect();
        let set = |one: &Use<'_>| {
            let places = one.tables.all().filter_map(|table| places.get(table));
            places.fold(0u64, |set, place| set | 1 << place)
        };
        Self {
            sets: uses.iter().map(set).collect(),
            times: uses.iter().map(|one| one.time_ns as f64).collect(),
            total: tables.iter().map(|it| it.time_ns() as f64).sum(),
            tables,
        }
    }

    fn time(&self, side: u64) -> f64 {
        let tables = bits(side).filter_map(|place| self.tables.get(place as usize));
        tables.map(|it| it.time_ns() as f64).sum()
    }

    fn crossing(&self, side: u64) -> f64 {
        let both = self.sets.iter().zip(&self.times);
        both.filter(|(set, _)| crosses(**set, side))
            .map(|(_, time)| time)
            .sum()
    }

    fn cost(&self, side: u64) -> f64 {
        let time = self.time(side) / self.total;
        time.max(1.0 - time) + CROSSING * self.crossing(side) / self.total
    }

    /// Tables that are used together, directly or through others.
    fn components(&self, all: u64) -> Vec<u64> {
        let mut components: Vec<u64> = bits(all).map(|place| 1 << place).collect();
        for set in self.sets.iter().filter(|set| **set != 0) {
            let (touched, rest): (Vec<u64>, Vec<u64>) =
                components.into_iter().partition(|it| it & set != 0);
            components = rest;
            components.push(touched.into_iter().fold(0, |all, it| all | it));
        }
        components
    }

    /// Two sides of whole components, as equal as can be: the largest ones first.
    fn pack(&self, components: &[u64]) -> u64 {
        let mut components = components.to_vec();
        components.sort_by(|a, b| self.time(*b).total_cmp(&self.time(*a)).then(a.cmp(b)));
        let (mut side, mut other) = (0, 0);
        for component in components {
            match self.time(side) <= self.time(other) {
                true => side |= component,
                false => other |= component,
            }
        }
        side
    }

    /// Move one table at a time as long as that helps.
    fn climb(&self, start: u64, all: u64) -> (f64, u64) {
        let mut side = start & all;
        let mut cost = self.cost(side);
        loop {
            let moves = bits(all).map(|place| side ^ 1 << place);
            let moves = moves.filter(|side| *side != 0 && *side != all);
            let best = moves
                .map(|side| (self.cost(side), side))
                .min_by(|(one, _), (other, _)| one.total_cmp(other));
            match best {
                Some((better, next)) if better < cost - 1e-12 => (cost, side) = (better, next),
                _ => return (cost, side),
            }
        }
    }
}
