//! The verdict: what limited a run, and the evidence for it. A pure function of what was measured.

use isukit_analyze::units::{format_count, format_ns};
use serde::Serialize;

use crate::engine::{FaultKind, ThreadUse, Totals};

/// A load thread that ran for this share of the time it could have run is saturated.
const SATURATED: f64 = 0.95;

/// A load thread that had no CPU for this share of the time competes with others for it, which
/// is worth a word beside other signs of a busy generator.
const STARVED: f64 = 0.02;

/// With a connection free, an arrival sent this much too late is the generator's fault: 1 ms.
const OWN_LAG_NS: u64 = 1_000_000;

/// A rate counts as met when at least this share of the arrivals was sent and answered.
const RATE_MET: f64 = 0.99;

/// And when no more than this share of them was sent late, or ten where that is more.
const LATE_ALLOWED: f64 = 0.01;

/// What limited the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// The target, the network to it, or how many connections wait for it; the evidence says more.
    ServerLimited,
    /// This machine or this process: the figures are a lower bound for the target.
    GeneratorLimited,
    /// Nothing: the asked rate was sent and answered.
    TargetRateMet,
}

impl Limit {
    /// As it is written in reports.
    pub fn label(self) -> &'static str {
        match self {
            Self::ServerLimited => "server-limited",
            Self::GeneratorLimited => "generator-limited",
            Self::TargetRateMet => "target-rate-met",
        }
    }
}

/// The verdict on a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// What limited it.
    pub limit: Limit,
    /// How we know, in sentences.
    pub evidence: Vec<String>,
}

/// The busiest thread's share of the time in which it could run.
pub fn busiest(threads: &[ThreadUse]) -> f64 {
    threads.iter().map(busy_share).fold(0.0, f64::max)
}

fn busy_share(used: &ThreadUse) -> f64 {
    // Time without a CPU is no time in which it could have run, but never let it be all of it.
    let available = used
        .wall_ns
        .saturating_sub(used.starved_ns)
        .max(used.cpu_ns)
        .max(1);
    used.cpu_ns as f64 / available as f64
}

fn starved_share(used: &ThreadUse) -> f64 {
    used.starved_ns as f64 / used.wall_ns.max(1) as f64
}

/// What a closed run of one URL learns when every connection waited for the target.
pub const MORE_CONNECTIONS: &str = "every connection was waiting for the target; more --connections \
     may give more, until only the latency grows";

/// What a scenario's run learns when its users waited for the target.
pub const MORE_USERS: &str = "the users were waiting for the target, or pausing as the script says; more \
     users may give more, until only the latency grows";

/// Judge a run; `rate` is the asked rate in requests a second, none for the closed model.
///
/// `waiting` says what it means when nothing limited the generator.
pub fn judge(totals: &Totals, rate: Option<f64>, waiting: &str) -> Verdict {
    let mut evidence = generator_evidence(totals);
    if !evidence.is_empty() {
        return Verdict {
            limit: Limit::GeneratorLimited,
            evidence,
        };
    }
    let idle = format!(
        "the busiest load thread used {:.0}% of its CPU",
        busiest(&totals.threads) * 100.0
    );
    let failed = totals.all.requests() == totals.all.errors();
    if failed {
        evidence.push("no request succeeded".to_owned());
    }
    let limit = match rate {
        None => {
            if !failed {
                evidence.push(waiting.to_owned());
            }
            Limit::ServerLimited
        }
        Some(rate) => judge_rate(totals, rate, &mut evidence),
    };
    evidence.push(idle);
    Verdict { limit, evidence }
}

fn generator_evidence(totals: &Totals) -> Vec<String> {
    let mut evidence = Vec::new();
    for (kind, what, remedy) in [
        (
            FaultKind::NoPorts,
            "found no free local port",
            "use keep-alive or more addresses",
        ),
        (
            FaultKind::OpenFiles,
            "met the limit on open files",
            "raise `ulimit -n`",
        ),
    ] {
        let count = totals.all.faults.count_of(kind);
        if count > 0 {
            evidence.push(format!("{} requests {what}: {remedy}", format_count(count)));
        }
    }
    let busy = busiest(&totals.threads);
    if busy >= SATURATED {
        evidence.push(format!(
            "a load thread used {:.0}% of its CPU: use more --threads or another machine",
            busy * 100.0
        ));
    }
    if let Some((share, own_lag)) = own_lag(totals) {
        evidence.push(format!(
            "{share:.0}% of the requests were sent more than {} late although a connection was free",
            format_ns(own_lag as f64)
        ));
    }
    let starved = totals.threads.iter().map(starved_share).fold(0.0, f64::max);
    if !evidence.is_empty() && starved >= STARVED {
        evidence.push(format!(
            "a load thread waited for a CPU for {:.0}% of the time: other processes compete for it",
            starved * 100.0
        ));
    }
    evidence
}

