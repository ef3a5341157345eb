//! A block of a log, and what a reader found in it.
//!
//! Logs are read in blocks of about a megabyte. Any thread may parse a block, which is where nearly
//! all of the time goes; the records are then folded in the order of the file, one block at a time, so
//! what follows from order (the current database, runs of a statement on a connection) is the same for
//! any number of threads.

/// Of a record whose time is not known: it takes the time of the record before it.
pub const UNKNOWN_AT: i64 = i64::MIN;

/// Of a duration that the log does not tell.
pub const NO_TIME: u64 = u64::MAX;

/// A piece of a block, or of the batch's side text. Empty when there is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    start: u32,
    len: u32,
}

/// The bit of `start` that says that a span lies in the side text.
const SIDE: u32 = 1 << 31;

impl Span {
    /// The bytes `start..end` of the block. A block is far smaller than 2 GiB.
    #[inline]
    pub fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && end < SIDE as usize);
        Self {
            start: start as u32,
            len: (end - start) as u32,
        }
    }

    /// Whether there is nothing.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Size in bytes.
    #[inline]
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Where it begins in the block (or in the side text).
    #[inline]
    pub fn start(self) -> usize {
        (self.start & !SIDE) as usize
    }

    /// Whether it lies in the side text.
    #[inline]
    pub fn is_side(self) -> bool {
        self.start & SIDE != 0
    }

    /// The piece `from..to` of it.
    #[inline]
    pub fn part(self, from: usize, to: usize) -> Self {
        debug_assert!(from <= to && to <= self.len());
        Self {
            start: self.start + from as u32,
            len: (to - from) as u32,
        }
    }

    /// Its bytes.
    #[inline]
    pub fn of<'a>(self, block: &'a [u8], side: &'a [u8]) -> &'a [u8] {
        let from = if self.start & SIDE == 0 { block } else { side };
        from.get(self.start()..self.start() + self.len())
            .unwrap_or_default()
    }
}

/// Bytes that no record could be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skip {
    /// Where in the block.
    pub span: Span,
    /// Why, as a lower-case fragment: `no request time`.
    pub reason: &'static str,
}

/// What was found in a block.
#[derive(Debug)]
pub struct Batch<R> {
    /// In the order of the block.
    pub records: Vec<R>,
    /// What could not be used.
    pub skips: Vec<Skip>,
    /// Text that is not in the block as it is meant, such as a JSON string with escapes.
    pub side: Vec<u8>,
}

impl<R> Default for Batch<R> {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            skips: Vec::new(),
            side: Vec::new(),
        }
    }
}

impl<R> Batch<R> {
    /// Forget everything, keeping the memory.
    pub fn clear(&mut self) {
        self.records.clear();
        self.skips.clear();
        self.side.clear();
    }

    /// Keep a text in the side text. Returns where it is.
    pub fn keep(&mut self, text: &[u8]) -> Span {
        let start = self.side.len() as u32 | SIDE;
        self.side.extend_from_slice(text);
        Span {
            start,
            len: text.len() as u32,
        }
    }
}

/// Reads one kind of log.
pub trait Reader: Sync {
    /// What a block is made of.
    type Record: Send;

    /// Where `block` (which begins at a boundary) should be cut, so that what is behind it begins a new
    /// record: as far back as possible. None when there is no such place but its begin.
    fn cut(&self, block: &[u8]) -> Option<usize>;

    /// Find the records of `block`, which begins at a boundary and ends at one that [`Reader::cut`]
    /// found, or at the end of the log (`is_last`).
    ///
    /// Returns how much of the block was used up. The rest, a record that only what follows can end,
    /// is put in front of the next block; with `is_last` there is no rest. Every byte of what was used
    /// up belongs to a record, to a [`Skip`], or to what surrounds records (headers, empty lines).
    fn parse(&self, block: &[u8], is_last: bool, batch: &mut Batch<Self::Record>) -> usize;
}
