//! One call of a flow: made into a request, sent, and its reply made into what the script sees.

use std::rc::Rc;
use std::time::Duration;

use isukit_proto::Message;
use mlua::{Error, Result, Value};

use super::cache::Cache;
use super::message::find_message;
use super::reply::{Judging, Reply};
use super::request::{Options, Payload, check_path};
use super::shown::{shown_reply, shown_request};
use super::vm::{Host, Own, Vm};
use crate::engine::{Call, Cx, ReplyView, StepId, Timing, nanos};
use crate::scenario::route::route_of;
use isukit_analyze::http1::{Want, header_values};

/// A call that waits for its reply.
#[derive(Debug)]
pub(super) struct OpenCall {
    pub(super) tag: u32,
    /// The flow that made it, and its serial number.
    pub(super) flow: usize,
    pub(super) flow_serial: u64,
    client: usize,
    /// Method, a space, path and query.
    what: Rc<str>,
    /// Where the path begins in it.
    path_from: usize,
    statuses: Vec<u16>,
    reply: Option<Message>,
    caches: bool,
}

/// What became of a call.
pub(super) enum Started {
    Sent(Box<OpenCall>),
    /// The client's cache had the answer.
    Answered(Value),
}

/// Method and path of a call, taken apart.
struct Asked<'a> {
    method: &'a str,
    path: &'a str,
    /// Without its query.
    route: &'a str,
    options: Options,
}

impl OpenCall {
    /// Send what the flow asked for.
    ///
    /// # Errors
    /// When the script asked for something that is no request.
    pub(super) fn start(
        vm: &Vm,
        cx: &mut Cx<'_>,
        own: &mut Own,
        (flow, flow_serial, tag): (usize, u64, u32),
        [client, method, path, body, options]: &[Value; 5],
    ) -> Result<Started> {
        let options = match options {
            Value::Nil => Options::default(),
            Value::Table(table) => Options::read(table)?,
            other => {
                return Err(Error::runtime(format!(
                    "the options of a call are a {}, but should be a table",
                    super::plain::type_name(other)
                )));
            }
        };
        let (Value::String(method), Value::String(path)) = (method, path) else {
            return Err(Error::runtime(
                "a call wants a path, such as client:get(\"/\")",
            ));
        };
        let (method, path) = (method.as_bytes(), path.as_bytes());
        let method = check_method(&method)?;
        let mut path = std::borrow::Cow::Borrowed(check_path(&path)?);
        if !options.query.is_empty() {
            let joint = if path.contains('?') { '&' } else { '?' };
            path = format!("{path}{joint}{}", options.query).into();
        }
        let asked = Asked {
            method,
            path: &path,
            route: path.split(['?', '#']).next().unwrap_or(&path),
            options,
        };
        let client = match client {
            Value::Integer(id) => *id as usize,
            Value::Number(id) => *id as usize,
            _ => usize::MAX,
        };
        if client >= own.clients.len() {
            return Err(Error::runtime("this client is not one of this user's"));
        }
        let payload = Payload::read(body)?;
        let caches =
            method == "GET" && !asked.options.no_cache && own.clients[client].cache.is_some();
        let now_us = cx.unix_us(cx.now());
        if caches && let Some(reply) = from_cache(vm, own, client, &asked, now_us) {
            return Ok(Started::Answered(Value::UserData(
                vm.lua.create_userdata(reply)?,
            )));
        }
        let what = what(vm, method, asked.path);
        let (step, timeout) = step_of(
            vm,
            cx,
            &asked,
            &what[..method.len() + 1 + asked.route.len()],
        );
        own.last_step = step;
        let mut bytes = vm.request.take();
        bytes.clear();
        write_request(
            &vm.host, own, client, &asked, &payload, caches, now_us, &mut bytes,
        );
        let pool = *own.clients[client]
            .pool
            .get_or_insert_with(|| cx.open_client());
        let timeout = asked.options.timeout.unwrap_or(timeout);
        cx.call(&Call {
            step,
            tag,
            client: pool,
            timeout: Some(nanos(timeout).max(1)),
            due_at: cx.now(),
            want: Want {
                head_request: method == "HEAD",
                body: true,
            },
            bytes: &bytes,
            first_part: bytes.len(),
        });
        if let Some(trace) = &vm.host.run.trace {
            trace.line(&shown_request(&vm.host, &bytes, body));
        }
        vm.request.set(bytes);
        Ok(Started::Sent(Box::new(Self {
            tag,
            flow,
            flow_serial,
            client,
            path_from: method.len() + 1,
            what,
            statuses: asked.options.statuses,
            reply: asked.options.reply,
            caches,
        })))
    }

