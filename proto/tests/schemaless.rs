//! Readings without a schema.
#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

mod support;

use isukit_proto::{DecodeError, Limits, schemaless};
use proptest::prelude::*;
use support::{Choices, Wild, pool, wire};

fn json(bytes: &[u8]) -> Result<String, DecodeError> {
    let mut out = Vec::new();
    schemaless::to_json(bytes, &Limits::default(), &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn text(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    schemaless::to_text(bytes, &Limits::default(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_likeliest_reading() {
    #[track_caller]
    fn check(bytes: &[u8], expected_json: &str, expected_text: &str) {
        assert_eq!(json(bytes).as_deref(), Ok(expected_json));
        assert_eq!(text(bytes), expected_text);
    }
    check(&[], "{}", "");
    check(&[0x08, 0x96, 0x01], r#"{"1":150}"#, "1: 150\n");
    check(
        &[0x08, 1, 0x10, 2, 0x08, 3],
        r#"{"1":[1,3],"2":2}"#,
        "1: 1\n2: 2\n1: 3\n",
    );
    let minus = [0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
    check(&minus, r#"{"1":-1}"#, "1: 18446744073709551615  # -1\n");
    check(&[0x12, 2, b'h', b'i'], r#"{"2":"hi"}"#, "2: \"hi\"\n");
    check(&[0x12, 3, 0xe3, 0x81, 0x82], r#"{"2":"あ"}"#, "2: \"あ\"\n");
    check(&[0x12, 0], r#"{"2":""}"#, "2: \"\"\n");
    check(&[0x1a, 2, 0x08, 7], r#"{"3":{"1":7}}"#, "3 {\n  1: 7\n}\n");
    check(
        &[
            0x1a, 12, 0x0a, 10, b'0', b'1', b'2', b'3', b'4', b'5', b'6', b'7', b'8', b'9',
        ],
        r#"{"3":{"1":"0123456789"}}"#,
        "3 {\n  1: \"0123456789\"\n}\n",
    );
    check(
        &[0x1a, 6, 3, 0x8e, 2, 0x9e, 0xa7, 5],
        r#"{"3":{"packed":[3,270,86942]}}"#,
        "3: \"\\003\\216\\002\\236\\247\\005\"  # packed: 3, 270, 86942\n",
    );
    check(
        &[0x25, 0, 0, 0xc0, 0x3f],
        r#"{"4":{"float":1.5}}"#,
        "4: 0x3fc00000  # 1.5\n",
    );
    check(
        &[0x25, 7, 0, 0, 0],
        r#"{"4":{"fixed32":7}}"#,
        "4: 0x00000007\n",
    );
    let mut double = vec![0x29];
    double.extend(2.5f64.to_le_bytes());
    check(
        &double,
        r#"{"5":{"double":2.5}}"#,
        "5: 0x4004000000000000  # 2.5\n",
    );
    let nanos = 1_700_000_000_000_000_000u64;
    let mut fixed = vec![0x29];
    fixed.extend(nanos.to_le_bytes());
    check(
        &fixed,
        r#"{"5":{"fixed64":1700000000000000000}}"#,
        &format!("5: {nanos:#018x}\n"),
    );
    let mut doubles = vec![0x2a, 16];
    doubles.extend(1.25f64.to_le_bytes());
    doubles.extend((-3.5f64).to_le_bytes());
    assert_eq!(
        json(&doubles).as_deref(),
        Ok(r#"{"5":{"packed_double":[1.25,-3.5]}}"#)
    );
    let mut floats = vec![0x2a, 12];
    for value in [1.25f32, 0.1, 7.0] {
        floats.extend(value.to_le_bytes());
    }
    assert_eq!(
        json(&floats).as_deref(),
        Ok(r#"{"5":{"packed_float":[1.25,0.1,7.0]}}"#)
    );
    let hash = [0x2a, 8, 0x9f, 0x86, 0xd0, 0x81, 0x88, 0x4c, 0x7d, 0xff];
    check(
        &hash,
        r#"{"5":{"bytes":"n4bQgYhMff8="}}"#,
        "5: \"\\237\\206\\320\\201\\210L}\\377\"\n",
    );
    assert_eq!(
        json(&[0x33, 0x08, 1, 0x34]).as_deref(),
        Ok(r#"{"6":{"group":{"1":1}}}"#)
    );
    assert_eq!(json(&[0x08]), Err(DecodeError::Truncated { offset: 1 }));
    assert_eq!(json(&[0x08, 1, 0x00]), Err(DecodeError::Tag { offset: 2 }));
}

#[test]
fn the_readable_beginning() {
    #[track_caller]
    fn check(bytes: &[u8], expected: &str, offset: Option<usize>) {
        let readable = schemaless::readable(bytes, &Limits::default());
        assert_eq!(json(&readable.bytes).as_deref(), Ok(expected));
        assert_eq!(readable.error.as_ref().map(DecodeError::offset), offset);
    }
    check(&[0x08, 1], r#"{"1":1}"#, None);
    check(&[0x08, 1, 0x10], r#"{"1":1}"#, Some(3));
    check(&[0x12, 9, b'h', b'i'], r#"{"2":"hi"}"#, Some(1));
    check(
        &[0x12, 9, 0x08, 1, 0x12, 4, b'a'],
        r#"{"2":{"1":1,"2":"a"}}"#,
        Some(1),
    );
    check(&[0x12, 9, 0x08, 1, 0x12], r#"{"2":{"1":1}}"#, Some(1));
}

#[test]
fn deep_messages_are_bytes() {
    let mut bytes = vec![0x08, 1];
    for _ in 0..150 {
        let mut outer = vec![0x0a];
        isukit_proto::wire::put_varint(&mut outer, bytes.len() as u64);
        outer.extend(bytes);
        bytes = outer;
    }
    let shown = json(&bytes).unwrap();
    assert!(shown.contains("{\"bytes\":"), "{shown}");
    assert_eq!(shown.matches("{\"1\":").count(), 101);
    let mut again = Vec::new();
    schemaless::from_text(text(&bytes).as_bytes(), &Limits::default(), &mut again).unwrap();
    assert_eq!(again, bytes);
}

#[test]
fn what_is_no_protobuf_is_told() {
    let no: [&[u8]; 12] = [
        b"Hello, this is a plain text.",
        b"OK",
        b"not found\n",
        b"<!DOCTYPE html><html><body>404</body></html>",
        b"{\"id\": 1, \"name\": \"ann\"}",
        b"[1, 2, 3]",
        b"id=1&name=ann",
        &[
            0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 3, 0x4b, 0x4c, 0x4a, 6, 0,
        ],
        &[
            0x28, 0xb5, 0x2f, 0xfd, 0x24, 3, 0x19, 0, 0, b'a', b'b', b'c',
        ],
        &[0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0, 0, 0, 13],
        &[0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F'],
        b"%PDF-1.7\n",
    ];
    for bytes in no {
        let plausibility = schemaless::plausibility(bytes);
        assert!(
            plausibility < 0.5,
            "{plausibility} {:?}",
            String::from_utf8_lossy(bytes)
        );
    }
    let yes: [&[u8]; 4] = [
        &[0x08, 1],
        &[0x0a, 3, b'a', b'n', b'n'],
        &[
            0x08, 7, 0x12, 5, b's', b'e', b'v', b'e', b'n', 0x1a, 2, 8, 1,
        ],
        &[0x09, 0, 0, 0, 0, 0, 0, 4, 0x40],
    ];
    for bytes in yes {
        assert!(
            schemaless::looks_like_message(bytes),
            "{bytes:?}: {}",
            schemaless::plausibility(bytes)
        );
    }
    assert!((schemaless::plausibility(&[]) - 0.5).abs() < 1e-9);
}

/// Of random bytes of a length, the share that passes for a message.
#[test]
fn random_bytes_seldom_pass() {
    for (len, most) in [(8, 0.08), (16, 0.03), (32, 0.01), (128, 0.001)] {
        let mut state = 1u64;
        let mut passed = 0;
        for _ in 0..4000 {
            let bytes: Vec<u8> = (0..len)
                .map(|_| {
                    // Marsaglia's xorshift.
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    (state >> 32) as u8
                })
                .collect();
            passed += usize::from(schemaless::looks_like_message(&bytes));
        }
        let share = f64::from(passed as u32) / 4000.0;
        assert!(share <= most, "{len} bytes: {share}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn well_formed_messages_have_json(choices in proptest::collection::vec(any::<u8>(), 0..400), cut in any::<u16>()) {
        let descriptor = pool().get_message_by_name("oracle.v1.Everything").unwrap();
        let bytes = wire(&descriptor, &mut Choices::new(&choices), 0, Wild::UNKNOWN);
        let shown = json(&bytes).unwrap();
        prop_assert!(serde_json::from_str::<serde_json::Value>(&shown).is_ok(), "{}", shown);
        let cut = &bytes[..usize::from(cut) % (bytes.len() + 1)];
        let readable = schemaless::readable(cut, &Limits::default());
        prop_assert!(json(&readable.bytes).is_ok());
        prop_assert!(readable.error.is_some() || readable.bytes == cut);
        let whole = schemaless::readable(&bytes, &Limits::default());
        prop_assert_eq!(whole.error, None);
        prop_assert_eq!(whole.bytes, bytes);
    }
}
