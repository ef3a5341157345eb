//! The pcapng format (draft-ietf-opsawg-pcapng).

use super::limits::{BLOCK_BYTES, INTERFACES};
use super::read::{CaptureError, Input, Order};
use super::{Assembler, LinkType, Sink};

/// The type of the block that begins every section: the same in either byte order.
pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const SECTION: u32 = u32::from_be_bytes(MAGIC);
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const SECRETS: u32 = 10;

/// `TLSK`: a key log in the NSS format.
const TLS_KEY_LOG: u32 = 0x544c_534b;

/// Type and length in front of a block, and the length again behind it.
const AROUND: usize = 12;

/// An interface of a section.
#[derive(Debug, Clone, Copy)]
struct Interface {
    link: LinkType,
    snaplen: u32,
    /// As in the option: powers of 10, or of 2 with the highest bit.
    resolution: u8,
    offset_s: i64,
}

/// Where in the file we are.
struct Section {
    order: Order,
    interfaces: Vec<Interface>,
    /// Simple packets have no time: that of the last one that had.
    last_ns: i64,
}

/// Read the blocks of a file.
pub(super) fn read(
    input: &mut Input<'_>,
    assembler: &mut Assembler,
    sink: &mut dyn Sink,
) -> Result<(), CaptureError> {
    let mut section = Section {
        order: Order::Little,
        interfaces: Vec::new(),
        last_ns: 0,
    };
    while input.fill(AROUND)? {
        let header = input.bytes();
        let kind = section.order.u32(header, 0);
        if kind == SECTION {
            section.order = match header[8..] {
                [0x1a, 0x2b, 0x3c, 0x4d, ..] => Order::Big,
                [0x4d, 0x3c, 0x2b, 0x1a, ..] => Order::Little,
                _ => return Err(input.broken("a section without byte order")),
            };
            section.interfaces.clear();
        }
        let order = section.order;
        let len = order.u32(header, 4);
        if len > BLOCK_BYTES || !len.is_multiple_of(4) || (len as usize) < AROUND {
            return Err(input.broken(format!("a block of {len} bytes")));
        }
        let len = len as usize;
        if !input.fill(len)? {
            break;
        }
        let block = &input.bytes()[..len];
        if order.u32(block, len - 4) as usize != len {
            return Err(input.broken("a block whose two lengths differ"));
        }
        section
            .block(kind, &block[8..len - 4], assembler, sink)
            .map_err(|what| input.broken(what))?;
        input.take(len);
    }
    Ok(())
}

impl Section {
    fn block(
        &mut self,
        kind: u32,
        body: &[u8],
        assembler: &mut Assembler,
        sink: &mut dyn Sink,
    ) -> Result<(), String> {
        let order = self.order;
        match kind {
            INTERFACE => {
                if self.interfaces.len() >= INTERFACES {
                    return Err(format!("more than {INTERFACES} interfaces in a section"));
                }
                self.interfaces.push(Interface::read(order, body));
            }
            ENHANCED_PACKET => {
                let id = order.u32(body, 0);
                self.packet(id, body, assembler, sink)?;
            }
            OBSOLETE_PACKET => {
                let id = u32::from(order.u16(body, 0));
                self.packet(id, body, assembler, sink)?;
            }
            SIMPLE_PACKET => {
                let interface = self.interface(0)?;
                let wire_len = order.u32(body, 0);
                let data = body.get(4..).unwrap_or_default();
                let mut captured = data.len().min(wire_len as usize);
                if interface.snaplen != 0 {
                    captured = captured.min(interface.snaplen as usize);
                }
                let bytes = &data[..captured];
                assembler.packet(interface.link, self.last_ns, bytes, wire_len, sink);
            }
            SECRETS => {
                let len = order.u32(body, 4) as usize;
                let text = body.get(8..).and_then(|rest| rest.get(..len));
                let text = text.ok_or("secrets longer than their block")?;
                if order.u32(body, 0) == TLS_KEY_LOG {
                    assembler.secrets(text);
                }
            }
            // Names, statistics, journals, what others made up, and sections, which are read
            // already.
            _ => {}
        }
        Ok(())
    }

    fn interface(&self, id: u32) -> Result<Interface, String> {
        let found = self.interfaces.get(id as usize).copied();
        found.ok_or_else(|| format!("a packet of interface {id}, which was not described"))
    }

    /// Enhanced and obsolete packets have the same layout behind the number of the interface.
    fn packet(
        &mut self,
        id: u32,
        body: &[u8],
        assembler: &mut Assembler,
        sink: &mut dyn Sink,
    ) -> Result<(), String> {
        let order = self.order;
        let interface = self.interface(id)?;
        let ticks = u64::from(order.u32(body, 4)) << 32 | u64::from(order.u32(body, 8));
        let captured = order.u32(body, 12) as usize;
        let wire_len = order.u32(body, 16);
        let bytes = body.get(20..).and_then(|rest| rest.get(..captured));
        let bytes = bytes.ok_or("a packet longer than its block")?;
        self.last_ns = interface.time_ns(ticks);
        assembler.packet(interface.link, self.last_ns, bytes, wire_len, sink);
        Ok(())
    }
}

impl Interface {
    fn read(order: Order, body: &[u8]) -> Self {
        let mut interface = Self {
            link: LinkType(order.u16(body, 0)),
            snaplen: order.u32(body, 4),
            resolution: 6,
            offset_s: 0,
        };
        let mut options = body.get(8..).unwrap_or_default();
        while options.len() >= 4 {
            let (code, len) = (order.u16(options, 0), usize::from(order.u16(options, 2)));
            let Some(value) = options[4..].get(..len) else {
                break;
            };
            match (code, value) {
                (0, _) => break,
                (9, [resolution, ..]) => interface.resolution = *resolution,
                (14, value) if len == 8 => {
                    let halves = [order.u32(value, 0), order.u32(value, 4)].map(u64::from);
                    let [high, low] = match order {
                        Order::Big => halves,
                        Order::Little => [halves[1], halves[0]],
                    };
                    interface.offset_s = (high << 32 | low).cast_signed();
                }
                _ => {}
            }
            options = options
                .get(4 + len.next_multiple_of(4)..)
                .unwrap_or_default();
        }
        interface
    }

    /// A time in nanoseconds since the epoch; the nearest there is when it is out of range.
    fn time_ns(&self, ticks: u64) -> i64 {
        let exponent = u32::from(self.resolution & 0x7f);
        let ns = if self.resolution & 0x80 != 0 {
            // At most 64 + 30 bits, then down.
            (u128::from(ticks) * 1_000_000_000) >> exponent
        } else if exponent <= 9 {
            u128::from(ticks) * 10_u128.pow(9 - exponent)
        } else {
            // Finer than 10^-28 s the 64 bits hold less than a nanosecond.
            u128::from(ticks) / 10_u128.pow((exponent - 9).min(30))
        };
        let offset_ns = i128::from(self.offset_s) * 1_000_000_000;
        let ns = ns.cast_signed().saturating_add(offset_ns);
        ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }
}
