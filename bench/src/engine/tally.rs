//! What a shard counts. Each number has one owner: the shard that saw it, until the shard hands
//! the whole [`Delta`] to the collector, once a second, and goes on with an empty one.

use isukit_analyze::latency::Latencies;

use super::clock::Nanos;
use super::fault::{Fault, FaultBook, FaultSample};
use super::user::{StepId, Timing};

/// An arrival sent this much after it was due counts as late: 1 ms.
pub const LATE_AFTER: Nanos = 1_000_000;

/// Counts of one step.
#[derive(Debug, Clone, Default)]
pub struct StepTally {
    /// From the intended time to the end of the reply. Failures that are no timeouts are left out:
    /// a connection refused in 20 us must not make the service look fast.
    pub latency: Latencies,
    /// From the real sending to the end of the reply.
    pub service: Latencies,
    /// Requests sent when they were meant to be: one value for both distributions, parted by
    /// [`Delta::settle`]. In the closed model nearly all are.
    punctual: Latencies,
    /// Finished requests, failures included.
    pub requests: u64,
    /// Those among them that finished while requests were being sent: the ground for a rate.
    pub in_time: u64,
    /// Failed requests, timeouts included.
    pub errors: u64,
    /// Requests that timed out.
    pub timeouts: u64,
    /// Bytes of reply bodies on the wire.
    pub body_bytes: u64,
}

impl StepTally {
    fn merge(&mut self, other: &Self) {
        self.latency.merge(&other.latency);
        self.service.merge(&other.service);
        self.requests += other.requests;
        self.in_time += other.in_time;
        self.errors += other.errors;
        self.timeouts += other.timeouts;
        self.body_bytes += other.body_bytes;
    }

    #[inline]
    fn record(&mut self, timing: Timing) {
        let latency = timing.done_at.saturating_sub(timing.due_at);
        if timing.sent_at == timing.due_at {
            self.punctual.record(latency);
            return;
        }
        self.latency.record(latency);
        self.service
            .record(timing.done_at.saturating_sub(timing.sent_at));
    }

    fn settle(&mut self) {
        self.latency.merge(&self.punctual);
        self.service.merge(&self.punctual);
        self.punctual.clear();
    }

    fn clear(&mut self) {
        self.latency.clear();
        self.service.clear();
        self.punctual.clear();
        self.requests = 0;
        self.in_time = 0;
        self.errors = 0;
        self.timeouts = 0;
        self.body_bytes = 0;
    }
}

/// Counts of one check of a scenario.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CheckTally {
    /// How often it held.
    pub passed: u64,
    /// How often it did not.
    pub failed: u64,
    /// The first time it did not.
    pub sample: Option<FaultSample>,
}

impl CheckTally {
    fn merge(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        let earlier = |ours: &FaultSample| {
            let theirs = other.sample.as_ref();
            theirs.is_some_and(|theirs| theirs.at_s < ours.at_s)
        };
        if self.sample.as_ref().is_none_or(earlier) && other.sample.is_some() {
            self.sample.clone_from(&other.sample);
        }
    }
}

/// Reasons kept for which a run has failed as a whole.
const CRITICALS: usize = 20;

/// What the shard itself was doing, as the kernel counts it for its thread.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ThreadUse {
    /// Wall time covered, in nanoseconds.
    pub wall_ns: u64,
    /// CPU time used.
    pub cpu_ns: u64,
    /// Time it wanted a CPU and had none.
    pub starved_ns: u64,
}

impl ThreadUse {
    /// Add another stretch of time.
    pub fn merge(&mut self, other: &Self) {
        self.wall_ns += other.wall_ns;
        self.cpu_ns += other.cpu_ns;
        self.starved_ns += other.starved_ns;
    }
}

