//! The collector: merges what the shards hand over into totals and a series by second.

use std::collections::BTreeMap;

use isukit_analyze::latency::{Latencies, LatencySummary};
use serde::Serialize;

use super::tally::{Delta, ThreadUse};

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
    /// Users active at its end.
    pub users: u64,
    /// Latencies of the requests that finished.
    pub latency_ms: LatencySummary,
    /// 99th percentile of the send lag in microseconds.
    pub send_lag_us_p99: f64,
}

/// Everything counted so far.
#[derive(Debug, Clone)]
pub struct Totals {
    /// All shards together.
    pub all: Delta,
    /// What each shard's thread used of its CPU.
    pub threads: Vec<ThreadUse>,
}

/// Merges the counts of a run.
#[derive(Debug)]
pub(super) struct Collector {
    totals: Totals,
    /// Seconds for which not every shard has reported, and how many have.
    open: BTreeMap<u64, (Delta, usize)>,
    series: Vec<SeriesPoint>,
    shards: usize,
    steps: usize,
}

impl Collector {
    pub(super) fn new(shards: usize, steps: usize) -> Self {
        Self {
            totals: Totals {
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
    pub(super) fn add(&mut self, delta: &Delta) -> Option<&SeriesPoint> {
        self.totals.all.merge(delta);
        if let Some(thread) = self.totals.threads.get_mut(delta.shard) {
            thread.merge(&delta.thread);
        }
        // Only the last hand-over can come twice for a second.
        if self
            .series
            .last()
            .is_some_and(|point| point.second >= delta.second)
        {
            self.amend(delta);
            return None;
        }
        let (merged, reported) = self
            .open
            .entry(delta.second)
            .or_insert_with(|| (Delta::new(0, self.steps), 0));
        merged.merge(delta);
        *reported += 1;
        if *reported < self.shards {
            return None;
        }
        let (merged, _) = self.open.remove(&delta.second)?;
        self.series.push(point(delta.second, &merged));
        self.series.last()
    }

    /// Counts for a second that the series has passed.
    fn amend(&mut self, delta: &Delta) {
        let late = point(delta.second, delta);
        match self
            .series
            .binary_search_by_key(&delta.second, |point| point.second)
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
        for (second, (merged, _)) in std::mem::take(&mut self.open) {
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
        let mut collector = Collector::new(2, 1);
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
        let mut collector = Collector::new(1, 1);
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
        let mut collector = Collector::new(1, 1);
        collector.add(&delta(0, 0, 3));
        collector.add(&delta(0, 1, 0));
        assert_eq!(collector.finish().1.len(), 1);
    }
}
