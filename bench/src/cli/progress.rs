//! Live progress: what a person at a terminal sees while a run goes on.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use isukit_analyze::units::{format_count, format_ms, format_ns};

use crate::engine::{SeriesPoint, Totals};

/// One line on stderr that is written again every second, on a terminal only.
pub(super) struct Progress {
    on: bool,
    duration: Duration,
}

impl Progress {
    pub(super) fn new(duration: Duration) -> Self {
        Self {
            on: io::stderr().is_terminal(),
            duration,
        }
    }

    pub(super) fn show(&mut self, point: &SeriesPoint, totals: &Totals) {
        if !self.on {
            return;
        }
        let line = format!(
            "{:>4}s/{:.0}s  {}/s  errors {}  p50 {}  p99 {}  send lag p99 {}",
            point.second + 1,
            self.duration.as_secs_f64(),
            format_count(point.requests),
            format_count(totals.all.errors()),
            format_ms(point.latency_ms.p50),
            format_ms(point.latency_ms.p99),
            format_ns(point.send_lag_us_p99 * 1e3),
        );
        let _ = write!(io::stderr(), "\r{line}\x1b[K");
    }

    pub(super) fn clear(&self) {
        if self.on {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
