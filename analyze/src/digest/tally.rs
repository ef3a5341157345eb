//! Who and what takes part in a group: users, hosts, agents, statuses, and what each of them costs.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// Names that one [`Tally`] tells apart.
const MOST_NAMES: usize = 64;

/// How often, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// Number of statements or requests.
    pub count: u64,
    /// Their time together in nanoseconds.
    pub ns: u64,
}

impl Cost {
    /// Add what `other` has.
    pub fn add(&mut self, other: Cost) {
        self.count = self.count.saturating_add(other.count);
        self.ns = self.ns.saturating_add(other.ns);
    }
}

/// Costs by name, for a few names that repeat: the user and the database of a statement.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Tally {
    entries: Vec<(String, Cost)>,
    /// What came when all names were taken.
    others: Cost,
}

impl Tally {
    /// Add a cost under a name.
    #[inline]
    pub fn add(&mut self, name: &[u8], cost: Cost) {
        let known = self
            .entries
            .iter_mut()
            .find(|(known, _)| known.as_bytes() == name);
        if let Some((_, known)) = known {
            known.add(cost);
        } else {
            self.add_new(&String::from_utf8_lossy(name), cost);
        }
    }

    #[cold]
    fn add_new(&mut self, name: &str, cost: Cost) {
        // A name that is no UTF-8 may be known by what is shown of it.
        if let Some((_, known)) = self.entries.iter_mut().find(|(known, _)| known == name) {
            known.add(cost);
        } else if self.entries.len() < MOST_NAMES {
            self.entries.push((name.to_owned(), cost));
        } else {
            self.others.add(cost);
        }
    }

    /// Add all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (name, cost) in &other.entries {
            self.add(name.as_bytes(), *cost);
        }
        self.others.add(other.others);
    }

    /// The names, dearest first, then most frequent, then by name.
    pub fn ranked(&self) -> Vec<(&str, Cost)> {
        ranked(
            self.entries
                .iter()
                .map(|(name, cost)| (name.as_str(), *cost)),
        )
    }

    /// The dearest name.
    pub fn top(&self) -> Option<&str> {
        self.ranked().first().map(|(name, _)| *name)
    }
}

/// Order names by what they cost: by time, then count, then name.
pub(super) fn ranked<'a>(entries: impl Iterator<Item = (&'a str, Cost)>) -> Vec<(&'a str, Cost)> {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by(|(left_name, left), (right_name, right)| {
        (right.ns, right.count)
            .cmp(&(left.ns, left.count))
            .then_with(|| left_name.cmp(right_name))
    });
    entries
}

/// Names in all of a [`Names`].
const MOST_KEPT_NAMES: usize = 32_768;

/// Pairs of a group and a name, in all groups.
const MOST_PAIRS: usize = 65_536;

/// The longest name that is kept, in bytes.
const LONGEST_NAME: usize = 256;

/// The key of everything for which there was no room.
pub(super) const OTHERS: u64 = 0;

/// Costs by the hash of a name, for names of which there are many: agents and clients.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Costs(FxHashMap<u64, Cost>);

impl Costs {
    /// Add all of `other`, of the same digest.
    pub(super) fn include(&mut self, other: &Self) {
        for (key, cost) in &other.0 {
            self.0.entry(*key).or_default().add(*cost);
        }
    }

    /// The costs with their keys, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Cost)> + '_ {
        self.0.iter().map(|(key, cost)| (*key, *cost))
    }
}

impl Serialize for Costs {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Sorted, so that equal digests are equal bytes.
        let sorted: BTreeMap<_, _> = self.0.iter().collect();
        serializer.collect_seq(sorted)
    }
}

impl<'de> Deserialize<'de> for Costs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = Vec::<(u64, Cost)>::deserialize(deserializer)?;
        Ok(Self(entries.into_iter().collect()))
    }
}

/// The names behind the keys of [`Costs`], and how much room there is for more.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Names {
    names: FxHashMap<u64, String>,
    pairs: usize,
    is_full: bool,
}

impl Names {
    /// Add a cost under a name whose hash is `key` to the costs of a group.
    #[inline]
    pub fn add(&mut self, costs: &mut Costs, key: u64, name: &[u8], cost: Cost) {
        if let Some(known) = costs.0.get_mut(&key) {
            known.add(cost);
            return;
        }
        self.add_new(
            costs,
            key,
            || String::from_utf8_lossy(name).into_owned(),
            cost,
        );
    }

