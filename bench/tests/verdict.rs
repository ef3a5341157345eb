//! What limited a run: runs whose limit is known, each with the verdict it must get.

// Failing here is failing a test.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod support;

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use support::{Ran, Target, check_sums, finish, kinds, quick_target, reply, run, spawn};

#[test]
#[ignore = "the target's process, which the other tests start"]
fn target_process() {
    support::serve_quickly();
}

/// The tests of this file measure, so they take turns.
static TURNS: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURNS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A target that takes this long for every reply.
fn slow(pause: Duration) -> Target {
    Target::start(move |conn| {
        loop {
            conn.request()?;
            sleep(pause);
            conn.say(reply("200 OK", "", "slow"))?;
        }
    })
}

#[track_caller]
fn check(ran: &Ran, verdict: &str, evidence: &str) -> Value {
    let report = ran.report();
    check_sums(&report);
    let lines: Vec<&str> = report["evidence"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    assert_eq!(report["verdict"], verdict, "{lines:?}");
    assert!(
        lines.iter().any(|line| line.contains(evidence)),
        "{lines:?}"
    );
    report
}

/// Run until the generator was not disturbed. On a machine that others use as well a run may
/// truly be sent late, and says so: that says nothing about the verdict that is wanted.
#[track_caller]
fn check_undisturbed(url: &str, args: &[&str], verdict: &str, evidence: &str) -> Option<Value> {
    for _ in 0..5 {
        let ran = run(&[&[url], args].concat());
        if ran.report()["verdict"] != "generator-limited" {
            return Some(check(&ran, verdict, evidence));
        }
        eprintln!("disturbed: {}", ran.report()["evidence"]);
    }
    eprintln!("this machine is too busy to tell: {args:?} against {url}");
    None
}

#[test]
fn a_closed_model_waits_for_its_target() {
    let _turn = turn();
    let (target, args) = (
        slow(Duration::from_millis(5)),
        ["--connections", "8", "--duration", "1s"],
    );
    let evidence = "every connection was waiting for the target";
    let report = check_undisturbed(&target.url(), &args, "server-limited", evidence);
    // Eight connections at 5 ms a reply.
    let rps = report.map_or(1_600.0, |report| report["rps"].as_f64().unwrap());
    assert!((400.0..=1_600.0).contains(&rps), "{rps}/s");
}

#[test]
fn a_rate_that_the_target_cannot_do_is_its_limit() {
    let _turn = turn();
    let target = slow(Duration::from_millis(5));
    let args = ["--rate", "2000", "--connections", "4", "--duration", "1s"];
    let evidence = "every connection was waiting for the target";
    check_undisturbed(&target.url(), &args, "server-limited", evidence);
    // Errors keep a rate from being met as well, and so does silence.
    let args = ["--rate", "200", "--duration", "500ms", "--drain", "200ms"];
    let broken = Target::start(support::always(reply("500 Broken", "", "")));
    let silent = Target::start(|conn| conn.until_closed());
    for target in [broken, silent] {
        check_undisturbed(
            &target.url(),
            &args,
            "server-limited",
            "no request succeeded",
        );
    }
}

#[test]
fn a_moderate_rate_is_met() {
    let _turn = turn();
    let (_target, address) = quick_target();
    let url = format!("http://{address}/");
    let args = ["--rate", "300", "--duration", "1s"];
    check_undisturbed(&url, &args, "target-rate-met", "of 300 arrivals");
}

/// Run until a load thread had no time left. Whoever else uses the machine can take the CPU from under
/// a run without the system telling it, which then looks a little less busy than it was.
#[track_caller]
fn check_saturated(args: &[&str]) {
    for _ in 0..4 {
        let ran = run(args);
        if ran.report()["verdict"] == "generator-limited" {
            check(&ran, "generator-limited", "a load thread used");
            return;
        }
        eprintln!("disturbed: {}", ran.report()["evidence"]);
    }
    check(&run(args), "generator-limited", "a load thread used");
}

#[test]
fn a_rate_that_no_thread_can_send_is_ours() {
    let _turn = turn();
    let (_target, address) = quick_target();
    let url = format!("http://{address}/");
    // A check that takes long, so that the target is never the slower one.
    let numbers = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]";
    let slow = format!("{numbers}.all(n, {numbers}.all(m, n * m < 300))");
    let args = [
        url.as_str(),
        "--check",
        slow.as_str(),
        "--threads",
        "1",
        "--duration",
        "2s",
    ];
    check_saturated(&args);
    check_saturated(&[&args[..], &["--rate", "3000000"]].concat());
}

#[test]
fn open_files_that_run_out_are_ours() {
    let _turn = turn();
    let target = slow(Duration::from_millis(300));
    for rate in [None, Some("500")] {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "ulimit -n 30; exec \"$0\" \"$@\"",
            env!("CARGO_BIN_EXE_isukit"),
        ]);
        command.args([
            "run",
            &target.url(),
            "--connections",
            "100",
            "--duration",
            "500ms",
        ]);
        command.args(["--format", "json"]);
        if let Some(rate) = rate {
            command.args(["--rate", rate]);
        }
        let ran = finish(spawn(command));
        assert!(ran.stderr.contains("raise `ulimit -n`"), "{ran:?}");
        let report = check(&ran, "generator-limited", "met the limit on open files");
        assert!(
            kinds(&report)
                .iter()
                .any(|(kind, _)| kind == "too-many-open-files")
        );
    }
}
