//! A reply as scripts see it, and what they find of it.

use std::rc::Rc;

use isukit_proto::{FieldKind, Message};
use mlua::{
    AnyUserData, Error, Lua, MetaMethod, Result, UserData, UserDataFields, UserDataMethods, Value,
};

use super::call::named_type;
use super::flow::Flow;
use super::message::{self, MessageType};
use super::plain::Plain;
use super::request::whole_number;
use super::vm::{Host, Unlimited, host};
use crate::engine::{Fault, FaultKind, StepId, Timing};
use isukit_analyze::http1::header_values;

/// The reply that a flow has just got and has not yet been counted with what it found.
#[derive(Debug)]
pub(super) struct Judging {
    /// Tells it from the flow's earlier replies.
    pub(super) serial: u64,
    pub(super) step: StepId,
    pub(super) timing: Timing,
    pub(super) status: u16,
    pub(super) body_bytes: u64,
    /// The first thing that is wrong with it.
    pub(super) fault: Option<Fault>,
    /// The script has looked at whether it succeeded.
    pub(super) is_seen: bool,
    /// What it is counted as when the script never looks.
    pub(super) unless_seen: Option<Fault>,
}

impl Judging {
    /// How it ends.
    pub(super) fn verdict(&mut self) -> std::result::Result<(), Fault> {
        match self.fault.take() {
            Some(fault) => Err(fault),
            None if self.is_seen => Ok(()),
            None => self.unless_seen.take().map_or(Ok(()), Err),
        }
    }
}

/// A reply.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) serial: u64,
    /// Method and path, for messages.
    pub(super) what: Rc<str>,
    pub(super) status: u16,
    /// Head and body.
    pub(super) bytes: Rc<[u8]>,
    pub(super) head_len: usize,
    /// The type of the body, as far as it is known.
    pub(super) message: Option<Message>,
    /// It is an error: by its status, or by the type of its body.
    pub(super) is_error: bool,
    pub(super) statuses: Vec<u16>,
    pub(super) from_cache: bool,
    pub(super) latency_s: f64,
}

/// A larger body is not made into tables: they take many times its size, in bytes.
const JSON_BYTES: usize = 4 * 1024 * 1024;

/// How much of a body is shown.
const EXCERPT_BYTES: usize = 200;

impl Reply {
    pub(super) fn head(&self) -> &[u8] {
        &self.bytes[..self.head_len]
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.bytes[self.head_len..]
    }

    /// Whether it is what a flow hopes for.
    fn succeeded(&self) -> bool {
        if self.statuses.contains(&self.status) {
            return true;
        }
        !self.is_error && self.statuses.is_empty()
    }

    /// What is wrong with a reply that did not succeed.
    pub(super) fn fault(&self, host: &Host) -> Fault {
        let is_error = match (self.status < 400, &host.run.error) {
            (true, Some(error)) => format!(" is a {}", error.full_name()),
            _ => String::new(),
        };
        let shown = self.shown(host);
        let detail = format!("{}: status {}{is_error}{shown}", self.what, self.status);
        let kind = if self.status < 400 && self.is_error {
            FaultKind::Check
        } else {
            FaultKind::Status(self.status)
        };
        Fault::new(kind, detail)
    }

    /// The body, for messages.
    fn shown(&self, host: &Host) -> String {
        let body = self.body();
        if body.is_empty() {
            return String::new();
        }
        if let Some(message) = &self.message {
            let view = message::view(&host.kinds, message, &self.bytes, self.head_len);
            return format!("; {}", view.json());
        }
        let cut = &body[..body.len().min(EXCERPT_BYTES)];
        let dots = if cut.len() < body.len() { "..." } else { "" };
        format!("; body: \"{}\"{dots}", cut.escape_ascii())
    }

    /// Count a fault of this reply and end the flow with it.
    fn fail(&self, host: &Host, fault: Fault) -> Error {
        let detail = fault.detail.clone();
        host.fault_of(self.serial, fault);
        Flow::counted(detail)
    }