/// The share of the requests, in percent, that the generator itself sent too late, and by how much
/// at least: 1%, or ten of them where that is more, since anything can happen to one.
fn own_lag(totals: &Totals) -> Option<(f64, u64)> {
    let lags = &totals.all.own_lag;
    let share = (10.0 / lags.count().max(1) as f64).max(0.01);
    let lag = lags.quantile_ns((1.0 - share).max(0.0));
    (lag > OWN_LAG_NS).then_some((share.min(1.0) * 100.0, lag))
}

fn judge_rate(totals: &Totals, rate: f64, evidence: &mut Vec<String>) -> Limit {
    let all = &totals.all;
    let arrivals = (all.sent + all.dropped).max(1);
    let answered = all.requests().saturating_sub(all.errors());
    let late = all.late as f64 > (LATE_ALLOWED * arrivals as f64).max(10.0);
    let met = answered as f64 >= RATE_MET * arrivals as f64 && !late;
    evidence.push(format!(
        "{} of {} arrivals at {rate}/s were answered without error, {} sent late, {} never sent",
        format_count(answered),
        format_count(arrivals),
        format_count(all.late),
        format_count(all.dropped),
    ));
    if met {
        return Limit::TargetRateMet;
    }
    if late || all.dropped > 0 {
        let (_, service) = all.distributions();
        let needed = (rate * service.mean_ns() / 1e9).ceil().max(1.0);
        evidence.push(format!(
            "they were late because every connection was waiting for the target: at its mean \
             service time of {} this rate keeps {needed:.0} busy, so raise --connections or make \
             the target faster",
            format_ns(service.mean_ns())
        ));
    }
    Limit::ServerLimited
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Delta, Fault, StepId, Timing};

    struct Run {
        sent: u64,
        late: u64,
        dropped: u64,
        errors: u64,
        cpu: f64,
        starved: f64,
        own_lag_ns: u64,
        fault: FaultKind,
    }

    const QUIET: Run = Run {
        sent: 1_000,
        late: 0,
        dropped: 0,
        errors: 0,
        cpu: 0.5,
        starved: 0.0,
        own_lag_ns: 50_000,
        fault: FaultKind::Reset,
    };

    fn judge_run(run: &Run, rate: Option<f64>) -> Verdict {
        let mut all = Delta::new(0, 1);
        let timing = Timing {
            due_at: 0,
            sent_at: 0,
            done_at: 1_000,
        };
        let fault = Fault::new(run.fault, "");
        for n in 0..run.sent {
            let fault = (n < run.errors).then_some(&fault);
            all.count_reply(StepId(0), timing, 0, fault);
            all.own_lag.record(run.own_lag_ns);
        }
        all.sent = run.sent;
        all.late = run.late;
        all.dropped = run.dropped;
        let wall = 1_000_000_000.0;
        let thread = ThreadUse {
            wall_ns: wall as u64,
            cpu_ns: (run.cpu * wall) as u64,
            starved_ns: (run.starved * wall) as u64,
        };
        judge(
            &Totals {
                phases: Vec::new(),
                phase: 0,
                all,
                threads: vec![ThreadUse::default(), thread],
            },
            rate,
            MORE_CONNECTIONS,
        )
    }

    #[test]
    fn each_limit_is_told_from_the_others() {
        use Limit::{GeneratorLimited as Generator, ServerLimited as Server, TargetRateMet as Met};
        let check = |run: Run, rate: Option<f64>, limit: Limit| {
            let verdict = judge_run(&run, rate);
            assert_eq!(verdict.limit, limit, "{verdict:?}");
            assert!(!verdict.evidence.is_empty());
        };
        let rate = Some(1_000.0);
        check(QUIET, None, Server);
        check(QUIET, rate, Met);
        check(Run { cpu: 0.97, ..QUIET }, None, Generator);
        check(Run { cpu: 0.97, ..QUIET }, rate, Generator);
        // Busy for all the time in which it had a CPU.
        check(
            Run {
                cpu: 0.6,
                starved: 0.38,
                ..QUIET
            },
            None,
            Generator,
        );
        check(
            Run {
                cpu: 0.5,
                starved: 0.3,
                ..QUIET
            },
            None,
            Server,
        );
        check(
            Run {
                own_lag_ns: 3_000_000,
                ..QUIET
            },
            rate,
            Generator,
        );
        check(Run { late: 200, ..QUIET }, rate, Server);
        check(
            Run {
                dropped: 200,
                ..QUIET
            },
            rate,
            Server,
        );
        check(
            Run {
                errors: 200,
                ..QUIET
            },
            rate,
            Server,
        );
        check(
            Run {
                errors: 5,
                late: 5,
                ..QUIET
            },
            rate,
            Met,
        );
        check(
            Run {
                errors: 5,
                fault: FaultKind::NoPorts,
                ..QUIET
            },
            rate,
            Generator,
        );
        check(
            Run {
                errors: 5,
                fault: FaultKind::OpenFiles,
                ..QUIET
            },
            None,
            Generator,
        );
    }

    #[test]
    fn a_run_without_a_success_says_so() {
        let verdict = judge_run(
            &Run {
                errors: 1_000,
                ..QUIET
            },
            None,
        );
        assert!(
            verdict
                .evidence
                .iter()
                .any(|line| line == "no request succeeded")
        );
    }
}
