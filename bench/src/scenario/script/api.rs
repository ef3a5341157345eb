//! The host's functions: what a script may call that does not wait.

use std::rc::Rc;

use isukit_proto::nearest;
use mlua::{AnyUserData, Error, Lua, LuaString, Result, Table, Value, Variadic};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::client::{CLIENTS, Client};
use super::flow::Flow;
use super::message::{self, Body};
use super::plain::{Plain, type_name};
use super::reply::Reply;
use super::request::{Payload, duration, form, unknown, whole_number};
use super::shared::{Full, Waiter};
use super::user::{FLOWS, too_many_flows};
use super::view::View;
use super::vm::{Effect, Host};
use crate::engine::{Fault, FaultKind};

/// Globals that scripts do without: they reach out of the sandbox, or would swallow our yields.
pub(super) const REMOVED: &[&str] = &[
    "collectgarbage",
    "coroutine",
    "debug",
    "gcinfo",
    "getfenv",
    "loadstring",
    "newproxy",
    "require",
    "setfenv",
];

/// What may stand unescaped in a part of a URL (RFC 3986, section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Put the functions in place; those that only the prelude calls are returned.
///
/// # Errors
/// When there is no memory.
pub(super) fn install(lua: &Lua, host: &Rc<Host>) -> Result<Table> {
    checks(lua, host)?;
    run(lua, host)?;
    data(lua)?;
    random(lua, host)?;
    let private = lua.create_table()?;
    clients(lua, host, &private)?;
    assets(lua, host, &private)?;
    shared(lua, host, &private)?;
    feeds(lua, host, &private)?;
    Ok(private)
}

/// Sets `$table.$name` to a function that gets the host, the interpreter and its arguments.
macro_rules! function {
    ($lua:ident, $host:ident, $table:expr, $name:literal, |$inner:ident, $of:ident, $args:tt as $kind:ty| $body:expr) => {{
        let host = Rc::clone($host);
        $table.raw_set(
            $name,
            $lua.create_function(move |$inner: &Lua, $args: $kind| {
                let $of: &Host = &host;
                $body
            })?,
        )?;
    }};
}

fn is_true(value: &Value) -> bool {
    !matches!(value, Value::Nil | Value::Boolean(false))
}

/// A value as messages show it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{:?}", text.to_string_lossy()),
        Value::Nil => "nil".to_owned(),
        Value::Table(_) => match Plain::of(value).and_then(|plain| plain.to_json()) {
            Ok(json) => json.to_string(),
            Err(_) => "a table".to_owned(),
        },
        other => match super::request::whole_number(other) {
            Some(number) => number.to_string(),
            None => other
                .to_string()
                .unwrap_or_else(|_| type_name(other).to_owned()),
        },
    }
}

/// Longer names of checks are cut: they are the rows of a table.
const NAME_BYTES: usize = 200;

