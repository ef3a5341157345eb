//! Flows as Luau.

use std::fmt::Write as _;

use super::Act;
use super::flow::{Browser, Flow, Origin, Step, is_message};
use super::kinds::Kind;
use super::luau::{hop, indented, is_table, key, table, text, value, within_backticks};
use super::model::{Exchange, Payload, Recording};
use super::names::Names;
use super::places::{Hop, Place, is_own_header};

/// A piece of a function.
struct Piece {
    pause_us: i64,
    code: String,
    /// Whether it makes locals, and so cannot stand in a loop.
    has_locals: bool,
}

/// `scenario.luau`.
pub(super) fn script(recording: &Recording, acts: &[Act], others: usize) -> String {
    let mut out = String::from("--!nonstrict\n");
    head(recording, acts, others, &mut out);
    let agent = common_agent(acts);
    let mut returned = Vec::new();
    for act in acts {
        if let Some((name, flow)) = &act.reset {
            function(
                recording,
                name,
                flow,
                &agent,
                "Makes the target begin anew.",
                &mut out,
            );
            returned.push(name);
        }
        for kind in &act.kinds {
            let about = match kind.arrivals.len() {
                1 => "One user did this.".to_owned(),
                count => format!("{count} users did this, or what is much like it."),
            };
            function(recording, &kind.name, &kind.flow, &agent, &about, &mut out);
            returned.push(&kind.name);
        }
    }
    out.push_str("\nreturn {\n");
    for name in returned {
        let _ = writeln!(out, "\t{name} = {name},");
    }
    out.push_str("}\n");
    out
}

/// What was made of what, and what a person should look at.
fn head(recording: &Recording, acts: &[Act], others: usize, out: &mut String) {
    let shown: String = recording
        .name
        .chars()
        .filter(|letter| !letter.is_control())
        .collect();
    let _ = writeln!(
        out,
        "-- Made by `isukit decode --to-scenario` of {shown}: what its clients did, to be edited.\n--\n\
         -- - One function is one kind of user. How many come, and when, is in scenario.toml.\n\
         -- - What a reply gave and a later request had is a local; what had to be unlike all others is made\n\
         --   with `u:unique`. Look whether all of them are meant, and whether one is missing.\n\
         -- - A pause is the time that passed between a reply and the next request; `poll` asks again, as\n\
         --   the capture did, until the reply has what is needed.\n\
         -- - Passwords, tokens and texts are as they were captured: give this folder to nobody who must not\n\
         --   know them.\n\
         -- - Nothing is scored or checked yet but statuses and types: see `check`, `must` and `score`."
    );
    let mut left: Vec<String> = Vec::new();
    for (count, what) in [
        (recording.unanswered, "requests that nobody answered"),
        (
            recording.unusable,
            "exchanges whose bodies are broken, cut or too large",
        ),
        (others as u64, "exchanges with other servers"),
    ] {
        if count > 0 {
            left.push(format!("{count} {what}"));
        }
    }
    for rest in acts.iter().flat_map(|act| &act.rest) {
        let one = if rest.users == 1 { "user" } else { "users" };
        left.push(format!(
            "{} {one} of a rare kind: {}",
            rest.users, rest.routes
        ));
    }
    if !left.is_empty() {
        out.push_str("--\n-- Left out:\n");
        for line in left {
            let _ = writeln!(out, "-- - {line}");
        }
    }
}

/// The User-Agent of most clients, which is said once.
pub(super) fn common_agent(acts: &[Act]) -> String {
    let mut counts: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for kind in acts.iter().flat_map(|act| &act.kinds) {
        for client in &kind.flow.clients {
            *counts.entry(&client.agent).or_default() += kind.arrivals.len();
        }
    }
    let most = counts.into_iter().max_by_key(|&(_, count)| count);
    most.map_or_else(String::new, |(agent, _)| agent.to_owned())
}

fn function(
    recording: &Recording,
    name: &str,
    flow: &Flow,
    agent: &str,
    about: &str,
    out: &mut String,
) {
    let mut pieces = Vec::new();
    let mut names = flow.names.clone();
    for step in &flow.steps {
        pieces.push(
            Writer {
                recording,
                flow,
                step,
            }
            .piece(&mut names),
        );
    }
    let mut body = String::new();
    for client in &flow.clients {
        browser(client, agent, flow.clients.len(), &mut body);
    }
    looped(&pieces, &mut body);
    if flow.left_out > 0 {
        let _ = writeln!(
            body,
            "-- {} more requests of this user are left out.",
            flow.left_out
        );
    }
    let _ = writeln!(
        out,
        "\n-- {about}\nlocal function {name}(u)\n{}\nend",
        indented(&body)
    );
}

