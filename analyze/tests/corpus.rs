//! The fuzzer's corpus on stable Rust: every input, and random changes to each of them.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

use std::path::Path;

fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let mut inputs: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.display().to_string(), std::fs::read(path).unwrap())
        })
        .collect();
    inputs.sort();
    inputs
}

/// Change a few places of `input`, sometimes with a piece of `other`.
fn change(random: &mut fastrand::Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..random.usize(1..5) {
        let at = random.usize(..=bytes.len());
        match random.u8(..6) {
            0 if at < bytes.len() => bytes[at] = random.u8(..),
            1 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
            2 => bytes.truncate(at),
            3 => bytes.insert(
                at,
                *random.choice(b"0123456789abcdef\r\n:; ,-").unwrap_or(&b'0'),
            ),
            4 if at < bytes.len() => {
                bytes.remove(at);
            }
            _ => {
                let from = random.usize(..=other.len());
                let to = random.usize(from..=other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
    bytes
}

/// Every input of a corpus of at least so many, and so many changed copies of each.
fn check(name: &str, at_least: usize, changed_copies: usize, body: fn(&[u8])) {
    let corpus = corpus(name);
    assert!(corpus.len() >= at_least, "the corpus is missing");
    let mut random = fastrand::Rng::with_seed(7);
    for (name, input) in &corpus {
        body(input);
        for _ in 0..changed_copies {
            let other = &corpus[random.usize(..corpus.len())].1;
            let changed = change(&mut random, input, other);
            let result = std::panic::catch_unwind(|| body(&changed));
            assert!(
                result.is_ok(),
                "near {name}: \"{}\"",
                changed.escape_ascii()
            );
        }
    }
}

#[test]
fn replies_and_what_is_near_them_break_nothing() {
    check("reply", 20, 4_000, isukit_analyze::http1::fuzz::reply);
}

#[test]
fn captures_and_what_is_near_them_break_nothing() {
    check("capture_file", 8, 200, isukit_analyze::capture::fuzz::file);
}

#[test]
fn segments_and_what_is_near_them_break_nothing() {
    check(
        "capture_segments",
        8,
        400,
        isukit_analyze::capture::fuzz::segments,
    );
}
