//! Keys of the paths seen last, so that a path that comes again is named once a block.

use super::Record;
use super::namer::Namer;
use crate::digest::Span;
use crate::hash::hash;

/// Places of the cache, a power of two.
const PLACES: usize = 512;

/// Paths longer than this are not kept: they hardly come again.
const PATH_BYTES: usize = 128;

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    method: Span,
    path: Span,
    query: Span,
    key: u64,
}

/// A direct-mapped cache from method, path and query to the key of their name.
#[derive(Debug)]
pub(crate) struct PathKeys {
    entries: Vec<Entry>,
    name: Vec<u8>,
}

impl Default for PathKeys {
    fn default() -> Self {
        Self {
            entries: vec![Entry::default(); PLACES],
            name: Vec::with_capacity(256),
        }
    }
}

impl PathKeys {
    /// The key of the record's name.
    #[inline]
    pub(crate) fn key(&mut self, namer: &Namer, record: &Record, block: &[u8], side: &[u8]) -> u64 {
        let of = |span: Span| span.of(block, side);
        let (method, path) = (of(record.method), of(record.path));
        let query = match namer.wants_query() {
            true => record.query,
            false => Span::default(),
        };
        if path.len() > PATH_BYTES {
            return self.name(namer, method, path, of(query));
        }
        let place = hash(path) as usize ^ method.len() << 2 ^ query.len();
        let entry = self.entries[place % PLACES];
        if of(entry.path) == path && of(entry.method) == method && of(entry.query) == of(query) {
            // An entry that was never written stands for the empty path, and has no key.
            if entry.key != 0 {
                return entry.key;
            }
        }
        let key = self.name(namer, method, path, of(query));
        self.entries[place % PLACES] = Entry {
            method: record.method,
            path: record.path,
            query,
            key,
        };
        key
    }

    fn name(&mut self, namer: &Namer, method: &[u8], path: &[u8], query: &[u8]) -> u64 {
        self.name.clear();
        namer.name(method, path, query, &mut self.name);
        hash(&self.name)
    }
}
