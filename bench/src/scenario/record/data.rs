//! `scenario.toml`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use super::Act;
use super::kinds::Kind;
use super::model::{Payload, Recording};
use super::script::common_agent;

/// How many points of time the arrivals of a kind are put together to.
const ARRIVALS: i64 = 20;

/// `scenario.toml` for what happened on `server`.
pub(super) fn data(recording: &Recording, acts: &[Act], server: SocketAddr) -> String {
    let mut out = String::from(
        "# Who comes, and when, as it was captured. What they do is in scenario.luau.\n#\n\
         # A kind that shall be there all the time, rather than come once, takes `users = 10` in place of its\n\
         # `arrivals`; `rate = \"10/s\"` lets so many come whatever happens.\n\n",
    );
    let scheme = if server.port() == 443 {
        "https"
    } else {
        "http"
    };
    let _ = writeln!(out, "target = \"{scheme}://{server}\"");
    let agent = common_agent(acts);
    if !agent.is_empty() {
        let _ = writeln!(out, "user_agent = {}", quoted(&agent));
    }
    proto(recording, &mut out);
    timeouts(recording, acts, &mut out);
    let mut loads = 0;
    for act in acts {
        phases(recording, act, &mut loads, &mut out);
    }
    out
}

/// Text as TOML has it: a string of JSON is one of TOML.
fn quoted(text: &str) -> String {
    let clean: String = text.chars().filter(|letter| !letter.is_control()).collect();
    serde_json::Value::String(clean).to_string()
}

fn proto(recording: &Recording, out: &mut String) {
    if recording.proto_roots.is_empty() {
        return;
    }
    let roots: Vec<String> = recording
        .proto_roots
        .iter()
        .map(|root| quoted(root))
        .collect();
    let _ = writeln!(out, "\n[proto]\nroots = [{}]", roots.join(", "));
    if !recording.content_type.is_empty() {
        let _ = writeln!(out, "content_type = {}", quoted(&recording.content_type));
    }
    if let Some(error) = error_type(recording) {
        let _ = writeln!(out, "error = {}", quoted(error));
    }
}

/// The type that most failures have.
fn error_type(recording: &Recording) -> Option<&str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for exchange in &recording.exchanges {
        if let (false, Payload::Message { full_name, .. }) =
            (exchange.is_success(), &exchange.reply)
        {
            *counts.entry(full_name).or_default() += 1;
        }
    }
    let (name, _) = counts.into_iter().max_by_key(|&(_, count)| count)?;
    // A type that good replies have as well would make errors of them.
    let is_good = recording.exchanges.iter().any(|exchange| {
        exchange.is_success()
            && matches!(&exchange.reply, Payload::Message { full_name, .. } if full_name == name)
    });
    (!is_good).then_some(name)
}

fn timeouts(recording: &Recording, acts: &[Act], out: &mut String) {
    let took = |exchange: &super::Exchange| exchange.ended_us - exchange.began_us;
    let slowest = recording.exchanges.iter().map(took).max().unwrap_or(0);
    let seconds = (3 * slowest / 1_000_000 + 1).clamp(10, 120);
    let _ = writeln!(out, "\n[timeouts]\ndefault = \"{seconds}s\"");
    let resets: BTreeMap<String, i64> = acts
        .iter()
        .filter_map(|act| {
            let exchange = &recording.exchanges[act.reset.as_ref()?.1.steps.first()?.exchange];
            Some((exchange.route(), reset_seconds(took(exchange))))
        })
        .collect();
    if !resets.is_empty() {
        out.push_str("\n[timeouts.routes]\n");
        for (route, seconds) in resets {
            let _ = writeln!(out, "{} = \"{seconds}s\"", quoted(&route));
        }
    }
}

/// How long a reset may take that took so many microseconds.
fn reset_seconds(took_us: i64) -> i64 {
    (5 * took_us / 1_000_000).clamp(30, 300)
}

fn phases(recording: &Recording, act: &Act, loads: &mut usize, out: &mut String) {
    if let Some((name, flow)) = &act.reset {
        let took = flow.steps.first().map_or(0, |step| {
            let exchange = &recording.exchanges[step.exchange];
            exchange.ended_us - exchange.began_us
        });
        let _ = writeln!(
            out,
            "\n[[phase]]\nname = {}\nrun = \"{name}\"\ntime_limit = \"{}s\"",
            quoted(&name.replace('_', " ")),
            reset_seconds(took)
        );
    }
    if act.kinds.is_empty() {
        return;
    }
    *loads += 1;
    let name = match *loads {
        1 => "load".to_owned(),
        number => format!("load {number}"),
    };
    // A second more, so that a target that is a little slower is not cut off.
    let seconds = act.took_us / 1_000_000 + 2;
    let _ = writeln!(
        out,
        "\n[[phase]]\nname = \"{name}\"\nduration = \"{seconds}s\"\ndrain = \"5s\""
    );
    for kind in &act.kinds {
        users(kind, act, out);
    }
}

fn users(kind: &Kind, act: &Act, out: &mut String) {
    // Whole tenths of a second, few of them.
    let width = (act.took_us / ARRIVALS / 100_000 + 1) * 100_000;
    let mut times: BTreeMap<i64, usize> = BTreeMap::new();
    for began in &kind.arrivals {
        *times.entry((began - act.began_us) / width).or_default() += 1;
    }
    let requests = kind.requests();
    let _ = writeln!(
        out,
        "\n# {} in all; each sends {requests} requests or more.\n[phase.users.{}]",
        kind.arrivals.len(),
        kind.name
    );
    let arrivals: Vec<String> = times
        .iter()
        .map(|(at, users)| format!("{{ at = \"{}ms\", users = {users} }}", at * width / 1_000))
        .collect();
    match arrivals.as_slice() {
        [one] => {
            let _ = writeln!(out, "arrivals = [{one}]");
        }
        several => {
            let _ = writeln!(out, "arrivals = [\n  {},\n]", several.join(",\n  "));
        }
    }
}