/// All that a shard counted since it last handed over.
#[derive(Debug, Clone, Default)]
pub struct Delta {
    /// The shard.
    pub shard: usize,
    /// The phase, an index into the plan's.
    pub phase: usize,
    /// The second of the phase it belongs to, from 0.
    pub second: u64,
    /// When the phase ended, in its last hand-over.
    pub ended: Option<Nanos>,
    /// When the phase started; samples are timed from here.
    pub origin: Nanos,
    /// Whether requests are still being sent.
    pub sending: bool,
    /// By step; it grows as steps are met.
    pub steps: Vec<StepTally>,
    /// By score tag: how often it was scored.
    pub tags: Vec<u64>,
    /// By check; it grows as checks are met.
    pub checks: Vec<CheckTally>,
    /// Reasons for which the run has failed whatever else it counts; the first few.
    pub criticals: Vec<FaultSample>,
    /// From the intended time to the real sending.
    pub send_lag: Latencies,
    /// Requests without any lag, not yet in `send_lag`.
    punctual: u64,
    /// The part of it that is the generator's own fault: a connection was free.
    pub own_lag: Latencies,
    /// Requests handed to a connection.
    pub sent: u64,
    /// Those among them that were late by [`LATE_AFTER`].
    pub late: u64,
    /// Arrivals that were never sent.
    pub dropped: u64,
    /// Replies in which nothing was wrong.
    pub well: u64,
    /// Failures.
    pub faults: FaultBook,
    /// Connections made.
    pub connections: u64,
    /// Idle connections on which bytes came that nobody had asked for.
    pub unsolicited: u64,
    /// Bytes written.
    pub bytes_sent: u64,
    /// Bytes read.
    pub bytes_received: u64,
    /// Events that could not be handed to the writer in time.
    pub events_lost: u64,
    /// The most users active at a time in the second.
    pub users: u64,
    /// The thread.
    pub thread: ThreadUse,
}

impl Delta {
    /// Empty counts for so many steps.
    pub fn new(shard: usize, steps: usize) -> Self {
        Self {
            shard,
            steps: vec![StepTally::default(); steps],
            ..Self::default()
        }
    }

    /// Count a request's sending.
    #[inline]
    pub fn count_sent(&mut self, due_at: Nanos, sent_at: Nanos) {
        self.sent += 1;
        let lag = sent_at.saturating_sub(due_at);
        if lag == 0 {
            self.punctual += 1;
            return;
        }
        self.late += u64::from(lag > LATE_AFTER);
        self.send_lag.record(lag);
    }

    /// Put what was set aside while counting where readers look for it. Done before the counts
    /// are handed over.
    pub fn settle(&mut self) {
        self.send_lag
            .record_zeros(std::mem::take(&mut self.punctual));
        for step in &mut self.steps {
            step.settle();
        }
    }

    /// Count a reply and what its user found.
    #[inline]
    pub fn count_reply(
        &mut self,
        step: StepId,
        timing: Timing,
        body_bytes: u64,
        fault: Option<&Fault>,
    ) {
        let tally = at_grown(&mut self.steps, usize::from(step.0));
        tally.requests += 1;
        tally.in_time += u64::from(self.sending);
        tally.body_bytes += body_bytes;
        tally.record(timing);
        self.well += u64::from(fault.is_none());
        if let Some(fault) = fault {
            tally.errors += 1;
            self.faults
                .add(step, fault, timing.done_at.saturating_sub(self.origin));
        }
    }

    /// Count a request that got no reply. A timeout's waiting is part of the latencies.
    pub fn count_failure(&mut self, step: StepId, timing: Timing, fault: &Fault) {
        let tally = at_grown(&mut self.steps, usize::from(step.0));
        tally.requests += 1;
        tally.in_time += u64::from(self.sending);
        tally.errors += 1;
        if fault.kind.is_timeout() {
            tally.timeouts += 1;
            tally.record(timing);
        }
        self.faults
            .add(step, fault, timing.done_at.saturating_sub(self.origin));
    }

