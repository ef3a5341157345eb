//! One direction of a connection: its bytes, what waits, and where records are missing.
//!
//! What a record does is in `phase.rs`, what happens behind gaps in `search.rs`.

use std::collections::VecDeque;

use super::error::TlsError;
use super::facts::Facts;
use super::handshake::Messages;
use super::keylog::KeyLog;
use super::limits::{SEARCH_BYTES, WAITING_BYTES, WAITING_GAPS};
use super::opener::{Epoch, Missing, Opener};
use super::record;
use super::search::Search;
use super::stream::{Side, TlsCounts};

/// What a direction needs of the rest of the world.
pub(super) struct Context<'a> {
    pub(super) facts: &'a mut Facts,
    pub(super) keys: &'a KeyLog,
    /// Whether the server's side may still say what became of the early data.
    pub(super) verdict_comes: bool,
}

/// How far a direction is.
pub(super) enum Phase {
    /// Nothing is protected yet.
    Clear,
    /// The next record is protected; its key is not looked up yet.
    Keys(Epoch),
    Sealed(Box<Opener>),
    /// Records are missing.
    Search(Box<Search>),
    /// Closed or given up.
    Over,
}

/// What a direction waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Hello,
    Secrets,
    /// Whether the server takes the early data.
    Verdict,
}

/// What became of the bytes in front.
pub(super) enum Step {
    /// That many are done.
    Used(usize),
    /// That many are done, and the plaintext has a hole.
    Hole(usize, TlsError),
    /// More are needed.
    Short,
    Waits(Need),
}

/// Bytes that are not there.
struct Gap {
    at: u64,
    bytes: u64,
    /// Where whole records were dropped: how many.
    records: Option<u64>,
}

/// What a gap means for the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Loss {
    /// How many are destroyed, at least and at most.
    pub(super) least: u64,
    pub(super) most: u64,
    /// Bytes behind the gap that belong to a destroyed record.
    pub(super) skip: u64,
    /// Whether a record begins behind them for sure.
    pub(super) is_exact: bool,
    /// Whether the records were counted.
    pub(super) is_counted: bool,
}

pub(super) struct Direction {
    pub(super) side: Side,
    pub(super) phase: Phase,
    pub(super) messages: Messages,
    /// Whether the handshake's messages cannot be told apart, since a part of one is missing.
    pub(super) is_deaf: bool,
    /// Whether records that do not open are early data.
    pub(super) skips_early: bool,
    /// Whether the verdict on early data was awaited long enough.
    pub(super) is_impatient: bool,
    /// Whether this side's hello was there.
    pub(super) has_hello: bool,
    pub(super) counts: TlsCounts,
    pub(super) failure: Option<TlsError>,
    /// Bytes that may be spent on attempts.
    pub(super) budget: u64,
    /// Of the next byte to be read.
    pub(super) offset: u64,
    /// Of the next byte to be fed.
    end: u64,
    input: Vec<u8>,
    gaps: VecDeque<Gap>,
    need: Option<Need>,
    /// Of the key log that did not have the secrets.
    generation: u64,
    /// Whether it was told that secrets are missing.
    told: bool,
}

