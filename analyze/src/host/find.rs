//! Which services are on a host: as they are named, or found among its processes.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use thiserror::Error;

use super::cgroup::{Cgroup, Trees};
use super::limits::{FOUND_SERVICES, NAME_BYTES, PROCESSES, SERVICES};
use super::line::{Attribution, Watched};
use super::process::{Stat, read_stat};
use super::read::{Root, words};

/// A service as a person names it: `NAME=unit:nginx.service`, `cgroup:PATH`, `name:mysqld`, `pid:N`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSpec {
    /// The name in reports.
    pub name: String,
    /// Where it is.
    pub of: Place,
}

/// Where a service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A unit of systemd.
    Unit(String),
    /// A cgroup, from the root of the tree on.
    Cgroup(String),
    /// Processes by the name of their command, as `/proc/PID/comm` has it, and their children.
    Name(String),
    /// A process and its children.
    Pid(u32),
}

/// A service is named in a way that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "'{given}' names no service: {why}; write NAME=unit:nginx.service, NAME=cgroup:/PATH, \
     NAME=name:mysqld or NAME=pid:42 (NAME= may be left out)"
)]
pub struct SpecError {
    given: String,
    why: String,
}

impl FromStr for ServiceSpec {
    type Err = SpecError;

    fn from_str(given: &str) -> Result<Self, SpecError> {
        let wrong = |why: &str| SpecError {
            given: given.chars().take(NAME_BYTES).collect(),
            why: why.to_owned(),
        };
        // A path may have an equals sign in it, so that of the name must come before the colon.
        let colon = given.find(':').ok_or_else(|| wrong("it has no ':'"))?;
        let (name, rest) = match given[..colon].split_once('=') {
            Some((name, _)) => (Some(name), &given[name.len() + 1..]),
            None => (None, given),
        };
        let (kind, of) = rest.split_once(':').ok_or_else(|| wrong("it has no ':'"))?;
        if of.is_empty() || name == Some("") {
            return Err(wrong("a part of it is empty"));
        }
        if of.len() > 4096 || of.contains('\0') {
            return Err(wrong("it is too long"));
        }
        let place = match kind {
            "unit" if of.contains('/') => return Err(wrong("a unit has no '/' in its name")),
            "unit" if is_whole(of) => Place::Unit(of.to_owned()),
            "unit" => Place::Unit(format!("{of}.service")),
            "cgroup" => Place::Cgroup(format!("/{}", of.trim_matches('/'))),
            "name" => Place::Name(of.to_owned()),
            "pid" => Place::Pid(of.parse().map_err(|_| wrong("a pid is a number"))?),
            _ => return Err(wrong("it has none of unit:, cgroup:, name: and pid:")),
        };
        let own = match &place {
            Place::Unit(unit) => unit.strip_suffix(".service").unwrap_or(unit),
            Place::Cgroup(path) => path.rsplit('/').next().unwrap_or(path),
            Place::Name(name) => name,
            Place::Pid(_) => of,
        };
        let name = name.unwrap_or(own);
        if name.len() > NAME_BYTES || name.chars().any(char::is_control) {
            return Err(wrong("its name is too long, or not printable"));
        }
        Ok(Self {
            name: name.to_owned(),
            of: place,
        })
    }
}

impl Place {
    /// How it is shown, and given: `unit:nginx.service`.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Unit(unit) => format!("unit:{unit}"),
            Self::Cgroup(path) => format!("cgroup:{path}"),
            Self::Name(name) => format!("name:{name}"),
            Self::Pid(pid) => format!("pid:{pid}"),
        }
    }
}

impl std::fmt::Display for ServiceSpec {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}={}", self.name, self.of.shown())
    }
}

