//! What the engine offers a user while it is resumed.

use super::clock::Nanos;
use super::coordination::{Address, Coordination};
use super::fault::{Fault, FaultKind};
use super::io::Io;
use super::user::{Call, ClientId, Judgement, ReplyView, StepId, Timing};
use crate::http1::request::{Request, SlotValues};

/// Buffers and number sources that the users of a shard take turns with.
#[derive(Debug)]
pub(super) struct Scratch {
    request: Vec<u8>,
    random: fastrand::Rng,
    /// The number of the next request. It goes on from phase to phase, so that what a warm-up
    /// created is not created again.
    seq: u64,
    stride: u64,
}

impl Scratch {
    pub(super) fn new(seed: u64, shard: usize, shards: usize) -> Self {
        Self {
            request: Vec::new(),
            random: fastrand::Rng::with_seed(seed.wrapping_add(shard as u64)),
            seq: shard as u64,
            stride: shards as u64,
        }
    }
}

/// What a user's seat and its shard's phase are like while it is resumed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation {
    pub(super) address: Address,
    /// The phase still wants new actions, and the user is not retired.
    pub(super) running: bool,
    /// The phase sends nothing any more.
    pub(super) is_over: bool,
}

/// A user's view of its shard.
pub struct Cx<'c> {
    io: &'c mut Io,
    situation: Situation,
    scratch: &'c mut Scratch,
    coordination: &'c Coordination,
    letters: &'c mut Vec<(Address, u64)>,
}

impl<'c> Cx<'c> {
    #[inline]
    pub(super) fn new(
        io: &'c mut Io,
        situation: Situation,
        scratch: &'c mut Scratch,
        coordination: &'c Coordination,
        letters: &'c mut Vec<(Address, u64)>,
    ) -> Self {
        Self {
            io,
            situation,
            scratch,
            coordination,
            letters,
        }
    }

    /// The clock's last reading: when the reply came, or when the user was started.
    pub fn now(&self) -> Nanos {
        self.io.now
    }

    /// The wall clock's time at `at`, in microseconds since the Unix epoch.
    pub fn unix_us(&self, at: Nanos) -> i64 {
        self.io.clock.unix_us(at)
    }

    /// Whether the phase still wants new actions of this user.
    pub fn running(&self) -> bool {
        self.situation.running
    }

    /// Whether the phase's time for sending is over. What is called now would only be cut.
    pub fn is_over(&self) -> bool {
        self.situation.is_over
    }

    /// Where letters reach this user, until it has finished.
    pub fn address(&self) -> Address {
        self.situation.address
    }

    /// Resume the user at `to`, on whatever shard, with [`Wake::Letter`](super::Wake::Letter).
    pub fn post(&mut self, to: Address, letter: u64) {
        if to.shard == self.situation.address.shard {
            self.letters.push((to, letter));
        } else {
            self.coordination.post(to, letter);
        }
    }

    /// A pool of connections for a client of its own.
    pub fn open_client(&mut self) -> ClientId {
        self.io.open_client()
    }

    /// Close a client's connections. None of its calls may be open.
    pub fn close_client(&mut self, client: ClientId) {
        self.io.close_client(client);
    }

    /// The step with this name, which need not have been named before.
    pub fn step(&mut self, name: &str) -> StepId {
        StepId(self.io.steps.number(name))
    }

    /// Count `times` successes of a score tag, an index that the caller gives its meaning.
    pub fn score(&mut self, tag: usize, times: u64) {
        self.io.delta.count_tag(tag, times);
        if self.io.feedback.wanted {
            self.io.feedback.tags.push((tag, times));
        }
    }

    /// Ask for `users` more users of a population of the phase.
    pub fn spawn(&mut self, population: usize, users: usize) {
        self.io.feedback.asked_for.push((population, users));
    }

    /// Count a check that held, or that failed with these details.
    pub fn check(&mut self, name: &str, failure: Option<&str>) {
        let check = self.io.checks.number(name);
        let now = self.io.now;
        self.io.delta.count_check(check, failure, now);
    }

    /// Count a failure that belongs to no reply of its own.
    pub fn fault(&mut self, step: StepId, fault: &Fault) {
        let now = self.io.now;
        self.io.delta.count_fault(step, fault, now);
        self.io.feedback.see_fault(fault);
    }

    /// The run has failed as a whole: note why, end the phase and begin no other.
    pub fn fail_run(&mut self, reason: &str) {
        let now = self.io.now;
        self.io.delta.note_critical(reason, now);
        self.coordination.fail();
    }

    /// Raise a signal of the plan for all shards to see.
    pub fn raise(&mut self, signal: usize) {
        self.coordination.raise(signal);
    }

    /// Send a request. The user is resumed with its reply or its failure.
    #[inline]
    pub fn call(&mut self, call: &Call<'_>) {
        self.io.call(self.situation.address.seat, call);
    }

    /// Render `request`, with slots filled for user `user`, and send it; see [`Self::call`].
    ///
    /// What follows from the request is set here: `call.bytes`, `call.first_part` and
    /// `call.want.head_request`.
    #[inline]
    pub fn send(&mut self, request: &Request, user: u64, mut call: Call<'_>) {
        call.want.head_request = request.is_head();
        let first_part = |head_len: usize, whole: usize| {
            if request.expects_continue() {
                head_len
            } else {
                whole
            }
        };
        if let Some((bytes, head_len)) = request.fixed() {
            let first_part = first_part(head_len, bytes.len());
            self.io.call(
                self.situation.address.seat,
                &Call {
                    bytes,
                    first_part,
                    ..call
                },
            );
            return;
        }
        let scratch = &mut *self.scratch;
        let values = SlotValues {
            seq: scratch.seq,
            user,
            random: scratch.random.u32(..=i32::MAX as u32),
        };
        scratch.seq += scratch.stride;
        scratch.request.clear();
        match request.render(&values, &mut scratch.request) {
            Ok(rendered) => {
                let first_part = first_part(rendered.head_len, scratch.request.len());
                self.io.call(
                    self.situation.address.seat,
                    &Call {
                        bytes: &scratch.request,
                        first_part,
                        ..call
                    },
                );
            }
            Err(error) => {
                let fault = Fault::new(FaultKind::NotEncodable, error.to_string());
                self.io
                    .fail_unsent(self.situation.address.seat, &call, fault);
            }
        }
    }

    /// Count a reply and what was found of it.
    #[inline]
    pub fn judge(&mut self, reply: &ReplyView<'_>, judgement: &Judgement) {
        let seen = (reply.status, reply.body_bytes);
        self.judge_later(reply.step, reply.timing, seen, judgement);
    }

    /// The same for a reply whose view is gone: its status and its body's size on the wire.
    #[inline]
    pub fn judge_later(
        &mut self,
        step: StepId,
        timing: Timing,
        (status, body_bytes): (u16, u64),
        judgement: &Judgement,
    ) {
        let fault = judgement.as_ref().err();
        self.io.delta.count_reply(step, timing, body_bytes, fault);
        if let Some(fault) = fault {
            self.io.feedback.see_fault(fault);
        }
        if let Some(events) = &mut self.io.events {
            let name = self.io.steps.name(step.0);
            events.add(name, timing, Some((status, body_bytes)), fault);
        }
    }
}
