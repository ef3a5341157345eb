//! What changed between two digests, and whether that is more than noise.

use serde::Serialize;

use super::group::Group;
use super::report::id_of;
use super::{Digest, Section};
use crate::access::Collapse;

/// Name and version of the comparison's JSON form.
pub const DIFF_SCHEMA: &str = "isukit.diff/1";

/// A change of less than this share of the group's own figure is never called one.
const SMALLEST_CHANGE: f64 = 0.05;

/// The chance that noise alone makes any group of a comparison look changed.
const FALSE_ALARMS: f64 = 0.01;

/// Fewer than this many on either side tell nothing about a mean.
const FEWEST: u64 = 5;

/// What became of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It takes more time, and noise does not explain it.
    Worse,
    /// It takes less time, and noise does not explain it.
    Better,
    /// It was not there before.
    New,
    /// It is not there any more.
    Gone,
    /// Noise may explain the difference.
    Same,
}

/// One side of a group.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Side {
    /// Statements or requests.
    pub count: u64,
    /// Their time in seconds.
    pub total_s: f64,
    /// Mean time in seconds.
    pub mean_s: f64,
    /// 95th percentile in seconds.
    pub p95_s: f64,
    /// Share of the time of its sort, 0 to 1.
    pub share: f64,
    /// How many failed.
    pub errors: u64,
}

/// How a group differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupChange {
    /// `statement` or `route`.
    pub kind: &'static str,
    /// The shape or the route.
    pub key: String,
    /// Its short name.
    pub id: String,
    /// What became of it.
    pub change: Change,
    /// Before.
    pub a: Side,
    /// After.
    pub b: Side,
    /// Difference of the time in seconds, or in seconds a second (see [`DiffReport::basis`]).
    pub delta: f64,
    /// The same as a share of the whole time before.
    pub delta_share: f64,
    /// Mean after, relative to the mean before; none when it is new or gone.
    pub mean_ratio: Option<f64>,
    /// Difference of the time in standard errors.
    pub z_total: f64,
    /// Difference of the mean in standard errors.
    pub z_mean: f64,
    /// Whether the mean changed by more than noise.
    pub is_mean_changed: bool,
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Whole {
    /// `statement` or `route`.
    pub kind: &'static str,
    /// Statements or requests before and after.
    pub count: [u64; 2],
    /// Their time in seconds.
    pub total_s: [f64; 2],
    /// From the first to the last in seconds; none when the log has no times of day.
    pub span_s: [Option<f64>; 2],
    /// Mean time in seconds.
    pub mean_s: [f64; 2],
}

/// What changed from one digest to another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DiffReport {
    /// [`DIFF_SCHEMA`].
    pub schema: &'static str,
    /// `per_second`: times are divided by the time from the first to the last, as the logs differ in
    /// length; `total`: they are not.
    pub basis: &'static str,
    /// What to know about the comparison.
    pub notes: Vec<String>,
    /// The sorts of groups that both have.
    pub wholes: Vec<Whole>,
    /// How many standard errors a difference must have to be called one.
    pub z_limit: f64,
    /// The groups, the largest difference first.
    pub groups: Vec<GroupChange>,
}

/// Compare two digests: `a` is before, `b` after.
pub fn diff(a: &Digest, b: &Digest) -> DiffReport {
    // Which paths are one route is found out from both: new names of files are no new routes.
    let learned = Collapse::learn(a.requests.routes().chain(b.requests.routes()));
    let [a_routes, b_routes] = [a, b].map(|digest| {
        let (mut routes, mut names) = (digest.requests.clone(), digest.names.clone());
        routes.rename(|route| learned.apply(route), &mut names);
        routes
    });
    let mut notes = Vec::new();
    let pairs = [
        ("statement", &a.statements, &b.statements),
        ("route", &a_routes, &b_routes),
    ];
    let pairs: Vec<_> = pairs
        .into_iter()
        .filter(|(kind, a, b)| {
            let (what, log) = match *kind {
                "statement" => ("statements", "slow log"),
                _ => ("routes", "access log"),
            };
            match (a.records, b.records) {
                (0, 0) => return false,
                (0, _) => notes.push(format!("no {log} before: {what} are not compared")),
                (_, 0) => notes.push(format!("no {log} after: {what} are not compared")),
                _ => {}
            }
            a.records > 0 && b.records > 0
        })
        .collect();
    let compared: usize = pairs
        .iter()
        .map(|(_, a, b)| a.groups.len().max(b.groups.len()))
        .sum();
    let z_limit = normal_quantile(1.0 - FALSE_ALARMS / (2.0 * compared.max(1) as f64));
    let is_per_second = pairs.iter().all(|(_, a, b)| lengths_differ(a, b));
    let mut groups = Vec::new();
    for (kind, a, b) in &pairs {
        let scale = match is_per_second {
            true => [
                1.0 / span_s(a).unwrap_or(1.0),
                1.0 / span_s(b).unwrap_or(1.0),
            ],
            false => [1.0, 1.0],
        };
        groups.extend(changes(kind, a, b, scale, z_limit));
    }
    groups.sort_by(|left, right| {
        let key = |change: &GroupChange| (change.change != Change::Same, change.delta.abs());
        let (left_key, right_key) = (key(left), key(right));
        right_key
            .0
            .cmp(&left_key.0)
            .then_with(|| right_key.1.total_cmp(&left_key.1))
            .then_with(|| left.key.cmp(&right.key))
    });
    DiffReport {
        schema: DIFF_SCHEMA,
        basis: if is_per_second { "per_second" } else { "total" },
        notes,
        wholes: pairs.iter().map(|(kind, a, b)| whole(kind, a, b)).collect(),
        z_limit,
        groups,
    }
}

