//! Body of the fuzz target `access`: an ordinary function, so that stable Rust replays its corpus.

use super::{Collapse, Format, LogFormat, Namer, Reader, Record, RouteCounts, agent};
use crate::digest::{Batch, Reader as _, Span};

/// All that a record says, its texts included, wherever they lie.
type Said = (Record, Vec<Vec<u8>>);

/// Read `data` as a log, whole and in pieces: the first byte chooses the format and where to cut. For a
/// `log_format` of nginx the first line is the format.
///
/// # Panics
/// When the reader breaks its own promises.
pub fn fuzz_access(data: &[u8]) {
    let Some((&choice, mut log)) = data.split_first() else {
        return;
    };
    let format = match choice % 6 {
        0 => Format::Ltsv,
        1 => Format::Combined,
        2 => Format::Json,
        3 => Format::Envoy,
        4 => Format::Events,
        _ => {
            let end = memchr::memchr(b'\n', log).unwrap_or(log.len());
            let Ok(text) = std::str::from_utf8(&log[..end]) else {
                return;
            };
            let _ = Format::from_nginx_conf(text, None);
            log = log.get(end + 1..).unwrap_or_default();
            match LogFormat::new(text) {
                Ok(format) => Format::Nginx(Box::new(format)),
                Err(_) => return,
            }
        }
    };
    let _ = Format::detect(log);
    let reader = Reader::new(format, Namer::default());
    let whole = read_whole(&reader, log);
    assert_eq!(
        whole,
        read_in_pieces(&reader, log, usize::from(choice / 6) * 7 + 1)
    );
    name_all(&whole.0);
}

fn read_whole(reader: &Reader, log: &[u8]) -> (Vec<Said>, Vec<(usize, &'static str)>) {
    let mut batch = Batch::default();
    assert_eq!(reader.parse(log, true, &mut batch), log.len());
    let mut lines: Vec<Span> = batch.records.iter().map(|record| record.line).collect();
    lines.extend(batch.skips.iter().map(|skip| skip.span));
    lines.sort_by_key(|span| span.start());
    let mut end = 0;
    let mut bytes = 0;
    for line in &lines {
        assert!(line.start() >= end && !line.is_side());
        end = line.start() + line.len();
        bytes += line.of(log, &[]).trim_ascii_end().len();
    }
    let text = |line: &[u8]| line.trim_ascii_end().len();
    let all: usize = log.split(|byte| *byte == b'\n').map(text).sum();
    // Only the header of our own events is neither read nor skipped.
    if *reader.format() != Format::Events {
        assert_eq!(bytes, all);
    }
    said(log, 0, &batch)
}

/// Read blocks that are about as large as `size` says, cut where the reader wants them to be cut.
fn read_in_pieces(
    reader: &Reader,
    log: &[u8],
    size: usize,
) -> (Vec<Said>, Vec<(usize, &'static str)>) {
    let (mut records, mut skips) = (Vec::new(), Vec::new());
    let mut batch = Batch::default();
    let (mut start, mut end) = (0, size.min(log.len()));
    loop {
        let is_last = end == log.len();
        let cut = match is_last {
            true => Some(end),
            false => reader.cut(&log[start..end]).map(|cut| start + cut),
        };
        if let Some(cut) = cut {
            batch.clear();
            let block = &log[start..cut];
            assert_eq!(reader.parse(block, is_last, &mut batch), block.len());
            let (more, skipped) = said(block, start, &batch);
            records.extend(more);
            skips.extend(skipped);
            start = cut;
        }
        if is_last {
            return (records, skips);
        }
        end = (end + size).min(log.len());
    }
}

fn said(
    block: &[u8],
    offset: usize,
    batch: &Batch<Record>,
) -> (Vec<Said>, Vec<(usize, &'static str)>) {
    let skips = batch.skips.iter();
    let skips = skips.map(|skip| (offset + skip.span.start(), skip.reason));
    let records = batch.records.iter().map(|record| {
        let mut plain = *record;
        let spans = [
            &mut plain.line,
            &mut plain.method,
            &mut plain.path,
            &mut plain.query,
            &mut plain.agent,
            &mut plain.client,
            &mut plain.request_id,
            &mut plain.error,
        ];
        let texts = spans.map(|span| std::mem::take(span).of(block, &batch.side).to_vec());
        (plain, texts.to_vec())
    });
    (records.collect(), skips.collect())
}

/// Names, their statistics and agents of what was read.
fn name_all(records: &[Said]) {
    let namer = Namer::default();
    let mut names = Vec::new();
    for (record, texts) in records {
        let mut name = Vec::new();
        namer.name(&texts[1], &texts[2], &texts[3], &mut name);
        assert!(name.is_ascii());
        let _ = agent::family(&texts[4]);
        let mut counts = RouteCounts::default();
        counts.add(record.status);
        names.push((String::from_utf8_lossy(&name).into_owned(), counts));
    }
    let collapse = Collapse::learn(names.iter().map(|(name, counts)| (name.as_str(), *counts)));
    for (name, _) in &names {
        let _ = collapse.apply(name);
    }
}
