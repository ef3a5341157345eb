//! What the engine offers a user while it is resumed.

use super::clock::Nanos;
use super::fault::{Fault, FaultKind};
use super::io::Io;
use super::user::{Call, Judgement, ReplyView};
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

/// A user's view of its shard.
pub struct Cx<'c> {
    io: &'c mut Io,
    seat: u32,
    running: bool,
    scratch: &'c mut Scratch,
}

impl<'c> Cx<'c> {
    #[inline]
    pub(super) fn new(io: &'c mut Io, seat: u32, running: bool, scratch: &'c mut Scratch) -> Self {
        Self {
            io,
            seat,
            running,
            scratch,
        }
    }

    /// The clock's last reading: when the reply came, or when the user was started.
    pub fn now(&self) -> Nanos {
        self.io.now
    }

    /// Whether the phase still wants new requests.
    pub fn running(&self) -> bool {
        self.running
    }

    /// Send a request. The user is resumed with its reply or its failure.
    #[inline]
    pub fn call(&mut self, call: &Call<'_>) {
        self.io.call(self.seat, call);
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
                self.seat,
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
                    self.seat,
                    &Call {
                        bytes: &scratch.request,
                        first_part,
                        ..call
                    },
                );
            }
            Err(error) => {
                let fault = Fault::new(FaultKind::NotEncodable, error.to_string());
                self.io.fail_unsent(self.seat, &call, fault);
            }
        }
    }

    /// Count a reply and what was found of it.
    #[inline]
    pub fn judge(&mut self, reply: &ReplyView<'_>, judgement: &Judgement) {
        let fault = judgement.as_ref().err();
        self.io
            .delta
            .count_reply(reply.step, reply.timing, reply.body_bytes, fault);
        if let Some(events) = &mut self.io.events {
            let seen = Some((reply.status, reply.body_bytes));
            events.add(&self.io.plan.steps, reply.step, reply.timing, seen, fault);
        }
    }
}
