//! Where two bytes are in a block, found 64 bytes at a time.
//!
//! Fields are short: asking for the next tab costs more than passing over the bytes between two. So a
//! block is gone through once, and what was found in 64 bytes is kept as the bits of a word.

/// Bytes that are looked at together.
const GROUP: usize = 64;

/// The places of two bytes, in order.
pub(crate) struct Marks<'a> {
    block: &'a [u8],
    pair: [u8; 2],
    base: usize,
    bits: u64,
    /// Behind the last group so far that has a backslash.
    escape_until: usize,
}

impl<'a> Marks<'a> {
    pub(crate) fn new(block: &'a [u8], pair: [u8; 2]) -> Self {
        let mut marks = Self {
            block,
            pair,
            base: 0,
            bits: 0,
            escape_until: 0,
        };
        marks.load();
        marks
    }

    /// Whether there may be a backslash between `start` and the last mark. Never wrong when it says no.
    #[inline(always)]
    pub(crate) fn may_have_escape(&self, start: usize) -> bool {
        self.escape_until > start
    }

    #[inline(always)]
    fn load(&mut self) {
        let rest = &self.block[self.base..];
        let (bits, escape) = match rest.first_chunk() {
            Some(group) => find(group, self.pair),
            None => {
                let mut group = [0; GROUP];
                group[..rest.len()].copy_from_slice(rest);
                find(&group, self.pair)
            }
        };
        self.bits = bits;
        if escape {
            self.escape_until = self.base + GROUP;
        }
    }

    /// The next place; None at the end of the block.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<usize> {
        while self.bits == 0 {
            if self.base + GROUP >= self.block.len() {
                return None;
            }
            self.base += GROUP;
            self.load();
        }
        let at = self.base + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(at)
    }
}

/// A bit for each byte that is one of the pair, and whether there is a backslash.
///
/// The first loop is one that compilers make wide instructions of; a multiplication then gathers the
/// lowest bits of eight bytes.
#[inline(always)]
fn find(group: &[u8; GROUP], pair: [u8; 2]) -> (u64, bool) {
    let mut found = [0_u8; GROUP];
    let mut escape = 0;
    for at in 0..GROUP {
        let byte = group[at];
        found[at] = u8::from(byte == pair[0]) | u8::from(byte == pair[1]);
        escape |= u8::from(byte == b'\\');
    }
    let mut bits = 0;
    let (eights, _) = found.as_chunks::<8>();
    for (place, eight) in eights.iter().enumerate() {
        let gathered = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits |= gathered << (8 * place);
    }
    (bits, escape != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_where_the_bytes_are() {
        for len in [0, 1, 15, 16, 63, 64, 65, 128, 200] {
            let block: Vec<u8> = (0..len).map(|n| b"ab\t\nc"[(n * n + n / 7) % 5]).collect();
            let mut marks = Marks::new(&block, [b'\t', b'\n']);
            for (at, byte) in block.iter().enumerate() {
                if matches!(byte, b'\t' | b'\n') {
                    assert_eq!(marks.next(), Some(at), "{len}");
                }
            }
            assert_eq!(marks.next(), None, "{len}");
        }
    }

    #[test]
    fn no_backslash_is_overlooked() {
        for at in 0..150 {
            let mut block = [b'x'; 200];
            block[at] = b'\\';
            block[199] = b'\n';
            let mut marks = Marks::new(&block, [b'\t', b'\n']);
            assert_eq!(marks.next(), Some(199));
            assert!(marks.may_have_escape(at));
            assert!(!marks.may_have_escape(at + 64));
        }
    }
}
