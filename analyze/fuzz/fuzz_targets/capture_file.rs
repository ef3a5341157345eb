//! `cargo +nightly fuzz run capture_file` in `analyze/`: whatever a capture file holds, the assembler keeps its promises. The body is
//! an ordinary function, which `tests/corpus.rs` runs on stable Rust.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| isukit_analyze::capture::fuzz::file(data));
