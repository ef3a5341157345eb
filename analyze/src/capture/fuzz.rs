//! Bodies of the fuzz targets: ordinary functions, so that stable Rust replays their corpora.

use std::collections::HashSet;
use std::io::{self, Read};

use super::link::{Endpoint, Segment};
use super::{Assembler, CaptureOptions, Direction, Message, Sink, Totals};

/// Limits small enough for a fuzzer to reach them.
const BODY_BYTES: u64 = 2048;
const BUFFERED_BYTES: usize = 8192;

/// A head may be kept although there is no room for it, once for each direction of the few
/// connections that a fuzzer makes.
const HEADS: usize = 64 << 10;

/// Checks what every message promises.
#[derive(Default)]
struct Promises {
    requests: HashSet<u64>,
    totals: Totals,
}

impl Sink for Promises {
    fn message(&mut self, message: &Message<'_>) {
        assert!(message.body.len() as u64 <= BODY_BYTES);
        assert!(message.body.len() as u64 <= message.body_bytes);
        assert!(message.first_at_ns <= message.last_at_ns);
        assert_eq!(
            message.body.len() as u64 == message.body_bytes,
            !message.oversized || message.body_bytes == 0
        );
        assert!(message.head.ends_with(b"\n"));
        let _ = message.header("content-type").count();
        let is_request = message.direction == Direction::Request;
        assert_eq!(is_request, message.status == 0);
        assert!(!is_request || message.paired);
        assert_eq!(message.paired, !message.method.is_empty());
        if is_request {
            assert!(self.requests.insert(message.exchange), "an exchange twice");
            self.totals.requests += 1;
        } else {
            self.totals.responses += 1;
            self.totals.unpaired += u64::from(!message.paired);
        }
        self.totals.oversized += u64::from(message.oversized);
        self.totals.incomplete += u64::from(message.cut || message.lost_bytes > 0);
    }
}

fn assembler() -> Assembler {
    Assembler::new(CaptureOptions {
        ports: Vec::new(),
        body_bytes_max: BODY_BYTES,
        buffered_bytes_max: BUFFERED_BYTES,
    })
}

/// The capture is over.
fn check(mut assembler: Assembler, mut promises: Promises) {
    assembler.finish(&mut promises);
    let totals = *assembler.totals();
    assert_eq!(assembler.buffered_bytes(), 0, "memory is not given back");
    assert_eq!(
        totals.stream_bytes,
        totals.message_bytes + totals.skipped_bytes + totals.opaque_bytes + totals.encrypted_bytes,
        "{totals:?}"
    );
    let counts = |totals: &Totals| {
        let Totals {
            requests,
            responses,
            unpaired,
            oversized,
            incomplete,
            ..
        } = *totals;
        [requests, responses, unpaired, oversized, incomplete]
    };
    assert_eq!(counts(&totals), counts(&promises.totals), "{totals:?}");
    let packets = totals.segments
        + totals.other_protocols
        + totals.other_ports
        + totals.unknown_links
        + totals.fragments
        + totals.malformed_packets
        + totals.headers_cut;
    assert_eq!(totals.packets, packets, "{totals:?}");
}

/// Gives pieces of one size.
struct Pieces<'d> {
    data: &'d [u8],
    size: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.size.min(buffer.len());
        self.data.read(&mut buffer[..size])
    }
}

/// Read `data` as a capture file in pieces whose size its first byte chooses.
///
/// # Panics
/// When the reader breaks its promises.
pub fn file(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else {
        return;
    };
    let mut outcomes = [0, 1].map(|turn| {
        let size = if turn == 0 {
            data.len().max(1)
        } else {
            usize::from(choice).max(1)
        };
        let (mut assembler, mut promises) = (assembler(), Promises::default());
        let result = super::read(&mut Pieces { data, size }, &mut assembler, &mut promises);
        let totals = *assembler.totals();
        check(assembler, promises);
        (result.map_err(|error| error.to_string()), totals)
    });
    outcomes.sort_by_key(|(_, totals)| totals.packets);
    assert_eq!(outcomes[0], outcomes[1], "pieces of {choice} bytes matter");
}

/// Take `data` as segments of two connections: a byte of flags, signed bytes by which sequence and
/// acknowledgement number differ from what they should be, a byte for the payload's length, the
/// payload.
///
/// # Panics
/// When the assembler breaks its promises.
pub fn segments(data: &[u8]) {
    let (mut assembler, mut promises) = (assembler(), Promises::default());
    let end = |side: usize, port| Endpoint {
        address: side as u128 + 1,
        port,
    };
    let mut next = [[u32::MAX - 50, 7]; 2];
    let mut rest = data;
    let mut time_ns = 0;
    while let [choice, seq, ack, len, after @ ..] = rest {
        let (payload, after) = after.split_at(usize::from(*len).min(after.len()));
        rest = after;
        let side = usize::from(choice >> 7);
        let next = &mut next[usize::from(choice >> 6 & 1)];
        // Many steps are small and some are beyond every limit of time.
        time_ns += 1 + i64::from(seq.count_ones() / 7) * 100_000_000_000;
        let offset = |byte: u8| u32::from_ne_bytes(i32::from(byte.cast_signed()).to_ne_bytes());
        let flags = choice & 0x17;
        let seq = next[side].wrapping_add(offset(*seq));
        let segment = Segment {
            from: end(side, 80 + u16::from(choice >> 6 & 1)),
            to: end(1 - side, 80 + u16::from(choice >> 6 & 1)),
            seq,
            ack: next[1 - side].wrapping_add(offset(*ack)),
            flags,
            payload,
            missing: if choice & 0x08 == 0 {
                0
            } else {
                u32::from(*len)
            },
        };
        let numbers = payload.len() as u32 + segment.missing + u32::from(flags & 3 != 0);
        next[side] = seq.wrapping_add(numbers);
        assembler.count_packet();
        assembler.segment(&segment, time_ns, &mut promises);
        assert!(assembler.buffered_bytes() <= BUFFERED_BYTES + 4 * HEADS);
    }
    check(assembler, promises);
}