    /// The flow looked at whether it succeeded.
    fn seen(&self, host: &Host) {
        if let Some(judging) = &mut *host.judging.borrow_mut()
            && judging.serial == self.serial
        {
            judging.is_seen = true;
        }
    }

    /// The body as what it is: a message, JSON, or text.
    fn content(&self, lua: &Lua, host: &Host, kind: Option<&Message>) -> Result<Value> {
        if let (Some(wanted), Some(said)) = (kind, &self.message)
            && wanted.full_name() != said.full_name()
        {
            let (wanted, said) = (wanted.full_name(), said.full_name());
            let detail = format!("{}: is a {said}, not a {wanted}", self.what);
            return Err(self.fail(host, Fault::new(FaultKind::BadMessage, detail)));
        }
        if let Some(message) = kind.or(self.message.as_ref()) {
            if let Err(error) = message.validate(self.body()) {
                let name = message.full_name();
                let detail = format!("{}: not a {name}: {error}", self.what);
                return Err(self.fail(host, Fault::new(FaultKind::BadMessage, detail)));
            }
            let view = message::view(&host.kinds, message, &self.bytes, self.head_len);
            let _unlimited = Unlimited::new(lua);
            return Ok(Value::UserData(lua.create_userdata(view)?));
        }
        let media_type = header_values(self.head(), "content-type").next();
        let media_type = media_type.unwrap_or_default();
        if memchr::memmem::find(media_type, b"json").is_some() {
            return self.json(lua, host);
        }
        let protobuf = host.run.content_type.as_ref();
        if let (Some(_), Some(name)) = (&host.run.schema, named_type(media_type)) {
            let detail = format!(
                "{}: is a {name}, which the scenario's protos lack",
                self.what
            );
            return Err(self.fail(host, Fault::new(FaultKind::BadMessage, detail)));
        }
        if protobuf.is_some_and(|protobuf| media_type.starts_with(protobuf.as_bytes())) {
            return Ok(Value::UserData(lua.create_userdata(Untyped)?));
        }
        Ok(Value::String(lua.create_string(self.body())?))
    }

    fn json(&self, lua: &Lua, host: &Host) -> Result<Value> {
        if self.body().len() > JSON_BYTES {
            let size = self.body().len();
            let detail = format!(
                "{}: JSON of {size} bytes, more than {JSON_BYTES}",
                self.what
            );
            return Err(self.fail(host, Fault::new(FaultKind::BadMessage, detail)));
        }
        match serde_json::from_slice(self.body()) {
            Ok(json) => Plain::from_json(&json).to_lua(lua),
            Err(error) => {
                let detail = format!("{}: no JSON: {error}{}", self.what, self.shown(host));
                Err(self.fail(host, Fault::new(FaultKind::BadMessage, detail)))
            }
        }
    }

    fn ok(&self, lua: &Lua, kind: Option<AnyUserData>) -> Result<Value> {
        let host = host(lua)?;
        self.seen(&host);
        if !self.succeeded() {
            return Err(self.fail(&host, self.fault(&host)));
        }
        let kind = kind.map(message_type).transpose()?;
        self.content(lua, &host, kind.as_ref())
    }

    /// See that it is the failure that is wanted.
    fn fails(&self, lua: &Lua, status: u16, text: Option<mlua::LuaString>) -> Result<Value> {
        let host = host(lua)?;
        self.seen(&host);
        let error = self.error_view(&host);
        let code = error.as_ref().and_then(view_code);
        let failed = self.is_error || self.status >= 400;
        let text = text.map(|text| text.to_string_lossy());
        let says = |text: &str| match &error {
            Some(view) => view_says(view, text),
            None => memchr::memmem::find(self.body(), text.as_bytes()).is_some(),
        };
        let matches = failed && (self.status == status || code == Some(i64::from(status)));
        if !matches || !text.as_deref().is_none_or(says) {
            let wanted = match &text {
                Some(text) => format!("{status} `{text}`"),
                None => status.to_string(),
            };
            let shown = self.shown(&host);
            let detail = format!(
                "{}: should fail with {wanted}, but has status {}{shown}",
                self.what, self.status
            );
            return Err(self.fail(&host, Fault::new(FaultKind::Check, detail)));
        }
        match error {
            Some(view) => Ok(Value::UserData(lua.create_userdata(view)?)),
            None => Ok(Value::Nil),
        }
    }

