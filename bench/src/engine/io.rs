//! A shard's connections: opening them, sending calls on them, keeping their deadlines.
//!
//! Everything here belongs to one thread. Users reach it through [`Cx`](super::shard::Cx); what
//! arrives on a connection is taken apart in [`shard`](super::shard), which owns the users.

mod clients;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use super::clock::{Clock, NEVER, Nanos, nanos};
use super::events::EventBlock;
use super::fault::{Fault, FaultKind};
use super::names::{NameCache, Names};
use super::plan::Plan;
use super::stream::{Stream, connect_tcp, connect_unix};
use super::tally::Delta;
use super::timers::{TimerKey, Timers};
use super::user::{Call, StepId, Timing};
use crate::http1::target::Endpoint;
use clients::Client;
use isukit_analyze::http1::{ReplyReader, Want};

/// How long a body waits for `100 Continue` before it is sent anyway (RFC 9110, section 10.1.1).
const CONTINUE_WAIT: Nanos = 1_000_000_000;

/// How long to wait before a unix socket with a full backlog is tried again: 2 ms.
const BACKLOG_WAIT: Nanos = 2_000_000;

/// Memory for unsent bytes that a connection keeps between requests.
const KEPT_BYTES: usize = 64 * 1024;

/// Waits shorter than this are timed to the nanosecond: 10 ms.
const COARSE_WAIT: Nanos = 10_000_000;

/// What the timer file's events carry instead of a connection.
pub(super) const ALARM: u64 = u64::MAX;

/// What the events of the mailbox's bell carry.
pub(super) const BELL: u64 = u64::MAX - 1;

/// What a connection is busy with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Active {
    pub(super) seat: u32,
    pub(super) step: StepId,
    pub(super) tag: u32,
    client: u32,
    /// Time for the exchange, instead of the plan's.
    timeout: Option<Nanos>,
    pub(super) want: Want,
    pub(super) due_at: Nanos,
    /// When its first byte was written; none while the connection is being made.
    pub(super) sent_at: Option<Nanos>,
}

impl Active {
    #[inline]
    fn new(seat: u32, call: &Call<'_>) -> Self {
        Self {
            seat,
            step: call.step,
            tag: call.tag,
            client: call.client.0,
            timeout: call.timeout,
            want: call.want,
            due_at: call.due_at,
            sent_at: None,
        }
    }

    pub(super) fn timing(&self, done_at: Nanos) -> Timing {
        Timing {
            due_at: self.due_at,
            sent_at: self.sent_at.unwrap_or(done_at),
            done_at,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No stream: the slot is free.
    Vacant,
    Connecting,
    Handshaking,
    /// Can carry a request, or carries one.
    Ready,
}

/// One slot for a connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Option<Stream>,
    pub(super) state: State,
    /// Tells the slot's connections apart, in events and timers.
    pub(super) epoch: u32,
    /// Whose it is.
    client: u32,
    pub(super) active: Option<Active>,
    pub(super) reader: ReplyReader,
    /// Bytes not yet written.
    out: Vec<u8>,
    written: usize,
    /// Bytes of `out` that wait for `100 Continue` start here; `out.len()` when none do.
    held_from: usize,
    /// Which of the target's addresses it uses.
    address: usize,
    /// How many of them were tried for the current call.
    addresses_tried: usize,
    /// A write found the connection reset, and took the error with it.
    pub(super) is_reset: bool,
    connect_by: Nanos,
    first_byte_by: Nanos,
    total_by: Nanos,
    /// When to go on though the target says nothing: to send a body that waits for `100 Continue`,
    /// or to try a unix socket again whose backlog was full.
    continue_by: Nanos,
    timer_at: Nanos,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            stream: None,
            state: State::Vacant,
            epoch: 0,
            client: 0,
            active: None,
            reader: ReplyReader::default(),
            out: Vec::new(),
            written: 0,
            held_from: 0,
            address: 0,
            addresses_tried: 0,
            is_reset: false,
            connect_by: NEVER,
            first_byte_by: NEVER,
            total_by: NEVER,
            continue_by: NEVER,
            timer_at: NEVER,
        }
    }
}

impl Connection {
    fn deadline(&self) -> Nanos {
        self.connect_by
            .min(self.first_byte_by)
            .min(self.total_by)
            .min(self.continue_by)
    }

    /// Whether all of the request has been written, through TLS to the socket.
    #[inline]
    pub(super) fn is_sent(&self) -> bool {
        self.written == self.out.len() && !self.stream.as_ref().is_some_and(Stream::holds_bytes)
    }

