//! What a reply must be: its status, its type and its conditions.

use std::ops::RangeInclusive;

use isukit_proto::Message;

use crate::check::{Check, Subject};
use crate::engine::{Fault, FaultKind, Judgement, ReplyView};

/// Expectations on the replies of a step.
#[derive(Debug)]
pub struct Expect {
    /// Statuses that are no error.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// The type of the body: it is walked from end to end.
    pub message: Option<Message>,
    /// Conditions.
    pub checks: Vec<Check>,
    /// Decompress every body, though nothing else looks at it.
    pub decompress: bool,
}

impl Default for Expect {
    fn default() -> Self {
        Self {
            statuses: vec![200..=399],
            message: None,
            checks: Vec::new(),
            decompress: false,
        }
    }
}

/// How much of an unexpected body is shown.
const EXCERPT_BYTES: usize = 120;

impl Expect {
    /// Whether bodies have to be kept for it.
    pub fn needs_body(&self) -> bool {
        self.message.is_some() || !self.checks.is_empty() || self.decompress
    }

    /// Hold a reply against the expectations.
    ///
    /// # Errors
    /// The first fault found, as data.
    #[inline]
    pub fn judge(&self, reply: &ReplyView<'_>) -> Judgement {
        if !self
            .statuses
            .iter()
            .any(|range| range.contains(&reply.status))
        {
            return Err(unexpected_status(reply));
        }
        // A 304 or 204 has no body to look at.
        let bodyless = matches!(reply.status, 204 | 304);
        if let Some(message) = &self.message
            && !bodyless
        {
            message.validate(reply.body).map_err(|error| {
                let name = message.full_name();
                let detail = format!("not a {name}: {error}; body: {}", excerpt(reply.body));
                Fault::new(FaultKind::BadMessage, detail)
            })?;
        }
        if self.checks.is_empty() {
            return Ok(());
        }
        let subject = Subject {
            status: reply.status,
            body_bytes: reply.body_bytes,
            body: reply.body,
        };
        for check in &self.checks {
            let detail = match check.holds(&subject) {
                Ok(true) => continue,
                Ok(false) => {
                    let seen = check.explain(&subject);
                    if seen.is_empty() {
                        let body = excerpt(reply.body);
                        format!("`{}` does not hold; body: {body}", check.expression())
                    } else {
                        format!("`{}` does not hold: {seen}", check.expression())
                    }
                }
                Err(cause) => format!("`{}` cannot be evaluated: {cause}", check.expression()),
            };
            return Err(Fault::new(FaultKind::Check, detail));
        }
        Ok(())
    }
}

fn unexpected_status(reply: &ReplyView<'_>) -> Fault {
    let mut detail = format!("status {}", reply.status);
    if !reply.body.is_empty() {
        detail.push_str(&format!("; body: {}", excerpt(reply.body)));
    }
    Fault::new(FaultKind::Status(reply.status), detail)
}

/// The begin of a body, safe to print.
fn excerpt(body: &[u8]) -> String {
    if body.is_empty() {
        return "empty".to_owned();
    }
    let shown = &body[..body.len().min(EXCERPT_BYTES)];
    let dots = if body.len() > shown.len() { "..." } else { "" };
    format!("\"{}\"{dots}", shown.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{StepId, Timing};

    fn reply(status: u16, body: &[u8]) -> ReplyView<'_> {
        ReplyView {
            step: StepId(0),
            tag: 0,
            status,
            head: b"",
            whole: None,
            body,
            body_bytes: body.len() as u64,
            timing: Timing {
                due_at: 0,
                sent_at: 0,
                done_at: 0,
            },
        }
    }

    #[test]
    fn statuses_are_expected_by_range() {
        let check = |status, expected: Option<FaultKind>| {
            let fault = Expect::default().judge(&reply(status, b"why")).err();
            assert_eq!(fault.as_ref().map(|fault| fault.kind), expected);
            assert!(fault.is_none_or(|fault| fault.detail.contains("body: \"why\"")));
        };
        check(200, None);
        check(304, None);
        check(399, None);
        check(400, Some(FaultKind::Status(400)));
        check(503, Some(FaultKind::Status(503)));
    }

    #[test]
    fn a_condition_that_does_not_hold_says_what_it_saw() {
        let expect = Expect {
            checks: vec![Check::new("http.status == 201", None).unwrap()],
            ..Expect::default()
        };
        let fault = expect.judge(&reply(200, b"")).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Check);
        assert_eq!(
            fault.detail,
            "`http.status == 201` does not hold: http.status is 200"
        );
        assert!(expect.judge(&reply(201, b"")).is_ok());
    }
}
