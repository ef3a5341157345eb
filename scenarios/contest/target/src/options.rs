//! What the portal can be told: plain values, and the lists they are read from.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::db::Location;
use crate::lie::Lies;

/// How a portal runs. `Options::default()` is the whole portal, unfixed, on a database of its own.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which requests are answered.
    pub role: Role,
    /// Where the data are; `None` takes a SQLite file in a temporary folder, removed at the end.
    pub database: Option<Location>,
    /// The file that gets one LTSV line for each answered request; it is appended to.
    pub access_log: Option<PathBuf>,
    /// The file that gets SQLite's statements in the format of MySQL's slow log; appended to.
    pub slow_log: Option<PathBuf>,
    /// Statements that took less time than this stay out of the slow log.
    pub long_query_time: Duration,
    /// What has been made faster.
    pub fixes: Fixes,
    /// What the portal gets wrong on purpose, to try a benchmark's checks on.
    pub lies: Lies,
    /// Database connections that read, from 1 on; 0 takes four. SQLite has one more, that writes.
    pub db_threads: usize,
    /// Whether each statement ends with a comment that names its request: `/* reqid=7 */`.
    pub sql_comments: bool,
}

impl Options {
    pub(crate) fn connections(&self) -> usize {
        if self.db_threads == 0 {
            4
        } else {
            self.db_threads
        }
    }
}

/// The part of the portal that a process plays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    #[default]
    All,
    /// What people see: `/initialize`, `/api` and the static files.
    Web,
    /// What the job workers call: `/worker`.
    Api,
}

impl Role {
    pub(crate) fn web(self) -> bool {
        self != Self::Api
    }

    pub(crate) fn api(self) -> bool {
        self != Self::Web
    }
}

/// What has been made faster. No reply changes but for its time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fixes {
    /// `index`: secondary indexes on the hot tables. They are made by `/initialize`.
    pub index: bool,
    /// `nplus1`: a few queries over sets, instead of some for each team, job or notification.
    pub nplus1: bool,
    /// `cache`: the leaderboard is kept for half a second; sessions and teams until they change.
    ///
    /// Sessions and teams are right as long as one process answers `/api`.
    pub cache: bool,
}

/// A list names something that there is not.
#[derive(Debug, Error)]
#[error("there is no {kind} '{name}': take some of {known}, or 'all' or 'none'")]
pub struct UnknownName {
    kind: &'static str,
    name: String,
    known: String,
}

impl std::str::FromStr for Fixes {
    type Err = UnknownName;

    /// Reads `index,nplus1,cache`, any part of it, `all` or `none`.
    fn from_str(list: &str) -> Result<Self, UnknownName> {
        let [index, nplus1, cache] = pick("fix", ["index", "nplus1", "cache"], list)?;
        Ok(Self {
            index,
            nplus1,
            cache,
        })
    }
}

/// Which of the known names a comma-separated list has.
pub(crate) fn pick<const N: usize>(
    kind: &'static str,
    known: [&str; N],
    list: &str,
) -> Result<[bool; N], UnknownName> {
    let mut picked = [false; N];
    for name in list
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        match name {
            "all" => picked = [true; N],
            "none" => picked = [false; N],
            _ => {
                let place = known.iter().position(|it| *it == name);
                picked[place.ok_or_else(|| UnknownName {
                    kind,
                    name: name.to_owned(),
                    known: known.join(", "),
                })?] = true;
            }
        }
    }
    Ok(picked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_fixes_reads_and_refuses() {
        let fixes: Fixes = "cache, index".parse().unwrap();
        assert!(fixes.cache && fixes.index && !fixes.nplus1);
        assert_eq!("".parse::<Fixes>().unwrap(), Fixes::default());
        assert!("all".parse::<Fixes>().unwrap().nplus1);
        let refused = "idnex".parse::<Fixes>().unwrap_err().to_string();
        assert!(
            refused.contains("'idnex'") && refused.contains("nplus1"),
            "{refused}"
        );
    }
}
