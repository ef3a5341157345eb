//! A beat that interpreters look at: reading a clock at every safe point would cost more than most
//! scripts do between two of them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

/// The time between two beats.
const BEAT: Duration = Duration::from_millis(20);

/// Counts beats for as long as somebody holds it.
#[derive(Debug, Clone)]
pub(super) struct Pulse(Arc<AtomicU32>);

impl Pulse {
    /// Start the beat. Where no thread can be started it never beats, and only the number of safe
    /// points decides when the clock is read.
    pub(super) fn start() -> Self {
        let beats = Arc::new(AtomicU32::new(0));
        let weak = Arc::downgrade(&beats);
        let body = move || Self::beat(&weak);
        let _ = thread::Builder::new()
            .name("script-pulse".into())
            .spawn(body);
        Self(beats)
    }

    fn beat(beats: &Weak<AtomicU32>) {
        while let Some(beats) = beats.upgrade() {
            beats.fetch_add(1, Ordering::Relaxed);
            drop(beats);
            thread::sleep(BEAT);
        }
    }

    /// How often it has beaten.
    #[inline]
    pub(super) fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_beats_until_it_is_let_go() {
        let pulse = Pulse::start();
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while pulse.count() < 3 && std::time::Instant::now() < end {
            thread::sleep(BEAT);
        }
        assert!(pulse.count() >= 3);
        let weak = Arc::downgrade(&pulse.0);
        drop(pulse);
        while weak.strong_count() > 0 && std::time::Instant::now() < end {
            thread::sleep(BEAT);
        }
        assert_eq!(weak.strong_count(), 0);
    }
}
