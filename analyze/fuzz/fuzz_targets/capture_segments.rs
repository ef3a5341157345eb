//! `cargo +nightly fuzz run capture_segments` in `analyze/`: whatever segments hold, the assembler keeps its promises. The body is
//! an ordinary function, which `tests/corpus.rs` runs on stable Rust.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| isukit_analyze::capture::fuzz::segments(data));