    /// Method and path, for messages.
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// Make the reply what the script sees.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub(super) fn answer(
        self,
        vm: &Vm,
        cx: &mut Cx<'_>,
        own: &mut Own,
        view: &ReplyView<'_>,
    ) -> Result<(Value, Judging)> {
        let host = &vm.host;
        let now_us = cx.unix_us(cx.now());
        let path = &self.what[self.path_from..];
        let route = path.split('?').next().unwrap_or(path);
        let client = own.clients.get_mut(self.client);
        let mut stored = None;
        if let Some(client) = client {
            for value in header_values(view.head, "set-cookie") {
                let now = now_us / 1_000_000;
                client.jar.set(value, &host.run.host, route, now);
            }
            let cache = client.cache.as_mut().filter(|_| self.caches);
            stored = cache.and_then(|cache| through(vm, cache, path, view, now_us));
        }
        let from_cache = view.status == 304 && stored.is_some();
        let (status, bytes, head_len) =
            stored.unwrap_or_else(|| (view.status, copied(vm, view), view.head.len()));
        let mut reply = Reply {
            serial: u64::from(self.tag),
            what: Rc::clone(&self.what),
            status,
            message: None,
            is_error: false,
            statuses: self.statuses,
            from_cache,
            latency_s: seconds(view.timing),
            bytes,
            head_len,
        };
        type_reply(vm, &mut reply, self.reply);
        let expected = !reply.is_error || reply.statuses.contains(&status);
        let judging = Judging {
            serial: reply.serial,
            step: view.step,
            timing: view.timing,
            status: view.status,
            body_bytes: view.body_bytes,
            fault: None,
            is_seen: false,
            unless_seen: (!expected).then(|| reply.fault(host)),
        };
        if let Some(trace) = &host.run.trace {
            trace.line(&shown_reply(host, &reply));
        }
        let reply = vm.lua.create_userdata(reply)?;
        Ok((Value::UserData(reply), judging))
    }
}

/// Method and path, for messages.
fn what(vm: &Vm, method: &str, path: &str) -> Rc<str> {
    let (route, mut scratch) = vm.route.take();
    scratch.clear();
    scratch.push_str(method);
    scratch.push(' ');
    scratch.push_str(path);
    let what = scratch.as_str().into();
    vm.route.set((route, scratch));
    what
}

/// A reply's status, head with body, and the head's length.
type Taken = (u16, Rc<[u8]>, usize);

/// What a client's cache makes of a reply: the stored one when the target says that it is still good,
/// otherwise the reply itself, stored if it may be.
fn through(
    vm: &Vm,
    cache: &mut Cache,
    path: &str,
    view: &ReplyView<'_>,
    now_us: i64,
) -> Option<Taken> {
    if view.status == 304 {
        let entry = cache.refresh(path, view.head, now_us)?;
        return Some((entry.status, Rc::clone(&entry.bytes), entry.head_len));
    }
    let bytes = copied(vm, view);
    let (whole, head_len) = vm.share(path, Rc::clone(&bytes), view.head.len());
    cache.store(path, view.status, view.head, (&whole, head_len), now_us);
    Some((view.status, bytes, view.head.len()))
}

