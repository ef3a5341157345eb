//! The wire format: varints, tags, lengths and groups.
//!
//! Written from the encoding guide of Protocol Buffers (<https://protobuf.dev/programming-guides/encoding/>).
//! Nothing here panics or trusts a claimed length, and every error carries the byte offset in the
//! whole buffer, also when it happens deep in a nested message.

use crate::error::DecodeError;

/// How a field's value is laid out on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum WireType {
    /// One to ten bytes, seven bits each, least significant first.
    Varint = 0,
    /// Eight bytes, little endian.
    Fixed64 = 1,
    /// A varint length, then that many bytes.
    Len = 2,
    /// Fields up to the matching [`WireType::EndGroup`].
    StartGroup = 3,
    /// Ends the group opened with the same field number.
    EndGroup = 4,
    /// Four bytes, little endian.
    Fixed32 = 5,
}

impl WireType {
    /// The wire type of the low three bits of a tag; `None` for the two unused codes.
    pub fn from_tag(tag: u32) -> Option<WireType> {
        Some(match tag & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Len,
            3 => WireType::StartGroup,
            4 => WireType::EndGroup,
            5 => WireType::Fixed32,
            _ => return None,
        })
    }

    /// This wire type as one bit of a set.
    pub(crate) const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The format's name for it, for error messages.
    pub fn name(self) -> &'static str {
        match self {
            WireType::Varint => "varint",
            WireType::Fixed64 => "64-bit",
            WireType::Len => "length-delimited",
            WireType::StartGroup => "group start",
            WireType::EndGroup => "group end",
            WireType::Fixed32 => "32-bit",
        }
    }
}

/// Reads a buffer from front to back and knows its place in it.
#[derive(Debug, Clone)]
pub struct Reader<'b> {
    rest: &'b [u8],
    /// Offset just past `rest` in the whole buffer: the place is `end - rest.len()`.
    end: usize,
}

