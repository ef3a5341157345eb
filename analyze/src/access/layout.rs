//! The order of a log's labels, remembered from line to line.
//!
//! Lines of one log have the same labels in the same order. What the label at a place of the line
//! before meant is kept, and the next line's is only compared with it.

use super::labels::{Field, Parent};
use super::limits::{LABEL_BYTES, LAYOUT_FIELDS};
use super::values::Unit;

/// A label and what it means.
#[derive(Debug, Clone)]
struct Slot {
    /// The first 16 bytes, and which of them belong to the label.
    front: u128,
    mask: u128,
    /// The whole of it, with what ends it.
    label: Box<[u8]>,
    parent: Parent,
    field: Field,
    unit: Unit,
}

/// Labels in their order.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    slots: Vec<Slot>,
}

impl Layout {
    /// What the label that begins `text` means if it is the one that was at this place before, and
    /// its length with what ends it.
    #[inline(always)]
    pub(crate) fn get(
        &self,
        place: usize,
        parent: Parent,
        text: &[u8],
    ) -> Option<(Field, Unit, usize)> {
        let slot = self.slots.get(place)?;
        let len = slot.label.len();
        let same = match text.first_chunk() {
            Some(front) => {
                (u128::from_le_bytes(*front) ^ slot.front) & slot.mask == 0
                    && (len <= 16 || text.get(16..len) == slot.label.get(16..))
            }
            None => text.starts_with(&slot.label),
        };
        (same && slot.parent == parent).then_some((slot.field, slot.unit, len))
    }

    /// Remember that `label` (with what ends it) is at this place and what it means.
    #[cold]
    pub(crate) fn put(
        &mut self,
        place: usize,
        parent: Parent,
        label: &[u8],
        (field, unit): (Field, Unit),
    ) {
        if label.len() > LABEL_BYTES || place > self.slots.len() || place >= LAYOUT_FIELDS {
            return;
        }
        let mut front = [0; 16];
        let mut mask = [0; 16];
        for ((to, mask), from) in front.iter_mut().zip(&mut mask).zip(label) {
            (*to, *mask) = (*from, 0xff);
        }
        let slot = Slot {
            front: u128::from_le_bytes(front),
            mask: u128::from_le_bytes(mask),
            label: label.into(),
            parent,
            field,
            unit,
        };
        match self.slots.get_mut(place) {
            Some(old) => *old = slot,
            None => self.slots.push(slot),
        }
    }
}
