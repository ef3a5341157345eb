//! The fuzzer's corpus on stable Rust: every input, and random changes to each of them.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

use std::path::Path;

/// Changed copies of every input.
const CHANGED: usize = 4_000;

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/reply");
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

#[test]
fn the_corpus_and_what_is_near_it_break_nothing() {
    let corpus = corpus();
    assert!(corpus.len() >= 20, "the corpus is missing");
    let mut random = fastrand::Rng::with_seed(7);
    for (name, input) in &corpus {
        isukit_analyze::http1::fuzz::reply(input);
        for _ in 0..CHANGED {
            let other = &corpus[random.usize(..corpus.len())].1;
            let changed = change(&mut random, input, other);
            let result = std::panic::catch_unwind(|| isukit_analyze::http1::fuzz::reply(&changed));
            assert!(
                result.is_ok(),
                "near {name}: \"{}\"",
                changed.escape_ascii()
            );
        }
    }
}
