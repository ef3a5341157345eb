//! Logs as they lie about: plain, gzip or Zstandard, and their first bytes.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::read::MultiGzDecoder;

/// How much of a log is looked at to find out what it is, in bytes.
pub const SNIFFED_BYTES: usize = 64 << 10;

/// The largest window of a Zstandard stream that is accepted, as a power of two: 128 MiB.
const LARGEST_WINDOW_LOG: u32 = 27;

/// How often an input may have nothing, one time behind the other, before the begin of a log is taken to
/// be what there is of it: about a second, as inputs wait a tenth of one before they say so.
const MOST_PAUSES: u32 = 10;

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
    /// An input that grows may answer `WouldBlock`, after waiting a little. It is waited for until there is
    /// something and nothing more comes for about a second, or until `stop`, where the log ends then.
    ///
    /// # Errors
    /// What `source` gives for its first bytes.
    pub fn open(mut source: Box<dyn Read + Send>, stop: &AtomicBool) -> io::Result<Self> {
        let (magic, mut end) = begin(&mut source, 4, None, stop);
        if let End::Failed(error) = end {
            return Err(error);
        }
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
        if matches!(end, End::Enough | End::Ended) {
            (first, end) = begin(&mut rest, SNIFFED_BYTES, Some(MOST_PAUSES), stop);
        }
        let failure = match end {
            End::Failed(error) => Some(error),
            End::Ended | End::Stopped => {
                // What a decompressor says of a stream that was stopped is no news.
                rest = Box::new(io::empty());
                None
            }
            End::Enough => None,
        };
        Ok(Self {
            first,
            at: 0,
            rest,
            failure,
        })
    }

    /// Its first bytes, at most [`SNIFFED_BYTES`].
    pub fn first(&self) -> &[u8] {
        &self.first
    }
}

/// Why the begin of an input is all of it for now.
enum End {
    /// It is as long as it was wanted, or there was nothing more for a while.
    Enough,
    /// The input ended.
    Ended,
    /// It was told to stop.
    Stopped,
    /// It could not be read on.
    Failed(io::Error),
}

/// The first bytes of an input, at most `size`. `pauses` is how often it may have nothing when it had
/// something already; any number of times if none.
fn begin(
    source: &mut dyn Read,
    size: usize,
    pauses: Option<u32>,
    stop: &AtomicBool,
) -> (Vec<u8>, End) {
    let mut first = vec![0; size];
    let (mut len, mut paused) = (0, 0);
    let end = loop {
        if len == size {
            break End::Enough;
        }
        match source.read(&mut first[len..]) {
            Ok(0) => break End::Ended,
            Ok(read) => {
                len += read;
                paused = 0;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                paused += 1;
                if len > 0 && pauses.is_some_and(|most| paused >= most) {
                    break End::Enough;
                }
            }
            Err(error) => break End::Failed(error),
        }
        if stop.load(Ordering::Relaxed) {
            break End::Stopped;
        }
    };
    first.truncate(len);
    (first, end)
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

    /// Gives a few bytes at a time, and nothing in between.
    struct Drips(io::Cursor<Vec<u8>>, bool);

    impl Read for Drips {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let most = buffer.len().min(701);
            self.0.read(&mut buffer[..most])
        }
    }

    fn check(bytes: Vec<u8>, text: &[u8]) {
        let stop = AtomicBool::new(false);
        let plain = Box::new(io::Cursor::new(bytes.clone()));
        let drips = Box::new(Drips(io::Cursor::new(bytes), false));
        let sources: [Box<dyn Read + Send>; 2] = [plain, drips];
        for source in sources {
            let mut input = Input::open(source, &stop).unwrap();
            assert_eq!(input.first(), &text[..text.len().min(SNIFFED_BYTES)]);
            let mut all = Vec::new();
            while let Err(error) = input.read_to_end(&mut all) {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            }
            assert!(all == text);
        }
    }

    #[test]
    fn a_stop_ends_the_wait_for_a_log() {
        let check = |bytes: &[u8], is_stopped: bool, seen: &[u8]| {
            let silent = io::Cursor::new(bytes.to_vec()).chain(Silent);
            let stop = AtomicBool::new(is_stopped);
            let input = Input::open(Box::new(silent), &stop).unwrap();
            assert_eq!(input.first(), seen);
        };
        check(b"", true, b"");
        check(b"time:1\n", false, b"time:1\n");
        check(&[0x1f, 0x8b], true, b"");
    }

    /// Has nothing, for ever.
    struct Silent;

    impl Read for Silent {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }
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
        let stop = AtomicBool::new(false);
        for size in [whole.len() - 4, whole.len() / 3, 30] {
            whole.truncate(size);
            let mut input = Input::open(Box::new(io::Cursor::new(whole.clone())), &stop).unwrap();
            let mut seen = Vec::new();
            assert!(input.read_to_end(&mut seen).is_err());
            assert!(text.starts_with(&seen), "{size}");
            assert!(size < 100 || !seen.is_empty(), "{size}");
        }
    }
}
