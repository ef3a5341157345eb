//! The fuzzer's corpus on stable Rust: every input, and random changes to each of them.

use std::path::Path;

use isukit_analyze::capture::tls::fuzz::tls;

/// Changed copies of every input.
const CHANGED: usize = 150;

#[test]
fn the_corpus_and_what_is_near_it_break_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/tls");
    let mut inputs: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.display().to_string(), std::fs::read(path).unwrap())
        })
        .collect();
    inputs.sort();
    assert!(inputs.len() >= 20, "the corpus is missing");
    let mut random = fastrand::Rng::with_seed(9);
    for (name, input) in &inputs {
        tls(input);
        for _ in 0..CHANGED {
            let mut changed = input.clone();
            for _ in 0..random.usize(1..5) {
                let at = random.usize(..=changed.len());
                match random.u8(..4) {
                    0 if at < changed.len() => changed[at] = random.u8(..),
                    1 if at < changed.len() => changed[at] ^= 1 << random.u8(..8),
                    2 => changed.insert(at, random.u8(..)),
                    _ => {
                        let other = &inputs[random.usize(..inputs.len())].1;
                        let from = random.usize(..=other.len());
                        changed.splice(at..at, other[from..].iter().copied());
                    }
                }
            }
            let result = std::panic::catch_unwind(|| tls(&changed));
            assert!(
                result.is_ok(),
                "near {name}: \"{}\"",
                changed.escape_ascii()
            );
        }
    }
}
