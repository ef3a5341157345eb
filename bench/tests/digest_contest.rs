//! The contest's own logs: `isukit digest` must find its flaws and nothing else.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

#[path = "../../scenarios/contest/target/tests/support/in_process.rs"]
mod in_process;
#[path = "../../scenarios/contest/target/tests/support/mariadb.rs"]
#[allow(dead_code)]
mod mariadb;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use contest_target::Options;
use in_process::Server;
use mariadb::MariaDb;
use serde_json::Value;
use support::logs::digest;

/// The flaws that `nplus1` mends: the statement that lists, and the one that runs for each of its rows.
const TRUTH: [(&str, &str); 11] = [
    (
        "select id from teams where practice",
        "from teams where id = ?",
    ),
    (
        "select id from teams where practice",
        "select id, name from contestants where team_id = ?",
    ),
    (
        "select id from teams where practice",
        "order by score desc, finished_at limit",
    ),
    (
        "select id from teams where practice",
        "order by finished_at desc, id desc limit",
    ),
    (
        "select id from teams where practice",
        "select count(*) from jobs where team_id = ?",
    ),
    (
        "select id from jobs where team_id = ? order by id desc",
        "from jobs where id = ?",
    ),
    (
        "select id, job_id, clarification_id, created_at from notifications",
        "select disclosed from clarifications",
    ),
    (
        "select c.id from contestants c where c.team_id = ?",
        "insert into notifications",
    ),
    (
        "select c.id from contestants c join teams t",
        "insert into notifications",
    ),
    (
        "select id from clarifications where answered",
        "from clarifications where id = ?",
    ),
    (
        "select id from clarifications where team_id",
        "from clarifications where id = ?",
    ),
];

/// A contest that was run, and its logs.
struct Contest {
    _folder: tempfile::TempDir,
    slow: PathBuf,
    access: PathBuf,
    run: Value,
}

fn contest(fixes: &str, database: Option<&str>) -> Contest {
    let folder = tempfile::tempdir().unwrap();
    let (slow, access) = (
        folder.path().join("slow.log"),
        folder.path().join("access.log"),
    );
    let portal = Server::start(Options {
        fixes: fixes.parse().unwrap(),
        database: database.map(|url| url.parse().unwrap()),
        // Only SQLite's statements are logged by the portal.
        slow_log: database.is_none().then(|| slow.clone()),
        access_log: Some(access.clone()),
        long_query_time: Duration::ZERO,
        sql_comments: true,
        ..Options::default()
    });
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/contest");
    let target = format!("http://{}", portal.address);
    let ran = support::run(&[scenario, "--target", &target, "--duration", "5s"]);
    let run = ran.report();
    assert_eq!(
        run["script_errors"].as_array().map_or(0, Vec::len),
        0,
        "{run:#}"
    );
    drop(portal);
    Contest {
        _folder: folder,
        slow,
        access,
        run,
    }
}

