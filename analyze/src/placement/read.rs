//! PLAN.toml, and what a measured run adds to it, to a plan in which everything is known.

use std::fmt;
use std::net::IpAddr;

use isukit_proto::nearest;
use thiserror::Error;
use toml::de::{DeTable, DeValue};

use super::evidence::Evidence;
use super::limits::{CALLS, CURVE_POINTS, NAME_BYTES, NODES, PLAN_BYTES, SERVICES};
use super::plan::{Call, Node, Placement, Plan, Pool, Service, find, is_plain};

/// Nodes and memory beyond these are mistakes in a unit.
const MOST_CORES: f64 = 4096.0;
const MOST_MB: f64 = 1e8;
const MOST_MS: f64 = 1e7;

/// Sets of nodes that one service may choose from.
const MOST_SETS: f64 = 5000.0;

/// A plan that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Something in the file is wrong.
    #[error("{file}:{line}:{column}: {message}")]
    Invalid {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What is wrong, and the remedy.
        message: String,
    },
    /// The file is wrong as a whole.
    #[error("{file}: {message}")]
    File {
        /// The file.
        file: String,
        /// What is wrong, and the remedy.
        message: String,
    },
}

type Result<T> = std::result::Result<T, PlanError>;

/// Reads a plan. What it does not say, the evidence has to: cores and memory of nodes, demand and
/// memory of services.
///
/// # Errors
///
/// [`PlanError`], with the place in the file and the remedy.
pub fn read(file: &str, text: &str, evidence: &Evidence) -> Result<Plan> {
    let source = Source { file, text };
    if text.len() > PLAN_BYTES {
        return Err(source.whole(format!("it has more than {PLAN_BYTES} bytes")));
    }
    let parsed = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        source.error(at, error.message())
    })?;
    let top = Table {
        source,
        name: "the plan".to_owned(),
        at: 0,
        table: parsed.get_ref(),
    };
    top.only(&[
        "node",
        "service",
        "call",
        "headroom",
        "survive_node_failure",
        "current",
    ])?;
    let mut plan = Plan {
        headroom: match top.get("headroom") {
            Some(value) => value.number(0.0, 0.95)?,
            None => 0.0,
        },
        survive_node_failure: match top.get("survive_node_failure") {
            Some(value) => value.boolean()?,
            None => false,
        },
        ..Plan::default()
    };
    let given = nodes(&top, evidence, &mut plan)?;
    let tables = top.tables("service", SERVICES)?;
    services(&tables, evidence, &mut plan)?;
    leave_to_others(evidence, &given, &mut plan);
    if plan.services.is_empty() {
        return Err(source.whole("there is no [[service]]; write one with a name and a demand_ms"));
    }
    relations(&tables, &mut plan)?;
    calls(&top, &mut plan)?;
    if let Some(value) = top.get("current") {
        plan.current = Some(current(&value, &plan)?);
    }
    Ok(plan)
}

/// What a plan says itself of a node, whatever was seen.
#[derive(Default)]
struct Given {
    background_cores: bool,
    memory_mb: bool,
}