fn browser(client: &Browser, agent: &str, clients: usize, body: &mut String) {
    let mut options = Vec::new();
    if client.has_cache {
        options.push("cache = true".to_owned());
    }
    if client.agent != agent && !client.agent.is_empty() {
        options.push(format!("user_agent = {}", text(client.agent.as_bytes())));
    }
    let made = match (options.is_empty(), clients) {
        (true, 1) => "u.client".to_owned(),
        (true, _) => "u:new_client()".to_owned(),
        (false, _) => format!("u:new_client({})", table(&options)),
    };
    let _ = writeln!(body, "local {} = {made}", client.name);
    for (name, value) in &client.cookies {
        let _ = writeln!(
            body,
            "-- Who this is was known before the capture began: log in instead.\n{}:set_cookie({}, {})",
            client.name,
            text(name.as_bytes()),
            text(value.as_bytes())
        );
    }
}

/// Write pieces, those that come several times in a row as a loop.
fn looped(pieces: &[Piece], body: &mut String) {
    let mut at = 0;
    while at < pieces.len() {
        let piece = &pieces[at];
        let same = |other: &&Piece| other.code == piece.code && !other.has_locals;
        let run = pieces[at..].iter().take_while(same).count().max(1);
        if run < 3 {
            pause(piece.pause_us, body);
            let _ = writeln!(body, "{}", piece.code);
            at += 1;
            continue;
        }
        pause(piece.pause_us, body);
        let pauses: i64 = pieces[at + 1..at + run]
            .iter()
            .map(|piece| piece.pause_us)
            .sum();
        let mut inner = format!("{}\n", piece.code);
        pause(pauses / (run as i64 - 1), &mut inner);
        let _ = writeln!(body, "for _ = 1, {run} do\n{}\nend", indented(&inner));
        at += run;
    }
}

fn pause(pause_us: i64, body: &mut String) {
    if let Some(time) = time(pause_us) {
        let _ = writeln!(body, "pause({time})");
    }
}

/// A time, rounded: none where that is nothing.
fn time(us: i64) -> Option<String> {
    let ms = (us + 500) / 1_000;
    Some(match ms {
        ..10 => return None,
        10..1_000 => format!("\"{}ms\"", (ms + 5) / 10 * 10),
        _ => {
            let tenths = (ms + 50) / 100;
            match tenths % 10 {
                0 => format!("\"{}s\"", tenths / 10),
                rest => format!("\"{}.{rest}s\"", tenths / 10),
            }
        }
    })
}

/// Writes a step.
struct Writer<'a> {
    recording: &'a Recording,
    flow: &'a Flow,
    step: &'a Step,
}

