//! Finding the next record behind a gap, and its number.
//!
//! A record opens under one number only, and the number is not sent: behind a gap those are tried that
//! the gap allows, from the smallest on, under the keys that may be in force there.

use super::direction::{Context, Direction, Loss, Need, Phase, Step};
use super::error::TlsError;
use super::facts::{Early, Facts};
use super::handshake::Messages;
use super::keylog::KeyLog;
use super::limits::{HANDSHAKE_RECORDS, SEARCH_RECORDS};
use super::opener::{Epoch, Missing, Opener};
use super::record::{self, CHANGE_CIPHER_SPEC, DATA, Record};
use super::stream::{Side, TlsVersion};

/// The keys whose time may have begun unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Later {
    /// What the version says, when it is known.
    All,
    /// From this one on.
    From(Epoch),
    None,
}

/// What is known about the next record.
pub(super) struct Search {
    /// What opened the records before.
    current: Option<Box<Opener>>,
    /// Its number under those keys, at least and at most.
    current_numbers: (u64, u64),
    later: Later,
    openers: Vec<Opener>,
    is_prepared: bool,
    /// Its number under each of the later keys.
    later_numbers: (u64, u64),
    /// Bytes up to it.
    skip: u64,
    is_exact: bool,
}

impl Search {
    fn new(current: Option<Box<Opener>>, later: Later) -> Self {
        let number = current.as_ref().map_or(0, |opener| opener.sequence);
        Self {
            current,
            current_numbers: (number, number),
            later,
            openers: Vec::new(),
            is_prepared: false,
            later_numbers: (0, 0),
            skip: 0,
            is_exact: true,
        }
    }

    /// Behind a hello.
    pub(super) fn from_clear() -> Self {
        Self::new(None, Later::All)
    }

    /// Where an epoch begins.
    pub(super) fn from_epoch(epoch: Epoch) -> Self {
        Self::new(None, Later::From(epoch))
    }

    /// Within or behind an opener's epoch.
    pub(super) fn behind(opener: Box<Opener>) -> Self {
        let later = match opener.epoch {
            Epoch::Early => Later::From(Epoch::Handshake),
            Epoch::Handshake => Later::From(Epoch::Application),
            Epoch::Application | Epoch::Tls12 => Later::None,
        };
        Self::new(Some(opener), later)
    }

    /// More is missing.
    pub(super) fn lose(&mut self, loss: Loss) {
        let add = |numbers: &mut (u64, u64), least: u64| {
            numbers.0 = numbers.0.saturating_add(least);
            numbers.1 = numbers.1.saturating_add(loss.most);
        };
        add(&mut self.current_numbers, loss.least);
        // When the later keys began is not known, unless all records are counted.
        add(
            &mut self.later_numbers,
            if loss.is_counted { loss.least } else { 0 },
        );
        self.skip = loss.skip;
        self.is_exact = loss.is_exact;
    }

    /// Take bytes that are missing off those that have to be skipped, and say how many.
    pub(super) fn skip_lost(&mut self, bytes: u64) -> u64 {
        let skipped = self.skip.min(bytes);
        self.skip -= skipped;
        skipped
    }

    fn lose_one(&mut self) {
        self.lose(Loss {
            least: 1,
            most: 1,
            skip: 0,
            is_exact: self.is_exact,
            is_counted: false,
        });
    }

    /// A record begins somewhere, not here, and one or two may be gone.
    pub(super) fn look_around(&mut self) {
        self.is_exact = false;
        self.current_numbers.1 = self.current_numbers.1.saturating_add(2);
        self.later_numbers.1 = self.later_numbers.1.saturating_add(2);
    }

    /// Whether the next byte begins a record.
    pub(super) fn is_exact(&self) -> bool {
        self.is_exact && self.skip == 0
    }

    /// Make the openers of later keys.
    fn prepare(&mut self, side: Side, facts: &Facts, keys: &KeyLog) -> Result<(), Missing> {
        if self.is_prepared {
            return Ok(());
        }
        let first = match (self.later, facts.version) {
            (Later::From(epoch), _) => Some(epoch),
            (Later::None, _) => None,
            (Later::All, None) => return Err(Missing::Hello),
            (Later::All, Some(TlsVersion::Tls12)) => Some(Epoch::Tls12),
            (Later::All, Some(TlsVersion::Tls13)) => {
                let is_early = side == Side::Client && facts.early == Early::Accepted;
                Some(if is_early {
                    Epoch::Early
                } else {
                    Epoch::Handshake
                })
            }
        };
        let epochs: &[Epoch] = match first {
            None => &[],
            Some(Epoch::Tls12) => &[Epoch::Tls12],
            Some(Epoch::Early) => &[Epoch::Early, Epoch::Handshake, Epoch::Application],
            Some(Epoch::Handshake) => &[Epoch::Handshake, Epoch::Application],
            Some(Epoch::Application) => &[Epoch::Application],
        };
        self.openers.clear();
        self.is_prepared = true;
        for epoch in epochs {
            match Opener::find(*epoch, side, facts, keys) {
                Ok(opener) => self.openers.push(opener),
                // A log that grows may have it later.
                Err(Missing::Secret(_)) => self.is_prepared = false,
                Err(missing) => return Err(missing),
            }
        }
        self.openers
            .extend(self.current.as_ref().and_then(|opener| opener.updated()));
        if self.openers.is_empty() && self.current.is_none() {
            return Err(Missing::Secrets);
        }
        Ok(())
    }