/// Count a check; its failure's text when it does not hold.
fn count_check(
    host: &Host,
    name: &str,
    holds: bool,
    detail: impl FnOnce() -> String,
) -> Option<String> {
    let mut end = name.len().min(NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let name = &name[..end];
    if holds {
        host.act(Effect::Check(host.name(name), None));
        return None;
    }
    let detail = detail();
    let text = if detail.is_empty() {
        name.to_owned()
    } else {
        format!("{name}: {detail}")
    };
    host.act(Effect::Check(host.name(name), Some(detail.into())));
    host.fault(Fault::new(FaultKind::Check, text.clone()));
    Some(text)
}

fn detail_text(detail: Option<&Value>) -> String {
    match detail {
        None | Some(Value::Nil) => String::new(),
        Some(Value::String(text)) => text.to_string_lossy(),
        Some(other) => shown(other),
    }
}

fn checks(lua: &Lua, host: &Rc<Host>) -> Result<()> {
    let globals = lua.globals();
    function!(lua, host, globals, "check", |_lua, host, (name, holds, detail) as (LuaString, bool, Option<Value>)| {
        let _ = count_check(host, &name.to_str()?, holds, || detail_text(detail.as_ref()));
        Ok(holds)
    });
    function!(lua, host, globals, "must", |_lua, host, (name, holds, detail) as (LuaString, Value, Option<Value>)| {
        let detail = || detail_text(detail.as_ref());
        match count_check(host, &name.to_str()?, is_true(&holds), detail) {
            Some(text) => Err(Flow::counted(text)),
            None => Ok(holds),
        }
    });
    function!(lua, host, globals, "check_equal", |_lua, host, (name, found, wanted) as (LuaString, Value, Value)| {
        let holds = found.equals(&wanted)?;
        let detail = || format!("is {}, should be {}", shown(&found), shown(&wanted));
        let _ = count_check(host, &name.to_str()?, holds, detail);
        Ok(holds)
    });
    function!(lua, host, globals, "score", |_lua, host, (tag, times) as (LuaString, Option<Value>)| {
        let tag = tag.to_str()?;
        let tags = &host.run.tags;
        let Some(at) = tags.iter().position(|known| **known == *tag) else {
            let known: Vec<&str> = tags.iter().map(String::as_str).collect();
            return Err(unknown(&tag, "score tag of scenario.toml", &known));
        };
        let times = match times.as_ref() {
            None | Some(Value::Nil) => Some(1),
            Some(times) => whole_number(times).and_then(|times| u64::try_from(times).ok()),
        };
        let times = times.ok_or_else(|| Error::runtime("a score counts 0 or more times"))?;
        host.act(Effect::Score(at, times));
        Ok(())
    });
    function!(lua, host, globals, "fail", |_lua, host, reason as LuaString| {
        let reason = reason.to_str()?.to_owned();
        host.act(Effect::Critical(reason.clone()));
        Err::<(), _>(Error::external(Flow::Critical(reason)))
    });
    Ok(())
}

fn run(lua: &Lua, host: &Rc<Host>) -> Result<()> {
    let globals = lua.globals();
    function!(lua, host, globals, "running", |_lua, host, () as ()| Ok(host.running.get()));
    function!(lua, host, globals, "now", |_lua, host, () as ()| Ok(host.now.get() as f64 / 1e9));
    function!(lua, host, globals, "clock", |_lua, host, () as ()| Ok(host.unix_us.get() as f64 / 1e6));
    function!(lua, host, globals, "signal", |_lua, host, name as LuaString| {
        let name = name.to_str()?;
        if let Some(at) = host.run.signals.iter().position(|known| **known == *name) {
            host.act(Effect::Raise(at));
        }
        for waiter in host.run.shared.raise(&name, host.phase.get()).map_err(full)? {
            host.act(Effect::Wake(waiter));
        }
        Ok(())
    });
    function!(lua, host, globals, "signalled", |_lua, host, name as LuaString| {
        Ok(host.run.shared.is_raised(&name.to_str()?))
    });
    function!(lua, host, globals, "once", |_lua, host, id as Value| {
        let id = match &id {
            Value::String(id) => id.to_str()?.to_owned(),
            other => shown(other),
        };
        host.run.shared.first_time(&id).map_err(full)
    });
    function!(lua, host, globals, "spawn", |_lua, host, (what, users) as (Value, Option<usize>)| {
        match &what {
            Value::Function(body) => {
                host.spawned.set(host.spawned.get() + 1);
                if host.spawned.get() > FLOWS {
                    return Err(too_many_flows());
                }
                host.act(Effect::Spawn(body.clone()));
                Ok(())
            }
            Value::String(kind) => {
                let kind = kind.to_str()?;
                let empty = Vec::new();
                let kinds = host.run.phases.get(host.phase.get()).unwrap_or(&empty);
                let Some(at) = kinds.iter().position(|(known, _)| **known == *kind) else {
                    let known: Vec<&str> = kinds.iter().map(|(known, _)| known.as_str()).collect();
                    return Err(unknown(&kind, "kind of users of this phase", &known));
                };
                if !kinds[at].1 {
                    return Err(Error::runtime(format!(
                        "scenario.toml says how many users there are of `{}`; spawn() is for kinds \
                         with `on_score` or `on_error`",
                        &*kind
                    )));
                }
                host.act(Effect::Launch(at, users.unwrap_or(1)));
                Ok(())
            }
            other => Err(Error::runtime(format!(
                "spawn() wants a function or a kind of users, not a {}",
                type_name(other)
            ))),
        }
    });
    function!(lua, host, globals, "log", |_lua, host, values as Variadic<Value>| {
        if let Some(trace) = &host.run.trace {
            let words: Vec<String> = values
                .iter()
                .map(|value| detail_text(Some(value)))
                .collect();
            trace.line(&format!("log ({}): {}", host.who.borrow(), words.join(" ")));
        }
        Ok(())
    });
    // The name that everybody tries first.
    globals.raw_set("print", globals.get::<Value>("log")?)?;
    Ok(())
}

fn view_of(value: &AnyUserData) -> Result<mlua::UserDataRef<View>> {
    value
        .borrow::<View>()
        .map_err(|_| Error::runtime("this is no message of a reply"))
}

fn data(lua: &Lua) -> Result<()> {
    let globals = lua.globals();
    let set = |name: &str, function| globals.raw_set(name, function);
    set(
        "json",
        lua.create_function(|_, value: Value| match Payload::json(&value)? {
            Payload::Bytes(bytes, Some(media_type)) => Ok(Body::Bytes(bytes, media_type)),
            _ => Err(Error::runtime("this has no JSON form")),
        })?,
    )?;
    set(
        "form",
        lua.create_function(|_, value: Value| {
            let text = form(&value, "a form")?;
            Ok(Body::Bytes(
                text.into_bytes(),
                "application/x-www-form-urlencoded",
            ))
        })?,
    )?;
    set(
        "encode",
        lua.create_function(|lua, text: LuaString| {
            if text.as_bytes().len() > 1 << 20 {
                return Err(Error::runtime("encode() takes at most 1048576 bytes"));
            }
            let escaped = utf8_percent_encode(&text.to_str()?, UNRESERVED).to_string();
            lua.create_string(escaped)
        })?,
    )?;
    set(
        "has",
        lua.create_function(|_, (view, field): (AnyUserData, LuaString)| {
            view_of(&view)?.has(&field.as_bytes())
        })?,
    )?;
    set(
        "columns",
        lua.create_function(|lua, (list, paths): (AnyUserData, Variadic<LuaString>)| {
            let columns = super::view::columns(lua, &list, &paths)?;
            Ok(Variadic::from_iter(columns))
        })?,
    )?;
    set(
        "which",
        lua.create_function(|_, (view, oneof): (AnyUserData, LuaString)| {
            view_of(&view)?.which(&oneof.to_str()?)
        })?,
    )?;
    Ok(())
}

fn random(lua: &Lua, host: &Rc<Host>) -> Result<()> {
    // The interpreter's own generator would be another one in each run.
    let math: Table = lua.globals().get("math")?;
    math.raw_set("randomseed", Value::Nil)?;
    function!(lua, host, math, "random", |_lua, host, (first, second) as (Option<Value>, Option<Value>)| {
        let random = &mut host.own.borrow_mut().random;
        let (least, most) = match (&first, &second) {
            (None, _) => return Ok(Value::Number(random.f64())),
            (Some(most), None) => (Some(1), whole_number(most)),
            (Some(least), Some(most)) => (whole_number(least), whole_number(most)),
        };
        match (least, most) {
            (Some(least), Some(most)) if least <= most => {
                Ok(Value::Number(random.i64(least..=most) as f64))
            }
            _ => Err(Error::runtime("math.random() wants whole numbers, the lower one first")),
        }
    });
    Ok(())
}

/// What random texts are made of: they can stand in URLs, file names and identifiers.
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

fn clients(lua: &Lua, host: &Rc<Host>, private: &Table) -> Result<()> {
    function!(lua, host, private, "now", |_lua, host, () as ()| Ok(host.now.get() as f64 / 1e9));
    private.raw_set("must", lua.globals().get::<Value>("must")?)?;
    function!(lua, host, private, "caught", |_lua, host, error as Value| {
        let Value::Error(error) = error else {
            return Ok(false);
        };
        match Flow::of(&error) {
            Some(Flow::Failure(detail)) => {
                host.fault(Fault::new(FaultKind::Check, detail.clone()));
                Ok(true)
            }
            Some(Flow::Counted(_)) => Ok(true),
            _ => Ok(false),
        }
    });
    function!(lua, host, private, "seconds", |_lua, _host, time as Value| {
        Ok(duration(&time, "a time")?.as_secs_f64())
    });
    function!(lua, host, private, "new_client", |_lua, host, options as Option<Table>| {
        let clients = &mut host.own.borrow_mut().clients;
        if clients.len() >= CLIENTS {
            return Err(Error::runtime(format!("a user has at most {CLIENTS} clients")));
        }
        clients.push(Client::new(options.as_ref())?);
        Ok(clients.len() - 1)
    });
    function!(lua, host, private, "cookie", |lua, host, (client, name) as (usize, LuaString)| {
        let own = host.own.borrow();
        let value = own.clients.get(client).and_then(|client| client.jar.get(&name.to_str().ok()?));
        value.map(|value| lua.create_string(value)).transpose()
    });
    function!(lua, host, private, "set_cookie", |_lua, host, (client, name, value) as (usize, String, String)| {
        let is_clean = |text: &str| text.bytes().all(|b| b > b' ' && b < 0x7f && b != b';');
        if !is_clean(&name) || !is_clean(&value) || name.contains('=') {
            return Err(Error::runtime("a cookie has no spaces, semicolons or control characters"));
        }
        if let Some(client) = host.own.borrow_mut().clients.get_mut(client) {
            client.jar.put(&name, &value);
        }
        Ok(())
    });
    function!(lua, host, private, "clear_cookies", |_lua, host, client as usize| {
        if let Some(client) = host.own.borrow_mut().clients.get_mut(client) {
            client.jar.clear();
        }
        Ok(())
    });
    function!(lua, host, private, "unique", |_lua, host, prefix as LuaString| {
        let mut own = host.own.borrow_mut();
        own.named += 1;
        let prefix = prefix.to_str()?;
        let seed = match host.run.seed {
            0 => String::new(),
            seed => format!("-s{seed}"),
        };
        // Users are numbered anew in each phase.
        let phase = host.phase.get();
        Ok(format!("{}-{phase}-{}-{}-{}{seed}", &*prefix, own.kind, own.number, own.named))
    });
    function!(lua, host, private, "random_text", |_lua, host, length as usize| {
        if length > 1 << 20 {
            return Err(Error::runtime("a random text has at most 1048576 letters"));
        }
        let random = &mut host.own.borrow_mut().random;
        let letters = (0..length).map(|_| char::from(LETTERS[random.usize(..LETTERS.len())]));
        Ok(letters.collect::<String>())
    });
    function!(lua, host, private, "message_type", |lua, host, name as LuaString| {
        let Some(schema) = &host.run.schema else {
            return Err(Error::runtime(
                "P has no message types: there is no .proto file in the scenario's folder",
            ));
        };
        message::find(lua, &host.kinds, schema, &name.to_str()?)
    });
    Ok(())
}

fn reply_of(value: &AnyUserData) -> Result<mlua::UserDataRef<Reply>> {
    value
        .borrow::<Reply>()
        .map_err(|_| Error::runtime("this is no reply"))
}

fn assets(lua: &Lua, host: &Rc<Host>, private: &Table) -> Result<()> {
    function!(lua, host, private, "assets_of", |_lua, _host, (reply, page) as (AnyUserData, String)| {
        Ok(super::assets::of_page(reply_of(&reply)?.body(), &page))
    });
    function!(lua, host, private, "verify_asset", |_lua, host, (reply, path) as (AnyUserData, String)| {
        let reply = reply_of(&reply)?;
        let path = path.split('?').next().unwrap_or(&path);
        let wanted = host.run.assets.get(path);
        if reply.status != 200 {
            let fault = reply.fault(host);
            let text = fault.detail.clone();
            host.fault_of(reply.serial, fault);
            host.act(Effect::Check(host.name("asset"), Some(text.clone().into())));
            return Err(Flow::counted(text));
        }
        let holds = wanted.is_none_or(|wanted| {
            ring::digest::digest(&ring::digest::SHA256, reply.body()).as_ref() == wanted
        });
        let detail = || format!("{path} is not the file that the scenario expects ({} bytes)", reply.body().len());
        match count_check(host, "asset", holds, detail) {
            Some(text) => Err(Flow::counted(text)),
            None => Ok(()),
        }
    });
    Ok(())
}

pub(super) fn full(Full: Full) -> Error {
    Error::runtime("pools, shared values and ids together hold more than 256 MiB")
}

fn wake(host: &Host, waiter: Option<Waiter>) {
    if let Some(waiter) = waiter {
        host.act(Effect::Wake(waiter));
    }
}

fn shared(lua: &Lua, host: &Rc<Host>, private: &Table) -> Result<()> {
    function!(lua, host, private, "pool_put", |_lua, host, (pool, value) as (LuaString, Value)| {
        if value.is_nil() {
            return Err(Error::runtime("nil cannot be put into a pool"));
        }
        let waiter = host.run.shared.put(&pool.to_str()?, Plain::of(&value)?, host.phase.get()).map_err(full)?;
        wake(host, waiter);
        Ok(())
    });
    function!(lua, host, private, "pool_take", |lua, host, pool as LuaString| {
        host.run.shared.take(&pool.to_str()?).map_or(Ok(Value::Nil), |item| item.to_lua(lua))
    });
    function!(lua, host, private, "pool_size", |_lua, host, pool as LuaString| {
        Ok(host.run.shared.size(&pool.to_str()?))
    });
    function!(lua, host, private, "pool_pick", |lua, host, pool as LuaString| {
        let pool = pool.to_str()?;
        let size = host.run.shared.size(&pool);
        if size == 0 {
            return Ok(Value::Nil);
        }
        let at = host.own.borrow_mut().random.usize(..size);
        host.run.shared.peek(&pool, at).map_or(Ok(Value::Nil), |item| item.to_lua(lua))
    });
    function!(lua, host, private, "pool_all", |lua, host, pool as LuaString| {
        let items = host.run.shared.all(&pool.to_str()?);
        Plain::Table { list: items, fields: Vec::new() }.to_lua(lua)
    });
    function!(lua, host, private, "counter_add", |_lua, host, (counter, by) as (LuaString, f64)| {
        host.run.shared.add(&counter.to_str()?, by).map_err(full)
    });
    function!(lua, host, private, "value_get", |lua, host, name as LuaString| {
        host.run.shared.get(&name.to_str()?).to_lua(lua)
    });
    function!(lua, host, private, "value_set", |lua, host, (name, value) as (LuaString, Value)| {
        let old = host.run.shared.set(&name.to_str()?, Plain::of(&value)?).map_err(full)?;
        old.to_lua(lua)
    });
    function!(lua, host, private, "value_raise", |_lua, host, (name, least) as (LuaString, f64)| {
        host.run.shared.raise_to(&name.to_str()?, least).map_err(full)
    });
    Ok(())
}

/// The rows of a feed.
fn rows<'h>(host: &'h Host, name: &str) -> Result<&'h [Plain]> {
    host.run.feeds.get(name).map(Vec::as_slice).ok_or_else(|| {
        let known = host.run.feeds.keys().map(String::as_str);
        let hint = match nearest(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "name it under [feeds]".to_owned(),
        };
        Error::runtime(format!("`{name}` is no feed of scenario.toml; {hint}"))
    })
}

fn feeds(lua: &Lua, host: &Rc<Host>, private: &Table) -> Result<()> {
    function!(lua, host, private, "feed_size", |_lua, host, name as LuaString| {
        rows(host, &name.to_str()?).map(<[Plain]>::len)
    });
    function!(lua, host, private, "feed_row", |lua, host, (name, at) as (LuaString, f64)| {
        let rows = rows(host, &name.to_str()?)?;
        // Who asks for more rows than there are begins again at the first.
        let at = at.rem_euclid(rows.len() as f64) as usize;
        rows[at.min(rows.len() - 1)].to_lua(lua)
    });
    Ok(())
}