impl Direction {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            phase: Phase::Clear,
            messages: Messages::default(),
            is_deaf: false,
            skips_early: false,
            is_impatient: false,
            has_hello: false,
            counts: TlsCounts::default(),
            failure: None,
            budget: SEARCH_BYTES,
            offset: 0,
            end: 0,
            input: Vec::new(),
            gaps: VecDeque::new(),
            need: None,
            generation: 0,
            told: false,
        }
    }

    /// See [`TlsStream::feed`](super::TlsStream::feed).
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        context: &mut Context<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), TlsError> {
        // Whoever feeds on and on behind a hole does not fetch what is behind it.
        if self.input.len() > WAITING_BYTES && !bytes.is_empty() && self.need.is_none() {
            self.drop_waiting();
        }
        self.end = self.end.saturating_add(bytes.len() as u64);
        if self.need == Some(Need::Secrets) && self.generation == context.keys.generation() {
            self.input.extend_from_slice(bytes);
        } else if self.input.is_empty() {
            let (used, result) = self.advance(bytes, context, out);
            self.input.extend_from_slice(&bytes[used..]);
            result?;
        } else {
            let mut input = std::mem::take(&mut self.input);
            input.extend_from_slice(bytes);
            let (used, result) = self.advance(&input, context, out);
            input.drain(..used);
            self.input = input;
            result?;
        }
        self.bound(context)
    }

    /// See [`TlsStream::lost`](super::TlsStream::lost).
    pub(super) fn lost(&mut self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.counts.lost_bytes = self.counts.lost_bytes.saturating_add(bytes);
        let at = self.end;
        self.end = self.end.saturating_add(bytes);
        let is_full = self.gaps.len() >= WAITING_GAPS;
        match self.gaps.back_mut() {
            Some(last) if last.at.saturating_add(last.bytes) == at && last.records.is_none() => {
                last.bytes = last.bytes.saturating_add(bytes);
            }
            _ if is_full => self.drop_all(),
            _ => self.gaps.push_back(Gap {
                at,
                bytes,
                records: None,
            }),
        }
    }

    /// Nothing follows that could be read.
    pub(super) fn end(&mut self) {
        self.phase = Phase::Over;
        self.need = None;
        self.counts.skipped_bytes += self.input.len() as u64;
        self.input = Vec::new();
        self.gaps.clear();
        self.offset = self.end;
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    pub(super) fn kept_bytes(&self) -> usize {
        self.input.len()
    }

    /// Whether this, the server's side, may still say what became of the early data.
    pub(super) fn can_tell_early(&self) -> bool {
        match &self.phase {
            Phase::Clear | Phase::Keys(Epoch::Handshake) => true,
            Phase::Sealed(opener) => opener.epoch == Epoch::Handshake && !self.is_deaf,
            _ => false,
        }
    }

    /// See [`TlsStream::waits_for`](super::TlsStream::waits_for).
    pub(super) fn waits_for(&self, facts: &Facts, keys: &KeyLog) -> Option<TlsError> {
        match self.need? {
            Need::Hello => Some(TlsError::NoHello(missing_hello(facts))),
            Need::Verdict => Some(TlsError::NoVerdict),
            Need::Secrets => {
                let Phase::Keys(epoch) = self.phase else {
                    return Some(TlsError::NoSecrets(facts.prefix()));
                };
                match Opener::find(epoch, self.side, facts, keys).err()? {
                    Missing::Hello => Some(TlsError::NoHello(missing_hello(facts))),
                    Missing::Secrets => Some(TlsError::NoSecrets(facts.prefix())),
                    Missing::Secret(label) => Some(TlsError::NoSecret {
                        label: label.name(),
                        client_random: facts.prefix(),
                    }),
                    Missing::Unusable(error) => Some(error),
                }
            }
        }
    }

    /// Read what can be read of `data`, and say how much that was.
    fn advance(
        &mut self,
        data: &[u8],
        context: &mut Context<'_>,
        out: &mut Vec<u8>,
    ) -> (usize, Result<(), TlsError>) {
        let mut used = 0_usize;
        self.need = None;
        loop {
            let end = self.gaps.front().map_or(data.len(), |gap| {
                let before =
                    usize::try_from(gap.at.saturating_sub(self.offset)).unwrap_or(usize::MAX);
                data.len().min(used.saturating_add(before))
            });
            let rest = &data[used..end];
            let (done, result) = match self.step(rest, context, out) {
                Step::Used(done) => (done, Ok(())),
                Step::Hole(done, error) => (done, Err(error)),
                Step::Waits(need) => {
                    self.need = Some(need);
                    self.generation = context.keys.generation();
                    return (used, Ok(()));
                }
                Step::Short => {
                    let Some(gap) = self.gaps.pop_front() else {
                        return (used, Ok(()));
                    };
                    (rest.len(), self.pass(&gap, rest))
                }
            };
            used += done;
            self.offset = self.offset.saturating_add(done as u64);
            if result.is_err() {
                return (used, result);
            }
        }
    }

    /// Go to the other side of a gap, in front of which an unfinished record is left.
    fn pass(&mut self, gap: &Gap, rest: &[u8]) -> Result<(), TlsError> {
        let at = self.offset.saturating_add(rest.len() as u64);
        self.offset = self.offset.saturating_add(gap.bytes);
        self.counts.skipped_bytes += rest.len() as u64;
        // What has to be skipped is no loss again.
        let skipped = match &mut self.phase {
            Phase::Search(search) => search.skip_lost(gap.bytes),
            _ => 0,
        };
        let loss = match gap.records {
            _ if skipped > 0 && skipped == gap.bytes => Loss::default(),
            Some(records) => Loss {
                least: records,
                most: records,
                skip: 0,
                is_exact: true,
                is_counted: true,
            },
            None => loss(rest, gap.bytes - skipped),
        };
        self.messages = Messages::default();
        let mut search = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Over => return Ok(()),
            Phase::Clear if !self.has_hello => {
                return Err(self.fail(TlsError::NoHello(self.side)));
            }
            Phase::Clear => Box::new(Search::from_clear()),
            Phase::Keys(epoch) => Box::new(Search::from_epoch(epoch)),
            Phase::Sealed(opener) => Box::new(Search::behind(opener)),
            Phase::Search(search) => search,
        };
        if loss != Loss::default() {
            search.lose(loss);
        }
        self.phase = Phase::Search(search);
        if gap.records.is_some() {
            // It was told when they were dropped.
            return Ok(());
        }
        Err(TlsError::Gap {
            side: self.side,
            offset: at,
            bytes: gap.bytes,
        })
    }

    /// Give this direction up.
    pub(super) fn fail(&mut self, error: TlsError) -> TlsError {
        self.phase = Phase::Over;
        self.failure = Some(error.clone());
        error
    }

    /// Let no more wait than may.
    fn bound(&mut self, context: &Context<'_>) -> Result<(), TlsError> {
        if self.input.len() <= WAITING_BYTES {
            return Ok(());
        }
        match self.need {
            // An unfinished record is shorter than the limit: there is something to wait for.
            None => Ok(()),
            Some(Need::Verdict) => {
                self.is_impatient = true;
                Ok(())
            }
            Some(Need::Hello) => {
                let error = self.fail(TlsError::NoHello(missing_hello(context.facts)));
                self.end();
                Err(error)
            }
            Some(Need::Secrets) => {
                self.drop_waiting();
                if std::mem::replace(&mut self.told, true) {
                    return Ok(());
                }
                Err(TlsError::NoSecrets(context.facts.prefix()))
            }
        }
    }

    /// Drop what waits, and keep count of the records as long as that is possible.
    fn drop_waiting(&mut self) {
        let is_exact = match &self.phase {
            Phase::Keys(_) => true,
            Phase::Search(search) => search.is_exact(),
            _ => false,
        };
        let (before, others) = match self.gaps.front() {
            None => (Some((0, 0)), false),
            Some(gap) if gap.at == self.offset && self.gaps.len() == 1 => {
                (gap.records.map(|records| (gap.bytes, records)), false)
            }
            Some(_) => (None, true),
        };
        let mut used = 0;
        let mut records = 0;
        while let Ok(Some(total)) = record::total(&self.input[used..])
            && total <= self.input.len() - used
        {
            // Changes of ciphers have no number.
            records += u64::from(self.input[used] != record::CHANGE_CIPHER_SPEC);
            used += total;
        }
        // More than an unfinished record is left where the frames make no sense.
        let largest = record::LARGEST as usize;
        match before {
            Some((bytes, counted)) if is_exact && !others && self.input.len() - used < largest => {
                self.counts.skipped_bytes += used as u64;
                self.input.drain(..used);
                self.gaps.clear();
                self.gaps.push_back(Gap {
                    at: self.offset,
                    bytes: bytes + used as u64,
                    records: Some(counted + records),
                });
            }
            _ => self.drop_all(),
        }
    }

    /// Make one gap of all that was not read.
    fn drop_all(&mut self) {
        self.counts.skipped_bytes += self.input.len() as u64;
        self.input.clear();
        self.gaps.clear();
        self.gaps.push_back(Gap {
            at: self.offset,
            bytes: self.end.saturating_sub(self.offset),
            records: None,
        });
    }
}