impl Writer<'_> {
    fn exchange(&self) -> &Exchange {
        &self.recording.exchanges[self.step.exchange]
    }

    fn variable(&self, place: &Place) -> Option<&str> {
        let variable = self.step.uses.get(place)?;
        Some(&self.flow.variables[*variable].name)
    }

    fn piece(&self, names: &mut Names) -> Piece {
        let mut code = String::new();
        for &variable in &self.step.makes {
            let variable = &self.flow.variables[variable];
            if let Origin::Made { prefix, suffix } = &variable.origin {
                let made = format!("u:unique({})", text(prefix.as_bytes()));
                let made = match suffix.is_empty() {
                    true => made,
                    false => format!("{made} .. {}", text(suffix.as_bytes())),
                };
                let _ = writeln!(code, "local {} = {made}", variable.name);
            }
        }
        let call = format!("{}{}", self.call(), self.expectation());
        let given: Vec<(&str, &[Hop])> = self
            .step
            .gives
            .iter()
            .map(|&variable| &self.flow.variables[variable])
            .filter_map(|variable| match &variable.origin {
                Origin::Reply(path) => Some((variable.name.as_str(), path.as_slice())),
                Origin::Made { .. } => None,
            })
            .collect();
        match (self.step.every_us, given.as_slice()) {
            (Some(every_us), given) => self.poll(every_us, &call, given, names, &mut code),
            (None, []) => code.push_str(&call),
            (None, [(name, path)]) => {
                let _ = write!(code, "local {name} = {call}{}", hops(path));
            }
            (None, given) => {
                let reply = names.take("reply");
                let _ = write!(code, "local {reply} = {call}");
                locals(&reply, given, &mut code);
            }
        }
        Piece {
            pause_us: self.step.pause_us,
            has_locals: !self.step.makes.is_empty() || !given.is_empty(),
            code,
        }
    }

    fn poll(
        &self,
        every_us: i64,
        call: &str,
        given: &[(&str, &[Hop])],
        names: &mut Names,
        code: &mut String,
    ) {
        let every = time(every_us).unwrap_or_else(|| "\"10ms\"".to_owned());
        let is_message = is_message(&self.exchange().reply);
        let mut conditions: Vec<String> = Vec::new();
        for (_, path) in given {
            for condition in present(path, is_message) {
                if !conditions.contains(&condition) {
                    conditions.push(condition);
                }
            }
        }
        let (what, _) = given.first().copied().unwrap_or(("reply", &[]));
        let inner = format!(
            "local reply = {call}\nreturn {} and reply",
            conditions.join(" and ")
        );
        let begin = format!(
            "poll({{ every = {every}, within = \"60s\", name = {} }}, function()\n{}\nend)",
            text(format!("{what} comes").as_bytes()),
            indented(&inner)
        );
        match given {
            [(name, path)] => {
                let _ = write!(code, "local {name} = {begin}{}", hops(path));
            }
            given => {
                let reply = names.take("reply");
                let _ = write!(code, "local {reply} = {begin}");
                locals(&reply, given, code);
            }
        }
    }

    fn call(&self) -> String {
        let exchange = self.exchange();
        let client = &self.flow.clients[self.step.client].name;
        let mut arguments = vec![self.path()];
        let has_body = exchange.request != Payload::None;
        let mut method = exchange.method.to_ascii_lowercase();
        let takes_body = ["post", "put", "patch"].contains(&method.as_str());
        if !takes_body && (has_body || !["get", "head", "delete"].contains(&method.as_str())) {
            arguments.insert(0, text(exchange.method.as_bytes()));
            method = "request".to_owned();
        }
        let may_have_body = takes_body || method == "request";
        let options = self.options();
        if has_body {
            arguments.push(self.body());
        } else if may_have_body && !options.is_empty() {
            arguments.push("nil".to_owned());
        }
        if !options.is_empty() {
            arguments.push(table(&options));
        }
        format!("{client}:{method}({})", arguments.join(", "))
    }

    /// The path with its query; a text in backticks where variables are in it.
    fn path(&self) -> String {
        let exchange = self.exchange();
        let mut parts: Vec<(String, Option<String>)> = Vec::new();
        for (at, segment) in exchange.path().split('/').enumerate() {
            let before = if at == 0 { "" } else { "/" };
            parts.push((before.to_owned(), None));
            parts.push((segment.to_owned(), self.inserted(&Place::Segment(at))));
        }
        if let Some((_, query)) = exchange.target.split_once('?') {
            for (at, pair) in query.split('&').enumerate() {
                let before = if at == 0 { "?" } else { "&" };
                let (name, value) = match pair.split_once('=') {
                    Some((name, value)) => (format!("{before}{name}="), value),
                    None => (format!("{before}{pair}"), ""),
                };
                parts.push((name, None));
                parts.push((value.to_owned(), self.inserted(&Place::Query(at))));
            }
        }
        if parts.iter().all(|(_, variable)| variable.is_none()) {
            return text(exchange.target.as_bytes());
        }
        let parts = parts.into_iter().map(|(plain, variable)| match variable {
            Some(variable) => format!("{{{variable}}}"),
            None => within_backticks(&plain),
        });
        format!("`{}`", parts.collect::<String>())
    }

    /// What stands in a path in place of a value.
    fn inserted(&self, place: &Place) -> Option<String> {
        let variable = self.step.uses.get(place)?;
        let variable = &self.flow.variables[*variable];
        let is_plain = variable
            .text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte));
        let suffix_is_plain = match &variable.origin {
            Origin::Made { prefix, .. } => prefix.is_ascii(),
            Origin::Reply(_) => true,
        };
        Some(match is_plain && suffix_is_plain {
            true => variable.name.clone(),
            false => format!("encode({})", variable.name),
        })
    }

    fn body(&self) -> String {
        let exchange = self.exchange();
        let at = |path: &[Hop]| -> Option<String> {
            self.variable(&Place::Body(path.to_vec()))
                .map(str::to_owned)
        };
        match &exchange.request {
            Payload::None | Payload::Page => "nil".to_owned(),
            Payload::Message {
                kind,
                value: fields,
                ..
            } => {
                format!("{kind} {}", value(fields, &mut Vec::new(), &at))
            }
            Payload::Json(json)
                if is_table(json)
                    && matches!(json, super::Value::Fields(_) | super::Value::List(_)) =>
            {
                value(json, &mut Vec::new(), &at)
            }
            Payload::Json(json) => text(plain_json(json).to_string().as_bytes()),
            Payload::Form(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .enumerate()
                    .map(|(place, (name, field))| {
                        let variable = self.variable(&Place::Form(place)).map(str::to_owned);
                        let shown = variable.unwrap_or_else(|| text(field.as_bytes()));
                        format!("{} = {shown}", key(name))
                    })
                    .collect();
                format!("form({})", table(&fields))
            }
            Payload::Raw { bytes, .. } => text(bytes),
        }
    }

    fn options(&self) -> Vec<String> {
        let exchange = self.exchange();
        let mut headers = Vec::new();
        let media_type = match &exchange.request {
            Payload::Raw { content_type, .. } if !content_type.is_empty() => {
                Some(content_type.as_str())
            }
            Payload::Json(json) if !is_table(json) => Some("application/json"),
            _ => None,
        };
        if let Some(media_type) = media_type {
            headers.push(format!(
                "[\"Content-Type\"] = {}",
                text(media_type.as_bytes())
            ));
        }
        for (at, (name, value)) in exchange.headers.iter().enumerate() {
            if is_own_header(name) {
                headers.push(format!("{} = {}", key(name), self.header(at, value)));
            }
        }
        let mut options = Vec::new();
        if !headers.is_empty() {
            options.push(format!("headers = {}", table(&headers)));
        }
        if let Some(step) = self.report_name() {
            options.push(format!("step = {}", text(step.as_bytes())));
        }
        options
    }

    fn header(&self, at: usize, value: &str) -> String {
        let mut has_variable = false;
        let words: Vec<String> = value
            .split(' ')
            .enumerate()
            .map(
                |(word, plain)| match self.variable(&Place::Header(at, word)) {
                    Some(variable) => {
                        has_variable = true;
                        format!("{{{variable}}}")
                    }
                    None => within_backticks(plain),
                },
            )
            .collect();
        match has_variable {
            true => format!("`{}`", words.join(" ")),
            false => text(value.as_bytes()),
        }
    }

    /// Paths with a text that differs from user to user would each be reported by themselves.
    fn report_name(&self) -> Option<String> {
        let exchange = self.exchange();
        let segments = exchange.path().split('/').enumerate();
        let mut has_text = false;
        let segments: Vec<String> = segments
            .map(
                |(at, segment)| match self.step.uses.get(&Place::Segment(at)) {
                    Some(&variable) => {
                        let variable = &self.flow.variables[variable];
                        has_text |= variable.text.parse::<u64>().is_err();
                        format!(":{}", variable.name)
                    }
                    None => segment.to_owned(),
                },
            )
            .collect();
        has_text.then(|| format!("{} {}", exchange.method, segments.join("/")))
    }

    fn expectation(&self) -> String {
        let exchange = self.exchange();
        match (exchange.status, &exchange.reply) {
            // The client's cache decides whether it is asked for at all.
            (304, _) => String::new(),
            (400.., _) => format!(":fails({})", exchange.status),
            (_, Payload::Message { kind, .. }) => format!(":ok({kind})"),
            _ => ":ok()".to_owned(),
        }
    }
}

