//! Three hosts in namespaces with quotas, and what a check finds when something is wrong with them.

// Failing here is failing a test; what is skipped or measured is said.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use isukit_analyze::host::{Finding, Host, Line, Sample};

/// Rules about the host as a whole, which speak when the machine of this test is busy with others.
const OF_THE_MACHINE: &[&str] = &["cpu", "steal", "swap", "disk", "cpu-quota", "memory-limit"];

/// A lab of our own beside any other, taken away at the end.
struct Lab;

impl Lab {
    fn command(arguments: &[&str]) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/lab");
        let programs = PathBuf::from(env!("CARGO_BIN_EXE_isukit"));
        let mut command = Command::new(script);
        command
            .args(arguments)
            .env("LAB_PREFIX", "isutest")
            // Enough to try how they are made.
            .env("LAB_JOBS", "1")
            .env("LAB_BIN", programs.parent().unwrap());
        command
    }

    fn run(arguments: &[&str]) -> Output {
        Self::command(arguments).output().unwrap()
    }

    /// A lab, unless this machine allows none.
    fn up(placement: &str) -> Option<Self> {
        let output = Self::run(&["up", placement]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() == Some(77) {
            println!("{said}");
            return None;
        }
        assert_eq!(output.status.code(), Some(0), "{said}");
        Some(Self)
    }

    fn fault(&self, arguments: &[&str]) {
        let output = Self::run(&[&["fault"], arguments].concat());
        assert!(output.status.success(), "{output:?}");
    }

    /// Probes a node from within, and gives its lines and the time until a rule spoke.
    fn check(&self, node: &str, arguments: &[&str], rule: &str) -> (Vec<Line>, Option<Duration>) {
        use std::io::BufRead;
        let isukit = env!("CARGO_BIN_EXE_isukit");
        let fixed = ["exec", node, isukit, "probe", "--check", "--format", "json"];
        let began = Instant::now();
        let mut child = Self::command(&[&fixed, arguments].concat())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let output = std::io::BufReader::new(child.stdout.take().unwrap());
        let (mut lines, mut found) = (Vec::new(), None);
        for line in output.lines() {
            let line: Line = serde_json::from_str(&line.unwrap()).unwrap();
            if matches!(&line, Line::Finding(finding) if finding.rule == rule) {
                found.get_or_insert(began.elapsed());
            }
            lines.push(line);
        }
        child.wait().unwrap();
        (lines, found)
    }

    /// What a check of a node finds, as [`check`](Self::check).
    fn finds(&self, node: &str, arguments: &[&str], rule: &str) -> Finding {
        let (lines, after) = self.check(node, arguments, rule);
        let of_rule = findings(&lines)
            .into_iter()
            .find(|finding| finding.rule == rule);
        let found = of_rule.unwrap_or_else(|| panic!("no {rule} in {lines:#?}"));
        println!("{rule} after {:?}: {}", after.unwrap(), found.evidence);
        assert!(after.unwrap() < Duration::from_secs(20), "{after:?}");
        found
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let output = Self::run(&["down"]);
        println!("{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn findings(lines: &[Line]) -> Vec<Finding> {
    let finding = |line: &Line| match line {
        Line::Finding(finding) => Some(finding.clone()),
        _ => None,
    };
    lines.iter().filter_map(finding).collect()
}

fn host(lines: &[Line]) -> Host {
    let host = lines.iter().find_map(|line| match line {
        Line::Host(host) => Some(host.clone()),
        _ => None,
    });
    host.unwrap()
}

fn last_sample(lines: &[Line]) -> Sample {
    let sample = lines.iter().rev().find_map(|line| match line {
        Line::Sample(sample) => Some(sample.clone()),
        _ => None,
    });
    sample.unwrap()
}

/// The address of a node, as its own probe tells it.
fn address(lines: &[Line]) -> String {
    let interfaces = host(lines).interfaces;
    let mut addresses = interfaces
        .iter()
        .filter(|it| it.name != "lo")
        .flat_map(|it| &it.addresses);
    let address = addresses.find(|address| address.contains('.')).unwrap();
    address.split('/').next().unwrap().to_owned()
}

#[test]
fn what_is_wrong_with_a_host_is_found_and_nothing_on_a_healthy_one() {
    let Some(lab) = Lab::up("nginx=s1 web=s2 api=s2 db=s3") else {
        return;
    };
    let service = |node: &str, name: &str| format!("{name}=cgroup:/isutest-lab/{node}/{name}");
    let (web, api) = (service("s2", "web"), service("s2", "api"));

    let (first, _) = lab.check("s1", &[], "");
    let (third, _) = lab.check("s3", &[], "");
    let (s1, s3) = (address(&first), address(&third));
    // A node is what its quota and its limit leave of the machine.
    assert!(host(&first).usable_cores() < 0.5, "{first:?}");
    assert!(host(&first).usable_memory() < 2 << 30, "{first:?}");

    for (node, peer) in [("s1", &s3), ("s2", &s1), ("s3", &s1)] {
        let arguments = ["--peer", peer, "--service", &web, "--service", &api];
        let (lines, _) = lab.check(node, &arguments, "");
        let found = findings(&lines);
        let wrong = found
            .iter()
            .filter(|it| !OF_THE_MACHINE.contains(&it.rule.as_str()));
        assert_eq!(wrong.count(), 0, "{node}: {found:#?}");
        if node == "s2" {
            let sample = last_sample(&lines);
            assert!(
                sample.services.iter().all(|service| service.processes > 0),
                "{sample:?}"
            );
            assert!(sample.limited.unwrap().quota_cores.is_some());
        }
    }

    lab.fault(&["mtu", "s3"]);
    let found = lab.finds("s3", &["--peer", &s1], "mtu");
    assert!(
        found.evidence.contains("1500") && found.evidence.contains("9000"),
        "{found:?}"
    );
    lab.fault(&["clear"]);

    lab.fault(&["files", "web"]);
    // It is filled one connection after the other.
    std::thread::sleep(Duration::from_secs(2));
    let found = lab.finds("s2", &["--service", &web], "open-files");
    assert_eq!(found.service.as_deref(), Some("web"));
    assert!(found.remedy.contains("LimitNOFILE"), "{found:?}");
    lab.fault(&["clear"]);

    lab.fault(&["listen", "api"]);
    let found = lab.finds(
        "s2",
        &["--service", &api, "--duration", "6s"],
        "listen-overflow",
    );
    assert!(found.remedy.contains("backlog"), "{found:?}");
    lab.fault(&["clear"]);

    drop(lab);
    let namespaces = Command::new("ip").args(["netns", "list"]).output().unwrap();
    let namespaces = String::from_utf8_lossy(&namespaces.stdout).into_owned();
    assert!(!namespaces.contains("isutest"), "{namespaces}");
    for tree in ["cpu", "memory", "unified", "."] {
        let group = Path::new("/sys/fs/cgroup").join(tree).join("isutest-lab");
        assert!(!group.exists(), "{}", group.display());
    }
}

/// What one of the lab's awk programs makes of some files, by their text.
fn awk(program: &str, files: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../scripts/lab.d")
        .join(program);
    let mut command = Command::new("awk");
    command.env("LC_ALL", "C").arg("-f").arg(program);
    for (number, text) in files.iter().enumerate() {
        let file = folder.path().join(number.to_string());
        std::fs::write(&file, text).unwrap();
        command.arg(file);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn predictions_are_compared_by_round_and_beside_their_own_calibration() {
    let check = |rounds: &[&str], rows: &[&str], said: &str| {
        let table = awk("compare.awk", &[&rounds.join("\n").replace(" | ", "\t")]);
        let found: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            found.split_last().unwrap(),
            (&said, &[rows, &[""]].concat()[..])
        );
    };
    // Ten percent too high in both rounds, however fast the machine was: there is no noise in that.
    check(
        &["a=s1 | 110 s1 100 s1 1 90 1", "a=s1 | 55 s1 50 s1 1 45 0.5"],
        &["| `a=s1` | 82.5 | 75.0 | +10.0% ± 0.0 | s1, s1 100% | 0.75 |"],
        "Worst error +10.0%. Best as predicted: `a=s1`. Fastest beside its calibrations: `a=s1`, as predicted.",
    );
    // By hand: the residuals of 100/100 and 100/50 from 4/3 are -33.3 and 33.3; their root mean square
    // over the root of n - 1 is 33.3, of a mean of 75.
    check(
        &["a=s1 | 100 s1 100 s2 1 90 1", "a=s1 | 100 s2 50 s2 1 45 1"],
        &["| `a=s1` | 100.0 | 75.0 | +33.3% ± 44.4 | s1 s2, s2 100% | 1.00 |"],
        "Worst error +33.3%. Best as predicted: `a=s1`. Fastest beside its calibrations: `a=s1`, as predicted.",
    );
    // One round has no spread. A machine that was twice as fast for the second placement makes it no better.
    check(
        &[
            "a=s1 | 100 s1 100 s1 0.5 50 1",
            "b=s2 | 150 s2 160 s2 1 100 1",
            "c=s3 | 9 s3 0 s3 0 1 0",
        ],
        &[
            "| `a=s1` | 100.0 | 100.0 | +0.0% | s1, s1 50% | 1.00 |",
            "| `b=s2` | 150.0 | 160.0 | -6.2% | s2, s2 100% | 1.00 |",
        ],
        "Worst error -6.2%. Best as predicted: `a=s1`. Fastest beside its calibrations: `a=s1`, as predicted.",
    );
    check(
        &[
            "a=s1 | 120 s1 100 s1 1 100 1",
            "b=s2 | 110 s2 110 s2 1 100 1",
        ],
        &[
            "| `a=s1` | 120.0 | 100.0 | +20.0% | s1, s1 100% | 1.00 |",
            "| `b=s2` | 110.0 | 110.0 | +0.0% | s2, s2 100% | 1.00 |",
        ],
        "Worst error +20.0%. Best as predicted: `a=s1`. Fastest beside its calibrations: `b=s2`, which was not predicted.",
    );
    // Less than a percent apart is a tie.
    check(
        &[
            "a=s1 | 100 s1 100 s1 1 100 1",
            "b=s1 | 99.5 s1 101 s1 1 100 1",
        ],
        &[
            "| `a=s1` | 100.0 | 100.0 | +0.0% | s1, s1 100% | 1.00 |",
            "| `b=s1` | 99.5 | 101.0 | -1.5% | s1, s1 100% | 1.00 |",
        ],
        "Worst error -1.5%. Best as predicted: `a=s1`, `b=s1`. Fastest beside its calibrations: `b=s1`, as predicted.",
    );
}

#[test]
fn a_demand_is_what_the_window_took_over_its_requests() {
    let window = "1000000 3000000";
    let cores = "cores s1 0.5\n";
    // CPU is sampled at half seconds; the window begins and ends between samples.
    let cpu: String = (0..=8)
        .map(|half| {
            let at = half * 500_000 - 100_000;
            let (web, node) = (half * 100_000, half * 125_000);
            format!(
                "{at} s1 {node}\n{at} s1/web {web}\n{at} client {half}0000\n\
                 {at} rounds-hosts-1 {half}00\n{at} spent-hosts-1 {half}0\n{at} rounds-client-0 9\n"
            )
        })
        .collect();
    // Two end within, one has begun before; one ends behind the window.
    let events = "{\"schema\":\"isukit.events/1\"}\n\
        {\"at_us\":900000,\"latency_us\":200000.5}\n\
        {\"at_us\":2000000,\"latency_us\":10.0,\"error\":\"status-500\"}\n\
        {\"at_us\":2990000,\"latency_us\":10001.0}\n";
    let said = awk("demand.awk", &[window, cores, &cpu, events]);
    for line in [
        "rps 1.000",
        "errors 1",
        "service web 200.00000",
        "client 20.00000",
        "node s1 0.5000",
        "speed 1000.000",
    ] {
        assert!(said.lines().any(|it| it == line), "{line}: {said}");
    }
}
