//! Fields by handle: what is known of them, reading and writing them one by one.
#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

mod support;

use std::borrow::Cow;

use isukit_proto::{
    FieldKind, JsonParseOptions, Limits, Message, Value, WriteError, WriteValue, Writer,
    subslice_range,
};
use support::{message, schema};

fn everything() -> Message {
    message("oracle.v1.Everything")
}

fn from_json(message: &Message, json: &str) -> Vec<u8> {
    let mut out = Vec::new();
    message
        .from_json(json.as_bytes(), &JsonParseOptions::new(), &mut out)
        .unwrap_or_else(|error| panic!("{error}: {json}"));
    out
}

#[test]
fn fields_are_found_by_both_names() {
    #[track_caller]
    fn check(of: &str, name: &str, expected: Result<u32, &str>) {
        let of = message(of);
        let found = of.field(name).map(|field| of.info(field).number);
        let found = found.map_err(|error| error.to_string());
        match expected {
            Ok(number) => assert_eq!(found, Ok(number)),
            Err(contains) => assert!(found.clone().unwrap_err().contains(contains), "{found:?}"),
        }
    }
    check("Everything", "an_int32", Ok(3));
    check("Everything", "anInt32", Ok(3));
    check("Everything", "a \"custom\" name", Ok(80));
    check("Everything", "far_away", Ok(536_870_911));
    check("Everything", "an_int33", Err("did you mean an_int32?"));
    check("Everything", "zzz", Err("no field zzz"));
    check("Legacy", "[oracle.v1.ext_number]", Ok(100));
    check("Legacy", "single", Ok(14));
}

#[test]
fn fields_come_by_number_with_what_is_known() {
    let of = everything();
    let numbers: Vec<u32> = of.fields().map(|field| of.info(field).number).collect();
    assert!(numbers.is_sorted() && numbers.len() > 60);
    let info = |name: &str| of.info(of.field(name).unwrap());
    assert_eq!(info("maybeInt32").name, "maybe_int32");
    assert_eq!(info("maybe_int32").json_name, "maybeInt32");
    assert!(info("maybe_int32").has_presence && info("maybe_int32").oneof.is_none());
    assert!(!info("an_int32").has_presence);
    assert_eq!(info("choice_self").oneof, Some("choice"));
    assert!(info("choice_int32").has_presence && info("inner").has_presence);
    let inner = message("oracle.v1.Inner");
    assert_eq!(info("inner").kind, FieldKind::Message(inner.clone()));
    let boxed = |kind| Box::new(kind);
    assert_eq!(
        info("inners").kind,
        FieldKind::List(boxed(FieldKind::Message(inner.clone())))
    );
    assert_eq!(
        info("by_sint64").kind,
        FieldKind::Map(boxed(FieldKind::Int), boxed(FieldKind::Message(inner)))
    );
    let color = FieldKind::Enum("oracle.v1.Color".to_owned());
    assert_eq!(info("color").kind, color);
    assert_eq!(of.path("by_uint64").unwrap().kind(), info("by_uint64").kind);
    let strict = message("oracle.v1.Strict");
    assert!(strict.info(strict.field("id").unwrap()).required);
}

#[test]
fn enums_list_their_names() {
    let of = everything();
    let values = |name: &str| {
        let values = of.enum_values(of.field(name).unwrap());
        values.map(|values| {
            values
                .map(|(name, number)| (name.to_owned(), number))
                .collect::<Vec<_>>()
        })
    };
    let expected = [
        ("COLOR_NEGATIVE", -5),
        ("COLOR_UNSPECIFIED", 0),
        ("COLOR_RED", 1),
        ("COLOR_GREEN", 2),
        ("COLOR_FAR", 1000),
    ]
    .map(|(name, number)| (name.to_owned(), number));
    for name in ["color", "packed_color", "by_sint32"] {
        assert_eq!(values(name).unwrap(), expected, "{name}");
    }
    assert_eq!(values("an_int32"), None);
    let mood = schema().enums().find(|of| of.name == "oracle.v1.Mood");
    let mood = mood.unwrap();
    assert!(mood.closed);
    assert_eq!(
        mood.values,
        [("MOOD_ODD", -1), ("MOOD_GOOD", 1), ("MOOD_BAD", 3)]
    );
}