    /// The first byte of the reply has come.
    pub(super) fn saw_first_byte(&mut self) {
        self.first_byte_by = NEVER;
    }
}

/// What a passed deadline means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expired {
    /// Nothing: the deadline had moved on.
    Nothing,
    /// The body need not wait for `100 Continue` any more.
    ContinueWait,
    /// The unix socket may have room now.
    Reconnect,
    /// The call timed out.
    Call(FaultKind),
}

/// Scores and errors that make a population grow or shrink.
#[derive(Debug, Default)]
pub(super) struct Feedback {
    /// Whether some population of the phase wants to know.
    pub(super) wanted: bool,
    /// Score tags and how often.
    pub(super) tags: Vec<(usize, u64)>,
    /// Errors that are no timeouts.
    pub(super) errors: u64,
    /// Users to start: population and how many.
    pub(super) asked_for: Vec<(usize, usize)>,
}

impl Feedback {
    pub(super) fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.errors == 0 && self.asked_for.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.tags.clear();
        self.errors = 0;
        self.asked_for.clear();
    }

    pub(super) fn see_fault(&mut self, fault: &Fault) {
        self.errors += u64::from(self.wanted && !fault.kind.is_timeout());
    }
}

/// The connections of a shard and what they count.
pub(super) struct Io {
    pub(super) plan: Arc<Plan>,
    pub(super) clock: Clock,
    /// The clock's last reading.
    pub(super) now: Nanos,
    epoll: rustix::fd::OwnedFd,
    /// A timer file in the epoll set.
    alarm: rustix::fd::OwnedFd,
    alarm_at: Nanos,
    pub(super) connections: Vec<Connection>,
    vacant: Vec<u32>,
    clients: Vec<Client>,
    /// Clients that nobody uses.
    free_clients: Vec<u32>,
    /// Clients with waiting calls that may have a connection for them now.
    ready_clients: Vec<u32>,
    pub(super) timers: Timers,
    /// Calls that failed while their user was being resumed; it learns of it afterwards.
    pub(super) failed: Vec<(Active, Fault)>,
    /// Calls that are not finished.
    pub(super) live_calls: usize,
    pub(super) delta: Box<Delta>,
    pub(super) steps: NameCache,
    pub(super) checks: NameCache,
    /// What populations that grow by feedback have not yet been told.
    pub(super) feedback: Feedback,
    /// Where finished requests are noted, in a measured phase.
    pub(super) events: Option<EventBlock>,
    /// The address that worked last.
    address: usize,
    /// Connect timeout, first byte, total.
    timeouts: [Nanos; 3],
}

