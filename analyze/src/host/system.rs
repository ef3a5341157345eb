//! Host-wide counters: `/proc/stat`, memory, pressure, disks, network, sockets.
//!
//! The forms are those of `proc(5)` and of the kernel's `Documentation/admin-guide/iostats.rst`
//! and `Documentation/accounting/psi.rst`.

use std::collections::BTreeMap;

use super::limits::{DEVICES, WAITING_PORTS};
use super::line::{Cpu, Disk, Memory, Network, Pressure, Sample, Sockets, Unread, Waiting, tidy};
use super::read::{Kept, Root, first_number, lines, name, number, value, words};

/// Clock ticks a second in which `/proc` counts CPU time: Linux's user interface has them fixed.
pub(super) const TICKS: f64 = 100.0;

/// The size of a sector in `/proc/diskstats`, whatever the disk's own.
const SECTOR: f64 = 512.0;

/// The size of a page in `/proc/vmstat` and `/proc/PID/stat`.
pub(super) const PAGE: u64 = 4096;

/// The share of the local ports from which on they are counted one by one.
const PORTS_WORTH_COUNTING: f64 = 0.5;

/// What `/proc` had counted at one time.
#[derive(Debug, Default, Clone)]
struct Counters {
    cpu: Option<[u64; 8]>,
    forks: Option<u64>,
    swapped: Option<[u64; 2]>,
    oom_kills: Option<u64>,
    pressure: [Option<u64>; 3],
    disks: BTreeMap<String, [u64; 3]>,
    network: BTreeMap<String, [u64; 4]>,
    listen_overflows: Option<u64>,
    timeouts: Option<u64>,
    retransmits: Option<u64>,
}

/// One of the files, and whether it is worth reading at all.
#[derive(Debug)]
struct Source {
    field: &'static str,
    file: Kept,
    absent: bool,
}

impl Source {
    fn new(root: &Root, field: &'static str, path: &str) -> Self {
        Self {
            field,
            file: root.keep(path),
            absent: false,
        }
    }
}

/// The host-wide files, and what they had counted at the last look.
#[derive(Debug)]
pub(super) struct System {
    root: Root,
    stat: Source,
    loadavg: Source,
    meminfo: Source,
    vmstat: Source,
    pressure: [Source; 3],
    diskstats: Source,
    netdev: Source,
    sockstat: Source,
    sockstat6: Source,
    netstat: Source,
    snmp: Source,
    conntrack: Source,
    files: Source,
    before: Counters,
    local_ports: Option<(u32, u32)>,
    text: Vec<u8>,
}

impl System {
    /// Opens the files, and says which are not there.
    pub(super) fn new(root: &Root, local_ports: Option<(u32, u32)>) -> (Self, Vec<Unread>) {
        let source = |field, path| Source::new(root, field, path);
        let mut system = Self {
            root: root.clone(),
            stat: source("cpu", "proc/stat"),
            loadavg: source("load1", "proc/loadavg"),
            meminfo: source("memory", "proc/meminfo"),
            vmstat: source("oom_kills", "proc/vmstat"),
            pressure: [
                source("pressure.cpu", "proc/pressure/cpu"),
                source("pressure.io", "proc/pressure/io"),
                source("pressure.memory", "proc/pressure/memory"),
            ],
            diskstats: source("disks", "proc/diskstats"),
            netdev: source("network", &root.of_host("net/dev")),
            sockstat: source("sockets", &root.of_host("net/sockstat")),
            sockstat6: source("sockets.tcp6", &root.of_host("net/sockstat6")),
            netstat: source("sockets.listen_overflows", &root.of_host("net/netstat")),
            snmp: source("sockets.retransmits", &root.of_host("net/snmp")),
            conntrack: source("conntrack", "proc/sys/net/netfilter/nf_conntrack_count"),
            files: source("open_files", "proc/sys/fs/file-nr"),
            before: Counters::default(),
            local_ports,
            text: Vec::new(),
        };
        let mut first = Sample::default();
        system.sample(1.0, &mut first);
        for unread in &first.unread {
            for source in system.sources() {
                source.absent |= source.field == unread.field;
            }
        }
        (system, first.unread)
    }

