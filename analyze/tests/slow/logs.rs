//! Real servers' slow logs against what their workload driver knows of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use isukit_analyze::slow::shape;
use serde_json::Value;
use sha2::{Digest, Sha256};

use isukit_analyze::slow::fuzz::{in_blocks, whole};

const LOGS: [&str; 2] = ["mysql9", "mariadb1011"];

pub(crate) fn data(name: &str) -> Vec<u8> {
    fs::read(format!(
        "{}/tests/data/slow/{name}",
        env!("CARGO_MANIFEST_DIR")
    ))
    .unwrap()
}

fn entries(name: &str) -> Vec<Value> {
    String::from_utf8(data(&format!("{name}-slow.entries.jsonl")))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn nanos(seconds: &Value) -> u64 {
    (seconds.as_f64().unwrap() * 1e6).round() as u64 * 1000
}

#[test]
fn every_entry_is_read() {
    for name in LOGS {
        let log = whole(&data(&format!("{name}-slow.log")));
        let entries = entries(name);
        assert_eq!(log.skipped, [], "{name}");
        for (at, (event, entry)) in log.events.iter().zip(&entries).enumerate() {
            let text = String::from_utf8_lossy(&event.statement);
            let place = format!("{name} {at} {} {text:.100}", entry["shape"]);
            let sum = Sha256::digest(&event.statement);
            let sum: String = sum[..8].iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(event.statement.len() as u64, entry["text_len"], "{place}");
            assert_eq!(sum, entry["text_sha256"], "{place}");
            assert_eq!(event.record.connection, entry["id"], "{place}");
            assert_eq!(event.record.rows_sent, entry["rows_sent"], "{place}");
            assert_eq!(
                event.record.rows_examined, entry["rows_examined"],
                "{place}"
            );
            assert_eq!(
                event.record.query_ns,
                nanos(&entry["query_time"]),
                "{place}"
            );
            let user = entry["user"].as_str().unwrap();
            let own = String::from_utf8_lossy(&event.user);
            assert!(user.starts_with(&format!("{own}[{own}] @ ")), "{place}");
            assert_eq!(event.host, b"localhost", "{place}");
            let seconds = event.record.at_us / 1_000_000;
            let off = (seconds - entry["ts"].as_i64().unwrap()).abs();
            let is_faked = event.statement.starts_with(b"SET timestamp")
                || event.statement.starts_with(b"SELECT NOW(6)");
            assert!(
                is_faked || off <= if name == "mysql9" { 30 } else { 0 },
                "{place}: {off}"
            );
            if let Some(database) = entry["use"].as_str() {
                assert_eq!(
                    event.database.as_deref(),
                    Some(database.trim_matches('`').as_bytes()),
                    "{place}"
                );
            }
        }
        assert_eq!(log.events.len(), entries.len(), "{name}");
        let restarts = log
            .events
            .iter()
            .filter(|event| event.record.after_restart)
            .count();
        assert_eq!(restarts, 2, "{name}");
    }
}

#[test]
fn blocks_do_not_matter() {
    for name in LOGS {
        let bytes = data(&format!("{name}-slow.log"));
        let log = whole(&bytes);
        for size in [1, 100, 1000, 4096, 5003, 50_000] {
            assert!(
                in_blocks(&bytes, &[size]) == log,
                "{name} in blocks of {size}"
            );
        }
    }
}

/// Templates of the driver that differ only in literals and comments.
const ALIKE: [(&str, &str); 6] = [
    ("vanish.select", "hostile.leading_hash_comment"),
    ("hostile.hex", "hostile.binary"),
    ("hostile.hexstr", "hostile.binary"),
    ("hostile.nul_raw", "hostile.binary"),
    ("hostile.leading_use", "use.query"),
    ("sleep.killed_connection", "sleep.killed_query"),
];

/// What the driver put under one name though the statements differ.
const SEVERAL: [(&str, usize); 4] = [
    ("control", 3),
    ("driver.connector_setup", 2),
    ("mode.set", 2),
    ("set.timestamp", 2),
];

#[test]
fn a_template_is_a_shape() {
    for name in LOGS {
        let log = whole(&data(&format!("{name}-slow.log")));
        let truth: Vec<Value> =
            serde_json::from_slice(&data(&format!("{name}-slow.json"))).unwrap();
        let mut alike: BTreeMap<&str, &str> = truth
            .iter()
            .filter_map(|shape| Some((shape["shape"].as_str()?, shape["same_as"].as_str()?)))
            .collect();
        alike.extend(ALIKE);
        let mut groups: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
        let mut shapes: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
        let mut texts: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        let entries = entries(name);
        for (event, entry) in log.events.iter().zip(&entries) {
            let shape = entry["shape"].as_str().unwrap();
            let shape = alike.get(shape).copied().unwrap_or(shape);
            let hash = event.record.shape;
            groups.entry(hash).or_default().insert(shape);
            shapes.entry(shape).or_default().insert(hash);
            texts
                .entry(hash)
                .or_default()
                .insert(shape::render(&event.statement));
        }
        for (shape, hashes) in &shapes {
            let several = SEVERAL.iter().find(|(known, _)| known == shape);
            let most = several.map_or(1, |(_, most)| *most);
            assert!(
                hashes.len() <= most,
                "{name}: {shape} has {} shapes",
                hashes.len()
            );
        }
        for (hash, shapes) in &groups {
            assert_eq!(
                shapes.len(),
                1,
                "{name}: one shape for {shapes:?}: {:?}",
                texts[hash]
            );
            assert_eq!(texts[hash].len(), 1, "{name}: {:?}", texts[hash]);
        }
        let all: BTreeSet<&String> = texts.values().flatten().collect();
        assert_eq!(all.len(), texts.len(), "{name}: one text for two hashes");
    }
}
