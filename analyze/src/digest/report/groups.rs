//! Groups in a report.

use std::cmp::Ordering;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{IndexReport, PlanReport, ReportOptions, Sort};
use crate::access::{CacheStatus, agent};
use crate::digest::group::{Group, Requests, Statements, What, verb_name};
use crate::digest::tally::{Cost, Costs, Names, Tally};
use crate::digest::{Section, UNKNOWN_AT, timestamp};
use crate::slow::{self, Flags};

/// Names of users, hosts, databases, agents and clients in a group.
const MOST_NAMED: usize = 5;

/// A group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupReport {
    /// Its place among its sort, from 1.
    pub rank: usize,
    /// `statement` or `route`.
    pub kind: &'static str,
    /// The shape or the route.
    pub key: String,
    /// A short name for it that is the same everywhere: hexadecimal digits.
    pub id: String,
    /// Statements or requests, scaled up where the log is a sample of them.
    pub count: u64,
    /// Of how many the log tells the time.
    pub timed: u64,
    /// Their time together in seconds.
    pub total_s: f64,
    /// Its share of the time of its sort, 0 to 1; of the count when the log tells no times.
    pub share: f64,
    /// Mean time in seconds.
    pub mean_s: f64,
    /// Standard deviation of the time in seconds.
    pub stddev_s: f64,
    /// Shortest time in seconds.
    pub min_s: f64,
    /// `p50_s` and so on: the percentiles that were asked for, in seconds.
    #[serde(flatten)]
    pub percentiles: Map<String, Value>,
    /// Longest time in seconds.
    pub max_s: f64,
    /// How many took up to 10 us, 100 us, 1 ms, 10 ms, 100 ms, 1 s, 10 s, and longer.
    pub distribution: [u64; 8],
    /// How many failed.
    pub errors: u64,
    /// Bytes sent to the client.
    pub bytes: u64,
    /// Most bytes sent by one.
    pub bytes_max: u64,
    /// When the first was seen, ISO 8601 in UTC.
    pub first_at: Option<String>,
    /// When the last was seen.
    pub last_at: Option<String>,
    /// What only statements have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<StatementsReport>,
    /// What only requests have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<RequestsReport>,
    /// The dearest of them.
    pub sample: Option<SampleReport>,
}

/// The dearest statement or request of a group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SampleReport {
    /// Its time in seconds.
    pub time_s: f64,
    /// When, ISO 8601 in UTC.
    pub at: Option<String>,
    /// As it stood in the log.
    pub text: String,
    /// Whether there was more of it.
    pub is_cut: bool,
    /// The plan that MariaDB logged with it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub plan: String,
    /// The database it ran in.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub database: String,
}

/// What a user, a host, an agent or a client costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NamedCost {
    /// Its name.
    pub name: String,
    /// How many statements or requests.
    pub count: u64,
    /// Their time in seconds.
    pub total_s: f64,
    /// Their share of the time, 0 to 1.
    pub share: f64,
}

/// What only statements have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatementsReport {
    /// `read`, `write`, `transaction`, `schema`, `admin` or `other`.
    pub verb: &'static str,
    /// Rows sent to the client, all together.
    pub rows_sent: u64,
    /// Most rows sent by one.
    pub rows_sent_max: u64,
    /// Rows looked at, all together.
    pub rows_examined: u64,
    /// Most rows looked at by one.
    pub rows_examined_max: u64,
    /// Rows looked at for each row sent or written, or for each statement where there are fewer rows.
    pub rows_examined_per_row: f64,
    /// Rows written, all together.
    pub rows_affected: u64,
    /// Time waited for locks in seconds.
    pub lock_s: f64,
    /// Its share of the time, 0 to 1.
    pub lock_share: f64,
    /// How many read a whole table.
    pub full_scans: u64,
    /// How many joined without an index.
    pub full_joins: u64,
    /// How many made a temporary table.
    pub tmp_tables: u64,
    /// How many made a temporary table on disk.
    pub tmp_tables_on_disk: u64,
    /// How many sorted.
    pub filesorts: u64,
    /// How many sorted on disk.
    pub filesorts_on_disk: u64,
    /// How many the query cache answered.
    pub query_cache_hits: u64,
    /// Who ran them.
    pub users: Vec<NamedCost>,
    /// From where.
    pub hosts: Vec<NamedCost>,
    /// In which database.
    pub databases: Vec<NamedCost>,
    /// Indexes that may serve them; of the dearest statements only.
    pub indexes: Vec<IndexReport>,
    /// What no index helps with, or not as they are written; of the dearest statements only.
    pub hints: Vec<String>,
    /// How the dearest one is run, if a server was asked or the log tells.
    pub plan: Option<PlanReport>,
    /// Why the server gave no plan.
    pub plan_error: Option<String>,
}

/// How many had a status.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusCount {
    /// The status; 0 when there was none.
    pub status: u16,
    /// How many.
    pub count: u64,
}

