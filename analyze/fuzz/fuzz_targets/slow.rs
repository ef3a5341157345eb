#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| isukit_analyze::slow::fuzz::slow(data));
