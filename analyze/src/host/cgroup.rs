//! Control groups, version 1, version 2 and both at once.
//!
//! The files are those of the kernel's `Documentation/admin-guide/cgroup-v2.rst` and
//! `Documentation/admin-guide/cgroup-v1/`.

use std::collections::BTreeMap;

use super::limits::{CGROUP_FOLDERS, COUNTED_PROCESSES};
use super::line::{Usage, tidy};
use super::read::{Kept, Root, first_number, lines, number, value, words};

/// A limit from this size on is none: version 1 has no other word for it.
const NO_LIMIT: u64 = 1 << 60;

/// How many samples go by before quotas and limits are read again.
const LIMITS_EVERY: u32 = 10;

/// Where the trees of cgroups are, by what they control. `""` is version 2.
#[derive(Debug, Clone, Default)]
pub(super) struct Trees {
    mounts: BTreeMap<String, Mount>,
}

#[derive(Debug, Clone)]
struct Mount {
    /// The folder, as the host sees it.
    at: String,
    /// Which cgroup that folder is.
    of: String,
}

impl Trees {
    /// Finds them in `/proc/PID/mountinfo`, or in their usual places.
    pub(super) fn find(root: &Root) -> Self {
        let text = root.read(&root.of_host("mountinfo")).unwrap_or_default();
        let mut trees = Self::default();
        for line in lines(&text) {
            trees.mount(line);
        }
        if trees.mounts.is_empty() {
            trees.usual(root);
        }
        trees
    }

    /// `36 25 0:32 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct`
    fn mount(&mut self, line: &[u8]) {
        let Ok(line) = std::str::from_utf8(line) else {
            return;
        };
        let mut fields = line.split(' ');
        let (Some(of), Some(at)) = (fields.nth(3), fields.next()) else {
            return;
        };
        let mut rest = fields.skip_while(|field| *field != "-").skip(1);
        let (kind, options) = (rest.next(), rest.nth(1));
        let mount = Mount {
            at: unescape(at),
            of: unescape(of),
        };
        match (kind, options) {
            (Some("cgroup2"), _) => {
                self.mounts.entry(String::new()).or_insert(mount);
            }
            (Some("cgroup"), Some(options)) => {
                for controller in options.split(',') {
                    let entry = self.mounts.entry(controller.to_owned());
                    entry.or_insert_with(|| mount.clone());
                }
            }
            _ => {}
        }
    }

    fn usual(&mut self, root: &Root) {
        let mut add = |controller: &str, at: &str| {
            let mount = Mount {
                at: at.to_owned(),
                of: "/".to_owned(),
            };
            self.mounts.insert(controller.to_owned(), mount);
        };
        if root.exists("sys/fs/cgroup/cgroup.controllers") {
            add("", "/sys/fs/cgroup");
            return;
        }
        for controller in ["cpu", "cpuacct", "memory", "pids", "systemd"] {
            let at = format!("/sys/fs/cgroup/{controller}");
            if root.exists(&at) {
                add(
                    if controller == "systemd" {
                        "name=systemd"
                    } else {
                        controller
                    },
                    &at,
                );
            }
        }
    }

    /// The folder of a cgroup in one of the trees.
    fn folder(&self, controller: &str, cgroup: &str) -> Option<String> {
        let mount = self.mounts.get(controller)?;
        // A container may see only a part of the tree, from its own cgroup on.
        let inside = match cgroup.strip_prefix(mount.of.as_str()) {
            Some(rest) if mount.of == "/" || rest.is_empty() || rest.starts_with('/') => rest,
            _ => cgroup,
        };
        let inside = inside.trim_matches('/');
        Some(
            format!("{}/{inside}", mount.at.trim_end_matches('/'))
                .trim_end_matches('/')
                .to_owned(),
        )
    }

    /// The folders of a cgroup in all trees in which it is, version 2 first.
    fn folders(&self, root: &Root, cgroup: &str) -> Vec<String> {
        let folders = self
            .mounts
            .keys()
            .filter_map(|tree| self.folder(tree, cgroup));
        let mut there: Vec<String> = folders.filter(|folder| root.exists(folder)).collect();
        there.dedup();
        there
    }

    /// Whether there is such a cgroup in any tree.
    pub(super) fn has(&self, root: &Root, cgroup: &str) -> bool {
        !self.folders(root, cgroup).is_empty()
    }

