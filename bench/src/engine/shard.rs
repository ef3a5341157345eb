//! A shard: one thread with its own users, connections and numbers.
//!
//! Nothing is shared with other shards and nothing is sent per request. Once a second the counts
//! go to the collector, which gives an empty set back.

mod crowds;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use rustix::event::epoll;

use super::clock::{Clock, NEVER, Nanos, nanos};
use super::coordination::{Address, Coordination, StopLevel, StopSwitch};
use super::cx::{Cx, Scratch, Situation};
use super::events::EventBlock;
use super::fault::{Fault, FaultKind};
use super::io::{ALARM, Active, BELL, Expired, Io, State};
use super::machine::ThreadMeter;
use super::names::Names;
use super::plan::{Load, Phase, Plan};
use super::seats::{Crowd, Seat};
use super::stream::ReadOutcome;
use super::tally::Delta;
use super::timers::TimerKey;
use super::user::{Failed, Local, Next, ReplyView, Wake};
use isukit_analyze::http1::{Done, HeadCache, Place, Progress, ReplyError, coding};

/// Reads are this large, and a reply that fits is never copied.
const READ_BYTES: usize = 128 * 1024;

/// Events taken from the kernel at a time.
const EVENTS: usize = 512;

/// Reads of one connection before the others have their turn.
const READS_AT_A_TIME: usize = 32;

/// Arrivals begun before replies are looked at again.
const ARRIVALS_AT_A_TIME: usize = 32;

/// How often a waiting shard looks whether it shall stop: 20 ms.
const STOP_POLL: Nanos = 20_000_000;

/// Length of a stretch of the series: one second.
const SECOND: Nanos = 1_000_000_000;

/// How a shard talks to the rest of the run.
pub(super) struct Wiring<'r> {
    pub(super) clock: Clock,
    pub(super) coordination: &'r Coordination,
    pub(super) stop: &'r StopSwitch,
    pub(super) deltas: Sender<Box<Delta>>,
    /// Empty counts, given back by the collector.
    pub(super) spares: Receiver<Box<Delta>>,
    /// Of steps and of checks.
    pub(super) names: [Arc<Names>; 2],
}

/// The shard of one thread.
pub(super) struct Shard<'r> {
    plan: Arc<Plan>,
    index: usize,
    wiring: Wiring<'r>,
    io: Io,
    /// The event lines, while no measured phase writes them.
    events: Option<EventBlock>,
    local: Local,
    seats: Vec<Seat>,
    crowds: Vec<Crowd>,
    /// Letters between users of this shard.
    letters: Vec<(Address, u64)>,
    /// Connections that had more to read when their turn was over: slot, epoch, whether their end
    /// is among it. The kernel has told of them and will not do so again.
    unread: Vec<(u32, u32, bool)>,
    scratch: Scratch,
    read_buffer: Vec<u8>,
    heads: HeadCache,
    inflated: Vec<u8>,
    meter: ThreadMeter,
    window: Window,
    active_users: u64,
    /// The most there were since the last hand-over.
    most_users: u64,
    /// Something failed in the phase.
    has_erred: bool,
}

/// Where the shard is in its phase.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    /// Which phase it is.
    phase: usize,
    start: Nanos,
    /// When nothing new is begun any more.
    new_until: Nanos,
    /// When sending ends.
    end: Nanos,
    /// When open calls are cut.
    cut_at: Nanos,
    /// It is over when every user has finished.
    until_done: bool,
    /// Nothing more is sent.
    stopping: bool,
    next_flush: Nanos,
    second: u64,
}

