//! Distributions of durations: thousands of them, small, exact where it shows, and mergeable.
//!
//! A digest keeps one for each group, adds a million values a second, and must give the same bytes
//! whatever the log was split into. So everything in it is an integer that adds up in any order, and
//! it changes from single values to buckets by the number of different values alone.

use serde::{Deserialize, Serialize};

/// Different values that are kept one by one.
const FEW: usize = 64;

/// Buckets in each octave: a bucket is at most 1/64 wide, relative to its values.
const SUB_BUCKETS: usize = 64;

/// Octaves of 64-bit values: one for 0 to 63, then one for each power of two.
const OCTAVES: usize = 59;

/// The upper edges of [`Distribution::decades`] in nanoseconds: 10 us, 100 us ... 10 s, and beyond.
pub const DECADES_NS: [u64; 7] = [
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
];

/// How often each duration, in nanoseconds, was seen.
///
/// Count, sum, extremes and the sum of squares are exact. A quantile is a value that was really seen:
/// with at most 64 different values the exact one, otherwise the largest of its bucket, which is at most
/// 1.6% too large.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    count: u64,
    sum_ns: u128,
    /// In square microseconds: nanoseconds would overflow for hours.
    sum_squares: u128,
    min_ns: u64,
    max_ns: u64,
    values: Values,
}

#[derive(Debug, Clone, PartialEq)]
enum Values {
    /// Value and count, sorted by value; at most [`FEW`].
    Few(Vec<(u64, u64)>),
    Octaves(Box<[Option<Box<Octave>>; OCTAVES]>),
}

#[derive(Debug, Clone, PartialEq)]
struct Octave {
    counts: [u64; SUB_BUCKETS],
    /// The largest value seen in each bucket.
    largest: [u64; SUB_BUCKETS],
}

impl Default for Octave {
    fn default() -> Self {
        Self {
            counts: [0; SUB_BUCKETS],
            largest: [0; SUB_BUCKETS],
        }
    }
}

/// The octave and the bucket within it of a value.
#[inline]
fn place(value: u64) -> (usize, usize) {
    if value < SUB_BUCKETS as u64 {
        return (0, value as usize);
    }
    let exponent = 63 - value.leading_zeros() as usize;
    let sub = (value >> (exponent - 6)) as usize & (SUB_BUCKETS - 1);
    (exponent - 5, sub)
}

impl Default for Distribution {
    fn default() -> Self {
        Self {
            count: 0,
            sum_ns: 0,
            sum_squares: 0,
            min_ns: u64::MAX,
            max_ns: 0,
            values: Values::Few(Vec::new()),
        }
    }
}

impl Distribution {
    /// Add `count` times the duration `ns`.
    #[inline]
    pub fn record(&mut self, ns: u64, count: u64) {
        let us = u128::from(ns / 1_000);
        self.count = self.count.saturating_add(count);
        self.sum_ns += u128::from(ns) * u128::from(count);
        // A log would need 10^19 durations of an hour to overflow this.
        self.sum_squares = self
            .sum_squares
            .saturating_add((us * us).saturating_mul(u128::from(count)));
        self.min_ns = self.min_ns.min(ns);
        self.max_ns = self.max_ns.max(ns);
        self.put(ns, count);
    }

    #[inline]
    fn put(&mut self, ns: u64, count: u64) {
        match &mut self.values {
            Values::Octaves(octaves) => {
                let (octave, sub) = place(ns);
                let octave = octaves[octave].get_or_insert_default();
                octave.counts[sub] = octave.counts[sub].saturating_add(count);
                octave.largest[sub] = octave.largest[sub].max(ns);
            }
            Values::Few(few) => match few.binary_search_by_key(&ns, |(value, _)| *value) {
                Ok(at) => few[at].1 = few[at].1.saturating_add(count),
                Err(at) if few.len() < FEW => few.insert(at, (ns, count)),
                Err(_) => {
                    self.spill();
                    self.put(ns, count);
                }
            },
        }
    }

    /// Go over from single values to buckets.
    fn spill(&mut self) {
        let few = match &mut self.values {
            Values::Few(few) => std::mem::take(few),
            Values::Octaves(_) => return,
        };
        self.values = Values::Octaves(Box::new([const { None }; OCTAVES]));
        for (value, count) in few {
            self.put(value, count);
        }
    }