/// Reads the nodes, and what the plan says itself of each.
fn nodes(top: &Table<'_>, evidence: &Evidence, plan: &mut Plan) -> Result<Vec<Given>> {
    let mut given = Vec::new();
    for table in top.tables("node", NODES)? {
        table.only(&["name", "cores", "memory_mb", "background_cores", "address"])?;
        let name = table.name(plan.nodes.iter().map(|node| node.name.as_str()), "node")?;
        let seen = evidence.nodes.iter().find(|node| node.name == name);
        let figure = |key: &str, most: f64, seen: Option<f64>| match (table.get(key), seen) {
            (Some(value), _) => value.positive(most),
            (None, Some(seen)) if seen > 0.0 => Ok(seen),
            (None, _) => Err(table.error(format!(
                "node `{name}` has no `{key}`; write one, or give its --probe"
            ))),
        };
        let node = Node {
            cores: figure("cores", MOST_CORES, seen.map(|node| node.cores))?,
            memory_mb: figure("memory_mb", MOST_MB, seen.map(|node| node.memory_mb))?,
            background_cores: match table.get("background_cores") {
                Some(value) => value.number(0.0, MOST_CORES)?,
                None => seen.map_or(0.0, |node| node.background_cores),
            },
            address: table
                .get("address")
                .map(|value| value.address())
                .transpose()?,
            name,
        };
        plan.nodes.push(node);
        given.push(Given {
            background_cores: table.get("background_cores").is_some(),
            memory_mb: table.get("memory_mb").is_some(),
        });
    }
    if plan.nodes.is_empty() {
        // Nodes that were probed need not be written down again.
        for node in evidence.nodes.iter().take(NODES) {
            if !is_plain(&node.name) {
                return Err(top.source.whole(format!(
                    "a node that was probed is named '{}', which is no name for a plan: write its probe \
                     with another, or [[node]] for all",
                    node.name.escape_debug()
                )));
            }
            if node.cores <= 0.0 || node.memory_mb <= 0.0 {
                return Err(top.source.whole(format!(
                    "the probe of {} could not read its cores or its memory: write [[node]] for all",
                    node.name
                )));
            }
            plan.nodes.push(node.clone());
            given.push(Given::default());
        }
    }
    if plan.nodes.is_empty() {
        return Err(top.source.whole(
            "there is no [[node]]; write one with name, cores and memory_mb, or give --probe",
        ));
    }
    Ok(given)
}

/// What services that are not in the plan used is not there for those that are.
fn leave_to_others(evidence: &Evidence, given: &[Given], plan: &mut Plan) {
    for (at, given) in given.iter().enumerate() {
        let (cores, memory_mb) = evidence.used_by_others(&plan.nodes[at].name, plan);
        let node = &mut plan.nodes[at];
        if !given.background_cores {
            node.background_cores = (node.background_cores + cores).min(node.cores * 0.95);
        }
        if !given.memory_mb {
            node.memory_mb = (node.memory_mb - memory_mb).max(0.0);
        }
    }
}

