//! A scripted user: its flows, what each waits for, and the calls that are open.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use mlua::{Error, Function, MultiValue, Result, Table, Thread, Value};

use super::call::{OpenCall, Started};
use super::client::Client;
use super::flow::Flow;
use super::reply::Judging;
use super::run::ScriptRun;
use super::shared::Waiter;
use super::vm::{Effect, Own, Vm, message_of};
use crate::engine::{
    Behaviour, Cx, Failed, Fault, FaultKind, Local, Nanos, Next, ReplyView, User, Wake,
};

/// Flows of one user at a time.
pub(super) const FLOWS: usize = 1_000;

/// Flows of one user that go on before others have their turn: not all that they ask for takes time.
const FLOWS_AT_A_TIME: usize = 200;

/// The longest pause of a user that begins again after failures: 1 s.
const LONGEST_PAUSE: Nanos = 1_000_000_000;

/// What failures are counted as that belong to no call.
const SCRIPT_STEP: &str = "(script)";

/// What a flow may ask for, as the prelude numbers it; 0 is its end.
mod op {
    pub(super) const CALL: i64 = 1;
    pub(super) const PAUSE: i64 = 2;
    pub(super) const PARALLEL: i64 = 3;
    pub(super) const WITHIN: i64 = 4;
    pub(super) const TAKE: i64 = 5;
    pub(super) const WAIT: i64 = 6;
}

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
    /// It is over, well or not; open calls are still to be answered.
    Over { well: bool },
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
    calls: Vec<Box<OpenCall>>,
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
            ^ number.wrapping_mul(0x1656_67B1_9E37_79F9);
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
                    self.main_over(vm, cx, false);
                    self.count_error(cx, &error, None);
                }
            }
            Err(error) => {
                self.main_over(vm, cx, false);
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

    /// Start a coroutine of this user.
    fn start_flow(
        &mut self,
        vm: &Vm,
        body: &Function,
        argument: Option<&Table>,
        parent: Option<(usize, usize)>,
    ) -> Result<usize> {
        let place = self.flows.iter().position(Option::is_none);
        let place = place.unwrap_or(self.flows.len());
        if place >= FLOWS {
            return Err(too_many_flows());
        }
        let thread = vm.lua.create_thread(vm.flow.clone())?;
        self.serial += 1;
        let serial = self.serial;
        let state = FlowState {
            thread,
            serial,
            parent,
            wait: Wait::Turn,
        };
        if place == self.flows.len() {
            // Most users have one flow.
            self.flows.reserve_exact(1);
            self.flows.push(Some(state));
        } else {
            self.flows[place] = Some(state);
        }
        let mut first = MultiValue::with_capacity(2);
        first.push_back(Value::Function(body.clone()));
        if let Some(argument) = argument {
            first.push_back(Value::Table(argument.clone()));
        }
        self.ready.push_back((place, serial, Resume::With(first)));
        Ok(place)
    }

    /// Let a flow go on when it is its turn.
    fn wake_flow(&mut self, place: usize, resume: Resume) {
        if let Some(Some(flow)) = self.flows.get_mut(place) {
            flow.wait = Wait::Turn;
            let serial = flow.serial;
            self.ready.push_back((place, serial, resume));
        }
    }

    fn wake_with(&mut self, place: usize, value: Value) {
        self.wake_flow(place, Resume::With(MultiValue::from_iter([value])));
    }

    /// Run every flow that may go on until all of them wait, or have had their turn.
    fn run(&mut self, vm: &Vm, cx: &mut Cx<'_>) {
        let mut ran = 0;
        let is_reply = |resume: &Resume| matches!(resume, Resume::Reply(..));
        // Replies are counted when they are looked at, and the phase may be over before the next turn.
        while ran < FLOWS_AT_A_TIME || self.ready.iter().any(|(.., resume)| is_reply(resume)) {
            let Some((place, serial, resume)) = self.ready.pop_front() else {
                return;
            };
            ran += 1;
            if cx.is_over() && !matches!(resume, Resume::Reply(..)) {
                // What goes on now could only ask for what is not done any more.
                self.abandon(vm, cx);
                return;
            }
            let Some(Some(flow)) = self.flows.get(place) else {
                continue;
            };
            if flow.serial == serial {
                self.run_flow(vm, cx, place, resume);
            }
        }
    }

    /// Run one flow until it waits, and see what for.
    fn run_flow(&mut self, vm: &Vm, cx: &mut Cx<'_>, place: usize, resume: Resume) {
        let Some(Some(flow)) = self.flows.get(place) else {
            return;
        };
        let thread = flow.thread.clone();
        self.lend(vm, cx);
        vm.host.begin();
        vm.limit_memory();
        let outcome: Result<Yielded> = match resume {
            Resume::With(values) => thread.resume(values),
            Resume::Raise(error) => thread.resume_error(error),
            Resume::Reply(reply, judging) => {
                *vm.host.judging.borrow_mut() = Some(judging);
                thread.resume(reply)
            }
        };
        vm.free_memory();
        self.take_back(vm);
        let mut judging = vm.host.judging.borrow_mut().take();
        if let Err(error) = &outcome
            && let Some(Flow::Failure(detail)) = Flow::of(error)
            && let Some(judging) = &mut judging
            && judging.fault.is_none()
        {
            judging.fault = Some(Fault::new(FaultKind::Check, detail.clone()));
        }
        let counted = judging
            .as_ref()
            .is_some_and(|judging| judging.fault.is_some());
        if let Some(mut judging) = judging {
            self.own.last_step = judging.step;
            let seen = (judging.status, judging.body_bytes);
            let verdict = judging.verdict();
            cx.judge_later(judging.step, judging.timing, seen, &verdict);
        }
        self.apply(vm, cx);
        match outcome {
            Ok((what, first, second, third, fourth, fifth)) => {
                let what = super::request::whole_number(&what).unwrap_or(-1);
                if what == 0 {
                    self.finish(vm, cx, place, Ok(first));
                    return;
                }
                let values = [first, second, third, fourth, fifth];
                if let Err(error) = self.wait_for(vm, cx, place, what, values) {
                    self.wake_flow(place, Resume::Raise(self.placed(vm, place, error)));
                }
            }
            Err(error) => {
                let error = self.count_error_of(vm, cx, place, error, counted);
                self.finish(vm, cx, place, Err(error));
            }
        }
    }

    /// An error of a call that the script made wrongly, with the place in the script.
    fn placed(&self, vm: &Vm, place: usize, error: Error) -> Error {
        if Flow::of(&error).is_some() {
            return error;
        }
        let at = self.script_line(vm, place);
        Error::runtime(format!("{at}{}", message_of(&error)))
    }

    /// Where a flow is in the script, as `scenario.luau:12: `.
    fn script_line(&self, vm: &Vm, place: usize) -> String {
        let Some(Some(flow)) = self.flows.get(place) else {
            return String::new();
        };
        let line = vm.locate.call::<Option<String>>(flow.thread.clone());
        line.ok()
            .flatten()
            .map_or_else(String::new, |line| format!("{line}: "))
    }

    /// Count how a flow failed, unless it is counted; what whoever waits for it is told.
    fn count_error_of(
        &mut self,
        vm: &Vm,
        cx: &mut Cx<'_>,
        place: usize,
        error: Error,
        counted: bool,
    ) -> Error {
        match Flow::of(&error) {
            Some(Flow::Counted(_) | Flow::Critical(_)) => return error,
            Some(Flow::Failure(detail)) => {
                let detail = detail.clone();
                if !counted {
                    let fault = Fault::new(FaultKind::Check, detail.clone());
                    cx.fault(self.own.last_step, &fault);
                }
                return Flow::counted(detail);
            }
            Some(Flow::Runaway(_)) | None => {}
        }
        let mut message = message_of(&error);
        let name = &vm.host.run.script_name;
        if !message.starts_with(&format!("{name}:")) {
            message.insert_str(0, &self.script_line(vm, place));
        }
        self.count_error(cx, &error, Some(message.clone()));
        Flow::counted(message)
    }

    /// Count a mistake of the script.
    fn count_error(&self, cx: &mut Cx<'_>, error: &Error, message: Option<String>) {
        let message = message.unwrap_or_else(|| message_of(error));
        let step = cx.step(SCRIPT_STEP);
        cx.fault(step, &Fault::new(FaultKind::Script, message));
    }

    /// See what a flow waits for, and start it.
    fn wait_for(
        &mut self,
        vm: &Vm,
        cx: &mut Cx<'_>,
        place: usize,
        what: i64,
        values: [Value; 5],
    ) -> Result<()> {
        if cx.is_over() {
            self.abandon(vm, cx);
            return Ok(());
        }
        self.has_waited = true;
        let [first, second, ..] = &values;
        let wait = match what {
            op::CALL => return self.call(vm, cx, place, &values),
            op::PAUSE => Wait::Pause {
                until: after(cx, first),
            },
            op::PARALLEL => return self.parallel(vm, place, first),
            op::WITHIN => {
                let Value::Function(body) = second else {
                    return Err(Error::runtime("within() wants a time and a function"));
                };
                let until = after(cx, first);
                let child = self.start_flow(vm, body, None, Some((place, 0)))?;
                Wait::Within { child, until }
            }
            op::TAKE => return self.take(cx, place, first, second),
            op::WAIT => return self.wait_signal(cx, place, first, second),
            _ => {
                return Err(Error::runtime(
                    "a flow may only wait through isukit's functions",
                ));
            }
        };
        if let Some(Some(flow)) = self.flows.get_mut(place) {
            flow.wait = wait;
        }
        Ok(())
    }

    fn call(&mut self, vm: &Vm, cx: &mut Cx<'_>, place: usize, values: &[Value; 5]) -> Result<()> {
        let Some(Some(flow)) = self.flows.get(place) else {
            return Ok(());
        };
        self.serial += 1;
        let tag = self.serial as u32;
        match OpenCall::start(vm, cx, &mut self.own, (place, flow.serial, tag), values)? {
            Started::Sent(call) => {
                self.calls.push(call);
                if let Some(Some(flow)) = self.flows.get_mut(place) {
                    flow.wait = Wait::Call;
                }
            }
            Started::Answered(reply) => self.wake_with(place, reply),
        }
        Ok(())
    }

    fn parallel(&mut self, vm: &Vm, place: usize, bodies: &Value) -> Result<()> {
        let Value::Table(bodies) = bodies else {
            return Err(Error::runtime("parallel() wants functions"));
        };
        let bodies = bodies
            .sequence_values::<Value>()
            .collect::<Result<Vec<_>>>()?;
        let functions = bodies
            .iter()
            .map(|body| match body {
                Value::Function(body) => Ok(body.clone()),
                other => Err(Error::runtime(format!(
                    "parallel() wants functions, not a {}; write parallel(function() ... end, ...)",
                    super::plain::type_name(other)
                ))),
            })
            .collect::<Result<Vec<_>>>()?;
        if functions.is_empty() {
            self.wake_with(place, Value::Nil);
            return Ok(());
        }
        // None is begun when not all of them can be: nobody would wait for it.
        let taken = self.flows.iter().flatten().count();
        if taken + functions.len() > FLOWS {
            return Err(too_many_flows());
        }
        for (at, body) in functions.iter().enumerate() {
            self.start_flow(vm, body, None, Some((place, at)))?;
        }
        if let Some(Some(flow)) = self.flows.get_mut(place) {
            flow.wait = Wait::Parallel(Box::new(Joining {
                left: functions.len(),
                results: vec![Value::Nil; functions.len()],
                error: None,
            }));
        }
        Ok(())
    }

    fn take(&mut self, cx: &mut Cx<'_>, place: usize, pool: &Value, time: &Value) -> Result<()> {
        let pool: Box<str> = text(pool)?.into();
        let token = self.next_token();
        let until = after(cx, time);
        let waiter = Waiter {
            address: cx.address(),
            token,
            phase: self.behaviour.phase,
        };
        match self.behaviour.run.shared.take_or_wait(&pool, waiter) {
            Some(item) => self.hand_over(place, &item),
            None => {
                if let Some(Some(flow)) = self.flows.get_mut(place) {
                    flow.wait = Wait::Take { pool, until, token };
                }
                Ok(())
            }
        }
    }

    fn hand_over(&mut self, place: usize, item: &super::plain::Plain) -> Result<()> {
        let shard = Rc::clone(&self.shard);
        if let Ok(vm) = &shard.0 {
            let value = item.to_lua(&vm.lua)?;
            self.wake_with(place, value);
        }
        Ok(())
    }

    fn wait_signal(
        &mut self,
        cx: &mut Cx<'_>,
        place: usize,
        name: &Value,
        time: &Value,
    ) -> Result<()> {
        let name: Box<str> = text(name)?.into();
        let token = self.next_token();
        let waiter = Waiter {
            address: cx.address(),
            token,
            phase: self.behaviour.phase,
        };
        if self.behaviour.run.shared.is_raised_or_wait(&name, waiter) {
            self.wake_with(place, Value::Boolean(true));
            return Ok(());
        }
        let until = (!time.is_nil()).then(|| after(cx, time));
        if let Some(Some(flow)) = self.flows.get_mut(place) {
            flow.wait = Wait::Signal { name, until, token };
        }
        Ok(())
    }

    fn next_token(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// A flow has returned or failed.
    fn finish(&mut self, vm: &Vm, cx: &mut Cx<'_>, place: usize, result: Result<Value>) {
        let parent = match self.flows.get_mut(place).and_then(Option::take) {
            Some(flow) => flow.parent,
            None => return,
        };
        if place == 0 {
            self.main_over(vm, cx, result.is_ok());
            return;
        }
        let Some((parent, at)) = parent else {
            return;
        };
        let Some(Some(waiting)) = self.flows.get_mut(parent) else {
            return;
        };
        match &mut waiting.wait {
            Wait::Within { child, .. } if *child == place => match result {
                Ok(value) => self.wake_with(parent, value),
                Err(error) => self.wake_flow(parent, Resume::Raise(error)),
            },
            Wait::Parallel(joining) => {
                joining.left -= 1;
                match result {
                    Ok(value) => joining.results[at] = value,
                    Err(cause) => drop(joining.error.get_or_insert(cause)),
                }
                if joining.left > 0 {
                    return;
                }
                let resume = match joining.error.take() {
                    Some(error) => Resume::Raise(error),
                    None => {
                        let results = std::mem::take(&mut joining.results);
                        Resume::With(results.into_iter().collect())
                    }
                };
                self.wake_flow(parent, resume);
            }
            _ => {}
        }
    }

    /// The user's function is over: so is everything it started.
    fn main_over(&mut self, vm: &Vm, cx: &mut Cx<'_>, well: bool) {
        for place in 0..self.flows.len() {
            self.kill(vm, cx, place);
        }
        self.flows.clear();
        self.ready.clear();
        self.user = None;
        self.failures = if well && self.has_waited {
            0
        } else {
            self.failures.saturating_add(1)
        };
        self.main = Main::Over { well };
    }

    /// The phase is over: nothing goes on.
    fn abandon(&mut self, vm: &Vm, cx: &mut Cx<'_>) {
        let failures = self.failures;
        self.main_over(vm, cx, true);
        self.failures = failures;
    }

    /// End a flow and what it waits for.
    fn kill(&mut self, vm: &Vm, cx: &mut Cx<'_>, place: usize) {
        let Some(flow) = self.flows.get_mut(place).and_then(Option::take) else {
            return;
        };
        match flow.wait {
            Wait::Within { child, .. } => self.kill(vm, cx, child),
            Wait::Parallel(_) => {
                for child in 0..self.flows.len() {
                    let is_child = self.flows[child]
                        .as_ref()
                        .is_some_and(|child| child.parent.is_some_and(|(of, _)| of == place));
                    if is_child {
                        self.kill(vm, cx, child);
                    }
                }
            }
            Wait::Take { token, .. } | Wait::Signal { token, .. } => self.forget(cx, token),
            Wait::Turn | Wait::Call | Wait::Pause { .. } => {}
        }
    }

    /// Wait no more, and let those know who come next in line.
    fn forget(&self, cx: &mut Cx<'_>, token: u64) {
        let waiter = Waiter {
            address: cx.address(),
            token,
            phase: self.behaviour.phase,
        };
        for next in self.behaviour.run.shared.forget(waiter) {
            cx.post(next.address, next.token);
        }
    }

    /// A call was answered.
    fn answered(&mut self, vm: &Vm, cx: &mut Cx<'_>, view: &ReplyView<'_>) {
        let Some(at) = self.calls.iter().position(|call| call.tag == view.tag) else {
            return;
        };
        let call = self.calls.swap_remove(at);
        let (place, serial) = (call.flow, call.flow_serial);
        let alive = matches!(self.flows.get(place), Some(Some(flow)) if flow.serial == serial);
        match call.answer(vm, cx, &mut self.own, view) {
            Ok((reply, judging)) if alive => {
                self.wake_flow(place, Resume::Reply(reply, judging));
            }
            Ok((_, mut judging)) => {
                let seen = (judging.status, judging.body_bytes);
                let verdict = judging.verdict();
                cx.judge_later(judging.step, judging.timing, seen, &verdict);
            }
            Err(error) => {
                cx.judge(view, &Ok(()));
                self.count_error(cx, &error, None);
                self.wake_flow(place, Resume::Raise(Flow::counted(message_of(&error))));
            }
        }
    }

    /// A call got no reply; it is counted.
    fn failed(&mut self, vm: &Vm, failed: &Failed<'_>) {
        let Some(at) = self.calls.iter().position(|call| call.tag == failed.tag) else {
            return;
        };
        let call = self.calls.swap_remove(at);
        self.own.last_step = failed.step;
        let detail = format!("{}: {}", call.what(), failed.fault.detail);
        if let Some(trace) = &vm.host.run.trace {
            trace.line(&format!("<- {}: {detail}", failed.fault.kind.label()));
        }
        let is_it = |flow: &FlowState| flow.serial == call.flow_serial;
        if matches!(self.flows.get(call.flow), Some(Some(flow)) if is_it(flow)) {
            self.wake_flow(call.flow, Resume::Raise(Flow::counted(detail)));
        }
    }

    /// Some moment that a flow waits for has come.
    fn time_passed(&mut self, vm: &Vm, cx: &mut Cx<'_>) {
        let now = cx.now();
        for place in 0..self.flows.len() {
            let Some(Some(flow)) = self.flows.get_mut(place) else {
                continue;
            };
            match &flow.wait {
                Wait::Pause { until } if *until <= now => self.wake_with(place, Value::Nil),
                Wait::Take { until, token, .. } if *until <= now => {
                    let token = *token;
                    self.forget(cx, token);
                    self.wake_with(place, Value::Nil);
                }
                Wait::Signal {
                    until: Some(until),
                    token,
                    ..
                } if *until <= now => {
                    let token = *token;
                    self.forget(cx, token);
                    self.wake_with(place, Value::Boolean(false));
                }
                Wait::Within { child, until } if *until <= now => {
                    let child = *child;
                    self.kill(vm, cx, child);
                    let at = self.script_line(vm, place);
                    let error = Flow::failure(format!("{at}not done within its time"));
                    self.wake_flow(place, Resume::Raise(error));
                }
                _ => {}
            }
        }
    }

    /// Something may be in a pool, or a signal was raised.
    fn letter(&mut self, vm: &Vm, cx: &mut Cx<'_>, letter: u64) {
        let waits = |flow: &Option<FlowState>| match flow.as_ref().map(|flow| &flow.wait) {
            Some(Wait::Take { token, .. } | Wait::Signal { token, .. }) => *token == letter,
            _ => false,
        };
        let Some(place) = self.flows.iter().position(waits) else {
            // It waits no more: the next in line is to hear of it.
            self.forget(cx, letter);
            return;
        };
        let Some(Some(flow)) = self.flows.get(place) else {
            return;
        };
        match &flow.wait {
            Wait::Take { pool, token, .. } => {
                let waiter = Waiter {
                    address: cx.address(),
                    token: *token,
                    phase: self.behaviour.phase,
                };
                let item = vm.host.run.shared.take_or_wait(pool, waiter);
                if let Some(item) = item
                    && let Err(error) = self.hand_over(place, &item)
                {
                    self.wake_flow(place, Resume::Raise(error));
                }
            }
            Wait::Signal { name, .. } if vm.host.run.shared.is_raised(name) => {
                self.wake_with(place, Value::Boolean(true));
            }
            _ => {}
        }
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
            Main::Over { .. } if !self.calls.is_empty() => Next::Reply,
            Main::Over { .. } => {
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

/// The moment a number of seconds from now.
fn after(cx: &Cx<'_>, seconds: &Value) -> Nanos {
    let seconds = match seconds {
        Value::Integer(seconds) => *seconds as f64,
        Value::Number(seconds) => *seconds,
        _ => 0.0,
    };
    // The cast saturates, and a year is long enough.
    cx.now().saturating_add((seconds.max(0.0) * 1e9) as Nanos)
}

fn text(value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.to_str()?.to_owned()),
        other => Err(Error::runtime(format!(
            "a name is wanted, not a {}",
            super::plain::type_name(other)
        ))),
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
