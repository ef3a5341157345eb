// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// Candidates as `table(columns)`, and hints by their first word.
fn told(advice: &Advice) -> String {
    let candidates = advice.candidates.iter().map(|it| {
        let replaces = it.replaces.iter().map(|name| format!(" for {name}"));
        format!(
            "{}({}){}",
            it.table,
            it.columns.join(","),
            replaces.collect::<String>()
        )
    });
    let hints = advice.hints.iter().map(|hint| match hint {
        Hint::FunctionOnColumn {
            column, function, ..
        } => format!("{function}:{column}"),
        Hint::LeadingWildcard { column, .. } => format!("wildcard:{column}"),
        Hint::Choice { columns, .. } => format!("or:{}", columns.join("/")),
        Hint::RandomOrder => "random".to_owned(),
        Hint::BigOffset(rows) => format!("offset:{rows}"),
        Hint::CountsAll(table) => format!("count:{table}"),
        Hint::ReadsAll(table) => format!("all:{table}"),
    });
    candidates.chain(hints).collect::<Vec<_>>().join(" ")
}

fn check(statement: &str, expected: &str) {
    let advice = advise(statement.as_bytes(), None);
    assert!(advice.is_understood, "{statement}");
    assert_eq!(told(&advice), expected, "{statement}");
}

#[test]
fn one_table() {
    check("SELECT * FROM t WHERE a = 1", "t(a)");
    check("SELECT * FROM db.t WHERE `a` = ? AND 'x' = b", "db.t(a,b)");
    check("SELECT * FROM t WHERE a > 5 AND b = 2", "t(b,a)");
    check(
        "SELECT * FROM t WHERE b = 1 AND a BETWEEN 1 AND 2 AND c > 3",
        "t(b,a)",
    );
    check(
        "SELECT * FROM t WHERE a = 1 ORDER BY b DESC, c DESC LIMIT 10",
        "t(a,b,c)",
    );
    check(
        "SELECT * FROM t WHERE a = 1 ORDER BY b, c DESC LIMIT 10",
        "t(a)",
    );
    check("SELECT * FROM t WHERE a = 1 AND b > 2 ORDER BY b", "t(a,b)");
    check("SELECT * FROM t WHERE a = 1 AND b > 2 ORDER BY c", "t(a,b)");
    check(
        "SELECT * FROM t WHERE a IN (1, 2) AND b = 3 ORDER BY c",
        "t(b,a)",
    );
    check("SELECT * FROM t WHERE a IN (1)", "t(a)");
    check("SELECT * FROM t WHERE a IS NULL AND b <=> 3", "t(a,b)");
    check("SELECT * FROM t WHERE a LIKE 'x%'", "t(a)");
    check("SELECT * FROM t ORDER BY a LIMIT 10", "t(a)");
    check("SELECT a, MAX(b) FROM t WHERE c = 3 GROUP BY a", "t(c,a,b)");
    check("SELECT a, COUNT(*) FROM t GROUP BY a", "t(a)");
    check("UPDATE t SET a = 1 WHERE b = 2 AND c = 3", "t(b,c)");
    check("DELETE FROM t WHERE a < 5", "t(a)");
    check("INSERT INTO u SELECT * FROM t WHERE a = 1", "t(a)");
    check("SELECT x FROM t WHERE a = 1 FOR UPDATE", "t(a)");
    // The primary key needs none.
    check("SELECT * FROM t WHERE id = 1", "");
    check("SELECT * FROM t WHERE id = 1 AND a = 2", "");
    check("SELECT * FROM t WHERE a = 2 ORDER BY id DESC", "t(a)");
    check("SELECT * FROM t ORDER BY id LIMIT 5", "");
}

#[test]
fn several_tables() {
    check(
        "SELECT * FROM t JOIN c ON c.t_id = t.id WHERE t.f = 1",
        "t(f) c(t_id)",
    );
    check(
        "SELECT * FROM a x, b y WHERE x.k = y.k AND y.v = 2",
        "a(k) b(v)",
    );
    check(
        "SELECT * FROM a JOIN b USING (k) WHERE a.v = 1",
        "a(v) b(k)",
    );
    check(
        "SELECT * FROM a LEFT JOIN b ON b.a_id = a.id AND b.kind = 3 WHERE a.v = 1",
        "a(v) b(a_id,kind)",
    );
    check(
        "SELECT * FROM a WHERE a.v IN (SELECT w FROM b WHERE b.h = 'x')",
        "a(v) b(h)",
    );
    check(
        "SELECT * FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.a_id = a.id)",
        "b(a_id)",
    );
    check(
        "SELECT (SELECT COUNT(*) FROM b WHERE b.a_id = a.id) FROM a WHERE a.v = 1",
        "a(v) b(a_id)",
    );
    check(
        "WITH x AS (SELECT * FROM a WHERE v = 1) SELECT * FROM x WHERE w = 2",
        "a(v)",
    );
    check(
        "SELECT * FROM (SELECT * FROM a WHERE v = 1) x WHERE x.w = 2",
        "a(v)",
    );
    check(
        "SELECT * FROM a WHERE v = 1 UNION ALL SELECT * FROM b WHERE w = 2",
        "a(v) b(w)",
    );
    // Whose column this is is not known.
    check(
        "SELECT * FROM a JOIN b ON a.k = b.k WHERE v = 2",
        "a(k) b(k)",
    );
}

