//! `isukit decode` against what really was sent: the contest, captured by tcpdump, plain, behind nginx that
//! compresses, and through TLS; held against a proxy that kept every byte, tshark and protoc.

// Failing here is failing a test.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[path = "../../scenarios/contest/target/tests/support/in_process.rs"]
mod in_process;
mod support;

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use contest_target::Options;
use in_process::Server;
use isukit_proto::{JsonOptions, JsonParseOptions, Schema, TextOptions};
use serde_json::Value;
use support::decode::{Shown, call, pipe, protos, request, schema};
use support::wire::{Exchange, Nginx, Recorder, Tcpdump};

/// The type of a request's body; none for a route whose requests have none.
fn asked_type(method: &str, url: &str) -> Option<&'static str> {
    let parts: Vec<&str> = url.split('?').next()?.split('/').skip(1).collect();
    Some(match (method, parts.as_slice()) {
        ("POST", ["initialize"]) => "contest.v1.InitializeRequest",
        ("POST", ["api", "signup"]) => "contest.v1.SignupRequest",
        ("POST", ["api", "login"]) => "contest.v1.LoginRequest",
        ("POST", ["api", "teams"]) => "contest.v1.CreateTeamRequest",
        ("POST", ["api", "teams", _, "members"]) => "contest.v1.JoinTeamRequest",
        ("POST", ["api", "jobs"]) => "contest.v1.EnqueueJobRequest",
        ("POST", ["api", "clarifications"]) => "contest.v1.AskRequest",
        ("POST", ["api", "staff", "clarifications", _]) => "contest.v1.AnswerRequest",
        ("POST", ["worker", "jobs", "receive"]) => "contest.v1.ReceiveJobRequest",
        ("POST", ["worker", "jobs", _, "report"]) => "contest.v1.ReportJobRequest",
        _ => return None,
    })
}

/// A contest that was captured, and what was really sent.
struct Captured {
    folder: tempfile::TempDir,
    truth: Vec<Exchange>,
    port: u16,
}

impl Captured {
    fn file(&self) -> PathBuf {
        self.folder.path().join("app.pcap")
    }

    fn decode(&self, file: &Path, more: &[&str]) -> Shown {
        let (protos, file) = (protos("contest"), file.display().to_string());
        let mut args = vec!["decode", "--proto", &protos, &file];
        args.extend(more);
        let shown = call(&args, b"");
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        shown
    }
}

/// Run the contest through a proxy that keeps every byte, with nginx before it if asked for.
fn captured(with_nginx: bool) -> Option<Captured> {
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            fixes: "all".parse().unwrap(),
            ..Options::default()
        };
        let portal = Server::start(options);
        let recorder = Recorder::start(portal.address);
        let nginx = with_nginx.then(|| Nginx::start(&recorder.address().to_string(), None));
        let port = match &nginx {
            Some(nginx) => nginx.port,
            None => recorder.address().port(),
        };
        let tcpdump = Tcpdump::start(port, &folder.path().join("app.pcap"))?;
        let asked = nginx.as_ref().map_or(port, |nginx| nginx.front);
        let target = format!("http://127.0.0.1:{asked}");
        let scenario = protos("contest");
        let ran = support::run(&[&scenario, "--target", &target, "--duration", "2s"]);
        // How it ends is for other tests: here it only makes traffic.
        assert!(ran.report()["requests"].as_u64().unwrap() > 100, "{ran:?}");
        if tcpdump.finish() {
            return Some(Captured {
                truth: recorder.exchanges(),
                folder,
                port,
            });
        }
        eprintln!("packets were dropped on the way to tcpdump: once more");
    }
    eprintln!("SKIPPED: tcpdump does not keep up here");
    None
}

/// What was decoded of one exchange: requests and replies by their number.
fn pairs(bodies: &[Value]) -> BTreeMap<u64, [Option<&Value>; 2]> {
    let mut pairs: BTreeMap<u64, [Option<&Value>; 2]> = BTreeMap::new();
    for line in bodies {
        let side = usize::from(line["direction"] == "response");
        let pair = pairs.entry(line["exchange"].as_u64().unwrap()).or_default();
        assert!(pair[side].is_none(), "twice: {line}");
        pair[side] = Some(line);
    }
    pairs
}

