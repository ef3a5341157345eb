//! `isukit place`: where each service should live.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, ValueEnum};
use isukit_analyze::placement::{self, Evidence, Named, Report, recipes};
use isukit_analyze::report::TableStyle;

use super::output::{Output, overwrites};
use super::{DONE, FAILED, complain, print};

const EXAMPLES: &str = "Examples:
  isukit place PLAN.toml                                  nodes, services and their demands as written
  isukit place PLAN.toml --run run.json --probe s1.jsonl --probe s2.jsonl
                                                          demands, cores and memory as measured
  isukit place PLAN.toml --format markdown --recipes      with nginx, systemd, Kubernetes to paste
  isukit place PLAN.toml --assign 'web=s1:28,s2:72 db=s3' what that placement would do

A plan of two nodes and two services:
  [[node]]                          [[service]]
  name = \"s1\"                       name = \"web\"
  cores = 2                         demand_ms = 3.1     # CPU milliseconds a request
  memory_mb = 1024                  memory_mb = 500
  [[node]]                          max_replicas = 2
  name = \"s2\"                       [[service]]
  cores = 4                         name = \"db\"
  memory_mb = 2048                  demand_ms = 10
                                    memory_mb = 600
Besides: threads_max, pinned_to, together_with, apart_from, port and pool = { min_mb, max_mb, curve } of a
service; address and background_cores of a node; [[call]] from, to, per_request; headroom = 0.2;
survive_node_failure = true; current = \"web=s1 db=s1\". What is not written comes from --run and --probe.
Exit code 1: no placement is possible.";

/// The largest file that is read.
const LARGEST: u64 = 256 << 20;

/// The most files of probes.
const MOST_PROBES: usize = 64;

/// Arguments of `isukit place`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PlaceArgs {
    /// The plan: nodes, services, and what holds between them
    #[arg(value_name = "PLAN.toml")]
    plan: PathBuf,
    /// Report of the run that was probed, as isukit run --format json -o writes it
    #[arg(long, value_name = "RUN.json", requires = "probes")]
    run: Option<PathBuf>,
    /// What isukit probe wrote during the run; one node or several (may be repeated)
    #[arg(long = "probe", value_name = "FILE")]
    probes: Vec<PathBuf>,
    /// Predict this placement instead of finding the best: SERVICE=NODE:WEIGHT,NODE:WEIGHT ... (may be repeated)
    #[arg(long = "assign", value_name = "PLACEMENT")]
    assign: Vec<String>,
    /// How many placements are shown
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=50))]
    top: u8,

    /// Add what to paste: nginx, Envoy, systemd, MySQL, Kubernetes
    #[arg(help_heading = "Output", long)]
    recipes: bool,
    /// How it is written
    #[arg(help_heading = "Output", long, value_enum, default_value_t = PlaceFormat::Text)]
    format: PlaceFormat,
    /// Write to this file instead of stdout
    #[arg(help_heading = "Output", short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Ways to write a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PlaceFormat {
    /// For a terminal
    Text,
    /// For a pull request
    Markdown,
    /// isukit.place/1
    Json,
}

/// Do what was asked.
pub(super) fn main(args: &PlaceArgs) -> Result<u8> {
    ensure!(
        args.probes.len() <= MOST_PROBES,
        "at most {MOST_PROBES} files of probes"
    );
    let inputs = args.probes.iter().chain(&args.run).chain([&args.plan]);
    for input in inputs {
        if let Some(output) = &args.output {
            ensure!(
                !overwrites(output, input),
                "--output would overwrite {}",
                input.display()
            );
        }
    }
    ensure!(
        !args.recipes || args.format != PlaceFormat::Json,
        "--recipes is for people: take --format text or markdown"
    );
    let report = report(args)?;
    let top = usize::from(args.top);
    let bytes = match args.format {
        PlaceFormat::Text => written(&report, TableStyle::Text, args).into_bytes(),
        PlaceFormat::Markdown => written(&report, TableStyle::Markdown, args).into_bytes(),
        PlaceFormat::Json => {
            let mut bytes = serde_json::to_vec_pretty(&report.json(top))?;
            bytes.push(b'\n');
            bytes
        }
    };
    match &args.output {
        Some(output) => Output::create(output)?.finish(&bytes)?,
        None => print(&bytes)?,
    }
    if !report.is_feasible() {
        complain("isukit: no placement is possible");
    }
    Ok(if report.is_feasible() { DONE } else { FAILED })
}

fn report(args: &PlaceArgs) -> Result<Report> {
    let names: Vec<String> = args
        .probes
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let texts: Vec<String> = args
        .probes
        .iter()
        .map(|path| read(path))
        .collect::<Result<_>>()?;
    let probes: Vec<Named<'_>> = names
        .iter()
        .zip(&texts)
        .map(|(file, text)| Named { file, text })
        .collect();
    let run = args
        .run
        .as_ref()
        .map(|path| Ok::<_, anyhow::Error>((path.display().to_string(), read(path)?)));
    let run = run.transpose()?;
    let run = run.as_ref().map(|(file, text)| Named { file, text });
    let evidence = Evidence::read(run, &probes)?;
    let plan = placement::read(
        &args.plan.display().to_string(),
        &read(&args.plan)?,
        &evidence,
    )?;
    let notes = evidence.notes_for(&plan);
    if args.assign.is_empty() {
        return Ok(Report::of_best(plan, usize::from(args.top), notes));
    }
    let given = args.assign.iter().map(|text| plan.read_assignment(text));
    let given = given.collect::<Result<Vec<_>, String>>();
    let given = given.map_err(|why| anyhow!("--assign: {why}"))?;
    Ok(Report::of_given(plan, &given, notes))
}

fn read(path: &Path) -> Result<String> {
    let what = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(what)?;
    let mut bytes = Vec::new();
    // What its length is said to be is not asked: a device or a pipe has none.
    let read = file.take(LARGEST + 1).read_to_end(&mut bytes);
    let read = read.with_context(what)? as u64;
    let path = path.display();
    ensure!(read <= LARGEST, "{path} has more than {LARGEST} bytes");
    String::from_utf8(bytes).map_err(|error| {
        let byte = error.utf8_error().valid_up_to();
        anyhow!("{path}: byte {byte} is not UTF-8: is it the file that was meant?")
    })
}

fn written(report: &Report, style: TableStyle, args: &PlaceArgs) -> String {
    let mut text = report.text(style, usize::from(args.top));
    if !args.recipes {
        return text;
    }
    let mut placements = report.placements.iter().enumerate();
    let Some((at, best)) = placements.find(|(_, found)| found.is_feasible()) else {
        return text;
    };
    if report.were_given {
        let _ = writeln!(text, "\nto paste, for placement {}:", at + 1);
    }
    for recipe in recipes(&report.plan, best) {
        let _ = match style {
            TableStyle::Markdown => write!(
                text,
                "\n## {}\n\n```{}\n{}```\n",
                recipe.title, recipe.language, recipe.text
            ),
            TableStyle::Text => write!(text, "\n# {}\n\n{}", recipe.title, recipe.text),
        };
    }
    text
}
