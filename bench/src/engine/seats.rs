//! Seats: the places in which a shard's users sit, and the arrivals that wait for one.

use super::clock::Nanos;
use super::plan::{Load, Population, share};
use super::user::User;
use crate::pace::Pacer;

/// A user in its place.
pub(super) struct Seat {
    pub(super) user: Box<dyn User>,
    /// Which population it belongs to.
    pub(super) population: usize,
    /// Tells the pauses of its users apart.
    pub(super) serial: u32,
}

/// A free seat, and since when.
#[derive(Debug, Clone, Copy)]
struct FreeSeat {
    seat: u32,
    since: Nanos,
}

/// One population in one shard during one phase.
pub(super) struct Crowd {
    pub(super) population: Population,
    /// Users this shard may have at a time.
    pub(super) max_users: usize,
    /// Users made so far.
    pub(super) made: usize,
    free: Vec<FreeSeat>,
    arrivals: Option<Arrivals>,
}

/// The arrivals of an open population.
#[derive(Debug)]
struct Arrivals {
    pacer: Pacer,
    start: Nanos,
    next: u64,
}

impl Crowd {
    pub(super) fn new(
        population: &Population,
        shard: usize,
        shards: usize,
        start: Nanos,
        duration: Nanos,
    ) -> Self {
        let arrivals = match population.load {
            Load::Closed { .. } => None,
            Load::Open { rate, .. } => Some(Arrivals {
                pacer: Pacer::constant(rate, duration, shard as u64, shards as u64),
                start,
                next: 0,
            }),
        };
        Self {
            population: population.clone(),
            max_users: share(population.load.max_users(), shard, shards),
            made: 0,
            free: Vec::new(),
            arrivals,
        }
    }

    /// When the next arrival is due, if there is one and it would find a seat.
    pub(super) fn next_due(&self) -> Option<Nanos> {
        if self.free.is_empty() && self.made >= self.max_users {
            return None;
        }
        let arrivals = self.arrivals.as_ref()?;
        arrivals
            .pacer
            .due_ns(arrivals.next)
            .map(|due| arrivals.start + due)
    }

    /// The next arrival has been begun.
    pub(super) fn take_arrival(&mut self) {
        if let Some(arrivals) = &mut self.arrivals {
            arrivals.next += 1;
        }
    }

    /// Take a free seat: which, and since when it is free.
    pub(super) fn take_free(&mut self) -> Option<(u32, Nanos)> {
        self.free.pop().map(|free| (free.seat, free.since))
    }

    /// A user has finished.
    pub(super) fn give_back(&mut self, seat: u32, since: Nanos) {
        if self.arrivals.is_some() {
            self.free.push(FreeSeat { seat, since });
        }
    }

    /// Arrivals that were never begun.
    pub(super) fn dropped(&self) -> u64 {
        self.arrivals
            .as_ref()
            .map_or(0, |arrivals| arrivals.pacer.count() - arrivals.next)
    }

    /// Arrivals that were due by `now` and not begun: a run that is stopped drops no others.
    pub(super) fn dropped_by(&self, now: Nanos) -> u64 {
        let Some(arrivals) = &self.arrivals else {
            return 0;
        };
        let passed = now.saturating_sub(arrivals.start);
        // The first arrival that was not due yet, by bisection: due times only grow.
        let (mut low, mut high) = (arrivals.next, arrivals.pacer.count());
        while low < high {
            let middle = low + (high - low) / 2;
            if arrivals
                .pacer
                .due_ns(middle)
                .is_some_and(|due| due <= passed)
            {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low - arrivals.next
    }
}
