//! Where bodies go: decoded, filtered, counted, written.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use isukit_analyze::decode::{
    Body, BodyFilter, Decoded, Decoder, Framing, OwnedBody, Stats, Summary, TextStyle,
    write_record, write_text,
};
use isukit_proto::Message;

use super::DecodeArgs;
use super::args::FormatArg;
use crate::cli::output::Output;
use crate::cli::{ClosedPipe, complain};

/// Decodes bodies and writes what they are.
pub(super) struct BodySink<'a> {
    args: &'a DecodeArgs,
    decoder: Decoder,
    writer: Writer,
    /// Bodies that wait until types are settled; none when they need not.
    held: Option<Held>,
    /// Whether the bodies that were held back are written: those that follow are written as they come.
    is_stream: bool,
}

struct Held {
    since: Instant,
    bodies: Vec<OwnedBody>,
    bytes: usize,
    most: usize,
}

/// What is written, and what is counted on the way.
struct Writer {
    filter: Option<BodyFilter>,
    /// Why the filter could not be held against a body, the first time.
    unjudged: Option<String>,
    unjudged_count: u64,
    summary: Summary,
    stats: Option<Stats>,
    format: FormatArg,
    style: TextStyle,
    explain: bool,
    buffer: Vec<u8>,
    out: Out,
    failed: Option<anyhow::Error>,
}

enum Out {
    Stdout(io::Stdout),
    File(BufWriter<Output>),
}

/// What is gathered before it is written, in bytes.
const BUFFER_BYTES: usize = 64 << 10;

impl<'a> BodySink<'a> {
    pub(super) fn new(
        args: &'a DecodeArgs,
        decoder: Decoder,
        filter: Option<BodyFilter>,
    ) -> Result<Self> {
        let output = args.output.as_deref().map(Output::create_private);
        let to_terminal = output.is_none() && io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Ok(Self {
            args,
            decoder,
            writer: Writer {
                filter,
                unjudged: None,
                unjudged_count: 0,
                summary: Summary::new(),
                stats: args.stats.then(Stats::default),
                format: args.format.unwrap_or(match to_terminal {
                    true => FormatArg::Text,
                    false => FormatArg::Json,
                }),
                style: TextStyle {
                    is_coloured: to_terminal && !no_color,
                    explain: args.explain,
                },
                explain: args.explain,
                buffer: Vec::new(),
                out: match output.transpose()? {
                    Some(output) => Out::File(BufWriter::new(output)),
                    None => Out::Stdout(io::stdout()),
                },
                failed: None,
            },
            held: None,
            is_stream: false,
        })
    }

    /// The type that the user gave to all bodies.
    pub(super) fn given(&self) -> Option<Message> {
        self.decoder.types()?.given().cloned()
    }

    /// How the messages of bodies are told apart that do not say it.
    pub(super) fn set_framing(&mut self, framing: Framing) {
        self.decoder.set_framing(framing);
    }

    /// Whether types are to be found by looking at bodies first.
    pub(super) fn wants_evidence(&self) -> bool {
        self.decoder
            .types()
            .is_some_and(|types| types.given().is_none())
    }

    /// Learn from a body that comes again: whether there was anything to learn.
    pub(super) fn observe(&mut self, body: &Body<'_>) -> bool {
        self.decoder.observe(body)
    }

    /// Decide on types.
    pub(super) fn settle(&mut self) {
        self.decoder.settle();
    }

    /// Hold the first bodies back, up to this many bytes and for a moment, until something is known of
    /// their types.
    pub(super) fn hold_back(&mut self, most: usize) {
        self.held = Some(Held {
            since: Instant::now(),
            bodies: Vec::new(),
            bytes: 0,
            most,
        });
    }

    /// Write all bodies as they come.
    pub(super) fn hold_nothing(&mut self) {
        self.is_stream = true;
    }

    /// Take a body.
    ///
    /// # Errors
    /// When what it is cannot be written.
    pub(super) fn body(&mut self, body: &Body<'_>) -> Result<()> {
        if let Some(held) = &mut self.held {
            self.decoder.observe(body);
            held.bytes += body.bytes.len() + HELD_OVERHEAD;
            held.bodies.push(OwnedBody::new(body));
            return match held.bytes >= held.most || held.since.elapsed() >= HELD_FOR {
                true => self.release(),
                false => Ok(()),
            };
        }
        if self.is_stream {
            self.decoder.learn(body);
        }
        let writer = &mut self.writer;
        self.decoder
            .decode(body, &mut |decoded| writer.take(decoded));
        if self.is_stream {
            // Somebody may be looking, and nobody knows when the next one comes.
            self.writer.flush();
        }
        self.writer.failed()
    }

    /// Take a body that will not come again, and learn from it.
    ///
    /// # Errors
    /// When what it is cannot be written.
    pub(super) fn passing(&mut self, body: &Body<'_>) -> Result<()> {
        if self.held.is_none() {
            self.decoder.learn(body);
        }
        self.body(body)
    }

