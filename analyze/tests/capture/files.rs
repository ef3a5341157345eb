//! Capture files and link layers.

use std::io::{self, Read};
use std::net::IpAddr;

use isukit_analyze::capture::{
    Assembler, CaptureError, CaptureOptions, Format, LinkType, ReadSummary, Totals, is_capture,
    read,
};

use crate::build::{self, ACK, PcapNg, SERVER, Tcp, Wire, ip, pcap_header, pcap_packet};
use crate::http::{OK, get};
use crate::seen::{Log, Seen, check_totals, lines_of_file};

const A: [&str; 2] = ["GET /a", "200 GET /a \"hi\""];

fn exchange() -> Vec<Tcp> {
    Wire::new(1).open().ask(get("/a")).answer(OK).close().out
}

/// Gives one byte at a time, as a pipe may.
struct Drip<'b>(&'b [u8]);

impl Read for Drip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let one = buffer.len().min(1);
        self.0.read(&mut buffer[..one])
    }
}

fn read_all(file: &[u8]) -> (Vec<String>, Totals, Result<ReadSummary, CaptureError>) {
    let mut outcomes = Vec::new();
    for mut input in [Box::new(file) as Box<dyn Read>, Box::new(Drip(file))] {
        let mut assembler = Assembler::new(CaptureOptions::default());
        let mut log = Log::default();
        let result = read(&mut input, &mut assembler, &mut log);
        assembler.finish(&mut log);
        check_totals(assembler.totals(), &log.0);
        let lines: Vec<_> = log.0.iter().map(Seen::line).collect();
        outcomes.push((lines, *assembler.totals(), result));
    }
    let dripped = outcomes.pop().unwrap();
    let whole = outcomes.pop().unwrap();
    assert_eq!(
        (&whole.0, whole.1),
        (&dripped.0, dripped.1),
        "how it is read matters"
    );
    whole
}

#[track_caller]
fn check_file(file: &[u8], format: Format) {
    assert!(is_capture(file));
    let (lines, totals, result) = read_all(file);
    let summary = result.unwrap();
    assert_eq!(lines, A, "{totals:?}");
    assert_eq!(summary.format, format);
    assert_eq!((summary.bytes, summary.cut_at), (file.len() as u64, None));
    assert_eq!(summary.packets, totals.packets);
}

#[test]
fn pcap_in_both_byte_orders_and_units() {
    for is_nano in [false, true] {
        let mut file = pcap_header(1, is_nano);
        let mut big = file.clone();
        for at in [(0, 4), (4, 2), (6, 2), (16, 4), (20, 4)] {
            big[at.0..at.0 + at.1].reverse();
        }
        for tcp in exchange() {
            let bytes = tcp.ethernet();
            let start = file.len();
            pcap_packet(
                &mut file,
                tcp.time_ns / 1000 % 1_000_000,
                &bytes,
                bytes.len(),
            );
            let mut header = file[start..start + 16].to_vec();
            header.chunks_mut(4).for_each(<[u8]>::reverse);
            big.extend(header);
            big.extend(bytes);
        }
        check_file(&file, Format::Pcap);
        check_file(&big, Format::Pcap);
    }
}

#[test]
fn pcapng_in_both_byte_orders() {
    for big in [false, true] {
        let mut file = PcapNg::new(big);
        file.interface(1, 0, &[]);
        // Names, statistics, custom blocks and unknown ones are passed over.
        for kind in [4, 5, 0xbad, 0x4000_0bad, 0x1234_5678] {
            file.block(kind, &[1, 2, 3, 4, 5]);
        }
        for (index, tcp) in exchange().iter().enumerate() {
            let bytes = tcp.ethernet();
            match index % 3 {
                0 => file.packet(0, 0, &bytes, bytes.len()),
                1 => {
                    let body = [&file.u32(bytes.len() as u32)[..], &bytes].concat();
                    file.block(3, &body);
                }
                _ => {
                    let mut body = [file.u16(0), file.u16(7)].concat();
                    for word in [0, 0, bytes.len() as u32, bytes.len() as u32] {
                        body.extend(file.u32(word));
                    }
                    body.extend(&bytes);
                    file.block(2, &body);
                }
            }
        }
        check_file(&file.bytes, Format::PcapNg);
    }
}

