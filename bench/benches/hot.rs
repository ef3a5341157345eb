//! What the engine does for each request besides the system calls: `cargo bench -p isukit`.

// A benchmark that cannot be set up has nothing to say.
#![allow(clippy::unwrap_used)]

use divan::{Bencher, black_box};
use isukit::check::{Check, Subject};
use isukit::http1::request::{Body, Request, SlotText, SlotValues};
use isukit_analyze::http1::limits::ReplyLimits;
use isukit_analyze::http1::{Head, HeadCache, ReplyReader, Want};
use isukit_analyze::latency::Latencies;
use isukit_proto::{JsonParseOptions, Message, Schema};

fn main() {
    divan::main();
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n\
    Date: Fri, 20 Nov 2026 12:00:00 GMT\r\nContent-Type: application/vnd.google.protobuf\r\n\
    Content-Length: 292\r\nLast-Modified: Fri, 20 Nov 2026 11:00:00 GMT\r\n\
    Connection: keep-alive\r\nETag: \"6917a5b0-124\"\r\nAccept-Ranges: bytes\r\n\r\n";

fn schema() -> Schema {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/teams");
    Schema::compile(&[folder.into()]).unwrap()
}

/// A team with ten members, about 290 bytes.
fn team() -> (Message, Vec<u8>) {
    let message = schema().message("GetTeamResponse").unwrap();
    let members: Vec<_> = (0..10)
        .map(|n| {
            let name = format!("member-number-{n}");
            serde_json::json!({"id": (70_000 + n).to_string(), "name": name, "role": "ROLE_MEMBER"})
        })
        .collect();
    let team = serde_json::json!({"id": "7", "name": "team-seven", "members": members});
    let json = serde_json::json!({ "team": team }).to_string();
    let mut bytes = Vec::new();
    let options = JsonParseOptions::default();
    message
        .from_json(json.as_bytes(), &options, &mut bytes)
        .unwrap();
    (message, bytes)
}

#[divan::bench]
fn head_of_a_reply(bencher: Bencher<'_, '_>) {
    bencher.bench(|| Head::parse(black_box(HEAD.as_bytes())).unwrap());
}

#[divan::bench]
fn reply_in_one_read(bencher: Bencher<'_, '_>) {
    let input = [HEAD.as_bytes(), &[b'x'; 292]].concat();
    let want = Want {
        head_request: false,
        body: true,
    };
    let mut reader = ReplyReader::default();
    let mut heads = HeadCache::default();
    bencher.bench_local(|| {
        reader.reset();
        reader
            .feed(black_box(&input), want, &ReplyLimits::default(), &mut heads)
            .unwrap()
    });
}

#[divan::bench]
fn reply_in_two_reads(bencher: Bencher<'_, '_>) {
    let input = [HEAD.as_bytes(), &[b'x'; 292]].concat();
    let want = Want {
        head_request: false,
        body: true,
    };
    let mut reader = ReplyReader::default();
    let mut heads = HeadCache::default();
    bencher.bench_local(|| {
        reader.reset();
        for piece in [&input[..400], &input[400..]] {
            black_box(
                reader
                    .feed(black_box(piece), want, &ReplyLimits::default(), &mut heads)
                    .unwrap(),
            );
        }
    });
}

#[divan::bench]
fn request_with_slots(bencher: Bencher<'_, '_>) {
    let message = schema().message("CreateTeamRequest").unwrap();
    let body = Body::message(&message, r#"{"name": "team-${seq}", "memberNames": ["a"]}"#).unwrap();
    let headers = [("Host".to_owned(), "127.0.0.1:8080".to_owned())];
    let path = SlotText::parse("/api/teams?user=${user}").unwrap();
    let request = Request::new("POST", path, &headers, body).unwrap();
    let mut out = Vec::new();
    let mut values = SlotValues::default();
    bencher.bench_local(|| {
        out.clear();
        values.seq += 1;
        request.render(black_box(&values), &mut out).unwrap()
    });
}

fn check(bencher: Bencher<'_, '_>, expression: &str, compiled: bool) {
    let (message, body) = team();
    let check = Check::new(expression, Some(&message)).unwrap();
    assert_eq!(check.is_compiled(), compiled);
    let subject = Subject {
        status: 200,
        body_bytes: body.len() as u64,
        body: &body,
    };
    bencher.bench(|| check.holds(black_box(&subject)).unwrap());
}

#[divan::bench]
fn check_compiled(bencher: Bencher<'_, '_>) {
    check(bencher, "team.id == 7 && size(team.members) == 10", true);
}

#[divan::bench]
fn check_interpreted(bencher: Bencher<'_, '_>) {
    check(
        bencher,
        "team.id == 7 && team.members.all(m, m.id > 0)",
        false,
    );
}

#[divan::bench]
fn latency_recorded(bencher: Bencher<'_, '_>) {
    let mut latencies = Latencies::new();
    let mut ns = 400_000;
    bencher.bench_local(|| {
        ns = ns * 33 % 1_000_003 + 100;
        latencies.record(black_box(ns));
    });
}

/// Eight unequal nodes and twelve services, two of which may be on two nodes; by another seed.
fn plan(seed: u64) -> isukit_analyze::placement::Plan {
    use isukit_analyze::placement::{Node, Plan, Service};
    let mut random = fastrand::Rng::with_seed(seed);
    let nodes = (0..8).map(|node| Node {
        name: format!("n{node}"),
        cores: f64::from(random.u32(1..=8)),
        memory_mb: 1024.0 * f64::from(random.u32(1..=4)),
        ..Node::default()
    });
    let nodes = nodes.collect();
    let services = (0..12).map(|service| Service {
        name: format!("s{service}"),
        demand_ms: random.f64() * 10.0 + 0.1,
        memory_mb: 100.0 + random.f64() * 500.0,
        max_replicas: if service < 2 { 2 } else { 1 },
        ..Service::default()
    });
    Plan {
        nodes,
        services: services.collect(),
        ..Plan::default()
    }
}

#[divan::bench(args = [1, 2, 3, 4, 5, 6, 7, 8])]
fn place_12_services_on_8_nodes(bencher: Bencher<'_, '_>, seed: u64) {
    let plan = plan(seed);
    bencher.bench(|| isukit_analyze::placement::rank(black_box(&plan), 1));
}
