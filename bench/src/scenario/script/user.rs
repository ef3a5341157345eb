//! A scripted user: its flows, what each waits for, and the calls that are open.

mod flows;
mod waits;

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use mlua::{Error, Function, MultiValue, Result, Table, Thread, Value};

use super::call::OpenCall;
use super::client::Client;
use super::reply::Judging;
use super::run::ScriptRun;
use super::vm::{Effect, Own, Vm, message_of};
use crate::engine::{Behaviour, Cx, Fault, FaultKind, Local, Nanos, Next, User, Wake};

/// Flows of one user at a time.
pub(super) const FLOWS: usize = 1_000;

/// Flows of one user that go on before others have their turn: not all that they ask for takes time.
const FLOWS_AT_A_TIME: usize = 200;

/// The longest pause of a user that begins again after failures: 1 s.
const LONGEST_PAUSE: Nanos = 1_000_000_000;

/// What failures are counted as that belong to no call.
const SCRIPT_STEP: &str = "(script)";

/// Makes scripted users of one kind in one phase.
#[derive(Debug, Clone)]
pub struct ScriptBehaviour {
    /// The run.
    pub run: Arc<ScriptRun>,
    /// Index of the phase.
    pub phase: usize,
    /// Tells the kind from all others of the scenario: part of its users' seeds and names.
    pub kind: usize,
    /// The kind's name.
    pub name: String,
    /// The function of the script.
    pub function: String,
    /// Whether a user begins again when its function has returned.
    pub repeat: bool,
}

/// A shard's interpreter, made for the first user.
struct ShardVm(std::result::Result<Vm, String>);

impl Behaviour for Arc<ScriptBehaviour> {
    fn user(&self, local: &mut Local) -> Box<dyn User> {
        let shard =
            local.get_or_make(|| ShardVm(Vm::new(&self.run).map_err(|error| message_of(&error))));
        Box::new(ScriptUser {
            behaviour: Arc::clone(self),
            shard,
            own: Own::default(),
            flows: Vec::new(),
            ready: VecDeque::new(),
            calls: Vec::new(),
            serial: 0,
            iteration: 0,
            failures: 0,
            main: Main::Idle,
            has_waited: false,
            user: None,
        })
    }
}

/// Where the user is with its function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Main {
    /// It has not begun, or begins again later.
    Idle,
    /// It runs or waits.
    Running,
    /// It is over; open calls are still to be answered.
    Over,
}

/// What a flow waits for.
#[derive(Debug)]
enum Wait {
    /// Its turn.
    Turn,
    /// The reply to a call.
    Call,
    Pause {
        until: Nanos,
    },
    Parallel(Box<Joining>),
    Within {
        child: usize,
        until: Nanos,
    },
    Take {
        pool: Box<str>,
        until: Nanos,
        token: u64,
    },
    Signal {
        name: Box<str>,
        until: Option<Nanos>,
        token: u64,
    },
}

/// What became of the flows that another one waits for.
#[derive(Debug)]
struct Joining {
    left: usize,
    results: Vec<Value>,
    error: Option<Error>,
}

/// One coroutine.
#[derive(Debug)]
struct FlowState {
    thread: Thread,
    /// Tells the flows that were in this place one after the other apart.
    serial: u64,
    /// Who waits for it, and at which place of the results.
    parent: Option<(usize, usize)>,
    wait: Wait,
}

/// Flows that may go on: place, serial number, and what they are resumed with.
pub(super) type Ready = VecDeque<(usize, u64, Resume)>;

/// What a flow is resumed with.
#[derive(Debug)]
pub(super) enum Resume {
    With(MultiValue),
    /// With a reply that has not been counted.
    Reply(Value, Judging),
    Raise(Error),
}

struct ScriptUser {
    behaviour: Arc<ScriptBehaviour>,
    shard: Rc<ShardVm>,
    own: Own,
    /// The first is the user's function.
    flows: Vec<Option<FlowState>>,
    ready: Ready,
    calls: Vec<OpenCall>,
    serial: u64,
    iteration: u64,
    /// Iterations that failed one after the other.
    failures: u32,
    main: Main,
    /// Whether the iteration waited for anything: one that never does must be slowed down.
    has_waited: bool,
    user: Option<Table>,
}

