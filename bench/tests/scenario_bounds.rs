//! A phase ends on time whatever the target does and whatever the script does, and the report says
//! where it went wrong.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;
use support::scenario::{App, Folder, ONCE, main_of, wrongs};
use support::{
    MARGIN, check_sums, count, finish, isukit, kinds, nobody, number, side_by_side, spawn,
};

/// For how long phases last, and wait after that.
const SENDING: Duration = Duration::from_millis(300);
const DRAIN: Duration = Duration::from_millis(200);

const LOAD: &str = "[[phase]]\nname = \"load\"\nduration = \"300ms\"\ndrain = \"200ms\"\n\
    [phase.users.main]\nusers = 2\n";

const FUNCTION: &str = "[[phase]]\nname = \"once\"\nrun = \"main\"\ntime_limit = \"300ms\"\n";

/// Targets that misbehave, as bodies of `main`, and the kinds of errors of a load phase; the first
/// must be among them.
#[test]
fn phases_end_whatever_the_target_does() {
    let rows: Vec<(&str, &[&str])> = vec![
        ("c:get('/?end=silent')", &["unfinished-at-end"]),
        ("c:get('/?end=drip')", &["unfinished-at-end"]),
        ("c:get('/?end=close')", &["closed-before-reply"]),
        (
            "while true do pcall(c.get, c, '/?end=close') end",
            &["closed-before-reply"],
        ),
        (
            "c:get('/?end=silent', { timeout = '50ms' })",
            &["timeout", "unfinished-at-end"],
        ),
        (
            "while true do pcall(c.get, c, '/?end=silent', { timeout = '50ms' }) end",
            &["timeout", "unfinished-at-end"],
        ),
        (
            "parallel(function() c:get('/?end=silent') end, function() c:get('/?end=drip') end)",
            &["unfinished-at-end"],
        ),
        (
            "spawn(function() c:get('/?end=silent') end) pause(9)",
            &["unfinished-at-end"],
        ),
        (
            "within(0.1, function() c:get('/?end=silent') end)",
            &["check-failed", "unfinished-at-end"],
        ),
        (
            "poll({ every = 0, within = 9 }, function() c:get('/') end)",
            &[],
        ),
        ("c:get('/?delay=450')", &[]),
    ];
    let app = App::start();
    side_by_side(rows, 4, |(body, expected)| {
        for (toml, drain) in [(LOAD, DRAIN), (FUNCTION, Duration::ZERO)] {
            let ran = Folder::new(toml, &main_of(body)).run(&app.url(), &["--threads", "2"]);
            assert!(
                ran.took < SENDING + drain + MARGIN,
                "{body}: {:?}",
                ran.took
            );
            let report = ran.report();
            check_sums(&report);
            if toml == FUNCTION {
                assert_eq!(ran.code, 1, "{body}: {}", wrongs(&ran));
                continue;
            }
            let found = kinds(&report);
            for (kind, _) in &found {
                assert!(
                    expected.contains(&&**kind),
                    "{body}: {found:?} {}",
                    wrongs(&ran)
                );
            }
            let first = expected.first();
            assert!(
                first.is_none_or(|first| found.iter().any(|(kind, _)| kind == first)),
                "{body}: {found:?}"
            );
            assert!(count(&report, "/requests") > 0, "{body}");
        }
    });
}

#[test]
fn a_target_that_is_not_there_ends_nothing_late() {
    let (_kept, absent) = nobody();
    let url = format!("http://{absent}/");
    for (toml, what) in [(LOAD, "load"), (FUNCTION, "once")] {
        let body = "while true do pcall(c.get, c, '/') end";
        let ran = Folder::new(toml, &main_of(body)).run(&url, &["--threads", "1"]);
        assert!(
            ran.took < SENDING + DRAIN + MARGIN,
            "{what}: {:?}",
            ran.took
        );
        let report = ran.report();
        check_sums(&report);
        assert!(
            wrongs(&ran).contains("connection-refused"),
            "{}",
            wrongs(&ran)
        );
        // Nobody is the better for a request a microsecond.
        let asked = report["phases"][0]["requests"].as_u64().unwrap();
        assert!(asked > 10, "{asked}");
    }
}