/// What only requests have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RequestsReport {
    /// How many had each status, by status.
    pub statuses: Vec<StatusCount>,
    /// 1xx.
    pub informational: u64,
    /// 2xx.
    pub successful: u64,
    /// 3xx.
    pub redirected: u64,
    /// 4xx.
    pub client_errors: u64,
    /// 5xx.
    pub server_errors: u64,
    /// Time of the upstream in seconds.
    pub upstream_s: f64,
    /// Its share of the time of those whose upstream time is known; none when none is.
    pub upstream_share: Option<f64>,
    /// Longest time of the upstream in seconds.
    pub upstream_max_s: f64,
    /// How many had each cache status.
    pub cache: Map<String, Value>,
    /// Share of those that a cache was asked for and that it answered; none when it was asked for none.
    pub cache_hit_share: Option<f64>,
    /// Bytes received from the client.
    pub received_bytes: u64,
    /// Who asked.
    pub agents: Vec<NamedCost>,
    /// Share of the time that bots took; none when the log tells no agents.
    pub bots_share: Option<f64>,
    /// From where.
    pub clients: Vec<NamedCost>,
}

pub(super) fn seconds(ns: impl Into<u128>) -> f64 {
    ns.into() as f64 / 1e9
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// The groups of a section, dearest first.
pub(super) fn ranked(
    kind: &'static str,
    section: &Section,
    names: &Names,
    options: &ReportOptions,
) -> Vec<GroupReport> {
    let mut groups: Vec<&Group> = section.groups.iter().collect();
    let is_timed = !section.times.is_empty();
    groups.sort_by(|left, right| compare(left, right, options.sort, is_timed));
    let ranked = groups.into_iter().enumerate();
    ranked
        .map(|(at, group)| {
            let mut report = group_report(kind, group, section, names, options);
            report.rank = at + 1;
            report
        })
        .collect()
}

fn compare(left: &Group, right: &Group, sort: Sort, is_timed: bool) -> Ordering {
    let key = |group: &Group| -> f64 {
        match sort {
            Sort::Total if is_timed => group.times.sum_ns() as f64,
            Sort::Total | Sort::Count => group.count as f64,
            Sort::Mean => group.times.mean_ns(),
            Sort::Percentile(p) => group.times.quantile_ns(f64::from(p) / 100_000.0) as f64,
            Sort::Max => group.times.max_ns() as f64,
            Sort::Errors => group.errors as f64,
            Sort::Bytes => group.bytes.total as f64,
            Sort::Rows => match &group.what {
                What::Statements(statements) => statements.rows_examined.total as f64,
                What::Requests(_) => 0.0,
            },
        }
    };
    key(right)
        .total_cmp(&key(left))
        .then_with(|| right.times.sum_ns().cmp(&left.times.sum_ns()))
        .then_with(|| right.count.cmp(&left.count))
        .then_with(|| left.name.cmp(&right.name))
}

/// The key of a percentile, 0 to 100: `p99.9_s`.
pub(super) fn percentile_key(p: f64) -> String {
    format!("p{p}_s")
}

fn group_report(
    kind: &'static str,
    group: &Group,
    section: &Section,
    names: &Names,
    options: &ReportOptions,
) -> GroupReport {
    let times = &group.times;
    let (part, whole) = match section.times.is_empty() {
        true => (group.count as f64, section.count as f64),
        false => (times.sum_ns() as f64, section.times.sum_ns() as f64),
    };
    let percentiles = options.percentiles.iter().map(|p| {
        let value = seconds(times.quantile_ns(p / 100.0));
        (percentile_key(*p), json!(value))
    });
    let at = |at_us: i64| (at_us != UNKNOWN_AT).then(|| timestamp(at_us));
    let (sql, http) = match &group.what {
        What::Statements(statements) => (Some(statements_report(group, statements)), None),
        What::Requests(requests) => (None, Some(requests_report(group, requests, names))),
    };
    GroupReport {
        rank: 0,
        kind,
        key: group.name.clone(),
        id: match options.pt_compat && kind == "statement" {
            true => slow::pt::id(&group.name),
            false => id_of(&group.name),
        },
        count: group.count,
        timed: times.count(),
        total_s: seconds(times.sum_ns()),
        share: share(part, whole),
        mean_s: times.mean_ns() / 1e9,
        stddev_s: times.deviation_ns() / 1e9,
        min_s: seconds(times.min_ns()),
        percentiles: percentiles.collect(),
        max_s: seconds(times.max_ns()),
        distribution: times.decades(),
        errors: group.errors,
        bytes: group.bytes.total,
        bytes_max: group.bytes.max,
        first_at: at(group.first_at),
        last_at: at(group.last_at),
        sql,
        http,
        sample: group.worst.as_ref().map(|worst| SampleReport {
            time_s: seconds(worst.ns),
            at: at(worst.at_us),
            text: worst.text.clone(),
            is_cut: worst.is_cut,
            plan: worst.plan.clone(),
            database: worst.database.clone().unwrap_or_default(),
        }),
    }
}

/// A short name of a group, by its key alone.
pub(in crate::digest) fn id_of(key: &str) -> String {
    slow::shape::id(key)
}

fn named(costs: Vec<(&str, Cost)>, total_ns: u128, limit: usize) -> Vec<NamedCost> {
    let shown = costs.into_iter().take(limit);
    shown
        .map(|(name, cost)| NamedCost {
            name: name.to_owned(),
            count: cost.count,
            total_s: seconds(cost.ns),
            share: share(cost.ns as f64, total_ns as f64),
        })
        .collect()
}

fn statements_report(group: &Group, statements: &Statements) -> StatementsReport {
    let flag = |flag: Flags| statements.flags[flag.0.trailing_zeros() as usize];
    let total = group.times.sum_ns();
    let tally = |tally: &Tally| named(tally.ranked(), total, MOST_NAMED);
    let rows = statements.rows_sent.total + statements.rows_affected.total;
    StatementsReport {
        verb: verb_name(statements.verb),
        rows_sent: statements.rows_sent.total,
        rows_sent_max: statements.rows_sent.max,
        rows_examined: statements.rows_examined.total,
        rows_examined_max: statements.rows_examined.max,
        rows_examined_per_row: statements.rows_examined.total as f64
            / rows.max(group.count).max(1) as f64,
        rows_affected: statements.rows_affected.total,
        lock_s: seconds(statements.lock_ns.total),
        lock_share: share(statements.lock_ns.total as f64, total as f64),
        full_scans: flag(Flags::FULL_SCAN),
        full_joins: flag(Flags::FULL_JOIN),
        tmp_tables: flag(Flags::TMP_TABLE),
        tmp_tables_on_disk: flag(Flags::TMP_TABLE_ON_DISK),
        filesorts: flag(Flags::FILESORT),
        filesorts_on_disk: flag(Flags::FILESORT_ON_DISK),
        query_cache_hits: flag(Flags::QUERY_CACHE_HIT),
        users: tally(&statements.users),
        hosts: tally(&statements.hosts),
        databases: tally(&statements.databases),
        indexes: Vec::new(),
        hints: Vec::new(),
        plan: None,
        plan_error: None,
    }
}

fn requests_report(group: &Group, requests: &Requests, names: &Names) -> RequestsReport {
    let mut statuses: Vec<_> = requests.statuses.iter().collect();
    statuses.sort_by_key(|(status, _)| *status);
    let cached = CacheStatus::NAMES.iter().zip(requests.caches).skip(1);
    let asked: u64 = requests.caches[1..].iter().sum();
    let total = group.times.sum_ns();
    RequestsReport {
        statuses: statuses
            .into_iter()
            .map(|(status, cost)| StatusCount {
                status: *status,
                count: cost.count,
            })
            .collect(),
        informational: requests.with_status(100, 199),
        successful: requests.with_status(200, 299),
        redirected: requests.with_status(300, 399),
        client_errors: requests.with_status(400, 499),
        server_errors: requests.with_status(500, 599),
        upstream_s: seconds(requests.upstream.ns),
        upstream_share: (requests.with_upstream_ns > 0).then(|| {
            share(
                requests.upstream.ns as f64,
                requests.with_upstream_ns as f64,
            )
        }),
        upstream_max_s: seconds(requests.upstream_max_ns),
        cache: cached
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| ((*name).to_owned(), json!(count)))
            .collect(),
        cache_hit_share: (asked > 0).then(|| share(requests.caches[1] as f64, asked as f64)),
        received_bytes: requests.received.total,
        agents: named(names.ranked(&requests.agents), total, MOST_NAMED),
        bots_share: bots_share(&requests.agents, names),
        clients: named(names.ranked(&requests.clients), total, MOST_NAMED),
    }
}

/// The share of the time (or of the count, without times) that bots took.
fn bots_share(agents: &Costs, names: &Names) -> Option<f64> {
    let (mut bots, mut all) = (Cost::default(), Cost::default());
    for (key, cost) in agents.iter() {
        all.add(cost);
        if agent::is_bot(names.name(key).as_bytes()) {
            bots.add(cost);
        }
    }
    match (all.ns, all.count) {
        (0, 0) => None,
        (0, count) => Some(share(bots.count as f64, count as f64)),
        (ns, _) => Some(share(bots.ns as f64, ns as f64)),
    }
}

/// The agents and clients of all requests, and the bots' share of the time.
pub(super) fn who(
    section: &Section,
    names: &Names,
    limit: usize,
) -> (Vec<NamedCost>, Vec<NamedCost>, Option<f64>) {
    let (mut agents, mut clients) = (Costs::default(), Costs::default());
    for group in &section.groups {
        if let What::Requests(requests) = &group.what {
            agents.include(&requests.agents);
            clients.include(&requests.clients);
        }
    }
    let total = section.times.sum_ns();
    let bots = bots_share(&agents, names);
    let list = |costs: &Costs| named(names.ranked(costs), total, limit);
    (list(&agents), list(&clients), bots)
}
