#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| isukit_analyze::access::fuzz_access(data));
