//! Every variant of the format, a row each.

use isukit_analyze::digest::UNKNOWN_AT;
use isukit_analyze::slow::fuzz::{Event, in_blocks, whole};
use isukit_analyze::slow::{Flags, Verb, looks_like};

/// The only event of a log, whatever the blocks and the line ends are.
fn only(log: &str) -> Event {
    let found = whole(log.as_bytes());
    assert_eq!(found.events.len(), 1, "{log}");
    assert_eq!(found.skipped, [], "{log}");
    assert!(looks_like(log.as_bytes()));
    for size in [1, 100] {
        assert!(in_blocks(log.as_bytes(), &[size]) == found);
    }
    let crlf = log.replace('\n', "\r\n");
    let other = whole(crlf.as_bytes());
    assert_eq!(other.events.len(), 1, "{crlf}");
    assert_eq!(
        other.events[0].statement,
        crlf_text(&found.events[0].statement)
    );
    assert_eq!(other.events[0].database, found.events[0].database);
    assert_eq!(other.events[0].user, found.events[0].user);
    assert_eq!(other.events[0].record, found.events[0].record);
    found.events[0].clone()
}

fn crlf_text(text: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(text)
        .replace('\n', "\r\n")
        .into_bytes()
}

const USER: &str = "# User@Host: app[app] @ web1 [10.0.0.7]  Id:    42\n";
const TIMES: &str =
    "# Query_time: 1.500000  Lock_time: 0.000100 Rows_sent: 3  Rows_examined: 1000\n";

#[test]
fn mysql_5_7_and_8() {
    let event = only(&format!(
        "# Time: 2026-11-20T10:21:15.659466Z\n{USER}{TIMES}use shop;\nSET timestamp=1795170074;\nSELECT *\nFROM t;\n"
    ));
    assert_eq!(event.statement, b"SELECT *\nFROM t");
    assert_eq!(event.record.at_us, 1_795_170_075_659_466);
    assert_eq!(event.record.query_ns, 1_500_000_000);
    assert_eq!(event.record.lock_ns, 100_000);
    assert_eq!(
        (event.record.rows_sent, event.record.rows_examined),
        (3, 1000)
    );
    assert_eq!((event.record.connection, event.record.weight), (42, 1));
    assert_eq!(event.user, b"app");
    assert_eq!(event.host, b"web1");
    assert_eq!(event.database.as_deref(), Some(b"shop".as_slice()));
    assert_eq!(event.record.verb, Verb::Read);
}

#[test]
fn times() {
    fn check(head: &str, expected: i64) {
        assert_eq!(
            only(&format!("{head}SELECT 1;\n")).record.at_us,
            expected,
            "{head}"
        );
    }
    let second = 1_795_170_087_000_000;
    check(
        &format!("# Time: 2026-11-20T19:21:27.000005+09:00\n{USER}{TIMES}"),
        second + 5,
    );
    check(
        &format!("# Time: 2026-11-20T05:21:27-05:00\n{USER}{TIMES}SET timestamp=1;\n"),
        second,
    );
    check(&format!("# Time: 261120 10:21:27\n{USER}{TIMES}"), second);
    check(
        &format!("# Time: 261120  9:21:27\n{USER}{TIMES}"),
        second - 3_600_000_000,
    );
    check(
        &format!("# Time: 261120 10:21:27\n{USER}{TIMES}SET timestamp=1795138000;\n"),
        1_795_138_000_000_000,
    );
    check(&format!("{USER}{TIMES}SET timestamp=1795170087;\n"), second);
    check(
        &format!("{USER}{TIMES}SET last_insert_id=5,insert_id=7,timestamp=1795170087;\n"),
        second,
    );
    check(&format!("{USER}{TIMES}"), UNKNOWN_AT);
    check(TIMES, UNKNOWN_AT);
}

