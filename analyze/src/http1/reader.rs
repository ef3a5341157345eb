//! The reply reader: bytes as they arrive -> one complete reply.
//!
//! A reply that lies whole in one read is handed back as places in that read, so the common case
//! copies nothing. Only what spans reads is collected, in one buffer that is used again.

use std::ops::Range;

use memchr::memmem;
use thiserror::Error;

use super::chunk::{ChunkError, Chunks, Step};
use super::head::{Codings, Head, HeadCache, HeadError};
use super::limits::{INTERIM_REPLIES, ReplyLimits};

/// A reply that cannot be read to its end. Each variant is an error kind of its own in a report.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The head is no HTTP.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The head does not end within the limit.
    #[error("the head does not end within {0} bytes")]
    HeadTooLarge(usize),
    /// More interim replies than anybody sends.
    #[error("more than {INTERIM_REPLIES} interim (1xx) replies")]
    InterimReplies,
    /// `101 Switching Protocols`, which nobody asked for.
    #[error("the target switched protocols (101) unasked")]
    Upgrade,
    /// The chunked framing is broken.
    #[error("bad chunk after {after} bytes of body: {excerpt}")]
    Chunk {
        /// Bytes of body before it.
        after: u64,
        /// What stood there.
        excerpt: String,
    },
    /// The body is larger than the limit.
    #[error("the body exceeds {0} bytes; raise --max-body to accept it")]
    BodyTooLarge(u64),
    /// The connection was closed before the first byte of a reply.
    #[error("the connection was closed before any reply")]
    ClosedBeforeReply,
    /// The connection was closed within the head.
    #[error("the connection was closed after {0} bytes of the head")]
    ClosedInHead(usize),
    /// The connection was closed within the body.
    #[error("the connection was closed after {got} bytes of a body of {expected}")]
    ClosedInBody {
        /// Bytes of body that came.
        got: u64,
        /// How many were announced, for people.
        expected: String,
    },
}

/// Memory for replies that a reader keeps between them: 256 KB.
const KEPT_BYTES: usize = 256 * 1024;

/// What the request implies for reading its reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Want {
    /// The request was HEAD: the reply has no body whatever it says.
    pub head_request: bool,
    /// Keep the body; otherwise it is counted and let go.
    pub body: bool,
}

/// Where the bytes of a reply lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the input of the `feed` that completed it.
    Input,
    /// In [`ReplyReader::buffer`].
    Buffer,
}

/// A complete reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Where `head` and `body` point into.
    pub place: Place,
    /// Status line and headers.
    pub head: Range<usize>,
    /// The body as it was sent (chunks joined); empty unless it was wanted.
    pub body: Range<usize>,
    /// Size of the body on the wire without chunk framing, in bytes.
    pub body_bytes: u64,
    /// Status code.
    pub status: u16,
    /// Whether the connection may carry another request.
    pub keep_alive: bool,
    /// How the body is compressed.
    pub codings: Codings,
}

/// A complete reply and how much of the input it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Bytes of the input up to the reply's end.
    pub consumed: usize,
    /// The reply.
    pub reply: Reply,
}

/// What a `feed` led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// All of the input was taken and the reply is not complete.
    More,
    /// `100 Continue` came: the body may be sent. Feed the rest of the input.
    Continue {
        /// Bytes of the input that were taken.
        consumed: usize,
    },
    /// The reply is complete.
    Done(Done),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head { scanned: usize },
    Sized { left: u64 },
    Chunked,
    UntilClose,
}

/// Reads one reply after another from the bytes of a connection.
#[derive(Debug)]
pub struct ReplyReader {
    stage: Stage,
    head: Option<Head>,
    /// The head and the kept body of a reply that spans reads.
    buffer: Vec<u8>,
    chunks: Chunks,
    body_bytes: u64,
    interim: u32,
}

impl Default for ReplyReader {
    fn default() -> Self {
        Self {
            stage: Stage::Head { scanned: 0 },
            head: None,
            buffer: Vec::new(),
            chunks: Chunks::default(),
            body_bytes: 0,
            interim: 0,
        }
    }
}

/// Whether a reply has no body by its status or its request (RFC 9112, section 6.3).
fn bodyless(status: u16, want: Want) -> bool {
    want.head_request || status == 204 || status == 304
}

impl ReplyReader {
    /// Get ready for the next reply, keeping the memory.
    pub fn reset(&mut self) {
        self.stage = Stage::Head { scanned: 0 };
        self.head = None;
        self.buffer.clear();
        self.chunks.reset();
        self.body_bytes = 0;
        self.interim = 0;
    }

