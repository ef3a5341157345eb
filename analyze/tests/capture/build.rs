//! Packets and capture files to order.

use std::net::IpAddr;

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const ACK: u8 = 0x10;

/// A TCP segment to be.
#[derive(Debug, Clone)]
pub(crate) struct Tcp {
    pub(crate) from: (IpAddr, u16),
    pub(crate) to: (IpAddr, u16),
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) payload: Vec<u8>,
    pub(crate) time_ns: i64,
    /// Bytes of the frame that the capture leaves out at the end.
    pub(crate) cut: usize,
}

impl Tcp {
    /// From the TCP header on.
    pub(crate) fn header_and_payload(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(20 + self.payload.len());
        bytes.extend(self.from.1.to_be_bytes());
        bytes.extend(self.to.1.to_be_bytes());
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.ack.to_be_bytes());
        bytes.extend([0x50, self.flags, 0xff, 0xff, 0, 0, 0, 0]);
        bytes.extend(&self.payload);
        bytes
    }

    /// From the IP header on.
    pub(crate) fn ip(&self) -> Vec<u8> {
        ip(self.from.0, self.to.0, 6, &self.header_and_payload())
    }

    /// From the Ethernet header on.
    pub(crate) fn ethernet(&self) -> Vec<u8> {
        let ip = self.ip();
        let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        bytes.extend(ether_type(&ip));
        bytes.extend(ip);
        bytes
    }
}

/// The EtherType of an IP packet.
pub(crate) fn ether_type(ip: &[u8]) -> [u8; 2] {
    if ip[0] >> 4 == 4 {
        [0x08, 0x00]
    } else {
        [0x86, 0xdd]
    }
}

/// An IP packet with this protocol and payload.
pub(crate) fn ip(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40 + payload.len());
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            bytes.extend([0x45, 0]);
            bytes.extend((20 + payload.len() as u16).to_be_bytes());
            bytes.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            bytes.extend([0x60, 0, 0, 0]);
            bytes.extend((payload.len() as u16).to_be_bytes());
            bytes.extend([protocol, 64]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
        }
        _ => panic!("one family for both"),
    }
    bytes.extend(payload);
    bytes
}

