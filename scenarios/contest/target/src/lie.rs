//! What the portal gets wrong on purpose, so that a benchmark's checks can be tried on it.
//!
//! Each lie is told at one place, by a function of this file.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::messages::{Job, Leaderboard};
use crate::options::{UnknownName, pick};

/// Lies to tell; all of them are off at first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lies {
    /// `leaderboard`: the first two teams change places, and the last one has a point too many.
    pub leaderboard: bool,
    /// `stale`: the leaderboard is up to five seconds old, and says that it is new.
    pub stale: bool,
    /// `asset`: there is no `/assets/app.js`.
    pub asset: bool,
    /// `hash`: one byte of `/assets/app.css` is another one; its length and ETag stay.
    pub hash: bool,
    /// `session`: each fifth session reply names another contestant.
    pub session: bool,
    /// `lost-answer`: nobody is notified of an answered clarification.
    pub lost_answer: bool,
    /// `duplicate-notification`: each finished job is notified twice.
    pub duplicate_notification: bool,
    /// `job-score`: a finished job shows a point too many.
    pub job_score: bool,
    /// `slow`: a dashboard takes three seconds.
    pub slow: bool,
    /// `error-body`: errors have no body.
    pub error_body: bool,
}

const NAMES: [&str; 10] = [
    "leaderboard",
    "stale",
    "asset",
    "hash",
    "session",
    "lost-answer",
    "duplicate-notification",
    "job-score",
    "slow",
    "error-body",
];

impl std::str::FromStr for Lies {
    type Err = UnknownName;

    /// Reads a comma-separated list of the names above, `all` or `none`.
    fn from_str(list: &str) -> Result<Self, UnknownName> {
        let picked = pick("lie", NAMES, list)?;
        let [leaderboard, stale, asset, hash, session, ..] = picked;
        let [
            ..,
            lost_answer,
            duplicate_notification,
            job_score,
            slow,
            error_body,
        ] = picked;
        Ok(Self {
            leaderboard,
            stale,
            asset,
            hash,
            session,
            lost_answer,
            duplicate_notification,
            job_score,
            slow,
            error_body,
        })
    }
}

impl Lies {
    /// How long a leaderboard is shown, if this is a lie.
    pub(crate) fn board_age(self) -> Option<Duration> {
        self.stale.then_some(Duration::from_secs(5))
    }

    /// How much longer a dashboard takes, if it does.
    pub(crate) fn delay(self) -> Option<Duration> {
        self.slow.then_some(Duration::from_secs(3))
    }

    /// Spoil a leaderboard.
    pub(crate) fn spoil_board(self, board: &mut Leaderboard) {
        if !self.leaderboard {
            return;
        }
        if let Some(last) = board.teams.last_mut() {
            last.best_score += 1;
        }
        if let [first, second, ..] = board.teams.as_mut_slice() {
            std::mem::swap(first, second);
            std::mem::swap(&mut first.position, &mut second.position);
        }
    }

    /// Spoil a job.
    pub(crate) fn spoil_job(self, job: &mut Job) {
        if let (true, Some(result)) = (self.job_score, job.result.as_mut()) {
            result.score += 1;
        }
    }

    /// Spoil the contestant that a session shows.
    pub(crate) fn spoil_session(self, contestant: &mut String) {
        static SHOWN: AtomicU64 = AtomicU64::new(1);
        if self.session && SHOWN.fetch_add(1, Ordering::Relaxed).is_multiple_of(5) {
            "practice-1-1".clone_into(contestant);
        }
    }

    /// What is served instead of a file, if something else is; an inner `None` is a missing file.
    pub(crate) fn spoil_file(self, path: &str, content: &[u8]) -> Option<Option<Vec<u8>>> {
        match path {
            "/assets/app.js" if self.asset => Some(None),
            "/assets/app.css" if self.hash => {
                let mut content = content.to_vec();
                if let Some(byte) = content.last_mut() {
                    *byte ^= 1;
                }
                Some(Some(content))
            }
            _ => None,
        }
    }
}
