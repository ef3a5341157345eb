//! Latency distributions: what is recorded a million times a second and read once.

use std::borrow::Cow;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Significant decimal digits kept by every distribution: a quantile is at most 0.1% (or 64 ns) off.
const SIGNIFICANT_DIGITS: u8 = 3;

/// The shortest time told apart from zero, in nanoseconds.
const LOWEST_NS: u64 = 100;

/// Values above this are recorded as this: one hour, in nanoseconds.
pub const HIGHEST_NS: u64 = 3_600_000_000_000;

/// A distribution of durations in nanoseconds, in bounded memory.
///
/// A High Dynamic Range histogram with three significant digits. It grows to the largest value
/// it has seen (about 100 KB at a second) and never with the number of values. The first few values
/// are kept as they are: a report has many distributions, and most of them stay small.
#[derive(Debug, Clone)]
pub struct Latencies {
    /// The values, while there is no histogram; at most [`FEW`].
    few: Vec<u64>,
    histogram: Option<Box<Histogram<u64>>>,
    sum_ns: u128,
    /// Exact extremes, where the histogram knows only its buckets' edges.
    min_ns: u64,
    max_ns: u64,
}

/// Values kept one by one before a histogram is made: 1 KB.
const FEW: usize = 128;

fn empty_histogram() -> Histogram<u64> {
    // The bounds are constants the crate accepts; the fallback has the same precision.
    let mut histogram = Histogram::new_with_bounds(LOWEST_NS, 100_000_000, SIGNIFICANT_DIGITS)
        .or_else(|_| Histogram::new(SIGNIFICANT_DIGITS))
        .unwrap_or_else(|_| unreachable!("three digits are within the crate's range"));
    histogram.auto(true);
    histogram
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

impl Latencies {
    /// An empty distribution.
    pub fn new() -> Self {
        Self {
            few: Vec::new(),
            histogram: None,
            sum_ns: 0,
            min_ns: u64::MAX,
            max_ns: 0,
        }
    }

    /// Add one duration in nanoseconds; more than [`HIGHEST_NS`] counts as [`HIGHEST_NS`].
    #[inline]
    pub fn record(&mut self, ns: u64) {
        let ns = ns.min(HIGHEST_NS);
        self.sum_ns += u128::from(ns);
        self.min_ns = self.min_ns.min(ns);
        self.max_ns = self.max_ns.max(ns);
        match &mut self.histogram {
            // Cannot fail: the histogram resizes itself, and HIGHEST_NS is far within its range.
            Some(histogram) => drop(histogram.record(ns)),
            None if self.few.len() < FEW => self.few.push(ns),
            None => drop(self.spill().record(ns)),
        }
    }

    /// Go over from a few values to a histogram.
    fn spill(&mut self) -> &mut Histogram<u64> {
        let few = std::mem::take(&mut self.few);
        let histogram = self
            .histogram
            .get_or_insert_with(|| Box::new(empty_histogram()));
        for ns in few {
            let _ = histogram.record(ns);
        }
        histogram
    }

    /// Add `count` durations of zero, which is cheaper than one by one.
    pub fn record_zeros(&mut self, count: u64) {
        if count > 0 {
            self.min_ns = 0;
            let _ = self.spill().record_n(0, count);
        }
    }

    /// Add all of `other`'s values.
    pub fn merge(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        self.sum_ns += other.sum_ns;
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        if let Some(theirs) = &other.histogram {
            // Cannot fail: both have the same precision and this one resizes.
            let _ = self.spill().add(&**theirs);
        }
        if self.histogram.is_none() && self.few.len() + other.few.len() <= FEW {
            self.few.extend_from_slice(&other.few);
            return;
        }
        let histogram = self.spill();
        for &ns in &other.few {
            let _ = histogram.record(ns);
        }
    }

    /// Forget every value, keeping the memory.
    pub fn clear(&mut self) {
        if let Some(histogram) = &mut self.histogram {
            histogram.reset();
        }
        self.few.clear();
        self.sum_ns = 0;
        self.min_ns = u64::MAX;
        self.max_ns = 0;
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        let counted = self.histogram.as_ref().map_or(0, |counted| counted.len());
        counted + self.few.len() as u64
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// The value below which a share `q` (0 to 1) of the values lie, in nanoseconds; 0 when empty.
    pub fn quantile_ns(&self, q: f64) -> u64 {
        if self.is_empty() {
            return 0;
        }
        self.quantile_of(&self.histogram(), q)
    }

    fn quantile_of(&self, histogram: &Histogram<u64>, q: f64) -> u64 {
        let edge = histogram.value_at_quantile(q);
        // What cannot be told from zero reads as zero.
        if edge < LOWEST_NS {
            return 0;
        }
        // A bucket's upper edge may lie above the largest value that was really seen.
        edge.min(self.max_ns())
    }

    /// The largest value in nanoseconds, exact; 0 when empty.
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// The smallest value in nanoseconds, exact; 0 when empty.
    pub fn min_ns(&self) -> u64 {
        if self.is_empty() { 0 } else { self.min_ns }
    }

    /// The arithmetic mean in nanoseconds, exact; 0 when empty.
    pub fn mean_ns(&self) -> f64 {
        if self.is_empty() {
            return 0.0;
        }
        self.sum_ns as f64 / self.count() as f64
    }

    /// The usual quantiles, in milliseconds.
    pub fn summary(&self) -> LatencySummary {
        if self.is_empty() {
            return LatencySummary::default();
        }
        let histogram = self.histogram();
        let ms = |ns: u64| ns as f64 / 1e6;
        let quantile = |q| ms(self.quantile_of(&histogram, q));
        LatencySummary {
            p50: quantile(0.50),
            p90: quantile(0.90),
            p95: quantile(0.95),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: ms(self.max_ns()),
            mean: self.mean_ns() / 1e6,
        }
    }

    /// The histogram, for writers of the HDR formats. Values are nanoseconds.
    pub fn histogram(&self) -> Cow<'_, Histogram<u64>> {
        if let Some(histogram) = &self.histogram {
            return Cow::Borrowed(histogram);
        }
        let mut histogram = empty_histogram();
        for &ns in &self.few {
            let _ = histogram.record(ns);
        }
        Cow::Owned(histogram)
    }
}

/// The quantiles every report shows, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencySummary {
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Largest value.
    pub max: f64,
    /// Arithmetic mean.
    pub mean: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new();
        for value in values {
            latencies.record(value);
        }
        latencies
    }

    #[test]
    fn quantiles_are_within_a_thousandth() {
        let latencies = of((1..=100_000).map(|n| n * 1_000));
        for (q, exact) in [
            (0.5, 50_000_000.0),
            (0.9, 90_000_000.0),
            (0.999, 99_900_000.0),
        ] {
            let seen = latencies.quantile_ns(q) as f64;
            assert!(
                (seen / exact - 1.0).abs() < 0.001,
                "{q}: {seen} against {exact}"
            );
        }
        assert_eq!(latencies.mean_ns(), 50_000_500.0);
    }

    #[test]
    fn merging_parts_equals_the_whole() {
        let whole = of((0..5_000).map(|n| n * n));
        let mut merged = of((0..2_500).map(|n| n * n));
        merged.merge(&of((2_500..5_000).map(|n| n * n)));
        assert_eq!(merged.summary(), whole.summary());
        assert_eq!(merged.count(), whole.count());
    }

    #[test]
    fn few_values_and_many_merge_alike() {
        for (left, right) in [(0, 5), (100, 28), (100, 29), (5, 1_000), (1_000, 5)] {
            let values = |from: u64, to: u64| (from..to).map(|n| n * 12_345);
            let mut merged = of(values(0, left));
            merged.merge(&of(values(left, left + right)));
            let whole = of(values(0, left + right));
            assert_eq!(merged.count(), left + right);
            assert_eq!(merged.summary(), whole.summary(), "{left} and {right}");
            merged.clear();
            assert!(merged.is_empty());
        }
    }

    #[test]
    fn an_empty_distribution_reads_as_zero() {
        assert_eq!(Latencies::new().summary(), LatencySummary::default());
    }

    #[test]
    fn a_value_beyond_the_range_counts_as_the_largest() {
        let latencies = of([u64::MAX]);
        assert_eq!(latencies.count(), 1);
        assert_eq!(latencies.max_ns(), HIGHEST_NS);
    }

    #[test]
    fn zeros_are_recorded_together() {
        let mut latencies = of([2_000]);
        latencies.record_zeros(3);
        latencies.record_zeros(0);
        let one_by_one = of([0, 0, 0, 2_000]);
        assert_eq!(latencies.summary(), one_by_one.summary());
        assert_eq!(latencies.min_ns(), 0);
    }

    #[test]
    fn clearing_keeps_nothing() {
        let mut latencies = of([5_000_000]);
        latencies.clear();
        assert!(latencies.is_empty());
        assert_eq!(latencies.mean_ns(), 0.0);
    }
}
