//! `scenario.toml` as a whole: what is read from it, and what is said when it is wrong.

mod faults;

use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::file::parse;
use super::model::{KindLoad, Limits, LoadSpec, PhaseKind, Scenario};
use crate::pace::{ArrivalSpec, Schedule};
use crate::score::{Counts, Points, Rule, score};

/// Everything a scenario can say.
const FULL: &str = include_str!("full.toml");

/// The least a scenario must say, for rows that add something wrong to it.
const LEAST: &str = "[[phase]]\nname = \"load\"\nduration = \"10s\"\nusers.a.users = 1\n";

/// A folder with all the files that the rows name.
fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join("s").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("scenario.luau", "");
    write("names.csv", "name\nann\n");
    write("jobs.jsonl", "{}\n");
    write("notes.txt", "");
    write("protos/contest.proto", "syntax = \"proto3\";");
    write("public/app.css", "abc");
    fs::write(dir.path().join("outside.csv"), "").unwrap();
    std::os::unix::fs::symlink("../outside.csv", dir.path().join("s/link.csv")).unwrap();
    std::os::unix::fs::symlink("names.csv", dir.path().join("s/inner.csv")).unwrap();
    dir
}

fn read(dir: &TempDir, text: &str) -> Result<Scenario, String> {
    let folder = dir.path().join("s");
    let file = Path::new("scenario.toml");
    let base = format!("{}/", folder.display());
    parse(&folder, file, text).map_err(|error| {
        let error = error.to_string().replace(&base, "");
        error.replace(&folder.display().to_string(), "DIR")
    })
}

fn load_of(scenario: &Scenario, phase: usize) -> &LoadSpec {
    match &scenario.phases[phase].kind {
        PhaseKind::Load(load) => load,
        PhaseKind::Function { .. } => panic!("a function phase"),
    }
}