#[test]
fn what_no_index_helps_with() {
    check("SELECT * FROM t WHERE DATE(a) = '2026-01-01'", "DATE:a");
    check(
        "SELECT * FROM t WHERE a + 1 > 5 AND b = 1",
        "t(b) arithmetic:a",
    );
    check("SELECT * FROM t WHERE LOWER(a) IN ('x', 'y')", "LOWER:a");
    check("SELECT * FROM t WHERE CAST(a AS CHAR) = '1'", "CAST:a");
    check("SELECT * FROM t WHERE a LIKE '%x%'", "wildcard:a");
    check("SELECT * FROM t WHERE a = 1 OR a = 2", "t(a)");
    check("SELECT * FROM t WHERE a = 1 OR b = 2", "or:a/b");
    check(
        "SELECT * FROM t WHERE c = 3 AND (a = 1 OR b = 2)",
        "t(c) or:a/b",
    );
    check("SELECT * FROM t WHERE a = 1 OR b LIKE '%x'", "or:");
    check("SELECT * FROM t ORDER BY RAND() LIMIT 1", "random");
    check(
        "SELECT * FROM t WHERE a = 1 LIMIT 10 OFFSET 100000",
        "t(a) offset:100000",
    );
    check(
        "SELECT * FROM t WHERE a = 1 LIMIT 5000, 10",
        "t(a) offset:5000",
    );
    check("SELECT * FROM t LIMIT 10 OFFSET 10", "");
    check("SELECT COUNT(*) FROM t", "count:t");
    check("SELECT * FROM t", "all:t");
    check("SELECT * FROM t WHERE a <> 1", "");
    check("SELECT * FROM t WHERE a NOT IN (1, 2)", "");
    check("SELECT 1", "");
    check("INSERT INTO t VALUES (1)", "");
    for hint in advise(b"SELECT * FROM t WHERE DATE(a) = 1 OR b = 1", None).hints {
        assert!(!hint.to_string().is_empty());
    }
}

#[test]
fn what_is_not_understood() {
    for statement in [
        "",
        "SELECT * FROM",
        "SELEC * FROM t WHERE a = 1",
        "SELECT * FROM t WHERE a = 'x",
    ] {
        assert_eq!(
            advise(statement.as_bytes(), None),
            Advice::default(),
            "{statement}"
        );
    }
    // Chains become deep trees; nesting is limited.
    let chain = format!(
        "SELECT * FROM t WHERE {}",
        vec!["a = 1"; 50_000].join(" OR ")
    );
    assert!(!advise(chain.as_bytes(), None).is_understood);
    let chain = format!("SELECT * FROM t WHERE {}", vec!["a = 1"; 300].join(" OR "));
    assert_eq!(told(&advise(chain.as_bytes(), None)), "t(a)");
    let deep = format!("SELECT {}1{}", "(".repeat(400), ")".repeat(400));
    assert!(!advise(deep.as_bytes(), None).is_understood);
    // A long list is none of both.
    let list = format!(
        "SELECT * FROM t WHERE a IN ({})",
        vec!["1"; 10_000].join(",")
    );
    assert_eq!(told(&advise(list.as_bytes(), None)), "t(a)");
}

fn schema() -> Schema {
    let column = |text: &str| {
        let (name, data_type) = text.split_once(':').unwrap_or((text, "bigint"));
        Column {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
        }
    };
    let index = |text: &str| {
        let (name, columns) = text.split_once(' ').unwrap();
        Index {
            name: name.trim_start_matches('!').to_owned(),
            columns: columns.split(',').map(str::to_owned).collect(),
            is_unique: name.starts_with('!'),
        }
    };
    let table = |name: &str, columns: &str, indexes: &[&str], rows: u64| Table {
        name: name.to_owned(),
        columns: columns.split(' ').map(column).collect(),
        indexes: indexes.iter().map(|text| index(text)).collect(),
        rows: Some(rows),
    };
    Schema {
        tables: vec![
            table(
                "jobs",
                "id team status score body:text",
                &["!PRIMARY id", "by_team team"],
                9_000,
            ),
            table(
                "users",
                "id name:varchar team doc:json",
                &["!PRIMARY id", "!by_name name", "a team,id"],
                9_000,
            ),
            table("small", "id v", &["!PRIMARY id"], 3),
            table("pairs", "a b c", &["!PRIMARY a,b"], 9_000),
        ],
    }
}