impl<'b> Reader<'b> {
    /// Reads a whole buffer.
    pub fn new(bytes: &'b [u8]) -> Reader<'b> {
        Reader {
            rest: bytes,
            end: bytes.len(),
        }
    }

    /// Reads `bytes[start..end]`; offsets stay those of `bytes`. An impossible range reads as empty.
    pub fn part(bytes: &'b [u8], start: usize, end: usize) -> Reader<'b> {
        Reader {
            rest: bytes.get(start..end).unwrap_or_default(),
            end,
        }
    }

    /// Reads `bytes`, which start at the offset `start` of the whole buffer.
    #[inline]
    pub fn nested(bytes: &'b [u8], start: usize) -> Reader<'b> {
        Reader {
            rest: bytes,
            end: start + bytes.len(),
        }
    }

    /// The offset of the next byte in the whole buffer.
    #[inline]
    pub fn offset(&self) -> usize {
        self.end - self.rest.len()
    }

    /// Whether nothing is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> &'b [u8] {
        self.rest
    }

    /// Reads a varint of at most ten bytes and 64 bits.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] when the bytes end inside it, [`DecodeError::Varint`] when it is
    /// longer or larger than allowed.
    #[inline(always)]
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        match self.rest {
            [a, rest @ ..] if *a < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*a))
            }
            [a, b, rest @ ..] if *b < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*a & 0x7f) | u64::from(*b) << 7)
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for (at, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                if at == 9 && byte > 1 {
                    return Err(DecodeError::Varint {
                        offset: self.offset(),
                    });
                }
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        match self.rest.len() {
            0..10 => Err(DecodeError::Truncated { offset: self.end }),
            _ => Err(DecodeError::Varint {
                offset: self.offset(),
            }),
        }
    }

    /// Reads a tag: the field number (1 to 2^29 - 1) and the wire type.
    ///
    /// # Errors
    ///
    /// As [`Reader::varint`], and [`DecodeError::Tag`] for field number 0, a number too large or one
    /// of the two unused wire types.
    #[inline(always)]
    pub fn tag(&mut self) -> Result<(u32, WireType), DecodeError> {
        let offset = self.offset();
        let raw = self.varint()?;
        match (u32::try_from(raw), WireType::from_tag(raw as u32)) {
            (Ok(tag), Some(wire)) if tag >= 8 => Ok((tag >> 3, wire)),
            _ => Err(DecodeError::Tag { offset }),
        }
    }

    /// Reads four little-endian bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] when fewer are left.
    #[inline(always)]
    pub fn fixed32(&mut self) -> Result<u32, DecodeError> {
        match self.rest.split_first_chunk() {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(u32::from_le_bytes(*head))
            }
            None => Err(DecodeError::Truncated { offset: self.end }),
        }
    }

    /// Reads eight little-endian bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] when fewer are left.
    #[inline(always)]
    pub fn fixed64(&mut self) -> Result<u64, DecodeError> {
        match self.rest.split_first_chunk() {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(u64::from_le_bytes(*head))
            }
            None => Err(DecodeError::Truncated { offset: self.end }),
        }
    }

    /// Reads a length and that many bytes.
    ///
    /// # Errors
    ///
    /// As [`Reader::varint`], and [`DecodeError::Length`] when the length claims more than is left.
    #[inline(always)]
    pub fn bytes(&mut self) -> Result<&'b [u8], DecodeError> {
        let offset = self.offset();
        let len = self.varint()?;
        match usize::try_from(len)
            .ok()
            .and_then(|len| self.rest.split_at_checked(len))
        {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(head)
            }
            None => Err(DecodeError::Length {
                offset,
                claimed: len,
                left: self.rest.len(),
            }),
        }
    }

    /// Reads one value of the given wire type and forgets it. For a group, `depth` is how many more
    /// groups may be nested.
    ///
    /// # Errors
    ///
    /// Whatever the value is malformed in; [`DecodeError::Group`] for an end without a start or with
    /// another number; [`DecodeError::Depth`] when groups nest deeper than `depth`.
    #[inline(always)]
    pub fn skip(&mut self, number: u32, wire: WireType, depth: usize) -> Result<(), DecodeError> {
        match wire {
            WireType::Varint => self.varint().map(drop),
            WireType::Fixed64 => self.fixed64().map(drop),
            WireType::Len => self.bytes().map(drop),
            WireType::Fixed32 => self.fixed32().map(drop),
            WireType::StartGroup => self.group(number, depth).map(drop),
            WireType::EndGroup => Err(DecodeError::Group {
                offset: self.offset(),
                number,
            }),
        }
    }

    /// Reads a group's content up to and including its end tag; gives the content alone.
    ///
    /// # Errors
    ///
    /// As [`Reader::skip`].
    #[inline(never)]
    pub fn group(&mut self, number: u32, depth: usize) -> Result<&'b [u8], DecodeError> {
        let content = self.rest;
        let start = self.offset();
        // A stack instead of recursion: unknown groups are the cheapest way to nest deeply.
        let mut open = [0u32; crate::limits::Limits::DEPTH_MAX + 1];
        let allowed = depth.min(open.len());
        let mut level = 0;
        if allowed == 0 {
            return Err(DecodeError::Depth {
                offset: start,
                limit: depth,
            });
        }
        open[0] = number;
        loop {
            let offset = self.offset();
            if self.rest.is_empty() {
                return Err(DecodeError::Truncated { offset });
            }
            let (number, wire) = self.tag()?;
            match wire {
                WireType::EndGroup if open[level] != number => {
                    return Err(DecodeError::Group { offset, number });
                }
                WireType::EndGroup if level == 0 => return Ok(&content[..offset - start]),
                WireType::EndGroup => level -= 1,
                WireType::StartGroup => {
                    level += 1;
                    if level >= allowed {
                        return Err(DecodeError::Depth {
                            offset,
                            limit: depth,
                        });
                    }
                    open[level] = number;
                }
                other => self.skip(number, other, 0)?,
            }
        }
    }
}

/// Appends a varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The encoded size of a varint, 1 to 10 bytes.
#[inline]
pub fn varint_len(value: u64) -> usize {
    // One byte for every seven bits: (bits * 9 + 64) / 64 is exact over the whole range.
    ((64 - (value | 1).leading_zeros() as usize) * 9 + 64) / 64
}

/// Appends a tag.
#[inline]
pub fn put_tag(out: &mut Vec<u8>, number: u32, wire: WireType) {
    put_varint(out, u64::from(number) << 3 | wire as u64);
}

