//! Our text against the real `protoc`, many messages in each run of it.
#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

mod support;

use std::io::Write as _;
use std::process::{Command, Stdio};

use isukit_proto::wire::{WireType, put_tag, put_varint};
use isukit_proto::{JsonOptions, JsonParseOptions, TextOptions, TextParseOptions};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use support::{Choices, Wild, message, pool, protos, wire};

/// Runs protoc on the test schema. It is part of what the tests need, so its absence fails them.
fn protoc(mode: &str, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("protoc")
        .arg(mode)
        .arg("-I")
        .arg(protos())
        .args(["everything.proto", "legacy.proto"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("cannot run protoc ({error}); run scripts/setup to install it")
        });
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap().unwrap();
    assert!(
        output.status.success(),
        "protoc {mode}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// As many generated messages as fit one run, wrapped in a repeated field.
fn batch(item: &str, count: usize, wild: Wild) -> Vec<u8> {
    let descriptor = pool().get_message_by_name(item).unwrap();
    let choices = proptest::collection::vec(any::<u8>(), 0..500);
    let mut runner = TestRunner::default();
    let mut out = Vec::new();
    for _ in 0..count {
        let choices = choices.new_tree(&mut runner).unwrap().current();
        put(
            &mut out,
            &wire(&descriptor, &mut Choices::new(&choices), 0, wild),
        );
    }
    out
}

fn put(out: &mut Vec<u8>, item: &[u8]) {
    put_tag(out, 1, WireType::Len);
    put_varint(out, item.len() as u64);
    out.extend_from_slice(item);
}

/// Compares line by line, so that a difference is readable.
#[track_caller]
fn same_text(ours: &[u8], theirs: &[u8]) {
    let (ours, theirs) = (
        String::from_utf8_lossy(ours),
        String::from_utf8_lossy(theirs),
    );
    for (line, (a, b)) in ours.lines().zip(theirs.lines()).enumerate() {
        assert_eq!(
            a,
            b,
            "line {} of:\n{}",
            line + 1,
            ours.lines()
                .skip(line.saturating_sub(8))
                .take(16)
                .collect::<Vec<_>>()
                .join("\n")
        );
    }
    assert_eq!(ours.len(), theirs.len());
}

#[track_caller]
fn check_decode(name: &str, bytes: &[u8]) {
    let mut ours = Vec::new();
    message(name)
        .to_text(bytes, &TextOptions::new(), &mut ours)
        .unwrap();
    same_text(&ours, &protoc(&format!("--decode={name}"), bytes));
}

#[test]
fn text_is_what_protoc_prints() {
    for _ in 0..6 {
        check_decode(
            "oracle.v1.Batch",
            &batch("oracle.v1.Everything", 200, Wild::UNKNOWN),
        );
        check_decode(
            "oracle.v1.LegacyBatch",
            &batch("oracle.v1.Legacy", 200, Wild::UNKNOWN),
        );
    }
}

#[test]
fn odd_values_print_as_protoc_prints_them() {
    let mut bytes = Vec::new();
    for item in [
        &[0x09, 0, 0, 0, 0, 0, 0, 0, 0x80][..], // -0.0, which is not the default
        &[0x15, 0, 0, 0, 0x80],                 // -0.0 as a float
        &[0x18, 0xff, 0xff, 0xff, 0xff, 0x1f],  // an int32 of more than 32 bits
        &[0x68, 0x80, 0x80, 0x01],              // a bool of more than one bit
        &[0x1a, 0x01, 0x41],                    // a known number, another wire type
        &[0x80, 0x01, 0xff, 0xff, 0xff, 0xff, 0x0f], // an enum of 32 bits, unsigned
        &[0xf2, 0x01, 0x03, 0x01, 0x80, 0x01, 0xf0, 0x01, 0x05], // packed, then not
        &[0xc2, 0x3e, 0x04, 0x0a, 0x02, 0x08, 0x01], // unknown bytes that read as messages
        &[0xc2, 0x3e, 0x02, 0x0b, 0x0c],        // unknown bytes that read as a group
        &[0xc2, 0x3e, 0x02, 0x0b, 0x14],        // and bytes that do not
        &[0xc2, 0x3e, 0x00],                    // unknown and empty
        &[0xc3, 0x3e, 0x08, 0x01, 0xc4, 0x3e],  // an unknown group
        &[0x92, 0x03, 0x03, 0x10, 0x05, 0x08],  // cut: replaced below
    ] {
        if item.last() != Some(&0x08) {
            put(&mut bytes, item);
        }
    }
    // Unknown messages within messages, deeper than protoc looks.
    let mut nested = vec![0x08, 0x01];
    for _ in 0..14 {
        let mut outer = vec![0x0a, nested.len() as u8];
        outer.extend(&nested);
        nested = outer;
    }
    let mut unknown = Vec::new();
    put_tag(&mut unknown, 1000, WireType::Len);
    put_varint(&mut unknown, nested.len() as u64);
    unknown.extend(nested);
    put(&mut bytes, &unknown);
    check_decode("oracle.v1.Batch", &bytes);
}

#[test]
fn protoc_reads_our_text_and_our_wire() {
    for (list, item) in [
        ("oracle.v1.Batch", "oracle.v1.Everything"),
        ("oracle.v1.LegacyBatch", "oracle.v1.Legacy"),
    ] {
        let bytes = batch(item, 200, Wild::NONE);
        let list_type = message(list);
        let (mut text, mut json, mut wire, mut again) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        list_type
            .to_text(&bytes, &TextOptions::new(), &mut text)
            .unwrap();
        let encoded = protoc(&format!("--encode={list}"), &text);
        list_type
            .to_text(&encoded, &TextOptions::new(), &mut again)
            .unwrap();
        same_text(&again, &text);
        // JSON of protoc's own bytes, read back, decodes to the same text in protoc.
        list_type
            .to_json(&encoded, &JsonOptions::new(), &mut json)
            .unwrap();
        list_type
            .from_json(&json, &JsonParseOptions::new(), &mut wire)
            .unwrap();
        let mut ours = Vec::new();
        list_type
            .to_text(&wire, &TextOptions::new(), &mut ours)
            .unwrap();
        same_text(&ours, &protoc(&format!("--decode={list}"), &wire));
    }
}

#[test]
fn a_descriptor_set_is_as_good_as_the_sources() {
    let dir = tempfile::tempdir().unwrap();
    for imports in [true, false] {
        let file = dir.path().join("set.bin");
        let mut command = Command::new("protoc");
        command
            .arg("-I")
            .arg(protos())
            .arg(format!("--descriptor_set_out={}", file.display()));
        if imports {
            command.arg("--include_imports");
        }
        let status = command.args(["everything.proto", "legacy.proto"]).status();
        assert!(
            status
                .expect("cannot run protoc; run scripts/setup to install it")
                .success()
        );
        let schema =
            isukit_proto::Schema::from_descriptor_set(&std::fs::read(&file).unwrap()).unwrap();
        let bytes = batch("oracle.v1.Everything", 20, Wild::UNKNOWN);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        message("Batch")
            .to_json(&bytes, &JsonOptions::new(), &mut ours)
            .unwrap();
        schema
            .message("Batch")
            .unwrap()
            .to_json(&bytes, &JsonOptions::new(), &mut theirs)
            .unwrap();
        assert_eq!(ours, theirs);
    }
}

#[test]
fn we_read_text_as_protoc_reads_it() {
    for (list, item) in [
        ("oracle.v1.Batch", "oracle.v1.Everything"),
        ("oracle.v1.LegacyBatch", "oracle.v1.Legacy"),
    ] {
        for _ in 0..3 {
            let of = message(list);
            let text = protoc(&format!("--decode={list}"), &batch(item, 200, Wild::NONE));
            let mut ours = Vec::new();
            of.from_text(&text, &TextParseOptions::new().strict(true), &mut ours)
                .unwrap();
            let theirs = protoc(&format!("--encode={list}"), &text);
            let (mut a, mut b) = (Vec::new(), Vec::new());
            of.to_text(&ours, &TextOptions::new(), &mut a).unwrap();
            of.to_text(&theirs, &TextOptions::new(), &mut b).unwrap();
            same_text(&a, &b);
        }
    }
}

#[test]
fn odd_text_is_read_as_protoc_reads_it() {
    let of = message("oracle.v1.Everything");
    for (text, valid) in [
        ("inner < n: 0x1F > inners: [{n: 1}, <n: 2>]", true),
        ("a_float: 1.5f; a_double: -inf, a_string: 'a' \"b\"", true),
        ("a_float: nan a_double: -nan", true),
        ("a_float: 1e39 a_double: 1e400", true),
        ("a_float: 16777217", true),
        ("a_float: 10F a_double: .5", true),
        ("an_int32: - 1", true),
        ("an_int32: 017", true),
        ("an_int32: 08", false),
        ("a_bool: t", true),
        ("a_bool: 1", true),
        ("a_bool: 2", false),
        ("a_bool: TRUE", false),
        ("a_float: 0x10", false),
        ("a_uint64: 18446744073709551615", true),
        ("a_uint64: 18446744073709551616", false),
        ("an_int64: -9223372036854775808", true),
        ("color: COLOR_RED", true),
        ("color: -5", true),
        ("color: 77", true),
        ("color: NONE", false),
        (
            "some_bytes: \"\\a\\b\\f\\n\\r\\t\\v\\?\\\\\\'\\\"\\0\\12\\377\\x7\\xfF\"",
            true,
        ),
        ("a_string: \"\\u00e9\\U0001F600\"", true),
        ("a_string: \"\\q\"", false),
        ("a_string: 'a\n'", false),
        ("an_int32: 1 an_int32: 2", false),
        ("choice_int32: 1 choice_color: COLOR_RED", false),
        ("packed_int32: [1, 2] packed_int32: 3", true),
        ("packed_int32: []", true),
        ("packed_int32: [1,]", false),
        ("an_int32 1", false),
        ("inner { n: 1 >", false),
        (
            "by_string { key: 'a' value: 'b' } by_string { value: 'c' }",
            true,
        ),
        (
            "wkt_any { [type.googleapis.com/oracle.v1.Inner] { n: 1 } }",
            true,
        ),
        (
            "wkt_any { [type.googleapis.com/oracle.v1.None] { n: 1 } }",
            false,
        ),
        ("# only a comment", true),
        ("an_int32: 1,, a_bool: t", false),
        ("an_int32: 1b: 2", false),
    ] {
        let mut child = Command::new("protoc")
            .arg("--encode=oracle.v1.Everything")
            .arg("-I")
            .arg(protos())
            .arg("everything.proto")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("cannot run protoc; run scripts/setup to install it");
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        let theirs = child.wait_with_output().unwrap();
        let mut ours = Vec::new();
        let read = of.from_text(
            text.as_bytes(),
            &TextParseOptions::new().strict(true),
            &mut ours,
        );
        assert_eq!(theirs.status.success(), valid, "protoc: {text}");
        assert_eq!(read.is_ok(), valid, "{text}: {read:?}");
        if valid {
            assert_eq!(
                support::text(&of, &ours),
                support::text(&of, &theirs.stdout),
                "{text}"
            );
        }
    }
}