impl User for ScriptUser {
    fn resume(&mut self, cx: &mut Cx<'_>, wake: Wake<'_>) -> Next {
        let shard = Rc::clone(&self.shard);
        let vm = match &shard.0 {
            Ok(vm) => vm,
            Err(message) => {
                let step = cx.step(SCRIPT_STEP);
                cx.fault(step, &Fault::new(FaultKind::Script, message.clone()));
                return Next::Done;
            }
        };
        // Hardly ever is anything ready between two resumes, so the list need not be every user's own.
        if self.ready.is_empty() {
            self.ready = vm.ready.take();
        }
        match wake {
            Wake::Start { number, .. } => {
                self.settle_in(number);
                self.begin(vm, cx);
            }
            Wake::Reply(reply) => self.answered(vm, cx, &reply),
            Wake::Failed(failed) => self.failed(vm, &failed),
            Wake::Timer if self.main == Main::Idle => self.begin(vm, cx),
            Wake::Timer => self.time_passed(vm, cx),
            Wake::Letter(token) => self.letter(vm, cx, token),
        }
        self.run(vm, cx);
        if self.ready.is_empty() {
            vm.ready.set(std::mem::take(&mut self.ready));
        }
        self.next(cx)
    }
}

impl ScriptUser {
    /// A new user sits here.
    fn settle_in(&mut self, number: u64) {
        let kind = self.behaviour.kind;
        // Any mixing will do that gives neighbours unlike streams; fastrand does the rest.
        let seed = self.behaviour.run.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)
            ^ (kind as u64).wrapping_mul(0xC2B2_AE3D_27D4_EB4F)
            ^ number.wrapping_mul(0x1656_67B1_9E37_79F9)
            // A warm-up's users are not those of the load.
            ^ (self.behaviour.phase as u64).wrapping_mul(0x27D4_EB2F_1656_67C5);
        self.own = Own {
            kind,
            number,
            random: fastrand::Rng::with_seed(seed),
            ..Own::default()
        };
        self.iteration = 0;
        self.failures = 0;
        self.main = Main::Idle;
    }

    /// Begin the function from its start, as a visitor that nobody knows.
    fn begin(&mut self, vm: &Vm, cx: &mut Cx<'_>) {
        // Nobody knows the visitor, but its connections may as well be those of the last one: a
        // new one each time would use up the ports of this machine.
        let pool = self
            .own
            .clients
            .first_mut()
            .and_then(|client| client.pool.take());
        self.close_clients(cx);
        self.own.clients.reserve_exact(1);
        self.own.clients.push(Client {
            pool,
            ..Client::default()
        });
        self.own.last_step = cx.step(SCRIPT_STEP);
        self.iteration += 1;
        self.main = Main::Running;
        self.has_waited = false;
        // The outer part of the script runs here, with this user's random numbers.
        let number = self.own.number;
        self.lend(vm, cx);
        vm.host.begin();
        let made = self.make(vm, number);
        self.take_back(vm);
        self.apply(vm, cx);
        match made {
            Ok((function, user)) => {
                let started = self.start_flow(vm, &function, Some(&user), None);
                self.user = Some(user);
                if let Err(error) = started {
                    self.main_over(cx, false);
                    self.count_error(cx, &error, None);
                }
            }
            Err(error) => {
                self.main_over(cx, false);
                self.count_error(cx, &error, None);
            }
        }
    }

    fn make(&self, vm: &Vm, number: u64) -> Result<(Function, Table)> {
        let module = vm.instance()?;
        let function: Function = module.get(self.behaviour.function.as_str())?;
        let user = vm.make_user.call((
            self.behaviour.name.as_str(),
            number as f64,
            self.iteration as f64,
            0,
        ))?;
        Ok((function, user))
    }

    /// Let the host's functions work for this user.
    fn lend(&mut self, vm: &Vm, cx: &Cx<'_>) {
        let host = &vm.host;
        host.now.set(cx.now());
        host.unix_us.set(cx.unix_us(cx.now()));
        host.running.set(cx.running());
        host.phase.set(self.behaviour.phase);
        if host.run.trace.is_some() {
            *host.who.borrow_mut() = format!("{}-{}", self.behaviour.name, self.own.number);
        }
        std::mem::swap(&mut *host.own.borrow_mut(), &mut self.own);
    }

    fn take_back(&mut self, vm: &Vm) {
        std::mem::swap(&mut *vm.host.own.borrow_mut(), &mut self.own);
    }

    /// Do what the script asked for while it ran.
    fn apply(&mut self, vm: &Vm, cx: &mut Cx<'_>) {
        if vm.host.effects.borrow().is_empty() {
            return;
        }
        // What is done may lead to more, so the list is not held meanwhile; its memory comes back.
        let mut effects = std::mem::take(&mut *vm.host.effects.borrow_mut());
        for effect in effects.drain(..) {
            match effect {
                Effect::Score(tag, times) => cx.score(tag, times),
                Effect::Check(name, failure) => cx.check(&name, failure.as_deref()),
                Effect::Fault(fault) => cx.fault(self.own.last_step, &fault),
                Effect::Critical(reason) => cx.fail_run(&reason),
                Effect::Wake(waiter) => cx.post(waiter.address, waiter.token),
                Effect::Raise(signal) => cx.raise(signal),
                Effect::Launch(population, users) => cx.spawn(population, users),
                Effect::Spawn(body) => {
                    let user = self.user.clone();
                    if let Err(error) = self.start_flow(vm, &body, user.as_ref(), None) {
                        self.count_error(cx, &error, None);
                    }
                }
            }
        }
        let mut kept = vm.host.effects.borrow_mut();
        if kept.is_empty() {
            *kept = effects;
        }
    }

    /// Count a mistake of the script.
    fn count_error(&self, cx: &mut Cx<'_>, error: &Error, message: Option<String>) {
        let message = message.unwrap_or_else(|| message_of(error));
        let step = cx.step(SCRIPT_STEP);
        cx.fault(step, &Fault::new(FaultKind::Script, message));
    }

    /// The user's function is over: so is everything it started.
    fn main_over(&mut self, cx: &mut Cx<'_>, well: bool) {
        for place in 0..self.flows.len() {
            self.kill(cx, place);
        }
        self.flows.clear();
        self.ready.clear();
        self.user = None;
        self.failures = if well && self.has_waited {
            0
        } else {
            self.failures.saturating_add(1)
        };
        self.main = Main::Over;
    }

    /// The phase is over: nothing goes on.
    fn abandon(&mut self, cx: &mut Cx<'_>) {
        let failures = self.failures;
        self.main_over(cx, true);
        self.failures = failures;
    }

    /// What the user waits for now.
    fn next(&mut self, cx: &mut Cx<'_>) -> Next {
        match self.main {
            Main::Running if !self.ready.is_empty() => Next::Until(cx.now()),
            Main::Running => {
                let until = self
                    .flows
                    .iter()
                    .flatten()
                    .filter_map(FlowState::until)
                    .min();
                until.map_or(Next::Reply, Next::Until)
            }
            Main::Idle => Next::Reply,
            // Its calls are answered first: their replies count, and their connections are theirs.
            Main::Over if !self.calls.is_empty() => Next::Reply,
            Main::Over => {
                if self.behaviour.repeat && cx.running() {
                    self.main = Main::Idle;
                    let pause = pause_after(self.failures);
                    return Next::Until(cx.now().saturating_add(pause));
                }
                self.close_clients(cx);
                Next::Done
            }
        }
    }

    fn close_clients(&mut self, cx: &mut Cx<'_>) {
        for client in self.own.clients.drain(..) {
            if let Some(pool) = client.pool {
                cx.close_client(pool);
            }
        }
    }
}