#[test]
fn log_slow_extra() {
    let event = only(&format!(
        "# Time: 2026-11-20T10:21:15.659466Z\n{USER}# Query_time: 0.000113  Lock_time: 0.000000 Rows_sent: 1  Rows_examined: 1 \
         Thread_id: 9 Errno: 1146 Killed: 0 Bytes_received: 0 Bytes_sent: 56 Read_first: 0 Read_last: 0 Read_key: 0 \
         Read_next: 0 Read_prev: 0 Read_rnd: 0 Read_rnd_next: 0 Sort_merge_passes: 0 Sort_range_count: 0 Sort_rows: 0 \
         Sort_scan_count: 0 Created_tmp_disk_tables: 0 Created_tmp_tables: 0 Start: 2026-11-20T10:21:15.659353Z \
         End: 2026-11-20T10:21:15.659466Z\nSET timestamp=1795170075;\nSELECT 1;\n"
    ));
    assert_eq!(event.record.bytes_sent, 56);
    assert_eq!(event.record.connection, 9);
    assert!(event.record.flags.has(Flags::FAILED));
    assert!(!event.record.flags.has(Flags::KILLED));
}

#[test]
fn percona() {
    let event = only(
        "# Time: 261120 10:21:27\n# User@Host: app[app] @  [10.0.0.7]  Id:    42\n# Schema: my shop  Last_errno: 0  Killed: 1317\n\
         # Query_time: 0.000113  Lock_time: 0.000000  Rows_sent: 1  Rows_examined: 1  Rows_affected: 7\n\
         # Bytes_sent: 56  Tmp_tables: 1  Tmp_disk_tables: 0  Tmp_table_sizes: 0\n# InnoDB_trx_id: A\n\
         # QC_Hit: No  Full_scan: Yes  Full_join: Yes  Tmp_table: Yes  Tmp_table_on_disk: No\n\
         # Filesort: Yes  Filesort_on_disk: Yes  Merge_passes: 0\n\
         # Log_slow_rate_type: query  Log_slow_rate_limit: 25\nSET timestamp=1795170087;\nUPDATE t SET a = 1;\n",
    );
    assert_eq!(event.host, b"10.0.0.7");
    assert_eq!(event.database.as_deref(), Some(b"my shop".as_slice()));
    assert_eq!((event.record.weight, event.record.rows_affected), (25, 7));
    let mut flags = Flags::default();
    for flag in [
        Flags::FULL_SCAN,
        Flags::FULL_JOIN,
        Flags::TMP_TABLE,
        Flags::FILESORT,
        Flags::FILESORT_ON_DISK,
        Flags::KILLED,
        Flags::FAILED,
    ] {
        flags.add(flag);
    }
    assert_eq!(event.record.flags, flags);
    assert_eq!(event.record.verb, Verb::Write);
}

#[test]
fn mariadb() {
    let event = only(
        "# Time: 261120 10:21:27\n# User@Host: we[ird] user[we[ird] user] @ localhost []\n# Thread_id: 55  Schema:   QC_hit: Yes\n\
         # Query_time: 0.000019  Lock_time: 0.000000  Rows_sent: 0  Rows_examined: 0\n# Rows_affected: 3  Bytes_sent: 11\n\
         # Pages_accessed: 2  Pages_read: 0\n# Full_scan: No  Full_join: No  Tmp_table: No  Tmp_table_on_disk: No\n\
         # Filesort: Yes  Filesort_on_disk: No  Merge_passes: 0  Priority_queue: Yes\n#\n# explain: id\tselect_type\n\
         # explain: 1\tSIMPLE\n#\nuse `we``ird`;\nSET timestamp=1795170087;\nSELECT 1;\n",
    );
    assert_eq!(event.user, b"we[ird] user");
    assert_eq!(event.database.as_deref(), Some(b"".as_slice()));
    assert_eq!((event.record.connection, event.record.bytes_sent), (55, 11));
    assert!(event.record.flags.has(Flags::PRIORITY_QUEUE));
    assert!(event.record.flags.has(Flags::QUERY_CACHE_HIT));
    assert!(event.explain.starts_with(b"# explain: id\tselect_type"));
    assert!(event.explain.ends_with(b"# explain: 1\tSIMPLE"));
}

