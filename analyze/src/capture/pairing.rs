//! Which reply belongs to which request.
//!
//! On a connection that is wholly seen replies come in the order of the requests, and every reply
//! acknowledges the head of its request. Once bytes are missing, counting does not help: unknown
//! requests or replies may be among them. Then the acknowledgement of the *request* tells: a client
//! that waits for its replies before it asks again acknowledges everything before the reply that it
//! will get, so the reply to a request begins exactly where the request says that the client is.
//! From there on counting is right again. A client that was seen to ask while it waits for some of
//! its replies gives no such sign; its replies stay unpaired after a gap.

use std::collections::VecDeque;

use super::limits::{LINE_BYTES, OUTSTANDING};
use super::shared::Shared;

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
    /// Whether nothing is known of what stands before it.
    is_behind_gap: bool,
    /// Whether the request before it was asked before any byte came in between.
    is_same_burst: bool,
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
    /// Where the last reply ended.
    replied_to: u64,
    /// The client asks again before it has the reply.
    is_pipelined: bool,
    /// It does so when it has received some of its replies.
    is_windowed: bool,
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
            is_pipelined: false,
            is_windowed: false,
            spare: Vec::new(),
        }
    }

    /// The connection is seen from its start.
    pub(super) fn begin_whole(&mut self) {
        self.is_sure = true;
        self.has_gap = false;
    }

    /// Bytes of the requests are missing that may have held whole requests.
    pub(super) fn lose_requests(&mut self) {
        self.has_gap = true;
        self.last_asked_at = None;
    }

    /// Bytes of the replies are missing that may have held whole replies.
    pub(super) fn lose_replies(&mut self) {
        self.is_sure = false;
    }

    /// The head of a request has come.
    pub(super) fn ask(
        &mut self,
        exchange: u64,
        (method, target): (&[u8], &[u8]),
        asked_at: u64,
        head_end: u64,
        shared: &mut Shared,
    ) {
        let previous = self.last_asked_at.replace(asked_at);
        let is_same_burst = previous == Some(asked_at);
        self.is_pipelined |= is_same_burst;
        if previous.is_some_and(|previous| previous < asked_at) {
            let is_waiting = self.is_sure && !self.has_gap && !self.waiting.is_empty();
            let is_ahead = is_waiting || self.replied_to > asked_at;
            self.is_pipelined |= is_ahead;
            self.is_windowed |= is_ahead;
        }
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
            head_end,
            is_behind_gap: std::mem::take(&mut self.has_gap),
            is_same_burst,
        });
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
                Some(front) if can_answer(front) => return self.take(0, shared),
                // A reply to nothing that was asked so far, such as 408.
                None => return self.unpaired(acked, shared),
                Some(_) => self.is_sure = false,
            }
        }
        let is_sign = |waiting: &Waiting| {
            let begins_burst = match waiting.is_behind_gap {
                true => !self.is_pipelined,
                false => !waiting.is_same_burst,
            };
            waiting.asked_at == start && begins_burst && can_answer(waiting)
        };
        if !self.is_windowed
            && let Some(index) = self.waiting.iter().position(is_sign)
        {
            return self.take(index, shared);
        }
        self.unpaired(acked, shared)
    }

    /// The reply to request `index`; from here on counting is right.
    fn take(&mut self, index: usize, shared: &mut Shared) -> Pair {
        self.is_sure = true;
        for _ in 0..index {
            if let Some(dropped) = self.waiting.pop_front() {
                shared.totals.unanswered += 1;
                self.recycle(dropped.line, shared);
            }
        }
        let Some(found) = self.waiting.pop_front() else {
            return self.unpaired(0, shared);
        };
        if found.is_behind_gap {
            // The gap is behind us.
            self.last_asked_at.get_or_insert(found.asked_at);
        }
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

    /// A reply ended here.
    pub(super) fn replied(&mut self, end: u64) {
        self.replied_to = self.replied_to.max(end);
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
