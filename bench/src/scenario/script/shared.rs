//! What all users of a run share, whatever their thread: pools, counters, values, signals, ids.
//!
//! Everything is plain data behind locks that are held for a moment. Who waits for something is
//! woken by a letter to his seat and looks again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::plain::Plain;
use crate::engine::Address;

/// Memory that everything shared may take, in bytes.
const SHARED_BYTES: usize = 256 * 1024 * 1024;

/// What an entry costs besides its data, in bytes.
const ENTRY_BYTES: usize = 64;

/// More is shared than [`SHARED_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// Somebody who waits: his seat, and what he knows the wait by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiter {
    pub(super) address: Address,
    pub(super) token: u64,
    /// In which phase: nobody waits beyond its end, and somebody else has the seat then.
    pub(super) phase: usize,
}

#[derive(Debug, Default)]
struct Pool {
    items: VecDeque<Plain>,
    waiting: VecDeque<Waiter>,
}

impl Pool {
    /// Who is first in line in this phase.
    fn next(&mut self, phase: usize) -> Option<Waiter> {
        std::iter::from_fn(|| self.waiting.pop_front()).find(|waiter| waiter.phase == phase)
    }
}

#[derive(Debug, Default)]
struct Signal {
    is_raised: bool,
    waiting: Vec<Waiter>,
}