#[test]
fn everything_is_read() {
    let dir = folder();
    let scenario = read(&dir, FULL).unwrap();
    let at = |name: &str| dir.path().join("s").join(name);
    assert_eq!(scenario.target.as_deref(), Some("http://127.0.0.1:9292"));
    assert_eq!(scenario.script, at("scenario.luau"));
    assert_eq!(scenario.user_agent.as_deref(), Some("bench/1"));
    let proto = scenario.proto.as_ref().unwrap();
    assert_eq!(proto.roots, [at("protos")]);
    assert_eq!(proto.content_type, "application/vnd.google.protobuf");
    assert_eq!(proto.error.as_deref(), Some("contest.v1.Error"));
    assert_eq!(
        scenario.headers,
        [("Accept-Language".to_owned(), "en".to_owned())]
    );
    assert_eq!(
        scenario.limits,
        Limits {
            cpu: Duration::from_millis(100),
            memory: 128 << 20,
            connections: 4,
            body: 8 << 20,
        }
    );
    let of = |method, path| scenario.timeouts.of(method, path).as_secs();
    assert_eq!(of("GET", "/api/dashboard"), 2);
    assert_eq!(of("POST", "/api/dashboard"), 9);
    assert_eq!(of("POST", "/api/teams/7"), 3);
    assert_eq!(scenario.timeouts.connect.as_secs(), 4);
    assert_eq!(scenario.routes[0].0.to_string(), "/assets/*");
    assert_eq!(scenario.routes[0].1, "assets");
    let feeds = [
        ("names", "names.csv"),
        ("jobs", "jobs.jsonl"),
        ("inner", "inner.csv"),
    ];
    assert_eq!(
        scenario.feeds,
        feeds.map(|(name, file)| (name.to_owned(), at(file)))
    );
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let hex = |sum: &[u8; 32]| {
        sum.iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let assets: Vec<_> = scenario
        .assets
        .iter()
        .map(|(path, sum)| (&**path, hex(sum)))
        .collect();
    assert_eq!(
        assets,
        [
            ("/assets/app.css", abc.to_owned()),
            ("/assets/app.js", abc.to_owned())
        ]
    );
    assert_eq!(scenario.thresholds.len(), 2);
}

#[test]
fn phases_are_read() {
    let scenario = read(&folder(), FULL).unwrap();
    let names: Vec<_> = scenario.phases.iter().map(|phase| &*phase.name).collect();
    assert_eq!(names, ["initialize", "warm-up", "load"]);
    let PhaseKind::Function { run, time_limit } = &scenario.phases[0].kind else {
        panic!("no function phase");
    };
    assert_eq!((&**run, time_limit.as_secs()), ("initialize", 20));
    assert!(!load_of(&scenario, 1).counts);
    let load = load_of(&scenario, 2);
    assert_eq!(load.duration.as_secs(), 60);
    assert_eq!(load.stop_new.as_millis(), 500);
    assert_eq!(load.drain.as_secs(), 4);
    assert!(load.counts);
    let secs = Duration::from_secs;
    let expected = [
        (
            "team",
            "team_main",
            KindLoad::Arrivals {
                schedule: vec![
                    ArrivalSpec::Burst {
                        at: secs(0),
                        users: 20,
                    },
                    ArrivalSpec::Burst {
                        at: secs(1),
                        users: 10,
                    },
                    ArrivalSpec::Rate {
                        from: secs(2),
                        to: None,
                        first: 10.0,
                        last: 10.0,
                    },
                    ArrivalSpec::Rate {
                        from: secs(2),
                        to: Some(secs(12)),
                        first: 1.0,
                        last: 10.0,
                    },
                ],
                max_users: 1000,
                until: Some("full".to_owned()),
            },
        ),
        (
            "audience",
            "audience",
            KindLoad::Feedback {
                users: 0,
                on_score: vec![(0, 1)],
                on_error: -1,
                at_most: 500,
                until: None,
            },
        ),
        ("reader", "reader", KindLoad::Constant { users: 50 }),
        (
            "crawler",
            "crawler",
            KindLoad::Ramp {
                from: 0,
                points: vec![(secs(10), 100), (secs(30), 100), (secs(5), 0)],
            },
        ),
        (
            "api",
            "api",
            KindLoad::Arrivals {
                schedule: vec![ArrivalSpec::Rate {
                    from: secs(0),
                    to: None,
                    first: 2.0,
                    last: 2.0,
                }],
                max_users: 10_000,
                until: None,
            },
        ),
    ];
    assert_eq!(load.users.len(), expected.len());
    for (kind, (name, run, load)) in load.users.iter().zip(expected) {
        assert_eq!((&*kind.name, &*kind.run, &kind.load), (name, run, &load));
    }
    assert_eq!(load.users[0].load.until(), Some("full"));
    let most: Vec<_> = load
        .users
        .iter()
        .map(|kind| kind.load.max_users())
        .collect();
    assert_eq!(most, [1000, 500, 50, 100, 10_000]);
}

#[test]
fn the_score_is_read() {
    let scenario = read(&folder(), FULL).unwrap();
    let tags: Vec<_> = scenario.tags().collect();
    assert_eq!(
        tags,
        ["job_finished", "answer_read", "dashboard", "audience_view"]
    );
    assert_eq!(scenario.score.error, Some(Rule::each(Points::whole(-50))));
    let hundred = Rule {
        per: 100,
        points: Points::whole(-100),
    };
    assert_eq!(scenario.score.timeout, Some(hundred));
    let bonus = scenario.score.bonus.as_ref().unwrap();
    assert_eq!(bonus.applies, [true, true, true, false]);
    assert_eq!(scenario.score.bonus_tag(), None);
    let counts = Counts {
        tags: &[100, 100, 100, 5],
        errors: 1,
        timeouts: 100,
        bonus_by: 120,
    };
    assert_eq!(
        score(&scenario.score, &counts).total,
        2_200.0 * 1.4 + 0.5 - 150.0
    );
    assert_eq!(scenario.fail.errors_over, Some(100));
    assert_eq!(scenario.fail.timeouts_over, Some(1000));
    assert_eq!(scenario.fail.score_at_most, Some(Points::whole(0)));
    // Without `applies_to` a bonus is for what brings points.
    let text =
        format!("{LEAST}[score]\na = 1\nb = -1\nc = 0\nbonus = {{ by = \"a\", steps = [[1, 2]] }}");
    let scenario = read(&folder(), &text).unwrap();
    assert_eq!(
        scenario.score.bonus.as_ref().unwrap().applies,
        [true, false, false]
    );
    assert_eq!(scenario.score.bonus_tag(), Some(0));
}

#[test]
fn little_is_enough() {
    let dir = folder();
    let scenario = read(&dir, LEAST).unwrap();
    assert_eq!(scenario.limits, Limits::default());
    assert!(scenario.proto.is_none() && scenario.tags().len() == 0);
    let load = load_of(&scenario, 0);
    assert_eq!(
        (load.stop_new.as_secs(), load.drain.as_secs(), load.counts),
        (0, 5, true)
    );
    // A scenario may do without load.
    let scenario = read(&dir, "phase = [{ name = \"a\", run = \"b\" }]").unwrap();
    assert!(matches!(
        &scenario.phases[0].kind,
        PhaseKind::Function { time_limit, .. } if time_limit.as_secs() == 10
    ));
    // A .proto file in the folder is enough to have protobuf.
    fs::write(dir.path().join("s/a.proto"), "").unwrap();
    let proto = read(&dir, LEAST).unwrap().proto.unwrap();
    assert_eq!(proto.roots, [dir.path().join("s")]);
}

#[test]
fn functions_are_wanted_with_their_lines() {
    let scenario = read(&folder(), FULL).unwrap();
    let lines: Vec<&str> = FULL.lines().collect();
    let wanted = scenario.required_functions();
    let names: Vec<_> = wanted.iter().map(|f| (f.function, f.what, f.by)).collect();
    let expected = [
        ("initialize", "phase", "initialize"),
        ("reader", "users", "reader"),
        ("team_main", "users", "team"),
        ("audience", "users", "audience"),
        ("reader", "users", "reader"),
        ("crawler", "users", "crawler"),
        ("api", "users", "api"),
    ];
    assert_eq!(names, expected);
    for function in wanted {
        let line = lines[function.line - 1];
        assert!(line.contains(function.function), "{function:?}: {line}");
    }
    let error = scenario
        .error_at(12, "no function `taem`; did you mean `team`?")
        .to_string();
    assert_eq!(
        error,
        "scenario.toml:12: no function `taem`; did you mean `team`?"
    );
}

#[test]
fn a_duration_can_be_given_from_outside() {
    let scenario = read(&folder(), FULL).unwrap();
    let short = scenario.clone().with_duration(Duration::from_millis(1200));
    assert_eq!(load_of(&short, 1), load_of(&scenario, 1));
    let load = load_of(&short, 2);
    assert_eq!(load.duration.as_millis(), 1200);
    assert_eq!(load.stop_new.as_millis(), 500);
    let KindLoad::Arrivals { schedule, .. } = &load.users[0].load else {
        panic!("no arrivals");
    };
    assert_eq!(Schedule::new(schedule, 1_200_000_000).count(), 30);
    let tiny = scenario.with_duration(Duration::from_millis(100));
    assert_eq!(load_of(&tiny, 2).stop_new.as_millis(), 100);
    // The last load phase where none counts; nothing where there is none.
    let warm_up = format!("{LEAST}counts = false\n");
    let scenario = read(&folder(), &warm_up)
        .unwrap()
        .with_duration(Duration::from_secs(3));
    assert_eq!(load_of(&scenario, 0).duration.as_secs(), 3);
    let none = read(&folder(), "phase = [{ name = \"a\", run = \"b\" }]").unwrap();
    assert_eq!(
        none.clone().with_duration(Duration::from_secs(3)).phases,
        none.phases
    );
}

#[test]
fn files_are_read_from_disk() {
    let dir = folder();
    let folder = dir.path().join("s");
    let file = folder.join("scenario.toml");
    let load = || match Scenario::load(&folder) {
        Ok(_) => "ok".to_owned(),
        Err(error) => error
            .to_string()
            .replace(&folder.display().to_string(), "DIR"),
    };
    assert_eq!(
        load(),
        "cannot read DIR/scenario.toml: No such file or directory (os error 2)"
    );
    fs::write(&file, FULL).unwrap();
    assert_eq!(load(), "ok");
    fs::write(&file, b"a = 1\nb = \"\xff\"\n").unwrap();
    assert_eq!(
        load(),
        "cannot read DIR/scenario.toml: line 2 is not UTF-8; save the file as UTF-8"
    );
    fs::write(&file, " ".repeat(1024 * 1024 + 1)).unwrap();
    assert_eq!(
        load(),
        "cannot read DIR/scenario.toml: it is longer than 1 MiB; put data into feeds"
    );
    fs::write(&file, LEAST).unwrap();
    fs::remove_file(folder.join("scenario.luau")).unwrap();
    assert_eq!(
        load(),
        "DIR/scenario.toml:1:1: DIR/scenario.luau is not there; write it, or name another file with script = \"FILE\""
    );
}

#[test]
fn deep_nesting_is_no_danger() {
    let dir = folder();
    for text in [
        "[".repeat(200_000),
        "a = ".to_owned() + &"[".repeat(200_000),
        "a.".repeat(200_000),
    ] {
        assert!(read(&dir, &text).is_err());
        assert!(read(&dir, &format!("score = {{ a = {text}")).is_err());
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = read(&folder(), &text);
    }

    #[test]
    fn any_change_of_a_good_file_is_read_or_refused(
        changes in prop::collection::vec((0..FULL.len(), 0_usize..20, "[ -~\n]{0,3}"), 1..4),
    ) {
        let mut text = FULL.to_owned();
        for (at, cut, put) in changes {
            let at = at.min(text.len());
            let end = (at + cut).min(text.len());
            text.replace_range(at..end, &put);
        }
        if let Err(error) = read(&folder(), &text) {
            prop_assert!(error.starts_with("scenario.toml:"), "{}", error);
        }
    }

    #[test]
    fn any_values_are_read_or_refused(
        key in prop::sample::select(vec!["users", "rate", "ramp", "arrivals", "on_score", "on_error", "at_most", "until"]),
        value in "(-?[0-9]{1,20}|-?[0-9]\\.[0-9]{1,9}e[0-9]{1,3}|\"[0-9.]{0,25}(/s|/h|ms|h|\\.\\.)[0-9]{0,3}\"|\\{\\}|\\[\\]|inf|nan|0x[0-9a-f]{1,16})",
    ) {
        let text = format!("score.win = 1\n[[phase]]\nname = \"load\"\nduration = \"10s\"\n[phase.users.team]\n{key} = {value}\n");
        if let Ok(scenario) = read(&folder(), &text)
            && let KindLoad::Arrivals { schedule, .. } = &load_of(&scenario, 0).users[0].load
        {
            let schedule = Schedule::new(schedule, 10_000_000_000);
            prop_assert!(schedule.due_ns(0).is_some());
        }
    }
}