impl<'r> Shard<'r> {
    pub(super) fn new(
        plan: Arc<Plan>,
        index: usize,
        wiring: Wiring<'r>,
        events: Option<EventBlock>,
    ) -> io::Result<Self> {
        let io = Io::new(Arc::clone(&plan), wiring.clock, index, wiring.names.clone())?;
        io.listen_to(wiring.coordination.bell(index))?;
        Ok(Self {
            scratch: Scratch::new(plan.seed, index, plan.threads),
            meter: ThreadMeter::start(wiring.clock),
            plan,
            index,
            wiring,
            io,
            events,
            local: Local::default(),
            seats: Vec::new(),
            crowds: Vec::new(),
            letters: Vec::new(),
            unread: Vec::new(),
            read_buffer: vec![0; READ_BYTES],
            heads: HeadCache::default(),
            inflated: Vec::new(),
            window: Window::default(),
            active_users: 0,
            most_users: 0,
            has_erred: false,
        })
    }

    /// Go through all phases.
    ///
    /// # Errors
    /// When the kernel refuses to wait for events.
    pub(super) fn run(mut self) -> io::Result<()> {
        let plan = Arc::clone(&self.plan);
        for (number, phase) in plan.phases.iter().enumerate() {
            let Wiring {
                coordination,
                clock,
                stop,
                ..
            } = &self.wiring;
            let Some(start) = coordination.next_phase(clock, stop) else {
                break;
            };
            self.run_phase(number, phase, start)?;
        }
        if let Some(events) = self.events.take() {
            let lost = events.finish();
            let mut last = Box::new(Delta::new(self.index, self.plan.steps.len()));
            last.phase = self.window.phase;
            last.second = self.window.second;
            last.origin = self.window.start;
            last.events_lost = lost;
            let _ = self.wiring.deltas.send(last);
        }
        Ok(())
    }

    fn run_phase(&mut self, number: usize, phase: &Phase, start: Nanos) -> io::Result<()> {
        let duration = nanos(phase.duration);
        let end = start.saturating_add(duration);
        let sending = duration.saturating_sub(nanos(phase.stop_new));
        self.window = Window {
            phase: number,
            start,
            new_until: start.saturating_add(sending),
            until_done: phase.until_done,
            end,
            cut_at: end.saturating_add(nanos(phase.drain)),
            stopping: false,
            next_flush: start + SECOND,
            second: 0,
        };
        self.io.delta.clear();
        self.io.delta.phase = number;
        self.io.delta.origin = start;
        self.io.delta.sending = true;
        self.io.feedback.clear();
        self.io.feedback.wanted = phase
            .populations
            .iter()
            .any(|population| matches!(population.load, Load::Feedback { .. }));
        // The event file holds what the report counts, so nothing of a warm-up.
        if phase.measured {
            self.io.events = self.events.take();
        }
        self.crowds = phase
            .populations
            .iter()
            .map(|population| Crowd::new(population, self.index, self.plan.threads, start, sending))
            .collect();
        self.sleep_until(start);
        self.meter.lap();
        self.io.tick();
        // A run that was stopped before this phase sends nothing in it.
        if self.wiring.stop.level() == StopLevel::Run {
            self.start_first_users();
        }
        let mut events = Vec::with_capacity(EVENTS);
        while !self.is_over() {
            self.io.wait(&mut events, self.next_wake())?;
            self.io.tick();
            for event in &events {
                self.handle_event(event.data.u64(), event.flags);
                // A batch of replies must not make the arrivals behind it late.
                self.start_arrivals();
                // Nor must replies that take long to look at make the end late.
                if self.io.now >= self.window.end {
                    self.is_over();
                }
            }
            self.read_on();
            self.catch_up();
        }
        self.finish_phase(phase);
        Ok(())
    }

    fn sleep_until(&self, at: Nanos) {
        let wait = at.saturating_sub(self.wiring.clock.now());
        std::thread::sleep(std::time::Duration::from_nanos(wait));
    }

