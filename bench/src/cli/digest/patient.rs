//! Pipes, sockets and terminals, which may have nothing for a long time.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// How long to wait for something before `WouldBlock`.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Reads what there is, and answers `WouldBlock` after a little while without any, so that whoever reads
/// can look whether it is to stop.
pub(super) struct Patient {
    file: File,
    stop: Arc<AtomicBool>,
    /// Whether there was nothing after the stop: then the next such time is the end.
    is_over: bool,
}

impl Patient {
    pub(super) fn new(file: File, stop: Arc<AtomicBool>) -> Self {
        Self {
            file,
            stop,
            is_over: false,
        }
    }

    fn nothing(&mut self) -> io::Result<usize> {
        if std::mem::replace(&mut self.is_over, self.stop.load(Ordering::Relaxed)) {
            return Ok(0);
        }
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A FIFO that nobody has opened for writing yet would read as ended: only poll knows better.
        match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&PAUSE)) {
            Ok(0) | Err(Errno::INTR) => return self.nothing(),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        match self.file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.nothing(),
            read => read,
        }
    }
}
