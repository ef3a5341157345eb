//! Both directions of a connection to HTTP/1.1 messages.
//!
//! A message that lies whole in one segment is handed on as it lies there. Only what spans
//! segments is collected. Source of the framing: RFC 9112, section 6.

mod ending;
mod secure;

use super::link::Endpoint;
use super::pairing::{Pair, Queue};
use super::shared::Cx;
use super::start::{self, Facts, Framing};
use crate::http1::chunk::{Chunks, Step};
use crate::http1::head_end;
use secure::Secure;

use super::limits::HEAD_BYTES;

/// Bytes of one direction, in order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'p> {
    pub(super) bytes: &'p [u8],
    /// Position of the first one in its stream.
    pub(super) start: u64,
    pub(super) time_ns: i64,
    /// Up to where the sender had received the other direction; 0 when that is not known.
    pub(super) ack: u64,
    /// Whether it begins where a packet began.
    pub(super) is_start: bool,
}

/// What a connection carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing was recognised yet.
    Unknown,
    Http,
    /// Something else, or what was HTTP.
    Opaque,
    Encrypted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Between messages.
    Start,
    /// Within a head; how far it was searched for its end.
    Head {
        searched: usize,
    },
    Sized {
        left: u64,
    },
    Chunked,
    UntilClose,
    /// Somewhere: what comes is skipped up to a packet that begins with a start line.
    Lost,
}

/// One direction.
#[derive(Debug)]
struct Half {
    stage: Stage,
    /// Head and body of a message that spans segments.
    buffer: Vec<u8>,
    chunks: Option<Box<Chunks>>,
    message: Option<InFlight>,
    /// Where the reply began, when interim replies came before it.
    reply_start: Option<u64>,
}

/// A message that was begun.
#[derive(Debug)]
struct InFlight {
    facts: Option<(Facts, Pair)>,
    /// Position of its first byte.
    start: u64,
    /// What its first and its last segment acknowledge.
    first_ack: u64,
    last_ack: u64,
    first_ns: i64,
    last_ns: i64,
    /// Bytes of the stream that it took, framing included.
    taken: u64,
    body_bytes: u64,
    lost: u64,
    is_oversized: bool,
}

impl InFlight {
    fn new(piece: &Piece<'_>, offset: usize) -> Self {
        Self {
            facts: None,
            start: piece.start + offset as u64,
            first_ack: piece.ack,
            last_ack: piece.ack,
            first_ns: piece.time_ns,
            last_ns: piece.time_ns,
            taken: 0,
            body_bytes: 0,
            lost: 0,
            is_oversized: false,
        }
    }

    /// `bytes` of a later segment are part of it.
    fn goes_on(&mut self, piece: &Piece<'_>, bytes: usize) {
        // What is sent again may be captured before what it follows.
        self.last_ns = self.last_ns.max(piece.time_ns);
        self.last_ack = piece.ack;
        self.taken += bytes as u64;
    }
}

/// How a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Whole,
    Cut,
}

/// The HTTP of one connection.
#[derive(Debug)]
pub(super) struct Talk {
    id: u64,
    ends: [Endpoint; 2],
    client: Option<usize>,
    kind: Kind,
    halves: [Half; 2],
    queue: Queue,
    /// Of TLS that is decrypted; the rest is about its plaintext then.
    secure: Option<Box<Secure>>,
}

impl Half {
    fn new() -> Self {
        Self {
            stage: Stage::Lost,
            buffer: Vec::new(),
            chunks: None,
            message: None,
            reply_start: None,
        }
    }
}

impl Talk {
    pub(super) fn new(id: u64, ends: [Endpoint; 2]) -> Self {
        Self {
            id,
            ends,
            client: None,
            kind: Kind::Unknown,
            halves: [Half::new(), Half::new()],
            queue: Queue::new(),
            secure: None,
        }
    }

    /// Number of the connection.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The connection was opened by this side.
    pub(super) fn set_client(&mut self, side: usize) {
        self.client.get_or_insert(side);
    }

    /// Data will come: of a connection that is seen from its start at these positions, or from
    /// somewhere on.
    pub(super) fn begin(&mut self, starts: Option<[u64; 2]>) {
        if let Some(starts) = starts
            && let Some(client) = self.client
        {
            self.queue.begin_whole(starts[client], starts[1 - client]);
            for half in &mut self.halves {
                half.stage = Stage::Start;
            }
        }
    }

