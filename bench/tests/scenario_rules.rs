//! What `scenario.toml` says holds: points, failures, users that come and go, phases one after the
//! other.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use support::scenario::{App, Folder, main_of, wrongs};
use support::{Ran, check_sums, count, side_by_side};

/// A load phase of 300 ms with these users.
fn load(users: &str) -> String {
    format!("[[phase]]\nname = \"load\"\nduration = \"300ms\"\ndrain = \"500ms\"\n{users}\n")
}

const ONE: &str = "[phase.users.main]\nusers = 1\n";

#[track_caller]
fn run(app: &App, toml: &str, script: &str, args: &[&str]) -> Ran {
    let ran = Folder::new(toml, script).run(&app.url(), args);
    check_sums(&ran.report());
    ran
}

/// Rules, what one user does once, the exit code, the score and what is said.
type Row = (&'static str, &'static str, i32, Option<f64>, &'static str);

fn check_rules(rows: Vec<Row>) {
    let app = App::start();
    side_by_side(rows, 4, |(rules, body, code, score, said)| {
        // A run in which nothing succeeded would fail for that alone.
        let script = main_of(&format!("c:get('/') c:get('/') {body}\npause(9)"));
        let ran = run(
            &app,
            &format!("{rules}\n{}", load(ONE)),
            &script,
            &["--threads", "1"],
        );
        let what = format!("{rules} {body}: {}", wrongs(&ran));
        let report = ran.report();
        assert_eq!(ran.code, code, "{what}");
        assert_eq!(report["passed"], code == 0, "{what}");
        assert_eq!(report["score"].as_f64(), score, "{what}");
        assert!(wrongs(&ran).contains(said), "{what}");
        let lines = report["score_breakdown"].as_array().unwrap();
        let sum: f64 = lines
            .iter()
            .map(|line| line["subtotal"].as_f64().unwrap())
            .sum();
        assert!(
            (sum - score.unwrap_or(0.0)).abs() < 0.02,
            "{what}: {lines:?}"
        );
    });
}

const SILENT: &str = "for i = 1, 3 do pcall(c.get, c, '/?end=silent', { timeout = 0.03 }) end";

#[test]
fn points_are_given_and_taken_as_the_rules_say() {
    check_rules(vec![
        ("", "check('x', false)", 0, None, "check-failed"),
        ("[score]\na = 10", "", 0, Some(0.0), ""),
        (
            "[score]\na = 10",
            "score('a') score('a', 2) score('a', 0)",
            0,
            Some(30.0),
            "",
        ),
        (
            "[score]\na = 0.1\nb = -2",
            "score('a', 3) score('b')",
            0,
            Some(-1.7),
            "",
        ),
        (
            "[score]\na = { per = 10, points = 5 }",
            "score('a', 29)",
            0,
            Some(10.0),
            "",
        ),
        (
            "[score]\na = 10\nerror = -50",
            "score('a', 10) check('x', false) check('y', true)",
            0,
            Some(50.0),
            "check-failed",
        ),
        (
            "[score]\na = 1\nerror = { per = 2, points = -5 }",
            "for i = 1, 5 do c:get('/?status=500') end",
            0,
            Some(-10.0),
            "status-500",
        ),
        (
            "[score]\na = 1\nerror = -50\ntimeout = { per = 2, points = -100 }",
            SILENT,
            0,
            Some(-100.0),
            "timeout",
        ),
        (
            "[score]\na = 10\nb = 10\n[score.bonus]\nby = \"a\"\napplies_to = [\"b\"]\nsteps = [[2, 1.5], [4, 2]]",
            "score('a', 3) score('b', 2)",
            0,
            Some(60.0),
            "",
        ),
        (
            "[score]\na = 10\n[score.bonus]\nby = \"n\"\nsteps = [[3, 2]]",
            "score('a') counter('n'):add(3)",
            0,
            Some(20.0),
            "",
        ),
        (
            "[score]\na = 10\n[score.bonus]\nby = \"n\"\nsteps = [[3, 2]]",
            "score('a') counter('n'):add(2.9) counter('n'):add(-1)",
            0,
            Some(10.0),
            "",
        ),
    ]);
}

#[test]
fn a_run_fails_as_the_rules_say() {
    check_rules(vec![
        ("[fail]\nerrors_over = 1", "check('x', false)", 0, None, ""),
        (
            "[fail]\nerrors_over = 1",
            "check('x', false) check('x', false)",
            1,
            None,
            "2 errors, more than 1",
        ),
        ("[fail]\nerrors_over = 0", SILENT, 0, None, "timeout"),
        ("[fail]\ntimeouts_over = 3", SILENT, 0, None, "timeout"),
        (
            "[fail]\ntimeouts_over = 2",
            SILENT,
            1,
            None,
            "3 timeouts, more than 2",
        ),
        (
            "[score]\na = 1\n[fail]\nscore_at_most = 0",
            "score('a')",
            0,
            Some(1.0),
            "",
        ),
        (
            "[score]\na = 1\n[fail]\nscore_at_most = 1",
            "score('a')",
            1,
            Some(1.0),
            "a score of 1, not more than 1",
        ),
        (
            "thresholds = [\"errors < 50%\"]",
            "c:get('/') c:get('/') c:get('/?status=500')",
            0,
            None,
            "",
        ),
        (
            "thresholds = [\"errors == 0\"]",
            "c:get('/?status=500')",
            1,
            None,
            "threshold errors == 0 missed",
        ),
        (
            "thresholds = [\"p99 < 10ms\"]",
            "c:get('/?delay=50')",
            1,
            None,
            "threshold p99 < 10ms missed",
        ),
        (
            "thresholds = [\"slow: p99 < 10ms\", \"GET /: p50 < 10s\"]",
            "c:get('/') c:get('/?delay=50', { step = 'slow' })",
            1,
            None,
            "threshold slow: p99 < 10ms missed",
        ),
        (
            "thresholds = [\"none: p99 < 10ms\"]",
            "c:get('/')",
            1,
            None,
            "saw no sample",
        ),
        (
            "thresholds = [\"timeouts == 0\", \"rps > 1\"]",
            "c:get('/')",
            0,
            None,
            "",
        ),
        ("", "fail('lost')", 1, None, "load: lost"),
        (
            "",
            "spawn('main')",
            2,
            None,
            "scenario.luau:2: scenario.toml says how many users there are of `main`",
        ),
        ("", "spawn('mian')", 2, None, "did you mean `main`?"),
        (
            "",
            "error('oops')",
            2,
            None,
            "load: the script is broken: scenario.luau:2: oops",
        ),
    ]);
}

#[test]
fn thresholds_of_the_command_line_are_held_too() {
    let app = App::start();
    let args = ["--threshold", "p50 < 1us"];
    let ran = run(&app, &load(ONE), &main_of("c:get('/') pause(9)"), &args);
    assert_eq!(ran.code, 1);
    assert!(wrongs(&ran).contains("threshold p50 < 1us missed"));
}

/// The numbers of the users that asked for something.
fn users(app: &App) -> BTreeSet<u64> {
    let number = |seen: &support::scenario::Seen| seen.query("n").unwrap().parse().unwrap();
    app.seen().iter().map(number).collect()
}

/// Users of a kind, what each does, and how many of them come.
fn check_users(kind: &str, body: &str, expected: u64, most: u64) {
    for threads in ["1", "2"] {
        let app = App::start();
        let toml = format!(
            "[score]\nmore = 1\nless = 1\n{}",
            load(&format!("[phase.users.main]\n{kind}\n"))
        );
        let script = main_of(&format!("c:get('/?n=' .. u.number)\n{body}\npause(9)"));
        let ran = run(&app, &toml, &script, &["--threads", threads]);
        assert_eq!(ran.code, 0, "{kind}: {}", wrongs(&ran));
        let report = ran.report();
        assert_eq!(
            users(&app),
            (0..expected).collect(),
            "{kind}, {threads} threads"
        );
        assert_eq!(
            count(&report, "/users/most"),
            most,
            "{kind}, {threads} threads"
        );
    }
}

#[test]
fn users_are_as_many_as_their_kind_says() {
    check_users("users = 1", "", 1, 1);
    check_users("users = 5", "", 5, 5);
    check_users("ramp = [{ over = \"100ms\", users = 4 }]", "", 4, 4);
    check_users("users = 3\nramp = [{ over = \"0s\", users = 3 }]", "", 3, 3);
    check_users("arrivals = [{ at = \"0s\", users = 4 }]", "", 4, 4);
    check_users(
        "arrivals = [{ at = \"0s\", users = 2 }, { at = \"100ms\", users = 3 }]",
        "",
        5,
        5,
    );
    check_users("rate = \"50/s\"", "", 15, 15);
    check_users(
        "arrivals = [{ from = \"100ms\", to = \"200ms\", rate = \"100/s\" }]",
        "",
        10,
        10,
    );
    check_users(
        "arrivals = [{ from = \"0s\", to = \"300ms\", rate = \"0/s..100/s\" }]",
        "",
        15,
        15,
    );
    // Who has done what it came for goes.
    check_users(
        "arrivals = [{ at = \"0s\", users = 4 }]\nmax_users = 1",
        "if true then return end",
        4,
        1,
    );
    // Each success brings one more, up to the most.
    check_users(
        "users = 1\non_score = { more = 1 }\nat_most = 4",
        "score('more')",
        4,
        4,
    );
    check_users(
        "users = 1\non_score = { more = 1 }\nat_most = 4",
        "score('less')",
        1,
        1,
    );
    check_users(
        "users = 2\non_score = { more = 2 }\nat_most = 100",
        "if u.number < 2 then score('more') end",
        6,
        6,
    );
    check_users(
        "users = 1\non_score = { more = 1 }\nuntil = \"full\"",
        "if u.number == 2 then signal('full') pause(0.05) end score('more')",
        3,
        3,
    );
}

#[test]
fn arrivals_end_with_their_signal_and_those_without_a_seat_are_dropped() {
    let app = App::start();
    let kind = "[phase.users.main]\narrivals = [{ at = \"0s\", users = 5 }]\nmax_users = 2\n";
    let script = main_of("c:get('/?n=' .. u.number) pause(9)");
    let report = run(&app, &load(kind), &script, &["--threads", "2"]).report();
    assert_eq!((users(&app).len(), count(&report, "/dropped")), (2, 3));
    app.forget();
    let kind = "[phase.users.main]\nrate = \"100/s\"\nuntil = \"full\"\n";
    let script = main_of("c:get('/?n=' .. u.number) if u.number == 9 then signal('full') end");
    let report = run(&app, &load(kind), &script, &["--threads", "1"]).report();
    assert_eq!(count(&report, "/dropped"), 0);
    assert!((10..=13).contains(&users(&app).len()), "{:?}", users(&app));
}

/// Who is retired is told so, and leaves.
#[test]
fn errors_and_ramps_retire_users() {
    let check = |kind: &str, body: &str, leaving: usize| {
        for threads in ["1", "2"] {
            let app = App::start();
            let toml = load(&format!("[phase.users.main]\n{kind}\n"));
            let script = main_of(&format!(
                "{body}\nwhile running() do pause(0.01) end c:get('/left')"
            ));
            let ran = run(&app, &toml, &script, &["--threads", threads]);
            assert_eq!(
                app.seen().len(),
                leaving,
                "{kind}, {threads}: {}",
                wrongs(&ran)
            );
        }
    };
    let fails = "if u.number == 0 then pause(0.1) check('good', false) end";
    check("users = 3\non_error = -1", fails, 1);
    check("users = 3\non_error = -2", fails, 2);
    check("users = 3\non_error = -9", fails, 3);
    check("users = 3", fails, 0);
    check(
        "users = 4\nramp = [{ over = \"0s\", users = 4 }, { over = \"100ms\", users = 1 }]",
        "",
        3,
    );
}

/// The phases' names, results and requests.
fn phases(report: &Value) -> Vec<(String, String, u64)> {
    let phases = report["phases"].as_array().unwrap();
    phases
        .iter()
        .map(|phase| {
            let text = |key: &str| phase[key].as_str().unwrap().to_owned();
            (
                text("name"),
                text("result"),
                phase["requests"].as_u64().unwrap(),
            )
        })
        .collect()
}

const PHASES: &str = "[score]\na = 1\n\
    [[phase]]\nname = \"initialize\"\nrun = \"initialize\"\ntime_limit = \"300ms\"\n\
    [[phase]]\nname = \"warm-up\"\nduration = \"100ms\"\ncounts = false\n[phase.users.main]\nusers = 2\n\
    [[phase]]\nname = \"load\"\nduration = \"200ms\"\ndrain = \"0s\"\n[phase.users.main]\nusers = 3\n\
    [[phase]]\nname = \"validate\"\nrun = \"validate\"\n";

/// What the three functions do, the exit code, each phase's result and requests, and what is said.
#[track_caller]
fn check_phases(functions: [&str; 3], code: i32, expected: [(&str, u64); 4], said: &str) {
    let app = App::start();
    let [initialize, main, validate] = functions;
    let script = format!(
        "return {{
            initialize = function(u) local c = u.client {initialize} end,
            main = function(u) local c = u.client {main} pause(9) end,
            validate = function(u) local c = u.client {validate} end,
        }}"
    );
    let ran = run(&app, PHASES, &script, &["--threads", "2"]);
    let report = ran.report();
    assert_eq!(ran.code, code, "{}", wrongs(&ran));
    let names = ["initialize", "warm-up", "load", "validate"];
    let expected: Vec<_> = names
        .iter()
        .zip(expected)
        .map(|(name, (result, requests))| ((*name).to_owned(), result.to_owned(), requests))
        .collect();
    assert_eq!(phases(&report), expected, "{}", wrongs(&ran));
    assert!(
        wrongs(&ran).contains(said),
        "no `{said}` in {}",
        wrongs(&ran)
    );
    // Only the load counts.
    assert_eq!(count(&report, "/requests"), expected[2].2);
    let scored = if expected[2].1 == "skipped" {
        0
    } else {
        expected[2].2
    };
    assert_eq!(report["score"].as_f64(), Some(scored as f64));
    let asked: u64 = expected.iter().map(|(_, _, requests)| requests).sum();
    assert_eq!(app.seen().len() as u64, asked);
    assert!(ran.took < Duration::from_secs(4), "{:?}", ran.took);
}