    /// Searches for the cgroup of a unit, such as `nginx.service`, wherever it is in the tree.
    pub(super) fn find_unit(&self, root: &Root, unit: &str) -> Option<String> {
        let usual = format!("/system.slice/{unit}");
        if self.has(root, &usual) {
            return Some(usual);
        }
        let trees = ["", "name=systemd", "cpuacct", "cpu", "memory"];
        let tree = trees.iter().find(|tree| self.mounts.contains_key(**tree))?;
        let mut left = CGROUP_FOLDERS;
        let mut folders = vec![String::new()];
        while let Some(cgroup) = folders.pop() {
            let names = root
                .names(&self.folder(tree, &cgroup)?, left)
                .unwrap_or_default();
            for name in names {
                let inside = format!("{cgroup}/{name}");
                if name == unit {
                    return Some(inside);
                }
                let is_folder = self
                    .folder(tree, &inside)
                    .is_some_and(|folder| root.path(&folder).is_dir());
                if is_folder && left > 0 {
                    left -= 1;
                    folders.push(inside);
                }
            }
        }
        None
    }

    /// The cgroup of a process in the tree that says most of its service, from `/proc/PID/cgroup`.
    pub(super) fn of_process(&self, root: &Root, pid: &str) -> Option<String> {
        let text = root.read(&format!("proc/{pid}/cgroup")).ok()?;
        paths(&text).into_iter().max_by_key(String::len)
    }

