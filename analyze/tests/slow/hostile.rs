//! 44 shapes with hostile literals: 44 groups, nothing leaked, nothing forged. And each hostile case of
//! framing as a row.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use isukit_analyze::slow::fuzz::{in_blocks, whole};
use isukit_analyze::slow::shape::render;

/// A whole event, as an attacker would write it into a comment field.
const FAKE: &str = ";\n# Time: 2026-11-20T10:00:00.000000Z\n# User@Host: leak[leak] @ leak [1.2.3.4]  Id: 987\n\
    # Query_time: 9999.000000  Lock_time: 0.000000 Rows_sent: 1  Rows_examined: 987\n\
    SET timestamp=1795170075;\nDELETE FROM leak WHERE id = 987;\n";

/// Literals whose text must not be seen anywhere: `leak` and 987.
pub(crate) const LITERALS: &[&str] = &[
    "'leak'",
    "987",
    "-987",
    "+987",
    "- 987",
    "987.987",
    ".987",
    "-.987",
    "987e10",
    "9.87E-3",
    "0x987AB",
    "0xABCDEF987",
    "0X987",
    "x'987A'",
    "X'ABCDEF987A'",
    "b'101'",
    "B'101'",
    "0b101",
    "n'leak'",
    "N'leak'",
    "_utf8mb4'leak'",
    "_utf8mb4 'leak'",
    "_binary 'leak'",
    "_latin1 x'987A'",
    "_latin1 0x987A",
    "\"leak\"",
    "\"le'ak\"",
    "'le\"ak'",
    "'O''Leak leak'",
    "'it\\'s leak'",
    "'leak\\\\'",
    "'\\\\'",
    "''",
    "'''leak'",
    "'leak'''",
    "\"leak\\\\\"",
    "\"le\"\"ak\"",
    "'leak' 'leak'",
    "'leak'\n'leak'",
    "'-- leak'",
    "'# leak'",
    "'/* leak'",
    "'leak */'",
    "'leak;\n'",
    "';\n# leak'",
    "'`leak'",
    "'?'",
    "TRUE",
    "false",
    "NULL",
    "DATE '2026-11-20'",
    "TIMESTAMP'2026-11-20 00:00:00'",
    "TIME '10:00:00'",
    "'\u{0}leak\u{1a}'",
    "'\u{1f363}leak'",
    "'2026-11-20'",
    "'987'",
    "'%leak%'",
    "/* leak */ 987",
    "-- leak's\n 987",
    "# leak's\n 987",
    "'leak\nSET timestamp=1;\nuse leak;\n'",
    "'/usr/sbin/mysqld, Version: 8.0.0 (leak). started with:\nTcp port: 3306  Unix socket: /leak\nTime   Id Command    Argument\n'",
    "{fake}",
    "{fake2}",
];

