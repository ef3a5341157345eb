//! One TCP connection: both directions put in order, each not ahead of what it acknowledges of the
//! other, and handed to HTTP.
//!
//! A segment acknowledges what its sender had received. It is passed on only when the other
//! direction has come that far as well, so that whoever reads both sees them in an order that can
//! have happened, whatever order the capture has. What nobody acknowledged has not arrived and is
//! waited for; what was acknowledged and does not come is lost.

use super::http::{Piece, Talk};
use super::limits::{SETTLE_NS, SETTLE_PACKETS, SILENCE_NS};
use super::link::{ACK, Endpoint, FIN, RST, SYN, Segment};
use super::shared::Cx;
use super::tcp::{Arrival, End, Flow};

/// One TCP connection.
#[derive(Debug)]
pub(super) struct Connection {
    flows: [Flow; 2],
    /// Whether the start of both directions is known.
    is_settled: bool,
    /// Where both directions start.
    starts: [u64; 2],
    packets: u32,
    first_ns: i64,
    last_ns: i64,
    talk: Talk,
}

impl Connection {
    pub(super) fn new(id: u64, ends: [Endpoint; 2], time_ns: i64) -> Self {
        Self {
            flows: [Flow::default(), Flow::default()],
            is_settled: false,
            starts: [0; 2],
            packets: 0,
            first_ns: time_ns,
            last_ns: time_ns,
            talk: Talk::new(id, ends),
        }
    }

    /// Its number.
    pub(super) fn id(&self) -> u64 {
        self.talk.id()
    }

    /// Whether this segment of side `side` opens or belongs to another connection with the same
    /// ports.
    pub(super) fn is_over(&self, side: usize, segment: &Segment<'_>, time_ns: i64) -> bool {
        let flow = &self.flows[side];
        if segment.flags & RST != 0 {
            return false;
        }
        if segment.flags & SYN != 0 {
            let start = flow.position(segment.seq.wrapping_add(1));
            return match flow.initial {
                Some(initial) => initial != segment.seq,
                // The opening may be captured after what follows it.
                None if !flow.is_anchored => false,
                None if !self.is_settled => !flow.is_plausible(start),
                None => start != self.starts[side],
            };
        }
        if segment.payload.is_empty() || !flow.is_anchored {
            return false;
        }
        let at = flow.position(segment.seq);
        if self.flows.iter().all(|flow| flow.is_ended) {
            return at > flow.at;
        }
        !flow.is_plausible(at) && time_ns.saturating_sub(self.last_ns) > SILENCE_NS
    }

    /// Take a segment that side `side` sent.
    pub(super) fn segment(
        &mut self,
        side: usize,
        segment: &Segment<'_>,
        time_ns: i64,
        cx: &mut Cx<'_>,
    ) {
        self.packets = self.packets.wrapping_add(1);
        self.last_ns = time_ns;
        self.flows[side].is_seen = true;
        let mut seq = segment.seq;
        if segment.flags & SYN != 0 {
            seq = seq.wrapping_add(1);
            self.open(side, segment, seq);
        }
        let has_ack = segment.flags & (ACK | RST) == ACK;
        let ack = match has_ack {
            true => self.flows[1 - side].acknowledge(segment.ack),
            false => 0,
        };
        let has_data = !segment.payload.is_empty() || segment.missing > 0;
        // What a RST carries is for people (RFC 9293, section 3.5.3).
        if has_data && segment.flags & RST == 0 {
            if !self.flows[side].is_anchored {
                self.flows[side].anchor(seq);
            }
            let at = self.flows[side].position(seq);
            let arrival = Arrival {
                at,
                bytes: segment.payload,
                missing: segment.missing,
                time_ns,
                ack,
                is_start: true,
            };
            self.data(side, arrival, cx);
        }
        if segment.flags & (FIN | RST) != 0 {
            self.end(side, segment, seq);
        }
        self.go_on(time_ns, cx);
    }

