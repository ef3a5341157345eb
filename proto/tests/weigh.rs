//! Where the bytes go.
#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

mod support;

use isukit_proto::{DecodeError, Weight};
use proptest::prelude::*;
use support::{Choices, Wild, message, pool, wire};

fn line(weight: &Weight<'_>) -> String {
    let path: Vec<_> = weight.path.iter().map(ToString::to_string).collect();
    let mut line = format!("{} {}/{}", path.join("."), weight.own_bytes, weight.bytes);
    for (set, word) in [
        (weight.is_message, " message"),
        (weight.explicit_default, " default"),
        (weight.unknown, " unknown"),
    ] {
        line.push_str(if set { word } else { "" });
    }
    line
}

#[track_caller]
fn check(name: &str, bytes: &[u8], expected: &[&str]) {
    let mut lines = Vec::new();
    let weighed = message(name).weigh(bytes, &mut |weight| lines.push(line(&weight)));
    assert_eq!(weighed, Ok(()));
    assert_eq!(lines, expected);
}

#[test]
fn fields_are_weighed() {
    let name = "oracle.v1.Everything";
    check(name, &[], &[]);
    check(
        name,
        &[0x18, 0x05, 0x18, 0x00],
        &["an_int32 2/2", "an_int32 2/2 default"],
    );
    check(name, &[0x72, 0x00], &["a_string 2/2 default"]);
    check(name, &[0xa0, 0x01, 0x00], &["maybe_int32 3/3"]);
    check(name, &[0x1a, 0x00], &["#3 2/2 unknown"]);
    check(name, &[0xc8, 0x3e, 0x01], &["#1001 3/3 unknown"]);
    check(
        name,
        &[0x8a, 0x01, 0x06, 0x08, 0x07, 0x1a, 0x02, 0x28, 0x00],
        &[
            "inner.n 2/2",
            "inner.deeper.left 2/2",
            "inner.deeper 2/4 message",
            "inner 3/9 message",
        ],
    );
    check(
        name,
        &[0x92, 0x03, 0x05, 0x0a, 0x00, 0x12, 0x01, b'v'],
        &[
            "by_string.key 2/2",
            "by_string.value 3/3",
            "by_string 3/8 message",
        ],
    );
    check(name, &[0xf2, 0x01, 0x02, 0x01, 0x02], &["packed_int32 5/5"]);
    check(
        "oracle.v1.Legacy",
        &[0x73, 0x08, 0x00, 0xf4, 0x80, 0x00, 0xa0, 0x06, 0x00],
        &[
            "single.inside 2/2",
            "single 4/6 message",
            "[oracle.v1.ext_number] 3/3",
        ],
    );
}

#[test]
fn what_came_before_a_fault_was_met() {
    let mut count = 0;
    let weighed = message("oracle.v1.Everything").weigh(&[0x18, 0x05, 0x00], &mut |_| count += 1);
    assert_eq!(weighed, Err(DecodeError::Tag { offset: 2 }));
    assert_eq!(count, 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn own_bytes_add_up(choices in proptest::collection::vec(any::<u8>(), 0..400), legacy in any::<bool>()) {
        let name = if legacy { "oracle.v1.Legacy" } else { "oracle.v1.Everything" };
        let descriptor = pool().get_message_by_name(name).unwrap();
        let bytes = wire(&descriptor, &mut Choices::new(&choices), 0, Wild::UNKNOWN);
        let (mut own, mut top, mut defaults) = (0, 0, 0);
        message(name).weigh(&bytes, &mut |weight| {
            own += weight.own_bytes;
            top += if weight.depth() == 0 { weight.bytes } else { 0 };
            defaults += u32::from(weight.explicit_default);
        }).unwrap();
        prop_assert_eq!(own, bytes.len());
        prop_assert_eq!(top, bytes.len());
        let fit = message(name).fit(&bytes);
        if fit.valid {
            prop_assert_eq!(fit.explicit_defaults, defaults);
        }
    }
}
