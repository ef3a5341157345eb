// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/explain")
}

fn json(name: &str) -> Plan {
    let text = std::fs::read(folder().join(format!("{name}.json"))).unwrap();
    Plan::from_json(&text).unwrap()
}

fn rows(name: &str) -> Plan {
    let text = std::fs::read_to_string(folder().join(format!("{name}.table.tsv"))).unwrap();
    table(&text)
}

/// The rows of a table as a client prints it.
fn table(text: &str) -> Plan {
    let mut lines = text.lines().map(|line| line.split('\t'));
    let names: Vec<_> = lines.next().unwrap().map(str::to_owned).collect();
    let row = |line: std::str::Split<'_, char>| {
        let values = line.map(|it| (it != "NULL").then(|| it.to_owned()));
        names.clone().into_iter().zip(values).collect::<Vec<_>>()
    };
    Plan::from_rows(lines.map(row)).unwrap()
}

/// Steps as `table access(key) rows`, with `s` for a sort, `t` for a temporary table, `i` for an index that
/// holds all, `b` for a join buffer. Tables that the server makes are left out.
fn told(plan: &Plan) -> String {
    let steps = plan.steps.iter().filter(|step| !step.is_made());
    let steps = steps.map(|step| {
        let key = step
            .key
            .as_ref()
            .map_or(String::new(), |key| format!("({key})"));
        let flags = [
            (step.filesort, "s"),
            (step.temporary, "t"),
            (step.using_index, "i"),
            (step.join_buffer, "b"),
        ];
        let flags: String = flags.iter().filter(|it| it.0).map(|it| it.1).collect();
        let space = if flags.is_empty() { "" } else { " " };
        format!(
            "{} {:?}{key} {}{space}{flags}",
            step.table, step.access, step.rows
        )
    });
    steps.collect::<Vec<_>>().join(", ")
}

#[test]
fn plans_of_three_servers() {
    let check = |name: &str, expected: &str| assert_eq!(told(&json(name)), expected, "{name}");
    check(
        "mariadb1011.q1_jobs_by_team_status.noindex",
        "jobs All 19939 s",
    );
    check(
        "mariadb1011.q2_notifications_unread.index",
        "notifications Ref(fx) 5 i",
    );
    check(
        "mariadb1011.q3_contestants_join.noindex",
        "c All 2400, t EqRef(PRIMARY) 1",
    );
    check("mariadb1011.q4_ranking_group.noindex", "jobs All 19939 st");
    check(
        "mariadb1011.q5_in_subquery.noindex",
        "clarifications All 2002, jobs All 19939",
    );
    check("mariadb1011.q6_cte_window.noindex", "jobs All 19939 st");
    check(
        "mysql9.v1.q1_jobs_by_team_status.noindex",
        "jobs All 19382 s",
    );
    check(
        "mysql9.v1.q2_notifications_unread.index",
        "notifications Ref(fx) 5 i",
    );
    check(
        "mysql9.v1.q3_contestants_join.noindex",
        "c All 2380, t EqRef(PRIMARY) 1",
    );
    check("mysql9.v1.q4_ranking_group.noindex", "jobs All 19382 st");
    check(
        "mysql9.v1.q5_in_subquery.noindex",
        "clarifications All 2001, jobs All 19382 t",
    );
    check(
        "mysql9.v2.q1_jobs_by_team_status.noindex",
        "jobs All 19382 s",
    );
    check(
        "mysql9.v2.q2_notifications_unread.index",
        "notifications Ref(fx) 5 i",
    );
    check(
        "mysql9.v2.q3_contestants_join.noindex",
        "c All 2380, t EqRef(PRIMARY) 1",
    );
    check("mysql9.v2.q4_ranking_group.noindex", "jobs All 19382 st");
    check(
        "mysql9.v2.q5_in_subquery.noindex",
        "clarifications All 2001, jobs All 19382 t",
    );
}

#[test]
fn tables_of_explain() {
    let check = |name: &str, expected: &str| assert_eq!(told(&rows(name)), expected, "{name}");
    check(
        "mariadb1011.q1_jobs_by_team_status.noindex",
        "jobs All 19939 s",
    );
    check(
        "mariadb1011.q3_contestants_join.index",
        "t All 601, c Ref(fx) 2",
    );
    check("mariadb1011.q4_ranking_group.noindex", "jobs All 19939 st");
    check(
        "mariadb1011.q2_notifications_unread.index",
        "notifications Ref(fx) 5 i",
    );
    let mysql57 = "id\tselect_type\ttable\tpartitions\ttype\tpossible_keys\tkey\tkey_len\tref\trows\tfiltered\tExtra\n\
        1\tSIMPLE\ta\tNULL\tALL\tNULL\tNULL\tNULL\tNULL\t500\t10.00\tUsing where\n\
        1\tSIMPLE\tb\tNULL\tindex\tNULL\tk\t8\tNULL\t300\t100.00\tUsing where; Using index; Using join buffer (Block Nested Loop)\n";
    let plan = table(mysql57);
    assert_eq!(told(&plan), "a All 500, b Index(k) 300 ib");
    assert_eq!(plan.rows_examined(), 500.0 + 50.0 * 300.0);
}

