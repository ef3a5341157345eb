//! `isukit run`: arguments -> plan -> engine -> report.

mod args;
mod scenario;
mod url;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use isukit_analyze::threshold::Threshold;

pub(super) use args::RunArgs;
pub(super) use url::Prepared;

use super::progress::Progress;
use super::signals::stop_on_signals;
use super::{COULD_NOT, DONE, FAILED, complain, debug, print};
use crate::engine::{self, Outcome, Plan, StopSwitch, event_queue, machine, write_events};
use crate::hdr;
use crate::http1::target::Endpoint;
use crate::report::{self, Asked, Format, RunReport};
use crate::tls::TlsOptions;

/// A run, and how it is to be reported.
struct Job {
    plan: Plan,
    asked: Asked,
    thresholds: Vec<Threshold>,
    scenario: Option<scenario::Scoring>,
}

/// Do what was asked.
pub(super) fn main(args: &RunArgs) -> Result<u8> {
    if let Some(folder) = scenario::folder(&args.what) {
        return scenario::main(args, folder);
    }
    if let Some(option) = args.only_for_scenarios() {
        bail!(
            "{option} is for a scenario, and {} is no folder with a scenario.toml in it",
            args.what
        );
    }
    let prepared = url::prepare(args).with_context(|| match args.what.contains("://") {
        true => "the run cannot begin",
        false => "neither the folder of a scenario nor a URL such as http://127.0.0.1:8080/",
    })?;
    if args.debug {
        return debug::main(prepared);
    }
    run_job(args, url::job(args, prepared))
}

/// Run it and write the report.
fn run_job(args: &RunArgs, job: Job) -> Result<u8> {
    let Job {
        plan,
        asked,
        thresholds,
        scenario,
    } = job;
    warn_of_open_files(asked.connections);
    // Files that cannot be written are told before the run, not after it.
    let hdr = args.hdr.as_deref().map(create).transpose()?;
    let events = args.events.as_deref().map(create).transpose()?;
    let output = args.output.as_deref().map(create).transpose()?;
    let plan = Arc::new(plan);
    let stop = stop_on_signals()?;
    let mut progress = Progress::new(&plan.phases);
    let score = |totals: &engine::Totals| scenario.as_ref().map(|scoring| scoring.score(totals));
    let (outcome, events_written) = load(&plan, &stop, events, |point, totals| {
        progress.show(point, totals, score(totals));
    })?;
    progress.clear();
    let hdr_written = hdr.map_or(Ok(()), |file| {
        let mut out = BufWriter::new(file);
        hdr::write_log(&outcome, &mut out).and_then(|()| out.flush())
    });
    let scored = scenario.as_ref().map(|scoring| scoring.judge(&outcome));
    let report = report::report(asked, &plan, &outcome, &thresholds, scored);
    write_report(&report, args.format, output)?;
    // A full disk must not cost the report of a long run, so these come last.
    let mut code = exit_code(&report);
    for (written, path) in [(events_written, &args.events), (hdr_written, &args.hdr)] {
        if let (Err(error), Some(path)) = (written, path) {
            complain(&format!("isukit: cannot write {}: {error}", path.display()));
            code = COULD_NOT;
        }
    }
    Ok(code)
}

fn exit_code(report: &RunReport) -> u8 {
    match (report.passed, report.is_script_broken) {
        (true, _) => DONE,
        (false, false) => FAILED,
        // It was not the target that failed.
        (false, true) => COULD_NOT,
    }
}

/// Load threads: as asked, or one a CPU, half of them when the target needs the others.
fn threads(args: &RunArgs, endpoint: &Endpoint) -> usize {
    let cpus = machine::allowed_cpus().len();
    let default = if endpoint.is_local() {
        cpus.div_ceil(2)
    } else {
        cpus
    };
    args.threads.unwrap_or(default).max(1)
}

fn tls_options(args: &RunArgs) -> TlsOptions {
    TlsOptions {
        ca_file: args.cacert.clone(),
        insecure: args.insecure,
        server_name: args.server_name.clone(),
    }
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}

fn write_report(report: &RunReport, format: Format, output: Option<File>) -> Result<()> {
    let mut bytes = Vec::new();
    report::render(report, format, &mut bytes)?;
    match output {
        Some(mut file) => file.write_all(&bytes).context("cannot write the report"),
        None => print(&bytes),
    }
}

fn warn_of_open_files(connections: usize) {
    // Some files are open besides: the epoll sets, the report, the standard streams.
    const BESIDES: u64 = 64;
    if let Some(limit) = machine::raise_open_files()
        && limit < connections as u64 + BESIDES
    {
        complain(&format!(
            "isukit: warning: {connections} connections with at most {limit} open files: \
             raise `ulimit -n`"
        ));
    }
}

/// Run the plan, with the event file if there is one; `watch` sees every second.
fn load(
    plan: &Arc<Plan>,
    stop: &StopSwitch,
    events: Option<File>,
    watch: impl FnMut(&engine::SeriesPoint, &engine::Totals),
) -> Result<(Outcome, io::Result<()>)> {
    std::thread::scope(|scope| {
        let (sender, writer) = match events {
            None => (None, None),
            Some(file) => {
                let (sender, receiver) = event_queue();
                let writer = scope.spawn(move || write_events(&receiver, BufWriter::new(file)));
                (Some(sender), Some(writer))
            }
        };
        let outcome = engine::run(plan, stop, sender, watch);
        let written = match writer.map(std::thread::ScopedJoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => bail!("the event writer panicked"),
        };
        Ok((outcome?, written))
    })
}