    /// Let go of memory that only a large reply needs.
    pub fn shrink(&mut self) {
        if self.buffer.capacity() > KEPT_BYTES {
            self.buffer = Vec::new();
        }
    }

    /// Whether no byte of a reply has come.
    pub fn is_fresh(&self) -> bool {
        self.head.is_none() && self.buffer.is_empty() && self.interim == 0
    }

    /// What [`Place::Buffer`] refers to.
    pub fn buffer(&self) -> &[u8] {
        &self.buffer
    }

    /// Take the buffer away while its reply is looked at; give it back with [`Self::put_buffer`].
    pub fn take_buffer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    /// Give the buffer back so that its memory is used again.
    pub fn put_buffer(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        // One large reply must not pin its memory to an idle connection.
        if buffer.capacity() <= KEPT_BYTES {
            self.buffer = buffer;
        }
    }

    /// Take the next bytes of the connection. `heads` may serve any number of readers.
    ///
    /// After [`Progress::Done`] call [`Self::reset`] before feeding what follows.
    ///
    /// # Errors
    /// [`ReplyError`]; the connection is of no further use.
    #[inline]
    pub fn feed(
        &mut self,
        input: &[u8],
        want: Want,
        limits: &ReplyLimits,
        heads: &mut HeadCache,
    ) -> Result<Progress, ReplyError> {
        // The whole reply in one read: nothing is copied.
        if self.is_fresh()
            && let Some(head) = heads.parse(input)?
            && head.status >= 200
            && head.len <= limits.head_bytes
            && !head.chunked
        {
            let length = match head.content_length {
                _ if bodyless(head.status, want) => Some(0),
                length => length,
            };
            if let Some(length) = length {
                if length > limits.body_bytes {
                    return Err(ReplyError::BodyTooLarge(limits.body_bytes));
                }
                if (input.len() - head.len) as u64 >= length {
                    let end = head.len + length as usize;
                    return Ok(Progress::Done(Done {
                        consumed: end,
                        reply: Reply {
                            place: Place::Input,
                            head: 0..head.len,
                            body: head.len..if want.body { end } else { head.len },
                            body_bytes: length,
                            status: head.status,
                            keep_alive: head.keep_alive,
                            codings: head.codings,
                        },
                    }));
                }
            }
        }
        self.feed_slowly(input, want, limits)
    }

    fn feed_slowly(
        &mut self,
        input: &[u8],
        want: Want,
        limits: &ReplyLimits,
    ) -> Result<Progress, ReplyError> {
        let mut at = 0;
        loop {
            match self.stage {
                Stage::Head { scanned } => {
                    let Some(consumed) = self.collect_head(&input[at..], scanned, limits)? else {
                        return Ok(Progress::More);
                    };
                    at += consumed;
                    let head = Head::parse(&self.buffer)?
                        .ok_or(ReplyError::HeadTooLarge(limits.head_bytes))?;
                    match head.status {
                        101 => return Err(ReplyError::Upgrade),
                        100..=199 => {
                            self.interim += 1;
                            if self.interim > INTERIM_REPLIES {
                                return Err(ReplyError::InterimReplies);
                            }
                            self.buffer.clear();
                            self.stage = Stage::Head { scanned: 0 };
                            if head.status == 100 {
                                return Ok(Progress::Continue { consumed: at });
                            }
                        }
                        _ => self.begin_body(head, want, limits)?,
                    }
                }
                Stage::Sized { left } => {
                    let take = left.min((input.len() - at) as u64);
                    self.keep(&input[at..at + take as usize], want, limits)?;
                    at += take as usize;
                    if take == left {
                        return Ok(self.done(at, true));
                    }
                    self.stage = Stage::Sized { left: left - take };
                    return Ok(Progress::More);
                }
                Stage::UntilClose => {
                    self.keep(&input[at..], want, limits)?;
                    return Ok(Progress::More);
                }
                Stage::Chunked => {
                    let (consumed, complete) = self.step_chunk(&input[at..], want, limits)?;
                    at += consumed;
                    if complete {
                        return Ok(self.done(at, true));
                    }
                    if at == input.len() {
                        return Ok(Progress::More);
                    }
                }
            }
        }
    }

