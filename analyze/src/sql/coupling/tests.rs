// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

use super::super::tables::tables;
use super::*;

/// Statements with their count and time.
fn with<T>(statements: &[(&str, u64, u64)], then: impl FnOnce(&[Use<'_>]) -> T) -> T {
    let tables: Vec<_> = statements
        .iter()
        .map(|it| tables(it.0.as_bytes()))
        .collect();
    let uses = tables.iter().zip(statements);
    let uses: Vec<_> = uses
        .map(|(tables, (_, count, time_ns))| Use {
            tables,
            count: *count,
            time_ns: *time_ns,
        })
        .collect();
    then(&uses)
}

#[test]
fn time_is_divided_among_the_tables() {
    let statements = [
        ("SELECT * FROM a JOIN b", 3, 101),
        ("INSERT INTO a SELECT * FROM c", 2, 50),
        ("SELECT 1", 9, 1_000),
    ];
    let found = with(&statements, by_table);
    let told: Vec<_> = found
        .iter()
        .map(|it| {
            (
                it.table.as_str(),
                it.reads,
                it.writes,
                it.read_ns,
                it.write_ns,
            )
        })
        .collect();
    assert_eq!(
        told,
        [("a", 3, 2, 51, 25), ("b", 3, 0, 50, 0), ("c", 2, 0, 25, 0)]
    );
    let sum: u64 = found.iter().map(TableUse::time_ns).sum();
    assert_eq!(sum, 151);
}

#[test]
fn what_is_used_together() {
    let statements = [
        ("SELECT * FROM a JOIN b JOIN c", 1, 30),
        ("SELECT * FROM b JOIN c", 2, 90),
        ("SELECT * FROM d", 2, 90),
    ];
    let told: Vec<_> = with(&statements, pairs)
        .into_iter()
        .map(|it| (format!("{} {}", it.one, it.other), it.count, it.time_ns))
        .collect();
    let expected = [("b c", 3, 120), ("b a", 1, 30), ("c a", 1, 30)];
    assert_eq!(
        told,
        expected.map(|(pair, count, time)| (pair.to_owned(), count, time))
    );
}

/// The sides, and which shapes cross.
fn check(statements: &[(&str, u64, u64)], expected: Option<(&str, &str, &[usize])>) {
    let split = with(statements, split);
    let told = split.map(|split| {
        let side = |place: usize| {
            let mut tables = split.sides[place].tables.clone();
            tables.sort();
            tables.join(" ")
        };
        (side(0), side(1), split.crossing.clone())
    });
    let expected = expected
        .map(|(one, other, crossing)| (one.to_owned(), other.to_owned(), crossing.to_vec()));
    assert_eq!(told, expected, "{statements:?}");
}

#[test]
fn a_split_in_two() {
    // Parts that have nothing to do with each other.
    check(
        &[
            ("SELECT * FROM a JOIN b", 1, 60),
            ("SELECT * FROM c JOIN d", 1, 30),
            ("SELECT * FROM e", 1, 20),
        ],
        Some(("a b", "c d e", &[])),
    );
    // A weak link that is worth cutting.
    check(
        &[
            ("SELECT * FROM a JOIN b", 1, 50),
            ("SELECT * FROM c JOIN d", 1, 45),
            ("SELECT * FROM b JOIN c", 1, 5),
        ],
        Some(("a b", "c d", &[2])),
    );
    // A strong one that is not; what hangs on it goes with it.
    check(&[("SELECT * FROM a JOIN b", 1, 100)], None);
    check(&[("SELECT * FROM a", 1, 100)], None);
    check(
        &[("SELECT * FROM a", 1, 99), ("SELECT * FROM b", 1, 1)],
        None,
    );
    check(&[("SELECT 1", 1, 100)], None);
    check(
        &[("SELECT * FROM a", 1, 0), ("SELECT * FROM b", 1, 0)],
        None,
    );
    check(&[], None);
}

#[test]
fn many_tables() {
    let statements: Vec<_> = (0..200)
        .map(|place| {
            format!(
                "SELECT * FROM t{} JOIN t{}",
                place,
                place + 1 - place % 2 * 2
            )
        })
        .collect();
    let statements: Vec<_> = statements.iter().map(|it| (it.as_str(), 1, 10)).collect();
    let split = with(&statements, split).unwrap();
    assert_eq!(split.crossing, [0usize; 0]);
    assert!((split.sides[0].share - 0.5).abs() < 0.01, "{split:?}");
}
