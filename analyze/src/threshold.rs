//! Thresholds: what a run must reach to pass, such as `p99 < 50ms` or `login: errors < 1%`.
//!
//! Grammar: `[STEP:] METRIC OP VALUE`, where OP is one of `< <= > >= ==`.
//!
//! | metric | value |
//! | --- | --- |
//! | `p50`, `p99`, `p99.9`, `min`, `mean`, `max` | a duration, of the latency from the intended time |
//! | `service_p99` and so on | a duration, from the moment the request was really sent |
//! | `send_lag_p99` and so on | a duration, by how much requests were sent too late |
//! | `errors`, `timeouts` | a number, or a percentage of the requests |
//! | `late`, `dropped` | a number, or a percentage of the arrivals |
//! | `requests`, `rps` | a number |

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use thiserror::Error;

use crate::latency::Latencies;
use crate::units;

/// The metrics a threshold may name, for messages.
const METRICS: &str = "p50 (any pNN), min, mean, max, service_pNN, send_lag_pNN, errors, \
     timeouts, late, dropped, requests or rps";

/// A threshold that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ThresholdError {
    /// No comparison in it.
    #[error("`{0}` compares nothing; write METRIC OP VALUE, such as `p99 < 50ms` or `errors < 1%`")]
    NoComparison(String),
    /// The metric is unknown.
    #[error("`{metric}` in `{text}` is no metric; use {METRICS}")]
    Metric {
        /// The whole threshold.
        text: String,
        /// The part that names no metric.
        metric: String,
    },
    /// The value does not suit the metric.
    #[error("`{value}` in `{text}` is not {wanted}")]
    Value {
        /// The whole threshold.
        text: String,
        /// The value as written.
        value: String,
        /// What this metric is compared with.
        wanted: &'static str,
    },
}

/// Which distribution a latency metric looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Distribution {
    Latency,
    Service,
    SendLag,
}

/// Which number of a distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Point {
    Quantile(f64),
    Min,
    Mean,
    Max,
}

/// A number that may also be asked for as a share of another.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Counter {
    Errors,
    Timeouts,
    Late,
    Dropped,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Metric {
    /// Compared in nanoseconds.
    Time(Distribution, Point),
    Count(Counter),
    /// Compared in percent.
    Share(Counter),
    Requests,
    Rps,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Op {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
}

/// The operators, longest first so that `<=` is not read as `<`.
const OPS: [(&str, Op); 5] = [
    ("<=", Op::LessOrEqual),
    (">=", Op::GreaterOrEqual),
    ("==", Op::Equal),
    ("<", Op::Less),
    (">", Op::Greater),
];

/// What a run must reach. Made by [`FromStr`]; shown as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    text: String,
    step: Option<String>,
    metric: Metric,
    op: Op,
    value: f64,
}

/// What a threshold is held against: one step, or all of them.
#[derive(Debug, Clone, Copy)]
pub struct Measured<'a> {
    /// Latency from the intended time.
    pub latency: &'a Latencies,
    /// Time from the real sending.
    pub service: &'a Latencies,
    /// How late requests were sent.
    pub send_lag: &'a Latencies,
    /// Finished requests.
    pub requests: u64,
    /// Those among them that finished while requests were being sent: the ground for `rps`.
    pub in_time: u64,
    /// Requests that failed, timeouts included.
    pub errors: u64,
    /// Requests that timed out.
    pub timeouts: u64,
    /// Arrivals sent late.
    pub late: u64,
    /// Arrivals never sent.
    pub dropped: u64,
    /// Length of the measured time in seconds.
    pub seconds: f64,
}

/// How one threshold ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The threshold as written.
    pub threshold: String,
    /// Whether it was met.
    pub passed: bool,
    /// What was measured, for people; none when there was no sample.
    pub actual: Option<String>,
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let (at, symbol, op) = OPS
            .iter()
            .filter_map(|(symbol, op)| text.find(symbol).map(|at| (at, *symbol, *op)))
            .min_by_key(|(at, symbol, _)| (*at, usize::MAX - symbol.len()))
            .ok_or_else(|| ThresholdError::NoComparison(text.to_owned()))?;
        let (left, right) = (text[..at].trim(), text[at + symbol.len()..].trim());
        let (step, name) = match left.rsplit_once(':') {
            Some((step, name)) => (Some(step.trim().to_owned()), name.trim()),
            None => (None, left),
        };
        let (metric, value) = parse_sides(text, name, right)?;
        Ok(Self {
            text: text.to_owned(),
            step,
            metric,
            op,
            value,
        })
    }
}

