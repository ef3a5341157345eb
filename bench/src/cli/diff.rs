//! `isukit diff`: two digests -> what got better or worse.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use isukit_analyze::access::NamerOptions;
use isukit_analyze::digest::{Change, DiffReport, Page, Settings, Window, diff};
use isukit_analyze::report::TableStyle;
use isukit_analyze::slow::ShapeStyle;

use super::digest::{PLAIN_WIDTH, read_one, stop_flag, terminal};
use super::{DONE, FAILED, print};

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
    #[arg(long, value_name = "PERCENT")]
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
    match &args.output {
        Some(path) => std::fs::write(path, &bytes)
            .with_context(|| format!("cannot write {}", path.display()))?,
        None => print(&bytes)?,
    }
    let is_worse = args.fail_on_worse.is_some_and(|percent| {
        let worse = |change: Change| matches!(change, Change::Worse | Change::New);
        report
            .groups
            .iter()
            .any(|group| worse(group.change) && group.delta_share * 100.0 >= percent)
    });
    Ok(if is_worse { FAILED } else { DONE })
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
