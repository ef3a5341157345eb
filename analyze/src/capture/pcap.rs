//! The pcap format (draft-ietf-opsawg-pcap).

use super::limits::BLOCK_BYTES;
use super::read::{CaptureError, Input, Order};
use super::{Assembler, LinkType, Sink};

/// Byte order and unit of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    order: Order,
    /// Nanoseconds of one unit of the fraction of a second.
    unit_ns: i64,
}

impl Layout {
    /// By the magic number.
    pub(super) fn of(magic: [u8; 4]) -> Option<Self> {
        let (order, unit_ns) = match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, 1000),
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, 1000),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, 1),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, 1),
            _ => return None,
        };
        Some(Self { order, unit_ns })
    }
}

const FILE_HEADER: usize = 24;
const PACKET_HEADER: usize = 16;

/// Programs write packets longer than the limit that they announce, but none longer than this.
const SNAPLEN_AT_LEAST: u32 = 256 << 10;

/// Read the packets of a file.
pub(super) fn read(
    input: &mut Input<'_>,
    layout: Layout,
    assembler: &mut Assembler,
    sink: &mut dyn Sink,
) -> Result<(), CaptureError> {
    if !input.fill(FILE_HEADER)? {
        return Ok(());
    }
    let Layout { order, unit_ns } = layout;
    let header = input.bytes();
    let longest = match order.u32(header, 16) {
        0 => BLOCK_BYTES,
        snaplen => snaplen.clamp(SNAPLEN_AT_LEAST, BLOCK_BYTES),
    };
    // The upper half tells of a frame check sequence.
    let link = LinkType(order.u32(header, 20) as u16);
    input.take(FILE_HEADER);
    while input.fill(PACKET_HEADER)? {
        let header = input.bytes();
        let seconds = i64::from(order.u32(header, 0));
        let fraction_ns = i64::from(order.u32(header, 4)) * unit_ns;
        let captured = order.u32(header, 8);
        let wire_len = order.u32(header, 12);
        if captured > longest {
            return Err(input.broken(format!(
                "a packet of {captured} bytes, where {longest} are the most"
            )));
        }
        if fraction_ns >= 1_000_000_000 {
            return Err(input.broken("a packet with a fraction of more than a second"));
        }
        let len = PACKET_HEADER + captured as usize;
        if !input.fill(len)? {
            break;
        }
        let time_ns = seconds * 1_000_000_000 + fraction_ns;
        let bytes = &input.bytes()[PACKET_HEADER..len];
        assembler.packet(link, time_ns, bytes, wire_len, sink);
        input.take(len);
    }
    Ok(())
}
