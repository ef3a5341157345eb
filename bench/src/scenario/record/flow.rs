//! What one user did, step after step, with names for the values that come again.

use rustc_hash::{FxHashMap, FxHashSet};

use super::clients::Client;
use super::limits::{LOCALS, NO_PAUSE_US, PAUSE_US, STEPS};
use super::links::{Values, is_secret};
use super::model::{Exchange, Payload};
use super::names::{Names, of_field};
use super::places::{Got, Hop, Place, Sent, names};

/// What one user did.
#[derive(Debug, Clone, Default)]
pub(super) struct Flow {
    /// When it began, in microseconds since the Unix epoch.
    pub(super) began_us: i64,
    pub(super) clients: Vec<Browser>,
    pub(super) steps: Vec<Step>,
    pub(super) variables: Vec<Variable>,
    /// Requests that it would take too long to write.
    pub(super) left_out: usize,
    /// Names that are in use.
    pub(super) names: Names,
}

/// A client of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Browser {
    pub(super) name: String,
    pub(super) agent: String,
    pub(super) has_cache: bool,
    pub(super) cookies: Vec<(String, String)>,
}

/// A request.
#[derive(Debug, Clone, Default)]
pub(super) struct Step {
    pub(super) exchange: usize,
    pub(super) client: usize,
    /// How long the user does nothing before it, in microseconds.
    pub(super) pause_us: i64,
    /// Variables in the request.
    pub(super) uses: FxHashMap<Place, usize>,
    /// Variables that are made up for it.
    pub(super) makes: Vec<usize>,
    /// Variables that its reply gives.
    pub(super) gives: Vec<usize>,
    /// It is sent again and again until the reply has them: how often, in microseconds.
    pub(super) every_us: Option<i64>,
}

/// A value that comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) text: String,
    /// What the field was called that it was first seen in.
    field: String,
    is_integer: bool,
    pub(super) origin: Origin,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// The user made it up.
    Made {
        /// What was before the part that is now unique.
        prefix: String,
        /// What comes after it: a domain.
        suffix: String,
    },
    /// A reply had it.
    Reply(Vec<Hop>),
}

/// How often what is waited for is asked for where the capture does not say it, in microseconds.
const EVERY_US: i64 = 200_000;

/// Follow a user, given as numbers of clients.
pub(super) fn flow(
    all: &[Exchange],
    clients: &[Client],
    user: &[usize],
    values: &Values,
    made: &FxHashMap<String, usize>,
) -> Flow {
    let mut names = Names::default();
    let browsers = user
        .iter()
        .map(|&client| browser(all, &clients[client], &mut names));
    let mut builder = Builder {
        all,
        values,
        flow: Flow {
            clients: browsers.collect(),
            ..Flow::default()
        },
        known: FxHashMap::default(),
        sources: FxHashMap::default(),
        names,
    };
    let mut order: Vec<(usize, usize)> = Vec::new();
    for (number, &client) in user.iter().enumerate() {
        order.extend(clients[client].exchanges.iter().map(|&at| (number, at)));
    }
    order.sort_by_key(|&(_, at)| (all[at].began_us, at));
    builder.flow.began_us = order.first().map_or(0, |&(_, at)| all[at].began_us);
    let mut idle_since = i64::MAX;
    for (client, at) in order {
        // What is folded into one step later was several.
        if builder.flow.steps.len() >= 2 * STEPS {
            builder.flow.left_out += 1;
            continue;
        }
        let exchange = &all[at];
        let gap = exchange.began_us.saturating_sub(idle_since);
        builder.step(client, at, gap, |text| {
            made.get(text).is_some_and(|maker| user.contains(maker))
        });
        idle_since = match idle_since {
            i64::MAX => exchange.ended_us,
            since => since.max(exchange.ended_us),
        };
    }
    builder.finish()
}

fn browser(all: &[Exchange], client: &Client, names: &mut Names) -> Browser {
    let exchanges = || client.exchanges.iter().map(|&at| &all[at]);
    let agents = exchanges().find_map(|exchange| exchange.header("user-agent"));
    let is_conditional = |exchange: &Exchange| {
        exchange.status == 304
            || exchange.header("if-none-match").is_some()
            || exchange.header("if-modified-since").is_some()
    };
    Browser {
        name: names.take("client"),
        agent: agents.unwrap_or_default().to_owned(),
        has_cache: exchanges().any(is_conditional),
        cookies: client.cookies.clone(),
    }
}

