use super::super::line::{
    Clock, Cpu, Disk, Limits, Lost, Memory, Network, Pressure, Sockets, Usage, Watched,
};
use super::*;

const GIB: u64 = 1 << 30;

fn host() -> Host {
    Host {
        node: "s1".to_owned(),
        cores: 2,
        memory_bytes: 2 * GIB,
        limits: Limits {
            files_max: Some(100_000),
            local_ports: Some((32_768, 60_999)),
            conntrack_max: Some(65_536),
            ..Limits::default()
        },
        services: vec![Watched {
            name: "db".to_owned(),
            buffer_pool_bytes: Some(GIB / 8),
            ..Watched::default()
        }],
        clock: Some(Clock {
            offset_ms: 3.0,
            uncertainty_ms: 0.5,
        }),
        ..Host::default()
    }
}

/// A host that works hard and has nothing wrong with it.
fn healthy() -> Sample {
    Sample {
        node: "s1".to_owned(),
        seconds: 1.0,
        cpu: Some(Cpu {
            busy: 1.8,
            user: 1.3,
            system: 0.4,
            irq: 0.1,
            steal: 0.02,
            ..Cpu::default()
        }),
        run_queue: Some(3),
        memory: Some(Memory {
            total_bytes: 2 * GIB,
            available_bytes: GIB / 5,
            ..Memory::default()
        }),
        pressure: Some(Pressure {
            cpu: Some(0.6),
            io: Some(0.02),
            memory: Some(0.0),
        }),
        disks: vec![Disk {
            name: "sda".to_owned(),
            written: 5e6,
            busy: 0.5,
            ..Disk::default()
        }],
        network: vec![Network {
            name: "eth0".to_owned(),
            packets: 20_000.0,
            ..Network::default()
        }],
        sockets: Some(Sockets {
            tcp: 900,
            local_ports: 4000,
            listen_overflows: Some(0),
            ..Sockets::default()
        }),
        conntrack: Some(2000),
        open_files: Some(5000),
        oom_kills: Some(0),
        services: vec![Service {
            name: "web".to_owned(),
            cpu_cores: Some(0.9),
            busiest_thread_cores: Some(0.5),
            open_files: Some(OpenFiles {
                pid: 7,
                used: 700,
                limit: 1024,
            }),
            limited: Some(Usage {
                memory_bytes: Some(GIB / 2),
                memory_limit_bytes: Some(GIB),
                throttled: Some(0.1),
                quota_cores: Some(1.5),
                ..Usage::default()
            }),
            ..Service::default()
        }],
        ..Sample::default()
    }
}

/// The rules that speak when a sample is seen as often as given.
fn rules(host: Host, sample: Sample, times: usize) -> Vec<String> {
    let mut check = Check::default();
    let mut findings = check.line(&Line::Host(host));
    for _ in 0..times {
        findings.extend(check.line(&Line::Sample(sample.clone())));
    }
    findings.into_iter().map(|finding| finding.rule).collect()
}

#[test]
fn a_healthy_host_that_works_hard_raises_no_alarm() {
    assert_eq!(rules(host(), healthy(), 100), [""; 0]);
}

#[test]
fn each_trouble_is_found_and_told_once() {
    let check = |rule: &str, change: fn(&mut Host, &mut Sample)| {
        let (mut host, mut sample) = (host(), healthy());
        change(&mut host, &mut sample);
        assert_eq!(rules(host, sample, 5), [rule]);
    };
    check("open-files", |_, sample| {
        sample.services[0].open_files = Some(OpenFiles {
            pid: 7,
            used: 820,
            limit: 1024,
        });
    });
    check("listen-overflow", |_, sample| {
        let sockets = sample.sockets.as_mut().unwrap();
        sockets.listen_overflows = Some(3);
        sockets.waiting.push(Waiting {
            port: 8080,
            connections: 129,
        });
    });
    check("swap", |_, sample| {
        sample.memory.as_mut().unwrap().swap_out = 1e6
    });
    check("steal", |_, sample| {
        sample.cpu.as_mut().unwrap().steal = 0.11
    });
    check("cpu", |_, sample| sample.cpu.as_mut().unwrap().busy = 1.96);
    check("one-thread", |_, sample| {
        sample.services[0].cpu_cores = Some(1.0);
        sample.services[0].busiest_thread_cores = Some(0.96);
    });
    check("cpu-quota", |_, sample| {
        sample.services[0].limited.as_mut().unwrap().throttled = Some(0.9);
    });
    check("memory-limit", |_, sample| {
        sample.services[0].limited.as_mut().unwrap().memory_bytes = Some(GIB - 1);
    });
    check("oom-kill", |_, sample| sample.oom_kills = Some(1));
    check("conntrack", |_, sample| sample.conntrack = Some(60_000));
    check("files-max", |_, sample| sample.open_files = Some(90_000));
    check("local-ports", |_, sample| {
        sample.sockets.as_mut().unwrap().local_ports = 25_000
    });
    check("packet-loss", |_, sample| sample.network[0].lost = 100.0);
    check("disk", |_, sample| {
        sample.disks[0].busy = 0.99;
        sample.pressure.as_mut().unwrap().io = Some(0.5);
    });
    check("buffer-pool", |_, sample| {
        sample.disks[0].read = 2e7;
        sample.memory.as_mut().unwrap().available_bytes = GIB;
    });
    check("buffer-pool", |host, _| {
        host.services[0].buffer_pool_bytes = Some(2 * GIB)
    });
    check("clock", |host, _| {
        host.clock.as_mut().unwrap().offset_ms = -80.0
    });
}

