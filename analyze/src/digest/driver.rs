//! Threads: the one place of this layer that has them.
//!
//! Whoever is free takes the next block from the input, parses it, waits until all blocks before it
//! were folded, and folds it. Parsing is nearly all of the work, so two threads are nearly twice as fast,
//! and what is folded is the same for any number of them.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{Batch, Reader};

/// Size of a block in bytes: it and its records stay in a core's cache.
const BLOCK_BYTES: usize = 256 << 10;

/// A block that has no boundary in it grows up to this, in bytes; then it is taken as it is.
const LARGEST_BLOCK: usize = 8 << 20;

/// Takes what was found, in the order of the log.
pub trait Fold<R> {
    /// The records of one block.
    ///
    /// `offset` is where the block begins, in bytes from the begin of the log.
    fn fold(&mut self, offset: u64, block: &[u8], batch: &Batch<R>);
}

impl<R, F: FnMut(u64, &[u8], &Batch<R>)> Fold<R> for F {
    fn fold(&mut self, offset: u64, block: &[u8], batch: &Batch<R>) {
        self(offset, block, batch);
    }
}

/// Read all of `input` and fold what `reader` finds in it.
///
/// `stop` ends it early, at the end of a block, as if the log ended there. An input that grows may answer
/// `WouldBlock`, after waiting a little: what is whole by then is folded.
pub(super) fn digest<R: Reader>(
    reader: &R,
    input: &mut (dyn Read + Send),
    threads: usize,
    stop: &AtomicBool,
    fold: &mut (dyn Fold<R::Record> + Send),
) -> Driven {
    let shared = Shared {
        reader,
        blocks: Mutex::new(Blocks {
            input,
            stop,
            rest: Vec::new(),
            next: 0,
            is_ended: false,
            failure: None,
            bytes: 0,
        }),
        turn: Mutex::new(Turn {
            block: 0,
            offset: 0,
            unfinished: Vec::new(),
            is_broken: false,
            fold,
        }),
        turned: Condvar::new(),
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.max(1) {
            scope.spawn(|| shared.work());
        }
        shared.work();
    });
    let blocks = shared
        .blocks
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    Driven {
        bytes: blocks.bytes,
        failure: blocks.failure,
    }
}

/// How reading a log ended.
#[derive(Debug)]
pub(super) struct Driven {
    /// Bytes that were read.
    pub(super) bytes: u64,
    /// What the input gave instead of its end; all that was read before it is folded.
    pub(super) failure: Option<io::Error>,
}

struct Shared<'a, R: Reader> {
    reader: &'a R,
    blocks: Mutex<Blocks<'a>>,
    turn: Mutex<Turn<'a, R::Record>>,
    turned: Condvar,
}

/// The input, cut into blocks.
struct Blocks<'a> {
    input: &'a mut (dyn Read + Send),
    stop: &'a AtomicBool,
    /// What was read behind the last cut.
    rest: Vec<u8>,
    /// Number of the next block.
    next: u64,
    is_ended: bool,
    failure: Option<io::Error>,
    bytes: u64,
}

/// Whose turn it is to fold.
struct Turn<'a, R> {
    block: u64,
    /// Where what is folded next begins.
    offset: u64,
    /// What the last block left over.
    unfinished: Vec<u8>,
    /// Whether a thread panicked, so that its turn will never end.
    is_broken: bool,
    fold: &'a mut (dyn Fold<R> + Send),
}

/// Lets the other threads go when the one that holds it panics.
struct Alarm<'a, 'b, R: Reader>(&'a Shared<'b, R>);

impl<R: Reader> Drop for Alarm<'_, '_, R> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            lock(&self.0.turn).is_broken = true;
            self.0.turned.notify_all();
        }
    }
}

/// The lock, whoever panicked while holding it: the panic itself ends the digest.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes in a buffer that is cleared once only: zeroing each block would cost a tenth of the time.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    len: usize,
}

