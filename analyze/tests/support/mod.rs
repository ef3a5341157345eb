//! Reads whole logs in blocks of any size, as the driver of `isukit digest` does.

use isukit_analyze::digest::{Batch, Reader as _};
use isukit_analyze::slow::{Reader, Record, ShapeStyle};

/// A record with its texts.
#[derive(Debug, Clone, PartialEq)]
#[allow(dead_code)]
pub(crate) struct Event {
    pub(crate) statement: Vec<u8>,
    pub(crate) user: String,
    pub(crate) host: String,
    pub(crate) database: Option<String>,
    pub(crate) request_id: String,
    pub(crate) explain: String,
    pub(crate) record: Record,
}

/// What a log holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Log {
    pub(crate) events: Vec<Event>,
    /// Neighbours are joined.
    pub(crate) skipped: Vec<(usize, usize)>,
}

/// Read a log in one block.
pub(crate) fn whole(log: &[u8]) -> Log {
    in_blocks(log, &[])
}

/// Read a log in blocks of these sizes (again and again the last one; one block when there are none).
pub(crate) fn in_blocks(log: &[u8], sizes: &[usize]) -> Log {
    let reader = Reader::new(ShapeStyle::Own);
    let mut found = Log::default();
    let (mut start, mut end, mut count) = (0, 0, 0);
    while start < log.len() || count == 0 {
        let size = sizes.get(count.min(sizes.len().saturating_sub(1)));
        count += 1;
        end = log
            .len()
            .min(end + size.map_or(log.len(), |size| (*size).max(1)));
        let is_last = end == log.len();
        let cut = if is_last {
            end
        } else {
            match reader.cut(&log[start..end]) {
                Some(cut) => start + cut,
                None => continue,
            }
        };
        let mut batch = Batch::default();
        let used = reader.parse(&log[start..cut], is_last, &mut batch);
        assert!(used <= cut - start);
        assert!(!is_last || used == cut - start, "a rest at the end");
        add(&mut found, &log[start..cut], start, used, &batch);
        start += used;
        if is_last {
            break;
        }
    }
    found
}

fn add(found: &mut Log, block: &[u8], start: usize, used: usize, batch: &Batch<Record>) {
    let text = |span: isukit_analyze::digest::Span| {
        String::from_utf8_lossy(span.of(block, &batch.side)).into_owned()
    };
    let mut last = 0;
    for record in &batch.records {
        let statement = record.statement;
        assert!(statement.start() >= last, "statements overlap");
        last = statement.start() + statement.len();
        assert!(last <= used, "a statement beyond what was used");
        let mut plain = *record;
        for span in [
            &mut plain.statement,
            &mut plain.user,
            &mut plain.host,
            &mut plain.request_id,
            &mut plain.explain,
        ] {
            *span = isukit_analyze::digest::Span::default();
        }
        plain.database = None;
        found.events.push(Event {
            statement: statement.of(block, &batch.side).to_vec(),
            user: text(record.user),
            host: text(record.host),
            database: record.database.map(text),
            request_id: text(record.request_id),
            explain: text(record.explain),
            record: plain,
        });
    }
    for skip in &batch.skips {
        let (from, to) = (
            start + skip.span.start(),
            start + skip.span.start() + skip.span.len(),
        );
        assert!(to <= start + used);
        match found.skipped.last_mut() {
            Some(last) if last.1 == from => last.1 = to,
            _ => found.skipped.push((from, to)),
        }
    }
}