#[test]
fn what_comes_and_goes_has_to_last() {
    let mut stolen = healthy();
    stolen.cpu = Some(Cpu {
        busy: 1.0,
        steal: 0.5,
        ..Cpu::default()
    });
    assert_eq!(rules(host(), stolen.clone(), 1), [""; 0]);
    assert_eq!(rules(host(), stolen.clone(), 2), ["steal"]);
    let mut check = Check::default();
    check.line(&Line::Host(host()));
    for _ in 0..10 {
        assert_eq!(check.line(&Line::Sample(stolen.clone())), []);
        assert_eq!(check.line(&Line::Sample(healthy())), []);
    }
}

#[test]
fn two_devices_at_once_last_no_longer_than_one() {
    let mut sample = healthy();
    let lossy = |name: &str, lost: f64| Network {
        name: name.to_owned(),
        packets: 100.0,
        lost,
        ..Network::default()
    };
    sample.network = vec![lossy("eth0", 50.0), lossy("bond0", 50.0)];
    assert_eq!(rules(host(), sample.clone(), 1), Vec::<String>::new());
    assert_eq!(rules(host(), sample.clone(), 2).len(), 2);
    // A frame now and then that nobody here understands.
    sample.network = vec![lossy("eth0", 4.0)];
    assert_eq!(rules(host(), sample, 3), Vec::<String>::new());
}

#[test]
fn a_job_that_was_found_may_be_done() {
    let mut sample = healthy();
    sample.services[0].processes = 0;
    sample.services[0].cpu_cores = None;
    let mut host = host();
    host.services[0].name = "web".to_owned();
    assert_eq!(rules(host.clone(), sample.clone(), 2), ["absent"]);
    host.services[0].found = true;
    assert_eq!(rules(host, sample, 2), Vec::<String>::new());
}

#[test]
fn each_peer_is_told_of_and_a_good_path_disturbs_nothing() {
    let mut check = Check::default();
    check.line(&Line::Host(host()));
    let path = |peer: &str, passed: u32| Path {
        node: "s1".to_owned(),
        peer: peer.to_owned(),
        mtu: 9000,
        passed: Some(passed),
        ..Path::default()
    };
    let mut sample = healthy();
    sample.cpu.as_mut().unwrap().steal = 0.5;
    let sample = Line::Sample(sample);
    assert_eq!(check.line(&sample), []);
    assert_eq!(check.path(&path("s2", 9000)), []);
    assert_eq!(check.line(&sample)[0].rule, "steal");
    for peer in ["s3", "s4"] {
        assert_eq!(check.path(&path(peer, 1472)).len(), 1, "{peer}");
        assert_eq!(check.path(&path(peer, 1472)).len(), 0, "{peer}");
    }
}

#[test]
fn a_clock_that_may_be_right_is_no_alarm() {
    let mut host = host();
    host.clock = Some(Clock {
        offset_ms: 120.0,
        uncertainty_ms: 90.0,
    });
    assert_eq!(rules(host, healthy(), 3), [""; 0]);
}

#[test]
fn paths_that_swallow_packets_are_told_from_those_that_say_so() {
    let check = |passed, told, expected: &[&str]| {
        let path = Path {
            node: "s1".to_owned(),
            peer: "10.0.0.2".to_owned(),
            mtu: 9000,
            peer_mtu: Some(1500),
            passed,
            told,
        };
        let found = Check::default().path(&path);
        let rules: Vec<&str> = found.iter().map(|finding| finding.rule.as_str()).collect();
        assert_eq!(rules, expected, "{path:?}");
    };
    check(Some(9000), false, &[]);
    check(Some(1500), false, &["mtu"]);
    check(Some(1500), true, &["mtu-path"]);
    check(None, false, &["unreachable"]);
}

#[test]
fn a_lost_node_is_a_finding() {
    let lost = Lost {
        node: "s3".to_owned(),
        why: "no route to host".to_owned(),
    };
    let found = Check::default().line(&Line::Lost(lost));
    assert_eq!(found[0].rule, "lost");
    assert_eq!(found[0].node, "s3");
}
