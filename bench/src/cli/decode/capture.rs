//! Captures: twice through a file, so that the types of the first bodies are known from all; once through
//! a pipe, whose first bodies are held back until something is known.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{self, Read};

use anyhow::{Context, Result};
use isukit_analyze::capture::{Assembler, CaptureOptions, Message, Sink, read as read_packets};
use isukit_analyze::decode::{Body, Direction};
use rustc_hash::FxHashMap;

use super::DecodeArgs;
use super::file::Source;
use super::sink::BodySink;
use crate::cli::{COULD_NOT, DONE, complain};

/// Bodies of a pipe that are held back until their types are settled, in bytes.
const HELD_BYTES: usize = 8 << 20;

/// Requests that wait for their replies, to tell how long those took.
const OPEN_REQUESTS: usize = 100_000;

/// Read a capture.
pub(super) fn read(args: &DecodeArgs, source: &mut Source, sink: &mut BodySink<'_>) -> Result<u8> {
    match (source.is_seekable(), sink.wants_evidence()) {
        (true, true) => {
            // What is wrong with the capture is told by the second reading.
            let enough = Cell::new(false);
            let mut observer = Observer {
                sink,
                taught_nothing: 0,
                enough: &enough,
            };
            let mut until = Until {
                source,
                enough: &enough,
            };
            let _ = pass(args, &mut until, &mut observer)?;
            sink.settle();
            source.rewind().context("cannot read the capture twice")?;
        }
        (true, false) => {}
        (false, true) => sink.hold_back(HELD_BYTES),
        (false, false) => sink.hold_nothing(),
    }
    let mut shower = Shower { sink, failed: None };
    let code = pass(args, source, &mut shower)?;
    if let Some(error) = shower.failed {
        return Err(error);
    }
    sink.release()?;
    Ok(code)
}

/// Read all packets and hand the bodies to `to`.
fn pass(args: &DecodeArgs, source: &mut dyn Read, to: &mut dyn Take) -> Result<u8> {
    let warns = to.is_last();
    let mut bridge = Bridge::new(to);
    let (code, assembler, note) = packets(args, source, warns, &mut bridge)?;
    bridge.to.end(&assembler, note.as_deref());
    Ok(code)
}

/// Read all packets and hand the messages to `sink`, with their heads.
pub(super) fn messages(args: &DecodeArgs, source: &mut Source, sink: &mut dyn Sink) -> Result<u8> {
    let (code, _, note) = packets(args, source, true, sink)?;
    if let Some(note) = note {
        complain(&note);
    }
    Ok(code)
}

/// Read all packets: the exit code, what was counted, and what is wrong with the capture.
fn packets(
    args: &DecodeArgs,
    source: &mut dyn Read,
    warns: bool,
    sink: &mut dyn Sink,
) -> Result<(u8, Assembler, Option<String>)> {
    let mut assembler = assembler(args, warns)?;
    let read = read_packets(source, &mut assembler, sink);
    assembler.finish(sink);
    let mut code = DONE;
    let note = match read {
        Ok(summary) => summary
            .cut_at
            .map(|at| format!("the capture ends within the packet that begins at byte {at}")),
        // What was read before it is still worth something.
        Err(error) => {
            code = COULD_NOT;
            Some(error.to_string())
        }
    };
    let note = note.map(|note| format!("isukit: {}: {note}", args.file.display()));
    Ok((code, assembler, note))
}

/// What puts the connections together, as it was asked for.
///
/// `warns` whether to say what is wrong with the key log: of two readings the second does.
pub(super) fn assembler(args: &DecodeArgs, warns: bool) -> Result<Assembler> {
    let mut assembler = Assembler::new(CaptureOptions {
        ports: args.port.clone(),
        body_bytes_max: args.max_body,
        ..CaptureOptions::default()
    });
    if let Some(path) = &args.keylog {
        let text =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let summary = assembler.secrets(&text);
        if let Some(line) = summary.first_skipped_line.filter(|_| warns) {
            complain(&format!(
                "isukit: {}: {} lines are no secrets, the first of them line {line}",
                path.display(),
                summary.skipped
            ));
        }
    }
    Ok(assembler)
}

