//! All groups of one sort: the statements, or the requests.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::group::{Group, What};
use super::tally::Names;
use super::{Distribution, UNKNOWN_AT};
use crate::access::{Collapse, RouteCounts};

/// Groups that are told apart; whatever comes behind them is in one group.
const MOST_GROUPS: usize = 5_000;

/// Keys that lead to groups. Only paths of which many were folded into one route have more than one.
const MOST_KEYS: usize = 65_536;

/// The groups of one sort, in the order in which they were first seen.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Section {
    /// The groups.
    pub groups: Vec<Group>,
    /// The durations of all of them.
    pub times: Distribution,
    /// Statements or requests, scaled up where the log is a sample of them.
    pub count: u64,
    /// Entries of the log.
    pub records: u64,
    /// Those that failed.
    pub errors: u64,
    #[serde(skip)]
    by_key: FxHashMap<u64, u32>,
    #[serde(skip)]
    by_name: FxHashMap<String, u32>,
}

impl Section {
    /// The group that `key` leads to.
    #[inline]
    pub(super) fn find(&self, key: u64) -> Option<u32> {
        self.by_key.get(&key).copied()
    }

    /// The group of this name, and let `key` lead to it; a new one if there is none.
    pub(super) fn enter(&mut self, key: u64, name: String, what: impl FnOnce() -> What) -> u32 {
        let at = self.named(name, what);
        if self.by_key.len() < MOST_KEYS {
            self.by_key.insert(key, at);
        }
        at
    }

    /// Whether there is no room for another group.
    pub(super) fn is_full(&self) -> bool {
        self.groups.len() >= MOST_GROUPS
    }

    fn named(&mut self, name: String, what: impl FnOnce() -> What) -> u32 {
        if let Some(at) = self.by_name.get(&name) {
            return *at;
        }
        let name = match self.is_full() {
            true => "(others: too many groups)".to_owned(),
            false => name,
        };
        let next = self.groups.len() as u32;
        let at = *self.by_name.entry(name.clone()).or_insert(next);
        if at == next {
            self.groups.push(Group::new(name, what()));
        }
        at
    }

    /// Add all of another digest's section. Returns where each of its groups went.
    pub(super) fn merge(
        &mut self,
        other: &Self,
        names: &mut Names,
        theirs: &Names,
        database: Option<&str>,
    ) -> Vec<u32> {
        self.times.merge(&other.times);
        self.count = self.count.saturating_add(other.count);
        self.records = self.records.saturating_add(other.records);
        self.errors = self.errors.saturating_add(other.errors);
        let mut places = Vec::with_capacity(other.groups.len());
        for group in &other.groups {
            let what = || group.what.empty();
            let at = self.named(group.name.clone(), what);
            self.groups[at as usize].merge(group, names, theirs, database);
            places.push(at);
        }
        places
    }

    /// Give groups other names, and unite those that get the same. Returns where each of them went.
    pub(super) fn rename(
        &mut self,
        rename: impl Fn(&str) -> Option<String>,
        names: &mut Names,
    ) -> Vec<u32> {
        self.by_name.clear();
        let mut places = Vec::with_capacity(self.groups.len());
        for mut group in std::mem::take(&mut self.groups) {
            if let Some(name) = rename(&group.name) {
                group.name = name;
            }
            let next = self.groups.len() as u32;
            let at = *self.by_name.entry(group.name.clone()).or_insert(next);
            if at == next {
                self.groups.push(group);
            } else {
                self.groups[at as usize].unite(group, names);
            }
            places.push(at);
        }
        for at in self.by_key.values_mut() {
            *at = places[*at as usize];
        }
        places
    }

    /// Put paths together that the others show to be one route, but for those that the user named by a
    /// pattern of `given`. Returns what was learned, and where each group went.
    pub(super) fn collapse(&mut self, given: &[String], names: &mut Names) -> (Collapse, Vec<u32>) {
        let is_given = |route: &str| given.iter().any(|pattern| route.contains(pattern.as_str()));
        let learned = Collapse::learn(self.routes().filter(|(route, _)| !is_given(route)));
        let apply = |route: &str| (!is_given(route)).then(|| learned.apply(route)).flatten();
        let places = self.rename(apply, names);
        (learned, places)
    }

    /// Find names again after a snapshot was read.
    pub(super) fn index(&mut self) {
        let named = self.groups.iter().enumerate();
        self.by_name = named
            .map(|(at, group)| (group.name.clone(), at as u32))
            .collect();
    }

    /// The names of its groups and how many are in each, as [`Collapse::learn`] takes them.
    ///
    /// [`Collapse::learn`]: crate::access::Collapse::learn
    pub(super) fn routes(&self) -> impl Iterator<Item = (&str, RouteCounts)> {
        self.groups.iter().map(|group| {
            let refused = match &group.what {
                What::Requests(requests) => requests.refused(),
                What::Statements(_) => 0,
            };
            let count = group.count;
            (group.name.as_str(), RouteCounts { count, refused })
        })
    }

    /// When the first and the last was seen, in microseconds since the Unix epoch; none when the log has
    /// no times of day.
    pub fn span_us(&self) -> Option<(i64, i64)> {
        let known = || self.groups.iter().filter(|g| g.first_at != UNKNOWN_AT);
        let first = known().map(|group| group.first_at).min()?;
        let last = known().map(|group| group.last_at).max()?;
        Some((first, last))
    }
}