/// Statements with a literal for each `{s}`; `{n}` marks what repeats, from 1 to 40 times.
pub(crate) const SHAPES: [(&str, Repeat); 44] = [
    ("SELECT * FROM t01 WHERE a = {s}", Repeat::No),
    ("SELECT * FROM t02 WHERE a IN ({s})", Repeat::In),
    (
        "SELECT * FROM t03 WHERE a NOT IN ({s}) AND b = {s}",
        Repeat::In,
    ),
    (
        "SELECT * FROM t04 WHERE (a, b) IN (({s}, {s}))",
        Repeat::RowIn,
    ),
    (
        "SELECT * FROM t05 WHERE a IN (lower({s}))",
        Repeat::FunctionIn,
    ),
    ("SELECT * FROM t06 WHERE a = {s}", Repeat::Or),
    (
        "SELECT * FROM t07 WHERE (a = {s} AND b = {s})",
        Repeat::OrPairs,
    ),
    (
        "UPDATE t08 SET x = CASE id WHEN {s} THEN {s} END WHERE y = {s}",
        Repeat::Case,
    ),
    (
        "UPDATE t09 SET x = CASE WHEN id = {s} THEN {s} ELSE {s} END",
        Repeat::CaseElse,
    ),
    ("INSERT INTO t10 (a, b) VALUES ({s}, {s})", Repeat::Values),
    (
        "INSERT INTO t11 VALUES ({s}, NOW(), {s})",
        Repeat::ValuesNow,
    ),
    (
        "INSERT INTO t12 (a) VALUES ({s}) ON DUPLICATE KEY UPDATE a = VALUES(a), n = {s}",
        Repeat::No,
    ),
    ("SELECT a FROM t13 WHERE b = {s}", Repeat::Union),
    ("SELECT a FROM t14 WHERE b = {s}", Repeat::UnionAll),
    ("SELECT a-1, a - {s} FROM t15", Repeat::No),
    ("SELECT * FROM t16 WHERE a = {s} LIMIT 987", Repeat::No),
    ("SELECT * FROM t17 WHERE a = {s} LIMIT 987, 987", Repeat::No),
    (
        "SELECT * FROM t18 WHERE a = {s} LIMIT 987 OFFSET 987",
        Repeat::No,
    ),
    ("SELECT * FROM jobs_2025 WHERE a = {s}", Repeat::No),
    ("SELECT * FROM jobs_2026 WHERE a = {s}", Repeat::No),
    ("SELECT CONVERT({s} USING utf8mb4) FROM t21", Repeat::No),
    (
        "SELECT /*+ MAX_EXECUTION_TIME(987) */ a FROM t22 WHERE b = {s}",
        Repeat::No,
    ),
    (
        "SELECT /*!40001 SQL_NO_CACHE */ a FROM t23 WHERE b = {s}",
        Repeat::No,
    ),
    ("SELECT a FROM t24 WHERE b IS NULL AND c = {s}", Repeat::No),
    (
        "SELECT a FROM t25 WHERE b IS NOT NULL AND c = {s}",
        Repeat::No,
    ),
    ("SELECT a FROM `t26` WHERE `b` = {s}", Repeat::No),
    (
        "SELECT `a'b`, `c;d`, `e#f` FROM `t``27` WHERE x = {s}",
        Repeat::No,
    ),
    ("DELETE FROM t28 WHERE a BETWEEN {s} AND {s}", Repeat::No),
    ("CALL p29({s}, {s})", Repeat::No),
    ("SET @x30 = {s}, @y = {s}", Repeat::No),
    (
        "SELECT @x, @@session.sql_mode FROM t31 WHERE a > {s}",
        Repeat::No,
    ),
    (
        "SELECT a FROM t32 WHERE d < NOW() - INTERVAL 987 DAY AND b = {s}",
        Repeat::No,
    ),
    ("REPLACE INTO t33 SET a = {s}, b = {s}", Repeat::No),
    ("SELECT * FROM t34 ORDER BY FIELD(id, {s})", Repeat::Field),
    (
        "SELECT JSON_EXTRACT(doc, {s}), doc->'$.leak', doc->>\"$.leak\" FROM t35",
        Repeat::No,
    ),
    (
        "SELECT a FROM t36 WHERE EXISTS (SELECT 987 FROM u WHERE u.a = t36.a AND u.b = {s})",
        Repeat::No,
    ),
    ("SELECT a FROM t37 WHERE b LIKE {s} ESCAPE '|'", Repeat::No),
    (
        "SELECT COUNT(*), SUM(a * {s}) FROM t38 GROUP BY b HAVING SUM(a) > {s}",
        Repeat::No,
    ),
    (
        "SELECT a FROM t39 AS e1 JOIN t39 AS e2 ON e1.a = e2.b1 AND e2.c = {s}",
        Repeat::No,
    ),
    ("CREATE USER 'leak'@'leak' IDENTIFIED BY 'leak'", Repeat::No),
    (
        "GRANT SELECT ON t41.* TO 'leak'@'%' IDENTIFIED BY 'leak'",
        Repeat::No,
    ),
    (
        "PREPARE st FROM 'SELECT leak FROM t42 WHERE a = 987'",
        Repeat::No,
    ),
    ("KILL 987", Repeat::No),
    ("USE leak", Repeat::No),
];

/// How a shape grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    No,
    In,
    RowIn,
    FunctionIn,
    Or,
    OrPairs,
    Case,
    CaseElse,
    Values,
    ValuesNow,
    Union,
    UnionAll,
    Field,
}

