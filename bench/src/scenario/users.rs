//! `[phase.users.NAME]`: how many users of a kind there are, or when they come.

use std::time::Duration;

use super::error::ScenarioError;
use super::model::{KindLoad, KindSpec};
use super::phases::{SOME, function_name, is_name};
use super::rules;
use super::table::{Complain, Item, MAX_NAME, Table};
use crate::pace::ArrivalSpec;
use crate::score::ScoreRules;

type Result<T> = std::result::Result<T, ScenarioError>;

/// Users of a kind at a time.
const MAX_USERS: usize = 1_000_000;

/// Users of a kind at a time, where nothing is said.
const USUAL_USERS: usize = 10_000;

/// Arrivals a second.
const MAX_RATE: f64 = 1e8;

/// Elements of `arrivals` and `ramp`.
const MAX_PARTS: usize = 1000;

/// A way of load: the key that makes it, and the keys it goes with.
const WAYS: [(&str, &[&str]); 6] = [
    ("arrivals", &["max_users", "until"]),
    ("rate", &["max_users", "until"]),
    ("ramp", &["users"]),
    ("on_score", &["on_error", "users", "at_most", "until"]),
    ("on_error", &["on_score", "users", "at_most", "until"]),
    ("users", &[]),
];

/// Keys that only go with others, and which.
const ADDITIONS: [(&str, &str); 3] = [
    ("max_users", "`arrivals` and `rate`"),
    ("until", "`arrivals`, `rate`, `on_score` and `on_error`"),
    ("at_most", "`on_score` and `on_error`"),
];

/// Read one kind of users of a phase.
pub(super) fn kind(item: &Item<'_>, duration: Duration, score: &ScoreRules) -> Result<KindSpec> {
    let name = item.named("a kind of users")?;
    let table = item.table(&format!("[phase.users.{}]", name.escape_debug()))?;
    let mut keys = vec!["run"];
    keys.extend(WAYS.iter().map(|(key, _)| *key));
    keys.extend(ADDITIONS.iter().map(|(key, _)| *key));
    table.only(&keys)?;
    let (run, line) = match table.get("run") {
        Some(item) => (function_name(&item)?, item.line()),
        None if is_name(name) => (name.to_owned(), table.line()),
        None => {
            return Err(item.key_error(format_args!(
                "no function can be called `{}`; write run = \"FUNCTION\"",
                name.escape_debug()
            )));
        }
    };
    Ok(KindSpec {
        name: name.to_owned(),
        run,
        line,
        load: load(&table, duration, score)?,
    })
}

fn load(table: &Table<'_>, duration: Duration, score: &ScoreRules) -> Result<KindLoad> {
    let found = WAYS.iter().find_map(|way| Some((way, table.get(way.0)?)));
    let Some(((way, additions), item)) = found else {
        return Err(table.error(format_args!(
            "{} says nothing of how many; write `users`, `ramp`, `arrivals`, `rate` or `on_score`",
            table.name()
        )));
    };
    for other in table.items() {
        let key = other.key;
        if key == *way || key == "run" || additions.contains(&key) {
            continue;
        }
        let remedy = match ADDITIONS.iter().find(|(addition, _)| *addition == key) {
            Some((_, with)) => format!("it is for {with}"),
            None => "a kind of users has one way of load".to_owned(),
        };
        return Err(other.key_error(format_args!("`{key}` does not go with `{way}`; {remedy}")));
    }
    let users = |key, usual, least| {
        let item = table.get(key);
        item.map_or(Ok(usual), |item| item.size(least, MAX_USERS))
    };
    let until = match table.get("until") {
        Some(item) => Some(item.text("\"full\"", MAX_NAME)?.to_owned()),
        None => None,
    };
    match *way {
        "users" => Ok(KindLoad::Constant {
            users: item.size(1, MAX_USERS)?,
        }),
        "ramp" => Ok(KindLoad::Ramp {
            from: users("users", 0, 0)?,
            points: ramp(&item, duration)?,
        }),
        "arrivals" | "rate" => Ok(KindLoad::Arrivals {
            schedule: if *way == "rate" {
                vec![rate(&item, Duration::ZERO, None)?]
            } else {
                arrivals(&item, duration)?
            },
            max_users: users("max_users", USUAL_USERS, 1)?,
            until,
        }),
        _ => feedback(table, score, users("users", 0, 0)?, until),
    }
}

/// Users that follow scores and errors.
fn feedback(
    table: &Table<'_>,
    score: &ScoreRules,
    users: usize,
    until: Option<String>,
) -> Result<KindLoad> {
    let most = MAX_USERS as i64;
    let mut on_score = Vec::new();
    if let Some(tags) = table.table("on_score", "on_score = { TAG = 1 }")? {
        for item in tags.items() {
            let tag = rules::tag(score, item.key).map_err(|fault| item.key_error(fault))?;
            on_score.push((tag, item.integer(-most, most)?));
        }
    }
    let on_error = match table.get("on_error") {
        Some(item) => item.integer(-most, most)?,
        None => 0,
    };
    let at_most = match table.get("at_most") {
        None => USUAL_USERS.max(users),
        Some(item) => {
            let at_most = item.size(1, MAX_USERS)?;
            if at_most < users {
                return Err(item.error(format_args!(
                    "`at_most` is less than the {users} `users` of the beginning; make it greater"
                )));
            }
            at_most
        }
    };
    if users == 0 && on_error <= 0 && !on_score.iter().any(|(_, change)| *change > 0) {
        return Err(table.error(format_args!(
            "{} never has users; write `users` to begin with, or on_score = {{ TAG = 1 }}",
            table.name()
        )));
    }
    Ok(KindLoad::Feedback {
        users,
        on_score,
        on_error,
        at_most,
        until,
    })
}

