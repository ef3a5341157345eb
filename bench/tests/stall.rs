//! A target that stops for a second: coordinated omission would hide it, the report must not.

mod support;

use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::{
    Process, check_sums, count, finish, isukit, kinds, number, quick_target, run, spawn,
};

const RATE: f64 = 2_000.0;
const SECONDS: f64 = 6.0;

/// How far a quantile may be from theory.
const TOLERANCE: f64 = 0.06;

#[test]
#[ignore = "the target's process, which the other test starts"]
fn target_process() {
    support::serve_quickly();
}

/// Stop a process for about a second; for how long it really was.
fn stop_for_a_second(process: &Process) -> f64 {
    process.signal(Signal::STOP);
    let stopped = Instant::now();
    sleep(Duration::from_secs(1));
    process.signal(Signal::CONT);
    stopped.elapsed().as_secs_f64()
}

#[test]
fn a_stall_is_seen_by_every_arrival_that_it_delays() {
    let (target, address) = quick_target();
    let url = format!("http://{address}/");
    // What the two can do together, at their most: the backlog is worked off at this rate.
    let most = run(&[&url, "--connections", "64", "--duration", "500ms"]).report();
    let most = number(&most, "/rps");

    let mut command = isukit();
    command.args([
        "run",
        &url,
        "--duration",
        "6s",
        "--rate",
        "2000",
        "--format",
        "json",
    ]);
    let process = spawn(command);
    sleep(Duration::from_millis(2_000));
    let stop = stop_for_a_second(&target);
    let ran = finish(process);
    let report = ran.report();
    check_sums(&report);
    assert_eq!(kinds(&report), []);
    assert_eq!(
        count(&report, "/requests") + count(&report, "/dropped"),
        12_000
    );
    assert!(count(&report, "/dropped") < 100, "{report:#}");

    // An arrival that comes `t` into the stop waits for its rest, and then for the `RATE * t`
    // arrivals before it. So a share `f` of all arrivals has waited longer than this:
    let theory = |f: f64| (stop - f * SECONDS * (1.0 - RATE / most)) * 1e3;
    for (name, f) in [("p90", 0.1), ("p99", 0.01)] {
        let seen = number(&report, &format!("/latency_ms/{name}"));
        let expected = theory(f);
        eprintln!(
            "{name}: {seen:.1} ms, theory {expected:.1} ms ({:+.2}%), stopped for {stop:.4} s, \
             {most:.0}/s at most",
            100.0 * (seen / expected - 1.0)
        );
        assert!(
            (seen / expected - 1.0).abs() < TOLERANCE,
            "{name}: {seen} ms, theory {expected} ms"
        );
    }
    // The service time knows nothing of those who waited for a connection.
    assert!(number(&report, "/service_ms/p90") < 100.0, "{report:#}");
    assert!(count(&report, "/late") > 1_500, "{report:#}");
}
