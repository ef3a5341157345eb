//! Who is there: arrivals, growth, retirement, and letters between users.

use super::super::clock::{NEVER, Nanos};
use super::super::plan::{Load, share};
use super::super::seats::Seat;
use super::super::user::Wake;
use super::{ARRIVALS_AT_A_TIME, Shard};
use crate::growth::GrowthEvent;

impl Shard<'_> {
    pub(super) fn start_first_users(&mut self) {
        for population in 0..self.crowds.len() {
            let first = self.crowds[population].population.load.first_users();
            let ours = share(first, self.index, self.plan.threads);
            // Lists that double as they grow would take half as much again for many users.
            self.seats.reserve_exact(ours);
            self.io.connections.reserve_exact(ours);
            for n in 0..ours {
                // Connecting a thousand users takes a while: each is due when it is its turn.
                let due_at = self.io.tick();
                let number = self.index + n * self.plan.threads;
                self.start_user(population, number as u64, due_at);
            }
        }
    }

    /// Let a user sit down and begin.
    pub(super) fn start_user(&mut self, population: usize, number: u64, due_at: Nanos) {
        let seat = match self.crowds[population].take_free() {
            Some((seat, _)) => seat,
            None => self.make_seat(population),
        };
        self.begin(seat, number, due_at);
    }

    pub(super) fn begin(&mut self, seat: u32, number: u64, due_at: Nanos) {
        let place = &mut self.seats[seat as usize];
        place.taken = true;
        place.retired = false;
        let crowd = &mut self.crowds[place.population];
        crowd.present += 1;
        crowd.started += 1;
        if matches!(
            crowd.population.load,
            Load::Feedback { .. } | Load::Ramp { .. }
        ) {
            crowd.seated.push((seat, place.occupant));
        }
        self.active_users += 1;
        self.most_users = self.most_users.max(self.active_users);
        self.resume(seat, Wake::Start { due_at, number });
    }

    /// Tell the user that sat down last to begin nothing new; whether there was one.
    pub(super) fn retire_one(&mut self, population: usize) -> bool {
        while let Some((seat, occupant)) = self.crowds[population].seated.pop() {
            let place = &mut self.seats[seat as usize];
            if place.taken && place.occupant == occupant && !place.retired {
                place.retired = true;
                self.crowds[population].present -= 1;
                return true;
            }
        }
        false
    }

    /// Whether the population has been told that it is enough.
    pub(super) fn is_closed(&self, population: usize) -> bool {
        let until = self.crowds[population].population.until;
        until.is_some_and(|signal| self.wiring.coordination.is_raised(signal))
    }

    /// Let populations grow and shrink with what was scored and what failed.
    pub(super) fn follow_feedback(&mut self) {
        if !self.io.feedback.wanted && self.io.feedback.is_empty() {
            return;
        }
        let tags = std::mem::take(&mut self.io.feedback.tags);
        let errors = std::mem::take(&mut self.io.feedback.errors);
        let asked_for = std::mem::take(&mut self.io.feedback.asked_for);
        if self.window.stopping || self.io.now >= self.window.new_until {
            return;
        }
        for (population, users) in asked_for {
            self.change(population, users as i64);
        }
        for population in 0..self.crowds.len() {
            let Load::Feedback { growth, .. } = &self.crowds[population].population.load else {
                continue;
            };
            let scored = tags
                .iter()
                .map(|&(tag, count)| GrowthEvent::Score { tag, count });
            let events = scored.chain([GrowthEvent::Errors(errors)]);
            let changes = events.map(|event| growth.wanted_change(event));
            let change = changes.fold(0, i64::saturating_add);
            self.change(population, change);
            let phase = self.window.phase;
            let shared = self.wiring.coordination.crowd(phase, population);
            while !self.crowds[population].seated.is_empty() && shared.take_debt() {
                if !self.retire_one(population) {
                    shared.owe();
                    break;
                }
            }
        }
    }

    /// Add users to a population, or retire some.
    pub(super) fn change(&mut self, population: usize, change: i64) {
        let Some(crowd) = self.crowds.get(population) else {
            return;
        };
        let at_most = crowd.population.load.max_users();
        let phase = self.window.phase;
        let shared = self.wiring.coordination.crowd(phase, population);
        for _ in 0..change.max(0) {
            if self.is_closed(population) {
                break;
            }
            let Some(number) = shared.admit(at_most) else {
                break;
            };
            let due_at = self.io.tick();
            self.start_user(population, number, due_at);
        }
        for _ in change.min(0)..0 {
            if !shared.dismiss() {
                break;
            }
            if !self.retire_one(population) {
                shared.owe();
            }
        }
    }

    /// Have as many users as the ramps say.
    pub(super) fn follow_ramps(&mut self) {
        if self.window.stopping || self.io.now >= self.window.new_until {
            return;
        }
        for population in 0..self.crowds.len() {
            let crowd = &self.crowds[population];
            let Load::Ramp(ramp) = &crowd.population.load else {
                continue;
            };
            let passed = self.io.now.saturating_sub(self.window.start);
            let wanted = share(ramp.users_at(passed), self.index, self.plan.threads);
            for _ in wanted..crowd.present {
                self.retire_one(population);
            }
            for _ in self.crowds[population].present..wanted {
                if self.is_closed(population) {
                    break;
                }
                let number = self.index + self.crowds[population].started * self.plan.threads;
                let due_at = self.io.tick();
                self.start_user(population, number as u64, due_at);
            }
        }
    }

    /// Hand letters to those they are for.
    pub(super) fn deliver(&mut self) {
        // Each round may write new ones: they wait for the next turn.
        for (to, letter) in std::mem::take(&mut self.letters) {
            let place = self.seats.get(to.seat as usize);
            if place.is_some_and(|place| place.taken && place.occupant == to.occupant) {
                self.resume(to.seat, Wake::Letter(letter));
            }
        }
    }

    /// Begin the arrivals that are due, as far as there are seats for them.
    #[inline]
    pub(super) fn start_arrivals(&mut self) {
        if self.window.stopping {
            return;
        }
        for population in 0..self.crowds.len() {
            for _ in 0..ARRIVALS_AT_A_TIME {
                match self.crowds[population].next_due() {
                    Some(due) if due <= self.io.now && due < self.window.end => {
                        if self.is_closed(population) {
                            self.crowds[population].end_arrivals();
                            break;
                        }
                        self.start_arrival(population, due);
                    }
                    _ => break,
                }
            }
        }
    }

    /// Begin every arrival that was due before the end and finds a seat: that this thread woke up
    /// late must not drop the last ones. No seat becomes free meanwhile, so this ends.
    pub(super) fn start_last_arrivals(&mut self) {
        for population in 0..self.crowds.len() {
            if self.is_closed(population) {
                self.crowds[population].end_arrivals();
            }
            while let Some(due) = self.crowds[population].next_due() {
                self.start_arrival(population, due);
            }
        }
    }

    pub(super) fn start_arrival(&mut self, population: usize, due_at: Nanos) {
        let now = self.io.tick();
        let number = self.crowds[population].take_arrival();
        let (seat, since) = match self.crowds[population].take_free() {
            Some(free) => free,
            None => (self.make_seat(population), due_at),
        };
        // What was lost while no seat was free is the target's doing, the rest is ours.
        self.io
            .delta
            .own_lag
            .record(now.saturating_sub(due_at.max(since)));
        self.begin(seat, number, due_at);
    }

    pub(super) fn make_seat(&mut self, population: usize) -> u32 {
        let crowd = &mut self.crowds[population];
        crowd.made += 1;
        let user = crowd.population.behaviour.user(&mut self.local);
        self.seats.push(Seat::new(user, population));
        (self.seats.len() - 1) as u32
    }

    /// A user has finished.
    pub(super) fn leave(&mut self, seat: u32) {
        let place = &mut self.seats[seat as usize];
        place.occupant = place.occupant.wrapping_add(1);
        place.taken = false;
        place.wake_at = NEVER;
        place.timer_at = NEVER;
        let population = place.population;
        let crowd = &mut self.crowds[population];
        if !place.retired {
            crowd.present -= 1;
            if matches!(crowd.population.load, Load::Feedback { .. }) {
                let phase = self.window.phase;
                self.wiring.coordination.crowd(phase, population).dismiss();
            }
        }
        self.active_users -= 1;
        crowd.give_back(seat, self.io.now);
    }
}
