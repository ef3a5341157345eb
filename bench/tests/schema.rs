//! The report's JSON form is what its schema says, whatever the run was like.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use support::{Target, always, finish, isukit, nobody, reply, run, spawn};

const SCHEMA: &str = include_str!("../schemas/run.v1.json");

#[track_caller]
fn check(what: &str, report: &Value) {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(report)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}\n{report:#}");
}

#[test]
fn reports_of_every_kind_of_run_follow_the_schema() {
    let fine = Target::start(always(reply("200 OK", "", "fine")));
    let broken = Target::start(always(reply("503 Busy", "", "")));
    let silent = Target::start(|conn| conn.until_closed());
    let (_kept, absent) = nobody();
    let absent = format!("http://{absent}/");
    let rows: &[(&str, &str, &[&str], i32)] = &[
        ("closed", &fine.url(), &["--connections", "2"], 0),
        ("open", &fine.url(), &["--rate", "100", "--threads", "2"], 0),
        (
            "warm-up",
            &fine.url(),
            &["--rate", "100", "--warmup", "200ms"],
            0,
        ),
        (
            "several seconds",
            &fine.url(),
            &["--rate", "20.5", "--duration", "2200ms"],
            0,
        ),
        (
            "missed threshold",
            &fine.url(),
            &["--rate", "50", "--threshold", "p50 < 1us"],
            1,
        ),
        ("errors", &broken.url(), &["--rate", "50"], 1),
        (
            "silence",
            &silent.url(),
            &["--rate", "50", "--drain", "100ms"],
            1,
        ),
        (
            "timeouts",
            &silent.url(),
            &["--connections", "2", "--timeout", "100ms"],
            1,
        ),
        ("absent", &absent, &["--connections", "2"], 1),
        (
            "check",
            &fine.url(),
            &["--rate", "50", "--check", "http.status == 201"],
            1,
        ),
    ];
    support::side_by_side(rows.to_vec(), 4, |(what, url, args, code)| {
        let mut all = vec![url];
        if !args.contains(&"--duration") {
            all.extend(["--duration", "300ms"]);
        }
        all.extend(args);
        let ran = run(&all);
        assert_eq!(ran.code, code, "{what}: {ran:?}");
        check(what, &ran.report());
    });
    let mut command = isukit();
    command.args(["run", &fine.url(), "--duration", "30s", "--format", "json"]);
    let process = spawn(command);
    sleep(Duration::from_millis(500));
    process.signal(Signal::INT);
    let report = finish(process).report();
    assert_eq!(report["interrupted"], true);
    check("interrupted", &report);
}

/// Every field says what it is; every object is closed and lists what it must have.
#[test]
fn the_schema_describes_every_field() {
    fn walk(place: &str, node: &Value) {
        let Some(properties) = node.get("properties").and_then(Value::as_object) else {
            return;
        };
        assert_eq!(node["additionalProperties"], false, "{place}");
        for (name, property) in properties {
            let place = format!("{place}/{name}");
            let text = property["description"].as_str().unwrap_or_default();
            assert!(
                text.len() > 5 && text.ends_with('.'),
                "{place} is not described: {text}"
            );
            for (suffix, unit) in [
                ("_ms", "milliseconds"),
                ("_us", "microseconds"),
                ("_s", "seconds"),
            ] {
                assert!(
                    !name.ends_with(suffix) || text.contains(unit),
                    "{place} has no unit: {text}"
                );
            }
            walk(&place, property);
        }
    }
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    walk("", &schema);
    for (name, node) in schema["$defs"].as_object().unwrap() {
        assert!(node["description"].is_string(), "{name}");
        walk(name, node);
    }
}