struct Builder<'e> {
    all: &'e [Exchange],
    values: &'e Values,
    flow: Flow,
    /// Variables by their text.
    known: FxHashMap<String, usize>,
    /// Values of replies by their text: the step, and which of the reply's values.
    sources: FxHashMap<&'e str, Vec<(usize, &'e Got)>>,
    names: Names,
}

impl<'e> Builder<'e> {
    fn step(&mut self, client: usize, at: usize, gap: i64, is_made: impl Fn(&str) -> bool) {
        let number = self.flow.steps.len();
        let mut step = Step {
            exchange: at,
            client,
            pause_us: if gap < NO_PAUSE_US {
                0
            } else {
                gap.min(PAUSE_US)
            },
            ..Step::default()
        };
        let values = self.values;
        for sent in &values.sent[at] {
            if is_secret(&sent.name) {
                continue;
            }
            if let Some(&variable) = self.known.get(&sent.text) {
                let known = &self.flow.variables[variable];
                if !known.is_integer || is_same(&known.field, sent) {
                    step.uses.insert(sent.place.clone(), variable);
                }
                continue;
            }
            let is_body = matches!(sent.place, Place::Body(_) | Place::Form(_));
            let variable = if self.flow.variables.len() >= LOCALS {
                None
            } else if is_body && is_made(&sent.text) {
                let variable = self.make(sent);
                step.makes.push(variable);
                Some(variable)
            } else {
                self.take(client, sent)
            };
            if let Some(variable) = variable {
                self.known.insert(sent.text.clone(), variable);
                step.uses.insert(sent.place.clone(), variable);
            }
        }
        self.flow.steps.push(step);
        for got in &values.got[at] {
            if got.is_integer || got.text.len() >= 4 {
                self.sources
                    .entry(&got.text)
                    .or_default()
                    .push((number, got));
            }
        }
    }

    fn make(&mut self, sent: &Sent) -> usize {
        let (prefix, suffix) = parted(&sent.text);
        self.flow.variables.push(Variable {
            name: self.names.take(&sent.name),
            text: sent.text.clone(),
            field: sent.name.clone(),
            is_integer: false,
            origin: Origin::Made { prefix, suffix },
        });
        self.flow.variables.len() - 1
    }

    /// Find the reply that a value comes from: the user's own client before others, a field before an
    /// element of a list, the earlier before the later.
    fn take(&mut self, client: usize, sent: &Sent) -> Option<usize> {
        let sources = self.sources.get(&*sent.text)?;
        let fitting = sources.iter().filter(|(_, got)| fits(got, sent));
        let steps = &self.flow.steps;
        let (step, got) = *fitting.min_by_key(|(step, got)| {
            (
                got.is_in_list(),
                steps[*step].client != client,
                *step,
                got.path.len(),
            )
        })?;
        let variable = self.flow.variables.len();
        self.flow.variables.push(Variable {
            name: self.names.take(&of_field(names(&got.path))),
            text: sent.text.clone(),
            field: got.name().to_owned(),
            is_integer: got.is_integer,
            origin: Origin::Reply(got.path.clone()),
        });
        self.flow.steps[step].gives.push(variable);
        Some(variable)
    }

    fn finish(mut self) -> Flow {
        let folded = self.fold();
        let mut number = 0;
        self.flow.steps.retain(|_| {
            number += 1;
            !folded.contains(&(number - 1))
        });
        let left = self.flow.steps.len().saturating_sub(STEPS);
        self.flow.left_out += left;
        self.flow.steps.truncate(STEPS);
        let used: FxHashSet<usize> = self
            .flow
            .steps
            .iter()
            .flat_map(|step| step.uses.values().copied())
            .collect();
        for step in &mut self.flow.steps {
            step.gives.retain(|variable| used.contains(variable));
        }
        self.flow.names = self.names;
        self.flow
    }