/// The shared state of one run.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pools: Mutex<HashMap<Box<str>, Pool>>,
    counters: Mutex<HashMap<Box<str>, f64>>,
    values: Mutex<HashMap<Box<str>, Plain>>,
    signals: Mutex<HashMap<Box<str>, Signal>>,
    seen: Mutex<HashSet<Box<str>>>,
    bytes: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nobody panics while he holds one of these, and the data would be whole if he did.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Account for `bytes` more.
    fn take_room(&self, bytes: usize) -> Result<(), Full> {
        let bytes = bytes + ENTRY_BYTES;
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > SHARED_BYTES {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Full);
        }
        Ok(())
    }

    fn give_room(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes + ENTRY_BYTES, Ordering::Relaxed);
    }

    /// Put something into a pool; who waits for it and shall be woken.
    pub(super) fn put(
        &self,
        pool: &str,
        item: Plain,
        phase: usize,
    ) -> Result<Option<Waiter>, Full> {
        self.take_room(item.bytes())?;
        let mut pools = lock(&self.pools);
        let pool = self.entry(&mut pools, pool)?;
        pool.items.push_back(item);
        Ok(pool.next(phase))
    }

    /// Take what is longest in a pool, if anything is there.
    pub(super) fn take(&self, pool: &str) -> Option<Plain> {
        let item = lock(&self.pools).get_mut(pool)?.items.pop_front()?;
        self.give_room(item.bytes());
        Some(item)
    }

    /// Take what is longest in a pool, or wait in line for it.
    pub(super) fn take_or_wait(&self, pool: &str, waiter: Waiter) -> Result<Option<Plain>, Full> {
        let mut pools = lock(&self.pools);
        let pool = self.entry(&mut pools, pool)?;
        let Some(item) = pool.items.pop_front() else {
            pool.waiting.push_back(waiter);
            return Ok(None);
        };
        self.give_room(item.bytes());
        Ok(Some(item))
    }

    /// How many things are in a pool.
    pub(super) fn size(&self, pool: &str) -> usize {
        lock(&self.pools)
            .get(pool)
            .map_or(0, |pool| pool.items.len())
    }

    /// A copy of the thing at `at`, counted from the longest there.
    pub(super) fn peek(&self, pool: &str, at: usize) -> Option<Plain> {
        lock(&self.pools).get(pool)?.items.get(at).cloned()
    }

    /// A copy of all that is in a pool.
    pub(super) fn all(&self, pool: &str) -> Vec<Plain> {
        lock(&self.pools)
            .get(pool)
            .map_or_else(Vec::new, |pool| pool.items.iter().cloned().collect())
    }

    /// He waits no more: whoever is next in line where something lies is to be woken, for he may
    /// have been told of it in vain.
    pub(super) fn forget(&self, waiter: Waiter) -> Vec<Waiter> {
        let mut woken = Vec::new();
        for pool in lock(&self.pools).values_mut() {
            pool.waiting.retain(|other| *other != waiter);
            if !pool.items.is_empty() {
                woken.extend(pool.next(waiter.phase));
            }
        }
        for signal in lock(&self.signals).values_mut() {
            signal.waiting.retain(|other| *other != waiter);
        }
        woken
    }

    /// Add to a counter; what it is then.
    pub(super) fn add(&self, counter: &str, by: f64) -> Result<f64, Full> {
        let mut counters = lock(&self.counters);
        let value = self.entry(&mut counters, counter)?;
        *value += by;
        Ok(*value)
    }

    /// Set a value, `Nil` forgets it; what it was before.
    pub(super) fn set(&self, name: &str, value: Plain) -> Result<Plain, Full> {
        self.take_room(name.len() + value.bytes())?;
        let old = lock(&self.values).insert(name.into(), value);
        if let Some(old) = &old {
            self.give_room(name.len() + old.bytes());
        }
        Ok(old.unwrap_or(Plain::Nil))
    }

    /// A copy of a value.
    pub(super) fn get(&self, name: &str) -> Plain {
        lock(&self.values).get(name).cloned().unwrap_or(Plain::Nil)
    }

    /// Raise a number to `least` if it is lower or not there; what it is then.
    pub(super) fn raise_to(&self, name: &str, least: f64) -> Result<f64, Full> {
        let mut values = lock(&self.values);
        if let Some(Plain::Number(value)) = values.get_mut(name) {
            *value = value.max(least);
            return Ok(*value);
        }
        self.take_room(name.len())?;
        values.insert(name.into(), Plain::Number(least));
        Ok(least)
    }

    /// Whether this is the first time that anybody asks for `id`.
    pub(super) fn first_time(&self, id: &str) -> Result<bool, Full> {
        let mut seen = lock(&self.seen);
        if seen.contains(id) {
            return Ok(false);
        }
        self.take_room(id.len())?;
        Ok(seen.insert(id.into()))
    }

    /// Raise a signal; who waits for it and shall be woken.
    pub(super) fn raise(&self, signal: &str, phase: usize) -> Result<Vec<Waiter>, Full> {
        let mut signals = lock(&self.signals);
        let signal = self.entry(&mut signals, signal)?;
        signal.is_raised = true;
        let mut waiting = std::mem::take(&mut signal.waiting);
        waiting.retain(|waiter| waiter.phase == phase);
        Ok(waiting)
    }

    /// Whether a signal was raised.
    pub(super) fn is_raised(&self, signal: &str) -> bool {
        lock(&self.signals)
            .get(signal)
            .is_some_and(|signal| signal.is_raised)
    }

    /// Whether a signal was raised; if not, wait for it.
    pub(super) fn is_raised_or_wait(&self, signal: &str, waiter: Waiter) -> Result<bool, Full> {
        let mut signals = lock(&self.signals);
        let signal = self.entry(&mut signals, signal)?;
        if !signal.is_raised {
            signal.waiting.push(waiter);
        }
        Ok(signal.is_raised)
    }

    /// The entry of a name, made when it is new.
    fn entry<'m, T: Default>(
        &self,
        map: &'m mut HashMap<Box<str>, T>,
        name: &str,
    ) -> Result<&'m mut T, Full> {
        if !map.contains_key(name) {
            self.take_room(name.len() + size_of::<T>())?;
            map.insert(name.into(), T::default());
        }
        Ok(map
            .get_mut(name)
            .unwrap_or_else(|| unreachable!("it was put there")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: f64) -> Plain {
        Plain::Number(value)
    }

    fn waiter(token: u64) -> Waiter {
        Waiter {
            address: Address::default(),
            token,
            phase: 1,
        }
    }

    #[test]
    fn a_pool_is_first_in_first_out() {
        let shared = Shared::default();
        assert_eq!(shared.take("p"), None);
        for n in [1.0, 2.0] {
            assert_eq!(shared.put("p", number(n), 1), Ok(None));
        }
        assert_eq!(
            (shared.size("p"), shared.peek("p", 1)),
            (2, Some(number(2.0)))
        );
        assert_eq!(shared.all("p"), [number(1.0), number(2.0)]);
        assert_eq!(shared.take("p"), Some(number(1.0)));
    }

    #[test]
    fn whoever_waits_is_woken_once_and_in_line() {
        let shared = Shared::default();
        assert_eq!(shared.take_or_wait("p", waiter(1)), Ok(None));
        assert_eq!(shared.take_or_wait("p", waiter(2)), Ok(None));
        assert_eq!(shared.put("p", number(1.0), 1), Ok(Some(waiter(1))));
        // The first one left meanwhile: the second one must hear of what lies there.
        assert_eq!(shared.forget(waiter(1)), [waiter(2)]);
        assert_eq!(shared.take_or_wait("p", waiter(2)), Ok(Some(number(1.0))));
        assert_eq!(shared.forget(waiter(2)), []);
    }

    #[test]
    fn nobody_waits_beyond_his_phase() {
        let shared = Shared::default();
        for token in [1, 2] {
            assert_eq!(shared.take_or_wait("p", waiter(token)), Ok(None));
            assert_eq!(shared.is_raised_or_wait("s", waiter(token)), Ok(false));
        }
        let late = Waiter {
            phase: 2,
            ..waiter(3)
        };
        assert_eq!(shared.take_or_wait("p", late), Ok(None));
        assert_eq!(shared.put("p", number(1.0), 2), Ok(Some(late)));
        assert_eq!(shared.raise("s", 2), Ok(Vec::new()));
    }

    #[test]
    fn counters_values_ids_and_signals() {
        let shared = Shared::default();
        assert_eq!(
            (shared.add("c", 2.0), shared.add("c", -0.5)),
            (Ok(2.0), Ok(1.5))
        );
        assert_eq!(shared.set("v", number(1.0)), Ok(Plain::Nil));
        assert_eq!(shared.raise_to("v", 3.0), Ok(3.0));
        assert_eq!(shared.raise_to("v", 2.0), Ok(3.0));
        assert_eq!(shared.get("v"), number(3.0));
        assert_eq!(shared.first_time("id"), Ok(true));
        assert_eq!(shared.first_time("id"), Ok(false));
        assert!(shared.is_raised_or_wait("s", waiter(4)) == Ok(false));
        assert_eq!(shared.raise("s", 1), Ok(vec![waiter(4)]));
        assert!(shared.is_raised("s") && shared.is_raised_or_wait("s", waiter(5)) == Ok(true));
    }

    #[test]
    fn room_is_bounded_and_comes_back() {
        let shared = Shared::default();
        let large = || Plain::Text(vec![0; SHARED_BYTES / 2].into());
        assert_eq!(shared.put("p", large(), 1), Ok(None));
        assert_eq!(shared.put("p", large(), 1), Err(Full));
        assert!(shared.take("p").is_some());
        assert_eq!(shared.put("p", large(), 1), Ok(None));
    }
}
