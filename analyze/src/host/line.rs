//! The lines that `isukit probe` writes (`isukit.probe/1`): a host, then a sample for each interval.
//!
//! A value that could not be read is absent, and `unread` of its line says why. CPU is given in
//! cores, that is CPU seconds a second; rates are per second; sizes are bytes.

use serde::{Deserialize, Serialize};

/// Name and version of the form of the lines.
pub const SCHEMA: &str = "isukit.probe/1";

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant)]
pub enum Line {
    /// What a node is; the first line of each node.
    Host(Host),
    /// What a node did in one interval.
    Sample(Sample),
    /// Something that a check found wrong, as soon as it is known.
    Finding(Finding),
    /// A node that cannot be probed, or not any more.
    Lost(Lost),
    /// A node is done: how many samples it gave and what they cost.
    End(End),
}

/// What a node is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// [`SCHEMA`].
    pub schema: String,
    /// The name of the node: of the host, or as it was given to `--host`.
    pub node: String,
    /// When it was looked at, in milliseconds since the Unix epoch, by the clock of who asked.
    pub unix_ms: f64,
    /// The time between two samples, in seconds.
    pub interval_s: f64,
    /// The host's own name.
    pub hostname: String,
    /// The operating system.
    pub os: String,
    /// The kernel's release.
    pub kernel: String,
    /// The kind of processor: `x86_64`.
    pub architecture: String,
    /// The processors of the host that are online.
    pub cores: u32,
    /// The tightest CPU quota on the cgroup of the probe and its parents, in cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_cores: Option<f64>,
    /// The memory of the host.
    pub memory_bytes: u64,
    /// The tightest memory limit on the cgroup of the probe and its parents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit_bytes: Option<u64>,
    /// Its swap space.
    pub swap_bytes: u64,
    /// Its network interfaces.
    pub interfaces: Vec<Interface>,
    /// Limits of the kernel that services run into.
    pub limits: Limits,
    /// The services that are watched, and how.
    pub services: Vec<Watched>,
    /// How the node's clock stands to the clock of who asked; absent for the same host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<Clock>,
    /// What could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Unread>,
}

impl Host {
    /// The cores that its services can use: the quota where there is one, else all.
    pub fn usable_cores(&self) -> f64 {
        let cores = f64::from(self.cores);
        self.quota_cores.map_or(cores, |quota| quota.min(cores))
    }

    /// The memory that its services can use, in bytes.
    pub fn usable_memory(&self) -> u64 {
        let limit = self.memory_limit_bytes.unwrap_or(u64::MAX);
        self.memory_bytes.min(limit)
    }
}

/// A network interface.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Interface {
    /// Its name: `eth0`.
    pub name: String,
    /// The largest packet that it sends, in bytes, IP header included.
    pub mtu: u32,
    /// Its speed; absent where it has none, as virtual ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed_mbit_s: Option<u64>,
    /// Its addresses with their prefixes: `10.0.0.1/24`.
    pub addresses: Vec<String>,
}

/// Limits of the kernel that services run into.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// `fs.file-max`: open files on the whole host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_max: Option<u64>,
    /// `net.core.somaxconn`: the longest listen queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub somaxconn: Option<u64>,
    /// `net.ipv4.ip_local_port_range`: first and last port for outgoing connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_ports: Option<(u32, u32)>,
    /// `net.netfilter.nf_conntrack_max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conntrack_max: Option<u64>,
    /// `kernel.pid_max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid_max: Option<u64>,
}

/// How the CPU time of a service is found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribution {
    /// Its cgroup counts everything that ever ran in it.
    Cgroup,
    /// Its processes and the children that they waited for.
    #[default]
    Pids,
}

/// A service that is watched.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Watched {
    /// Its name.
    pub name: String,
    /// How its CPU time is found.
    pub by: Attribution,
    /// The cgroup, or the name or number of its processes.
    pub of: String,
    /// The size of the buffer pool that a MySQL or MariaDB server is configured for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer_pool_bytes: Option<u64>,
    /// Whether it was found, not named: then it may be something that comes and goes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub found: bool,
}

/// How a node's clock stands to the clock of who asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// How much the node's clock is ahead, in milliseconds. Times in lines are corrected by it.
    pub offset_ms: f64,
    /// How far that can be wrong: half of the fastest round trip.
    pub uncertainty_ms: f64,
}

/// A value that could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// The key of the line that is missing or incomplete.
    pub field: String,
    /// Why: the file and what was wrong with it.
    pub why: String,
}

