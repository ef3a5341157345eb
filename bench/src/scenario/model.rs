//! What a scenario says, checked: plain data that is never wrong in itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use isukit_analyze::threshold::Threshold;

use super::error::ScenarioError;
use super::file;
use super::route::RoutePattern;
use crate::pace::ArrivalSpec;
use crate::score::{FailRules, ScoreRules};

/// A scenario as its folder describes it.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The folder, as it was given.
    pub folder: PathBuf,
    /// Its `scenario.toml`, for messages.
    pub file: PathBuf,
    /// Base URL of the target (`http` or `https`); the command line overrides it.
    pub target: Option<String>,
    /// The script; it exists.
    pub script: PathBuf,
    /// `User-Agent` of every request, if it is not the usual one.
    pub user_agent: Option<String>,
    /// What is needed for protobuf bodies, when the folder has `.proto` files.
    pub proto: Option<ProtoOptions>,
    /// Headers of every request, in their order.
    pub headers: Vec<(String, String)>,
    /// Limits on scripts, clients and replies.
    pub limits: Limits,
    /// How long exchanges may take.
    pub timeouts: RouteTimeouts,
    /// Step names of groups of paths; the first pattern that matches counts.
    pub routes: Vec<(RoutePattern, String)>,
    /// Data files by name, `.csv` or `.jsonl`; they exist.
    pub feeds: Vec<(String, PathBuf)>,
    /// Paths on the target and the SHA-256 of what must be there.
    pub assets: Vec<(String, [u8; 32])>,
    /// The phases in their order; at least one.
    pub phases: Vec<PhaseSpec>,
    /// What counts for how many points.
    pub score: ScoreRules,
    /// When a run fails whatever its score is.
    pub fail: FailRules,
    /// What the run must reach besides.
    pub thresholds: Vec<Threshold>,
}

/// How protobuf bodies are read and written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtoOptions {
    /// Folders of `.proto` files, import roots; they exist.
    pub roots: Vec<PathBuf>,
    /// Media type of requests.
    pub content_type: String,
    /// Message type of error bodies; whether it exists, the schema tells.
    pub error: Option<String>,
}

/// Limits on scripts, clients and replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a script may compute without waiting.
    pub cpu: Duration,
    /// Memory of all scripts of the run together, in bytes.
    pub memory: u64,
    /// Connections of one client, 1 to 64.
    pub connections: usize,
    /// The largest body of a reply, in bytes.
    pub body: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu: Duration::from_millis(200),
            memory: 256 * 1024 * 1024,
            connections: 6,
            body: 64 * 1024 * 1024,
        }
    }
}

/// How long exchanges may take.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteTimeouts {
    /// A whole exchange, where no route says otherwise.
    pub default: Duration,
    /// A connection, TLS included.
    pub connect: Duration,
    /// A whole exchange by route; the first pattern that matches counts.
    pub routes: Vec<(RoutePattern, Duration)>,
}

impl RouteTimeouts {
    /// How long the exchange for `path` (without its query) may take.
    pub fn of(&self, method: &str, path: &str) -> Duration {
        let found = self
            .routes
            .iter()
            .find(|(pattern, _)| pattern.matches(method, path));
        found.map_or(self.default, |(_, timeout)| *timeout)
    }
}

impl Default for RouteTimeouts {
    fn default() -> Self {
        Self {
            default: Duration::from_secs(10),
            connect: Duration::from_secs(5),
            routes: Vec::new(),
        }
    }
}

/// A stretch of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseSpec {
    /// Its name, unlike that of any other phase.
    pub name: String,
    /// Where it begins in `scenario.toml`; for a function phase, where `run` stands.
    pub line: usize,
    /// What happens in it.
    pub kind: PhaseKind,
}

/// What happens in a phase.
#[derive(Debug, Clone, PartialEq)]
pub enum PhaseKind {
    /// One user runs one function of the script once.
    Function {
        /// The function.
        run: String,
        /// How long that may take.
        time_limit: Duration,
    },
    /// Users come and act.
    Load(LoadSpec),
}

/// A load phase.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadSpec {
    /// How long it lasts.
    pub duration: Duration,
    /// So long before the end no new actions are begun; at most the duration.
    pub stop_new: Duration,
    /// So long after the end open requests may still be answered; then they are cut.
    pub drain: Duration,
    /// Whether it counts; a warm-up does not.
    pub counts: bool,
    /// The kinds of users, in the order of the file; at least one.
    pub users: Vec<KindSpec>,
}

/// Users of one kind in a phase.
#[derive(Debug, Clone, PartialEq)]
pub struct KindSpec {
    /// Name of the kind.
    pub name: String,
    /// The function of the script that one user runs.
    pub run: String,
    /// Where it begins in `scenario.toml`, or where `run` stands if it does.
    pub line: usize,
    /// How many users there are.
    pub load: KindLoad,
}

