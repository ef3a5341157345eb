//! The entries of a map in the order of their keys, the last of equal keys alone or all of them.

use super::index::{MapItem, Walk, pack};
use super::tables::{Kind, MessageTable};
use crate::error::DecodeError;
use crate::wire::unzigzag;

impl Walk<'_> {
    /// Lists the entries of a map by key (all of them, or the last one of each) from the returned index of
    /// `scratch.items` on. Keys are checked to be text where they must be.
    pub(crate) fn sort_map(
        &mut self,
        table: &MessageTable,
        run: std::ops::Range<usize>,
        depth: usize,
        duplicates: bool,
    ) -> Result<usize, DecodeError> {
        let base = self.scratch.items.len();
        let key = &table.fields[0];
        let mut sorted = true;
        for entry in run {
            let begin = self.open_parts(table, entry..entry + 1, depth)?;
            let known = self.scratch.entries[begin..].partition_point(|entry| entry.field == 0);
            let raw = match known {
                0 => pack(0, 0),
                _ => self.scratch.entries[begin + known - 1].raw,
            };
            self.close(begin);
            let item = MapItem {
                key: raw,
                entry: entry as u32,
            };
            if let Some(before) = self.scratch.items[base..].last() {
                sorted &= compare(key.kind, self.buf, before.key, raw).is_lt();
            }
            self.scratch.items.push(item);
        }
        if !sorted {
            let buf = self.buf;
            let kind = key.kind;
            self.scratch.items[base..].sort_by(|a, b| compare(kind, buf, a.key, b.key));
            let items = &mut self.scratch.items;
            if duplicates {
                return Ok(base);
            }
            let mut kept = base;
            for at in base..items.len() {
                let item = items[at];
                if at > base && compare(kind, buf, items[kept - 1].key, item.key).is_eq() {
                    kept -= 1;
                }
                items[kept] = item;
                kept += 1;
            }
            items.truncate(kept);
        }
        Ok(base)
    }
}

/// Orders two raw map keys by the value they stand for.
fn compare(kind: Kind, buf: &[u8], a: u64, b: u64) -> std::cmp::Ordering {
    let text = |raw: u64| &buf[(raw >> 32) as usize..(raw & 0xffff_ffff) as usize];
    match kind {
        Kind::String => text(a).cmp(text(b)),
        Kind::Int32 | Kind::Sfixed32 => (a as i32).cmp(&(b as i32)),
        Kind::Int64 | Kind::Sfixed64 => (a as i64).cmp(&(b as i64)),
        Kind::Sint32 => (unzigzag(a & 0xffff_ffff) as i32).cmp(&(unzigzag(b & 0xffff_ffff) as i32)),
        Kind::Sint64 => unzigzag(a).cmp(&unzigzag(b)),
        Kind::Uint32 | Kind::Fixed32 => (a as u32).cmp(&(b as u32)),
        Kind::Bool => (a != 0).cmp(&(b != 0)),
        _ => a.cmp(&b),
    }
}
