//! TCP as captures show it: reordered, repeated, lossy, begun in the middle.

use crate::build::{ACK, CLIENT, FIN, RST, SERVER, SYN, Tcp, Wire};
use crate::http::{OK, get, reply};
use crate::seen::check;

const AB: [&str; 4] = [
    "GET /a",
    "200 GET /a \"hi\"",
    "GET /b",
    "200 GET /b \"two\"",
];

/// Two exchanges in small segments.
fn two(segment: usize) -> Wire {
    let mut wire = Wire::new(40_000);
    wire.segment = segment;
    wire.open()
        .ask(get("/a"))
        .answer(OK)
        .ask(get("/b"))
        .answer(reply("two"))
        .close()
}

/// Indexes of the segments of a side that carry data.
fn data(packets: &[Tcp], port: u16) -> Vec<usize> {
    let is_data = |tcp: &Tcp| tcp.from.1 == port && !tcp.payload.is_empty();
    (0..packets.len())
        .filter(|&index| is_data(&packets[index]))
        .collect()
}

#[test]
fn order_does_not_matter() {
    for segment in [10, 1460] {
        let mut reversed = two(segment).out;
        reversed.chunks_mut(8).for_each(<[Tcp]>::reverse);
        let totals = check(&reversed, &AB);
        assert_eq!((totals.lost_bytes, totals.skipped_bytes), (0, 0));
        let mut pairs = two(segment).out;
        for pair in pairs.chunks_exact_mut(2) {
            pair.swap(0, 1);
        }
        check(&pairs, &AB);
    }
}

#[test]
fn packets_seen_twice_change_nothing() {
    let packets = two(10).out;
    let twice: Vec<_> = packets
        .iter()
        .flat_map(|tcp| [tcp.clone(), tcp.clone()])
        .collect();
    let totals = check(&twice, &AB);
    assert_eq!(totals.connections, 1);
    // The last byte of a stream alone could as well be a probe.
    assert_eq!(totals.repeated_bytes + totals.probes, totals.stream_bytes);
    assert_eq!((totals.conflicting_bytes, totals.lost_bytes), (0, 0));
    // All of it once more, behind the end.
    let again: Vec<_> = packets.iter().chain(&packets).cloned().collect();
    assert_eq!(check(&again, &AB).connections, 1);
}

#[test]
fn the_first_of_two_versions_wins() {
    let mut packets = two(1460).out;
    let reply = data(&packets, 80)[0];
    let mut other = packets[reply].clone();
    let len = other.payload.len();
    other.payload[len - 2..].copy_from_slice(b"NO");
    packets.insert(reply + 1, other.clone());
    assert_eq!(check(&packets, &AB).conflicting_bytes, 2);

    // An overlapping one with more behind it, while both wait for the request.
    let mut packets = two(20).out;
    let request = data(&packets, 40_000)[1];
    let replies = data(&packets, 80);
    let (first, second) = (replies[0], replies[1]);
    let mut long = packets[first].clone();
    long.payload.extend(packets[second].payload.clone());
    long.payload[0] = b'h';
    packets.insert(first + 1, long);
    let late = packets.remove(request);
    packets.insert(first + 1, late);
    let totals = check(&packets, &AB);
    assert_eq!((totals.conflicting_bytes, totals.lost_bytes), (1, 0));
    assert_eq!(totals.repeated_bytes, 40);
}

#[test]
fn numbers_wrap_inside_a_body() {
    for before in [0, 1, 30, 50, 90] {
        for segment in [7, 1460] {
            let mut wire = Wire::new(1).numbered(u32::MAX - before, u32::MAX - before);
            wire.segment = segment;
            let body = "x".repeat(40);
            let post = format!("POST /a HTTP/1.1\r\nContent-Length: 40\r\n\r\n{body}");
            let mut packets = wire.open().ask(&post).answer(reply(&body)).close().out;
            let expected = [
                format!("POST /a \"{body}\""),
                format!("200 POST /a \"{body}\""),
            ];
            let expected = expected.each_ref().map(String::as_str);
            assert_eq!(check(&packets, &expected).lost_bytes, 0);
            packets.chunks_mut(8).for_each(<[Tcp]>::reverse);
            check(&packets, &expected);
        }
    }
}