fn services(tables: &[Table<'_>], evidence: &Evidence, plan: &mut Plan) -> Result<()> {
    for table in tables {
        table.only(&[
            "name",
            "demand_ms",
            "memory_mb",
            "max_replicas",
            "threads_max",
            "pinned_to",
            "together_with",
            "apart_from",
            "pool",
            "port",
        ])?;
        let name = table.name(plan.services.iter().map(|it| it.name.as_str()), "service")?;
        let seen = evidence
            .services
            .iter()
            .find(|service| service.name == name);
        let pool = table
            .get("pool")
            .map(|value| read_pool(&value))
            .transpose()?;
        let mut service = Service {
            p90_cores: seen.map(|seen| seen.p90_cores),
            ..Service::default()
        };
        match (
            table.get("demand_ms"),
            seen.and_then(|seen| seen.demand_ms),
            &pool,
        ) {
            (Some(value), _, Some(_)) => {
                return Err(value.error(
                    "a service with a `pool` has its `demand_ms` from the curve of that; leave one of them out",
                ));
            }
            (Some(value), _, None) => service.demand_ms = value.number(0.0, MOST_MS)?,
            // How well the curve holds is not what a measured demand could tell.
            (None, _, Some(pool)) => service.demand_ms = pool.demand_ms(pool.max_mb),
            (None, Some(demand), None) => {
                service.demand_ms = demand;
                service.demand_error = seen.and_then(|seen| seen.demand_error);
            }
            (None, None, None) => {
                return Err(table.error(format!(
                    "service `{name}` has no `demand_ms`; write its CPU milliseconds a request, or give \
                     --run and --probe of a run with a service of that name{}",
                    others(evidence, &name)
                )));
            }
        }
        let seen_mb = seen.and_then(|seen| seen.memory_mb);
        let seen_pool_mb = seen.and_then(|seen| seen.pool_mb);
        service.memory_mb = match (table.get("memory_mb"), seen_mb, &pool, seen_pool_mb) {
            (Some(value), ..) => value.number(0.0, MOST_MB)?,
            (None, Some(seen), None, _) => seen,
            // What was seen holds the pool as it was then.
            (None, Some(seen), Some(_), Some(pool_mb)) => (seen - pool_mb).max(0.0),
            (None, Some(_), Some(_), None) => {
                return Err(table.error(format!(
                    "the probes do not tell how large the pool of `{name}` was, so that its other memory is not \
                     known; write that as `memory_mb`"
                )));
            }
            (None, None, ..) => {
                return Err(table.error(format!(
                    "service `{name}` has no `memory_mb`; write how much it needs, or give its --probe{}",
                    others(evidence, &name)
                )));
            }
        };
        if let Some(value) = table.get("max_replicas") {
            service.max_replicas = value.count(1, NODES)?;
        }
        if let Some(value) = table.get("threads_max") {
            service.threads_max = value.positive(MOST_CORES)?;
        }
        if let Some(value) = table.get("port") {
            service.port = u16::try_from(value.count(1, 65_535)?).ok();
        }
        if let Some(value) = table.get("pinned_to") {
            for (item, name) in value.names()? {
                let known = plan.nodes.iter().map(|node| node.name.as_str());
                let node = find(name, known, "node").map_err(|why| item.error(why))?;
                if !service.pinned_to.contains(&node) {
                    service.pinned_to.push(node);
                }
            }
            if service.pinned_to.is_empty() {
                return Err(value.error("`pinned_to` names no node; leave it out to allow all"));
            }
        }
        if pool.is_some() && service.max_replicas > 1 {
            return Err(table.error(format!(
                "service `{name}` has a `pool` and more than one replica; a pool is predicted for one"
            )));
        }
        let choices = sets(plan.nodes.len(), service.max_replicas);
        if choices > MOST_SETS {
            return Err(table.error(format!(
                "service `{name}` could be on {choices:.0} sets of nodes; lower `max_replicas`"
            )));
        }
        service.pool = pool;
        service.name = name;
        plan.services.push(service);
    }
    Ok(())
}

/// How many sets of 1 to `most` of `nodes` there are.
fn sets(nodes: usize, most: usize) -> f64 {
    let (mut all, mut choose) = (0.0, 1.0);
    for size in 1..=most.min(nodes) {
        choose *= (nodes - size + 1) as f64 / size as f64;
        all += choose;
    }
    all
}

/// What was seen instead of a service.
fn others(evidence: &Evidence, name: &str) -> String {
    if evidence.absent.iter().any(|absent| absent == name) {
        return format!("; {name} was watched and never seen running");
    }
    let names: Vec<&str> = evidence
        .services
        .iter()
        .take(12)
        .map(|it| it.name.as_str())
        .collect();
    match names.is_empty() {
        true => String::new(),
        false => format!("; seen were {}", names.join(", ")),
    }
}

fn read_pool(value: &Value<'_>) -> Result<Pool> {
    let table = value.table(
        "`pool`",
        "{ min_mb = 64, max_mb = 1024, curve = [[64, 12.0], [512, 8.0]] }",
    )?;
    table.only(&["min_mb", "max_mb", "curve"])?;
    let size = |key: &str| match table.get(key) {
        Some(value) => value.positive(MOST_MB),
        None => Err(table.error(format!("`pool` has no `{key}`"))),
    };
    let (min_mb, max_mb) = (size("min_mb")?, size("max_mb")?);
    if min_mb > max_mb {
        return Err(table.error("`min_mb` of the pool is more than its `max_mb`"));
    }
    let Some(points) = table.get("curve") else {
        return Err(table.error(
            "`pool` has no `curve`; write the demand at some sizes: curve = [[64, 12.0], [512, 8.0]], each MiB \
             and CPU milliseconds a request",
        ));
    };
    let mut curve: Vec<(f64, f64)> = Vec::new();
    for point in points.array(CURVE_POINTS)? {
        let [size, demand] = point.array(2)?[..] else {
            return Err(point.error("a point of a curve is [MiB, CPU milliseconds a request]"));
        };
        let (size, demand) = (size.positive(MOST_MB)?, demand.number(0.0, MOST_MS)?);
        if let Some((before, above)) = curve.last() {
            if size <= *before {
                return Err(point.error("sizes of a curve must rise"));
            }
            if demand > *above {
                return Err(
                    point.error("the demand of a curve must not rise with the size of the pool")
                );
            }
        }
        curve.push((size, demand));
    }
    if curve.is_empty() {
        return Err(points.error("a curve has at least one point"));
    }
    Ok(Pool {
        min_mb,
        max_mb,
        curve,
    })
}

/// Which services go together and which must not, both ways, and whether that can be.
fn relations(tables: &[Table<'_>], plan: &mut Plan) -> Result<()> {
    let count = plan.services.len();
    let names: Vec<String> = plan.services.iter().map(|it| it.name.clone()).collect();
    let mut group: Vec<usize> = (0..count).collect();
    let mut apart: Vec<(usize, usize, usize)> = Vec::new();
    for (at, table) in tables.iter().enumerate() {
        for key in ["together_with", "apart_from"] {
            let Some(value) = table.get(key) else {
                continue;
            };
            for (item, name) in value.names()? {
                let known = names.iter().map(String::as_str);
                let other = find(name, known, "service").map_err(|why| item.error(why))?;
                if other == at {
                    return Err(item.error(format!("`{name}` cannot be in its own `{key}`")));
                }
                if key == "together_with" {
                    let (from, to) = (group[other], group[at]);
                    group
                        .iter_mut()
                        .filter(|it| **it == from)
                        .for_each(|it| *it = to);
                } else {
                    apart.push((at, other, item.at));
                }
            }
        }
    }
    for (one, other, place) in &apart {
        if group[*one] == group[*other] {
            return Err(tables[*one].source.error(
                *place,
                format!(
                    "`{}` and `{}` must be apart, and together by `together_with`; take one of the two away",
                    names[*one], names[*other]
                ),
            ));
        }
    }
    for at in 0..count {
        let together = |other: &usize| *other != at && group[*other] == group[at];
        plan.services[at].together_with = (0..count).filter(together).collect();
        let pairs = apart
            .iter()
            .flat_map(|(one, other, _)| [(*one, *other), (*other, *one)]);
        let mut strangers: Vec<usize> = pairs
            .filter(|(one, _)| *one == at)
            .map(|(_, other)| other)
            .collect();
        strangers.sort_unstable();
        strangers.dedup();
        plan.services[at].apart_from = strangers;
    }
    pins(tables, plan)
}

/// Whether services that go together have a node that all of them may be on.
fn pins(tables: &[Table<'_>], plan: &Plan) -> Result<()> {
    for (at, service) in plan.services.iter().enumerate() {
        let others = service.together_with.iter().chain([&at]);
        let allowed = (0..plan.nodes.len()).filter(|node| {
            others.clone().all(|other| {
                let pinned = &plan.services[*other].pinned_to;
                pinned.is_empty() || pinned.contains(node)
            })
        });
        let (allowed, others) = (allowed.count(), &plan.services[at].together_with);
        if allowed == 0 {
            let names: Vec<&str> = others
                .iter()
                .map(|it| plan.services[*it].name.as_str())
                .collect();
            return Err(tables[at].error(format!(
                "`{}` belongs together with {}, and no node is allowed to all of them by `pinned_to`",
                service.name,
                names.join(", ")
            )));
        }
        if plan.survive_node_failure && (allowed < 2 || service.max_replicas < 2) {
            return Err(tables[at].error(format!(
                "`{}` cannot survive the loss of its node: it needs `max_replicas` of 2 or more, and as many \
                 nodes that it may be on",
                service.name
            )));
        }
    }
    Ok(())
}

fn calls(top: &Table<'_>, plan: &mut Plan) -> Result<()> {
    for table in top.tables("call", CALLS)? {
        table.only(&["from", "to", "per_request"])?;
        let names = || plan.services.iter().map(|it| it.name.as_str());
        let service = |key: &str| -> Result<Option<usize>> {
            let Some(value) = table.get(key) else {
                return Ok(None);
            };
            let name = value.string()?;
            find(name, names(), "service")
                .map(Some)
                .map_err(|why| value.error(why))
        };
        let from = match table.get("from") {
            Some(value) if value.string()? == "client" => None,
            _ => service("from")?,
        };
        let Some(to) = service("to")? else {
            return Err(table.error("a [[call]] has no `to`; write the service that is called"));
        };
        if from == Some(to) {
            return Err(
                table.error("a service that calls itself crosses no network; leave this call out")
            );
        }
        let per_request = match table.get("per_request") {
            Some(value) => value.number(0.0, 1e6)?,
            None => 1.0,
        };
        let call = Call {
            from,
            to,
            per_request,
        };
        if leads_back(plan, &call) {
            return Err(table.error(format!(
                "this call closes a circle: `{}` is called by what it calls; requests go one way",
                plan.services[to].name
            )));
        }
        plan.calls.push(call);
    }
    Ok(())
}

/// Whether a call leads to a service from which its own caller is reached.
fn leads_back(plan: &Plan, call: &Call) -> bool {
    let Some(from) = call.from else { return false };
    let mut seen = vec![false; plan.services.len()];
    let mut open = vec![call.to];
    while let Some(at) = open.pop() {
        if at == from {
            return true;
        }
        if std::mem::replace(&mut seen[at], true) {
            continue;
        }
        open.extend(
            plan.calls
                .iter()
                .filter(|it| it.from == Some(at))
                .map(|it| it.to),
        );
    }
    false
}

/// `current = "web=s1 db=s2"`, or a table of the same.
fn current(value: &Value<'_>, plan: &Plan) -> Result<Placement> {
    let text = match value.value {
        DeValue::String(text) => text.to_string(),
        DeValue::Table(table) => {
            let mut words = Vec::new();
            for (service, homes) in table {
                let homes = Value {
                    at: homes.span().start,
                    value: homes.get_ref(),
                    ..*value
                };
                let homes: Vec<&str> = homes.names()?.into_iter().map(|(_, home)| home).collect();
                words.push(format!("{}={}", service.get_ref(), homes.join(",")));
            }
            words.join(";")
        }
        _ => {
            return Err(
                value.error("write current = \"web=s1 db=s2\", or a table of services and nodes")
            );
        }
    };
    plan.read_assignment(&text).map_err(|why| value.error(why))
}

/// The file that is read.
#[derive(Debug, Clone, Copy)]
struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn error(&self, offset: usize, message: impl fmt::Display) -> PlanError {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        PlanError::Invalid {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            message: message.to_string(),
        }
    }

    fn whole(&self, message: impl fmt::Display) -> PlanError {
        PlanError::File {
            file: self.file.to_owned(),
            message: message.to_string(),
        }
    }
}

struct Table<'a> {
    source: Source<'a>,
    name: String,
    at: usize,
    table: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    fn error(&self, message: impl fmt::Display) -> PlanError {
        self.source.error(self.at, message)
    }

    fn get(&self, key: &str) -> Option<Value<'a>> {
        let (key, value) = self.table.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(Value {
            source: self.source,
            key: key.get_ref(),
            at: value.span().start,
            value: value.get_ref(),
        })
    }

    fn only(&self, known: &[&str]) -> Result<()> {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let remedy = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it takes {}", known.join(", ")),
            };
            let message = format!(
                "unknown key `{}` in {}; {remedy}",
                name.escape_debug(),
                self.name
            );
            return Err(self.source.error(key.span().start, message));
        }
        Ok(())
    }

    /// The tables `[[key]]`.
    fn tables(&self, key: &str, most: usize) -> Result<Vec<Table<'a>>> {
        let Some(value) = self.get(key) else {
            return Ok(Vec::new());
        };
        let elements = value.array(most)?;
        elements
            .into_iter()
            .map(|it| it.table(&format!("[[{key}]]"), ""))
            .collect()
    }

    /// Its name, which nothing else of its kind has.
    fn name<'n>(&self, mut known: impl Iterator<Item = &'n str>, what: &str) -> Result<String> {
        let Some(value) = self.get("name") else {
            return Err(self.error(format!("this {what} has no `name`")));
        };
        let name = value.plain()?;
        if known.any(|it| it == name) {
            return Err(value.error(format!("there are two of the {what} `{name}`")));
        }
        Ok(name)
    }
}

