//! 499 requests that a real nginx logged in four formats, and what was really sent.

use super::*;
use crate::digest::NO_TIME;

const COMBINED: &[u8] = include_bytes!("../../../tests/data/access/access-500.combined.log");
const COMBINED_RT: &[u8] = include_bytes!("../../../tests/data/access/access-500.combined_rt.log");
const LTSV: &[u8] = include_bytes!("../../../tests/data/access/access-500.ltsv.log");
const JSON: &[u8] = include_bytes!("../../../tests/data/access/access-500.json.log");
const TRUTH: &str = include_str!("../../../tests/data/access/access-500.truth.json");
const CONF: &str = include_str!("../../../tests/data/access/nginx.conf");

fn all(format: &str, log: &[u8]) -> Vec<Seen> {
    let (records, skips) = read(format, log);
    assert!(skips.is_empty(), "{format}: {skips:?}");
    assert_eq!(records.len(), 499, "{format}");
    records
}

/// What every format tells.
fn common(seen: &Seen) -> impl PartialEq + std::fmt::Debug {
    (
        seen.name.clone(),
        String::from_utf8_lossy(&seen.path).into_owned(),
        String::from_utf8_lossy(&seen.query).into_owned(),
        seen.method.clone(),
        seen.record.status,
        seen.record.sent_bytes,
        seen.client.clone(),
        String::from_utf8_lossy(&seen.agent).into_owned(),
        seen.record.at_us / 1_000_000,
    )
}

#[test]
fn all_formats_tell_the_same() {
    let ltsv = all("ltsv", LTSV);
    let others = [
        ("combined", all("combined", COMBINED)),
        ("combined", all("combined", COMBINED_RT)),
        ("json", all("json", JSON)),
    ];
    for (format, log) in others {
        for (line, (seen, expected)) in log.iter().zip(&ltsv).enumerate() {
            // Of these two the JSON has no `$request`, and nginx no `$request_uri`.
            if format == "json" && matches!(line + 1, 26 | 27) {
                assert_eq!(seen.name, BROKEN_REQUEST);
                assert_eq!(seen.method, expected.method);
                continue;
            }
            assert_eq!(common(seen), common(expected), "{format} {}", line + 1);
        }
    }
}

#[test]
fn times_and_ids_are_those_of_the_log() {
    let ltsv = all("ltsv", LTSV);
    let json = all("json", JSON);
    let combined = all("combined", COMBINED_RT);
    for (line, ((a, b), c)) in ltsv.iter().zip(&json).zip(&combined).enumerate() {
        let times = |seen: &Seen| (seen.record.time_ns, seen.record.upstream_ns);
        assert_eq!(times(a), times(b), "{}", line + 1);
        assert_eq!(a.record.time_ns, c.record.time_ns, "{}", line + 1);
        assert_eq!(a.request_id, b.request_id, "{}", line + 1);
        assert_eq!(a.record.cache, b.record.cache, "{}", line + 1);
    }
    // Line 37: `apptime:0.003, 0.004 : 0.007`.
    assert_eq!(ltsv[36].record.upstream_ns, 14_000_000);
    assert_eq!(ltsv[0].record.upstream_ns, NO_TIME);
    assert_eq!(json[0].record.at_us, 1_795_170_396_681_000);
    let plain = all("combined", COMBINED);
    assert!(plain.iter().all(|seen| seen.record.time_ns == NO_TIME));
}

#[test]
fn compiled_formats_tell_what_the_readers_by_hand_tell() {
    for (name, log, by_hand) in [
        ("combined_rt", COMBINED_RT, "combined"),
        ("ltsv", LTSV, "ltsv"),
        ("json", JSON, "json"),
    ] {
        let format = Format::from_nginx_conf(CONF, Some(name)).unwrap();
        assert_eq!(format.name(), "nginx");
        let (records, skips) = read_as(format, log);
        assert!(skips.is_empty(), "{name}: {skips:?}");
        for (line, (seen, expected)) in records.iter().zip(all(by_hand, log)).enumerate() {
            assert_eq!(common(seen), common(&expected), "{name} {}", line + 1);
            assert_eq!(seen.record.time_ns, expected.record.time_ns);
            assert_eq!(seen.record.upstream_ns, expected.record.upstream_ns);
        }
    }
}

#[test]
fn records_are_what_was_sent() {
    let truth: Vec<serde_json::Value> = serde_json::from_str(TRUTH).unwrap();
    let ltsv = all("ltsv", LTSV);
    let counts = |seen: &Seen| {
        let mut counts = RouteCounts::default();
        counts.add(seen.record.status);
        counts
    };
    let collapse = Collapse::learn(ltsv.iter().map(|seen| (seen.name.as_str(), counts(seen))));
    let mut counted = 0;
    for group in &truth {
        let text = |key: &str| group[key].as_str().unwrap();
        let number = |key: &str| group[key].as_u64().unwrap();
        let lines: Vec<_> = group["lines"].as_array().unwrap().iter().collect();
        let names: std::collections::BTreeSet<_> = lines
            .iter()
            .map(|line| {
                let seen = &ltsv[line.as_u64().unwrap() as usize - 1];
                assert_eq!(seen.method, text("method_logged"), "{group}");
                assert_eq!(u64::from(seen.record.status), number("status"), "{group}");
                collapse
                    .apply(&seen.name)
                    .unwrap_or_else(|| seen.name.clone())
            })
            .collect();
        counted += number("count");
        assert_eq!(names.len(), 1, "{group} {names:?}");
    }
    assert_eq!(counted, 499);
}
