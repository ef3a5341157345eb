//! What has passed, decoded and written, on a thread of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::mpsc::Receiver;

use anyhow::{Context, Result};
use isukit_analyze::decode::{
    Body, BodyFilter, Decoded, Decoder, Direction, Summary, TextStyle, write_record, write_text,
};
use isukit_analyze::report::printable;
use isukit_analyze::units::format_ns;

use super::TapArgs;
use crate::cli::ClosedPipe;
use crate::cli::bodies::BodyFormat;
use crate::tap::Seen;

/// What is gathered before it is written, in bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// Writes what has passed.
pub(super) struct Display {
    decoder: Decoder,
    writer: Writer,
}

struct Writer {
    filter: Option<BodyFilter>,
    /// Why the filter could not be held against a message, the first time.
    unjudged: Option<String>,
    format: BodyFormat,
    style: TextStyle,
    is_quiet: bool,
    save: Option<BufWriter<File>>,
    summary: Summary,
    shown: Vec<u8>,
    saved: Vec<u8>,
}

/// How it ended.
pub(super) struct Ended {
    pub(super) summary: Summary,
    /// Why the filter could not be held against a message, the first time.
    pub(super) unjudged: Option<String>,
}

impl Display {
    /// Get ready.
    pub(super) fn new(args: &TapArgs, decoder: Decoder) -> Result<Self> {
        let to_terminal = io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let save = args.save.as_ref().map(|path| {
            create_private(path).with_context(|| format!("cannot write {}", path.display()))
        });
        Ok(Self {
            decoder,
            writer: Writer {
                filter: args.filter()?,
                unjudged: None,
                format: args.format.unwrap_or(match to_terminal {
                    true => BodyFormat::Text,
                    false => BodyFormat::Json,
                }),
                style: TextStyle {
                    is_coloured: to_terminal && !no_color,
                    explain: false,
                },
                is_quiet: args.quiet,
                save: save.transpose()?.map(BufWriter::new),
                summary: Summary::new(),
                shown: Vec::new(),
                saved: Vec::new(),
            },
        })
    }

    /// Write what comes until nobody sends any more.
    pub(super) fn run(mut self, receiver: &Receiver<Seen>) -> Result<Ended> {
        while let Ok(seen) = receiver.recv() {
            self.take(&seen);
            drop(seen);
            // What waits is taken at once; when nothing does, somebody shall see it.
            while self.writer.shown.len() + self.writer.saved.len() < BUFFER_BYTES {
                let Ok(seen) = receiver.try_recv() else { break };
                self.take(&seen);
            }
            self.writer.flush()?;
        }
        let mut writer = self.writer;
        if writer.save.is_some() {
            writer.summary.write(&mut writer.saved);
        }
        if writer.format == BodyFormat::Json && !writer.is_quiet {
            writer.summary.write(&mut writer.shown);
        }
        writer.flush()?;
        Ok(Ended {
            summary: writer.summary,
            unjudged: writer.unjudged,
        })
    }

    fn take(&mut self, seen: &Seen) {
        let exchange = &seen.exchange;
        let body = Body {
            direction: seen.direction,
            time_us: Some(seen.time_us),
            method: &exchange.method,
            url: &exchange.url,
            status: seen.status,
            content_type: &seen.content_type,
            codings: seen.codings,
            has_body: seen.has_body,
            lost_bytes: seen.lost_bytes,
            is_cut: seen.is_cut,
            latency_us: seen.latency_us,
            connection: Some(exchange.connection),
            exchange: Some(exchange.number),
            ends: exchange.server.map(|server| (exchange.client, server)),
            ..Body::raw(&seen.bytes)
        };
        self.decoder.learn(&body);
        let mut messages = 0;
        let writer = &mut self.writer;
        self.decoder.decode(&body, &mut |decoded| {
            messages += 1;
            writer.message(decoded);
        });
        if messages == 0 {
            writer.bare(seen);
        }
    }
}

impl Writer {
    fn message(&mut self, decoded: &Decoded<'_>) {
        if let Some(filter) = &self.filter {
            let holds = filter.holds(decoded).unwrap_or_else(|why| {
                self.unjudged.get_or_insert(why);
                false
            });
            if !holds {
                self.summary.filtered += 1;
                return;
            }
        }
        self.summary.count(decoded);
        if self.save.is_some() {
            write_record(decoded, false, &mut self.saved);
        }
        match self.format {
            _ if self.is_quiet => {}
            BodyFormat::Json => write_record(decoded, false, &mut self.shown),
            BodyFormat::Text => write_text(decoded, self.style, &mut self.shown),
        }
    }

    /// A reply without a body is a line for people.
    fn bare(&mut self, seen: &Seen) {
        let is_shown = !self.is_quiet && self.format == BodyFormat::Text && self.filter.is_none();
        if !is_shown || seen.direction == Direction::Request {
            return;
        }
        let line = format!(
            "# {} {} <- {}, no body, after {}{}",
            seen.exchange.method,
            seen.exchange.url,
            seen.status.unwrap_or_default(),
            format_ns(seen.latency_us.unwrap_or_default() as f64 * 1e3),
            if seen.is_cut { ", cut" } else { "" }
        );
        // Writing to a vector does not fail.
        let _ = writeln!(self.shown, "{}\n", printable(&line));
    }

    fn flush(&mut self) -> Result<()> {
        if let Some(save) = &mut self.save {
            let written = save.write_all(&self.saved).and_then(|()| save.flush());
            written.context("cannot write the file of --save")?;
            self.saved.clear();
        }
        if self.shown.is_empty() {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(&self.shown).and_then(|()| stdout.flush());
        self.shown.clear();
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ClosedPipe.into()),
            written => written.context("cannot write to stdout"),
        }
    }
}

/// A new file that only its owner reads, empty.
fn create_private(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    // One that was there already may have been readable by others.
    if file.metadata()?.is_file() {
        file.set_permissions(PermissionsExt::from_mode(0o600))?;
    }
    Ok(file)
}
