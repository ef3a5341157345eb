//! The report of a digest (`isukit.digest/1`): a fold over its groups.

mod advice;
mod causes;
mod changes;
mod database;
mod findings;
mod groups;
mod loops;
mod render;
mod tables;
mod text;

use serde::Serialize;

use super::{Bytes, Digest, Names, Section, timestamp};
pub use advice::IndexReport;
pub use causes::CauseReport;
pub use database::{DatabaseReport, Evidence, PlanReport, SettingReport, StepReport};
pub use findings::Finding;
pub(super) use groups::id_of;
pub use groups::{
    GroupReport, NamedCost, RequestsReport, SampleReport, StatementsReport, StatusCount,
};
pub use loops::{LoopReport, LoopStatement};
pub use render::{DigestFormat, Page};
pub use tables::{PairReport, SideReport, SplitReport, TableReport};

/// Name and version of the report's JSON form.
pub const DIGEST_SCHEMA: &str = "isukit.digest/1";

/// What groups are ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// Time of all of them together.
    #[default]
    Total,
    /// How many there are.
    Count,
    /// Mean time.
    Mean,
    /// A percentile of the time, in thousandths of a percent: 99.9 is 99900.
    Percentile(u32),
    /// Longest time.
    Max,
    /// How many failed.
    Errors,
    /// Bytes sent.
    Bytes,
    /// Rows examined.
    Rows,
}

/// How a report is made.
#[derive(Debug, Clone)]
pub struct ReportOptions {
    /// What groups are ranked by.
    pub sort: Sort,
    /// Percentiles to show, 0 to 100.
    pub percentiles: Vec<f64>,
    /// How many groups of a sort to give; the others only count.
    pub limit: usize,
    /// Whether the names of statements are pt-query-digest's fingerprints, with its ids.
    pub pt_compat: bool,
    /// Patterns that the user named routes by: these are left as they are.
    pub given_routes: Vec<String>,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self {
            sort: Sort::Total,
            percentiles: vec![50.0, 95.0, 99.0],
            limit: usize::MAX,
            pt_compat: false,
            given_routes: Vec::new(),
        }
    }
}

/// What one sort of groups comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SectionReport {
    /// `statement` or `route`.
    pub kind: &'static str,
    /// Statements or requests.
    pub count: u64,
    /// Entries of the log.
    pub records: u64,
    /// Those that failed.
    pub errors: u64,
    /// Number of groups, those that are not shown included.
    pub groups: usize,
    /// Their time together in seconds.
    pub total_s: f64,
    /// Whether the log tells times at all.
    pub is_timed: bool,
    /// When the first was seen, ISO 8601 in UTC.
    pub first_at: Option<String>,
    /// When the last was seen.
    pub last_at: Option<String>,
    /// Seconds from the first to the last.
    pub span_s: Option<f64>,
}

/// What was skipped for one reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SkipReport {
    /// Why.
    pub reason: String,
    /// How many pieces.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How the first ones begin.
    pub excerpts: Vec<String>,
}

/// A digest as people and programs read it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DigestReport {
    /// [`DIGEST_SCHEMA`].
    pub schema: &'static str,
    /// What was read: `slow`, `ltsv`, `combined`, `json`, `nginx`, `envoy`, `events`, or `mixed`.
    pub kind: String,
    /// Statements and requests, scaled up where a log is a sample of them.
    pub events: u64,
    /// Pieces of the logs that could not be used.
    pub skipped: u64,
    /// Records that a filter left out.
    pub filtered: u64,
    /// Bytes of the logs, after decompression.
    pub bytes: Bytes,
    /// What to fix, what may save most first.
    pub findings: Vec<Finding>,
    /// The keys of the percentiles that were asked for.
    #[serde(skip)]
    pub percentiles: Vec<String>,
    /// The sorts of groups.
    pub sections: Vec<SectionReport>,
    /// The groups, ranked within their sort.
    pub groups: Vec<GroupReport>,
    /// Statements that run once for each row of another one, dearest first.
    pub nplus1: Vec<LoopReport>,
    /// Which route causes which statements, dearest first; empty unless there are logs of both kinds.
    pub causes: Vec<CauseReport>,
    /// What each table takes, dearest first.
    pub tables: Vec<TableReport>,
    /// Which tables statements use together, dearest first.
    pub used_together: Vec<PairReport>,
    /// How the database could be parted in two; none when there is no good way.
    pub split: Option<SplitReport>,
    /// What a database said of itself; none unless one was asked.
    pub database: Option<DatabaseReport>,
    /// Who asked, dearest first.
    pub agents: Vec<NamedCost>,
    /// From where.
    pub clients: Vec<NamedCost>,
    /// Share of the requests' time that bots took; none when the log tells no agents.
    pub bots_share: Option<f64>,
    /// Why pieces could not be used.
    pub skips: Vec<SkipReport>,
    /// What to know about the figures.
    pub notes: Vec<String>,
}

