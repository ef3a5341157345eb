//! `isukit run FOLDER`: arguments -> a scenario's users, phases and score.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use isukit_analyze::units::format_count;

use super::args::RunArgs;
use super::{Job, load, run_job, threads, tls_options};
use crate::cli::signals::stop_on_signals;
use crate::cli::{COULD_NOT, DONE, FAILED, print};
use crate::engine::{FaultKind, Load, Outcome, Phase, Plan, Timeouts, Totals};
use crate::http1::target::{Endpoint, Target};
use crate::report::{Asked, Scored};
use crate::scenario::Scenario;
use crate::scenario::model::{LoadSpec, PhaseKind};
use crate::scenario::plan::phases;
use crate::scenario::script::{RunOptions, ScriptRun, Trace};
use crate::score::{Counts, Score};
use crate::{score, tls};
use isukit_analyze::http1::limits::ReplyLimits;

/// How long one user of a kind acts with `--debug`, unless `--duration` says otherwise.
const DEBUG_DURATION: Duration = Duration::from_secs(5);

/// The folder of a scenario, if that is what was named.
pub(super) fn folder(what: &str) -> Option<PathBuf> {
    let path = Path::new(what);
    if path.is_dir() {
        return Some(path.to_owned());
    }
    let is_file = path.file_name().is_some_and(|name| name == "scenario.toml") && path.is_file();
    // A file's parent is empty when it was named without a folder.
    let parent = path.parent().filter(|_| is_file)?;
    Some(if parent.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        parent.to_owned()
    })
}

/// What gives a scenario's run its score.
pub(super) struct Scoring {
    scenario: Scenario,
    run: Arc<ScriptRun>,
}

impl Scoring {
    fn counts<'t>(&self, totals: &'t Totals) -> Counts<'t> {
        let all = &totals.all;
        let timeouts = all.timeouts();
        let rules = &self.scenario.score;
        let bonus_by = match (rules.bonus_tag(), &rules.bonus) {
            (Some(tag), _) => all.tags.get(tag).copied().unwrap_or(0),
            // The cast saturates, and a count below zero counts as none.
            (None, Some(bonus)) => self.run.counter(&bonus.by) as u64,
            (None, None) => 0,
        };
        Counts {
            tags: &all.tags,
            errors: all.errors().saturating_sub(timeouts),
            timeouts,
            bonus_by,
        }
    }

    fn whole(&self, totals: &Totals) -> Score {
        score::score(&self.scenario.score, &self.counts(totals))
    }

    /// The score so far.
    pub(super) fn score(&self, totals: &Totals) -> f64 {
        self.whole(totals).total
    }

    /// The score at the end, and why the run failed if it did.
    pub(super) fn judge(&self, outcome: &Outcome) -> Scored {
        let score = self.whole(&outcome.totals);
        let counts = self.counts(&outcome.totals);
        // A run that never came to its load failed for other reasons than its score.
        let failures = match outcome.was_measured() {
            true => score::judge(&self.scenario.fail, &score, &counts, &[]),
            false => Vec::new(),
        };
        // A scenario without points has no score to tell.
        let has_points = !self.scenario.score.tags.is_empty();
        Scored {
            score: has_points.then_some(score.total),
            breakdown: score.breakdown,
            failures,
        }
    }
}

/// Everything a scenario's run needs.
struct Ready {
    scenario: Scenario,
    run: Arc<ScriptRun>,
    plan: Plan,
    target: Target,
}

/// Do what was asked with the scenario in `folder`.
pub(super) fn main(args: &RunArgs, folder: PathBuf) -> Result<u8> {
    if let Some(option) = args.only_for_urls() {
        bail!("{option} is for a single URL; a scenario says such things in its own folder");
    }
    let mut scenario = Scenario::load(&folder)?;
    if let Some(duration) = args.duration.filter(|_| !args.debug) {
        if duration < Duration::from_millis(10) {
            bail!("--duration must be at least 10ms");
        }
        scenario = scenario.with_duration(duration);
    }
    if let Some(dir) = &args.types {
        return types(&scenario, dir);
    }
    let ready = prepare(args, scenario)?;
    if args.dry_run {
        print(summary(&ready).as_bytes())?;
        return Ok(DONE);
    }
    if args.debug {
        return debug(args, ready);
    }
    run_job(args, job(ready))
}

