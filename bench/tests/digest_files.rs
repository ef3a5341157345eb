//! `isukit digest` and the files around it: none is lost, none is waited for longer than asked, and what is
//! wrong with one is said.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::logs::{digest, ltsv, slow};
use support::{Process, Ran, finish, isukit, spawn};

/// Logs in a folder of their own.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.file("in.log", slow(60).concat());
        folder.file("good.txt", "good");
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn fifo(&self, name: &str) {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            self.path(name),
            rustix::fs::FileType::Fifo,
            mode,
            0,
        )
        .unwrap();
    }

    /// `isukit ARGS` in this folder.
    fn start(&self, args: &[&str], stdin: Stdio) -> Process {
        let mut command = isukit();
        command.args(args).current_dir(self.0.path()).stdin(stdin);
        command.env_remove("ISUKIT_MYSQL");
        spawn(command)
    }

    #[track_caller]
    fn run(&self, args: &str, code: i32) -> Ran {
        let args: Vec<_> = args.split(' ').collect();
        let ran = finish(self.start(&args, Stdio::null()));
        assert_eq!(ran.code, code, "{args:?}: {ran:?}");
        ran
    }

    /// No temporary file is left.
    #[track_caller]
    fn check_clean(&self) {
        let names = fs::read_dir(self.0.path()).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        let is_left = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".tmp");
        assert!(!names.iter().any(is_left), "{names:?}");
    }
}

#[track_caller]
fn assert_says(ran: &Ran, parts: &[&str]) {
    for part in parts {
        assert!(ran.stderr.contains(part), "{part}: {ran:?}");
    }
}

#[test]
fn no_input_is_written_over() {
    let folder = Folder::new();
    let log = folder.text("in.log");
    symlink("in.log", folder.path("link")).unwrap();
    for args in [
        "digest in.log -o in.log",
        "digest in.log -o ./link",
        "digest link -o in.log",
        "digest good.txt in.log --save in.log",
        "digest in.log -o new --save ./new",
        "digest in.log -o good.txt --save good.txt",
        "diff in.log good.txt -o in.log",
        "diff good.txt in.log -o link",
    ] {
        let ran = folder.run(args, 2);
        assert_says(&ran, &["name"]);
        assert_eq!(ran.stdout, "", "{args}");
        assert_eq!(folder.text("in.log"), log, "{args}");
        assert_eq!(folder.text("good.txt"), "good", "{args}");
    }
    assert!(!folder.path("new").exists());
    folder.check_clean();
}

#[test]
fn a_report_that_does_not_come_takes_nothing_away() {
    let folder = Folder::new();
    folder.file("empty.log", "");
    folder.file("broken.snapshot", "{\"schema\":\"isukit.snapshot/1\"");
    for args in [
        "digest nope.log -o good.txt",
        "digest empty.log -o good.txt",
        "digest empty.log --save good.txt",
        "digest broken.snapshot --save broken.snapshot",
        "diff in.log nope.log -o good.txt",
        "digest in.log -o nowhere/report",
    ] {
        folder.run(args, 2);
        assert_eq!(folder.text("good.txt"), "good", "{args}");
    }
    assert_eq!(folder.text("broken.snapshot").len(), 29);
    folder.check_clean();
}