    fn sources(&mut self) -> impl Iterator<Item = &mut Source> {
        let [cpu, io, memory] = &mut self.pressure;
        [
            &mut self.stat,
            &mut self.loadavg,
            &mut self.meminfo,
            &mut self.vmstat,
            cpu,
            io,
            memory,
            &mut self.diskstats,
            &mut self.netdev,
            &mut self.sockstat,
            &mut self.sockstat6,
            &mut self.netstat,
            &mut self.snmp,
            &mut self.conntrack,
            &mut self.files,
        ]
        .into_iter()
    }

    /// Reads all of them, and fills the host's part of a sample with what was between this look
    /// and the last one, `seconds` ago.
    pub(super) fn sample(&mut self, seconds: f64, sample: &mut Sample) {
        let mut now = Counters::default();
        let before = std::mem::take(&mut self.before);
        let text = &mut self.text;
        let unread = &mut sample.unread;
        let mut read = |source: &mut Source, take: &mut dyn FnMut(&[u8]) -> bool| {
            if source.absent {
                return;
            }
            let why = match source.file.read(text) {
                Ok(()) if take(text) => return,
                Ok(()) => "has not the form that was expected, or is cut".to_owned(),
                Err(why) => why,
            };
            unread.push(Unread {
                field: source.field.to_owned(),
                why,
            });
        };

        read(&mut self.stat, &mut |text| {
            now.cpu = cpu_counters(text);
            now.forks = value(text, "processes");
            sample.run_queue = value(text, "procs_running");
            now.cpu.is_some()
        });
        read(&mut self.loadavg, &mut |text| {
            sample.load1 = decimal(words(text).next());
            sample.load1.is_some()
        });
        read(&mut self.meminfo, &mut |text| {
            sample.memory = memory(text);
            sample.memory.is_some()
        });
        read(&mut self.vmstat, &mut |text| {
            let swapped = (value(text, "pswpin"), value(text, "pswpout"));
            now.swapped = swapped.0.zip(swapped.1).map(<[u64; 2]>::from);
            now.oom_kills = value(text, "oom_kill");
            now.oom_kills.is_some()
        });
        for (source, total) in self.pressure.iter_mut().zip(&mut now.pressure) {
            read(source, &mut |text| {
                *total = pressure_total(text);
                total.is_some()
            });
        }
        read(&mut self.diskstats, &mut |text| {
            now.disks = disk_counters(text);
            text.is_empty() || !now.disks.is_empty()
        });
        read(&mut self.netdev, &mut |text| {
            now.network = network_counters(text);
            !now.network.is_empty()
        });
        let mut sockets = None;
        read(&mut self.sockstat, &mut |text| {
            sockets = sockets_of(text);
            sockets.is_some()
        });
        read(&mut self.sockstat6, &mut |text| {
            let more = tagged(text, "TCP6:", "inuse");
            if let (Some(sockets), Some(more)) = (&mut sockets, more) {
                sockets.tcp += more;
            }
            more.is_some()
        });
        read(&mut self.netstat, &mut |text| {
            now.listen_overflows = headed(text, "TcpExt:", "ListenOverflows");
            now.timeouts = headed(text, "TcpExt:", "TCPTimeouts");
            now.listen_overflows.is_some()
        });
        read(&mut self.snmp, &mut |text| {
            now.retransmits = headed(text, "Tcp:", "RetransSegs");
            now.retransmits.is_some()
        });
        read(&mut self.conntrack, &mut |text| {
            sample.conntrack = first_number(text);
            sample.conntrack.is_some()
        });
        read(&mut self.files, &mut |text| {
            sample.open_files = first_number(text);
            sample.open_files.is_some()
        });

        between(&before, &now, seconds, sample);
        sample.sockets = sockets.map(|mut sockets| {
            sockets.listen_overflows = since(before.listen_overflows, now.listen_overflows);
            sockets.timeouts = since(before.timeouts, now.timeouts);
            sockets.retransmits = since(before.retransmits, now.retransmits);
            sockets
        });
        self.before = now;
        self.look_closer(sample);
    }

