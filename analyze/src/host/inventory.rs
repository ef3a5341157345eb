//! What a host is: its processors, memory, kernel, interfaces and limits.

use super::cgroup::Limiting;
use super::limits::DEVICES;
use super::line::{Host, Interface, Limits, SCHEMA, Unread};
use super::read::{Root, first_number, lines, name, number, value, words};
use super::system::cores;

/// Reads it all once. What is not there is said in `unread`, and zero or empty.
pub(super) fn inventory(root: &Root, limiting: &Limiting) -> Host {
    let mut unread = Vec::new();
    let mut missing = |field: &str, why: String| {
        unread.push(Unread {
            field: field.to_owned(),
            why,
        });
    };
    let line = |path: &str| {
        let text = root.read(path)?;
        Ok(name(text.trim_ascii()))
    };
    let mut text_of = |field: &str, path: &str| {
        line(path).unwrap_or_else(|why: String| {
            missing(field, why);
            String::new()
        })
    };
    let hostname = text_of("hostname", "proc/sys/kernel/hostname");
    let kernel = text_of("kernel", "proc/sys/kernel/osrelease");
    let memory = root.read("proc/meminfo").unwrap_or_default();
    let bytes = |key| value(&memory, key).map_or(0, |kib| kib.saturating_mul(1024));
    let interfaces = interfaces(root).unwrap_or_else(|why| {
        missing("interfaces", why);
        Vec::new()
    });
    Host {
        schema: SCHEMA.to_owned(),
        hostname,
        os: os(root),
        kernel,
        architecture: std::env::consts::ARCH.to_owned(),
        cores: cores(&root.read("proc/stat").unwrap_or_default()),
        quota_cores: limiting.quota_cores,
        memory_bytes: bytes("MemTotal"),
        memory_limit_bytes: limiting.memory_limit,
        swap_bytes: bytes("SwapTotal"),
        interfaces,
        limits: limits(root),
        unread,
        ..Host::default()
    }
}

/// `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"` of `os-release(5)`.
fn os(root: &Root) -> String {
    let text = root.read("etc/os-release").unwrap_or_default();
    let pretty = lines(&text).find_map(|line| line.strip_prefix(b"PRETTY_NAME="));
    pretty.map_or_else(
        || "Linux".to_owned(),
        |pretty| name(pretty).replace('"', ""),
    )
}

fn interfaces(root: &Root) -> Result<Vec<Interface>, String> {
    let names = root.names("sys/class/net", DEVICES)?;
    let one = |device: String| {
        let of = |what: &str| root.read(&format!("sys/class/net/{device}/{what}")).ok();
        let mtu = first_number(&of("mtu")?)?;
        // An interface that is down says -1, or lets nobody read it.
        let speed = of("speed").and_then(|speed| first_number(&speed));
        Some(Interface {
            mtu: u32::try_from(mtu).ok()?,
            speed_mbit_s: speed.filter(|speed| *speed > 0),
            name: device,
            addresses: Vec::new(),
        })
    };
    Ok(names.into_iter().filter_map(one).collect())
}

fn limits(root: &Root) -> Limits {
    let one = |path: &str| first_number(&root.read(path).ok()?);
    let ports = root.read("proc/sys/net/ipv4/ip_local_port_range").ok();
    Limits {
        files_max: one("proc/sys/fs/file-max"),
        somaxconn: one("proc/sys/net/core/somaxconn"),
        local_ports: ports.and_then(|text| {
            let mut ports = words(&text).map(|word| u32::try_from(number(word)?).ok());
            let range = (ports.next()??, ports.next()??);
            (range.0 <= range.1).then_some(range)
        }),
        conntrack_max: one("proc/sys/net/netfilter/nf_conntrack_max"),
        pid_max: one("proc/sys/kernel/pid_max"),
    }
}
