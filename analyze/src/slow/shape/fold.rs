//! What repeats itself is cut back while it is written: what was written since the last comma (OR, WHEN,
//! UNION) is compared with what was written before it.

/// A piece of the canonical text. Pieces that were cut away are no longer equal to anything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
}

pub(super) const NO_PIECE: Piece = Piece { start: 1, end: 0 };

impl Piece {
    pub(super) fn of(self, text: &[u8]) -> Option<&[u8]> {
        text.get(self.start..self.end)
            .filter(|piece| !piece.is_empty())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Root,
    Parenthesis,
    Case,
}

/// What the commas of a frame part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    /// Nothing that is folded.
    None,
    /// `IN (?, ?)`.
    Elements,
    /// `VALUES (?, ?), (?, ?)`.
    Rows,
}

/// Things that repeat: what came before, where the present one begins, and where to cut when both are
/// equal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain {
    pub(super) before: Piece,
    pub(super) start: usize,
    pub(super) cut: usize,
}

impl Chain {
    pub(super) fn new(start: usize) -> Self {
        Self {
            before: NO_PIECE,
            start,
            cut: start,
        }
    }

    /// Cut the text when its end repeats what came before. Otherwise that end is now what came before.
    pub(super) fn end(&mut self, text: &mut Vec<u8>) -> bool {
        let piece = Piece {
            start: self.start,
            end: text.len(),
        };
        let is_same = self
            .before
            .of(text)
            .is_some_and(|before| piece.of(text) == Some(before));
        if is_same {
            text.truncate(self.cut);
        } else {
            self.before = piece;
        }
        self.cut = text.len();
        is_same
    }
}

/// How many different elements of a list are kept in mind.
pub(super) const KEPT: usize = 4;

/// Parentheses, a CASE or the whole statement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) list: List,
    /// Where it begins, behind its parenthesis.
    pub(super) start: usize,
    pub(super) kept: [Piece; KEPT],
    pub(super) element: usize,
    pub(super) cut: usize,
    pub(super) or: Chain,
    pub(super) when: Option<Chain>,
    pub(super) union: Chain,
    pub(super) has_select: bool,
    pub(super) is_union_all: bool,
    /// The kind of UNION that was folded (ALL or not).
    pub(super) folded_union: Option<bool>,
}

impl Frame {
    pub(super) fn new(kind: Kind, list: List, start: usize) -> Self {
        Self {
            kind,
            list,
            start,
            kept: [NO_PIECE; KEPT],
            element: start,
            cut: start,
            or: Chain::new(start),
            when: None,
            union: Chain::new(start),
            has_select: false,
            is_union_all: false,
            folded_union: None,
        }
    }

    /// End an element of a list: cut it when there was one like it.
    pub(super) fn end_element(&mut self, text: &mut Vec<u8>) {
        let piece = Piece {
            start: self.element,
            end: text.len(),
        };
        let Some(bytes) = piece.of(text) else {
            return;
        };
        for kept in &mut self.kept {
            match kept.of(text) {
                Some(known) if known == bytes => {
                    text.truncate(self.cut);
                    return;
                }
                Some(_) => {}
                None => {
                    *kept = piece;
                    return;
                }
            }
        }
    }

    pub(super) fn end_union(&mut self, text: &mut Vec<u8>) {
        let kind = self.is_union_all;
        if self.folded_union.is_some_and(|folded| folded != kind) {
            self.union.before = NO_PIECE;
        }
        if self.union.end(text) && self.folded_union.is_none() {
            self.folded_union = Some(kind);
            text.extend_from_slice(if kind {
                b" /*repeat union all*/".as_slice()
            } else {
                b" /*repeat union*/"
            });
            self.union.cut = text.len();
        }
    }
}