#[derive(Clone, Copy)]
struct Value<'a> {
    source: Source<'a>,
    key: &'a str,
    at: usize,
    value: &'a DeValue<'a>,
}

impl<'a> Value<'a> {
    fn error(&self, message: impl fmt::Display) -> PlanError {
        self.source.error(self.at, message)
    }

    fn must(&self, what: &str) -> PlanError {
        self.error(format!("`{}` must be {what}", self.key.escape_debug()))
    }

    fn string(&self) -> Result<&'a str> {
        self.value.as_str().ok_or_else(|| self.must("a string"))
    }

    /// A name that means the same wherever it is written.
    fn plain(&self) -> Result<String> {
        let name = self.string()?;
        if !is_plain(name) {
            return Err(self.error(format!(
                "a name is of letters, digits and -_.@, begins with one of the first two, and has \
                 at most {NAME_BYTES} of them"
            )));
        }
        Ok(name.to_owned())
    }

    fn boolean(&self) -> Result<bool> {
        self.value
            .as_bool()
            .ok_or_else(|| self.must("true or false"))
    }

    fn number(&self, least: f64, most: f64) -> Result<f64> {
        let number = match self.value {
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .ok()
                .map(|it| it as f64),
            DeValue::Float(float) => float.as_str().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| self.must(&format!("a number from {least} to {most}")))
    }

    fn positive(&self, most: f64) -> Result<f64> {
        let number = self.number(0.0, most)?;
        match number > 0.0 {
            true => Ok(number),
            false => Err(self.must("more than 0")),
        }
    }

    fn count(&self, least: usize, most: usize) -> Result<usize> {
        let number = self.number(least as f64, most as f64)?;
        match number.fract() == 0.0 {
            true => Ok(number as usize),
            false => Err(self.must("a whole number")),
        }
    }

    fn array(&self, most: usize) -> Result<Vec<Value<'a>>> {
        let DeValue::Array(array) = self.value else {
            return Err(self.must("an array"));
        };
        if array.len() > most {
            return Err(self.must(&format!("an array of at most {most}")));
        }
        let element = |value: &'a toml::Spanned<DeValue<'a>>| Value {
            at: value.span().start,
            value: value.get_ref(),
            ..*self
        };
        Ok(array.iter().map(element).collect())
    }

    /// A name, or an array of names.
    /// A name or an IP address, of either version.
    fn address(&self) -> Result<String> {
        match self.string()?.parse::<IpAddr>() {
            Ok(address) => Ok(address.to_string()),
            Err(_) => self.plain(),
        }
    }

    fn names(&self) -> Result<Vec<(Value<'a>, &'a str)>> {
        if let Some(one) = self.value.as_str() {
            return Ok(vec![(*self, one)]);
        }
        let many = self.array(SERVICES.max(NODES))?;
        many.into_iter().map(|it| Ok((it, it.string()?))).collect()
    }

    fn table(&self, name: &str, example: &str) -> Result<Table<'a>> {
        let DeValue::Table(table) = self.value else {
            return Err(self.must(&format!("a table {example}")));
        };
        Ok(Table {
            source: self.source,
            name: name.to_owned(),
            at: self.at,
            table,
        })
    }
}
