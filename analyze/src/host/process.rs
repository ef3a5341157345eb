//! Single processes: their CPU time with the children they waited for, threads, open files.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;

use super::limits::{COUNTED_PROCESSES, FILES_LOOKS, PROCESSES_OF_SERVICE, THREADS};
use super::line::{OpenFiles, tidy};
use super::read::{Kept, Root, lines, number, words};
use super::system::{PAGE, TICKS};

/// What `/proc/PID/stat` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) command: Vec<u8>,
    pub(super) parent: u32,
    /// Ticks in programs and in the kernel, of its own.
    pub(super) own: u64,
    pub(super) own_system: u64,
    /// Ticks of the children that it waited for.
    pub(super) children: u64,
    pub(super) children_system: u64,
    pub(super) threads: u64,
    /// Ticks from the host's start to its own.
    pub(super) started: u64,
    pub(super) rss_bytes: u64,
}

/// Reads `/proc/PID/stat`, whose second field is the command in parentheses, whatever is in it.
pub(super) fn stat(text: &[u8]) -> Option<Stat> {
    let open = memchr::memchr(b'(', text)?;
    let close = memchr::memrchr(b')', text)?;
    let command = text.get(open + 1..close)?.to_vec();
    // From the third field on.
    let fields: Vec<&[u8]> = words(&text[close + 1..]).take(22).collect();
    let of = |field: usize| number(fields.get(field - 3)?);
    let (utime, stime) = (of(14)?, of(15)?);
    let (cutime, cstime) = (of(16)?, of(17)?);
    Some(Stat {
        command,
        parent: u32::try_from(of(4)?).ok()?,
        own: utime.saturating_add(stime),
        own_system: stime,
        children: cutime.saturating_add(cstime),
        children_system: cstime,
        threads: of(20)?,
        started: of(22)?,
        rss_bytes: of(24).unwrap_or(0).saturating_mul(PAGE),
    })
}

/// Reads the `stat` of one process once.
pub(super) fn read_stat(root: &Root, pid: u32) -> Option<Stat> {
    stat(&root.read(&format!("proc/{pid}/stat")).ok()?)
}

/// The processes of a service that has no cgroup of its own, and what they had used.
///
/// When a process ends its parent takes over its time if it waited for it; so the sum over all,
/// waited-for children included, only grows, and what vanishes from it is lost.
#[derive(Debug, Default)]
pub(super) struct Group {
    members: HashMap<u32, Member>,
}

#[derive(Debug)]
struct Member {
    file: Kept,
    started: u64,
    total: u64,
    system: u64,
}

/// What a group of processes used in an interval.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct GroupUsed {
    pub(super) cpu_cores: Option<f64>,
    pub(super) system_cores: Option<f64>,
    pub(super) rss_bytes: u64,
    pub(super) threads: u64,
    pub(super) processes: u64,
}

impl Group {
    pub(super) fn pids(&self) -> Vec<u32> {
        let mut pids: Vec<u32> = self.members.keys().copied().collect();
        pids.sort_unstable();
        pids
    }

    pub(super) fn has(&self, pid: u32) -> bool {
        self.members.contains_key(&pid)
    }

    /// Adds a process. `new` says that it began after the last sample, so that all it has used
    /// belongs to the interval.
    pub(super) fn add(&mut self, root: &Root, pid: u32, stat: &Stat, new: bool) {
        if self.members.len() >= COUNTED_PROCESSES || self.has(pid) {
            return;
        }
        let used = |own: u64, children: u64| if new { 0 } else { own.saturating_add(children) };
        let member = Member {
            file: root.keep(&format!("proc/{pid}/stat")),
            started: stat.started,
            total: used(stat.own, stat.children),
            system: used(stat.own_system, stat.children_system),
        };
        self.members.insert(pid, member);
    }

    /// Reads them all; `seconds` is `None` for the first look, that only sets where counting begins.
    pub(super) fn sample(&mut self, seconds: Option<f64>, text: &mut Vec<u8>) -> GroupUsed {
        let (mut before, mut now) = ([0u64; 2], [0u64; 2]);
        let mut used = GroupUsed::default();
        self.members.retain(|_, member| {
            before = [before[0] + member.total, before[1] + member.system];
            let read = member.file.read(text);
            let stat = read.ok().and_then(|()| stat(text));
            // The number of a process that ended may be another one's already.
            let Some(stat) = stat.filter(|stat| stat.started == member.started) else {
                return false;
            };
            member.total = stat.own.saturating_add(stat.children);
            member.system = stat.own_system.saturating_add(stat.children_system);
            now = [
                now[0].saturating_add(member.total),
                now[1].saturating_add(member.system),
            ];
            used.rss_bytes = used.rss_bytes.saturating_add(stat.rss_bytes);
            used.threads = used.threads.saturating_add(stat.threads);
            used.processes += 1;
            true
        });
        if let Some(seconds) = seconds {
            let cores =
                |at: usize| tidy(now[at].saturating_sub(before[at]) as f64 / TICKS / seconds);
            used.cpu_cores = Some(cores(0));
            used.system_cores = Some(cores(1));
        }
        used
    }
}

