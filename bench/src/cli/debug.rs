//! `isukit run --debug`: one request and its reply, for people to look at.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use isukit_analyze::report::printable;
use isukit_analyze::units::format_ns;
use isukit_proto::{JsonOptions, Message};

use super::run::Prepared;
use super::signals::stop_on_signals;
use super::{DONE, FAILED, print};
use crate::engine::{
    self, Behaviour, Call, Cx, Fault, Load, Local, Next, Phase, Population, StepId, StopSwitch,
    User, Wake,
};
use crate::http1::request::SlotValues;
use crate::single::Single;
use isukit_analyze::http1::Want;

/// A header with one of these in its name holds a secret.
const SECRET_NAMES: [&str; 6] = ["auth", "cookie", "token", "secret", "password", "key"];

/// Bytes of a body without a type that are shown.
const BODY_BYTES: usize = 4096;

/// What came back.
struct Seen {
    head: Vec<u8>,
    body: Vec<u8>,
    body_bytes: u64,
    took_ns: u64,
    fault: Option<Fault>,
}

struct OneShot {
    single: Single,
    seen: Mutex<Option<Seen>>,
    stop: Arc<StopSwitch>,
}

struct OneShotBehaviour(Arc<OneShot>);

struct OneShotUser(Arc<OneShot>);

impl Behaviour for OneShotBehaviour {
    fn user(&self, _: &mut Local) -> Box<dyn User> {
        Box::new(OneShotUser(Arc::clone(&self.0)))
    }
}

impl User for OneShotUser {
    fn resume(&mut self, cx: &mut Cx<'_>, wake: Wake<'_>) -> Next {
        let shot = &*self.0;
        match wake {
            Wake::Start { due_at, .. } => {
                let want = Want {
                    body: true,
                    ..Want::default()
                };
                let call = Call {
                    step: StepId(0),
                    due_at,
                    want,
                    ..Call::default()
                };
                cx.send(&shot.single.request, 0, call);
                return Next::Reply;
            }
            Wake::Reply(reply) => {
                let judgement = shot.single.expect.judge(&reply);
                cx.judge(&reply, &judgement);
                let seen = Seen {
                    head: reply.head.to_vec(),
                    body: reply.body.to_vec(),
                    body_bytes: reply.body_bytes,
                    took_ns: reply.timing.done_at - reply.timing.sent_at,
                    fault: judgement.err(),
                };
                *shot.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
            }
            Wake::Failed(_) | Wake::Timer | Wake::Letter(_) => {}
        }
        shot.stop.press();
        Next::Done
    }
}

/// Send the one request and print both sides.
pub(super) fn main(prepared: Prepared) -> Result<u8> {
    let Prepared {
        single,
        mut plan,
        request_message,
        ..
    } = prepared;
    let stop = stop_on_signals()?;
    let mut out = Vec::new();
    let mut request = Vec::new();
    let rendered = single
        .request
        .render(&SlotValues::default(), &mut request)?;
    let (head, body) = request.split_at(rendered.head_len);
    show(&mut out, ">", head, body, request_message.as_ref())?;
    print(&std::mem::take(&mut out))?;

    let reply_message = single.expect.message.clone();
    let shot = Arc::new(OneShot {
        single,
        seen: Mutex::new(None),
        stop: Arc::clone(&stop),
    });
    plan.threads = 1;
    let longest = plan.timeouts.connect + plan.timeouts.total + Duration::from_secs(1);
    plan.phases = vec![Phase {
        populations: vec![Population {
            behaviour: Arc::new(OneShotBehaviour(Arc::clone(&shot))),
            load: Load::Closed { users: 1 },
            until: None,
        }],
        ..Phase::new("debug", longest)
    }];
    let outcome = engine::run(&Arc::new(plan), &stop, None, |_, _| {})?;
    let seen = shot
        .seen
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let Some(seen) = seen else {
        for entry in outcome.totals.all.faults.entries() {
            let detail = entry
                .samples
                .first()
                .map_or("", |sample| sample.detail.as_str());
            writeln!(out, "! {}: {}", entry.kind.label(), printable(detail))?;
        }
        print(&out)?;
        return Ok(FAILED);
    };
    writeln!(out)?;
    show(
        &mut out,
        "<",
        &seen.head,
        &seen.body,
        reply_message.as_ref(),
    )?;
    writeln!(
        out,
        "\n{} bytes of body in {}",
        seen.body_bytes,
        format_ns(seen.took_ns as f64)
    )?;
    if let Some(fault) = &seen.fault {
        writeln!(
            out,
            "! {}: {}",
            fault.kind.label(),
            printable(&fault.detail)
        )?;
    }
    print(&out)?;
    Ok(if seen.fault.is_none() { DONE } else { FAILED })
}

/// Print a head line by line, then the body decoded as far as possible.
fn show(
    out: &mut impl Write,
    sign: &str,
    head: &[u8],
    body: &[u8],
    message: Option<&Message>,
) -> Result<()> {
    for line in head.split(|&byte| byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r');
        if !line.is_empty() {
            writeln!(out, "{sign} {}", printable(&masked(line)))?;
        }
    }
    if body.is_empty() {
        return Ok(());
    }
    writeln!(out, "{sign}")?;
    let text = body_text(body, message);
    for line in text.lines() {
        writeln!(out, "{sign} {}", printable(line))?;
    }
    Ok(())
}

/// The line with a secret header's value replaced.
fn masked(line: &str) -> String {
    if let Some((name, _)) = line.split_once(':') {
        let lower = name.to_ascii_lowercase();
        if SECRET_NAMES.iter().any(|part| lower.contains(part)) {
            return format!("{name}: ***");
        }
    }
    line.to_owned()
}

fn body_text(body: &[u8], message: Option<&Message>) -> String {
    let pretty = |json: &[u8]| -> Result<String> {
        let value: serde_json::Value = serde_json::from_slice(json)?;
        serde_json::to_string_pretty(&value).context("cannot print JSON")
    };
    if let Some(message) = message {
        let mut json = Vec::new();
        return match message.to_json(body, &JsonOptions::new(), &mut json) {
            Ok(()) => pretty(&json).unwrap_or_else(|error| error.to_string()),
            Err(error) => {
                let shown = &body[..body.len().min(BODY_BYTES)];
                format!(
                    "not a {}: {error}\n{}",
                    message.full_name(),
                    shown.escape_ascii()
                )
            }
        };
    }
    if let Ok(text) = pretty(body) {
        return text;
    }
    let shown = &body[..body.len().min(BODY_BYTES)];
    match std::str::from_utf8(shown) {
        Ok(text) => text.to_owned(),
        Err(_) => shown.escape_ascii().to_string(),
    }
}
