//! The run's clock: nanoseconds since one moment that all shards share.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds on a run's clock.
pub type Nanos = u64;

/// "Never", for deadlines.
pub(super) const NEVER: Nanos = Nanos::MAX;

/// A monotonic clock that starts at zero.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    base: Instant,
    /// The wall clock's reading at zero, in microseconds since the Unix epoch.
    base_unix_us: i64,
}

impl Clock {
    /// A clock that reads zero now.
    pub fn start() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            base: Instant::now(),
            base_unix_us: since_epoch.as_micros() as i64,
        }
    }

    /// Nanoseconds since the start.
    #[inline]
    pub fn now(&self) -> Nanos {
        self.base.elapsed().as_nanos() as Nanos
    }

    /// The wall clock's time at `at`, in microseconds since the Unix epoch.
    pub fn unix_us(&self, at: Nanos) -> i64 {
        self.base_unix_us + (at / 1_000) as i64
    }
}

/// A duration in nanoseconds, the largest value when it does not fit.
pub fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(NEVER)
}