/// Commands of services that contests and shops run, as `/proc/PID/comm` has them (cut at 15 bytes).
const KNOWN: &[&str] = &[
    "apache2",
    "beam.smp",
    "bun",
    "caddy",
    "clickhouse-serv",
    "deno",
    "dotnet",
    "envoy",
    "gunicorn",
    "h2o",
    "haproxy",
    "httpd",
    "java",
    "mariadbd",
    "memcached",
    "mongod",
    "mysqld",
    "nats-server",
    "nginx",
    "node",
    "php-fpm",
    "postgres",
    "puma",
    "rabbitmq-server",
    "redis-server",
    "ruby",
    "traefik",
    "uwsgi",
    "valkey-server",
    "varnishd",
    "unicorn",
];

/// Units that every host has, and nobody tunes.
const EVERYWHERE: &[&str] = &[
    "accounts-daemon",
    "apparmor",
    "avahi-daemon",
    "chrony",
    "chronyd",
    "console-",
    "cron",
    "crond",
    "dbus",
    "getty",
    "init.scope",
    "irqbalance",
    "lvm2",
    "modemmanager",
    "multipathd",
    "networkd",
    "networkmanager",
    "ntp",
    "packagekit",
    "polkit",
    "rsyslog",
    "serial-getty",
    "snapd",
    "ssh",
    "sshd",
    "systemd-",
    "udisks2",
    "unattended-upgrades",
    "user@",
    "wpa_supplicant",
];

/// Finds the services of a host: units of systemd and containers, then well-known commands.
pub(super) fn discover(root: &Root, trees: &Trees) -> Result<Vec<ServiceSpec>, String> {
    let mut grouped: BTreeMap<String, (ServiceSpec, u64)> = BTreeMap::new();
    for pid in root.pids(PROCESSES)? {
        let Some(stat) = read_stat(root, pid) else {
            continue;
        };
        let ticks = stat.own.saturating_add(stat.children);
        // The kernel's own threads have no memory.
        if stat.rss_bytes == 0 {
            continue;
        }
        let cgroup = trees.of_process(root, &pid.to_string());
        let service = cgroup.and_then(|path| of_cgroup(&path, &stat));
        let Some(service) = service.or_else(|| of_command(&stat)) else {
            continue;
        };
        let entry = grouped.entry(service.of.shown());
        entry.or_insert_with(|| (service, 0)).1 += ticks;
    }
    let mut found: Vec<(ServiceSpec, u64)> = grouped.into_values().collect();
    // Those that had most of the CPU so far come first, if there are too many.
    found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.name.cmp(&b.0.name)));
    found.truncate(FOUND_SERVICES);
    let mut services: Vec<ServiceSpec> = found.into_iter().map(|(service, _)| service).collect();
    services.sort_by(|a, b| a.name.cmp(&b.name));
    distinct(&mut services);
    Ok(services)
}

/// Whether the name of a unit has its type with it. `php8.2-fpm` has none.
fn is_whole(unit: &str) -> bool {
    // Those that have a cgroup.
    const TYPES: [&str; 6] = ["service", "scope", "slice", "socket", "mount", "swap"];
    unit.rsplit_once('.')
        .is_some_and(|(_, kind)| TYPES.contains(&kind))
}

/// Numbers names that are there twice.
fn distinct(services: &mut [ServiceSpec]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for service in services {
        let count = seen.entry(service.name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            service.name = format!("{}-{count}", service.name);
        }
    }
}

/// The service that a cgroup stands for, when it is a unit or a container.
fn of_cgroup(path: &str, first: &Stat) -> Option<ServiceSpec> {
    let parts: Vec<&str> = path.split('/').collect();
    let command = String::from_utf8_lossy(&first.command).into_owned();
    for (at, part) in parts.iter().enumerate().rev() {
        // From within a container the way to others leads up, and out of what can be seen by its path.
        let until = || match parts.get(1) {
            Some(&"..") => Place::Unit((*part).to_owned()),
            _ => Place::Cgroup(parts[..=at].join("/")),
        };
        // `docker-ID.scope`, `cri-containerd-ID.scope`, `libpod-ID.scope`, and `/docker/ID` of version 1.
        let bare = part.trim_end_matches(".scope");
        let id = bare.rsplit('-').next().unwrap_or(bare);
        if id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Some(ServiceSpec {
                name: format!("{command}-{}", &id[..6]),
                of: until(),
            });
        }
        if let Some(unit) = part.strip_suffix(".service") {
            let lower = unit.to_ascii_lowercase();
            let boring = EVERYWHERE.iter().any(|prefix| lower.starts_with(prefix));
            return (!boring).then(|| ServiceSpec {
                name: unit.to_owned(),
                of: until(),
            });
        }
    }
    None
}

