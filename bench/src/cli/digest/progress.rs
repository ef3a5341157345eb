//! Progress of reading: a line on stderr, on a terminal only.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use isukit_analyze::digest::Digest;
use isukit_analyze::units::{format_bytes, format_count};

/// How often the line is written again.
const EVERY: Duration = Duration::from_millis(250);

/// What a person at a terminal sees while logs are read.
pub(super) struct ReadProgress {
    on: bool,
    /// Size of all files in bytes, where all are plain files.
    total: Option<u64>,
    begun: Instant,
    shown: Option<Instant>,
}

impl ReadProgress {
    pub(super) fn new(files: &[PathBuf]) -> Self {
        let sizes = files.iter().map(|path| {
            let metadata = std::fs::metadata(path).ok()?;
            let is_compressed = path
                .extension()
                .is_some_and(|extension| extension == "gz" || extension == "zst");
            (metadata.is_file() && !is_compressed).then_some(metadata.len())
        });
        Self {
            on: io::stderr().is_terminal(),
            total: sizes.sum(),
            begun: Instant::now(),
            shown: None,
        }
    }

    /// `bytes` of `path` were read.
    pub(super) fn show(&mut self, path: &Path, bytes: u64, digest: &Digest) {
        if !self.on {
            return;
        }
        let now = Instant::now();
        // What is done at once needs no line.
        let last = self.shown.unwrap_or(self.begun + EVERY);
        if now
            .checked_duration_since(last)
            .is_none_or(|since| since < EVERY)
        {
            return;
        }
        self.shown = Some(now);
        let done = digest.bytes.total + bytes;
        let of = match self.total {
            Some(total) => format!(" of {}", format_bytes(total)),
            None => String::new(),
        };
        let rate = done as f64 / self.begun.elapsed().as_secs_f64();
        let mut line = format!(
            "{}{of}, {}/s, {} entries, {}",
            format_bytes(done),
            format_bytes(rate as u64),
            format_count(digest.events()),
            path.display()
        );
        if let Some((end, _)) = line.char_indices().nth(79) {
            line.truncate(end);
        }
        let _ = write!(io::stderr(), "\r{line}\x1b[K");
    }

    pub(super) fn clear(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
