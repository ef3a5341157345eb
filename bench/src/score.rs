//! The score of a run and whether it passed: pure folds over counts.

use serde::Serialize;
use std::fmt;

use thiserror::Error;

/// Points, in millionths, so that 0.1 is exactly a tenth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Points(i64);

/// Millionths in one.
const ONE: i64 = 1_000_000;

/// A number that cannot be points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PointsError {
    /// Too large, or no number.
    #[error("points are numbers from -1e9 to 1e9")]
    Range,
    /// Finer than a millionth.
    #[error("points have at most six decimals")]
    Decimals,
}

impl Points {
    /// So many whole points, at most a thousand million either way.
    pub fn whole(points: i32) -> Self {
        Self(i64::from(points).clamp(-1_000_000_000, 1_000_000_000) * ONE)
    }

    /// The value, to the nearest number there is.
    pub fn value(self) -> f64 {
        self.0 as f64 / ONE as f64
    }

    /// Whether it is more than nothing.
    pub fn is_positive(self) -> bool {
        self.0 > 0
    }
}

impl TryFrom<f64> for Points {
    type Error = PointsError;

    fn try_from(value: f64) -> Result<Self, PointsError> {
        if !(-1e9..=1e9).contains(&value) {
            return Err(PointsError::Range);
        }
        let millionths = (value * ONE as f64).round();
        // The nearest number to so many millionths is what the same decimals are read as.
        if millionths / ONE as f64 != value {
            return Err(PointsError::Decimals);
        }
        Ok(Self(millionths as i64))
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value())
    }
}

/// So many points for each full `per` of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// How many make one step; at least 1.
    pub per: u64,
    /// Points for each full step.
    pub points: Points,
}

impl Rule {
    /// So many points for each.
    pub fn each(points: Points) -> Self {
        Self { per: 1, points }
    }
}

/// A tag that the script counts with `score("tag")`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its name.
    pub name: String,
    /// What it is worth.
    pub rule: Rule,
}

/// A factor on some tags, chosen by a count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bonus {
    /// The tag or counter of the script whose count chooses the step.
    pub by: String,
    /// Whether it applies, by tag index; as long as [`ScoreRules::tags`].
    pub applies: Vec<bool>,
    /// From which count on which factor, increasing. Below the first the factor is 1.
    pub steps: Vec<(u64, Points)>,
}

/// What counts for how many points.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScoreRules {
    /// The tags, in the order of the file; a tag's index is its place here.
    pub tags: Vec<Tag>,
    /// Errors that are no timeouts.
    pub error: Option<Rule>,
    /// Timeouts.
    pub timeout: Option<Rule>,
    /// A factor on some tags.
    pub bonus: Option<Bonus>,
}

impl ScoreRules {
    /// The index of a tag.
    pub fn tag(&self, name: &str) -> Option<usize> {
        self.tags.iter().position(|tag| tag.name == name)
    }

    /// The index of the tag that chooses the bonus; `None` when there is no bonus or when a counter
    /// of the script chooses it.
    pub fn bonus_tag(&self) -> Option<usize> {
        self.tag(&self.bonus.as_ref()?.by)
    }
}

impl Bonus {
    /// The factor at a count.
    fn factor(&self, count: u64) -> Points {
        let reached = self.steps.iter().rev().find(|(from, _)| *from <= count);
        reached.map_or(Points(ONE), |(_, factor)| *factor)
    }
}

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts<'a> {
    /// By tag index; missing ones are 0.
    pub tags: &'a [u64],
    /// Errors that are no timeouts.
    pub errors: u64,
    /// Timeouts.
    pub timeouts: u64,
    /// Count of what [`Bonus::by`] names.
    pub bonus_by: u64,
}

/// The score of a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Score {
    /// All points, rounded down to a hundredth (-0.001 becomes -0.01).
    pub total: f64,
    /// How it comes about: all tags, then `error` and `timeout` where they have a rule.
    pub breakdown: Vec<ScoreLine>,
}

/// A summand of a score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreLine {
    /// The tag, or `error` or `timeout`.
    pub name: String,
    /// How many there were.
    pub count: u64,
    /// How many make one step.
    pub per: u64,
    /// Points for each full step.
    pub points: f64,
    /// The bonus; 1 where none applies.
    pub factor: f64,
    /// Full steps times points times factor, not rounded.
    pub subtotal: f64,
}

/// When a run fails whatever its score is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FailRules {
    /// More errors (without timeouts) than this.
    pub errors_over: Option<u64>,
    /// More timeouts than this.
    pub timeouts_over: Option<u64>,
    /// A score of this or less.
    pub score_at_most: Option<Points>,
}

/// Points times factors: millionths of millionths.
const FINE: i128 = ONE as i128 * ONE as i128;

/// The nearest number to so many millionths of millionths.
fn to_f64(fine: i128) -> f64 {
    let (mut above, mut below) = (fine, FINE);
    // Small enough numbers are divided exactly, so that the quotient is rounded but once.
    while below > 1 && above % 10 == 0 {
        above /= 10;
        below /= 10;
    }
    above as f64 / below as f64
}

