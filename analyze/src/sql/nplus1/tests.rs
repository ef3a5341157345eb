// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn step(connection: u64, shape: u32, kind: Kind, rows_sent: u64) -> Step {
    Step {
        connection,
        shape,
        kind,
        query_ns: u64::from(shape) + 1,
        rows_sent,
        request: 0,
    }
}

/// Statements of one connection: `a` to `z` are shapes that send one row, `A9` sends nine, `(` and
/// `)` begin and end a transaction, `!` is an INSERT of shape `!`, `.` is to be skipped.
fn script(connection: u64, text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut letters = text.chars().filter(|it| !it.is_whitespace()).peekable();
    while let Some(letter) = letters.next() {
        let mut digits = String::new();
        while let Some(digit) = letters.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        let kind = match letter {
            '(' => Kind::Begin,
            ')' => Kind::End,
            '.' => Kind::Skip,
            '!' => Kind::Write,
            _ => Kind::Read,
        };
        let rows = digits.parse().unwrap_or(1);
        steps.push(step(connection, letter as u32, kind, rows));
    }
    steps
}

/// Findings as `P>abc 4x3`: parent, body, runs, rounds.
fn findings(runs: &Runs) -> Vec<String> {
    let letter = |shape: u32| char::from_u32(shape).unwrap();
    let line = |it: NPlusOne| {
        let body: String = it.children.iter().map(|it| letter(it.shape)).collect();
        format!("{}>{body} {}x{}", letter(it.parent), it.runs, it.rounds)
    };
    let mut lines: Vec<_> = runs.findings().into_iter().map(line).collect();
    lines.sort();
    lines
}

fn check(text: &str, expected: &[&str]) {
    let mut runs = Runs::default();
    for step in script(1, text) {
        runs.add(step);
    }
    assert_eq!(findings(&runs), expected, "{text}");
}

#[test]
fn loops_are_found() {
    // One statement for each row; twice two rows could be chance.
    check("s P5 ccccc t", &["P>c 1x5"]);
    check("s P2 cc t P2 cc t P2 cc", &["P>c 3x6"]);
    check("s P2 cc t", &[]);
    // Bodies of two and more statements.
    check("s P4 abababab t", &["P>ab 1x4"]);
    check("s P4 abcde abcde abcde abcde t", &["P>abcde 1x4"]);
    // Statements between the parent and the loop; things between that do not count.
    check("P6 q r cccccc t", &["P>c 1x6"]);
    check("P6 . c.c.cccc", &["P>c 1x6"]);
    // The parent may be outside of the transaction.
    check("P6 ( !!!!!! )", &["P>! 1x6"]);
    // A statement that may be left out of some rounds.
    check("P6 a ab a ab ab a t", &["P>ab 1x6"]);
    // A loop within a loop: the outer one, and the inner one by its parent.
    check(
        "P5 x Q3 uuu x Q2 uu x Q4 uuuu x Q3 uuu x Q2 uu t",
        &["P>xQu 1x5", "Q>u 5x14"],
    );
    // The inner statement is asked once more behind the inner loop.
    check(
        "P5 x Q3 uuuu x Q2 uuu x Q4 uuuuu x Q3 uuuu x Q2 uuu t",
        &["P>xQu 1x5", "Q>u 5x19"],
    );
    // One parent, two kinds of loops.
    check(
        "P3 ccc s P4 dddd s P5 ccccc s P3 ddd s P2 cc s P4 dddd",
        &["P>c 3x10", "P>d 3x11"],
    );
    // Only some of the rows lead to a statement, within a transaction.
    check("( P9 cccc ) s ( P7 ccc ) s ( P8 ccccc )", &["P>c 3x12"]);
}

#[test]
fn other_repetitions_are_not() {
    // Polling, with lists before it that have nothing to do with it.
    check("s L20 wwww t L7 ww s L9 www u L3 wwwww", &[]);
    check("s L20 swswsw L7 swsw L9 swswswsw", &[]);
    // Transactions of their own.
    check("P4 (c) (c) (c) (c)", &[]);
    // Requests that all do the same.
    check("sutmL9 sutmL9 sutmL9 sutmL9 sutmL9", &[]);
    // The parent sends one row, or writes.
    check("p ccccc p ccc", &[]);
    // Rows that match once in a while.
    check("P3 ccc P4 cc P5 cccc P3 cc P9 ccc P8 cc", &[]);
}

#[test]
fn a_requests_id_parts_what_a_pool_puts_together() {
    let mut runs = Runs::default();
    // Two clients take turns; each request asks for a list of two and then polls.
    let mut request = 0;
    for _ in 0..50 {
        for text in ["L2", "w", "w", "x"] {
            request += 1;
            for mut step in script(7, text) {
                step.request = request;
                runs.add(step);
            }
        }
    }
    assert_eq!(findings(&runs), [""; 0]);
    // The same without ids looks like a loop.
    let mut runs = Runs::default();
    for step in script(7, &"L2 w w x".repeat(50)) {
        runs.add(step);
    }
    assert_eq!(findings(&runs), ["L>w 50x100"]);
}

#[test]
fn connections_do_not_disturb_each_other() {
    let mut runs = Runs::default();
    let one = script(1, "s P5 ababababab t");
    let two = script(2, "x Q7 ccccccc u y z");
    for (one, two) in one.into_iter().zip(two) {
        runs.add(one);
        runs.add(two);
    }
    assert_eq!(findings(&runs), ["P>ab 1x5", "Q>c 1x7"]);
    // A connection without a number is ignored.
    let mut runs = Runs::default();
    for step in script(0, "s P5 ababababab t") {
        runs.add(step);
    }
    assert_eq!(findings(&runs), [""; 0]);
}

