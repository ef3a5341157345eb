//! A statement repeated on a connection, and the last ones that were.

use serde::{Deserialize, Serialize};

use super::limits::{PARENTS, RING, UNIT};

/// What lies between a statement and the one before it on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Gap {
    /// Nothing.
    #[default]
    None,
    /// The end of a transaction, or something else that no loop reaches across.
    Break,
    /// The begin of a transaction or of another request.
    Begin,
}

/// One shape, some times in succession.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Packed", into = "Packed")]
pub(super) struct Item {
    pub(super) shape: u32,
    /// How often.
    pub(super) count: u32,
    /// All of them together.
    pub(super) ns: u64,
    /// Rows that the last of them sent.
    pub(super) rows: u32,
    /// Before the first of them.
    pub(super) gap: Gap,
    /// Whether it reads.
    pub(super) reads: bool,
}

/// As it is saved, thousands of times: shape, count, time, rows, and gap (0 to 2) with 4 if it reads.
type Packed = (u32, u32, u64, u32, u8);

impl From<Item> for Packed {
    fn from(item: Item) -> Self {
        let gap = match item.gap {
            Gap::None => 0,
            Gap::Break => 1,
            Gap::Begin => 2,
        };
        let flags = gap | u8::from(item.reads) << 2;
        (item.shape, item.count, item.ns, item.rows, flags)
    }
}

impl From<Packed> for Item {
    fn from((shape, count, ns, rows, flags): Packed) -> Self {
        Self {
            shape,
            count,
            ns,
            rows,
            gap: match flags & 3 {
                1 => Gap::Break,
                2 => Gap::Begin,
                _ => Gap::None,
            },
            reads: flags & 4 != 0,
        }
    }
}

impl Item {
    /// Whether `next` continues this item.
    #[inline]
    pub(super) fn continues(&self, next: &Item) -> bool {
        self.shape == next.shape && next.gap == Gap::None
    }

    /// Take in `next`, which continues this item.
    #[inline]
    pub(super) fn extend(&mut self, next: &Item) {
        self.count = self.count.saturating_add(next.count);
        self.ns = self.ns.saturating_add(next.ns);
        self.rows = next.rows;
    }
}

/// A statement that may be the parent of a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parent {
    pub(super) shape: u32,
    pub(super) rows: u32,
    pub(super) reads: bool,
    /// Whether it is in the transaction (or request) of the loop, as a `BEGIN` before it says.
    pub(super) in_unit: bool,
}

/// Those before a loop, the nearest first.
pub(super) type Parents = [Option<Parent>; PARENTS];

/// The last items of a connection.
#[derive(Debug, Clone)]
pub(super) struct Ring {
    items: [Item; RING],
    /// Where the next one goes.
    next: usize,
    /// How many were ever pushed.
    pushed: u64,
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            items: [Item::default(); RING],
            next: 0,
            pushed: 0,
        }
    }
}

impl Ring {
    #[inline]
    pub(super) fn push(&mut self, item: Item) {
        self.items[self.next % RING] = item;
        self.next = (self.next + 1) % RING;
        self.pushed = self.pushed.saturating_add(1);
    }

    /// The item `back` places ago; 0 is the last one. What was never pushed is an empty item.
    #[inline]
    pub(super) fn back(&self, back: usize) -> &Item {
        &self.items[self.next.wrapping_sub(back + 1) % RING]
    }

    /// How many items [`Ring::back`] knows.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.pushed.min(RING as u64) as usize
    }

    /// What is before the item `first` places ago, with which a loop begins.
    pub(super) fn parents(&self, first: usize) -> Parents {
        let mut parents = Parents::default();
        let mut together = 0;
        let mut in_unit = false;
        // How many items before the loop are not parted from it, and whether a BEGIN is before them.
        for back in first..(first + UNIT).min(self.len()) {
            match self.back(back).gap {
                Gap::None => together += 1,
                Gap::Break => break,
                Gap::Begin => {
                    in_unit = true;
                    break;
                }
            }
        }
        for (distance, parent) in parents.iter_mut().enumerate() {
            let back = first + 1 + distance;
            if back >= self.len() {
                break;
            }
            let item = self.back(back);
            *parent = Some(Parent {
                shape: item.shape,
                rows: item.rows,
                reads: item.reads,
                in_unit: in_unit && distance < together,
            });
        }
        parents
    }

    /// Put `later` behind this, of which the first `known` items are here already.
    pub(super) fn join(&mut self, later: &Ring, known: usize) {
        let pushed = self
            .pushed
            .saturating_add(later.pushed)
            .saturating_sub(known as u64);
        // It has forgotten some of those that are known.
        let forgotten = later.pushed - later.len() as u64;
        let known = (known as u64).saturating_sub(forgotten) as usize;
        for item in later.items().skip(known) {
            self.push(item);
        }
        self.pushed = pushed;
    }

    /// The ring of these items, which pushed so many.
    pub(super) fn of(items: impl IntoIterator<Item = Item>, pushed: u64) -> Self {
        let mut ring = Self::default();
        for item in items {
            ring.push(item);
        }
        ring.pushed = ring.pushed.max(pushed);
        ring
    }

    /// How many were ever pushed.
    pub(super) fn pushed(&self) -> u64 {
        self.pushed
    }

    /// The items that are remembered, the oldest first.
    pub(super) fn items(&self) -> impl Iterator<Item = Item> {
        (0..self.len()).rev().map(|back| *self.back(back))
    }
}
