//! The ways to run a scenario: a dry run, a walk with everything printed, the files beside the
//! report, and what only a URL can be asked.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use support::scenario::{App, Folder, ONCE, main_of, wrongs};
use support::{Ran, count, finish, isukit, spawn};

const TOML: &str = "[score]\na = 1\n[[phase]]\nname = \"initialize\"\nrun = \"initialize\"\n\
    [[phase]]\nname = \"load\"\nduration = \"400ms\"\ndrain = \"200ms\"\n\
    [phase.users.main]\nusers = 2\n[phase.users.guest]\nrate = \"100/s\"\n";

const SCRIPT: &str = "return {
    initialize = function(u) u.client:post('/initialize', { secret = 'shown' }, { headers = { Authorization = 'hidden' } }) end,
    main = function(u) u.client:get('/main', { query = { h = 'Set-Cookie: key=hidden; Path=/' } }) log('here', u.name, 1.5) pause(9) end,
    guest = function(u) u.client:get('/guest') end,
}";

/// The binary with these arguments, as a person calls it.
fn called(args: &[&str]) -> Ran {
    let mut command = isukit();
    command.arg("run").args(args);
    let ran = finish(spawn(command));
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    ran
}

#[test]
fn a_dry_run_sends_nothing() {
    let app = App::start();
    let folder = Folder::new(TOML, SCRIPT);
    let ran = called(&[folder.path(), "--target", &app.url(), "--dry-run"]);
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    for part in [
        "initialize",
        "load",
        "main (at most 2)",
        "guest",
        "1 score tags",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    assert!(app.seen().is_empty() && app.accepted() == 0);
    // A target need not even be there.
    let file = format!("{}/scenario.toml", folder.path());
    let ran = called(&[&file, "--target", "http://nowhere.invalid", "--dry-run"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_walk_shows_everything_but_secrets() {
    let app = App::start();
    let folder = Folder::new(TOML, SCRIPT);
    let ran = called(&[
        folder.path(),
        "--target",
        &app.url(),
        "--debug",
        "--duration",
        "300ms",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for part in [
        "-> initialize-0",
        "POST /initialize HTTP/1.1",
        "{\"secret\":\"shown\"}",
        "<- GET /main?h=",
        "log (main-0): here main-0 1.5",
        "Authorization: ***",
        "Set-Cookie: key=***",
        "== load: ",
    ] {
        assert!(ran.stdout.contains(part), "no `{part}` in {}", ran.stdout);
    }
    assert!(
        !ran.stdout.contains("Authorization: hidden"),
        "{}",
        ran.stdout
    );
    // One user of each kind.
    let mains = app
        .seen()
        .iter()
        .filter(|seen| seen.path().starts_with("/main"))
        .count();
    assert_eq!(mains, 1);
    let broken = Folder::new(ONCE, &main_of("c:get('/?status=500') error('oops')"));
    let ran = called(&[broken.path(), "--target", &app.url(), "--debug"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.stdout.contains("scenario.luau:2: oops"),
        "{}",
        ran.stdout
    );
}

#[test]
fn the_files_beside_the_report_hold_what_it_counts() {
    let app = App::start();
    let folder = Folder::new(TOML, SCRIPT);
    let [events, hdr] = ["events", "hdr"].map(|name| format!("{}/{name}", folder.path()));
    let ran = folder.run(
        &app.url(),
        &["--events", &events, "--hdr", &hdr, "--threads", "2"],
    );
    assert_eq!(ran.code, 0, "{}", wrongs(&ran));
    let report = ran.report();
    let text = std::fs::read_to_string(&events).unwrap();
    assert_eq!(text.lines().count() as u64 - 1, count(&report, "/requests"));
    assert!(!text.contains("initialize"), "{text}");
    assert!(std::fs::metadata(&hdr).unwrap().len() > 0);
    assert_eq!(count(&report, "/requests"), 42);
}

#[test]
fn options_override_the_scenario() {
    let app = App::start();
    let url = app.url();
    let toml = format!("target = \"{url}\"\n{TOML}");
    let run = |args: &[&str]| {
        let folder = Folder::new(&toml, SCRIPT);
        let mut all = vec![folder.path(), "--format", "json"];
        all.extend(args);
        called(&all)
    };
    let report = run(&["--duration", "100ms"]).report();
    assert_eq!(report["asked"]["duration_s"], 0.1);
    assert_eq!(count(&report, "/requests"), 12);
    let report = run(&["--duration", "100ms", "--threads", "3"]).report();
    assert_eq!(report["asked"]["threads"], 3);
    let silent = Folder::new(&toml, &SCRIPT.replace("/guest", "/guest?end=silent"));
    let ran = called(&[
        silent.path(),
        "--format",
        "json",
        "--timeout",
        "50ms",
        "--duration",
        "200ms",
    ]);
    let report = ran.report();
    assert_eq!(count(&report, "/timeouts"), 20, "{report:#}");
}

#[test]
fn wrong_calls_are_told() {
    let app = App::start();
    let url = app.url();
    let folder = Folder::new(TOML, SCRIPT);
    let empty = tempfile::tempdir().unwrap();
    let check = |args: &[&str], part: &str| {
        let ran = called(args);
        assert_eq!((ran.code, &*ran.stdout), (2, ""), "{ran:?}");
        assert!(ran.stderr.contains(part), "no `{part}` in {}", ran.stderr);
    };
    check(&[folder.path()], "names no target; write target = ");
    check(
        &[folder.path(), "--target", &url, "--rate", "5"],
        "--rate is for a single URL",
    );
    check(
        &[folder.path(), "--target", &url, "--check", "true"],
        "--check is for a single URL",
    );
    check(&[&url, "--dry-run"], "--dry-run is for a scenario");
    check(
        &[folder.path(), "--target", "http://127.0.0.1/path"],
        "leave out the path",
    );
    check(
        &[folder.path(), "--target", &url, "--duration", "1ms"],
        "--duration must be at least 10ms",
    );
    check(
        &[empty.path().to_str().unwrap(), "--target", &url],
        "scenario.toml",
    );
    check(
        &["no/such/folder"],
        "neither the folder of a scenario nor a URL",
    );
    assert!(app.seen().is_empty());
}

#[test]
fn a_scenario_is_reported_to_people_too() {
    let app = App::start();
    let script = "return {
        initialize = function(u) end,
        main = function(u) score('a') check('whole', false, 'half') pause(9) end,
        guest = function(u) u.client:get('/guest') end,
    }";
    let folder = Folder::new(TOML, script);
    for format in ["text", "markdown"] {
        let ran = called(&[folder.path(), "--target", &app.url(), "--format", format]);
        assert_eq!(ran.code, 0, "{ran:?}");
        for part in ["initialize", "load", "GET /guest", "whole", "half", "score"] {
            assert!(
                ran.stdout.contains(part),
                "{format}: no `{part}` in {}",
                ran.stdout
            );
        }
    }
}
