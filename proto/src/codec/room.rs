//! The first steps of a rendering, run in a room of fixed size.
//!
//! The room is one block of zeros appended to the output, so there is one check for space, the place
//! to write at stays in a register and most copies have a size known to the compiler. The number of
//! stores decides how fast it is: hence one for a tag with its varint, and no larger room than needed.
//! Whatever cannot be done in it ends the run before the step concerned: the rest is for the caller.

use super::render::{Hole, Op, Short};
use super::template::SlotValue;
use crate::wire::varint_len;

/// What one step writes at most without looking whether there is space: a tag, a varint and
/// a short literal.
const STEP: usize = 32;

/// Runs steps from the first on and appends what they write; tells how many were run.
#[inline]
pub(crate) fn start<const N: usize>(
    ops: &[Op],
    values: &[SlotValue<'_>],
    out: &mut Vec<u8>,
) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; N]);
    let Some(room) = out.last_chunk_mut::<N>() else {
        return 0;
    };
    let (done, at) = run(ops, values, room, 0);
    out.truncate(start + at);
    done
}

/// Runs steps until one cannot be; gives how many were run and the place after them.
#[inline(always)]
fn run<const N: usize>(
    ops: &[Op],
    values: &[SlotValue<'_>],
    room: &mut [u8; N],
    mut at: usize,
) -> (usize, usize) {
    let mut next = 0;
    while let Some(op) = ops.get(next) {
        if at > N - STEP {
            break;
        }
        let end = match op {
            Op::Varint(hole, least, most) => match values.get(hole.value as usize) {
                Some(SlotValue::I64(value))
                    if value >= least && (*value < 0 || *value as u64 <= *most) =>
                {
                    number(room, at, hole, *value as u64)
                }
                Some(SlotValue::U64(value)) if value <= most => number(room, at, hole, *value),
                _ => break,
            },
            Op::Text(hole) => {
                let Some(SlotValue::Str(value)) = values.get(hole.value as usize) else {
                    break;
                };
                match text(room, at, hole, value) {
                    Some(end) => end,
                    None => break,
                }
            }
            _ => match other(op, &ops[next + 1..], values, room, at) {
                Some((inside, end)) => {
                    next += inside;
                    at = end;
                    next += 1;
                    continue;
                }
                None => break,
            },
        };
        at = end;
        next += 1;
    }
    (next, at)
}

/// Takes a step of a less frequent kind; gives the steps it took along and the place after it.
#[inline(never)]
fn other<const N: usize>(
    op: &Op,
    rest: &[Op],
    values: &[SlotValue<'_>],
    room: &mut [u8; N],
    at: usize,
) -> Option<(usize, usize)> {
    match op {
        Op::Short(Short { bytes, len }) => {
            put(room, at, *bytes);
            Some((0, at + usize::from(*len)))
        }
        Op::Length { ops, width } => {
            let inside = rest.get(..*ops as usize)?;
            let from = at + usize::from(*width);
            let (done, to) = run(inside, values, room, from);
            let len = (to - from) as u64;
            if done < inside.len() || varint_len(len) != usize::from(*width) {
                return None;
            }
            for (byte, shift) in room[at..from].iter_mut().zip((0..).step_by(7)) {
                *byte = (len >> shift) as u8 & 0x7f | 0x80;
            }
            room[from - 1] &= 0x7f;
            Some((inside.len(), to))
        }
        _ => None,
    }
}

#[inline(always)]
fn number<const N: usize>(room: &mut [u8; N], at: usize, hole: &Hole, value: u64) -> usize {
    let end = match value {
        0 if hole.tag_len > 0 => at,
        _ => tagged(room, at, hole, value),
    };
    after(room, end, hole)
}

#[inline(always)]
fn text<const N: usize>(room: &mut [u8; N], at: usize, hole: &Hole, value: &str) -> Option<usize> {
    if value.is_empty() && hole.tag_len > 0 {
        return Some(after(room, at, hole));
    }
    let from = tagged(room, at, hole, value.len() as u64);
    let to = from + value.len();
    copy(room.get_mut(from..to)?, value.as_bytes());
    if to > N - 8 {
        return None;
    }
    Some(after(room, to, hole))
}

/// Writes the literal behind a value.
#[inline(always)]
fn after<const N: usize>(room: &mut [u8; N], at: usize, hole: &Hole) -> usize {
    put(room, at, hole.after.to_le_bytes());
    at + usize::from(hole.after_len)
}

/// Writes bytes where there is space for them, which [`STEP`] sees to.
#[inline(always)]
fn put<const N: usize, const K: usize>(room: &mut [u8; N], at: usize, bytes: [u8; K]) {
    room[at..at + K].copy_from_slice(&bytes);
}

/// Writes the tag and a varint, in one store where both fit eight bytes; gives the place after them.
#[inline(always)]
fn tagged<const N: usize>(room: &mut [u8; N], at: usize, hole: &Hole, value: u64) -> usize {
    let tag_len = usize::from(hole.tag_len);
    let (bytes, len) = match value {
        0..0x80 => (value, 1),
        0x80..MERGED => spread(value),
        _ => return long(room, at, hole, value),
    };
    let shifted = bytes << ((tag_len * 8) & 63);
    put(room, at, (shifted | hole.tag).to_le_bytes());
    at + tag_len + len
}

/// Values below have varints of up to six bytes, which leaves two for the tag.
const MERGED: u64 = 1 << 42;

/// As [`tagged`], for the values few messages have.
#[inline(never)]
fn long<const N: usize>(room: &mut [u8; N], at: usize, hole: &Hole, mut value: u64) -> usize {
    put(room, at, hole.tag.to_le_bytes());
    let mut end = at + usize::from(hole.tag_len);
    while value >= 0x80 {
        room[end] = value as u8 | 0x80;
        value >>= 7;
        end += 1;
    }
    room[end] = value as u8;
    end + 1
}

/// The varint of a value below 2^56 as up to eight bytes. Each step parts the bits of a number into
/// two halves, until every byte has seven.
#[inline(always)]
fn spread(value: u64) -> (u64, usize) {
    let x = (value & 0x00ff_ffff_f000_0000) << 4 | value & 0x0fff_ffff;
    let x = (x & 0x0fff_c000_0fff_c000) << 2 | x & 0x0000_3fff_0000_3fff;
    let x = (x & 0x3f80_3f80_3f80_3f80) << 1 | x & 0x007f_007f_007f_007f;
    let len = varint_len(value);
    let more = 0x8080_8080_8080_8080 & ((1 << (8 * (len - 1))) - 1);
    (x | more, len)
}

/// Copies between two slices of one length. Short ones go as two blocks that may overlap, which
/// needs no call.
#[inline(always)]
fn copy(to: &mut [u8], from: &[u8]) {
    if from.len() > 32
        || !(blocks::<16>(to, from) || blocks::<8>(to, from) || blocks::<4>(to, from))
    {
        to.copy_from_slice(from);
    }
}

/// Copies the first and the last `K` bytes; tells whether there are as many.
#[inline(always)]
fn blocks<const K: usize>(to: &mut [u8], from: &[u8]) -> bool {
    let (Some(head), Some(tail)) = (from.first_chunk::<K>(), from.last_chunk::<K>()) else {
        return false;
    };
    if let Some(place) = to.first_chunk_mut() {
        *place = *head;
    }
    if let Some(place) = to.last_chunk_mut() {
        *place = *tail;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_with_varints() {
        for bits in 0..64 {
            for value in [
                1u64 << bits,
                (1 << bits) - 1,
                u64::MAX >> bits,
                0x5555_5555_5555_5555 >> bits,
            ] {
                for tag in [&[][..], &[9], &[0x82, 1]] {
                    let mut bytes = [0; 8];
                    bytes[..tag.len()].copy_from_slice(tag);
                    let hole = Hole {
                        value: 0,
                        slot: 0,
                        tag: u64::from_le_bytes(bytes),
                        tag_len: tag.len() as u8,
                        after: 0,
                        after_len: 0,
                    };
                    let mut room = [0; 64];
                    let end = tagged(&mut room, 5, &hole, value);
                    let mut plain = tag.to_vec();
                    crate::wire::put_varint(&mut plain, value);
                    assert_eq!(room[5..end], plain, "{value}");
                }
            }
        }
    }
}
