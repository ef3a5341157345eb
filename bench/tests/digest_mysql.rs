//! `isukit digest --mysql` on a real MariaDB: what it advises is what the server then uses.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

// The portal's own tests use the rest of it.
#[allow(dead_code)]
#[path = "../../scenarios/contest/target/tests/support/mariadb.rs"]
mod mariadb;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mariadb::MariaDb;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};
use serde_json::Value;
use support::logs::digest;
use support::{finish, isukit, spawn};

/// A server with tables that lack indexes, and the log of what was asked of it.
struct Shop {
    server: MariaDb,
    log: PathBuf,
    _folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

/// Statements that read whole tables, each by its shape's begin, and what serves it.
const SLOW: [(&str, &str, &[&str]); 5] = [
    (
        "select id from orders where customer_id = ? order by",
        "orders",
        &["customer_id", "created_at"],
    ),
    (
        "select count(*) from orders where status = ? and customer_id = ?",
        "orders",
        &["customer_id", "status"],
    ),
    (
        "select o.id, l.product_id from orders",
        "order_lines",
        &["order_id"],
    ),
    (
        "update orders set status = ? where customer_id = ?",
        "orders",
        &["customer_id"],
    ),
    (
        "select product_id, sum(amount) from order_lines where product_id in(?+)",
        "order_lines",
        &["product_id"],
    ),
];

impl Shop {
    fn open() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let log = folder.path().join("slow.log");
        let file = format!("--slow-query-log-file={}", log.display());
        let server = MariaDb::start(&[
            "--slow-query-log",
            &file,
            "--long-query-time=0",
            "--log-slow-verbosity=query_plan,explain",
        ]);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let shop = Self {
            server,
            log,
            _folder: folder,
            runtime,
        };
        shop.run(&[
            "CREATE TABLE orders (id BIGINT PRIMARY KEY, customer_id BIGINT NOT NULL, status TINYINT NOT NULL, \
             created_at BIGINT NOT NULL, note TEXT)",
            "CREATE TABLE order_lines (id BIGINT PRIMARY KEY, order_id BIGINT NOT NULL, \
             product_id BIGINT NOT NULL, amount INT NOT NULL)",
            "INSERT INTO orders SELECT seq, seq % 997, seq % 5, seq * 7, REPEAT('x', 50) FROM seq_1_to_20000",
            "INSERT INTO order_lines SELECT seq, seq % 20000, seq % 313, seq % 9 FROM seq_1_to_40000",
            "ANALYZE TABLE orders, order_lines",
        ]);
        let statements: Vec<String> = (0..6)
            .flat_map(|n| {
                [
                    format!("SELECT id FROM orders WHERE customer_id = {n} ORDER BY created_at DESC LIMIT 5"),
                    format!("SELECT COUNT(*) FROM orders WHERE status = {} AND customer_id = {n}", n % 5),
                    format!(
                        "SELECT o.id, l.product_id FROM orders o JOIN order_lines l ON l.order_id = o.id \
                         WHERE o.id = {}",
                        n + 100
                    ),
                    format!("UPDATE orders SET status = {} WHERE customer_id = {n}", n % 5),
                    format!(
                        "SELECT product_id, SUM(amount) FROM order_lines WHERE product_id IN ({n}, {}) \
                         GROUP BY product_id",
                        n + 50
                    ),
                ]
            })
            .collect();
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        shop.run(&statements);
        shop
    }

    fn run(&self, statements: &[&str]) {
        self.runtime.block_on(async {
            let opts = OptsBuilder::from_opts(Opts::from_url(&self.server.url()).unwrap());
            let mut conn = Conn::new(opts.prefer_socket(false)).await.unwrap();
            for statement in statements {
                conn.query_drop(*statement)
                    .await
                    .unwrap_or_else(|error| panic!("{statement}: {error}"));
            }
            conn.disconnect().await.unwrap();
        });
    }

    /// The log as it is now: what the questions of a digest add to it must not be in it.
    fn digest(&self, log: &Path, with_server: bool) -> Value {
        let mut command = isukit();
        command
            .arg("digest")
            .arg(log)
            .args(["--format", "json"])
            .env_remove("ISUKIT_MYSQL");
        if with_server {
            command.env("ISUKIT_MYSQL", self.server.url());
        }
        let ran = finish(spawn(command));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap()
    }
}

fn group<'r>(report: &'r Value, begin: &str) -> &'r Value {
    let groups = report["groups"].as_array().unwrap();
    let keys: Vec<_> = groups.iter().map(|group| &group["key"]).collect();
    groups
        .iter()
        .find(|group| group["key"].as_str().unwrap().starts_with(begin))
        .unwrap_or_else(|| panic!("{begin}: {keys:#?}"))
}

