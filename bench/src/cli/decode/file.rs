//! The file to decode: looked at first, then read, once or twice.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, bail};
use isukit_analyze::decode::limits::FILE_BYTES;

/// A file or a pipe.
pub(super) struct Source {
    inner: Inner,
    /// What was looked at and not read yet; of a file nothing, as it is read again.
    peeked: Cursor<Vec<u8>>,
}

enum Inner {
    File(File),
    Pipe(Box<dyn Read + Send>),
}

impl Source {
    /// Open a file, or stdin for `-`.
    pub(super) fn open(path: &Path, stop: &Arc<AtomicBool>) -> Result<Self> {
        let is_regular =
            path.as_os_str() != "-" && path.metadata().is_ok_and(|meta| meta.is_file());
        let inner = match is_regular {
            true => match File::open(path) {
                Ok(file) => Inner::File(file),
                Err(error) => bail!("cannot read {}: {error}", path.display()),
            },
            false => Inner::Pipe(crate::cli::digest::open(path, false, stop)?),
        };
        Ok(Self {
            inner,
            peeked: Cursor::new(Vec::new()),
        })
    }

    /// The first bytes, which are read again afterwards.
    pub(super) fn peek(&mut self, most: usize) -> io::Result<&[u8]> {
        let mut bytes = vec![0; most];
        let mut filled = 0;
        while filled < most {
            let read = match &mut self.inner {
                Inner::File(file) => file.read(&mut bytes[filled..]),
                Inner::Pipe(pipe) => pipe.read(&mut bytes[filled..]),
            };
            match read {
                Ok(0) => break,
                Ok(read) => filled += read,
                // A pipe that has something is not waited for until it is full.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && filled > 4 => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        self.peeked = Cursor::new(bytes);
        Ok(self.peeked.get_ref())
    }

    /// Whether it can be read again from its beginning.
    pub(super) fn is_seekable(&self) -> bool {
        matches!(self.inner, Inner::File(_))
    }

    /// Begin anew. Only for those that are seekable.
    pub(super) fn rewind(&mut self) -> io::Result<()> {
        self.peeked = Cursor::new(Vec::new());
        match &mut self.inner {
            Inner::File(file) => file.seek(SeekFrom::Start(0)).map(drop),
            Inner::Pipe(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// All of it.
    pub(super) fn read_all(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.take(FILE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_BYTES {
            bail!("it is no capture, and larger than the {FILE_BYTES} bytes that a body may take");
        }
        Ok(bytes)
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.peeked.read(buffer)?;
        if read > 0 || buffer.is_empty() {
            return Ok(read);
        }
        match &mut self.inner {
            Inner::File(file) => file.read(buffer),
            // Whoever reads waits; a signal ends the waiting with what there is.
            Inner::Pipe(pipe) => loop {
                match pipe.read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return read,
                }
            },
        }
    }
}
