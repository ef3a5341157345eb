//! What flows wait for: that it begins, and that it has come.

use std::rc::Rc;

use mlua::{Error, Result, Value};

use super::{FLOWS, FlowState, Joining, Resume, ScriptUser, Wait, too_many_flows};
use crate::engine::{Cx, Failed, Nanos, ReplyView};
use crate::scenario::script::api::full;
use crate::scenario::script::call::{OpenCall, Started};
use crate::scenario::script::flow::Flow;
use crate::scenario::script::plain::{Plain, type_name};
use crate::scenario::script::vm::{Vm, message_of};

/// What a flow may ask for, as the prelude numbers it; 0 is its end.
mod op {
    pub(super) const CALL: i64 = 1;
    pub(super) const PAUSE: i64 = 2;
    pub(super) const PARALLEL: i64 = 3;
    pub(super) const WITHIN: i64 = 4;
    pub(super) const TAKE: i64 = 5;
    pub(super) const WAIT: i64 = 6;
}

impl ScriptUser {
    /// See what a flow waits for, and start it.
    pub(super) fn wait_for(
        &mut self,
        vm: &Vm,
        cx: &mut Cx<'_>,
        place: usize,
        what: i64,
        values: [Value; 5],
    ) -> Result<()> {
        if cx.is_over() {
            self.abandon(cx);
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

    pub(super) fn call(
        &mut self,
        vm: &Vm,
        cx: &mut Cx<'_>,
        place: usize,
        values: &[Value; 5],
    ) -> Result<()> {
        let Some(Some(flow)) = self.flows.get(place) else {
            return Ok(());
        };
        self.serial += 1;
        let tag = self.serial as u32;
        match OpenCall::start(vm, cx, &mut self.own, (place, flow.serial, tag), values)? {
            Started::Sent(call) => {
                self.calls.reserve_exact(1);
                self.calls.push(*call);
                if let Some(Some(flow)) = self.flows.get_mut(place) {
                    flow.wait = Wait::Call;
                }
            }
            Started::Answered(reply) => self.wake_with(place, reply),
        }
        Ok(())
    }

    pub(super) fn parallel(&mut self, vm: &Vm, place: usize, bodies: &Value) -> Result<()> {
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
                    type_name(other)
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

    pub(super) fn take(
        &mut self,
        cx: &mut Cx<'_>,
        place: usize,
        pool: &Value,
        time: &Value,
    ) -> Result<()> {
        let pool: Box<str> = text(pool)?.into();
        let token = self.next_token();
        let until = after(cx, time);
        let waiter = self.waiter(cx, token);
        let taken = self.behaviour.run.shared.take_or_wait(&pool, waiter);
        match taken.map_err(full)? {
            Some(item) => self.hand_over(place, &item),
            None => {
                if let Some(Some(flow)) = self.flows.get_mut(place) {
                    flow.wait = Wait::Take { pool, until, token };
                }
                Ok(())
            }
        }
    }

    pub(super) fn hand_over(&mut self, place: usize, item: &Plain) -> Result<()> {
        let shard = Rc::clone(&self.shard);
        if let Ok(vm) = &shard.0 {
            let value = item.to_lua(&vm.lua)?;
            self.wake_with(place, value);
        }
        Ok(())
    }

    pub(super) fn wait_signal(
        &mut self,
        cx: &mut Cx<'_>,
        place: usize,
        name: &Value,
        time: &Value,
    ) -> Result<()> {
        let name: Box<str> = text(name)?.into();
        let token = self.next_token();
        let waiter = self.waiter(cx, token);
        let raised = self.behaviour.run.shared.is_raised_or_wait(&name, waiter);
        if raised.map_err(full)? {
            self.wake_with(place, Value::Boolean(true));
            return Ok(());
        }
        let until = (!time.is_nil()).then(|| after(cx, time));
        if let Some(Some(flow)) = self.flows.get_mut(place) {
            flow.wait = Wait::Signal { name, until, token };
        }
        Ok(())
    }

    pub(super) fn next_token(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// A call was answered.
    pub(super) fn answered(&mut self, vm: &Vm, cx: &mut Cx<'_>, view: &ReplyView<'_>) {
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
    pub(super) fn failed(&mut self, vm: &Vm, failed: &Failed<'_>) {
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
    pub(super) fn time_passed(&mut self, vm: &Vm, cx: &mut Cx<'_>) {
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
                    self.kill(cx, child);
                    let at = self.script_line(vm, place);
                    let error = Flow::failure(format!("{at}not done within its time"));
                    self.wake_flow(place, Resume::Raise(error));
                }
                _ => {}
            }
        }
    }

    /// Something may be in a pool, or a signal was raised.
    pub(super) fn letter(&mut self, vm: &Vm, cx: &mut Cx<'_>, letter: u64) {
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
                let waiter = self.waiter(cx, *token);
                let item = vm.host.run.shared.take_or_wait(pool, waiter);
                if let Ok(Some(item)) = item
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
            type_name(other)
        ))),
    }
}
