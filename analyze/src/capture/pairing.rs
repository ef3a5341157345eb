//! Which reply belongs to which request.
//!
//! On a connection that is wholly seen replies come in the order of the requests, and every reply
//! acknowledges the head of its request. Once bytes are missing, counting does not help: unknown
//! requests or replies may be among them. Then the acknowledgement of the *request* tells: a client
//! that waits for its replies before it asks again acknowledges everything before the reply that it
//! will get, so the reply to a request begins exactly where the request says that the client is.
//! From there on counting is right again.
//!
//! A client that asks again while it waits for some of its replies gives no such sign. It is known
//! by having done so, or by replies that are too few for the requests; what follows a gap on its
//! connection stays unpaired. Only where nothing can be known, on a connection that is captured
//! from its middle on, a client is taken to wait for its replies until it is seen not to.

use std::collections::VecDeque;
use std::ops::Range;

use super::limits::{LINE_BYTES, OUTSTANDING};
use super::shared::Shared;

/// How often a client must have been seen to wait for all of its replies before it is taken to do
/// so.
const TURNS: u32 = 2;

/// Weak signs in a row that are as good as a strong one.
const SIGNS: u32 = 8;

/// The request of a reply.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// The method, then the target.
    text: Vec<u8>,
    method_len: usize,
}

impl Line {
    pub(super) fn method(&self) -> &[u8] {
        &self.text[..self.method_len]
    }

    pub(super) fn target(&self) -> &[u8] {
        &self.text[self.method_len..]
    }
}

/// A request that waits for its reply.
#[derive(Debug)]
struct Waiting {
    exchange: u64,
    line: Line,
    /// Up to where its client had received when it began to ask.
    asked_at: u64,
    /// Where its head ends.
    head_end: u64,
    /// Where it ends; 0 when that was not seen.
    end: u64,
    before: Before,
    /// Whether nothing is known of what stands before it.
    is_behind_gap: bool,
    /// Whether the request before it was asked before any byte came in between.
    is_same_burst: bool,
}

/// What the last reply before a request tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// The server had received all that was sent before the request: the client waited.
    Turn,
    /// The server had not: there are requests in front of this one without a reply.
    Amid,
    /// It was not seen.
    Unknown,
}

/// What a reply is to us.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) exchange: u64,
    /// Its request's line, when that is known.
    pub(super) line: Option<Line>,
    /// Whether the reply is to HEAD, as far as that is known.
    pub(super) to_head: Option<bool>,
}

