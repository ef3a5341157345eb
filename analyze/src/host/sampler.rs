//! The sampler: looks at a host again and again, and says what it did in between.

use std::collections::HashSet;
use std::path::Path;

use thiserror::Error;

use super::cgroup::{Cgroup, Trees};
use super::find::{self, Found, Place, ServiceSpec};
use super::inventory::inventory;
use super::limits::PROCESSES;
use super::line::{Attribution, Host, Sample, Service, Unread, tidy};
use super::process::{Closer, Ended, Group, read_stat};
use super::read::{Root, words};
use super::system::{System, TICKS};

/// How many samples go by before cgroups below that of a service are searched for processes again.
const DEEP_EVERY: u32 = 10;

/// How many samples go by before services that were not there are looked for again.
const RESOLVE_EVERY: u32 = 5;

/// For services between these numbers of cores it is worth knowing whether one thread does it all.
const ABOUT_ONE_CORE: std::ops::Range<f64> = 0.7..1.3;

/// There is no host to look at.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoHost {
    /// `/proc/stat` cannot be read.
    #[error("{0}; --root must be the root of a Linux host with its /proc")]
    NoProc(String),
}

/// Looks at a host below a root.
#[derive(Debug)]
pub struct Sampler {
    root: Root,
    trees: Trees,
    system: System,
    quota: Option<Cgroup>,
    memory_limit: Option<Cgroup>,
    watches: Vec<Watch>,
    named: Vec<ServiceSpec>,
    /// Whether those were found, not named.
    is_found: bool,
    /// The processes that were there at the last look, where processes have to be watched.
    seen: HashSet<u32>,
    /// The time since the host's start at the last look, in ticks.
    looked: u64,
    samples: u32,
    text: Vec<u8>,
}

#[derive(Debug)]
struct Watch {
    found: Found,
    group: Group,
    closer: Closer,
    below: Vec<u32>,
    looked_below: u32,
}

impl Sampler {
    /// Looks at a host for the first time. With no services named it finds them itself.
    ///
    /// # Errors
    ///
    /// [`NoHost`] when there is no `/proc` below the root. Everything else that cannot be read is
    /// said in the [`Host`].
    pub fn new(root: &Path, services: &[ServiceSpec]) -> Result<(Self, Host), NoHost> {
        let root = Root::new(root);
        root.read("proc/stat").map_err(NoHost::NoProc)?;
        let trees = Trees::find(&root);
        let limiting = trees.tightest(&root, "self");
        let mut host = inventory(&root, &limiting);
        let (system, unread) = System::new(&root, host.limits.local_ports);
        host.unread.extend(unread);
        let is_found = services.is_empty();
        let named = if is_found {
            find::discover(&root, &trees).unwrap_or_else(|why| {
                let field = "services".to_owned();
                host.unread.push(Unread { field, why });
                Vec::new()
            })
        } else {
            services.to_vec()
        };
        let open = |path: Option<String>| path.map(|path| Cgroup::open(&trees, &root, &path));
        let mut sampler = Self {
            system,
            quota: open(limiting.quota_of),
            memory_limit: open(limiting.memory_of),
            watches: Vec::new(),
            named,
            is_found,
            seen: HashSet::new(),
            looked: 0,
            samples: 0,
            text: Vec::new(),
            root,
            trees,
        };
        sampler.resolve();
        let mut first = Sample::default();
        sampler.services(None, &mut first);
        sampler.limited(1.0, &mut first);
        sampler.describe(&mut host);
        Ok((sampler, host))
    }

    /// What is watched, and what that misses.
    fn describe(&mut self, host: &mut Host) {
        for watch in &mut self.watches {
            let mut watched = watch.found.watched.clone();
            watched.found = self.is_found;
            let pids = watch.pids(&self.root, &mut self.text);
            watched.buffer_pool_bytes = pids
                .iter()
                .find_map(|pid| find::buffer_pool(&self.root, *pid));
            if pids.is_empty() {
                host.unread.push(Unread {
                    field: format!("services.{}", watched.name),
                    why: format!("{}: there is no such process or cgroup now", watched.of),
                });
            } else if watched.by == Attribution::Pids {
                host.unread.push(Unread {
                    field: format!("services.{}.cpu_cores", watched.name),
                    why: format!(
                        "{} is counted by its processes, as it has no cgroup of its own: children that \
                         end early and are not waited for are missing (they are within \
                         unattributed_cores)",
                        watched.of
                    ),
                });
            }
            host.services.push(watched);
        }
    }

