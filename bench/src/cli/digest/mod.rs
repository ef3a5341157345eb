//! `isukit digest`: logs -> groups -> what to fix next.

mod args;
mod database;
mod follow;
mod live;
mod progress;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use isukit_analyze::digest::{self, Digest, DigestReport, Page, ReadError, Session};

pub(super) use args::DigestArgs;

use super::signals::on_signals;
use super::{COULD_NOT, DONE, complain, print};
use follow::Follower;
use live::Live;
use progress::ReadProgress;

/// Groups of each sort in text and Markdown.
const SHOWN_GROUPS: usize = 10;

/// Columns of a report that does not go to a terminal.
pub(super) const PLAIN_WIDTH: usize = 120;

/// Do what was asked.
pub(super) fn main(args: &DigestArgs) -> Result<u8> {
    let options = args.report_options()?;
    let mut session = Session::new(args.settings(now_us()?)?);
    // Files that cannot be written are told before the work, not after it.
    let output = args.output.as_deref().map(create).transpose()?;
    let save = args.save.as_deref().map(create).transpose()?;
    let stop = stop_flag()?;
    let mut code = DONE;
    let mut is_anything_read = false;
    let mut progress = ReadProgress::new(&args.files);
    let is_live = args.follow && args.format.is_text() && output.is_none();
    let mut live = Live::new(is_live, options.clone());
    for path in &args.files {
        let name = path.display().to_string();
        let source = match open(path, args.follow, &stop) {
            Ok(source) => source,
            Err(error) => {
                complain(&format!("isukit: {error:#}"));
                code = COULD_NOT;
                continue;
            }
        };
        let mut watch = |digest: &Digest, bytes: u64| match is_live {
            true => live.show(digest),
            false => progress.show(path, bytes, digest),
        };
        let read = session.read(&name, source, &stop, &mut watch);
        progress.clear();
        match read {
            Ok(()) => is_anything_read = true,
            Err(error) => {
                is_anything_read |= matches!(error, ReadError::Io(_));
                complain(&format!("isukit: {name}: {error}"));
                code = COULD_NOT;
            }
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    let digest = session.digest();
    if digest.events() == 0 && digest.filtered == 0 {
        if is_anything_read {
            complain(
                "isukit: the logs have no entries: is the log switched on, and is this the file?",
            );
        }
        return Ok(COULD_NOT);
    }
    let mut report = digest.report(&options);
    if let Some(url) = &args.mysql {
        match database::ask(url, &report) {
            Ok(evidence) => report = digest.report_with(&options, Some(&evidence)),
            // What the log says is worth something by itself.
            Err(error) => {
                complain(&format!("isukit: {error:#}"));
                code = COULD_NOT;
            }
        }
    }
    if stop.load(Ordering::Relaxed) && !args.follow {
        report
            .notes
            .push("stopped before the end of the logs".to_owned());
    }
    write_report(args, &report, output)?;
    if let (Some(file), Some(path)) = (save, &args.save) {
        let mut out = BufWriter::new(file);
        digest::save(digest, session.names(), &mut out)
            .and_then(|()| out.flush())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(code)
}

/// The time in microseconds since the Unix epoch.
fn now_us() -> Result<i64> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock stands before 1970")?;
    Ok(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A flag that Ctrl-C sets; a second one ends the process.
pub(super) fn stop_flag() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    on_signals(move || {
        if flag.swap(true, Ordering::Relaxed) {
            complain("isukit: stopped before it could report");
            std::process::exit(COULD_NOT.into());
        }
    })?;
    Ok(stop)
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}

fn open(path: &Path, follow: bool, stop: &Arc<AtomicBool>) -> Result<Box<dyn Read + Send>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(io::stdin()));
    }
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    if follow {
        return Ok(Box::new(Follower::new(path, file, Arc::clone(stop))));
    }
    Ok(Box::new(file))
}

/// Write the report where it was asked for.
fn write_report(args: &DigestArgs, report: &DigestReport, output: Option<File>) -> Result<()> {
    let terminal = terminal(output.is_none());
    let is_all = args.all || args.limit.is_some();
    let page = Page {
        width: terminal.map_or(PLAIN_WIDTH, |(columns, _)| columns),
        height: terminal.map(|(_, lines)| lines).filter(|_| !is_all),
        groups: args.limit.unwrap_or(SHOWN_GROUPS),
    };
    let mut bytes = Vec::new();
    report.render(args.format.format(), page, &mut bytes)?;
    match output {
        Some(mut file) => file.write_all(&bytes).context("cannot write the report"),
        None => print(&bytes),
    }
}

/// Columns and lines of the terminal, if the report goes to one.
pub(super) fn terminal(to_stdout: bool) -> Option<(usize, usize)> {
    let stdout = io::stdout();
    if !to_stdout || !stdout.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
    let (columns, lines) = (usize::from(size.ws_col), usize::from(size.ws_row));
    (columns > 0 && lines > 0).then_some((columns.max(40), lines))
}

/// Read a log or a snapshot by itself, for a comparison.
pub(super) fn read_one(
    path: &Path,
    settings: digest::Settings,
    stop: &Arc<AtomicBool>,
) -> Result<Digest> {
    let mut session = Session::new(settings);
    let source = open(path, false, stop)?;
    let mut progress = ReadProgress::new(&[path.to_owned()]);
    let mut watch = |digest: &Digest, bytes: u64| progress.show(path, bytes, digest);
    session
        .read(&path.display().to_string(), source, stop, &mut watch)
        .with_context(|| path.display().to_string())?;
    progress.clear();
    Ok(session.into_digest())
}