/// A field of some wire bytes.
#[track_caller]
fn get(of: &str, name: &str, bytes: &[u8]) -> String {
    let of = message(of);
    let field = of.field(name).unwrap();
    format!("{:?}", of.get(field, bytes))
}

#[test]
fn fields_read_as_a_parser_reads_them() {
    #[track_caller]
    fn check(of: &str, name: &str, bytes: &[u8], expected: &str) {
        assert_eq!(get(of, name, bytes), expected);
    }
    // Defaults of proto3 and proto2.
    check("Everything", "an_int32", &[], "Ok(I64(0))");
    check("Everything", "a_string", &[], "Ok(Str(\"\"))");
    check("Everything", "inner", &[], "Ok(Absent)");
    check("Everything", "inners", &[], "Ok(List { len: 0 })");
    check("Everything", "by_bool", &[], "Ok(Map { len: 0 })");
    check("Legacy", "number", &[], "Ok(I64(42))");
    check("Legacy", "text", &[], "Ok(Str(\"a \\\"default\\\"\\né\"))");
    check(
        "Legacy",
        "mood",
        &[],
        "Ok(Enum { number: 1, name: Some(\"MOOD_GOOD\") })",
    );
    // The last value wins.
    check("Inner", "n", &[0x08, 1, 0x08, 2], "Ok(I64(2))");
    // A split message is joined, a whole one borrowed.
    check(
        "Inner",
        "deeper",
        &[0x1a, 2, 0x08, 1],
        "Ok(Message([8, 1]))",
    );
    check(
        "Inner",
        "deeper",
        &[0x1a, 2, 0x08, 1, 0x1a, 2, 0x08, 2],
        "Ok(Message([8, 1, 8, 2]))",
    );
    // A later member of the oneof replaces this one.
    check("Inner", "left", &[0x28, 7], "Ok(I64(7))");
    check("Inner", "left", &[0x28, 7, 0x32, 0], "Ok(I64(0))");
    // A foreign wire type is an unknown field.
    check("Inner", "n", &[0x0a, 1, 0x41], "Ok(I64(0))");
    check(
        "Inner",
        "n",
        &[0x12, 0, 0x80],
        "Err(Truncated { offset: 3 })",
    );
}

#[test]
fn presence_and_oneofs() {
    let of = message("oracle.v1.Inner");
    let has = |name: &str, bytes: &[u8]| of.has(of.field(name).unwrap(), bytes).unwrap();
    assert!(has("n", &[0x08, 1]) && !has("n", &[0x08, 0]) && !has("n", &[]));
    assert!(has("left", &[0x28, 0]) && !has("left", &[0x28, 0, 0x32, 0]));
    assert!(has("list", &[0x22, 1, 5]) && !has("list", &[0x22, 0]));
    let either = of.oneof("either").unwrap();
    let which = |bytes: &[u8]| {
        let member = of.which(either, bytes).unwrap();
        member.map(|field| of.info(field).name.to_owned())
    };
    assert_eq!(which(&[]), None);
    assert_eq!(which(&[0x28, 0]).as_deref(), Some("left"));
    assert_eq!(
        which(&[0x28, 0, 0x32, 0, 0x08, 1]).as_deref(),
        Some("right")
    );
    assert_eq!(which(&[0x28, 0, 0x35, 0, 0, 0, 0]).as_deref(), Some("left"));
    assert!(of.which(either, &[0x28]).is_err());
    assert_eq!(
        of.oneof("ether").unwrap_err().to_string(),
        "oracle.v1.Inner has no oneof ether; did you mean either?"
    );
    let of = everything();
    let names: Vec<_> = of.oneofs().map(|(name, _)| name).collect();
    assert_eq!(names, ["choice"]);
}