    /// Whether the phase is over; ends the sending and cuts open calls when their time has come.
    fn is_over(&mut self) -> bool {
        let now = self.io.now;
        let asked = self.wiring.stop.level();
        let cut = self.wiring.coordination.is_phase_cut();
        let ended = now >= self.window.end || asked >= StopLevel::Drain || cut || self.all_done();
        if !self.window.stopping && ended {
            if asked == StopLevel::Run && !cut {
                self.start_last_arrivals();
            }
            self.stop_sending(now);
        }
        if !self.window.stopping {
            return false;
        }
        if now >= self.window.cut_at || asked >= StopLevel::Cut {
            self.io.cut_all();
            // Their users could only send again, and the phase would not end.
            self.io.failed.clear();
        }
        self.io.live_calls == 0 && self.io.failed.is_empty()
    }

    /// Whether every user of a phase that waits for them has finished.
    fn all_done(&self) -> bool {
        self.window.until_done
            && self.active_users == 0
            && self.io.live_calls == 0
            && self.io.failed.is_empty()
    }

    /// From now on nothing new is sent.
    fn stop_sending(&mut self, now: Nanos) {
        let drain = self.window.cut_at.saturating_sub(self.window.end);
        self.window.stopping = true;
        // A thread that notices the end late has no longer drain for it.
        self.window.cut_at = now.saturating_add(drain).min(self.window.cut_at);
        let early = now < self.window.end;
        self.window.end = now.min(self.window.end);
        self.io.delta.sending = false;
        self.io.delta.dropped += self
            .crowds
            .iter()
            .map(|crowd| {
                if early {
                    crowd.dropped_by(now)
                } else {
                    crowd.dropped()
                }
            })
            .sum::<u64>();
        self.io.delta.thread.merge(&self.meter.lap());
    }

    /// When there is something to do even if no connection becomes ready.
    fn next_wake(&self) -> Nanos {
        let now = self.io.now;
        if !self.io.failed.is_empty()
            || !self.unread.is_empty()
            || !self.letters.is_empty()
            || !self.io.feedback.is_empty()
        {
            return now;
        }
        let mut wake = self.window.next_flush.min(now + STOP_POLL);
        if let Some(timer) = self.io.timers.next_at() {
            wake = wake.min(timer);
        }
        if self.window.stopping {
            return wake.min(self.window.cut_at);
        }
        for crowd in &self.crowds {
            if let Some(due) = crowd.next_due() {
                wake = wake.min(due);
            }
        }
        wake.min(self.window.end)
    }

    /// Do everything whose time has come.
    fn catch_up(&mut self) {
        self.tell_failed();
        self.deliver();
        while let Some(key) = self.io.timers.pop_due(self.io.now) {
            self.fire(key);
        }
        self.follow_feedback();
        self.follow_ramps();
        self.start_arrivals();
        self.io.send_waiting();
        if self.io.now >= self.window.next_flush {
            self.flush();
        }
    }

    #[inline]
    fn resume(&mut self, seat: u32, wake: Wake<'_>) {
        let Some(place) = self.seats.get_mut(seat as usize) else {
            return;
        };
        let new_wanted = !self.window.stopping && self.io.now < self.window.new_until;
        let situation = Situation {
            address: Address {
                shard: self.index as u32,
                seat,
                occupant: place.occupant,
            },
            running: new_wanted && !place.retired,
            is_over: self.window.stopping,
        };
        let mut cx = Cx::new(
            &mut self.io,
            situation,
            &mut self.scratch,
            self.wiring.coordination,
            &mut self.letters,
        );
        match place.user.resume(&mut cx, wake) {
            Next::Reply => place.wake_at = NEVER,
            Next::Until(at) => {
                // Who pauses for no time at all again and again must let the clock go on.
                let at = at.max(self.io.now + 1);
                place.wake_at = at;
                if at < place.timer_at {
                    place.timer_at = at;
                    let occupant = place.occupant;
                    self.io.timers.add(at, TimerKey::User { seat, occupant });
                }
            }
            Next::Done => self.leave(seat),
        }
    }

