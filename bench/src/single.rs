//! One request asked again and again: what `isukit run URL` does, as users of the engine.

use std::sync::Arc;

use crate::engine::{Behaviour, Call, Cx, Nanos, Next, StepId, User, Wake};
use crate::expect::Expect;
use crate::http1::Want;
use crate::http1::request::Request;

/// A user whose connection could not be made tries again after this long: 100 ms. Without it a
/// closed model would count a million refused connections a minute and learn nothing.
const RETRY_AFTER: Nanos = 100_000_000;

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
}

impl Behaviour for SingleBehaviour {
    fn user(&self, number: u64) -> Box<dyn User> {
        Box::new(SingleUser {
            single: Arc::clone(&self.0),
            number,
        })
    }
}

impl SingleUser {
    #[inline]
    fn send(&self, cx: &mut Cx<'_>, due_at: Nanos) -> Next {
        let single = &*self.single;
        let want = Want {
            head_request: single.request.is_head(),
            body: single.expect.needs_body(),
        };
        let call = Call {
            step: StepId(0),
            due_at,
            want,
            bytes: &[],
            first_part: 0,
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
            Wake::Start { due_at } => self.send(cx, due_at),
            Wake::Reply(reply) => {
                cx.judge(&reply, &self.single.expect.judge(&reply));
                self.go_on(cx)
            }
            Wake::Failed(kind) if kind.is_connect() && self.single.repeat && cx.running() => {
                Next::Until(cx.now() + RETRY_AFTER)
            }
            Wake::Failed(_) | Wake::Timer => self.go_on(cx),
        }
    }
}