fn of_command(stat: &Stat) -> Option<ServiceSpec> {
    let command = std::str::from_utf8(&stat.command).ok()?;
    // `php-fpm8.2` is `php-fpm`, and `ruby3.1` is `ruby`.
    let plain = command.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    let known = KNOWN.contains(&command) || KNOWN.contains(&plain);
    known.then(|| ServiceSpec {
        name: plain.to_owned(),
        of: Place::Name(command.to_owned()),
    })
}

/// A service that is watched from now on.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) watched: Watched,
    pub(super) place: Place,
    pub(super) cgroup: Option<Cgroup>,
}

/// Finds where the services are that were named, and how their CPU time can be counted. A service
/// that is not there yet is waited for.
pub(super) fn resolve(root: &Root, trees: &Trees, services: &[ServiceSpec]) -> Vec<Found> {
    let resolve = |service: &ServiceSpec| {
        let path = match &service.of {
            Place::Unit(unit) => trees.find_unit(root, unit),
            Place::Cgroup(path) => trees.has(root, path).then(|| path.clone()),
            Place::Name(_) | Place::Pid(_) => None,
        };
        let cgroup = path.as_ref().map(|path| Cgroup::open(trees, root, path));
        let counts = cgroup.as_ref().is_some_and(Cgroup::counts_cpu);
        let watched = Watched {
            name: service.name.clone(),
            by: if counts {
                Attribution::Cgroup
            } else {
                Attribution::Pids
            },
            of: path.map_or_else(|| service.of.shown(), |path| format!("cgroup:{path}")),
            buffer_pool_bytes: None,
            found: false,
        };
        Found {
            watched,
            place: service.of.clone(),
            cgroup,
        }
    };
    services.iter().take(SERVICES).map(resolve).collect()
}

/// The size of InnoDB's buffer pool, from the command line or the configuration of a server;
/// 128 MiB where neither says anything.
pub(super) fn buffer_pool(root: &Root, pid: u32) -> Option<u64> {
    let stat = read_stat(root, pid)?;
    if !matches!(stat.command.as_slice(), b"mysqld" | b"mariadbd") {
        return None;
    }
    let mut size = None;
    let mut folders = vec!["etc/my.cnf".to_owned(), "etc/mysql/my.cnf".to_owned()];
    for folder in [
        "etc/mysql/conf.d",
        "etc/mysql/mariadb.conf.d",
        "etc/mysql/mysql.conf.d",
        "etc/my.cnf.d",
    ] {
        let names = root.names(folder, 256).unwrap_or_default();
        let names = names.iter().filter(|name| name.ends_with(".cnf"));
        folders.extend(names.map(|name| format!("{folder}/{name}")));
    }
    for file in folders {
        let text = root.read(&file).unwrap_or_default();
        size = super::read::lines(&text)
            .filter_map(pool_setting)
            .last()
            .or(size);
    }
    let command = root
        .read(&format!("proc/{pid}/cmdline"))
        .unwrap_or_default();
    let arguments = command.split(|byte| *byte == 0);
    let arguments = arguments.filter_map(|word| word.strip_prefix(b"--"));
    size = arguments.filter_map(pool_setting).next_back().or(size);
    Some(size.unwrap_or(128 << 20))
}

