//! Whatever is below the root of a host, looking at it ends, and says nothing impossible.

// Failing here is failing a test; what is skipped or measured is said.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs;
use std::path::Path;

use isukit_analyze::host::{Host, Sample, Sampler, ServiceSpec};
use proptest::collection::vec;
use proptest::prelude::*;

/// The files that are read, with what a real host has in them.
const FILES: &[(&str, &str)] = &[
    (
        "proc/stat",
        "cpu  100 0 50 8000 10 0 1 0 0 0\ncpu0 50 0 25 4000 5 0 1 0 0 0\nprocesses 900\nprocs_running 1\n",
    ),
    ("proc/loadavg", "0.10 0.20 0.30 1/100 900\n"),
    ("proc/uptime", "1000.0 1.0\n"),
    (
        "proc/meminfo",
        "MemTotal: 2000000 kB\nMemAvailable: 1000000 kB\nSwapTotal: 9 kB\nSwapFree: 8 kB\n",
    ),
    ("proc/vmstat", "pswpin 0\npswpout 0\noom_kill 0\n"),
    (
        "proc/pressure/cpu",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234\n",
    ),
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
        "TCP: inuse 50000 orphan 0 tw 3 alloc 6 mem 1\n",
    ),
    (
        "proc/net/tcp",
        "  sl  local_address\n   0: 0100007F:2454 00000000:0000 0A 00000000:00000003 00:00000000 00000000\n",
    ),
    (
        "proc/net/netstat",
        "TcpExt: ListenOverflows TCPTimeouts\nTcpExt: 7 9\n",
    ),
    ("proc/net/snmp", "Tcp: RetransSegs\nTcp: 42\n"),
    ("proc/sys/fs/file-nr", "1000 0 100000\n"),
    ("proc/sys/net/ipv4/ip_local_port_range", "32768 60999\n"),
    ("proc/sys/kernel/hostname", "fake\n"),
    (
        "proc/self/mountinfo",
        "36 25 0:32 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
    ),
    ("proc/self/cgroup", "0::/own\n"),
    (
        "proc/7/stat",
        "7 (mysqld) S 1 7 7 0 -1 0 0 0 0 0 70 30 7 3 20 0 5 0 900 1000000 250 0\n",
    ),
    ("proc/7/cgroup", "0::/system.slice/isu.service\n"),
    (
        "proc/7/limits",
        "Limit Soft Hard\nMax open files            1024   4096   files\n",
    ),
    ("proc/7/fd/0", ""),
    (
        "proc/7/task/7/stat",
        "7 (mysqld) S 1 7 7 0 -1 0 0 0 0 0 70 30 7 3 20 0 5 0 900 1 250 0\n",
    ),
    ("proc/7/cmdline", "mysqld\0--innodb-buffer-pool-size=96M\0"),
    ("sys/fs/cgroup/cgroup.controllers", "cpu memory\n"),
    ("sys/fs/cgroup/own/cpu.max", "150000 100000\n"),
    (
        "sys/fs/cgroup/own/cpu.stat",
        "usage_usec 5\nnr_periods 2\nnr_throttled 1\n",
    ),
    (
        "sys/fs/cgroup/system.slice/isu.service/cpu.stat",
        "usage_usec 1000\nuser_usec 5\nsystem_usec 5\n",
    ),
    (
        "sys/fs/cgroup/system.slice/isu.service/memory.current",
        "1000000\n",
    ),
    ("sys/fs/cgroup/system.slice/isu.service/memory.max", "max\n"),
    (
        "sys/fs/cgroup/system.slice/isu.service/memory.stat",
        "anon 9\nfile_mapped 3\ninactive_file 4\n",
    ),
    ("sys/fs/cgroup/system.slice/isu.service/cgroup.procs", "7\n"),
    ("sys/class/net/eth0/mtu", "1500\n"),
    ("etc/my.cnf", "[mysqld]\ninnodb_buffer_pool_size = 2G\n"),
];

fn write(root: &Path, file: &str, text: &[u8]) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // Some are kept open, and have to be the same file.
    fs::write(path, text).unwrap();
}

fn real(root: &Path) {
    for (file, text) in FILES {
        write(root, file, text.as_bytes());
    }
}

