//! `cargo +nightly fuzz run tls` in `analyze/`: whatever happens to a captured connection, no data are
//! made up. The body is an ordinary function, which `tests/tls` runs on stable Rust.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| isukit_analyze::capture::tls::fuzz::tls(data));
