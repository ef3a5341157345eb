//! A group: statements of one shape, or requests of one route, and what they have in common.

use serde::{Deserialize, Serialize};

use super::tally::{Cost, Costs, Names, Tally};
use super::{Distribution, UNKNOWN_AT};
use crate::access::{CacheStatus, is_refused};
use crate::slow::Verb;
use crate::slow::secrets::masked;

/// The longest text of a sample, in bytes.
pub(super) const LONGEST_SAMPLE: usize = 8 << 10;

/// The dearest statement or request of a group, as it stood in the log.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Worst {
    /// Its time in nanoseconds; 0 when the log does not tell.
    pub ns: u64,
    /// When, in microseconds since the Unix epoch.
    pub at_us: i64,
    /// The statement, or the line of the log; at most 8 KiB of it.
    pub text: String,
    /// MariaDB's plan of it, as the log has it.
    pub plan: String,
    /// The database it ran in; none when the log did not say so far.
    pub database: Option<String>,
    /// Whether there was more of the text.
    pub is_cut: bool,
}

impl Worst {
    /// Whether one that took `ns` at `at_us` with this text takes this one's place: the longest, then the
    /// first, then the least, so that the order of reading does not matter.
    #[inline]
    fn yields_to(&self, ns: u64, at_us: i64, text: &[u8]) -> bool {
        if ns != self.ns {
            return ns > self.ns;
        }
        at_us < self.at_us
            || at_us == self.at_us && *masked(&String::from_utf8_lossy(text)) < *self.text
    }

    /// This one, which a digest that knew no database found behind `database`.
    fn behind(&self, database: Option<&str>) -> Self {
        let mut worst = self.clone();
        let current = || database.map(str::to_owned);
        worst.database = worst.database.take().or_else(current);
        worst
    }
}

/// A sum and the largest part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sum {
    /// All of them together.
    pub total: u64,
    /// The largest of them.
    pub max: u64,
}

impl Sum {
    #[inline]
    pub(super) fn record(&mut self, value: u64, weight: u64) {
        self.total = self.total.saturating_add(value.saturating_mul(weight));
        self.max = self.max.max(value);
    }

    fn merge(&mut self, other: Self) {
        self.total = self.total.saturating_add(other.total);
        self.max = self.max.max(other.max);
    }
}

/// What is known of any group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The shape or the route.
    pub name: String,
    /// Statements or requests, scaled up where the log is a sample of them.
    pub count: u64,
    /// Entries of the log.
    pub records: u64,
    /// Those that failed.
    pub errors: u64,
    /// Their durations, where the log tells.
    pub times: Distribution,
    /// Bytes sent to the client.
    pub bytes: Sum,
    /// When the first one was seen, in microseconds since the Unix epoch; `UNKNOWN_AT` when unknown.
    pub first_at: i64,
    /// When the last one was seen.
    pub last_at: i64,
    /// The dearest.
    pub worst: Option<Worst>,
    /// What only statements or only requests have.
    pub what: What,
}

/// What only statements or only requests have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Statements of one shape.
    Statements(Box<Statements>),
    /// Requests of one route.
    Requests(Box<Requests>),
}

/// Number of flags that are counted.
pub(super) const FLAGS: usize = 16;

/// Statements of one shape.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Statements {
    /// What they do.
    #[serde(with = "verb_name")]
    pub verb: Verb,
    /// Time they waited for locks, in nanoseconds.
    pub lock_ns: Sum,
    /// Rows sent to the client.
    pub rows_sent: Sum,
    /// Rows the server looked at.
    pub rows_examined: Sum,
    /// Rows written.
    pub rows_affected: Sum,
    /// How many had each of the flags.
    pub flags: [u64; FLAGS],
    /// Who ran them.
    pub users: Tally,
    /// From where.
    pub hosts: Tally,
    /// In which database.
    pub databases: Tally,
    /// What ran in the database that was current when the log began.
    pub carried: Cost,
}

mod verb_name {
    //! Verbs by name.
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::slow::Verb;

    const NAMES: [(Verb, &str); 6] = [
        (Verb::Read, "read"),
        (Verb::Write, "write"),
        (Verb::Transaction, "transaction"),
        (Verb::Schema, "schema"),
        (Verb::Admin, "admin"),
        (Verb::Other, "other"),
    ];

    pub(super) fn name(verb: Verb) -> &'static str {
        let known = NAMES.iter().find(|(known, _)| *known == verb);
        known.map_or("other", |(_, name)| name)
    }

    pub(super) fn serialize<S: Serializer>(verb: &Verb, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(name(*verb))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Verb, D::Error> {
        let text = String::deserialize(from)?;
        let known = NAMES.iter().find(|(_, name)| *name == text);
        Ok(known.map_or(Verb::Other, |(verb, _)| *verb))
    }
}

/// The name of a verb in reports.
pub(super) fn verb_name(verb: Verb) -> &'static str {
    verb_name::name(verb)
}

/// Number of [`CacheStatus`]es.
const CACHES: usize = CacheStatus::NAMES.len();

/// Requests of one route.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Requests {
    /// How many had each status, with what they cost; 0 is none.
    pub statuses: Vec<(u16, Cost)>,
    /// Time of the upstream, of those where it is known.
    pub upstream: Cost,
    /// Longest time of the upstream in nanoseconds.
    pub upstream_max_ns: u64,
    /// Whole time of those whose upstream time is known, in nanoseconds.
    pub with_upstream_ns: u64,
    /// How many had each cache status.
    pub caches: [u64; CACHES],
    /// Bytes received from the client.
    pub received: Sum,
    /// Who asked.
    pub agents: Costs,
    /// From where.
    pub clients: Costs,
}