/// The shape with what repeats written `times` times.
fn grown(shape: &str, repeat: Repeat, times: usize) -> String {
    let many = |unit: &str, between: &str| {
        let all = vec![unit; times].join(between);
        shape.replacen(unit, &all, 1)
    };
    match repeat {
        Repeat::No => shape.to_owned(),
        Repeat::In | Repeat::Field => many("{s}", ","),
        Repeat::RowIn => many("({s}, {s})", " , "),
        Repeat::FunctionIn => many("lower({s})", ", "),
        Repeat::Or => many("a = {s}", " OR "),
        Repeat::OrPairs => many("(a = {s} AND b = {s})", " or "),
        Repeat::Case | Repeat::CaseElse => match repeat {
            Repeat::Case => many(" WHEN {s} THEN {s}", ""),
            _ => many(" WHEN id = {s} THEN {s}", "\n"),
        },
        Repeat::Values => many("({s}, {s})", ","),
        Repeat::ValuesNow => many("({s}, NOW(), {s})", ",\n"),
        // One SELECT alone is no UNION.
        Repeat::Union => vec![shape; times + 1].join(" UNION "),
        Repeat::UnionAll => vec![shape; times + 1].join("\nunion all\n"),
    }
}

/// Every shape, with every literal in every place and with lists of many sizes.
fn statements() -> Vec<(usize, String)> {
    let mut statements = Vec::new();
    for (index, (shape, repeat)) in SHAPES.iter().enumerate() {
        for turn in 0..LITERALS.len() {
            let mut text = grown(shape, *repeat, 1 + turn % 40);
            let mut at = turn;
            while let Some(place) = text.find("{s}") {
                text.replace_range(place..place + 3, LITERALS[at % LITERALS.len()]);
                at += 7;
            }
            let fake = format!("'leak{FAKE}'");
            let fake2 = format!("\"leak's{FAKE}{FAKE}\"");
            statements.push((
                index,
                text.replace("{fake}", &fake).replace("{fake2}", &fake2),
            ));
        }
    }
    statements
}

fn mysql_log(statements: &[(usize, String)]) -> String {
    let mut log = String::new();
    for (index, (_, text)) in statements.iter().enumerate() {
        write!(
            log,
            "# Time: 2026-11-20T10:21:{:02}.659466Z\n# User@Host: root[root] @ localhost [127.0.0.1]  Id:   122\n\
             # Query_time: 0.000109  Lock_time: 0.000003 Rows_sent: 0  Rows_examined: 0\nSET timestamp=1795170075;\n{text};\n",
            index % 60
        )
        .unwrap();
    }
    log
}

fn mariadb_log(statements: &[(usize, String)]) -> String {
    let mut log = String::new();
    for (index, (_, text)) in statements.iter().enumerate() {
        if index % 5 == 0 {
            writeln!(log, "# Time: 261120 10:{:02}:27", index / 5 % 60).unwrap();
        }
        write!(
            log,
            "# User@Host: root[root] @ localhost [127.0.0.1]\n# Thread_id: 55  Schema: contest  QC_hit: No\n\
             # Query_time: 0.000019  Lock_time: 0.000000  Rows_sent: 0  Rows_examined: 0\n\
             # Rows_affected: 0  Bytes_sent: 11\nSET timestamp=1795170087;\n{text};\n"
        )
        .unwrap();
    }
    log
}

#[test]
fn shapes_are_44_groups_without_leaks() {
    let statements = statements();
    let mut texts: BTreeMap<usize, BTreeMap<String, &str>> = BTreeMap::new();
    for (index, text) in &statements {
        let shape = render(text.as_bytes());
        assert!(
            !shape.contains("leak") && !shape.contains("987"),
            "{shape}\n{text}"
        );
        texts.entry(*index).or_default().insert(shape, text);
    }
    for (index, texts) in &texts {
        assert_eq!(texts.len(), 1, "{:?} {texts:#?}", SHAPES[*index]);
    }
    let all: BTreeSet<&String> = texts.values().flat_map(BTreeMap::keys).collect();
    assert_eq!(all.len(), 44, "{all:#?}");
}