fn types(scenario: &Scenario, dir: &Path) -> Result<u8> {
    let written = crate::scenario::types::write(scenario, dir)?;
    let names = written
        .iter()
        .map(|path| format!("wrote {}\n", path.display()));
    print(names.collect::<String>().as_bytes())?;
    Ok(DONE)
}

/// Check everything there is to check before anything is sent.
fn prepare(args: &RunArgs, mut scenario: Scenario) -> Result<Ready> {
    let url = args.target.clone().or_else(|| scenario.target.clone());
    let Some(url) = url else {
        bail!(
            "{} names no target; write target = \"http://HOST:PORT\" or say --target URL",
            scenario.file.display()
        );
    };
    let target = Target::parse(&url)?;
    if !matches!(&*target.path, "" | "/") {
        bail!(
            "the target is a base URL: leave out the path `{}`",
            target.path
        );
    }
    if let Some(timeout) = args.timeout {
        scenario.timeouts.default = timeout;
    }
    if let Some(timeout) = args.connect_timeout {
        scenario.timeouts.connect = timeout;
    }
    if let Some(bytes) = args.max_body {
        scenario.limits.body = bytes;
    }
    scenario.headers.extend(super::url::given_headers(args)?);
    scenario.thresholds.extend(args.thresholds.iter().cloned());
    // Names are looked up only for a run that needs the address.
    let endpoint = match &args.unix_socket {
        Some(path) => Endpoint::Unix(path.clone()),
        None if args.dry_run => Endpoint::Tcp(Vec::new()),
        None => target.resolve(&args.connect_to)?,
    };
    let tls = match target.tls {
        true => Some(tls::settings(&tls_options(args), &target.host)?),
        false => None,
    };
    let threads = threads(args, &endpoint);
    let options = RunOptions {
        authority: target.authority.clone(),
        host: target.host.clone(),
        is_tls: target.tls,
        authorization: target.authorization.clone(),
        seed: args.seed,
        threads,
    };
    let mut run = ScriptRun::new(&scenario, &options)?;
    if args.debug {
        run = run.with_trace(Trace::new(|line| {
            // A reader that has gone does not stop the run.
            let _ = print(format!("{line}\n").as_bytes());
        }));
    }
    let run = Arc::new(run);
    run.check_script(&scenario)?;
    let mut phases = phases(&scenario, &run);
    if let Some(drain) = args.drain {
        for phase in phases.iter_mut().filter(|phase| !phase.until_done) {
            phase.drain = drain;
        }
    }
    let total = scenario.timeouts.default;
    let plan = Plan {
        endpoint,
        tls,
        threads,
        steps: Vec::new(),
        signals: run.signals().to_vec(),
        client_connections: scenario.limits.connections,
        phases,
        timeouts: Timeouts {
            connect: scenario.timeouts.connect,
            // A call's own timeout may be longer than the usual one.
            first_byte: Duration::from_secs(86_400),
            total,
        },
        limits: ReplyLimits {
            body_bytes: scenario.limits.body,
            ..ReplyLimits::default()
        },
        seed: args.seed,
    };
    Ok(Ready {
        scenario,
        run,
        plan,
        target,
    })
}

fn job(ready: Ready) -> Job {
    let Ready {
        scenario,
        run,
        plan,
        target,
    } = ready;
    let measured = plan.phases.iter().filter(|phase| phase.measured);
    let asked = Asked {
        method: String::new(),
        url: target.shown(),
        scenario: Some(scenario.folder.display().to_string()),
        endpoint: plan.endpoint.to_string(),
        model: "scenario",
        rate: None,
        connections: most_users(&plan.phases),
        threads: plan.threads,
        duration_s: measured.map(|phase| phase.duration.as_secs_f64()).sum(),
    };
    Job {
        plan,
        asked,
        thresholds: scenario.thresholds.clone(),
        scenario: Some(Scoring { scenario, run }),
    }
}

