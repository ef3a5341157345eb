//! The lines of an event before its statement.

use memchr::{memchr, memmem, memrchr};

use crate::digest::{Batch, Span, UNKNOWN_AT};

use super::frame::is_header;
use super::quote::line_end;
use super::value::{Duration, Stamp, integer, seconds, stamp};
use super::{Flags, Record};

/// What stands before a statement.
#[derive(Debug)]
pub(super) struct Head {
    /// The record so far.
    pub(super) record: Record,
    /// Where the statement begins.
    pub(super) statement: usize,
    /// The server's `SET timestamp=` line was there: a statement follows.
    pub(super) has_timestamp: bool,
    /// The text of a `use` line (without its semicolon), in case that nothing else follows.
    pub(super) use_line: Span,
}

/// Read the lines before a statement; `at` is the first one of a header block.
pub(super) fn read(block: &[u8], at: usize, batch: &mut Batch<Record>) -> Head {
    let mut lines = Lines {
        block,
        record: Record::default(),
        stamp: None,
        schema: None,
        has_query_time: false,
        host_line: Span::default(),
    };
    let mut at = lines.read(at);
    let mut record = lines.record;
    let (used, use_line) = use_line(block, at);
    if !use_line.is_empty() {
        record.database = Some(name(block, use_line, batch));
        at = used;
    }
    let timestamp = set_timestamp(block, at);
    if let Some((next, _)) = timestamp {
        at = next;
    }
    // `Schema` is the session's own database at the end, `use` the log's.
    record.database = lines.schema.or(record.database);
    record.at_us = match (lines.stamp, timestamp) {
        (Some(Stamp::Zoned(at_us)), _) => at_us,
        (_, Some((_, at_us))) => at_us,
        (Some(Stamp::Local(at_us)), None) => at_us,
        (None, None) => UNKNOWN_AT,
    };
    (record.user, record.host) = account(block, lines.host_line);
    Head {
        record,
        statement: at,
        has_timestamp: timestamp.is_some(),
        use_line,
    }
}

struct Lines<'a> {
    block: &'a [u8],
    record: Record,
    stamp: Option<Stamp>,
    schema: Option<Span>,
    has_query_time: bool,
    host_line: Span,
}

