//! The trait a virtual user implements, and what the engine tells and offers it.
//!
//! A user is a state machine that the shard resumes: it starts, it gets a reply or a failure, a
//! pause is over. It never blocks. One URL asked again and again is the smallest of them; scripts
//! stand behind the same trait.

use super::clock::Nanos;
use super::fault::{Fault, FaultKind};
use crate::http1::Want;

/// A step: a group of requests that are counted together. An index into the plan's steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub u16);

/// Makes the users of one population.
pub trait Behaviour: Send + Sync {
    /// A new user with this number, from 0, unique in the run.
    fn user(&self, number: u64) -> Box<dyn User>;
}

/// A virtual user.
pub trait User {
    /// Go on: do what comes next and say how to wait for the rest.
    fn resume(&mut self, cx: &mut super::cx::Cx<'_>, wake: Wake<'_>) -> Next;
}

/// Why a user is resumed.
#[derive(Debug)]
pub enum Wake<'a> {
    /// It starts, meant to do so at `due_at`: at an open model's arrival, or at the phase's start.
    Start {
        /// When.
        due_at: Nanos,
    },
    /// A call was answered. The user judges it with [`Cx::judge`](super::cx::Cx::judge).
    Reply(ReplyView<'a>),
    /// A call failed. It is already counted.
    Failed(FaultKind),
    /// Its pause is over.
    Timer,
}

/// What a user waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Its call's reply.
    Reply,
    /// A moment on the run's clock.
    Until(Nanos),
    /// Nothing: it has finished.
    Done,
}

/// A request to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// What it is counted as.
    pub step: StepId,
    /// When it was meant to be sent; latency counts from here.
    pub due_at: Nanos,
    /// What to keep of the reply.
    pub want: Want,
    /// The whole request.
    pub bytes: &'a [u8],
    /// Bytes to send before `100 Continue` when the body waits for it; else all of `bytes`.
    pub first_part: usize,
}

/// The times of one exchange on the run's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// When the request was meant to be sent.
    pub due_at: Nanos,
    /// When it was really sent.
    pub sent_at: Nanos,
    /// When its reply was complete.
    pub done_at: Nanos,
}

/// A reply while its user looks at it.
#[derive(Debug, Clone, Copy)]
pub struct ReplyView<'a> {
    /// What it is counted as.
    pub step: StepId,
    /// Status code.
    pub status: u16,
    /// Status line and headers.
    pub head: &'a [u8],
    /// The body, decompressed; empty unless it was wanted.
    pub body: &'a [u8],
    /// Size of the body on the wire in bytes.
    pub body_bytes: u64,
    /// When it was sent and received.
    pub timing: Timing,
}

/// How a user found a reply.
pub type Judgement = Result<(), Fault>;