#[test]
fn phases_follow_each_other_until_one_fails() {
    let get = "c:get('/') score('a')";
    let done = |requests| ("done", requests);
    let skipped = ("skipped", 0);
    check_phases([get, get, get], 0, [done(1), done(2), done(3), done(1)], "");
    check_phases(
        ["c:get('/?status=500')", get, get],
        1,
        [("failed", 1), skipped, skipped, skipped],
        "initialize: status-500: GET /?status=500",
    );
    check_phases(
        ["check('language', false, 'it is empty')", get, get],
        1,
        [("failed", 0), skipped, skipped, skipped],
        "initialize: check-failed: language: it is empty",
    );
    check_phases(
        ["c:get('/?end=silent')", get, get],
        1,
        [("failed", 1), skipped, skipped, skipped],
        "initialize: initialize was not done within 300ms",
    );
    check_phases(
        ["pause(9)", get, get],
        1,
        [("failed", 0), skipped, skipped, skipped],
        "initialize was not done within 300ms",
    );
    check_phases(
        ["c:get('/') fail('wrong language')", get, get],
        1,
        [("failed", 1), skipped, skipped, skipped],
        "initialize: wrong language",
    );
    check_phases(
        ["c:get('/') local x = nil + 1", get, get],
        2,
        [("failed", 1), skipped, skipped, skipped],
        "initialize: the script is broken: scenario.luau:2: attempt to perform arithmetic",
    );
    check_phases(
        ["while true do end", get, get],
        2,
        [("failed", 0), skipped, skipped, skipped],
        "the script computed for more than 200ms",
    );
    check_phases(
        [
            get,
            "c:get('/') score('a') pause(0.05) if u.number == 2 then fail('a job is lost') end",
            get,
        ],
        1,
        [done(1), done(2), ("failed", 3), skipped],
        "load: a job is lost",
    );
    // The errors of the load are not those of the validation behind it.
    check_phases(
        [
            get,
            "c:get(if u.number == 0 then '/' else '/?status=500') score('a')",
            "c:get('/?delay=50')",
        ],
        0,
        [done(1), done(2), done(3), done(1)],
        "status-500",
    );
    check_phases(
        [get, get, "c:get('/') must('whole', false)"],
        1,
        [done(1), done(2), done(3), ("failed", 1)],
        "validate: check-failed: whole",
    );
}