/// What a node did in one interval.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// The node that it is of.
    pub node: String,
    /// The end of the interval, in milliseconds since the Unix epoch, by the clock of who asked.
    pub unix_ms: f64,
    /// The length of the interval in seconds.
    pub seconds: f64,
    /// CPU of the whole host by mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// What is used of the quota and memory limit that the probe itself is under, as in a container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limited: Option<Usage>,
    /// Tasks that run or wait for a processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_queue: Option<u64>,
    /// Tasks of the host that are running or ready, averaged over a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load1: Option<f64>,
    /// Memory of the whole host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Shares of the interval in which work was held up (PSI), 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pressure: Option<Pressure>,
    /// Disks, partitions left out.
    pub disks: Vec<Disk>,
    /// Network interfaces, `lo` included.
    pub network: Vec<Network>,
    /// Sockets and what TCP counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sockets: Option<Sockets>,
    /// Tracked connections of the firewall.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conntrack: Option<u64>,
    /// Open files of the whole host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// Processes that the kernel killed for memory in the interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_kills: Option<u64>,
    /// Processes that were started, a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forks: Option<f64>,
    /// The services that are watched.
    pub services: Vec<Service>,
    /// CPU of the host that none of the services accounts for, in cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unattributed_cores: Option<f64>,
    /// What could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Unread>,
}

/// CPU of a host by mode, in cores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cpu {
    /// Everything but idle, waiting for disks, and stolen time.
    pub busy: f64,
    /// Programs, niced ones included.
    pub user: f64,
    /// The kernel.
    pub system: f64,
    /// Interrupts, hard and soft.
    pub irq: f64,
    /// Idle while a disk was waited for.
    pub iowait: f64,
    /// Taken by other guests of the hypervisor.
    pub steal: f64,
    /// Idle.
    pub idle: f64,
}

/// What is used of a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// CPU used, in cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_cores: Option<f64>,
    /// The quota, in cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_cores: Option<f64>,
    /// The share of the quota's periods in which work was held back, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled: Option<f64>,
    /// Memory that counts against the limit and cannot simply be dropped: all but inactive file pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The memory limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit_bytes: Option<u64>,
}

/// Memory of a host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// All there is.
    pub total_bytes: u64,
    /// What can be had without swapping.
    pub available_bytes: u64,
    /// Swap in use.
    pub swap_used_bytes: u64,
    /// Read from swap, in bytes a second.
    pub swap_in: f64,
    /// Written to swap, in bytes a second.
    pub swap_out: f64,
}

/// Shares of the interval in which work was held up, 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pressure {
    /// Some task waited for a processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// Some task waited for a disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io: Option<f64>,
    /// Some task waited for memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<f64>,
}

/// A disk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Disk {
    /// Its name: `sda`.
    pub name: String,
    /// Bytes read a second.
    pub read: f64,
    /// Bytes written a second.
    pub written: f64,
    /// The share of the interval in which it had something to do, 0 to 1.
    pub busy: f64,
}

/// Traffic of an interface.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Bytes received a second.
    pub received: f64,
    /// Bytes sent a second.
    pub sent: f64,
    /// Packets a second, both ways.
    pub packets: f64,
    /// Packets that were dropped or broken, a second.
    pub lost: f64,
}

/// Sockets and what TCP counts; counters are of the interval.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sockets {
    /// TCP sockets in use.
    pub tcp: u64,
    /// Connections that wait out their end.
    pub time_wait: u64,
    /// Local ports that are taken by connections, at most; exact when many are.
    pub local_ports: u64,
    /// Connections that were refused or dropped as a listen queue was full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen_overflows: Option<u64>,
    /// Segments sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retransmits: Option<u64>,
    /// Times that TCP waited in vain for an acknowledgement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<u64>,
    /// Connections that wait to be accepted, by port; only looked for after an overflow.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Waiting>,
}

/// Connections that wait to be accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The port.
    pub port: u16,
    /// How many of them.
    pub connections: u64,
}

/// What a service did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// CPU used, in cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_cores: Option<f64>,
    /// The part of it in the kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_cores: Option<f64>,
    /// CPU of its busiest thread, in cores; only looked for when the service uses about one core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busiest_thread_cores: Option<f64>,
    /// Memory that its processes have in RAM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss_bytes: Option<u64>,
    /// What is used of the limits of its own cgroup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limited: Option<Usage>,
    /// Its processes.
    pub processes: u64,
    /// Their threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u64>,
    /// Open files of that process of it which is nearest to its limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<OpenFiles>,
}

/// Open files of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenFiles {
    /// The process.
    pub pid: u32,
    /// Its open files.
    pub used: u64,
    /// Its soft limit.
    pub limit: u64,
}

/// Something that is wrong, and what to do about it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of trouble: `open-files`, `mtu`, `listen-overflow`.
    pub rule: String,
    /// The node.
    pub node: String,
    /// The service, where it is one service's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What was seen, with its figures.
    pub evidence: String,
    /// What to do.
    pub remedy: String,
}

/// A node that cannot be probed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// The node.
    pub node: String,
    /// Why.
    pub why: String,
}

/// The end of a node's samples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// The node.
    pub node: String,
    /// How many samples it gave.
    pub samples: u64,
    /// CPU that the probe itself took on the node, in cores.
    pub cost_cores: f64,
    /// Memory that the probe had in RAM at most.
    pub cost_bytes: u64,
}

/// A figure without the digits that nobody measured: to a ten-thousandth.
pub(super) fn tidy(figure: f64) -> f64 {
    (figure * 1e4).round() / 1e4
}