impl Requests {
    #[inline]
    pub(super) fn status(&mut self, status: u16, cost: Cost) {
        match self.statuses.iter_mut().find(|(known, _)| *known == status) {
            Some((_, known)) => known.add(cost),
            None => self.statuses.push((status, cost)),
        }
    }

    #[inline]
    pub(super) fn cache(&mut self, cache: CacheStatus) {
        self.caches[cache as usize % CACHES] += 1;
    }

    /// Requests for what the service does not know.
    pub(super) fn refused(&self) -> u64 {
        let those = self.statuses.iter().filter(|(s, _)| is_refused(*s));
        those.fold(0, |sum, (_, cost)| sum.saturating_add(cost.count))
    }

    /// Requests with a status from `from` to `to`.
    pub fn with_status(&self, from: u16, to: u16) -> u64 {
        let those = self
            .statuses
            .iter()
            .filter(|(s, _)| (from..=to).contains(s));
        those.fold(0, |sum, (_, cost)| sum.saturating_add(cost.count))
    }
}

impl Group {
    /// A group without anything in it.
    pub fn new(name: String, what: What) -> Self {
        Self {
            name,
            count: 0,
            records: 0,
            errors: 0,
            times: Distribution::default(),
            bytes: Sum::default(),
            first_at: UNKNOWN_AT,
            last_at: UNKNOWN_AT,
            worst: None,
            what,
        }
    }

    /// Whether one that took `ns` at `at_us` with this text is the dearest so far.
    #[inline]
    pub(super) fn is_worse(&self, ns: u64, at_us: i64, text: &[u8]) -> bool {
        let worst = self.worst.as_ref();
        worst.is_none_or(|worst| worst.yields_to(ns, at_us, text))
    }

    /// Note when one of the group was seen.
    #[inline]
    pub(super) fn seen(&mut self, at_us: i64) {
        if at_us == UNKNOWN_AT {
            return;
        }
        if self.first_at == UNKNOWN_AT || at_us < self.first_at {
            self.first_at = at_us;
        }
        self.last_at = self.last_at.max(at_us);
    }

    /// Add all of another digest's group, whose agents and clients are in `theirs`. What that one found
    /// in a database it did not know goes to `database`, if that is known.
    pub(super) fn merge(
        &mut self,
        other: &Self,
        names: &mut Names,
        theirs: &Names,
        database: Option<&str>,
    ) {
        self.merge_common(other, database);
        match (&mut self.what, &other.what) {
            (What::Statements(mine), What::Statements(other)) => mine.merge(other, database),
            (What::Requests(mine), What::Requests(other)) => {
                names.merge(&mut mine.agents, theirs, &other.agents);
                names.merge(&mut mine.clients, theirs, &other.clients);
                mine.merge(other);
            }
            // Sections hold groups of one sort only.
            _ => {}
        }
    }

    /// Add all of another group of the same digest.
    pub(super) fn unite(&mut self, other: Self, names: &mut Names) {
        self.merge_common(&other, None);
        match (&mut self.what, other.what) {
            (What::Statements(mine), What::Statements(other)) => mine.merge(&other, None),
            (What::Requests(mine), What::Requests(other)) => {
                mine.merge(&other);
                names.unite(&mut mine.agents, other.agents);
                names.unite(&mut mine.clients, other.clients);
            }
            _ => {}
        }
    }

    fn merge_common(&mut self, other: &Self, database: Option<&str>) {
        self.count = self.count.saturating_add(other.count);
        self.records = self.records.saturating_add(other.records);
        self.errors = self.errors.saturating_add(other.errors);
        self.times.merge(&other.times);
        self.bytes.merge(other.bytes);
        self.seen(other.first_at);
        self.seen(other.last_at);
        if let Some(worst) = &other.worst
            && self.is_worse(worst.ns, worst.at_us, worst.text.as_bytes())
        {
            self.worst = Some(worst.behind(database));
        }
    }
}

impl Statements {
    fn merge(&mut self, other: &Self, database: Option<&str>) {
        self.lock_ns.merge(other.lock_ns);
        self.rows_sent.merge(other.rows_sent);
        self.rows_examined.merge(other.rows_examined);
        self.rows_affected.merge(other.rows_affected);
        for (mine, other) in self.flags.iter_mut().zip(other.flags) {
            *mine = mine.saturating_add(other);
        }
        self.users.merge(&other.users);
        self.hosts.merge(&other.hosts);
        self.databases.merge(&other.databases);
        match database {
            Some(database) if other.carried.count > 0 => {
                self.databases.add(database.as_bytes(), other.carried);
            }
            Some(_) => {}
            None => self.carried.add(other.carried),
        }
    }
}

impl Requests {
    fn merge(&mut self, other: &Self) {
        for (status, cost) in &other.statuses {
            self.status(*status, *cost);
        }
        self.upstream.add(other.upstream);
        self.upstream_max_ns = self.upstream_max_ns.max(other.upstream_max_ns);
        self.with_upstream_ns = self.with_upstream_ns.saturating_add(other.with_upstream_ns);
        for (mine, other) in self.caches.iter_mut().zip(other.caches) {
            *mine = mine.saturating_add(other);
        }
        self.received.merge(other.received);
    }
}

impl What {
    /// The same sort, with nothing in it.
    pub(super) fn empty(&self) -> Self {
        match self {
            Self::Statements(statements) => Self::Statements(Box::new(Statements {
                verb: statements.verb,
                ..Statements::default()
            })),
            Self::Requests(_) => Self::Requests(Box::default()),
        }
    }
}