#[test]
fn odd_events() {
    fn check(log: &str, statement: &str, verb: Verb) -> Event {
        let event = only(log);
        assert_eq!(event.statement, statement.as_bytes(), "{log}");
        assert_eq!(event.record.verb, verb, "{log}");
        event
    }
    let head = format!("{USER}{TIMES}");
    let stamp = "SET timestamp=1795170087;\n";
    let admin = "# administrator command: Quit";
    check(&format!("{head}{stamp}{admin};\n"), admin, Verb::Admin);
    check(&format!("{head}{admin};\n"), admin, Verb::Admin);
    check(&format!("{head}{stamp};\n"), "", Verb::Other);
    check(&head, "", Verb::Other);
    check(&format!("{head}{stamp}use `x`;\n"), "use `x`", Verb::Other);
    let event = check(&format!("{head}use x;\n"), "use x", Verb::Other);
    assert_eq!(event.database.as_deref(), Some(b"x".as_slice()));
    let event = check(
        &format!("{head}use `we``ird`;\nSELECT 1;\n"),
        "SELECT 1",
        Verb::Read,
    );
    assert_eq!(event.database.as_deref(), Some(b"we`ird".as_slice()));
    check(
        &format!("{head}{stamp}SET timestamp=5;\n"),
        "SET timestamp=5",
        Verb::Other,
    );
    check(
        &format!("{head}{stamp}SET timestamp = 5;\n"),
        "SET timestamp = 5",
        Verb::Other,
    );
    let event = check(
        &format!("{head}{stamp}SELECT a FROM t WHERE b = 'cu"),
        "SELECT a FROM t WHERE b = 'cu",
        Verb::Read,
    );
    assert!(event.record.flags.has(Flags::CUT));
    let event = check(&format!("{head}{stamp}SELECT 1;"), "SELECT 1", Verb::Read);
    assert!(!event.record.flags.has(Flags::CUT));
    let wrapped = head.replace("1.500000", "18446744073708.796870");
    let event = check(
        &format!("{wrapped}{stamp}SELECT 1;\n"),
        "SELECT 1",
        Verb::Read,
    );
    assert_eq!(event.record.query_ns, 0);
    assert!(event.record.flags.has(Flags::WRAPPED_TIME));
    let event = check(
        &format!("{head}{stamp}SELECT 1 -- req_id: ab-1\n;\n"),
        "SELECT 1 -- req_id: ab-1\n",
        Verb::Read,
    );
    assert_eq!(event.request_id, b"ab-1");
    check(
        &format!("{head}{stamp}WITH a AS (SELECT 1) UPDATE t SET x = 1;\n"),
        "WITH a AS (SELECT 1) UPDATE t SET x = 1",
        Verb::Write,
    );
    check(
        &format!("{head}{stamp}(SELECT 1) UNION (SELECT 2);\n"),
        "(SELECT 1) UNION (SELECT 2)",
        Verb::Read,
    );
    check(
        &format!("{head}{stamp}/* x */ BEGIN;\n"),
        "/* x */ BEGIN",
        Verb::Transaction,
    );
}

#[test]
fn request_ids() {
    fn check(statement: &str, expected: &str) {
        let event = only(&format!("{USER}{TIMES}{statement};\n"));
        assert_eq!(
            String::from_utf8_lossy(&event.request_id),
            expected,
            "{statement}"
        );
    }
    check("SELECT 1 /* reqid=abc */", "abc");
    check("/* request_id='a-b' */ SELECT 1", "a-b");
    check("SELECT 1 /* X-Request-ID: 77, route=x */", "77");
    check(
        "SELECT 1 /*traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01',route='x'*/",
        "5bd66ef5095369c7b0d1f8f4bd33716a",
    );
    check("SELECT '/* reqid=abc */'", "");
    check("SELECT 1 /* route=x */ /* reqid=abc */", "abc");
    check("SELECT 1 /* reqid= */", "");
    check("SELECT `/* reqid=abc */` # reqid=def", "def");
}

