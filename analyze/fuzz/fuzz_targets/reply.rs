//! `cargo +nightly fuzz run reply` in `analyze/`: whatever a target sends, the reader keeps its
//! promises. The body is an ordinary function, which `tests/corpus.rs` runs on stable Rust.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| isukit_analyze::http1::fuzz::reply(data));
