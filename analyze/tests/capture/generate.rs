//! Connections with any traffic that follows the rules, and what can happen to their packets.

use crate::build::{ACK, CLIENT, SERVER, Tcp, Wire};

/// How a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// One after the other.
    Turns,
    /// So many at once, then all replies.
    Bursts(usize),
    /// So many under way, one more for each reply.
    Window(usize),
}

/// An exchange, told from all others by its number.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) id: u32,
    pub(crate) method: &'static str,
    pub(crate) request_body: Vec<u8>,
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// As chunks of this size.
    chunk: Option<usize>,
}

/// A connection.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) port: u16,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) packets: Vec<Tcp>,
}

impl Exchange {
    pub(crate) fn random(random: &mut fastrand::Rng, id: u32) -> Self {
        let method = *random
            .choice(&["GET", "GET", "POST", "HEAD", "PUT"])
            .unwrap();
        let is_bodyless = method == "HEAD";
        let status = *random.choice(&[200, 200, 200, 404, 204, 304]).unwrap();
        let is_empty = is_bodyless || matches!(status, 204 | 304);
        let body = |random: &mut fastrand::Rng| -> Vec<u8> {
            let most = [1, 20, 400][random.usize(..3)];
            let len = random.usize(..most);
            (0..len).map(|_| random.u8(..)).collect()
        };
        Self {
            id,
            method,
            request_body: match method {
                "POST" | "PUT" => body(random),
                _ => Vec::new(),
            },
            status,
            body: if is_empty { Vec::new() } else { body(random) },
            chunk: random.bool().then(|| random.usize(1..100)),
        }
    }

    fn framed(&self, body: &[u8]) -> Vec<u8> {
        let Some(size) = self.chunk else {
            return [
                format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(),
                body,
            ]
            .concat();
        };
        let mut out = b"Transfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in body.chunks(size) {
            out.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
            out.extend(chunk);
            out.extend(b"\r\n");
        }
        out.extend(b"0\r\n\r\n");
        out
    }

    pub(crate) fn target(&self) -> String {
        format!("/{}", self.id)
    }

    pub(crate) fn request(&self) -> Vec<u8> {
        let head = format!("{} /{} HTTP/1.1\r\n", self.method, self.id);
        match self.method {
            "POST" | "PUT" => [head.as_bytes(), &self.framed(&self.request_body)].concat(),
            _ => [head.as_bytes(), b"Host: a\r\n\r\n"].concat(),
        }
    }

    pub(crate) fn response(&self) -> Vec<u8> {
        let head = format!("HTTP/1.1 {} X\r\nX-Id: {}\r\n", self.status, self.id);
        let mut out = head.into_bytes();
        if self.method == "HEAD" || self.status == 304 {
            out.extend(b"Content-Length: 77\r\n\r\n");
        } else if self.status == 204 {
            out.extend(b"\r\n");
        } else {
            out.extend(self.framed(&self.body));
        }
        out
    }
}

/// A connection with random exchanges, from SYN to FIN.
pub(crate) fn connection(random: &mut fastrand::Rng, port: u16, style: Style) -> Connection {
    let count = random.usize(1..7);
    let base = u32::from(port) * 100;
    let exchanges: Vec<_> = (0..count)
        .map(|n| Exchange::random(random, base + n as u32))
        .collect();
    let start = |random: &mut fastrand::Rng| match random.u8(..3) {
        0 => u32::MAX - random.u32(..500),
        _ => random.u32(..),
    };
    let (client, server) = (start(random), start(random));
    let mut wire = Wire::new(port).numbered(client, server).open();
    let (at_once, step) = match style {
        Style::Turns => (1, 1),
        Style::Bursts(size) => (size, size),
        Style::Window(size) => (size, 1),
    };
    let (mut asked, mut answered) = (0, 0);
    while answered < count {
        let until = match answered {
            0 => at_once,
            _ => asked + step,
        };
        let burst = &exchanges[asked.min(count)..until.min(count)];
        let bytes: Vec<u8> = burst.iter().flat_map(Exchange::request).collect();
        send(random, &mut wire, CLIENT, &bytes);
        asked = until.min(count);
        let next = match style {
            Style::Bursts(_) => asked,
            Style::Turns | Style::Window(_) => answered + 1,
        };
        let bytes: Vec<u8> = exchanges[answered..next]
            .iter()
            .flat_map(Exchange::response)
            .collect();
        send(random, &mut wire, SERVER, &bytes);
        answered = next;
    }
    Connection {
        port,
        exchanges,
        packets: wire.close().out,
    }
}

/// In segments of random sizes, with acknowledgements now and then.
fn send(random: &mut fastrand::Rng, wire: &mut Wire, side: usize, bytes: &[u8]) {
    let most = [5, 60, 1460][random.usize(..3)];
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(random.usize(1..=most).min(rest.len()));
        wire.push(side, ACK, piece);
        if random.u8(..3) == 0 {
            wire.push(1 - side, ACK, b"");
        }
        rest = after;
    }
}

/// All packets by their time, which is spread at random but keeps each connection's order.
pub(crate) fn interleave(random: &mut fastrand::Rng, connections: &[Connection]) -> Vec<Tcp> {
    let mut queues: Vec<_> = connections.iter().map(|one| one.packets.iter()).collect();
    let mut all = Vec::new();
    while !queues.is_empty() {
        let index = random.usize(..queues.len());
        match queues[index].next() {
            Some(packet) => all.push(packet.clone()),
            None => drop(queues.remove(index)),
        }
    }
    all
}

/// No packet comes more than `window` packets of its connection late.
pub(crate) fn shuffle(random: &mut fastrand::Rng, packets: Vec<Tcp>, window: usize) -> Vec<Tcp> {
    let mut keyed: Vec<_> = packets
        .into_iter()
        .enumerate()
        .map(|(index, packet)| (index + random.usize(..=window), packet))
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, packet)| packet).collect()
}

/// Some packets come twice, some again together with what follows them.
pub(crate) fn repeat(random: &mut fastrand::Rng, packets: Vec<Tcp>) -> Vec<Tcp> {
    let mut out: Vec<Tcp> = Vec::new();
    for packet in packets {
        let again = random.u8(..8);
        let previous = out
            .iter()
            .rev()
            .find(|other| other.from == packet.from && other.to == packet.to)
            .cloned();
        out.push(packet.clone());
        match previous {
            _ if again == 0 => out.push(packet),
            Some(mut previous)
                if again == 1
                    && previous.seq.wrapping_add(previous.payload.len() as u32) == packet.seq
                    && !previous.payload.is_empty() =>
            {
                // Some of the one before and all of this one.
                let skip = random.usize(..previous.payload.len());
                previous.seq = previous.seq.wrapping_add(skip as u32);
                previous.payload.drain(..skip);
                previous.payload.extend(&packet.payload);
                (previous.ack, previous.flags) = (packet.ack, packet.flags);
                out.push(previous);
            }
            _ => {}
        }
    }
    out
}