    /// Add all of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        self.sum_squares = self.sum_squares.saturating_add(other.sum_squares);
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        if matches!(other.values, Values::Octaves(_)) {
            self.spill();
        }
        for (value, count) in other.entries() {
            self.put(value, count);
        }
    }

    /// Largest value and count of each bucket that is not empty, from the smallest up.
    fn entries(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let (few, octaves) = match &self.values {
            Values::Few(few) => (few.as_slice(), None),
            Values::Octaves(octaves) => (&[][..], Some(octaves.iter().flatten())),
        };
        let buckets = octaves.into_iter().flatten().flat_map(|octave| {
            let pairs = octave.largest.iter().zip(&octave.counts);
            pairs.map(|(value, count)| (*value, *count))
        });
        few.iter()
            .copied()
            .chain(buckets)
            .filter(|(_, count)| *count > 0)
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The sum in nanoseconds.
    pub fn sum_ns(&self) -> u128 {
        self.sum_ns
    }

    /// The smallest value in nanoseconds; 0 when empty.
    pub fn min_ns(&self) -> u64 {
        if self.is_empty() { 0 } else { self.min_ns }
    }

    /// The largest value in nanoseconds; 0 when empty.
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// The arithmetic mean in nanoseconds; 0 when empty.
    pub fn mean_ns(&self) -> f64 {
        if self.is_empty() {
            return 0.0;
        }
        self.sum_ns as f64 / self.count as f64
    }

    /// The standard deviation of the values in nanoseconds; 0 when there are fewer than two.
    pub fn deviation_ns(&self) -> f64 {
        if self.count < 2 {
            return 0.0;
        }
        let mean_us = self.mean_ns() / 1e3;
        let mean_square = self.sum_squares as f64 / self.count as f64;
        (mean_square - mean_us * mean_us).max(0.0).sqrt() * 1e3
    }

    /// The smallest value that at least a share `q` (0 to 1) of the values do not exceed, in
    /// nanoseconds (the nearest rank); 0 when empty.
    pub fn quantile_ns(&self, q: f64) -> u64 {
        let rank = ((self.count as f64 * q).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0_u64;
        for (value, count) in self.entries() {
            seen = seen.saturating_add(count);
            if seen >= rank {
                return value;
            }
        }
        self.max_ns
    }

    /// How many values lie below each of [`DECADES_NS`] and above the one before; the last is for what
    /// lies beyond.
    pub fn decades(&self) -> [u64; DECADES_NS.len() + 1] {
        let mut decades = [0_u64; DECADES_NS.len() + 1];
        for (value, count) in self.entries() {
            let at = DECADES_NS.partition_point(|edge| *edge <= value);
            decades[at] = decades[at].saturating_add(count);
        }
        decades
    }
}

/// A distribution as a snapshot keeps it.
#[derive(Serialize, Deserialize)]
struct Stored {
    count: u64,
    sum_ns: u128,
    sum_squares_us: u128,
    min_ns: u64,
    max_ns: u64,
    /// Whether the values are single values, or the largest of their bucket.
    is_exact: bool,
    values: Vec<(u64, u64)>,
}

impl Serialize for Distribution {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Stored {
            count: self.count,
            sum_ns: self.sum_ns,
            sum_squares_us: self.sum_squares,
            min_ns: self.min_ns,
            max_ns: self.max_ns,
            is_exact: matches!(self.values, Values::Few(_)),
            values: self.entries().collect(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Distribution {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let mut distribution = Self::default();
        if !stored.is_exact {
            distribution.spill();
        }
        for (value, count) in stored.values {
            distribution.put(value, count);
        }
        Ok(Self {
            count: stored.count,
            sum_ns: stored.sum_ns,
            sum_squares: stored.sum_squares_us,
            min_ns: stored.min_ns,
            max_ns: stored.max_ns,
            values: distribution.values,
        })
    }
}

#[cfg(test)]
mod tests {
    // Failing here is failing a test.
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Distribution {
        let mut distribution = Distribution::default();
        for value in values {
            distribution.record(value, 1);
        }
        distribution
    }

    #[test]
    fn few_values_are_exact() {
        let distribution = of((1..=100).map(|n| n % 50 * 1_000_000));
        assert_eq!(distribution.quantile_ns(0.5), 24_000_000);
        assert_eq!(distribution.quantile_ns(0.98), 48_000_000);
        assert_eq!(distribution.quantile_ns(1.0), 49_000_000);
        assert_eq!(distribution.quantile_ns(0.0), 0);
    }

    #[test]
    fn milliseconds_stay_milliseconds_among_many() {
        // nginx logs whole milliseconds: a bucket's largest value is one of them.
        let distribution = of((0..100_000).map(|n| n % 700 * 1_000_000));
        for q in [0.1, 0.5, 0.9, 0.99] {
            assert_eq!(distribution.quantile_ns(q) % 1_000_000, 0, "{q}");
        }
    }

    #[test]
    fn decades_are_counted() {
        let check = |ns: u64, at: usize| assert_eq!(of([ns]).decades()[at], 1, "{ns}");
        check(0, 0);
        check(9_999, 0);
        check(10_000, 1);
        check(9_999_999_999, 6);
        check(10_000_000_000, 7);
        check(u64::MAX, 7);
    }

    #[test]
    fn an_empty_one_reads_as_zero() {
        let empty = Distribution::default();
        assert_eq!(empty.quantile_ns(0.5), 0);
        assert_eq!((empty.min_ns(), empty.max_ns()), (0, 0));
        assert_eq!(empty.mean_ns() + empty.deviation_ns(), 0.0);
    }

    #[test]
    fn the_deviation_is_that_of_the_values() {
        assert_eq!(
            of([2_000, 4_000, 4_000, 4_000, 5_000, 5_000, 7_000, 9_000]).deviation_ns(),
            2_000.0
        );
    }

    fn durations() -> impl Strategy<Value = Vec<u64>> {
        let one = prop_oneof![
            0..300_u64,
            (0..500_u64).prop_map(|ms| ms * 1_000_000),
            any::<u64>()
        ];
        prop::collection::vec(one, 0..400)
    }

    proptest! {
        #[test]
        fn parts_merge_to_the_whole(values in durations(), at in 0..400_usize) {
            let at = at.min(values.len());
            let whole = of(values.iter().copied());
            let mut merged = of(values[..at].iter().copied());
            merged.merge(&of(values[at..].iter().copied()));
            prop_assert_eq!(&merged, &whole);
            let stored = serde_json::to_string(&whole).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Distribution>(&stored).unwrap(), &whole);
        }

        #[test]
        fn a_quantile_is_a_value_that_was_seen_and_at_most_a_64th_too_large(
            mut values in durations(), q in 0.0..=1.0_f64
        ) {
            prop_assume!(!values.is_empty());
            let seen = of(values.iter().copied()).quantile_ns(q);
            values.sort_unstable();
            let rank = ((values.len() as f64 * q).ceil() as usize).clamp(1, values.len());
            let exact = values[rank - 1];
            prop_assert!(values.contains(&seen));
            prop_assert!(seen >= exact && seen - exact <= exact / 64 + 1, "{} {}", seen, exact);
        }
    }
}