impl Lines<'_> {
    /// Read the lines from `at` on. Returns where the first line begins that is none of the header's.
    fn read(&mut self, mut at: usize) -> usize {
        while self.block.get(at) == Some(&b'#') {
            let end = line_end(self.block, at);
            let line = &self.block[at..end];
            match line.get(2) {
                Some(b'a') if line.starts_with(b"# administrator command: ") => break,
                Some(b'e') if line.starts_with(b"# explain: ") => {
                    let start = match self.record.explain {
                        span if span.is_empty() => at,
                        span => span.start(),
                    };
                    self.record.explain = Span::new(start, at + line.trim_ascii_end().len());
                }
                Some(b'A'..=b'Z') => {
                    if self.has_query_time && is_header(self.block, at) {
                        break;
                    }
                    self.line(at, line);
                }
                _ => {}
            }
            at = (end + 1).min(self.block.len());
        }
        at
    }

    fn line(&mut self, at: usize, line: &[u8]) {
        match line[2] {
            b'Q' if line.starts_with(b"# Query_time: ") => self.times(at, line),
            b'T' if line.starts_with(b"# Time: ") => {
                if !self.has_query_time {
                    self.stamp = stamp(line[8..].trim_ascii()).or(self.stamp);
                }
            }
            b'U' if line.starts_with(b"# User@Host: ") => {
                let host = host_mark(line).unwrap_or(line.len());
                let end = memchr(b']', &line[host..]).map_or(line.len(), |found| host + found + 1);
                self.host_line = Span::new(at + 13, at + end.max(13));
                self.fields(at, line, end);
            }
            // Pages_accessed, InnoDB_..., and lines of which only Yes counts.
            b'P' | b'I' => {}
            b'F' if memchr(b'Y', line).is_none() => {}
            _ => self.fields(at, line, 2),
        }
    }

    /// The line that begins with `# Query_time: `. Every server writes its first fields in one order.
    fn times(&mut self, at: usize, line: &[u8]) {
        let mut pos = 14;
        if !self.has_query_time {
            let (query_time, size) = seconds(&line[pos..]);
            self.record.query_ns = duration(query_time, &mut self.record);
            pos += size;
        }
        self.has_query_time = true;
        let next = |name: &[u8], pos: &mut usize| {
            let rest = &line[*pos..];
            let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
            let found = rest[spaces..].strip_prefix(name);
            if let Some(value) = found {
                *pos = line.len() - value.len();
            }
            found
        };
        if let Some(value) = next(b"Lock_time: ", &mut pos) {
            let (lock_time, size) = seconds(value);
            self.record.lock_ns = duration(lock_time, &mut self.record);
            pos += size;
        }
        if let Some(value) = next(b"Rows_sent: ", &mut pos) {
            let (rows, digits) = integer(value);
            self.record.rows_sent = rows;
            pos += digits;
        }
        if let Some(value) = next(b"Rows_examined: ", &mut pos) {
            let (rows, digits) = integer(value);
            self.record.rows_examined = rows;
            pos += digits;
        }
        if pos + 1 < line.len() {
            self.fields(at, line, pos);
        }
    }

    /// `Name: value  Name: value`, from `from` on. A value may be missing.
    fn fields(&mut self, at: usize, line: &[u8], from: usize) {
        let mut pos = from;
        loop {
            while line.get(pos).is_some_and(|byte| *byte <= b' ') {
                pos += 1;
            }
            let start = pos;
            while line.get(pos).is_some_and(|byte| *byte != b':') {
                pos += 1;
            }
            if pos >= line.len() {
                return;
            }
            let key = &line[start..pos];
            pos += 1;
            // One space belongs to the colon; what begins behind two is the next name.
            pos += usize::from(line.get(pos) == Some(&b' '));
            if key == b"Schema" {
                let end = schema_end(line, pos);
                self.schema = Some(Span::new(at + pos, at + end));
                pos = end;
                continue;
            }
            while line.get(pos) == Some(&b' ') {
                pos += 1;
            }
            let value = pos;
            while line.get(pos).is_some_and(|byte| *byte > b' ') {
                pos += 1;
            }
            self.field(key, &line[value..pos]);
        }
    }

    #[inline]
    fn field(&mut self, key: &[u8], value: &[u8]) {
        let record = &mut self.record;
        let yes = |flag: Flags| {
            if value == b"Yes" {
                flag
            } else {
                Flags::default()
            }
        };
        match key {
            b"Lock_time" => record.lock_ns = duration(seconds(value).0, record),
            b"Rows_sent" => record.rows_sent = integer(value).0,
            b"Rows_examined" => record.rows_examined = integer(value).0,
            b"Rows_affected" => record.rows_affected = integer(value).0,
            b"Bytes_sent" => record.bytes_sent = integer(value).0,
            b"Id" | b"Thread_id" => record.connection = integer(value).0,
            b"Full_scan" => record.flags.add(yes(Flags::FULL_SCAN)),
            b"Full_join" => record.flags.add(yes(Flags::FULL_JOIN)),
            b"Tmp_table" => record.flags.add(yes(Flags::TMP_TABLE)),
            b"Tmp_table_on_disk" | b"Disk_tmp_table" => {
                record.flags.add(yes(Flags::TMP_TABLE_ON_DISK));
            }
            b"Filesort" => record.flags.add(yes(Flags::FILESORT)),
            b"Filesort_on_disk" | b"Disk_filesort" => {
                record.flags.add(yes(Flags::FILESORT_ON_DISK));
            }
            b"Priority_queue" => record.flags.add(yes(Flags::PRIORITY_QUEUE)),
            b"QC_hit" | b"QC_Hit" => record.flags.add(yes(Flags::QUERY_CACHE_HIT)),
            b"Errno" | b"Last_errno" if integer(value).0 != 0 => record.flags.add(Flags::FAILED),
            // The error that ended it (Percona Server); MySQL always writes 0.
            b"Killed" if integer(value).0 != 0 => {
                record.flags.add(Flags::KILLED);
                record.flags.add(Flags::FAILED);
            }
            b"Log_slow_rate_limit" => {
                record.weight = u32::try_from(integer(value).0).unwrap_or(u32::MAX).max(1);
            }
            _ => {}
        }
    }
}

fn duration(value: Option<Duration>, record: &mut Record) -> u64 {
    match value {
        Some(Duration::Nanos(nanos)) => nanos,
        Some(Duration::Negative) => {
            record.flags.add(Flags::WRAPPED_TIME);
            0
        }
        None => 0,
    }
}

/// The end of a database's name that begins at `from`: it may hold spaces, and two end it.
fn schema_end(line: &[u8], from: usize) -> usize {
    let rest = &line[from.min(line.len())..];
    let end = memmem::find(rest, b"  ").unwrap_or(rest.len());
    let name = rest[..end].trim_ascii_end();
    // An empty name, and the next field with one space less: `Schema:  QC_hit: No`.
    if name.first() == Some(&b' ')
        || name.ends_with(b":")
        || name.windows(2).any(|two| two == b": ")
    {
        return from;
    }
    from + name.len()
}

