//! Logs as they lie about: plain, gzip or Zstandard, and their first bytes.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

/// How much of a log is looked at to find out what it is, in bytes.
pub const SNIFFED_BYTES: usize = 64 << 10;

/// The largest window of a Zstandard stream that is accepted, as a power of two: 128 MiB.
const LARGEST_WINDOW_LOG: u32 = 27;

/// How a log is compressed, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, RFC 1952: also several streams one behind the other.
    Gzip,
    /// Zstandard, RFC 8878.
    Zstandard,
}

impl Compression {
    /// By the format's magic number.
    pub fn of(first: &[u8]) -> Self {
        match first {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstandard,
            _ => Self::None,
        }
    }
}

/// A log whose first bytes are known, and that can still be read from its begin.
pub struct Input {
    first: Vec<u8>,
    at: usize,
    rest: Box<dyn Read + Send>,
    /// What went wrong behind the first bytes: told when these were read.
    failure: Option<io::Error>,
}

impl Input {
    /// Look at the begin of a log, decompressing it if need be.
    ///
    /// # Errors
    /// What `source` gives for its first bytes.
    pub fn open(mut source: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut magic = Vec::new();
        source.by_ref().take(4).read_to_end(&mut magic)?;
        let compression = Compression::of(&magic);
        let whole = io::Cursor::new(magic).chain(source);
        let mut rest: Box<dyn Read + Send> = match compression {
            Compression::None => Box::new(whole),
            Compression::Gzip => Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(
                SNIFFED_BYTES,
                whole,
            ))),
            Compression::Zstandard => {
                let mut decoder = zstd::Decoder::new(whole)?;
                decoder.window_log_max(LARGEST_WINDOW_LOG)?;
                Box::new(decoder)
            }
        };
        let mut first = Vec::new();
        let read = rest
            .by_ref()
            .take(SNIFFED_BYTES as u64)
            .read_to_end(&mut first);
        Ok(Self {
            first,
            at: 0,
            rest,
            failure: read.err(),
        })
    }

    /// Its first bytes, at most [`SNIFFED_BYTES`].
    pub fn first(&self) -> &[u8] {
        &self.first
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = &self.first[self.at..];
        if left.is_empty() {
            return match self.failure.take() {
                Some(failure) => Err(failure),
                None => self.rest.read(buffer),
            };
        }
        let size = left.len().min(buffer.len());
        buffer[..size].copy_from_slice(&left[..size]);
        self.at += size;
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    // Failing here is failing a test.
    #![allow(clippy::unwrap_used)]

    use std::io::Write;

    use super::*;

    fn check(bytes: Vec<u8>, text: &[u8]) {
        let mut input = Input::open(Box::new(io::Cursor::new(bytes))).unwrap();
        assert_eq!(input.first(), &text[..text.len().min(SNIFFED_BYTES)]);
        let mut all = Vec::new();
        input.read_to_end(&mut all).unwrap();
        assert!(all == text);
    }

    #[test]
    fn compressed_logs_read_as_they_were() {
        let gzip = |text: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        let text: Vec<u8> = (0..200_000_u32)
            .flat_map(|n| (n % 977).to_le_bytes())
            .collect();
        for text in [&b""[..], b"x", b"one\ntwo\n", &text] {
            check(text.to_vec(), text);
            check(gzip(text), text);
            check(zstd::encode_all(text, 1).unwrap(), text);
        }
        let two = [gzip(b"one\n"), gzip(b"two\n")].concat();
        check(two, b"one\ntwo\n");
    }

    #[test]
    fn a_cut_stream_gives_what_was_readable_and_then_its_error() {
        let text: Vec<u8> = (0..30_000_u32)
            .flat_map(|n| (n * n).to_le_bytes())
            .collect();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        encoder.write_all(&text).unwrap();
        let mut whole = encoder.finish().unwrap();
        for size in [whole.len() - 4, whole.len() / 3, 30] {
            whole.truncate(size);
            let mut input = Input::open(Box::new(io::Cursor::new(whole.clone()))).unwrap();
            let mut seen = Vec::new();
            assert!(input.read_to_end(&mut seen).is_err());
            assert!(text.starts_with(&seen), "{size}");
            assert!(size < 100 || !seen.is_empty(), "{size}");
        }
    }
}