/// What scripts do to hold everything up, and what is said of it; nothing for what is allowed.
fn hogs() -> Vec<(&'static str, &'static str)> {
    const LONG: &str = "scenario.luau:2: the script computed for more than 200ms";
    const MEMORY: &str = "scenario.luau:2: the scripts took more memory than limits.memory allows";
    vec![
        ("while true do end", LONG),
        (
            "\nrepeat until false",
            "scenario.luau:3: the script computed for more",
        ),
        (
            "while true do pcall(function() while true do end end) end",
            LONG,
        ),
        (
            "pcall(function() while true do end end) while true do pcall(error) end",
            LONG,
        ),
        (
            "while true do try(function() while true do end end) end",
            LONG,
        ),
        (
            "while true do xpcall(error, function() while true do end end) end",
            LONG,
        ),
        (
            "local t = setmetatable({}, { __index = function() while true do end end }) local x = t.x",
            LONG,
        ),
        (
            "table.sort({ 3, 1, 2 }, function() while true do end end)",
            LONG,
        ),
        ("string.find(('a'):rep(30000), ('a*'):rep(30) .. 'b')", LONG),
        ("for i in string.gmatch(('a'):rep(1e6), '.-b') do end", LONG),
        (
            "while true do spawn(function() end) end",
            "scenario.luau:2: a user has more than 1000 flows",
        ),
        ("while true do counter('n'):add() end", LONG),
        ("while true do check('x', true) end", LONG),
        ("local s = ('x'):rep(2 ^ 29)", MEMORY),
        ("local s = 'x' while true do s ..= s end", MEMORY),
        (
            "local t = {} while true do table.insert(t, ('x'):rep(1e6) .. #t) end",
            // Whichever of the two limits is met first.
            "scenario.luau:2: the script",
        ),
        ("local t = table.create(2 ^ 26, 0)", MEMORY),
        ("local b = buffer.create(2 ^ 29)", MEMORY),
        ("error('oops')", "scenario.luau:2: oops"),
        ("error({ code = 1 })", "scenario.luau:2: "),
        ("error()", "scenario.luau:2: "),
        ("error(nil, 0)", "scenario.luau:2: "),
        ("error('no place', 0)", "scenario.luau:2: no place"),
        ("assert(false)", "scenario.luau:2: assertion failed!"),
        (
            "local function f() return 1 + f() end f()",
            "scenario.luau:2: stack overflow",
        ),
        (
            "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k] end local x = t.a",
            "overflow",
        ),
        (
            "local x = nil x()",
            "scenario.luau:2: attempt to call a nil value",
        ),
        (
            "local x = nil local y = x.z",
            "scenario.luau:2: attempt to index nil with 'z'",
        ),
        (
            "local function f() parallel(f, f) end f()",
            "more than 1000 flows",
        ),
        (
            "local function f() within(1, f) end f()",
            "more than 1000 flows",
        ),
        (
            "while true do u:new_client() end",
            "a user has at most 10000 clients",
        ),
        (
            "local t = {} t.t = t json(t)",
            "scenario.luau:2: tables are nested more than 32 deep",
        ),
        (
            "local t = {} t.t = t pool('p'):put(t)",
            "tables are nested more than 32 deep",
        ),
        (
            "while true do pool('p'):put(('x'):rep(2 ^ 20)) end",
            // Whichever of the two limits is met first.
            "scenario.luau:2: ",
        ),
        (
            "local t = {} for i = 1, 1e5 do t[i] = i end random.shuffle(t)",
            "",
        ),
        ("table.unpack({}, 1, 1e8)", "scenario.luau:2: "),
        ("string.rep('', 2 ^ 31 - 1)", ""),
        ("local s = string.format('%99.99f', 1e300)", ""),
        (
            "table.move({}, 1, 1e9, 2)",
            "scenario.luau:2: table.move moves at most",
        ),
        (
            "table.move({ 1 }, 1, 1, 2) table.move({ 1 }, 1, 1, 1, {})",
            "",
        ),
        ("return", ""),
        ("coroutine.yield(99)", "scenario.luau:2: "),
        (
            "table.sort({ 1, 2, 3 }, function() pause(0.1) return true end)",
            "scenario.luau:2: this cannot wait",
        ),
    ]
}