    /// Find where a client asked again and again until a value came, make one step of it, and say which
    /// steps are in it.
    fn fold(&mut self) -> FxHashSet<usize> {
        let mut folded = FxHashSet::default();
        for at in 0..self.flow.steps.len() {
            let step = &self.flow.steps[at];
            if step.gives.is_empty() {
                continue;
            }
            let exchange = &self.all[step.exchange];
            let paths: Vec<&[Hop]> = step
                .gives
                .iter()
                .filter_map(|&variable| match &self.flow.variables[variable].origin {
                    Origin::Reply(path) => Some(&**path),
                    Origin::Made { .. } => None,
                })
                .collect();
            let mut first = at;
            let mut times = 0;
            for before in (0..at).rev() {
                let other = &self.flow.steps[before];
                if other.client != step.client {
                    continue;
                }
                let asked = &self.all[other.exchange];
                let is_same = (&asked.method, &asked.target, &asked.request)
                    == (&exchange.method, &exchange.target, &exchange.request);
                let has = |path: &&[Hop]| {
                    self.values.got[other.exchange]
                        .iter()
                        .any(|got| got.path == **path && !is_empty(got))
                };
                if !is_same
                    || !asked.is_success()
                    || !other.gives.is_empty()
                    || paths.iter().all(has)
                {
                    break;
                }
                first = before;
                times += 1;
                folded.insert(before);
            }
            let is_list = paths
                .iter()
                .any(|path| path.iter().any(|hop| matches!(hop, Hop::Row(_))));
            if times > 0 || (is_list && exchange.method == "GET") {
                let began = self.all[self.flow.steps[first].exchange].began_us;
                let every = match times {
                    0 => EVERY_US,
                    _ => (exchange.began_us - began) / times,
                };
                let pause = self.flow.steps[first].pause_us;
                let (uses, makes) = (
                    self.flow.steps[first].uses.clone(),
                    self.flow.steps[first].makes.clone(),
                );
                let step = &mut self.flow.steps[at];
                step.every_us = Some(every.clamp(10_000, PAUSE_US));
                step.pause_us = pause;
                step.uses.extend(uses);
                if first != at {
                    step.makes.extend(makes);
                }
            }
        }
        folded
    }
}

fn is_empty(got: &Got) -> bool {
    got.text.is_empty() || (got.is_integer && got.text == "0")
}

/// `ann@example.com` -> `ann`, `@example.com`; `team-7` -> `team`: what is made unique, and what comes
/// after it.
fn parted(text: &str) -> (String, String) {
    let at = text
        .find('@')
        .or_else(|| text.rfind('.'))
        .filter(|at| *at > 0);
    let (name, suffix) = text.split_at(at.unwrap_or(text.len()));
    let word: String = name
        .chars()
        .take_while(|letter| letter.is_alphabetic())
        .take(20)
        .collect();
    let prefix = match word.is_empty() {
        true => "made".to_owned(),
        false => word,
    };
    (prefix, suffix.to_owned())
}

fn is_id(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["id", "key", "number", "no", "seq", "cursor"]
        .iter()
        .any(|end| name == *end || name.ends_with(&format!("_{end}")))
        || name.ends_with("id")
}

/// Whether an integer that came as `field` is what is sent here.
fn is_same(field: &str, sent: &Sent) -> bool {
    let is_path = matches!(sent.place, Place::Segment(_));
    let Ok(number) = sent.text.parse::<u64>() else {
        return !sent.is_integer;
    };
    match () {
        () if number < 2 => false,
        () if is_id(field) => {
            is_path
                || is_id(&sent.name)
                || (number >= 10 && matches!(sent.place, Place::Query(_)))
                || number >= 1_000 && field == sent.name
        }
        () => number >= 1_000 && field == sent.name,
    }
}

/// Whether what a reply had can be what is sent.
fn fits(got: &Got, sent: &Sent) -> bool {
    if got.is_integer {
        return is_same(got.name(), sent);
    }
    // A plain word may be there by chance, unless it goes by the same name.
    let is_word = got.text.chars().all(|letter| letter.is_ascii_alphabetic());
    got.text.len() >= 4 && (!is_word || got.text.len() >= 12 || got.name() == sent.name)
}

impl Step {
    /// What is the same in flows that are of one kind.
    pub(super) fn shape(&self, all: &[Exchange]) -> String {
        let exchange = &all[self.exchange];
        format!(
            "{} {} {}",
            self.client,
            exchange.route(),
            exchange.is_success()
        )
    }
}

/// Whether a script can read fields of a reply.
pub(super) fn is_message(payload: &Payload) -> bool {
    matches!(payload, Payload::Message { .. })
}