/// How many users there are, or when they come.
#[derive(Debug, Clone, PartialEq)]
pub enum KindLoad {
    /// So many at all times; who returns begins again.
    Constant {
        /// Users in all shards together.
        users: usize,
    },
    /// Closed, linear between points; see [`Ramp`](crate::pace::Ramp).
    Ramp {
        /// Users at the beginning.
        from: usize,
        /// How long it takes from the last point, and how many users there are then. The last one
        /// stays until the end.
        points: Vec<(Duration, usize)>,
    },
    /// Users that come once and run their function once.
    Arrivals {
        /// When they come; see [`Schedule`](crate::pace::Schedule).
        schedule: Vec<ArrivalSpec>,
        /// Users at a time; an arrival beyond waits and is late.
        max_users: usize,
        /// The signal that ends the arrivals.
        until: Option<String>,
    },
    /// Users that are added and retired by what happens; see [`Growth`](crate::growth::Growth).
    Feedback {
        /// Users at the beginning, at most `at_most`.
        users: usize,
        /// Users added for each score, by the tag's index in [`ScoreRules::tags`].
        on_score: Vec<(usize, i64)>,
        /// Users added (negative: retired) for each error.
        on_error: i64,
        /// Never more users than this.
        at_most: usize,
        /// The signal after which none are added.
        until: Option<String>,
    },
}

impl KindLoad {
    /// The most users there may be at a time.
    pub fn max_users(&self) -> usize {
        match self {
            Self::Constant { users } => *users,
            Self::Ramp { from, points } => points.iter().map(|(_, n)| *n).fold(*from, usize::max),
            Self::Arrivals { max_users, .. } => *max_users,
            Self::Feedback { at_most, .. } => *at_most,
        }
    }

    /// The signal that ends the arrivals or the growth.
    pub fn until(&self) -> Option<&str> {
        match self {
            Self::Arrivals { until, .. } | Self::Feedback { until, .. } => until.as_deref(),
            Self::Constant { .. } | Self::Ramp { .. } => None,
        }
    }
}

/// A function that the script must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequiredFunction<'a> {
    /// Its name.
    pub function: &'a str,
    /// The line of `scenario.toml` that wants it.
    pub line: usize,
    /// What wants it: "phase" or "users".
    pub what: &'static str,
    /// The name of that phase or kind of users.
    pub by: &'a str,
}

impl Scenario {
    /// Read and check `scenario.toml` in `folder`, and see that the files it names are there.
    ///
    /// # Errors
    /// [`ScenarioError`] names the file, the line and what is wrong there.
    pub fn load(folder: &Path) -> Result<Self, ScenarioError> {
        file::load(folder)
    }

    /// The same with another duration of the last load phase that counts (of the last load phase,
    /// when none counts). Nothing is rescaled; arrivals due behind the new end never come.
    #[must_use]
    pub fn with_duration(mut self, duration: Duration) -> Self {
        let last = |counting: bool, phases: &[PhaseSpec]| {
            phases.iter().rposition(
                |phase| matches!(&phase.kind, PhaseKind::Load(load) if load.counts || !counting),
            )
        };
        let at = last(true, &self.phases).or_else(|| last(false, &self.phases));
        if let Some(at) = at
            && let PhaseKind::Load(load) = &mut self.phases[at].kind
        {
            load.duration = duration;
            load.stop_new = load.stop_new.min(duration);
        }
        self
    }

    /// The functions that the script must have, in the order of the file; a name may come twice.
    pub fn required_functions(&self) -> Vec<RequiredFunction<'_>> {
        let mut found = Vec::new();
        for phase in &self.phases {
            match &phase.kind {
                PhaseKind::Function { run, .. } => found.push(RequiredFunction {
                    function: run,
                    line: phase.line,
                    what: "phase",
                    by: &phase.name,
                }),
                PhaseKind::Load(load) => {
                    found.extend(load.users.iter().map(|kind| RequiredFunction {
                        function: &kind.run,
                        line: kind.line,
                        what: "users",
                        by: &kind.name,
                    }));
                }
            }
        }
        found
    }

    /// The tags that score, by index, as [`ScoreRules::tags`] has them.
    pub fn tags(&self) -> impl ExactSizeIterator<Item = &str> {
        self.score.tags.iter().map(|tag| &*tag.name)
    }

    /// The script's error for a message about `line` of `scenario.toml`.
    pub fn error_at(&self, line: usize, message: impl Into<String>) -> ScenarioError {
        ScenarioError::at_line(&self.file, line, message)
    }
}
