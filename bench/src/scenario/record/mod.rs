//! Captured exchanges to a scenario that does the same: `scenario.toml` and `scenario.luau`.
//!
//! | file | idea |
//! | --- | --- |
//! | `model` | what was captured |
//! | `message` | bodies as values |
//! | `parts` | where the target was reset |
//! | `clients` | exchanges to clients, by session or connection |
//! | `places` | where values are in requests and replies |
//! | `links` | clients that hand values to each other are one user |
//! | `flow` | a user's steps; values that come again are variables |
//! | `kinds` | users that did the same |
//! | `names` | what all of that is called |
//! | `script`, `data` | to Luau and TOML |
//! | `limits` | how much of it |
//!
//! Nothing here reads or writes a file.

mod clients;
mod data;
mod flow;
mod kinds;
pub mod limits;
mod links;
mod luau;
mod message;
mod model;
mod names;
mod parts;
mod places;
mod script;
#[cfg(test)]
mod tests;

use rustc_hash::FxHashMap;

pub use message::{form, json, message};
pub use model::{Exchange, Payload, Recording, Value};

use flow::{Flow, Origin};
use kinds::{Kind, Rest};
use links::Values;
use names::Names;

/// A scenario that was made of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// `scenario.toml`.
    pub data: String,
    /// `scenario.luau`.
    pub script: String,
    /// Kinds of users.
    pub kinds: usize,
    /// Requests in their functions.
    pub requests: usize,
    /// Values that are read from replies.
    pub captured: usize,
    /// Values that are made up anew for each user.
    pub made_up: usize,
}

/// A part with what its users do.
#[derive(Debug)]
struct Act {
    /// The name of the function that resets the target, and what it does.
    reset: Option<(String, Flow)>,
    /// When it began and how long it took, in microseconds.
    began_us: i64,
    took_us: i64,
    kinds: Vec<Kind>,
    rest: Vec<Rest>,
}

/// Make a scenario; none when there is nothing to replay.
pub fn record(mut recording: Recording) -> Option<Recorded> {
    let others = one_server(&mut recording);
    let all = &mut recording.exchanges;
    all.sort_by_key(|exchange| (exchange.began_us, exchange.connection));
    let beyond = all.len().saturating_sub(limits::EXCHANGES);
    all.truncate(limits::EXCHANGES);
    recording.unusable += beyond as u64;
    let all = &recording.exchanges;
    let server = all.first()?.server;
    let values = Values::of(all);
    let mut names = Names::default();
    let acts: Vec<Act> = parts::parts(all)
        .iter()
        .map(|part| act(all, part, &values, &mut names))
        .collect();
    let flows = || {
        let resets = acts.iter().filter_map(|act| act.reset.as_ref());
        let resets = resets.map(|(_, flow)| flow);
        resets.chain(
            acts.iter()
                .flat_map(|act| act.kinds.iter().map(|kind| &kind.flow)),
        )
    };
    let is_captured =
        |flow: &&Flow| -> usize { flow.steps.iter().map(|step| step.gives.len()).sum() };
    Some(Recorded {
        data: data::data(&recording, &acts, server),
        script: script::script(&recording, &acts, others),
        kinds: acts.iter().map(|act| act.kinds.len()).sum(),
        requests: flows().map(|flow| flow.steps.len()).sum(),
        captured: flows().map(|flow| is_captured(&flow)).sum(),
        made_up: flows()
            .flat_map(|flow| &flow.variables)
            .filter(|variable| matches!(variable.origin, Origin::Made { .. }))
            .count(),
    })
}

/// A scenario has one target: keep what went to the busiest, and say how much did not.
fn one_server(recording: &mut Recording) -> usize {
    let mut counts: FxHashMap<_, usize> = FxHashMap::default();
    for exchange in &recording.exchanges {
        *counts.entry(exchange.server).or_default() += 1;
    }
    let most = counts
        .into_iter()
        .max_by_key(|&(server, count)| (count, server));
    let before = recording.exchanges.len();
    if let Some((server, _)) = most {
        recording
            .exchanges
            .retain(|exchange| exchange.server == server);
    }
    before - recording.exchanges.len()
}

fn act(all: &[Exchange], part: &parts::Part, values: &Values, names: &mut Names) -> Act {
    let reset = part.reset.map(|at| {
        let client = clients::Client {
            exchanges: vec![at],
            cookies: Vec::new(),
        };
        let flow = flow::flow(all, &[client], &[0], values, &FxHashMap::default());
        (names.take(&names::of_route(&all[at].route())), flow)
    });
    let clients = clients::clients(all, &part.exchanges);
    let made = links::made_up(all, &clients, values);
    let flows = links::users(all, &clients, values, &made)
        .iter()
        .map(|user| flow::flow(all, &clients, user, values, &made))
        .collect();
    let (kinds, rest) = kinds::kinds(flows, all, names);
    let chosen = || part.exchanges.iter().map(|&at| &all[at]);
    let began_us = chosen()
        .map(|exchange| exchange.began_us)
        .min()
        .unwrap_or(0);
    let ended_us = chosen()
        .map(|exchange| exchange.ended_us)
        .max()
        .unwrap_or(0);
    Act {
        reset,
        began_us,
        took_us: ended_us - began_us,
        kinds,
        rest,
    }
}
