//! A log of lines, in which quotes may hide line ends: the driver must not care where it is cut.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::digest::{Skip, Span};

/// Records are lines; a line end between quotes is text.
struct Lines;

impl Reader for Lines {
    type Record = Span;

    fn cut(&self, block: &[u8]) -> Option<usize> {
        memchr::memrchr(b'\n', block).map(|at| at + 1)
    }

    fn parse(&self, block: &[u8], is_last: bool, batch: &mut Batch<Span>) -> usize {
        let (mut start, mut is_quoted) = (0, false);
        for (at, byte) in block.iter().enumerate() {
            match byte {
                b'"' => is_quoted = !is_quoted,
                b'\n' if !is_quoted => {
                    let span = Span::new(start, at);
                    if block[start..at].starts_with(b"!") {
                        let reason = "it begins with an exclamation mark";
                        batch.skips.push(Skip { span, reason });
                    } else {
                        batch.records.push(span);
                    }
                    start = at + 1;
                }
                _ => {}
            }
        }
        if is_last {
            if start < block.len() {
                batch.records.push(Span::new(start, block.len()));
            }
            return block.len();
        }
        start
    }
}

/// Gives a few bytes at a time, and has nothing now and then.
struct Drips {
    text: Cursor<Vec<u8>>,
    most: usize,
    is_dry: bool,
}

impl Read for Drips {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.is_dry = !self.is_dry;
        if self.is_dry {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let most = self.most.min(buffer.len());
        self.text.read(&mut buffer[..most])
    }
}

/// The lines, and where each of them began, as the driver gives them.
fn driven(input: &mut (dyn Read + Send), threads: usize) -> (Vec<(u64, Vec<u8>)>, u64) {
    let mut lines = Vec::new();
    let mut skipped = 0_u64;
    let mut fold = |offset: u64, block: &[u8], batch: &Batch<Span>| {
        skipped += batch.skips.len() as u64;
        for span in &batch.records {
            lines.push((offset + span.start() as u64, span.of(block, &[]).to_vec()));
        }
    };
    let stop = AtomicBool::new(false);
    let driven = digest(&Lines, input, threads, &stop, &mut fold);
    assert!(driven.failure.is_none(), "{driven:?}");
    (lines, skipped)
}

fn whole(text: &[u8]) -> (Vec<(u64, Vec<u8>)>, u64) {
    let mut batch = Batch::default();
    Lines.parse(text, true, &mut batch);
    let lines = batch
        .records
        .iter()
        .map(|span| (span.start() as u64, span.of(text, &[]).to_vec()));
    (lines.collect(), batch.skips.len() as u64)
}

fn check(text: &[u8]) {
    let expected = whole(text);
    for threads in [1, 2, 5] {
        let seen = driven(&mut Cursor::new(text.to_vec()), threads);
        assert!(seen == expected, "{threads} threads, {} bytes", text.len());
    }
}

#[test]
fn any_number_of_threads_gives_the_same_in_the_same_order() {
    let line = |n: usize| {
        format!(
            "{}{n} {}\n",
            if n.is_multiple_of(7) { "!" } else { "" },
            "x".repeat(n % 90)
        )
    };
    let text: String = (0..40_000).map(line).collect();
    assert!(text.len() > 4 * BLOCK_BYTES);
    check(text.as_bytes());
}

#[test]
fn a_record_may_be_longer_than_a_block() {
    let long = format!("a\n{}\nb\n", "y".repeat(3 * BLOCK_BYTES));
    check(long.as_bytes());
    let quoted = format!("a\n\"{}\"\nb\n", "line\n".repeat(BLOCK_BYTES / 2));
    check(quoted.as_bytes());
    check(b"");
    check(b"no line end");
}

#[test]
fn a_log_that_grows_is_folded_as_it_grows() {
    let text: String = (0..2_000).map(|n| format!("line {n}\n")).collect();
    let mut drips = Drips {
        text: Cursor::new(text.clone().into_bytes()),
        most: 11,
        is_dry: false,
    };
    assert!(driven(&mut drips, 1) == whole(text.as_bytes()));
}

#[test]
fn an_error_comes_after_what_was_read() {
    struct Broken(usize);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            match self.0 {
                1 => {
                    buffer[..4].copy_from_slice(b"one\n");
                    Ok(4)
                }
                _ => Err(io::Error::other("the disk is gone")),
            }
        }
    }
    let mut seen = 0;
    let mut fold = |_: u64, _: &[u8], batch: &Batch<Span>| seen += batch.records.len();
    let stop = AtomicBool::new(false);
    let driven = digest(&Lines, &mut Broken(0), 2, &stop, &mut fold);
    assert!(
        driven
            .failure
            .unwrap()
            .to_string()
            .contains("the disk is gone")
    );
    assert_eq!((seen, driven.bytes), (1, 4));
}

#[test]
fn a_panic_ends_the_digest() {
    struct Panics;
    impl Reader for Panics {
        type Record = Span;
        fn cut(&self, block: &[u8]) -> Option<usize> {
            Lines.cut(block)
        }
        fn parse(&self, _: &[u8], _: bool, _: &mut Batch<Span>) -> usize {
            panic!("a fault of ours")
        }
    }
    let run = || {
        let mut fold = |_: u64, _: &[u8], _: &Batch<Span>| {};
        let stop = AtomicBool::new(false);
        let mut input = Cursor::new(b"one\n".repeat(BLOCK_BYTES));
        digest(&Panics, &mut input, 3, &stop, &mut fold)
    };
    assert!(std::panic::catch_unwind(run).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn cuts_do_not_matter(
        pieces in prop::collection::vec(prop_oneof![
            Just("\"".to_owned()), Just("\n".to_owned()), "[a-z!]{1,9}",
            (1..60_000_usize).prop_map(|n| "z".repeat(n)),
        ], 0..60)
    ) {
        check(pieces.concat().as_bytes());
    }
}
