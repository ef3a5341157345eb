//! This machine, as the engine uses it: CPUs to pin threads to, their time, open files.

use std::fs::File;
use std::io::Read;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

use super::clock::{Clock, Nanos};
use super::tally::ThreadUse;

/// The CPUs this process may run on.
pub fn allowed_cpus() -> Vec<usize> {
    match sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU)
            .filter(|&cpu| set.is_set(cpu))
            .collect(),
        Err(_) => (0..std::thread::available_parallelism().map_or(1, usize::from)).collect(),
    }
}

/// Keep the calling thread on one CPU. Failing is no harm: it is then placed by the kernel.
pub(super) fn pin_to(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    let _ = sched_setaffinity(None, &set);
}

/// Raise the limit on open files as far as it goes; the limit then in force, none for no limit.
pub fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// Reads what the calling thread used of its CPU, stretch by stretch.
#[derive(Debug)]
pub(super) struct ThreadMeter {
    clock: Clock,
    /// `/proc/thread-self/schedstat`, where there is one.
    schedstat: Option<File>,
    at: Nanos,
    cpu_ns: u64,
    starved_ns: u64,
}

impl ThreadMeter {
    /// For the calling thread, from now on.
    pub(super) fn start(clock: Clock) -> Self {
        let mut meter = Self {
            clock,
            schedstat: None,
            at: clock.now(),
            cpu_ns: thread_cpu_ns(),
            starved_ns: 0,
        };
        meter.schedstat = File::open("/proc/thread-self/schedstat").ok();
        meter.starved_ns = meter.read_starved();
        meter
    }

    /// What was used since the last reading.
    pub(super) fn lap(&mut self) -> ThreadUse {
        let (at, cpu, starved) = (self.clock.now(), thread_cpu_ns(), self.read_starved());
        let used = ThreadUse {
            wall_ns: at.saturating_sub(self.at),
            cpu_ns: cpu.saturating_sub(self.cpu_ns),
            starved_ns: starved.saturating_sub(self.starved_ns),
        };
        (self.at, self.cpu_ns, self.starved_ns) = (at, cpu, starved);
        used
    }

    /// Nanoseconds spent runnable but not running: the second field of schedstat, 0 without one.
    fn read_starved(&mut self) -> u64 {
        use std::io::{Seek, SeekFrom};
        let mut text = [0; 96];
        let Some(file) = &mut self.schedstat else {
            return 0;
        };
        if file.seek(SeekFrom::Start(0)).is_err() {
            return 0;
        }
        let Ok(length) = file.read(&mut text) else {
            return 0;
        };
        std::str::from_utf8(&text[..length])
            .ok()
            .and_then(|text| text.split_ascii_whitespace().nth(1)?.parse().ok())
            .unwrap_or(0)
    }
}

/// CPU time this thread has used, in nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_cpu() {
        assert!(!allowed_cpus().is_empty());
    }

    #[test]
    fn a_busy_thread_is_seen_as_busy() {
        let clock = Clock::start();
        let mut meter = ThreadMeter::start(clock);
        let mut sum = 0_u64;
        while meter.clock.now() - meter.at < 20_000_000 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let used = meter.lap();
        assert!(used.wall_ns >= 20_000_000);
        assert!(
            used.cpu_ns > 0 && used.cpu_ns <= used.wall_ns + 1_000_000,
            "{used:?}"
        );
    }
}
