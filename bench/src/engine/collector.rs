//! The collector: merges what the shards hand over into totals and a series by second.

use std::collections::BTreeMap;

use isukit_analyze::latency::{Latencies, LatencySummary};
use serde::Serialize;

use super::clock::Nanos;
use super::fault::{FaultBook, FaultSample};
use super::plan::Phase;
use super::tally::{CheckTally, Delta, ThreadUse, merge_checks};

/// One second of the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SeriesPoint {
    /// Seconds from the start to the begin of this one.
    pub second: u64,
    /// Requests finished.
    pub requests: u64,
    /// Failed ones among them.
    pub errors: u64,
    /// Timeouts among them.
    pub timeouts: u64,
    /// Requests sent.
    pub sent: u64,
    /// Late ones among them.
    pub late: u64,
    /// The most users active at a time in it.
    pub users: u64,
    /// Latencies of the requests that finished.
    pub latency_ms: LatencySummary,
    /// 99th percentile of the send lag in microseconds.
    pub send_lag_us_p99: f64,
}

/// What happened in one phase.
#[derive(Debug, Clone, Default)]
pub struct PhaseTotals {
    /// Whether it began.
    pub began: bool,
    /// When, on the run's clock.
    pub start: Nanos,
    /// When its last shard ended it.
    pub end: Nanos,
    /// Finished requests.
    pub requests: u64,
    /// Failed ones, timeouts included.
    pub errors: u64,
    /// Timeouts.
    pub timeouts: u64,
    /// Failures.
    pub faults: FaultBook,
    /// Reasons for which the run has failed as a whole.
    pub criticals: Vec<FaultSample>,
    /// By check.
    pub checks: Vec<CheckTally>,
}

/// Everything counted so far.
#[derive(Debug, Clone)]
pub struct Totals {
    /// All shards together, in the phases that count.
    pub all: Delta,
    /// By phase of the plan.
    pub phases: Vec<PhaseTotals>,
    /// The phase that was reported last.
    pub phase: usize,
    /// What each shard's thread used of its CPU.
    pub threads: Vec<ThreadUse>,
}

/// Merges the counts of a run.
#[derive(Debug)]
pub(super) struct Collector {
    totals: Totals,
    /// Seconds for which not every shard has reported, and how many have.
    open: BTreeMap<(usize, u64), (Delta, usize)>,
    series: Vec<SeriesPoint>,
    shards: usize,
    steps: usize,
    /// By phase: whether it counts, and the second of the series in which it starts.
    measured: Vec<(bool, u64)>,
}

impl Collector {
    pub(super) fn new(shards: usize, steps: usize, phases: &[Phase]) -> Self {
        let mut passed = 0;
        let measured = phases
            .iter()
            .map(|phase| {
                let start = passed;
                if phase.measured {
                    passed += (phase.duration + phase.drain).as_secs() + 1;
                }
                (phase.measured, start)
            })
            .collect();
        Self {
            measured,
            totals: Totals {
                phases: vec![PhaseTotals::default(); phases.len()],
                phase: 0,
                all: Delta::new(0, steps),
                threads: vec![ThreadUse::default(); shards],
            },
            open: BTreeMap::new(),
            series: Vec::new(),
            shards,
            steps,
        }
    }

    /// Add a shard's second; the point of a second that is now complete.
    pub(super) fn add(&mut self, delta: &Delta) -> Option<SeriesPoint> {
        self.totals.phase = delta.phase;
        if let Some(phase) = self.totals.phases.get_mut(delta.phase) {
            phase.add(delta);
        }
        let (measured, first_second) = self.measured.get(delta.phase).copied()?;
        if !measured {
            return Some(point(delta.second, delta));
        }
        self.totals.all.merge(delta);
        if let Some(thread) = self.totals.threads.get_mut(delta.shard) {
            thread.merge(&delta.thread);
        }
        let second = first_second + delta.second;
        // Only the last hand-over can come twice for a second.
        if self
            .series
            .last()
            .is_some_and(|point| point.second >= second)
        {
            self.amend(second, delta);
            return None;
        }
        let (merged, reported) = self
            .open
            .entry((delta.phase, second))
            .or_insert_with(|| (Delta::new(0, self.steps), 0));
        merged.merge(delta);
        *reported += 1;
        if *reported < self.shards {
            return None;
        }
        let (merged, _) = self.open.remove(&(delta.phase, second))?;
        self.series.push(point(second, &merged));
        self.series.last().cloned()
    }