#[test]
fn hostile_logs_hold_no_forged_events() {
    let statements = statements();
    for log in [mysql_log(&statements), mariadb_log(&statements)] {
        let found = whole(log.as_bytes());
        assert_eq!(found.skipped, []);
        for (event, (_, text)) in found.events.iter().zip(&statements) {
            assert_eq!(String::from_utf8_lossy(&event.statement), *text);
            assert!(event.record.query_ns < 1_000_000);
        }
        assert_eq!(found.events.len(), statements.len());
        let groups: BTreeSet<u64> = found
            .events
            .iter()
            .map(|event| event.record.shape)
            .collect();
        assert_eq!(groups.len(), 44);
        for size in [1000, 70_001] {
            assert!(
                in_blocks(log.as_bytes(), &[size]) == found,
                "blocks of {size}"
            );
        }
    }
}

/// A log of these statements holds these statements.
fn check_same(statements: &[&str]) {
    check(statements, statements);
}

/// A log of these statements is read as those.
fn check(statements: &[&str], expected: &[&str]) {
    let statements: Vec<_> = statements
        .iter()
        .map(|text| (0, (*text).to_owned()))
        .collect();
    for log in [mysql_log(&statements), mariadb_log(&statements)] {
        let crlf = log.replace('\n', "\r\n");
        let found = whole(log.as_bytes());
        let texts: Vec<_> = found
            .events
            .iter()
            .map(|event| String::from_utf8_lossy(&event.statement).into_owned())
            .collect();
        assert_eq!(texts, expected, "{log}");
        assert_eq!(whole(crlf.as_bytes()).events.len(), expected.len());
        for size in [1, 50, 333, 1000] {
            assert!(
                in_blocks(log.as_bytes(), &[size]) == found,
                "blocks of {size}: {log}"
            );
        }
    }
}

#[test]
fn headers_in_literals_are_text() {
    let fake = |open: &str, close: &str| format!("SELECT {open}{FAKE}{close}");
    for text in [
        fake("'", "'"),
        fake("\"", "\""),
        fake("`", "` FROM t"),
        fake("/* ", " */ 1"),
        fake("'it\\'s", "'"),
        fake("'it''s", "'"),
        fake("'\\\\", "' AS x"),
        fake("'a', '", "', 'b'"),
        fake("'", FAKE) + "'",
        fake("'", "' , \"") + FAKE + "\"",
        // Quotes of the other kinds in the text after the header.
        fake("'", "\"x\" `y` /* z */'"),
    ] {
        check_same(&["SELECT 1", &text, "SELECT 'x' FROM t", "SELECT 2"]);
        check_same(&["SELECT 'y'", &text]);
        check_same(&[&text, &text, &text]);
    }
}

#[test]
fn headers_behind_open_literals_are_real() {
    for open in [
        "SELECT 'unclosed",
        "SELECT \"unclosed",
        "SELECT 'it''s",
        "SELECT `unclosed",
    ] {
        check_same(&[
            open,
            "SELECT 'x' FROM t",
            "SELECT 2",
            "SELECT \"y\", `z` FROM t",
        ]);
        check_same(&[open, "SELECT 1", "SELECT 2"]);
        check_same(&["SELECT 1", open]);
        check_same(&[open, open, "SELECT 'x'", open]);
    }
    // NO_BACKSLASH_ESCAPES
    check_same(&["SELECT 'C:\\'", "SELECT 'x' FROM t", "SELECT 2"]);
    check_same(&["SELECT * FROM t WHERE a = 'C:\\' OR b = 'x'", "SELECT 'y'"]);
}

#[test]
fn comments_that_look_like_headers_are_text() {
    check_same(&["-- don't", "SELECT 1 -- it's", "SELECT 2 # \"", "SELECT 3"]);
    let lines = "# Time: 2026-11-20T10:00:00.000000Z\n# User@Host: leak[leak] @ leak []  Id: 987\n\
        # Query_time: 9999.000000  Lock_time: 0.000000 Rows_sent: 1  Rows_examined: 987\n";
    check_same(&["SELECT 1", &format!("{lines}SELECT 2"), "SELECT 3"]);
    check_same(&["SELECT 1", &format!("{lines}SET timestamp=5"), "SELECT 3"]);
    check_same(&[
        "SELECT 1",
        &format!("SELECT 2 -- ;\n{lines}+ 2"),
        "SELECT 3",
    ]);
    check_same(&["SELECT 1", &format!("SELECT 2\n{lines}+ 2"), "SELECT 3"]);
}

