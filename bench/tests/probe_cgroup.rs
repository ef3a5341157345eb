//! What short-lived workers use is attributed to their service, where it has a cgroup of its own.

// Failing here is failing a test; what is skipped or measured is said.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use isukit_analyze::host::{Host, Line, Sample};

/// A cgroup that this test made, in the tree of version 1 or 2, and how its CPU is counted.
struct Group {
    folder: PathBuf,
    version: u32,
    name: String,
}

impl Group {
    fn make(version: u32, name: &str) -> Option<Self> {
        let trees: &[&str] = match version {
            1 => &["/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpu,cpuacct"],
            _ => &["/sys/fs/cgroup", "/sys/fs/cgroup/unified"],
        };
        let name = format!("isukit-{name}-{}", std::process::id());
        let folder = trees
            .iter()
            .map(|tree| Path::new(tree).join(&name))
            .find(|folder| {
                let file = if version == 1 {
                    "cpuacct.usage"
                } else {
                    "cpu.stat"
                };
                let tree = folder.parent().unwrap();
                tree.join("cgroup.procs").exists() && fs::create_dir(folder).is_ok() && {
                    let there = folder.join(file).exists();
                    if !there {
                        let _ = fs::remove_dir(folder);
                    }
                    there
                }
            })?;
        Some(Self {
            folder,
            version,
            name,
        })
    }

    /// CPU seconds used by whatever ran in it, by its own count.
    fn used(&self) -> f64 {
        if self.version == 1 {
            let text = fs::read_to_string(self.folder.join("cpuacct.usage")).unwrap();
            return text.trim().parse::<f64>().unwrap() / 1e9;
        }
        let text = fs::read_to_string(self.folder.join("cpu.stat")).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("usage_usec"))
            .unwrap();
        line.split(' ').nth(1).unwrap().parse::<f64>().unwrap() / 1e6
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for _ in 0..100 {
            if fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// A shell that waits for a word, then forks workers of about 30 ms, and says what they used.
fn service(group: &Group, worker: &str) -> Child {
    let script = format!(
        "echo $$ >\"$0\"/cgroup.procs; echo ready; read -r go
        work() {{ i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; }}
        n=0; while [ $n -lt 40 ]; do n=$((n+1)); {worker}; done
        sleep 0.5; times"
    );
    Command::new("sh")
        .args(["-c", &script])
        .arg(&group.folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// CPU seconds in what the shell's `times` printed: its own and those of its children.
fn times(text: &str) -> f64 {
    let of = |word: &str| {
        let (minutes, seconds) = word.trim_end_matches('s').split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
    };
    text.split_whitespace().map(of).sum()
}

struct Seen {
    host: Host,
    samples: Vec<Sample>,
    /// By the shell's own count.
    times: f64,
    /// By the cgroup's own count.
    counted: f64,
}

/// Runs the workers while they are probed.
fn watch(group: &Group, worker: &str, where_: impl Fn(u32) -> String) -> Seen {
    let mut shell = service(group, worker);
    let mut said = BufReader::new(shell.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let mut probe = Command::new(env!("CARGO_BIN_EXE_isukit"))
        .args([
            "probe",
            "--interval",
            "200ms",
            "--duration",
            "60s",
            "--service",
        ])
        .arg(where_(shell.id()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(probe.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let Line::Host(host) = serde_json::from_str(&lines.next().unwrap()).unwrap() else {
        panic!("no host first");
    };
    let before = group.used();
    let spent = times_before(&shell);
    let mut go = shell.stdin.take().unwrap();
    writeln!(go, "go").unwrap();
    let reader = std::thread::spawn(move || {
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut said, &mut rest).unwrap();
        rest
    });
    let mut samples = Vec::new();
    let mut after = 0;
    while after < 3 {
        if let Line::Sample(sample) = serde_json::from_str(&lines.next().unwrap()).unwrap() {
            samples.push(sample);
        }
        after += i32::from(reader.is_finished());
    }
    probe.kill().unwrap();
    probe.wait().unwrap();
    shell.wait().unwrap();
    Seen {
        host,
        samples,
        times: times(&reader.join().unwrap()) - spent,
        counted: group.used() - before,
    }
}

/// What the shell used before it was told to go; next to nothing.
fn times_before(shell: &Child) -> f64 {
    let text = fs::read_to_string(format!("/proc/{}/stat", shell.id())).unwrap();
    let fields: Vec<&str> = text
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn attributed(seen: &Seen) -> f64 {
    let cores = |sample: &Sample| sample.services[0].cpu_cores.unwrap_or(0.0) * sample.seconds;
    seen.samples.iter().map(cores).sum()
}

#[test]
fn a_cgroup_counts_workers_of_30_ms() {
    for version in [1, 2] {
        let Some(group) = Group::make(version, "workers") else {
            println!("skipped: no cgroup of version {version} can be made here");
            continue;
        };
        let place = format!("w=cgroup:/{}", group.name);
        let seen = watch(&group, "work & wait", |_| place.clone());
        let share = attributed(&seen) / seen.times;
        println!(
            "version {version}: {:.3} of {:.3} CPU s, {:.1}%",
            attributed(&seen),
            seen.times,
            share * 100.0
        );
        assert!(seen.times > 0.3, "the workers did nothing");
        assert!((0.98..1.05).contains(&share), "{share}");
    }
}

#[test]
fn waited_for_children_are_counted_without_a_cgroup_and_the_others_are_said_to_be_missing() {
    let Some(group) = Group::make(1, "pids").or_else(|| Group::make(2, "pids")) else {
        println!("skipped: no cgroup can be made here to compare with");
        return;
    };
    let by_pid = |pid: u32| format!("w=pid:{pid}");
    let seen = watch(&group, "work & wait", by_pid);
    let share = attributed(&seen) / seen.times;
    println!("waited for: {:.1}%", share * 100.0);
    // Ticks of a hundredth of a second, and the last sample may come before the last worker.
    assert!(share > 0.9, "{share}");

    let seen = watch(&group, "( (work) & ); sleep 0.05", by_pid);
    let share = attributed(&seen) / seen.counted;
    println!("not waited for: {:.1}%", share * 100.0);
    assert!(share < 0.5, "{share}");
    let said = &seen.host.unread;
    let said = said
        .iter()
        .find(|unread| unread.field == "services.w.cpu_cores");
    assert!(said.unwrap().why.contains("unattributed_cores"));
    let others = |sample: &Sample| sample.unattributed_cores.unwrap() * sample.seconds;
    let others: f64 = seen.samples.iter().map(others).sum();
    assert!(
        others > 0.9 * (seen.counted - attributed(&seen)),
        "{others}"
    );
}