/// The most users there may be at a time.
fn most_users(phases: &[Phase]) -> usize {
    let of_phase = |phase: &Phase| {
        let populations = phase.populations.iter();
        populations
            .map(|population| population.load.max_users())
            .sum()
    };
    phases.iter().map(of_phase).max().unwrap_or(0)
}

/// What `--dry-run` says of a scenario that can be run.
fn summary(ready: &Ready) -> String {
    let scenario = &ready.scenario;
    let mut text = format!(
        "{} can be run against {}\n",
        scenario.folder.display(),
        ready.target.shown()
    );
    for phase in &scenario.phases {
        let what = match &phase.kind {
            PhaseKind::Function { run, time_limit } => {
                format!("`{run}` once, at most {time_limit:?}")
            }
            PhaseKind::Load(load) => load_summary(load),
        };
        text.push_str(&format!("  {:<12} {what}\n", phase.name));
    }
    let types = ready
        .run
        .schema()
        .map_or(0, |schema| schema.messages().count());
    text.push_str(&format!(
        "  {} message types, {} assets, {} feeds, {} score tags, {} thresholds\n",
        format_count(types as u64),
        scenario.assets.len(),
        scenario.feeds.len(),
        scenario.score.tags.len(),
        scenario.thresholds.len(),
    ));
    text
}

fn load_summary(load: &LoadSpec) -> String {
    let kinds: Vec<String> = load
        .users
        .iter()
        .map(|kind| format!("{} (at most {})", kind.name, kind.load.max_users()))
        .collect();
    format!("{:?} with {}", load.duration, kinds.join(", "))
}

/// Let one user of each kind act, and print what it does.
fn debug(args: &RunArgs, ready: Ready) -> Result<u8> {
    let Ready { mut plan, .. } = ready;
    plan.threads = 1;
    for phase in plan.phases.iter_mut().filter(|phase| !phase.until_done) {
        phase.duration = args.duration.unwrap_or(DEBUG_DURATION).min(phase.duration);
        phase.stop_new = phase.stop_new.min(phase.duration / 2);
        phase.measured = false;
        for population in &mut phase.populations {
            population.load = Load::Closed { users: 1 };
        }
    }
    let stop = stop_on_signals()?;
    let plan = Arc::new(plan);
    let (outcome, _) = load(&plan, &stop, None, |_, _| {}).context("the walk failed")?;
    let (text, code) = debug_ending(&plan, &outcome);
    print(text.as_bytes())?;
    Ok(code)
}

/// What went wrong in a walk, by phase, and the exit code.
fn debug_ending(plan: &Plan, outcome: &Outcome) -> (String, u8) {
    let mut text = String::new();
    let mut code = DONE;
    for (phase, totals) in plan.phases.iter().zip(&outcome.totals.phases) {
        let faults = totals.faults.entries();
        if !totals.began {
            text.push_str(&format!("== {}: not begun\n", phase.name));
            continue;
        }
        text.push_str(&format!(
            "== {}: {} requests, {} errors\n",
            phase.name, totals.requests, totals.errors
        ));
        for entry in faults {
            let sample = entry.samples.first().map_or("", |sample| &*sample.detail);
            let line = format!("   {} x {}: {sample}\n", entry.count, entry.kind.label());
            text.push_str(&line);
            if code != COULD_NOT {
                code = FAILED;
            }
            if entry.kind == FaultKind::Script {
                code = COULD_NOT;
            }
        }
        for critical in &totals.criticals {
            text.push_str(&format!("   {}\n", critical.detail));
            code = code.max(FAILED);
        }
    }
    (text, code)
}