#[test]
fn kinds() {
    let rows: &[(Verb, &str, Kind)] = &[
        (Verb::Read, "SELECT 1", Kind::Read),
        (Verb::Write, "INSERT INTO t VALUES (1)", Kind::Write),
        (Verb::Transaction, "BEGIN", Kind::Begin),
        (Verb::Transaction, "START TRANSACTION", Kind::Begin),
        (Verb::Transaction, "begin /* reqid=7 */", Kind::Begin),
        (Verb::Transaction, "COMMIT", Kind::End),
        (Verb::Transaction, "ROLLBACK", Kind::End),
        (Verb::Transaction, "ROLLBACK TO SAVEPOINT `s1`", Kind::Skip),
        (Verb::Transaction, "SAVEPOINT s1", Kind::Skip),
        (Verb::Transaction, "RELEASE SAVEPOINT s1", Kind::Skip),
        (Verb::Other, "SET autocommit=0", Kind::Begin),
        (Verb::Other, "SET @@session.autocommit = ON", Kind::End),
        (Verb::Other, "SET NAMES utf8mb4", Kind::Skip),
        (Verb::Schema, "DROP TABLE t", Kind::End),
        (Verb::Admin, "# administrator command: Ping", Kind::Skip),
        (
            Verb::Admin,
            "# administrator command: Close stmt",
            Kind::Skip,
        ),
        (Verb::Admin, "# administrator command: Quit", Kind::End),
    ];
    for (verb, statement, expected) in rows {
        assert_eq!(
            Kind::of(*verb, statement.as_bytes()),
            *expected,
            "{statement}"
        );
    }
}

/// What a log of few shapes, connections and requests may say.
fn log(connections: u64, shapes: u32) -> impl Strategy<Value = Vec<Step>> {
    let statement = (1..=connections, 0..shapes, 0..12u32, 0..4u64, 0..30u64);
    let piece = (statement, 1..7usize).prop_map(
        move |((connection, shape, kind, rows, request), times)| {
            let kind = match kind {
                0 => Kind::Begin,
                1 => Kind::End,
                2 => Kind::Skip,
                3 => Kind::Write,
                _ => Kind::Read,
            };
            let mut one = step(connection, shape, kind, rows);
            one.request = request / 27;
            // Loops of some statements are rare in noise, so pieces are loops already.
            let body = (rows as u32 + 1) * u32::from(times > 3);
            let mut steps = Vec::new();
            for _ in 0..times {
                steps.push(one);
                for other in 1..body {
                    let mut next = one;
                    next.shape = (shape + other) % shapes.max(1);
                    steps.push(next);
                }
            }
            steps
        },
    );
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn saved(runs: &Runs) -> String {
    serde_json::to_string(runs).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn parts_make_the_whole(
        log in log(3, 5),
        limit in 1usize..5,
        cuts in prop::collection::vec(0usize..300, 0..4),
    ) {
        check_parts(&log, limit, cuts)?;
    }

    #[test]
    fn parts_of_one_connection_make_the_whole(
        log in log(1, 3),
        cuts in prop::collection::vec(0usize..400, 1..5),
    ) {
        check_parts(&log, 9, cuts)?;
    }

    #[test]
    fn saved_and_loaded_it_is_the_same(log in log(3, 4), more in log(3, 4)) {
        let mut runs = Runs::default();
        log.iter().for_each(|step| runs.add(*step));
        let mut loaded: Runs = serde_json::from_str(&saved(&runs)).unwrap();
        prop_assert_eq!(saved(&loaded), saved(&runs));
        for step in more {
            runs.add(step);
            loaded.add(step);
        }
        prop_assert_eq!(saved(&loaded), saved(&runs));
        prop_assert_eq!(loaded.findings(), runs.findings());
    }
}

/// Split a log, number the shapes of each part anew, and put the parts together.
fn check_parts(log: &[Step], limit: usize, mut cuts: Vec<usize>) -> Result<(), TestCaseError> {
    let mut whole = Runs::with_limit(limit);
    log.iter().for_each(|step| whole.add(*step));
    cuts.push(0);
    cuts.push(log.len());
    cuts.iter_mut().for_each(|cut| *cut = (*cut).min(log.len()));
    cuts.sort_unstable();
    let parts: Vec<_> = cuts.windows(2).map(|cut| &log[cut[0]..cut[1]]).collect();
    let read = |part: &&[Step]| {
        let mut runs = Runs::with_limit(limit);
        for step in *part {
            runs.add(Step {
                shape: step.shape + 100,
                ..*step
            });
        }
        runs
    };
    // From the left, and from the right.
    let mut left = Runs::with_limit(limit);
    for part in &parts {
        left.merge(read(part), |shape| shape - 100);
    }
    prop_assert_eq!(left.findings(), whole.findings());
    same(&saved(&left), &saved(&whole))?;
    let mut right = Runs::with_limit(limit);
    for part in parts.iter().rev() {
        let mut earlier = read(part);
        earlier.merge(right, |shape| shape);
        right = earlier;
    }
    let mut all = Runs::with_limit(limit);
    all.merge(right, |shape| shape - 100);
    same(&saved(&all), &saved(&whole))
}

/// Compare long texts, and show where they differ.
fn same(one: &str, other: &str) -> Result<(), TestCaseError> {
    let differs = one
        .bytes()
        .zip(other.bytes())
        .position(|(one, other)| one != other);
    let at = differs.unwrap_or(one.len().min(other.len()));
    let around = |text: &str| text[at.saturating_sub(200)..(at + 80).min(text.len())].to_owned();
    prop_assert!(one == other, "{}\n{}", around(one), around(other));
    Ok(())
}