    /// Counts for a second that the series has passed.
    fn amend(&mut self, second: u64, delta: &Delta) {
        let late = point(second, delta);
        match self
            .series
            .binary_search_by_key(&second, |point| point.second)
        {
            Ok(at) => {
                let point = &mut self.series[at];
                point.requests += late.requests;
                point.errors += late.errors;
                point.timeouts += late.timeouts;
                point.sent += late.sent;
                point.late += late.late;
            }
            Err(at) => self.series.insert(at, late),
        }
    }

    /// The totals so far.
    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The totals and the whole series.
    pub(super) fn finish(mut self) -> (Totals, Vec<SeriesPoint>) {
        for ((_, second), (merged, _)) in std::mem::take(&mut self.open) {
            if merged.requests() > 0 || merged.sent > 0 {
                self.series.push(point(second, &merged));
            }
        }
        self.series.sort_by_key(|point| point.second);
        // The hand-over at the end of a phase often holds nothing of a second of its own.
        while self
            .series
            .last()
            .is_some_and(|last| last.requests == 0 && last.sent == 0)
            && self.series.len() > 1
        {
            self.series.pop();
        }
        (self.totals, self.series)
    }
}

impl PhaseTotals {
    fn add(&mut self, delta: &Delta) {
        self.began = true;
        self.start = delta.origin;
        self.end = self.end.max(delta.ended.unwrap_or(0));
        self.requests += delta.requests();
        self.errors += delta.errors();
        self.timeouts += delta.timeouts();
        self.faults.merge(&delta.faults);
        self.criticals.extend(delta.criticals.iter().cloned());
        merge_checks(&mut self.checks, &delta.checks);
    }
}

fn point(second: u64, merged: &Delta) -> SeriesPoint {
    let mut latency = Latencies::new();
    for step in &merged.steps {
        latency.merge(&step.latency);
    }
    SeriesPoint {
        second,
        requests: merged.requests(),
        errors: merged.errors(),
        timeouts: merged.timeouts(),
        sent: merged.sent,
        late: merged.late,
        users: merged.users,
        latency_ms: latency.summary(),
        send_lag_us_p99: merged.send_lag.quantile_ns(0.99) as f64 / 1e3,
    }
}

#[cfg(test)]
mod tests {
    use super::super::user::{StepId, Timing};
    use super::*;

    fn collector(shards: usize) -> Collector {
        let phase = Phase::new("load", std::time::Duration::from_secs(10));
        Collector::new(shards, 1, &[phase])
    }

    fn delta(shard: usize, second: u64, requests: u64) -> Delta {
        let mut delta = Delta::new(shard, 1);
        delta.second = second;
        for _ in 0..requests {
            let timing = Timing {
                due_at: 0,
                sent_at: 0,
                done_at: 1_000_000,
            };
            delta.count_sent(0, 0);
            delta.count_reply(StepId(0), timing, 1, None);
        }
        delta
    }

    #[test]
    fn a_second_is_complete_when_every_shard_has_reported_it() {
        let mut collector = collector(2);
        assert_eq!(collector.add(&delta(0, 0, 3)), None);
        assert_eq!(collector.add(&delta(0, 1, 1)), None);
        let point = collector.add(&delta(1, 0, 4)).unwrap();
        assert_eq!((point.second, point.requests), (0, 7));
        // A shard that has ended leaves a second that the other one still reports.
        let (totals, series) = collector.finish();
        assert_eq!(
            series
                .iter()
                .map(|point| point.requests)
                .collect::<Vec<_>>(),
            [7, 1]
        );
        assert_eq!(totals.all.requests(), 8);
    }

    #[test]
    fn a_late_hand_over_is_not_lost() {
        let mut collector = collector(1);
        for second in [0, 3] {
            collector.add(&delta(0, second, 1));
        }
        for second in [1, 3] {
            assert_eq!(collector.add(&delta(0, second, 2)), None);
        }
        let series = collector.finish().1;
        let seen: Vec<_> = series
            .iter()
            .map(|point| (point.second, point.requests))
            .collect();
        assert_eq!(seen, [(0, 1), (1, 2), (3, 3)]);
    }

    #[test]
    fn an_empty_end_is_no_second() {
        let mut collector = collector(1);
        collector.add(&delta(0, 0, 3));
        collector.add(&delta(0, 1, 0));
        assert_eq!(collector.finish().1.len(), 1);
    }
}