/// Whose hello is missing.
fn missing_hello(facts: &Facts) -> Side {
    if facts.client_random.is_none() {
        Side::Client
    } else {
        Side::Server
    }
}

/// What a gap of so many bytes means behind `rest`, the beginning of a record.
fn loss(rest: &[u8], gap: u64) -> Loss {
    let missing = match record::total(rest) {
        Ok(Some(total)) => (total - rest.len()) as u64,
        _ => {
            let begun = u64::from(!rest.is_empty());
            return Loss {
                least: begun + gap / record::LARGEST,
                most: begun + gap / record::SMALLEST + 2,
                skip: 0,
                is_exact: false,
                is_counted: false,
            };
        }
    };
    let behind = gap.saturating_sub(missing);
    Loss {
        least: 1 + behind / record::LARGEST,
        most: if behind == 0 {
            1
        } else {
            behind / record::SMALLEST + 3
        },
        skip: missing.saturating_sub(gap),
        is_exact: behind == 0,
        is_counted: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_within_a_record_is_exact() {
        let check = |rest: &[u8], gap, expected: (u64, u64, u64, bool)| {
            let found = loss(rest, gap);
            let found = (found.least, found.most, found.skip, found.is_exact);
            assert_eq!(found, expected, "{rest:?} {gap}");
        };
        check(&[23, 3, 3, 1, 0, 7, 7], 100, (1, 1, 154, true));
        check(&[23, 3, 3, 1, 0, 7, 7], 254, (1, 1, 0, true));
        check(&[23, 3, 3, 1, 0, 7, 7], 254 + 42, (1, 5, 0, false));
        check(&[], 10, (0, 2, 0, false));
        check(&[], 3 * record::LARGEST, (3, 2635, 0, false));
        check(&[23, 3], 10, (1, 3, 0, false));
    }
}