const BANNER: &str = "/rdsdbbin/mysql/bin/mysqld, Version: 8.0.35 (Source distribution). started with:\n\
    Tcp port: 3306  Unix socket: /tmp/mysql.sock\nTime                 Id Command    Argument\n";

#[test]
fn restarts() {
    let event = format!("{USER}{TIMES}SET timestamp=1795170087;\nSELECT 1;\n");
    let cut = format!("{USER}{TIMES}SET timestamp=1795170087;\nSELECT 'cu\n");
    let log = format!("{BANNER}{event}{event}{BANNER}{BANNER}{event}{cut}{BANNER}{event}{BANNER}");
    let found = whole(log.as_bytes());
    let restarts: Vec<_> = found
        .events
        .iter()
        .map(|event| event.record.after_restart)
        .collect();
    assert_eq!(restarts, [true, false, true, false, true]);
    assert_eq!(found.skipped, []);
    assert_eq!(found.events[3].statement, b"SELECT 'cu");
    for size in [1, 90, 400] {
        assert!(in_blocks(log.as_bytes(), &[size]) == found);
    }
    assert!(looks_like(BANNER.as_bytes()));
    assert!(!looks_like(b"time:2026-11-20\treqtime:0.1\n"));
}

#[test]
fn broken_ends() {
    fn check(log: &str, events: usize, skipped: &[(usize, usize)]) {
        let found = whole(log.as_bytes());
        assert_eq!(found.events.len(), events, "{log}");
        assert_eq!(found.skipped, skipped, "{log}");
        assert!(in_blocks(log.as_bytes(), &[40]) == found, "{log}");
    }
    let event = format!("{USER}{TIMES}SET timestamp=1795170087;\nSELECT 1;\n");
    let size = event.len();
    check(&format!("half a statement;\n{event}"), 1, &[(0, 18)]);
    check(
        &format!("{event}# Time: 2026-11-20T10:21:15.659466Z\n# User@Ho"),
        1,
        &[(size, size + 45)],
    );
    check(&format!("{event}# Ti"), 1, &[(size, size + 4)]);
    check(&format!("\n\n{event}"), 1, &[]);
    check("nothing of it\n", 0, &[(0, 14)]);
    check("", 0, &[]);
}

#[test]
fn large_statements() {
    let list: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
    let head = format!("{USER}{TIMES}SET timestamp=1795170087;\n");
    let list = format!("{head}SELECT * FROM t WHERE id IN ({});\n", list.join(","));
    let text = format!("{head}SELECT '{}';\n", "x".repeat(1_200_000));
    let line = format!("{head}SELECT {};\n", "a, ".repeat(60_000));
    let log = format!("{list}{text}{line}{list}");
    let found = whole(log.as_bytes());
    assert_eq!(found.events.len(), 4);
    assert!(in_blocks(log.as_bytes(), &[1 << 16]) == found);
    assert_eq!(found.events[0].record.shape, found.events[3].record.shape);
}

#[test]
fn an_event_beyond_the_limit_is_cut() {
    let head = format!("{USER}{TIMES}SET timestamp=1795170087;\n");
    let log = format!("{head}SELECT '{}';\n{head}SELECT 2;\n", "x".repeat(9 << 20));
    let found = whole(log.as_bytes());
    assert_eq!(found.events.len(), 2);
    assert!(found.events[0].record.flags.has(Flags::CUT));
    assert_eq!(found.skipped.len(), 1);
    assert!(in_blocks(log.as_bytes(), &[1 << 20]) == found);
}
