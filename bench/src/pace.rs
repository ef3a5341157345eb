//! Pacing: when is arrival `n` due? Pure functions, so that they can be tested as tables.

mod ramp;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use ramp::Ramp;

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

/// Rates beyond this many arrivals a second are cut down to it.
const MAX_RATE: f64 = 1e9;

/// Arrivals over a phase, of all shards together.
///
/// The rates of all specs are added, and arrival `n` is due when their integral reaches `n`: two
/// rates of 10/s that overlap are one even rhythm of 20/s, not pairs. A burst adds its users to the
/// integral at once. What is left of an arrival when a rate ends goes on with the next one, so the
/// number of arrivals is the integral, rounded up because arrival 0 is due at 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// In order of time and of arrivals; stretches in which nobody comes have none.
    pieces: Vec<Piece>,
    total: u64,
}

/// A burst, or a stretch in which the rate is linear.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Piece {
    /// The integral at the beginning.
    before: f64,
    /// The beginning, in nanoseconds.
    start: u64,
    /// The end; that of a burst is its beginning.
    end: u64,
    /// Arrivals a second at the beginning.
    rate: f64,
    /// By how much the rate changes in a second.
    slope: f64,
}

impl Piece {
    /// When arrival `n`, which is in this piece, is due.
    fn due_ns(&self, n: u64) -> u64 {
        let left = n as f64 - self.before;
        if self.start == self.end || left <= 0.0 {
            return self.start;
        }
        let seconds = if self.slope == 0.0 {
            left / self.rate
        } else {
            // Of the ways to write the root of a quadratic, the one in which nothing cancels out.
            let square = self.rate * self.rate + 2.0 * self.slope * left;
            2.0 * left / (self.rate + square.max(0.0).sqrt())
        };
        // Rounding must not carry an arrival behind the piece.
        (self.start.saturating_add((seconds * 1e9) as u64)).min(self.end - 1)
    }
}

/// A rate in one stretch of time.
#[derive(Debug, Clone, Copy)]
struct Line {
    start: u64,
    end: u64,
    rate: f64,
    slope: f64,
}

impl Line {
    /// The part of a spec that is in the phase, if any is.
    fn of(from: u64, to: u64, first: f64, last: f64, duration_ns: u64) -> Option<Self> {
        let sane = |rate: f64| {
            if rate.is_nan() {
                0.0
            } else {
                rate.clamp(0.0, MAX_RATE)
            }
        };
        let (first, last) = (sane(first), sane(last));
        let end = to.min(duration_ns);
        (from < end).then(|| Self {
            start: from,
            end,
            rate: first,
            slope: (last - first) / ((to - from) as f64 / 1e9),
        })
    }

    /// Arrivals a second at `ns`.
    fn rate_at(&self, ns: u64) -> f64 {
        (self.rate + self.slope * ((ns - self.start) as f64 / 1e9)).max(0.0)
    }
}

/// The integral is worked out in floating point: what is this near to a whole arrival is one.
fn settle(integral: f64) -> f64 {
    let whole = integral.round();
    let noise = (integral * 1e-14).max(1e-6);
    if (integral - whole).abs() < noise {
        whole
    } else {
        integral
    }
}

/// Nanoseconds of a duration, at most 584 years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Schedule {
    /// The arrivals of `specs` in a phase of `duration_ns` nanoseconds. What is due at its end or
    /// later is left out, and a rate that would go on is cut.
    pub fn new(specs: &[ArrivalSpec], duration_ns: u64) -> Self {
        let mut lines = Vec::new();
        let mut bursts = Vec::new();
        for spec in specs {
            match *spec {
                ArrivalSpec::Burst { at, users } => {
                    if nanos(at) < duration_ns {
                        bursts.push((nanos(at), users));
                    }
                }
                ArrivalSpec::Rate {
                    from,
                    to,
                    first,
                    last,
                } => {
                    let to = to.map_or(duration_ns, nanos);
                    lines.extend(Line::of(nanos(from), to, first, last, duration_ns));
                }
            }
        }
        Self::integrate(&lines, &bursts)
    }

    /// Arrivals at a constant rate.
    pub fn constant(rate: f64, duration_ns: u64) -> Self {
        let line = Line::of(0, duration_ns, rate, rate, duration_ns);
        Self::integrate(line.as_slice(), &[])
    }

    fn integrate(lines: &[Line], bursts: &[(u64, u64)]) -> Self {
        let mut times: Vec<u64> = lines
            .iter()
            .flat_map(|line| [line.start, line.end])
            .collect();
        times.extend(bursts.iter().map(|(at, _)| *at));
        times.sort_unstable();
        times.dedup();
        let mut pieces = Vec::new();
        let mut integral = 0.0;
        for (index, &start) in times.iter().enumerate() {
            let mut piece = Piece {
                before: integral,
                start,
                end: start,
                rate: 0.0,
                slope: 0.0,
            };
            let here = bursts.iter().filter(|(at, _)| *at == start);
            let users = here.fold(0_u64, |sum, (_, users)| sum.saturating_add(*users));
            if users > 0 {
                pieces.push(piece);
                integral += users as f64;
                piece.before = integral;
            }
            let Some(&end) = times.get(index + 1) else {
                break;
            };
            piece.end = end;
            let mut last = 0.0;
            for line in lines {
                if line.start <= start && end <= line.end {
                    piece.rate += line.rate_at(start);
                    piece.slope += line.slope;
                    last += line.rate_at(end);
                }
            }
            let gain = (piece.rate + last) / 2.0 * ((end - start) as f64 / 1e9);
            if gain > 0.0 {
                pieces.push(piece);
                integral = settle(integral + gain);
            }
        }
        Self {
            pieces,
            total: integral.ceil() as u64,
        }
    }

    /// Arrivals that are due before the end.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// When arrival `n` is due, in nanoseconds from the start; `None` past the last.
    pub fn due_ns(&self, n: u64) -> Option<u64> {
        if n >= self.total {
            return None;
        }
        let behind = self
            .pieces
            .partition_point(|piece| piece.before <= n as f64);
        let piece = self.pieces.get(behind.checked_sub(1)?)?;
        Some(piece.due_ns(n))
    }

    /// The piece of arrival `n`, given that of an earlier one.
    fn piece_from(&self, mut piece: usize, n: u64) -> usize {
        while self
            .pieces
            .get(piece + 1)
            .is_some_and(|next| next.before <= n as f64)
        {
            piece += 1;
        }
        piece
    }
}

