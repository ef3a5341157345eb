//! What the shards of a run share: when phases start, and whether to stop.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;

use super::clock::{Clock, Nanos};
use super::plan::Plan;

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

/// Lets all shards begin each phase at the same moment, and holds the little they share.
#[derive(Debug)]
pub(super) struct Coordination {
    shards: usize,
    gate: Mutex<Gate>,
    opened: Condvar,
    phase_start: AtomicU64,
    /// The phase shall end now.
    phase_cut: AtomicBool,
    /// The run has failed as a whole: no further phase begins.
    given_up: AtomicBool,
    /// By signal of the plan: whether it was raised.
    signals: Vec<AtomicBool>,
    /// By phase and population.
    crowds: Vec<Vec<SharedCrowd>>,
    mailboxes: Vec<Mailbox>,
}

/// What all shards know of a population that grows by feedback.
#[derive(Debug)]
pub(super) struct SharedCrowd {
    /// Users that are there and not retired.
    size: AtomicI64,
    /// Users to be retired by whichever shard has one.
    debt: AtomicI64,
    /// The number of the next user that is added.
    next_number: AtomicU64,
}

impl SharedCrowd {
    fn new(users: usize) -> Self {
        Self {
            size: AtomicI64::new(users as i64),
            debt: AtomicI64::new(0),
            next_number: AtomicU64::new(users as u64),
        }
    }

    /// Take a place for one more user below `at_most`; its number.
    pub(super) fn admit(&self, at_most: usize) -> Option<u64> {
        let admitted = self
            .size
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |size| {
                (size < at_most as i64).then_some(size + 1)
            });
        admitted.ok()?;
        Some(self.next_number.fetch_add(1, Ordering::Relaxed))
    }

    /// Give a place back, if there is one: whether somebody has to go.
    pub(super) fn dismiss(&self) -> bool {
        self.size
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |size| {
                (size > 0).then_some(size - 1)
            })
            .is_ok()
    }

    /// Leave it to whichever shard has a user to retire one.
    pub(super) fn owe(&self) {
        self.debt.fetch_add(1, Ordering::Relaxed);
    }

    /// Take over the retiring of one user, if one is owed.
    pub(super) fn take_debt(&self) -> bool {
        self.debt.load(Ordering::Relaxed) > 0
            && self
                .debt
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |debt| {
                    (debt > 0).then_some(debt - 1)
                })
                .is_ok()
    }
}

/// A user's place, for letters to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Address {
    pub(super) shard: u32,
    pub(super) seat: u32,
    /// Tells those who sat there one after the other apart.
    pub(super) occupant: u32,
}

/// Letters from other shards, and the file that wakes their addressee's shard.
#[derive(Debug)]
struct Mailbox {
    letters: Mutex<Vec<(Address, u64)>>,
    bell: OwnedFd,
}

/// Phases begin this much after the last shard is ready, so that none is late: 2 ms.
const START_DELAY: Nanos = 2_000_000;

impl Coordination {
    /// For a run of this plan.
    ///
    /// # Errors
    /// When the process may not open another file.
    pub(super) fn new(plan: &Plan) -> std::io::Result<Self> {
        let mailbox = |_| {
            Ok::<_, std::io::Error>(Mailbox {
                letters: Mutex::new(Vec::new()),
                bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            })
        };
        let crowds = plan.phases.iter().map(|phase| {
            let populations = phase.populations.iter();
            populations
                .map(|population| SharedCrowd::new(population.load.first_users()))
                .collect()
        });
        Ok(Self {
            shards: plan.threads,
            gate: Mutex::new(Gate::default()),
            opened: Condvar::new(),
            phase_start: AtomicU64::new(0),
            phase_cut: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
            signals: plan
                .signals
                .iter()
                .map(|_| AtomicBool::new(false))
                .collect(),
            crowds: crowds.collect(),
            mailboxes: (0..plan.threads).map(mailbox).collect::<Result<_, _>>()?,
        })
    }

    /// The run has failed: end the phase, begin no other.
    pub(super) fn fail(&self) {
        self.given_up.store(true, Ordering::Relaxed);
        self.phase_cut.store(true, Ordering::Relaxed);
    }

    /// Whether the phase shall end now.
    #[inline]
    pub(super) fn is_phase_cut(&self) -> bool {
        self.phase_cut.load(Ordering::Relaxed)
    }

