//! The access log and the slow log.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use contest_target::messages::*;
use contest_target::{Fixes, Options};

use crate::client::{PROTOBUF, Visitor, ask, raw, send};
use crate::in_process::Server;

/// Method, path, headers, body, and the status of the reply.
type Request<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a [u8], u16);

#[test]
fn each_request_has_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let server = Server::start(Options {
        access_log: Some(log.clone()),
        ..Options::default()
    });
    let proto = ("Content-Type", PROTOBUF);
    let odd = ("User-Agent", "a \"quoted\"\tone\\");
    let requests: [Request<'_>; 8] = [
        ("GET", "/api/session?x=1", &[proto, odd], b"", 200),
        ("GET", "/api/session", &[], b"", 400),
        ("POST", "/api/login", &[proto], b"\xff\xff", 400),
        ("GET", "/api/dashboard", &[proto], b"", 401),
        ("GET", "/api/nothing", &[proto], b"", 404),
        ("DELETE", "/api/jobs", &[proto], b"", 405),
        (
            "HEAD",
            "/assets/app.css",
            &[("Referer", "http://portal/")],
            b"",
            200,
        ),
        ("GET", "/", &[], b"", 200),
    ];
    let mut sizes = Vec::new();
    for (method, path, headers, body, status) in requests {
        let reply = send(server.address, method, path, headers, body);
        assert_eq!(reply.status, status, "{path}");
        sizes.push(reply.body.len());
    }
    raw(server.address, b"\x16\x03\x01 this is no HTTP\r\n\r\n");
    drop(server);
    let lines = ltsv(&log);
    assert_eq!(lines.len(), requests.len() + 1);
    for ((line, (method, path, _, body, status)), size) in lines.iter().zip(requests).zip(sizes) {
        assert_eq!(line["method"], method);
        assert_eq!(line["uri"], path);
        assert_eq!(line["status"], status.to_string());
        assert_eq!(line["size"], size.to_string());
        assert_eq!(line["reqsize"], body.len().to_string());
        assert_eq!(
            (line["host"].as_str(), line["protocol"].as_str()),
            ("127.0.0.1", "HTTP/1.1")
        );
        assert!(
            line["time"].ends_with("+00:00") && line["time"].len() == 29,
            "{line:?}"
        );
        for label in ["reqtime", "apptime"] {
            let (_, decimals) = line[label].split_once('.').unwrap();
            assert!(decimals.len() == 6 && line[label].parse::<f64>().unwrap() < 60.0);
        }
    }
    assert_eq!(lines[0]["ua"], "a \\x22quoted\\x22\\x09one\\x5C");
    assert_eq!(
        (lines[6]["ref"].as_str(), lines[7]["ref"].as_str()),
        ("http://portal/", "-")
    );
    assert_eq!(lines[8]["status"], "400");
}

fn ltsv(path: &Path) -> Vec<HashMap<String, String>> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n'));
    let fields = |line: &str| {
        let pairs = line
            .split('\t')
            .map(|it| it.split_once(':').expect("label:value"));
        pairs
            .map(|(label, value)| (label.to_owned(), value.to_owned()))
            .collect()
    };
    text.lines().map(fields).collect()
}

/// An entry of a slow log.
#[derive(Debug)]
struct Entry {
    took: f64,
    sent: u64,
    examined: u64,
    sql: String,
}

/// A parser of MySQL's format, as strict as this log can be.
fn slow(path: &Path) -> Vec<Entry> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    assert!(lines.next().unwrap().contains(", Version: "));
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("Tcp port: 0  Unix socket: ")
    );
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("Time                 Id Command    Argument")
    );
    let mut entries = Vec::new();
    while let Some(time) = lines.next() {
        let time = time.strip_prefix("# Time: ").unwrap();
        assert!(time.len() == 27 && time.ends_with('Z'), "{time}");
        let user = lines.next().unwrap();
        assert!(
            user.starts_with("# User@Host: contest[contest] @ localhost []  Id: "),
            "{user}"
        );
        let mut numbers = lines.next().unwrap().split_whitespace();
        let mut number = |label: &str| {
            assert_eq!(numbers.by_ref().find(|it| it.ends_with(':')), Some(label));
            numbers.next().unwrap().parse::<f64>().unwrap()
        };
        let took = number("Query_time:");
        assert!(number("Lock_time:") <= took);
        let (sent, examined) = (number("Rows_sent:") as u64, number("Rows_examined:") as u64);
        let set = lines.next().unwrap();
        let set = set
            .strip_prefix("SET timestamp=")
            .and_then(|it| it.strip_suffix(';'));
        set.unwrap().parse::<u64>().unwrap();
        let mut sql = lines.next().unwrap().to_owned();
        while !sql.ends_with(';') {
            sql = sql + "\n" + lines.next().unwrap();
        }
        entries.push(Entry {
            took,
            sent,
            examined,
            sql,
        });
    }
    entries
}

