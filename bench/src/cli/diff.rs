//! `isukit diff`: two digests -> what got better or worse.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use isukit_analyze::access::NamerOptions;
use isukit_analyze::digest::{Change, DiffReport, GroupChange, Page, Settings, Window, diff};
use isukit_analyze::report::{TableStyle, printable};
use isukit_analyze::slow::ShapeStyle;

use super::digest::{PLAIN_WIDTH, read_one, stop_flag, terminal};
use super::output::{Output, overwrites};
use super::{ClosedPipe, DONE, FAILED, complain, print};

/// Groups that `--fail-on-worse` names.
const SHOWN_WORSE: usize = 3;

/// The longest name of one there, in characters.
const LONGEST_KEY: usize = 80;

/// Say what got better or worse between two logs or saved digests, and whether it is more than noise.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    isukit digest slow.log --save before.snapshot     then fix something, run again, and\n  \
    isukit diff before.snapshot slow.log\n  \
    isukit diff before.snapshot after.snapshot --fail-on-worse 10 --format json")]
pub(crate) struct DiffArgs {
    /// Before: a log or a saved digest
    before: PathBuf,

    /// After: a log or a saved digest
    after: PathBuf,

    /// Groups to show in text and markdown
    #[arg(long, short = 'n', default_value_t = 20, value_name = "N")]
    limit: usize,

    /// Statements are named by pt-query-digest's fingerprints
    #[arg(long)]
    pt_compat: bool,

    /// Exit with 1 when a group got worse by this share of the whole time before, in percent
    #[arg(long, value_name = "PERCENT", value_parser = percent, allow_negative_numbers = true)]
    fail_on_worse: Option<f64>,

    /// How the comparison is written
    #[arg(long, value_enum, default_value_t)]
    format: DiffFormat,

    /// Write the comparison to a file
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
}

/// How a comparison is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum DiffFormat {
    /// For people at a terminal
    #[default]
    Text,
    /// For a pull request or a wiki
    Markdown,
    /// For programs: isukit.diff/1
    Json,
}

/// Do what was asked.
pub(super) fn main(args: &DiffArgs) -> Result<u8> {
    if let Some(output) = &args.output {
        for input in [&args.before, &args.after] {
            ensure!(
                !overwrites(output, input),
                "--output {} is one of the files to compare: give it another name",
                output.display()
            );
        }
    }
    let output = args.output.as_deref().map(Output::create).transpose()?;
    let stop = stop_flag()?;
    let settings = || -> Result<Settings> {
        Ok(Settings {
            kind: None,
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            window: Window::default(),
            filter: None,
            routes: NamerOptions::default(),
            shapes: match args.pt_compat {
                true => ShapeStyle::PtCompat,
                false => ShapeStyle::Own,
            },
            correlates: false,
        })
    };
    let before = read_one(&args.before, settings()?, &stop)?;
    let after = read_one(&args.after, settings()?, &stop)?;
    let report = diff(&before, &after);
    let bytes = render(args, &report)?;
    let printed = match output {
        Some(output) => output.finish(&bytes),
        None => print(&bytes),
    };
    let worse = args
        .fail_on_worse
        .and_then(|percent| worse(&report, percent));
    match worse {
        Some(worse) => {
            complain(&format!("isukit: {worse}"));
            // A reader of the report who has gone does not make it better.
            printed.or_else(|error| match error.is::<ClosedPipe>() {
                true => Ok(()),
                false => Err(error),
            })?;
            Ok(FAILED)
        }
        None => printed.map(|()| DONE),
    }
}

/// A share in percent, as it is typed: `3` or `3%`.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end();
    match number.parse::<f64>() {
        Ok(percent) if percent.is_finite() && percent >= 0.0 => Ok(percent),
        _ => Err("give a share in percent that is not negative, as in 3 or 2.5%".to_owned()),
    }
}

/// Which groups got worse by at least this share, the worst first; none if no group did.
fn worse(report: &DiffReport, percent: f64) -> Option<String> {
    let is_worse = |group: &&GroupChange| {
        matches!(group.change, Change::Worse | Change::New) && group.delta_share * 100.0 >= percent
    };
    let mut groups: Vec<_> = report.groups.iter().filter(is_worse).collect();
    groups.sort_by(|one, other| other.delta_share.total_cmp(&one.delta_share));
    let shown = groups.iter().take(SHOWN_WORSE).map(|group| {
        let mut key = printable(&group.key);
        if let Some((end, _)) = key.char_indices().nth(LONGEST_KEY) {
            key.truncate(end);
            key.push('…');
        }
        format!("+{:.1}% {key}", group.delta_share * 100.0)
    });
    let mut shown = shown.collect::<Vec<_>>().join("; ");
    if groups.len() > SHOWN_WORSE {
        shown += &format!("; and {} more", groups.len() - SHOWN_WORSE);
    }
    (!groups.is_empty()).then(|| format!("worse by {percent}% of the time before or more: {shown}"))
}

fn render(args: &DiffArgs, report: &DiffReport) -> Result<Vec<u8>> {
    let page = Page {
        width: terminal(args.output.is_none()).map_or(PLAIN_WIDTH, |(columns, _)| columns),
        height: None,
        groups: args.limit,
    };
    let mut bytes = Vec::new();
    match args.format {
        DiffFormat::Text => report.render(TableStyle::Text, page, &mut bytes)?,
        DiffFormat::Markdown => report.render(TableStyle::Markdown, page, &mut bytes)?,
        DiffFormat::Json => {
            serde_json::to_writer_pretty(&mut bytes, report)?;
            bytes.push(b'\n');
        }
    }
    Ok(bytes)
}