fn parse_sides(text: &str, name: &str, right: &str) -> Result<(Metric, f64), ThresholdError> {
    let value_error = |wanted| ThresholdError::Value {
        text: text.to_owned(),
        value: right.to_owned(),
        wanted,
    };
    let number = |text: &str, wanted| {
        let value: f64 = text.trim().parse().map_err(|_| value_error(wanted))?;
        if value.is_finite() {
            Ok(value)
        } else {
            Err(value_error(wanted))
        }
    };
    let counter = match name {
        "errors" => Some(Counter::Errors),
        "timeouts" => Some(Counter::Timeouts),
        "late" => Some(Counter::Late),
        "dropped" => Some(Counter::Dropped),
        _ => None,
    };
    if let Some(counter) = counter {
        let wanted = "a number or a percentage, such as 10 or 1%";
        return match right.strip_suffix('%') {
            Some(share) => Ok((Metric::Share(counter), number(share, wanted)?)),
            None => Ok((Metric::Count(counter), number(right, wanted)?)),
        };
    }
    match name {
        "requests" => return Ok((Metric::Requests, number(right, "a number")?)),
        "rps" => return Ok((Metric::Rps, number(right, "a number")?)),
        _ => {}
    }
    let metric = time_metric(name).ok_or_else(|| ThresholdError::Metric {
        text: text.to_owned(),
        metric: name.to_owned(),
    })?;
    // A bare number would leave people guessing between seconds and milliseconds.
    if right.parse::<f64>().is_ok() {
        return Err(value_error("a duration with its unit, such as 50ms"));
    }
    let duration = units::parse_duration(right)
        .map_err(|_| value_error("a duration with its unit, such as 50ms"))?;
    Ok((metric, duration.as_nanos() as f64))
}

fn time_metric(name: &str) -> Option<Metric> {
    let (distribution, point) = if let Some(rest) = name.strip_prefix("service_") {
        (Distribution::Service, rest)
    } else if let Some(rest) = name.strip_prefix("send_lag_") {
        (Distribution::SendLag, rest)
    } else {
        (Distribution::Latency, name)
    };
    let point = match point {
        "min" => Point::Min,
        "mean" => Point::Mean,
        "max" => Point::Max,
        _ => {
            let digits = point.strip_prefix('p')?;
            if !digits.starts_with(|c: char| c.is_ascii_digit()) {
                return None;
            }
            // `p999` is written for 99.9 in reports.
            let percent: f64 = if digits.len() > 2 && digits.bytes().all(|digit| digit == b'9') {
                format!("{}.{}", &digits[..2], &digits[2..]).parse().ok()?
            } else {
                digits.parse().ok()?
            };
            if !(0.0..=100.0).contains(&percent) {
                return None;
            }
            Point::Quantile(percent / 100.0)
        }
    };
    Some(Metric::Time(distribution, point))
}

impl Threshold {
    /// The step it speaks of; none for all of them together.
    pub fn step(&self) -> Option<&str> {
        self.step.as_deref()
    }

    /// Hold the threshold against what was measured; `None` when its step does not exist.
    ///
    /// Without a single finished request it fails, whatever it asks.
    pub fn judge(&self, measured: Option<&Measured<'_>>) -> Finding {
        let actual = measured
            .filter(|measured| measured.requests > 0)
            .and_then(|measured| self.metric.read(measured));
        let passed = actual.is_some_and(|actual| match self.op {
            Op::Less => actual < self.value,
            Op::LessOrEqual => actual <= self.value,
            Op::Greater => actual > self.value,
            Op::GreaterOrEqual => actual >= self.value,
            Op::Equal => actual == self.value,
        });
        Finding {
            threshold: self.text.clone(),
            passed,
            actual: actual.map(|actual| self.metric.show(actual)),
        }
    }
}

