//! Frames to TCP segments: link layers, VLAN tags, IPv4 and IPv6.
//!
//! Sources: the link-layer header types of tcpdump.org/linktypes.html, IEEE 802.1Q, RFC 791,
//! RFC 8200, RFC 9293. Checksums are not looked at: offload leaves them wrong in captures of the
//! sending host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::limits::{EXTENSION_HEADERS, VLAN_TAGS};

/// What the packets of an interface begin with, as the registry of link-layer header types numbers
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: the protocol family in the byte order of the host that captured.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// IPv4 or IPv6 without a link layer.
    pub const RAW: Self = Self(101);
    /// OpenBSD loopback: the protocol family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux `-i any`, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// IPv4 without a link layer.
    pub const IPV4: Self = Self(228);
    /// IPv6 without a link layer.
    pub const IPV6: Self = Self(229);
    /// Linux `-i any`, version 2.
    pub const LINUX_SLL2: Self = Self(276);
}

/// One TCP segment of a packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment<'p> {
    pub(super) from: Endpoint,
    pub(super) to: Endpoint,
    pub(super) seq: u32,
    /// Meaningful with [`ACK`].
    pub(super) ack: u32,
    pub(super) flags: u8,
    pub(super) payload: &'p [u8],
    /// Bytes of the payload that the capture cut off.
    pub(super) missing: u32,
}

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const ACK: u8 = 0x10;

/// An address and a port; IPv4 addresses as RFC 4291 maps them into IPv6, so that both compare and
/// hash alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Endpoint {
    pub(super) address: u128,
    pub(super) port: u16,
}

/// The prefix of IPv4-mapped addresses: `::ffff:0:0/96`.
const MAPPED: u128 = 0xffff << 32;

impl Endpoint {
    pub(super) fn socket(self) -> SocketAddr {
        let address = match self.address >> 32 {
            0xffff => IpAddr::V4(Ipv4Addr::from_bits(self.address as u32)),
            _ => IpAddr::V6(Ipv6Addr::from_bits(self.address)),
        };
        SocketAddr::new(address, self.port)
    }
}

/// What a packet is to us.
#[derive(Debug, Clone, Copy)]
pub(super) enum Packet<'p> {
    Tcp(Segment<'p>),
    /// Another protocol than TCP over IP.
    Other,
    /// A piece of a fragmented IP packet.
    Fragment,
    /// Headers that contradict themselves.
    Malformed,
    /// Cut off within the headers.
    HeadersCut,
    /// A link type that is not known.
    UnknownLink,
}

/// The big-endian number at `at`.
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The big-endian number at `at`.
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Take a packet apart. `wire_len` is its length before the capture cut it.
pub(super) fn dissect(link: LinkType, bytes: &[u8], wire_len: u32) -> Packet<'_> {
    // A capture cannot hold more of a packet than there was.
    let wire = (wire_len as usize).max(bytes.len());
    let network = match link {
        LinkType::ETHERNET => ether(bytes, 12),
        LinkType::LINUX_SLL => ether(bytes, 14),
        LinkType::LINUX_SLL2 => u16_at(bytes, 0).map(|protocol| (protocol, 20)),
        LinkType::NULL | LinkType::LOOP => bytes.first_chunk().map(|family| (loopback(*family), 4)),
        // 12 and 14 are the raw IP of some BSDs.
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 | LinkType(12 | 14) => {
            bytes.first().map(|first| (version(first >> 4), 0))
        }
        _ => return Packet::UnknownLink,
    };
    let Some((protocol, at)) = network else {
        return Packet::HeadersCut;
    };
    let Some(ip) = bytes.get(at..) else {
        return Packet::HeadersCut;
    };
    match protocol {
        IPV4 => ipv4(ip, wire - at),
        IPV6 => ipv6(ip, wire - at),
        _ => Packet::Other,
    }
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// The EtherType at `at` behind any VLAN tags, and where what it describes begins.
fn ether(bytes: &[u8], mut at: usize) -> Option<(u16, usize)> {
    for _ in 0..=VLAN_TAGS {
        let protocol = u16_at(bytes, at)?;
        at += 2;
        match protocol {
            // 802.1Q, 802.1ad and its older numbers: two bytes of tag, then another EtherType.
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => at += 2,
            _ => return Some((protocol, at)),
        }
    }
    Some((0, at))
}