/// The score of what was counted. Sums are exact; numbers beyond all reason stay at the greatest.
pub fn score(rules: &ScoreRules, counts: &Counts<'_>) -> Score {
    let mut sum = 0_i128;
    let mut breakdown = Vec::new();
    let mut add = |name: &str, count: u64, rule: Rule, factor: Points| {
        let steps = i128::from(count / rule.per.max(1));
        let each = i128::from(rule.points.0) * i128::from(factor.0);
        let subtotal = steps.saturating_mul(each);
        sum = sum.saturating_add(subtotal);
        breakdown.push(ScoreLine {
            name: name.to_owned(),
            count,
            per: rule.per,
            points: rule.points.value(),
            factor: factor.value(),
            subtotal: to_f64(subtotal),
        });
    };
    let one = Points(ONE);
    let bonus = rules.bonus.as_ref();
    let factor = bonus.map_or(one, |bonus| bonus.factor(counts.bonus_by));
    for (index, tag) in rules.tags.iter().enumerate() {
        let applies = bonus.is_some_and(|bonus| bonus.applies.get(index) == Some(&true));
        let count = counts.tags.get(index).copied().unwrap_or(0);
        add(
            &tag.name,
            count,
            tag.rule,
            if applies { factor } else { one },
        );
    }
    for (name, count, rule) in [
        ("error", counts.errors, rules.error),
        ("timeout", counts.timeouts, rules.timeout),
    ] {
        if let Some(rule) = rule {
            add(name, count, rule, one);
        }
    }
    Score {
        total: to_f64(sum.div_euclid(FINE / 100).saturating_mul(FINE / 100)),
        breakdown,
    }
}