    /// A SYN came.
    fn open(&mut self, side: usize, segment: &Segment<'_>, seq: u32) {
        let flow = &mut self.flows[side];
        if flow.initial.is_none() && !self.is_settled {
            flow.initial = Some(segment.seq);
            if flow.is_anchored {
                let start = flow.position(seq);
                flow.advance(start);
            } else {
                flow.anchor(seq);
            }
        }
        // With ACK it is the server's.
        let client = if segment.flags & ACK == 0 {
            side
        } else {
            1 - side
        };
        self.talk.set_client(client);
        let other = &mut self.flows[1 - side];
        if segment.flags & ACK != 0 && other.initial.is_none() && !self.is_settled {
            other.initial = Some(segment.ack.wrapping_sub(1));
            if other.is_anchored {
                let start = other.position(segment.ack);
                other.advance(start);
            } else {
                other.anchor(segment.ack);
            }
        }
    }

    fn end(&mut self, side: usize, segment: &Segment<'_>, seq: u32) {
        let is_reset = segment.flags & RST != 0;
        let flow = &mut self.flows[side];
        let len = (segment.payload.len() as u64).saturating_add(u64::from(segment.missing));
        if !flow.is_anchored {
            return;
        }
        let at = flow.position(seq) + if is_reset { 0 } else { len };
        if flow.end.is_none() && flow.is_plausible(at) {
            flow.end = Some(End { at, is_reset });
        }
    }

    /// Pass data on, or let it wait.
    fn data(&mut self, side: usize, arrival: Arrival<'_>, cx: &mut Cx<'_>) {
        let flow = &self.flows[side];
        let totals = &mut cx.shared.totals;
        if arrival.missing > 0 {
            totals.cut_segments += 1;
        }
        let is_behind_end = match flow.end {
            Some(end) if flow.is_ended => arrival.end() > end.at,
            Some(end) => arrival.at >= end.at,
            None => false,
        };
        if !flow.is_plausible(arrival.at) || is_behind_end {
            totals.out_of_window += 1;
            return;
        }
        if !self.is_settled {
            if !self.flows[side].wait(arrival, cx.shared) {
                self.settle();
                self.let_go(cx);
                self.force(side, arrival, cx);
            }
            return;
        }
        if arrival.at + 1 == flow.at && arrival.bytes.len() <= 1 {
            totals.probes += 1;
            return;
        }
        let Some(arrival) = flow.trim(arrival, cx.shared) else {
            return;
        };
        if flow.is_next(&arrival) && arrival.ack <= self.flows[1 - side].at {
            self.pass(side, &arrival, cx);
            return;
        }
        if arrival.at > flow.at {
            cx.shared.totals.out_of_order += 1;
        }
        if !self.flows[side].wait(arrival, cx.shared) {
            // No room: what is missing in front of it is not waited for.
            self.let_go(cx);
            self.force(side, arrival, cx);
        }
    }

    /// Pass data on whatever is missing before it; nothing waits.
    fn force(&mut self, side: usize, arrival: Arrival<'_>, cx: &mut Cx<'_>) {
        if let Some(arrival) = self.flows[side].trim(arrival, cx.shared) {
            self.lose(side, arrival.at, cx);
            self.pass(side, &arrival, cx);
        }
    }

    /// Bytes that are in order.
    #[inline]
    fn pass(&mut self, side: usize, arrival: &Arrival<'_>, cx: &mut Cx<'_>) {
        let flow = &mut self.flows[side];
        cx.shared
            .history
            .keep(&mut flow.places, arrival.at, arrival.bytes);
        flow.advance(arrival.at + arrival.bytes.len() as u64);
        let piece = Piece {
            bytes: arrival.bytes,
            start: arrival.at,
            time_ns: arrival.time_ns,
            ack: arrival.ack,
            is_start: arrival.is_start,
        };
        self.talk.data(side, &piece, cx);
        if arrival.missing > 0 {
            self.lose(side, arrival.end(), cx);
        }
    }

    /// The bytes up to a position are lost.
    fn lose(&mut self, side: usize, to: u64, cx: &mut Cx<'_>) {
        let flow = &mut self.flows[side];
        let count = to.saturating_sub(flow.at);
        if count == 0 {
            return;
        }
        flow.advance(to);
        cx.shared.totals.lost_bytes += count;
        cx.shared.totals.gaps += 1;
        self.talk.lost(side, count, cx);
    }

