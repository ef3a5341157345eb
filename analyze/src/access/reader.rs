//! Blocks to records.

use super::labels::Parent;
use super::layout::Layout;
use super::limits::LINE_BYTES;
use super::line::State;
use super::namer::Namer;
use super::time::LastSecond;
use super::{Format, Record, combined, envoy, json, ltsv};
use crate::digest::{self, Batch, Skip, Span};

pub(crate) const TOO_LONG: &str = "a line longer than 1 MiB";

/// Count the line `start..next` as one that could not be used.
#[cold]
pub(crate) fn skip(batch: &mut Batch<Record>, start: usize, next: usize, reason: &'static str) {
    let span = Span::new(start, next);
    batch.skips.push(Skip { span, reason });
}

/// Reads access logs of one format, and names what was asked.
#[derive(Debug)]
pub struct Reader {
    format: Format,
    namer: Namer,
}

impl Reader {
    /// A reader of logs in `format`.
    pub fn new(format: Format, namer: Namer) -> Self {
        Self { format, namer }
    }

    /// The format.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// Append the name of the group that a record belongs to: what its `key` is the hash of.
    pub fn name(&self, record: &Record, block: &[u8], side: &[u8], out: &mut Vec<u8>) {
        let path = record.path.of(block, side);
        if self.format == Format::Events {
            out.extend_from_slice(path);
            return;
        }
        let (method, query) = (record.method.of(block, side), record.query.of(block, side));
        self.namer.name(method, path, query, out);
    }

    /// Read one line, which is `start..end` of the block.
    #[inline(always)]
    fn line(
        &self,
        block: &[u8],
        (start, end): (usize, usize),
        state: &mut State<'_>,
        batch: &mut Batch<Record>,
    ) -> Result<(), &'static str> {
        match &self.format {
            Format::Json => json::read(block, start, end, Parent::Line, state, batch),
            Format::Envoy => envoy::read(block, start, end, state, batch),
            Format::Nginx(format) => format.read(block, start, end, state, batch),
            Format::Events if block[start..end].starts_with(b"{\"schema\":") => Ok(()),
            Format::Events => json::read(block, start, end, Parent::Event, state, batch),
            // These find their lines by themselves.
            Format::Ltsv | Format::Combined => Ok(()),
        }
    }
}

impl digest::Reader for Reader {
    type Record = Record;

    fn cut(&self, block: &[u8]) -> Option<usize> {
        memchr::memrchr(b'\n', block).map(|at| at + 1)
    }

    fn parse(&self, block: &[u8], is_last: bool, batch: &mut Batch<Record>) -> usize {
        let mut state = State {
            namer: &self.namer,
            layout: Layout::default(),
            second: LastSecond::default(),
            keys: Default::default(),
        };
        match self.format {
            Format::Ltsv => return ltsv::read(block, is_last, &mut state, batch),
            Format::Combined => return combined::read(block, is_last, &mut state, batch),
            _ => {}
        }
        let mut start = 0;
        while start < block.len() {
            let (end, next) = match memchr::memchr(b'\n', &block[start..]) {
                Some(len) => (start + len, start + len + 1),
                None if is_last => (block.len(), block.len()),
                None => break,
            };
            let line = block[start..end].trim_ascii_end();
            let read = match line.len() {
                0 => Ok(()),
                len if len > LINE_BYTES => Err(TOO_LONG),
                len => self.line(block, (start, start + len), &mut state, batch),
            };
            if let Err(reason) = read {
                skip(batch, start, next, reason);
            }
            start = next;
        }
        start
    }
}