#[test]
fn lines_of_a_slow_log() {
    let lines = "# explain: id\tselect_type\ttable\ttype\tpossible_keys\tkey\tkey_len\tref\trows\tr_rows\tfiltered\tr_filtered\tExtra\n\
        # explain: 1\tSIMPLE\tjobs\tALL\tNULL\tNULL\tNULL\tNULL\t29930\t30032.00\t100.00\t0.00\tUsing where\r\n";
    let plan = Plan::from_slow_log(lines.as_bytes()).unwrap();
    assert_eq!(told(&plan), "jobs All 29930");
    assert_eq!(plan.steps[0].seen_rows, Some(30_032.0));
    assert_eq!(plan.problems(), ["reads all of jobs, about 29,930 rows"]);
    for bad in [
        "",
        "# explain:",
        "# explain: id\ttable\n",
        "SELECT 1",
        "# explain: id\n# explain: 1",
    ] {
        assert_eq!(
            Plan::from_slow_log(bad.as_bytes()),
            Err(PlanError::NoSteps),
            "{bad}"
        );
    }
}

#[test]
fn every_plan_is_read_and_an_index_makes_it_better() {
    let mut read = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let is_plan = name.ends_with("index.json") || name.ends_with("analyze.json");
        if !is_plan {
            continue;
        }
        let plan = Plan::from_json(&std::fs::read(&path).unwrap()).unwrap();
        assert!(plan.rows_examined() > 0.0, "{name}");
        read += 1;
        let without = name.replace(".index.", ".noindex.");
        if without != name {
            let without = Plan::from_json(&std::fs::read(folder().join(without)).unwrap()).unwrap();
            assert!(plan.uses("fx"), "{name}");
            // An index may be worth more than the estimate of MariaDB without histograms says.
            let (with, without) = (plan.rows_examined(), without.rows_examined());
            assert!(with <= without * 1.5, "{name}: {with} {without}");
        }
    }
    assert!(read >= 40, "{read}");
}

#[test]
fn what_an_index_would_save() {
    let plan = json("mysql9.v1.q1_jobs_by_team_status.noindex");
    let (before, after) = plan.saving("jobs", None).unwrap();
    assert_eq!((before, after.round()), (19_382.0, 194.0));
    assert_eq!(plan.saving("jobs", Some(20.0)), Some((19_382.0, 20.0)));
    assert_eq!(plan.saving("teams", None), None);
    // MariaDB does not guess what is kept: then only the caller knows.
    let plan = json("mariadb1011.q1_jobs_by_team_status.noindex");
    assert_eq!(plan.saving("jobs", None), None);
    assert_eq!(plan.saving("jobs", Some(20.0)), Some((19_939.0, 20.0)));
    assert_eq!(
        json("mariadb1011.q2_notifications_unread.index").saving("notifications", None),
        None
    );
}

#[test]
fn problems_in_words() {
    let plan = json("mariadb1011.q4_ranking_group.noindex");
    assert_eq!(
        plan.problems(),
        [
            "reads all of jobs, about 19,939 rows",
            "sorts what it found (jobs first)",
            "puts rows of jobs in a temporary table",
        ]
    );
    assert_eq!(
        json("mariadb1011.q2_notifications_unread.index").problems(),
        [""; 0]
    );
}

#[test]
fn what_is_no_plan() {
    assert_eq!(Plan::from_json(b"EXPLAIN"), Err(PlanError::NotJson));
    assert_eq!(Plan::from_json(b"{}"), Err(PlanError::NoSteps));
    assert_eq!(
        Plan::from_json(b"[1, {\"inputs\": 3}]"),
        Err(PlanError::NoSteps)
    );
    assert_eq!(
        Plan::from_json(&vec![b' '; PLAN_BYTES + 1]),
        Err(PlanError::TooLong)
    );
    let none = Vec::<Vec<(String, Option<String>)>>::new();
    assert_eq!(Plan::from_rows(none), Err(PlanError::NoSteps));
}

proptest! {
    #[test]
    fn nothing_panics(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Plan::from_json(&text);
        let _ = Plan::from_slow_log(&text);
    }

    #[test]
    fn no_numbers_panic(rows in any::<f64>(), filtered in any::<f64>(), steps in 1usize..40) {
        let row = || {
            let columns = [("id", "1".to_owned()), ("table", "t".to_owned()), ("type", "ALL".to_owned()),
                ("rows", rows.to_string()), ("filtered", filtered.to_string())];
            columns.map(|(name, value)| (name.to_owned(), Some(value)))
        };
        let plan = Plan::from_rows((0..steps).map(|_| row())).unwrap();
        plan.problems();
        plan.saving("t", Some(rows));
        plan.saving("t", None);
    }
}