#[test]
fn interfaces_have_their_own_link_types_and_units() {
    let mut file = PcapNg::new(false);
    file.interface(1, 0, &[]);
    file.interface(101, 0, &[(9, &[9]), (0, &[])]);
    let packets = exchange();
    for (index, tcp) in packets.iter().enumerate() {
        let ip = tcp.ip();
        let ethernet = tcp.ethernet();
        match index % 2 {
            0 => file.packet(0, tcp.time_ns as u64 / 1000, &ethernet, ethernet.len()),
            _ => file.packet(1, tcp.time_ns as u64, &ip, ip.len()),
        }
        if index == 4 {
            // Another section, in the other byte order, describes its interfaces anew.
            file.section(true);
            file.interface(1, 0, &[]);
            file.interface(228, 0, &[(9, &[9])]);
        }
    }
    check_file(&file.bytes, Format::PcapNg);
}

#[test]
fn times_are_read_in_any_resolution() {
    struct Times(Vec<i64>);
    impl isukit_analyze::capture::Sink for Times {
        fn message(&mut self, message: &isukit_analyze::capture::Message<'_>) {
            self.0.push(message.first_at_ns);
        }
    }
    let check = |options: &[(u16, &[u8])], ticks: u64, expected: i64| {
        let mut file = PcapNg::new(false);
        file.interface(1, 0, options);
        let tcp = Wire::new(1).ask(get("/a")).out.remove(0);
        let bytes = tcp.ethernet();
        file.packet(0, ticks, &bytes, bytes.len());
        let mut times = Times(Vec::new());
        let mut assembler = Assembler::new(CaptureOptions::default());
        read(&mut &file.bytes[..], &mut assembler, &mut times).unwrap();
        assembler.finish(&mut times);
        assert_eq!(times.0, [expected], "{options:?}");
    };
    check(&[], 1_700_000_000_123_456, 1_700_000_000_123_456_000);
    check(&[(9, &[3])], 1_700_000_000_123, 1_700_000_000_123_000_000);
    check(
        &[(9, &[9])],
        1_700_000_000_123_456_789,
        1_700_000_000_123_456_789,
    );
    check(&[(9, &[12])], 1_123_456_789_012, 1_123_456_789);
    check(&[(9, &[0x80 | 10])], 1024 * 7 + 512, 7_500_000_000);
    check(&[(9, &[127])], u64::MAX, 0);
    check(&[(9, &[0xff])], u64::MAX, 0);
    check(&[(9, &[0])], u64::MAX, i64::MAX);
    check(
        &[(9, &[3]), (14, &(-5_i64).to_le_bytes())],
        7_000,
        2_000_000_000,
    );
    check(&[(14, &i64::MIN.to_le_bytes())], 0, i64::MIN);
}

#[test]
fn secrets_are_handed_out() {
    let mut file = PcapNg::new(true);
    let text = b"CLIENT_RANDOM 00 00\n";
    let body = [
        &file.u32(0x544c_534b)[..],
        &file.u32(text.len() as u32),
        text,
    ]
    .concat();
    file.block(10, &body);
    let (_, totals, result) = read_all(&file.bytes);
    result.unwrap();
    assert_eq!(totals.key_log_bytes, 20);
}

#[test]
fn a_file_that_is_cut_says_where() {
    let whole = build::pcap(&exchange());
    let last = whole.len() - 54 - 16;
    for cut in last + 1..whole.len() {
        let (lines, _, result) = read_all(&whole[..cut]);
        assert_eq!(
            (lines, result.unwrap().cut_at),
            (A.map(str::to_owned).to_vec(), Some(last as u64))
        );
    }
    let mut file = PcapNg::new(false);
    file.interface(1, 0, &[]);
    let before = file.bytes.len();
    file.packet(0, 0, &[0; 60], 60);
    for cut in before + 1..file.bytes.len() {
        let (_, totals, result) = read_all(&file.bytes[..cut]);
        assert_eq!(
            (totals.packets, result.unwrap().cut_at),
            (0, Some(before as u64))
        );
    }
    // Within the header of the file.
    let (_, _, result) = read_all(&whole[..20]);
    assert_eq!(result.unwrap().cut_at, Some(0));
}

