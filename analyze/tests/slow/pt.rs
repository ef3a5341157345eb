//! Our fingerprints and ids beside those of the installed pt-query-digest.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use isukit_analyze::digest::{Batch, Reader as _};
use isukit_analyze::slow::fuzz::whole;
use isukit_analyze::slow::pt::{fingerprint, id, id_of};
use isukit_analyze::slow::{Reader, ShapeStyle};

use crate::hostile::{LITERALS, SHAPES};
use crate::logs::data;

/// Runs the real program's own function over statements with their sizes before them.
const PROGRAM: &str = r#"
use strict; use warnings;
require $ARGV[0];
binmode STDIN; binmode STDOUT;
my $rewriter = QueryRewriter->new();
while (read(STDIN, my $size, 4)) {
    my $query = '';
    read(STDIN, $query, unpack('N', $size)) if unpack('N', $size);
    my $print = $rewriter->fingerprint($query);
    print pack('N', length $print), $print;
}
"#;

/// Where pt-query-digest is, if it is the version whose rules are ours.
fn installed() -> Option<String> {
    let found = Command::new("sh")
        .args([
            "-c",
            "command -v pt-query-digest && pt-query-digest --version",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8(found.stdout).unwrap();
    let mut lines = text.lines();
    let path = lines.next()?.to_owned();
    (lines.next()? == "pt-query-digest 3.2.1").then_some(path)
}

fn theirs(path: &str, statements: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut child = Command::new("perl")
        .args(["-e", PROGRAM, path])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = Vec::new();
    for statement in statements {
        input.extend((statement.len() as u32).to_be_bytes());
        input.extend(statement);
    }
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let mut rest = output.stdout.as_slice();
    let mut prints = Vec::new();
    while let Some((size, text)) = rest.split_first_chunk() {
        let (print, more) = text.split_at(u32::from_be_bytes(*size) as usize);
        prints.push(print.to_vec());
        rest = more;
    }
    prints
}

/// Pieces of statements, some of them strange, put together in every order that chance gives.
const PIECES: &[&str] = &[
    "select ",
    "SELECT ",
    "insert into t ",
    "INSERT INTO t(a) VALUES ",
    "(1,2)",
    ", ",
    "(",
    ")",
    "a",
    "b2",
    " union ",
    " UNION ALL ",
    " union all select ",
    " union select ",
    "select 1",
    "select a from b",
    "\n",
    "\t",
    "  ",
    "\r\n",
    "\x0b",
    "'x'",
    "'it''s'",
    "'a\\'b'",
    "\"q\"",
    "'",
    "\"",
    "\\",
    "-- c\n",
    "-- it's\n",
    "# c\n",
    "#",
    "--",
    "/* c */",
    "/*! c */",
    "/*",
    "*/",
    "/*a.b:1/2*/",
    "-1",
    "+2",
    "1.5e-3",
    "0xFF",
    "0xff",
    "x'4d'",
    "b'1'",
    "a-1",
    "utf8mb4",
    "null",
    " NULL ",
    "true",
    "FALSE",
    " in (1,2)",
    " IN ( 'a' , 'b' )",
    " values ",
    "value (1)",
    "values(1),(2)",
    " limit 1",
    " LIMIT 1, 2",
    " limit 5 offset 9",
    " order by a asc, b ASC",
    " ORDER BY ",
    " asc",
    " ASCII",
    "use db",
    "USE db\n",
    "call p(1)",
    " CALL p.q (",
    "administrator command: Ping",
    "replace into t values (1), (2)",
    "REPLACE IGNORE INTO t VALUES(1),(2) on duplicate key update a=1",
    "SELECT /*!40001 SQL_NO_CACHE */ * FROM `t`",
    "`a1`",
    "é",
    "=",
    " = ",
    ".",
    "..",
    "?",
    "+?",
    "x?",
    ";",
];

fn generated(count: usize) -> Vec<Vec<u8>> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    (0..count)
        .map(|_| {
            let pieces = 1 + random(9);
            let mut text = String::new();
            for _ in 0..pieces {
                text.push_str(PIECES[random(PIECES.len())]);
            }
            text.into_bytes()
        })
        .collect()
}

#[test]
fn fingerprints_are_those_of_the_real_program() {
    let Some(path) = installed() else {
        eprintln!("skipped: pt-query-digest 3.2.1 is not installed (scripts/setup installs it)");
        return;
    };
    let mut statements = generated(40_000);
    for name in ["mysql9", "mariadb1011"] {
        let log = whole(&data(&format!("{name}-slow.log")));
        statements.extend(log.events.into_iter().map(|event| event.statement));
    }
    for (shape, _) in SHAPES {
        for literal in LITERALS {
            statements.push(shape.replace("{s}", literal).into_bytes());
        }
    }
    // The reader's text of an administrator command has a mark that pt-query-digest takes away.
    statements.retain(|statement| !statement.starts_with(b"# administrator"));
    let theirs = theirs(&path, &statements);
    assert_eq!(theirs.len(), statements.len());
    for (statement, theirs) in statements.iter().zip(theirs) {
        let place = format!("{:?}", String::from_utf8_lossy(statement));
        let theirs = String::from_utf8_lossy(&theirs);
        assert_eq!(fingerprint(statement), theirs, "{place:.2000}");
    }
}

#[test]
fn ids_are_those_of_its_report() {
    let Some(path) = installed() else {
        eprintln!("skipped: pt-query-digest 3.2.1 is not installed (scripts/setup installs it)");
        return;
    };
    let log = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/slow/mysql9-slow.log"
    );
    let output = Command::new(path)
        .args([
            "--output",
            "json",
            "--limit",
            "100%",
            "--no-version-check",
            log,
        ])
        .output()
        .unwrap();
    assert!(output.status.success());
    let start = output.stdout.iter().position(|byte| *byte == b'{').unwrap();
    let text = String::from_utf8_lossy(&output.stdout[start..]);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let classes = report["classes"].as_array().unwrap();
    assert!(classes.len() > 80);
    let ours: BTreeSet<String> = whole(&data("mysql9-slow.log"))
        .events
        .iter()
        .map(|event| id_of(&event.statement))
        .collect();
    let mut missing = 0;
    for class in classes {
        let print = class["fingerprint"].as_str().unwrap();
        let checksum = class["checksum"].as_str().unwrap();
        if print.is_ascii() {
            assert_eq!(id(print), checksum, "{print}");
        }
        missing += usize::from(!ours.contains(checksum));
    }
    // What it forges from literals, or takes apart.
    assert!(
        missing <= 12,
        "{missing} of {} classes are not ours",
        classes.len()
    );
}

