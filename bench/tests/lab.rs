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
