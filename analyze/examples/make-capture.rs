//! Writes a capture of keep-alive connections to measure with:
//! `cargo run --release -p isukit-analyze --example make-capture -- PATH MEGABYTES`.
//!
//! The bodies are messages of this type:
//!
//!     message Team { uint64 id = 1; string name = 2; }
//!     message Teams { repeated Team teams = 1; }

use std::io::{self, BufWriter, Write};

#[allow(dead_code, clippy::unwrap_used)]
#[path = "../tests/capture/build.rs"]
mod build;

use build::{ACK, CLIENT, SERVER, Wire};

/// Connections at a time.
const CONNECTIONS: u16 = 64;

/// Exchanges after which a connection is closed and another one opened.
const EXCHANGES: u32 = 500;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = || io::Error::other("usage: make-capture PATH MEGABYTES");
    let path = arguments.next().ok_or_else(usage)?;
    let megabytes = arguments.next().and_then(|count| count.parse::<u64>().ok());
    let most = megabytes.ok_or_else(usage)? * 1_000_000;
    let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    write(&mut out, most)?;
    out.flush()
}

fn write(out: &mut impl Write, most: u64) -> io::Result<()> {
    let mut random = fastrand::Rng::with_seed(7);
    let header = build::pcap_header(1, true);
    out.write_all(&header)?;
    let mut written = header.len() as u64;
    let mut ports = 20_000_u16..;
    let mut open = |time_ns| {
        let port = ports.next().unwrap_or(1);
        let mut wire = Wire::new(port);
        wire.time_ns = time_ns;
        (wire.open(), 0_u32)
    };
    let mut time_ns = 1_700_000_000_000_000_000;
    let mut wires: Vec<_> = (0..CONNECTIONS).map(|_| open(time_ns)).collect();
    let mut file = Vec::new();
    while written < most {
        let at = random.usize(..wires.len());
        let (wire, exchanges) = &mut wires[at];
        wire.time_ns = time_ns;
        exchange(wire, &mut random);
        *exchanges += 1;
        if *exchanges == EXCHANGES {
            let closed = std::mem::replace(wire, open(time_ns).0).close();
            *exchanges = 0;
            wire.out.splice(0..0, closed.out);
        }
        time_ns = wire.time_ns;
        for packet in wire.out.drain(..) {
            let bytes = packet.ethernet();
            build::pcap_packet(&mut file, packet.time_ns, &bytes, bytes.len());
        }
        out.write_all(&file)?;
        written += file.len() as u64;
        file.clear();
    }
    Ok(())
}

/// A request in one segment, its reply in as many as it takes; acknowledgements ride along.
fn exchange(wire: &mut Wire, random: &mut fastrand::Rng) {
    let team = random.u32(1..10_000);
    let host = "Host: www.example.com\r\nUser-Agent: load/1.0 (linux; x86_64)\r\n\
                Accept: application/vnd.google.protobuf\r\nAccept-Encoding: gzip\r\n\
                Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n";
    let request = match random.u8(..4) {
        0 => {
            let body = teams(random, 2);
            let length = body.len();
            let head = format!(
                "POST /api/teams HTTP/1.1\r\n{host}Content-Type: application/protobuf\r\n\
                 Content-Length: {length}\r\n\r\n"
            );
            [head.as_bytes(), &body].concat()
        }
        _ => format!("GET /api/teams/{team}/members HTTP/1.1\r\n{host}\r\n").into_bytes(),
    };
    wire.push(CLIENT, ACK, &request);
    let most = [4, 16, 40, 400][random.usize(..4)];
    let body = teams(random, most);
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: nginx/1.27.3\r\nDate: Sun, 20 Nov 2026 17:26:{:02} GMT\r\n\
         Content-Type: application/vnd.google.protobuf\r\nContent-Length: {}\r\n\
         Connection: keep-alive\r\nCache-Control: no-store\r\n\r\n",
        team % 60,
        body.len()
    );
    for piece in [head.as_bytes(), &body].concat().chunks(1448) {
        wire.push(SERVER, ACK, piece);
    }
}

/// Some teams.
fn teams(random: &mut fastrand::Rng, most: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..random.usize(1..=most) {
        let id = random.u16(128..16_384);
        let name = format!("team number {:x}", random.u64(..));
        let id = [(id & 0x7f) as u8 | 0x80, (id >> 7) as u8];
        out.extend([0x0a, (5 + name.len()) as u8, 0x08]);
        out.extend(id);
        out.extend([0x12, name.len() as u8]);
        out.extend(name.as_bytes());
    }
    out
}
