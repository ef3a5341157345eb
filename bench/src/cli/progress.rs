//! Live progress: what a person at a terminal sees while a run goes on.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use isukit_analyze::units::{format_count, format_ms, format_ns};

use crate::engine::{Phase, SeriesPoint, Totals};

/// The narrowest terminal that shows the whole line.
const COLUMNS: usize = 79;

/// One line on stderr that is written again every second, on a terminal only.
pub(super) struct Progress {
    on: bool,
    phases: Vec<(String, Duration)>,
}

impl Progress {
    pub(super) fn new(phases: &[Phase]) -> Self {
        let phases = phases.iter();
        Self {
            on: io::stderr().is_terminal(),
            phases: phases
                .map(|phase| (phase.name.clone(), phase.duration))
                .collect(),
        }
    }

    pub(super) fn show(&mut self, point: &SeriesPoint, totals: &Totals, score: Option<f64>) {
        if !self.on {
            return;
        }
        let Some((phase, duration)) = self.phases.get(totals.phase) else {
            return;
        };
        // A run of one phase need not say which.
        let phase = match self.phases.len() {
            1 => String::new(),
            _ => format!("{phase} "),
        };
        let score = match score {
            Some(score) => format!("  users {}  score {score}", format_count(point.users)),
            None => String::new(),
        };
        let mut line = format!(
            "{phase}{:>3}s/{:.0}s  {}/s  errors {}{score}  p50 {}  p99 {}  send lag p99 {}",
            point.second + 1,
            duration.as_secs_f64(),
            format_count(point.requests),
            format_count(totals.all.errors()),
            format_ms(point.latency_ms.p50),
            format_ms(point.latency_ms.p99),
            format_ns(point.send_lag_us_p99 * 1e3),
        );
        // A line that wraps could not be written over; all of it is ASCII but the micro sign's place.
        if let Some((end, _)) = line.char_indices().nth(COLUMNS) {
            line.truncate(end);
        }
        let _ = write!(io::stderr(), "\r{line}\x1b[K");
    }

    pub(super) fn clear(&self) {
        if self.on {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
