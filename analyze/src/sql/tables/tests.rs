// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// Tables as `read,read | written`.
fn check(statement: &str, expected: &str) {
    let found = tables(statement.as_bytes());
    let told = format!("{} | {}", found.read.join(","), found.written.join(","));
    assert_eq!(told.trim(), expected.trim(), "{statement}");
}

#[test]
fn what_is_read() {
    check("SELECT 1", "|");
    check("SELECT * FROM a", "a |");
    check("select x from a where y = 'from b join c'", "a |");
    check(
        "SELECT a.*, b.x FROM db.a AS a, `my db`.`b``c` b WHERE a.id = b.id",
        "db.a,my db.b`c |",
    );
    check(
        "SELECT * FROM a LEFT OUTER JOIN b USING (id) NATURAL JOIN c INNER JOIN d ON d.x = c.x, e",
        "a,b,c,d,e |",
    );
    check(
        "SELECT STRAIGHT_JOIN * FROM a STRAIGHT_JOIN b ON a.x = b.x",
        "a,b |",
    );
    check(
        "SELECT * FROM a USE INDEX (i, j) IGNORE INDEX (k), b FORCE INDEX FOR JOIN (l)",
        "a,b |",
    );
    check("SELECT * FROM a PARTITION (p0, p1) x JOIN b", "a,b |");
    check(
        "SELECT * FROM (a, b) JOIN (c CROSS JOIN d) ON 1",
        "a,b,c,d |",
    );
    check(
        "SELECT * FROM (SELECT x FROM a) t, (SELECT y FROM b) u",
        "a,b |",
    );
    check(
        "SELECT (SELECT MAX(x) FROM b) FROM a WHERE EXISTS (SELECT 1 FROM c)",
        "b,a,c |",
    );
    check(
        "SELECT * FROM a WHERE x IN (SELECT y FROM b WHERE z = a.z)",
        "a,b |",
    );
    check(
        "(SELECT * FROM a) UNION ALL (SELECT * FROM b) ORDER BY 1",
        "a,b |",
    );
    check("SELECT * FROM a UNION SELECT * FROM b JOIN a", "a,b |");
    check("SELECT * FROM a FOR UPDATE", "a |");
    check("SELECT * FROM a FOR UPDATE OF a SKIP LOCKED", "a |");
    check("SELECT x INTO @v FROM a LIMIT 1", "a |");
    check("SELECT * FROM a INTO OUTFILE '/tmp/x'", "a |");
    check("SELECT 1 FROM DUAL", "|");
    check("TABLE a ORDER BY x", "a |");
    check("EXPLAIN FORMAT=JSON SELECT * FROM a", "a |");
    check("EXPLAIN EXTENDED UPDATE a SET x = 1", "| a");
    check(
        "SELECT * FROM { OJ a LEFT OUTER JOIN b ON a.x = b.x }",
        "a,b |",
    );
    check(
        "SELECT /*+ MAX_EXECUTION_TIME(1) */ * FROM /* x */ a -- FROM b\n, c # d",
        "a,c |",
    );
    check(
        "SELECT /*!50001 SQL_NO_CACHE */ * FROM a /*!40001 , b */",
        "a,b |",
    );
    check(
        "SELECT x.from, x.`select` FROM a x GROUP BY x.join, x.from",
        "a |",
    );
}

#[test]
fn a_from_that_is_no_clause() {
    check("SELECT EXTRACT(YEAR FROM created_at) FROM a", "a |");
    check(
        "SELECT SUBSTRING(name FROM 2 FOR 3), TRIM(LEADING 'x' FROM name) FROM a",
        "a |",
    );
    check(
        "SELECT TRIM(BOTH 'x' FROM (SELECT y FROM b)) FROM a",
        "b,a |",
    );
    check("SELECT * FROM a WHERE x IS DISTINCT FROM y", "a |");
    check("SHOW COLUMNS FROM a", "|");
    check(
        "SELECT j.x FROM a, JSON_TABLE(a.doc, '$[*]' COLUMNS (x INT PATH '$.x')) j, b",
        "a,b |",
    );
    check(
        "SELECT * FROM a, LATERAL (SELECT * FROM b WHERE b.x = a.x) t",
        "a,b |",
    );
    check(
        "SELECT COUNT(*) OVER (PARTITION BY x ORDER BY y ROWS 1 PRECEDING) FROM a",
        "a |",
    );
}

#[test]
fn common_table_expressions_are_no_tables() {
    check(
        "WITH t AS (SELECT * FROM a) SELECT * FROM t JOIN b",
        "a,b |",
    );
    check(
        "WITH t (x, y) AS (SELECT 1, 2), u AS (SELECT * FROM t, a) SELECT * FROM u",
        "a |",
    );
    check(
        "WITH RECURSIVE t AS (SELECT 1 FROM a UNION ALL SELECT n + 1 FROM t WHERE n < 9) \
         SELECT * FROM T",
        "a |",
    );
    check(
        "INSERT INTO b WITH t AS (SELECT * FROM a) SELECT * FROM t",
        "a | b",
    );
    check(
        "WITH t AS (SELECT id FROM a) UPDATE b JOIN t ON b.id = t.id SET b.x = 1",
        "a | b",
    );
    check(
        "WITH t AS (SELECT id FROM a) DELETE FROM b WHERE id IN (SELECT id FROM t)",
        "a | b",
    );
    check("SELECT x, COUNT(*) FROM a GROUP BY x WITH ROLLUP", "a |");
}

