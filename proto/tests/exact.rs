//! Exact text, and text back to bytes.
#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

mod support;

use isukit_proto::{EncodeError, Limits, TextOptions, TextParseOptions, schemaless};
use proptest::prelude::*;
use support::{Choices, Wild, message, pool, text, wire};

const EVERYTHING: &str = "oracle.v1.Everything";
const LEGACY: &str = "oracle.v1.Legacy";

fn exact(name: &str, bytes: &[u8]) -> String {
    let mut out = Vec::new();
    message(name).to_exact_text(bytes, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn parse(name: &str, text: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    message(name)
        .from_text(text, &TextParseOptions::new(), &mut out)
        .map(|()| out)
}

#[test]
fn every_byte_is_told() {
    #[track_caller]
    fn check(name: &str, bytes: &[u8], expected: &str) {
        let shown = exact(name, bytes);
        assert_eq!(shown, expected);
        assert_eq!(parse(name, shown.as_bytes()).unwrap(), bytes);
    }
    check(EVERYTHING, &[], "");
    check(
        EVERYTHING,
        &[0x18, 0x00, 0x18, 0x05],
        "an_int32: 0\nan_int32: 5\n",
    );
    check(
        EVERYTHING,
        &[0x98, 0x00, 0x05],
        "[isukit.wire]: \"\\230\\000\\005\"  # an_int32, longer than it need be\n",
    );
    check(
        EVERYTHING,
        &[0x18, 0x85, 0x00],
        "[isukit.wire]: \"\\030\\205\\000\"  # an_int32, longer than it need be\n",
    );
    check(EVERYTHING, &[0x68, 0x02], "13: 2  # a_bool: true\n");
    check(EVERYTHING, &[0x68, 0x01], "a_bool: true\n");
    check(
        EVERYTHING,
        &[0x1a, 0x01, b'A'],
        "3: \"A\"  # an_int32 is int32\n",
    );
    check(
        EVERYTHING,
        &[0x18, 0xff, 0xff, 0xff, 0xff, 0x0f],
        "3: 4294967295  # an_int32: -1\n",
    );
    check(EVERYTHING, &[0x80, 0x01, 0x63], "color: 99\n");
    check(EVERYTHING, &[0x80, 0x01, 0x02], "color: COLOR_GREEN\n");
    check(
        EVERYTHING,
        &[0x72, 0x03, 0xe3, 0x81, 0x82],
        "a_string: \"あ\"\n",
    );
    check(
        EVERYTHING,
        &[0x72, 0x01, 0xff],
        "14: \"\\377\"  # a_string, not UTF-8\n",
    );
    check(EVERYTHING, &[0x7a, 0x01, 0xff], "some_bytes: \"\\377\"\n");
    check(
        EVERYTHING,
        &[0xf2, 0x01, 0x02, 0x01, 0x02],
        "packed_int32: [1, 2]\n",
    );
    check(EVERYTHING, &[0xf2, 0x01, 0x00], "packed_int32: []\n");
    check(
        EVERYTHING,
        &[0xf0, 0x01, 0x05],
        "30: 5  # packed_int32, not packed: 5\n",
    );
    check(
        EVERYTHING,
        &[0xaa, 0x02, 0x02, 0x01, 0x02],
        "37: \"\\001\\002\"  # loose_uint64, packed: 1, 2\n",
    );
    check(EVERYTHING, &[0xa8, 0x02, 0x01], "loose_uint64: 1\n");
    check(
        EVERYTHING,
        &[0x15, 0x01, 0x00, 0xc0, 0x7f],
        "2: 0x7fc00001  # a_float: nan\n",
    );
    check(EVERYTHING, &[0x15, 0x00, 0x00, 0x00, 0x80], "a_float: -0\n");
    check(
        EVERYTHING,
        &[
            0x8a, 0x01, 0x02, 0x08, 0x07, 0x8a, 0x01, 0x00, 0x8a, 0x01, 0x03, 0x12, 0x09, 0x41,
        ],
        "inner {\n  n: 7\n}\ninner {}\ninner {\n  [isukit.wire]: \"\\022\\tA\"  # cut off\n}\n",
    );
    check(
        EVERYTHING,
        &[0x92, 0x03, 0x06, 0x12, 0x01, b'v', 0x0a, 0x01, b'k'],
        "by_string {\n  value: \"v\"\n  key: \"k\"\n}\n",
    );
    check(
        EVERYTHING,
        &[0x18, 0x01, 0x00, 0x01],
        "an_int32: 1\n[isukit.wire]: \"\\000\\001\"  # no field\n",
    );
    check(
        EVERYTHING,
        &[0xc3, 0x3e, 0x08, 0x01, 0xc4, 0x3e],
        "[isukit.wire]: \"\\303>\\010\\001\\304>\"  # 1000, a group\n",
    );
    check(
        EVERYTHING,
        &[0xc2, 0x3e, 0x02, b'h', b'i'],
        "1000: \"hi\"\n",
    );
    check(
        EVERYTHING,
        &[0xc2, 0x3e, 0x04, 0x08, 0x01, 0x10, 0x02],
        "1000 {\n  1: 1\n  2: 2\n}\n",
    );
    check(
        EVERYTHING,
        &[0xc5, 0x3e, 0, 0, 0xc0, 0x3f],
        "1000: 0x3fc00000  # 1.5\n",
    );
    check(
        LEGACY,
        &[0x73, 0x08, 0x05, 0x74],
        "Single {\n  inside: 5\n}\n",
    );
    check(LEGACY, &[0x40, 0x07], "8: 7  # mood: 7\n");
    check(LEGACY, &[0xa0, 0x06, 0x07], "[oracle.v1.ext_number]: 7\n");
    let mut any = vec![0xda, 0x06, 0x17, 0x0a, 0x11];
    any.extend(b"x/oracle.v1.Inner");
    any.extend([0x12, 0x02, 0x08, 0x07]);
    check(
        EVERYTHING,
        &any,
        "wkt_any {\n  [x/oracle.v1.Inner] {\n    n: 7\n  }\n}\n",
    );
    any[2] += 2;
    any.extend([0x0a, 0x00]);
    check(
        EVERYTHING,
        &any,
        "wkt_any {\n  type_url: \"x/oracle.v1.Inner\"\n  value: \"\\010\\007\"\n  type_url: \"\"\n}\n",
    );
}

#[test]
fn ordinary_text_is_read() {
    #[track_caller]
    fn check(name: &str, given: &str, expected: &[u8]) {
        assert_eq!(
            parse(name, given.as_bytes()),
            Ok(expected.to_vec()),
            "{given}"
        );
    }
    let inner = [0x8a, 0x01, 0x02, 0x08, 0x07];
    check(EVERYTHING, "inner { n: 7 }", &inner);
    check(EVERYTHING, "inner: < n: 7; >,", &inner);
    check(EVERYTHING, "# comment\ninner:{n:7,}# last", &inner);
    check(
        EVERYTHING,
        "inners: [{n: 1}, <n: 2>]",
        &[0xc2, 0x02, 2, 8, 1, 0xc2, 0x02, 2, 8, 2],
    );
    check(
        EVERYTHING,
        "packed_int32: 1 packed_int32: 2",
        &[0xf2, 0x01, 2, 1, 2],
    );
    check(
        EVERYTHING,
        "packed_int32: [1, 2] packed_int32: [3]",
        &[0xf2, 0x01, 2, 1, 2, 0xf2, 0x01, 1, 3],
    );
    check(EVERYTHING, "packed_int32: []", &[0xf2, 0x01, 0]);
    check(
        EVERYTHING,
        "loose_uint64: [1, 2]",
        &[0xa8, 0x02, 1, 0xa8, 0x02, 2],
    );
    check(EVERYTHING, "an_int32: 0x10", &[0x18, 0x10]);
    check(EVERYTHING, "an_int32: 017", &[0x18, 0x0f]);
    check(EVERYTHING, "a_sint32: - # minus\n1", &[0x38, 0x01]);
    check(EVERYTHING, "a_bool: t", &[0x68, 1]);
    check(EVERYTHING, "a_bool: False", &[0x68, 0]);
    check(EVERYTHING, "a_bool: 0x1", &[0x68, 1]);
    check(EVERYTHING, "color: COLOR_GREEN", &[0x80, 0x01, 2]);
    check(EVERYTHING, "color: 2", &[0x80, 0x01, 2]);
    check(EVERYTHING, "a_float: 1.5f", &[0x15, 0, 0, 0xc0, 0x3f]);
    check(EVERYTHING, "a_float: -.5e0", &[0x15, 0, 0, 0, 0xbf]);
    check(EVERYTHING, "a_float: 10F", &[0x15, 0, 0, 0x20, 0x41]);
    check(EVERYTHING, "a_float: -Infinity", &[0x15, 0, 0, 0x80, 0xff]);
    check(EVERYTHING, "a_float: nan", &[0x15, 0, 0, 0xc0, 0x7f]);
    check(EVERYTHING, "a_float: 1e99", &[0x15, 0, 0, 0x80, 0x7f]);
    check(
        EVERYTHING,
        "a_string: 'a' \"b\"\n  'c'",
        &[0x72, 3, b'a', b'b', b'c'],
    );
    check(
        EVERYTHING,
        r#"some_bytes: "\a\b\f\n\r\t\v\?\\\'\"\0\12\377\x7\xfF\u00e9\U0001F600\uD83D\uDE00""#,
        &[
            0x7a, 26, 7, 8, 12, 10, 13, 9, 11, b'?', b'\\', b'\'', b'"', 0, 10, 255, 7, 255, 0xc3,
            0xa9, 0xf0, 0x9f, 0x98, 0x80, 0xf0, 0x9f, 0x98, 0x80,
        ]
        .map(|byte| byte),
    );
    check(EVERYTHING, "5: 1 5: 0x1", &[0x28, 1, 0x28, 1]);
    check(
        EVERYTHING,
        "5: -1",
        &[0x28, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
    );
    check(EVERYTHING, "5: 0x00000001", &[0x2d, 1, 0, 0, 0]);
    check(
        EVERYTHING,
        "5: 0x0000000000000001",
        &[0x29, 1, 0, 0, 0, 0, 0, 0, 0],
    );
    check(
        EVERYTHING,
        "5: \"a\" 5 { 1: 2 } 5: [1, \"b\"]",
        &[0x2a, 1, b'a', 0x2a, 2, 8, 2, 0x28, 1, 0x2a, 1, b'b'],
    );
    check(
        LEGACY,
        "Single { inside: 5 } single: < inside: 6 >",
        &[0x73, 8, 5, 0x74, 0x73, 8, 6, 0x74],
    );
    check(LEGACY, "[oracle.v1.ext_number]: 7", &[0xa0, 0x06, 7]);
    check(
        LEGACY,
        "[ oracle . v1 # here\n.ext_strings ]: ['a', 'b']",
        &[0xaa, 6, 1, b'a', 0xaa, 6, 1, b'b'],
    );
    check(
        LEGACY,
        "loose: [1,2] packed: [-1, 1]",
        &[0x50, 1, 0x50, 2, 0x5a, 2, 1, 2],
    );
}

#[test]
fn faults_have_their_place() {
    #[track_caller]
    fn check(given: &str, expected: &str) {
        let error = parse(EVERYTHING, given.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{given}: {error}");
    }
    check(
        "an_int32: 1\n  aString: 'a'",
        "line 2 column 3: oracle.v1.Everything has no field aString; did you mean a_string",
    );
    check(
        "inner { txt: 'a' }",
        "line 1 column 9 in inner: oracle.v1.Inner has no field txt",
    );
    check("an_int32: 2147483648", "2147483648 is no int32");
    check("an_int32: -2147483649", "-2147483649 is no int32");
    check("a_uint32: -1", "-1 is no uint32");
    check("an_int32: 1.5", "a value of type int32");
    check("an_int32: 1b: 2", "a value of type int32");
    check("an_int32: 'a'", "found a string");
    check("an_int32 1", "a colon");
    check("an_int32: [1]", "no list");
    check("a_bool: 2", "2 is no bool");
    check("a_bool: TRUE", "a value of type bool");
    check("a_float: 0x10", "a value of type float");
    check("a_float: 007", "a value of type float");
    check("a_float: infinite", "a value of type float");
    check("color: COLOR_GREN", "did you mean COLOR_GREEN");
    check("a_string: 'a", "a string that ends on its line");
    check("a_string: 'a\n'", "a string that ends on its line");
    check("a_string: '\\q'", "an escape");
    check("a_string: '\\777'", "an octal escape");
    check("a_string: '\\xg'", "hexadecimal digits");
    check("a_string: '\\ud800'", "of a character");
    check("a_string: '\\377'", "not UTF-8");
    check("inner { n: 1 >", "a field or }");
    check("inner < n: 1 }", "a field or >");
    check("inner { n: 1", "a field or }");
    check("}", "expected a field");
    check("inners: [{} {}]", "a comma or ]");
    check("packed_int32: [1,]", "a value of type int32");
    check("0: 1", "a number from 1");
    check("536870912: 1", "a number from 1");
    check("5: 1.5", "an integer of 64 bits");
    check("5 1", "a colon or {");
    check("[oracle.v1.none]: 1", "has no field [oracle.v1.none]");
    check("[x/oracle.v1.Inner] {}", "only google.protobuf.Any");
    check(
        "wkt_any { [x/oracle.v1.Iner] {} }",
        "did you mean oracle.v1.Inner",
    );
    check("an_int32: 1 é", "a field, a value or a comment");
}

#[test]
fn strict_reading_refuses_what_protoc_refuses() {
    for given in [
        "an_int32: 1 an_int32: 2",
        "inner {} inner {}",
        "choice_int32: 1 choice_string: 'a'",
        "5: 1",
        "[isukit.wire]: 'a'",
    ] {
        assert!(parse(EVERYTHING, given.as_bytes()).is_ok(), "{given}");
        let strict = TextParseOptions::new().strict(true);
        let mut out = vec![1];
        let read = message(EVERYTHING).from_text(given.as_bytes(), &strict, &mut out);
        assert!(read.is_err(), "{given}");
        assert_eq!(out, [1]);
    }
}

#[test]
fn limits_hold_for_text() {
    let limits = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        support::schema()
            .with_limits(limits)
            .message(EVERYTHING)
            .unwrap()
    };
    let read = |of: &isukit_proto::Message, given: &str| {
        of.from_text(given.as_bytes(), &TextParseOptions::new(), &mut Vec::new())
            .is_ok()
    };
    let of = limits(|limits| limits.depth = 2);
    assert!(read(&of, "self { self { } }"));
    assert!(!read(&of, "self { self { self { } } }"));
    let of = limits(|limits| limits.text_bytes = 11);
    assert!(read(&of, "an_int32: 1"));
    assert!(!read(&of, "an_int32: 11"));
    let of = limits(|limits| limits.message_bytes = 4);
    assert!(read(&of, "a_string: 'ab'"));
    assert!(!read(&of, "a_string: 'abc'"));
    assert!(!read(&of, "loose_uint64: [1, 2]"));
    let deep = "self {".repeat(100_000);
    assert!(!read(&message(EVERYTHING), &deep));
    let of = limits(|limits| limits.fields = 2);
    assert!(
        of.to_exact_text(&[0x18, 1, 0x18, 1], &mut Vec::new())
            .is_ok()
    );
    assert!(
        of.to_exact_text(&[0x18, 1, 0x18, 1, 0x18, 1], &mut Vec::new())
            .is_err()
    );
    // Messages too deep are bytes.
    let of = limits(|limits| limits.depth = 0);
    let mut out = Vec::new();
    of.to_exact_text(&[0x8a, 0x01, 0x02, 0x08, 0x07], &mut out)
        .unwrap();
    assert_eq!(out, b"17: \"\\010\\007\"  # inner, nested too deeply\n");
}

/// What both ways must hold for any bytes.
fn round(name: &str, bytes: &[u8]) -> Result<(), TestCaseError> {
    let shown = exact(name, bytes);
    let again = parse(name, shown.as_bytes());
    prop_assert_eq!(again.as_deref(), Ok(bytes), "{}", shown);
    let (mut shown, mut again) = (Vec::new(), Vec::new());
    schemaless::to_text(bytes, &Limits::default(), &mut shown).unwrap();
    schemaless::from_text(&shown, &Limits::default(), &mut again).unwrap();
    prop_assert_eq!(&again, bytes, "{}", String::from_utf8_lossy(&shown));
    Ok(())
}

fn name(legacy: bool) -> &'static str {
    if legacy { LEGACY } else { EVERYTHING }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_round(choices in proptest::collection::vec(any::<u8>(), 0..400), legacy in any::<bool>()) {
        let descriptor = pool().get_message_by_name(name(legacy)).unwrap();
        let bytes = wire(&descriptor, &mut Choices::new(&choices), 0, Wild::UNKNOWN);
        round(name(legacy), &bytes)?;
    }

    #[test]
    fn broken_messages_round(
        choices in proptest::collection::vec(any::<u8>(), 0..300),
        edits in proptest::collection::vec(any::<(u8, u16, u8)>(), 1..5),
        legacy in any::<bool>(),
    ) {
        let descriptor = pool().get_message_by_name(name(legacy)).unwrap();
        let mut bytes = wire(&descriptor, &mut Choices::new(&choices), 0, Wild::UNKNOWN);
        for (what, at, byte) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = usize::from(at) % bytes.len();
            match what % 3 {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        round(name(legacy), &bytes)?;
    }

    #[test]
    fn any_bytes_round(bytes in proptest::collection::vec(any::<u8>(), 0..200), legacy in any::<bool>()) {
        round(name(legacy), &bytes)?;
    }

    #[test]
    fn ordinary_text_means_the_same(choices in proptest::collection::vec(any::<u8>(), 0..400), legacy in any::<bool>()) {
        let descriptor = pool().get_message_by_name(name(legacy)).unwrap();
        let bytes = wire(&descriptor, &mut Choices::new(&choices), 0, Wild::NONE);
        let of = message(name(legacy));
        for options in [TextOptions::new(), TextOptions::new().expand_any(true)] {
            let (mut shown, mut again) = (Vec::new(), Vec::new());
            of.to_text(&bytes, &options, &mut shown).unwrap();
            of.from_text(&shown, &TextParseOptions::new().strict(true), &mut again).unwrap();
            prop_assert_eq!(text(&of, &again), text(&of, &bytes));
        }
    }
}
