//! What the shards of a run share: when phases start, and whether to stop.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use super::clock::{Clock, Nanos};

/// How a run is asked to stop. Copies act on the same run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopLevel {
    /// Not at all.
    Run,
    /// Send nothing more, wait for open replies, end.
    Drain,
    /// Cut open requests too.
    Cut,
}

/// Asks a run to stop, from any thread.
#[derive(Debug, Default)]
pub struct StopSwitch {
    level: AtomicU8,
}

impl StopSwitch {
    /// Ask once more: the first time drains, the second cuts.
    pub fn press(&self) {
        // The level is all that is shared, so no other memory needs ordering.
        let _ = self
            .level
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |level| {
                Some(level.saturating_add(1).min(2))
            });
    }

    /// What is asked for.
    pub fn level(&self) -> StopLevel {
        match self.level.load(Ordering::Relaxed) {
            0 => StopLevel::Run,
            1 => StopLevel::Drain,
            _ => StopLevel::Cut,
        }
    }
}

#[derive(Debug, Default)]
struct Gate {
    waiting: usize,
    passed: u64,
    broken: bool,
}

/// Lets all shards begin each phase at the same moment.
#[derive(Debug)]
pub(super) struct Coordination {
    shards: usize,
    gate: Mutex<Gate>,
    opened: Condvar,
    phase_start: AtomicU64,
}

/// Phases begin this much after the last shard is ready, so that none is late: 2 ms.
const START_DELAY: Nanos = 2_000_000;

impl Coordination {
    pub(super) fn new(shards: usize) -> Self {
        Self {
            shards,
            gate: Mutex::new(Gate::default()),
            opened: Condvar::new(),
            phase_start: AtomicU64::new(0),
        }
    }

    /// Wait until every shard is here; when the phase starts, or `None` if a shard has died.
    pub(super) fn next_phase(&self, clock: &Clock) -> Option<Nanos> {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = gate.passed;
        gate.waiting += 1;
        if gate.waiting == self.shards {
            gate.waiting = 0;
            gate.passed += 1;
            // The lock that the others take next orders this store before their loads.
            self.phase_start
                .store(clock.now() + START_DELAY, Ordering::Relaxed);
            self.opened.notify_all();
        }
        while gate.passed == turn && !gate.broken {
            gate = self
                .opened
                .wait(gate)
                .unwrap_or_else(PoisonError::into_inner);
        }
        (!gate.broken).then(|| self.phase_start.load(Ordering::Relaxed))
    }

    /// When the current phase started.
    pub(super) fn phase_start(&self) -> Nanos {
        self.phase_start.load(Ordering::Relaxed)
    }

    /// A shard has died: let nobody wait for it.
    pub(super) fn give_up(&self) {
        self.gate
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .broken = true;
        self.opened.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressing_twice_cuts() {
        let switch = StopSwitch::default();
        assert_eq!(switch.level(), StopLevel::Run);
        switch.press();
        assert_eq!(switch.level(), StopLevel::Drain);
        switch.press();
        switch.press();
        assert_eq!(switch.level(), StopLevel::Cut);
    }

    #[test]
    fn all_shards_get_the_same_start() {
        let coordination = Coordination::new(3);
        let clock = Clock::start();
        for _ in 0..3 {
            let starts: Vec<_> = std::thread::scope(|scope| {
                let handles: Vec<_> = (0..3)
                    .map(|_| scope.spawn(|| coordination.next_phase(&clock)))
                    .collect();
                handles
                    .into_iter()
                    .map(|handle| handle.join().unwrap())
                    .collect()
            });
            assert!(
                starts
                    .iter()
                    .all(|start| start.is_some() && *start == starts[0])
            );
        }
    }

    #[test]
    fn a_dead_shard_lets_the_others_go() {
        let coordination = Coordination::new(2);
        let clock = Clock::start();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| coordination.next_phase(&clock));
            coordination.give_up();
            assert_eq!(waiting.join().unwrap(), None);
        });
    }
}