#[test]
fn garbage_is_told_with_its_place() {
    let check = |file: &[u8], lines: &[&str], part: &str| {
        let (seen, _, result) = read_all(file);
        assert_eq!(seen, lines);
        let error = result.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    let mut whole = build::pcap(&exchange());
    let len = whole.len();
    whole.extend([0xff; 40]);
    check(
        &whole,
        &A,
        &format!("broken at byte {len}: a packet of 4294967295 bytes"),
    );
    let mut file = pcap_header(1, true);
    file.extend([0, 0, 0, 0, 0, 0, 0, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0]);
    check(&file, &[], "byte 24: a packet with a fraction");

    let start = PcapNg::new(false);
    let check_block = |kind: u32, body: &[u8], part: &str| {
        let mut file = PcapNg::new(false);
        file.block(kind, body);
        check(&file.bytes, &[], part);
    };
    check_block(
        6,
        &[0; 20],
        "byte 28: a packet of interface 0, which was not described",
    );
    check_block(3, &[0; 20], "interface 0");
    check_block(0x0a0d_0d0a, &[0; 16], "a section without byte order");
    check_block(
        10,
        &[1, 0, 0, 0, 99, 0, 0, 0],
        "secrets longer than their block",
    );
    let with = |bytes: &[u8]| [&start.bytes[..], bytes].concat();
    check(
        &with(&[1, 0, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0, 0]),
        &[],
        "a block of 13 bytes",
    );
    check(
        &with(&[1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]),
        &[],
        "a block of 8 bytes",
    );
    check(
        &with(&[1, 0, 0, 0, 0, 0, 0, 0x7f, 0, 0, 0, 0]),
        &[],
        "byte 28: a block of 2130706432 bytes",
    );
    check(
        &with(&[1, 0, 0, 0, 12, 0, 0, 0, 16, 0, 0, 0]),
        &[],
        "two lengths differ",
    );
    let mut file = PcapNg::new(false);
    file.interface(1, 0, &[]);
    let words = [0, 0, 0, 4000, 4000].map(|word| file.u32(word)).concat();
    file.block(6, &words);
    check(&file.bytes, &[], "a packet longer than its block");

    check(b"", &[], "it begins with nothing");
    check(b"\x1f\x8b\x08", &[], "it begins with \"\\x1f");
    check(b"GET / HTTP/1.1\r\n", &[], "not a pcap or pcapng capture");
    assert!(!is_capture(b"GET /") && !is_capture(b"\xd4\xc3"));
}

/// One packet after another, each made by `make` of its IP packet.
fn check_link(link: u16, make: impl Fn(&[u8]) -> Vec<u8>) {
    for family in ["10.0.0.", "fd00::"] {
        let mut wire = Wire::new(1);
        let address = |last| -> IpAddr { format!("{family}{last}").parse().unwrap() };
        (wire.client.0, wire.server.0) = (address(1), address(2));
        let packets = wire.open().ask(get("/a")).answer(OK).close().out;
        let mut file = pcap_header(u32::from(link), true);
        for tcp in packets {
            let bytes = make(&tcp.ip());
            pcap_packet(&mut file, tcp.time_ns, &bytes, bytes.len());
        }
        assert_eq!(lines_of_file(&file), A, "link type {link}");
    }
}

#[test]
fn link_types() {
    let kind = |ip: &[u8]| build::ether_type(ip);
    let family = |ip: &[u8]| if ip[0] >> 4 == 4 { 2_u32 } else { 30 };
    for raw in [101, 12, 14, 228, 229] {
        check_link(raw, <[u8]>::to_vec);
    }
    check_link(1, |ip| [&[0; 12][..], &kind(ip), ip].concat());
    // Short frames are padded.
    check_link(1, |ip| [&[0; 12][..], &kind(ip), ip, &[0x55; 20]].concat());
    // 802.1Q, and 802.1Q within 802.1ad.
    check_link(1, |ip| {
        [&[0; 12][..], &[0x81, 0, 0, 7], &kind(ip), ip].concat()
    });
    check_link(1, |ip| {
        [
            &[0; 12][..],
            &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 8],
            &kind(ip),
            ip,
        ]
        .concat()
    });
    check_link(0, |ip| [&family(ip).to_le_bytes()[..], ip].concat());
    check_link(0, |ip| [&family(ip).to_be_bytes()[..], ip].concat());
    check_link(108, |ip| [&family(ip).to_be_bytes()[..], ip].concat());
    check_link(113, |ip| [&[0; 14][..], &kind(ip), ip].concat());
    check_link(276, |ip| [&kind(ip)[..], &[0; 18], ip].concat());
}