impl Io {
    pub(super) fn new(
        plan: Arc<Plan>,
        clock: Clock,
        shard: usize,
        [steps, checks]: [Arc<Names>; 2],
    ) -> io::Result<Self> {
        let timeouts = plan.timeouts;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let alarm = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let edges = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &alarm, epoll::EventData::new_u64(ALARM), edges)?;
        let plan_steps = plan.steps.len();
        Ok(Self {
            plan,
            clock,
            now: clock.now(),
            epoll,
            alarm,
            alarm_at: 0,
            connections: Vec::new(),
            vacant: Vec::new(),
            // The first one is the shard's own.
            clients: vec![Client::default()],
            free_clients: Vec::new(),
            ready_clients: Vec::new(),
            timers: Timers::default(),
            failed: Vec::new(),
            live_calls: 0,
            delta: Box::new(Delta::new(shard, plan_steps)),
            steps: NameCache::new(steps),
            checks: NameCache::new(checks),
            feedback: Feedback::default(),
            events: None,
            address: 0,
            timeouts: [timeouts.connect, timeouts.first_byte, timeouts.total].map(nanos),
        })
    }

    /// Read the clock.
    #[inline]
    pub(super) fn tick(&mut self) -> Nanos {
        self.now = self.clock.now();
        self.now
    }

    /// Wait until a connection is ready or `until` has come.
    pub(super) fn wait(&mut self, events: &mut Vec<epoll::Event>, until: Nanos) -> io::Result<()> {
        let wait = until.saturating_sub(self.clock.now());
        // epoll's own timeout counts whole milliseconds (its finer form needs Linux 5.11, which
        // contest servers may not have), so anything nearer is left to a timer file.
        if wait < COARSE_WAIT && wait > 0 && self.alarm_at != until {
            let zero = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let alarm = Itimerspec {
                it_interval: zero,
                it_value: timespec(wait),
            };
            timerfd_settime(&self.alarm, TimerfdTimerFlags::empty(), &alarm)?;
            self.alarm_at = until;
        }
        events.clear();
        let buffer = rustix::buffer::spare_capacity(events);
        match epoll::wait(&self.epoll, buffer, Some(&timespec(wait))) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Let `bell` wake the shard.
    pub(super) fn listen_to(&self, bell: &rustix::fd::OwnedFd) -> io::Result<()> {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&self.epoll, bell, epoll::EventData::new_u64(BELL), flags)?;
        Ok(())
    }

    #[inline]
    fn send_on(&mut self, slot: u32, mut active: Active, call: &Call<'_>) {
        let now = self.now;
        active.sent_at = Some(now);
        self.delta.count_sent(active.due_at, now);
        let connection = &mut self.connections[slot as usize];
        connection.reader.reset();
        connection.active = Some(active);
        connection.first_byte_by = now.saturating_add(self.timeouts[1]);
        connection.total_by = now.saturating_add(active.timeout.unwrap_or(self.timeouts[2]));
        let Some(stream) = &mut connection.stream else {
            return;
        };
        let ready = &call.bytes[..call.first_part];
        match stream.write(ready) {
            Ok(written) => {
                self.delta.bytes_sent += written as u64;
                if written < call.bytes.len() {
                    connection.out.clear();
                    connection.out.extend_from_slice(&call.bytes[written..]);
                    connection.written = 0;
                    connection.held_from = call.first_part - written;
                    if call.first_part < call.bytes.len() {
                        connection.continue_by = now.saturating_add(CONTINUE_WAIT);
                    }
                    // TLS takes a part while the socket has room, and then no event would come.
                    if written < call.first_part {
                        self.write_out(slot);
                    }
                }
                self.arm(slot);
            }
            Err(error) => self.fail_later(slot, Fault::from_io(&error, false)),
        }
    }

    fn open_for(&mut self, active: Active, call: &Call<'_>) {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.connections.push(Connection::default());
            (self.connections.len() - 1) as u32
        });
        let now = self.now;
        self.clients[active.client as usize].open += 1;
        let connection = &mut self.connections[slot as usize];
        connection.client = active.client;
        connection.reader.reset();
        connection.active = Some(active);
        connection.out.clear();
        connection.out.extend_from_slice(call.bytes);
        connection.written = 0;
        connection.held_from = call.first_part;
        connection.connect_by = now.saturating_add(self.timeouts[0]);
        connection.total_by = now.saturating_add(active.timeout.unwrap_or(self.timeouts[2]));
        connection.address = self.address;
        connection.addresses_tried = 1;
        if let Err(error) = self.open(slot) {
            self.connect_failed(slot, &error);
        }
    }

    /// Open a stream in `slot` to its current address.
    fn open(&mut self, slot: u32) -> io::Result<()> {
        let connection = &mut self.connections[slot as usize];
        connection.epoch = connection.epoch.wrapping_add(1);
        connection.timer_at = NEVER;
        connection.is_reset = false;
        let socket = match &self.plan.endpoint {
            Endpoint::Unix(path) => match connect_unix(path) {
                // TCP waits in the kernel for room in the backlog, a unix socket does not.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    connection.state = State::Connecting;
                    connection.continue_by = self.now.saturating_add(BACKLOG_WAIT);
                    self.arm(slot);
                    return Ok(());
                }
                result => result?,
            },
            Endpoint::Tcp(addresses) => connect_tcp(addresses[connection.address])?,
        };
        let stream = Stream::new(socket, self.plan.tls.as_ref())?;
        let data = u64::from(connection.epoch) << 32 | u64::from(slot);
        // Edge-triggered and never changed: the kernel need not look at a connection again after
        // it has told us of it. A short read is followed by a new edge when more comes.
        let flags = epoll::EventFlags::IN
            | epoll::EventFlags::OUT
            | epoll::EventFlags::RDHUP
            | epoll::EventFlags::ET;
        epoll::add(&self.epoll, &stream, epoll::EventData::new_u64(data), flags)?;
        connection.stream = Some(stream);
        connection.state = State::Connecting;
        self.arm(slot);
        Ok(())
    }

    /// Try a unix socket again.
    pub(super) fn reconnect(&mut self, slot: u32) {
        self.connections[slot as usize].continue_by = NEVER;
        if let Err(error) = self.open(slot) {
            self.connect_failed(slot, &error);
        }
    }

    /// The connection in `slot` could not be made: try the target's next address, or give up.
    pub(super) fn connect_failed(&mut self, slot: u32, error: &io::Error) {
        let fault = Fault::from_io(error, true);
        let addresses = match &self.plan.endpoint {
            Endpoint::Tcp(addresses) => addresses.len(),
            Endpoint::Unix(_) => 1,
        };
        let exhausted = matches!(fault.kind, FaultKind::OpenFiles | FaultKind::NoPorts);
        let connection = &mut self.connections[slot as usize];
        connection.stream = None;
        if !exhausted && connection.addresses_tried < addresses {
            connection.addresses_tried += 1;
            connection.address = (connection.address + 1) % addresses;
            match self.open(slot) {
                Ok(()) => return,
                Err(error) => return self.connect_failed(slot, &error),
            }
        }
        self.fail_later(slot, fault);
    }

    /// The socket in `slot` says that it is connected, or failed.
    pub(super) fn connected(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        let Some(stream) = &connection.stream else {
            return;
        };
        if let Err(error) = stream.connect_result() {
            self.connect_failed(slot, &error);
            return;
        }
        self.address = connection.address;
        connection.state = State::Handshaking;
        self.delta.connections += 1;
        self.handshake(slot);
    }

    /// Go on with the TLS handshake, if there is one, and send the waiting request after it.
    pub(super) fn handshake(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        let Some(stream) = &mut connection.stream else {
            return;
        };
        if let Err(error) = stream.handshake() {
            self.fail_later(slot, Fault::from_handshake(&error));
            return;
        }
        if stream.is_handshaking() {
            return;
        }
        connection.state = State::Ready;
        connection.connect_by = NEVER;
        let now = self.clock.now();
        if let Some(active) = &mut connection.active {
            active.sent_at = Some(now);
            self.delta.count_sent(active.due_at, now);
            connection.first_byte_by = now.saturating_add(self.timeouts[1]);
            if connection.held_from < connection.out.len() {
                connection.continue_by = now.saturating_add(CONTINUE_WAIT);
            }
        }
        self.arm(slot);
        self.write_out(slot);
    }

    /// The target said `100 Continue`, or was silent for long enough.
    pub(super) fn release_body(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        connection.held_from = connection.out.len();
        connection.continue_by = NEVER;
        self.write_out(slot);
    }

    /// Write what waits to be written.
    pub(super) fn write_out(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        let Some(stream) = &mut connection.stream else {
            return;
        };
        let mut result = stream.flush();
        while result.is_ok() && connection.written < connection.held_from {
            match stream.write(&connection.out[connection.written..connection.held_from]) {
                Ok(0) => break,
                Ok(written) => {
                    connection.written += written;
                    self.delta.bytes_sent += written as u64;
                }
                Err(error) => result = Err(error),
            }
        }
        match result {
            Ok(_) => {
                if connection.is_sent() && !connection.out.is_empty() {
                    connection.written = 0;
                    connection.held_from = 0;
                    // Rarely needed again: most requests are written at once. Ten thousand idle
                    // connections must not pin the memory of their first one.
                    connection.out = Vec::new();
                }
            }
            // The target may have answered before it closed: the reply says more than the error,
            // and reading finds it, or finds the connection broken.
            Err(error) if is_broken_pipe(&error) => connection.is_reset = true,
            Err(error) => self.fail_later(slot, Fault::from_io(&error, false)),
        }
    }

    /// Make sure that a timer fires no later than the connection's deadline.
    #[inline]
    pub(super) fn arm(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        let deadline = connection.deadline();
        if deadline < connection.timer_at {
            connection.timer_at = deadline;
            self.timers.add(
                deadline,
                TimerKey::Connection {
                    slot,
                    epoch: connection.epoch,
                },
            );
        }
    }

    /// A connection's timer fired: say what it means, and arm it again.
    pub(super) fn expire(&mut self, slot: u32, epoch: u32) -> Expired {
        let now = self.now;
        let connection = &mut self.connections[slot as usize];
        if connection.epoch != epoch || connection.state == State::Vacant {
            return Expired::Nothing;
        }
        connection.timer_at = NEVER;
        let expired = if connection.active.is_none() {
            Expired::Nothing
        } else if connection.connect_by <= now {
            Expired::Call(FaultKind::ConnectTimeout)
        } else if connection.total_by <= now {
            Expired::Call(FaultKind::TotalTimeout)
        } else if connection.first_byte_by <= now {
            Expired::Call(FaultKind::FirstByteTimeout)
        } else if connection.continue_by <= now && connection.stream.is_none() {
            Expired::Reconnect
        } else if connection.continue_by <= now {
            Expired::ContinueWait
        } else {
            Expired::Nothing
        };
        if matches!(expired, Expired::Nothing) {
            self.arm(slot);
        }
        expired
    }

    /// How long the exchange on `slot` may take.
    pub(super) fn total_limit(&self, slot: u32) -> Duration {
        let active = self.connections[slot as usize].active.as_ref();
        let own = active.and_then(|active| active.timeout);
        own.map_or(self.plan.timeouts.total, Duration::from_nanos)
    }

    /// A reply is complete: free the connection for the next call, or close it.
    #[inline]
    pub(super) fn release(&mut self, slot: u32, reusable: bool) -> Option<Active> {
        let connection = &mut self.connections[slot as usize];
        let active = connection.active.take()?;
        self.live_calls -= 1;
        connection.first_byte_by = NEVER;
        connection.total_by = NEVER;
        connection.continue_by = NEVER;
        let client = connection.client;
        if reusable && connection.is_sent() && !self.clients[client as usize].is_gone {
            self.clients[client as usize].idle.push(slot);
            self.has_room(client);
        } else {
            self.close(slot);
        }
        Some(active)
    }

    /// Close the connection in `slot`; what was active on it must have been taken.
    fn close(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        // Dropping the socket also takes it out of the epoll set.
        connection.stream = None;
        connection.state = State::Vacant;
        connection.epoch = connection.epoch.wrapping_add(1);
        connection.timer_at = NEVER;
        connection.connect_by = NEVER;
        connection.continue_by = NEVER;
        connection.out.clear();
        connection.written = 0;
        connection.held_from = 0;
        // What a broken exchange left behind must not pin its memory to a free slot.
        connection.out.shrink_to(KEPT_BYTES);
        connection.reader.shrink();
        let client = connection.client;
        self.vacant.push(slot);
        self.clients[client as usize].open -= 1;
        self.has_room(client);
    }

    /// Close an idle connection: the target closed it, or sent what nobody asked for.
    pub(super) fn close_idle(&mut self, slot: u32) {
        let idle = &mut self.clients[self.connections[slot as usize].client as usize].idle;
        if let Some(at) = idle.iter().rposition(|&idle| idle == slot) {
            idle.swap_remove(at);
        }
        self.close(slot);
    }

    /// Count a call that could not even be encoded.
    pub(super) fn fail_unsent(&mut self, seat: u32, call: &Call<'_>, fault: Fault) {
        let active = Active::new(seat, call);
        self.count_failure(active, fault);
    }

    fn count_failure(&mut self, active: Active, fault: Fault) {
        let now = self.now;
        if active.sent_at.is_none() {
            self.delta.count_sent(active.due_at, now);
        }
        let timing = active.timing(now);
        self.delta.count_failure(active.step, timing, &fault);
        self.feedback.see_fault(&fault);
        if let Some(events) = &mut self.events {
            let step = self.steps.name(active.step.0);
            events.add(step, timing, None, Some(&fault));
        }
        self.failed.push((active, fault));
    }

    /// End the call on `slot` as failed and close the connection; its user is told by the shard.
    pub(super) fn fail_later(&mut self, slot: u32, fault: Fault) {
        let connection = &mut self.connections[slot as usize];
        if let Some(active) = connection.active.take() {
            self.live_calls -= 1;
            connection.first_byte_by = NEVER;
            connection.total_by = NEVER;
            connection.continue_by = NEVER;
            self.count_failure(active, fault);
        }
        self.close(slot);
    }

    /// End every open call: the run is over.
    pub(super) fn cut_all(&mut self) {
        for slot in 0..self.connections.len() as u32 {
            if self.connections[slot as usize].active.is_some() {
                let detail = "still open when the run had to end";
                self.fail_later(slot, Fault::new(FaultKind::Unfinished, detail));
            }
        }
        for id in 0..self.clients.len() {
            for waiting in std::mem::take(&mut self.clients[id].waiting) {
                self.live_calls -= 1;
                let detail = "waited for a connection when the run had to end";
                self.count_failure(waiting.active, Fault::new(FaultKind::Unfinished, detail));
            }
        }
    }
}

fn timespec(ns: Nanos) -> Timespec {
    Timespec {
        tv_sec: (ns / 1_000_000_000) as i64,
        tv_nsec: (ns % 1_000_000_000) as i64,
    }
}

fn is_broken_pipe(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}