    /// Write what was held back.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn release(&mut self) -> Result<()> {
        let Some(held) = self.held.take() else {
            return Ok(());
        };
        self.decoder.settle();
        for body in &held.bodies {
            self.body(&body.as_body())?;
        }
        self.is_stream = true;
        self.flush()
    }

    /// Write what there is, as somebody is looking.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.writer.flush();
        self.writer.failed()
    }

    /// What a capture held besides bodies.
    pub(super) fn count_capture(&mut self, totals: &isukit_analyze::capture::Totals) {
        let summary = &mut self.writer.summary;
        summary.lost_bytes = totals.lost_bytes;
        summary.unpaired = totals.unpaired + totals.unanswered;
        summary.capture = serde_json::to_value(totals).ok();
    }

    /// Bytes that belong to no message.
    pub(super) fn lost(&mut self, bytes: u64) {
        self.writer.summary.lost_bytes += bytes;
    }

    /// What was found of types, as a map of routes.
    pub(super) fn map(&self) -> Option<String> {
        let (map, notes) = self.decoder.types()?.to_map();
        Some(map.to_toml(&notes))
    }

    /// Write the summary, and say what was seen.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn finish(mut self) -> Result<Summary> {
        self.release()?;
        let mut writer = self.writer;
        if let Some(stats) = writer.stats.take() {
            let report = stats.report();
            match writer.format {
                FormatArg::Json => report.write_json(&mut writer.buffer),
                FormatArg::Text => report.write_text(&mut writer.buffer),
            }
        }
        match writer.format {
            FormatArg::Json => writer.summary.write(&mut writer.buffer),
            FormatArg::Text => writer.closing(),
        }
        writer.flush();
        writer.failed()?;
        if let Out::File(file) = writer.out {
            let output = file.into_inner().map_err(io::IntoInnerError::into_error);
            output
                .with_context(|| format!("cannot write {:?}", self.args.output))?
                .commit()?;
        }
        // Fields of one type are no fields of the others, and a request has no status: that is only worth a
        // word when nothing was chosen.
        if let Some(why) = (writer.unjudged.as_ref()).filter(|_| writer.summary.bodies == 0) {
            complain(&format!(
                "isukit: --where could not be held against {} bodies, which were left out: {why}",
                writer.unjudged_count
            ));
        }
        Ok(writer.summary)
    }
}

/// How long the first bodies of a pipe are held back.
const HELD_FOR: Duration = Duration::from_secs(1);

/// What a body that is held back takes besides its bytes.
const HELD_OVERHEAD: usize = 512;

impl Writer {
    fn take(&mut self, decoded: &Decoded<'_>) {
        if let Some(filter) = &self.filter {
            match filter.holds(decoded) {
                Ok(true) => {}
                Ok(false) => {
                    self.summary.filtered += 1;
                    return;
                }
                Err(why) => {
                    self.summary.filtered += 1;
                    self.unjudged_count += 1;
                    self.unjudged.get_or_insert(why);
                    return;
                }
            }
        }
        self.summary.count(decoded);
        if let Some(stats) = &mut self.stats {
            stats.count(decoded);
            return;
        }
        match self.format {
            FormatArg::Json => write_record(decoded, self.explain, &mut self.buffer),
            FormatArg::Text => write_text(decoded, self.style, &mut self.buffer),
        }
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.failed.is_some() {
            self.buffer.clear();
            return;
        }
        let written = match &mut self.out {
            Out::Stdout(stdout) => stdout.write_all(&self.buffer).and_then(|()| stdout.flush()),
            Out::File(file) => file.write_all(&self.buffer),
        };
        self.buffer.clear();
        self.failed = written.err().map(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => ClosedPipe.into(),
            _ => anyhow::Error::new(error).context("cannot write what was decoded"),
        });
    }

    fn failed(&mut self) -> Result<()> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// One line for people, where there was more than a body or two.
    fn closing(&mut self) {
        let summary = &self.summary;
        if summary.bodies < 2 && summary.lost_bytes == 0 && summary.filtered == 0 {
            return;
        }
        let mut parts = vec![format!("{} bodies", summary.bodies)];
        for (count, what) in [
            (summary.undecoded, "with errors"),
            (summary.filtered, "left out by --where"),
            (summary.unpaired, "without their other side"),
            (summary.lost_bytes, "bytes lost"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        let _ = writeln!(self.buffer, "# {}", parts.join(", "));
    }
}

/// Why there were no bodies.
pub(super) fn nothing(args: &DecodeArgs, summary: &Summary) -> String {
    let name = args.file.display();
    let count = |key: &str| {
        let capture = summary.capture.as_ref();
        capture
            .and_then(|capture| capture[key].as_u64())
            .unwrap_or(0)
    };
    match () {
        () if summary.capture.is_none() => format!("{name} is empty"),
        () if count("encrypted") > 0 => format!(
            "{name} has {} encrypted connections and no bodies to read: give their secrets with \
             --keylog FILE, or capture behind the proxy that ends TLS",
            count("encrypted")
        ),
        () if count("http2") > 0 => format!(
            "{name} has {} connections of HTTP/2 and no bodies of HTTP/1.1, which is what is read here",
            count("http2")
        ),
        () if !args.port.is_empty() && count("other_ports") > 0 => {
            format!("{name} has no HTTP messages on that --port; without it there may be some")
        }
        () => format!(
            "{name} has no HTTP/1.1 bodies: {} packets, {} TCP connections, {} messages without a body",
            count("packets"),
            count("connections"),
            count("requests") + count("responses")
        ),
    }
}
