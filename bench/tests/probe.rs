//! `isukit probe` as a person runs it: on this host, on roots that are not one, over ssh.

// Failing here is failing a test; what is skipped or measured is said.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use isukit_analyze::host::{Attribution, Host, Line, Sample};
use serde_json::Value;
use support::free_port;

const ISUKIT: &str = env!("CARGO_BIN_EXE_isukit");

/// Ends a process when it goes out of scope.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn probe(arguments: &[&str]) -> Output {
    Command::new(ISUKIT)
        .arg("probe")
        .args(arguments)
        .output()
        .unwrap()
}

fn lines(output: &Output) -> Vec<Line> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn hosts(lines: &[Line]) -> Vec<&Host> {
    lines
        .iter()
        .filter_map(|line| match line {
            Line::Host(host) => Some(host),
            _ => None,
        })
        .collect()
}

fn samples(lines: &[Line]) -> Vec<&Sample> {
    lines
        .iter()
        .filter_map(|line| match line {
            Line::Sample(sample) => Some(sample),
            _ => None,
        })
        .collect()
}

#[test]
fn every_line_keeps_to_the_schema() {
    let pid = format!("self=pid:{}", std::process::id());
    let output = probe(&[
        "--interval",
        "100ms",
        "--duration",
        "500ms",
        "--service",
        &pid,
    ]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/probe.v1.json");
    let schema: Value = serde_json::from_slice(&fs::read(folder).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let errors: Vec<String> = schema
            .iter_errors(&line)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:?} in {line}");
    }
    let lines = lines(&output);
    // A busy machine may leave some out.
    assert!((2..=5).contains(&samples(&lines).len()), "{text}");
    let host = hosts(&lines)[0];
    assert!(host.cores > 0 && host.memory_bytes > 0 && !host.kernel.is_empty());
    assert!(
        host.interfaces
            .iter()
            .any(|it| it.name == "lo" && it.mtu > 0)
    );
    assert_eq!(host.services[0].by, Attribution::Pids);
    // What is missed without a cgroup is said.
    let said = host
        .unread
        .iter()
        .find(|unread| unread.field == "services.self.cpu_cores");
    assert!(said.unwrap().why.contains("unattributed_cores"));
    for sample in samples(&lines) {
        let own = &sample.services[0];
        assert!(
            own.processes >= 1 && own.rss_bytes.unwrap() > 0,
            "{sample:?}"
        );
        assert!(own.open_files.unwrap().used > 2, "{sample:?}");
        assert!(sample.cpu.is_some() && sample.memory.is_some() && sample.sockets.is_some());
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let check = |arguments: &[&str], words: &[&str]| {
        let output = probe(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        for word in words {
            assert!(said.contains(word), "{arguments:?}: {said}");
        }
        assert!(output.stdout.is_empty(), "{output:?}");
    };
    check(
        &["--root", "/nonexistent"],
        &["/nonexistent/proc/stat", "--root"],
    );
    check(&["--service", "nginx"], &["unit:nginx.service", "nginx"]);
    check(&["--interval", "1ms"], &["shortest"]);
    check(&["--peer", "127.0.0.1"], &["--check"]);
    check(&["--host", "a", "--host", "a"], &["twice"]);
    let twice = ["--service", "a=pid:1", "--service", "a=pid:2"];
    check(&twice, &["--service names 'a' twice"]);
}

/// A root with a `/proc` in which everything is as it should be.
fn healthy_root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (file, text) in [
        (
            "proc/stat",
            "cpu  100 0 50 8000 10 0 1 0 0 0\ncpu0 50 0 25 4000 5 0 1 0 0 0\ncpu1 50 0 25 4000 5 0 0 0 0 0\nprocesses 900\nprocs_running 1\n",
        ),
        ("proc/loadavg", "0.10 0.20 0.30 1/100 900\n"),
        (
            "proc/meminfo",
            "MemTotal: 2000000 kB\nMemFree: 1 kB\nMemAvailable: 1000000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
        ),
        ("proc/vmstat", "pswpin 0\npswpout 0\noom_kill 0\n"),
        (
            "proc/diskstats",
            "8 0 sda 100 2 300 40 500 6 700 80 0 90 1000\n",
        ),
        (
            "proc/net/dev",
            "  eth0:1000 10 0 0 0 0 0 0 2000 20 0 0 0 0 0 0\n",
        ),
        (
            "proc/net/sockstat",
            "TCP: inuse 5 orphan 0 tw 3 alloc 6 mem 1\n",
        ),
        (
            "proc/net/netstat",
            "TcpExt: ListenOverflows TCPTimeouts\nTcpExt: 7 9\n",
        ),
        ("proc/net/snmp", "Tcp: RetransSegs\nTcp: 42\n"),
        ("proc/sys/fs/file-nr", "1000 0 100000\n"),
        ("proc/sys/kernel/hostname", "fake\n"),
        ("proc/sys/kernel/osrelease", "6.1\n"),
        ("proc/uptime", "1000.0 1.0\n"),
    ] {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn probe_root(root: &Path) -> Vec<Line> {
    let root = root.to_str().unwrap();
    let output = probe(&["--root", root, "--interval", "100ms", "--duration", "200ms"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    lines(&output)
}

#[test]
fn files_that_are_missing_cut_or_huge_are_said_and_the_rest_is_read() {
    let root = healthy_root();
    let lines = probe_root(root.path());
    let healthy = hosts(&lines)[0].clone();
    let said: Vec<&str> = healthy.unread.iter().map(|it| it.field.as_str()).collect();
    // A root of these files has no more than these.
    let absent = [
        "interfaces",
        "pressure.cpu",
        "pressure.io",
        "pressure.memory",
        "sockets.tcp6",
        "conntrack",
    ];
    assert_eq!(said, absent);

    let check = |file: &str, text: Option<Vec<u8>>, field: &str| {
        let root = healthy_root();
        match text {
            Some(text) => fs::write(root.path().join(file), text).unwrap(),
            None => fs::remove_file(root.path().join(file)).unwrap(),
        }
        let lines = probe_root(root.path());
        let unread = &hosts(&lines)[0].unread;
        let found = unread.iter().find(|unread| unread.field == field);
        let why = &found.unwrap_or_else(|| panic!("{file}: {unread:?}")).why;
        assert!(why.contains(file) || why.contains("form"), "{why}");
        // A busy machine may leave one out.
        assert!(!samples(&lines).is_empty(), "{file}");
    };
    check("proc/meminfo", None, "memory");
    check("proc/meminfo", Some(b"MemTotal: 20".to_vec()), "memory");
    check("proc/stat", Some(b"cpu  1 2 3".to_vec()), "cpu");
    check("proc/stat", Some(vec![b'9'; 5 << 20]), "cpu");
    check(
        "proc/net/netstat",
        Some(b"TcpExt: ListenOverflows\nTcpExt:".to_vec()),
        "sockets.listen_overflows",
    );
    check("proc/net/dev", Some(vec![0xff; 100_000]), "network");
    check("proc/vmstat", Some(b"oom_kill -1\n".to_vec()), "oom_kills");
}

#[test]
fn a_fake_host_that_is_healthy_raises_no_alarm_and_a_full_one_does() {
    let root = healthy_root();
    let arguments = [
        "--check",
        "--interval",
        "100ms",
        "--duration",
        "300ms",
        "--format",
        "text",
        "--root",
    ];
    let check = |root: &Path| {
        let mut arguments: Vec<&str> = arguments.to_vec();
        arguments.push(root.to_str().unwrap());
        probe(&arguments)
    };
    let output = check(root.path());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing is wrong"));

    fs::write(root.path().join("proc/sys/fs/file-nr"), "90000 0 100000\n").unwrap();
    fs::write(root.path().join("proc/sys/fs/file-max"), "100000\n").unwrap();
    let output = check(root.path());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("files-max") && said.contains("sysctl -w fs.file-max"),
        "{said}"
    );
}

#[test]
fn a_check_says_what_it_could_not_look_at() {
    let root = healthy_root();
    let check = |arguments: &[&str]| {
        let root = root.path().to_str().unwrap();
        let given = ["--check", "--format", "text", "--root", root];
        let output = probe(&[&given, arguments].concat());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout) + &text(&output.stderr),
        )
    };
    let (code, said) = check(&["--duration", "1ms"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("not one sample was taken"), "{said}");
    let (code, said) = check(&["--duration", "500ms", "--interval", "500ms"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 samples only"), "{said}");
    let service = [
        "--duration",
        "2s",
        "--interval",
        "200ms",
        "--service",
        "web=name:nobody-is-called-so",
    ];
    let (code, said) = check(&service);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("web: absent"), "{said}");
    fs::write(root.path().join("proc/stat"), "cpu  1").unwrap();
    let (_, said) = check(&["--duration", "500ms", "--interval", "200ms"]);
    assert!(said.contains(": cpu: "), "{said}");
}

#[test]
fn a_report_is_written_after_ctrl_c() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("probe.jsonl");
    let mut child = Ended(
        Command::new(ISUKIT)
            .args(["probe", "--interval", "100ms", "-o"])
            .arg(&file)
            .spawn()
            .unwrap(),
    );
    std::thread::sleep(Duration::from_millis(700));
    let pid = rustix::process::Pid::from_child(&child.0);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let status = child.0.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.lines().last().unwrap().contains("\"end\""), "{text}");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

/// One test at a time looks at what listens and what runs.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// An sshd of our own on loopback, with keys of its own and nobody else's configuration.
struct Sshd {
    _folder: tempfile::TempDir,
    _daemon: Ended,
    config: PathBuf,
    /// Where the other side may put files.
    runtime: PathBuf,
}

impl Sshd {
    fn start() -> Self {
        // Not in /tmp itself, where a probe puts its copies.
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for key in ["host", "user"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(path(key))
                .status()
                .unwrap();
            assert!(made.success());
        }
        fs::copy(path("user.pub"), path("authorized")).unwrap();
        let runtime = path("runtime");
        fs::create_dir(&runtime).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let port = free_port();
        let dead = free_port();
        let text = |name: &str| path(name).display().to_string();
        let daemon = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin yes\nSetEnv XDG_RUNTIME_DIR={} PATH=/usr/bin:/bin\n",
            text("host"),
            text("authorized"),
            runtime.display()
        );
        fs::write(path("sshd_config"), daemon).unwrap();
        let client = format!(
            "Host *\n  HostName 127.0.0.1\n  IdentityFile {}\n  IdentitiesOnly yes\n  \
             StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n\
             Host s1 s2\n  Port {port}\nHost dead\n  Port {dead}\n",
            text("user")
        );
        fs::write(path("ssh_config"), client).unwrap();
        // It needs this folder to part its privileges, and does not make it itself.
        let _ = fs::create_dir_all("/run/sshd");
        let daemon = Ended(
            Command::new("/usr/sbin/sshd")
                .args(["-D", "-e", "-f"])
                .arg(path("sshd_config"))
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        let until = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "sshd does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        let config = path("ssh_config");
        Self {
            _folder: folder,
            _daemon: daemon,
            config,
            runtime,
        }
    }
}

/// The ports on which anybody listens.
fn listening() -> HashSet<String> {
    let table = ["/proc/net/tcp", "/proc/net/tcp6"]
        .map(|file| fs::read_to_string(file).unwrap_or_default());
    let lines = table.iter().flat_map(|table| table.lines());
    lines
        .filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let local = fields.next()?.to_owned();
            (fields.nth(1)? == "0A").then_some(local)
        })
        .collect()
}

/// The agents that run.
fn agents(of: &Path) -> usize {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let arguments = processes.filter_map(|process| fs::read(process.path().join("environ")).ok());
    let folder = of.display().to_string();
    arguments
        .filter(|environment| {
            let text = String::from_utf8_lossy(environment);
            text.contains("ISUKIT_AGENT_FOLDER=") && text.contains(&folder)
        })
        .count()
}

/// A copy without what only a debugger reads: what people send over ssh is a tenth of it.
fn stripped(folder: &Path) -> PathBuf {
    let copy = folder.join("isukit");
    let made = Command::new("strip")
        .arg("-o")
        .arg(&copy)
        .arg(ISUKIT)
        .status()
        .unwrap();
    assert!(made.success());
    copy
}

#[test]
fn hosts_are_probed_over_ssh_and_nothing_is_left_there() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let isukit = stripped(folder.path());
    let before = listening();
    let began = Instant::now();
    let mut child = Ended(
        Command::new(&isukit)
            .args([
                "probe",
                "--interval",
                "200ms",
                "--duration",
                "3s",
                "--ssh-config",
            ])
            .arg(&sshd.config)
            .args(["--host", "s1", "--host", "s2", "--host", "dead"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut found = Vec::new();
    let mut first_sample = None;
    let mut opened = HashSet::new();
    let mut running = 0;
    let mut sampled = HashSet::new();
    for line in BufReader::new(child.0.stdout.take().unwrap()).lines() {
        let line: Line = serde_json::from_str(&line.unwrap()).unwrap();
        if let Line::Sample(sample) = &line {
            first_sample.get_or_insert_with(|| began.elapsed());
            sampled.insert(sample.node.clone());
        }
        // The copies are gone while both run.
        if sampled.len() == 2 && running == 0 {
            opened = listening().difference(&before).cloned().collect();
            running = agents(&sshd.runtime);
            assert_eq!(fs::read_dir(&sshd.runtime).unwrap().count(), 0);
        }
        found.push(line);
    }
    let status = child.0.wait().unwrap();
    // One of the hosts was dead.
    assert_eq!(status.code(), Some(1));
    let first_sample = first_sample.unwrap();
    println!("the first sample came after {first_sample:?}");
    assert!(first_sample < Duration::from_secs(30));
    assert_eq!(running, 2);
    // Other tests of this machine may listen; an agent is none of them.
    let ours: Vec<_> = opened
        .iter()
        .filter(|port| !listening().contains(*port))
        .collect();
    assert!(ours.is_empty(), "opened {ours:?}");

    let mut nodes: Vec<&str> = hosts(&found)
        .iter()
        .map(|host| host.node.as_str())
        .collect();
    nodes.sort_unstable();
    assert_eq!(nodes, ["s1", "s2"]);
    let lost: Vec<_> = found
        .iter()
        .filter_map(|line| match line {
            Line::Lost(lost) => Some(lost),
            _ => None,
        })
        .collect();
    assert_eq!(lost.len(), 1, "{found:?}");
    assert_eq!(lost[0].node, "dead");
    assert!(lost[0].why.contains("refused"), "{lost:?}");
    for node in ["s1", "s2"] {
        let of_node = samples(&found)
            .into_iter()
            .filter(|sample| sample.node == node)
            .count();
        assert!(of_node >= 5, "{of_node} samples of {node}");
        let host = hosts(&found)
            .into_iter()
            .find(|host| host.node == node)
            .unwrap();
        let clock = host.clock.unwrap();
        // It is the same clock.
        assert!(
            clock.offset_ms.abs() <= clock.uncertainty_ms + 1.0,
            "{clock:?}"
        );
    }
    let until = Instant::now() + Duration::from_secs(5);
    while agents(&sshd.runtime) > 0 {
        assert!(Instant::now() < until, "an agent is left");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(fs::read_dir(&sshd.runtime).unwrap().count(), 0);
}

#[test]
fn an_agent_ends_when_its_asker_is_killed() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let sshd = Sshd::start();
    let mut child = Ended(
        Command::new(ISUKIT)
            .args(["probe", "--interval", "200ms", "--ssh-config"])
            .arg(&sshd.config)
            .args(["--host", "s1"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut output = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let sampled = output.any(|line| line.unwrap().contains("\"sample\""));
    assert!(sampled);
    assert_eq!(agents(&sshd.runtime), 1);
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(15);
    while agents(&sshd.runtime) > 0 {
        assert!(Instant::now() < until, "the agent runs on");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(fs::read_dir(&sshd.runtime).unwrap().count(), 0);
}
