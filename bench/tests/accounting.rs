//! Every request is counted once: by the report, by the target and in the files beside the report.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashSet;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use isukit_analyze::sample::Sample;
use rustix::process::Signal;
use serde_json::Value;
use support::{
    MARGIN, Ran, Target, always, check_sums, count, finish, isukit, kinds, nobody, number, reply,
    run, spawn,
};

/// A target that counts its requests.
fn counting(pause: Duration) -> (Target, Arc<AtomicU64>) {
    let requests = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&requests);
    let target = Target::start(move |conn| {
        loop {
            conn.request()?;
            counted.fetch_add(1, Ordering::SeqCst);
            sleep(pause);
            conn.say(reply("200 OK", "", "counted"))?;
        }
    });
    (target, requests)
}

#[track_caller]
fn arrivals(report: &Value) -> u64 {
    check_sums(report);
    count(report, "/sent") + count(report, "/dropped")
}

#[test]
fn a_rate_that_fits_is_sent_to_the_last_arrival() {
    for threads in ["1", "2", "3"] {
        let (target, requests) = counting(Duration::ZERO);
        let url = target.url();
        let report = run(&[
            &url,
            "--rate",
            "500",
            "--duration",
            "1s",
            "--threads",
            threads,
        ])
        .report();
        assert_eq!(arrivals(&report), 500, "{threads} threads");
        // None, but for a machine that stands still just before the end.
        assert!(
            count(&report, "/dropped") <= 10,
            "{threads} threads: {report:#}"
        );
        let sent = count(&report, "/sent");
        assert_eq!(requests.load(Ordering::SeqCst), sent, "{threads} threads");
    }
}

#[test]
fn a_target_that_cannot_keep_up_leaves_arrivals_that_are_counted() {
    let (target, requests) = counting(Duration::from_millis(20));
    let url = target.url();
    let args = [
        &url,
        "--rate",
        "1000",
        "--connections",
        "4",
        "--duration",
        "1s",
        "--threads",
        "2",
    ];
    let report = run(&args).report();
    assert_eq!(arrivals(&report), 1_000);
    assert!(count(&report, "/dropped") > 600, "{report:#}");
    assert_eq!(requests.load(Ordering::SeqCst), count(&report, "/requests"));
}

#[test]
fn a_target_that_stops_for_good_leaves_nothing_uncounted() {
    let began = Instant::now();
    let target = Target::start(move |conn| {
        loop {
            conn.request()?;
            if began.elapsed() > Duration::from_millis(500) {
                return conn.until_closed();
            }
            conn.say(reply("200 OK", "", ""))?;
        }
    });
    let url = target.url();
    let ran = run(&[
        &url,
        "--rate",
        "500",
        "--connections",
        "32",
        "--duration",
        "1s",
        "--drain",
        "300ms",
    ]);
    assert!(ran.took < Duration::from_millis(1_300) + MARGIN);
    let report = ran.report();
    assert_eq!(arrivals(&report), 500);
    assert!(count(&report, "/dropped") > 100, "{report:#}");
    assert_eq!(kinds(&report), [("unfinished-at-end".to_owned(), 32)]);
    assert_eq!(count(&report, "/timeouts"), 32);
}

#[test]
fn the_closed_model_counts_what_the_target_counts() {
    for threads in ["1", "2"] {
        let (target, requests) = counting(Duration::from_millis(1));
        let url = target.url();
        let args = [
            &url,
            "--connections",
            "7",
            "--duration",
            "700ms",
            "--threads",
            threads,
        ];
        let report = run(&args).report();
        check_sums(&report);
        assert_eq!(kinds(&report), []);
        assert_eq!(requests.load(Ordering::SeqCst), count(&report, "/requests"));
        assert_eq!(count(&report, "/generator/connections_opened"), 7);
        let body = count(&report, "/steps/0/bytes");
        assert_eq!(body, count(&report, "/requests") * 7);
    }
}