#[test]
fn lists_and_maps_in_one_walk() {
    let of = everything();
    // Packed, loose and packed again.
    let bytes = [0xf2, 1, 2, 1, 2, 0xf0, 1, 3, 0xf2, 1, 1, 4];
    let field = of.field("packed_int32").unwrap();
    let items = of.items(field, &bytes).unwrap();
    assert_eq!(items, [1, 2, 3, 4].map(Value::I64));
    let field = of.field("inners").unwrap();
    let bytes = from_json(&of, r#"{"inners":[{"n":1},{},{"text":"x"}]}"#);
    let items = of.items(field, &bytes).unwrap();
    assert!(matches!(
        &items[..],
        [Value::Message(Cow::Borrowed([8, 1])), Value::Message(_), _]
    ));

    let entries = |name: &str, bytes: &[u8]| {
        let entries = of.entries(of.field(name).unwrap(), bytes);
        format!("{:?}", entries.unwrap())
    };
    let bytes = from_json(&of, r#"{"byInt32":{"7":"70","-3":"1"},"anInt32":1}"#);
    assert_eq!(
        entries("by_int32", &bytes),
        "[(I64(-3), I64(1)), (I64(7), I64(70))]"
    );
    // {"a": "1"}, {"b"}, {"a": "2"} on the wire.
    let bytes = [
        0x92, 3, 6, 0x0a, 1, b'b', 0x12, 1, b'1', 0x92, 3, 3, 0x0a, 1, b'a', 0x92, 3, 6, 0x0a, 1,
        b'b', 0x12, 1, b'2',
    ];
    assert_eq!(
        entries("by_string", &bytes),
        "[(Str(\"a\"), Str(\"\")), (Str(\"b\"), Str(\"2\"))]"
    );
    assert_eq!(
        entries(
            "by_uint32",
            &from_json(&of, r#"{"byUint32":{"4294967295":true}}"#)
        ),
        "[(U64(4294967295), Bool(true))]"
    );
    assert_eq!(
        entries(
            "by_bool",
            &from_json(&of, r#"{"byBool":{"true":{"anInt32":1}}}"#)
        ),
        "[(Bool(true), Message([24, 1]))]"
    );
    assert_eq!(entries("an_int32", &[0x18, 1]), "[]");
}

#[test]
#[should_panic(expected = "a field of another message type was given to oracle.v1.Everything")]
fn a_handle_belongs_to_its_type() {
    let field = message("oracle.v1.Inner").field("n").unwrap();
    let _ = everything().get(field, &[]);
}

#[test]
fn pieces_of_a_buffer_are_found_again() {
    let whole = b"0123456789".to_vec();
    assert_eq!(subslice_range(&whole, &whole), Some(0..10));
    assert_eq!(subslice_range(&whole, &whole[3..5]), Some(3..5));
    assert_eq!(subslice_range(&whole, &whole[10..]), Some(10..10));
    assert_eq!(subslice_range(&whole, &[]), Some(0..0));
    assert_eq!(subslice_range(&whole, &whole.clone()), None);
    assert_eq!(subslice_range(&whole[2..5], &whole[1..4]), None);
    assert_eq!(subslice_range(&whole[2..5], &whole[4..6]), None);
    assert_eq!(subslice_range(&whole[2..5], &whole[4..5]), Some(2..3));
}

/// Writes one field of a message of the test schema.
fn written(of: &str, name: &str, value: WriteValue<'_>) -> Result<Vec<u8>, WriteError> {
    let of = message(of);
    let mut out = b"kept".to_vec();
    let mut writer = of.writer(&mut out);
    let field = writer.field(name).unwrap();
    writer.put(field, value)?;
    writer.finish()?;
    assert!(out.starts_with(b"kept"));
    Ok(out.split_off(4))
}

#[test]
fn values_are_written_as_json_has_them() {
    #[track_caller]
    fn check<'v>(name: &str, value: impl Into<WriteValue<'v>>, json: &str) {
        let of = everything();
        let json = format!("{{\"{name}\":{json}}}");
        let ours = written("Everything", name, value.into());
        assert_eq!(ours, Ok(from_json(&of, &json)), "{json}");
    }
    check("a_double", 0.5, "0.5");
    check("a_double", -0.0, "-0.0");
    check("a_double", 0.0, "0");
    check("a_double", 3_i64, "3");
    check("a_float", f64::NAN, "\"NaN\"");
    check("an_int32", -1_i64, "-1");
    check("an_int32", -1.0, "-1");
    check("an_int32", 0_i64, "0");
    check("an_int64", u64::MAX >> 1, "\"9223372036854775807\"");
    check("an_int64", "-9007199254740993", "\"-9007199254740993\"");
    check("a_uint32", 4_294_967_295.0, "4294967295");
    check("a_uint64", 9_007_199_254_740_992.0, "9007199254740992");
    check(
        "a_uint64",
        18_446_744_073_709_549_568.0,
        "18446744073709549568",
    );
    check("a_sint32", i64::from(i32::MIN), "-2147483648");
    check("a_sint64", i64::MIN, "\"-9223372036854775808\"");
    check("a_fixed32", 7_u64, "7");
    check("a_fixed64", 7_u64, "7");
    check("a_sfixed32", -7_i64, "-7");
    check("a_sfixed64", -7_i64, "-7");
    check("a_bool", true, "true");
    check("a_bool", false, "false");
    check("a_string", "é", "\"é\"");
    check("a_string", &b"\xc3\xa9"[..], "\"é\"");
    check("a_string", "", "\"\"");
    check("some_bytes", &[0_u8, 255][..], "\"AP8=\"");
    check("some_bytes", "abc", "\"YWJj\"");
    check("color", "COLOR_GREEN", "2");
    check("color", 77_i64, "77");
    check("color", -5.0, "-5");
    check("maybe_int32", 0_i64, "0");
    check("maybe_string", "", "\"\"");
    check("choice_int32", 0.0, "0");
    check("packed_int32", 0.0, "[0]");
    check("loose_uint64", 5.0, "[5]");
    check("strings", "", "[\"\"]");
    check("far_away", 1.0, "1");
    check("wkt_int64", 5.0, "\"5\"");
    check("wkt_int64", 0.0, "\"0\"");
    check("wkt_string", "x", "\"x\"");
    check("wkt_bool", true, "true");
    check("wkt_value", "x", "\"x\"");
    check("wkt_value", 1.5, "1.5");
    check("wkt_value", false, "false");
    check("wkt_values", 0.0, "[0]");
    check(
        "wkt_timestamp",
        "2020-01-02T03:04:05.5Z",
        "\"2020-01-02T03:04:05.5Z\"",
    );
    check("wkt_timestamp", 1.5, "\"1970-01-01T00:00:01.5Z\"");
    check("wkt_timestamp", -0.25, "\"1969-12-31T23:59:59.75Z\"");
    check("wkt_timestamp", 0.0, "\"1970-01-01T00:00:00Z\"");
    check("wkt_timestamp", -1e-12, "\"1970-01-01T00:00:00Z\"");
    check("wkt_duration", "-1.5s", "\"-1.5s\"");
    check("wkt_duration", -1.5, "\"-1.5s\"");
    check("wkt_duration", 3_i64, "\"3s\"");
    check("wkt_timestamps", 0_i64, "[\"1970-01-01T00:00:00Z\"]");
}

#[test]
fn values_that_do_not_fit_are_named() {
    #[track_caller]
    fn check<'v>(of: &str, name: &str, value: impl Into<WriteValue<'v>>, expected: &str) {
        let error = written(of, name, value.into()).unwrap_err().to_string();
        let field = format!("oracle.v1.{of}.{name} ");
        assert_eq!(error.strip_prefix(&field), Some(expected));
    }
    let of = "Everything";
    check(
        of,
        "an_int32",
        1.5,
        "takes int32; 1.5 does not fit, change it",
    );
    check(
        of,
        "an_int32",
        f64::NAN,
        "takes int32; NaN does not fit, change it",
    );
    check(
        of,
        "an_int32",
        1_i64 << 31,
        "takes int32; 2147483648 does not fit, change it",
    );
    check(
        of,
        "a_uint64",
        -1.0,
        "takes uint64; -1 does not fit, change it",
    );
    check(
        of,
        "a_uint64",
        1.9e19,
        "takes uint64; 19000000000000000000 does not fit, change it",
    );
    check(
        of,
        "an_int32",
        true,
        "takes int32; true does not fit, change it",
    );
    check(
        of,
        "an_int32",
        "x",
        "takes int32; \"x\" does not fit, change it",
    );
    check(of, "a_bool", 1.0, "takes bool; 1 does not fit, change it");
    check(
        of,
        "a_float",
        1e300,
        &format!(
            "takes float; {} does not fit, change it",
            "1".to_owned() + &"0".repeat(79)
        ),
    );
    check(
        of,
        "a_string",
        1.0,
        "takes string; 1 does not fit, change it",
    );
    check(
        of,
        "a_string",
        &[255_u8][..],
        "takes string; 1 bytes does not fit, change it",
    );
    check(
        of,
        "color",
        "COLOR_REED",
        "takes oracle.v1.Color, which has no value COLOR_REED; did you mean COLOR_RED?",
    );
    check(
        of,
        "color",
        0.5,
        "takes oracle.v1.Color; 0.5 does not fit, change it",
    );
    check(
        of,
        "inner",
        1.0,
        "is a message; begin it and put its fields",
    );
    check(of, "by_bool", 1.0, "is a map; begin an entry of it");
    check(
        of,
        "wkt_timestamp",
        "soon",
        "takes a time like 2006-01-02T15:04:05Z or seconds; \"soon\" does not fit, change it",
    );
    check(
        of,
        "wkt_duration",
        1e13,
        "takes a duration like 1.5s or seconds; 10000000000000 does not fit, change it",
    );
    check(
        "Legacy",
        "single",
        1.0,
        "is a group; begin it and put its fields",
    );
    check(
        "Legacy",
        "mood",
        7_i64,
        "takes oracle.v1.Mood, which has no value 7; check the schema",
    );
}

/// Writes with a closure and gives what JSON it is.
fn write(
    of: &Message,
    calls: impl FnOnce(&mut Writer<'_>) -> Result<(), WriteError>,
) -> Result<Vec<u8>, WriteError> {
    let mut out = Vec::new();
    let mut writer = of.writer(&mut out);
    let called = calls(&mut writer);
    match called {
        Ok(()) => writer.finish()?,
        Err(error) => {
            drop(writer);
            assert!(out.is_empty(), "a dropped writer leaves nothing");
            return Err(error);
        }
    }
    Ok(out)
}

fn put<'v>(
    writer: &mut Writer<'_>,
    name: &str,
    value: impl Into<WriteValue<'v>>,
) -> Result<(), WriteError> {
    let field = writer.field(name).unwrap();
    writer.put(field, value.into())
}

fn begin(writer: &mut Writer<'_>, name: &str) -> Result<(), WriteError> {
    let field = writer.field(name).unwrap();
    writer.begin(field)
}

#[test]
fn nested_messages_lists_and_maps() {
    let of = everything();
    let long = "long ".repeat(60);
    let ours = write(&of, |writer| {
        put(writer, "an_int32", 5.0)?;
        begin(writer, "inner")?;
        assert_eq!((writer.open_type(), writer.depth()), ("oracle.v1.Inner", 1));
        put(writer, "text", long.as_str())?;
        begin(writer, "deeper")?;
        for number in [1_i64, 2, -1] {
            put(writer, "list", number)?;
        }
        writer.end()?;
        writer.end()?;
        for number in 0..200_i64 {
            put(writer, "packed_int32", number)?;
        }
        for text in ["a", ""] {
            put(writer, "strings", text)?;
            begin(writer, "inners")?;
            writer.end()?;
        }
        let map = writer.field("by_int32").unwrap();
        writer.put_entry(map, 3.0.into(), "4".into())?;
        writer.put_entry(map, (-3_i64).into(), 0.0.into())?;
        let map = writer.field("by_bool").unwrap();
        let item = writer.begin_entry(map, true.into())?;
        writer.begin(item)?;
        put(writer, "a_bool", true)?;
        writer.end()?;
        writer.end()
    });
    let numbers: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    let json = format!(
        r#"{{"anInt32":5,"inner":{{"text":"{long}","deeper":{{"list":["1","2","-1"]}}}},"packedInt32":[{}],"byInt32":{{"3":"4","-3":"0"}},"byBool":{{"true":{{"aBool":true}}}}}}"#,
        numbers.join(",")
    );
    let expected = from_json(&of, &json);
    let ours = ours.unwrap();
    // JSON cannot interleave two lists.
    let lists = [0xb2, 2, 1, b'a', 0xc2, 2, 0, 0xb2, 2, 0, 0xc2, 2, 0];
    let at = ours.windows(lists.len()).position(|piece| piece == lists);
    let at = at.unwrap();
    assert_eq!([&ours[..at], &ours[at + lists.len()..]].concat(), expected);

    let of = message("oracle.v1.Legacy");
    let ours = write(&of, |writer| {
        begin(writer, "single")?;
        put(writer, "inside", 0.0)?;
        writer.end()?;
        begin(writer, "many")?;
        writer.end()?;
        put(writer, "number", 42.0)?;
        put(writer, "loose", 1.0)?;
        put(writer, "loose", 2.0)?;
        put(writer, "[oracle.v1.ext_number]", 1.0)
    });
    let json = r#"{"single":{"inside":0},"many":[{}],"number":42,"loose":[1,2],"[oracle.v1.ext_number]":"1"}"#;
    assert_eq!(ours, Ok(from_json(&of, json)));
}

#[test]
fn calls_that_make_no_message_are_refused() {
    #[track_caller]
    fn check(
        of: &str,
        calls: impl FnOnce(&mut Writer<'_>) -> Result<(), WriteError>,
        expected: &str,
    ) {
        let error = write(&message(of), calls).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    check(
        "Inner",
        |writer| {
            put(writer, "left", 0.0)?;
            begin(writer, "right")
        },
        "oracle.v1.Inner.right and oracle.v1.Inner.left are members of the oneof either; keep one of them",
    );
    check(
        "Inner",
        |writer| {
            put(writer, "n", 0.0)?;
            put(writer, "n", 1.0)
        },
        "oracle.v1.Inner.n is set twice; set it once",
    );
    check(
        "Inner",
        |writer| {
            let outer = writer.field("n").unwrap();
            begin(writer, "deeper")?;
            writer.put(outer, 1.0.into())?;
            writer.end()?;
            let foreign = everything().field("a_double").unwrap();
            writer.put(foreign, 1.0.into())
        },
        "a field of another type was given to oracle.v1.Inner; look it up in this one",
    );
    check(
        "Inner",
        |writer| begin(writer, "deeper"),
        "messages left open: 1; call end once for each begin",
    );
    check(
        "Inner",
        |writer| writer.end(),
        "messages left open: 0; call end once for each begin",
    );
    check(
        "Inner",
        |writer| begin(writer, "n"),
        "oracle.v1.Inner.n is int32; put its value",
    );
    check(
        "Everything",
        |writer| begin(writer, "by_bool"),
        "oracle.v1.Everything.by_bool is a map; begin an entry of it",
    );
    check(
        "Inner",
        |writer| {
            let field = writer.field("list").unwrap();
            writer.begin_entry(field, true.into()).map(drop)
        },
        "oracle.v1.Inner.list is a list; put or begin it",
    );
    check(
        "Everything",
        |writer| {
            let field = writer.field("by_int32").unwrap();
            writer.put_entry(field, "x".into(), 1.0.into())
        },
        "oracle.v1.Everything.ByInt32Entry.key takes int32; \"x\" does not fit, change it",
    );
    check(
        "Strict",
        |writer| put(writer, "id", 1.0),
        "the required field oracle.v1.Strict.name is absent; set it",
    );
    check(
        "Inner",
        |writer| (0..101).try_for_each(|_| begin(writer, "deeper")),
        "more than 100 nested messages; raise the limit if they are meant",
    );
}

#[test]
fn a_failed_call_changes_nothing() {
    let of = everything();
    let ours = write(&of, |writer| {
        put(writer, "packed_int32", 1.0)?;
        assert!(put(writer, "packed_int32", 1.5).is_err());
        put(writer, "packed_int32", 2.0)?;
        assert!(put(writer, "an_int32", "x").is_err());
        assert!(put(writer, "wkt_timestamp", "x").is_err());
        put(writer, "an_int32", 1.0)?;
        let map = writer.field("by_int32").unwrap();
        assert!(writer.put_entry(map, 1.0.into(), "x".into()).is_err());
        assert_eq!(writer.depth(), 0);
        assert!(put(writer, "choice_color", "NONE").is_err());
        put(writer, "choice_int32", 1.0)
    });
    let json = r#"{"packedInt32":[1,2],"anInt32":1,"choiceInt32":1}"#;
    assert_eq!(ours, Ok(from_json(&of, json)));
}

#[test]
fn a_message_over_the_limit_is_refused() {
    let mut limits = Limits::default();
    limits.message_bytes = 10;
    let of = schema()
        .with_limits(limits)
        .message("oracle.v1.Inner")
        .unwrap();
    let text = |len: usize| {
        let text = "x".repeat(len);
        write(&of, |writer| put(writer, "text", text.as_str()))
    };
    assert!(text(8).is_ok());
    assert_eq!(
        text(9).unwrap_err().to_string(),
        "more than 10 bytes in a message; raise the limit if they are meant"
    );
}