/// The JSON of a body as it was sent.
fn expected(schema: &Schema, kind: Option<&str>, body: &[u8]) -> Value {
    match kind {
        Some(kind) => {
            let mut json = Vec::new();
            let message = schema.message(kind).unwrap();
            message
                .to_json(body, &JsonOptions::new(), &mut json)
                .unwrap();
            serde_json::from_slice(&json).unwrap()
        }
        None => String::from_utf8(body.to_vec()).unwrap().into(),
    }
}

/// Every exchange that was decoded was sent so: method, URL, status, type and content of both bodies.
#[track_caller]
fn check_bodies(bodies: &[Value], truth: &[Exchange]) {
    let schema = schema("contest");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    // Without the body of the request where its type does not exist.
    let mut sent: HashMap<String, i64> = HashMap::new();
    let mut with_reply = 0_i64;
    for exchange in truth {
        let asked = asked_type(&exchange.method, &exchange.url);
        let asked = asked.map(|kind| expected(&schema, Some(kind), &exchange.request));
        let named = exchange.named();
        if exchange.reply.is_empty() && named.is_none() {
            continue;
        }
        with_reply += 1;
        let told = expected(&schema, named, &exchange.reply);
        let key = format!(
            "{} {} {asked:?} {} {named:?} {told} {}",
            exchange.method,
            exchange.url,
            exchange.status,
            exchange.reply.len()
        );
        *sent.entry(key).or_default() += 1;
    }
    let mut seen = 0;
    for pair in pairs(bodies).values() {
        let [asked, Some(told)] = pair else { continue };
        assert_eq!(told["error"], Value::Null, "{told}");
        let kind = asked_type(&text(&told["method"]), &text(&told["url"]));
        let asked = kind.map(|kind| {
            let asked = asked.unwrap_or_else(|| panic!("no request of {told}"));
            assert_eq!(asked["type"], kind, "{asked}");
            assert_eq!(asked["error"], Value::Null, "{asked}");
            asked["message"].clone()
        });
        let key = format!(
            "{} {} {asked:?} {} {:?} {} {}",
            text(&told["method"]),
            text(&told["url"]),
            told["status"],
            told["type"].as_str(),
            told["message"],
            told["bytes"]
        );
        let left = sent.get_mut(&key);
        let left = left.unwrap_or_else(|| panic!("never sent: {key}"));
        *left -= 1;
        assert!(*left >= 0, "more often than sent: {key}");
        seen += 1;
    }
    // Those that were cut when the run ended reached the proxy alone.
    assert!(
        seen <= with_reply && seen + 10 >= with_reply,
        "{seen} of {with_reply}"
    );
    assert!(seen > 100, "{seen}");
}

#[test]
fn the_contest_is_decoded_as_it_was_sent() {
    let Some(captured) = captured(false) else {
        return;
    };
    let shown = captured.decode(&captured.file(), &[]);
    let bodies = shown.bodies();
    check_bodies(&bodies, &captured.truth);
    let summary = shown.summary();
    for key in ["lost_bytes", "undecoded"] {
        assert_eq!(summary[key], 0, "{summary:#}");
    }
    assert_eq!(summary["capture"]["unpaired"], 0, "{summary:#}");
    check_with_tshark(&captured, &summary, &bodies);
    check_with_protoc(&captured.truth);
    check_inference(&captured);
}

/// tshark sees as many requests, replies and bodies.
fn check_with_tshark(captured: &Captured, summary: &Value, bodies: &[Value]) {
    let tshark = |filter: &str, field: &str| -> Vec<String> {
        let mut command = Command::new("tshark");
        command
            .arg("-r")
            .arg(captured.file())
            .args(["-d", &format!("tcp.port=={},http", captured.port)])
            .args(["-o", "tcp.reassemble_out_of_order:TRUE"])
            .args(["-Y", filter, "-T", "fields", "-e", field]);
        let shown = pipe(command, b"");
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        shown.text().lines().map(str::to_owned).collect()
    };
    let requests = tshark("http.request", "http.request.method");
    let replies = tshark("http.response", "http.response.code");
    assert_eq!(summary["capture"]["requests"], requests.len());
    assert_eq!(summary["capture"]["responses"], replies.len());
    let by_status = |status: &str| replies.iter().filter(|code| *code == status).count();
    let decoded = |status: u64| {
        let of = bodies.iter().filter(|line| line["status"] == status);
        of.count()
    };
    assert_eq!(decoded(403), by_status("403"));
    // The length of every body that is not empty.
    let mut lengths: Vec<u64> = tshark("http.content_length > 0", "http.content_length")
        .iter()
        .map(|length| length.parse().unwrap())
        .collect();
    let mut own: Vec<u64> = bodies
        .iter()
        .filter_map(|line| line["wire_bytes"].as_u64().filter(|bytes| *bytes > 0))
        .collect();
    lengths.sort_unstable();
    own.sort_unstable();
    assert_eq!(own, lengths);
}

