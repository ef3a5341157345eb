//! `isukit digest` beside pt-query-digest, on logs that a real MariaDB wrote and on written ones.

// Failing here is failing a test.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod support;

// The portal's own tests use the rest of it.
#[allow(dead_code)]
#[path = "../../scenarios/contest/target/tests/support/mariadb.rs"]
mod mariadb;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use mariadb::MariaDb;
use serde_json::Value;
use support::logs::{digest, slow};

/// What both say of a group: count, then sum, least and most of the query time in microseconds, then rows examined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Figures {
    count: u64,
    sum_us: u64,
    min_us: u64,
    max_us: u64,
    rows_examined: u64,
}

fn microseconds(text: &str) -> u64 {
    (text.parse::<f64>().unwrap() * 1e6).round() as u64
}

/// What pt-query-digest says, by its ids; none where it is not installed.
fn peer(log: &Path) -> Option<BTreeMap<String, Figures>> {
    let peer = Command::new("pt-query-digest")
        .args(["--limit", "100%", "--output", "json", "--no-version-check"])
        .arg(log)
        .stdin(Stdio::null())
        .output();
    let Ok(peer) = peer else {
        println!("skipped: pt-query-digest is not installed (scripts/setup installs it)");
        return None;
    };
    let said: Value = serde_json::from_slice(&peer.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&peer.stderr)));
    let classes = said["classes"].as_array().unwrap().iter();
    let figures = classes.map(|class| {
        let metric = |name: &str, of: &str| {
            class["metrics"][name][of]
                .as_str()
                .unwrap_or("0")
                .to_owned()
        };
        let figures = Figures {
            count: class["query_count"].as_u64().unwrap(),
            sum_us: microseconds(&metric("Query_time", "sum")),
            min_us: microseconds(&metric("Query_time", "min")),
            max_us: microseconds(&metric("Query_time", "max")),
            rows_examined: metric("Rows_examined", "sum").parse().unwrap(),
        };
        (class["checksum"].as_str().unwrap().to_owned(), figures)
    });
    Some(figures.collect())
}

fn ours(log: &Path) -> BTreeMap<String, Figures> {
    let ran = digest([log.to_str().unwrap(), "--pt-compat", "--format", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let groups = report["groups"].as_array().unwrap().iter();
    let us = |value: &Value| (value.as_f64().unwrap() * 1e6).round() as u64;
    let figures = groups.map(|group| {
        let figures = Figures {
            count: group["count"].as_u64().unwrap(),
            sum_us: us(&group["total_s"]),
            min_us: us(&group["min_s"]),
            max_us: us(&group["max_s"]),
            rows_examined: group["sql"]["rows_examined"].as_u64().unwrap(),
        };
        (group["id"].as_str().unwrap().to_owned(), figures)
    });
    figures.collect()
}

#[track_caller]
fn check(log: &Path) {
    let Some(theirs) = peer(log) else {
        return;
    };
    let ours = ours(log);
    for (id, figures) in &theirs {
        assert_eq!(ours.get(id), Some(figures), "{id}");
    }
    let unknown: Vec<_> = ours.keys().filter(|id| !theirs.contains_key(*id)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn a_mysql_8_log_comes_to_what_pt_query_digest_says() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("slow.log");
    fs::write(&log, slow(2_000).concat()).unwrap();
    check(&log);
}

/// The same entries as MySQL 5.7 writes them with its default of UTC, and with old times of day.
#[test]
fn a_mysql_5_log_comes_to_what_pt_query_digest_says() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("slow.log");
    let old = slow(700)
        .concat()
        .replace("Version: 8.0.22", "Version: 5.7.31");
    // Until 5.6 the time stood there only when the second had changed, in the server's zone.
    let mut last = String::new();
    let mut older = String::new();
    for line in old.split_inclusive('\n') {
        match line.strip_prefix("# Time: 2026-11-20T") {
            Some(time) if time[..8] == last => {}
            Some(time) => {
                last = time[..8].to_owned();
                older += &format!("# Time: 261120 {last}\n");
            }
            None => older += line,
        }
    }
    for text in [old, older] {
        fs::write(&log, text).unwrap();
        check(&log);
    }
}

#[test]
fn a_log_of_a_real_mariadb_comes_to_what_pt_query_digest_says() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("slow.log");
    let file = format!("--slow-query-log-file={}", log.display());
    // The server may run as another user.
    open_to_all(folder.path());
    let server = MariaDb::start(&["--slow-query-log", &file, "--long-query-time=0"]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(workload(&server.url()));
    drop(server);
    let report: Value =
        serde_json::from_str(&digest([log.to_str().unwrap(), "--format", "json"]).stdout).unwrap();
    assert!(report["events"].as_u64().unwrap() >= 400, "{report:#}");
    assert_eq!(report["skipped"].as_u64(), Some(0), "{report:#}");
    check(&log);
}

fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

/// Statements of a few shapes. No USE in it: pt-query-digest loses what comes behind one.
async fn workload(url: &str) {
    use mysql_async::prelude::Queryable;
    let opts = mysql_async::OptsBuilder::from_opts(mysql_async::Opts::from_url(url).unwrap());
    let mut conn = mysql_async::Conn::new(opts.prefer_socket(false))
        .await
        .unwrap();
    conn.query_drop("CREATE TABLE items (id INT PRIMARY KEY, owner INT, name VARCHAR(40))")
        .await
        .unwrap();
    for n in 0..100 {
        conn.query_drop(format!(
            "INSERT INTO items VALUES ({n}, {}, 'it''s item {n}')",
            n % 7
        ))
        .await
        .unwrap();
    }
    for n in 0..100 {
        let sql = format!(
            "SELECT name FROM items WHERE owner = {} ORDER BY name LIMIT {}",
            n % 7,
            n % 5 + 1
        );
        let _: Vec<String> = conn.query(sql).await.unwrap();
        let sql = format!("SELECT COUNT(*) FROM items WHERE id IN ({}, {n})", n / 2);
        let _: Option<u64> = conn.query_first(sql).await.unwrap();
        let _: Vec<String> = conn
            .exec("SELECT name FROM items WHERE id = ?", (n,))
            .await
            .unwrap();
    }
    conn.disconnect().await.unwrap();
}
