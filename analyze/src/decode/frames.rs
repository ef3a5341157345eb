//! Several messages in one body: with their length before them, or in the frames of gRPC.

use std::ops::Range;

use isukit_proto::wire::Reader;

/// How the messages of a body are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// The body is one message.
    Whole,
    /// Each has its length as a varint before it.
    Delimited,
    /// Each has a flag and its length in four bytes before it.
    Grpc,
}

/// One part of a framed body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// Where its message lies.
    pub(super) at: Range<usize>,
    /// Whether gRPC says that it is compressed.
    pub(super) is_compressed: bool,
    /// Whether it is the trailers of gRPC-Web.
    pub(super) is_trailers: bool,
}

/// Takes the next frame from `at` on: none at the end.
///
/// # Errors
/// For people: why what is left is no frame.
pub(super) fn next_frame(
    bytes: &[u8],
    at: usize,
    framing: Framing,
) -> Result<Option<Frame>, String> {
    if at >= bytes.len() {
        return Ok(None);
    }
    let plain = |range: Range<usize>| Frame {
        at: range,
        is_compressed: false,
        is_trailers: false,
    };
    match framing {
        Framing::Whole => Ok(Some(plain(at..bytes.len()))),
        Framing::Delimited => {
            let mut reader = Reader::part(bytes, at, bytes.len());
            let length = reader.varint().map_err(|error| error.to_string())?;
            let start = reader.offset();
            let end = end(start, length, bytes.len())?;
            Ok(Some(plain(start..end)))
        }
        Framing::Grpc => {
            let Some(&[flag, a, b, c, d]) = bytes[at..].first_chunk() else {
                return Err(format!("the head of a gRPC frame is cut at byte {at}"));
            };
            if flag & 0x7e != 0 {
                return Err(format!("byte {at} is {flag:#04x}, no flag of a gRPC frame"));
            }
            let start = at + 5;
            let length = u64::from(u32::from_be_bytes([a, b, c, d]));
            let end = end(start, length, bytes.len())?;
            Ok(Some(Frame {
                at: start..end,
                is_compressed: flag & 1 != 0,
                is_trailers: flag & 0x80 != 0,
            }))
        }
    }
}

fn end(start: usize, length: u64, all: usize) -> Result<usize, String> {
    usize::try_from(length)
        .ok()
        .and_then(|length| start.checked_add(length))
        .filter(|end| *end <= all)
        .ok_or_else(|| {
            format!(
                "a length of {length} at byte {start}, but only {} bytes are left",
                all - start.min(all)
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames() {
        #[track_caller]
        fn check(bytes: &[u8], framing: Framing, expected: &[(usize, usize)], ends_well: bool) {
            let mut at = 0;
            let mut seen = Vec::new();
            let result = loop {
                match next_frame(bytes, at, framing) {
                    Ok(Some(frame)) => {
                        at = frame.at.end;
                        seen.push((frame.at.start, frame.at.end));
                    }
                    Ok(None) => break true,
                    Err(_) => break false,
                }
            };
            assert_eq!((seen.as_slice(), result), (expected, ends_well));
        }
        check(b"abc", Framing::Whole, &[(0, 3)], true);
        check(b"", Framing::Whole, &[], true);
        check(
            b"\x01a\x00\x02bc",
            Framing::Delimited,
            &[(1, 2), (3, 3), (4, 6)],
            true,
        );
        check(b"\x01a\x05bc", Framing::Delimited, &[(1, 2)], false);
        check(b"\xff", Framing::Delimited, &[], false);
        check(
            b"\x00\0\0\0\x02ab\x80\0\0\0\x00",
            Framing::Grpc,
            &[(5, 7), (12, 12)],
            true,
        );
        check(b"\x00\xff\xff\xff\xffab", Framing::Grpc, &[], false);
        check(b"\x7c\0\0\0\x02ab", Framing::Grpc, &[], false);
        check(b"\x00\0\0", Framing::Grpc, &[], false);
    }
}