fn is_sound(host: &Host, sample: &Sample) {
    let finite = |figure: f64| figure.is_finite() && figure >= 0.0;
    assert!(finite(host.usable_cores()));
    let cpu = sample.cpu.unwrap_or_default();
    assert!(finite(cpu.busy) && finite(cpu.idle) && finite(cpu.steal));
    for service in &sample.services {
        assert!(service.cpu_cores.is_none_or(finite), "{service:?}");
    }
    assert!(sample.unattributed_cores.is_none_or(finite));
    // What is written can be read again.
    let line = serde_json::to_string(&sample).unwrap();
    assert_eq!(&serde_json::from_str::<Sample>(&line).unwrap(), sample);
}

#[test]
fn a_real_host_is_read_whole() {
    let root = tempfile::tempdir().unwrap();
    real(root.path());
    let (mut sampler, host) = Sampler::new(root.path(), &[]).unwrap();
    assert_eq!(host.quota_cores, Some(1.5));
    assert_eq!(host.usable_cores(), 1.0);
    assert_eq!(host.services.len(), 1);
    assert_eq!(host.services[0].name, "isu");
    assert_eq!(host.services[0].of, "cgroup:/system.slice/isu.service");
    assert_eq!(host.services[0].buffer_pool_bytes, Some(96 << 20));

    let group = "sys/fs/cgroup/system.slice/isu.service/cpu.stat";
    write(
        root.path(),
        group,
        b"usage_usec 501000\nsystem_usec 100005\n",
    );
    write(
        root.path(),
        "sys/fs/cgroup/own/cpu.stat",
        b"usage_usec 750005\nnr_periods 12\nnr_throttled 6\n",
    );
    write(
        root.path(),
        "proc/net/netstat",
        b"TcpExt: ListenOverflows TCPTimeouts\nTcpExt: 9 9\n",
    );
    write(
        root.path(),
        "proc/stat",
        b"cpu  150 0 60 8000 10 0 1 10 0 0\ncpu0 50 0 25 4000 5 0 1 0 0 0\nprocesses 910\nprocs_running 4\n",
    );
    let sample = sampler.sample(1.0);
    is_sound(&host, &sample);
    let service = &sample.services[0];
    assert_eq!(
        (service.cpu_cores, service.system_cores),
        (Some(0.5), Some(0.1))
    );
    assert_eq!(service.rss_bytes, Some(12));
    assert_eq!(service.limited.unwrap().memory_bytes, Some(999_996));
    assert_eq!(service.open_files.unwrap().limit, 1024);
    let cpu = sample.cpu.unwrap();
    assert_eq!((cpu.busy, cpu.user, cpu.steal), (0.6, 0.5, 0.1));
    assert_eq!(sample.unattributed_cores, Some(0.1));
    let limited = sample.limited.unwrap();
    assert_eq!(
        (limited.cpu_cores, limited.throttled),
        (Some(0.75), Some(0.5))
    );
    let sockets = sample.sockets.unwrap();
    assert_eq!(sockets.listen_overflows, Some(2));
    let waiting = sockets.waiting[0];
    assert_eq!((waiting.port, waiting.connections), (0x2454, 3));
    assert_eq!((sample.run_queue, sample.forks), (Some(4), Some(10.0)));
}

#[test]
fn a_service_that_begins_later_is_found() {
    let root = tempfile::tempdir().unwrap();
    real(root.path());
    let services: Vec<ServiceSpec> = vec!["late=unit:late".parse().unwrap()];
    let (mut sampler, host) = Sampler::new(root.path(), &services).unwrap();
    assert!(
        host.unread
            .iter()
            .any(|unread| unread.field == "services.late")
    );
    assert_eq!(sampler.sample(1.0).services[0].cpu_cores, None);
    let group = "sys/fs/cgroup/system.slice/late.service/cpu.stat";
    for usage in 1..20 {
        write(
            root.path(),
            group,
            format!("usage_usec {usage}00000\n").as_bytes(),
        );
        let sample = sampler.sample(1.0);
        if usage > 10 {
            assert_eq!(sample.services[0].cpu_cores, Some(0.1));
        }
    }
}

#[test]
fn ports_are_counted_in_tables_of_any_length() {
    let root = tempfile::tempdir().unwrap();
    real(root.path());
    fs::remove_file(root.path().join("proc/net/tcp")).unwrap();
    let (mut sampler, _) = Sampler::new(root.path(), &[]).unwrap();
    let mut ports = |tables: &[(&str, std::ops::Range<u32>)]| {
        for (file, ports) in tables {
            let line = |port: u32| {
                format!(
                    "   0: 0100007F:{port:04X} 0100007F:0050 01 00000000:00000000 00:00000000 00000000  0 0 0 1 0\n"
                )
            };
            let text: String = ports.clone().map(line).collect();
            write(
                root.path(),
                file,
                format!("  sl  local_address\n{text}").as_bytes(),
            );
        }
        sampler.sample(1.0).sockets.unwrap().local_ports
    };
    // More than a megabyte, and none of IPv6.
    assert_eq!(ports(&[("proc/net/tcp", 33_000..60_000)]), 27_000);
    // Connections to a port of ours use none of these.
    assert_eq!(
        ports(&[("proc/net/tcp", 80..81), ("proc/net/tcp6", 40_000..40_100)]),
        100
    );
}

