//! What one line tells, collected field by field, whatever the format.

use super::cache::PathKeys;
use super::labels::Field;
use super::layout::Layout;
use super::namer::Namer;
use super::request::{self, is_method, request_line, split_target};
use super::time::{LastSecond, timestamp};
use super::values::{self, Unit};
use super::{CacheStatus, Record, escape};
use crate::digest::{Batch, NO_TIME, Span, UNKNOWN_AT};
use crate::hash::hash;

/// How texts are escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escape {
    /// `\x22`, as nginx and Apache do.
    Server,
    /// Not at all, it has been undone, or there is no backslash.
    None,
}

/// What is carried from line to line of a block, none of which changes what a line means.
pub(crate) struct State<'a> {
    pub(crate) namer: &'a Namer,
    pub(crate) layout: Layout,
    pub(crate) second: LastSecond,
    pub(crate) keys: PathKeys,
}

/// A line as far as it has been read.
pub(crate) struct Line {
    record: Record,
    request: Span,
    target: Span,
    status: Option<u16>,
    has_status: bool,
    fine_at: bool,
    /// How sure it is that the client's address is the client's.
    client_rank: u8,
    total_rank: u8,
    response_ns: u64,
    at_begin: bool,
}

impl Line {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self {
            record: Record::default(),
            request: Span::default(),
            target: Span::default(),
            status: None,
            has_status: false,
            fine_at: false,
            client_rank: 0,
            total_rank: 0,
            response_ns: NO_TIME,
            at_begin: false,
        }
    }

    /// The time is that of the request's begin, not of its end.
    pub(crate) fn began_then(&mut self) {
        self.at_begin = true;
    }

    /// Take one field. `span` holds `text`.
    #[inline(always)]
    pub(crate) fn set(
        &mut self,
        field: Field,
        unit: Unit,
        span: Span,
        text: &[u8],
        second: &mut LastSecond,
    ) {
        let record = &mut self.record;
        match field {
            Field::Ignored => {}
            Field::Status => {
                self.has_status = true;
                self.status = values::status(text);
            }
            Field::Sent => record.sent_bytes = values::size(text),
            Field::Received => record.received_bytes = values::size(text),
            Field::Total | Field::TotalWithUnit => {
                let rank = 1 + u8::from(field == Field::TotalWithUnit);
                if rank > self.total_rank {
                    self.total_rank = rank;
                    record.time_ns = values::duration(text, unit);
                }
            }
            Field::Upstream => record.upstream_ns = values::duration(text, unit),
            Field::Response => self.response_ns = values::duration(text, unit),
            _ if matches!(text, b"" | b"-") => {}
            Field::At if unit == Unit::Micros => {
                record.at_us = values::size(text).try_into().unwrap_or(UNKNOWN_AT);
            }
            Field::At => {
                if !self.fine_at
                    && let Some(at) = timestamp(text, second)
                {
                    (record.at_us, self.fine_at) = (at.us, at.fine);
                }
            }
            Field::Method => record.method = span,
            Field::Path => {
                if self.target.is_empty() {
                    self.target = span;
                }
            }
            Field::Query => record.query = span,
            Field::Request => self.request = span,
            Field::Agent => record.agent = span,
            Field::Client => self.client(2, span),
            Field::Host => self.client(1, span),
            Field::Forwarded => {
                let len = memchr::memchr2(b',', b' ', text).unwrap_or(text.len());
                self.client(3, span.part(0, len));
            }
            Field::Cache => record.cache = cache_status(text),
            Field::RequestId => record.request_id = span,
            Field::Key => record.path = span,
            Field::Error => record.error = span,
        }
    }

    #[inline]
    fn client(&mut self, rank: u8, span: Span) {
        if rank > self.client_rank && !span.is_empty() {
            (self.client_rank, self.record.client) = (rank, span);
        }
    }

    /// The record of an event of our own, whose key is its name.
    pub(crate) fn finish_event(
        mut self,
        line: Span,
        block: &[u8],
        batch: &mut Batch<Record>,
    ) -> Result<(), &'static str> {
        let record = &mut self.record;
        record.line = line;
        if record.path.is_empty() || record.time_ns == NO_TIME {
            return Err("no key and latency of an event");
        }
        record.status = self.status.unwrap_or(0);
        if record.at_us != UNKNOWN_AT {
            record.at_us = record.at_us.saturating_add(micros(record.time_ns));
        }
        record.key = hash(record.path.of(block, &batch.side));
        batch.records.push(self.record);
        Ok(())
    }

    /// The record, if there is enough for one.
    #[inline(always)]
    pub(crate) fn finish(
        mut self,
        line: Span,
        block: &[u8],
        escape: Escape,
        state: &mut State<'_>,
        batch: &mut Batch<Record>,
    ) -> Result<(), &'static str> {
        if !self.has_status {
            return Err("no status");
        }
        let has_target = !self.target.is_empty() || !self.request.is_empty();
        self.record.status = match self.status {
            Some(status) if status != 0 || has_target => status,
            Some(_) => return Err("no status and no path"),
            None => return Err("a status that is none"),
        };
        self.record.line = line;
        self.times();
        self.request(block, escape, batch);
        if escape == Escape::Server {
            for span in [&mut self.record.agent, &mut self.record.query] {
                *span = unescaped(*span, block, batch);
            }
        }
        let record = &mut self.record;
        let side = &batch.side;
        record.agent_hash = hash_of(record.agent, block, side);
        record.client_hash = hash_of(record.client, block, side);
        record.key = state.keys.key(state.namer, record, block, side);
        batch.records.push(self.record);
        Ok(())
    }

    #[inline]
    fn times(&mut self) {
        let record = &mut self.record;
        if self.response_ns != NO_TIME {
            let time = match self.total_rank {
                0 => &mut record.time_ns,
                _ => &mut record.upstream_ns,
            };
            if *time == NO_TIME {
                *time = self.response_ns;
            }
        }
        // A total that a line should tell and does not is not to be mixed with the upstream's.
        if record.time_ns == NO_TIME && self.total_rank == 0 && record.upstream_ns != NO_TIME {
            record.time_ns = record.upstream_ns;
            record.is_upstream_time = true;
        }
        if self.at_begin && record.at_us != UNKNOWN_AT && record.time_ns != NO_TIME {
            record.at_us = record.at_us.saturating_add(micros(record.time_ns));
        }
    }

    /// Method, path and query, from fields of their own or from the request line.
    #[inline(always)]
    fn request(&mut self, block: &[u8], escape: Escape, batch: &mut Batch<Record>) {
        let record = &mut self.record;
        let mut target = self.target;
        if target.is_empty() {
            let line = self.request.of(block, &batch.side);
            let Some(parts) = request_line(line, record.status) else {
                // A server may have understood the method and refused the rest.
                if !is_method(record.method.of(block, &batch.side)) {
                    record.method = Span::default();
                }
                record.query = Span::default();
                return;
            };
            record.method = self.request.part(0, parts.method.len());
            let begin = parts.method.len() + 1;
            target = self.request.part(begin, begin + parts.target.len());
        } else if !record.method.is_empty() && !is_method(record.method.of(block, &batch.side)) {
            (record.method, record.query) = (Span::default(), Span::default());
            return;
        }
        let whole = target.of(block, &batch.side);
        let (rest, path) = split_target(whole);
        let begin = whole.len() - rest.len();
        if whole.len() > begin + path {
            let behind = &rest[path + 1..];
            if rest[path] == b'?' && record.query.is_empty() {
                let from = begin + path + 1;
                record.query = target.part(from, from + request::query_len(behind));
            }
        }
        record.path = match path {
            0 => batch.keep(b"/"),
            _ if escape == Escape::None => target.part(begin, begin + path),
            _ => unescaped(target.part(begin, begin + path), block, batch),
        };
    }
}

