//! What a capture amounts to, in a form that compares.

use isukit_analyze::capture::{
    Assembler, CaptureOptions, Direction, LinkType, Message, Sink, Totals, read,
};

use crate::build::{self, Tcp};

/// A message with what the tests look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) connection: u64,
    pub(crate) exchange: u64,
    pub(crate) is_request: bool,
    pub(crate) status: u16,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
    pub(crate) lost: u64,
    pub(crate) cut: bool,
    pub(crate) oversized: bool,
    pub(crate) paired: bool,
    pub(crate) head: Vec<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct Log(pub(crate) Vec<Seen>);

impl Sink for Log {
    fn message(&mut self, message: &Message<'_>) {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        assert!(message.first_at_ns <= message.last_at_ns || message.cut);
        assert_eq!(
            message.body_bytes == message.body.len() as u64,
            !message.oversized || message.body_bytes == 0
        );
        self.0.push(Seen {
            connection: message.connection,
            exchange: message.exchange,
            is_request: message.direction == Direction::Request,
            status: message.status,
            method: text(message.method),
            target: text(message.target),
            body: message.body.to_vec(),
            lost: message.lost_bytes,
            cut: message.cut,
            oversized: message.oversized,
            paired: message.paired,
            head: message.head.to_vec(),
        });
    }
}

impl Seen {
    /// `GET /a`, `200 GET /a "body"`, with marks for what is missing.
    pub(crate) fn line(&self) -> String {
        let mut line = match self.is_request {
            true => format!("{} {}", self.method, self.target),
            false if self.paired => format!("{} {} {}", self.status, self.method, self.target),
            false => format!("{} ?", self.status),
        };
        if self.body.len() > 40 {
            line += &format!(" [{}]", self.body.len());
        } else if !self.body.is_empty() {
            line += &format!(" \"{}\"", self.body.escape_ascii());
        }
        if self.lost > 0 {
            line += &format!(" lost {}", self.lost);
        }
        for (is, mark) in [(self.cut, " cut"), (self.oversized, " oversized")] {
            if is {
                line += mark;
            }
        }
        line
    }
}

/// Whether the counts contradict each other or the messages.
pub(crate) fn check_totals(totals: &Totals, seen: &[Seen]) {
    assert_eq!(
        totals.stream_bytes,
        totals.message_bytes + totals.skipped_bytes + totals.opaque_bytes + totals.encrypted_bytes,
        "{totals:?}"
    );
    let count = |is: fn(&&Seen) -> bool| seen.iter().filter(is).count() as u64;
    assert_eq!(totals.requests, count(|seen| seen.is_request));
    assert_eq!(totals.responses, count(|seen| !seen.is_request));
    assert_eq!(totals.unpaired, count(|seen| !seen.paired));
    assert_eq!(totals.oversized, count(|seen| seen.oversized));
    assert_eq!(totals.incomplete, count(|seen| seen.cut || seen.lost > 0));
}

pub(crate) fn run_with(options: CaptureOptions, packets: &[Tcp]) -> (Vec<Seen>, Totals) {
    let mut assembler = Assembler::new(options);
    let mut log = Log::default();
    for packet in packets {
        let bytes = packet.ethernet();
        let kept = &bytes[..bytes.len() - packet.cut];
        let wire_len = bytes.len() as u32;
        assembler.packet(LinkType::ETHERNET, packet.time_ns, kept, wire_len, &mut log);
    }
    assembler.finish(&mut log);
    assert_eq!(assembler.buffered_bytes(), 0, "memory is given back");
    check_totals(assembler.totals(), &log.0);
    (log.0, *assembler.totals())
}

pub(crate) fn run(packets: &[Tcp]) -> (Vec<Seen>, Totals) {
    run_with(CaptureOptions::default(), packets)
}

/// The lines of the messages of a file.
pub(crate) fn lines_of_file(mut file: &[u8]) -> Vec<String> {
    let mut assembler = Assembler::new(CaptureOptions::default());
    let mut log = Log::default();
    read(&mut file, &mut assembler, &mut log).unwrap();
    assembler.finish(&mut log);
    check_totals(assembler.totals(), &log.0);
    log.0.iter().map(Seen::line).collect()
}

/// Packets lead to these messages.
#[track_caller]
pub(crate) fn check(packets: &[Tcp], expected: &[&str]) -> Totals {
    let (seen, totals) = run(packets);
    let lines: Vec<_> = seen.iter().map(Seen::line).collect();
    assert_eq!(lines, expected, "{totals:#?}");
    assert_eq!(lines_of_file(&build::pcap(packets)), lines);
    totals
}