#[test]
fn what_a_cgroup_counts_is_not_counted_by_its_name_as_well() {
    let root = tempfile::tempdir().unwrap();
    real(root.path());
    write(
        root.path(),
        "proc/8/stat",
        b"8 (mysqld) S 1 8 8 0 -1 0 0 0 0 0 70 30 7 3 20 0 5 0 900 1000000 250 0\n",
    );
    write(
        root.path(),
        "proc/8/cgroup",
        b"0::/user.slice/isu.service.d\n",
    );
    let services: Vec<ServiceSpec> = ["unit:isu", "db=name:mysqld"]
        .map(|text| text.parse().unwrap())
        .into();
    let (mut sampler, _) = Sampler::new(root.path(), &services).unwrap();
    let sample = sampler.sample(1.0);
    let processes: Vec<u64> = sample.services.iter().map(|it| it.processes).collect();
    assert_eq!(processes, [1, 1]);
}

#[test]
fn from_within_a_container_the_host_is_seen() {
    let root = tempfile::tempdir().unwrap();
    real(root.path());
    // Our own network and our own view of cgroups, and those of the host.
    write(
        root.path(),
        "proc/1/net/sockstat",
        b"TCP: inuse 7 orphan 0 tw 3 alloc 6 mem 1\n",
    );
    write(
        root.path(),
        "proc/7/cgroup",
        b"0::/../system.slice/isu.service\n",
    );
    let (mut sampler, host) = Sampler::new(root.path(), &[]).unwrap();
    assert_eq!(host.services[0].of, "cgroup:/system.slice/isu.service");
    let sample = sampler.sample(1.0);
    assert_eq!(sample.sockets.unwrap().tcp, 7);
    assert_eq!(sample.services[0].processes, 1);
}

#[test]
fn without_a_proc_there_is_no_host() {
    let root = tempfile::tempdir().unwrap();
    let error = Sampler::new(root.path(), &[]).unwrap_err().to_string();
    assert!(
        error.contains("proc/stat") && error.contains("--root"),
        "{error}"
    );
}

/// Bytes that may be in a file: any, or a mutation of what is there.
fn content(file: usize) -> impl Strategy<Value = Vec<u8>> {
    let real = FILES[file].1.as_bytes().to_vec();
    let cut = (0..=real.len()).prop_map({
        let real = real.clone();
        move |length| real[..length].to_vec()
    });
    let changed = (vec((0..real.len().max(1), any::<u8>()), 1..6)).prop_map({
        let real = real.clone();
        move |changes| {
            let mut text = real.clone();
            for (at, byte) in changes {
                if let Some(place) = text.get_mut(at) {
                    *place = byte;
                }
            }
            text
        }
    });
    let large = any::<u64>().prop_map(move |number| {
        let text = String::from_utf8_lossy(&real).into_owned();
        let digits = text.find(|letter: char| letter.is_ascii_digit());
        match digits {
            Some(at) => format!("{}{number}{}", &text[..at], &text[at + 1..]).into_bytes(),
            None => number.to_string().into_bytes(),
        }
    });
    prop_oneof![vec(any::<u8>(), 0..200), cut, changed, large]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_root_is_survived(
        changes in vec((0..FILES.len()).prop_flat_map(|file| (Just(file), content(file), content(file))), 1..8),
        named in any::<bool>(),
    ) {
        let root = tempfile::tempdir().unwrap();
        real(root.path());
        for (file, first, _) in &changes {
            write(root.path(), FILES[*file].0, first);
        }
        let services: Vec<ServiceSpec> = match named {
            true => vec!["db=name:mysqld".parse().unwrap(), "u=unit:isu".parse().unwrap(), "p=pid:7".parse().unwrap()],
            false => Vec::new(),
        };
        let (mut sampler, host) = Sampler::new(root.path(), &services).unwrap();
        is_sound(&host, &sampler.sample(0.5));
        for (file, _, second) in &changes {
            write(root.path(), FILES[*file].0, second);
        }
        is_sound(&host, &sampler.sample(0.5));
    }
}