#[test]
fn a_port_is_used_again() {
    let first = Wire::new(1).open().ask(get("/a")).answer(OK);
    let mut second = Wire::new(1).numbered(90_000, 3_000);
    second.time_ns = first.time_ns;
    let second = second.open().ask(get("/b")).answer(reply("two")).close();
    // The first one is not closed.
    let packets = [first.out.clone(), second.out.clone()].concat();
    assert_eq!(check(&packets, &AB).connections, 2);
    // Closed, and the SYN of the second one was not captured.
    let packets = [first.clone().close().out, second.out[1..].to_vec()].concat();
    assert_eq!(check(&packets, &AB).connections, 2);
    let packets = [first.close().out, second.out[3..].to_vec()].concat();
    assert_eq!(check(&packets, &AB).connections, 2);
    // After a long silence, without any sign.
    let mut far = Wire::new(1).numbered(3_000_000_000, 2_900_000_000);
    far.time_ns = 1_700_000_100_000_000_000;
    let far = far.ask(get("/b")).answer(reply("two"));
    let first = Wire::new(1).open().ask(get("/a")).answer(OK);
    assert_eq!(check(&[first.out, far.out].concat(), &AB).connections, 2);
}

#[test]
fn ends_and_probes() {
    let mut wire = Wire::new(1).open().ask(get("/a")).answer(OK);
    // A keep-alive probe repeats a number, with or without a byte; its answer repeats the last ACK.
    for payload in ["", "\0"] {
        wire.seq[CLIENT] -= 1;
        wire.push(CLIENT, ACK, payload.as_bytes());
        wire.seq[CLIENT] += u32::from(payload.is_empty());
        wire.push(SERVER, ACK, b"");
    }
    let mut wire = wire.ask(get("/b")).answer(reply("two"));
    // Both close at once.
    wire.push(CLIENT, FIN | ACK, b"");
    wire.seq[CLIENT] -= 1;
    wire.push(SERVER, FIN | ACK, b"");
    wire.seq[CLIENT] += 1;
    wire.push(CLIENT, ACK, b"");
    wire.push(SERVER, RST, b"");
    let totals = check(&wire.out, &AB);
    assert_eq!(
        (totals.probes, totals.conflicting_bytes, totals.lost_bytes),
        (1, 0, 0)
    );
}

#[test]
fn a_reset_cuts_what_is_open() {
    let mut wire = Wire::new(1).open().ask(get("/a"));
    wire.push(
        SERVER,
        ACK,
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
    );
    wire.push(SERVER, RST, b"");
    check(&wire.out, &["GET /a", "200 GET /a \"half\" cut"]);
    let mut wire = Wire::new(1).open().ask(get("/a"));
    wire.push(SERVER, ACK, b"HTTP/1.1 200 OK\r\n\r\nhalf");
    wire.push(SERVER, RST, b"");
    check(&wire.out, &["GET /a", "200 GET /a \"half\" cut"]);
    // The capture ends instead.
    wire.out.pop();
    check(&wire.out, &["GET /a", "200 GET /a \"half\" cut"]);
}

#[test]
fn captures_begin_in_the_middle() {
    // Behind the handshake.
    let packets = two(1460).out[3..].to_vec();
    let totals = check(&packets, &AB);
    assert_eq!((totals.lost_bytes, totals.skipped_bytes), (0, 0));
    // Within the first request, or behind it.
    let packets = two(10).out;
    let requests = data(&packets, 40_000);
    let totals = check(&packets[requests[1]..], &["200 ? \"hi\"", AB[2], AB[3]]);
    assert_eq!(totals.unpaired, 1);
    assert!(totals.skipped_bytes > 0);
    let replies = data(&packets, 80);
    check(&packets[replies[0]..], &["200 ? \"hi\"", AB[2], AB[3]]);
    // Within the first reply.
    check(&packets[replies[1]..], &[AB[2], AB[3]]);
}

#[test]
fn one_direction_alone_is_read() {
    let only = |port| -> Vec<_> {
        two(10)
            .out
            .into_iter()
            .filter(|tcp| tcp.from.1 == port)
            .collect()
    };
    let totals = check(&only(80), &["200 ? \"hi\"", "200 ? \"two\""]);
    assert_eq!(totals.unpaired, 2);
    let totals = check(&only(40_000), &["GET /a", "GET /b"]);
    assert_eq!(totals.unanswered, 2);
}

#[test]
fn a_lost_request_costs_its_own_reply_only() {
    let mut wire = Wire::new(1).open();
    for target in ["/a", "/b", "/c"] {
        wire = wire.ask(get(target)).answer(reply(target));
    }
    let mut packets = wire.close().out;
    let requests = data(&packets, 1);
    packets.remove(requests[1]);
    let totals = check(
        &packets,
        &[
            "GET /a",
            "200 GET /a \"/a\"",
            "200 ? \"/b\"",
            "GET /c",
            "200 GET /c \"/c\"",
        ],
    );
    assert_eq!((totals.unpaired, totals.gaps), (1, 1));
    assert_eq!(totals.lost_bytes, get("/b").len() as u64);
}

