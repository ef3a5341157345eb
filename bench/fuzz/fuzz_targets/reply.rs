//! `cargo +nightly fuzz run reply` in `bench/`: whatever a target sends, the reader keeps its
//! promises. The body is an ordinary function, which `tests/corpus.rs` runs on stable Rust.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| isukit::fuzz::reply(data));
