//! The chunked transfer coding, read step by step (RFC 9112, section 7.1).

use memchr::memchr;

use super::head::excerpt;
use super::limits::CHUNK_LINE_BYTES;

/// Where in the coding we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    /// In a size line.
    #[default]
    Size,
    /// In the data.
    Data { left: u64 },
    /// In the line end after the data.
    DataEnd,
    /// In the trailers; how many bytes of them came.
    Trailer { seen: usize },
}

/// What a step took from the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// So many bytes of framing.
    Framing(usize),
    /// So many bytes of the body.
    Data(usize),
    /// So many bytes of framing, the last ones of the body.
    End(usize),
}

/// Framing that cannot be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ChunkError {
    /// No size, or no line end where one must be; what stood there.
    Bad(String),
    /// The trailers exceed their limit.
    Trailers,
}

/// Reads one chunked body from pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    stage: Stage,
    /// An unfinished size or trailer line.
    line: Vec<u8>,
}

impl Chunks {
    /// Get ready for the next body, keeping the memory.
    pub(crate) fn reset(&mut self) {
        self.stage = Stage::Size;
        self.line.clear();
    }

    /// Bytes that the open chunk still announces.
    pub(crate) fn announced(&self) -> u64 {
        match self.stage {
            Stage::Data { left } => left,
            _ => 0,
        }
    }

    /// Take something from the start of `input`.
    pub(crate) fn step(&mut self, input: &[u8], trailers: usize) -> Result<Step, ChunkError> {
        match self.stage {
            Stage::Data { left } => {
                let take = left.min(input.len() as u64);
                self.pass(take, left);
                Ok(Step::Data(take as usize))
            }
            Stage::Size => {
                let (consumed, complete) = self.collect_line(input, CHUNK_LINE_BYTES)?;
                if complete {
                    let size = chunk_size(&self.line).ok_or_else(|| self.bad())?;
                    self.line.clear();
                    self.stage = match size {
                        0 => Stage::Trailer { seen: 0 },
                        left => Stage::Data { left },
                    };
                }
                Ok(Step::Framing(consumed))
            }
            Stage::DataEnd => {
                let (consumed, complete) = self.collect_line(input, 2)?;
                if complete {
                    if !self.line.is_empty() {
                        return Err(self.bad());
                    }
                    self.stage = Stage::Size;
                }
                Ok(Step::Framing(consumed))
            }
            Stage::Trailer { seen } => {
                let (consumed, complete) = self.collect_line(input, trailers)?;
                let seen = seen + consumed;
                if seen > trailers {
                    return Err(ChunkError::Trailers);
                }
                if complete && self.line.is_empty() {
                    return Ok(Step::End(consumed));
                }
                if complete {
                    self.line.clear();
                }
                self.stage = Stage::Trailer { seen };
                Ok(Step::Framing(consumed))
            }
        }
    }

    /// Go on behind `count` bytes that nobody saw: whether they lie within the data of one chunk,
    /// which is the only place where the framing survives.
    pub(crate) fn skip(&mut self, count: u64) -> bool {
        match self.stage {
            Stage::Data { left } if count <= left => {
                self.pass(count, left);
                true
            }
            _ => false,
        }
    }

    fn pass(&mut self, count: u64, left: u64) {
        self.stage = match left - count {
            0 => Stage::DataEnd,
            left => Stage::Data { left },
        };
    }

    /// Collect a line without its end in `self.line`: bytes taken, and whether it is complete.
    fn collect_line(&mut self, input: &[u8], limit: usize) -> Result<(usize, bool), ChunkError> {
        let end = memchr(b'\n', input);
        let taken = end.unwrap_or(input.len());
        if self.line.len() + taken > limit {
            let room = limit.saturating_sub(self.line.len()).min(taken);
            self.line.extend_from_slice(&input[..room]);
            return Err(self.bad());
        }
        self.line.extend_from_slice(&input[..taken]);
        if end.is_none() {
            return Ok((taken, false));
        }
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        Ok((taken + 1, true))
    }

    fn bad(&self) -> ChunkError {
        ChunkError::Bad(excerpt(&self.line))
    }
}

/// The size in a chunk-size line: hex digits, then nothing, white space or extensions.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let after = line[digits..].trim_ascii_start();
    if digits == 0 || !(after.is_empty() || after[0] == b';') {
        return None;
    }
    line[..digits].iter().try_fold(0_u64, |sum, &digit| {
        let value = char::from(digit).to_digit(16)?;
        sum.checked_mul(16)?.checked_add(u64::from(value))
    })
}