/// A reply's head and body as the script's own, which the collector is told of.
fn copied(vm: &Vm, view: &ReplyView<'_>) -> Rc<[u8]> {
    vm.owe(view.head.len() + view.body.len());
    match view.whole {
        Some(whole) => whole.into(),
        None => joined(view.head, view.body),
    }
}

fn joined(head: &[u8], body: &[u8]) -> Rc<[u8]> {
    let mut bytes = Vec::with_capacity(head.len() + body.len());
    bytes.extend_from_slice(head);
    bytes.extend_from_slice(body);
    bytes.into()
}

fn seconds(timing: Timing) -> f64 {
    timing.done_at.saturating_sub(timing.due_at) as f64 / 1e9
}

/// What kind of body a reply has: what the call said, or else its Content-Type.
fn type_reply(vm: &Vm, reply: &mut Reply, asked: Option<Message>) {
    let run = &vm.host.run;
    let said = match &run.schema {
        None => None,
        Some(_) => vm.body_type(reply.head()),
    };
    let is_error_type = match (&said, &run.error) {
        (Some(said), Some(error)) => said.full_name() == error.full_name(),
        _ => false,
    };
    reply.is_error = reply.status >= 400 || is_error_type;
    reply.message = match (said, asked) {
        (Some(said), _) if is_error_type => Some(said),
        (_, Some(asked)) if !reply.is_error => Some(asked),
        (Some(said), _) => Some(said),
        (None, _) if reply.is_error && reply.head_len < reply.bytes.len() => run
            .error
            .as_ref()
            .filter(|error| error.validate(reply.body()).is_ok())
            .cloned(),
        _ => None,
    };
}

impl Vm {
    /// The message type that a reply's Content-Type names in its `proto` or `messageType`
    /// parameter, if the scenario knows it.
    fn body_type(&self, head: &[u8]) -> Option<Message> {
        let value = header_values(head, "content-type").next()?;
        let mut last = self.last_type.borrow_mut();
        if let Some((known, message)) = &*last
            && **known == *value
        {
            return message.clone();
        }
        let found = named_type(value).and_then(|name| {
            let schema = self.host.run.schema.as_ref()?;
            find_message(schema, name.trim_start_matches('.')).ok()
        });
        *last = Some((value.into(), found.clone()));
        found
    }
}

/// The value of the parameter that names a message type.
pub(super) fn named_type(content_type: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(content_type).ok()?;
    text.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_it = ["proto", "messagetype"]
            .iter()
            .any(|wanted| name.trim().eq_ignore_ascii_case(wanted));
        is_it.then(|| value.trim().trim_matches('"'))
    })
}

fn check_method(method: &[u8]) -> Result<&str> {
    let is_token = !method.is_empty() && method.iter().all(u8::is_ascii_uppercase);
    match std::str::from_utf8(method) {
        Ok(method) if is_token => Ok(method),
        _ => Err(Error::runtime(format!(
            "`{}` is no method; write it in capitals",
            method.escape_ascii()
        ))),
    }
}

/// Paths whose step is remembered.
const STEPS: usize = 1_000;

/// What the call is counted as, and how long it may take; `what` is its method and route.
fn step_of(vm: &Vm, cx: &mut Cx<'_>, asked: &Asked<'_>, what: &str) -> (StepId, Duration) {
    let named = asked.options.step.as_ref();
    if named.is_none()
        && let Some(known) = vm.steps.borrow().get(what)
    {
        return *known;
    }
    let run = &vm.host.run;
    let timeout = run.timeouts.of(asked.method, asked.route);
    if let Some(step) = named {
        return (cx.step(step), timeout);
    }
    let mut routes = run.routes.iter();
    let step = match routes.find(|(pattern, _)| pattern.matches(asked.method, asked.route)) {
        Some((_, name)) => cx.step(name),
        None => {
            let (mut route, mut name) = vm.route.take();
            route_of(asked.route, &mut route);
            name.clear();
            name.push_str(asked.method);
            name.push(' ');
            name.push_str(&route);
            let step = cx.step(&name);
            // A path with an id in it may never come again.
            let has_id = route != asked.route;
            vm.route.set((route, name));
            if has_id {
                return (step, timeout);
            }
            step
        }
    };
    let mut steps = vm.steps.borrow_mut();
    if steps.len() < STEPS {
        steps.insert(what.into(), (step, timeout));
    }
    (step, timeout)
}