/// Nanoseconds as whole microseconds.
fn micros(ns: u64) -> i64 {
    (ns / 1_000).try_into().unwrap_or(i64::MAX)
}

#[inline(always)]
fn hash_of(span: Span, block: &[u8], side: &[u8]) -> u64 {
    match span.is_empty() {
        true => 0,
        false => hash(span.of(block, side)),
    }
}

/// The text without the escapes of servers.
#[inline(always)]
fn unescaped(span: Span, block: &[u8], batch: &mut Batch<Record>) -> Span {
    // Text in the side text is escaped no more.
    if span.is_side() || memchr::memchr(b'\\', span.of(block, &[])).is_none() {
        return span;
    }
    let mut plain = Vec::new();
    escape::unescape_server(span.of(block, &[]), &mut plain);
    batch.keep(&plain)
}

fn cache_status(text: &[u8]) -> CacheStatus {
    match text {
        b"HIT" | b"hit" | b"Hit" => CacheStatus::Hit,
        b"MISS" | b"miss" | b"Miss" => CacheStatus::Miss,
        b"EXPIRED" | b"expired" => CacheStatus::Expired,
        b"STALE" | b"stale" => CacheStatus::Stale,
        b"UPDATING" | b"updating" => CacheStatus::Updating,
        b"REVALIDATED" | b"revalidated" => CacheStatus::Revalidated,
        b"BYPASS" | b"bypass" => CacheStatus::Bypass,
        _ => CacheStatus::None,
    }
}
