//! A run, decided: what is sent where, by how many users, in which phases.

use std::sync::Arc;
use std::time::Duration;

use super::stream::TlsSettings;
use super::user::Behaviour;
use crate::http1::limits::ReplyLimits;
use crate::http1::target::Endpoint;

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
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Load {
    /// So many users, each sending its next request when it has seen the last reply.
    Closed {
        /// Users in all shards together.
        users: usize,
    },
    /// Users come at a constant rate whatever the target does.
    Open {
        /// Arrivals a second in all shards together.
        rate: f64,
        /// Users at a time in all shards together; an arrival beyond waits and is late.
        max_users: usize,
    },
}

impl Load {
    /// Users at a time in all shards together.
    pub fn max_users(&self) -> usize {
        match self {
            Self::Closed { users } => *users,
            Self::Open { max_users, .. } => *max_users,
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
}

/// A stretch of the run.
#[derive(Clone)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// For how long new requests are sent.
    pub duration: Duration,
    /// How long open requests may still be answered after that; then they are cut.
    pub drain: Duration,
    /// Whether it counts; a warm-up does not.
    pub measured: bool,
    /// Who acts in it.
    pub populations: Vec<Population>,
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
    /// Names of the steps; a [`StepId`](super::StepId) is an index into them.
    pub steps: Vec<String>,
    /// The phases in their order.
    pub phases: Vec<Phase>,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// Limits on replies.
    pub limits: ReplyLimits,
    /// Seed of all random numbers.
    pub seed: u64,
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