    /// Count a failure that belongs to no reply of its own: the reply was counted, or there was
    /// none.
    pub fn count_fault(&mut self, step: StepId, fault: &Fault, at: Nanos) {
        at_grown(&mut self.steps, usize::from(step.0)).errors += 1;
        self.faults.add(step, fault, at.saturating_sub(self.origin));
    }

    /// Count `times` successes of the score tag.
    pub fn count_tag(&mut self, tag: usize, times: u64) {
        *at_grown(&mut self.tags, tag) += times;
    }

    /// Count a check.
    pub fn count_check(&mut self, check: u16, failure: Option<&str>, at: Nanos) {
        let origin = self.origin;
        let tally = at_grown(&mut self.checks, usize::from(check));
        match failure {
            None => tally.passed += 1,
            Some(detail) => {
                tally.failed += 1;
                if tally.sample.is_none() {
                    tally.sample = Some(FaultSample::new(at.saturating_sub(origin), detail));
                }
            }
        }
    }

    /// Note a reason for which the run has failed as a whole.
    pub fn note_critical(&mut self, reason: &str, at: Nanos) {
        if self.criticals.len() < CRITICALS {
            let at = at.saturating_sub(self.origin);
            self.criticals.push(FaultSample::new(at, reason));
        }
    }

    /// Add what another one counted.
    pub fn merge(&mut self, other: &Self) {
        for (at, theirs) in other.steps.iter().enumerate() {
            at_grown(&mut self.steps, at).merge(theirs);
        }
        for (at, theirs) in other.tags.iter().enumerate() {
            *at_grown(&mut self.tags, at) += theirs;
        }
        merge_checks(&mut self.checks, &other.checks);
        let room = CRITICALS.saturating_sub(self.criticals.len());
        self.criticals
            .extend(other.criticals.iter().take(room).cloned());
        self.send_lag.merge(&other.send_lag);
        self.own_lag.merge(&other.own_lag);
        self.sent += other.sent;
        self.late += other.late;
        self.dropped += other.dropped;
        self.well += other.well;
        self.faults.merge(&other.faults);
        self.connections += other.connections;
        self.unsolicited += other.unsolicited;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.events_lost += other.events_lost;
        self.users += other.users;
        self.thread.merge(&other.thread);
    }

    /// Forget everything but the shard, keeping the memory.
    pub fn clear(&mut self) {
        for step in &mut self.steps {
            step.clear();
        }
        self.send_lag.clear();
        self.own_lag.clear();
        self.faults.clear();
        self.tags.clear();
        self.checks.clear();
        self.criticals.clear();
        self.ended = None;
        for counter in [
            &mut self.second,
            &mut self.punctual,
            &mut self.sent,
            &mut self.late,
            &mut self.dropped,
            &mut self.well,
            &mut self.connections,
            &mut self.unsolicited,
            &mut self.bytes_sent,
            &mut self.bytes_received,
            &mut self.events_lost,
            &mut self.users,
        ] {
            *counter = 0;
        }
        self.thread = ThreadUse::default();
    }

    /// Finished requests of all steps.
    pub fn requests(&self) -> u64 {
        self.steps.iter().map(|step| step.requests).sum()
    }

    /// Requests of all steps that finished while requests were being sent.
    pub fn in_time(&self) -> u64 {
        self.steps.iter().map(|step| step.in_time).sum()
    }

    /// Failed requests of all steps.
    pub fn errors(&self) -> u64 {
        self.steps.iter().map(|step| step.errors).sum()
    }

    /// Timeouts of all steps.
    pub fn timeouts(&self) -> u64 {
        self.steps.iter().map(|step| step.timeouts).sum()
    }

    /// Latency and service time of all steps together.
    pub fn distributions(&self) -> (Latencies, Latencies) {
        let (mut latency, mut service) = (Latencies::new(), Latencies::new());
        for step in &self.steps {
            latency.merge(&step.latency);
            service.merge(&step.service);
        }
        (latency, service)
    }
}