/// Looks after the open files and the threads of a service's processes.
#[derive(Debug, Default)]
pub(super) struct Closer {
    limits: HashMap<u32, u64>,
    threads: HashMap<(u32, u32), u64>,
    /// The process that was nearest to its limit.
    nearest: Option<u32>,
    turn: usize,
    /// Where among the processes the next look begins.
    place: usize,
}

impl Closer {
    /// The process that is nearest to its limit of open files: the one that was so the last time, and
    /// some others in turn, as each look takes the kernel longer than reading a file.
    ///
    /// # Errors
    ///
    /// Says why, when not a single process lets itself be looked at.
    pub(super) fn open_files(
        &mut self,
        root: &Root,
        pids: &[u32],
    ) -> Result<Option<OpenFiles>, String> {
        let mut nearest: Option<OpenFiles> = None;
        let mut failed = None;
        if self.limits.len() > pids.len() + FILES_LOOKS {
            // Those that ended are forgotten.
            self.limits.retain(|pid, _| pids.contains(pid));
        }
        let looks = if self.turn == 0 {
            PROCESSES_OF_SERVICE
        } else {
            FILES_LOOKS
        };
        let first = if pids.is_empty() {
            0
        } else {
            self.place % pids.len()
        };
        let ring = pids.iter().cycle().skip(first).take(pids.len().min(looks));
        let again = self.nearest.filter(|pid| pids.contains(pid));
        for pid in again.into_iter().chain(ring.copied()) {
            let used = match open_files(root, pid) {
                Ok(used) => used,
                Err(why) => {
                    failed.get_or_insert(why);
                    continue;
                }
            };
            let limit = match self.limits.get(&pid) {
                Some(limit) if self.turn % 10 != 9 => *limit,
                _ => {
                    let Some(limit) = files_limit(root, pid) else {
                        continue;
                    };
                    self.limits.insert(pid, limit);
                    limit
                }
            };
            let files = OpenFiles { pid, used, limit };
            if nearest.is_none_or(|nearest| share(files) > share(nearest)) {
                nearest = Some(files);
            }
        }
        self.turn = self.turn.wrapping_add(1);
        self.place = self.place.wrapping_add(looks);
        self.nearest = nearest.map(|files| files.pid);
        match (nearest, failed) {
            (None, Some(why)) => Err(why),
            (nearest, _) => Ok(nearest),
        }
    }

    /// The CPU of the busiest thread in cores since the last call; none at the first one.
    pub(super) fn busiest_thread(
        &mut self,
        root: &Root,
        pids: &[u32],
        seconds: f64,
        text: &mut Vec<u8>,
    ) -> Option<f64> {
        let mut now = HashMap::new();
        let mut busiest = None;
        for &pid in pids.iter().take(PROCESSES_OF_SERVICE) {
            let tasks = root.names(&format!("proc/{pid}/task"), THREADS);
            for task in tasks.unwrap_or_default() {
                let Ok(thread) = task.parse::<u32>() else {
                    continue;
                };
                let mut file = root.keep(&format!("proc/{pid}/task/{task}/stat"));
                let Some(stat) = file.read(text).ok().and_then(|()| stat(text)) else {
                    continue;
                };
                now.insert((pid, thread), stat.own);
                if let Some(before) = self.threads.get(&(pid, thread)) {
                    busiest = busiest.max(Some(stat.own.saturating_sub(*before)));
                }
            }
        }
        self.threads = now;
        busiest.map(|ticks| tidy(ticks as f64 / TICKS / seconds))
    }

    /// Threads are not looked at any more.
    pub(super) fn forget_threads(&mut self) {
        self.threads.clear();
    }
}

/// Which part of its limit a process has open.
pub(super) fn share(files: OpenFiles) -> f64 {
    files.used as f64 / files.limit.max(1) as f64
}