    /// What the host did since the last call, which was `seconds` ago. The node and the time are
    /// left to the caller, who has the clock.
    pub fn sample(&mut self, seconds: f64) -> Sample {
        let seconds = seconds.max(1e-3);
        let mut sample = Sample {
            seconds,
            ..Sample::default()
        };
        self.samples = self.samples.wrapping_add(1);
        if self.samples.is_multiple_of(RESOLVE_EVERY) {
            self.resolve();
        }
        self.system.sample(seconds, &mut sample);
        self.limited(seconds, &mut sample);
        self.services(Some(seconds), &mut sample);
        let used = sample
            .services
            .iter()
            .filter_map(|service| service.cpu_cores);
        let used: f64 = used.sum();
        sample.unattributed_cores = sample.cpu.map(|cpu| tidy((cpu.busy - used).max(0.0)));
        sample
    }

    /// Looks for services that are not there yet, or not any more.
    fn resolve(&mut self) {
        if self.watches.is_empty() {
            let found = find::resolve(&self.root, &self.trees, &self.named);
            self.watches = found.into_iter().map(Watch::new).collect();
            return;
        }
        for (watch, named) in self.watches.iter_mut().zip(&self.named) {
            let by_name = matches!(watch.found.place, Place::Name(_) | Place::Pid(_));
            if by_name
                || watch
                    .found
                    .cgroup
                    .as_ref()
                    .is_some_and(|group| group.is_there(&self.root))
            {
                continue;
            }
            let found = find::resolve(&self.root, &self.trees, std::slice::from_ref(named));
            if let Some(found) = found
                .into_iter()
                .next()
                .filter(|found| found.cgroup.is_some())
            {
                *watch = Watch::new(found);
            }
        }
    }

    fn limited(&mut self, seconds: f64, sample: &mut Sample) {
        let text = &mut self.text;
        let mut use_of = |group: &mut Option<Cgroup>| {
            let used = group.as_mut()?.sample(&self.root, seconds, text);
            Some(used.usage)
        };
        let (cpu, memory) = (use_of(&mut self.quota), use_of(&mut self.memory_limit));
        if cpu.is_none() && memory.is_none() {
            return;
        }
        let mut limited = cpu.unwrap_or_default();
        if let Some(memory) = memory {
            limited.memory_bytes = memory.memory_bytes;
            limited.memory_limit_bytes = memory.memory_limit_bytes;
        }
        sample.limited = Some(limited);
    }

    /// Reads the services; `seconds` is `None` for the first look.
    fn services(&mut self, seconds: Option<f64>, sample: &mut Sample) {
        self.find_processes(seconds.is_some());
        let mut ended = Ended::new();
        for watch in &mut self.watches {
            watch.group.look(&mut self.text, &mut ended);
        }
        for watch in &mut self.watches {
            let mut at = Looking {
                root: &self.root,
                seconds,
                text: &mut self.text,
                unread: &mut sample.unread,
            };
            let service = watch.sample(&mut at, &ended);
            sample.services.push(service);
        }
    }

    /// Adds processes that began since the last look to the services that have no cgroup.
    fn find_processes(&mut self, looked_before: bool) {
        let by_pid = |watch: &Watch| watch.found.watched.by == Attribution::Pids;
        if !self.watches.iter().any(by_pid) {
            return;
        }
        // Its first number is the time since the start of the host.
        let uptime = self.root.read("proc/uptime").unwrap_or_default();
        let uptime = words(&uptime).next().unwrap_or_default();
        let uptime: f64 =
            std::str::from_utf8(uptime).map_or(0.0, |text| text.parse().unwrap_or(0.0));
        let Ok(mut pids) = self.root.pids(PROCESSES) else {
            return;
        };
        // A parent has mostly the smaller number.
        pids.sort_unstable();
        for &pid in pids.iter().filter(|pid| !self.seen.contains(pid)) {
            let Some(stat) = read_stat(&self.root, pid) else {
                continue;
            };
            let new = looked_before && stat.started > self.looked;
            let is = |watch: &Watch| match &watch.found.place {
                _ if watch.found.watched.by == Attribution::Cgroup => false,
                // The kernel cuts names at 15 bytes.
                Place::Name(name) => {
                    let name = name.as_bytes();
                    stat.command == name[..name.len().min(15)]
                }
                Place::Pid(root) => *root == pid,
                Place::Unit(_) | Place::Cgroup(_) => false,
            };
            // What a cgroup counts must not count again by its name.
            let is_new = |at: &usize| match self.watches[*at].found.place {
                Place::Name(_) => {
                    let counted: Vec<&str> =
                        self.watches.iter().filter_map(Watch::counted).collect();
                    !Trees::is_below(&self.root, pid, &counted)
                }
                _ => true,
            };
            // What a service started belongs to it, unless it is a service itself.
            let at = self.watches.iter().position(is).filter(is_new);
            let at = at.or_else(|| {
                let mut watches = self.watches.iter();
                watches.position(|watch| watch.group.has(stat.parent))
            });
            if let Some(at) = at {
                self.watches[at].group.add(&self.root, pid, &stat, new);
            }
        }
        for watch in self.watches.iter_mut().filter(|watch| by_pid(watch)) {
            let Some(cgroup) = &mut watch.found.cgroup else {
                continue;
            };
            for pid in cgroup.pids(&self.root, &mut self.text, true) {
                if watch.group.has(pid) {
                    continue;
                }
                if let Some(stat) = read_stat(&self.root, pid) {
                    let new = looked_before && stat.started > self.looked;
                    watch.group.add(&self.root, pid, &stat, new);
                }
            }
        }
        self.seen = pids.into_iter().collect();
        self.looked = (uptime * TICKS) as u64;
    }
}

