// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn map(text: &str) -> BTreeMap<String, String> {
    let pairs = text
        .split_whitespace()
        .filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Names of what is worth a word; with `!` what costs safety.
fn check(variables: &str, status: &str, data_bytes: Option<u64>, expected: &str) {
    let found = review(&Server {
        variables: map(variables),
        status: map(status),
        data_bytes,
    });
    let told = found.iter().map(|it| {
        let risk = if it.risk.is_some() { "!" } else { "" };
        format!("{}{risk}", it.name)
    });
    assert_eq!(
        told.collect::<Vec<_>>().join(" "),
        expected,
        "{variables} {status}"
    );
}

#[test]
fn what_is_worth_a_word() {
    let pool = "innodb_buffer_pool_size=134217728";
    check(pool, "", Some(1 << 30), "innodb_buffer_pool_size");
    check(pool, "", Some(1 << 20), "");
    check(pool, "", None, "");
    let waits = "innodb_buffer_pool_wait_free=5000 innodb_buffer_pool_reads=500 innodb_buffer_pool_read_requests=1000";
    check(pool, waits, Some(1 << 20), "innodb_buffer_pool_size");
    check(
        "innodb_flush_log_at_trx_commit=1",
        "",
        None,
        "innodb_flush_log_at_trx_commit!",
    );
    check("innodb_flush_log_at_trx_commit=2", "", None, "");
    check("log_bin=ON sync_binlog=1", "", None, "sync_binlog!");
    check("log_bin=ON sync_binlog=0", "", None, "log_bin!");
    check("log_bin=OFF sync_binlog=1", "", None, "");
    check(
        "innodb_log_file_size=50331648 innodb_log_files_in_group=2",
        "",
        None,
        "innodb_log_file_size",
    );
    check("innodb_log_file_size=1073741824", "", None, "");
    check(
        "innodb_redo_log_capacity=104857600",
        "",
        None,
        "innodb_redo_log_capacity",
    );
    check(
        "innodb_redo_log_capacity=1073741824",
        "innodb_log_waits=1000",
        None,
        "innodb_redo_log_capacity",
    );
    check(
        "query_cache_type=ON query_cache_size=1048576",
        "qcache_hits=5",
        None,
        "query_cache_type",
    );
    check(
        "query_cache_type=OFF query_cache_size=1048576",
        "",
        None,
        "",
    );
    check("query_cache_type=ON query_cache_size=0", "", None, "");
    check(
        "tmp_table_size=16777216",
        "created_tmp_disk_tables=500 created_tmp_tables=1000",
        None,
        "tmp_table_size",
    );
    check(
        "tmp_table_size=16777216",
        "created_tmp_disk_tables=5 created_tmp_tables=10",
        None,
        "",
    );
    check(
        "max_connections=151",
        "max_used_connections=151",
        None,
        "max_connections",
    );
    check(
        "max_connections=151",
        "max_used_connections=20 connection_errors_max_connections=3",
        None,
        "max_connections",
    );
    check("max_connections=151", "max_used_connections=20", None, "");
    check(
        "innodb_doublewrite=ON",
        "innodb_dblwr_writes=100000",
        None,
        "innodb_doublewrite!",
    );
    check(
        "slow_query_log=OFF long_query_time=10",
        "",
        None,
        "slow_query_log",
    );
    check(
        "slow_query_log=ON long_query_time=10.000000",
        "",
        None,
        "long_query_time",
    );
    check("slow_query_log=ON long_query_time=0.000000", "", None, "");
    check("performance_schema=ON", "", None, "performance_schema");
    check("", "", None, "");
}

proptest! {
    #[test]
    fn no_value_panics(values in prop::collection::vec("[0-9]{0,22}|ON|-1|1e9|x", 12), data in any::<Option<u64>>()) {
        let names = ["innodb_buffer_pool_size", "innodb_log_file_size", "innodb_log_files_in_group", "max_connections",
            "long_query_time", "slow_query_log", "sync_binlog", "log_bin", "innodb_buffer_pool_reads",
            "created_tmp_tables", "created_tmp_disk_tables", "max_used_connections"];
        let values: BTreeMap<_, _> = names.iter().map(|it| (*it).to_owned()).zip(values).collect();
        review(&Server { variables: values.clone(), status: values, data_bytes: data });
    }
}
