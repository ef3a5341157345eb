//! Paths as a tree of segments, and what was counted at each.

use std::collections::{BTreeMap, BTreeSet};

use super::evidence::LEAST;
use super::words::{is_habit, is_reserved};

/// How deep words below a segment are looked for.
const DEPTH: usize = 4;

/// A segment, and what follows it.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Requests that end here, by method.
    pub(super) ends: BTreeMap<Box<str>, u64>,
    pub(super) children: BTreeMap<String, Node>,
    /// Requests that end here or below.
    pub(super) count: u64,
}

impl Node {
    pub(super) fn add<'a>(
        &mut self,
        method: &str,
        path: impl Iterator<Item = &'a str>,
        count: u64,
    ) {
        let mut node = self;
        node.count += count;
        for segment in path {
            // Most segments are there already, and need no text of their own.
            if !node.children.contains_key(segment) {
                node.children.insert(segment.to_owned(), Node::default());
            }
            let Some(child) = node.children.get_mut(segment) else {
                return;
            };
            node = child;
            node.count += count;
        }
        *node.ends.entry(method.into()).or_default() += count;
    }

    /// Take in all that `other` has.
    pub(super) fn merge(&mut self, other: Node) {
        self.count += other.count;
        for (method, count) in other.ends {
            *self.ends.entry(method).or_default() += count;
        }
        for (segment, child) in other.children {
            match self.children.get_mut(&segment) {
                Some(own) => own.merge(child),
                None => {
                    self.children.insert(segment, child);
                }
            }
        }
    }

    pub(super) fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }

    /// Segments below, with how deep they are.
    pub(super) fn below(&self) -> BTreeSet<(usize, &str)> {
        let mut found = BTreeSet::new();
        self.collect(0, &mut found);
        found
    }

    fn collect<'a>(&'a self, depth: usize, found: &mut BTreeSet<(usize, &'a str)>) {
        if depth == DEPTH {
            return;
        }
        for (segment, child) in &self.children {
            found.insert((depth, segment));
            child.collect(depth + 1, found);
        }
    }
}

/// What most of some segments have below them.
pub(super) struct Shared<'a> {
    below: BTreeSet<(usize, &'a str)>,
    /// Several have something below, and each something else: what is there are values too.
    differs: bool,
}

impl<'a> Shared<'a> {
    pub(super) fn new(nodes: &[(&'a str, &'a Node)]) -> Self {
        let mut seen: BTreeMap<(usize, &str), usize> = BTreeMap::new();
        let mut inner = 0;
        for (_, node) in nodes.iter().filter(|(_, node)| !node.is_leaf()) {
            inner += 1;
            for segment in node.below() {
                *seen.entry(segment).or_default() += 1;
            }
        }
        let below: BTreeSet<_> = seen
            .into_iter()
            .filter(|(_, count)| *count >= 2 && count * 4 >= inner)
            .map(|(segment, _)| segment)
            .collect();
        Self {
            differs: inner >= LEAST && inner * 10 >= nodes.len() && words(&below) == 0,
            below,
        }
    }

    /// Whether a node has something of it below, or nothing at all.
    pub(super) fn fits(&self, node: &Node) -> bool {
        node.is_leaf()
            || self.differs && node.children.keys().any(|segment| !is_reserved(segment))
            || node
                .below()
                .iter()
                .any(|segment| self.below.contains(segment))
    }

    /// Words that say that the segments are of one kind: those that are nobody's habit.
    pub(super) fn words(&self) -> usize {
        words(&self.below)
    }
}

fn words(below: &BTreeSet<(usize, &str)>) -> usize {
    below
        .iter()
        .filter(|(_, segment)| !segment.starts_with(':') && !is_habit(segment))
        .count()
}