/// Maps a signed number to the unsigned one `sint32` and `sint64` send.
#[inline]
pub fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// Undoes [`zigzag`].
#[inline]
pub fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints() {
        #[track_caller]
        fn check(input: &[u8], expected: Result<u64, DecodeError>) {
            assert_eq!(Reader::new(input).varint(), expected);
        }
        check(&[0x00], Ok(0));
        check(&[0x7f], Ok(127));
        check(&[0xac, 0x02], Ok(300));
        check(&[0x80, 0x80, 0x00], Ok(0));
        check(
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            Ok(u64::MAX),
        );
        check(
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
            Err(DecodeError::Varint { offset: 0 }),
        );
        check(&[0x80; 11], Err(DecodeError::Varint { offset: 0 }));
        check(&[0x80; 9], Err(DecodeError::Truncated { offset: 9 }));
        check(&[0x80], Err(DecodeError::Truncated { offset: 1 }));
        check(&[], Err(DecodeError::Truncated { offset: 0 }));
    }

    #[test]
    fn varint_lengths() {
        for bits in 0..64 {
            for value in [1u64 << bits, (1u64 << bits) - 1, u64::MAX >> bits] {
                let mut out = Vec::new();
                put_varint(&mut out, value);
                assert_eq!(varint_len(value), out.len(), "{value}");
                assert_eq!(Reader::new(&out).varint(), Ok(value));
                assert_eq!(zigzag(unzigzag(value)), value);
            }
        }
    }

    #[test]
    fn tags() {
        #[track_caller]
        fn check(input: &[u8], expected: Result<(u32, WireType), DecodeError>) {
            assert_eq!(Reader::new(input).tag(), expected);
        }
        check(&[0x08], Ok((1, WireType::Varint)));
        check(
            &[0xfa, 0xff, 0xff, 0xff, 0x0f],
            Ok((0x1fff_ffff, WireType::Len)),
        );
        check(&[0x88, 0x80, 0x00], Ok((1, WireType::Varint)));
        check(&[0x02], Err(DecodeError::Tag { offset: 0 }));
        check(&[0x0e], Err(DecodeError::Tag { offset: 0 }));
        check(&[0x0f], Err(DecodeError::Tag { offset: 0 }));
        check(
            &[0xf8, 0xff, 0xff, 0xff, 0x1f],
            Err(DecodeError::Tag { offset: 0 }),
        );
    }

    #[test]
    fn lengths_are_rumours() {
        #[track_caller]
        fn check(input: &[u8], expected: Result<&[u8], DecodeError>) {
            assert_eq!(Reader::new(input).bytes(), expected);
        }
        check(&[2, 7, 8, 9], Ok(&[7, 8]));
        check(&[0], Ok(&[]));
        check(
            &[3, 7, 8],
            Err(DecodeError::Length {
                offset: 0,
                claimed: 3,
                left: 2,
            }),
        );
        check(
            &[0x80, 0x80, 0x80, 0x80, 0x08, 1],
            Err(DecodeError::Length {
                offset: 0,
                claimed: 1 << 31,
                left: 1,
            }),
        );
    }

    #[test]
    fn groups() {
        #[track_caller]
        fn check(input: &[u8], depth: usize, expected: Result<(), DecodeError>) {
            let mut reader = Reader::new(input);
            let skipped = reader
                .tag()
                .and_then(|(number, wire)| reader.skip(number, wire, depth));
            assert_eq!(skipped, expected);
        }
        check(&[0x0b, 0x0c], 1, Ok(()));
        check(&[0x0b, 0x10, 0x05, 0x0c], 1, Ok(()));
        check(
            &[0x0b, 0x0c],
            0,
            Err(DecodeError::Depth {
                offset: 1,
                limit: 0,
            }),
        );
        check(&[0x0b, 0x13, 0x14, 0x0c], 2, Ok(()));
        check(
            &[0x0b, 0x13, 0x14, 0x0c],
            1,
            Err(DecodeError::Depth {
                offset: 1,
                limit: 1,
            }),
        );
        check(
            &[0x0b, 0x14],
            9,
            Err(DecodeError::Group {
                offset: 1,
                number: 2,
            }),
        );
        check(&[0x0b], 9, Err(DecodeError::Truncated { offset: 1 }));
        check(
            &[0x0c],
            9,
            Err(DecodeError::Group {
                offset: 1,
                number: 1,
            }),
        );
        check(
            &[0x0b; 10_000],
            100,
            Err(DecodeError::Depth {
                offset: 100,
                limit: 100,
            }),
        );
    }
}
