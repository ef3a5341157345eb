//! Capture files from any reader: one buffer that is used again, no seeking.

use std::io::{self, Read};

use serde::Serialize;
use thiserror::Error;

use super::limits::READ_BYTES;
use super::{Assembler, Sink, pcap, pcapng};

/// A capture that cannot be read to its end. Packets before the place were taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The reader failed.
    #[error("cannot read the capture at byte {at}: {cause}")]
    Io {
        /// Offset in the file.
        at: u64,
        /// What the reader says.
        cause: io::Error,
    },
    /// The first bytes are those of no capture.
    #[error("not a pcap or pcapng capture: it begins with {found}")]
    NotACapture {
        /// The first bytes, escaped.
        found: String,
    },
    /// A block or packet that cannot be right.
    #[error("the capture is broken at byte {at}: {what}")]
    Broken {
        /// Offset of the block or packet in the file.
        at: u64,
        /// What is wrong with it.
        what: String,
    },
}

/// A kind of capture file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// What tcpdump writes.
    Pcap,
    /// What Wireshark writes.
    PcapNg,
}

/// What a capture file was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ReadSummary {
    /// Its kind.
    pub format: Format,
    /// Bytes read.
    pub bytes: u64,
    /// Packets in it.
    pub packets: u64,
    /// The file ends within the block or packet that begins at this byte, as a capture that was
    /// interrupted does.
    pub cut_at: Option<u64>,
}

/// Whether a file that begins with these bytes (at least four) is a capture.
pub fn is_capture(first_bytes: &[u8]) -> bool {
    first_bytes
        .first_chunk()
        .is_some_and(|magic| pcap::Layout::of(*magic).is_some() || *magic == pcapng::MAGIC)
}

/// Read a pcap or pcapng file to its end and give its packets to `assembler`. Call
/// [`Assembler::finish`] afterwards, also after an error, or go on with the next file.
///
/// # Errors
/// [`CaptureError`]; what was read up to there has been given to the assembler.
pub fn read(
    input: &mut dyn Read,
    assembler: &mut Assembler,
    sink: &mut dyn Sink,
) -> Result<ReadSummary, CaptureError> {
    let mut input = Input::new(input);
    let has_magic = input.fill(4)?;
    let magic = match input.bytes().first_chunk() {
        Some(magic) if has_magic => *magic,
        _ => return Err(input.not_a_capture()),
    };
    let before = assembler.totals().packets;
    let format = match pcap::Layout::of(magic) {
        Some(layout) => {
            pcap::read(&mut input, layout, assembler, sink)?;
            Format::Pcap
        }
        None if magic == pcapng::MAGIC => {
            pcapng::read(&mut input, assembler, sink)?;
            Format::PcapNg
        }
        None => return Err(input.not_a_capture()),
    };
    Ok(ReadSummary {
        format,
        bytes: input.at() + input.bytes().len() as u64,
        packets: assembler.totals().packets - before,
        cut_at: (!input.bytes().is_empty()).then(|| input.at()),
    })
}

/// A reader with what was read and not taken yet.
pub(super) struct Input<'r> {
    reader: &'r mut dyn Read,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset of `start` in the file.
    at: u64,
}

impl<'r> Input<'r> {
    fn new(reader: &'r mut dyn Read) -> Self {
        Self {
            reader,
            buffer: vec![0; READ_BYTES],
            start: 0,
            end: 0,
            at: 0,
        }
    }

    /// Have at least `count` bytes ready; false when the file ends before. `count` is limited by
    /// whoever asks.
    #[inline]
    pub(super) fn fill(&mut self, count: usize) -> Result<bool, CaptureError> {
        if self.end - self.start >= count {
            return Ok(true);
        }
        self.fill_slowly(count)
    }

    fn fill_slowly(&mut self, count: usize) -> Result<bool, CaptureError> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < count {
            if self.end == self.buffer.len() {
                // Memory follows what is there, not what is announced.
                let grown = (self.buffer.len() * 2).min(count.max(READ_BYTES));
                self.buffer.resize(grown, 0);
            }
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(got) => self.end += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => {
                    let at = self.at + self.end as u64;
                    return Err(CaptureError::Io { at, cause });
                }
            }
        }
        Ok(true)
    }

    /// What is ready.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Go on behind `count` bytes that are ready.
    #[inline]
    pub(super) fn take(&mut self, count: usize) {
        self.start += count;
        self.at += count as u64;
    }

    /// Offset of the next byte in the file.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The error for what stands here.
    pub(super) fn broken(&self, what: impl Into<String>) -> CaptureError {
        CaptureError::Broken {
            at: self.at,
            what: what.into(),
        }
    }

    fn not_a_capture(&self) -> CaptureError {
        let first = &self.bytes()[..self.bytes().len().min(4)];
        CaptureError::NotACapture {
            found: match first.is_empty() {
                true => "nothing".to_owned(),
                false => format!("\"{}\"", first.escape_ascii()),
            },
        }
    }
}

/// Numbers in the byte order of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Big,
    Little,
}

impl Order {
    /// The number at `at`; 0 behind the end.
    #[inline]
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
        let found = found.copied().unwrap_or_default();
        match self {
            Self::Big => u16::from_be_bytes(found),
            Self::Little => u16::from_le_bytes(found),
        }
    }

    /// The number at `at`; 0 behind the end.
    #[inline]
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
        let found = found.copied().unwrap_or_default();
        match self {
            Self::Big => u32::from_be_bytes(found),
            Self::Little => u32::from_le_bytes(found),
        }
    }
}