    /// Tell users of the calls that failed, which may lead to the next ones.
    fn tell_failed(&mut self) {
        // A call that fails at once, again and again, must not keep the shard from its timers.
        let failed: Vec<(Active, Fault)> = std::mem::take(&mut self.io.failed);
        for (active, fault) in failed {
            let failed = Failed {
                tag: active.tag,
                step: active.step,
                fault: &fault,
            };
            self.resume(active.seat, Wake::Failed(failed));
        }
    }

    fn fire(&mut self, key: TimerKey) {
        match key {
            TimerKey::User { seat, occupant } => {
                let Some(place) = self.seats.get_mut(seat as usize) else {
                    return;
                };
                if place.occupant != occupant || !place.taken {
                    return;
                }
                place.timer_at = NEVER;
                if place.wake_at > self.io.now {
                    // Its pause was moved on, or it waits for something else now.
                    if place.wake_at != NEVER {
                        place.timer_at = place.wake_at;
                        let at = place.wake_at;
                        self.io.timers.add(at, TimerKey::User { seat, occupant });
                    }
                } else if !self.window.stopping {
                    place.wake_at = NEVER;
                    self.resume(seat, Wake::Timer);
                }
            }
            TimerKey::Connection { slot, epoch } => match self.io.expire(slot, epoch) {
                Expired::Nothing => {}
                Expired::Reconnect => self.io.reconnect(slot),
                Expired::ContinueWait => {
                    self.io.release_body(slot);
                    self.io.arm(slot);
                }
                Expired::Call(kind) => {
                    let limits = &self.plan.timeouts;
                    let (what, limit) = match kind {
                        FaultKind::ConnectTimeout => ("no connection", limits.connect),
                        FaultKind::FirstByteTimeout => ("no byte of a reply", limits.first_byte),
                        _ => ("no complete reply", self.io.total_limit(slot)),
                    };
                    self.io
                        .fail_later(slot, Fault::new(kind, format!("{what} within {limit:?}")));
                }
            },
        }
    }

    fn handle_event(&mut self, data: u64, flags: epoll::EventFlags) {
        if data == ALARM {
            return;
        }
        if data == BELL {
            let came = self.wiring.coordination.letters(self.index);
            self.letters.extend(came);
            return;
        }
        let (slot, epoch) = (data as u32, (data >> 32) as u32);
        let connection = &self.io.connections[slot as usize];
        // The slot may have got another connection since the kernel noted this.
        if connection.epoch != epoch {
            return;
        }
        match connection.state {
            State::Vacant => return,
            State::Connecting => {
                let ready =
                    epoll::EventFlags::OUT | epoll::EventFlags::ERR | epoll::EventFlags::HUP;
                if !flags.intersects(ready) {
                    return;
                }
                self.io.connected(slot);
            }
            State::Handshaking => self.io.handshake(slot),
            State::Ready if !connection.is_sent() => self.io.write_out(slot),
            State::Ready => {}
        }
        let connection = &self.io.connections[slot as usize];
        let ended = epoll::EventFlags::RDHUP | epoll::EventFlags::HUP | epoll::EventFlags::ERR;
        let readable = flags.intersects(epoll::EventFlags::IN | ended);
        if readable && connection.epoch == epoch && connection.state == State::Ready {
            self.read(slot, epoch, flags.intersects(ended));
        }
    }

    /// Read what a connection has, until it has no more. `ended` says that its end is among it.
    fn read(&mut self, slot: u32, epoch: u32, ended: bool) {
        let mut buffer = std::mem::take(&mut self.read_buffer);
        let mut reads = 0;
        loop {
            let connection = &mut self.io.connections[slot as usize];
            if connection.epoch != epoch {
                break;
            }
            let Some(stream) = &mut connection.stream else {
                break;
            };
            let short_is_last = stream.short_read_is_last() && !ended;
            let outcome = stream.read(&mut buffer);
            self.io.tick();
            match outcome {
                ReadOutcome::Blocked => break,
                ReadOutcome::Bytes(length) => {
                    self.io.delta.bytes_received += length as u64;
                    self.take_in(slot, epoch, &buffer[..length], ended);
                    if length < buffer.len() && short_is_last {
                        break;
                    }
                    // A target that sends faster than we read must not have us for itself.
                    reads += 1;
                    if reads == READS_AT_A_TIME {
                        self.unread.push((slot, epoch, ended));
                        break;
                    }
                }
                ReadOutcome::Closed { clean } => {
                    self.take_end(slot, clean);
                    break;
                }
                ReadOutcome::Failed(error) => {
                    if self.io.connections[slot as usize].active.is_some() {
                        self.io.fail_later(slot, Fault::from_io(&error, false));
                    } else {
                        self.io.close_idle(slot);
                    }
                    break;
                }
            }
        }
        self.read_buffer = buffer;
    }