/// Takes the bodies of a capture.
pub(super) trait Take {
    /// A body.
    fn body(&mut self, body: &Body<'_>);
    /// Whether the capture will not be read again.
    fn is_last(&self) -> bool {
        true
    }
    /// Some time has passed: what is written may be shown.
    ///
    /// # Errors
    /// When it cannot be written.
    fn look(&mut self) -> Result<()> {
        Ok(())
    }
    /// The capture is over.
    fn end(&mut self, assembler: &Assembler, note: Option<&str>);
}

/// Bodies in a row that taught nothing, after which the first reading ends: all routes were seen.
const TAUGHT_NOTHING: u32 = 20_000;

/// Learns the types of bodies that come again.
struct Observer<'s, 'a> {
    sink: &'s mut BodySink<'a>,
    taught_nothing: u32,
    enough: &'s Cell<bool>,
}

/// Ends where enough is known.
struct Until<'s> {
    source: &'s mut Source,
    enough: &'s Cell<bool>,
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.enough.get() {
            true => Ok(0),
            false => self.source.read(buffer),
        }
    }
}

impl Take for Observer<'_, '_> {
    fn body(&mut self, body: &Body<'_>) {
        self.taught_nothing = match self.sink.observe(body) {
            true => 0,
            false => self.taught_nothing.saturating_add(1),
        };
        self.enough.set(self.taught_nothing >= TAUGHT_NOTHING);
    }

    fn is_last(&self) -> bool {
        false
    }

    fn end(&mut self, _: &Assembler, _: Option<&str>) {}
}

/// Shows bodies.
struct Shower<'s, 'a> {
    sink: &'s mut BodySink<'a>,
    failed: Option<anyhow::Error>,
}

impl Take for Shower<'_, '_> {
    fn body(&mut self, body: &Body<'_>) {
        // Once nobody reads what is written, the rest is only counted.
        if self.failed.is_none() {
            self.failed = self.sink.body(body).err();
        }
    }

    fn end(&mut self, assembler: &Assembler, note: Option<&str>) {
        if let Some(note) = note {
            complain(note);
        }
        if let Some(fault) = assembler.tls_fault() {
            complain(&format!("isukit: not all of TLS could be read: {fault}"));
        }
        self.sink.count_capture(assembler.totals());
    }
}

/// Turns messages of connections into bodies.
pub(super) struct Bridge<'t> {
    to: &'t mut dyn Take,
    /// When requests began that have no reply yet, in nanoseconds.
    open: FxHashMap<u64, i64>,
}

impl<'t> Bridge<'t> {
    pub(super) fn new(to: &'t mut dyn Take) -> Self {
        Self {
            to,
            open: FxHashMap::default(),
        }
    }

    /// See [`Take::look`].
    pub(super) fn look(&mut self) -> Result<()> {
        self.to.look()
    }

    /// See [`Take::end`].
    pub(super) fn end(&mut self, assembler: &Assembler) {
        self.to.end(assembler, None);
    }

    /// How long a reply took, in microseconds.
    fn latency_us(&mut self, message: &Message<'_>) -> Option<u64> {
        match message.direction {
            Direction::Request => {
                if self.open.len() >= OPEN_REQUESTS {
                    // Those of connections that broke would stay for ever.
                    self.open.clear();
                }
                self.open.insert(message.exchange, message.first_at_ns);
                None
            }
            Direction::Response if message.paired => {
                let began = self.open.remove(&message.exchange)?;
                u64::try_from((message.last_at_ns - began) / 1_000).ok()
            }
            Direction::Response => None,
        }
    }
}

impl Sink for Bridge<'_> {
    fn message(&mut self, message: &Message<'_>) {
        let latency_us = self.latency_us(message);
        body_of(message, latency_us, |body| self.to.body(body));
    }
}

/// Hand the body of a message to `to`.
pub(super) fn body_of<T>(
    message: &Message<'_>,
    latency_us: Option<u64>,
    to: impl FnOnce(&Body<'_>) -> T,
) -> T {
    let text = |bytes| -> Cow<'_, str> { String::from_utf8_lossy(bytes) };
    let content_type = text(message.header("content-type").next().unwrap_or_default());
    let method = text(message.method);
    let url = text(message.target);
    to(&Body {
        direction: message.direction,
        time_us: Some(message.first_at_ns.div_euclid(1_000)),
        method: &method,
        url: &url,
        status: (message.direction == Direction::Response).then_some(message.status),
        content_type: &content_type,
        codings: message.codings,
        bytes: message.body,
        has_body: has_body(message, &method),
        lost_bytes: message.lost_bytes,
        is_cut: message.cut,
        is_oversized: message.oversized,
        latency_us,
        connection: Some(message.connection),
        exchange: Some(message.exchange),
        ends: Some((message.client, message.server)),
        is_paired: message.paired,
    })
}

fn has_body(message: &Message<'_>, method: &str) -> bool {
    let has = |name| message.header(name).next().is_some();
    let is_framed = has("content-length") || has("transfer-encoding");
    Body::may_be(message.direction, method, message.status, is_framed) || message.body_bytes > 0
}