/// Add the checks that somebody else counted.
pub(super) fn merge_checks(ours: &mut Vec<CheckTally>, theirs: &[CheckTally]) {
    for (at, theirs) in theirs.iter().enumerate() {
        at_grown(ours, at).merge(theirs);
    }
}

/// The element at `at` of a list that grows to hold it.
#[inline]
fn at_grown<T: Default>(list: &mut Vec<T>, at: usize) -> &mut T {
    if list.len() <= at {
        list.resize_with(at + 1, T::default);
    }
    &mut list[at]
}

#[cfg(test)]
mod tests {
    use super::super::fault::FaultKind;
    use super::*;

    const STEP: StepId = StepId(0);

    fn timing(due_at: Nanos, sent_at: Nanos, done_at: Nanos) -> Timing {
        Timing {
            due_at,
            sent_at,
            done_at,
        }
    }

    #[test]
    fn latency_counts_from_the_intended_time() {
        let mut delta = Delta::new(0, 1);
        delta.count_sent(1_000, 2_001_000);
        delta.count_reply(STEP, timing(1_000, 2_001_000, 5_001_000), 7, None);
        delta.settle();
        let step = &delta.steps[0];
        assert_eq!(step.latency.max_ns(), 5_000_000);
        assert_eq!(step.service.max_ns(), 3_000_000);
        assert_eq!(delta.send_lag.max_ns(), 2_000_000);
        assert_eq!(
            (delta.sent, delta.late, step.requests, step.errors),
            (1, 1, 1, 0)
        );
    }

    #[test]
    fn punctual_requests_are_in_every_distribution() {
        let mut delta = Delta::new(0, 1);
        for sent_at in [5, 5, 6] {
            delta.count_sent(5, sent_at);
            delta.count_reply(STEP, timing(5, sent_at, 1_000_005), 0, None);
        }
        delta.settle();
        delta.settle();
        let step = &delta.steps[0];
        let counts = [&step.latency, &step.service, &delta.send_lag].map(Latencies::count);
        assert_eq!(counts, [3, 3, 3]);
    }

    #[test]
    fn a_quick_failure_does_not_look_like_a_quick_reply() {
        let mut delta = Delta::new(0, 1);
        delta.count_failure(STEP, timing(0, 0, 9), &Fault::new(FaultKind::Refused, "no"));
        assert!(delta.steps[0].latency.is_empty());
        delta.count_failure(
            STEP,
            timing(0, 0, 9_000),
            &Fault::new(FaultKind::TotalTimeout, "t"),
        );
        delta.settle();
        assert_eq!(delta.steps[0].latency.count(), 1);
        assert_eq!(
            (delta.requests(), delta.errors(), delta.timeouts()),
            (2, 2, 1)
        );
    }

    #[test]
    fn parts_merge_to_the_whole_and_clear_to_nothing() {
        let mut whole = Delta::new(0, 1);
        let mut parts = [Delta::new(0, 1), Delta::new(1, 1)];
        for n in 0..100_u64 {
            for delta in [&mut whole, &mut parts[(n % 2) as usize]] {
                delta.count_sent(n, n * 3);
                delta.count_reply(STEP, timing(n, n * 3, n * 1_000), n, None);
            }
        }
        let mut merged = Delta::new(0, 1);
        whole.settle();
        for part in &mut parts {
            part.settle();
            merged.merge(part);
        }
        assert_eq!(
            merged.steps[0].latency.summary(),
            whole.steps[0].latency.summary()
        );
        assert_eq!(merged.sent, whole.sent);
        assert_eq!(merged.steps[0].body_bytes, whole.steps[0].body_bytes);
        merged.clear();
        assert_eq!((merged.sent, merged.requests()), (0, 0));
        assert!(merged.send_lag.is_empty());
    }
}
