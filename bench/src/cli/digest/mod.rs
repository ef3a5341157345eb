//! `isukit digest`: logs -> groups -> what to fix next.

mod args;
mod database;
mod follow;
mod live;
mod overwrite;
mod patient;
mod progress;
mod routes;

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use isukit_analyze::digest::{self, Digest, DigestReport, Page, ReadError, Session};

pub(super) use args::DigestArgs;

use super::output::{Output, discard_all};
use super::signals::on_signals;
use super::{COULD_NOT, DONE, complain, print};
use follow::Follower;
use live::Live;
use patient::Patient;
use progress::ReadProgress;

/// Groups of each sort in text and Markdown.
const SHOWN_GROUPS: usize = 10;

/// How long a report may take after the signal that asked for it.
const LAST_RESORT: Duration = Duration::from_secs(5);

/// Columns of a report that does not go to a terminal.
pub(super) const PLAIN_WIDTH: usize = 120;

/// Do what was asked.
pub(super) fn main(args: &DigestArgs) -> Result<u8> {
    let options = args.report_options()?;
    let mut session = Session::new(args.settings(now_us()?)?);
    overwrite::refuse(args)?;
    // Files that cannot be written are told before the work, not after it.
    let output = args.output.as_deref().map(Output::create).transpose()?;
    let save = args.save.as_deref().map(Output::create).transpose()?;
    let stop = stop_flag()?;
    let mut code = DONE;
    let mut broken = Vec::new();
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
            Ok(()) => {}
            Err(error) => {
                if matches!(error, ReadError::Io(_)) {
                    broken.push(format!("{name} could not be read to its end: {error}"));
                }
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
        // Whatever else went wrong explains it.
        if code == DONE {
            complain(&no_entries(args, stop.load(Ordering::Relaxed)));
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
    // A condition that holds for nothing is an answer; one that could be held against nothing is none.
    if digest.events() == 0 && digest.unjudged > 0 && digest.unjudged == digest.filtered {
        code = COULD_NOT;
    }
    report.notes.extend(broken);
    report.notes.extend(routes::unused(args, digest));
    if stop.load(Ordering::Relaxed) && !args.follow {
        report
            .notes
            .push("stopped before the end of the logs".to_owned());
    }
    // Before the report: whoever reads that may go when the first page is read.
    if let (Some(file), Some(path)) = (save, &args.save) {
        save_digest(&session, file)
            .with_context(|| format!("cannot write {}", path.display()))?
            .commit()?;
    }
    write_report(args, &report, output)?;
    Ok(code)
}

fn save_digest(session: &Session, file: Output) -> io::Result<Output> {
    let mut out = BufWriter::new(file);
    digest::save(session.digest(), session.names(), &mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)
}

fn no_entries(args: &DigestArgs, is_stopped: bool) -> String {
    let names: Vec<_> = args
        .files
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let names = names.join(", ");
    match is_stopped {
        true => format!("isukit: stopped while there were no entries in {names} yet"),
        false => format!(
            "isukit: there are no entries in {names}: is the log switched on, and is this the file?"
        ),
    }
}

/// The time in microseconds since the Unix epoch.
fn now_us() -> Result<i64> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock stands before 1970")?;
    Ok(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A flag that Ctrl-C sets; a second one ends the process, as does time.
pub(super) fn stop_flag() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    on_signals(move || {
        if flag.swap(true, Ordering::Relaxed) {
            give_up();
        }
        // Without a thread a second signal still ends it.
        let _ = std::thread::Builder::new().spawn(|| {
            std::thread::sleep(LAST_RESORT);
            give_up();
        });
    })?;
    Ok(stop)
}

/// End the process here and now.
fn give_up() -> ! {
    discard_all();
    complain("isukit: stopped before it could report");
    std::process::exit(COULD_NOT.into());
}

/// Open a file, a FIFO or stdin, which may have nothing for a long time.
pub(super) fn open(
    path: &Path,
    follow: bool,
    stop: &Arc<AtomicBool>,
) -> Result<Box<dyn Read + Send>> {
    let is_stdin = path.as_os_str() == "-";
    let opened = match is_stdin {
        true => io::stdin().as_fd().try_clone_to_owned().map(File::from),
        false => open_at_once(path),
    };
    let opened = opened.and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = opened.with_context(|| format!("cannot read {}", path.display()))?;
    if metadata.is_dir() {
        bail!(
            "cannot read {}: it is a directory; name the logs in it",
            path.display()
        );
    }
    let stop = Arc::clone(stop);
    Ok(match metadata.is_file() {
        false => Box::new(Patient::new(file, stop)),
        true if follow && !is_stdin => Box::new(Follower::new(path, file, stop)),
        true => Box::new(file),
    })
}

/// Open a file without waiting: not even for someone who writes the FIFO.
fn open_at_once(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

/// Write the report where it was asked for.
fn write_report(args: &DigestArgs, report: &DigestReport, output: Option<Output>) -> Result<()> {
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
        Some(output) => output.finish(&bytes),
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
    ensure!(
        !stop.load(Ordering::Relaxed),
        "stopped before it could compare"
    );
    Ok(session.into_digest())
}
