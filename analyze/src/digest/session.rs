//! Logs of any kind into one digest.

use std::io::{self, Read};
use std::str::FromStr;
use std::sync::atomic::AtomicBool;

use thiserror::Error;

use super::driver::Driven;
use super::filter::Filter;
use super::fold::Window;
use super::group::What;
use super::skipped::excerpt;
use super::snapshot::{self, SnapshotError};
use super::{Batch, Digest, Fold, Input, driver};
use crate::access::{self, Collapse, Format, FormatError, Namer, NamerError, NamerOptions};
use crate::slow::{self, ShapeStyle};

/// What a log is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A slow-query log.
    Slow,
    /// An access log, or our own events.
    Access(Format),
    /// A digest that was saved.
    Snapshot,
}

impl Kind {
    /// By the first bytes of a log; none when nothing fits.
    pub fn detect(first: &[u8]) -> Option<Self> {
        if snapshot::is_snapshot(first) {
            return Some(Self::Snapshot);
        }
        if slow::looks_like(first) {
            return Some(Self::Slow);
        }
        Format::detect(first).map(Self::Access)
    }

    /// Its name in reports.
    pub fn name(&self) -> &str {
        match self {
            Self::Slow => "slow",
            Self::Access(format) => format.name(),
            Self::Snapshot => "snapshot",
        }
    }
}

impl FromStr for Kind {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        match text {
            "slow" => Ok(Self::Slow),
            "snapshot" => Ok(Self::Snapshot),
            other => other.parse().map(Self::Access),
        }
    }
}

/// How logs are read.
#[derive(Debug)]
pub struct Settings {
    /// What the logs are; none to find out.
    pub kind: Option<Kind>,
    /// Threads that parse.
    pub threads: usize,
    /// Which times are wanted.
    pub window: Window,
    /// Which records are wanted.
    pub filter: Option<Filter>,
    /// What requests are grouped by.
    pub routes: NamerOptions,
    /// What statements are grouped by.
    pub shapes: ShapeStyle,
    /// Whether to find out which route causes which statements, for which both kinds of log are needed.
    pub correlates: bool,
}

/// A log that could not be digested.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It could not be read to its end; what came before is in the digest.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A snapshot that cannot be used.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Routes that cannot be used.
    #[error(transparent)]
    Routes(#[from] NamerError),
    /// Nothing in it could be used.
    #[error("no line of it could be used{}{}", lines(.first_lines), hint(.first_lines, .as_kind, .fits))]
    Nothing {
        /// How its first lines begin.
        first_lines: Vec<String>,
        /// What it was read as; none when nothing fits.
        as_kind: Option<String>,
        /// Kinds that may fit, as `--as` takes them, and what the lines lack for each.
        fits: Vec<(String, String)>,
    },
}

fn lines(first_lines: &[String]) -> String {
    match first_lines {
        [] => "; ".to_owned(),
        lines => format!("; it begins:\n    {}\n", lines.join("\n    ")),
    }
}

fn hint(first_lines: &[String], as_kind: &Option<String>, fits: &[(String, String)]) -> String {
    // The byte order mark is no UTF-8, and neither letter of it is printable; each second byte is zero.
    let begin = first_lines
        .first()
        .into_iter()
        .flat_map(|line| line.chars());
    let begin: Vec<bool> = begin.take(10).map(|c| c == '\u{fffd}').collect();
    let is_each_second = |from: usize| begin[from..].iter().step_by(2).all(|it| *it);
    if begin.len() == 10 && begin[..2] == [true; 2] && is_each_second(2) != is_each_second(3) {
        return "it looks like UTF-16; give it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE | isukit digest -"
            .to_owned();
    }
    let read_as = match as_kind {
        Some(kind) => format!("it was read as {kind}; "),
        None => String::new(),
    };
    match fits {
        [] => format!(
            "{read_as}say what it is with --as slow, ltsv, combined, json, envoy, events or \
             nginx:'FORMAT', or give the server's configuration with --nginx-conf FILE"
        ),
        fits => {
            let fits = fits.iter().map(|(kind, lack)| match lack.as_str() {
                "" => format!("--as {kind}"),
                lack => format!("--as {kind} (which has lines with {lack})"),
            });
            let fits: Vec<_> = fits.collect();
            format!("{read_as}try {}, or nginx:'FORMAT'", fits.join(" or "))
        }
    }
}