#[test]
fn a_warmup_is_not_counted_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seqs = Arc::clone(&seen);
    let target = Target::start(move |conn| {
        loop {
            let asked = conn.request()?;
            let path = asked.head.split(' ').nth(1)?.to_owned();
            seqs.lock().unwrap().push(path);
            conn.say(reply("200 OK", "", ""))?;
        }
    });
    let url = format!("{}s/${{seq}}", target.url());
    let ran = run(&[
        &url,
        "--warmup",
        "500ms",
        "--duration",
        "500ms",
        "--rate",
        "200",
        "--events",
        events.to_str().unwrap(),
    ]);
    let report = ran.report();
    assert_eq!(arrivals(&report), 100);
    let samples = read_events(&events);
    assert_eq!(
        samples.len() as u64,
        count(&report, "/requests"),
        "the warm-up is in the event file"
    );
    let started = count(&report, "/started_unix_us");
    let measured = started..=started + 500_000;
    assert!(
        samples
            .iter()
            .all(|sample| measured.contains(&count(sample, "/at_us"))),
        "the measured time does not begin at {started}: {samples:#?}"
    );
    assert_eq!(
        report["asked"]["url"], url,
        "the URL is shown as it was typed"
    );
    let seen = seen.lock().unwrap();
    assert!((180..=200).contains(&seen.len()), "{}", seen.len());
    let different: HashSet<_> = seen.iter().collect();
    assert_eq!(different.len(), seen.len(), "a sequence number came twice");
}

/// The samples of an event file.
#[track_caller]
fn read_events(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("{\"schema\":\"isukit.events/1\"}"));
    lines
        .map(|line| {
            let sample: Sample<'_> = serde_json::from_str(line).unwrap();
            assert!(sample.latency_us >= sample.service_us, "{line}");
            serde_json::to_value(sample).unwrap()
        })
        .collect()
}

#[test]
fn the_files_beside_the_report_hold_the_same_requests() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (events, hdr, output) = (path("events"), path("hdr"), path("report"));
    let served = AtomicU64::new(0);
    let target = Target::start(move |conn| {
        loop {
            conn.request()?;
            let status = match served.fetch_add(1, Ordering::SeqCst) % 10 {
                0 => "500 Broken",
                _ => "200 OK",
            };
            conn.say(reply(status, "", "hello"))?;
        }
    });
    let url = target.url();
    let ran = run(&[
        &url,
        "--rate",
        "1000",
        "--duration",
        "500ms",
        "--threads",
        "2",
        "--events",
        &events,
        "--hdr",
        &hdr,
        "--output",
        &output,
    ]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    let report: Value = serde_json::from_slice(&std::fs::read(&output).unwrap()).unwrap();
    assert_eq!(arrivals(&report), 500);
    let requests = count(&report, "/requests");
    let samples = read_events(std::path::Path::new(&events));
    assert_eq!(samples.len() as u64, requests);
    assert_eq!(count(&report, "/generator/events_lost"), 0);
    let broken = samples
        .iter()
        .filter(|s| s["error"] == "status-500")
        .count();
    assert_eq!(broken as u64, count(&report, "/errors"));
    assert!(
        samples
            .iter()
            .all(|s| s["key"] == "GET /" && s["body_bytes"] == 5)
    );

    let (intervals, recorded, max_ms) = read_hdr(&hdr);
    assert_eq!((intervals, recorded), (1, requests));
    let slowest = number(&report, "/latency_ms/max");
    assert!(
        (max_ms / slowest - 1.0).abs() < 0.01,
        "{max_ms} against {slowest}"
    );
}

/// Intervals of an HDR log, values in them, and the largest in milliseconds.
fn read_hdr(path: &str) -> (usize, u64, f64) {
    use base64::Engine as _;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    let bytes = std::fs::read(path).unwrap();
    let (mut intervals, mut recorded, mut max_ms) = (0, 0, 0.0_f64);
    for entry in IntervalLogIterator::new(&bytes) {
        let LogEntry::Interval(interval) = entry.unwrap() else {
            continue;
        };
        let histogram = base64::engine::general_purpose::STANDARD
            .decode(interval.encoded_histogram())
            .unwrap();
        let histogram: hdrhistogram::Histogram<u64> = Deserializer::new()
            .deserialize(&mut histogram.as_slice())
            .unwrap();
        assert_eq!(interval.tag().map(|tag| tag.as_str()), Some("GET_/"));
        intervals += 1;
        recorded += histogram.len();
        max_ms = max_ms.max(interval.max());
    }
    (intervals, recorded, max_ms)
}