/// protoc reads 50 bodies of all types as the text that ours is.
fn check_with_protoc(truth: &[Exchange]) {
    let schema = schema("contest");
    let protos = protos("contest");
    let mut of_type: HashMap<&str, usize> = HashMap::new();
    let mut checked = 0;
    for exchange in truth {
        let asked = asked_type(&exchange.method, &exchange.url);
        let both = [
            (asked, &exchange.request),
            (exchange.named(), &exchange.reply),
        ];
        for (kind, body) in both {
            let Some(kind) = kind.filter(|_| !body.is_empty() && checked < 50) else {
                continue;
            };
            let count = of_type.entry(kind).or_default();
            if *count == 4 {
                continue;
            }
            *count += 1;
            let mut command = Command::new("protoc");
            command.args([&format!("--decode={kind}"), "-I", &protos, "contest.proto"]);
            let theirs = pipe(command, body);
            assert_eq!(theirs.code, 0, "{theirs:?}");
            let mut ours = Vec::new();
            let message = schema.message(kind).unwrap();
            message
                .to_text(body, &TextOptions::new(), &mut ours)
                .unwrap();
            assert_eq!(theirs.text(), String::from_utf8(ours).unwrap(), "{kind}");
            checked += 1;
        }
    }
    assert!(checked >= 45, "{checked}");
}

/// Without the names in the Content-Type, types are found by routes and bodies.
fn check_inference(captured: &Captured) {
    let mut bytes = std::fs::read(captured.file()).unwrap();
    let mut truth: HashMap<(u64, bool), String> = HashMap::new();
    for line in captured.decode(&captured.file(), &[]).bodies() {
        let key = (line["exchange"].as_u64().unwrap(), line["status"].is_null());
        let kind = match line["status"].is_null() {
            true => asked_type(
                line["method"].as_str().unwrap(),
                line["url"].as_str().unwrap(),
            ),
            false => line["type"].as_str(),
        };
        truth.extend(kind.map(|kind| (key, kind.to_owned())));
    }
    // Another name of the same length leaves all lengths of packets as they are.
    let (name, other) = (b"; proto=contest.v1.", b"; other=contest.v1.");
    let mut at = 0;
    while let Some(found) = memchr::memmem::find(&bytes[at..], name) {
        at += found;
        bytes[at..at + name.len()].copy_from_slice(other);
    }
    let stripped = captured.folder.path().join("stripped.pcap");
    std::fs::write(&stripped, bytes).unwrap();
    let bodies = captured.decode(&stripped, &[]).bodies();
    // Right at first place, among the candidates, and all: of each route, side and kind of reply.
    let mut routes: BTreeMap<String, [u32; 3]> = BTreeMap::new();
    for line in &bodies {
        let key = (line["exchange"].as_u64().unwrap(), line["status"].is_null());
        let Some(kind) = truth.get(&key) else {
            continue;
        };
        let route = format!("{} {kind}", line["route"]);
        let [first, among, all] = routes.entry(route).or_default();
        *all += 1;
        *first += u32::from(line["type"] == kind.as_str());
        let candidates = line["candidates"].as_array().unwrap();
        *among += u32::from(candidates.iter().any(|name| name == kind.as_str()));
    }
    let known: Vec<_> = routes.iter().filter(|(_, [.., all])| *all >= 20).collect();
    assert!(known.len() >= 8, "{routes:#?}");
    let sum = |of: usize| known.iter().map(|(_, counts)| counts[of]).sum::<u32>();
    assert!(f64::from(sum(0)) >= 0.95 * f64::from(sum(2)), "{routes:#?}");
    for (route, [_, among, all]) in &routes {
        assert_eq!(among, all, "{route}: {routes:#?}");
    }
}

#[test]
fn what_nginx_compressed_is_decoded_as_it_was_sent() {
    let Some(captured) = captured(true) else {
        return;
    };
    let shown = captured.decode(&captured.file(), &[]);
    let bodies = shown.bodies();
    check_bodies(&bodies, &captured.truth);
    let compressed = bodies.iter().filter(|line| {
        line["content"] == "protobuf" && line["wire_bytes"].as_u64() < line["bytes"].as_u64()
    });
    assert!(compressed.count() > 20, "nginx did not compress");
    let raw = std::fs::read(captured.file()).unwrap();
    assert!(memchr::memmem::find(&raw, b"Transfer-Encoding: chunked").is_some());
}