#[test]
fn a_lost_reply_costs_itself_only() {
    let mut wire = Wire::new(1).open();
    for target in ["/a", "/b", "/c"] {
        wire = wire.ask(get(target)).answer(reply(target));
    }
    let mut packets = wire.close().out;
    let replies = data(&packets, 80);
    packets.remove(replies[1]);
    let totals = check(
        &packets,
        &[
            "GET /a",
            "200 GET /a \"/a\"",
            "GET /b",
            "GET /c",
            "200 GET /c \"/c\"",
        ],
    );
    assert_eq!((totals.unpaired, totals.unanswered, totals.gaps), (0, 1, 1));
}

#[test]
fn a_gap_inside_a_body_is_counted_in_it() {
    let mut wire = Wire::new(1);
    wire.segment = 50;
    let body = "x".repeat(300);
    let sized = reply(&body);
    let chunked =
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n12c\r\n{body}\r\n0\r\n\r\n");
    for text in [sized, chunked] {
        let mut packets = wire
            .clone()
            .open()
            .ask(get("/a"))
            .answer(text)
            .ask(get("/b"))
            .answer(reply("two"))
            .close()
            .out;
        let replies = data(&packets, 80);
        packets.remove(replies[3]);
        let totals = check(
            &packets,
            &["GET /a", "200 GET /a [250] lost 50", AB[2], AB[3]],
        );
        assert_eq!((totals.lost_bytes, totals.incomplete), (50, 1));
    }
}

#[test]
fn what_the_capture_cut_is_a_gap() {
    let body = "x".repeat(300);
    let mut wire = Wire::new(1).open().ask(get("/a")).answer(reply(&body));
    let at = data(&wire.out, 80)[0];
    wire.out[at].cut = 100;
    let packets = wire.ask(get("/b")).answer(reply("two")).out;
    let totals = check(
        &packets,
        &["GET /a", "200 GET /a [200] lost 100", AB[2], AB[3]],
    );
    assert_eq!((totals.cut_segments, totals.lost_bytes), (1, 100));
}

/// Bursts of three, the second request of one of them lost, and two exchanges behind them.
fn bursts(before: usize) -> Wire {
    let mut wire = Wire::new(1);
    wire.segment = get("/a").len();
    let mut wire = wire.open();
    for _ in 0..=before {
        wire = wire
            .ask([get("/a"), get("/b"), get("/c")].concat())
            .answer([reply("1"), reply("2"), reply("3")].concat());
    }
    let wire = wire
        .ask(get("/d"))
        .answer(reply("4"))
        .ask(get("/e"))
        .answer(reply("5"))
        .close();
    let mut wire = wire;
    let requests = data(&wire.out, 1);
    wire.out.remove(requests[before * 3 + 1]);
    wire
}

#[test]
fn lost_pipelined_requests_leave_replies_unpaired() {
    let lossy = [
        "GET /a",
        "GET /c",
        "200 GET /a \"1\"",
        "200 ? \"2\"",
        "200 ? \"3\"",
    ];
    // How this client goes about it is not known.
    let unknown = ["GET /d", "200 ? \"4\"", "GET /e", "200 ? \"5\""];
    check(&bursts(0).out, &[&lossy[..], &unknown].concat());
    // It was seen to wait for its replies between its bursts.
    let whole = [
        "GET /a",
        "GET /b",
        "GET /c",
        "200 GET /a \"1\"",
        "200 GET /b \"2\"",
        "200 GET /c \"3\"",
    ];
    let known = ["GET /d", "200 GET /d \"4\"", "GET /e", "200 GET /e \"5\""];
    check(
        &bursts(3).out,
        &[&whole[..], &whole, &whole, &lossy, &known].concat(),
    );
}

#[test]
fn a_syn_again_is_no_new_connection() {
    let mut packets = two(1460).out;
    packets.insert(1, packets[0].clone());
    packets.insert(8, packets[0].clone());
    assert_eq!(check(&packets, &AB).connections, 1);
    assert_eq!(packets[0].flags, SYN);
}

#[test]
fn what_is_acknowledged_behind_a_reset_is_not_waited_for() {
    let mut wire = Wire::new(1).open().ask(get("/a")).answer(OK);
    wire.push(SERVER, RST, b"");
    wire.seq[SERVER] += 9;
    for _ in 0..100 {
        wire.push(CLIENT, ACK, b"");
    }
    assert_eq!(check(&wire.out, &AB[..2]).lost_bytes, 0);
}
