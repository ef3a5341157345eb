//! One direction of a TCP connection: segments put in order.
//!
//! Source: RFC 9293. Positions in a stream are 64 bits wide, so that nothing but the reading of a
//! sequence number has to think of their wrapping around.

use std::collections::VecDeque;

use super::limits::{
    LOST_AFTER_NS, LOST_AFTER_PACKETS, PENDING_BYTES, PENDING_SEGMENTS, SEGMENT_OVERHEAD,
    UNACKED_LOST_AFTER_NS, UNACKED_LOST_AFTER_PACKETS, WINDOW_BYTES,
};
use super::shared::{Places, Shared};

/// Position of the first byte of a stream that was seen. Not 0, so that there is room for bytes
/// before it that come later.
const START: u64 = 1 << 32;

/// A segment that waits for what belongs in front of it.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) at: u64,
    pub(super) bytes: Box<[u8]>,
    /// Bytes behind them that the capture cut off.
    pub(super) missing: u32,
    pub(super) time_ns: i64,
    /// What it acknowledges of the other direction; 0 when that is not known.
    pub(super) ack: u64,
    /// Whether it begins where a packet began.
    pub(super) is_start: bool,
}

impl Pending {
    fn end(&self) -> u64 {
        self.at + self.bytes.len() as u64 + u64::from(self.missing)
    }

    fn cost(&self) -> usize {
        self.bytes.len() + SEGMENT_OVERHEAD
    }
}

/// Bytes of a stream as a packet brought them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival<'p> {
    pub(super) at: u64,
    pub(super) bytes: &'p [u8],
    pub(super) missing: u32,
    pub(super) time_ns: i64,
    pub(super) ack: u64,
    pub(super) is_start: bool,
}

impl<'p> Arrival<'p> {
    pub(super) fn end(&self) -> u64 {
        self.at + self.bytes.len() as u64 + u64::from(self.missing)
    }

    /// What of it lies between two positions that are not outside of it.
    fn part(&self, from: u64, to: u64) -> Arrival<'p> {
        let len = self.bytes.len() as u64;
        let begin = (from - self.at).min(len);
        let end = (to - self.at).min(len);
        Arrival {
            at: from,
            bytes: &self.bytes[begin as usize..end as usize],
            missing: ((to - from) - (end - begin)) as u32,
            is_start: self.is_start && from == self.at,
            ..*self
        }
    }
}

/// How a direction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) at: u64,
    /// By RST; otherwise by FIN.
    pub(super) is_reset: bool,
}

/// Since when nothing goes on.
#[derive(Debug, Clone, Copy)]
struct Stall {
    at: u64,
    packets: u32,
    time_ns: i64,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Whether `next` means anything.
    pub(super) is_anchored: bool,
    /// Whether a packet of this direction was seen.
    pub(super) is_seen: bool,
    /// The number of its SYN.
    pub(super) initial: Option<u32>,
    /// Position of the next byte in order.
    pub(super) at: u64,
    /// Its sequence number.
    next: u32,
    /// Up to where the other side acknowledged it; 0 when it did not.
    pub(super) acked: u64,
    pub(super) end: Option<End>,
    pub(super) is_ended: bool,
    pub(super) places: Places,
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    stall: Option<Stall>,
}

impl Flow {
    /// Fix the positions: `seq` is the next byte.
    pub(super) fn anchor(&mut self, seq: u32) {
        self.is_anchored = true;
        self.at = START;
        self.next = seq;
    }

    /// The position of a sequence number.
    pub(super) fn position(&self, seq: u32) -> u64 {
        let distance = i64::from(seq.wrapping_sub(self.next).cast_signed());
        self.at.wrapping_add_signed(distance)
    }

    /// Whether a position can belong to this connection.
    pub(super) fn is_plausible(&self, at: u64) -> bool {
        at.abs_diff(self.at) < WINDOW_BYTES
    }

    /// The other side acknowledged this number: its position, or 0 when it cannot be.
    pub(super) fn acknowledge(&mut self, seq: u32) -> u64 {
        if !self.is_anchored {
            self.anchor(seq);
        }
        let at = self.position(seq);
        if !self.is_plausible(at) {
            return 0;
        }
        self.acked = self.acked.max(at);
        at
    }

    /// Go on to a position.
    pub(super) fn advance(&mut self, to: u64) {
        self.next = self.next.wrapping_add(to.wrapping_sub(self.at) as u32);
        self.at = to;
    }

    /// Take what came so far as the start of a stream whose opening was not seen.
    pub(super) fn settle(&mut self) {
        if self.initial.is_none() && self.is_anchored {
            let first = self.pending.front().map_or(self.acked, |first| first.at);
            if first != 0 {
                self.advance(first);
            }
        }
    }

    /// Position of the first segment that waits.
    pub(super) fn waiting(&self) -> Option<&Pending> {
        self.pending.front()
    }

    /// Whether `arrival` can be passed on without waiting for anything of this direction.
    #[inline]
    pub(super) fn is_next(&self, arrival: &Arrival<'_>) -> bool {
        arrival.at == self.at
            && self
                .pending
                .front()
                .is_none_or(|first| first.at >= arrival.end())
    }

