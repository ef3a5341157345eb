//! The report of a log that is followed, again and again on a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use isukit_analyze::digest::{Digest, DigestFormat, Page, ReportOptions};

use super::{SHOWN_GROUPS, terminal};

/// How often the report is shown again, while the log grows.
const EVERY: Duration = Duration::from_secs(2);

/// Shows what is known so far.
pub(super) struct Live {
    on: bool,
    options: ReportOptions,
    shown: Option<Instant>,
}

impl Live {
    /// `wanted` is whether the log is followed and the report is text for stdout.
    pub(super) fn new(wanted: bool, options: ReportOptions) -> Self {
        Self {
            on: wanted && io::stdout().is_terminal(),
            options,
            shown: None,
        }
    }

    /// Show the report if the last one is old.
    pub(super) fn show(&mut self, digest: &Digest) {
        let is_new = self.shown.is_none_or(|shown| shown.elapsed() >= EVERY);
        if !self.on || !is_new || digest.events() == 0 {
            return;
        }
        let Some((width, lines)) = terminal(true) else {
            return;
        };
        self.shown = Some(Instant::now());
        let page = Page {
            width,
            height: Some(lines.saturating_sub(1)),
            groups: SHOWN_GROUPS,
        };
        // The cursor to the begin, and nothing below it.
        let mut screen = b"\x1b[H\x1b[J".to_vec();
        let report = digest.report(&self.options);
        if report.render(DigestFormat::Text, page, &mut screen).is_ok() {
            let mut stdout = io::stdout().lock();
            let _ = stdout.write_all(&screen).and_then(|()| stdout.flush());
        }
    }
}