#[test]
fn with_a_schema() {
    let schema = schema();
    let check = |statement: &str, expected: &str| {
        let advice = advise(statement.as_bytes(), Some(&schema));
        assert_eq!(told(&advice), expected, "{statement}");
    };
    check("SELECT * FROM jobs WHERE status = 1", "jobs(status)");
    check("SELECT * FROM jobs WHERE team = 1", "");
    check(
        "SELECT * FROM jobs WHERE team = 1 AND status = 2",
        "jobs(team,status) for by_team",
    );
    check("SELECT * FROM jobs WHERE team = 1 ORDER BY id DESC", "");
    check("SELECT * FROM jobs WHERE id = 1 AND team = 2", "");
    check("SELECT * FROM jobs WHERE body = 'x'", "jobs(body(64))");
    check("SELECT * FROM jobs WHERE nothing = 1", "");
    check("SELECT * FROM users WHERE name = 'x' AND team = 1", "");
    check("SELECT * FROM users WHERE doc = 'x'", "");
    check("SELECT * FROM small WHERE v = 1", "");
    check("SELECT * FROM other WHERE v = 1", "");
    check("SELECT * FROM pairs WHERE b = 1 AND a = 2 AND c = 3", "");
    check("SELECT * FROM pairs WHERE a = 2 AND c = 3", "pairs(a,c)");
    // Whose column it is follows from the schema.
    check(
        "SELECT * FROM jobs JOIN users u ON jobs.team = u.id WHERE status = 1",
        "jobs(status)",
    );
    // The order of columns that equal something is free.
    check("SELECT * FROM users WHERE id > 5 AND team = 1", "");
}

#[test]
fn text_of_an_index() {
    let candidate = |table: &str, columns: &[&str]| Candidate {
        table: table.to_owned(),
        columns: columns.iter().map(|&it| it.to_owned()).collect(),
        why: String::new(),
        replaces: None,
    };
    let rows: &[(&str, &[&str], &str)] = &[
        (
            "t",
            &["a", "b"],
            "CREATE INDEX `ix_t_a_b` ON `t` (`a`, `b`)",
        ),
        (
            "db.t",
            &["read"],
            "CREATE INDEX `ix_t_read` ON `db`.`t` (`read`)",
        ),
        ("t", &["x(64)"], "CREATE INDEX `ix_t_x` ON `t` (`x`(64))"),
        ("t`u", &["a"], "CREATE INDEX `ix_t``u_a` ON `t``u` (`a`)"),
    ];
    for (table, columns, expected) in rows {
        assert_eq!(candidate(table, columns).ddl(), *expected);
    }
    let long = candidate(&"t".repeat(60), &["a"]);
    let other = candidate(&"t".repeat(60), &["b"]);
    assert_eq!(long.name().len(), 64);
    assert_ne!(long.name(), other.name());
}

#[test]
fn of_several_the_longest_is_enough() {
    let candidate = |text: &str| {
        let (table, columns) = text.split_once(' ').unwrap();
        Candidate {
            table: table.to_owned(),
            columns: columns.split(' ').map(str::to_owned).collect(),
            why: String::new(),
            replaces: None,
        }
    };
    let all = ["t a", "t a b", "u a", "t b", "t a b", "t a c"].map(candidate);
    let kept = ["t a b", "u a", "t b", "t a c"].map(candidate);
    assert_eq!(without_redundant(all.to_vec()), kept);
}

proptest! {
    #[test]
    fn nothing_panics(statement in prop::collection::vec(any::<u8>(), 0..120)) {
        advise(&statement, None);
    }

    #[test]
    fn nothing_that_looks_like_sql_panics(
        words in prop::collection::vec(prop::sample::select(vec![
            "SELECT", "*", "FROM", "t", "WHERE", "a", "=", "1", "AND", "OR", "(", ")", "b", "IN", ",",
            "ORDER BY", "GROUP BY", "LIMIT", "JOIN", "u", "ON", "a.b", "LIKE", "'%x'", "DATE(a)", "IS NULL",
            "UNION", "WITH", "AS", "UPDATE", "SET", "DELETE", "BETWEEN", "NOT", "MAX(", "USING", "<",
        ]), 0..24),
    ) {
        let text = format!("SELECT * FROM t WHERE {}", words.join(" "));
        advise(text.as_bytes(), Some(&schema()));
        advise(words.join(" ").as_bytes(), None);
    }
}