    #[cold]
    fn add_new(&mut self, costs: &mut Costs, key: u64, name: impl FnOnce() -> String, cost: Cost) {
        let has_room = key != OTHERS
            && self.pairs < MOST_PAIRS
            && (self.names.len() < MOST_KEPT_NAMES || self.names.contains_key(&key));
        if !has_room {
            self.is_full |= key != OTHERS;
            costs.0.entry(OTHERS).or_default().add(cost);
            return;
        }
        self.pairs += 1;
        self.names.entry(key).or_insert_with(|| {
            let mut name = name();
            let ends = (0..=LONGEST_NAME.min(name.len())).rev();
            let end = ends.into_iter().find(|end| name.is_char_boundary(*end));
            name.truncate(end.unwrap_or(0));
            name
        });
        costs.0.insert(key, cost);
    }

    /// Add the costs of another digest's group, whose names are in `theirs`.
    pub fn merge(&mut self, costs: &mut Costs, theirs: &Names, other: &Costs) {
        let sorted: BTreeMap<_, _> = other.0.iter().collect();
        for (key, cost) in sorted {
            if let Some(known) = costs.0.get_mut(key) {
                known.add(*cost);
            } else {
                self.add_new(costs, *key, || theirs.name(*key).to_owned(), *cost);
            }
        }
        self.is_full |= theirs.is_full;
    }

    /// Add the costs of a group of the same digest, which is given up.
    pub fn unite(&mut self, costs: &mut Costs, other: Costs) {
        for (key, cost) in other.0 {
            let known = costs.0.entry(key).or_default();
            if known.count > 0 {
                self.pairs = self.pairs.saturating_sub(1);
            }
            known.add(cost);
        }
    }

    /// The name with this hash.
    pub fn name(&self, key: u64) -> &str {
        self.names.get(&key).map_or("(others)", String::as_str)
    }

    /// Whether there were more names than are told apart.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// The names of `costs`, dearest first.
    pub fn ranked<'a>(&'a self, costs: &Costs) -> Vec<(&'a str, Cost)> {
        ranked(costs.iter().map(|(key, cost)| (self.name(key), cost)))
    }
}

#[derive(Serialize, Deserialize)]
struct StoredNames {
    names: BTreeMap<u64, String>,
    pairs: usize,
    is_full: bool,
}

impl Serialize for Names {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        StoredNames {
            names: self.names.clone().into_iter().collect(),
            pairs: self.pairs,
            is_full: self.is_full,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = StoredNames::deserialize(deserializer)?;
        Ok(Self {
            names: stored.names.into_iter().collect(),
            pairs: stored.pairs,
            is_full: stored.is_full,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(count: u64, ns: u64) -> Cost {
        Cost { count, ns }
    }

    #[test]
    fn the_dearest_comes_first() {
        let mut tally = Tally::default();
        tally.add(b"root", cost(1, 5));
        tally.add(b"app", cost(1, 9));
        tally.add(b"root", cost(1, 5));
        tally.add(b"cron", cost(1, 9));
        assert_eq!(
            tally.ranked(),
            [
                ("root", cost(2, 10)),
                ("app", cost(1, 9)),
                ("cron", cost(1, 9))
            ]
        );
    }

    #[test]
    fn names_beyond_the_limit_are_others() {
        let mut tally = Tally::default();
        for n in 0..MOST_NAMES + 3 {
            tally.add(format!("user{n}").as_bytes(), cost(1, 1));
        }
        assert_eq!(tally.ranked().len(), MOST_NAMES);
        assert_eq!(tally.others, cost(3, 3));
    }

    #[test]
    fn pairs_are_bounded_over_all_groups() {
        let (mut names, mut one, mut two) = (Names::default(), Costs::default(), Costs::default());
        for key in 1..=MOST_KEPT_NAMES as u64 + 10 {
            names.add(&mut one, key, b"x", cost(1, 1));
            names.add(&mut two, key, b"x", cost(1, 1));
        }
        assert!(names.is_full());
        assert_eq!(one.0[&OTHERS], cost(10, 10));
        assert_eq!(one.0.len() + two.0.len(), 2 * (MOST_KEPT_NAMES + 1));
        let counted: u64 = one
            .iter()
            .chain(two.iter())
            .map(|(_, cost)| cost.count)
            .sum();
        assert_eq!(counted, 2 * (MOST_KEPT_NAMES as u64 + 10));
    }
}