    /// The next bytes of a side.
    #[inline]
    pub(super) fn data(&mut self, side: usize, piece: &Piece<'_>, cx: &mut Cx<'_>) {
        cx.shared.totals.stream_bytes += piece.bytes.len() as u64;
        if self.kind == Kind::Unknown
            && self.secure.is_none()
            && piece.is_start
            && self.halves[side].message.is_none()
            && start::looks_like_tls(piece.bytes)
        {
            self.begin_tls(side, piece.bytes, cx.shared);
        }
        match self.secure.is_some() {
            true => self.ciphertext(side, piece, cx),
            false => self.plain(side, piece, cx),
        }
    }

    /// The next bytes of a side that need not be decrypted, or were.
    #[inline]
    fn plain(&mut self, side: usize, piece: &Piece<'_>, cx: &mut Cx<'_>) {
        let len = piece.bytes.len();
        if self.kind == Kind::Unknown {
            self.recognise(side, piece, &mut cx.shared.totals);
        }
        let mut at = 0;
        while at < len {
            match self.kind {
                Kind::Opaque => cx.shared.totals.opaque_bytes += (len - at) as u64,
                Kind::Encrypted => cx.shared.totals.encrypted_bytes += (len - at) as u64,
                Kind::Unknown | Kind::Http => {
                    at += self.step(side, piece, at, cx);
                    continue;
                }
            }
            return;
        }
    }

    /// Look at the first bytes: who is the client, and whether this can be HTTP at all.
    fn recognise(&mut self, side: usize, piece: &Piece<'_>, totals: &mut super::Totals) {
        if !piece.is_start || self.halves[side].message.is_some() {
            return;
        }
        if piece.bytes.starts_with(b"PRI * HTTP/2.0\r\n") {
            self.kind = Kind::Opaque;
            totals.http2 += 1;
        } else if self.client.is_none() {
            if start::can_begin_response(piece.bytes) {
                self.client = Some(1 - side);
            } else if start::can_begin_request(piece.bytes) {
                self.client = Some(side);
            }
        }
    }

    /// Take something from `piece`, from `at` on; how much.
    #[inline]
    fn step(&mut self, side: usize, piece: &Piece<'_>, at: usize, cx: &mut Cx<'_>) -> usize {
        let rest = &piece.bytes[at..];
        let Some(client) = self.client else {
            cx.shared.totals.skipped_bytes += rest.len() as u64;
            return rest.len();
        };
        let half = &mut self.halves[side];
        match half.stage {
            Stage::Start => self.start(side, piece, at, cx),
            Stage::Head { searched } => self.more_head(side, piece, at, searched, cx),
            Stage::Sized { left } => {
                if self.is_reply_to_head(side, piece, at) {
                    self.complete(side, Ending::Whole, piece.start + at as u64, cx);
                    return 0;
                }
                let take = left.min(rest.len() as u64);
                self.body(side, &rest[..take as usize], piece, cx);
                self.halves[side].stage = Stage::Sized { left: left - take };
                if take == left {
                    let end = piece.start + at as u64 + take;
                    self.complete(side, Ending::Whole, end, cx);
                }
                take as usize
            }
            Stage::Chunked => self.chunked(side, piece, at, cx),
            Stage::UntilClose => {
                self.body(side, rest, piece, cx);
                rest.len()
            }
            Stage::Lost => {
                let is_plausible = at == 0
                    && piece.is_start
                    && match client == side {
                        true => start::can_begin_request(rest),
                        false => start::can_begin_response(rest),
                    };
                if is_plausible {
                    half.stage = Stage::Start;
                    return 0;
                }
                cx.shared.totals.skipped_bytes += rest.len() as u64;
                rest.len()
            }
        }
    }

    /// Whether a reply whose request is not known, and whose body should begin here, is followed
    /// by another reply instead: then it was one to HEAD.
    fn is_reply_to_head(&self, side: usize, piece: &Piece<'_>, at: usize) -> bool {
        at == 0
            && piece.is_start
            && self.client != Some(side)
            && self.halves[side].message.as_ref().is_some_and(|message| {
                let is_unpaired = matches!(&message.facts, Some((_, pair)) if pair.line.is_none());
                is_unpaired && message.body_bytes == 0 && message.lost == 0
            })
            && start::can_begin_response(piece.bytes)
    }