    /// Open a record under any number and keys that may be; its type, and what opened it.
    fn open(
        &mut self,
        record: &Record<'_>,
        budget: &mut u64,
        out: &mut Vec<u8>,
    ) -> Option<(u8, Box<Opener>, bool)> {
        let cost = record.total() as u64 + 64;
        let mut attempt = |opener: &mut Opener, number: u64| {
            *budget = budget.checked_sub(cost)?;
            let kind = opener.open_as(number, record, out)?;
            opener.opened(number, record);
            Some(kind)
        };
        if let Some(opener) = &mut self.current {
            let (least, most) = self.current_numbers;
            let hints = opener.hints(record).into_iter().flatten();
            let most = most.min(least.saturating_add(SEARCH_RECORDS));
            for number in hints.filter(|hint| *hint >= least).chain(least..=most) {
                if let Some(kind) = attempt(opener, number) {
                    return Some((kind, self.current.take()?, true));
                }
            }
        }
        let (least, most) = self.later_numbers;
        let least = least.saturating_sub(HANDSHAKE_RECORDS);
        let most = most.min(least.saturating_add(SEARCH_RECORDS));
        for index in 0..self.openers.len() {
            for number in least..=most {
                if let Some(kind) = attempt(&mut self.openers[index], number) {
                    let opener = self.openers.swap_remove(index);
                    return Some((kind, Box::new(opener), number > 0));
                }
            }
        }
        None
    }
}

impl Direction {
    /// Look for a record that opens.
    pub(super) fn search(
        &mut self,
        data: &[u8],
        context: &mut Context<'_>,
        out: &mut Vec<u8>,
    ) -> Step {
        let Phase::Search(search) = &mut self.phase else {
            return Step::Short;
        };
        if data.is_empty() {
            return Step::Short;
        }
        if search.skip > 0 {
            let count = data
                .len()
                .min(usize::try_from(search.skip).unwrap_or(usize::MAX));
            search.skip -= count as u64;
            self.counts.skipped_bytes += count as u64;
            return Step::Used(count);
        }
        match search.prepare(self.side, context.facts, context.keys) {
            Ok(()) => {}
            Err(Missing::Hello) => return Step::Waits(Need::Hello),
            Err(Missing::Secrets | Missing::Secret(_)) => return Step::Waits(Need::Secrets),
            Err(Missing::Unusable(error)) => return Step::Hole(0, self.fail(error)),
        }
        if !search.is_exact {
            let next = (0..data.len()).find(|at| record::plausible(&data[*at..]));
            let skipped = next.unwrap_or(data.len());
            if skipped > 0 {
                self.counts.skipped_bytes += skipped as u64;
                return Step::Used(skipped);
            }
        }
        match Record::read(data) {
            Ok(None) => Step::Short,
            Ok(Some(record)) => {
                let behind = &data[record.total()..];
                self.try_record(&record, behind, context, out)
            }
            Err(_) => {
                search.look_around();
                self.counts.skipped_bytes += 1;
                Step::Used(1)
            }
        }
    }

    /// Try a record; what is not opened is passed over.
    fn try_record(
        &mut self,
        record: &Record<'_>,
        behind: &[u8],
        context: &mut Context<'_>,
        out: &mut Vec<u8>,
    ) -> Step {
        let total = record.total();
        let Phase::Search(search) = &mut self.phase else {
            return Step::Short;
        };
        let is_tls12 = context.facts.version == Some(TlsVersion::Tls12);
        // A change of ciphers in full view counts the records anew.
        if is_tls12
            && search.current.is_none()
            && record.kind() == CHANGE_CIPHER_SPEC
            && record.body == [1]
        {
            self.phase = Phase::Keys(Epoch::Tls12);
            return Step::Used(total);
        }
        if search.is_exact && !is_tls12 && record.kind() != DATA {
            return Step::Used(total);
        }
        // Where no record is known to begin, another has to follow.
        if search.is_exact || record::plausible(behind) {
            if let Some(step) = self.attempt(record, context, out) {
                return step;
            }
            if self.budget < total as u64 + 64 {
                let (side, offset) = (self.side, self.offset);
                return Step::Hole(total, self.fail(TlsError::GivenUp { side, offset }));
            }
        }
        let Phase::Search(search) = &mut self.phase else {
            return Step::Short;
        };
        let passed = if search.is_exact {
            search.lose_one();
            total
        } else {
            1
        };
        self.counts.skipped_bytes += passed as u64;
        Step::Used(passed)
    }

    /// Go on with whatever opens this record.
    fn attempt(
        &mut self,
        record: &Record<'_>,
        context: &mut Context<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Step> {
        let start = out.len();
        let Phase::Search(search) = &mut self.phase else {
            return None;
        };
        let (kind, opener, is_deaf) = search.open(record, &mut self.budget, out)?;
        self.phase = Phase::Sealed(opener);
        self.is_deaf = is_deaf;
        Some(self.take(kind, start, record, context, out))
    }

    /// A record does not open as the next one: perhaps the keys have changed unseen, perhaps it is
    /// damaged.
    pub(super) fn recover(
        &mut self,
        record: &Record<'_>,
        context: &mut Context<'_>,
        out: &mut Vec<u8>,
    ) -> Step {
        let Phase::Sealed(opener) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return Step::Short;
        };
        let mut search = Box::new(Search::behind(opener));
        search.current_numbers.1 = search.current_numbers.1.saturating_add(1);
        // A direction that has keys goes on with them whatever else is missing.
        let _ = search.prepare(self.side, context.facts, context.keys);
        self.phase = Phase::Search(search);
        self.messages = Messages::default();
        if let Some(step) = self.attempt(record, context, out) {
            return step;
        }
        if let Phase::Search(search) = &mut self.phase {
            search.lose_one();
        }
        self.counts.skipped_bytes += record.total() as u64;
        Step::Hole(record.total(), self.undecryptable())
    }
}