#[test]
fn a_phase_ends_whatever_the_script_does() {
    let app = App::start();
    side_by_side(hogs(), 2, |(body, said)| {
        let ran = Folder::new(ONCE, &main_of(body)).run(&app.url(), &["--threads", "1"]);
        let wrong = wrongs(&ran);
        assert!(ran.took < MARGIN, "{body}: {:?} {wrong}", ran.took);
        assert_eq!(
            ran.code,
            if wrong.is_empty() { 0 } else { 2 },
            "{body}: {wrong}"
        );
        assert!(wrong.contains(said), "{body}: no `{said}` in {wrong}");
    });
}

/// The same in the closed model, where whoever fails begins again: other users go on meanwhile.
#[test]
fn who_fails_again_and_again_is_slowed_down() {
    let app = App::start();
    let rows = vec![
        ("while true do end", 2),
        ("local s = 'x' while true do s ..= s end", 2),
        ("error('oops')", 2),
        ("return", 0),
        ("must('fine', false)", 0),
        ("c:get('no path')", 2),
        ("spawn(function() error('x') end)", 0),
    ];
    side_by_side(rows, 2, |(body, code)| {
        let toml = format!("[limits]\ncpu = \"20ms\"\nmemory = \"16M\"\n{LOAD}");
        let ran = Folder::new(&toml, &main_of(body)).run(&app.url(), &["--threads", "1"]);
        assert!(
            ran.took < SENDING + DRAIN + MARGIN,
            "{body}: {:?}",
            ran.took
        );
        assert_eq!(ran.code, code, "{body}: {}", wrongs(&ran));
        let report = ran.report();
        check_sums(&report);
        // Two users, each at most ten times while its pause doubles from a millisecond on.
        assert!(count(&report, "/errors") <= 22, "{body}: {report:#}");
        assert!(number(&report, "/generator/cpu_s") < 1.0, "{body}");
    });
}

#[test]
fn a_stopped_run_still_reports() {
    let app = App::start();
    let check = |toml: &str, body: &str, presses: usize, code: i32, within: Duration| {
        let folder = Folder::new(toml, &main_of(body));
        let mut command = isukit();
        let url = app.url();
        command.args(["run", folder.path(), "--target", &url, "--format", "json"]);
        let process = spawn(command);
        sleep(Duration::from_millis(400));
        for _ in 0..presses {
            process.signal(Signal::INT);
            sleep(Duration::from_millis(100));
        }
        let ran = finish(process);
        let report = ran.report();
        assert_eq!(report["interrupted"], true, "{body}: {report:#}");
        assert_eq!(ran.code, code, "{body}: {}", wrongs(&ran));
        assert!(ran.took < within, "{body}: {:?}", ran.took);
        check_sums(&report);
    };
    let long = LOAD.replace("300ms", "30s").replace("200ms", "30s");
    let soon = Duration::from_millis(800) + MARGIN;
    check(&long, "c:get('/?delay=10')", 1, 0, soon);
    check(&long, "pause(60)", 1, 0, soon);
    check(&long, "c:get('/?end=silent')", 2, 1, soon);
    check(&long, "while true do end", 1, 2, soon);
    let once = ONCE.replace("5s", "30s");
    // It has not passed what it did not come to.
    check(&once, "c:get('/?delay=10') pause(60)", 1, 1, soon);
}

#[test]
fn a_phase_that_never_waits_takes_the_time_it_takes() {
    let body = "local at = clock() for i = 1, 3e6 do at += i end";
    let toml = format!("[limits]\ncpu = \"9s\"\n{ONCE}");
    let ran = Folder::new(&toml, &main_of(body)).run("http://127.0.0.1:9/", &[]);
    assert_eq!(ran.code, 0, "{}", wrongs(&ran));
    assert!(number(&ran.report(), "/phases/0/duration_s") > 0.002);
}

#[test]
fn a_report_is_written_to_its_file_whatever_happened() {
    let app = App::start();
    for (body, code) in [
        ("c:get('/')", 0),
        ("c:get('/?status=500')", 1),
        ("error('x')", 2),
    ] {
        let folder = Folder::new(ONCE, &main_of(body));
        let output = format!("{}/report.json", folder.path());
        let ran = folder.run(&app.url(), &["--output", &output]);
        assert_eq!((ran.code, &*ran.stdout), (code, ""), "{body}");
        let text = std::fs::read_to_string(&output).unwrap();
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["passed"], code == 0);
    }
}
