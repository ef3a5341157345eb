//! The trait a virtual user implements, and what the engine tells and offers it.
//!
//! A user is a state machine that the shard resumes: it starts, it gets a reply or a failure, a
//! pause is over. It never blocks. One URL asked again and again is the smallest of them; scripts
//! stand behind the same trait.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::rc::Rc;

use super::clock::Nanos;
use super::fault::Fault;
use isukit_analyze::http1::Want;

/// A step: a group of requests that are counted together. An index into the run's
/// [`Names`](super::Names).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StepId(pub u16);

/// A pool of connections that only its owner uses, in one shard: what a browser is to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientId(pub u32);

impl ClientId {
    /// The pool that all users of the shard share, without a limit on its connections.
    pub const SHARED: Self = Self(0);
}

/// What the users of one shard share with each other, by type: an interpreter, say.
///
/// It lives on the shard's thread from its first use to the end of the run, so it need not be
/// `Send`.
#[derive(Default)]
pub struct Local {
    things: HashMap<TypeId, Rc<dyn Any>>,
}

impl Local {
    /// The shard's `T`, made by `make` when it is first asked for.
    pub fn get_or_make<T: 'static>(&mut self, make: impl FnOnce() -> T) -> Rc<T> {
        let thing = self
            .things
            .entry(TypeId::of::<T>())
            .or_insert_with(|| Rc::new(make()));
        Rc::clone(thing)
            .downcast()
            .unwrap_or_else(|_| unreachable!("things are kept under their own type"))
    }
}

/// Makes the users of one population.
pub trait Behaviour: Send + Sync {
    /// A new user. `local` is what the users of this shard share.
    fn user(&self, local: &mut Local) -> Box<dyn User>;
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
        /// Its number, from 0, unique in its population and the same whatever the threads.
        number: u64,
    },
    /// A call was answered. The user judges it with [`Cx::judge`](super::cx::Cx::judge).
    Reply(ReplyView<'a>),
    /// A call failed. It is already counted.
    Failed(Failed<'a>),
    /// Its pause is over.
    Timer,
    /// Somebody posted this to the [`Address`](super::Address) it gave away.
    Letter(u64),
}

/// A call that got no reply.
#[derive(Debug, Clone, Copy)]
pub struct Failed<'a> {
    /// The tag of the [`Call`].
    pub tag: u32,
    /// What it was counted as.
    pub step: StepId,
    /// Why.
    pub fault: &'a Fault,
}

/// What a user waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A reply to one of its calls, or a letter.
    Reply,
    /// The same, or a moment on the run's clock, whichever comes first.
    Until(Nanos),
    /// Nothing: it has finished.
    Done,
}

/// A request to be sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Call<'a> {
    /// What it is counted as.
    pub step: StepId,
    /// Comes back with the reply, so that a user with several open calls tells them apart.
    pub tag: u32,
    /// On whose connections.
    pub client: ClientId,
    /// Time for the whole exchange, instead of the plan's, in nanoseconds.
    pub timeout: Option<Nanos>,
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
    /// The tag of the [`Call`].
    pub tag: u32,
    /// Status code.
    pub status: u16,
    /// Status line and headers.
    pub head: &'a [u8],
    /// Head and body where they lie one behind the other, as they do unless the body was
    /// chunked or compressed.
    pub whole: Option<&'a [u8]>,
    /// The body, decompressed; empty unless it was wanted.
    pub body: &'a [u8],
    /// Size of the body on the wire in bytes.
    pub body_bytes: u64,
    /// When it was sent and received.
    pub timing: Timing,
}

/// How a user found a reply.
pub type Judgement = Result<(), Fault>;
