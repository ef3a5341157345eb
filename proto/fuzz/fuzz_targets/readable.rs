#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| isukit_proto::fuzz::readable(data));