    /// A message begins.
    #[inline]
    fn start(&mut self, side: usize, piece: &Piece<'_>, at: usize, cx: &mut Cx<'_>) -> usize {
        let rest = &piece.bytes[at..];
        let is_request = self.client == Some(side);
        if is_request && matches!(rest[0], b'\r' | b'\n') {
            // Empty lines before a request line are ignored (RFC 9112, section 2.2).
            cx.shared.totals.message_bytes += 1;
            return 1;
        }
        match start::parse(rest, is_request, &mut cx.shared.heads) {
            Ok(Some(facts)) if facts.len <= HEAD_BYTES => {
                self.halves[side].message = Some(InFlight::new(piece, at));
                self.kind = Kind::Http;
                let head = &rest[..facts.len];
                let head_end = piece.start + (at + facts.len) as u64;
                let Some((framing, facts)) = self.head_done(side, head, head_end, facts, cx) else {
                    return head.len();
                };
                let body = &rest[head.len()..];
                if let Framing::Sized(left) = framing
                    && left <= body.len() as u64
                    && left <= cx.shared.options.body_bytes_max
                {
                    let body = &body[..left as usize];
                    let end = head_end + left;
                    if let Some(message) = &mut self.halves[side].message {
                        message.taken = (head.len() + body.len()) as u64;
                        message.body_bytes = left;
                    }
                    self.deliver(side, (head, body), Ending::Whole, end, cx);
                    return head.len() + body.len();
                }
                let half = &mut self.halves[side];
                if let Some(message) = &mut half.message {
                    message.taken = head.len() as u64;
                }
                if !cx.shared.extend(&mut half.buffer, head) {
                    self.break_off(side, cx);
                    return head.len();
                }
                self.frame(side, framing, &facts, cx);
                head.len()
            }
            Ok(None) if rest.len() <= HEAD_BYTES => {
                let half = &mut self.halves[side];
                let mut message = InFlight::new(piece, at);
                message.taken = rest.len() as u64;
                half.message = Some(message);
                half.stage = Stage::Head {
                    searched: rest.len(),
                };
                if !cx.shared.extend(&mut half.buffer, rest) {
                    self.break_off(side, cx);
                }
                rest.len()
            }
            Ok(_) | Err(_) => {
                self.refuse(side, cx);
                if self.kind == Kind::Opaque {
                    return 0;
                }
                // It may look like a start line: it must not be looked at again.
                cx.shared.totals.skipped_bytes += rest.len() as u64;
                rest.len()
            }
        }
    }

    /// More of a head that did not end in its first segment.
    fn more_head(
        &mut self,
        side: usize,
        piece: &Piece<'_>,
        at: usize,
        searched: usize,
        cx: &mut Cx<'_>,
    ) -> usize {
        let half = &mut self.halves[side];
        let before = half.buffer.len();
        let room = HEAD_BYTES.saturating_sub(before) + 1;
        let rest = &piece.bytes[at..];
        let rest = &rest[..rest.len().min(room)];
        let has_room = cx.shared.extend(&mut half.buffer, rest);
        let Some(message) = half.message.as_mut().filter(|_| has_room) else {
            self.break_off(side, cx);
            return 0;
        };
        message.goes_on(piece, rest.len());
        // Only what is new, and three bytes before it.
        let from = searched.saturating_sub(3);
        let Some(end) = head_end(&half.buffer[from..]).map(|end| from + end) else {
            half.stage = Stage::Head {
                searched: half.buffer.len(),
            };
            if half.buffer.len() > HEAD_BYTES {
                self.refuse(side, cx);
            }
            return rest.len();
        };
        if end > HEAD_BYTES {
            self.refuse(side, cx);
            return rest.len();
        }
        let consumed = end.saturating_sub(before);
        message.taken -= (rest.len() - consumed) as u64;
        half.buffer.truncate(end);
        let is_request = self.client == Some(side);
        let facts = start::parse(&half.buffer, is_request, &mut cx.shared.heads);
        let Ok(Some(facts)) = facts else {
            self.refuse(side, cx);
            return consumed;
        };
        self.kind = Kind::Http;
        let head = std::mem::take(&mut self.halves[side].buffer);
        let head_end = piece.start + (at + consumed) as u64;
        let begun = self.head_done(side, &head, head_end, facts, cx);
        self.halves[side].buffer = head;
        match begun {
            Some((Framing::Sized(0), _)) => self.complete(side, Ending::Whole, head_end, cx),
            Some((framing, facts)) => self.frame(side, framing, &facts, cx),
            None => cx.shared.give_back(&mut self.halves[side].buffer),
        }
        consumed
    }

