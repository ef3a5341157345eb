//! `isukit digest` as a whole: whatever a log is split into, one digest; whatever is wrong with it, a word.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use support::logs::{digest, ltsv, real, slow};
use support::{finish, isukit, spawn};

/// A folder, and files in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

#[track_caller]
fn json(files: &[PathBuf], more: &[&str]) -> String {
    let files = files.iter().map(|path| path.to_str().unwrap().to_owned());
    let more = more.iter().map(|text| (*text).to_owned());
    let args: Vec<_> = files
        .chain(more)
        .chain(["--format".to_owned(), "json".to_owned()])
        .collect();
    let ran = digest(&args);
    assert_eq!(ran.code, 0, "{args:?}: {}", ran.stderr);
    ran.stdout
}

#[track_caller]
fn report(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Parts of a log must come to what the whole comes to: by any number of threads, as files, as snapshots.
#[track_caller]
fn check_parts(entries: &[Vec<u8>]) {
    let folder = Folder::new();
    let whole = folder.file("whole.log", entries.concat());
    let expected = json(std::slice::from_ref(&whole), &["--threads", "1"]);
    for threads in ["2", "5"] {
        assert!(
            json(std::slice::from_ref(&whole), &["--threads", threads]) == expected,
            "{threads}"
        );
    }
    for parts in [2, 3, 7] {
        let size = entries.len().div_ceil(parts);
        let files: Vec<_> = entries
            .chunks(size)
            .enumerate()
            .map(|(at, part)| folder.file(&format!("{parts}-{at}.log"), part.concat()))
            .collect();
        assert_same(&json(&files, &[]), &expected, &format!("{parts} files"));
        let kind = report(&expected)["kind"].as_str().unwrap().to_owned();
        let snapshots: Vec<_> = files
            .iter()
            .map(|file| {
                let snapshot = file.with_extension("snapshot");
                json(
                    std::slice::from_ref(file),
                    &["--as", &kind, "--save", snapshot.to_str().unwrap()],
                );
                snapshot
            })
            .collect();
        assert_same(
            &json(&snapshots, &[]),
            &expected,
            &format!("{parts} snapshots"),
        );
        let mixed = [&files[..1], &snapshots[1..]].concat();
        assert_same(&json(&mixed, &[]), &expected, "a file and snapshots");
    }
}

#[track_caller]
fn assert_same(seen: &str, expected: &str, what: &str) {
    if seen != expected {
        let differing = seen
            .lines()
            .zip(expected.lines())
            .find(|(seen, expected)| seen != expected);
        panic!("{what}: {differing:?}");
    }
}

fn bytes(lines: Vec<String>) -> Vec<Vec<u8>> {
    lines.into_iter().map(String::into_bytes).collect()
}

/// A real slow log, cut where the entries of its oracle begin.
fn real_entries(name: &str) -> Vec<Vec<u8>> {
    let log = fs::read(real(&format!("slow/{name}.log"))).unwrap();
    let oracle = fs::read_to_string(real(&format!("slow/{name}.entries.jsonl"))).unwrap();
    let offsets = oracle
        .lines()
        .map(|line| report(line)["off"].as_u64().unwrap() as usize);
    let mut edges: Vec<usize> = [0]
        .into_iter()
        .chain(offsets.skip(1))
        .chain([log.len()])
        .collect();
    edges.dedup();
    edges
        .windows(2)
        .map(|edge| log[edge[0]..edge[1]].to_vec())
        .collect()
}

#[test]
fn access_logs_in_parts_come_to_the_same() {
    check_parts(&bytes(ltsv(6_000)));
}

#[test]
fn slow_logs_in_parts_come_to_the_same() {
    check_parts(&bytes(slow(3_000)));
}

#[test]
fn real_slow_logs_in_parts_come_to_the_same() {
    for name in ["mysql9-slow", "mariadb1011-slow"] {
        check_parts(&real_entries(name));
    }
}

#[test]
fn every_byte_is_read_or_skipped() {
    let folder = Folder::new();
    let mut lines = ltsv(500);
    lines.insert(17, "half a line with no label\n".to_owned());
    lines.push("time:2026-11-20T10:00:00+0".to_owned());
    let mut logs = vec![
        folder.file("cut.ltsv", lines.concat()),
        folder.file("cut-slow.log", &slow(50).concat().as_bytes()[..9_000]),
    ];
    logs.extend(["slow/mysql9-slow.log", "slow/mariadb1011-slow.log"].map(real));
    for format in ["combined", "combined_rt", "json", "ltsv"] {
        logs.push(real(&format!("access/access-500.{format}.log")));
    }
    for log in logs {
        let report = report(&json(std::slice::from_ref(&log), &[]));
        let size = fs::metadata(&log).unwrap().len();
        let of = |name: &str| report["bytes"][name].as_u64().unwrap();
        assert_eq!(of("total"), size, "{}", log.display());
        assert_eq!(of("read") + of("skipped"), size, "{}", log.display());
        let skipped = report["skips"].as_array().unwrap().iter();
        let counted: u64 = skipped.map(|skip| skip["count"].as_u64().unwrap()).sum();
        assert_eq!(
            counted,
            report["skipped"].as_u64().unwrap(),
            "{}",
            log.display()
        );
    }
}

#[test]
fn compressed_logs_and_stdin_come_to_the_same() {
    let folder = Folder::new();
    let log = slow(400).concat();
    let plain = folder.file("slow.log", &log);
    let expected = json(std::slice::from_ref(&plain), &[]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(log.as_bytes()).unwrap();
    let gzip = folder.file("slow.log.gz", gzip.finish().unwrap());
    let zstd = folder.file("slow.log.zst", zstd::encode_all(log.as_bytes(), 1).unwrap());
    assert_eq!(json(std::slice::from_ref(&gzip), &[]), expected);
    assert_eq!(json(&[zstd], &[]), expected);
    let mut command = isukit();
    command.args(["digest", "-", "--format", "json"]);
    command.stdin(fs::File::open(&gzip).unwrap());
    assert_eq!(finish(spawn(command)).stdout, expected);
    // What is readable of a stream that breaks is reported, and that it broke is said.
    let whole = fs::read(&gzip).unwrap();
    let broken = folder.file("broken.gz", &whole[..whole.len() - 40]);
    let ran = digest([broken.to_str().unwrap()]);
    assert_eq!(ran.code, 2);
    assert!(ran.stdout.contains("statements of"), "{}", ran.stdout);
    assert!(ran.stderr.contains("broken.gz"), "{}", ran.stderr);
}

#[test]
fn a_log_that_nothing_can_be_made_of_says_why() {
    let folder = Folder::new();
    let check = |name: &str, content: &[u8], more: &[&str], parts: &[&str]| {
        let log = folder.file(name, content);
        let args: Vec<_> = [log.to_str().unwrap()]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        let ran = digest(&args);
        assert_eq!(ran.code, 2, "{name}: {}", ran.stdout);
        assert_eq!(ran.stdout, "", "{name}");
        for part in parts {
            assert!(ran.stderr.contains(part), "{name}: {}", ran.stderr);
        }
        assert!(!ran.stderr.contains('\u{1b}'), "{name}");
    };
    check(
        "prose.log",
        b"Dear diary,\n\x1b[31mtoday it was slow\n",
        &[],
        &["Dear diary", "--as"],
    );
    check("empty.log", b"", &[], &["no entries"]);
    check(
        "nul.log",
        &[0; 5_000],
        &[],
        &["no line of it could be used"],
    );
    let ltsv = ltsv(20).concat();
    check(
        "wrong.log",
        ltsv.as_bytes(),
        &["--as", "combined"],
        &["time:2026", "--as ltsv"],
    );
    check(
        "as.log",
        b"x\n",
        &["--as", "apache2"],
        &["apache2", "combined"],
    );
    check(
        "gone",
        b"",
        &["/nonexistent/slow.log"],
        &["/nonexistent/slow.log"],
    );
    check(
        "where.log",
        b"x\n",
        &["--where", "statuss == 1"],
        &["did you mean status?"],
    );
    check(
        "since.log",
        b"x\n",
        &["--since", "yesterday"],
        &["--since", "2h"],
    );
    check("sort.log", b"x\n", &["--sort", "speed"], &["--sort", "p95"]);
    check(
        "regex.log",
        b"x\n",
        &["--route-regex", "("],
        &["regular expression"],
    );
    check(
        "snapshot.log",
        b"{\"schema\":\"isukit.snapshot/9\",\"names\":1}",
        &[],
        &["--save"],
    );
}

#[test]
fn filters_leave_out_what_is_not_wanted() {
    let folder = Folder::new();
    let lines = ltsv(2_000);
    let log = folder.file("access.log", lines.concat());
    let count = |more: &[&str]| {
        report(&json(std::slice::from_ref(&log), more))["events"]
            .as_u64()
            .unwrap()
    };
    let having = |part: &str| lines.iter().filter(|line| line.contains(part)).count() as u64;
    assert_eq!(count(&[]), 2_000);
    assert_eq!(
        count(&["--where", "status == 500"]),
        having("\tstatus:500\t")
    );
    assert_eq!(
        count(&["--where", "status >= 500 && path.startsWith('/api')"]),
        lines
            .iter()
            .filter(|l| l.contains("status:500") && l.contains("uri:/api"))
            .count() as u64
    );
    assert_eq!(count(&["--since", "2026-11-20T10:10:00Z"]), 1_400);
    assert_eq!(
        count(&["--since", "2026-11-20 10:10", "--until", "2026-11-20 10:11"]),
        60
    );
    let none = report(&json(&[log], &["--where", "status == 999"]));
    assert_eq!(
        (none["events"].as_u64(), none["filtered"].as_u64()),
        (Some(0), Some(2_000))
    );
}

#[test]
fn routes_are_grouped_as_the_user_says() {
    let folder = Folder::new();
    let log = folder.file("access.log", ltsv(3_000).concat());
    let keys = |more: &[&str]| -> Vec<String> {
        let report = report(&json(std::slice::from_ref(&log), more));
        let groups = report["groups"].as_array().unwrap().iter();
        groups
            .map(|group| group["key"].as_str().unwrap().to_owned())
            .collect()
    };
    let own = keys(&[]);
    assert!(own.contains(&"GET /api/teams/:id".to_owned()), "{own:?}");
    assert!(own.len() <= 8, "{own:?}");
    let given = keys(&["--route", "/api/:anything/:id", "--query-keys", "page"]);
    assert!(
        given.contains(&"GET /api/:anything/:id".to_owned()),
        "{given:?}"
    );
    assert!(given.iter().any(|key| key.ends_with("?page")), "{given:?}");
    let regex = keys(&["--route-regex", "^/posts/[a-z-]+$"]);
    assert!(
        regex.iter().any(|key| key.contains("^/posts/[a-z-]+$")),
        "{regex:?}"
    );
}

#[test]
fn every_format_has_every_group() {
    let folder = Folder::new();
    let log = folder.file("slow.log", slow(500).concat());
    let log = log.to_str().unwrap();
    let text = |format: &str| digest([log, "--format", format, "--limit", "3"]).stdout;
    for (format, separator) in [("tsv", '\t'), ("csv", ',')] {
        let table = text(format);
        assert_eq!(table.lines().count(), 4, "{table}");
        assert!(
            table.starts_with(&format!("rank{separator}kind{separator}id")),
            "{table}"
        );
    }
    assert_eq!(report(&text("json"))["groups"].as_array().unwrap().len(), 3);
    assert!(
        text("markdown").contains("| --- |") || text("markdown").contains("|--"),
        "{}",
        text("markdown")
    );
    assert!(text("text").lines().all(|line| line.chars().count() <= 120));
    let output = folder.path("report.txt");
    let ran = digest([log, "--output", output.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    assert!(fs::read_to_string(output).unwrap().contains("statements"));
}

#[test]
fn a_log_is_followed_across_rotation_until_ctrl_c() {
    let folder = Folder::new();
    let entries = slow(90);
    let log = folder.file("slow.log", entries[..31].concat());
    let out = folder.path("report.json");
    let mut command = isukit();
    command.args(["digest", "--follow", "--format", "json", "--output"]);
    command.arg(&out).arg(&log);
    let process = spawn(command);
    let append = |path: &Path, entries: &[String]| {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        file.write_all(entries.concat().as_bytes()).unwrap();
    };
    sleep(Duration::from_millis(400));
    append(&log, &entries[31..41]);
    sleep(Duration::from_millis(400));
    fs::rename(&log, folder.path("slow.log.1")).unwrap();
    append(&folder.path("slow.log.1"), &entries[41..46]);
    sleep(Duration::from_millis(400));
    append(&log, &entries[46..91]);
    sleep(Duration::from_millis(600));
    process.signal(Signal::INT);
    let begun = Instant::now();
    let ran = finish(process);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(begun.elapsed() < Duration::from_secs(5));
    let report = report(&fs::read_to_string(out).unwrap());
    assert_eq!(report["events"].as_u64(), Some(90), "{report:#}");
}

#[test]
fn comparisons_name_what_changed_and_fail_on_demand() {
    let folder = Folder::new();
    let before = slow(2_000);
    let after: Vec<_> = before
        .iter()
        .map(|entry| match entry.contains("FROM teams WHERE id") {
            true => entry.replace("# Query_time: 0", "# Query_time: 4"),
            false => entry.clone(),
        })
        .collect();
    let before = folder.file("before.log", before.concat());
    let after = folder.file("after.log", after.concat());
    let snapshot = folder.path("before.snapshot");
    json(
        std::slice::from_ref(&before),
        &["--save", snapshot.to_str().unwrap()],
    );
    let diff = |args: &[&str]| {
        let mut command = isukit();
        command.arg("diff").args(args);
        finish(spawn(command))
    };
    let (before, after, snapshot) = (
        before.to_str().unwrap(),
        after.to_str().unwrap(),
        snapshot.to_str().unwrap(),
    );
    let ran = diff(&[snapshot, after, "--format", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let changes = report(&ran.stdout);
    let first = &changes["groups"][0];
    assert_eq!(first["change"], "worse", "{changes:#}");
    assert!(
        first["key"]
            .as_str()
            .unwrap()
            .contains("from teams where id = ?"),
        "{first:#}"
    );
    let others = changes["groups"].as_array().unwrap()[1..].iter();
    assert!(
        others.clone().all(|group| group["change"] == "same"),
        "{changes:#}"
    );
    assert_eq!(diff(&[before, after, "--fail-on-worse", "5"]).code, 1);
    assert_eq!(diff(&[after, before, "--fail-on-worse", "5"]).code, 0);
    assert!(diff(&[before, snapshot]).stdout.contains("Nothing changed"));
    assert_eq!(diff(&[before, "/nonexistent"]).code, 2);
}

#[track_caller]
fn check_schema(schema: &str, report: &Value) {
    let schema: Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(report)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn reports_of_every_kind_of_log_follow_the_schema() {
    let folder = Folder::new();
    let access = folder.file("access.log", ltsv(800).concat());
    let statements = folder.file("slow.log", slow(600).concat());
    let mut logs = vec![
        vec![access.clone()],
        vec![statements.clone()],
        vec![access, statements],
    ];
    logs.push(vec![real("slow/mysql9-slow.log")]);
    logs.push(vec![real("slow/mariadb1011-slow.log")]);
    for format in ["combined", "combined_rt", "json", "ltsv"] {
        logs.push(vec![real(&format!("access/access-500.{format}.log"))]);
    }
    const DIGEST: &str = include_str!("../schemas/digest.v1.json");
    for files in &logs {
        for more in [&[][..], &["--percentiles", "10,99.9", "--limit", "2"]] {
            check_schema(DIGEST, &report(&json(files, more)));
        }
    }
    let ran = {
        let mut command = isukit();
        command
            .arg("diff")
            .args([&logs[0][0], &logs[2][0]])
            .args(["--format", "json"]);
        finish(spawn(command))
    };
    check_schema(
        include_str!("../schemas/diff.v1.json"),
        &report(&ran.stdout),
    );
}

#[test]
fn an_edited_snapshot_is_refused_or_read_but_never_breaks() {
    let folder = Folder::new();
    let log = folder.file("slow.log", slow(300).concat());
    let access = folder.file("access.log", ltsv(300).concat());
    let snapshot = folder.path("both.snapshot");
    json(&[log, access], &["--save", snapshot.to_str().unwrap()]);
    let text = fs::read_to_string(&snapshot).unwrap();
    let numbers: Vec<(usize, usize)> = {
        let bytes = text.as_bytes();
        let starts = (1..bytes.len()).filter(|at| {
            bytes[*at].is_ascii_digit() && matches!(bytes[at - 1], b':' | b',' | b'[')
        });
        starts
            .map(|at| {
                (
                    at,
                    at + bytes[at..]
                        .iter()
                        .take_while(|byte| byte.is_ascii_digit())
                        .count(),
                )
            })
            .collect()
    };
    for (n, step) in [(7, 31), (20, 97), (3, 13)] {
        for value in [
            "18446744073709551615",
            "0",
            "-1",
            "99999999999999999999999999999999999999",
            "1e300",
            "null",
            "[]",
        ] {
            let mut edited = text.clone();
            for (start, end) in numbers.iter().rev().skip(n).step_by(step) {
                edited.replace_range(*start..*end, value);
            }
            let edited = folder.file("edited.snapshot", edited);
            let twice = [edited.to_str().unwrap(), edited.to_str().unwrap()];
            let ran = digest(twice);
            assert!(ran.code == 0 || ran.code == 2, "{value}: {}", ran.stderr);
            assert!(!ran.stderr.contains("panicked"), "{value}: {}", ran.stderr);
        }
    }
}
