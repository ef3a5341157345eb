//! A log that is still written, and rotated.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long to wait before a log that has not grown is looked at again.
const PAUSE: Duration = Duration::from_millis(100);

/// Reads a file as it grows. A file that takes its place is read from its begin, as is one that was cut.
pub(super) struct Follower {
    path: PathBuf,
    file: File,
    /// Bytes that were read of it.
    at: u64,
    stop: Arc<AtomicBool>,
}

impl Follower {
    pub(super) fn new(path: &Path, file: File, stop: Arc<AtomicBool>) -> Self {
        Self {
            path: path.to_owned(),
            file,
            at: 0,
            stop,
        }
    }

    /// Whether there is something new to read, as the log was rotated or cut.
    fn has_turned(&mut self) -> io::Result<bool> {
        let mine = self.file.metadata()?;
        if mine.len() < self.at {
            self.file.seek(SeekFrom::Start(0))?;
            self.at = 0;
            return Ok(true);
        }
        // Between a rename and the new file there is none for a moment.
        let Ok(theirs) = std::fs::metadata(&self.path) else {
            return Ok(false);
        };
        let identity = |metadata: &Metadata| (metadata.dev(), metadata.ino());
        if identity(&mine) == identity(&theirs) || mine.len() > self.at {
            return Ok(false);
        }
        self.file = File::open(&self.path)?;
        self.at = 0;
        Ok(true)
    }
}

impl Read for Follower {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.at += read as u64;
        if read > 0 || self.stop.load(Ordering::Relaxed) {
            return Ok(read);
        }
        if !self.has_turned()? {
            std::thread::sleep(PAUSE);
        }
        Err(io::ErrorKind::WouldBlock.into())
    }
}