impl Metric {
    /// The measured number; `None` when no sample says anything about it.
    fn read(self, measured: &Measured<'_>) -> Option<f64> {
        let share = |counter: Counter| {
            let of = match counter {
                Counter::Errors | Counter::Timeouts => measured.requests,
                Counter::Late | Counter::Dropped => measured.requests + measured.dropped,
            };
            100.0 * counter.of(measured) as f64 / of as f64
        };
        match self {
            Self::Time(distribution, point) => {
                let values = match distribution {
                    Distribution::Latency => measured.latency,
                    Distribution::Service => measured.service,
                    Distribution::SendLag => measured.send_lag,
                };
                if values.is_empty() {
                    return None;
                }
                Some(match point {
                    Point::Quantile(q) => values.quantile_ns(q) as f64,
                    Point::Min => values.min_ns() as f64,
                    Point::Mean => values.mean_ns(),
                    Point::Max => values.max_ns() as f64,
                })
            }
            Self::Count(counter) => Some(counter.of(measured) as f64),
            Self::Share(counter) => Some(share(counter)),
            Self::Requests => Some(measured.requests as f64),
            Self::Rps => Some(measured.in_time as f64 / measured.seconds),
        }
    }

    fn show(self, actual: f64) -> String {
        match self {
            Self::Time(..) => units::format_ns(actual),
            Self::Share(_) => format!("{actual:.3}%"),
            Self::Count(_) | Self::Requests => format!("{actual:.0}"),
            Self::Rps => format!("{actual:.1}"),
        }
    }
}

impl Counter {
    fn of(self, measured: &Measured<'_>) -> u64 {
        match self {
            Self::Errors => measured.errors,
            Self::Timeouts => measured.timeouts,
            Self::Late => measured.late,
            Self::Dropped => measured.dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1,000 requests of 1 to 1,000 ms in 10 s, 5 errors of which 2 timeouts, 30 late, 10 dropped.
    fn judge(text: &str) -> Finding {
        let mut latency = Latencies::new();
        let mut send_lag = Latencies::new();
        for ms in 1..=1_000 {
            latency.record(ms * 1_000_000);
            send_lag.record(ms * 1_000);
        }
        let threshold: Threshold = text.parse().unwrap();
        threshold.judge(Some(&Measured {
            latency: &latency,
            service: &latency,
            send_lag: &send_lag,
            requests: 1_000,
            in_time: 900,
            errors: 5,
            timeouts: 2,
            late: 30,
            dropped: 10,
            seconds: 10.0,
        }))
    }

    #[test]
    fn each_metric_is_compared() {
        let check = |text: &str, passed: bool| {
            let finding = judge(text);
            assert_eq!(finding.passed, passed, "{finding:?}");
        };
        check("p50 < 510ms", true);
        check("p50 < 490ms", false);
        check("p99.9<=1s", true);
        check("p999 < 990ms", false);
        check("p100 >= 1s", true);
        check("min < 2ms", true);
        check("mean > 0.6s", false);
        check("max < 100ms", false);
        check("service_p90 < 1s", true);
        check("send_lag_p99 < 980us", false);
        check("send_lag_max < 2ms", true);
        check("errors < 1%", true);
        check("errors < 0.5%", false);
        check("errors == 5", true);
        check("timeouts < 2", false);
        check("late < 3%", true);
        check("dropped == 0", false);
        check("requests >= 1000", true);
        check("rps > 90", false);
        check("rps >= 90", true);
    }

    #[test]
    fn no_sample_fails_whatever_is_asked() {
        let empty = Latencies::new();
        let nothing = Measured {
            latency: &empty,
            service: &empty,
            send_lag: &empty,
            requests: 0,
            in_time: 0,
            errors: 0,
            timeouts: 0,
            late: 0,
            dropped: 0,
            seconds: 1.0,
        };
        for text in ["p99 < 50ms", "errors < 1%", "errors == 0", "rps < 5"] {
            let threshold: Threshold = text.parse().unwrap();
            for measured in [Some(&nothing), None] {
                let finding = threshold.judge(measured);
                assert!(!finding.passed && finding.actual.is_none(), "{finding:?}");
            }
        }
    }

    #[test]
    fn a_step_may_be_named() {
        let threshold: Threshold = "GET /a:b: p99 < 1s".parse().unwrap();
        assert_eq!(threshold.step(), Some("GET /a:b"));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let check = |text: &str, part: &str| {
            let error = text.parse::<Threshold>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        };
        check("p99", "compares nothing");
        check("p99 < 50", "a duration with its unit");
        check("p99 < fast", "a duration with its unit");
        check("p101 < 1s", "no metric");
        check("latency < 1s", "no metric");
        check("errors < few", "a number or a percentage");
        check("errors < inf", "a number or a percentage");
        check("rps > 10%", "a number");
        check("< 5ms", "no metric");
    }
}
