//! Copies of what passes, for whoever looks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hyper::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use isukit_analyze::decode::{Body, Direction};
use isukit_analyze::http1::Codings;

use super::{COPIED_BYTES, WAITING_MESSAGES};
use crate::heads::{codings, content_type};

/// Counts of a proxy's life, each written by the one place where it happens.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Connections of clients.
    pub(crate) connections: AtomicU64,
    /// Requests that were read.
    pub(crate) exchanges: AtomicU64,
    /// Those that the tap had to answer itself, as the target did not.
    pub(crate) failed: AtomicU64,
    /// Those whose client went away before there was an answer.
    pub(crate) abandoned: AtomicU64,
    /// Bodies that ended before they were complete.
    pub(crate) cut: AtomicU64,
    /// Requests that were sent again as their connection had been closed.
    pub(crate) retried: AtomicU64,
    /// Connections that became something other than HTTP.
    pub(crate) upgraded: AtomicU64,
    /// Messages that nobody saw, as whoever looks was too slow.
    pub(crate) not_shown: AtomicU64,
    /// Bytes of the bodies of requests.
    pub(crate) request_bytes: AtomicU64,
    /// Bytes of the bodies of replies.
    pub(crate) reply_bytes: AtomicU64,
}

impl Totals {
    pub(super) fn count(counter: &AtomicU64) {
        // Each count stands for itself, so no other memory needs ordering.
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts an exchange as abandoned if it is dropped before it was answered.
#[derive(Debug)]
pub(super) struct Waiting<'a>(Option<&'a AtomicU64>);

impl<'a> Waiting<'a> {
    pub(super) fn new(totals: &'a Totals) -> Self {
        Self(Some(&totals.abandoned))
    }

    pub(super) fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(counter) = self.0 {
            Totals::count(counter);
        }
    }
}

/// A request as far as both of its messages need it.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// Counted from 1.
    pub(crate) number: u64,
    /// The client's connection, counted from 1.
    pub(crate) connection: u64,
    pub(crate) client: SocketAddr,
    pub(crate) server: Option<SocketAddr>,
    pub(crate) method: String,
    /// As it was sent.
    pub(crate) url: String,
    pub(super) began: Instant,
}

/// A message that has passed.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) direction: Direction,
    pub(crate) status: Option<u16>,
    pub(crate) content_type: String,
    pub(crate) codings: Codings,
    /// When its head passed, in microseconds since the Unix epoch.
    pub(crate) time_us: i64,
    /// Of a reply: from the request's head to its own end, in microseconds.
    pub(crate) latency_us: Option<u64>,
    /// Whether there is a body at all, be it empty.
    pub(crate) has_body: bool,
    /// Compressed as it was sent; not more than the limit.
    pub(crate) bytes: Vec<u8>,
    /// Of its bytes, those behind the limit.
    pub(crate) lost_bytes: u64,
    /// Whether it ended before it was complete.
    pub(crate) is_cut: bool,
    /// Gives back what it takes of the memory for copies.
    room: Room,
}

/// Hands copies over.
#[derive(Debug)]
pub(super) struct Watcher {
    sender: SyncSender<Seen>,
    copied: Arc<AtomicUsize>,
    pub(super) totals: Arc<Totals>,
    /// Bytes of one body that are copied.
    body_limit: usize,
}

/// Begin to watch: one end for the proxy, one for whoever looks.
pub(crate) fn watch(body_limit: usize) -> (WatcherHandle, Receiver<Seen>) {
    let (sender, receiver) = sync_channel(WAITING_MESSAGES);
    let watcher = Watcher {
        sender,
        copied: Arc::default(),
        totals: Arc::default(),
        body_limit,
    };
    (WatcherHandle(Arc::new(watcher)), receiver)
}

/// The proxy's end: with the last of them the other end learns that there is no more to see.
#[derive(Debug, Clone)]
pub(crate) struct WatcherHandle(pub(super) Arc<Watcher>);

impl WatcherHandle {
    /// The counts.
    pub(crate) fn totals(&self) -> Arc<Totals> {
        Arc::clone(&self.0.totals)
    }
}

/// A part of the memory for copies.
#[derive(Debug)]
struct Room {
    all: Arc<AtomicUsize>,
    taken: usize,
}

impl Room {
    /// Take more of it, if there is as much.
    fn take(&mut self, bytes: usize) -> bool {
        let taken = self
            .all
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|used| *used <= COPIED_BYTES)
            });
        if taken.is_ok() {
            self.taken += bytes;
        }
        taken.is_ok()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.all.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

/// Copies one message as it passes.
#[derive(Debug)]
pub(super) struct Copier {
    watcher: Arc<Watcher>,
    /// None when it was handed over, or given up.
    seen: Option<Seen>,
    direction: Direction,
}

/// What of a message is known from its head.
pub(super) struct Head<'a> {
    pub(super) direction: Direction,
    pub(super) status: Option<u16>,
    pub(super) headers: &'a HeaderMap,
}

