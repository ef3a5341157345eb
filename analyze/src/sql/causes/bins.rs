//! How often each route and each shape was seen, by time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::limits::{BINS, NUMBERS};
use crate::digest::UNKNOWN_AT;

/// The narrowest bins, in microseconds.
const NARROWEST: i64 = 100_000;
/// The next width, and the resolution of logs that tell whole seconds only.
pub(super) const SECOND: i64 = 1_000_000;

/// The next width, which is a multiple of this one.
pub(super) fn wider(width: i64) -> i64 {
    match width < SECOND {
        true => SECOND,
        false => width.saturating_mul(2),
    }
}

/// Counts of requests by route and of statements by shape in bins of time.
///
/// Bins are 100 ms wide, and get wider (1 s, 2 s, 4 s, ...) when there are more than 1,024 of them. They
/// begin at multiples of their width since 1970, so parts of logs can be put together in any order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Bins {
    pub(super) routes: Counts,
    pub(super) shapes: Counts,
}

impl Bins {
    /// A request ended at `at_us`, in microseconds since 1970.
    #[inline]
    pub fn route(&mut self, at_us: i64, route: u32) {
        self.routes.add(at_us, route);
    }

    /// A statement ran at `at_us`, in microseconds since 1970.
    #[inline]
    pub fn statement(&mut self, at_us: i64, shape: u32) {
        self.shapes.add(at_us, shape);
    }

    /// Add what another part saw, whose routes and shapes have other numbers.
    pub fn merge(&mut self, other: &Bins, route: impl Fn(u32) -> u32, shape: impl Fn(u32) -> u32) {
        self.routes.merge(&other.routes, route);
        self.shapes.merge(&other.shapes, shape);
    }
}

/// Counts by number and bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Saved", into = "Saved")]
pub(super) struct Counts {
    width: i64,
    /// By bin: numbers in their order, with how often.
    bins: BTreeMap<i64, Vec<(u32, u32)>>,
    /// Whether all times are whole seconds.
    is_coarse: bool,
    /// The bin that is filled, by number.
    current: i64,
    filled: Vec<u32>,
    touched: Vec<u32>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            width: NARROWEST,
            bins: BTreeMap::new(),
            is_coarse: true,
            current: 0,
            filled: Vec::new(),
            touched: Vec::new(),
        }
    }
}

impl Counts {
    #[inline]
    fn add(&mut self, at_us: i64, number: u32) {
        if at_us == UNKNOWN_AT || number >= NUMBERS {
            return;
        }
        self.is_coarse &= at_us % SECOND == 0;
        // Most are in the bin of the one before.
        if at_us < self.current || at_us - self.current >= self.width {
            self.flush();
            self.current = at_us.div_euclid(self.width).saturating_mul(self.width);
        }
        if number as usize >= self.filled.len() {
            self.filled.resize(number as usize + 1, 0);
        }
        let count = &mut self.filled[number as usize];
        if *count == 0 {
            self.touched.push(number);
        }
        *count = count.saturating_add(1);
    }

    /// What the tests count by hand.
    #[cfg(test)]
    pub(super) fn add_for_test(&mut self, at_us: i64, number: u32) {
        self.add(at_us, number);
    }

    fn flush(&mut self) {
        if self.touched.is_empty() {
            return;
        }
        let mut counts: Vec<_> = self
            .touched
            .drain(..)
            .filter_map(|number| {
                Some((
                    number,
                    std::mem::take(self.filled.get_mut(number as usize)?),
                ))
            })
            .collect();
        counts.sort_unstable();
        add_bin(&mut self.bins, self.current, counts);
        self.widen();
    }

    fn widen(&mut self) {
        while self.bins.len() > BINS {
            self.width = wider(self.width);
            self.bins = self.at_width(self.width);
        }
    }

    /// The bins at a larger width.
    fn at_width(&self, width: i64) -> BTreeMap<i64, Vec<(u32, u32)>> {
        let mut bins = BTreeMap::new();
        for (at, counts) in &self.bins {
            let at = at.div_euclid(width).saturating_mul(width);
            add_bin(&mut bins, at, counts.clone());
        }
        bins
    }

    fn merge(&mut self, other: &Counts, map: impl Fn(u32) -> u32) {
        self.flush();
        let other = other.flushed();
        if self.width < other.width {
            self.bins = self.at_width(other.width);
            self.width = other.width;
        }
        self.is_coarse &= other.is_coarse;
        for (at, counts) in other.at_width(self.width) {
            let counts = counts
                .into_iter()
                .map(|(number, count)| (map(number), count));
            let mut counts: Vec<_> = counts.filter(|(number, _)| *number < NUMBERS).collect();
            counts.sort_unstable();
            add_bin(&mut self.bins, at, counts);
        }
        self.widen();
    }

    /// The same, with the bin that is filled among the others.
    fn flushed(&self) -> Counts {
        let mut flushed = self.clone();
        flushed.flush();
        flushed.current = 0;
        flushed.filled = Vec::new();
        flushed
    }

    /// The width at which two logs can be compared, in microseconds.
    pub(super) fn common_width(&self, other: &Counts) -> i64 {
        let widths = [self, other].map(|it| match it.is_coarse {
            true => it.flushed().width.max(SECOND),
            false => it.flushed().width,
        });
        widths[0].max(widths[1])
    }

    /// The bins at this width, by their begin.
    pub(super) fn bins(&self, width: i64) -> BTreeMap<i64, Vec<(u32, u32)>> {
        self.flushed().at_width(width)
    }
}

/// Add sorted counts to a bin.
fn add_bin(bins: &mut BTreeMap<i64, Vec<(u32, u32)>>, at: i64, counts: Vec<(u32, u32)>) {
    let bin = bins.entry(at).or_default();
    bin.extend(counts);
    bin.sort_unstable_by_key(|(number, _)| *number);
    bin.dedup_by(|next, kept| {
        let is_same = next.0 == kept.0;
        if is_same {
            kept.1 = kept.1.saturating_add(next.1);
        }
        is_same
    });
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Saved {
    width: i64,
    is_coarse: bool,
    bins: Vec<(i64, Vec<(u32, u32)>)>,
}

impl From<Counts> for Saved {
    fn from(counts: Counts) -> Self {
        let counts = counts.flushed();
        Self {
            width: counts.width,
            is_coarse: counts.is_coarse,
            bins: counts.bins.into_iter().collect(),
        }
    }
}

impl From<Saved> for Counts {
    fn from(saved: Saved) -> Self {
        let mut width = NARROWEST;
        while width < saved.width {
            width = wider(width);
        }
        let mut counts = Counts {
            width,
            is_coarse: saved.is_coarse,
            ..Counts::default()
        };
        for (at, mut bin) in saved.bins {
            bin.retain(|(number, count)| *number < NUMBERS && *count > 0);
            add_bin(
                &mut counts.bins,
                at.div_euclid(width).saturating_mul(width),
                bin,
            );
            counts.widen();
        }
        counts
    }
}
