//! How bytes fit types, which types are alike, and what of a broken body can be read.
#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

mod support;

use isukit_proto::{DecodeError, Fit, JsonOptions, Schema, TextOptions};
use proptest::prelude::*;
use support::{Choices, Wild, json, message, pool, wire};

fn compile(source: &str) -> Schema {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("syntax = \"proto3\"; package t;\n{source}");
    std::fs::write(dir.path().join("t.proto"), text).unwrap();
    Schema::compile(&[dir.path().to_owned()]).unwrap()
}

#[test]
fn oddities_are_counted() {
    #[track_caller]
    fn check(bytes: &[u8], count: fn(&Fit) -> u32, expected: u32) {
        let fit = message("oracle.v1.Everything").fit(bytes);
        assert_eq!(count(&fit), expected, "{fit:?}");
        assert_eq!(
            fit.valid,
            message("oracle.v1.Everything").validate(bytes).is_ok()
        );
    }
    check(&[0x18, 0x01], |fit| fit.known_fields, 1);
    check(&[0x18, 0x01], |fit| fit.known_bytes as u32, 2);
    check(&[0xc8, 0x3e, 0x01], |fit| fit.unknown_fields, 1);
    check(&[0xc8, 0x3e, 0x01], |fit| fit.unknown_bytes as u32, 3);
    check(&[0x1a, 0x00], |fit| fit.wire_mismatches, 1);
    check(&[0x80, 0x01, 0x07], |fit| fit.unnamed_enums, 1);
    check(&[0x80, 0x01, 0x02], |fit| fit.unnamed_enums, 0);
    check(&[0x72, 0x01, 0x02], |fit| fit.control_strings, 1);
    check(&[0x72, 0x01, 0x0a], |fit| fit.control_strings, 0);
    check(&[0x20, 0x01, 0x18, 0x01], |fit| fit.unordered, 1);
    check(&[0x18, 0x00, 0x72, 0x00], |fit| fit.explicit_defaults, 2);
    check(&[0xa0, 0x01, 0x00], |fit| fit.explicit_defaults, 0);
    check(&[0x18, 0x01, 0x18, 0x02], |fit| fit.repeated_singulars, 1);
    check(
        &[0xb0, 0x04, 0x01, 0xba, 0x04, 0x01, b'a'],
        |fit| fit.repeated_singulars,
        1,
    );
    check(&[0xf0, 0x01, 0x01], |fit| fit.packing_mismatches, 1);
    check(&[0xf2, 0x01, 0x01, 0x01], |fit| fit.packing_mismatches, 0);
    check(&[0xaa, 0x02, 0x01, 0x01], |fit| fit.packing_mismatches, 1);
    check(&[0x68, 0x02], |fit| fit.odd_bools, 1);
    check(&[0x92, 0x02, 0x03, 1, 2, 3], |fit| fit.odd_bools, 2);
    let narrow = [0x18, 0xff, 0xff, 0xff, 0xff, 0x0f];
    check(&narrow, |fit| fit.odd_integers, 1);
    let extended = [
        0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
    ];
    check(&extended, |fit| fit.odd_integers, 0);
    check(&[0x7a, 0x02, 1, 2], |fit| fit.opaque_bytes as u32, 2);
    // Nested: Inner.n = 0 is not sent, a map entry's key is.
    check(
        &[0x8a, 0x01, 0x02, 0x08, 0x00],
        |fit| fit.explicit_defaults,
        1,
    );
    check(
        &[0x9a, 0x03, 0x02, 0x08, 0x00],
        |fit| fit.explicit_defaults,
        0,
    );
}

#[test]
fn a_refusal_tells_what_came_before() {
    #[track_caller]
    fn check(name: &str, bytes: &[u8], fields: u32, read: usize) {
        let fit = message(name).fit(bytes);
        assert!(!fit.valid);
        assert_eq!((fit.known_fields, fit.read), (fields, read), "{fit:?}");
        assert!(fit.score() < 0.25, "{fit:?}");
        assert!(fit.opaque_bytes <= fit.known_bytes, "{fit:?}");
    }
    check(
        "oracle.v1.Everything",
        &[0x18, 0x05, 0xf2, 0x01, 0x03, 1, 2, 0x80],
        1,
        2,
    );
    check("oracle.v1.Everything", &[0x18, 0x05, 0x00], 1, 2);
    check("oracle.v1.Everything", &[0x18, 0x05, 0x18], 1, 2);
    check(
        "oracle.v1.Everything",
        &[0x18, 0x05, 0x72, 0x09, b'a'],
        1,
        2,
    );
    check(
        "oracle.v1.Everything",
        &[0x8a, 0x01, 0x04, 0x08, 0x07, 0x08, 0x80],
        2,
        5,
    );
    check("oracle.v1.Everything", &[0x18, 0x05, 0x0c], 1, 2);
    check("oracle.v1.Legacy", &[0x08, 0x05, 0x73, 0x08, 0x05], 3, 5);
}