/// Writes secrets down as browsers do.
#[derive(Debug, Default)]
struct Secrets(Mutex<String>);

impl rustls::KeyLog for Secrets {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        let line = format!("{label} {} {}\n", hex(client_random), hex(secret));
        self.0.lock().unwrap().push_str(&line);
    }
}

/// Sign up through TLS: the requests, one after another on one connection, and the secrets.
fn sign_up(nginx: &Nginx, bodies: &[Vec<u8>]) -> String {
    let secrets = Arc::new(Secrets::default());
    let mut roots = rustls::RootCertStore::empty();
    let der = std::fs::read(nginx.folder.path().join("cert.der")).unwrap();
    roots.add(der.into()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.key_log = Arc::clone(&secrets) as Arc<dyn rustls::KeyLog>;
    let name = "localhost".try_into().unwrap();
    let session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(("127.0.0.1", nginx.port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut tls = rustls::StreamOwned::new(session, stream);
    let headers = "Accept-Encoding: gzip\r\nContent-Type: application/vnd.google.protobuf\r\n";
    for (at, body) in bodies.iter().enumerate() {
        let last = match at + 1 == bodies.len() {
            true => "Connection: close\r\n",
            false => "",
        };
        let asked = request("POST /api/login", &format!("{headers}{last}"), body);
        tls.write_all(&asked).unwrap();
        // What it says is short and ends with the last chunk, or with the connection.
        let mut told = Vec::new();
        let mut piece = [0; 4096];
        while !told.ends_with(b"\r\n0\r\n\r\n") {
            match tls.read(&mut piece) {
                Ok(length @ 1..) => told.extend_from_slice(&piece[..length]),
                _ => break,
            }
        }
        assert!(told.starts_with(b"HTTP/1.1 403"), "{told:?}");
    }
    let secrets = secrets.0.lock().unwrap();
    secrets.clone()
}

#[track_caller]
fn check_tls(version: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let portal = Server::start(Options::default());
    let recorder = Recorder::start(portal.address);
    let nginx = Nginx::start(&recorder.address().to_string(), Some(version));
    let Some(tcpdump) = Tcpdump::start(nginx.port, &path("tls.pcap")) else {
        return;
    };
    let kind = schema("contest").message("LoginRequest").unwrap();
    let bodies: Vec<Vec<u8>> = (0..12)
        .map(|at| {
            let json = format!(r#"{{"contestantId": "nobody-{at}", "password": "x"}}"#);
            let mut bytes = Vec::new();
            kind.from_json(json.as_bytes(), &JsonParseOptions::new(), &mut bytes)
                .unwrap();
            bytes
        })
        .collect();
    let secrets = sign_up(&nginx, &bodies);
    let (protos, file) = (protos("contest"), path("tls.pcap").display().to_string());
    assert!(tcpdump.finish(), "a few packets are never dropped");
    let without = call(&["decode", "--proto", &protos, &file], b"");
    assert_eq!(without.code, 2);
    assert!(without.stderr.contains("--keylog"), "{without:?}");
    std::fs::write(path("keys.log"), secrets).unwrap();
    let keys = path("keys.log").display().to_string();
    let args = ["decode", "--proto", &protos, "--keylog", &keys, &file];
    let shown = call(&args, b"");
    assert_eq!(shown.code, 0, "{shown:?}");
    let lines = shown.bodies();
    let truth = recorder.exchanges();
    assert_eq!((lines.len(), truth.len()), (24, 12), "{shown:?}");
    for (pair, exchange) in lines.chunks(2).zip(&truth) {
        let [asked, told] = pair else { unreachable!() };
        let kinds = (&asked["type"], &told["type"]);
        assert_eq!(kinds.0, "contest.v1.LoginRequest");
        assert_eq!(kinds.1, "contest.v1.Error");
        let schema = schema("contest");
        let both = [
            (asked, "LoginRequest", &exchange.request),
            (told, "Error", &exchange.reply),
        ];
        for (line, kind, body) in both {
            assert_eq!(line["message"], expected(&schema, Some(kind), body));
            assert_eq!(line["error"], Value::Null);
        }
    }
}

#[test]
fn tls_is_decrypted_with_a_key_log() {
    check_tls("TLSv1.2");
    check_tls("TLSv1.3");
}