fn ramp(item: &Item<'_>, duration: Duration) -> Result<Vec<(Duration, usize)>> {
    let example = "[{ over = \"10s\", users = 100 }]";
    let point = "{ over = \"10s\", users = 100 }";
    let mut points = Vec::new();
    let mut total = Duration::ZERO;
    for item in item.array(MAX_PARTS, example)? {
        let table = item.table_like("this point", point)?;
        table.only(&["over", "users"])?;
        let over = table.need("over", point)?;
        let length = over.duration(Duration::ZERO, duration)?;
        total += length;
        if total > duration {
            return Err(over
                .error("the ramp is longer than the phase; make it shorter or `duration` longer"));
        }
        points.push((length, table.need("users", point)?.size(0, MAX_USERS)?));
    }
    if points.iter().all(|(_, users)| *users == 0) {
        return Err(item.error(format_args!("`ramp` leads to no users; write {example}")));
    }
    Ok(points)
}

fn arrivals(item: &Item<'_>, duration: Duration) -> Result<Vec<ArrivalSpec>> {
    let example = "[{ at = \"0s\", users = 20 }, { from = \"2s\", rate = \"10/s\" }]";
    let elements = item.array(MAX_PARTS, example)?;
    if elements.is_empty() {
        return Err(item.error(format_args!("`arrivals` is empty; write {example}")));
    }
    elements
        .iter()
        .map(|element| arrival(element, duration))
        .collect()
}

fn arrival(item: &Item<'_>, duration: Duration) -> Result<ArrivalSpec> {
    let burst = "{ at = \"0s\", users = 20 }";
    let flow = "{ from = \"2s\", to = \"30s\", rate = \"10/s\" }";
    let table = item.table_like("this arrival", burst)?;
    table.only(&["at", "users", "from", "to", "rate"])?;
    // A point in time that leaves something of the phase.
    let early = |item: &Item<'_>| {
        let time = item.duration(Duration::ZERO, Duration::MAX)?;
        if time < duration {
            return Ok(time);
        }
        Err(item.error(format_args!(
            "`{}` is not before the end of the phase; make it earlier or `duration` longer",
            item.key
        )))
    };
    if let Some(at) = table.get("at") {
        if let Some(other) = ["from", "to", "rate"].iter().find_map(|key| table.get(key)) {
            return Err(other.key_error(format_args!(
                "`{}` does not go with `at`; write {burst} or {flow}",
                other.key
            )));
        }
        return Ok(ArrivalSpec::Burst {
            at: early(&at)?,
            users: table.need("users", burst)?.count(1, MAX_USERS as u64)?,
        });
    }
    if let Some(users) = table.get("users") {
        return Err(users.key_error(format_args!("`users` needs `at`; write {burst}")));
    }
    let from = table
        .get("from")
        .map_or(Ok(Duration::ZERO), |item| early(&item))?;
    let to = match table.get("to") {
        None => None,
        Some(item) => {
            let to = item.duration(SOME, Duration::MAX)?;
            if to <= from {
                return Err(item.error("`to` is not after `from`; make it later"));
            }
            if to > duration {
                return Err(item.error(
                    "`to` is after the end of the phase; leave it out to go on until the end",
                ));
            }
            Some(to)
        }
    };
    rate(&table.need("rate", flow)?, from, to)
}

/// `10/s`, or `1/s..10/s` for a linear change.
fn rate(item: &Item<'_>, from: Duration, to: Option<Duration>) -> Result<ArrivalSpec> {
    let text = item.string("\"10/s\"")?;
    let read = match text.split_once("..") {
        None => one_rate(text).map(|rate| (rate, rate)),
        Some((first, last)) => one_rate(first).zip(one_rate(last)),
    };
    let Some((first, last)) = read else {
        return Err(item.error(format_args!(
            "`{}` is no rate; write a number and /s, /m or /h, such as 10/s, or 1/s..10/s for a \
             linear change",
            text.escape_debug()
        )));
    };
    if !(first.max(last) > 0.0 && first.max(last) <= MAX_RATE) {
        return Err(item.error(format_args!(
            "a rate of {text} cannot be kept; it must be more than 0 and at most 100000000/s"
        )));
    }
    Ok(ArrivalSpec::Rate {
        from,
        to,
        first,
        last,
    })
}

/// `10/s`, `10/m` or `10/h` in arrivals a second.
fn one_rate(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once('/')?;
    let number = number.trim();
    // What else is a number to Rust, such as `nan` or `1e3`, is none to people.
    let plain = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    if !number.starts_with(|c: char| c.is_ascii_digit()) || !number.bytes().all(plain) {
        return None;
    }
    let seconds = match unit.trim() {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let rate = number.parse::<f64>().ok()? / seconds;
    rate.is_finite().then_some(rate)
}