fn hops(path: &[Hop]) -> String {
    path.iter().map(hop).collect()
}

fn locals(reply: &str, given: &[(&str, &[Hop])], code: &mut String) {
    for (name, path) in given {
        let _ = write!(code, "\nlocal {name} = {reply}{}", hops(path));
    }
}

/// What must hold for something to be at a path of `reply`.
fn present(path: &[Hop], is_message: bool) -> Vec<String> {
    let mut conditions = Vec::new();
    let mut so_far = String::from("reply");
    for (at, step) in path.iter().enumerate() {
        let next = format!("{so_far}{}", hop(step));
        let is_last = at + 1 == path.len();
        match (is_message, step, path.get(at + 1)) {
            (false, ..) => conditions.push(next.clone()),
            (true, Hop::Field(name), Some(Hop::Field(_))) => {
                conditions.push(format!("has({so_far}, {})", text(name.as_bytes())));
            }
            (true, Hop::Row(row), _) => conditions.push(format!("#{so_far} > {row}")),
            _ => {}
        }
        if is_message && is_last && conditions.is_empty() {
            conditions.push(format!("{next} ~= \"\" and {next} ~= 0"));
        }
        so_far = next;
    }
    conditions
}

fn plain_json(value: &super::Value) -> serde_json::Value {
    use super::Value;
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(is) => (*is).into(),
        Value::Int(number) => match (i64::try_from(*number), u64::try_from(*number)) {
            (Ok(number), _) => number.into(),
            (_, Ok(number)) => number.into(),
            _ => serde_json::Value::Null,
        },
        Value::Float(number) => (*number).into(),
        Value::Text(text) | Value::Word(text) => text.clone().into(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into(),
        Value::List(items) => items.iter().map(plain_json).collect(),
        Value::Fields(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| (name.clone(), plain_json(value)));
            serde_json::Value::Object(fields.collect())
        }
    }
}

impl Kind {
    /// How many requests one of them sends.
    pub(super) fn requests(&self) -> usize {
        self.flow.steps.len()
    }
}