#[test]
fn rows() {
    fn check(statement: &str, expected: &str) {
        assert_eq!(fingerprint(statement.as_bytes()), expected);
    }
    check(
        "SELECT * FROM t WHERE a-1 = 5",
        "select * from t where a? = ?",
    );
    check("SET NAMES utf8mb4", "set names utf?m?");
    check(
        "# administrator command: Ping",
        "administrator command: Ping",
    );
    check("CALL p(1, 2)", "call p");
    check("use db", "use ?");
    check(
        "select 1 union all select 2 union all select 3",
        "select ? /*repeat union all*/",
    );
    check(
        "insert into t values (1,2),(3,4)",
        "insert into t values(?+)",
    );
    check(
        "select a from t order by a asc, b ASC limit 5, 6",
        "select a from t order by a, b limit ?",
    );
    assert_eq!(id("administrator command: Ping").len(), 32);
}

#[test]
fn records_group_as_fingerprints_do() {
    let log = data("mysql9-slow.log");
    let mut batch = Batch::default();
    let reader = Reader::new(ShapeStyle::PtCompat);
    assert_eq!(reader.parse(&log, true, &mut batch), log.len());
    let mut prints = BTreeMap::new();
    for record in &batch.records {
        let print = fingerprint(record.statement.of(&log, &batch.side));
        assert_eq!(*prints.entry(record.shape).or_insert(print.clone()), print);
    }
    let different: BTreeSet<&String> = prints.values().collect();
    assert_eq!(different.len(), prints.len());
}