/// What a portal with these fixes asks its database while its board is read.
fn board(fixes: &str) -> Vec<Entry> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("slow.log");
    let fixes: Fixes = fixes.parse().unwrap();
    let server = Server::start(Options {
        slow_log: Some(log.clone()),
        fixes,
        ..Options::default()
    });
    for id in ["ann", "bob", "cid"] {
        let request = CreateTeamRequest {
            team_name: format!("it's {id}'s"),
            ..CreateTeamRequest::default()
        };
        let mut visitor = Visitor::signed_up(server.address, id);
        let _: CreateTeamResponse = visitor.post("/api/teams", &request).unwrap();
    }
    let _: DashboardResponse = Visitor::new(server.address)
        .get("/api/audience/dashboard")
        .unwrap();
    drop(server);
    slow(&log)
}

#[test]
fn the_slow_log_has_every_statement_and_shows_what_an_index_does() {
    let unfixed = board("none");
    let of_board = |entries: &[Entry]| {
        let start = entries.iter().rposition(|it| it.sql == "BEGIN;").unwrap();
        let sql = entries[start..].iter().map(|it| it.sql.clone());
        (
            sql.collect::<Vec<_>>(),
            entries[start..].iter().map(|it| it.examined).sum::<u64>(),
        )
    };
    let (statements, examined) = of_board(&unfixed);
    // BEGIN, contest, teams; for each team itself, members, best, latest, count; COMMIT
    assert_eq!(statements.len(), 3 + 3 * 5 + 1, "{statements:#?}");
    assert!(examined > 3 * 30_000, "{examined}");
    let (statements, indexed) = of_board(&board("index"));
    assert_eq!(statements.len(), 3 + 3 * 5 + 1);
    assert!(indexed < 100, "{indexed}");
    let (statements, _) = of_board(&board("nplus1"));
    assert_eq!(statements.len(), 2 + 3 + 1, "{statements:#?}");
    let quoted = unfixed
        .iter()
        .filter(|it| it.sql.contains("'it''s ann''s'"));
    assert_eq!(quoted.count(), 1, "values are filled in");
    assert!(
        unfixed
            .iter()
            .all(|it| it.sent <= it.examined && it.took < 60.0)
    );
    let seeds = unfixed
        .iter()
        .filter(|it| it.sql.starts_with("CREATE TABLE"));
    assert_eq!(seeds.count(), 7);
}

#[test]
fn a_threshold_keeps_fast_statements_out() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("slow.log");
    drop(Server::start(Options {
        slow_log: Some(log.clone()),
        long_query_time: Duration::from_secs(50),
        ..Options::default()
    }));
    assert_eq!(slow(&log).len(), 0);
}

#[test]
fn a_comment_names_the_request() {
    let folder = tempfile::tempdir().unwrap();
    let (access, log) = (
        folder.path().join("access.log"),
        folder.path().join("slow.log"),
    );
    let server = Server::start(Options {
        access_log: Some(access.clone()),
        slow_log: Some(log.clone()),
        sql_comments: true,
        ..Options::default()
    });
    for _ in 0..3 {
        let _: SessionResponse = Visitor::new(server.address).get("/api/session").unwrap();
    }
    drop(server);
    let last = ltsv(&access).pop().unwrap();
    let comment = format!("/* reqid={} */;", last["reqid"]);
    let entries = slow(&log);
    let named = entries.iter().filter(|it| it.sql.ends_with(&comment));
    assert_eq!(named.count(), 1, "{comment}");
}

#[test]
fn nothing_is_read_for_a_client_that_has_gone() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("slow.log");
    let server = Server::start(Options {
        slow_log: Some(log.clone()),
        long_query_time: Duration::ZERO,
        // A dashboard is read three seconds after it was asked for.
        lies: "slow".parse().unwrap(),
        ..Options::default()
    });
    let head = format!(
        "GET /api/audience/dashboard HTTP/1.1\r\nHost: portal\r\nContent-Type: {PROTOBUF}\r\n\r\n"
    );
    let mut waits = ask(server.address, head.as_bytes());
    drop(ask(server.address, head.as_bytes()));
    let mut first = [0; 15];
    waits.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    // The other would be read hardly later.
    std::thread::sleep(Duration::from_secs(1));
    drop(waits);
    drop(server);
    let log = std::fs::read_to_string(&log).unwrap();
    let boards = log
        .matches("SELECT id FROM teams WHERE practice = 0")
        .count();
    assert_eq!(boards, 1, "{log}");
}