impl Buffer {
    fn filled(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Make room for `size` bytes in all.
    fn reserve(&mut self, size: usize) {
        if self.bytes.len() < size {
            self.bytes.resize(size, 0);
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.reserve(self.len + bytes.len());
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn clear(&mut self) {
        self.len = 0;
        if self.bytes.len() > 4 * BLOCK_BYTES {
            self.bytes = Vec::new();
        }
    }
}

impl<R: Reader> Shared<'_, R> {
    fn work(&self) {
        let mut block = Buffer::default();
        let mut batch = Batch::default();
        let _alarm = Alarm(self);
        loop {
            block.clear();
            let taken = lock(&self.blocks).take(self.reader, &mut block);
            let Some((number, is_last)) = taken else {
                return;
            };
            batch.clear();
            let used = self.reader.parse(block.filled(), is_last, &mut batch);
            let mut turn = lock(&self.turn);
            while turn.block != number {
                if turn.is_broken {
                    return;
                }
                turn = self
                    .turned
                    .wait(turn)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            self.fold(&mut turn, block.filled(), used, is_last, &mut batch);
            turn.block += 1;
            drop(turn);
            self.turned.notify_all();
        }
    }

    /// Fold a block, with what the one before it left over.
    fn fold(
        &self,
        turn: &mut Turn<'_, R::Record>,
        block: &[u8],
        used: usize,
        is_last: bool,
        batch: &mut Batch<R::Record>,
    ) {
        if turn.unfinished.is_empty() {
            return turn.take(block, used, batch);
        }
        // Rare: a statement has what looks like a header in it, just where the block was cut.
        let mut whole = std::mem::take(&mut turn.unfinished);
        whole.extend_from_slice(block);
        batch.clear();
        let must_end = is_last || whole.len() > LARGEST_BLOCK;
        let used = self.reader.parse(&whole, must_end, batch);
        turn.take(&whole, used, batch);
    }
}

impl<R> Turn<'_, R> {
    fn take(&mut self, block: &[u8], used: usize, batch: &Batch<R>) {
        let used = used.min(block.len());
        self.fold.fold(self.offset, block, batch);
        self.offset += used as u64;
        self.unfinished.extend_from_slice(&block[used..]);
    }
}

impl Blocks<'_> {
    /// Fill `block`, which is empty, with what comes next. Returns its number and whether it is the
    /// last; none behind that.
    fn take<R: Reader>(&mut self, reader: &R, block: &mut Buffer) -> Option<(u64, bool)> {
        if self.is_ended {
            return None;
        }
        block.push(&self.rest);
        self.rest.clear();
        let mut size = BLOCK_BYTES.max(block.len + BLOCK_BYTES / 2);
        loop {
            let is_idle = self.fill(block, size);
            if self.is_ended {
                break;
            }
            if let Some(at) = reader.cut(block.filled()).filter(|at| *at > 0) {
                self.rest.extend_from_slice(&block.filled()[at..]);
                block.len = at;
                break;
            }
            if block.len >= LARGEST_BLOCK {
                break;
            }
            if !is_idle {
                size = block.len * 2;
            }
        }
        self.next += 1;
        Some((self.next - 1, self.is_ended))
    }

    /// Read until `block` has `size` bytes or the input ends, or has nothing for now. Returns whether the
    /// latter is so.
    fn fill(&mut self, block: &mut Buffer, size: usize) -> bool {
        block.reserve(size);
        while block.len < size {
            // What was read to find out what the log is counts as read, whenever the stop came.
            if self.bytes > 0 && self.stop.load(Ordering::Relaxed) {
                self.is_ended = true;
                return false;
            }
            match self.input.read(&mut block.bytes[block.len..size]) {
                Ok(0) => {
                    self.is_ended = true;
                    return false;
                }
                Ok(read) => {
                    block.len += read;
                    self.bytes += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) => {
                    self.failure = Some(error);
                    self.is_ended = true;
                    return false;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