    /// Reads the table of connections when something is amiss; it is long on a busy host.
    fn look_closer(&mut self, sample: &mut Sample) {
        let Some(sockets) = &mut sample.sockets else {
            return;
        };
        let (first, last) = self.local_ports.unwrap_or((1, 65_535));
        let range = f64::from(last.saturating_sub(first) + 1);
        sockets.local_ports = sockets.tcp + sockets.time_wait;
        let many = sockets.local_ports as f64 > range * PORTS_WORTH_COUNTING;
        let overflowed = sockets.listen_overflows.is_some_and(|count| count > 0);
        if !many && !overflowed {
            return;
        }
        let mut ports = std::collections::HashSet::new();
        let mut waiting = Vec::new();
        let mut count = |connection: Connection| {
            let port = u32::from(connection.port);
            if !connection.listens && (first..=last).contains(&port) {
                ports.insert(port);
            } else if connection.listens && connection.waiting > 0 && overflowed {
                waiting.push(Waiting {
                    port: connection.port,
                    connections: connection.waiting,
                });
            }
        };
        let mut tables = 0;
        for file in ["net/tcp", "net/tcp6"] {
            // The first line has the names of the columns, and no port.
            let read = self.root.each_line(&self.root.of_host(file), |line| {
                if let Some(connection) = connection(line) {
                    count(connection);
                }
            });
            tables += usize::from(read.is_ok());
        }
        waiting.sort_by_key(|waiting| waiting.port);
        waiting.truncate(WAITING_PORTS);
        sockets.waiting = waiting;
        // A host without IPv6 has one table.
        if tables > 0 {
            sockets.local_ports = ports.len() as u64;
        }
    }
}

/// What two looks at the counters say of the time between them.
fn between(before: &Counters, now: &Counters, seconds: f64, sample: &mut Sample) {
    let rate = |before: u64, now: u64| tidy(now.saturating_sub(before) as f64 / seconds);
    sample.cpu = before.cpu.zip(now.cpu).map(|(before, now)| {
        let core = |at: usize| tidy(rate(before[at], now[at]) / TICKS);
        let [user, nice, system, idle, iowait, irq, softirq, steal] = std::array::from_fn(core);
        Cpu {
            busy: tidy(user + nice + system + irq + softirq),
            user: tidy(user + nice),
            system,
            irq: tidy(irq + softirq),
            iowait,
            steal,
            idle,
        }
    });
    let forks = before.forks.zip(now.forks);
    sample.forks = forks.map(|(before, now)| rate(before, now));
    sample.oom_kills = since(before.oom_kills, now.oom_kills);
    if let (Some(memory), Some(before), Some(now)) =
        (&mut sample.memory, before.swapped, now.swapped)
    {
        memory.swap_in = rate(before[0], now[0]) * PAGE as f64;
        memory.swap_out = rate(before[1], now[1]) * PAGE as f64;
    }
    // Counted in microseconds; it may be a little more than the interval, by how times are taken.
    let stalled = |at: usize| {
        let (before, now) = before.pressure[at].zip(now.pressure[at])?;
        Some(tidy(rate(before, now) / 1e6).min(1.0))
    };
    sample.pressure = now.pressure.iter().any(Option::is_some).then(|| Pressure {
        cpu: stalled(0),
        io: stalled(1),
        memory: stalled(2),
    });
    for (name, now) in &now.disks {
        let Some(before) = before.disks.get(name) else {
            continue;
        };
        sample.disks.push(Disk {
            name: name.clone(),
            read: rate(before[0], now[0]) * SECTOR,
            written: rate(before[1], now[1]) * SECTOR,
            busy: tidy(rate(before[2], now[2]) / 1e3).min(1.0),
        });
    }
    for (name, now) in &now.network {
        let Some(before) = before.network.get(name) else {
            continue;
        };
        sample.network.push(Network {
            name: name.clone(),
            received: rate(before[0], now[0]),
            sent: rate(before[1], now[1]),
            packets: rate(before[2], now[2]),
            lost: rate(before[3], now[3]),
        });
    }
}

/// How much a counter grew. One that went back began anew, and says nothing.
fn since(before: Option<u64>, now: Option<u64>) -> Option<u64> {
    now?.checked_sub(before?)
}

/// A number with a fraction.
fn decimal(word: Option<&[u8]>) -> Option<f64> {
    let number: f64 = std::str::from_utf8(word?).ok()?.parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number)
}

