//! What to fix first: what stands out in a digest, ranked by how much of the time a fix may save.
//!
//! Each rule looks at figures of the log alone. The share that a fix may save is an estimate of what would be
//! left, and is said as one.

use serde::Serialize;

use super::groups::{GroupReport, RequestsReport, StatementsReport};
use super::loops::LoopReport;
use super::{CauseReport, IndexReport};
use crate::units::{format_bytes, format_count, format_ns};

/// Something to fix.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Which rule found it: `full_scan`, `n_plus_one`, `locks`, `tmp_on_disk`, `large_result`, `frequent`,
    /// `slow_statement`, `errors`, `given_up`, `slow_route`, `delivery`, `static_by_app`, `cache_misses`, `bots`.
    pub rule: &'static str,
    /// The group's sort: `statement` or `route`.
    pub kind: &'static str,
    /// The group's short name; none for what concerns all.
    pub id: Option<String>,
    /// Share of the time of its sort that it concerns, 0 to 1.
    pub share: f64,
    /// Share of that time that a fix may save, 0 to 1: an estimate; none where nothing can be said.
    pub gain: Option<f64>,
    /// What stands out.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

/// Findings of a report.
const MOST: usize = 20;

/// Less than this share of the time is not worth a word.
const SMALLEST_GAIN: f64 = 0.005;

/// What takes time for no reason that the log shows comes behind what could save this part of it.
const UNEXPLAINED: f64 = 0.3;

/// Routes of which nothing is known but that they take time.
const MOST_UNEXPLAINED: usize = 2;

/// Causes that are less sure are not told here.
const SURE: f64 = 0.7;

impl Finding {
    /// What it is ranked by.
    fn weight(&self) -> f64 {
        self.gain.unwrap_or(self.share * UNEXPLAINED)
    }
}

/// So many rows for each one that is sent or written mean that an index is missing.
const MANY_ROWS: f64 = 30.0;

/// Fewer rows than this on average are read at once, index or not.
const FEW_ROWS: f64 = 200.0;

/// Find what stands out.
pub(super) fn findings(
    groups: &[GroupReport],
    loops: &[LoopReport],
    causes: &[CauseReport],
    bots_share: Option<f64>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for group in groups.iter().filter(|group| group.share >= SMALLEST_GAIN) {
        match (&group.sql, &group.http) {
            (Some(sql), _) => found.extend(of_statement(group, sql)),
            (_, Some(http)) => found.extend(of_route(group, http, causes)),
            _ => {}
        }
    }
    share_indexes(&mut found, groups);
    found.extend(loops.iter().map(|it| of_loop(it, causes)));
    found.extend(bots_share.filter(|share| *share >= 0.2).map(of_bots));
    let unexplained = groups.iter().filter(|group| {
        let is_known = found.iter().any(|it| it.id.as_ref() == Some(&group.id));
        group.http.is_some() && !is_known && group.share >= 0.05 && group.timed > 0
    });
    let unexplained: Vec<_> = unexplained.take(MOST_UNEXPLAINED).collect();
    found.extend(
        unexplained
            .into_iter()
            .map(|group| of_slow_route(group, causes)),
    );
    found.retain(|finding| finding.weight() >= SMALLEST_GAIN);
    found.sort_by(|left, right| {
        let weights = right.weight().total_cmp(&left.weight());
        weights.then_with(|| left.what.cmp(&right.what))
    });
    keep_best(&mut found);
    found.truncate(MOST);
    found
}