#[test]
fn reports_take_the_place_of_what_was_there() {
    let folder = Folder::new();
    let mode = |name: &str| {
        fs::metadata(folder.path(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    fs::set_permissions(folder.path("good.txt"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("good.txt", folder.path("link")).unwrap();
    symlink("later", folder.path("dangling")).unwrap();
    folder.run("digest in.log -o link", 0);
    assert!(folder.text("good.txt").contains("statements"));
    assert_eq!(mode("good.txt"), 0o640);
    assert!(folder.path("link").is_symlink());
    folder.run("diff in.log in.log -o dangling", 0);
    assert!(!folder.text("later").is_empty());
    assert!(folder.path("dangling").is_symlink());
    let ran = folder.run("digest in.log -o /dev/stdout", 0);
    assert!(ran.stdout.contains("statements"), "{ran:?}");
    folder.run("digest in.log -o /dev/null --save /dev/null", 0);
    folder.run("digest in.log -o /dev/full", 2);
    folder.check_clean();
}

#[test]
fn a_snapshot_is_added_to() {
    let folder = Folder::new();
    folder.run("digest in.log --save b.snapshot", 0);
    let count = |args: &str| folder.run(args, 0).report()["events"].as_u64();
    assert_eq!(
        count("digest b.snapshot in.log --save b.snapshot --format json"),
        Some(120)
    );
    assert_eq!(count("digest b.snapshot --format json"), Some(120));
    let ran = folder.run("digest b.snapshot --pt-compat", 2);
    assert_says(&ran, &["by isukit's own shapes", "pt-query-digest's"]);
    folder.check_clean();
}

/// Signal a run after a while; how long it went on.
#[track_caller]
fn stop(process: Process, signal: Signal) -> (Ran, Duration) {
    sleep(Duration::from_millis(700));
    process.signal(signal);
    let begun = Instant::now();
    let ran = finish(process);
    (ran, begun.elapsed())
}

#[test]
fn one_signal_ends_the_wait_for_silent_inputs() {
    let folder = Folder::new();
    folder.fifo("fifo");
    for (args, signal) in [
        (&["digest", "fifo", "-o", "good.txt"][..], Signal::TERM),
        (&["digest", "fifo"], Signal::INT),
        (&["digest", "-"], Signal::TERM),
        (&["diff", "in.log", "fifo"], Signal::TERM),
    ] {
        // Nobody writes to it.
        let (reader, writer) = std::io::pipe().unwrap();
        let (ran, took) = stop(folder.start(args, reader.into()), signal);
        drop(writer);
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(took < Duration::from_secs(3), "{args:?}: {took:?}");
        assert_says(&ran, &["stopped"]);
    }
    assert_eq!(folder.text("good.txt"), "good");
    folder.check_clean();
}

#[test]
fn a_report_that_nobody_takes_does_not_keep_the_process() {
    let folder = Folder::new();
    let (reader, mut writer) = std::io::pipe().unwrap();
    // No room is left for the report.
    let size = 64 << 10;
    writer.write_all(&vec![0; size]).unwrap();
    let mut command = isukit();
    command
        .args(["digest", "in.log", "--save", "new.snapshot"])
        .current_dir(folder.0.path())
        .env_remove("ISUKIT_MYSQL")
        .stdout(writer)
        .stderr(Stdio::piped());
    let process = Process {
        child: command.spawn().unwrap(),
        started: Instant::now(),
    };
    let (ran, took) = stop(process, Signal::TERM);
    drop(reader);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert_says(&ran, &["stopped before it could report"]);
    let seconds = took.as_secs_f64();
    assert!((4.5..8.0).contains(&seconds), "{seconds}");
    folder.check_clean();
}

#[test]
fn half_a_log_is_reported_when_it_is_stopped() {
    let folder = Folder::new();
    let entries = slow(90).concat().into_bytes();
    let half = &entries[..entries.len() / 2];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(half).unwrap();
    gzip.flush().unwrap();
    for (bytes, wait) in [(half, 0), (half, 1_000), (gzip.get_ref(), 1_000)] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let process = folder.start(&["digest", "-", "--format", "json"], reader.into());
        writer.write_all(bytes).unwrap();
        sleep(Duration::from_millis(wait));
        let (ran, took) = stop(process, Signal::INT);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(took < Duration::from_secs(3), "{took:?}");
        let events = ran.report()["events"].as_u64().unwrap();
        assert!((30..60).contains(&events), "{events}");
        assert_eq!(
            ran.report()["notes"][0],
            "stopped before the end of the logs"
        );
    }
}

#[test]
fn a_fifo_is_read_to_its_end() {
    let folder = Folder::new();
    folder.fifo("fifo");
    let process = folder.start(&["digest", "fifo", "--format", "json"], Stdio::null());
    sleep(Duration::from_millis(300));
    let mut fifo = fs::OpenOptions::new()
        .write(true)
        .open(folder.path("fifo"))
        .unwrap();
    let log = slow(90).concat();
    let (one, other) = log.split_at(log.len() / 3);
    fifo.write_all(one.as_bytes()).unwrap();
    sleep(Duration::from_millis(1_500));
    fifo.write_all(other.as_bytes()).unwrap();
    drop(fifo);
    let ran = finish(process);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.report()["events"].as_u64(), Some(90));
}

#[test]
fn thresholds_are_shares_and_name_what_missed_them() {
    let folder = Folder::new();
    let before = slow(2_000);
    let worse = |entry: &String| match entry.contains("FROM teams WHERE id") {
        true => entry.replace("# Query_time: 0", "# Query_time: 4"),
        false => entry.clone(),
    };
    folder.file("before.log", before.concat());
    folder.file("after.log", before.iter().map(worse).collect::<String>());
    for bad in ["NaN", "inf", "-5", "-0.1%", "", "%", "3x"] {
        let args = ["diff", "before.log", "after.log", "--fail-on-worse", bad];
        let ran = finish(folder.start(&args, Stdio::null()));
        assert_eq!(ran.code, 2, "{bad}: {ran:?}");
        assert_eq!(ran.stdout, "", "{bad}");
    }
    for good in ["5", "5%", "2.5 %"] {
        let args = ["diff", "before.log", "after.log", "--fail-on-worse", good];
        let ran = finish(folder.start(&args, Stdio::null()));
        assert_eq!(ran.code, 1, "{good}: {ran:?}");
        assert_says(&ran, &["from teams where id", "worse", "%"]);
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    }
    let ran = folder.run("diff before.log before.log --fail-on-worse 0", 0);
    assert_eq!(ran.stderr, "");
}

#[test]
fn patterns_that_match_nothing_are_noted() {
    let folder = Folder::new();
    folder.file("access.log", ltsv(500).concat());
    let ran = folder.run(
        "digest access.log --route /** --route /api/teams/:team --route-regex ^/nope",
        0,
    );
    for note in [
        "! --route '/**' matched no request",
        "! --route-regex '^/nope' matched no request",
    ] {
        assert!(ran.stdout.contains(note), "{ran:?}");
    }
    assert!(!ran.stdout.contains(":team' matched no"), "{ran:?}");
}

#[test]
fn messages_name_the_file_and_the_remedy() {
    let folder = Folder::new();
    let utf16 = |begin: &[u8], bytes: fn(u16) -> [u8; 2]| {
        let text = "Time: 2026-11-20T10:00:00Z".encode_utf16().flat_map(bytes);
        begin.iter().copied().chain(text).collect::<Vec<u8>>()
    };
    folder.file("lines.log", "\n\n\n");
    folder.file("empty.log", "");
    folder.file("little.log", utf16(&[0xff, 0xfe], u16::to_le_bytes));
    folder.file("big.log", utf16(&[0xfe, 0xff], u16::to_be_bytes));
    let check = |args: &str, parts: &[&str]| assert_says(&folder.run(args, 2), parts);
    check("digest lines.log", &["could be used; say what it is"]);
    check("digest empty.log", &["no entries in empty.log"]);
    check("digest little.log", &["UTF-16", "iconv"]);
    check("digest big.log", &["UTF-16", "iconv"]);
    check("digest in.log --as nope", &["slow", "snapshot"]);
    check("digest .", &["directory"]);
    for args in ["digest .", "digest nope.log", "digest empty.log nope.log"] {
        let ran = folder.run(args, 2);
        assert!(!ran.stderr.contains("no entries"), "{ran:?}");
    }
    let ran = finish(folder.start(
        &["digest", "in.log", "--since", "10m ago", "--format", "json"],
        Stdio::null(),
    ));
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_log_that_breaks_off_is_noted_in_the_report() {
    let folder = Folder::new();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(slow(400).concat().as_bytes()).unwrap();
    let whole = gzip.finish().unwrap();
    folder.file("broken.gz", &whole[..whole.len() - 40]);
    let log: &Path = &folder.path("broken.gz");
    let ran = digest([log]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.stdout.contains("could not be read to its end"),
        "{ran:?}"
    );
    assert_says(&ran, &["broken.gz"]);
}