    /// Whatever can be passed on, and what became of the rest.
    #[inline]
    fn go_on(&mut self, time_ns: i64, cx: &mut Cx<'_>) {
        let is_late =
            self.packets >= SETTLE_PACKETS || time_ns.saturating_sub(self.first_ns) >= SETTLE_NS;
        if !self.is_settled {
            let is_known = self.flows.iter().all(|flow| flow.initial.is_some());
            if !is_known && !is_late {
                return;
            }
            self.settle();
        }
        self.drain(cx);
        for side in [0, 1] {
            // A direction that is not captured at all is not waited for.
            while is_late && !self.flows[side].is_seen && self.flows[side].hole().is_some() {
                self.resolve(side, cx);
                self.drain(cx);
            }
            while self.flows[side].is_overdue(self.packets, time_ns) {
                self.resolve(side, cx);
                self.drain(cx);
            }
        }
    }

    /// The start of both directions is known, or is what was seen of them.
    fn settle(&mut self) {
        self.is_settled = true;
        let [one, other] = &mut self.flows;
        let is_whole = one.initial.is_some() && other.initial.is_some();
        one.settle();
        other.settle();
        self.starts = [one.at, other.at];
        self.talk.begin(is_whole.then_some(self.starts));
    }

    /// Pass on what waits and need not wait any longer.
    fn drain(&mut self, cx: &mut Cx<'_>) {
        loop {
            let mut is_done = true;
            for side in [0, 1] {
                while let Some(first) = self.flows[side].waiting()
                    && first.at <= self.flows[side].at
                    && first.ack <= self.flows[1 - side].at
                {
                    let Some(first) = self.flows[side].pop(cx.shared) else {
                        break;
                    };
                    let arrival = Arrival {
                        at: first.at,
                        bytes: &first.bytes,
                        missing: first.missing,
                        time_ns: first.time_ns,
                        ack: first.ack,
                        is_start: first.is_start,
                    };
                    if let Some(arrival) = self.flows[side].trim(arrival, cx.shared) {
                        self.pass(side, &arrival, cx);
                    }
                    is_done = false;
                }
                is_done &= !self.finish_flow(side, cx);
            }
            if is_done {
                return;
            }
        }
    }

    /// Whether this direction has come to its end just now.
    fn finish_flow(&mut self, side: usize, cx: &mut Cx<'_>) -> bool {
        let flow = &mut self.flows[side];
        let Some(end) = flow.end else {
            return false;
        };
        if flow.is_ended || flow.at < end.at {
            return false;
        }
        flow.is_ended = true;
        // A FIN takes a number of its own, which the other side acknowledges.
        let behind = end.at + u64::from(!end.is_reset);
        if !end.is_reset && flow.at == behind {
            // It was acknowledged, and taken for a byte that is lost, before it was captured.
            cx.shared.totals.lost_bytes = cx.shared.totals.lost_bytes.saturating_sub(1);
        }
        flow.advance(flow.at.max(behind));
        self.talk.close(side, end.is_reset, cx);
        true
    }

    /// Stop waiting for what this direction misses, or for the other one.
    fn resolve(&mut self, side: usize, cx: &mut Cx<'_>) {
        if let Some(to) = self.flows[side].hole() {
            self.lose(side, to, cx);
        } else if let Some(to) = self.flows[1 - side].hole() {
            self.lose(1 - side, to, cx);
        } else {
            self.flows[side].unblock();
        }
    }

    /// Pass on everything that waits.
    fn let_go(&mut self, cx: &mut Cx<'_>) {
        self.drain(cx);
        while let Some(side) = [0, 1]
            .into_iter()
            .find(|&side| self.flows[side].is_stalled())
        {
            self.resolve(side, cx);
            self.drain(cx);
        }
    }

    /// Nothing more comes: deliver what there is. Whether the connection was still open.
    pub(super) fn finish(&mut self, cx: &mut Cx<'_>) -> bool {
        if !self.is_settled {
            self.settle();
        }
        self.let_go(cx);
        self.talk.finish(cx);
        !self.flows.iter().any(|flow| flow.is_ended)
    }
}