/// Put together what one index serves: one whose columns begin as those of another is not needed beside it.
fn share_indexes(found: &mut Vec<Finding>, groups: &[GroupReport]) {
    let only_index = |finding: &Finding| {
        let id = finding
            .id
            .as_ref()
            .filter(|_| finding.rule == "full_scan")?;
        let group = groups.iter().find(|group| group.id == *id)?;
        match group.sql.as_ref()?.indexes.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    };
    let mut clusters: Vec<(&IndexReport, Vec<Finding>)> = Vec::new();
    let mut others = Vec::new();
    for finding in std::mem::take(found) {
        let Some(index) = only_index(&finding) else {
            others.push(finding);
            continue;
        };
        let serves = |(other, _): &&mut (&IndexReport, Vec<Finding>)| {
            let shorter = index.columns.len().min(other.columns.len());
            index.table == other.table && index.columns[..shorter] == other.columns[..shorter]
        };
        match clusters.iter_mut().find(serves) {
            None => clusters.push((index, vec![finding])),
            Some((longest, members)) => {
                if index.columns.len() > longest.columns.len() {
                    *longest = index;
                }
                members.push(finding);
            }
        }
    }
    *found = others;
    for (index, mut members) in clusters {
        if members.len() > 1 {
            let count = members.len();
            let share = members.iter().map(|it| it.share).sum();
            let gain = members.iter().filter_map(|it| it.gain).sum();
            let mut first = members.swap_remove(0);
            first.what = format!(
                "{count} statements on {} read far more rows than they give; the first: {}",
                index.table, first.what
            );
            first.fix = format!("{} serves all {count}", index.ddl);
            (first.share, first.gain) = (share, Some(gain));
            members = vec![first];
        }
        found.append(&mut members);
    }
}

/// Of several findings about one group the one that saves most is enough, unless it is an N+1.
fn keep_best(found: &mut Vec<Finding>) {
    let mut seen: Vec<(Option<String>, bool)> = Vec::new();
    found.retain(|finding| {
        let key = (finding.id.clone(), finding.rule == "n_plus_one");
        let is_new = key.0.is_none() || !seen.contains(&key);
        seen.push(key);
        is_new
    });
}

fn finding(
    rule: &'static str,
    group: &GroupReport,
    left_over: f64,
    what: String,
    fix: String,
) -> Finding {
    Finding {
        rule,
        kind: group.kind,
        id: Some(group.id.clone()),
        share: group.share,
        gain: Some(group.share * (1.0 - left_over.clamp(0.0, 1.0))),
        what,
        fix,
    }
}

/// A finding of which nobody can say what it saves.
fn open_finding(rule: &'static str, group: &GroupReport, what: String, fix: String) -> Finding {
    Finding {
        gain: None,
        ..finding(rule, group, 0.0, what, fix)
    }
}

fn time(seconds: f64) -> String {
    format_ns(seconds * 1e9)
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{} times", format_count(count)),
    }
}

/// A text of a key that leaves room for what is said about it.
fn short(key: &str) -> String {
    const ROOM: usize = 90;
    match key.char_indices().nth(ROOM) {
        Some((end, _)) => format!("`{}…`", &key[..end]),
        None => format!("`{key}`"),
    }
}

/// What to do about a statement that reads too much.
fn index_advice(sql: &StatementsReport) -> String {
    let ddl: Vec<&str> = sql.indexes.iter().map(|index| index.ddl.as_str()).collect();
    match (ddl.as_slice(), sql.hints.first()) {
        ([], Some(hint)) => hint.clone(),
        ([], None) => "look at its plan: --mysql URL explains it".to_owned(),
        ([one], _) => one.to_string(),
        (several, _) => format!("some of {}", several.join("; ")),
    }
}

