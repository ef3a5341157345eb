//! What is wrong with a host, and what to do about it: a fold over the lines of a probe.
//!
//! Rules are about what a service runs into or a host is badly set up for. They stay silent on a
//! host that is merely used.

use std::collections::{HashMap, HashSet};

use super::line::{Finding, Host, Line, OpenFiles, Sample, Service, Waiting};
use crate::units::format_bytes;

/// The share of a countable limit (files, ports, tracked connections) from which on it is close.
const CLOSE: f64 = 0.8;

/// The share of a memory limit from which on it is close.
const MEMORY_CLOSE: f64 = 0.95;

/// How many samples something that comes and goes has to be seen in.
pub const LASTING: usize = 2;

/// Swapping below this, in bytes a second, is the kernel putting idle pages away.
const SWAPPING: f64 = 256.0 * 1024.0;

/// The share of a host's cores that may be stolen before it matters.
const STOLEN: f64 = 0.05;

/// The share of its cores from which on a host has none left.
const SATURATED: f64 = 0.97;

/// The share of a quota's periods with work held back from which on the quota is the limit.
const THROTTLED: f64 = 0.5;

/// The part of a core from which on a thread has all of it.
const WHOLE_CORE: f64 = 0.93;

/// The share of time in which a disk is busy, and in which tasks wait for it, when it is the limit.
const DISK_BUSY: f64 = 0.9;
const DISK_WAITED_FOR: f64 = 0.2;

/// Reading from disk at this rate, in bytes a second, is more than a warm buffer pool does.
const COLD_READS: f64 = 2.0 * 1024.0 * 1024.0;

/// The share of the memory that a buffer pool may have.
const POOL_TOO_LARGE: f64 = 0.9;

/// How far clocks may be apart, in milliseconds: more, and logs of two nodes do not line up.
const OUT_OF_STEP_MS: f64 = 50.0;

/// Packets a second that may be lost, and their share of all. Frames that nobody here understands count as
/// lost, and a quiet network has a few.
const LOST_PACKETS: f64 = 10.0;
const LOST_SHARE: f64 = 0.001;

/// What a probe of the path to another node found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path {
    /// The node that probed.
    pub node: String,
    /// Whom it probed.
    pub peer: String,
    /// The interface's MTU on the probing side.
    pub mtu: u32,
    /// The MTU of the other side, where it is known.
    pub peer_mtu: Option<u32>,
    /// The largest packet that came through, in bytes, IP header included; `None` when even a
    /// small one did not.
    pub passed: Option<u32>,
    /// Whether a router said that packets are too large. Without that they vanish, and connections hang.
    pub told: bool,
}

/// Folds lines to findings. Each rule speaks once of a node and service.
#[derive(Debug, Default)]
pub struct Check {
    hosts: HashMap<String, Host>,
    /// In how many samples in a row something was seen.
    seen: HashMap<Key, usize>,
    told: HashSet<Key>,
}

