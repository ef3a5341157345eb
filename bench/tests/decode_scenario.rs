//! `isukit decode --to-scenario`: a contest that was captured is replayed against a fresh portal.

// Failing here is failing a test.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[path = "../../scenarios/contest/target/tests/support/in_process.rs"]
mod in_process;
mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use contest_target::Options;
use in_process::Server;
use support::decode::{call, protos};
use support::wire::Tcpdump;

fn portal() -> Server {
    Server::start(Options {
        fixes: "all".parse().unwrap(),
        ..Options::default()
    })
}

/// A capture of a short contest; none where packets cannot be captured.
fn captured(file: &Path) -> Option<()> {
    for _ in 0..3 {
        let portal = portal();
        let tcpdump = Tcpdump::start(portal.address.port(), file)?;
        let target = format!("http://{}", portal.address);
        let scenario = protos("contest");
        let ran = support::run(&[&scenario, "--target", &target, "--duration", "2s"]);
        assert!(ran.report()["requests"].as_u64().unwrap() > 100, "{ran:?}");
        if tcpdump.finish() {
            return Some(());
        }
        eprintln!("packets were dropped on the way to tcpdump: once more");
    }
    eprintln!("SKIPPED: tcpdump does not keep up here");
    None
}

#[test]
fn a_capture_replays_against_a_fresh_portal() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.pcap");
    if captured(&file).is_none() {
        return;
    }
    let replay = folder.path().join("replay");
    let (replay_text, file) = (replay.display().to_string(), file.display().to_string());
    let args = [
        "decode",
        "--proto",
        &protos("contest"),
        &file,
        "--to-scenario",
        &replay_text,
    ];
    let made = call(&args, b"");
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(made.text().starts_with("wrote "), "{}", made.text());
    // Captured passwords are in it.
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&replay), 0o700);
    assert_eq!(mode(&replay.join("scenario.luau")), 0o600);
    // A folder with something in it is left alone.
    let again = call(&args, b"");
    assert_eq!(again.code, 2, "{}", again.stderr);

    let dry = call(&["run", &replay_text, "--dry-run"], b"");
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    let portal = portal();
    let target = format!("http://{}", portal.address);
    let report = support::run(&[&replay_text, "--target", &target]).report();
    let count = |key: &str| report[key].as_u64().unwrap();
    assert!(count("requests") > 100, "{report:#}");
    assert!(
        count("errors") * 10 <= count("requests"),
        "{} of {}: {:#}",
        count("errors"),
        count("requests"),
        report["errors_by_kind"]
    );
}

#[test]
fn what_cannot_be_replayed_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let replay = folder.path().join("replay").display().to_string();
    let check = |input: &[u8], part: &str| {
        let args = [
            "decode",
            "--proto",
            &protos("contest"),
            "--to-scenario",
            &replay,
        ];
        let shown = call(&args, input);
        assert_eq!(shown.code, 2, "{}", shown.stderr);
        assert!(shown.stderr.contains(part), "{}", shown.stderr);
        assert!(!Path::new(&replay).exists());
    };
    check(b"no capture at all", "capture");
    check(
        &support::decode::Packets::pcap().bytes(),
        "nothing to replay",
    );
}