/// What a look at a service needs.
struct Looking<'a> {
    root: &'a Root,
    /// Since the look before; `None` for the first.
    seconds: Option<f64>,
    text: &'a mut Vec<u8>,
    unread: &'a mut Vec<Unread>,
}

impl Watch {
    fn new(found: Found) -> Self {
        Self {
            found,
            group: Group::default(),
            closer: Closer::default(),
            below: Vec::new(),
            looked_below: 0,
        }
    }

    /// The cgroup that counts its CPU.
    fn counted(&self) -> Option<&str> {
        let watched = &self.found.watched;
        let path = watched.of.strip_prefix("cgroup:")?;
        (watched.by == Attribution::Cgroup).then_some(path)
    }

    fn pids(&mut self, root: &Root, text: &mut Vec<u8>) -> Vec<u32> {
        if self.found.watched.by == Attribution::Pids {
            return self.group.pids();
        }
        let Some(cgroup) = &mut self.found.cgroup else {
            return Vec::new();
        };
        if self.looked_below.is_multiple_of(DEEP_EVERY) {
            let here: HashSet<u32> = cgroup.pids(root, text, false).into_iter().collect();
            self.below = cgroup.pids(root, text, true);
            self.below.retain(|pid| !here.contains(pid));
        }
        self.looked_below = self.looked_below.wrapping_add(1);
        let mut pids = cgroup.pids(root, text, false);
        pids.extend_from_slice(&self.below);
        pids
    }

    fn sample(&mut self, at: &mut Looking<'_>, ended: &Ended) -> Service {
        let Looking {
            root,
            seconds,
            ref mut text,
            ref mut unread,
        } = *at;
        let mut service = Service {
            name: self.found.watched.name.clone(),
            ..Service::default()
        };
        if let Some(cgroup) = &mut self.found.cgroup {
            let used = cgroup.sample(root, seconds.unwrap_or(1.0), text);
            service.cpu_cores = used.cpu_cores;
            service.system_cores = used.system_cores;
            service.rss_bytes = used.rss_bytes;
            let known = used.usage.memory_bytes.is_some() || used.usage.cpu_cores.is_some();
            service.limited = known.then_some(used.usage);
        }
        let pids = self.pids(root, text);
        service.processes = pids.len() as u64;
        if self.found.watched.by == Attribution::Pids {
            let used = self.group.used(seconds, ended);
            service.processes = used.processes;
            let ran = used.processes > 0 || used.cpu_cores.is_some_and(|cores| cores > 0.0);
            if ran {
                service.cpu_cores = used.cpu_cores;
                service.system_cores = used.system_cores;
                service.rss_bytes.get_or_insert(used.rss_bytes);
                service.threads = Some(used.threads);
            }
        }
        match self.closer.open_files(root, &pids) {
            Ok(files) => service.open_files = files,
            Err(why) => unread.push(Unread {
                field: format!("services.{}.open_files", service.name),
                why,
            }),
        }
        let Some(seconds) = seconds else {
            return service;
        };
        if service
            .cpu_cores
            .is_some_and(|cores| ABOUT_ONE_CORE.contains(&cores))
        {
            service.busiest_thread_cores = self.closer.busiest_thread(root, &pids, seconds, text);
        } else {
            self.closer.forget_threads();
        }
        service
    }
}

/// The CPU that this process itself took so far, in seconds, and the memory that it has, in bytes.
pub fn own_cost(root: &Path) -> Option<(f64, u64)> {
    let root = Root::new(root);
    let stat = super::process::stat(&root.read("proc/self/stat").ok()?)?;
    let peak = super::read::value(&root.read("proc/self/status").ok()?, "VmHWM")?;
    Some((stat.own as f64 / TICKS, peak.saturating_mul(1024)))
}
