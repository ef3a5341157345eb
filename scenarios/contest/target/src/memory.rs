//! Sessions, contestants with their teams, and the contest, kept until they change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::messages::Contest;
use crate::portal::person::Person;

/// Sessions that are kept at most; then all are forgotten.
const SESSIONS: usize = 100_000;

/// What is known without asking the database.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Counts the changes. What was read before a change may not be kept after it.
    version: u64,
    people: HashMap<String, Arc<Person>>,
    contest: Option<Contest>,
}

/// What was found, and when.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) version: u64,
    pub(crate) person: Option<Arc<Person>>,
    pub(crate) contest: Option<Contest>,
}

impl Memory {
    /// What is known of a session and of the contest.
    pub(crate) fn look_up(&self, token: Option<&str>) -> Found {
        let known = self.known();
        Found {
            version: known.version,
            person: token.and_then(|token| known.people.get(token).cloned()),
            contest: known.contest,
        }
    }

    /// Keep what was read, unless something has changed since it was looked up.
    pub(crate) fn keep(
        &self,
        version: u64,
        token: Option<&str>,
        person: Option<&Arc<Person>>,
        contest: Option<Contest>,
    ) {
        let mut known = self.known();
        if known.version != version {
            return;
        }
        if known.people.len() >= SESSIONS {
            known.people.clear();
        }
        if let (Some(token), Some(person)) = (token, person) {
            known.people.insert(token.to_owned(), Arc::clone(person));
        }
        known.contest = contest;
    }

    /// A session has ended.
    pub(crate) fn forget_session(&self, token: &str) {
        let mut known = self.known();
        known.version += 1;
        known.people.remove(token);
    }

    /// A team has a new member: all its members must be read again.
    pub(crate) fn forget_team(&self, team: i64, new_member: &str) {
        let mut known = self.known();
        known.version += 1;
        known.people.retain(|_, person| {
            person.id != new_member && person.team.as_ref().is_none_or(|it| it.id != team)
        });
    }

    /// Everything has changed.
    pub(crate) fn forget_all(&self) {
        let mut known = self.known();
        *known = Known {
            version: known.version + 1,
            ..Known::default()
        };
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