#[test]
fn what_is_written() {
    check("INSERT INTO a VALUES (1, 'x'), (2, 'y')", "| a");
    check(
        "INSERT IGNORE a (x, y) VALUES (1, 2) ON DUPLICATE KEY UPDATE x = VALUES(x)",
        "| a",
    );
    check(
        "INSERT INTO `a` SET x = 1, y = (SELECT MAX(y) FROM b)",
        "b | a",
    );
    check("INSERT INTO a (x) SELECT y FROM b JOIN c", "b,c | a");
    check("INSERT INTO a SELECT * FROM a", "a | a");
    check("REPLACE INTO db.a PARTITION (p0) VALUES (1)", "| db.a");
    check("UPDATE a SET x = 1 WHERE id = 2", "| a");
    check(
        "UPDATE LOW_PRIORITY IGNORE a AS t SET t.x = (SELECT MAX(x) FROM b), y = 2",
        "b | a",
    );
    check(
        "UPDATE a JOIN b ON a.id = b.id SET a.x = b.x WHERE b.y = 1",
        "b | a",
    );
    check("UPDATE a t, b u SET t.x = u.x, u.y = 1", "| a,b");
    check("UPDATE a, b SET x = 1", "b | a");
    check(
        "UPDATE a INNER JOIN (SELECT id FROM c) s ON s.id = a.id SET a.x = 1",
        "c | a",
    );
    check("DELETE FROM a WHERE id IN (1, 2)", "| a");
    check(
        "DELETE FROM a AS t WHERE t.id = 1 ORDER BY id LIMIT 10",
        "| a",
    );
    check(
        "DELETE t FROM a t JOIN b ON t.id = b.id WHERE b.x = 1",
        "b | a",
    );
    check(
        "DELETE a, u.* FROM a INNER JOIN b AS u INNER JOIN c WHERE a.id = u.id",
        "c | a,b",
    );
    check(
        "DELETE FROM a, b USING a INNER JOIN b INNER JOIN c USING (id) WHERE 1",
        "c | a,b",
    );
    check("DELETE QUICK FROM db.a PARTITION (p1)", "| db.a");
    check("TRUNCATE TABLE a", "| a");
    check("TRUNCATE a", "| a");
    check(
        "LOAD DATA LOCAL INFILE 'x' REPLACE INTO TABLE db.a FIELDS TERMINATED BY ','",
        "| db.a",
    );
}

#[test]
fn what_changes_the_schema() {
    check(
        "CREATE TABLE IF NOT EXISTS a (id INT PRIMARY KEY, x INT)",
        "| a",
    );
    check("CREATE TEMPORARY TABLE a AS SELECT * FROM b", "b | a");
    check("CREATE TABLE a LIKE b", "| a,b");
    check("CREATE UNIQUE INDEX i ON a (x, y)", "| a");
    check("ALTER TABLE a ADD INDEX i (x), DROP COLUMN y", "| a");
    check("DROP TABLE IF EXISTS a, b", "| a,b");
    check("RENAME TABLE a TO b", "| a,b");
    check("OPTIMIZE TABLE a", "| a");
    check("LOCK TABLES a READ, b WRITE", "| a,b");
    check("CREATE USER 'x'@'%'", "|");
    check("SET NAMES utf8mb4", "|");
    check("COMMIT", "|");
    check("CALL p(1, 2)", "|");
}

#[test]
fn what_is_cut_or_broken() {
    check("SELECT * FROM a JOIN b ON a.x = '", "a,b |");
    check("SELECT * FROM", "|");
    check("SELECT * FROM a,", "a |");
    check("SELECT * FROM (SELECT * FROM (SELECT x FR", "|");
    check("INSERT INTO a (x, y) VALUES (1, 'abc", "| a");
    check("DELETE", "|");
    check("UPDATE", "|");
    check("))) SELECT * FROM a", "a |");
    check("", "|");
    check("SELECT * FROM `a", "a |");
    check("SELECT * FROM t WHERE a = $1 AND b = :name", "t |");
    check(&format!("SELECT {} FROM a", "(".repeat(5_000)), "|");
    check("SELECT * FROM a; DROP TABLE b", "a |");
}

proptest! {
    #[test]
    fn nothing_panics(statement in prop::collection::vec(any::<u8>(), 0..200)) {
        tables(&statement);
    }

    #[test]
    fn nothing_that_looks_like_sql_panics(
        words in prop::collection::vec(prop::sample::select(vec![
            "SELECT", "FROM", "a", "b.c", "`x`", "(", ")", ",", "JOIN", "WHERE", "WITH", "AS", "UPDATE",
            "SET", "DELETE", "INSERT INTO", "USING", "TABLE", "'", "/*!", "*/", "/*", "=", "1", ".", "*",
            "{", "UNION", "PARTITION", "LATERAL", "CREATE", "INDEX", "ON", "0x", "1e", "@", "`", "--",
        ]), 0..40),
    ) {
        tables(words.join(" ").as_bytes());
        tables(words.concat().as_bytes());
    }
}
