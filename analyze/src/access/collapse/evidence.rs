//! Are the segments under one parent words of the program, or values of a parameter?
//!
//! The evidence is added up in bits, as logarithms of odds that would multiply if its parts were
//! independent. Each part is small against the two that decide: how many there are, and how they look.

use super::words::{is_collection, look};
use super::{Node, tree::Shared};

/// Fewer segments than this are never taken for values.
pub(super) const LEAST: usize = 5;

/// What is asked about.
pub(super) struct Siblings<'a> {
    /// The segment above; empty at the root.
    pub(super) parent: &'a str,
    /// The segments that may be values, and what is under them.
    pub(super) nodes: &'a [(&'a str, &'a Node)],
    /// Whether values that were recognised by themselves lie beside them.
    pub(super) beside_values: bool,
    /// Requests in the whole log.
    pub(super) requests: u64,
}

impl Siblings<'_> {
    /// Whether they are values.
    pub(super) fn are_values(&self) -> bool {
        self.nodes.len() >= LEAST && self.bits() > 0.0
    }

    fn bits(&self) -> f64 {
        let number = self.nodes.len() as f64;
        let total: u64 = self.nodes.iter().map(|(_, node)| node.count).sum();
        // A program has a handful of words at a place; each doubling makes that less likely.
        let many = 1.5 * (number / 4.0).log2();
        // What was asked once or twice: values go on without end, words are soon all known. Of a short
        // log this says little.
        let rare = self
            .nodes
            .iter()
            .filter(|(_, node)| node.count <= 2)
            .count() as f64;
        let trust = (self.requests as f64 / 1_000.0).min(1.0);
        let open = 4.0 * (rare / number - 0.25) * trust;
        let looks = self.nodes.iter().map(|(name, _)| look(name)).sum::<f64>() / number;
        let looks = 5.0 * looks - 1.0;
        let expected = if is_collection(self.parent) { 4.0 } else { 0.0 };
        let beside = if self.beside_values { 1.0 } else { 0.0 };
        let kin = 1.5 * Shared::new(self.nodes).words().min(4) as f64;
        -6.0 + many + open + looks + expected + beside + kin + self.spread(total)
    }

    /// Values are asked for alike often; among words of a program one or two take most.
    fn spread(&self, total: u64) -> f64 {
        let number = self.nodes.len() as f64;
        let mean = total as f64 / number;
        let square = |count: u64| (count as f64 - mean).powi(2);
        let variance = self
            .nodes
            .iter()
            .map(|(_, node)| square(node.count))
            .sum::<f64>()
            / number;
        let most = self
            .nodes
            .iter()
            .map(|(_, node)| node.count)
            .max()
            .unwrap_or(0);
        if most * 2 > total {
            -2.0
        } else if mean >= 5.0 && variance.sqrt() < 0.75 * mean {
            1.5
        } else {
            0.0
        }
    }
}