#[test]
fn a_signal_ends_the_run_with_its_report() {
    let begin = |url: &str, drain: &str| {
        let mut command = isukit();
        command.args([
            "run",
            url,
            "--duration",
            "30s",
            "--drain",
            drain,
            "--format",
            "json",
        ]);
        command.args(["--connections", "4", "--timeout", "30s"]);
        let process = spawn(command);
        sleep(Duration::from_millis(700));
        process
    };
    // Between replies of a target that answers, the run ends at once.
    let (target, requests) = counting(Duration::from_millis(1));
    let process = begin(&target.url(), "10s");
    process.signal(Signal::INT);
    let ran = finish(process);
    assert!(
        ran.took < Duration::from_millis(700) + MARGIN,
        "{:?}",
        ran.took
    );
    let report = ran.report();
    check_sums(&report);
    assert_eq!((ran.code, report["interrupted"].as_bool()), (0, Some(true)));
    assert_eq!(requests.load(Ordering::SeqCst), count(&report, "/requests"));
    assert!(number(&report, "/duration_s") < 3.0);
    // A target that is silent has its drain, and the second signal ends that.
    let target = Target::start(|conn| conn.until_closed());
    let process = begin(&target.url(), "20s");
    process.signal(Signal::TERM);
    sleep(Duration::from_millis(500));
    process.signal(Signal::INT);
    let ran = finish(process);
    assert!(
        ran.took < Duration::from_millis(1_200) + MARGIN,
        "{:?}",
        ran.took
    );
    let report = ran.report();
    assert_eq!((ran.code, report["interrupted"].as_bool()), (1, Some(true)));
    assert_eq!(kinds(&report), [("unfinished-at-end".to_owned(), 4)]);
}

#[test]
fn a_signal_during_the_warmup_sends_nothing_more() {
    let (target, requests) = counting(Duration::from_millis(1));
    let mut command = isukit();
    let url = target.url();
    command.args(["run", &url, "--warmup", "20s", "--format", "json"]);
    let process = spawn(command);
    sleep(Duration::from_millis(500));
    process.signal(Signal::INT);
    let ran = finish(process);
    assert!(
        ran.took < Duration::from_millis(500) + MARGIN,
        "{:?}",
        ran.took
    );
    assert!(requests.load(Ordering::SeqCst) > 0);
    let report = ran.report();
    assert_eq!(
        (count(&report, "/requests"), ran.code),
        (0, 1),
        "{report:#}"
    );
    assert_eq!(report["interrupted"], true);
}

#[test]
fn thresholds_decide_the_exit_code() {
    let target = Target::start(always(reply("200 OK", "", "")));
    let url = target.url();
    for (threshold, code) in [
        ("p99 < 10s", 0),
        ("errors < 1%", 0),
        ("dropped < 50%", 0),
        ("p50 < 1us", 1),
        ("rps > 1000000", 1),
        ("GET /: requests > 10", 0),
    ] {
        let args = [
            &url,
            "--rate",
            "100",
            "--duration",
            "200ms",
            "--threshold",
            threshold,
        ];
        let ran = run(&args);
        assert_eq!(ran.code, code, "{threshold}: {ran:?}");
        let report = ran.report();
        assert_eq!(report["thresholds"][0]["passed"], code == 0, "{threshold}");
        assert_eq!(report["failures"].as_array().unwrap().len(), code as usize);
    }
}

