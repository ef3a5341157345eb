//! A run, decided: what is sent where, by how many users, in which phases.

use std::sync::Arc;
use std::time::Duration;

use super::stream::TlsSettings;
use super::user::Behaviour;
use crate::growth::Growth;
use crate::http1::target::Endpoint;
use crate::pace::{ArrivalSpec, Ramp};
use isukit_analyze::http1::limits::ReplyLimits;

/// How long to wait for the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// From the sending to the first byte of the reply.
    pub first_byte: Duration,
    /// From the moment a request is given to a connection to the end of its reply.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(10),
            total: Duration::from_secs(10),
        }
    }
}

/// How many users there are, or how often one comes.
#[derive(Debug, Clone, PartialEq)]
pub enum Load {
    /// So many users, each sending its next request when it has seen the last reply.
    Closed {
        /// Users in all shards together.
        users: usize,
    },
    /// Users come when they are due, whatever the target does.
    Open {
        /// When.
        arrivals: Vec<ArrivalSpec>,
        /// Users at a time in all shards together; an arrival beyond waits and is late.
        max_users: usize,
    },
    /// So many users as the ramp says; those that are too many are retired.
    Ramp(Arc<Ramp>),
    /// Users come and go with what the others score and fail.
    Feedback {
        /// Users to begin with, in all shards together.
        users: usize,
        /// How many come and go.
        growth: Arc<Growth>,
    },
}

impl Load {
    /// Users at a time in all shards together.
    pub fn max_users(&self) -> usize {
        match self {
            Self::Closed { users } => *users,
            Self::Open { max_users, .. } => *max_users,
            Self::Ramp(ramp) => ramp.most(),
            Self::Feedback { growth, .. } => growth.at_most,
        }
    }

    /// Users that start with the phase, in all shards together.
    pub(super) fn first_users(&self) -> usize {
        match self {
            Self::Closed { users } | Self::Feedback { users, .. } => *users,
            Self::Open { .. } | Self::Ramp(_) => 0,
        }
    }
}

/// Users of one kind.
#[derive(Clone)]
pub struct Population {
    /// What they do.
    pub behaviour: Arc<dyn Behaviour>,
    /// How many of them.
    pub load: Load,
    /// The signal, an index into the plan's, after which no more are added.
    pub until: Option<usize>,
}

/// A stretch of the run.
#[derive(Clone)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// For how long requests are sent, at most.
    pub duration: Duration,
    /// So long before that users are told to begin nothing new, and no more come.
    pub stop_new: Duration,
    /// Whether it is over when every user has finished. One that has not when its time is up has
    /// failed the run.
    pub until_done: bool,
    /// Whether any error in it fails the run and ends it.
    pub strict: bool,
    /// How long open requests may still be answered after that; then they are cut.
    pub drain: Duration,
    /// Whether it counts; a warm-up does not.
    pub measured: bool,
    /// Who acts in it.
    pub populations: Vec<Population>,
}

impl Phase {
    /// A phase that counts, for so long, without anybody in it.
    pub fn new(name: impl Into<String>, duration: Duration) -> Self {
        Self {
            name: name.into(),
            duration,
            stop_new: Duration::ZERO,
            until_done: false,
            strict: false,
            drain: Duration::ZERO,
            measured: true,
            populations: Vec::new(),
        }
    }
}

/// Everything a run needs to know.
#[derive(Clone)]
pub struct Plan {
    /// Where to connect.
    pub endpoint: Endpoint,
    /// TLS, if it is spoken.
    pub tls: Option<TlsSettings>,
    /// Threads, each a shard of the users.
    pub threads: usize,
    /// Names of the first steps; users may name others on their way.
    pub steps: Vec<String>,
    /// Names of the signals that users may raise for all to see.
    pub signals: Vec<String>,
    /// Connections that a client of its own may have open.
    pub client_connections: usize,
    /// The phases in their order.
    pub phases: Vec<Phase>,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// Limits on replies.
    pub limits: ReplyLimits,
    /// Seed of all random numbers.
    pub seed: u64,
}

#[cfg(test)]
impl Plan {
    /// A plan that does nothing.
    pub(super) fn for_tests(threads: usize) -> Self {
        Self {
            endpoint: Endpoint::Tcp(Vec::new()),
            tls: None,
            threads,
            steps: Vec::new(),
            signals: Vec::new(),
            client_connections: 6,
            phases: Vec::new(),
            timeouts: Timeouts::default(),
            limits: ReplyLimits::default(),
            seed: 0,
        }
    }
}

/// The share of `total` that shard `shard` of `shards` takes.
pub(super) fn share(total: usize, shard: usize, shards: usize) -> usize {
    total / shards + usize::from(shard < total % shards)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        for (total, shards) in [(64, 2), (65, 2), (3, 4), (0, 3), (10, 1)] {
            let sum: usize = (0..shards).map(|shard| share(total, shard, shards)).sum();
            assert_eq!(sum, total);
        }
        assert_eq!([0, 1, 2, 3].map(|shard| share(6, shard, 4)), [2, 2, 1, 1]);
    }
}
