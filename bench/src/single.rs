//! One request asked again and again: what `isukit run URL` does, as users of the engine.

use std::sync::Arc;

use crate::engine::{Behaviour, Call, Cx, Local, Nanos, Next, StepId, User, Wake};
use crate::expect::Expect;
use crate::http1::request::Request;
use isukit_analyze::http1::Want;

/// The longest pause of a user whose calls fail one after the other: 100 ms.
///
/// Without pauses a closed model would count a million refused connections a minute and learn
/// nothing from them. They begin at 1 ms and double, so that a single failure costs little.
const LONGEST_PAUSE: Nanos = 100_000_000;

/// How long to wait after so many failures in a row.
fn pause_after(failures: u32) -> Nanos {
    (1_000_000 << failures.saturating_sub(1).min(10)).min(LONGEST_PAUSE)
}

/// What all users of the run share.
#[derive(Debug)]
pub struct Single {
    /// The request.
    pub request: Request,
    /// What the reply must be.
    pub expect: Expect,
    /// Whether a user goes on after a reply (closed model) or has finished (open model).
    pub repeat: bool,
}

/// Makes users that send the one request.
#[derive(Debug, Clone)]
pub struct SingleBehaviour(pub Arc<Single>);

#[derive(Debug)]
struct SingleUser {
    single: Arc<Single>,
    number: u64,
    /// Calls in a row that got no reply.
    failures: u32,
}

impl Behaviour for SingleBehaviour {
    fn user(&self, _: &mut Local) -> Box<dyn User> {
        Box::new(SingleUser {
            single: Arc::clone(&self.0),
            number: 0,
            failures: 0,
        })
    }
}

impl SingleUser {
    #[inline]
    fn send(&self, cx: &mut Cx<'_>, due_at: Nanos) -> Next {
        let single = &*self.single;
        let want = Want {
            body: single.expect.needs_body(),
            ..Want::default()
        };
        let call = Call {
            step: StepId(0),
            due_at,
            want,
            ..Call::default()
        };
        cx.send(&single.request, self.number, call);
        Next::Reply
    }

    fn go_on(&self, cx: &mut Cx<'_>) -> Next {
        if self.single.repeat && cx.running() {
            let now = cx.now();
            return self.send(cx, now);
        }
        Next::Done
    }
}

impl User for SingleUser {
    #[inline]
    fn resume(&mut self, cx: &mut Cx<'_>, wake: Wake<'_>) -> Next {
        match wake {
            Wake::Start { due_at, number } => {
                self.number = number;
                self.send(cx, due_at)
            }
            Wake::Reply(reply) => {
                self.failures = 0;
                cx.judge(&reply, &self.single.expect.judge(&reply));
                self.go_on(cx)
            }
            // A timeout was pause enough.
            Wake::Failed(failed) if failed.fault.kind.is_timeout() => self.go_on(cx),
            Wake::Failed(_) if self.single.repeat && cx.running() => {
                self.failures = self.failures.saturating_add(1);
                Next::Until(cx.now() + pause_after(self.failures))
            }
            Wake::Failed(_) => Next::Done,
            Wake::Timer | Wake::Letter(_) => self.go_on(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let check = |failures, ms: u64| assert_eq!(pause_after(failures), ms * 1_000_000);
        check(1, 1);
        check(2, 2);
        check(7, 64);
        check(8, 100);
        check(u32::MAX, 100);
    }
}
