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
    /// What there is besides CPU.
    used: GroupUsed,
}

#[derive(Debug)]
struct Member {
    file: Kept,
    started: u64,
    parent: u32,
    /// What it used itself and in children that it waited for, and what of that in the kernel.
    own: [u64; 2],
    children: [u64; 2],
    /// By how much either grew from the last look but one to the last.
    grown_own: [u64; 2],
    grown_children: [u64; 2],
}

/// What processes that ended had used when they were last seen, in ticks, by their parent: it gets that, if it
/// waits for them.
pub(super) type Ended = HashMap<u32, [u64; 2]>;

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
        let so_far = |used: [u64; 2]| if new { [0; 2] } else { used };
        let member = Member {
            file: root.keep(&format!("proc/{pid}/stat")),
            started: stat.started,
            parent: stat.parent,
            own: so_far([stat.own, stat.own_system]),
            children: so_far([stat.children, stat.children_system]),
            grown_own: [0; 2],
            grown_children: [0; 2],
        };
        self.members.insert(pid, member);
    }

    /// Reads them all, and tells which have ended.
    pub(super) fn look(&mut self, text: &mut Vec<u8>, ended: &mut Ended) {
        self.used = GroupUsed::default();
        self.members.retain(|_, member| {
            let read = member.file.read(text);
            let stat = read.ok().and_then(|()| stat(text));
            // The number of a process that ended may be another one's already.
            let Some(stat) = stat.filter(|stat| stat.started == member.started) else {
                let of_parent = ended.entry(member.parent).or_default();
                for at in [0, 1] {
                    let used = member.own[at].saturating_add(member.children[at]);
                    of_parent[at] = of_parent[at].saturating_add(used);
                }
                return false;
            };
            let own = [stat.own, stat.own_system];
            let children = [stat.children, stat.children_system];
            let grown = |now: [u64; 2], before: [u64; 2]| {
                [0, 1].map(|at| now[at].saturating_sub(before[at]))
            };
            member.grown_own = grown(own, member.own);
            member.grown_children = grown(children, member.children);
            // Who loses its parent gets another.
            (member.parent, member.own, member.children) = (stat.parent, own, children);
            self.used.rss_bytes = self.used.rss_bytes.saturating_add(stat.rss_bytes);
            self.used.threads = self.used.threads.saturating_add(stat.threads);
            self.used.processes += 1;
            true
        });
    }

    /// What they used since the look before the last; `seconds` is `None` for the first look, that only sets where
    /// counting begins.
    ///
    /// A parent that waits for a child takes over all that this used in its life. What was seen of it before
    /// was counted then, for the child's own service.
    pub(super) fn used(&self, seconds: Option<f64>, ended: &Ended) -> GroupUsed {
        let mut used = self.used;
        if let Some(seconds) = seconds {
            let cores = |at: usize| {
                let grown = self.members.iter().map(|(pid, member)| {
                    let counted = ended.get(pid).map_or(0, |used| used[at]);
                    let children = member.grown_children[at].saturating_sub(counted);
                    member.grown_own[at].saturating_add(children)
                });
                tidy(grown.fold(0, u64::saturating_add) as f64 / TICKS / seconds)
            };
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

    /// What some groups used in a second, in cores; `None` for each at the first look.
    fn look(groups: &mut [&mut Group], seconds: Option<f64>) -> Vec<GroupUsed> {
        let (mut text, mut ended) = (Vec::new(), Ended::new());
        for group in groups.iter_mut() {
            group.look(&mut text, &mut ended);
        }
        groups
            .iter()
            .map(|group| group.used(seconds, &ended))
            .collect()
    }

    #[test]
    fn a_process_that_ends_takes_nothing_from_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path());
        let (mut supervisor, mut workers) = (Group::default(), Group::default());
        let add = |group: &mut Group, pid, new| {
            group.add(&root, pid, &read_stat(&root, pid).unwrap(), new);
        };
        // Two workers of process 10, of which one has a long life behind it.
        write_child(folder.path(), 10, 1, [50, 0]);
        write_child(folder.path(), 20, 10, [360_000, 0]);
        write_child(folder.path(), 21, 10, [0, 0]);
        add(&mut supervisor, 10, false);
        add(&mut workers, 20, false);
        add(&mut workers, 21, false);
        look(&mut [&mut supervisor, &mut workers], None);

        // It ends after half a second more, and 10 waits for it: that half second is all that is new.
        std::fs::write(folder.path().join("proc/20/stat"), "").unwrap();
        write_child(folder.path(), 10, 1, [60, 360_050]);
        write_child(folder.path(), 21, 10, [100, 0]);
        let used = look(&mut [&mut supervisor, &mut workers], Some(1.0));
        let cores: Vec<_> = used.iter().map(|used| used.cpu_cores.unwrap()).collect();
        assert_eq!(cores, [0.6, 1.0]);

        // One that nobody waits for is gone with what it used last.
        std::fs::write(folder.path().join("proc/21/stat"), "").unwrap();
        write_child(folder.path(), 10, 1, [70, 360_050]);
        let used = look(&mut [&mut supervisor, &mut workers], Some(1.0));
        let cores: Vec<_> = used.iter().map(|used| used.cpu_cores.unwrap()).collect();
        assert_eq!(cores, [0.1, 0.0]);
    }

    fn write_child(folder: &std::path::Path, pid: u32, parent: u32, [own, children]: [u64; 2]) {
        write(folder, pid, own, children);
        let file = folder.join(format!("proc/{pid}/stat"));
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, text.replacen(" S 1 ", &format!(" S {parent} "), 1)).unwrap();
    }

    #[test]
    fn a_child_that_was_waited_for_is_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path());
        let mut group = Group::default();
        write(folder.path(), 10, 1000, 500);
        write_child(folder.path(), 11, 10, [40, 0]);
        for pid in [10, 11] {
            group.add(&root, pid, &read_stat(&root, pid).unwrap(), false);
        }
        assert_eq!(look(&mut [&mut group], None)[0].cpu_cores, None);

        // The parent works for a second; its child does for half a second more, ends, is waited for.
        write(folder.path(), 10, 1100, 500 + 40 + 50);
        std::fs::write(folder.path().join("proc/11/stat"), "").unwrap();
        let used = look(&mut [&mut group], Some(1.0))[0];
        assert_eq!(used.cpu_cores, Some(1.5));
        assert_eq!(used.processes, 1);

        // One that is new since the last look counts from its own begin, an old one from now on.
        write(folder.path(), 12, 25, 0);
        write(folder.path(), 13, 900, 0);
        group.add(&root, 12, &read_stat(&root, 12).unwrap(), true);
        group.add(&root, 13, &read_stat(&root, 13).unwrap(), false);
        assert_eq!(look(&mut [&mut group], Some(1.0))[0].cpu_cores, Some(0.25));

        // A number that another process has got is not the same process.
        std::fs::write(folder.path().join("proc/12/stat"), LINE).unwrap();
        assert_eq!(look(&mut [&mut group], Some(1.0))[0].processes, 2);
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
