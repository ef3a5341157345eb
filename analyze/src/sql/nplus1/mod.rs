//! N+1: a list is asked for, and then something for each of its rows.
//!
//! Statements of one connection are looked at in their order. A *loop* is a body of one to eight
//! statements that ran at least twice in succession; its *parent* is the statement shortly before it
//! that sent as many rows as the loop had rounds. How that becomes a confidence is in `tally`.
//!
//! Parts of a log can be read apart and put together: what [`Runs::merge`] makes is what reading
//! the whole would have made, wherever the log was split, as long as the limits on different loops and
//! shapes were not reached.

mod connection;
mod item;
mod limits;
mod lru;
mod machine;
mod tally;

#[cfg(test)]
mod tests;

use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

use self::connection::Connection;
use self::item::{Gap, Item};
use self::lru::Lru;
use self::tally::Tallies;
use crate::slow::Verb;

/// What a statement means for loops. Find it once a shape with [`Kind::of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It reads rows: it can be a parent and in a body.
    Read,
    /// It writes rows: it can be in a body.
    Write,
    /// It begins a transaction: no loop reaches across it, but its parent may.
    Begin,
    /// It ends a transaction, changes the schema or resets the connection: the same.
    End,
    /// It is as if it were not there: SET, a ping, a savepoint.
    Skip,
}

impl Kind {
    /// What a statement is.
    pub fn of(verb: Verb, statement: &[u8]) -> Self {
        let start = &statement[..statement.len().min(128)];
        let words = || {
            let words = start.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
            words.filter(|word| !word.is_empty())
        };
        let has = |name: &str| words().any(|word| word.eq_ignore_ascii_case(name.as_bytes()));
        match verb {
            Verb::Read => Self::Read,
            Verb::Write => Self::Write,
            Verb::Schema => Self::End,
            Verb::Transaction if has("savepoint") || has("to") => Self::Skip,
            Verb::Transaction if has("begin") || has("start") => Self::Begin,
            Verb::Transaction => Self::End,
            Verb::Admin if has("quit") || has("reset") || has("change") || has("connect") => {
                Self::End
            }
            // How JDBC and others begin and end their transactions.
            Verb::Other if has("set") && has("autocommit") => match has("0") || has("off") {
                true => Self::Begin,
                false => Self::End,
            },
            Verb::Admin | Verb::Other => Self::Skip,
        }
    }
}

/// A statement, as the search for loops sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The connection's number; of several servers or hosts each needs its own. 0: unknown, ignored.
    pub connection: u64,
    /// The number of its shape.
    pub shape: u32,
    /// What it is.
    pub kind: Kind,
    /// Duration in nanoseconds.
    pub query_ns: u64,
    /// Rows that it sent.
    pub rows_sent: u64,
    /// A hash of the id of the request that it is for, which parts what pooled connections put
    /// together; 0 when the statement does not tell.
    pub request: u64,
}

/// A statement of a loop's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// The number of its shape.
    pub shape: u32,
    /// How often it ran in the loops.
    pub statements: u64,
    /// How long that took, in nanoseconds.
    pub time_ns: u64,
}

/// A statement that others follow once for each of its rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NPlusOne {
    /// The shape that lists the rows.
    pub parent: u32,
    /// The loop's body.
    pub children: Vec<Child>,
    /// How many loops were seen.
    pub runs: u64,
    /// How many rounds they had together.
    pub rounds: u64,
    /// Statements of all children.
    pub statements: u64,
    /// Time of all children, in nanoseconds.
    pub time_ns: u64,
    /// Share of the loops that had exactly as many rounds as the parent sent rows.
    pub rows_match: f64,
    /// How sure this is, from 0 to 1.
    pub confidence: f64,
}

impl NPlusOne {
    /// Rounds of a loop, on average.
    pub fn mean_length(&self) -> f64 {
        self.rounds as f64 / self.runs.max(1) as f64
    }

    /// Take in another loop of the same statements.
    fn add(&mut self, other: &NPlusOne) {
        let matched = self.rows_match * self.runs as f64 + other.rows_match * other.runs as f64;
        self.runs = self.runs.saturating_add(other.runs);
        self.rounds = self.rounds.saturating_add(other.rounds);
        self.statements = self.statements.saturating_add(other.statements);
        self.time_ns = self.time_ns.saturating_add(other.time_ns);
        self.rows_match = matched / self.runs.max(1) as f64;
        self.confidence = self.confidence.max(other.confidence);
        for child in &mut self.children {
            for more in other.children.iter().filter(|it| it.shape == child.shape) {
                child.statements = child.statements.saturating_add(more.statements);
                child.time_ns = child.time_ns.saturating_add(more.time_ns);
            }
        }
    }
}

/// Where a connection is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Place {
    /// Among the early ones.
    Early(u32),
    /// Here: it is known that nothing was before it.
    Whole(Box<Connection>),
}

/// One of the first connections, which may have begun before this part of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Early {
    id: u64,
    connection: Connection,
    /// Whether it made room for another one.
    is_closed: bool,
}

/// The loops of all connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Saved", into = "Saved")]
pub struct Runs {
    limit: usize,
    active: Lru<Place>,
    /// In the order in which they were first seen.
    early: Vec<Early>,
    early_ids: FxHashSet<u64>,
    tallies: Tallies,
}

impl Default for Runs {
    fn default() -> Self {
        Self::with_limit(limits::CONNECTIONS)
    }
}