impl Copier {
    /// Begin with the message's head.
    pub(super) fn new(watcher: &Arc<Watcher>, exchange: &Arc<Exchange>, head: &Head<'_>) -> Self {
        let is_framed = [CONTENT_LENGTH, TRANSFER_ENCODING]
            .iter()
            .any(|name| head.headers.contains_key(name));
        let seen = Seen {
            exchange: Arc::clone(exchange),
            direction: head.direction,
            status: head.status,
            content_type: content_type(head.headers),
            codings: codings(head.headers),
            time_us: now_us(),
            latency_us: None,
            has_body: Body::may_be(
                head.direction,
                &exchange.method,
                head.status.unwrap_or_default(),
                is_framed,
            ),
            bytes: Vec::new(),
            lost_bytes: 0,
            is_cut: false,
            room: Room {
                all: Arc::clone(&watcher.copied),
                taken: 0,
            },
        };
        Self {
            watcher: Arc::clone(watcher),
            seen: Some(seen),
            direction: head.direction,
        }
    }

    /// A piece of the body passes.
    pub(super) fn push(&mut self, piece: &[u8]) {
        let counter = match self.direction {
            Direction::Request => &self.watcher.totals.request_bytes,
            Direction::Response => &self.watcher.totals.reply_bytes,
        };
        counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
        let Some(seen) = &mut self.seen else { return };
        let left = self.watcher.body_limit - seen.bytes.len();
        let copied = piece.len().min(left);
        if !seen.room.take(copied) {
            self.seen = None;
            Totals::count(&self.watcher.totals.not_shown);
            return;
        }
        seen.bytes.extend_from_slice(&piece[..copied]);
        seen.lost_bytes += (piece.len() - copied) as u64;
    }

    /// The message has ended: hand it over.
    pub(super) fn end(&mut self) {
        let Some(mut seen) = self.seen.take() else {
            return;
        };
        if seen.direction == Direction::Response {
            seen.latency_us = u64::try_from(seen.exchange.began.elapsed().as_micros()).ok();
        }
        // A plain GET has no body to look at.
        let is_plain = seen.direction == Direction::Request && !seen.has_body;
        if !is_plain && self.watcher.sender.try_send(seen).is_err() {
            Totals::count(&self.watcher.totals.not_shown);
        }
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        if let Some(seen) = &mut self.seen {
            seen.is_cut = true;
            Totals::count(&self.watcher.totals.cut);
            self.end();
        }
    }
}

fn now_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange() -> Arc<Exchange> {
        Arc::new(Exchange {
            number: 1,
            connection: 1,
            client: ([127, 0, 0, 1], 1).into(),
            server: None,
            method: "POST".to_owned(),
            url: "/".to_owned(),
            began: Instant::now(),
        })
    }

    fn copier(handle: &WatcherHandle) -> Copier {
        let head = Head {
            direction: Direction::Response,
            status: Some(200),
            headers: &HeaderMap::new(),
        };
        Copier::new(&handle.0, &exchange(), &head)
    }

    #[test]
    fn copies_are_cut_at_the_limit_and_memory_is_given_back() {
        let check = |pieces: &[&[u8]], ends: bool, expected: (&[u8], u64, bool)| {
            let (handle, receiver) = watch(4);
            let mut copier = copier(&handle);
            for piece in pieces {
                copier.push(piece);
            }
            if ends {
                copier.end();
            }
            drop(copier);
            let seen = receiver.try_recv().unwrap();
            assert_eq!(handle.0.copied.load(Ordering::Relaxed), seen.bytes.len());
            let got = (seen.bytes.as_slice(), seen.lost_bytes, seen.is_cut);
            assert_eq!(got, expected, "{pieces:?}");
            drop(seen);
            assert_eq!(handle.0.copied.load(Ordering::Relaxed), 0);
        };
        check(&[b"ab", b"cd"], true, (b"abcd", 0, false));
        check(&[b"ab", b"cde"], true, (b"abcd", 1, false));
        check(&[b"abcdef", b"g"], true, (b"abcd", 3, false));
        check(&[b"ab"], false, (b"ab", 0, true));
    }

    #[test]
    fn who_looks_too_slowly_misses_something_and_that_is_counted() {
        let (handle, receiver) = watch(COPIED_BYTES);
        let large = vec![0; COPIED_BYTES - 1];
        let mut first = copier(&handle);
        first.push(&large);
        let mut second = copier(&handle);
        second.push(b"xy");
        second.end();
        first.end();
        let missed = |handle: &WatcherHandle| handle.0.totals.not_shown.load(Ordering::Relaxed);
        assert_eq!(missed(&handle), 1);
        assert_eq!(receiver.try_iter().count(), 1);
        for _ in 0..WAITING_MESSAGES + 3 {
            copier(&handle).end();
        }
        assert_eq!(missed(&handle), 4);
        assert_eq!(receiver.try_iter().count(), WAITING_MESSAGES);
    }
}