    /// Collect the head; how much of the input it took once its empty line has come.
    fn collect_head(
        &mut self,
        input: &[u8],
        scanned: usize,
        limits: &ReplyLimits,
    ) -> Result<Option<usize>, ReplyError> {
        let before = self.buffer.len();
        let room = limits.head_bytes.saturating_sub(before);
        let taken = input.len().min(room.saturating_add(1));
        self.buffer.extend_from_slice(&input[..taken]);
        // Look again only at what is new, and at three bytes before it.
        let from = scanned.saturating_sub(3);
        let Some(end) = head_end(&self.buffer[from..]).map(|end| from + end) else {
            if self.buffer.len() > limits.head_bytes {
                return Err(ReplyError::HeadTooLarge(limits.head_bytes));
            }
            // A line that cannot be right is told at once, not when the head is complete.
            if before == 0 {
                Head::parse(&self.buffer)?;
            }
            self.stage = Stage::Head {
                scanned: self.buffer.len(),
            };
            return Ok(None);
        };
        if end > limits.head_bytes {
            return Err(ReplyError::HeadTooLarge(limits.head_bytes));
        }
        self.buffer.truncate(end);
        Ok(Some(end.saturating_sub(before)))
    }

    fn begin_body(
        &mut self,
        head: Head,
        want: Want,
        limits: &ReplyLimits,
    ) -> Result<(), ReplyError> {
        self.head = Some(head);
        self.stage = match head.content_length {
            _ if bodyless(head.status, want) => Stage::Sized { left: 0 },
            _ if head.chunked => Stage::Chunked,
            Some(length) if length > limits.body_bytes => {
                return Err(ReplyError::BodyTooLarge(limits.body_bytes));
            }
            Some(length) => Stage::Sized { left: length },
            None => Stage::UntilClose,
        };
        Ok(())
    }

    /// Count body bytes, and keep them when they are wanted.
    fn keep(&mut self, bytes: &[u8], want: Want, limits: &ReplyLimits) -> Result<(), ReplyError> {
        self.body_bytes += bytes.len() as u64;
        if self.body_bytes > limits.body_bytes {
            return Err(ReplyError::BodyTooLarge(limits.body_bytes));
        }
        if want.body {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// One step through a chunked body: bytes taken, and whether it was the last one.
    fn step_chunk(
        &mut self,
        input: &[u8],
        want: Want,
        limits: &ReplyLimits,
    ) -> Result<(usize, bool), ReplyError> {
        let step = self.chunks.step(input, limits.head_bytes);
        let step = step.map_err(|error| match error {
            ChunkError::Trailers => ReplyError::HeadTooLarge(limits.head_bytes),
            ChunkError::Bad(excerpt) => ReplyError::Chunk {
                after: self.body_bytes,
                excerpt,
            },
        })?;
        let announced = self.body_bytes.saturating_add(self.chunks.announced());
        match step {
            Step::Data(taken) => self.keep(&input[..taken], want, limits)?,
            _ if announced > limits.body_bytes => {
                return Err(ReplyError::BodyTooLarge(limits.body_bytes));
            }
            Step::End(taken) => return Ok((taken, true)),
            Step::Framing(_) => {}
        }
        match step {
            Step::Data(taken) | Step::Framing(taken) | Step::End(taken) => Ok((taken, false)),
        }
    }

    fn done(&self, consumed: usize, delimited: bool) -> Progress {
        let head = self
            .head
            .unwrap_or_else(|| unreachable!("a body follows a head"));
        Progress::Done(Done {
            consumed,
            reply: Reply {
                place: Place::Buffer,
                head: 0..head.len,
                body: head.len..self.buffer.len(),
                body_bytes: self.body_bytes,
                status: head.status,
                keep_alive: head.keep_alive && delimited,
                codings: head.codings,
            },
        })
    }

    /// The connection was closed by the target.
    ///
    /// # Errors
    /// [`ReplyError`] unless the end of the connection is the end of the reply.
    pub fn close(&mut self) -> Result<Done, ReplyError> {
        let expected = match self.stage {
            Stage::UntilClose => {
                let Progress::Done(done) = self.done(0, false) else {
                    return Err(ReplyError::ClosedBeforeReply);
                };
                return Ok(done);
            }
            Stage::Head { .. } if self.is_fresh() => return Err(ReplyError::ClosedBeforeReply),
            Stage::Head { .. } => return Err(ReplyError::ClosedInHead(self.buffer.len())),
            Stage::Sized { left } => format!("{} bytes", self.body_bytes + left),
            Stage::Chunked => "chunks without a last one".to_owned(),
        };
        Err(ReplyError::ClosedInBody {
            got: self.body_bytes,
            expected,
        })
    }
}

/// Length of a head up to and with its empty line.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    let crlf = memmem::find(bytes, b"\n\r\n").map(|at| at + 3);
    let lf = memmem::find(bytes, b"\n\n").map(|at| at + 2);
    match (crlf, lf) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests;