/// The first line of `/proc/stat`. Time as a guest is part of `user` there.
fn cpu_counters(text: &[u8]) -> Option<[u64; 8]> {
    let line = lines(text).next()?.strip_prefix(b"cpu ")?;
    let mut counters = [0; 8];
    let mut numbers = words(line).map(number);
    for counter in &mut counters {
        *counter = numbers.next()??;
    }
    Some(counters)
}

/// How many processors are online: the lines `cpu0`, `cpu1`, ... of `/proc/stat`.
pub(super) fn cores(stat: &[u8]) -> u32 {
    let cpu = |line: &[u8]| {
        let rest = line.strip_prefix(b"cpu");
        rest.is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit))
    };
    lines(stat).filter(|line| cpu(line)).count() as u32
}

fn memory(text: &[u8]) -> Option<Memory> {
    let bytes = |name| value(text, name)?.checked_mul(1024);
    let swap = bytes("SwapTotal").unwrap_or(0);
    Some(Memory {
        total_bytes: bytes("MemTotal")?,
        available_bytes: bytes("MemAvailable")?,
        swap_used_bytes: swap.saturating_sub(bytes("SwapFree").unwrap_or(swap)),
        swap_in: 0.0,
        swap_out: 0.0,
    })
}

/// The microseconds in which some task waited: `some avg10=0.00 ... total=123`.
fn pressure_total(text: &[u8]) -> Option<u64> {
    let some = lines(text).find_map(|line| line.strip_prefix(b"some "))?;
    number(words(some).find_map(|word| word.strip_prefix(b"total="))?)
}

/// Sectors read, sectors written, milliseconds busy, by disk.
fn disk_counters(text: &[u8]) -> BTreeMap<String, [u64; 3]> {
    let disk = |line: &[u8]| {
        let fields: Vec<&[u8]> = words(line).take(14).collect();
        let of = |at: usize| number(fields.get(at)?);
        let disk = name(fields.get(2)?);
        Some((disk, [of(5)?, of(9)?, of(12)?]))
    };
    let mut disks: BTreeMap<_, _> = lines(text)
        .filter_map(disk)
        .filter(|(name, _)| {
            !["loop", "ram", "zram", "sr", "fd"].iter().any(|kind| {
                let rest = name.strip_prefix(kind);
                rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
            })
        })
        .take(DEVICES)
        .collect();
    let names: Vec<String> = disks.keys().cloned().collect();
    disks.retain(|name, _| !names.iter().any(|disk| is_partition(name, disk)));
    disks
}

/// Whether a name is that of a partition of a disk: `sda1` of `sda`, `nvme0n1p2` of `nvme0n1`.
fn is_partition(name: &str, disk: &str) -> bool {
    let Some(rest) = name.strip_prefix(disk) else {
        return false;
    };
    let ends_in_digit = disk
        .bytes()
        .last()
        .is_some_and(|byte| byte.is_ascii_digit());
    let rest = if ends_in_digit {
        rest.strip_prefix('p').unwrap_or_default()
    } else {
        rest
    };
    !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())
}

/// Bytes received, bytes sent, packets, packets dropped or broken, by interface.
fn network_counters(text: &[u8]) -> BTreeMap<String, [u64; 4]> {
    let interface = |line: &[u8]| {
        let colon = memchr::memchr(b':', line)?;
        let (interface, rest) = line.split_at(colon);
        let numbers: Vec<u64> = words(&rest[1..]).take(16).map_while(number).collect();
        let of = |at: usize| numbers.get(at).copied();
        let packets = of(1)?.saturating_add(of(9)?);
        let lost = [of(2)?, of(3)?, of(10)?, of(11)?];
        let lost = lost
            .iter()
            .fold(0u64, |sum, lost| sum.saturating_add(*lost));
        let interface = name(words(interface).next()?);
        Some((interface, [of(0)?, of(8)?, packets, lost]))
    };
    lines(text).filter_map(interface).take(DEVICES).collect()
}

/// The number behind `tag` in the line of `/proc/net/sockstat` that begins with `protocol`.
fn tagged(text: &[u8], protocol: &str, tag: &str) -> Option<u64> {
    let line = lines(text).find_map(|line| line.strip_prefix(protocol.as_bytes()))?;
    let mut words = words(line);
    words.find(|word| *word == tag.as_bytes())?;
    number(words.next()?)
}

