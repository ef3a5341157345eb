//! Settings of a server that are worth a word.
//!
//! What they mean: the reference manuals' chapters "Server System Variables" and "InnoDB System Variables"
//! of MySQL 8.4 and MariaDB 10.11.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::units::{format_bytes, format_count};

/// What a server says of itself.
#[derive(Debug, Clone, Default)]
pub struct Server {
    /// `SHOW GLOBAL VARIABLES`, names in lower case.
    pub variables: BTreeMap<String, String>,
    /// `SHOW GLOBAL STATUS`, names in lower case.
    pub status: BTreeMap<String, String>,
    /// Data and indexes of all InnoDB tables, in bytes; none if unknown.
    pub data_bytes: Option<u64>,
}

/// A setting that should be another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The variable.
    pub name: String,
    /// What it is.
    pub value: String,
    /// What to do.
    pub advice: String,
    /// What for.
    pub why: String,
    /// What is lost when the machine fails, if speed is bought with safety.
    pub risk: Option<String>,
}

/// Small waste is not worth a word: temporary tables, connections, waits fewer than this.
const MANY: u64 = 100;
/// A share of temporary tables on disk from which on it is.
const ON_DISK: f64 = 0.1;
/// Connections that are used, of those allowed.
const NEARLY_ALL: f64 = 0.85;
/// The smallest redo log that lets writes be gathered, in bytes.
const REDO_BYTES: u64 = 256 << 20;

/// Look at a server. What most affects speed comes first.
pub fn review(server: &Server) -> Vec<Setting> {
    [
        buffer_pool,
        flush_at_commit,
        sync_binlog,
        redo_log,
        query_cache,
        temporary_tables,
        connections,
        doublewrite,
        slow_log,
        long_query_time,
        performance_schema,
    ]
    .into_iter()
    .filter_map(|check| check(server))
    .collect()
}

impl Server {
    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.variable(name)?.trim().parse().ok()
    }

    fn count(&self, name: &str) -> Option<u64> {
        self.status.get(name)?.trim().parse().ok()
    }

    fn is_on(&self, name: &str) -> Option<bool> {
        let value = self.variable(name)?;
        Some(
            ["on", "1", "yes", "true"]
                .iter()
                .any(|it| value.eq_ignore_ascii_case(it)),
        )
    }

    fn setting(
        &self,
        name: &str,
        advice: impl Into<String>,
        why: impl Into<String>,
    ) -> Option<Setting> {
        Some(Setting {
            name: name.to_owned(),
            value: self.variable(name)?.to_owned(),
            advice: advice.into(),
            why: why.into(),
            risk: None,
        })
    }
}

/// With a word on what may be lost.
fn risky(setting: Option<Setting>, risk: &str) -> Option<Setting> {
    let setting = setting?;
    Some(Setting {
        risk: Some(risk.to_owned()),
        ..setting
    })
}

fn buffer_pool(server: &Server) -> Option<Setting> {
    let name = "innodb_buffer_pool_size";
    let size = server.number(name)?;
    let data = server.data_bytes?;
    if data > size {
        let why = format!(
            "data and indexes take {}, the pool holds {}: the rest is read from disk again and again",
            format_bytes(data),
            format_bytes(size)
        );
        let advice = "raise it above the size of the data, or to what the machine has left";
        return server.setting(name, advice, why);
    }
    // Everything fits, and yet pages were read because others had to go.
    let (reads, asked) = (
        server.count("innodb_buffer_pool_reads")?,
        server.count("innodb_buffer_pool_read_requests")?,
    );
    let waited = server.count("innodb_buffer_pool_wait_free").unwrap_or(0);
    (waited > MANY && reads > asked / 100).then(|| {
        let why = format!(
            "{} times a page had to wait for a free one",
            format_count(waited)
        );
        server.setting(name, "raise it", why)
    })?
}

fn flush_at_commit(server: &Server) -> Option<Setting> {
    let name = "innodb_flush_log_at_trx_commit";
    if server.variable(name)? != "1" {
        return None;
    }
    risky(
        server.setting(
            name,
            "2 writes at each commit and syncs once a second",
            "at 1 each commit waits for the disk",
        ),
        "up to a second of commits if the machine (not just the server) fails",
    )
}

fn sync_binlog(server: &Server) -> Option<Setting> {
    let is_logging = server.is_on("log_bin")?;
    let sync = server.number("sync_binlog")?;
    if !is_logging {
        return None;
    }
    if sync == 0 {
        return risky(
            server.setting(
                "log_bin",
                "turn it off (skip-log-bin) if there is no replica and no need to restore to a point in time",
                "each change is written twice",
            ),
            "no restoring to a point in time",
        );
    }
    risky(
        server.setting(
            "sync_binlog",
            "0 or 1000, or no binary log at all (skip-log-bin) if there is no replica",
            format!("the binary log is synced every {sync} commit(s), besides the redo log"),
        ),
        "the binary log may lack the last commits if the machine fails: replicas then differ",
    )
}

