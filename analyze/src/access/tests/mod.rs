//! Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod lines;
mod real;

use super::*;
use crate::digest::{Batch, Reader as _};

/// A record with its texts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) method: String,
    pub(super) path: Vec<u8>,
    pub(super) query: Vec<u8>,
    pub(super) agent: Vec<u8>,
    pub(super) client: Vec<u8>,
    pub(super) request_id: Vec<u8>,
    pub(super) error: Vec<u8>,
    pub(super) record: Record,
}

/// Read a whole log.
pub(super) fn read(format: &str, log: &[u8]) -> (Vec<Seen>, Vec<&'static str>) {
    read_as(format.parse().unwrap(), log)
}

pub(super) fn read_as(format: Format, log: &[u8]) -> (Vec<Seen>, Vec<&'static str>) {
    let reader = Reader::new(format, Namer::default());
    let mut batch = Batch::default();
    assert_eq!(reader.parse(log, true, &mut batch), log.len());
    let of = |span: crate::digest::Span| span.of(log, &batch.side).to_vec();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let records = batch.records.iter().map(|record| {
        let mut name = Vec::new();
        reader.name(record, log, &batch.side, &mut name);
        assert_eq!(crate::hash::hash(&name), record.key);
        Seen {
            name: text(name),
            method: text(of(record.method)),
            path: of(record.path),
            query: of(record.query),
            agent: of(record.agent),
            client: of(record.client),
            request_id: of(record.request_id),
            error: of(record.error),
            record: *record,
        }
    });
    (
        records.collect(),
        batch.skips.iter().map(|skip| skip.reason).collect(),
    )
}