/// Behind the `] @ ` between names and host. A host has no `@`.
fn host_mark(text: &[u8]) -> Option<usize> {
    let at = memrchr(b'@', text)?;
    (at >= 2 && &text[at - 2..at] == b"] " && text.get(at + 1) == Some(&b' ')).then_some(at + 2)
}

/// `root[root] @ localhost [127.0.0.1]` -> the user's name, and the host's name or address. A name may
/// hold brackets and spaces.
fn account(block: &[u8], line: Span) -> (Span, Span) {
    let text = line.of(block, &[]);
    let Some(host_start) = host_mark(text) else {
        return (Span::default(), Span::default());
    };
    let middle = host_start - 4;
    let span = |start: usize, end: usize| Span::new(line.start() + start, line.start() + end);
    let names = &text[..middle];
    // Mostly both names are the same one: `NAME[NAME`.
    let half = names.len() / 2;
    let is_twice =
        names.len() % 2 == 1 && names[half] == b'[' && names[..half] == names[half + 1..];
    let first = if is_twice {
        half
    } else {
        memchr(b'[', names).unwrap_or(names.len())
    };
    let user = if first > 0 {
        span(0, first)
    } else {
        span((first + 1).min(middle), middle)
    };
    let host_text = &text[host_start..];
    let bracket = memchr(b'[', host_text).unwrap_or(host_text.len());
    let host_name = host_text[..bracket].trim_ascii();
    if !host_name.is_empty() {
        let skipped = host_text.len() - host_text.trim_ascii_start().len();
        let start = host_start + skipped;
        return (user, span(start, start + host_name.len()));
    }
    let address = (bracket + 1).min(host_text.len());
    let end = memchr(b']', &host_text[address..]).map_or(host_text.len(), |end| address + end);
    (user, span(host_start + address, host_start + end))
}

/// The server's `use db;` line at `at`: what is behind it, and its text without the semicolon.
pub(super) fn use_line(block: &[u8], at: usize) -> (usize, Span) {
    let rest = &block[at..];
    if !rest.starts_with(b"use ") {
        return (at, Span::default());
    }
    let end = line_end(block, at);
    let line = block[at..end].trim_ascii_end();
    match line.strip_suffix(b";") {
        Some(text) if text.len() > 4 => {
            ((end + 1).min(block.len()), Span::new(at, at + text.len()))
        }
        _ => (at, Span::default()),
    }
}

/// The database's name in a `use` line, without the quotes.
fn name(block: &[u8], use_line: Span, batch: &mut Batch<Record>) -> Span {
    let (mut start, mut end) = (use_line.start() + 4, use_line.start() + use_line.len());
    if end - start >= 2 && block[start] == b'`' && block[end - 1] == b'`' {
        (start, end) = (start + 1, end - 1);
        if memchr(b'`', &block[start..end]).is_some() {
            let mut plain = Vec::with_capacity(end - start);
            let mut bytes = block[start..end].iter().peekable();
            while let Some(byte) = bytes.next() {
                plain.push(*byte);
                if *byte == b'`' {
                    bytes.next_if_eq(&&b'`');
                }
            }
            return batch.keep(&plain);
        }
    }
    Span::new(start, end)
}

/// The server's own `SET timestamp=N;` line at `at`: what is behind it, and the time in microseconds
/// since the Unix epoch. `last_insert_id=N,` and `insert_id=N,` may stand before it.
pub(super) fn set_timestamp(block: &[u8], at: usize) -> Option<(usize, i64)> {
    let mut rest = block.get(at..)?.strip_prefix(b"SET ")?;
    for name in [b"last_insert_id=".as_slice(), b"insert_id="] {
        if let Some(number) = rest.strip_prefix(name) {
            let digits = integer(number).1;
            rest = number[digits..].strip_prefix(b",")?;
        }
    }
    let rest = rest.strip_prefix(b"timestamp=")?;
    let (whole, digits) = integer(rest);
    if digits == 0 {
        return None;
    }
    let mut rest = &rest[digits..];
    let mut micros = 0;
    if let Some(decimals) = rest.strip_prefix(b".") {
        let (value, digits) = integer(&decimals[..decimals.len().min(6)]);
        micros = value * 10u64.pow(6 - digits as u32);
        rest = &decimals[integer(decimals).1..];
    }
    let rest = rest.strip_prefix(b";")?;
    let rest = rest.strip_prefix(b"\r").unwrap_or(rest);
    let rest = match rest.strip_prefix(b"\n") {
        Some(rest) => rest,
        None if rest.is_empty() => rest,
        None => return None,
    };
    let at_us = i64::try_from(whole).ok()?.checked_mul(1_000_000)?;
    Some((block.len() - rest.len(), at_us.checked_add(micros as i64)?))
}
