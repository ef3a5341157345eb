//! How messages end: delivered whole or cut, refused, lost.

use super::{Ending, InFlight, Kind, Stage, Talk};
use crate::capture::message::{Direction, Message};
use crate::capture::shared::{Cx, Shared};

impl Talk {
    /// The message in the buffer is complete, or as complete as it will be.
    pub(super) fn complete(&mut self, side: usize, ending: Ending, end: u64, cx: &mut Cx<'_>) {
        let half = &mut self.halves[side];
        let head_len = match &half.message {
            Some(InFlight {
                facts: Some((facts, _)),
                ..
            }) => facts.len,
            _ => return,
        };
        let buffer = std::mem::take(&mut half.buffer);
        let is_oversized = half
            .message
            .as_ref()
            .is_some_and(|message| message.is_oversized);
        let (head, body) = buffer.split_at(head_len.min(buffer.len()));
        let body = if is_oversized { &[][..] } else { body };
        self.deliver(side, (head, body), ending, end, cx);
        self.halves[side].buffer = buffer;
        cx.shared.give_back(&mut self.halves[side].buffer);
    }

    /// Hand a message on, and get ready for the next one.
    #[inline]
    pub(super) fn deliver(
        &mut self,
        side: usize,
        (head, body): (&[u8], &[u8]),
        ending: Ending,
        end: u64,
        cx: &mut Cx<'_>,
    ) {
        let half = &mut self.halves[side];
        half.stage = Stage::Start;
        let Some(message) = half.message.take() else {
            return;
        };
        let Some((facts, pair)) = message.facts else {
            return;
        };
        let is_request = facts.status == 0;
        let (method, target) = match &pair.line {
            _ if is_request => (&head[facts.method.clone()], &head[facts.target.clone()]),
            Some(line) => (line.method(), line.target()),
            None => (&[][..], &[][..]),
        };
        let is_tunnel = !is_request
            && (facts.status == 101
                || (method == b"CONNECT" && (200..300).contains(&facts.status)));
        let client = self.client.unwrap_or(side);
        let out = Message {
            connection: self.id,
            client: self.ends[client].socket(),
            server: self.ends[1 - client].socket(),
            direction: if is_request {
                Direction::Request
            } else {
                Direction::Response
            },
            exchange: pair.exchange,
            first_at_ns: message.first_ns,
            last_at_ns: message.last_ns,
            head,
            method,
            target,
            status: facts.status,
            body,
            body_bytes: message.body_bytes,
            codings: facts.codings,
            lost_bytes: message.lost,
            cut: ending == Ending::Cut,
            oversized: message.is_oversized,
            paired: is_request || pair.line.is_some(),
        };
        cx.shared.totals.delivered(&out, message.taken);
        cx.sink.message(&out);
        if is_request && ending == Ending::Whole {
            self.queue.asked(pair.exchange, end);
        } else if !is_request {
            self.queue.replied(end, message.last_ack);
        }
        if let Some(line) = pair.line {
            self.queue.recycle(line, cx.shared);
        }
        if is_tunnel && self.kind != Kind::Opaque {
            cx.shared.totals.upgraded += 1;
            self.make_opaque(cx.shared);
        }
    }

    /// Nothing that follows is HTTP.
    pub(super) fn make_opaque(&mut self, shared: &mut Shared) {
        self.kind = Kind::Opaque;
        self.queue.finish(shared);
        for half in &mut self.halves {
            if let Some(message) = half.message.take() {
                shared.totals.opaque_bytes += message.taken;
            }
            shared.give_back(&mut half.buffer);
            half.stage = Stage::Lost;
        }
    }

    /// HTTP was expected, and something else stands here.
    pub(super) fn refuse(&mut self, side: usize, cx: &mut Cx<'_>) {
        if self.kind == Kind::Unknown && self.halves[side].stage != Stage::Lost {
            // Never HTTP.
            cx.shared.totals.not_http += 1;
            self.make_opaque(cx.shared);
            return;
        }
        cx.shared.totals.malformed_messages += 1;
        self.break_off(side, cx);
    }

    /// Where the next message begins is not known: deliver what there is of this one.
    pub(super) fn break_off(&mut self, side: usize, cx: &mut Cx<'_>) {
        let half = &mut self.halves[side];
        match &half.message {
            Some(message) if message.facts.is_some() && !half.buffer.is_empty() => {
                self.complete(side, Ending::Cut, 0, cx);
            }
            Some(message) => {
                cx.shared.totals.heads_cut += 1;
                cx.shared.totals.skipped_bytes += message.taken;
                if let Some((_, pair)) = half.message.take().and_then(|message| message.facts)
                    && let Some(line) = pair.line
                {
                    self.queue.recycle(line, cx.shared);
                }
            }
            None => {}
        }
        let half = &mut self.halves[side];
        cx.shared.give_back(&mut half.buffer);
        half.stage = Stage::Lost;
        half.reply_start = None;
        match self.client == Some(side) {
            true => self.queue.lose_requests(),
            false => self.queue.lose_replies(),
        }
    }

    /// Bytes of a side are missing here.
    pub(in crate::capture) fn lost(&mut self, side: usize, count: u64, cx: &mut Cx<'_>) {
        if self.secure.is_some() {
            self.ciphertext_lost(side, count);
            return;
        }
        if matches!(self.kind, Kind::Opaque | Kind::Encrypted) {
            return;
        }
        let half = &mut self.halves[side];
        let survives = match half.stage {
            Stage::Sized { left } => {
                let within = left.min(count);
                if let Some(message) = &mut half.message {
                    message.lost += within;
                }
                half.stage = Stage::Sized {
                    left: left - within,
                };
                if within == left {
                    self.complete(side, Ending::Whole, 0, cx);
                }
                within == count
            }
            Stage::Chunked => half.chunks.get_or_insert_default().skip(count),
            Stage::UntilClose => true,
            Stage::Start | Stage::Head { .. } | Stage::Lost => false,
        };
        if !survives {
            self.break_off(side, cx);
            return;
        }
        let half = &mut self.halves[side];
        if matches!(half.stage, Stage::Chunked | Stage::UntilClose)
            && let Some(message) = &mut half.message
        {
            message.lost += count;
        }
    }

    /// A side has sent its last byte.
    pub(in crate::capture) fn close(&mut self, side: usize, is_reset: bool, cx: &mut Cx<'_>) {
        let half = &mut self.halves[side];
        if half.stage == Stage::UntilClose && !is_reset {
            self.complete(side, Ending::Whole, 0, cx);
        } else if half.message.is_some() {
            self.break_off(side, cx);
        }
    }

    /// Nothing more comes.
    pub(in crate::capture) fn finish(&mut self, cx: &mut Cx<'_>) {
        self.finish_tls(cx);
        let client = self.client.unwrap_or(0);
        for side in [client, 1 - client] {
            if self.halves[side].message.is_some() {
                self.break_off(side, cx);
            }
        }
        self.queue.finish(cx.shared);
    }
}