    /// Go on with the connections that had more to read.
    fn read_on(&mut self) {
        if self.unread.is_empty() {
            return;
        }
        for (slot, epoch, ended) in std::mem::take(&mut self.unread) {
            if self.io.connections[slot as usize].epoch == epoch {
                self.read(slot, epoch, ended);
                self.start_arrivals();
            }
        }
    }

    /// Bytes came on a connection.
    fn take_in(&mut self, slot: u32, epoch: u32, mut input: &[u8], ended: bool) {
        while !input.is_empty() {
            let connection = &mut self.io.connections[slot as usize];
            if connection.epoch != epoch {
                return;
            }
            let Some(active) = &connection.active else {
                self.io.delta.unsolicited += 1;
                self.io.close_idle(slot);
                return;
            };
            let want = active.want;
            connection.saw_first_byte();
            match connection
                .reader
                .feed(input, want, &self.plan.limits, &mut self.heads)
            {
                Ok(Progress::More) => return,
                Ok(Progress::Continue { consumed }) => {
                    input = &input[consumed..];
                    self.io.release_body(slot);
                }
                Ok(Progress::Done(done)) => {
                    let surplus = input.len() - done.consumed;
                    self.finish_call(slot, &done, input, surplus, ended);
                    return;
                }
                Err(error) => {
                    self.io.fail_later(slot, Fault::from(error));
                    return;
                }
            }
        }
    }

    /// The target closed a connection.
    fn take_end(&mut self, slot: u32, clean: bool) {
        let connection = &mut self.io.connections[slot as usize];
        if connection.active.is_none() {
            self.io.close_idle(slot);
            return;
        }
        match connection.reader.close() {
            Ok(_) if !clean => {
                let detail = "the TLS stream was cut without its closing alert";
                self.io
                    .fail_later(slot, Fault::new(FaultKind::ClosedInReply, detail));
            }
            Ok(done) => self.finish_call(slot, &done, &[], 0, true),
            Err(ReplyError::ClosedBeforeReply) if connection.is_reset => {
                let detail = "the target reset the connection while the request was written";
                self.io
                    .fail_later(slot, Fault::new(FaultKind::Reset, detail));
            }
            Err(error) => self.io.fail_later(slot, Fault::from(error)),
        }
    }