impl Runs {
    fn with_limit(limit: usize) -> Self {
        Self {
            limit,
            active: Lru::default(),
            early: Vec::new(),
            early_ids: FxHashSet::default(),
            tallies: Tallies::default(),
        }
    }

    /// Take in the next statement.
    #[inline]
    pub fn add(&mut self, step: Step) {
        if step.connection == 0 || step.kind == Kind::Skip {
            return;
        }
        let Some(place) = self.active.touch(step.connection) else {
            self.meet(step.connection, None);
            // It is there now.
            return self.add(step);
        };
        let connection = match place {
            Place::Early(index) => match self.early.get_mut(*index as usize) {
                Some(early) => &mut early.connection,
                None => return,
            },
            Place::Whole(connection) => connection,
        };
        match step.kind {
            Kind::Begin => connection.part(Gap::Begin),
            Kind::End => connection.part(Gap::Break),
            _ => {
                let reads = step.kind == Kind::Read;
                if reads {
                    self.tallies.result(step.shape, step.rows_sent);
                }
                let item = Item {
                    shape: step.shape,
                    count: 1,
                    ns: step.query_ns,
                    rows: u32::try_from(step.rows_sent).unwrap_or(u32::MAX),
                    gap: Gap::None,
                    reads,
                };
                connection.statement(item, step.request, &mut self.tallies);
            }
        }
    }

    /// Begin to follow a connection that is not followed, of which `said` is known.
    fn meet(&mut self, id: u64, said: Option<Connection>) {
        while self.active.len() >= self.limit.max(1) {
            let Some((_, oldest)) = self.active.pop() else {
                break;
            };
            self.close(oldest);
        }
        let place = if self.early.len() < self.limit && self.early_ids.insert(id) {
            self.early.push(Early {
                id,
                connection: said.unwrap_or_default(),
                is_closed: false,
            });
            Place::Early((self.early.len() - 1) as u32)
        } else {
            let mut whole = Connection::whole();
            if let Some(said) = said {
                whole.join(said, &mut self.tallies);
            }
            Place::Whole(Box::new(whole))
        };
        self.active.insert(id, place);
    }

    /// A connection makes room.
    fn close(&mut self, place: Place) {
        match place {
            // What was before it decides what its loops are.
            Place::Early(index) => {
                if let Some(early) = self.early.get_mut(index as usize) {
                    early.is_closed = true;
                }
            }
            Place::Whole(connection) => connection.finish(&mut self.tallies),
        }
    }

    /// Put what a later part of the same log said behind this. `map` gives the numbers that the
    /// later part's shapes have here.
    pub fn merge(&mut self, later: Runs, map: impl Fn(u32) -> u32) {
        self.tallies.merge(later.tallies, &map);
        // In the order of their first use they meet here what they would have met in one reading: no
        // more of them than the limit, so none of them makes room for another one here.
        let mut closed = Vec::new();
        for mut early in later.early {
            if early.is_closed {
                closed.push(early.id);
            }
            early.connection.map(&map);
            match self.active.touch(early.id) {
                None => self.meet(early.id, Some(early.connection)),
                Some(Place::Whole(own)) => own.join(early.connection, &mut self.tallies),
                Some(Place::Early(index)) => {
                    if let Some(own) = self.early.get_mut(*index as usize) {
                        own.connection.join(early.connection, &mut self.tallies);
                    }
                }
            }
        }
        for id in closed {
            if let Some(place) = self.active.remove(id) {
                self.close(place);
            }
        }
        // Those used last in the later part are those used last now, in its order.
        for (id, place) in later.active.iter() {
            if let Place::Whole(connection) = place {
                let mut connection = connection.clone();
                connection.map(&map);
                self.active.remove(id);
                self.active.insert(id, Place::Whole(connection));
            } else {
                self.active.touch(id);
            }
        }
    }

    /// What was found, what takes most time first. The log is taken to end here.
    pub fn findings(&self) -> Vec<NPlusOne> {
        let mut tallies = self.tallies.clone();
        for early in &self.early {
            early.connection.clone().finish(&mut tallies);
        }
        for (_, place) in self.active.iter() {
            if let Place::Whole(connection) = place {
                (**connection).clone().finish(&mut tallies);
            }
        }
        tallies.findings()
    }
}

/// As it is saved.
#[derive(Serialize, Deserialize)]
struct Saved {
    limit: usize,
    early: Vec<Early>,
    active: Vec<(u64, Place)>,
    tallies: tally::Saved,
}

impl From<Runs> for Saved {
    fn from(runs: Runs) -> Self {
        let active = runs.active.iter();
        Self {
            limit: runs.limit,
            active: active.map(|(id, place)| (id, place.clone())).collect(),
            early: runs.early,
            tallies: runs.tallies.into(),
        }
    }
}

impl From<Saved> for Runs {
    fn from(saved: Saved) -> Self {
        let limit = saved.limit.clamp(1, limits::CONNECTIONS);
        let mut runs = Self::with_limit(limit);
        runs.tallies = saved.tallies.into();
        runs.early = saved.early;
        runs.early.truncate(limit);
        runs.early_ids = runs.early.iter().map(|early| early.id).collect();
        for (id, place) in saved.active.into_iter().take(limit) {
            runs.active.remove(id);
            runs.active.insert(id, place);
        }
        runs
    }
}
