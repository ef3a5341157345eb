//! Names that a run meets on its way: steps and checks. Shards count by number, reports say names.

use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

/// What the names beyond the limit are counted as.
const OTHER: &str = "(other)";

/// Names and their numbers, shared by all shards. They are only added, so a number never changes
/// its meaning.
#[derive(Debug)]
pub struct Names {
    list: Mutex<Vec<Arc<str>>>,
    limit: usize,
}

impl Names {
    /// Begin with these names; at most `limit` are told apart.
    pub fn new(first: &[String], limit: usize) -> Self {
        Self {
            list: Mutex::new(first.iter().map(|name| Arc::from(name.as_str())).collect()),
            limit,
        }
    }

    /// All names so far, by their numbers.
    pub fn list(&self) -> Vec<String> {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.iter().map(|name| name.to_string()).collect()
    }

    /// The number of a name, new or not.
    fn number(&self, name: &str) -> (u16, Arc<str>) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        // A name that would be one too many shares the last number with the others.
        let name = if list.len() + 1 >= self.limit && !list.iter().any(|known| **known == *name) {
            OTHER
        } else {
            name
        };
        let at = list.iter().position(|known| **known == *name);
        let at = at.unwrap_or_else(|| {
            list.push(Arc::from(name));
            list.len() - 1
        });
        (at as u16, Arc::clone(&list[at]))
    }
}

/// One shard's view of the names: a known one costs no lock.
#[derive(Debug)]
pub(super) struct NameCache {
    names: Arc<Names>,
    known: FxHashMap<Box<str>, u16>,
    by_number: Vec<Arc<str>>,
}

/// Names a shard remembers besides those that have a number of their own.
const REMEMBERED: usize = 4096;

impl NameCache {
    pub(super) fn new(names: Arc<Names>) -> Self {
        Self {
            names,
            known: FxHashMap::default(),
            by_number: Vec::new(),
        }
    }

    /// The number of a name, new or not.
    pub(super) fn number(&mut self, name: &str) -> u16 {
        if let Some(&number) = self.known.get(name) {
            return number;
        }
        let (number, _) = self.names.number(name);
        if self.known.len() < REMEMBERED {
            self.known.insert(name.into(), number);
        }
        number
    }

    /// The name of a number.
    pub(super) fn name(&mut self, number: u16) -> &str {
        let at = usize::from(number);
        if self.by_number.len() <= at {
            let list = self.names.list.lock();
            self.by_number
                .clone_from(&list.unwrap_or_else(PoisonError::into_inner));
        }
        self.by_number.get(at).map_or("", |name| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_agree_on_numbers() {
        let names = Arc::new(Names::new(&["GET /".to_owned()], 100));
        let (mut a, mut b) = (
            NameCache::new(Arc::clone(&names)),
            NameCache::new(Arc::clone(&names)),
        );
        assert_eq!((a.number("x"), b.number("y"), b.number("x")), (1, 2, 1));
        assert_eq!(a.number("GET /"), 0);
        assert_eq!((a.name(2), b.name(0)), ("y", "GET /"));
        assert_eq!(a.name(9), "");
        assert_eq!(names.list(), ["GET /", "x", "y"]);
    }

    #[test]
    fn names_beyond_the_limit_are_counted_together() {
        let names = Arc::new(Names::new(&[], 4));
        let mut cache = NameCache::new(Arc::clone(&names));
        let numbers: Vec<_> = ["a", "b", "c", "d", "e"].map(|n| cache.number(n)).into();
        assert_eq!(numbers, [0, 1, 2, 3, 3]);
        assert_eq!(names.list(), ["a", "b", "c", OTHER]);
        assert_eq!(cache.number("a"), 0);
    }
}
