//! Pacing: when is arrival `n` due? A pure function, so that it can be tested as a table.

use std::time::Duration;

/// Some arrivals of a [`Schedule`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ArrivalSpec {
    /// So many at once.
    Burst {
        /// When, from the start of the phase.
        at: Duration,
        /// How many.
        users: u64,
    },
    /// At a rate that is constant or changes linearly.
    Rate {
        /// The beginning, from the start of the phase.
        from: Duration,
        /// The end; that of the phase where it is not given.
        to: Option<Duration>,
        /// Arrivals a second at the beginning.
        first: f64,
        /// Arrivals a second at the end.
        last: f64,
    },
}

/// A constant arrival rate, split evenly over the shards of a run.
///
/// Arrival `n` of the run is due `n / rate` seconds after the start; shard `k` of `m` owns the
/// arrivals `k`, `k + m`, `k + 2m`, and so on, so that all shards together keep one even rhythm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pacer {
    rate: f64,
    shard: u64,
    shards: u64,
    total: u64,
}

impl Pacer {
    /// Arrivals at `rate` per second for `duration_ns` nanoseconds, as shard `shard` of `shards`.
    pub fn constant(rate: f64, duration_ns: u64, shard: u64, shards: u64) -> Self {
        // All arrivals that are due before the end.
        let total = (rate * duration_ns as f64 / 1e9).round() as u64;
        Self {
            rate,
            shard,
            shards: shards.max(1),
            total,
        }
    }

    /// Arrivals of this shard.
    pub fn count(&self) -> u64 {
        (self.total + self.shards - 1).saturating_sub(self.shard) / self.shards
    }

    /// The number in the whole run of this shard's arrival `n`.
    pub fn number(&self, n: u64) -> u64 {
        self.shard + n * self.shards
    }

    /// When this shard's arrival `n` is due, in nanoseconds from the start; `None` past the last.
    pub fn due_ns(&self, n: u64) -> Option<u64> {
        (n < self.count()).then(|| (self.number(n) as f64 / self.rate * 1e9) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_evenly_spaced() {
        let check = |rate: f64, n: u64, due: Option<u64>| {
            assert_eq!(
                Pacer::constant(rate, 1_000_000_000, 0, 1).due_ns(n),
                due,
                "{rate} {n}"
            );
        };
        check(1_000.0, 0, Some(0));
        check(1_000.0, 999, Some(999_000_000));
        check(1_000.0, 1_000, None);
        check(0.5, 0, Some(0));
        check(0.5, 1, None);
        check(50_000.0, 1, Some(20_000));
    }

    #[test]
    fn shards_together_make_the_whole() {
        for (rate, shards) in [(2_000.0, 1), (2_000.0, 3), (7.3, 4), (1.0, 8)] {
            let whole = Pacer::constant(rate, 6_000_000_000, 0, 1);
            let mut all: Vec<u64> = (0..shards)
                .flat_map(|shard| {
                    let part = Pacer::constant(rate, 6_000_000_000, shard, shards);
                    (0..part.count()).filter_map(move |n| part.due_ns(n))
                })
                .collect();
            all.sort_unstable();
            let expected: Vec<u64> = (0..whole.count()).filter_map(|n| whole.due_ns(n)).collect();
            assert_eq!(all, expected, "{rate} over {shards}");
        }
    }

    #[test]
    fn numbers_never_repeat() {
        let parts = [0, 1].map(|shard| Pacer::constant(10.0, 1_000_000_000, shard, 2));
        let mut numbers: Vec<u64> = parts
            .iter()
            .flat_map(|part| (0..part.count()).map(|n| part.number(n)))
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    }
}
