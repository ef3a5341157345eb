//! Decryption of captured TLS, on the bytes of real programs.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod corpus;
mod openssl;
mod peers;
mod rustls_talks;

use isukit_analyze::capture::tls::{KeyLog, Side, TlsError, TlsStream};

/// What was sent over a connection, in the order of time.
#[derive(Default)]
struct Trace {
    pieces: Vec<(Side, Vec<u8>)>,
    log: String,
    /// The application's data.
    sent: [Vec<u8>; 2],
}

/// A reader and what came of it.
struct Read {
    stream: TlsStream,
    out: [Vec<u8>; 2],
    errors: Vec<TlsError>,
}

impl Read {
    fn new() -> Self {
        Self {
            stream: TlsStream::new(),
            out: [Vec::new(), Vec::new()],
            errors: Vec::new(),
        }
    }

    fn feed(&mut self, side: Side, bytes: &[u8], keys: &KeyLog) {
        let out = &mut self.out[side as usize];
        let mut result = self.stream.feed(side, bytes, keys, out);
        while let Err(error) = result {
            self.errors.push(error);
            result = self.stream.feed(side, &[], keys, out);
        }
    }

    fn settle(&mut self, keys: &KeyLog) {
        for side in [Side::Client, Side::Server, Side::Client] {
            self.feed(side, &[], keys);
        }
    }
}

impl Trace {
    fn keys(&self) -> KeyLog {
        let mut keys = KeyLog::new();
        let summary = keys.read(self.log.as_bytes());
        assert_eq!(summary.skipped, 0, "{}", self.log);
        keys
    }

    fn of(&self, side: Side) -> Vec<u8> {
        let own = self.pieces.iter().filter(|piece| piece.0 == side);
        own.flat_map(|piece| piece.1.iter().copied()).collect()
    }

    /// Read it in the order of time.
    fn read(&self, keys: &KeyLog) -> Read {
        let mut read = Read::new();
        for (side, bytes) in &self.pieces {
            read.feed(*side, bytes, keys);
        }
        read.settle(keys);
        read
    }

    /// Read it in pieces of random sizes, the directions in any order.
    fn read_shuffled(&self, keys: &KeyLog, seed: u64) -> Read {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut read = Read::new();
        let all = [self.of(Side::Client), self.of(Side::Server)];
        let mut rest = [&all[0][..], &all[1][..]];
        let largest = *random.choice(&[3, 40, 1460, 20_000]).unwrap_or(&1);
        while rest.iter().any(|rest| !rest.is_empty()) {
            let side = *random
                .choice(&[Side::Client, Side::Server])
                .unwrap_or(&Side::Client);
            let from = &mut rest[side as usize];
            let size = random.usize(0..=largest).min(from.len());
            let (piece, after) = from.split_at(size);
            *from = after;
            read.feed(side, piece, keys);
        }
        read.settle(keys);
        read
    }

    /// Everything that was sent comes out, however it is cut.
    fn check(&self, name: &str) {
        let keys = self.keys();
        let whole = self.read(&keys);
        self.check_read(name, &whole);
        for seed in 0..12 {
            self.check_read(name, &self.read_shuffled(&keys, seed));
        }
    }

    fn check_read(&self, name: &str, read: &Read) {
        assert_eq!(read.errors, [], "{name}");
        for side in [Side::Client, Side::Server] {
            let (found, sent) = (&read.out[side as usize], &self.sent[side as usize]);
            assert!(
                found == sent,
                "{name}: {} of {} bytes of the {side}, waiting for {:?}",
                found.len(),
                sent.len(),
                read.stream.waits_for(side, &self.keys())
            );
            assert_eq!(read.stream.failure(side), None, "{name}");
        }
    }
}