/// How often room is made for more routes. Paths that have nothing in common leave none, and would be
/// looked at again and again.
const MOST_LEARNED: usize = 3;

/// Sees the digest now and then, with the number of bytes that were folded.
pub type Watch<'a> = &'a mut (dyn FnMut(&Digest, u64) + Send);

/// Reads logs, one behind the other.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    digest: Digest,
    /// Which paths were found to be one route while reading.
    learned: Vec<Collapse>,
}

impl Session {
    /// A session without logs.
    pub fn new(settings: Settings) -> Self {
        let mut digest = Digest::new();
        digest.correlates = settings.correlates;
        Self {
            settings,
            digest,
            learned: Vec::new(),
        }
    }

    /// What was read so far.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// End the session.
    pub fn into_digest(self) -> Digest {
        self.digest
    }

    /// How statements are named, as a snapshot says it.
    pub fn names(&self) -> &'static str {
        match self.settings.shapes {
            ShapeStyle::Own => "own",
            ShapeStyle::PtCompat => "pt-compat",
        }
    }

    /// Read a log to its end, or until `stop`. `log` is what it is called.
    ///
    /// # Errors
    /// [`ReadError`]. Whatever could be read is in the digest.
    pub fn read(
        &mut self,
        log: &str,
        source: Box<dyn Read + Send>,
        stop: &AtomicBool,
        watch: Watch<'_>,
    ) -> Result<(), ReadError> {
        let mut input = Input::open(source, stop)?;
        let asked = self.settings.kind.clone();
        let Some(kind) = asked.or_else(|| Kind::detect(input.first())) else {
            return match input.first() {
                // An empty log is no broken one. What stops a log from being read must still be told.
                [] => drain(&mut input),
                first => Err(nothing(first, None)),
            };
        };
        if matches!(kind, Kind::Snapshot) {
            let saved = snapshot::load(&mut input, self.names())?;
            self.digest.merge(&saved);
            return Ok(());
        }
        let first = input.first().to_vec();
        let before = self.digest.statements.records + self.digest.requests.records;
        let filtered = self.digest.filtered;
        self.digest.begin(kind.name());
        let read = match &kind {
            Kind::Access(format) => {
                let namer = Namer::new(self.settings.routes.clone())?;
                let reader = access::Reader::new(format.clone(), namer);
                self.access(log, &reader, &mut input, stop, watch)
            }
            _ => self.slow(log, &mut input, stop, watch),
        };
        let bytes = read.bytes;
        self.digest.end(bytes);
        if let Some(error) = read.failure {
            return Err(error.into());
        }
        let after = self.digest.statements.records + self.digest.requests.records;
        if after == before && self.digest.filtered == filtered && bytes > 0 {
            let has_banner_only = self.digest.skips.count() == 0;
            return match has_banner_only {
                true => Ok(()),
                false => Err(nothing(&first, Some(kind.name().to_owned()))),
            };
        }
        Ok(())
    }

    fn slow(
        &mut self,
        log: &str,
        input: &mut Input,
        stop: &AtomicBool,
        watch: Watch<'_>,
    ) -> Driven {
        let reader = slow::Reader::new(self.settings.shapes);
        let threads = self.settings.threads;
        let mut fold = SlowFold {
            session: self,
            log,
            watch,
        };
        driver::digest(&reader, input, threads, stop, &mut fold)
    }

    fn access(
        &mut self,
        log: &str,
        reader: &access::Reader,
        input: &mut Input,
        stop: &AtomicBool,
        watch: Watch<'_>,
    ) -> Driven {
        let threads = self.settings.threads;
        let mut fold = AccessFold {
            session: self,
            log,
            reader,
            watch,
        };
        driver::digest(reader, input, threads, stop, &mut fold)
    }

    /// Make room for more routes: find out which paths are one.
    fn learn_routes(&mut self) {
        let options = &self.settings.routes;
        let given = [options.routes.clone(), options.regexes.clone()].concat();
        let Digest {
            requests, names, ..
        } = &mut self.digest;
        let (learned, places) = requests.collapse(&given, names);
        self.digest.moved_routes(&places);
        self.learned.push(learned);
    }
}