fn redo_log(server: &Server) -> Option<Setting> {
    // MySQL from 8.0.30 has one number, the others a size of each of some files.
    let (name, size) = match server.number("innodb_redo_log_capacity") {
        Some(size) => ("innodb_redo_log_capacity", size),
        None => {
            let files = server.number("innodb_log_files_in_group").unwrap_or(1);
            let name = "innodb_log_file_size";
            (name, server.number(name)?.saturating_mul(files))
        }
    };
    let waits = server.count("innodb_log_waits").unwrap_or(0);
    if size >= REDO_BYTES && waits <= MANY {
        return None;
    }
    let why = match waits > MANY {
        true => format!("{} writes waited for room in the log", format_count(waits)),
        false => format!(
            "with {} pages are flushed before more changes gather in them",
            format_bytes(size)
        ),
    };
    server.setting(name, "raise it to 1G if much is written", why)
}

fn query_cache(server: &Server) -> Option<Setting> {
    let name = "query_cache_type";
    let kind = server.variable(name)?;
    let size = server.number("query_cache_size").unwrap_or(0);
    if kind.eq_ignore_ascii_case("off") || kind == "0" || size == 0 {
        return None;
    }
    let hits = server.count("qcache_hits").unwrap_or(0);
    let inserts = server.count("qcache_inserts").unwrap_or(0);
    let why = format!(
        "one lock serves all threads, and each write to a table throws out what was kept of it ({} hits, {} \
         inserts)",
        format_count(hits),
        format_count(inserts)
    );
    server.setting(name, "turn it off unless nearly nothing is written", why)
}

fn temporary_tables(server: &Server) -> Option<Setting> {
    let disk = server.count("created_tmp_disk_tables")?;
    let all = server.count("created_tmp_tables")?;
    let share = disk as f64 / all.max(1) as f64;
    if disk < MANY || share < ON_DISK {
        return None;
    }
    let why = format!(
        "{:.0}% of the {} temporary tables went to disk",
        100.0 * share.min(1.0),
        format_count(all)
    );
    let advice = "raise it together with max_heap_table_size, and see which statements need temporary tables (TEXT \
                  and BLOB columns in them go to disk whatever the size)";
    server.setting("tmp_table_size", advice, why)
}

fn connections(server: &Server) -> Option<Setting> {
    let name = "max_connections";
    let allowed = server.number(name)?;
    let used = server.count("max_used_connections")?;
    let refused = server
        .count("connection_errors_max_connections")
        .unwrap_or(0);
    if refused == 0 && (used as f64) < NEARLY_ALL * allowed as f64 {
        return None;
    }
    let why = match refused {
        0 => format!(
            "{} of {} were in use at once",
            format_count(used),
            format_count(allowed)
        ),
        _ => format!("{} connections were refused", format_count(refused)),
    };
    let advice = "raise it, or keep fewer connections in the application's pools";
    server.setting(name, advice, why)
}

fn doublewrite(server: &Server) -> Option<Setting> {
    let name = "innodb_doublewrite";
    if !server.is_on(name)? || server.count("innodb_dblwr_writes")? < 10 * MANY {
        return None;
    }
    let writes = format_count(server.count("innodb_dblwr_writes")?);
    risky(
        server.setting(
            name,
            "off, if the data can be made again",
            format!("pages are written twice ({writes} times)"),
        ),
        "a table may be broken beyond repair if the machine fails while a page is written",
    )
}

fn slow_log(server: &Server) -> Option<Setting> {
    let name = if server.variables.contains_key("slow_query_log") {
        "slow_query_log"
    } else {
        "log_slow_query"
    };
    if server.is_on(name)? {
        return None;
    }
    server.setting(
        name,
        format!("SET GLOBAL {name} = 1, long_query_time = 0 while measuring; then off again"),
        "without it there is nothing to digest; connections that are open already must reconnect",
    )
}

fn long_query_time(server: &Server) -> Option<Setting> {
    let name = "long_query_time";
    let seconds: f64 = server.variable(name)?.trim().parse().ok()?;
    let is_logging = server
        .is_on("slow_query_log")
        .or(server.is_on("log_slow_query"))?;
    if !is_logging || seconds <= 0.0 {
        return None;
    }
    server.setting(
        name,
        "0 while measuring",
        "what is fast and frequent takes most of the time, and stays out of the log",
    )
}

fn performance_schema(server: &Server) -> Option<Setting> {
    let name = "performance_schema";
    if !server.is_on(name)? {
        return None;
    }
    server.setting(
        name,
        "off (at the start of the server) if nobody reads it",
        "it costs memory and some percent of the time of short statements",
    )
}
