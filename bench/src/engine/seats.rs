//! Seats: the places in which a shard's users sit, and the arrivals that wait for one.

use std::sync::Arc;

use super::clock::{NEVER, Nanos};
use super::plan::{Load, Population, share};
use super::user::User;
use crate::pace::{self, Pacer, Schedule};

/// A user in its place.
pub(super) struct Seat {
    pub(super) user: Box<dyn User>,
    /// Which population it belongs to.
    pub(super) population: usize,
    /// Tells those who sat here one after the other apart.
    pub(super) occupant: u32,
    /// Somebody is here.
    pub(super) taken: bool,
    /// Its user shall begin nothing new.
    pub(super) retired: bool,
    /// When its user wants to be resumed.
    pub(super) wake_at: Nanos,
    /// When the nearest of its timers fires: a user that pauses again and again has one timer.
    pub(super) timer_at: Nanos,
}

impl Seat {
    pub(super) fn new(user: Box<dyn User>, population: usize) -> Self {
        Self {
            user,
            population,
            occupant: 0,
            taken: false,
            retired: false,
            wake_at: NEVER,
            timer_at: NEVER,
        }
    }
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
    /// Seats made so far.
    pub(super) made: usize,
    /// Users of a closed or ramped population that are here and not retired.
    pub(super) present: usize,
    /// Users started here so far, for the numbers of a ramp's.
    pub(super) started: usize,
    /// Who sat down last: those that may be retired, and some that have left since.
    pub(super) seated: Vec<(u32, u32)>,
    free: Vec<FreeSeat>,
    arrivals: Option<Arrivals>,
}

/// The arrivals of an open population.
#[derive(Debug)]
struct Arrivals {
    pacer: Pacer,
    coming: pace::Arrivals,
    start: Nanos,
    /// The script said that it is enough.
    is_over: bool,
}

impl Crowd {
    pub(super) fn new(
        population: &Population,
        shard: usize,
        shards: usize,
        start: Nanos,
        duration: Nanos,
    ) -> Self {
        // Where there are fewer seats than shards, only those with one are sent somebody.
        let seated = shards.min(population.load.max_users());
        let arrivals = match &population.load {
            Load::Open { arrivals, .. } if shard < seated => {
                let schedule = Schedule::new(arrivals, duration);
                let pacer = Pacer::new(Arc::new(schedule), shard as u64, seated as u64);
                Some(Arrivals {
                    coming: pacer.arrivals(),
                    pacer,
                    start,
                    is_over: false,
                })
            }
            _ => None,
        };
        Self {
            population: population.clone(),
            max_users: share(population.load.max_users(), shard, shards),
            made: 0,
            present: 0,
            started: 0,
            seated: Vec::new(),
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
        if arrivals.is_over {
            return None;
        }
        arrivals.coming.next_due().map(|due| arrivals.start + due)
    }

    /// No more arrivals: those that have not begun are not missed.
    pub(super) fn end_arrivals(&mut self) {
        if let Some(arrivals) = &mut self.arrivals {
            arrivals.is_over = true;
        }
    }

    /// The next arrival is begun: its number in the run.
    pub(super) fn take_arrival(&mut self) -> u64 {
        let Some(arrivals) = &mut self.arrivals else {
            return 0;
        };
        let number = arrivals.coming.number();
        arrivals.coming.next();
        number
    }

    /// Take a free seat: which, and since when it is free.
    pub(super) fn take_free(&mut self) -> Option<(u32, Nanos)> {
        self.free.pop().map(|free| (free.seat, free.since))
    }

    /// A user has finished.
    pub(super) fn give_back(&mut self, seat: u32, since: Nanos) {
        self.free.push(FreeSeat { seat, since });
    }

    /// Arrivals that were never begun.
    pub(super) fn dropped(&self) -> u64 {
        self.arrivals
            .as_ref()
            .filter(|arrivals| !arrivals.is_over)
            .map_or(0, |arrivals| arrivals.coming.left())
    }

    /// Arrivals that were due by `now` and not begun: a run that is stopped drops no others.
    pub(super) fn dropped_by(&self, now: Nanos) -> u64 {
        let Some(arrivals) = self.arrivals.as_ref().filter(|arrivals| !arrivals.is_over) else {
            return 0;
        };
        let passed = now.saturating_sub(arrivals.start);
        // The first arrival that was not due yet, by bisection: due times only grow.
        let (mut low, mut high) = (arrivals.coming.taken(), arrivals.pacer.count());
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
        low - arrivals.coming.taken()
    }
}