/// A node, the service, device or peer that something is about, and the rule.
type Key = (String, String, &'static str);

/// What a rule has to say of one sample.
struct Said {
    rule: &'static str,
    service: Option<String>,
    /// The device or peer that it is about, which is told apart from others.
    about: Option<String>,
    /// How many samples in a row it takes.
    lasting: usize,
    evidence: String,
    remedy: String,
}

impl Said {
    fn at_once(rule: &'static str, evidence: String, remedy: impl Into<String>) -> Self {
        Self {
            rule,
            service: None,
            about: None,
            lasting: 1,
            evidence,
            remedy: remedy.into(),
        }
    }

    fn lasting(rule: &'static str, evidence: String, remedy: impl Into<String>) -> Self {
        Self {
            lasting: LASTING,
            ..Self::at_once(rule, evidence, remedy)
        }
    }

    fn of(mut self, service: &Service) -> Self {
        self.service = Some(service.name.clone());
        self
    }

    fn about(mut self, what: &str) -> Self {
        self.about = Some(what.to_owned());
        self
    }

    fn key(&self, node: &str) -> Key {
        let what = self.service.clone().or_else(|| self.about.clone());
        (node.to_owned(), what.unwrap_or_default(), self.rule)
    }
}

impl Check {
    /// Takes a line, and says what it shows to be wrong that was not said before.
    pub fn line(&mut self, line: &Line) -> Vec<Finding> {
        match line {
            Line::Host(host) => {
                let said = of_host(host);
                self.hosts.insert(host.node.clone(), host.clone());
                self.found(&host.node, said)
            }
            Line::Sample(sample) => {
                let said = match self.hosts.get(&sample.node) {
                    Some(host) => of_sample(host, sample),
                    None => Vec::new(),
                };
                self.tell(&sample.node, said)
            }
            Line::Lost(lost) => {
                let remedy = "see whether the node is up and lets you in: ssh NODE true";
                self.tell(
                    &lost.node,
                    vec![Said::at_once("lost", lost.why.clone(), remedy)],
                )
            }
            Line::Finding(_) | Line::End(_) => Vec::new(),
        }
    }

    /// Takes what a probe of a path found.
    pub fn path(&mut self, path: &Path) -> Vec<Finding> {
        let said = of_path(path).into_iter().collect();
        self.found(&path.node, said)
    }

    /// Takes what a sample shows.
    fn tell(&mut self, node: &str, said: Vec<Said>) -> Vec<Finding> {
        let now: HashSet<_> = said.iter().map(|said| said.key(node)).collect();
        // What was not seen this time has to begin anew.
        self.seen
            .retain(|key, _| key.0 != node || now.contains(key));
        self.found(node, said)
    }

    fn found(&mut self, node: &str, said: Vec<Said>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for said in said {
            let key = said.key(node);
            let times = self.seen.entry(key.clone()).or_default();
            *times += 1;
            if *times < said.lasting || !self.told.insert(key) {
                continue;
            }
            findings.push(Finding {
                rule: said.rule.to_owned(),
                node: node.to_owned(),
                service: said.service,
                evidence: said.evidence,
                remedy: said.remedy,
            });
        }
        findings
    }
}

fn of_host(host: &Host) -> Vec<Said> {
    let mut said = Vec::new();
    if let Some(clock) = host.clock {
        let apart = clock.offset_ms.abs() - clock.uncertainty_ms;
        if apart > OUT_OF_STEP_MS {
            said.push(Said::at_once(
                "clock",
                format!(
                    "its clock is {:.0} ms {} (give or take {:.1} ms)",
                    clock.offset_ms.abs(),
                    if clock.offset_ms > 0.0 {
                        "ahead"
                    } else {
                        "behind"
                    },
                    clock.uncertainty_ms
                ),
                "let chrony or systemd-timesyncd set it (timedatectl set-ntp true); until then the \
                 times of its logs do not line up with those of other nodes",
            ));
        }
    }
    let memory = host.usable_memory();
    for service in &host.services {
        let Some(pool) = service.buffer_pool_bytes else {
            continue;
        };
        if memory > 0 && pool as f64 > memory as f64 * POOL_TOO_LARGE {
            let mut found = Said::at_once(
                "buffer-pool",
                format!(
                    "innodb_buffer_pool_size is {} of {} of memory",
                    format_bytes(pool),
                    format_bytes(memory)
                ),
                format!(
                    "set it to {} MiB or less: when it fills, the host swaps or the server is killed",
                    (memory as f64 * 0.7) as u64 >> 20
                ),
            );
            found.service = Some(service.name.clone());
            said.push(found);
        }
    }
    said
}

fn of_sample(host: &Host, sample: &Sample) -> Vec<Said> {
    let mut said = Vec::new();
    cpu(host, sample, &mut said);
    memory(sample, &mut said);
    kernel_limits(host, sample, &mut said);
    network(sample, &mut said);
    disks(host, sample, &mut said);
    for service in &sample.services {
        of_service(host, service, &mut said);
    }
    said
}

fn cpu(host: &Host, sample: &Sample, said: &mut Vec<Said>) {
    let cores = f64::from(host.cores.max(1));
    if let Some(cpu) = sample.cpu {
        if cpu.steal > STOLEN * cores {
            said.push(Said::lasting(
                "steal",
                format!("{:.0}% of its CPU time went to other guests", cpu.steal / cores * 100.0),
                "the hypervisor gives this node less than it promised: expect less of it than of its \
                 cores, or move to another host or a dedicated kind of instance",
            ));
        }
        if cpu.busy + cpu.steal > SATURATED * cores {
            said.push(Said::lasting(
                "cpu",
                format!(
                    "all {} cores are busy, {} tasks run or wait",
                    host.cores,
                    sample.run_queue.unwrap_or(0)
                ),
                "make its dearest service cheaper, or move a service to another node: isukit place \
                 says which",
            ));
        }
    }
    let limited = sample.limited.unwrap_or_default();
    if let (Some(throttled), Some(quota)) = (limited.throttled, limited.quota_cores)
        && throttled > THROTTLED
    {
        said.push(Said::lasting(
            "cpu-quota",
            format!(
                "its CPU quota of {quota:.2} cores held work back in {:.0}% of the periods",
                throttled * 100.0
            ),
            "raise the quota (cpu.max, CPUQuota=), or move a service to another node",
        ));
    }
}

fn memory(sample: &Sample, said: &mut Vec<Said>) {
    if let Some(memory) = sample.memory
        && memory.swap_in + memory.swap_out > SWAPPING
    {
        said.push(Said::lasting(
            "swap",
            format!(
                "it swaps {}/s in and {}/s out, with {} of memory available",
                format_bytes(memory.swap_in as u64),
                format_bytes(memory.swap_out as u64),
                format_bytes(memory.available_bytes)
            ),
            "give the largest service less memory (a buffer pool, workers), or move one to another node",
        ));
    }
    if let Some(killed) = sample.oom_kills.filter(|killed| *killed > 0) {
        said.push(Said::at_once(
            "oom-kill",
            format!("the kernel killed {killed} processes for memory"),
            "see `journalctl -k | grep -i oom` for which; give it more memory or let it use less",
        ));
    }
    let limited = sample.limited.unwrap_or_default();
    if let (Some(used), Some(limit)) = (limited.memory_bytes, limited.memory_limit_bytes)
        && used as f64 > limit as f64 * MEMORY_CLOSE
    {
        said.push(Said::at_once(
            "memory-limit",
            format!(
                "{} of its memory limit of {} are used",
                format_bytes(used),
                format_bytes(limit)
            ),
            "raise the limit, or move a service to another node: beyond it processes are killed",
        ));
    }
}

fn kernel_limits(host: &Host, sample: &Sample, said: &mut Vec<Said>) {
    let close = |used: Option<u64>, limit: Option<u64>| {
        let (used, limit) = used.zip(limit)?;
        (limit > 0 && used as f64 >= limit as f64 * CLOSE).then_some((used, limit))
    };
    if let Some((used, limit)) = close(sample.conntrack, host.limits.conntrack_max) {
        said.push(Said::at_once(
            "conntrack",
            format!("the firewall tracks {used} connections of at most {limit}"),
            format!("sysctl -w net.netfilter.nf_conntrack_max={}: new connections are dropped beyond it", limit * 4),
        ));
    }
    if let Some((used, limit)) = close(sample.open_files, host.limits.files_max) {
        said.push(Said::at_once(
            "files-max",
            format!("the host has {used} files open of at most {limit}"),
            format!("sysctl -w fs.file-max={}", limit.saturating_mul(2)),
        ));
    }
    let range = host
        .limits
        .local_ports
        .map(|(first, last)| u64::from(last - first) + 1);
    let ports = sample.sockets.as_ref().map(|sockets| sockets.local_ports);
    if let Some((used, range)) = close(ports, range) {
        said.push(Said::at_once(
            "local-ports",
            format!("{used} of {range} local ports are taken by connections"),
            "keep connections to upstreams open (nginx: keepalive, proxy_http_version 1.1), and widen \
             net.ipv4.ip_local_port_range to `1024 65000`",
        ));
    }
}

fn network(sample: &Sample, said: &mut Vec<Said>) {
    if let Some(sockets) = &sample.sockets
        && let Some(overflows) = sockets.listen_overflows.filter(|overflows| *overflows > 0)
    {
        let port = |it: &Waiting| format!("{} ({} wait)", it.port, it.connections);
        let ports: Vec<String> = sockets.waiting.iter().map(port).collect();
        let at = if ports.is_empty() {
            String::new()
        } else {
            format!(", now on port {}", ports.join(", "))
        };
        said.push(Said::at_once(
            "listen-overflow",
            format!("{overflows} connections came to a full listen queue{at}"),
            "raise the service's backlog (nginx: listen ... backlog=4096; gunicorn: --backlog; Go and \
             others take it from net.core.somaxconn), and `sysctl -w net.core.somaxconn=4096`; if it \
             fills again, the service is too slow to accept",
        ));
    }
    for device in &sample.network {
        if device.lost > LOST_PACKETS && device.lost > device.packets * LOST_SHARE {
            let found = Said::lasting(
                "packet-loss",
                format!(
                    "{} drops {:.0} of {:.0} packets a second",
                    device.name, device.lost, device.packets
                ),
                "see `ip -s link` for which kind; longer queues (ethtool -G, txqueuelen) help with bursts",
            );
            said.push(found.about(&device.name));
        }
    }
}

fn disks(host: &Host, sample: &Sample, said: &mut Vec<Said>) {
    let waited = sample
        .pressure
        .and_then(|pressure| pressure.io)
        .unwrap_or(0.0);
    let busiest = sample.disks.iter().max_by(|a, b| a.busy.total_cmp(&b.busy));
    if let Some(disk) = busiest
        && disk.busy > DISK_BUSY
        && waited > DISK_WAITED_FOR
    {
        said.push(Said::lasting(
            "disk",
            format!(
                "{} is busy {:.0}% of the time ({}/s read, {}/s written), and tasks wait for it {:.0}% of the time",
                disk.name,
                disk.busy * 100.0,
                format_bytes(disk.read as u64),
                format_bytes(disk.written as u64),
                waited * 100.0
            ),
            "for a database: a larger buffer pool, and innodb_flush_log_at_trx_commit=2 where the \
             last second may be lost; for logs: buffer or drop them",
        ));
    }
    let read: f64 = sample.disks.iter().map(|disk| disk.read).sum();
    let available = sample.memory.map_or(0, |memory| memory.available_bytes);
    for service in &host.services {
        let Some(pool) = service.buffer_pool_bytes else {
            continue;
        };
        if read > COLD_READS && available > pool.saturating_mul(2) {
            let mut found = Said::lasting(
                "buffer-pool",
                format!(
                    "{}/s are read from disk with innodb_buffer_pool_size at {} and {} of memory available",
                    format_bytes(read as u64),
                    format_bytes(pool),
                    format_bytes(available)
                ),
                format!("set it to {} MiB", (pool + available / 2) >> 20),
            );
            found.service = Some(service.name.clone());
            said.push(found);
        }
    }
}

fn of_service(host: &Host, service: &Service, said: &mut Vec<Said>) {
    if let Some(OpenFiles { pid, used, limit }) = service.open_files
        && used as f64 >= limit as f64 * CLOSE
    {
        said.push(
            Said::at_once(
                "open-files",
                format!("process {pid} has {used} files open of at most {limit}"),
                format!(
                    "raise its soft limit: LimitNOFILE={} in `systemctl edit {}`, or `ulimit -n` before \
                     it starts; at the limit it cannot accept connections",
                    (limit.saturating_mul(8)).max(65_536),
                    service.name
                ),
            )
            .of(service),
        );
    }
    let mut watched = host.services.iter();
    // What was found by itself may have been a job that is done.
    let was_named = !watched.any(|watched| watched.found && watched.name == service.name);
    if was_named && service.processes == 0 && service.cpu_cores.unwrap_or(0.0) <= 0.0 {
        said.push(
            Said::lasting(
                "absent",
                "none of its processes is there".to_owned(),
                "start it, or name it as it is called here: `systemctl list-units` has the units, \
                 `ps -e` the commands",
            )
            .of(service),
        );
    }
    let one = service.busiest_thread_cores.zip(service.cpu_cores);
    if let Some((thread, all)) = one
        && thread > WHOLE_CORE
        && all < thread * 1.2
        && host.usable_cores() > 1.2
    {
        said.push(
            Said::lasting(
                "one-thread",
                format!("one thread uses {thread:.2} cores of the {all:.2} that the service has"),
                "it can use no second core: start more workers (nginx: worker_processes auto; Envoy: \
                 --concurrency; puma, gunicorn: workers), or more of them",
            )
            .of(service),
        );
    }
    let limited = service.limited.unwrap_or_default();
    if let (Some(used), Some(limit)) = (limited.memory_bytes, limited.memory_limit_bytes)
        && used as f64 > limit as f64 * MEMORY_CLOSE
    {
        said.push(
            Said::at_once(
                "memory-limit",
                format!(
                    "{} of its memory limit of {} are used",
                    format_bytes(used),
                    format_bytes(limit)
                ),
                "raise the limit (MemoryMax=), or let it use less: beyond it the kernel kills it",
            )
            .of(service),
        );
    }
    if let (Some(throttled), Some(quota)) = (limited.throttled, limited.quota_cores)
        && throttled > THROTTLED
    {
        said.push(
            Said::lasting(
                "cpu-quota",
                format!(
                    "its CPU quota of {quota:.2} cores held it back in {:.0}% of the periods",
                    throttled * 100.0
                ),
                "raise the quota (CPUQuota=, limits.cpu), or take it away",
            )
            .of(service),
        );
    }
}

fn of_path(path: &Path) -> Option<Said> {
    let Path { peer, mtu, .. } = path;
    let Some(passed) = path.passed else {
        let found = Said::at_once(
            "unreachable",
            format!("no answer from {peer}, to packets of any size"),
            "see `ip route get` and the firewalls on the way",
        );
        return Some(found.about(peer));
    };
    if passed >= *mtu {
        return None;
    }
    let other = path
        .peer_mtu
        .map(|mtu| format!(", that of the other side {mtu}"))
        .unwrap_or_default();
    let fate = if path.told { "are refused" } else { "vanish" };
    // One that is told of is found by every connection, at the price of a round trip.
    let rule = if path.told { "mtu-path" } else { "mtu" };
    let found = Said::at_once(
        rule,
        format!(
            "packets of more than {passed} bytes to {peer} {fate}: the MTU here is {mtu}{other}"
        ),
        format!(
            "ip link set dev DEVICE mtu {passed} on this side, or the same MTU on both; until then small \
             replies pass and large ones hang (MySQL: \"Bad handshake\")"
        ),
    );
    Some(found.about(peer))
}

#[cfg(test)]
mod tests;