#[test]
fn looking_ahead_takes_no_quadratic_time() {
    // Each statement leaves something open, and each reading ahead goes on to the end.
    let statements: Vec<_> = (0..20_000)
        .map(|_| (0, "SELECT ' \" /* ".to_owned()))
        .collect();
    let found = whole(mysql_log(&statements).as_bytes());
    assert!(!found.events.is_empty());
    // Comments that look like headers, one behind the other.
    let lines = "# Time: x\n# Query_time: 1\n".repeat(40_000);
    let found = whole(mysql_log(&[(0, format!("SELECT 1\n{lines}+ 1"))]).as_bytes());
    assert_eq!(found.events.len(), 1);
    let found = whole(mysql_log(&[(0, format!("{lines}SELECT 1"))]).as_bytes());
    assert_eq!(found.events.len(), 1);
    let fakes = (0, format!("SELECT '{}'", FAKE.repeat(3000)));
    let found = whole(mysql_log(&[fakes]).as_bytes());
    assert_eq!(found.events.len(), 1);
    let fakes = (0, format!("SELECT {}1", format!("'{FAKE}',").repeat(3000)));
    let found = whole(mysql_log(&[fakes]).as_bytes());
    assert_eq!(found.events.len(), 1);
}

#[test]
fn shapes() {
    fn check(statement: &str, expected: &str) {
        assert_eq!(render(statement.as_bytes()), expected);
    }
    check("select  A.b , c/* x */from T", "select a.b, c from t");
    check(
        "SELECT a-1, -1, - 1, a - -1, a--1, a -- 1",
        "select a - ?, ?, ?, a - ?, a - ?, a",
    );
    check(
        "SELECT 1e5, 1.5E-3, .5, 1., t.1st, 2fa, 0xZZ, 1e5x",
        "select ?, ?, ?, ?, t.1st, 2fa, 0xzz, 1e5x",
    );
    check(
        "SELECT \\N, ?, _x, @a, @@b.c, @'x'",
        "select ?, ?, _x, @a, @@b.c, @?",
    );
    check(
        "SELECT \"a\" FROM \"T\" JOIN \"u\".\"v\"",
        "select ? from t join u.v",
    );
    check("SELECT TRIM('x' FROM \"leak\")", "select trim(? from ?)");
    check(
        "select a in (1), a in (select 1), a in ((select 1), 2), a in ()",
        "select a in(?+), a in(select ?), a in((select ?), ?+), a in()",
    );
    check("values row(1,2), row(3,4)", "values row(?, ?)");
    check(
        "a or a or b or b or b and c or b and c",
        "a or b or b and c",
    );
    check("a = 1 or (b = 2 or b = 3) or (b = 4)", "a = ? or (b = ?)");
    check(
        "case a when 1 then 2 when 3 then 4 else case when 5 then 6 end end",
        "case a when ? then ? else case when ? then ? end end",
    );
    check(
        "select 1 union select 2 union all select 3",
        "select ? /*repeat union*/ union all select ?",
    );
    check(
        "(select 1) union (select 2) order by 1 limit 5",
        "(select ?) /*repeat union*/ order by ? limit ?",
    );
    check(
        "insert into t select 1 union all select 2 union all select 3",
        "insert into t select ? /*repeat union all*/",
    );
    check(
        "select is_null, null, x is null, x is not null, x is not true, ifnull(x, null)",
        "select is_null, ?, x is null, x is not null, x is not true, ifnull(x, ?)",
    );
    check("savepoint s139_x1", "savepoint ?");
    check("rollback to s139_x1", "rollback to ?");
    check("release savepoint `a-b`", "release savepoint ?");
    check(
        "select 'it''s' 'x', n'y' from t where a='C:\\' or a='x'",
        "select ?, ? from t where a = ?",
    );
    check(
        "select `A` , `a b`, `1`, `select`",
        "select a, `a b`, `1`, select",
    );
    check(
        "select `a\u{1b}[31m`, b\\c",
        "select `a\\x1b[31m`, b \\\\ c",
    );
    check("SELECT 1;", "select ?");
    check("", "(no statement)");
    check(
        "# administrator command: Init DB",
        "administrator command: Init DB",
    );
    check("USE `x`", "use ?");
    assert_eq!(render(b"select \xff\xfe"), "select \\xff\\xfe");
    assert_eq!(
        isukit_analyze::slow::shape::id("select ?"),
        "16219655761820A2"
    );
}
