//! What all connections share: counts, the memory they may take, and the recent past.

use crate::http1::HeadCache;

use super::limits::{GROWTH_BYTES, HISTORY_BYTES, HISTORY_PLACES, SPARE_BUFFERS, SPARE_BYTES};
use super::tls::KeyLog;
use super::{CaptureOptions, Sink, Totals};

/// What all connections share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) options: CaptureOptions,
    pub(super) totals: Totals,
    pub(super) heads: HeadCache,
    pub(super) history: History,
    pub(super) keys: KeyLog,
    /// Why something encrypted could not be read, the first time.
    pub(super) tls_fault: Option<String>,
    exchanges: u64,
    connections: u64,
    spare: Vec<Vec<u8>>,
    /// Bytes that connections hold: out-of-order segments and messages in flight.
    held: usize,
}

/// [`Shared`], and where messages go at the moment.
pub(super) struct Cx<'c> {
    pub(super) shared: &'c mut Shared,
    pub(super) sink: &'c mut dyn Sink,
}

impl Shared {
    pub(super) fn new(options: CaptureOptions) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }

    /// Bytes that connections hold.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Ask for memory: whether it may be taken.
    pub(super) fn hold(&mut self, bytes: usize) -> bool {
        let held = self.held.saturating_add(bytes);
        let fits = held <= self.options.buffered_bytes_max;
        if fits {
            self.held = held;
        }
        fits
    }

    /// Count memory that is held whether it may be or not: what a head takes at most.
    pub(super) fn keep_anyway(&mut self, bytes: usize) {
        self.held = self.held.saturating_add(bytes);
    }

    /// Give memory back.
    pub(super) fn release(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes);
    }

    /// As [`Self::extend`], leaving some room for heads and segments, which are small and without
    /// which nothing is understood.
    pub(super) fn extend_body(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) -> bool {
        let most = self.options.buffered_bytes_max;
        let is_full = self.held.saturating_add(bytes.len()) > most - most / 8;
        !is_full && self.extend(buffer, bytes)
    }

    /// Append to a buffer that [`Self::give_back`] returns: whether there is room for it.
    pub(super) fn extend(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) -> bool {
        let need = buffer.len() + bytes.len();
        if buffer.capacity() == 0
            && let Some(spare) = self.spare.pop()
        {
            if !self.hold(spare.capacity()) {
                self.spare.push(spare);
                return false;
            }
            *buffer = spare;
        }
        let has = buffer.capacity();
        if need > has {
            // At least doubled while it is small; later in steps, so that little is to spare.
            let grown = need.max(has + has.clamp(256, GROWTH_BYTES));
            if !self.hold(grown - has) {
                return false;
            }
            buffer.reserve_exact(grown - buffer.len());
            let surplus = buffer.capacity().saturating_sub(grown);
            self.held += surplus;
        }
        buffer.extend_from_slice(bytes);
        true
    }

    /// Take a buffer back for the next message.
    pub(super) fn give_back(&mut self, buffer: &mut Vec<u8>) {
        let mut buffer = std::mem::take(buffer);
        self.release(buffer.capacity());
        if (1..=SPARE_BYTES).contains(&buffer.capacity()) && self.spare.len() < SPARE_BUFFERS {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// A new number for a connection.
    pub(super) fn connection(&mut self) -> u64 {
        self.totals.connections += 1;
        self.connections += 1;
        self.connections - 1
    }

    /// A new number for an exchange.
    pub(super) fn exchange(&mut self) -> u64 {
        self.exchanges += 1;
        self.exchanges - 1
    }
}

/// The last bytes that were put in order, of all connections: what is sent again is compared with
/// them.
#[derive(Debug, Default)]
pub(super) struct History {
    ring: Vec<u8>,
    /// Bytes ever written, with what was left free at the ring's end.
    written: u64,
}

/// Where some bytes of a stream lie in the history.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// Position in the stream.
    at: u64,
    len: u64,
    /// What [`History::written`] was.
    written: u64,
}

/// What one direction of a connection knows of the history.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    places: [Place; HISTORY_PLACES],
    next: usize,
}

impl History {
    /// Keep the bytes of the stream position `at`.
    pub(super) fn keep(&mut self, places: &mut Places, at: u64, bytes: &[u8]) {
        if bytes.is_empty() || bytes.len() > HISTORY_BYTES / 4 {
            return;
        }
        if self.ring.is_empty() {
            self.ring = vec![0; HISTORY_BYTES];
        }
        let mut offset = (self.written % HISTORY_BYTES as u64) as usize;
        if offset + bytes.len() > HISTORY_BYTES {
            self.written += (HISTORY_BYTES - offset) as u64;
            offset = 0;
        }
        self.ring[offset..offset + bytes.len()].copy_from_slice(bytes);
        let written = self.written;
        self.written += bytes.len() as u64;
        let len = bytes.len() as u64;
        let last = &mut places.places[places.next];
        if last.at + last.len == at && last.written + last.len == written && offset != 0 {
            last.len += len;
        } else {
            places.next = (places.next + 1) % HISTORY_PLACES;
            places.places[places.next] = Place { at, len, written };
        }
    }

    /// How many of the bytes at stream position `at` differ from those that are still known.
    pub(super) fn differing(&self, places: &Places, at: u64, bytes: &[u8]) -> u64 {
        let end = at + bytes.len() as u64;
        let mut differing = 0;
        for place in &places.places {
            let from = at.max(place.at);
            let to = end.min(place.at + place.len);
            // Only what nothing was written over since.
            let kept = self.written.saturating_sub(HISTORY_BYTES as u64);
            let from = from.max(place.at + kept.saturating_sub(place.written));
            if from >= to {
                continue;
            }
            let offset = (place.written + (from - place.at)) % HISTORY_BYTES as u64;
            let old = self.ring.get(offset as usize..).unwrap_or_default();
            let new = &bytes[(from - at) as usize..(to - at) as usize];
            if !old.starts_with(new) {
                differing += old.iter().zip(new).filter(|(old, new)| old != new).count() as u64;
            }
        }
        differing
    }
}