/// How many files a process has open. From Linux 6.2 on the size of the folder says it.
fn open_files(root: &Root, pid: u32) -> Result<u64, String> {
    let inside = format!("proc/{pid}/fd");
    let path = root.path(&inside);
    let folder = std::fs::metadata(&path);
    // Only `/proc` has blocks of this size; on other systems of files a folder's size is another thing.
    // The folder of another user's process tells its size and lets nobody in.
    if let Ok(folder) = folder
        && folder.blksize() == 1024
        && folder.len() > 0
    {
        return Ok(folder.len());
    }
    Ok(root.names(&inside, 1 << 20)?.len() as u64)
}

/// The soft limit of open files, from `/proc/PID/limits`.
fn files_limit(root: &Root, pid: u32) -> Option<u64> {
    let text = root.read(&format!("proc/{pid}/limits")).ok()?;
    let line = lines(&text).find_map(|line| line.strip_prefix(b"Max open files"))?;
    let soft = words(line).next()?;
    if soft == b"unlimited" {
        return Some(u64::MAX);
    }
    number(soft)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "12 (a (b) c) S 1 12 12 0 -1 4194560 100 200 0 0 70 30 7 3 20 0 5 0 900 1000000 250 18446744073709551615 1 1";

    #[test]
    fn a_stat_line_is_read_whatever_the_command_is() {
        let stat = stat(LINE.as_bytes()).unwrap();
        assert_eq!(stat.command, b"a (b) c");
        assert_eq!((stat.parent, stat.threads, stat.started), (1, 5, 900));
        assert_eq!((stat.own, stat.own_system), (100, 30));
        assert_eq!((stat.children, stat.children_system), (10, 3));
        assert_eq!(stat.rss_bytes, 250 * 4096);
    }

    #[test]
    fn a_cut_stat_line_is_none() {
        for end in 0..LINE.len() - 60 {
            assert_eq!(stat(&LINE.as_bytes()[..end]), None, "{end}");
        }
    }

    fn write(folder: &std::path::Path, pid: u32, own: u64, children: u64) {
        let folder = folder.join(format!("proc/{pid}"));
        std::fs::create_dir_all(&folder).unwrap();
        let text =
            format!("{pid} (x) S 1 1 1 0 -1 0 0 0 0 0 {own} 0 {children} 0 20 0 1 0 {pid} 0 1 0\n");
        std::fs::write(folder.join("stat"), text).unwrap();
    }

    #[test]
    fn a_child_that_was_waited_for_is_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path());
        let mut group = Group::default();
        let mut text = Vec::new();
        write(folder.path(), 10, 1000, 500);
        write(folder.path(), 11, 40, 0);
        for pid in [10, 11] {
            group.add(&root, pid, &read_stat(&root, pid).unwrap(), false);
        }
        assert_eq!(group.sample(None, &mut text).cpu_cores, None);

        // The parent works for a second; its child does for half a second more, ends, is waited for.
        write(folder.path(), 10, 1100, 500 + 40 + 50);
        std::fs::write(folder.path().join("proc/11/stat"), "").unwrap();
        let used = group.sample(Some(1.0), &mut text);
        assert_eq!(used.cpu_cores, Some(1.5));
        assert_eq!(used.processes, 1);

        // One that is new since the last look counts from its own begin, an old one from now on.
        write(folder.path(), 12, 25, 0);
        write(folder.path(), 13, 900, 0);
        group.add(&root, 12, &read_stat(&root, 12).unwrap(), true);
        group.add(&root, 13, &read_stat(&root, 13).unwrap(), false);
        assert_eq!(group.sample(Some(1.0), &mut text).cpu_cores, Some(0.25));

        // A number that another process has got is not the same process.
        std::fs::write(folder.path().join("proc/12/stat"), LINE).unwrap();
        assert_eq!(group.sample(Some(1.0), &mut text).processes, 2);
    }

    #[test]
    fn open_files_are_held_against_the_nearest_limit() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path());
        for (pid, files, limit) in [(1, 4, "1024"), (2, 8, "10"), (3, 9, "unlimited")] {
            let process = folder.path().join(format!("proc/{pid}"));
            std::fs::create_dir_all(process.join("fd")).unwrap();
            for file in 0..files {
                std::fs::write(process.join(format!("fd/{file}")), "").unwrap();
            }
            let limits = format!(
                "Limit  Soft Limit Hard Limit Units\nMax open files            {limit}   4096   files\n"
            );
            std::fs::write(process.join("limits"), limits).unwrap();
        }
        let mut closer = Closer::default();
        let found = closer.open_files(&root, &[1, 2, 3]).unwrap().unwrap();
        assert_eq!((found.pid, found.limit), (2, 10));
        assert!(closer.open_files(&root, &[77]).is_err());
        assert_eq!(closer.open_files(&root, &[]), Ok(None));
    }
}
