//! The report's JSON form is what its schema says, whatever the run was like.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use support::scenario::{App, Folder};
use support::{Target, always, check_sums, finish, isukit, nobody, reply, run, spawn};

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

const SCENARIO: &str = "[score]\na = 0.1\nerror = { per = 2, points = -5 }\ntimeout = -1\n\
    [score.bonus]\nby = \"a\"\nsteps = [[1, 2]]\n\
    [[phase]]\nname = \"initialize\"\nrun = \"initialize\"\ntime_limit = \"300ms\"\n\
    [[phase]]\nname = \"warm-up\"\nduration = \"100ms\"\ncounts = false\n[phase.users.main]\nusers = 1\n\
    [[phase]]\nname = \"load\"\nduration = \"300ms\"\n[phase.users.main]\nusers = 2\n\
    [phase.users.guest]\narrivals = [{ at = \"0s\", users = 9 }]\nmax_users = 3\n\
    [[phase]]\nname = \"validate\"\nrun = \"validate\"\n";

/// What users do in the first phase, in the load and at the end, and the exit code.
#[test]
fn reports_of_scenarios_follow_the_schema() {
    let app = App::start();
    let get = "c:get('/'):ok() score('a') check('fine', true)";
    let rows = [
        ("fine", get, get, get, 0),
        ("initialize fails", "must('good', false)", get, get, 1),
        ("initialize hangs", "pause(9)", get, get, 1),
        ("initialize is broken", "error('x')", get, get, 2),
        (
            "errors",
            get,
            "c:get('/?status=500') check('bad', false, 'it is')",
            get,
            1,
        ),
        (
            "timeouts",
            get,
            "c:get('/?end=silent', { timeout = '20ms' })",
            get,
            1,
        ),
        ("broken", get, "c:get('/') local x = nil + 1", get, 2),
        ("critical", get, "c:get('/') fail('lost')", get, 1),
        ("validation", get, get, "check_equal('sum', 1, 2)", 1),
        ("nothing", "", "", "", 0),
    ];
    support::side_by_side(
        rows.to_vec(),
        4,
        |(what, initialize, main, validate, code)| {
            let script = format!(
                "local function act(u) local c = u.client {main} pause(0.01) end
            return {{
                initialize = function(u) local c = u.client {initialize} end,
                main = act,
                guest = act,
                validate = function(u) local c = u.client {validate} end,
            }}"
            );
            let ran = Folder::new(SCENARIO, &script).run(&app.url(), &["--threads", "2"]);
            assert_eq!(ran.code, code, "{what}: {ran:?}");
            let report = ran.report();
            check(what, &report);
            check_sums(&report);
            assert_eq!(report["asked"]["model"], "scenario");
            assert_eq!(report["asked"]["duration_s"], 0.3);
            assert_eq!(report["phases"].as_array().unwrap().len(), 4);
        },
    );
    let long = SCENARIO.replace("300ms", "30s");
    let script = "local function act(u) u.client:get('/') end
        return { initialize = act, main = act, guest = act, validate = act }";
    let folder = Folder::new(&long, script);
    let mut command = isukit();
    command.args([
        "run",
        folder.path(),
        "--target",
        &app.url(),
        "--format",
        "json",
    ]);
    let process = spawn(command);
    sleep(Duration::from_millis(600));
    process.signal(Signal::INT);
    let report = finish(process).report();
    assert_eq!(report["interrupted"], true);
    check("interrupted scenario", &report);
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
    for schema in [SCHEMA, include_str!("../schemas/decode.v1.json")] {
        let schema: Value = serde_json::from_str(schema).unwrap();
        walk("", &schema);
        for (name, node) in schema["$defs"].as_object().unwrap() {
            assert!(node["description"].is_string(), "{name}");
            walk(name, node);
        }
    }
}