#[test]
fn ip_as_it_comes() {
    // IPv4 options, and a total length of 0, as segmentation offload leaves it.
    check_link(101, |packet| match packet[0] >> 4 {
        4 => {
            let mut bytes = [&packet[..20], &[1; 8], &packet[20..]].concat();
            bytes[0] = 0x47;
            let total = bytes.len() as u16;
            bytes[2..4].copy_from_slice(&total.to_be_bytes());
            bytes
        }
        _ => packet.to_vec(),
    });
    check_link(101, |packet| {
        let mut bytes = packet.to_vec();
        let length = if packet[0] >> 4 == 4 { 2 } else { 4 };
        bytes[length..length + 2].fill(0);
        bytes
    });
    // IPv6 extension headers: hop-by-hop, destination options, an atomic fragment.
    check_link(101, |packet| match packet[0] >> 4 {
        6 => {
            let options = [60, 0, 1, 4, 0, 0, 0, 0, 44, 0, 1, 4, 0, 0, 0, 0];
            let atomic = [6, 0, 0, 0, 0, 0, 0, 1];
            let mut bytes = [&packet[..40], &options, &atomic, &packet[40..]].concat();
            bytes[6] = 0;
            let length = bytes.len() as u16 - 40;
            bytes[4..6].copy_from_slice(&length.to_be_bytes());
            bytes
        }
        _ => packet.to_vec(),
    });
}

#[test]
fn packets_of_no_use_are_counted() {
    let mut assembler = Assembler::new(CaptureOptions {
        ports: vec![80],
        ..CaptureOptions::default()
    });
    let mut log = Log::default();
    let mut give = |link: u16, bytes: &[u8]| {
        let len = bytes.len() as u32;
        assembler.packet(LinkType(link), 0, bytes, len, &mut log);
        *assembler.totals()
    };
    let addresses = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
    let udp = ip(addresses.0, addresses.1, 17, &[0; 8]);
    assert_eq!(give(101, &udp).other_protocols, 1);
    let arp = [&[0; 12][..], &[0x08, 0x06], &[0; 28]].concat();
    assert_eq!(give(1, &arp).other_protocols, 2);
    assert_eq!(give(105, &udp).unknown_links, 1);
    assert_eq!(give(1, &[0; 13]).headers_cut, 1);
    let tcp = Wire::new(1).ask(get("/a")).out.remove(0);
    for cut in 1..40 {
        assert_eq!(
            give(101, &tcp.ip()[..cut]).headers_cut,
            1 + cut as u64,
            "cut at {cut}"
        );
    }
    assert_eq!(give(101, &[]).headers_cut, 41);
    let with = |at: usize, byte: u8| {
        let mut bytes = tcp.ip();
        bytes[at] = byte;
        bytes
    };
    // Header lengths of IP and TCP, and the total length.
    for (index, (at, byte)) in [(0, 0x44), (32, 0x40), (32, 0xf0), (3, 19)]
        .into_iter()
        .enumerate()
    {
        let mut bytes = with(at, byte);
        bytes.truncate(60);
        bytes[2] = 0;
        if at == 32 {
            bytes[3] = 60;
        }
        assert_eq!(
            give(101, &bytes[..60]).malformed_packets,
            index as u64 + 1,
            "{at}"
        );
    }
    assert_eq!(give(101, &with(6, 0x20)).fragments, 1);
    assert_eq!(give(101, &with(7, 0x01)).fragments, 2);
    let mut other = tcp.clone();
    other.to.1 = 8080;
    assert_eq!(give(101, &other.ip()).other_ports, 1);
    let totals = give(101, &tcp.ip());
    assert_eq!((totals.segments, totals.connections), (1, 1));
    drop(log);
}

#[test]
fn ports_are_those_that_were_asked_for() {
    let mut options = CaptureOptions::default();
    for (ports, count) in [(vec![80], 2), (vec![1], 2), (vec![81, 9], 0), (vec![], 2)] {
        options.ports = ports;
        let (seen, _) = crate::seen::run_with(options.clone(), &exchange());
        assert_eq!(seen.len(), count);
    }
}

#[test]
fn offload_makes_segments_longer_than_ip_can_say() {
    let mut wire = Wire::new(1).open().ask(get("/a"));
    let body = "x".repeat(100_000);
    let text = format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{body}");
    let mut file = pcap_header(101, true);
    let small = |file: &mut Vec<u8>, packets: &[Tcp]| {
        for tcp in packets {
            let bytes = tcp.ip();
            pcap_packet(file, tcp.time_ns, &bytes, bytes.len());
        }
    };
    small(&mut file, &std::mem::take(&mut wire.out));
    let tcp = wire.push(SERVER, ACK, text.as_bytes()).clone();
    let mut bytes = ip(tcp.from.0, tcp.to.0, 6, &[]);
    bytes[2..4].fill(0);
    bytes.extend(tcp.header_and_payload());
    pcap_packet(&mut file, tcp.time_ns, &bytes, bytes.len());
    assert_eq!(lines_of_file(&file), ["GET /a", "200 GET /a [100000]"]);
}
