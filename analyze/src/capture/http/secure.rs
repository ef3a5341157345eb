//! A connection that speaks TLS and whose secrets are known: its plaintext is read as HTTP.
//!
//! Positions in the plaintext take the place of those in the TCP stream, acknowledgements too: what one
//! side had received of the other's stream is told as the plaintext that ends there.

use std::collections::VecDeque;

use super::{Kind, Piece, Stage, Talk};
use crate::capture::limits::TLS_MARKS;
use crate::capture::pairing::Queue;
use crate::capture::shared::{Cx, Shared};
use crate::capture::tls::{Side, TlsStream};

/// Faults of one direction that are looked past at once.
const FAULTS: usize = 64;

/// The plaintext of a connection.
#[derive(Debug)]
pub(super) struct Secure {
    stream: TlsStream,
    /// Bytes of plaintext so far, by side.
    plain: [u64; 2],
    /// Which positions in the TCP stream of a side are which in its plaintext; ascending.
    marks: [VecDeque<(u64, u64)>; 2],
    out: Vec<u8>,
    /// What the stream keeps until it can be decrypted, in bytes.
    kept: usize,
}

impl Secure {
    fn new() -> Self {
        Self {
            stream: TlsStream::new(),
            plain: [0; 2],
            marks: [VecDeque::new(), VecDeque::new()],
            out: Vec::new(),
            kept: 0,
        }
    }

    /// The plaintext position that a TCP position of a side stands for; 0 when it is not known.
    fn translate(&self, side: usize, at: u64) -> u64 {
        let marks = &self.marks[side];
        let count = marks.partition_point(|mark| mark.0 <= at);
        match count.checked_sub(1) {
            Some(last) => marks[last].1,
            None => 0,
        }
    }

    fn mark(&mut self, side: usize, at: u64) {
        let marks = &mut self.marks[side];
        if marks.len() >= TLS_MARKS {
            marks.pop_front();
        }
        marks.push_back((at, self.plain[side]));
    }
}

impl Talk {
    /// TLS begins with these bytes of a side: it is decrypted when there are secrets at all.
    pub(super) fn begin_tls(&mut self, side: usize, bytes: &[u8], shared: &mut Shared) {
        shared.totals.encrypted += 1;
        self.kind = Kind::Encrypted;
        if shared.keys.is_empty() {
            return;
        }
        self.kind = Kind::Unknown;
        // The sixth byte of the first record says which hello it is (RFC 8446, section 4).
        let is_server = bytes.get(5) == Some(&2);
        self.set_client(if is_server { 1 - side } else { side });
        let is_whole = self.halves.iter().all(|half| half.stage == Stage::Start);
        self.queue = Queue::new();
        if is_whole {
            self.queue.begin_whole(0, 0);
        }
        self.secure = Some(Box::new(Secure::new()));
    }

    /// The next bytes of a side of a connection that is decrypted.
    pub(super) fn ciphertext(&mut self, side: usize, piece: &Piece<'_>, cx: &mut Cx<'_>) {
        let Some(mut secure) = self.secure.take() else {
            return;
        };
        cx.shared.totals.encrypted_bytes += piece.bytes.len() as u64;
        self.pour(&mut secure, side, piece.bytes, piece, cx);
        secure.mark(side, piece.start + piece.bytes.len() as u64);
        // What the other side had to wait for may be here now.
        self.pour(&mut secure, 1 - side, &[], piece, cx);
        let kept = secure.stream.kept_bytes(Side::Client) + secure.stream.kept_bytes(Side::Server);
        cx.shared.release(secure.kept);
        secure.kept = kept;
        if cx.shared.hold(kept) {
            self.secure = Some(secure);
        } else {
            // Without its secrets it would keep all there is.
            self.break_off(0, cx);
            self.break_off(1, cx);
            self.kind = Kind::Encrypted;
        }
    }

    /// Decrypt what can be, and read it as HTTP.
    fn pour(
        &mut self,
        secure: &mut Secure,
        side: usize,
        bytes: &[u8],
        piece: &Piece<'_>,
        cx: &mut Cx<'_>,
    ) {
        let from = match self.client == Some(side) {
            true => Side::Client,
            false => Side::Server,
        };
        let mut bytes = bytes;
        for _ in 0..FAULTS {
            secure.out.clear();
            let fed = secure
                .stream
                .feed(from, bytes, &cx.shared.keys, &mut secure.out);
            bytes = &[];
            if !secure.out.is_empty() {
                self.plaintext(secure, side, piece, cx);
            }
            let Err(error) = fed else { return };
            cx.shared.totals.tls_faults += 1;
            if cx.shared.tls_fault.is_none() {
                cx.shared.tls_fault = Some(error.to_string());
            }
            // How much plaintext is missing is not known, so nothing goes on behind it.
            self.break_off(side, cx);
        }
    }

    fn plaintext(&mut self, secure: &mut Secure, side: usize, piece: &Piece<'_>, cx: &mut Cx<'_>) {
        let length = secure.out.len() as u64;
        let totals = &mut cx.shared.totals;
        if secure.plain == [0, 0] {
            totals.encrypted = totals.encrypted.saturating_sub(1);
            totals.decrypted += 1;
        }
        totals.encrypted_bytes = totals.encrypted_bytes.saturating_sub(length);
        let plain = Piece {
            bytes: &secure.out,
            start: secure.plain[side],
            time_ns: piece.time_ns,
            ack: secure.translate(1 - side, piece.ack),
            is_start: true,
        };
        secure.plain[side] += length;
        self.plain(side, &plain, cx);
    }

    /// Bytes of a side of a connection that is decrypted are missing.
    pub(super) fn ciphertext_lost(&mut self, side: usize, count: u64) {
        let client = self.client == Some(side);
        if let Some(secure) = &mut self.secure {
            let from = if client { Side::Client } else { Side::Server };
            secure.stream.lost(from, count);
        }
    }

    /// Nothing more comes: what still waits for secrets stays encrypted.
    pub(super) fn finish_tls(&mut self, cx: &mut Cx<'_>) {
        let Some(secure) = self.secure.take() else {
            return;
        };
        cx.shared.release(secure.kept);
        for side in [Side::Client, Side::Server] {
            if let Some(waits) = secure.stream.waits_for(side, &cx.shared.keys)
                && cx.shared.tls_fault.is_none()
            {
                cx.shared.tls_fault = Some(waits.to_string());
            }
        }
    }
}