    /// The body as the scenario's error message.
    fn error_view(&self, host: &Host) -> Option<super::view::View> {
        let error = host.run.error.as_ref()?;
        let is_it = match &self.message {
            Some(message) => message.full_name() == error.full_name(),
            // Its type is not said: an error of this kind if it reads as one.
            None => self.is_error && error.validate(self.body()).is_ok(),
        };
        is_it.then(|| message::view(&host.kinds, error, &self.bytes, self.head_len))
    }
}

/// The `code` of an error message, if it has one.
fn view_code(view: &super::view::View) -> Option<i64> {
    let message = &view.kind().message;
    let field = message.field("code").ok()?;
    message.get(field, view.wire()).ok()?.as_i64()
}

/// Whether one of the texts of an error message is this.
fn view_says(view: &super::view::View, text: &str) -> bool {
    let message = &view.kind().message;
    message.fields().any(|field| {
        matches!(message.info(field).kind, FieldKind::String)
            && message
                .get(field, view.wire())
                .is_ok_and(|value| value == text)
    })
}

/// The message type that a script gave.
///
/// # Errors
/// When it gave something else.
pub(super) fn message_type(data: AnyUserData) -> Result<Message> {
    let kind = data
        .borrow::<MessageType>()
        .map_err(|_| Error::runtime("this is no message type; give one such as P.LoginResponse"))?;
    Ok(kind.message().clone())
}

/// A protobuf body of which nothing says what message it is.
struct Untyped;

impl UserData for Untyped {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |_, _, name: String| -> Result<Value> {
            Err(Error::runtime(format!(
                "`{name}` cannot be read: the reply's Content-Type names no message type; \
                 write reply:ok(P.TYPE), or {{ reply = P.TYPE }} in the call's options"
            )))
        });
    }
}

impl UserData for Reply {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("status", |lua, this| {
            this.seen(&*host(lua)?);
            Ok(this.status)
        });
        fields.add_field_method_get("body", |lua, this| lua.create_string(this.body()));
        fields.add_field_method_get("size", |_, this| Ok(this.body().len()));
        fields.add_field_method_get("sha256", |_, this| {
            let digest = ring::digest::digest(&ring::digest::SHA256, this.body());
            let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
            Ok(hex.collect::<String>())
        });
        fields.add_field_method_get("from_cache", |_, this| Ok(this.from_cache));
        fields.add_field_method_get("latency", |_, this| Ok(this.latency_s));
        fields.add_field_method_get("error", |lua, this| {
            let host = host(lua)?;
            this.seen(&host);
            let view = this.error_view(&host);
            view.map(|view| lua.create_userdata(view)).transpose()
        });
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("ok", |lua, this, kind: Option<AnyUserData>| {
            this.ok(lua, kind)
        });
        methods.add_method(
            "fails",
            |lua, this, (status, text): (Value, Option<mlua::LuaString>)| {
                let status = whole_number(&status).and_then(|status| u16::try_from(status).ok());
                let status = status.ok_or_else(|| {
                    Error::runtime("fails() wants a status, such as reply:fails(403, \"full\")")
                })?;
                this.fails(lua, status, text)
            },
        );
        methods.add_method("as", |lua, this, kind: AnyUserData| {
            this.content(lua, &*host(lua)?, Some(&message_type(kind)?))
        });
        methods.add_method("json", |lua, this, ()| this.json(lua, &*host(lua)?));
        methods.add_method("header", |lua, this, name: String| {
            let value = header_values(this.head(), &name).next();
            value.map(|value| lua.create_string(value)).transpose()
        });
        methods.add_meta_method(MetaMethod::ToString, |lua, this, ()| {
            let shown = this.shown(&*host(lua)?);
            Ok(format!("{}: status {}{shown}", this.what, this.status))
        });
    }
}
