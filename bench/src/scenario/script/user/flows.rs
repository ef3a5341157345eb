//! The flows of a user: coroutines that start, run until they wait, and end.

use mlua::{Error, Function, MultiValue, Result, Table, Value};

use super::{FLOWS, FLOWS_AT_A_TIME, FlowState, Resume, ScriptUser, Wait, Yielded, too_many_flows};
use crate::engine::{Cx, Fault, FaultKind};
use crate::scenario::script::flow::Flow;
use crate::scenario::script::request::whole_number;
use crate::scenario::script::shared::Waiter;
use crate::scenario::script::vm::{Vm, message_of};

impl ScriptUser {
    /// Start a coroutine of this user.
    pub(super) fn start_flow(
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
    pub(super) fn wake_flow(&mut self, place: usize, resume: Resume) {
        if let Some(Some(flow)) = self.flows.get_mut(place) {
            flow.wait = Wait::Turn;
            let serial = flow.serial;
            self.ready.push_back((place, serial, resume));
        }
    }

    pub(super) fn wake_with(&mut self, place: usize, value: Value) {
        self.wake_flow(place, Resume::With(MultiValue::from_iter([value])));
    }

    /// Run every flow that may go on until all of them wait, or have had their turn.
    pub(super) fn run(&mut self, vm: &Vm, cx: &mut Cx<'_>) {
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
                self.abandon(cx);
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
    pub(super) fn run_flow(&mut self, vm: &Vm, cx: &mut Cx<'_>, place: usize, resume: Resume) {
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
                let what = whole_number(&what).unwrap_or(-1);
                if what == 0 {
                    self.finish(cx, place, Ok(first));
                    return;
                }
                let values = [first, second, third, fourth, fifth];
                if let Err(error) = self.wait_for(vm, cx, place, what, values) {
                    self.wake_flow(place, Resume::Raise(self.placed(vm, place, error)));
                }
            }
            Err(error) => {
                let error = self.count_error_of(vm, cx, place, error, counted);
                self.finish(cx, place, Err(error));
            }
        }
    }

    /// An error of a call that the script made wrongly, with the place in the script.
    pub(super) fn placed(&self, vm: &Vm, place: usize, error: Error) -> Error {
        if Flow::of(&error).is_some() {
            return error;
        }
        let at = self.script_line(vm, place);
        Error::runtime(format!("{at}{}", message_of(&error)))
    }

    /// Where a flow is in the script, as `scenario.luau:12: `.
    pub(super) fn script_line(&self, vm: &Vm, place: usize) -> String {
        let Some(Some(flow)) = self.flows.get(place) else {
            return String::new();
        };
        let line = vm.locate.call::<Option<String>>(flow.thread.clone());
        line.ok()
            .flatten()
            .map_or_else(String::new, |line| format!("{line}: "))
    }

    /// Count how a flow failed, unless it is counted; what whoever waits for it is told.
    pub(super) fn count_error_of(
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

    /// A flow has returned or failed.
    pub(super) fn finish(&mut self, cx: &mut Cx<'_>, place: usize, result: Result<Value>) {
        let parent = match self.flows.get_mut(place).and_then(Option::take) {
            Some(flow) => flow.parent,
            None => return,
        };
        if place == 0 {
            self.main_over(cx, result.is_ok());
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

    /// End a flow and what it waits for.
    pub(super) fn kill(&mut self, cx: &mut Cx<'_>, place: usize) {
        let Some(flow) = self.flows.get_mut(place).and_then(Option::take) else {
            return;
        };
        match flow.wait {
            Wait::Within { child, .. } => self.kill(cx, child),
            Wait::Parallel(_) => {
                for child in 0..self.flows.len() {
                    let is_child = self.flows[child]
                        .as_ref()
                        .is_some_and(|child| child.parent.is_some_and(|(of, _)| of == place));
                    if is_child {
                        self.kill(cx, child);
                    }
                }
            }
            Wait::Take { token, .. } | Wait::Signal { token, .. } => self.forget(cx, token),
            Wait::Turn | Wait::Call | Wait::Pause { .. } => {}
        }
    }

    /// This user as one who waits in line.
    pub(super) fn waiter(&self, cx: &Cx<'_>, token: u64) -> Waiter {
        Waiter {
            address: cx.address(),
            token,
            phase: self.behaviour.phase,
        }
    }

    /// Wait no more, and let those know who come next in line.
    pub(super) fn forget(&self, cx: &mut Cx<'_>, token: u64) {
        let waiter = self.waiter(cx, token);
        for next in self.behaviour.run.shared.forget(waiter) {
            cx.post(next.address, next.token);
        }
    }
}
