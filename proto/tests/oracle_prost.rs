//! Our readers against the code prost generates from the test schema.
//!
//! The generated file is checked in, so that no build needs a generator; a test holds it to what the
//! generator makes today. After a change of the schema run
//! `UPDATE_GENERATED=1 cargo test -p isukit-proto --test oracle_prost`.
#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

mod support;

use std::path::PathBuf;

use isukit_proto::DecodeError;
use proptest::prelude::*;
use prost::Message as _;
use support::{Choices, Wild, json, message, pool, protos, wire};

#[allow(
    clippy::all,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "generated"
)]
mod generated {
    include!("generated/oracle.v1.rs");
}

const EVERYTHING: &str = "oracle.v1.Everything";

#[test]
fn the_generated_code_is_current() {
    let mut compiler = protox::Compiler::new([protos()]).unwrap();
    let set = compiler
        .open_file("everything.proto")
        .unwrap()
        .include_imports(true)
        .file_descriptor_set();
    let dir = tempfile::tempdir().unwrap();
    prost_build::Config::new()
        .out_dir(dir.path())
        .compile_fds(set)
        .unwrap();
    let made = std::fs::read_to_string(dir.path().join("oracle.v1.rs")).unwrap();
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/generated/oracle.v1.rs");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    assert!(
        std::fs::read_to_string(&file).unwrap() == made,
        "out of date: set UPDATE_GENERATED=1 and run again"
    );
}

fn generated_wire(choices: &[u8], wild: Wild) -> Vec<u8> {
    wire(
        &pool().get_message_by_name(EVERYTHING).unwrap(),
        &mut Choices::new(choices),
        0,
        wild,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_code_reads_the_same_message(choices in proptest::collection::vec(any::<u8>(), 0..400)) {
        let bytes = generated_wire(&choices, Wild { unknown: true, odd_enums: true, out_of_range: false });
        let message = message(EVERYTHING);
        let theirs = generated::Everything::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(json(&message, &bytes), json(&message, &theirs.encode_to_vec()));
        let mut ours = Vec::new();
        message.from_json(json(&message, &bytes).as_bytes(), &isukit_proto::JsonParseOptions::new(), &mut ours).unwrap();
        let reread = generated::Everything::decode(ours.as_slice()).unwrap();
        prop_assert_eq!(json(&message, &reread.encode_to_vec()), json(&message, &bytes));
    }

    #[test]
    fn generated_code_refuses_the_same_bytes(
        choices in proptest::collection::vec(any::<u8>(), 0..300),
        at in any::<u16>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = generated_wire(&choices, Wild::UNKNOWN);
        if let Some(at) = usize::from(at).checked_rem(bytes.len()) {
            match cut {
                true => bytes.truncate(at),
                false => bytes[at] = byte,
            }
        }
        let theirs = generated::Everything::decode(bytes.as_slice()).map(drop);
        let ours = message(EVERYTHING).validate(&bytes);
        // Theirs takes any wire type, even the end of a group, for a map and its entries.
        let stricter = matches!(
            ours,
            Err(DecodeError::WireType { .. } | DecodeError::Group { .. })
        );
        prop_assert!(ours.is_ok() == theirs.is_ok() || stricter, "{:?} {:?} {:02x?}", ours, theirs, bytes);
    }
}