/// What cannot be done ends with code 2 and says why on stderr, before anything is sent.
#[test]
fn what_cannot_be_done_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::create_dir_all(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("a.proto"), text).unwrap();
        folder.path().join(name).to_str().unwrap().to_owned()
    };
    let good = write(
        "good",
        "syntax = \"proto3\";\npackage t;\nmessage Team { int64 id = 1; }\n",
    );
    let bad = write(
        "bad",
        "syntax = \"proto3\";\nmessage Team {\n  int64 id 1;\n}\n",
    );
    let url = "http://127.0.0.1:9/";
    let rows: &[(&[&str], &[&str])] = &[
        (&["ftp://h/"], &["ftp", "not http or https"]),
        (&["http://"], &["is not a URL"]),
        (&["http://h:99999/"], &["is not a URL", "port"]),
        (
            &["http://no-such-host.invalid/"],
            &["cannot resolve `no-such-host.invalid:80`"],
        ),
        (
            &[url, "--duration", "tomorrow"],
            &["--duration", "tomorrow"],
        ),
        (
            &[url, "--duration", "1ms"],
            &["--duration must be at least"],
        ),
        (&[url, "--connections", "0"], &["--connections"]),
        (&[url, "--threads", "0"], &["--threads"]),
        (&[url, "--rate", "-5"], &["--rate must be above 0"]),
        (&[url, "--status", "399-200"], &["holds no status"]),
        (
            &[url, "--threshold", "GET /elsewhere: p99 < 10s"],
            &["there is no step `GET /elsewhere`"],
        ),
        (&[url, "-H", "X-N: ${seq}"], &["`X-N` has a slot"]),
        (&["http://h${seq}/"], &["the URL's host has a slot"]),
        (&[url, "--rate", "NaN"], &["--rate"]),
        (
            &[url, "--rate", "0.01", "--duration", "1s"],
            &["no single request"],
        ),
        (&[url, "--timeout", "0s"], &["timeout cannot be 0"]),
        (&[url, "--status", "2xx"], &["`2xx` is not a status"]),
        (&[url, "--threshold", "p99"], &["compares nothing"]),
        (
            &[url, "--threshold", "p99 < 50"],
            &["a duration with its unit"],
        ),
        (
            &[url, "--check", "1 +"],
            &["--check", "not a CEL expression"],
        ),
        (
            &[url, "--connect-to", "a:b"],
            &["is not HOST:PORT:ADDRESS:PORT"],
        ),
        (&[url, "--method", "GE T"], &["is not an HTTP method"]),
        (
            &[url, "--body", "@/nonexistent/body"],
            &["cannot read /nonexistent/body"],
        ),
        (
            &[url, "-H", "@/nonexistent/headers"],
            &["cannot read headers from /nonexistent/headers"],
        ),
        (
            &[url, "--output", "/nonexistent/out"],
            &["cannot write /nonexistent/out"],
        ),
        (&[url, "--body", "${what}"], &["`${what}` is not a slot"]),
        (&[url, "--message", "t.Team"], &["needs --proto DIR"]),
        (
            &[url, "--proto", &good, "--reply", "t.Teem"],
            &["t.Teem", "t.Team"],
        ),
        (
            &[
                url,
                "--proto",
                &good,
                "--message",
                "t.Team",
                "--body",
                "{\"idd\": 1}",
            ],
            &["--body", "id"],
        ),
        (
            &[
                url, "--proto", &good, "--reply", "t.Team", "--check", "idd == 1",
            ],
            &["--check", "id"],
        ),
        (
            &[url, "--proto", &bad, "--reply", "Team"],
            &["a.proto:3:12"],
        ),
        (
            &["https://127.0.0.1:9/", "--cacert", "/nonexistent.pem"],
            &["/nonexistent.pem"],
        ),
    ];
    for (args, parts) in rows {
        let ran = run(args);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (2, ""),
            "{args:?}: {ran:?}"
        );
        for part in *parts {
            assert!(
                ran.stderr.contains(part),
                "{args:?}: no {part:?} in {:?}",
                ran.stderr
            );
        }
        assert!(!ran.stderr.contains("panicked"), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn a_full_disk_does_not_cost_the_report() {
    let target = Target::start(always(reply("200 OK", "", "")));
    for option in ["--events", "--hdr"] {
        let url = target.url();
        let args = [
            &url,
            "--rate",
            "50",
            "--duration",
            "300ms",
            option,
            "/dev/full",
        ];
        let ran = run(&args);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains("cannot write /dev/full"), "{ran:?}");
        assert!(count(&ran.report(), "/requests") > 0);
    }
}