    /// Take away what came before: `None` when nothing new is left.
    pub(super) fn trim<'p>(
        &self,
        arrival: Arrival<'p>,
        shared: &mut Shared,
    ) -> Option<Arrival<'p>> {
        if arrival.at >= self.at {
            return Some(arrival);
        }
        let old = arrival.part(arrival.at, arrival.end().min(self.at));
        let differing = shared.history.differing(&self.places, old.at, old.bytes);
        let totals = &mut shared.totals;
        totals.repeated_bytes += old.bytes.len() as u64;
        totals.conflicting_bytes += differing;
        if arrival.end() <= self.at {
            totals.repeated_segments += 1;
            return None;
        }
        Some(arrival.part(self.at, arrival.end()))
    }

    /// Let a segment wait; what waits already wins over it. Whether there was room.
    pub(super) fn wait(&mut self, arrival: Arrival<'_>, shared: &mut Shared) -> bool {
        let end = arrival.end();
        let mut at = arrival.at;
        let mut index = self.pending.partition_point(|other| other.end() <= at);
        let mut is_new = false;
        while at < end {
            self.correct(index, &arrival, shared);
            if let Some(next) = self.pending.get(index)
                && next.at <= at
            {
                let to = next.end().min(end);
                let same = arrival.part(at, to);
                let old = next
                    .bytes
                    .get((at - next.at) as usize..)
                    .unwrap_or_default();
                let differing = old.iter().zip(same.bytes).filter(|(old, new)| old != new);
                shared.totals.conflicting_bytes += differing.count() as u64;
                shared.totals.repeated_bytes += same.bytes.len() as u64;
                at = to;
                index += 1;
                continue;
            }
            let next = self.pending.get(index);
            let to = next.map_or(end, |next| next.at.min(end));
            if !self.keep(index, arrival.part(at, to), shared) {
                return false;
            }
            is_new = true;
            at = to;
            index += 1;
        }
        if !is_new {
            shared.totals.repeated_segments += 1;
        }
        true
    }

    /// Bytes that are sent again acknowledge more than they did at first: where `arrival` covers the
    /// start of what waits and acknowledges less, that is what counts for these bytes.
    fn correct(&mut self, index: usize, arrival: &Arrival<'_>, shared: &mut Shared) {
        let Some(next) = self.pending.get_mut(index) else {
            return;
        };
        let covered = arrival.end().saturating_sub(next.at);
        if arrival.at > next.at || covered == 0 || arrival.ack >= next.ack {
            return;
        }
        let ack = std::mem::replace(&mut next.ack, arrival.ack);
        let len = next.bytes.len() as u64;
        if covered < len && shared.hold(SEGMENT_OVERHEAD) {
            let (first, rest) = next.bytes.split_at(covered as usize);
            let rest = Pending {
                at: next.at + covered,
                bytes: rest.into(),
                missing: std::mem::take(&mut next.missing),
                time_ns: next.time_ns,
                ack,
                is_start: false,
            };
            next.bytes = first.into();
            self.pending_bytes += SEGMENT_OVERHEAD;
            self.pending.insert(index + 1, rest);
        }
    }

    fn keep(&mut self, index: usize, part: Arrival<'_>, shared: &mut Shared) -> bool {
        let cost = part.bytes.len() + SEGMENT_OVERHEAD;
        if self.pending.len() >= PENDING_SEGMENTS
            || self.pending_bytes + cost > PENDING_BYTES
            || !shared.hold(cost)
        {
            return false;
        }
        self.pending_bytes += cost;
        let pending = Pending {
            at: part.at,
            bytes: part.bytes.into(),
            missing: part.missing,
            time_ns: part.time_ns,
            ack: part.ack,
            is_start: part.is_start,
        };
        self.pending.insert(index, pending);
        true
    }

    /// Take the first segment that waits.
    pub(super) fn pop(&mut self, shared: &mut Shared) -> Option<Pending> {
        let first = self.pending.pop_front()?;
        self.pending_bytes -= first.cost();
        shared.release(first.cost());
        if self.pending.is_empty() {
            self.pending = VecDeque::new();
        }
        Some(first)
    }

    /// Do not let the first segment wait for the other direction any longer.
    pub(super) fn unblock(&mut self) {
        if let Some(first) = self.pending.front_mut() {
            first.ack = 0;
        }
    }

    /// Up to where bytes are missing before anything can go on: what was acknowledged and not
    /// seen, or what is in front of the first segment that waits.
    pub(super) fn hole(&self) -> Option<u64> {
        // A FIN is acknowledged as well, but it is no byte.
        let acked = self.end.map_or(self.acked, |end| end.at.min(self.acked));
        let acked = Some(acked).filter(|&acked| acked > self.at);
        let first = self.pending.front().map(|first| first.at);
        match (acked, first) {
            (Some(acked), Some(first)) => Some(acked.min(first)).filter(|&to| to > self.at),
            (acked, first) => acked.or(first).filter(|&to| to > self.at),
        }
    }

    /// Whether anything waits or is missing.
    pub(super) fn is_stalled(&self) -> bool {
        !self.pending.is_empty() || self.hole().is_some()
    }

    /// Look at how long nothing went on; whether to wait no longer.
    pub(super) fn is_overdue(&mut self, packets: u32, time_ns: i64) -> bool {
        if !self.is_stalled() {
            self.stall = None;
            return false;
        }
        let here = Stall {
            at: self.at,
            packets,
            time_ns,
        };
        let stall = *self.stall.get_or_insert(here);
        if stall.at != self.at {
            self.stall = Some(here);
            return false;
        }
        let packets = packets.wrapping_sub(stall.packets);
        let elapsed_ns = time_ns.saturating_sub(stall.time_ns);
        if self.acked > self.at {
            return packets >= LOST_AFTER_PACKETS || elapsed_ns >= LOST_AFTER_NS;
        }
        packets >= UNACKED_LOST_AFTER_PACKETS || elapsed_ns >= UNACKED_LOST_AFTER_NS
    }
}