fn span_s(section: &Section) -> Option<f64> {
    let (first, last) = section.span_us()?;
    Some(last.saturating_sub(first) as f64 / 1e6).filter(|span| *span >= 1.0)
}

/// Whether both logs know how long they are, and one is at least a twentieth longer.
fn lengths_differ(a: &Section, b: &Section) -> bool {
    match (span_s(a), span_s(b)) {
        (Some(a), Some(b)) => (a / b).ln().abs() > SMALLEST_CHANGE,
        _ => false,
    }
}

fn whole(kind: &'static str, a: &Section, b: &Section) -> Whole {
    let both = [a, b];
    Whole {
        kind,
        count: both.map(|section| section.count),
        total_s: both.map(|section| section.times.sum_ns() as f64 / 1e9),
        span_s: both.map(span_s),
        mean_s: both.map(|section| section.times.mean_ns() / 1e9),
    }
}

fn changes(
    kind: &'static str,
    a: &Section,
    b: &Section,
    scale: [f64; 2],
    z_limit: f64,
) -> Vec<GroupChange> {
    let whole = a.times.sum_ns() as f64 / 1e9 * scale[0];
    let before: rustc_hash::FxHashMap<&str, &Group> = a
        .groups
        .iter()
        .map(|group| (group.name.as_str(), group))
        .collect();
    let after: rustc_hash::FxHashMap<&str, &Group> = b
        .groups
        .iter()
        .map(|group| (group.name.as_str(), group))
        .collect();
    let mut names: Vec<&str> = before.keys().chain(after.keys()).copied().collect();
    names.sort_unstable();
    names.dedup();
    let compare = |name: &str| {
        let pair = [before.get(name).copied(), after.get(name).copied()];
        let sides = [side(pair[0], a), side(pair[1], b)];
        let mut change = compared(pair, sides, scale, z_limit);
        change.kind = kind;
        change.key = name.to_owned();
        change.id = id_of(name);
        change.delta_share = if whole > 0.0 {
            change.delta / whole
        } else {
            0.0
        };
        change
    };
    names.into_iter().map(compare).collect()
}

fn side(group: Option<&Group>, section: &Section) -> Side {
    let Some(group) = group else {
        return Side::default();
    };
    let whole = section.times.sum_ns() as f64;
    let total = group.times.sum_ns() as f64;
    Side {
        count: group.count,
        total_s: total / 1e9,
        mean_s: group.times.mean_ns() / 1e9,
        p95_s: group.times.quantile_ns(0.95) as f64 / 1e9,
        share: if whole > 0.0 { total / whole } else { 0.0 },
        errors: group.errors,
    }
}

/// Variance of the sum of a Poisson number of durations: the number times their mean square.
fn variance_of_total(group: Option<&Group>, side: Side) -> f64 {
    let deviation = group.map_or(0.0, |group| group.times.deviation_ns() / 1e9);
    side.count as f64 * (deviation * deviation + side.mean_s * side.mean_s)
}

/// Variance of the mean.
fn variance_of_mean(group: Option<&Group>, side: Side) -> f64 {
    let deviation = group.map_or(0.0, |group| group.times.deviation_ns() / 1e9);
    deviation * deviation / side.count.max(1) as f64
}

fn standard_errors(difference: f64, variance: f64) -> f64 {
    match variance > 0.0 {
        true => difference / variance.sqrt(),
        // No spread at all: any difference is one.
        false if difference == 0.0 => 0.0,
        false => difference.signum() * 1e6,
    }
}