    /// Whether a process is in one of some cgroups, or below.
    pub(super) fn is_below(root: &Root, pid: u32, cgroups: &[&str]) -> bool {
        let below = |path: &str, cgroup: &str| {
            path.strip_prefix(cgroup)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let text = root.read(&format!("proc/{pid}/cgroup")).unwrap_or_default();
        paths(&text)
            .iter()
            .any(|path| cgroups.iter().any(|cgroup| below(path, cgroup)))
    }

    /// The tightest CPU quota in cores and memory limit in bytes of a process' own cgroups.
    pub(super) fn tightest(&self, root: &Root, pid: &str) -> Limiting {
        let text = root.read(&format!("proc/{pid}/cgroup")).unwrap_or_default();
        let mut limiting = Limiting::default();
        for path in paths(&text) {
            let mut cgroup = path.as_str();
            loop {
                let group = Cgroup::open(self, root, cgroup);
                if let Some(quota) = group.quota_cores(root)
                    && limiting.quota_cores.is_none_or(|tightest| quota < tightest)
                {
                    limiting.quota_cores = Some(quota);
                    limiting.quota_of = Some(cgroup.to_owned());
                }
                if let Some(limit) = group.memory_limit(root)
                    && limiting
                        .memory_limit
                        .is_none_or(|tightest| limit < tightest)
                {
                    limiting.memory_limit = Some(limit);
                    limiting.memory_of = Some(cgroup.to_owned());
                }
                match cgroup.rfind('/') {
                    Some(0) if cgroup.len() > 1 => cgroup = "/",
                    Some(at) if at > 0 => cgroup = &cgroup[..at],
                    _ => break,
                }
            }
        }
        limiting
    }
}

/// The tightest limits above a process, and whose they are.
#[derive(Debug, Default)]
pub(super) struct Limiting {
    pub(super) quota_cores: Option<f64>,
    pub(super) quota_of: Option<String>,
    pub(super) memory_limit: Option<u64>,
    pub(super) memory_of: Option<String>,
}

/// The different paths in `/proc/PID/cgroup`: `4:memory:/system.slice/x.service`.
fn paths(text: &[u8]) -> Vec<String> {
    let path = |line: &[u8]| {
        let line = std::str::from_utf8(line).ok()?;
        let path = line.splitn(3, ':').nth(2)?;
        Some(path.trim_end_matches(" (deleted)").to_owned())
    };
    let mut paths: Vec<String> = lines(text).filter_map(path).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// `\040` and the like, as `/proc/self/mountinfo` writes spaces.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'\\').then(|| after.get(..3)).flatten();
        let code =
            code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The files of one cgroup that are read for each sample, wherever they are.
#[derive(Debug)]
pub(super) struct Cgroup {
    folders: Vec<String>,
    cpu: CpuFiles,
    throttling: Option<Kept>,
    memory_now: Option<Kept>,
    memory_stat: Option<Kept>,
    procs: Option<Kept>,
    before: Counted,
    limits: (Option<f64>, Option<u64>),
    limits_read: u32,
}

#[derive(Debug)]
enum CpuFiles {
    /// `cpu.stat` of version 2: all in one.
    Two(Kept),
    /// `cpuacct.usage` in nanoseconds, and `cpuacct.stat` in ticks by mode.
    One(Kept, Kept),
    None,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    cpu_s: Option<f64>,
    system_s: Option<f64>,
    periods: Option<(u64, u64)>,
}

/// What a cgroup used in an interval.
#[derive(Debug, Clone, Default)]
pub(super) struct Used {
    pub(super) cpu_cores: Option<f64>,
    pub(super) system_cores: Option<f64>,
    pub(super) rss_bytes: Option<u64>,
    pub(super) usage: Usage,
}

impl Cgroup {
    pub(super) fn open(trees: &Trees, root: &Root, cgroup: &str) -> Self {
        let folders = trees.folders(root, cgroup);
        let find = |name: &str| {
            let paths = folders.iter().map(|folder| format!("{folder}/{name}"));
            let mut paths = paths.filter(|path| root.exists(path));
            paths.next().map(|path| root.keep(&path))
        };
        // A tree of version 2 without controllers counts time, and knows nothing of quotas.
        let counting = |key: &str| {
            let mut paths = folders.iter().map(|folder| format!("{folder}/cpu.stat"));
            paths.find(|path| {
                root.read(path)
                    .is_ok_and(|text| value(&text, key).is_some())
            })
        };
        let (two, throttling) = (counting("usage_usec"), counting("nr_periods"));
        let throttling = throttling.filter(|path| two.as_ref() != Some(path));
        let cpu = match (&two, find("cpuacct.usage"), find("cpuacct.stat")) {
            (Some(stat), ..) => CpuFiles::Two(root.keep(stat)),
            (None, Some(usage), Some(stat)) => CpuFiles::One(usage, stat),
            _ => CpuFiles::None,
        };
        let throttling = throttling.map(|path| root.keep(&path));
        let mut group = Self {
            cpu,
            throttling,
            memory_now: find("memory.current").or_else(|| find("memory.usage_in_bytes")),
            memory_stat: find("memory.stat"),
            procs: find("cgroup.procs"),
            folders,
            before: Counted::default(),
            limits: (None, None),
            limits_read: 0,
        };
        group.use_limits(root);
        group
    }

    /// Whether it still exists.
    pub(super) fn is_there(&self, root: &Root) -> bool {
        self.folders
            .first()
            .is_some_and(|folder| root.exists(folder))
    }

    /// Whether it counts the CPU time of what ran in it.
    pub(super) fn counts_cpu(&self) -> bool {
        !matches!(self.cpu, CpuFiles::None)
    }

    fn read(&self, root: &Root, name: &str) -> Option<Vec<u8>> {
        let mut paths = self.folders.iter().map(|folder| format!("{folder}/{name}"));
        paths.find_map(|path| root.read(&path).ok())
    }

    /// The quota of this cgroup itself, in cores.
    pub(super) fn quota_cores(&self, root: &Root) -> Option<f64> {
        let (quota, period) = match self.read(root, "cpu.max") {
            Some(text) => {
                let mut words = words(&text);
                (number(words.next()?)?, number(words.next()?)?)
            }
            None => (
                first_number(&self.read(root, "cpu.cfs_quota_us")?)?,
                first_number(&self.read(root, "cpu.cfs_period_us")?)?,
            ),
        };
        (period > 0 && quota > 0).then(|| quota as f64 / period as f64)
    }

    /// The memory limit of this cgroup itself.
    pub(super) fn memory_limit(&self, root: &Root) -> Option<u64> {
        let text = match self.read(root, "memory.max") {
            Some(text) => text,
            None => self.read(root, "memory.limit_in_bytes")?,
        };
        first_number(&text).filter(|limit| *limit < NO_LIMIT)
    }

    fn use_limits(&mut self, root: &Root) {
        self.limits = (self.quota_cores(root), self.memory_limit(root));
    }

    /// The numbers of the processes in it and in the cgroups below it.
    pub(super) fn pids(&mut self, root: &Root, text: &mut Vec<u8>, deep: bool) -> Vec<u32> {
        let mut pids = Vec::new();
        let take = |text: &[u8], pids: &mut Vec<u32>| {
            let numbers = lines(text).filter_map(|line| u32::try_from(number(line)?).ok());
            pids.extend(numbers.take(COUNTED_PROCESSES.saturating_sub(pids.len())));
        };
        if let Some(procs) = &mut self.procs
            && procs.read(text).is_ok()
        {
            take(text, &mut pids);
        }
        if !deep {
            return pids;
        }
        let mut left = CGROUP_FOLDERS;
        let mut folders: Vec<String> = self.folders.first().cloned().into_iter().collect();
        while let Some(folder) = folders.pop() {
            for name in root.names(&folder, left).unwrap_or_default() {
                let inside = format!("{folder}/{name}");
                if left == 0 || !root.path(&inside).is_dir() {
                    continue;
                }
                left -= 1;
                if let Ok(text) = root.read(&format!("{inside}/cgroup.procs")) {
                    take(&text, &mut pids);
                }
                folders.push(inside);
            }
        }
        pids
    }

    /// Reads it, and says what it used since the last time, `seconds` ago.
    pub(super) fn sample(&mut self, root: &Root, seconds: f64, text: &mut Vec<u8>) -> Used {
        if self.limits_read % LIMITS_EVERY == LIMITS_EVERY - 1 {
            self.use_limits(root);
        }
        self.limits_read = self.limits_read.wrapping_add(1);
        let now = self.count(text);
        let before = std::mem::replace(&mut self.before, now);
        let rate =
            |before: Option<f64>, now: Option<f64>| Some(tidy((now? - before?) / seconds).max(0.0));
        let throttled = before.periods.zip(now.periods).map(|(before, now)| {
            let periods = now.0.saturating_sub(before.0);
            let held_back = now.1.saturating_sub(before.1);
            if periods == 0 {
                0.0
            } else {
                tidy(held_back as f64 / periods as f64)
            }
        });
        let cpu_cores = rate(before.cpu_s, now.cpu_s);
        let (quota_cores, memory_limit_bytes) = self.limits;
        let (rss_bytes, memory_bytes) = self.memory(text);
        Used {
            cpu_cores,
            system_cores: rate(before.system_s, now.system_s),
            rss_bytes,
            usage: Usage {
                cpu_cores,
                quota_cores,
                throttled: throttled.filter(|_| quota_cores.is_some()),
                memory_bytes,
                memory_limit_bytes,
            },
        }
    }

    fn count(&mut self, text: &mut Vec<u8>) -> Counted {
        let mut counted = Counted::default();
        let periods = |text: &[u8]| value(text, "nr_periods").zip(value(text, "nr_throttled"));
        match &mut self.cpu {
            CpuFiles::Two(stat) => {
                if stat.read(text).is_ok() {
                    let seconds = |name| Some(value(text, name)? as f64 / 1e6);
                    counted.cpu_s = seconds("usage_usec");
                    counted.system_s = seconds("system_usec");
                    counted.periods = periods(text);
                }
            }
            CpuFiles::One(usage, stat) => {
                if usage.read(text).is_ok() {
                    counted.cpu_s = first_number(text).map(|ns| ns as f64 / 1e9);
                }
                if stat.read(text).is_ok() {
                    let ticks = value(text, "system");
                    counted.system_s = ticks.map(|ticks| ticks as f64 / super::system::TICKS);
                }
            }
            CpuFiles::None => {}
        }
        // Without a quota nothing is throttled; a period counts only while there is one.
        if self.limits.0.is_some()
            && let Some(file) = &mut self.throttling
            && file.read(text).is_ok()
        {
            counted.periods = periods(text);
        }
        counted
    }

    /// What its processes have in RAM, and what counts against a limit.
    fn memory(&mut self, text: &mut Vec<u8>) -> (Option<u64>, Option<u64>) {
        let now = self.memory_now.as_mut();
        let now = now.and_then(|file| file.read(text).ok().and_then(|()| first_number(text)));
        let Some(stat) = &mut self.memory_stat else {
            return (None, now);
        };
        if stat.read(text).is_err() {
            return (None, now);
        }
        let either = |one, two| value(text, one).or_else(|| value(text, two));
        let anonymous = either("total_rss", "anon");
        let mapped = either("total_mapped_file", "file_mapped").unwrap_or(0);
        let droppable = either("total_inactive_file", "inactive_file").unwrap_or(0);
        let counted = now.map(|now| now.saturating_sub(droppable));
        (
            anonymous.map(|anonymous| anonymous.saturating_add(mapped)),
            counted,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_found_where_they_are_mounted() {
        let mut trees = Trees::default();
        for line in [
            "30 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
            "31 24 0:28 /docker/abc /sys/fs/cgroup/my\\040memory rw,nosuid shared:9 - cgroup cgroup rw,memory",
            "32 24 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
            "33 24 0:30 / /home rw - ext4 /dev/sda rw",
            "34 short",
        ] {
            trees.mount(line.as_bytes());
        }
        let check = |tree, cgroup, expected: Option<&str>| {
            assert_eq!(
                trees.folder(tree, cgroup).as_deref(),
                expected,
                "{tree} {cgroup}"
            );
        };
        check("cpuacct", "/a/b", Some("/sys/fs/cgroup/cpu,cpuacct/a/b"));
        check(
            "memory",
            "/docker/abc/x",
            Some("/sys/fs/cgroup/my memory/x"),
        );
        check("memory", "/docker/abc", Some("/sys/fs/cgroup/my memory"));
        check(
            "memory",
            "/docker/abcd",
            Some("/sys/fs/cgroup/my memory/docker/abcd"),
        );
        check("", "/", Some("/sys/fs/cgroup/unified"));
        check("pids", "/", None);
    }

    #[test]
    fn the_paths_of_a_process_are_read() {
        let text = b"9:name=systemd:/system.slice/a.service\n4:memory:/x:y\n0::/\nbroken\n";
        assert_eq!(paths(text), ["/", "/system.slice/a.service", "/x:y"]);
    }
}