fn drain(input: &mut Input) -> Result<(), ReadError> {
    io::copy(input, &mut io::sink())?;
    Ok(())
}

/// The first lines of a log that could not be used, and what it may be.
fn nothing(first: &[u8], as_kind: Option<String>) -> ReadError {
    let lines = first.split(|byte| *byte == b'\n');
    let shown = lines.filter(|line| !line.is_empty()).take(3).map(excerpt);
    let attempts = access::explain_failure(first).into_iter();
    let fits = attempts
        .filter(|it| it.looks_like && as_kind.as_deref() != Some(it.format))
        .map(|it| {
            (
                it.format.to_owned(),
                it.reason.unwrap_or_default().to_owned(),
            )
        })
        .collect();
    ReadError::Nothing {
        first_lines: shown.collect(),
        as_kind,
        fits,
    }
}

/// Folds statements.
struct SlowFold<'a, 'b> {
    session: &'a mut Session,
    log: &'a str,
    watch: Watch<'b>,
}

impl Fold<slow::Record> for SlowFold<'_, '_> {
    fn fold(&mut self, offset: u64, block: &[u8], batch: &Batch<slow::Record>) {
        let Session {
            settings, digest, ..
        } = &mut *self.session;
        digest.skips.note(self.log, offset, block, batch);
        for record in &batch.records {
            let at_us = digest.advance(block, batch, record);
            let is_wanted = settings.window.has(at_us)
                && settings.filter.as_ref().is_none_or(|filter| {
                    let database = digest.database();
                    let wants = filter.wants_statement(block, batch, record, at_us, database);
                    digest.judged(wants)
                });
            if !is_wanted {
                digest.filtered += 1;
                continue;
            }
            digest.statement(block, batch, record, at_us, || {
                let statement = record.statement.of(block, &batch.side);
                match settings.shapes {
                    ShapeStyle::Own => slow::shape::render(statement),
                    ShapeStyle::PtCompat => slow::pt::fingerprint(statement),
                }
            });
        }
        (self.watch)(digest, offset + block.len() as u64);
    }
}

/// Folds requests.
struct AccessFold<'a, 'b> {
    session: &'a mut Session,
    log: &'a str,
    reader: &'a access::Reader,
    watch: Watch<'b>,
}

impl AccessFold<'_, '_> {
    /// The group of a request that no group is known of.
    #[cold]
    fn enter(
        &mut self,
        block: &[u8],
        batch: &Batch<access::Record>,
        record: &access::Record,
    ) -> u32 {
        let mut name = Vec::new();
        self.reader.name(record, block, &batch.side, &mut name);
        let mut name = String::from_utf8_lossy(&name).into_owned();
        if self.session.digest.requests.is_full() && self.session.learned.len() < MOST_LEARNED {
            self.session.learn_routes();
        }
        for learned in &self.session.learned {
            if let Some(route) = learned.apply(&name) {
                name = route;
            }
        }
        let requests = &mut self.session.digest.requests;
        requests.enter(record.key, name, || What::Requests(Box::default()))
    }
}

impl Fold<access::Record> for AccessFold<'_, '_> {
    fn fold(&mut self, offset: u64, block: &[u8], batch: &Batch<access::Record>) {
        let digest = &mut self.session.digest;
        digest.skips.note(self.log, offset, block, batch);
        for record in &batch.records {
            let Session {
                settings, digest, ..
            } = &mut *self.session;
            let at_us = digest.at(record.at_us);
            let is_wanted = settings.window.has(at_us)
                && settings.filter.as_ref().is_none_or(|filter| {
                    digest.judged(filter.wants_request(block, batch, record, at_us))
                });
            if !is_wanted {
                digest.filtered += 1;
                continue;
            }
            let at = match digest.requests.find(record.key) {
                Some(at) => at,
                None => self.enter(block, batch, record),
            };
            self.session.digest.request(block, batch, record, at, at_us);
        }
        (self.watch)(&self.session.digest, offset + block.len() as u64);
    }
}