/// The answer of a client's cache, when it may be used without asking.
fn from_cache(vm: &Vm, own: &Own, client: usize, asked: &Asked<'_>, now_us: i64) -> Option<Reply> {
    let cache = own.clients[client].cache.as_ref()?;
    let (entry, true) = cache.find(asked.path, now_us)? else {
        return None;
    };
    let mut reply = Reply {
        serial: u64::MAX,
        what: what(vm, asked.method, asked.path),
        status: entry.status,
        bytes: Rc::clone(&entry.bytes),
        head_len: entry.head_len,
        message: None,
        is_error: false,
        statuses: asked.options.statuses.clone(),
        from_cache: true,
        latency_s: 0.0,
    };
    type_reply(vm, &mut reply, asked.options.reply.clone());
    Some(reply)
}

#[allow(clippy::too_many_arguments)]
fn write_request(
    host: &Host,
    own: &Own,
    client: usize,
    asked: &Asked<'_>,
    payload: &Payload,
    caches: bool,
    now_us: i64,
    out: &mut Vec<u8>,
) {
    let run = &host.run;
    let client = &own.clients[client];
    let given = |name: &str| {
        let mut headers = asked.options.headers.iter();
        headers.any(|(given, _)| given.eq_ignore_ascii_case(name))
    };
    let fixed = |name: &str| {
        let mut headers = run.fixed_headers.iter();
        headers.any(|(given, _)| given.eq_ignore_ascii_case(name))
    };
    out.extend_from_slice(asked.method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(asked.path.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, line) in &run.fixed_headers {
        if asked.options.headers.is_empty() || !given(name) {
            out.extend_from_slice(line);
        }
    }
    if !given("user-agent") && !fixed("user-agent") {
        let agent = client.user_agent.as_deref().unwrap_or(&run.user_agent);
        header(out, "User-Agent", agent.as_bytes());
    }
    let (body, media_type): (&[u8], Option<&str>) = match payload {
        Payload::None => (&[], run.content_type.as_deref()),
        Payload::Message(bytes) => (bytes, run.content_type.as_deref()),
        Payload::Bytes(bytes, media_type) => (bytes, media_type.or(run.content_type.as_deref())),
    };
    if let Some(media_type) =
        media_type.filter(|_| !given("content-type") && !fixed("content-type"))
    {
        header(out, "Content-Type", media_type.as_bytes());
    }
    client
        .jar
        .write(asked.route, run.is_tls, now_us / 1_000_000, out);
    if caches && let Some(cache) = &client.cache {
        cache.write_validators(asked.path, out);
    }
    for (name, value) in &asked.options.headers {
        header(out, name, value);
    }
    let has_body = !matches!(payload, Payload::None);
    if has_body || matches!(asked.method, "POST" | "PUT" | "PATCH") {
        let mut digits = itoa::Buffer::new();
        header(out, "Content-Length", digits.format(body.len()).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
}

fn header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_name_their_message() {
        let check = |value: &str, expected: Option<&str>| {
            assert_eq!(named_type(value.as_bytes()), expected, "{value}");
        };
        check("application/vnd.google.protobuf; proto=a.B", Some("a.B"));
        check("application/x-protobuf;messageType=\"a.B\"", Some("a.B"));
        check("application/protobuf; charset=x ; PROTO = a.B", Some("a.B"));
        check("application/protobuf", None);
        check("text/html; charset=utf-8", None);
    }
}
