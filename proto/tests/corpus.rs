//! Replays the fuzz corpus, and throws arbitrary and mutated bytes at the same bodies.
#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

mod support;

use std::path::PathBuf;

use isukit_proto::fuzz;
use proptest::prelude::*;
use support::{Choices, Wild, pool, wire};

type Body = fn(&[u8]);

const TARGETS: [(&str, Body); 11] = [
    ("wire", fuzz::wire),
    ("json", fuzz::json),
    ("path", fuzz::path),
    ("template", fuzz::template),
    ("write", fuzz::write),
    ("descriptors", fuzz::descriptors),
    ("fit", fuzz::fit),
    ("readable", fuzz::readable),
    ("exact", fuzz::exact),
    ("text", fuzz::text),
    ("schemaless", fuzz::schemaless),
];

#[test]
fn the_corpus_passes() {
    for (name, body) in TARGETS {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(name);
        let mut count = 0;
        for entry in std::fs::read_dir(dir).unwrap() {
            body(&std::fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 0, "no corpus for {name}");
    }
}

/// Changes, removes and doubles a few bytes.
fn mutate(mut bytes: Vec<u8>, edits: &[(u8, u16, u8)]) -> Vec<u8> {
    for (what, at, byte) in edits {
        if bytes.is_empty() {
            break;
        }
        let at = usize::from(*at) % bytes.len();
        match what % 4 {
            0 => bytes[at] = *byte,
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, *byte),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for (_, body) in TARGETS {
            body(&bytes);
        }
    }

    #[test]
    fn mutated_messages_never_panic(
        choices in proptest::collection::vec(any::<u8>(), 0..300),
        edits in proptest::collection::vec(any::<(u8, u16, u8)>(), 0..5),
        legacy in any::<bool>(),
    ) {
        let name = if legacy { "oracle.v1.Legacy" } else { "oracle.v1.Everything" };
        let descriptor = pool().get_message_by_name(name).unwrap();
        let bytes = mutate(wire(&descriptor, &mut Choices::new(&choices), 0, Wild::UNKNOWN), &edits);
        let data = [&[u8::from(legacy)][..], &bytes].concat();
        for body in [fuzz::wire, fuzz::fit, fuzz::readable, fuzz::exact, fuzz::schemaless] {
            body(&data);
        }
        fuzz::schemaless(&bytes);
        for path in ["inner.text", "inners[1].n", "by_string[\"a\"]", "choice_self.an_int32", "by_bool", "packed_double[2]"] {
            fuzz::path(&[&[0], path.as_bytes(), &[0], &bytes].concat());
        }
    }

    #[test]
    fn mutated_json_never_panics(
        choices in proptest::collection::vec(any::<u8>(), 0..300),
        edits in proptest::collection::vec(any::<(u8, u16, u8)>(), 0..4),
    ) {
        let descriptor = pool().get_message_by_name("oracle.v1.Everything").unwrap();
        let bytes = wire(&descriptor, &mut Choices::new(&choices), 0, Wild::NONE);
        let json = support::json(&support::message("oracle.v1.Everything"), &bytes);
        let json = mutate(json.into_bytes(), &edits);
        let data = [&[0][..], &json].concat();
        fuzz::json(&data);
        fuzz::template(&data);
    }
}