#[test]
fn a_reply_that_came_after_the_end_is_no_part_of_the_rate() {
    let target = Target::start(|conn| {
        loop {
            conn.request()?;
            sleep(Duration::from_millis(600));
            conn.say(reply("200 OK", "", ""))?;
        }
    });
    let url = target.url();
    let args = [
        &url,
        "--connections",
        "4",
        "--duration",
        "300ms",
        "--threshold",
        "rps > 1",
    ];
    let ran = run(&args);
    let report = ran.report();
    assert_eq!(ran.code, 1, "{report:#}");
    assert_eq!(count(&report, "/requests"), 4, "{report:#}");
    assert_eq!(report["rps"], 0.0, "{report:#}");
}

#[test]
fn threads_that_cannot_start_end_the_run() {
    // Files for a few epoll sets. (A limit on memory would end threads inside the standard library.)
    let mut command = Command::new("sh");
    let script = "ulimit -n 20; exec \"$0\" \"$@\"";
    command.args(["-c", script, env!("CARGO_BIN_EXE_isukit")]);
    command.args(["run", "http://127.0.0.1:9/", "--duration", "200ms"]);
    command.args(["--connections", "1000", "--threads", "30"]);
    let ran = finish(spawn(command));
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.took < Duration::from_secs(2) + MARGIN, "{ran:?}");
    assert!(ran.stderr.contains("a load thread failed"), "{ran:?}");
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let target = Target::start(always(reply("200 OK", "", "")));
    let mut child = isukit()
        .args(["run", &target.url(), "--duration", "300ms", "--rate", "50"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn secrets_are_never_shown() {
    const SECRET: &str = "hunter2";
    let (_kept, address) = nobody();
    let target = Target::start(always(reply("200 OK", "", "")));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("headers");
    std::fs::write(&file, format!("X-Fine: 1\nbroken line with {SECRET}\n")).unwrap();
    let file = format!("@{}", file.display());
    let hidden = |ran: Ran, what: &str| {
        assert!(!ran.stdout.contains(SECRET), "{what}: {}", ran.stdout);
        assert!(!ran.stderr.contains(SECRET), "{what}: {}", ran.stderr);
        // Nor the credentials as they are sent.
        assert!(!ran.stdout.contains("aHVudGVyMg"), "{what}: {}", ran.stdout);
    };
    let header = format!("Authorization: Bearer {SECRET}");
    for address in [target.address, address] {
        let with_password = format!("http://user:{SECRET}@{address}/");
        for format in ["json", "text", "markdown"] {
            let mut command = isukit();
            command.args(["run", &with_password, "-H", &header, "--duration", "200ms"]);
            command.args(["--format", format]);
            hidden(finish(spawn(command)), format);
        }
    }
    let url = target.url();
    for args in [
        vec![format!("http://user:{SECRET}@h:port/")],
        vec![format!("http://user:{SECRET}/x@h/")],
        vec![format!("ftp://{SECRET}@h/")],
        vec![format!("http://user:{SECRET}@no-such-host.invalid/")],
        vec![
            url.clone(),
            "-H".into(),
            format!("Authorization Bearer {SECRET}"),
        ],
        vec![url.clone(), "-H".into(), format!("X-Key: a\r\n{SECRET}")],
        vec![url.clone(), "-H".into(), format!("X Key: {SECRET}")],
        vec![url.clone(), "-H".into(), file.clone()],
    ] {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ran = run(&args);
        assert_eq!(ran.code, 2, "{args:?}");
        hidden(ran, &format!("{args:?}"));
    }
}
