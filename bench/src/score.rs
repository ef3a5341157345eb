//! The score of a run and whether it passed: pure folds over counts.

/// Points, in millionths, so that 0.1 is exactly a tenth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Points(i64);

/// So many points for each full `per` of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// How many make one step; at least 1.
    pub per: u64,
    /// Points for each full step.
    pub points: Points,
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
    /// From which count on which factor (a multiple of 1, in millionths), increasing. Below the first the factor is 1.
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
#[derive(Debug, Clone, PartialEq)]
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