    /// A reply is complete: free its connection, then let its user look at it.
    #[inline]
    fn finish_call(&mut self, slot: u32, done: &Done, input: &[u8], surplus: usize, ended: bool) {
        let reply = &done.reply;
        if surplus > 0 {
            let detail = format!("{surplus} bytes beyond the end of the reply");
            self.io
                .fail_later(slot, Fault::new(FaultKind::SurplusBytes, detail));
            return;
        }
        let connection = &mut self.io.connections[slot as usize];
        let Some(want) = connection.active.as_ref().map(|active| active.want) else {
            return;
        };
        let collected = match reply.place {
            Place::Buffer => connection.reader.take_buffer(),
            Place::Input => Vec::new(),
        };
        let bytes = match reply.place {
            Place::Buffer => collected.as_slice(),
            Place::Input => input,
        };
        let mut body = &bytes[reply.body.clone()];
        let mut inflated = std::mem::take(&mut self.inflated);
        let mut fault = None;
        if want.body && !reply.codings.is_identity() && !body.is_empty() {
            let limit = self.plan.limits.body_bytes;
            match coding::decode(&reply.codings, body, limit, &mut inflated) {
                Ok(()) => body = &inflated,
                Err(error) => fault = Some(Fault::new(FaultKind::BadEncoding, error.to_string())),
            }
        }
        match fault {
            Some(fault) => self.io.fail_later(slot, fault),
            None => {
                if let Some(active) = self.io.release(slot, reply.keep_alive && !ended) {
                    let view = ReplyView {
                        step: active.step,
                        tag: active.tag,
                        status: reply.status,
                        head: &bytes[reply.head.clone()],
                        whole: whole(bytes, reply, body),
                        body,
                        body_bytes: reply.body_bytes,
                        timing: active.timing(self.io.now),
                    };
                    self.resume(active.seat, Wake::Reply(view));
                }
            }
        }
        if inflated.capacity() <= READ_BYTES * 8 {
            self.inflated = inflated;
        }
        self.io.connections[slot as usize]
            .reader
            .put_buffer(collected);
    }

    /// Hand the second's counts to the collector.
    fn flush(&mut self) {
        if !self.window.stopping {
            self.io.delta.thread.merge(&self.meter.lap());
        }
        if let Some(events) = &mut self.io.events {
            events.hand_over();
            self.io.delta.events_lost += events.take_lost();
        }
        self.io.delta.settle();
        self.has_erred |= self.io.delta.errors() > 0;
        self.io.delta.users = self.most_users.max(self.active_users);
        self.most_users = self.active_users;
        self.io.delta.second = self.window.second;
        let mut empty = self
            .wiring
            .spares
            .try_recv()
            .unwrap_or_else(|_| Box::new(Delta::new(self.index, self.plan.steps.len())));
        empty.clear();
        empty.phase = self.window.phase;
        empty.origin = self.window.start;
        empty.sending = !self.window.stopping;
        let full = std::mem::replace(&mut self.io.delta, empty);
        // The collector outlives the shards; if it is gone, so is the run.
        let _ = self.wiring.deltas.send(full);
        let passed = self.io.now.saturating_sub(self.window.start) / SECOND;
        self.window.second = passed.max(self.window.second + 1);
        self.window.next_flush = self.window.start + (self.window.second + 1) * SECOND;
    }

    fn finish_phase(&mut self, phase: &Phase) {
        // What never waited is over before the clock was looked at again.
        self.io.tick();
        let stopped = self.wiring.stop.level() > StopLevel::Run;
        if phase.until_done && self.active_users > 0 {
            let reason = match stopped {
                true => format!("{} was stopped before it was done", phase.name),
                false => format!("{} was not done within {:?}", phase.name, phase.duration),
            };
            if stopped || !self.wiring.coordination.is_phase_cut() {
                self.io.delta.note_critical(&reason, self.io.now);
            }
            self.wiring.coordination.fail();
        }
        if phase.strict && (self.has_erred || self.io.delta.errors() > 0) {
            self.wiring.coordination.fail();
        }
        self.io.delta.ended = Some(self.io.now);
        self.flush();
        // The last counts are this phase's as well: the next one has to answer for its own only.
        self.has_erred = false;
        if let Some(events) = self.io.events.take() {
            self.events = Some(events);
        }
        // Users that pause or wait for nothing any more end with their phase.
        self.io.timers.forget_users();
        self.seats.clear();
        self.crowds.clear();
        self.letters.clear();
        self.active_users = 0;
        self.most_users = 0;
    }
}

/// Head and body together, where the one follows the other in what was read.
fn whole<'b>(
    bytes: &'b [u8],
    reply: &isukit_analyze::http1::Reply,
    body: &[u8],
) -> Option<&'b [u8]> {
    let together = reply.head.end == reply.body.start
        && body.len() == reply.body.len()
        && reply.codings.is_identity();
    together.then(|| &bytes[reply.head.start..reply.body.end])
}