/// `innodb_buffer_pool_size = 2G`, with `-` for `_` and without spaces on a command line.
fn pool_setting(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(line).ok()?;
    let (key, value) = line.split_once('=')?;
    if key.trim().replace('-', "_") != "innodb_buffer_pool_size" {
        return None;
    }
    let value = words(value.as_bytes()).next()?;
    let digits = value
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let number = super::read::number(&value[..digits])?;
    let shift = match value[digits..].first().map(u8::to_ascii_uppercase) {
        Some(b'K') => 10,
        Some(b'M') => 20,
        Some(b'G') => 30,
        Some(b'T') => 40,
        _ => 0,
    };
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_named_in_four_ways() {
        let check = |given: &str, name: &str, of: Place| {
            let service: ServiceSpec = given.parse().unwrap();
            assert_eq!((service.name.as_str(), &service.of), (name, &of), "{given}");
            assert_eq!(service.to_string().parse(), Ok(service), "{given}");
        };
        let text = str::to_owned;
        check(
            "proxy=unit:nginx.service",
            "proxy",
            Place::Unit(text("nginx.service")),
        );
        check("unit:nginx", "nginx", Place::Unit(text("nginx.service")));
        check(
            "unit:php8.2-fpm",
            "php8.2-fpm",
            Place::Unit(text("php8.2-fpm.service")),
        );
        check(
            "unit:user.slice",
            "user.slice",
            Place::Unit(text("user.slice")),
        );
        check("web=cgroup:a/b=c", "web", Place::Cgroup(text("/a/b=c")));
        check(
            "cgroup:/lab/s1/web",
            "web",
            Place::Cgroup(text("/lab/s1/web")),
        );
        check("db=name:mysqld", "db", Place::Name(text("mysqld")));
        check("pid:42", "42", Place::Pid(42));
        for (given, why) in [
            ("nginx", "no ':'"),
            ("web=", "no ':'"),
            ("x=pid:-1", "number"),
            ("x=pid:", "empty"),
            ("=pid:1", "empty"),
            ("x=port:80", "none of"),
            ("unit:a/b", "no '/'"),
            ("a\u{1b}b=pid:1", "printable"),
        ] {
            let error = given.parse::<ServiceSpec>().unwrap_err().to_string();
            assert!(error.contains(why), "{given}: {error}");
        }
    }

    fn command(name: &str) -> Stat {
        let line = format!("1 ({name}) S 1 1 1 0 -1 0 0 0 0 0 1 1 1 1 20 0 1 0 1 0 1 0");
        super::super::process::stat(line.as_bytes()).unwrap()
    }

    #[test]
    fn units_and_containers_are_told_from_what_every_host_has() {
        let id = "0123456789abcdef".repeat(4);
        let check = |path: &str, expected: Option<(&str, &str)>| {
            let found = of_cgroup(path, &command("ruby"));
            let found = found.map(|service| (service.name, service.of.shown()));
            let expected = expected.map(|(name, of)| (name.to_owned(), format!("cgroup:{of}")));
            assert_eq!(found, expected, "{path}");
        };
        check(
            "/system.slice/isu.service",
            Some(("isu", "/system.slice/isu.service")),
        );
        check(
            "/system.slice/isu.service/worker",
            Some(("isu", "/system.slice/isu.service")),
        );
        check("/system.slice/cron.service", None);
        check("/system.slice/systemd-journald.service", None);
        check("/user.slice/user-1000.slice/session-1.scope", None);
        let docker = format!("/system.slice/docker-{id}.scope");
        check(&docker, Some(("ruby-012345", &docker)));
        let version_1 = format!("/docker/{id}");
        check(&version_1, Some(("ruby-012345", &version_1)));
        assert_eq!(of_command(&command("php-fpm8.2")).unwrap().name, "php-fpm");
        assert_eq!(of_command(&command("bash")), None);
    }

    #[test]
    fn the_buffer_pool_is_read_as_mysql_writes_it() {
        let check =
            |line: &str, expected| assert_eq!(pool_setting(line.as_bytes()), expected, "{line}");
        check("innodb_buffer_pool_size = 2G", Some(2 << 30));
        check("innodb-buffer-pool-size=96M", Some(96 << 20));
        check("innodb_buffer_pool_size=134217728", Some(128 << 20));
        check("#innodb_buffer_pool_size=1G", None);
        check("innodb_buffer_pool_size=", None);
        check("innodb_buffer_pool_size=x", None);
        check("innodb_buffer_pool_size=99999999999999T", None);
    }
}
