//! Reading whole logs in blocks of any size, as the driver of `isukit digest` does, with every promise
//! of the reader checked: the body of the fuzz target, and what the tests read logs with.

use crate::digest::{Batch, Reader as _, Span};

use super::{Reader, Record, ShapeStyle, pt, shape};

/// A record with its texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its text.
    pub statement: Vec<u8>,
    /// Its user.
    pub user: Vec<u8>,
    /// Its host.
    pub host: Vec<u8>,
    /// Its database, when it tells one.
    pub database: Option<Vec<u8>>,
    /// Its request's id.
    pub request_id: Vec<u8>,
    /// Its plan.
    pub explain: Vec<u8>,
    /// The rest, with empty spans.
    pub record: Record,
}

/// What a log holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Log {
    /// In the order of the log.
    pub events: Vec<Event>,
    /// Begin and end of what was skipped; neighbours are joined.
    pub skipped: Vec<(usize, usize)>,
}

/// Read a log in one block.
///
/// # Panics
/// When the reader breaks its promises.
pub fn whole(log: &[u8]) -> Log {
    in_blocks(log, &[])
}

/// Read a log in blocks of these sizes (the last one again and again; one block when there are none).
///
/// # Panics
/// When the reader breaks its promises.
pub fn in_blocks(log: &[u8], sizes: &[usize]) -> Log {
    let reader = Reader::new(ShapeStyle::Own);
    let mut found = Log::default();
    let (mut start, mut end) = (0usize, 0usize);
    for turn in 0.. {
        let size = sizes
            .get(turn)
            .or(sizes.last())
            .map_or(log.len(), |size| (*size).max(1));
        end = log.len().min(end.saturating_add(size));
        let is_last = end == log.len();
        let mut cut = end;
        if !is_last {
            match reader.cut(&log[start..end]) {
                Some(found) => cut = start + found,
                None => continue,
            }
        }
        let mut batch = Batch::default();
        let used = reader.parse(&log[start..cut], is_last, &mut batch);
        found.add(&log[start..cut], start, used, &batch);
        start += used;
        if is_last {
            assert_eq!(start, log.len(), "there is no rest at the end");
            break;
        }
    }
    found
}

impl Log {
    fn add(&mut self, block: &[u8], start: usize, used: usize, batch: &Batch<Record>) {
        assert!(used <= block.len());
        let text = |span: Span| span.of(block, &batch.side).to_vec();
        let mut last = 0;
        for record in &batch.records {
            let statement = record.statement;
            assert!(statement.start() >= last, "statements overlap");
            last = statement.start() + statement.len();
            assert!(last <= used, "a statement goes beyond what was used");
            self.events.push(Event {
                statement: text(statement),
                user: text(record.user),
                host: text(record.host),
                database: record.database.map(text),
                request_id: text(record.request_id),
                explain: text(record.explain),
                record: Record {
                    statement: Span::default(),
                    user: Span::default(),
                    host: Span::default(),
                    database: None,
                    request_id: Span::default(),
                    explain: Span::default(),
                    ..*record
                },
            });
        }
        for skip in &batch.skips {
            let from = start + skip.span.start();
            let to = from + skip.span.len();
            assert!(to <= start + used, "a skip goes beyond what was used");
            match self.skipped.last_mut() {
                Some(last) if last.1 == from => last.1 = to,
                Some(last) => {
                    assert!(last.1 < from, "skips overlap");
                    self.skipped.push((from, to));
                }
                None => self.skipped.push((from, to)),
            }
        }
    }
}

/// Read `data` as a log, whole and in blocks whose size its first byte chooses, and its statements'
/// shapes.
///
/// # Panics
/// When the reader breaks its promises.
pub fn slow(data: &[u8]) {
    let Some((&choice, log)) = data.split_first() else {
        return;
    };
    let all = whole(log);
    let size = usize::from(choice) * usize::from(choice) / 16 + 1;
    let pieces = in_blocks(log, &[size]);
    for (one, other) in all.events.iter().zip(&pieces.events) {
        assert_eq!(one, other, "blocks of {size} bytes matter");
    }
    assert!(
        pieces == all,
        "blocks of {size} bytes matter: {all:?} {pieces:?}"
    );
    let mut shapes = Vec::new();
    for event in &all.events {
        let text = shape::render(&event.statement);
        assert_eq!(shape::id(&text).len(), 16);
        shapes.push((event.record.shape, text));
        let _ = pt::fingerprint(&event.statement);
    }
    shapes.sort();
    for two in shapes.windows(2) {
        assert_eq!(two[0].0 == two[1].0, two[0].1 == two[1].1, "{two:?}");
    }
}
