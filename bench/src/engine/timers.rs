//! Timers: a heap in which an entry may fire early, never late.
//!
//! Arming a request's deadline must cost nothing, because it happens a hundred thousand times a
//! second and a deadline hardly ever passes. So a connection keeps one entry in the heap: when it
//! fires and the deadline has moved on, it is put back, and only a nearer deadline adds another.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::clock::Nanos;

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerKey {
    /// A connection's deadline; `epoch` tells a later connection in the same slot apart.
    Connection { slot: u32, epoch: u32 },
    /// A user's pause.
    User { seat: u32, occupant: u32 },
}

/// Pending timers.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Nanos, TimerKey)>>,
}

impl Timers {
    /// Fire `key` at `at`.
    pub(super) fn add(&mut self, at: Nanos, key: TimerKey) {
        self.heap.push(Reverse((at, key)));
    }

    /// When the next one fires.
    pub(super) fn next_at(&self) -> Option<Nanos> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Forget the pauses of users: their phase is over.
    pub(super) fn forget_users(&mut self) {
        self.heap
            .retain(|Reverse((_, key))| !matches!(key, TimerKey::User { .. }));
    }

    /// Take one that is due.
    pub(super) fn pop_due(&mut self, now: Nanos) -> Option<TimerKey> {
        if self.next_at()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, key))| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_in_order_and_not_before_their_time() {
        let mut timers = Timers::default();
        let key = |seat| TimerKey::User { seat, occupant: 0 };
        timers.add(30, key(3));
        timers.add(10, key(1));
        timers.add(20, key(2));
        assert_eq!(timers.next_at(), Some(10));
        assert_eq!(timers.pop_due(9), None);
        assert_eq!(timers.pop_due(25), Some(key(1)));
        assert_eq!(timers.pop_due(25), Some(key(2)));
        assert_eq!(timers.pop_due(25), None);
        assert_eq!(timers.pop_due(30), Some(key(3)));
        assert_eq!(timers.next_at(), None);
    }
}