#[test]
fn empty_bytes_say_nothing() {
    let fit = message("oracle.v1.Everything").fit(&[]);
    assert!(fit.valid);
    assert!((fit.score() - 0.5).abs() < 1e-9);
    assert!(
        message("oracle.v1.Strict").fit(&[]).score() < 1e-9,
        "required"
    );
}

/// A small API, and bodies of it: each must fit its own type best.
#[test]
fn the_right_type_wins() {
    let schema = compile(
        r#"
        message Team { int64 id = 1; string name = 2; repeated Member members = 3; Kind kind = 4; }
        message Member { int64 id = 1; string name = 2; bool leader = 3; double rating = 4; }
        message TeamList { repeated Team teams = 1; string next_page_token = 2; }
        message Login { string user = 1; string password = 2; }
        message Session { bytes token = 1; int64 expires_at = 2; }
        message Point { double x = 1; double y = 2; }
        message Scores { repeated int32 scores = 1; }
        message Error { int32 code = 1; string message = 2; repeated string details = 3; }
        message Empty {}
        enum Kind { KIND_NONE = 0; KIND_STUDENT = 1; KIND_OPEN = 2; }
        "#,
    );
    let best = |bytes: &[u8]| {
        let mut ranked: Vec<(f64, String)> = schema
            .messages()
            .filter(|message| message.full_name().starts_with("t."))
            .map(|message| (message.fit(bytes).score(), message.full_name().to_owned()))
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        ranked
    };
    for (name, json) in [
        (
            "t.Team",
            r#"{"id":7,"name":"seven","members":[{"id":1,"name":"ann","rating":3.5}],"kind":"KIND_OPEN"}"#,
        ),
        (
            "t.Member",
            r#"{"id":1,"name":"ann","leader":true,"rating":3.5}"#,
        ),
        (
            "t.TeamList",
            r#"{"teams":[{"id":7,"name":"seven"},{"id":8,"name":"eight"}],"nextPageToken":"abc"}"#,
        ),
        ("t.Login", r#"{"user":"ann","password":"secret"}"#),
        (
            "t.Session",
            r#"{"token":"//79AAEC","expiresAt":1700000000}"#,
        ),
        ("t.Point", r#"{"x":1.5,"y":-2}"#),
        ("t.Scores", r#"{"scores":[1,200,3,-4]}"#),
        (
            "t.Error",
            r#"{"code":5,"message":"gone","details":["a","b"]}"#,
        ),
    ] {
        let mut bytes = Vec::new();
        let of = schema.message(name).unwrap();
        of.from_json(
            json.as_bytes(),
            &isukit_proto::JsonParseOptions::new(),
            &mut bytes,
        )
        .unwrap();
        let ranked = best(&bytes);
        assert_eq!(ranked[0].1, name, "{json}: {ranked:?}");
        assert!(ranked[0].0 > ranked[1].0, "{json}: {ranked:?}");
        // A body whose end was lost still fits its type best.
        let cut = best(&bytes[..bytes.len() - 1]);
        let own = cut.iter().find(|(_, full)| full == name).unwrap();
        assert!(own.0 >= cut[0].0 - 1e-9, "{json} cut: {cut:?}");
    }
}

#[test]
fn alike_types_are_told() {
    let schema = compile(
        r#"
        message A { int32 a = 1; A next = 2; }
        message B { int32 other = 1; B following = 2; }
        message C { int32 a = 1; D next = 2; }
        message D { int32 a = 1; C next = 2; }
        message E { int64 a = 1; E next = 2; }
        message F { int32 a = 1; repeated F next = 2; }
        message G { int32 a = 1; E next = 2; }
        message H { X x = 1; } message I { Y y = 1; } message J { Z z = 1; }
        enum X { X0 = 0; X1 = 1; } enum Y { Y0 = 0; Y1 = 1; } enum Z { Z0 = 0; Z2 = 2; }
        "#,
    );
    let get = |name: &str| schema.message(&format!("t.{name}")).unwrap();
    let names = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"];
    let groups = ["ABCD", "E", "F", "G", "HI", "J"];
    for a in names {
        for b in names {
            let alike = groups
                .iter()
                .any(|group| group.contains(a) && group.contains(b));
            assert_eq!(get(a).is_like(&get(b)), alike, "{a} {b}");
            assert_eq!(get(a).shape() == get(b).shape(), alike, "{a} {b}");
        }
    }
}

#[test]
fn the_readable_beginning() {
    #[track_caller]
    fn check(bytes: &[u8], expected: &str, offset: Option<usize>) {
        let of = message("oracle.v1.Everything");
        let readable = of.readable(bytes);
        assert_eq!(json(&of, &readable.bytes), expected);
        assert_eq!(
            readable.error.as_ref().map(DecodeError::offset),
            offset,
            "{readable:?}"
        );
    }
    check(&[0x18, 0x05], r#"{"anInt32":5}"#, None);
    // A foreign wire type and an overlong tag are no faults.
    check(
        &[0x1a, 0x01, 0x41, 0x98, 0x00, 0x05],
        r#"{"anInt32":5}"#,
        None,
    );
    check(&[0x18, 0x05, 0x20], r#"{"anInt32":5}"#, Some(3));
    check(&[0x18, 0x05, 0x00], r#"{"anInt32":5}"#, Some(2));
    check(&[0x72, 0x05, b'a', b'b'], r#"{"aString":"ab"}"#, Some(1));
    check(&[0x72, 0x03, b'a', 0xc3, 0xa9], r#"{"aString":"aé"}"#, None);
    check(&[0x72, 0x03, b'a', 0xc3], r#"{"aString":"a"}"#, Some(1));
    check(
        &[0x72, 0x02, b'a', 0xff, 0x18, 0x01],
        r#"{"aString":"a"}"#,
        Some(3),
    );
    check(&[0x7a, 0x05, 1, 2, 3], r#"{"someBytes":"AQID"}"#, Some(1));
    check(
        &[0x8a, 0x01, 0x20, 0x08, 0x07, 0x12, 0x09, b'h', b'i'],
        r#"{"inner":{"n":7,"text":"hi"}}"#,
        Some(2),
    );
    check(
        &[0x8a, 0x01, 0x04, 0x08, 0x07, 0x12, 0x09, 0x18, 0x01],
        r#"{"inner":{"n":7,"text":""}}"#.replace(r#","text":"""#, "").as_str(),
        Some(6),
    );
    check(
        &[0xf2, 0x01, 0x05, 1, 2, 0x80],
        r#"{"packedInt32":[1,2]}"#,
        Some(2),
    );
    // A map entry without its value is not shown, one with it is.
    check(&[0x92, 0x03, 0x06, 0x0a, 0x01, b'k'], "{}", Some(2));
    check(
        &[0x92, 0x03, 0x06, 0x0a, 0x01, b'k', 0x12, 0x01],
        r#"{"byString":{"k":""}}"#,
        Some(2),
    );
    // Half a path of a mask is none.
    check(
        &[0xb2, 0x06, 0x09, 0x0a, 0x01, b'a', 0x0a, 0x05, b'b', b'_'],
        r#"{"wktMask":"a"}"#,
        Some(2),
    );
    let mut any = vec![0xda, 0x06, 0x30, 0x0a, 0x11];
    any.extend(b"x/oracle.v1.Inner");
    any.extend([0x12, 0x10, 0x08, 0x07, 0x12, 0x05, b'h']);
    check(
        &any,
        r#"{"wktAny":{"@type":"x/oracle.v1.Inner","n":7,"text":"h"}}"#,
        Some(2),
    );
}

#[test]
fn groups_are_closed() {
    let of = message("oracle.v1.Legacy");
    let readable = of.readable(&[0x73, 0x08, 0x05, 0x13, 0x08, 0x01]);
    assert_eq!(
        readable.bytes,
        [0x73, 0x08, 0x05, 0x13, 0x08, 0x01, 0x14, 0x74]
    );
    assert!(readable.error.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whole_bodies_give_themselves(choices in proptest::collection::vec(any::<u8>(), 0..400), legacy in any::<bool>()) {
        let name = if legacy { "oracle.v1.Legacy" } else { "oracle.v1.Everything" };
        let descriptor = pool().get_message_by_name(name).unwrap();
        let bytes = wire(&descriptor, &mut Choices::new(&choices), 0, Wild::UNKNOWN);
        let of = message(name);
        let readable = of.readable(&bytes);
        prop_assert_eq!(readable.error, None);
        prop_assert_eq!(&readable.bytes, &bytes);
        prop_assert_eq!(of.fit(&bytes).valid, of.validate(&bytes).is_ok());
        prop_assert!(of.fit(&bytes).known_bytes + of.fit(&bytes).unknown_bytes == bytes.len());
    }

    #[test]
    fn cut_bodies_read_up_to_the_cut(
        choices in proptest::collection::vec(any::<u8>(), 0..400),
        cut in any::<u16>(),
    ) {
        let descriptor = pool().get_message_by_name("oracle.v1.Everything").unwrap();
        let bytes = wire(&descriptor, &mut Choices::new(&choices), 0, Wild::UNKNOWN);
        let bytes = &bytes[..usize::from(cut) % (bytes.len() + 1)];
        let of = message("oracle.v1.Everything");
        let readable = of.readable(bytes);
        let mut out = Vec::new();
        let shown = of.to_json(&readable.bytes, &JsonOptions::new(), &mut out);
        prop_assert!(matches!(shown, Ok(()) | Err(DecodeError::NoJson { .. })), "{:?}", shown);
        prop_assert_eq!(of.to_text(&readable.bytes, &TextOptions::new(), &mut out), Ok(()));
        prop_assert!(readable.error.is_some() || readable.bytes == bytes);
    }
}