/// Why a run failed; nothing when it passed. `critical` are the reasons the script gave for giving up.
pub fn judge(
    rules: &FailRules,
    score: &Score,
    counts: &Counts<'_>,
    critical: &[String],
) -> Vec<String> {
    let mut reasons = critical.to_vec();
    if let Some(most) = rules.errors_over.filter(|most| counts.errors > *most) {
        reasons.push(format!("{} errors, more than {most}", counts.errors));
    }
    if let Some(most) = rules.timeouts_over.filter(|most| counts.timeouts > *most) {
        reasons.push(format!("{} timeouts, more than {most}", counts.timeouts));
    }
    if let Some(most) = rules.score_at_most
        && score.total <= most.value()
    {
        reasons.push(format!("a score of {}, not more than {most}", score.total));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(value: f64) -> Points {
        Points::try_from(value).unwrap()
    }

    fn tag(name: &str, value: f64) -> Tag {
        Tag {
            name: name.to_owned(),
            rule: Rule::each(points(value)),
        }
    }

    /// The rules of the contest this was made for.
    fn contest() -> (ScoreRules, FailRules) {
        let steps = [(60, 1.2), (120, 1.4), (180, 1.6), (240, 1.8), (300, 2.0)];
        let score = ScoreRules {
            tags: vec![
                tag("job_finished", 10.0),
                tag("answer_read", 10.0),
                tag("dashboard", 2.0),
                tag("audience_view", 0.1),
            ],
            error: Some(Rule::each(points(-50.0))),
            timeout: Some(Rule {
                per: 100,
                points: points(-100.0),
            }),
            bonus: Some(Bonus {
                by: "contestants".to_owned(),
                applies: vec![true, true, true, false],
                steps: steps.map(|(from, factor)| (from, points(factor))).to_vec(),
            }),
        };
        let fail = FailRules {
            errors_over: Some(100),
            timeouts_over: None,
            score_at_most: Some(points(0.0)),
        };
        (score, fail)
    }

    fn counts(tags: &[u64], errors: u64, timeouts: u64, bonus_by: u64) -> Counts<'_> {
        Counts {
            tags,
            errors,
            timeouts,
            bonus_by,
        }
    }

    #[test]
    fn the_contest_is_scored() {
        #[track_caller]
        fn check(tags: [u64; 4], errors: u64, timeouts: u64, contestants: u64, expected: f64) {
            let (rules, _) = contest();
            let score = score(&rules, &counts(&tags, errors, timeouts, contestants));
            assert_eq!(score.total, expected);
            let sum: f64 = score.breakdown.iter().map(|line| line.subtotal).sum();
            assert!((sum - expected).abs() < 0.02, "{sum} {expected}");
        }
        check([0, 0, 0, 0], 0, 0, 0, 0.0);
        check([1, 0, 0, 0], 0, 0, 0, 10.0);
        check([0, 1, 0, 0], 0, 0, 0, 10.0);
        check([0, 0, 1, 0], 0, 0, 0, 2.0);
        check([0, 0, 0, 1], 0, 0, 0, 0.1);
        check([0, 0, 0, 3], 0, 0, 0, 0.3);
        check([0, 0, 0, 12_345], 0, 0, 0, 1_234.5);
        // Errors and timeouts.
        check([100, 0, 0, 0], 1, 0, 0, 950.0);
        check([100, 0, 0, 0], 0, 99, 0, 1_000.0);
        check([100, 0, 0, 0], 0, 100, 0, 900.0);
        check([100, 0, 0, 0], 0, 199, 0, 900.0);
        check([100, 0, 0, 0], 0, 200, 0, 800.0);
        check([0, 0, 0, 0], 3, 250, 0, -350.0);
        // The bonus of each size; audience, errors and timeouts have none.
        check([100, 100, 100, 0], 0, 0, 59, 2_200.0);
        check([100, 100, 100, 0], 0, 0, 60, 2_640.0);
        check([100, 100, 100, 0], 0, 0, 119, 2_640.0);
        check([100, 100, 100, 0], 0, 0, 120, 3_080.0);
        check([100, 100, 100, 0], 0, 0, 180, 3_520.0);
        check([100, 100, 100, 0], 0, 0, 240, 3_960.0);
        check([100, 100, 100, 0], 0, 0, 300, 4_400.0);
        check([100, 100, 100, 0], 0, 0, 100_000, 4_400.0);
        check([100, 100, 100, 1_000], 10, 100, 300, 3_900.0);
        check([1, 0, 1, 1], 0, 0, 60, 14.5);
    }

    #[test]
    fn the_contest_is_judged() {
        #[track_caller]
        fn check(tags: [u64; 4], errors: u64, critical: &[&str], expected: &[&str]) {
            let (rules, fail) = contest();
            let counts = counts(&tags, errors, 0, 0);
            let critical: Vec<String> = critical.iter().map(|text| (*text).to_owned()).collect();
            let reasons = judge(&fail, &score(&rules, &counts), &counts, &critical);
            assert_eq!(reasons, expected);
        }
        check([1_000, 0, 0, 0], 0, &[], &[]);
        check([1_000, 0, 0, 0], 100, &[], &[]);
        check([1_000, 0, 0, 0], 101, &[], &["101 errors, more than 100"]);
        check([0, 0, 0, 0], 0, &[], &["a score of 0, not more than 0"]);
        check([1, 0, 0, 0], 1, &[], &["a score of -40, not more than 0"]);
        check([5, 0, 0, 0], 1, &[], &["a score of 0, not more than 0"]);
        check([1, 0, 0, 0], 0, &["a job is lost"], &["a job is lost"]);
        let all = [
            "a job is lost",
            "101 errors, more than 100",
            "a score of -5050, not more than 0",
        ];
        check([0, 0, 0, 0], 101, &["a job is lost"], &all);
    }

    #[test]
    fn timeouts_may_fail_a_run() {
        let rules = FailRules {
            timeouts_over: Some(5),
            ..FailRules::default()
        };
        let judge = |timeouts| judge(&rules, &Score::default(), &counts(&[], 0, timeouts, 0), &[]);
        assert_eq!(judge(5), Vec::<String>::new());
        assert_eq!(judge(6), ["6 timeouts, more than 5"]);
    }

    #[test]
    fn totals_are_rounded_down_to_hundredths() {
        #[track_caller]
        fn check(value: f64, factor: f64, count: u64, expected: f64) {
            let rules = ScoreRules {
                tags: vec![tag("a", value)],
                bonus: Some(Bonus {
                    by: "b".to_owned(),
                    applies: vec![true],
                    steps: vec![(0, points(factor))],
                }),
                ..ScoreRules::default()
            };
            assert_eq!(score(&rules, &counts(&[count], 0, 0, 0)).total, expected);
        }
        check(0.1, 1.0, 3, 0.3);
        check(0.001, 1.0, 9, 0.0);
        check(0.001, 1.0, 10, 0.01);
        check(-0.001, 1.0, 1, -0.01);
        check(0.1, 1.1, 1, 0.11);
        check(1e9, 1.0, 1_000_000, 1e15);
        check(0.1, 1.0, 12_345_678_901, 1_234_567_890.1);
        check(1e9, 1e9, u64::MAX, 1.7014118346046922e26);
        check(-1e9, 1e9, u64::MAX, -1.7014118346046922e26);
    }

    #[test]
    fn points_are_decimals() {
        #[track_caller]
        fn check(value: f64, expected: Result<i64, PointsError>) {
            assert_eq!(Points::try_from(value).map(|points| points.0), expected);
        }
        check(0.1, Ok(100_000));
        check(-50.0, Ok(-50_000_000));
        check(0.000_001, Ok(1));
        check(123_456_789.123_456, Ok(123_456_789_123_456));
        check(1e9, Ok(1_000_000_000_000_000));
        check(0.000_000_1, Err(PointsError::Decimals));
        check(1.0 / 3.0, Err(PointsError::Decimals));
        check(1.1e9, Err(PointsError::Range));
        check(f64::NAN, Err(PointsError::Range));
        check(f64::INFINITY, Err(PointsError::Range));
    }
}