fn sockets_of(text: &[u8]) -> Option<Sockets> {
    Some(Sockets {
        tcp: tagged(text, "TCP:", "inuse")?,
        time_wait: tagged(text, "TCP:", "tw")?,
        ..Sockets::default()
    })
}

/// The number below a heading in a file of pairs of lines, as `/proc/net/snmp` has them.
fn headed(text: &[u8], group: &str, heading: &str) -> Option<u64> {
    let mut of_group = lines(text).filter(|line| line.starts_with(group.as_bytes()));
    let (heads, values) = (of_group.next()?, of_group.next()?);
    let at = words(heads).position(|word| word == heading.as_bytes())?;
    number(words(values).nth(at)?)
}

/// A line of `/proc/net/tcp`.
struct Connection {
    port: u16,
    listens: bool,
    waiting: u64,
}

fn connection(line: &[u8]) -> Option<Connection> {
    let mut fields = words(line).skip(1);
    let hex = |word: &[u8]| u64::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok();
    let local = fields.next()?;
    let port = hex(&local[memchr::memrchr(b':', local)? + 1..])?;
    let state = hex(fields.nth(1)?)?;
    let queues = fields.next()?;
    // For a listening socket the second queue holds connections that wait to be accepted.
    let waiting = hex(&queues[memchr::memchr(b':', queues)? + 1..])?;
    Some(Connection {
        port: u16::try_from(port).ok()?,
        listens: state == 0x0a,
        waiting,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_real_hosts_are_read() {
        let stat = b"cpu  10 1 5 800 20 2 3 4 9 0\ncpu0 5 0 2 400 10 1 1 2 4 0\ncpu1 5 1 3 400 10 1 2 2 5 0\nprocesses 77\n";
        assert_eq!(cpu_counters(stat), Some([10, 1, 5, 800, 20, 2, 3, 4]));
        assert_eq!(cores(stat), 2);
        let disks = b"   8       0 sda 100 2 300 40 500 6 700 80 0 90 1000\n   8       1 sda1 1 0 8 0 0 0 0 0 0 0 0\n 259 0 nvme0n1 1 0 9 0 2 0 10 0 0 3 0\n 259 1 nvme0n1p1 1 0 9 0 2 0 10 0 0 3 0\n 7 0 loop0 1 0 9 0 2 0 10 0 0 3 0\n";
        let found = disk_counters(disks);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found["sda"], [300, 700, 90]);
        let dev = b"Inter-|   Receive |  Transmit\n face |bytes packets\n    lo:  50 5 0 0 0 0 0 0  60 6 0 0 0 0 0 0\n  eth0:1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0\n";
        let found = network_counters(dev);
        assert_eq!(found["eth0"], [1000, 2000, 30, 10]);
        assert_eq!(found.len(), 2);
        let snmp = b"Tcp: RtoAlgorithm RetransSegs\nTcp: 1 42\nUdp: X\nUdp: 1\n";
        assert_eq!(headed(snmp, "Tcp:", "RetransSegs"), Some(42));
        assert_eq!(headed(snmp, "Udp:", "RetransSegs"), None);
        let sockstat =
            b"sockets: used 9\nTCP: inuse 5 orphan 0 tw 3 alloc 6 mem 1\nUDP: inuse 1 mem 0\n";
        assert_eq!(sockets_of(sockstat).unwrap().time_wait, 3);
        let some = b"some avg10=0.00 avg60=0.00 avg300=0.00 total=1234\nfull avg10=0.00 total=9\n";
        assert_eq!(pressure_total(some), Some(1234));
        let line = b"   0: 0100007F:2454 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0";
        let found = connection(line).unwrap();
        assert_eq!(
            (found.port, found.listens, found.waiting),
            (0x2454, true, 3)
        );
    }

    #[test]
    fn partitions_are_told_from_disks() {
        let check = |name, disk, expected| assert_eq!(is_partition(name, disk), expected, "{name}");
        check("sda1", "sda", true);
        check("sda", "sda", false);
        check("sdab", "sda", false);
        check("nvme0n1p2", "nvme0n1", true);
        check("nvme0n10", "nvme0n1", false);
        check("dm-1", "dm-1", false);
        check("dm-11", "dm-1", false);
    }
}
