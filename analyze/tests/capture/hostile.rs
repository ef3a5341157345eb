//! Limits are met, whatever comes.

use std::net::IpAddr;

use isukit_analyze::capture::{Assembler, CaptureOptions, LinkType};

use crate::build::{ACK, CLIENT, SERVER, Tcp, Wire};
use crate::http::{OK, get, reply};
use crate::seen::{Log, Seen, check, check_totals, run_with};

fn lines(seen: &[Seen]) -> Vec<String> {
    seen.iter().map(Seen::line).collect()
}

fn small() -> CaptureOptions {
    CaptureOptions {
        body_bytes_max: 1000,
        buffered_bytes_max: 10_000,
        ..CaptureOptions::default()
    }
}

#[test]
fn bodies_are_kept_up_to_the_limit() {
    for segment in [100, 5000] {
        for (len, mark) in [(1000, "[1000]"), (1001, "oversized")] {
            let body = "x".repeat(len);
            let sized = reply(&body);
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let chunked = format!(
                "{head}100\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
                &body[..256],
                len - 256,
                &body[256..]
            );
            let post = format!("POST /a HTTP/1.1\r\nContent-Length: {len}\r\n\r\n{body}");
            for text in [sized, chunked] {
                let mut wire = Wire::new(1);
                wire.segment = segment;
                let packets = wire
                    .open()
                    .ask(&post)
                    .answer(&text)
                    .ask(get("/b"))
                    .answer(OK)
                    .close()
                    .out;
                let (seen, totals) = run_with(small(), &packets);
                let expected = [format!("POST /a {mark}"), format!("200 POST /a {mark}")];
                assert_eq!(lines(&seen[..2]), expected);
                assert_eq!(lines(&seen[2..]), ["GET /b", "200 GET /b \"hi\""]);
                assert_eq!(totals.skipped_bytes, 0);
            }
        }
    }
}

#[test]
fn what_is_announced_takes_no_memory() {
    let mut assembler = Assembler::new(CaptureOptions::default());
    let mut log = Log::default();
    let huge = "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nx";
    let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx";
    for (port, text) in [(1, huge), (2, chunk)] {
        for tcp in Wire::new(port).open().ask(get("/a")).answer(text).out {
            let bytes = tcp.ethernet();
            assembler.packet(
                LinkType::ETHERNET,
                tcp.time_ns,
                &bytes,
                bytes.len() as u32,
                &mut log,
            );
        }
    }
    assert!(assembler.buffered_bytes() < 10_000);
    assembler.finish(&mut log);
    let lines = lines(&log.0);
    assert_eq!(lines.len(), 4);
    assert!(
        lines[2].ends_with("oversized") && lines[3].ends_with("\"x\" cut"),
        "{lines:?}"
    );
    let overflow = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\nx";
    let totals = check(
        &Wire::new(1)
            .open()
            .ask(get("/a"))
            .answer(overflow)
            .ask(get("/b"))
            .answer(OK)
            .out,
        &["GET /a", "200 GET /a cut", "GET /b", "200 GET /b \"hi\""],
    );
    assert_eq!(totals.malformed_messages, 1);
}