    /// Whether the run has failed as a whole.
    pub(super) fn has_failed(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    pub(super) fn raise(&self, signal: usize) {
        if let Some(signal) = self.signals.get(signal) {
            signal.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn is_raised(&self, signal: usize) -> bool {
        self.signals
            .get(signal)
            .is_some_and(|signal| signal.load(Ordering::Relaxed))
    }

    /// What all shards know of a population.
    pub(super) fn crowd(&self, phase: usize, population: usize) -> &SharedCrowd {
        &self.crowds[phase][population]
    }

    /// Put a letter into the mailbox of another shard and ring its bell.
    pub(super) fn post(&self, to: Address, letter: u64) {
        let Some(mailbox) = self.mailboxes.get(to.shard as usize) else {
            return;
        };
        let mut letters = mailbox
            .letters
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        letters.push((to, letter));
        // A bell that cannot count higher has rung.
        let _ = rustix::io::write(&mailbox.bell, &1_u64.to_ne_bytes());
    }

    /// The file that becomes readable when there are letters for `shard`.
    pub(super) fn bell(&self, shard: usize) -> &OwnedFd {
        &self.mailboxes[shard].bell
    }

    /// Take the letters for `shard`.
    pub(super) fn letters(&self, shard: usize) -> Vec<(Address, u64)> {
        let mailbox = &self.mailboxes[shard];
        let _ = rustix::io::read(&mailbox.bell, &mut [0_u8; 8]);
        std::mem::take(
            &mut *mailbox
                .letters
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Wait until every shard is here; when the phase starts, or `None` if a shard has died, the run
    /// has failed, or somebody has stopped it.
    pub(super) fn next_phase(&self, clock: &Clock, stop: &StopSwitch) -> Option<Nanos> {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = gate.passed;
        gate.waiting += 1;
        if gate.waiting == self.shards {
            gate.waiting = 0;
            gate.passed += 1;
            // Nobody is in a phase now. What a shard decided in the last one, all know now.
            gate.broken |= self.has_failed() || stop.level() > StopLevel::Run;
            self.phase_cut.store(false, Ordering::Relaxed);
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
        let coordination = Coordination::new(&Plan::for_tests(3)).unwrap();
        let clock = Clock::start();
        for _ in 0..3 {
            let starts: Vec<_> = std::thread::scope(|scope| {
                let handles: Vec<_> = (0..3)
                    .map(|_| {
                        scope.spawn(|| coordination.next_phase(&clock, &StopSwitch::default()))
                    })
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
        let coordination = Coordination::new(&Plan::for_tests(2)).unwrap();
        let clock = Clock::start();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| coordination.next_phase(&clock, &StopSwitch::default()));
            coordination.give_up();
            assert_eq!(waiting.join().unwrap(), None);
        });
    }

    #[test]
    fn a_run_that_failed_begins_no_other_phase() {
        let coordination = Coordination::new(&Plan::for_tests(1)).unwrap();
        let clock = Clock::start();
        assert!(
            coordination
                .next_phase(&clock, &StopSwitch::default())
                .is_some()
        );
        coordination.fail();
        assert!(coordination.is_phase_cut());
        assert_eq!(
            coordination.next_phase(&clock, &StopSwitch::default()),
            None
        );
    }

    #[test]
    fn a_crowd_stays_between_none_and_its_most() {
        let crowd = SharedCrowd::new(1);
        assert_eq!((crowd.admit(2), crowd.admit(2)), (Some(1), None));
        assert!(crowd.dismiss() && crowd.dismiss() && !crowd.dismiss());
        assert_eq!(crowd.admit(2), Some(2));
        crowd.owe();
        assert!(crowd.take_debt() && !crowd.take_debt());
    }

    #[test]
    fn letters_reach_their_shard_once() {
        let coordination = Coordination::new(&Plan::for_tests(2)).unwrap();
        let to = Address {
            shard: 1,
            seat: 3,
            occupant: 0,
        };
        coordination.post(to, 7);
        coordination.post(to, 8);
        assert_eq!(coordination.letters(0), []);
        assert_eq!(coordination.letters(1), [(to, 7), (to, 8)]);
        assert_eq!(coordination.letters(1), []);
    }
}