/// Names of agents and clients that a report gives.
const MOST_NAMED: usize = 10;

impl Digest {
    /// What the digest says.
    pub fn report(&self, options: &ReportOptions) -> DigestReport {
        self.report_with(options, None)
    }

    /// What the digest says, together with what a database said.
    pub fn report_with(
        &self,
        options: &ReportOptions,
        evidence: Option<&Evidence>,
    ) -> DigestReport {
        let (requests, names, places) = self.with_routes(&options.given_routes);
        let mut sections = Vec::new();
        let mut groups = Vec::new();
        for (kind, section) in [("statement", &self.statements), ("route", &requests)] {
            if section.records == 0 {
                continue;
            }
            sections.push(section_report(kind, section));
            groups.extend(groups::ranked(kind, section, &names, options));
        }
        let nplus1 = loops::loops(self, loops::id_for(options.pt_compat));
        let (agents, clients, bots_share) = groups::who(&requests, &names, MOST_NAMED);
        advice::advise_all(&mut groups, evidence);
        let id = loops::id_for(options.pt_compat);
        let causes = causes::causes(self, &requests, &places, id);
        let findings = findings::findings(&groups, &nplus1, &causes, bots_share);
        let of_tables = tables::of_section(&self.statements);
        groups.retain(|group| group.rank <= options.limit);
        DigestReport {
            schema: DIGEST_SCHEMA,
            kind: match self.kinds.as_slice() {
                [only] => only.clone(),
                _ => "mixed".to_owned(),
            },
            events: self.events(),
            skipped: self.skips.count(),
            filtered: self.filtered,
            bytes: self.bytes,
            findings,
            percentiles: options
                .percentiles
                .iter()
                .map(|p| groups::percentile_key(*p))
                .collect(),
            sections,
            groups,
            nplus1,
            causes,
            tables: of_tables.tables,
            used_together: of_tables.used_together,
            split: of_tables.split,
            database: evidence.map(DatabaseReport::of),
            agents,
            clients,
            bots_share,
            skips: self.skip_reports(),
            notes: self.notes(),
        }
    }

    /// The same with the paths together that the others show to be one route.
    fn with_routes(&self, given: &[String]) -> (Section, Names, Vec<u32>) {
        let (mut requests, mut names) = (self.requests.clone(), self.names.clone());
        let places = requests.collapse(given, &mut names).1;
        (requests, names, places)
    }

    fn skip_reports(&self) -> Vec<SkipReport> {
        let reasons = self.skips.reasons().iter();
        reasons
            .map(|skipped| SkipReport {
                reason: skipped.reason.clone(),
                count: skipped.count,
                bytes: skipped.bytes,
                excerpts: skipped.excerpts.clone(),
            })
            .collect()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let statements = &self.statements;
        if statements.count > statements.records {
            notes.push(format!(
                "the slow log is a sample (log_slow_rate_limit): {} entries stand for {} statements, \
                 and counts and times are scaled up",
                statements.records, statements.count
            ));
        }
        if self.wrapped > 0 {
            notes.push(format!(
                "{} statements have a negative time that wrapped around (the clock was set back): \
                 they count as 0 s",
                self.wrapped
            ));
        }
        if self.absurd > 0 {
            notes.push(format!(
                "{} entries have a time of more than 30 days, which counts as none",
                self.absurd
            ));
        }
        if let Some(why) = &self.unjudged_why {
            notes.push(format!(
                "--where could not be held against {} entries, which are left out: {why}",
                self.unjudged
            ));
        }
        if self.events() == 0 && self.filtered > 0 {
            notes.push(format!(
                "none of {} entries is left by --where, --since and --until",
                self.filtered
            ));
        }
        let requests = &self.requests;
        if requests.records > 0 && requests.times.is_empty() {
            notes.push(
                "the access log has no request times, so routes are ranked by count: add \
                 $request_time to its log_format"
                    .to_owned(),
            );
        } else if requests.times.count() < requests.records {
            notes.push(format!(
                "{} requests have no time",
                requests.records - requests.times.count()
            ));
        }
        if self.upstream_only > 0 {
            notes.push(format!(
                "{} requests tell only the upstream's time: add $request_time to see what nginx and the \
                 network add",
                self.upstream_only
            ));
        }
        if self.names.is_full() {
            notes.push(
                "too many agents or clients to tell all apart: their figures are approximate"
                    .to_owned(),
            );
        }
        notes
    }
}

fn section_report(kind: &'static str, section: &Section) -> SectionReport {
    let span = section.span_us();
    SectionReport {
        kind,
        count: section.count,
        records: section.records,
        errors: section.errors,
        groups: section.groups.len(),
        total_s: section.times.sum_ns() as f64 / 1e9,
        is_timed: !section.times.is_empty(),
        first_at: span.map(|(first, _)| timestamp(first)),
        last_at: span.map(|(_, last)| timestamp(last)),
        span_s: span.map(|(first, last)| last.saturating_sub(first) as f64 / 1e6),
    }
}
