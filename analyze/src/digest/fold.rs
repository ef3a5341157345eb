//! The fold: records in, groups out. It is the one owner of every number of a digest.

use serde::{Deserialize, Serialize};

use super::group::{FLAGS, Group, LONGEST_SAMPLE, Requests, Statements, What, Worst};
use super::section::Section;
use super::skipped::SkipList;
use super::tally::{Cost, Names};
use super::{Batch, NO_TIME, Span, UNKNOWN_AT};
use crate::hash::hash;
use crate::slow::Flags;
use crate::slow::secrets::masked;
use crate::sql::causes::{Bins, RequestIds};
use crate::sql::nplus1::{Kind, Runs, Step};
use crate::{access, slow};

/// Which records are folded.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window {
    /// Not those before this time, in microseconds since the Unix epoch.
    pub since_us: Option<i64>,
    /// Not those from this time on.
    pub until_us: Option<i64>,
}

impl Window {
    /// Whether a record belongs to it. One whose time is not known does, unless the window has an edge.
    #[inline]
    pub(super) fn has(self, at_us: i64) -> bool {
        self.since_us
            .is_none_or(|since| at_us >= since && at_us != UNKNOWN_AT)
            && self
                .until_us
                .is_none_or(|until| at_us < until && at_us != UNKNOWN_AT)
    }
}

/// No request takes longer, in nanoseconds: thirty days. A time beyond is a fault of the log.
const LONGEST_NS: u64 = 30 * 86_400 * 1_000_000_000;

/// A duration that may be true; `absurd` counts the others.
#[inline]
fn believed(ns: u64, absurd: &mut u64) -> Option<u64> {
    let is_absurd = ns != NO_TIME && ns > LONGEST_NS;
    *absurd += u64::from(is_absurd);
    (ns != NO_TIME && !is_absurd).then_some(ns)
}

/// Whether a request failed: the server said so, nobody waited for the reply (nginx's 499), or one of our
/// own has an error.
#[inline]
pub(super) fn has_failed(record: &access::Record) -> bool {
    record.status >= 499 || !record.error.is_empty()
}

/// How many bytes were met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bytes {
    /// All of them, after decompression.
    pub total: u64,
    /// Those that were understood.
    pub read: u64,
    /// Those that were not.
    pub skipped: u64,
}

/// Everything that is known about some logs; parts merge to the whole.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Digest {
    /// The kinds of logs in it, in the order of first sight.
    pub kinds: Vec<String>,
    /// The statements of slow-query logs.
    pub statements: Section,
    /// The requests of access logs.
    pub requests: Section,
    /// Bytes of the logs.
    pub bytes: Bytes,
    /// What could not be used.
    pub skips: SkipList,
    /// Records that a filter or the window left out.
    pub filtered: u64,
    /// Records whose duration was negative and wrapped, so that it counts as nothing.
    pub wrapped: u64,
    /// Records whose duration no server would wait for: it counts as unknown, or as nothing.
    pub absurd: u64,
    /// Records that a filter could not be held against.
    pub unjudged: u64,
    /// Why not, of the first of them.
    pub unjudged_why: Option<String>,
    /// Requests of which only the upstream's time is known.
    pub upstream_only: u64,
    /// User agents and clients.
    pub names: Names,
    /// Statements that follow each other on their connections.
    pub runs: Runs,
    /// How many of each route and shape there were at which time.
    pub bins: Bins,
    /// Which route and which shapes belong to a request's id.
    pub request_ids: RequestIds,
    state: State,
    /// What each shape means for `runs`.
    #[serde(skip)]
    roles: Vec<Kind>,
    /// Whether to look for what goes together, which only pays with logs of both kinds.
    #[serde(skip)]
    pub(super) correlates: bool,
}

/// What a record may leave to the records before it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct State {
    /// The current database; none when no record said so yet.
    database: Option<String>,
    /// When the last record was, in microseconds since the Unix epoch.
    at_us: Option<i64>,
}

impl Digest {
    /// A digest of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Statements and requests together, scaled up where a log is a sample of them.
    pub fn events(&self) -> u64 {
        self.statements.count.saturating_add(self.requests.count)
    }

    /// Note that a log of this kind begins.
    pub fn begin(&mut self, kind: &str) {
        if !self.kinds.iter().any(|known| known == kind) {
            self.kinds.push(kind.to_owned());
        }
        self.state.at_us = None;
    }

    /// Note the size of a log in bytes, when all of it was folded.
    pub fn end(&mut self, bytes: u64) {
        self.bytes.total += bytes;
        self.bytes.skipped = self.skips.bytes();
        self.bytes.read = self.bytes.total.saturating_sub(self.bytes.skipped);
    }

    /// The time of a record: its own, or that of the one before it.
    #[inline]
    pub(super) fn at(&mut self, at_us: i64) -> i64 {
        if at_us != UNKNOWN_AT {
            self.state.at_us = Some(at_us);
            return at_us;
        }
        self.state.at_us.unwrap_or(UNKNOWN_AT)
    }