/// The EtherType of a BSD protocol family in either byte order.
fn loopback(family: [u8; 4]) -> u16 {
    let little = u32::from_le_bytes(family);
    // Families are small numbers: the other order has its one byte at the far end.
    match if little > 0xffff {
        little.swap_bytes()
    } else {
        little
    } {
        2 => IPV4,
        10 | 24 | 28 | 30 => IPV6,
        _ => 0,
    }
}

fn version(version: u8) -> u16 {
    match version {
        4 => IPV4,
        6 => IPV6,
        _ => 0,
    }
}

fn ipv4(bytes: &[u8], wire: usize) -> Packet<'_> {
    let Some(header) = bytes.first_chunk::<20>() else {
        return Packet::HeadersCut;
    };
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let total = match usize::from(u16::from_be_bytes([header[2], header[3]])) {
        // Segmentation offload: the length is filled in after the capture saw the packet.
        0 => wire,
        total => total,
    };
    if header[0] >> 4 != 4 || header_len < 20 || total < header_len {
        return Packet::Malformed;
    }
    if header[9] != 6 {
        return Packet::Other;
    }
    // More fragments, or not the first one.
    if u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0 {
        return Packet::Fragment;
    }
    let address = |at| u32_at(bytes, at).map_or(0, |bits| MAPPED | u128::from(bits));
    // What follows the packet pads a short frame.
    let captured = &bytes[..bytes.len().min(total)];
    match captured.get(header_len..) {
        Some(rest) => tcp(rest, total - header_len, address(12), address(16)),
        None => Packet::HeadersCut,
    }
}

fn ipv6(bytes: &[u8], wire: usize) -> Packet<'_> {
    let Some(header) = bytes.first_chunk::<40>() else {
        return Packet::HeadersCut;
    };
    if header[0] >> 4 != 6 {
        return Packet::Malformed;
    }
    let total = match usize::from(u16::from_be_bytes([header[4], header[5]])) {
        // A jumbogram, or segmentation offload.
        0 => wire,
        length => length + 40,
    };
    let captured = &bytes[..bytes.len().min(total)];
    let (mut next, mut at) = (header[6], 40);
    for _ in 0..EXTENSION_HEADERS {
        let (after, length) = match next {
            6 => break,
            44 => match captured.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
                // An atomic fragment is the whole packet (RFC 6946).
                Some(&[after, _, 0, 0 | 2 | 4 | 6, ..]) => (after, 8),
                Some(_) => return Packet::Fragment,
                None => return Packet::HeadersCut,
            },
            // Hop-by-hop, routing, destination, mobility, HIP, shim6: length in units of 8 bytes;
            // authentication: in units of 4 bytes.
            0 | 43 | 60 | 135 | 139 | 140 | 51 => {
                let Some([after, length]) = captured.get(at..).and_then(|rest| rest.first_chunk())
                else {
                    return Packet::HeadersCut;
                };
                let length = usize::from(*length);
                (
                    *after,
                    if next == 51 {
                        length * 4 + 8
                    } else {
                        length * 8 + 8
                    },
                )
            }
            _ => return Packet::Other,
        };
        next = after;
        at += length;
    }
    if next != 6 || at > total {
        return Packet::Malformed;
    }
    let address = |at: usize| {
        let bytes = header.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u128::from_be_bytes(*bytes))
    };
    match captured.get(at..) {
        Some(rest) => tcp(rest, total - at, address(8), address(24)),
        None => Packet::HeadersCut,
    }
}

/// `length` is what the IP header says is there, captured or not.
fn tcp(bytes: &[u8], length: usize, from: u128, to: u128) -> Packet<'_> {
    let Some(header) = bytes.first_chunk::<20>() else {
        return match length {
            0..20 => Packet::Malformed,
            _ => Packet::HeadersCut,
        };
    };
    let header_len = usize::from(header[12] >> 4) * 4;
    if header_len < 20 || header_len > length {
        return Packet::Malformed;
    }
    // Options may be cut off; the payload then is as well.
    let payload = bytes.get(header_len..).unwrap_or_default();
    let missing = length - header_len - payload.len();
    let port = |at| u16::from_be_bytes([header[at], header[at + 1]]);
    let number = |at| u32_at(header, at).unwrap_or_default();
    Packet::Tcp(Segment {
        from: Endpoint {
            address: from,
            port: port(0),
        },
        to: Endpoint {
            address: to,
            port: port(2),
        },
        seq: number(4),
        ack: number(8),
        flags: header[13],
        payload,
        missing: u32::try_from(missing).unwrap_or(u32::MAX),
    })
}
