//! What could not be used: counted by reason, with where it was first met.

use serde::{Deserialize, Serialize};

use super::{Batch, Skip};
use crate::report::printable;

/// The longest excerpt, in bytes.
const LONGEST_EXCERPT: usize = 120;

/// Excerpts that are kept.
const MOST_EXCERPTS: usize = 3;

/// What was skipped for one reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    /// Why.
    pub reason: String,
    /// How many pieces of the log.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The log and the byte where the first of them begins.
    pub first: Place,
    /// How the first ones begin.
    pub excerpts: Vec<String>,
}

/// A place in a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The log's name.
    pub log: String,
    /// Offset in bytes.
    pub byte: u64,
}

/// All that was skipped, in the order of first sight.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SkipList(Vec<Skipped>);

impl SkipList {
    /// Note what a block's reader skipped. `offset` is where the block begins in `log`.
    pub(super) fn note<R>(&mut self, log: &str, offset: u64, block: &[u8], batch: &Batch<R>) {
        for skip in &batch.skips {
            self.add(log, offset, block, skip);
        }
    }

    fn add(&mut self, log: &str, offset: u64, block: &[u8], skip: &Skip) {
        let known = self.0.iter().position(|known| known.reason == skip.reason);
        let at = known.unwrap_or_else(|| {
            self.0.push(Skipped {
                reason: skip.reason.to_owned(),
                count: 0,
                bytes: 0,
                first: Place {
                    log: log.to_owned(),
                    byte: offset + skip.span.start() as u64,
                },
                excerpts: Vec::new(),
            });
            self.0.len() - 1
        });
        let skipped = &mut self.0[at];
        skipped.count += 1;
        skipped.bytes += skip.span.len() as u64;
        if skipped.excerpts.len() < MOST_EXCERPTS {
            let text = skip.span.of(block, &[]);
            skipped.excerpts.push(excerpt(text));
        }
    }

    /// Add what another digest skipped.
    pub(super) fn merge(&mut self, other: &Self) {
        for theirs in &other.0 {
            match self
                .0
                .iter_mut()
                .find(|known| known.reason == theirs.reason)
            {
                None => self.0.push(theirs.clone()),
                Some(mine) => {
                    mine.count = mine.count.saturating_add(theirs.count);
                    mine.bytes = mine.bytes.saturating_add(theirs.bytes);
                    let room = MOST_EXCERPTS.saturating_sub(mine.excerpts.len());
                    let more = theirs.excerpts.iter().take(room).cloned();
                    mine.excerpts.extend(more);
                }
            }
        }
    }

    /// The reasons, in the order of first sight.
    pub fn reasons(&self) -> &[Skipped] {
        &self.0
    }

    /// How many pieces were skipped.
    pub fn count(&self) -> u64 {
        let counts = self.0.iter().map(|skipped| skipped.count);
        counts.fold(0, u64::saturating_add)
    }

    /// Bytes of them.
    pub fn bytes(&self) -> u64 {
        let bytes = self.0.iter().map(|skipped| skipped.bytes);
        bytes.fold(0, u64::saturating_add)
    }
}

/// How a piece of a log begins, fit for a terminal.
pub(super) fn excerpt(text: &[u8]) -> String {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or(text);
    let cut = &line[..line.len().min(LONGEST_EXCERPT)];
    let mut excerpt = printable(&String::from_utf8_lossy(cut));
    if cut.len() < line.len() {
        excerpt.push('…');
    }
    excerpt
}