/// The requests of a connection that wait for replies.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    /// Whether counting is right.
    is_sure: bool,
    /// Bytes of requests are missing behind the last one.
    has_gap: bool,
    last_asked_at: Option<u64>,
    /// Where the last reply ended, and what it acknowledged.
    replied_to: u64,
    replied_ack: u64,
    /// The client asks again before it has the reply.
    is_pipelined: bool,
    /// It does so when it has received some of its replies.
    is_windowed: bool,
    /// How often it was seen to ask when it had all replies; in bursts, once it was pipelined.
    turns: u32,
    /// Replies that acknowledged their request and nothing behind it.
    lone: u32,
    /// Unpaired replies since counting was right.
    unpaired: usize,
    /// Replies may be among what was lost since then.
    has_lost_replies: bool,
    /// What was before is not known.
    is_from_middle: bool,
    /// Signs since then that were too weak.
    signs: u32,
    spare: Vec<Line>,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            is_sure: false,
            has_gap: true,
            last_asked_at: None,
            replied_to: 0,
            replied_ack: 0,
            is_pipelined: false,
            is_windowed: false,
            turns: 0,
            lone: 0,
            unpaired: 0,
            has_lost_replies: false,
            is_from_middle: true,
            signs: 0,
            spare: Vec::new(),
        }
    }

    /// The connection is seen from its start: where the requests and the replies begin.
    pub(super) fn begin_whole(&mut self, requests: u64, replies: u64) {
        (self.replied_to, self.replied_ack) = (replies, requests);
        self.is_sure = true;
        self.has_gap = false;
        self.is_from_middle = false;
    }

    /// Bytes of the requests are missing that may have held whole requests.
    pub(super) fn lose_requests(&mut self) {
        self.has_gap = true;
        self.last_asked_at = None;
    }

    /// Bytes of the replies are missing that may have held whole replies.
    pub(super) fn lose_replies(&mut self) {
        self.is_sure = false;
        self.has_lost_replies = true;
    }

    /// The head of a request has come, of these positions in the stream.
    pub(super) fn ask(
        &mut self,
        exchange: u64,
        (method, target): (&[u8], &[u8]),
        asked_at: u64,
        head: Range<u64>,
        shared: &mut Shared,
    ) {
        let is_same_burst = self.learn(asked_at);
        let before = match self.replied_to == asked_at {
            true if self.replied_ack == head.start => Before::Turn,
            true => Before::Amid,
            false => Before::Unknown,
        };
        let mut line = self.spare.pop().unwrap_or_default();
        line.text.clear();
        line.method_len = method.len();
        line.text.extend_from_slice(method);
        if target.len() <= LINE_BYTES {
            line.text.extend_from_slice(target);
        }
        if self.waiting.len() >= OUTSTANDING || !shared.hold(line.text.len()) {
            self.keep_spare(line);
            self.lose_requests();
            shared.totals.unanswered += 1;
            return;
        }
        self.waiting.push_back(Waiting {
            exchange,
            line,
            asked_at,
            head_end: head.end,
            end: 0,
            before,
            is_behind_gap: std::mem::take(&mut self.has_gap),
            is_same_burst,
        });
    }

    /// A request is complete.
    pub(super) fn asked(&mut self, exchange: u64, end: u64) {
        if let Some(last) = self.waiting.back_mut()
            && last.exchange == exchange
        {
            last.end = end;
        }
    }

    /// A request is asked here: how does this client go about it? Whether the request before it
    /// was asked before any byte came in between.
    fn learn(&mut self, asked_at: u64) -> bool {
        let previous = self.last_asked_at.replace(asked_at);
        if previous == Some(asked_at) {
            if !self.is_pipelined {
                self.turns = 0;
            }
            self.is_pipelined = true;
            return true;
        }
        let is_known = self.is_sure && !self.has_gap && previous.is_some();
        if self.replied_to > asked_at || (is_known && !self.waiting.is_empty()) {
            self.is_pipelined = true;
            self.is_windowed = true;
        } else if is_known {
            self.turns = self.turns.saturating_add(1);
        }
        false
    }

    /// A reply begins at `start`, and acknowledges the requests up to `acked` (0 when that is not
    /// known).
    pub(super) fn answer(&mut self, start: u64, acked: u64, shared: &mut Shared) -> Pair {
        let can_answer = |waiting: &Waiting| acked == 0 || waiting.head_end <= acked;
        let front = self.waiting.front();
        // Counting ends where requests are missing.
        if front.map_or(self.has_gap, |front| front.is_behind_gap) {
            self.is_sure = false;
        }
        if self.is_sure {
            match front {
                Some(front) if can_answer(front) => {
                    match front.end {
                        0 => {}
                        end if acked == end => self.lone = self.lone.saturating_add(1),
                        end => self.is_pipelined |= acked > end,
                    }
                    return self.take(0, shared);
                }
                // A reply to nothing that was asked so far, such as 408.
                None => return self.unpaired(acked, shared),
                Some(_) => self.is_sure = false,
            }
        }
        let is_sign = |waiting: &Waiting| waiting.asked_at == start && !waiting.is_same_burst;
        if let Some(index) = self.waiting.iter().position(is_sign) {
            if !can_answer(&self.waiting[index]) {
                // It was asked while this reply, to another request, was still to come.
                self.is_pipelined = true;
            } else if self.is_enough(index) {
                return self.take(index, shared);
            }
        }
        self.unpaired += 1;
        self.unpaired(acked, shared)
    }

    /// Whether it is enough that a reply begins where the client of request `index` was.
    fn is_enough(&mut self, index: usize) -> bool {
        let Waiting {
            before,
            is_behind_gap,
            ..
        } = self.waiting[index];
        let is_unclear = is_behind_gap && before != Before::Turn;
        if self.is_windowed
            || before == Before::Amid
            || (self.is_pipelined && (self.turns < TURNS || is_unclear))
        {
            return false;
        }
        // Everything that was asked before must have its reply: each gap held a request at least.
        let before = self.waiting.range(..=index);
        let gaps = before.filter(|waiting| waiting.is_behind_gap).count();
        let is_complete = self.has_lost_replies || index + gaps <= self.unpaired;
        if self.turns >= TURNS || self.is_from_middle || (self.lone > 0 && is_complete) {
            return true;
        }
        self.signs += 1;
        self.signs >= SIGNS
    }

    /// The reply to request `index`; from here on counting is right.
    fn take(&mut self, index: usize, shared: &mut Shared) -> Pair {
        self.is_sure = true;
        (self.unpaired, self.signs, self.has_lost_replies) = (0, 0, false);
        for _ in 0..index {
            if let Some(dropped) = self.waiting.pop_front() {
                shared.totals.unanswered += 1;
                self.recycle(dropped.line, shared);
            }
        }
        let Some(found) = self.waiting.pop_front() else {
            return self.unpaired(0, shared);
        };
        Pair {
            exchange: found.exchange,
            to_head: Some(found.line.method() == b"HEAD"),
            line: Some(found.line),
        }
    }

    fn unpaired(&mut self, acked: u64, shared: &mut Shared) -> Pair {
        let mut candidates = self
            .waiting
            .iter()
            .filter(|waiting| acked == 0 || waiting.head_end <= acked)
            .map(|waiting| waiting.line.method() == b"HEAD");
        let to_head = match candidates.next() {
            None => Some(false),
            Some(first) if candidates.all(|other| other == first) => Some(first),
            Some(_) => None,
        };
        Pair {
            exchange: shared.exchange(),
            line: None,
            to_head,
        }
    }

    /// A reply ended here, and its last segment acknowledged the requests up to `acked`.
    pub(super) fn replied(&mut self, end: u64, acked: u64) {
        if end >= self.replied_to {
            (self.replied_to, self.replied_ack) = (end, acked);
        }
    }

    /// The line of a reply that was delivered.
    pub(super) fn recycle(&mut self, line: Line, shared: &mut Shared) {
        shared.release(line.text.len());
        self.keep_spare(line);
    }

    fn keep_spare(&mut self, line: Line) {
        if self.spare.is_empty() && line.text.capacity() <= 256 {
            self.spare.push(line);
        }
    }

    /// No more replies come: how many requests have none.
    pub(super) fn finish(&mut self, shared: &mut Shared) {
        for waiting in std::mem::take(&mut self.waiting) {
            shared.totals.unanswered += 1;
            shared.release(waiting.line.text.len());
        }
    }
}