fn digested(logs: &[&PathBuf]) -> Value {
    let logs = logs.iter().map(|log| log.to_str().unwrap());
    let ran = digest(logs.chain(["--format", "json"]));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

/// The pairs that a report names.
fn found(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let loops = report["nplus1"].as_array().unwrap().iter();
    loops
        .flat_map(|it| {
            let children = it["children"].as_array().unwrap().iter();
            children.map(move |child| (text(&it["parent"]["key"]), text(&child["key"])))
        })
        .collect()
}

/// In how many requests each of the flaws really shows: by the ids in the statements' comments.
fn occurred(slow: &PathBuf) -> [u64; TRUTH.len()] {
    let log = fs::read_to_string(slow).unwrap();
    let mut requests: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in log.lines() {
        let Some((statement, comment)) = line.rsplit_once("/* reqid=") else {
            continue;
        };
        // As a shape would be written: numbers are question marks, lower case.
        let shape: String = statement
            .split(|c: char| c.is_ascii_digit())
            .collect::<Vec<_>>()
            .join("")
            .to_lowercase();
        let id = comment.split(' ').next().unwrap().to_owned();
        requests.entry(id).or_default().push(shape);
    }
    let plain = |text: &str| text.replace(" = ?", " =");
    TRUTH.map(|(parent, child)| {
        let (parent, child) = (plain(parent), plain(child));
        let shows = |statements: &&Vec<String>| {
            let Some(at) = statements.iter().position(|it| it.contains(&parent)) else {
                return false;
            };
            statements[at + 1..]
                .iter()
                .filter(|it| it.contains(&child))
                .count()
                >= 3
        };
        requests.values().filter(shows).count() as u64
    })
}

#[track_caller]
fn check_flaws(slow: &PathBuf, report: &Value) {
    let found = found(report);
    let is_true = |(parent, child): &&(String, String)| {
        TRUTH
            .iter()
            .any(|(p, c)| parent.contains(p) && child.contains(c))
    };
    let wrong: Vec<_> = found.iter().filter(|pair| !is_true(pair)).collect();
    assert!(wrong.len() <= 1, "{wrong:#?}");
    // One that shows once or twice may be chance.
    let occurred = occurred(slow);
    let shown: Vec<_> = TRUTH
        .iter()
        .zip(occurred)
        .filter(|(_, requests)| *requests >= 3)
        .collect();
    assert!(shown.len() >= 6, "{occurred:?}");
    let missed: Vec<_> = shown
        .iter()
        .filter(|((p, c), _)| {
            !found
                .iter()
                .any(|(parent, child)| parent.contains(p) && child.contains(c))
        })
        .collect();
    assert!(
        missed.len() * 10 <= shown.len(),
        "missed {missed:#?} of {shown:#?}"
    );
}

#[test]
fn the_flaws_of_the_contest_are_found_and_none_where_they_are_mended() {
    let flawed = contest("index", None);
    check_flaws(&flawed.slow, &digested(&[&flawed.slow]));
    let mended = contest("index,nplus1", None);
    let found = found(&digested(&[&mended.slow]));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_flaws_are_found_in_a_real_mariadbs_log() {
    let folder = tempfile::tempdir().unwrap();
    open_to_all(folder.path());
    let slow = folder.path().join("slow.log");
    let log = format!("--slow-query-log-file={}", slow.display());
    for (fixes, is_flawed) in [("index", true), ("index,nplus1", false)] {
        let server = MariaDb::start(&["--slow-query-log", &log, "--long-query-time=0"]);
        drop(contest(fixes, Some(&server.url())));
        drop(server);
        let report = digested(&[&slow]);
        match is_flawed {
            true => check_flaws(&slow, &report),
            false => assert!(found(&report).is_empty(), "{:#?}", found(&report)),
        }
        fs::remove_file(&slow).unwrap();
    }
}

fn open_to_all(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

#[test]
fn both_sides_count_the_same_requests_of_the_same_routes() {
    let contest = contest("all", None);
    let report = digested(&[&contest.slow, &contest.access]);
    // Names of parameters are a matter of taste.
    let plain = |name: &str| {
        let segments = name
            .split('/')
            .map(|part| if part.starts_with(':') { ":" } else { part });
        segments.collect::<Vec<_>>().join("/")
    };
    let mut server = BTreeMap::new();
    for group in report["groups"].as_array().unwrap() {
        if group["kind"] == "route" {
            let key = plain(group["key"].as_str().unwrap());
            *server.entry(key).or_insert(0) += group["count"].as_u64().unwrap();
        }
    }
    let steps = contest.run["steps"].as_array().unwrap();
    let mut compared = 0;
    for step in steps.iter().filter(|step| step["errors"] == 0) {
        let name = plain(step["name"].as_str().unwrap());
        if !name.contains(" /api/") && !name.contains(" /worker/") {
            continue;
        }
        let count = step["requests"]
            .as_u64()
            .or_else(|| step["count"].as_u64())
            .unwrap();
        let seen = server.get(&name).copied().unwrap_or(0);
        // What was sent before and behind the measured phases is in the portal's log only.
        let most = count + 40 + count / 10;
        assert!(
            (count..=most).contains(&seen),
            "{name}: {count} {server:#?}"
        );
        compared += 1;
    }
    assert!(compared >= 10, "{compared} of {}", steps.len());
    // Statements name their request, so what causes them is known exactly.
    let causes = report["causes"].as_array().unwrap();
    let board = causes.iter().find(|cause| {
        cause["route"]
            .as_str()
            .unwrap()
            .ends_with(" /api/dashboard")
            && cause["statement"]
                .as_str()
                .unwrap()
                .contains("from contest")
    });
    let board = board.unwrap_or_else(|| panic!("{causes:#?}"));
    assert_eq!(board["source"], "request_id", "{board:#}");
}