fn of_statement(group: &GroupReport, sql: &StatementsReport) -> Vec<Finding> {
    let count = group.count.max(1) as f64;
    let examined = sql.rows_examined as f64 / count;
    let returned = (sql.rows_sent + sql.rows_affected) as f64 / count;
    let name = short(&group.key);
    let mut found = Vec::new();
    // MySQL does not log how many rows an INSERT wrote.
    let is_told = sql.rows_sent + sql.rows_affected > 0 || sql.verb == "read";
    if examined >= FEW_ROWS && sql.rows_examined_per_row >= MANY_ROWS && is_told {
        // A statement costs something however few rows it reads.
        let left_over = (returned * 3.0 + 20.0) / examined;
        found.push(finding(
            "full_scan",
            group,
            left_over,
            format!(
                "{name} reads {} rows to give {}, {}",
                rows(examined),
                rows(returned),
                times(group.count)
            ),
            index_advice(sql),
        ));
    }
    if sql.lock_share >= 0.3 {
        found.push(finding(
            "locks",
            group,
            1.0 - sql.lock_share,
            format!(
                "{name} waits for locks {:.0}% of its time",
                sql.lock_share * 100.0
            ),
            "make the transactions that hold its rows shorter, or lock fewer rows".to_owned(),
        ));
    }
    let on_disk = sql.tmp_tables_on_disk.max(sql.filesorts_on_disk) as f64 / count;
    if on_disk >= 0.2 {
        found.push(finding(
            "tmp_on_disk",
            group,
            0.5,
            format!(
                "{name} sorts or groups on disk in {:.0}% of its runs",
                on_disk * 100.0
            ),
            "select fewer and shorter columns, sort by an index, or raise tmp_table_size and \
             sort_buffer_size"
                .to_owned(),
        ));
    }
    let sent = sql.rows_sent as f64 / count;
    if sent >= 1_000.0 && sql.rows_examined_per_row < MANY_ROWS {
        found.push(finding(
            "large_result",
            group,
            0.2,
            format!("{name} sends {} rows each time", rows(sent)),
            "count, sum or LIMIT in the database, or keep the result in the app".to_owned(),
        ));
    }
    if found.is_empty() && group.share >= 0.05 {
        found.push(no_flaw(group, &name));
    }
    found
}

/// Much time, and no flaw to be seen in the log.
fn no_flaw(group: &GroupReport, name: &str) -> Finding {
    let is_quick = group.mean_s < 0.001;
    let (rule, fix) = match (
        is_quick,
        group.sql.as_ref().is_some_and(|sql| sql.verb == "read"),
    ) {
        (true, true) => (
            "frequent",
            "ask for it less often: keep it in memory, or ask for many at once",
        ),
        (true, false) => (
            "frequent",
            "do many at once: multi-row statements, fewer transactions",
        ),
        (false, _) => (
            "slow_statement",
            "look at its plan: --mysql URL explains it",
        ),
    };
    open_finding(
        rule,
        group,
        format!(
            "{name} runs {}, {} each",
            times(group.count),
            time(group.mean_s)
        ),
        fix.to_owned(),
    )
}

fn rows(value: f64) -> String {
    match value {
        v if v < 9.95 && v.fract() > 0.05 => format!("{v:.1}"),
        v => format_count(v.round() as u64),
    }
}

/// Routes that cause a statement, as far as is known: ` (GET /api/dashboard, ...)`.
fn routes_of(key: &str, causes: &[CauseReport]) -> String {
    let known = causes
        .iter()
        .filter(|it| it.statement == key && it.confidence >= SURE && it.share_of_statement >= 0.1);
    let routes: Vec<&str> = known.map(|it| it.route.as_str()).collect();
    match routes.as_slice() {
        [] => String::new(),
        [one] => format!(" (in {one})"),
        [one, other] => format!(" (in {one} and {other})"),
        [one, other, more @ ..] => format!(" (in {one}, {other} and {} more)", more.len()),
    }
}

fn of_loop(it: &LoopReport, causes: &[CauseReport]) -> Finding {
    let dearest = it.children.first();
    let child = dearest.map_or_else(String::new, |child| short(&child.key));
    let (children, run) = match it.children.len() {
        0 | 1 => (child, "runs"),
        several => (format!("{several} statements (the dearest {child})"), "run"),
    };
    let routes = dearest.map_or_else(String::new, |child| routes_of(&child.key, causes));
    Finding {
        rule: "n_plus_one",
        kind: "statement",
        id: dearest.map(|child| child.id.clone()),
        share: it.share,
        gain: Some(it.share * (1.0 - 1.0 / it.mean_length.max(1.0))),
        what: format!(
            "N+1: {children} {run} {} times after each {}{routes}",
            rows(it.mean_length),
            short(&it.parent.key)
        ),
        fix: "ask once for all of them: a JOIN, or WHERE ... IN (...)".to_owned(),
    }
}

fn of_bots(share: f64) -> Finding {
    Finding {
        rule: "bots",
        kind: "route",
        id: None,
        share,
        gain: Some(share * 0.8),
        what: format!("bots take {:.0}% of the requests' time", share * 100.0),
        fix: "answer them from a cache, slow them down (limit_req), or turn them away (robots.txt)"
            .to_owned(),
    }
}