    /// Count what a filter cannot be held against: it is left out.
    pub(super) fn judged(&mut self, wants: Result<bool, String>) -> bool {
        wants.unwrap_or_else(|why| {
            self.unjudged += 1;
            self.unjudged_why.get_or_insert(why);
            false
        })
    }

    /// The current database, if a record said so.
    pub(super) fn database(&self) -> Option<&str> {
        self.state.database.as_deref()
    }

    /// Fold a statement that was at `at_us`. `shape` gives the name of its shape, if it is the first one of it.
    pub(super) fn statement(
        &mut self,
        block: &[u8],
        batch: &Batch<slow::Record>,
        record: &slow::Record,
        at_us: i64,
        shape: impl FnOnce() -> String,
    ) {
        let text = |span: Span| span.of(block, &batch.side);
        let section = &mut self.statements;
        let at = match section.find(record.shape) {
            Some(at) => at,
            None => section.enter(record.shape, shape(), || {
                What::Statements(Box::new(Statements {
                    verb: record.verb,
                    ..Statements::default()
                }))
            }),
        };
        let group = &mut section.groups[at as usize];
        let weight = u64::from(record.weight.max(1));
        let query_ns = believed(record.query_ns, &mut self.absurd).unwrap_or(0);
        let failed = record.flags.has(Flags::FAILED);
        self.wrapped += u64::from(record.flags.has(Flags::WRAPPED_TIME));
        section.count += weight;
        section.records += 1;
        section.errors += u64::from(failed) * weight;
        section.times.record(query_ns, weight);
        group.count += weight;
        group.records += 1;
        group.errors += u64::from(failed) * weight;
        group.times.record(query_ns, weight);
        group.bytes.record(record.bytes_sent, weight);
        group.seen(at_us);
        let cost = Cost {
            count: weight,
            ns: query_ns.saturating_mul(weight),
        };
        let database = self.state.database.as_deref();
        if let What::Statements(statements) = &mut group.what {
            if record.lock_ns != NO_TIME {
                statements.lock_ns.record(record.lock_ns, weight);
            }
            statements.rows_sent.record(record.rows_sent, weight);
            statements
                .rows_examined
                .record(record.rows_examined, weight);
            statements
                .rows_affected
                .record(record.rows_affected, weight);
            for (bit, count) in statements.flags.iter_mut().enumerate().take(FLAGS) {
                *count += u64::from(record.flags.0 >> bit & 1) * weight;
            }
            statements.users.add(text(record.user), cost);
            statements.hosts.add(text(record.host), cost);
            match database {
                Some(database) => statements.databases.add(database.as_bytes(), cost),
                None => statements.carried.add(cost),
            }
        }
        let request = request_hash(text(record.request_id));
        if self.correlates {
            self.bins.statement(at_us, at);
            self.request_ids.statement(request, at);
        }
        let statement = text(record.statement);
        if at as usize >= self.roles.len() {
            self.roles.push(Kind::of(record.verb, statement));
        }
        self.runs.add(Step {
            connection: record.connection,
            shape: at,
            kind: self.roles.get(at as usize).copied().unwrap_or(Kind::Skip),
            query_ns,
            rows_sent: record.rows_sent,
            request,
        });
        keep_worst(group, query_ns, at_us, statement, || {
            let plan = String::from_utf8_lossy(text(record.explain)).into_owned();
            (plan, database.map(str::to_owned))
        });
    }

    /// Take over what a statement says about itself and those behind it. Returns its time.
    pub(super) fn advance(
        &mut self,
        block: &[u8],
        batch: &Batch<slow::Record>,
        record: &slow::Record,
    ) -> i64 {
        if record.after_restart {
            self.state.database = Some(String::new());
        }
        if let Some(span) = record.database {
            let name = span.of(block, &batch.side);
            if self.state.database.as_deref().map(str::as_bytes) != Some(name) {
                self.state.database = Some(String::from_utf8_lossy(name).into_owned());
            }
        }
        self.at(record.at_us)
    }

    /// Fold a request into the group `at`.
    pub(super) fn request(
        &mut self,
        block: &[u8],
        batch: &Batch<access::Record>,
        record: &access::Record,
        at: u32,
        at_us: i64,
    ) {
        let text = |span: Span| span.of(block, &batch.side);
        let section = &mut self.requests;
        let group = &mut section.groups[at as usize];
        self.upstream_only += u64::from(record.is_upstream_time);
        if self.correlates {
            self.bins.route(at_us, at);
            let id = request_hash(text(record.request_id));
            self.request_ids.route(id, at);
        }
        let failed = has_failed(record);
        let time_ns = believed(record.time_ns, &mut self.absurd);
        let cost = Cost {
            count: 1,
            ns: time_ns.unwrap_or(0),
        };
        section.count += 1;
        section.records += 1;
        section.errors += u64::from(failed);
        group.count += 1;
        group.records += 1;
        group.errors += u64::from(failed);
        if let Some(time_ns) = time_ns {
            section.times.record(time_ns, 1);
            group.times.record(time_ns, 1);
        }
        group.bytes.record(record.sent_bytes, 1);
        group.seen(at_us);
        if let What::Requests(requests) = &mut group.what {
            requests.status(record.status, cost);
            requests.cache(record.cache);
            requests.received.record(record.received_bytes, 1);
            upstream(requests, record);
            if record.agent_hash != 0 {
                let agent = text(record.agent);
                self.names
                    .add(&mut requests.agents, record.agent_hash, agent, cost);
            }
            if record.client_hash != 0 {
                let client = text(record.client);
                self.names
                    .add(&mut requests.clients, record.client_hash, client, cost);
            }
        }
        keep_worst(group, cost.ns, at_us, text(record.line), Default::default);
    }