#[test]
fn heads_are_read_up_to_the_limit() {
    let around = "GET /a HTTP/1.1\r\nX: \r\n\r\n".len();
    for (len, is_read) in [(65_536, true), (65_537, false)] {
        for segment in [1460, 60_000] {
            let head = format!("GET /a HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(len - around));
            let mut wire = Wire::new(1);
            wire.segment = segment;
            let packets = wire
                .open()
                .ask(get("/0"))
                .answer(OK)
                .ask(&head)
                .answer(OK)
                .out;
            let (seen, totals) = run_with(CaptureOptions::default(), &packets);
            let expected = if is_read { "GET /a" } else { "200 ? \"hi\"" };
            assert_eq!(seen[2].line(), expected);
            assert_eq!(totals.skipped_bytes > 0, !is_read);
        }
    }
}

#[test]
fn requests_without_reply_are_counted() {
    let mut wire = Wire::new(1).open();
    for _ in 0..3000 {
        wire = wire.ask(get("/a"));
    }
    let (seen, totals) = run_with(CaptureOptions::default(), &wire.out);
    assert_eq!((seen.len(), totals.unanswered), (3000, 3000));
}

/// Packets of many connections, each left with something open.
fn flood(connections: u32, mut one: impl FnMut(Wire, u32) -> Vec<Tcp>) -> Vec<Tcp> {
    let make = |index: u32| {
        let mut wire = Wire::new(1024 + (index % 60_000) as u16);
        wire.client.0 = IpAddr::V4((0x0a01_0000 + index / 60_000).into());
        one(wire, index)
    };
    (0..connections).flat_map(make).collect()
}

fn check_flood(options: CaptureOptions, packets: &[Tcp]) -> isukit_analyze::capture::Totals {
    let most = options.buffered_bytes_max;
    let mut assembler = Assembler::new(options);
    let mut log = Log::default();
    let mut peak = 0;
    for tcp in packets {
        let bytes = tcp.ethernet();
        assembler.packet(
            LinkType::ETHERNET,
            tcp.time_ns,
            &bytes,
            bytes.len() as u32,
            &mut log,
        );
        peak = peak.max(assembler.buffered_bytes());
    }
    assert!(peak <= most + (256 << 10), "{peak} bytes were held");
    assert!(peak >= most / 2, "{peak} bytes are no test");
    assembler.finish(&mut log);
    assert_eq!(assembler.buffered_bytes(), 0);
    check_totals(assembler.totals(), &log.0);
    *assembler.totals()
}

#[test]
fn memory_is_bounded() {
    let options = CaptureOptions {
        buffered_bytes_max: 4 << 20,
        ..CaptureOptions::default()
    };
    // Bodies that never end.
    let part = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n{}",
        "x".repeat(8000)
    );
    let bodies = flood(1000, |wire, _| wire.open().ask(get("/a")).answer(&part).out);
    let totals = check_flood(options.clone(), &bodies);
    assert!(totals.oversized > 300 && totals.incomplete == 1000);
    // Heads that never end.
    let head = format!("GET /a HTTP/1.1\r\nX: {}", "x".repeat(6000));
    let heads = flood(3000, |wire, _| wire.open().ask(&head).out);
    let totals = check_flood(options.clone(), &heads);
    assert_eq!(totals.heads_cut, 3000);
    // Segments that wait for one that never comes, on one connection and on many.
    let ahead = |wire: Wire, count: u32| {
        let mut wire = wire.open().ask(get("/a"));
        wire.seq[SERVER] = wire.seq[SERVER].wrapping_add(10);
        for _ in 0..count {
            wire.push(SERVER, ACK, &[b'x'; 1000]);
        }
        wire.out
    };
    check_flood(options.clone(), &flood(3000, |wire, _| ahead(wire, 3)));
    check_flood(options.clone(), &flood(3, |wire, _| ahead(wire, 5000)));
    // Single bytes with holes between them.
    let holes = flood(1, |wire, _| {
        let mut wire = wire.open();
        for _ in 0..50_000 {
            wire.seq[CLIENT] = wire.seq[CLIENT].wrapping_add(1);
            wire.push(CLIENT, ACK, b"x");
        }
        wire.out
    });
    let tight = CaptureOptions {
        buffered_bytes_max: 256 << 10,
        ..CaptureOptions::default()
    };
    let totals = check_flood(tight, &holes);
    assert_eq!(totals.lost_bytes, 50_000);
}

#[test]
fn connections_make_room_for_others() {
    let packets = flood(10_000, |wire, _| wire.open().ask(get("/a")).out);
    let (seen, totals) = run_with(CaptureOptions::default(), &packets);
    assert_eq!((seen.len(), totals.connections), (10_000, 10_000));
    assert_eq!(totals.evicted, 10_000 - 8192);
    assert_eq!(totals.unanswered, 10_000);
}

#[test]
fn what_only_looks_like_a_message_is_passed_over_once() {
    for bad in [
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    ] {
        let wire = Wire::new(1)
            .open()
            .ask(get("/a"))
            .answer(OK)
            .ask(get("/b"))
            .answer(bad);
        let totals = check(&wire.out, &["GET /a", "200 GET /a \"hi\"", "GET /b"]);
        assert_eq!(totals.malformed_messages, 1);
        assert_eq!(totals.skipped_bytes, bad.len() as u64);
    }
}