#[test]
fn a_user_of_the_closed_model_begins_again_as_a_visitor_nobody_knows() {
    let app = App::start();
    let script = main_of(
        "c:get('/?n=' .. u.iteration, { query = { h = 'Set-Cookie: a=1; Path=/' } })
         c:get('/?n=' .. u.iteration)
         pause(0.03)",
    );
    let report = run(&app, &load(ONE), &script, &[]).report();
    let seen = app.seen();
    assert!(seen.len() >= 6, "{report:#}");
    for (at, seen) in seen.iter().enumerate() {
        assert_eq!(seen.query("n").unwrap(), (at / 2 + 1).to_string());
        assert_eq!(seen.header("cookie"), if at % 2 == 0 { "" } else { "a=1" });
    }
    assert_eq!(app.accepted(), 1, "it keeps its connection");
}

/// From `stop_new` on, users are told to begin nothing new and none comes.
#[test]
fn the_last_stretch_begins_nothing_new() {
    let app = App::start();
    let toml = "[[phase]]\nname = \"load\"\nduration = \"600ms\"\nstop_new = \"300ms\"\n\
        [phase.users.main]\nusers = 1\n[phase.users.guest]\nrate = \"50/s\"\n";
    let script = "return {
        main = function(u)
            while running() do u.client:get('/main') pause(0.02) end
            pause(0.1)
            u.client:get('/end')
        end,
        guest = function(u) u.client:get('/guest') end,
    }";
    let report = run(&app, toml, script, &[]).report();
    let seen = app.seen();
    let of = |path: &str| seen.iter().filter(|seen| seen.path() == path).count();
    assert_eq!((of("/guest"), of("/end")), (15, 1), "{report:#}");
    assert!((8..=16).contains(&of("/main")), "{}", of("/main"));
}