/// What one shard of a run takes of a [`Schedule`].
///
/// Shard `k` of `m` owns the arrivals `k`, `k + m`, `k + 2m`, and so on, so that all shards together
/// keep one even rhythm.
#[derive(Debug, Clone, PartialEq)]
pub struct Pacer {
    schedule: Arc<Schedule>,
    shard: u64,
    shards: u64,
}

impl Pacer {
    /// Arrivals of `schedule`, as shard `shard` of `shards`.
    pub fn new(schedule: Arc<Schedule>, shard: u64, shards: u64) -> Self {
        Self {
            schedule,
            shard,
            shards: shards.max(1),
        }
    }

    /// Arrivals at `rate` per second for `duration_ns` nanoseconds, as shard `shard` of `shards`.
    pub fn constant(rate: f64, duration_ns: u64, shard: u64, shards: u64) -> Self {
        let schedule = Schedule::constant(rate, duration_ns);
        Self::new(Arc::new(schedule), shard, shards)
    }

    /// Arrivals of this shard.
    pub fn count(&self) -> u64 {
        (self.schedule.count().saturating_add(self.shards - 1)).saturating_sub(self.shard)
            / self.shards
    }

    /// The number in the whole run of this shard's arrival `n`.
    pub fn number(&self, n: u64) -> u64 {
        n.saturating_mul(self.shards).saturating_add(self.shard)
    }

    /// When this shard's arrival `n` is due, in nanoseconds from the start; `None` past the last.
    pub fn due_ns(&self, n: u64) -> Option<u64> {
        self.schedule.due_ns(self.number(n))
    }

    /// This shard's arrivals in their order.
    pub fn arrivals(&self) -> Arrivals {
        let mut arrivals = Arrivals {
            pacer: self.clone(),
            n: 0,
            piece: 0,
            due: None,
        };
        arrivals.work_out();
        arrivals
    }
}

/// A shard's arrivals one after the other; each costs a few nanoseconds. An iterator over the times
/// at which they are due, in nanoseconds from the start.
#[derive(Debug, Clone)]
pub struct Arrivals {
    pacer: Pacer,
    n: u64,
    piece: usize,
    due: Option<u64>,
}

impl Arrivals {
    /// When the next arrival is due, in nanoseconds from the start; `None` after the last.
    pub fn next_due(&self) -> Option<u64> {
        self.due
    }

    /// Which of this shard's arrivals the next one is, from 0; also how many were taken.
    pub fn taken(&self) -> u64 {
        self.n
    }

    /// The number of the next arrival in the whole run.
    pub fn number(&self) -> u64 {
        self.pacer.number(self.n)
    }

    /// Those that were not taken.
    pub fn left(&self) -> u64 {
        self.pacer.count().saturating_sub(self.n)
    }

    fn work_out(&mut self) {
        let schedule = &self.pacer.schedule;
        let number = self.pacer.number(self.n);
        self.due = (number < schedule.total)
            .then(|| {
                self.piece = schedule.piece_from(self.piece, number);
                schedule.pieces.get(self.piece)
            })
            .flatten()
            .map(|piece| piece.due_ns(number));
    }
}

impl Iterator for Arrivals {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let due = self.due?;
        self.n += 1;
        self.work_out();
        Some(due)
    }
}