/// Ends of paths that a web server should answer by itself.
const STATIC: [&str; 16] = [
    ".js", ".css", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".ico", ".webp", ".avif", ".woff",
    ".woff2", ".ttf", ".map", ".mp4", ".wasm",
];

fn of_route(group: &GroupReport, http: &RequestsReport, causes: &[CauseReport]) -> Vec<Finding> {
    let name = short(&group.key);
    let mut found = Vec::new();
    let count = group.count.max(1) as f64;
    let failed = http.server_errors as f64 / count;
    if failed >= 0.05 {
        found.push(finding(
            "errors",
            group,
            1.0 - failed.max(0.5),
            format!(
                "{name} fails in {:.1}% of {} requests",
                failed * 100.0,
                format_count(group.count)
            ),
            "read the app's log for these: time spent on failures is lost twice".to_owned(),
        ));
    }
    let status = |status: u16| {
        let found = http.statuses.iter().find(|it| it.status == status);
        found.map_or(0, |it| it.count)
    };
    let given_up = status(499) as f64 / count;
    if given_up >= 0.05 {
        found.push(open_finding(
            "given_up",
            group,
            format!(
                "the client gave up on {:.0}% of {} requests for {name} (499)",
                given_up * 100.0,
                format_count(group.count)
            ),
            what_it_waits_for(group, causes),
        ));
    }
    let is_static = STATIC.iter().any(|end| group.key.ends_with(end));
    if is_static && http.upstream_share.is_some_and(|share| share >= 0.5) {
        found.push(finding(
            "static_by_app",
            group,
            0.1,
            format!(
                "{name} is a file, and the app sends it {} times",
                format_count(group.count)
            ),
            "let the web server send it (root, try_files), with expires".to_owned(),
        ));
    }
    if let Some(upstream) = http.upstream_share.filter(|share| *share < 0.5)
        && http.upstream_s > 0.0
    {
        found.push(finding(
            "delivery",
            group,
            upstream,
            format!(
                "{name} spends {:.0}% of its time outside of the app, with {} a reply",
                (1.0 - upstream) * 100.0,
                format_bytes(group.bytes / group.count.max(1))
            ),
            "compress or shorten the reply, give nginx larger buffers, keep connections alive"
                .to_owned(),
        ));
    }
    if let Some(hits) = http.cache_hit_share.filter(|hits| *hits < 0.8) {
        found.push(finding(
            "cache_misses",
            group,
            hits.max(0.2),
            format!(
                "{name} is answered by the cache in {:.0}% only",
                hits * 100.0
            ),
            "keep it longer, leave needless query keys and headers out of the cache's key"
                .to_owned(),
        ));
    }
    found
}

/// A route of which the log shows only that it takes time.
fn of_slow_route(group: &GroupReport, causes: &[CauseReport]) -> Finding {
    let p95 = group
        .percentiles
        .get("p95_s")
        .and_then(serde_json::Value::as_f64);
    let p95 = p95.map_or_else(String::new, |p95| format!(", p95 {}", time(p95)));
    let what = format!(
        "{} takes {} on average{p95}, {}",
        short(&group.key),
        time(group.mean_s),
        times(group.count)
    );
    open_finding("slow_route", group, what, what_it_waits_for(group, causes))
}

/// What a route's time is spent on, as far as is known.
fn what_it_waits_for(group: &GroupReport, causes: &[CauseReport]) -> String {
    let caused: Vec<String> = causes
        .iter()
        .filter(|it| it.route_id == group.id && it.confidence >= SURE)
        .take(2)
        .map(|it| format!("{} x {}", rows(it.per_request), short(&it.statement)))
        .collect();
    match (caused.is_empty(), causes.is_empty()) {
        (false, _) => format!("most of its SQL is {}", caused.join(", ")),
        (true, false) => "look into the app, and at what it waits for".to_owned(),
        (true, true) => {
            "give digest the slow log too, to see which statements it waits for".to_owned()
        }
    }
}
