//! Whatever happens to the packets, the messages are right or marked.

use std::collections::HashMap;

use proptest::prelude::*;

use crate::build::Tcp;
use crate::generate::{self, Connection, Exchange, Style};
use crate::seen::{Seen, run};

/// What the exchanges of a connection are seen as.
fn expected(connection: &Connection, is_request: bool) -> Vec<String> {
    let line = |exchange: &Exchange| {
        let (method, target) = (exchange.method, exchange.target());
        let (status, body) = match is_request {
            true => (0, &exchange.request_body),
            false => (exchange.status, &exchange.body),
        };
        format!("{status} {method} {target} {}", body.escape_ascii())
    };
    connection.exchanges.iter().map(line).collect()
}

fn id_of(seen: &Seen) -> u32 {
    let head = String::from_utf8(seen.head.clone()).unwrap();
    let id = match seen.is_request {
        true => head.split(['/', ' ']).nth(2),
        false => head
            .split("X-Id: ")
            .nth(1)
            .and_then(|rest| rest.split('\r').next()),
    };
    id.unwrap().parse().unwrap()
}

/// The messages are exactly those of the connections.
fn check_all(packets: &[Tcp], connections: &[Connection]) {
    let (seen, totals) = run(packets);
    assert_eq!(totals.connections, connections.len() as u64);
    let lost = (
        totals.lost_bytes,
        totals.skipped_bytes,
        totals.unpaired,
        totals.conflicting_bytes,
    );
    assert_eq!(lost, (0, 0, 0, 0), "{totals:?}");
    for connection in connections {
        for is_request in [true, false] {
            let is_its = |seen: &&Seen| {
                seen.is_request == is_request && id_of(seen) / 100 == u32::from(connection.port)
            };
            let lines: Vec<_> = seen
                .iter()
                .filter(is_its)
                .map(|seen| {
                    assert!(!seen.cut && seen.lost == 0 && !seen.oversized);
                    let body = seen.body.escape_ascii();
                    format!("{} {} {} {body}", seen.status, seen.method, seen.target)
                })
                .collect();
            assert_eq!(lines, expected(connection, is_request));
        }
    }
    let mut requests = HashMap::new();
    for seen in &seen {
        if seen.is_request {
            assert!(requests.insert(seen.exchange, id_of(seen)).is_none());
        } else {
            assert_eq!(
                requests.get(&seen.exchange),
                Some(&id_of(seen)),
                "a reply before its request"
            );
        }
    }
}

/// Every message that is not marked is right, and every reply that is paired is so rightly.
fn check_marked(packets: &[Tcp], connections: &[Connection], sent: u64) {
    let (seen, totals) = run(packets);
    assert_eq!(totals.stream_bytes + totals.lost_bytes, sent, "{totals:?}");
    let all: HashMap<u32, &Exchange> = connections
        .iter()
        .flat_map(|connection| &connection.exchanges)
        .map(|exchange| (exchange.id, exchange))
        .collect();
    for seen in &seen {
        let exchange = all[&id_of(seen)];
        if seen.paired {
            assert_eq!(seen.method, exchange.method, "{}", seen.line());
            assert_eq!(seen.target, exchange.target(), "{}", seen.line());
        }
        if seen.paired && !seen.cut && seen.lost == 0 {
            let body = if seen.is_request {
                &exchange.request_body
            } else {
                &exchange.body
            };
            assert_eq!(&seen.body, body, "{}", seen.line());
        }
    }
}

/// More of them by an environment variable.
fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(300)
}

fn styles() -> impl Strategy<Value = Style> {
    prop_oneof![
        3 => Just(Style::Turns),
        2 => (2..4_usize).prop_map(Style::Bursts),
        1 => (2..4_usize).prop_map(Style::Window),
    ]
}

fn connections(random: &mut fastrand::Rng, styles: &[Style]) -> Vec<Connection> {
    let ports = 40_000..;
    let make = |(style, port): (&Style, u16)| generate::connection(random, port, *style);
    styles.iter().zip(ports).map(make).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn disorder_and_repetition_change_nothing(
        seed in any::<u64>(),
        styles in proptest::collection::vec(styles(), 1..4),
        window in 0..6_usize,
    ) {
        let random = &mut fastrand::Rng::with_seed(seed);
        let mut connections = connections(random, &styles);
        check_all(&generate::interleave(random, &connections), &connections);
        for connection in &mut connections {
            let packets = std::mem::take(&mut connection.packets);
            let packets = generate::repeat(random, packets);
            connection.packets = generate::shuffle(random, packets, window);
        }
        check_all(&generate::interleave(random, &connections), &connections);
    }

    #[test]
    fn what_is_lost_is_marked(
        seed in any::<u64>(),
        styles in proptest::collection::vec(styles(), 1..4),
        one_in in prop_oneof![Just(3_u32), Just(10), Just(30)],
        window in prop_oneof![Just(0_usize), 0..4_usize],
    ) {
        let random = &mut fastrand::Rng::with_seed(seed);
        let mut connections = connections(random, &styles);
        let mut sent = 0;
        for connection in &mut connections {
            let packets = std::mem::take(&mut connection.packets);
            sent += packets.iter().map(|packet| packet.payload.len() as u64).sum::<u64>();
            let kept = packets
                .into_iter()
                .filter(|packet| packet.payload.is_empty() || random.u32(..one_in) != 0)
                .collect();
            connection.packets = generate::shuffle(random, kept, window);
        }
        let packets = generate::interleave(random, &connections);
        check_marked(&packets, &connections, sent);
    }

    #[test]
    fn packets_cut_by_the_capture_are_marked(
        seed in any::<u64>(),
        styles in proptest::collection::vec(styles(), 1..4),
        snaplen in 54..400_usize,
    ) {
        let random = &mut fastrand::Rng::with_seed(seed);
        let mut connections = connections(random, &styles);
        let mut sent = 0;
        for packet in connections.iter_mut().flat_map(|connection| &mut connection.packets) {
            sent += packet.payload.len() as u64;
            packet.cut = (54 + packet.payload.len()).saturating_sub(snaplen);
        }
        let packets = generate::interleave(random, &connections);
        check_marked(&packets, &connections, sent);
    }
}