impl FlowState {
    /// The moment it waits for.
    fn until(&self) -> Option<Nanos> {
        match &self.wait {
            Wait::Pause { until } | Wait::Within { until, .. } | Wait::Take { until, .. } => {
                Some(*until)
            }
            Wait::Signal { until, .. } => *until,
            Wait::Turn | Wait::Call | Wait::Parallel(_) => None,
        }
    }
}

/// What is told of flows beyond [`FLOWS`].
pub(super) fn too_many_flows() -> Error {
    Error::runtime(format!(
        "a user has more than {FLOWS} flows at a time (parallel, spawn, within)"
    ))
}

/// How long to wait before the function begins again after so many failures in a row: not at all,
/// then from a millisecond on twice as long each time.
fn pause_after(failures: u32) -> Nanos {
    match failures {
        0 => 0,
        n => (1_000_000_u64 << (n - 1).min(20)).min(LONGEST_PAUSE),
    }
}

/// What a flow yielded or returned: a number for what it asks, and what belongs to it.
type Yielded = (Value, Value, Value, Value, Value, Value);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let check = |failures, expected_ms: u64| {
            assert_eq!(pause_after(failures), expected_ms * 1_000_000);
        };
        check(0, 0);
        check(1, 1);
        check(2, 2);
        check(8, 128);
        check(11, 1_000);
        check(u32::MAX, 1_000);
    }
}