    /// Add all that another digest has, of what came behind this one.
    pub fn merge(&mut self, later: &Digest) {
        for kind in &later.kinds {
            if !self.kinds.contains(kind) {
                self.kinds.push(kind.clone());
            }
        }
        let database = self.state.database.clone();
        let theirs = &later.names;
        let names = &mut self.names;
        let shapes = self
            .statements
            .merge(&later.statements, names, theirs, database.as_deref());
        let shape = follow(&shapes);
        self.runs.merge(later.runs.clone(), shape);
        let routes = self.requests.merge(&later.requests, names, theirs, None);
        let route = follow(&routes);
        self.bins.merge(&later.bins, route, shape);
        self.request_ids.merge(&later.request_ids, route, shape);
        self.find_roles();
        self.skips.merge(&later.skips);
        self.bytes.total = self.bytes.total.saturating_add(later.bytes.total);
        self.bytes.read = self.bytes.read.saturating_add(later.bytes.read);
        self.bytes.skipped = self.bytes.skipped.saturating_add(later.bytes.skipped);
        self.filtered = self.filtered.saturating_add(later.filtered);
        self.wrapped = self.wrapped.saturating_add(later.wrapped);
        self.upstream_only = self.upstream_only.saturating_add(later.upstream_only);
        self.absurd = self.absurd.saturating_add(later.absurd);
        self.unjudged = self.unjudged.saturating_add(later.unjudged);
        if self.unjudged_why.is_none() {
            self.unjudged_why.clone_from(&later.unjudged_why);
        }
        if later.state.database.is_some() {
            self.state.database.clone_from(&later.state.database);
        }
        self.state.at_us = later.state.at_us.or(self.state.at_us);
    }

    /// Take note that routes went to other places.
    pub(super) fn moved_routes(&mut self, places: &[u32]) {
        let route = follow(places);
        let bins = std::mem::take(&mut self.bins);
        self.bins.merge(&bins, route, |shape| shape);
        let ids = std::mem::take(&mut self.request_ids);
        self.request_ids.merge(&ids, route, |shape| shape);
    }

    /// Make it ready for more after it was read from a snapshot.
    pub(super) fn index(&mut self) {
        self.statements.index();
        self.requests.index();
        self.find_roles();
    }

    /// Find out what shapes that came with another digest mean for `runs`.
    fn find_roles(&mut self) {
        let known = self.roles.len();
        let new = self.statements.groups.iter().skip(known);
        self.roles.extend(new.map(|group| match &group.what {
            What::Statements(it) => {
                let text = group.worst.as_ref().map_or("", |worst| worst.text.as_str());
                Kind::of(it.verb, text.as_bytes())
            }
            What::Requests(_) => Kind::Skip,
        }));
    }
}

/// A hash of a request's id; 0 when there is none.
#[inline]
fn request_hash(id: &[u8]) -> u64 {
    if id.is_empty() { 0 } else { hash(id) }
}

/// Where something went when groups moved: `places` tells it for each of them.
pub(super) fn follow(places: &[u32]) -> impl Fn(u32) -> u32 + Copy + '_ {
    |group| places.get(group as usize).copied().unwrap_or(group)
}

#[inline]
fn upstream(requests: &mut Requests, record: &access::Record) {
    if record.upstream_ns == NO_TIME {
        return;
    }
    requests.upstream.add(Cost {
        count: 1,
        ns: record.upstream_ns,
    });
    requests.upstream_max_ns = requests.upstream_max_ns.max(record.upstream_ns);
    if record.time_ns != NO_TIME {
        requests.with_upstream_ns = requests.with_upstream_ns.saturating_add(record.time_ns);
    }
}

/// Keep this one as the group's dearest if it is. `more` gives its plan and its database.
#[inline]
fn keep_worst(
    group: &mut Group,
    ns: u64,
    at_us: i64,
    text: &[u8],
    more: impl FnOnce() -> (String, Option<String>),
) {
    let kept = &text[..text.len().min(LONGEST_SAMPLE)];
    if !group.is_worse(ns, at_us, kept) {
        return;
    }
    let (plan, database) = more();
    group.worst = Some(Worst {
        ns,
        at_us,
        text: masked(&String::from_utf8_lossy(kept)).into_owned(),
        plan,
        database,
        is_cut: kept.len() < text.len(),
    });
}