    /// A head is complete: pair it. How its body is framed; `None` for an interim reply, which is
    /// counted and done with.
    #[inline]
    fn head_done(
        &mut self,
        side: usize,
        head: &[u8],
        head_end: u64,
        facts: Facts,
        cx: &mut Cx<'_>,
    ) -> Option<(Framing, Facts)> {
        let half = &mut self.halves[side];
        let message = half.message.as_mut()?;
        let shared = &mut *cx.shared;
        if facts.is_interim() {
            shared.totals.interim += 1;
            shared.totals.message_bytes += head.len() as u64;
            half.reply_start.get_or_insert(message.start);
            half.message = None;
            half.stage = Stage::Start;
            return None;
        }
        let pair = if facts.status == 0 {
            let exchange = shared.exchange();
            let line = (&head[facts.method.clone()], &head[facts.target.clone()]);
            let head = message.start..head_end;
            self.queue
                .ask(exchange, line, message.first_ack, head, shared);
            Pair {
                exchange,
                line: None,
                to_head: None,
            }
        } else {
            let start = half.reply_start.take().unwrap_or(message.start);
            self.queue.answer(start, message.first_ack, shared)
        };
        let is_tunnel = (200..300).contains(&facts.status)
            && pair
                .line
                .as_ref()
                .is_some_and(|line| line.method() == b"CONNECT");
        let framing = match is_tunnel {
            true => Framing::Sized(0),
            false => facts.framing(pair.to_head),
        };
        message.facts = Some((facts.clone(), pair));
        Some((framing, facts))
    }

    /// A message whose head is in the buffer goes on.
    fn frame(&mut self, side: usize, framing: Framing, facts: &Facts, cx: &mut Cx<'_>) {
        let half = &mut self.halves[side];
        let most = cx.shared.options.body_bytes_max;
        half.stage = match framing {
            Framing::Sized(left) => {
                if left > most
                    && let Some(message) = &mut half.message
                {
                    message.is_oversized = true;
                }
                Stage::Sized { left }
            }
            Framing::Chunked => {
                half.chunks.get_or_insert_default().reset();
                Stage::Chunked
            }
            Framing::UntilClose => Stage::UntilClose,
            Framing::Unknown => {
                self.break_off(side, cx);
                return;
            }
        };
        debug_assert!(facts.len <= half.buffer.len());
    }

    /// Bytes of a body that is collected.
    fn body(&mut self, side: usize, bytes: &[u8], piece: &Piece<'_>, cx: &mut Cx<'_>) {
        let half = &mut self.halves[side];
        let Some(message) = &mut half.message else {
            return;
        };
        message.goes_on(piece, bytes.len());
        message.body_bytes += bytes.len() as u64;
        let is_too_much = message.body_bytes > cx.shared.options.body_bytes_max;
        if !message.is_oversized && (is_too_much || !cx.shared.extend_body(&mut half.buffer, bytes))
        {
            message.is_oversized = true;
            // What is kept of it is of no use; the head is.
            let head_len = message.facts.as_ref().map_or(0, |(facts, _)| facts.len);
            let mut head = Vec::new();
            half.buffer.truncate(head_len);
            let old = std::mem::take(&mut half.buffer);
            cx.shared.release(old.capacity());
            if cx.shared.extend(&mut head, &old) {
                half.buffer = head;
            } else {
                half.buffer = old;
                cx.shared.keep_anyway(half.buffer.capacity());
            }
        }
    }

    /// One step through a chunked body.
    fn chunked(&mut self, side: usize, piece: &Piece<'_>, at: usize, cx: &mut Cx<'_>) -> usize {
        let rest = &piece.bytes[at..];
        let half = &mut self.halves[side];
        let chunks = half.chunks.get_or_insert_default();
        let framing = match chunks.step(rest, HEAD_BYTES) {
            Ok(Step::Data(taken)) => {
                self.body(side, &rest[..taken], piece, cx);
                return taken;
            }
            Err(_) => {
                cx.shared.totals.malformed_messages += 1;
                self.break_off(side, cx);
                return 0;
            }
            Ok(framing) => framing,
        };
        let (Step::Framing(taken) | Step::End(taken) | Step::Data(taken)) = framing;
        if let Some(message) = &mut half.message {
            message.goes_on(piece, taken);
        }
        if matches!(framing, Step::End(_)) {
            let end = piece.start + (at + taken) as u64;
            self.complete(side, Ending::Whole, end, cx);
        }
        taken
    }
}