fn compared(
    pair: [Option<&Group>; 2],
    sides: [Side; 2],
    scale: [f64; 2],
    z_limit: f64,
) -> GroupChange {
    let [a, b] = sides;
    let totals = [a.total_s * scale[0], b.total_s * scale[1]];
    let delta = totals[1] - totals[0];
    let variance: f64 = (0..2)
        .map(|at| variance_of_total(pair[at], sides[at]) * scale[at] * scale[at])
        .sum();
    let z_total = standard_errors(delta, variance);
    let spread = (0..2).map(|at| variance_of_mean(pair[at], sides[at])).sum();
    let both = a.count > 0 && b.count > 0;
    let z_mean = match both {
        true => standard_errors(b.mean_s - a.mean_s, spread),
        false => 0.0,
    };
    let mean_ratio = (both && a.mean_s > 0.0).then(|| b.mean_s / a.mean_s);
    let is_large = |from: f64, to: f64| (to - from).abs() > SMALLEST_CHANGE * from.max(to);
    let change = match (a.count, b.count) {
        (0, _) => Change::New,
        (_, 0) => Change::Gone,
        _ if z_total.abs() <= z_limit || !is_large(totals[0], totals[1]) => Change::Same,
        _ if delta > 0.0 => Change::Worse,
        _ => Change::Better,
    };
    GroupChange {
        kind: "",
        key: String::new(),
        id: String::new(),
        change,
        a,
        b,
        delta,
        delta_share: 0.0,
        mean_ratio,
        z_total,
        z_mean,
        is_mean_changed: both
            && a.count.min(b.count) >= FEWEST
            && z_mean.abs() > z_limit
            && is_large(a.mean_s, b.mean_s),
    }
}

/// The value that a standard normal variable stays below with probability `p` (0.5 to 1).
///
/// Abramowitz and Stegun, Handbook of Mathematical Functions, formula 26.2.23: at most 0.00045 off.
fn normal_quantile(p: f64) -> f64 {
    let t = (-2.0 * (1.0 - p).max(1e-300).ln()).sqrt();
    let above = 2.515517 + t * (0.802853 + t * 0.010328);
    let below = 1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308));
    t - above / below
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Statements, What};

    fn digest(groups: &[(&str, u64, u64)]) -> Digest {
        let mut digest = Digest::new();
        for (at, (name, count, mean_ns)) in groups.iter().enumerate() {
            let section = &mut digest.statements;
            let what = || What::Statements(Box::<Statements>::default());
            let index = section.enter(at as u64 + 1, (*name).to_owned(), what) as usize;
            for n in 0..*count {
                // Spread evenly from half to one and a half of the mean.
                let ns = mean_ns / 2 + mean_ns * (n % 101) / 100;
                section.times.record(ns, 1);
                section.groups[index].times.record(ns, 1);
                section.groups[index].count += 1;
                section.count += 1;
                section.records += 1;
            }
        }
        digest
    }

    #[test]
    fn changes_beyond_noise_are_named() {
        let before = digest(&[
            ("slow", 1_000, 2_000_000),
            ("even", 1_000, 500_000),
            ("old", 10, 1_000),
        ]);
        let after = digest(&[
            ("slow", 1_000, 200_000),
            ("even", 1_010, 501_000),
            ("fresh", 10, 1_000),
        ]);
        let report = diff(&before, &after);
        let seen: Vec<_> = report
            .groups
            .iter()
            .map(|group| (group.key.as_str(), group.change))
            .collect();
        assert_eq!(
            seen,
            [
                ("slow", Change::Better),
                ("fresh", Change::New),
                ("old", Change::Gone),
                ("even", Change::Same),
            ]
        );
        let slow = &report.groups[0];
        assert!((slow.delta + 1.8).abs() < 0.01, "{slow:?}");
        assert!(
            slow.is_mean_changed && (slow.delta_share + 0.72).abs() < 0.01,
            "{slow:?}"
        );
        let back = diff(&after, &before);
        assert_eq!(back.groups[0].change, Change::Worse);
    }

    #[test]
    fn equal_digests_do_not_differ() {
        let one = digest(&[("a", 100, 2_000_000), ("b", 1, 9_000_000)]);
        let report = diff(&one, &one);
        assert!(
            report
                .groups
                .iter()
                .all(|group| group.change == Change::Same)
        );
        assert!(
            report
                .groups
                .iter()
                .all(|group| group.delta == 0.0 && !group.is_mean_changed)
        );
    }

    #[test]
    fn a_few_of_a_group_prove_nothing() {
        let before = digest(&[("rare", 3, 2_000_000), ("other", 1_000, 1_000)]);
        let after = digest(&[("rare", 4, 2_500_000), ("other", 1_000, 1_000)]);
        assert!(
            diff(&before, &after)
                .groups
                .iter()
                .all(|g| g.change == Change::Same)
        );
    }

    #[test]
    fn quantiles_of_the_normal_distribution() {
        for (p, z) in [(0.975, 1.96), (0.995, 2.5758), (0.9999, 3.719)] {
            assert!((normal_quantile(p) - z).abs() < 0.001, "{p}");
        }
    }
}