#[test]
fn an_advised_index_is_in_the_new_plan() {
    let shop = Shop::open();
    let log = shop.log.with_extension("copy");
    fs::copy(&shop.log, &log).unwrap();
    let before = shop.digest(&log, true);
    let mut indexes = BTreeMap::new();
    for (begin, table, columns) in SLOW {
        let sql = &group(&before, begin)["sql"];
        let plan = &sql["plan"];
        assert_eq!(plan["source"], "explain", "{sql:#}");
        assert!(
            !plan["problems"].as_array().unwrap().is_empty(),
            "{begin}: {plan:#}"
        );
        let index = &sql["indexes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|index| index["table"] == table);
        let index = index.unwrap_or_else(|| panic!("{begin}: {sql:#}"));
        let advised: Vec<_> = index["columns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c.as_str().unwrap())
            .collect();
        let mut sorted = advised.clone();
        sorted.sort_unstable();
        assert!(
            columns.iter().all(|column| sorted.contains(column)),
            "{begin}: {advised:?}"
        );
        let (read, left) = (
            index["rows_before"]
                .as_f64()
                .unwrap_or_else(|| panic!("{begin}: {sql:#}")),
            index["rows_after"].as_f64().unwrap(),
        );
        assert!(left < read / 10.0, "{begin}: {read} {left}");
        indexes.insert(begin, index["ddl"].as_str().unwrap().to_owned());
    }
    // Each index by itself, as one may serve several statements.
    for (begin, ddl) in &indexes {
        shop.run(&[ddl]);
        let name = ddl.split('`').nth(1).unwrap();
        let table = SLOW.iter().find(|row| row.0 == *begin).unwrap().1;
        let after = shop.digest(&log, true);
        let sql = &group(&after, begin)["sql"];
        let steps = sql["plan"]["steps"].as_array().unwrap();
        let uses = steps
            .iter()
            .any(|step| step["key"].as_str().is_some_and(|key| key.contains(name)));
        assert!(uses, "{begin}: {ddl}: {:#}", sql["plan"]);
        let again = sql["indexes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|index| index["ddl"] == *ddl);
        assert!(!again, "{begin}: {ddl} is there already: {sql:#}");
        shop.run(&[&format!("DROP INDEX `{name}` ON {table}")]);
    }
}

#[test]
fn the_log_alone_has_plans_and_the_server_has_settings() {
    let shop = Shop::open();
    let log = shop.log.with_extension("copy");
    fs::copy(&shop.log, &log).unwrap();
    let alone = shop.digest(&log, false);
    let plan = &group(&alone, SLOW[0].0)["sql"]["plan"];
    assert_eq!(plan["source"], "slow_log", "{plan:#}");
    assert_eq!(plan["steps"][0]["access"], "all", "{plan:#}");
    assert!(alone["database"].is_null());
    let asked = shop.digest(&log, true);
    let database = &asked["database"];
    assert!(
        database["version"].as_str().unwrap().contains("MariaDB"),
        "{database:#}"
    );
    assert_eq!(
        database["missing"].as_array().unwrap().len(),
        0,
        "{database:#}"
    );
    let settings = database["settings"].as_array().unwrap();
    assert!(
        settings
            .iter()
            .any(|it| it["name"] == "innodb_log_file_size"),
        "{database:#}"
    );
}

#[test]
fn a_forged_log_cannot_make_the_server_do_anything() {
    let shop = Shop::open();
    let log = shop.log.with_extension("forged");
    let entry = |statement: &str| {
        format!(
            "# Time: 2026-11-20T10:00:00.000000Z\n# User@Host: a[a] @ b []  Id: 5\n\
             # Query_time: 9.000000  Lock_time: 0.000000 Rows_sent: 1  Rows_examined: 90000\n\
             SET timestamp=1795170000;\n{statement};\n"
        )
    };
    let forged = [
        "SELECT 1; DROP TABLE orders",
        "SELECT 1 FROM orders; COMMIT; DELETE FROM orders",
        "SELECT * FROM orders INTO OUTFILE '/tmp/isukit-must-not-be-there'",
        "SELECT SLEEP(3600)",
        "ANALYZE FORMAT=JSON DELETE FROM orders",
        "DELETE FROM orders WHERE id > 0",
        "INSERT INTO orders SELECT id + 900000, 1, 1, 1, '' FROM orders",
    ];
    fs::write(&log, forged.map(entry).concat()).unwrap();
    let report = shop.digest(&log, true);
    assert!(report["events"].as_u64().unwrap() >= 7, "{report:#}");
    let rows: Option<u64> = shop.runtime.block_on(async {
        let opts = OptsBuilder::from_opts(Opts::from_url(&shop.server.url()).unwrap());
        let mut conn = Conn::new(opts.prefer_socket(false)).await.unwrap();
        conn.query_first("SELECT COUNT(*) FROM orders")
            .await
            .unwrap()
    });
    assert_eq!(rows, Some(20_000));
    assert!(!Path::new("/tmp/isukit-must-not-be-there").exists());
}

#[test]
fn a_server_that_is_not_there_costs_only_its_part_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("slow.log");
    fs::write(&log, support::logs::slow(50).concat()).unwrap();
    let ran = digest([
        log.to_str().unwrap(),
        "--mysql",
        "mysql://root:sesame@127.0.0.1:1/shop",
    ]);
    assert_eq!(ran.code, 2);
    assert!(ran.stdout.contains("statements of"), "{}", ran.stdout);
    assert!(ran.stderr.contains("127.0.0.1:1"), "{}", ran.stderr);
    assert!(
        !ran.stderr.contains("sesame") && !ran.stdout.contains("sesame"),
        "{}",
        ran.stderr
    );
}