/// The header of a pcap file, little-endian, microseconds or nanoseconds.
pub(crate) fn pcap_header(link: u32, is_nano: bool) -> Vec<u8> {
    let magic: u32 = if is_nano { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
    let mut bytes = magic.to_le_bytes().to_vec();
    bytes.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend(262_144_u32.to_le_bytes());
    bytes.extend(link.to_le_bytes());
    bytes
}

/// A packet of a pcap file with nanoseconds.
pub(crate) fn pcap_packet(out: &mut Vec<u8>, time_ns: i64, bytes: &[u8], wire_len: usize) {
    out.extend(((time_ns / 1_000_000_000) as u32).to_le_bytes());
    out.extend(((time_ns % 1_000_000_000) as u32).to_le_bytes());
    out.extend((bytes.len() as u32).to_le_bytes());
    out.extend((wire_len as u32).to_le_bytes());
    out.extend(bytes);
}

/// Writes pcapng in either byte order.
pub(crate) struct PcapNg {
    pub(crate) big: bool,
    pub(crate) bytes: Vec<u8>,
}

impl PcapNg {
    pub(crate) fn new(big: bool) -> Self {
        let mut this = Self {
            big,
            bytes: Vec::new(),
        };
        this.section(big);
        this
    }

    pub(crate) fn u16(&self, value: u16) -> [u8; 2] {
        if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    pub(crate) fn u32(&self, value: u32) -> [u8; 4] {
        if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    /// A section begins.
    pub(crate) fn section(&mut self, big: bool) {
        self.big = big;
        let body = [
            &self.u32(0x1a2b_3c4d)[..],
            &self.u16(1),
            &self.u16(0),
            &[0xff; 8],
        ]
        .concat();
        self.block(0x0a0d_0d0a, &body);
    }

    pub(crate) fn block(&mut self, kind: u32, body: &[u8]) {
        let len = 12 + body.len().next_multiple_of(4);
        self.bytes.extend(self.u32(kind));
        self.bytes.extend(self.u32(len as u32));
        self.bytes.extend(body);
        self.bytes
            .extend(vec![0; body.len().next_multiple_of(4) - body.len()]);
        self.bytes.extend(self.u32(len as u32));
    }

    /// An interface with options `(code, value)`.
    pub(crate) fn interface(&mut self, link: u16, snaplen: u32, options: &[(u16, &[u8])]) {
        let mut body = [&self.u16(link)[..], &[0, 0], &self.u32(snaplen)].concat();
        for (code, value) in options {
            body.extend(self.u16(*code));
            body.extend(self.u16(value.len() as u16));
            body.extend(*value);
            body.extend(vec![0; value.len().next_multiple_of(4) - value.len()]);
        }
        self.block(1, &body);
    }

    /// An enhanced packet.
    pub(crate) fn packet(&mut self, interface: u32, ticks: u64, bytes: &[u8], wire_len: usize) {
        let words = [
            interface,
            (ticks >> 32) as u32,
            ticks as u32,
            bytes.len() as u32,
            wire_len as u32,
        ];
        let mut body: Vec<u8> = words.iter().flat_map(|word| self.u32(*word)).collect();
        body.extend(bytes);
        self.block(6, &body);
    }
}

/// Both sides of a connection, writing segments.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    pub(crate) client: (IpAddr, u16),
    pub(crate) server: (IpAddr, u16),
    /// The next sequence number of client and server.
    pub(crate) seq: [u32; 2],
    pub(crate) time_ns: i64,
    /// The longest payload of a segment.
    pub(crate) segment: usize,
    pub(crate) out: Vec<Tcp>,
}

pub(crate) const CLIENT: usize = 0;
pub(crate) const SERVER: usize = 1;

impl Wire {
    pub(crate) fn new(client_port: u16) -> Self {
        Self {
            client: ("10.0.0.1".parse().unwrap(), client_port),
            server: ("10.0.0.2".parse().unwrap(), 80),
            seq: [1_000, 5_000],
            time_ns: 1_700_000_000_000_000_000,
            segment: 1460,
            out: Vec::new(),
        }
    }

    /// With these first sequence numbers.
    pub(crate) fn numbered(mut self, client: u32, server: u32) -> Self {
        self.seq = [client, server];
        self
    }

    pub(crate) fn push(&mut self, side: usize, flags: u8, payload: &[u8]) -> &mut Tcp {
        let ends = [self.client, self.server];
        self.time_ns += 10_000;
        self.out.push(Tcp {
            from: ends[side],
            to: ends[1 - side],
            seq: self.seq[side],
            ack: if flags & ACK == 0 {
                0
            } else {
                self.seq[1 - side]
            },
            flags,
            payload: payload.to_vec(),
            time_ns: self.time_ns,
            cut: 0,
        });
        let numbers = payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        self.seq[side] = self.seq[side].wrapping_add(numbers);
        self.out.last_mut().unwrap()
    }

    pub(crate) fn open(mut self) -> Self {
        self.push(CLIENT, SYN, b"");
        self.push(SERVER, SYN | ACK, b"");
        self.push(CLIENT, ACK, b"");
        self
    }

    /// Data in segments, acknowledged at the end.
    pub(crate) fn send(mut self, side: usize, bytes: impl AsRef<[u8]>) -> Self {
        for piece in bytes.as_ref().chunks(self.segment) {
            self.push(side, ACK, piece);
        }
        self.push(1 - side, ACK, b"");
        self
    }

    pub(crate) fn ask(self, bytes: impl AsRef<[u8]>) -> Self {
        self.send(CLIENT, bytes)
    }

    pub(crate) fn answer(self, bytes: impl AsRef<[u8]>) -> Self {
        self.send(SERVER, bytes)
    }

    pub(crate) fn close(mut self) -> Self {
        self.push(CLIENT, FIN | ACK, b"");
        self.push(SERVER, FIN | ACK, b"");
        self.push(CLIENT, ACK, b"");
        self
    }
}

/// A pcap file of Ethernet packets.
pub(crate) fn pcap(packets: &[Tcp]) -> Vec<u8> {
    let mut file = pcap_header(1, true);
    for packet in packets {
        let bytes = packet.ethernet();
        let kept = &bytes[..bytes.len() - packet.cut];
        pcap_packet(&mut file, packet.time_ns, kept, bytes.len());
    }
    file
}
