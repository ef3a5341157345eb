//! The report of a placement: for people, for a pull request, for programs (`isukit.place/1`).

use std::fmt::Write;

use serde::Serialize;

use super::advice::{Step, in_the_way, limit, reasons, steps};
use super::model::{Prediction, predict};
use super::plan::{Placement, Plan};
use super::search::{are_equal, rank};
use crate::report::{Align, Table, TableStyle};

/// Name and version of the JSON form.
pub const SCHEMA: &str = "isukit.place/1";

/// Standard errors on both sides that hold 95 of 100 values of a normal distribution.
const NINETY_FIVE: f64 = 1.96;

/// What was found.
#[derive(Debug, Clone)]
pub struct Report {
    /// The plan with everything that was measured.
    pub plan: Plan,
    /// The placements, the best first, or those that were asked for.
    pub placements: Vec<Prediction>,
    /// Whether they were asked for, and so are in no order.
    pub were_given: bool,
    /// Whether nothing can be better than the first.
    pub is_proven: bool,
    /// Requests a second that no placement can exceed.
    pub bound: f64,
    /// How many other placements give the same throughput as the first, as far as they were kept.
    pub ties: usize,
    /// Nodes that differ in nothing but their names.
    pub alike: Vec<Vec<usize>>,
    /// Where things are now.
    pub current: Option<Prediction>,
    /// What would raise the throughput next.
    pub steps: Vec<Step>,
    /// Why there is no placement.
    pub in_the_way: Vec<String>,
    /// What a person should know of the evidence.
    pub notes: Vec<String>,
}

impl Report {
    /// Finds the best placements.
    pub fn of_best(plan: Plan, top: usize, notes: Vec<String>) -> Self {
        // One more, as the runner-up belongs to the first.
        let ranking = rank(&plan, top.max(2));
        let best = ranking.placements.first();
        let next = best.map(|best| steps(&plan, best)).unwrap_or_default();
        let in_the_way = if best.is_none() {
            in_the_way(&plan)
        } else {
            Vec::new()
        };
        Self {
            current: plan
                .current
                .as_ref()
                .map(|placement| predict(&plan, placement)),
            placements: ranking.placements,
            were_given: false,
            is_proven: ranking.is_proven,
            bound: ranking.bound,
            ties: ranking.ties,
            alike: ranking.alike,
            steps: next,
            in_the_way,
            notes,
            plan,
        }
    }

    /// Predicts placements that are given.
    pub fn of_given(plan: Plan, given: &[Placement], notes: Vec<String>) -> Self {
        Self {
            placements: given
                .iter()
                .map(|placement| predict(&plan, placement))
                .collect(),
            current: plan
                .current
                .as_ref()
                .map(|placement| predict(&plan, placement)),
            were_given: true,
            is_proven: false,
            bound: f64::INFINITY,
            ties: 0,
            alike: Vec::new(),
            steps: Vec::new(),
            in_the_way: Vec::new(),
            notes,
            plan,
        }
    }

    /// Whether there is a placement that is possible.
    pub fn is_feasible(&self) -> bool {
        self.placements.iter().any(Prediction::is_feasible)
    }

    /// The report for people, `top` placements of it, or all that were asked for.
    pub fn text(&self, style: TableStyle, top: usize) -> String {
        let top = match self.were_given {
            true => self.placements.len(),
            false => top,
        };
        let mut out = String::new();
        let markdown = style == TableStyle::Markdown;
        let head = |text: &str| match markdown {
            true => format!("\n## {text}\n\n"),
            false => format!("\n{text}\n"),
        };
        self.first_words(&mut out);
        if !self.placements.is_empty() {
            out.push_str(&head("placements"));
            out.push_str(&self.table(style, top));
        }
        let item = if markdown { "- " } else { "  " };
        let mut list = |title: &str, lines: Vec<String>| {
            if !lines.is_empty() {
                out.push_str(&head(title));
                for line in lines {
                    let _ = writeln!(out, "{item}{line}");
                }
            }
        };
        for (at, found) in self.placements.iter().enumerate().take(top.max(1)) {
            if !found.impossible.is_empty() {
                list(
                    &format!("why {} is not possible", at + 1),
                    found.impossible.clone(),
                );
            }
        }
        if let Some(best) = self.placements.first().filter(|best| best.is_feasible()) {
            if !self.were_given {
                list(
                    "why there (each service moved alone)",
                    reasons(&self.plan, best),
                );
            }
            list("nodes", self.nodes(best));
        }
        list(
            "what would raise it next (services placed anew)",
            self.next_lines(),
        );
        list("notes", self.notes.clone());
        out
    }

    fn first_words(&self, out: &mut String) {
        if self.were_given {
            let _ = writeln!(out, "{} placements as given", self.placements.len());
        } else if let Some(best) = self.placements.first() {
            let _ = writeln!(
                out,
                "best: {}\n      {} requests/s at most{}, limited by {}",
                assignment(&self.plan, &best.placement),
                rps(best.rps),
                interval(best).map_or_else(String::new, |(low, high)| {
                    format!(" ({} to {} in 95 of 100)", rps(low), rps(high))
                }),
                limit(&self.plan, &best.bottleneck)
            );
            let second = self.placements.get(1);
            let why = match second.is_some_and(|it| are_equal(&self.plan, best, it)) {
                true => "nothing else tells them apart",
                false => {
                    "this one is first for what else counts: room on other nodes, calls between nodes, copies"
                }
            };
            let _ = match self.ties {
                0 => Ok(()),
                1 => writeln!(out, "      another placement gives the same; {why}"),
                count => writeln!(out, "      {count} other placements give the same; {why}"),
            };
            for nodes in &self.alike {
                let names = nodes
                    .iter()
                    .map(|node| self.plan.nodes[*node].name.as_str());
                let names = names.collect::<Vec<&str>>().join(" and ");
                let _ = writeln!(out, "      {names} are alike: they can be exchanged");
            }
            if let Some(left) = best.worst_failure_rps {
                let _ = writeln!(
                    out,
                    "      {} requests/s when the worst node is lost",
                    rps(left)
                );
            }
            if !self.is_proven {
                let more = (self.bound / best.rps - 1.0) * 100.0;
                let _ = writeln!(
                    out,
                    "      the search was cut short: another one may give up to {more:.1}% more, hardly all of it"
                );
            }
        } else {
            out.push_str("no placement is possible; in the way is\n");
            for why in &self.in_the_way {
                let _ = writeln!(out, "  {why}");
            }
        }
        if let Some(current) = &self.current {
            let now = assignment(&self.plan, &current.placement);
            let best = self.placements.first().filter(|_| !self.were_given);
            let _ = match (current.is_feasible(), best) {
                (true, None) => writeln!(
                    out,
                    "now:  {now}\n      {} requests/s, limited by {}",
                    rps(current.rps),
                    limit(&self.plan, &current.bottleneck)
                ),
                (true, Some(best)) => writeln!(
                    out,
                    "now:  {now}\n      {} requests/s, limited by {}: {:+.0}% by moving",
                    rps(current.rps),
                    limit(&self.plan, &current.bottleneck),
                    (best.rps / current.rps - 1.0) * 100.0
                ),
                _ => writeln!(
                    out,
                    "now:  {now}\n      not possible: {}",
                    current.impossible.join("; ")
                ),
            };
        }
    }

    fn table(&self, style: TableStyle, top: usize) -> String {
        let nodes = self
            .plan
            .nodes
            .iter()
            .map(|node| (node.name.clone(), Align::Right));
        let columns = [
            ("#", Align::Right),
            ("requests/s", Align::Right),
            ("±", Align::Right),
        ];
        let columns = columns
            .map(|(name, align)| (name.to_owned(), align))
            .into_iter();
        let last = [("limit", Align::Left), ("placement", Align::Left)];
        let last = last.map(|(name, align)| (name.to_owned(), align));
        let mut table = Table::new(columns.chain(nodes).chain(last));
        for (at, found) in self.placements.iter().enumerate().take(top) {
            let error = found
                .error
                .map(|error| format!("{:.1}%", error * NINETY_FIVE * 100.0));
            let limited = match found.is_feasible() {
                true => limit(&self.plan, &found.bottleneck),
                false => "not possible".to_owned(),
            };
            let busy = found
                .utilisation
                .iter()
                .map(|busy| format!("{:.0}%", busy * 100.0));
            let cells = [
                (at + 1).to_string(),
                rps(found.rps),
                error.unwrap_or_default(),
            ];
            let placement = assignment(&self.plan, &found.placement);
            table.row(cells.into_iter().chain(busy).chain([limited, placement]));
        }
        table.render(style)
    }

    fn nodes(&self, best: &Prediction) -> Vec<String> {
        let node = |(at, node): (usize, &super::plan::Node)| {
            format!(
                "{}: {:.0}% of {} cores, {:.0} of {:.0} MB",
                node.name,
                best.utilisation[at] * 100.0,
                tidy(node.cores),
                best.memory_mb[at],
                node.memory_mb
            )
        };
        self.plan.nodes.iter().enumerate().map(node).collect()
    }

    fn next_lines(&self) -> Vec<String> {
        let line = |step: &Step| {
            format!(
                "{}: {:+.0}%, to {}; then {} is the limit",
                step.what,
                step.gain * 100.0,
                rps(step.rps),
                step.then
            )
        };
        self.steps.iter().map(line).collect()
    }

    /// The report as `isukit.place/1`.
    pub fn json(&self, top: usize) -> Json {
        let count = if self.were_given {
            self.placements.len()
        } else {
            top
        };
        let placements = self.placements.iter().take(count).enumerate();
        Json {
            schema: SCHEMA,
            nodes: self
                .plan
                .nodes
                .iter()
                .map(|node| JsonNode {
                    name: node.name.clone(),
                    cores: node.cores,
                    memory_mb: node.memory_mb,
                    background_cores: node.background_cores,
                })
                .collect(),
            services: self
                .plan
                .services
                .iter()
                .map(|service| JsonService {
                    name: service.name.clone(),
                    demand_ms: service.demand_ms,
                    demand_error: service.demand_error,
                    memory_mb: service.memory_mb,
                })
                .collect(),
            placements: placements
                .map(|(at, found)| {
                    let why = at == 0 && !self.were_given && found.is_feasible();
                    let reasons = if why {
                        reasons(&self.plan, found)
                    } else {
                        found.impossible.clone()
                    };
                    self.json_placement(at + 1, found, reasons)
                })
                .collect(),
            current: self
                .current
                .as_ref()
                .map(|now| self.json_placement(0, now, now.impossible.clone())),
            ties: self.ties,
            proven: self.is_proven,
            bound_rps: Some(self.bound).filter(|bound| bound.is_finite()),
            next: self
                .steps
                .iter()
                .map(|step| JsonStep {
                    what: step.what.clone(),
                    predicted_rps: step.rps,
                    gain: step.gain,
                    then: step.then.clone(),
                })
                .collect(),
            in_the_way: self.in_the_way.clone(),
            notes: self.notes.clone(),
        }
    }

    fn json_placement(
        &self,
        rank: usize,
        found: &Prediction,
        reasons: Vec<String>,
    ) -> JsonPlacement {
        let plan = &self.plan;
        let names = |values: &[f64]| {
            let nodes = plan.nodes.iter().map(|node| node.name.clone());
            nodes.zip(values.iter().copied()).collect()
        };
        let homes = |homes: &Vec<(usize, f64)>| {
            let home = |(node, weight): &(usize, f64)| JsonHome {
                node: plan.nodes[*node].name.clone(),
                weight: *weight,
            };
            homes.iter().map(home).collect()
        };
        let services = plan.services.iter().map(|service| service.name.clone());
        JsonPlacement {
            rank,
            assign: services
                .zip(found.placement.services.iter().map(homes))
                .collect(),
            assignment: assignment(plan, &found.placement),
            // Without any demand there is no number to give.
            predicted_rps: found.rps.is_finite().then_some(found.rps),
            interval: interval(found),
            bottleneck: limit(plan, &found.bottleneck),
            utilisation: names(&found.utilisation),
            memory_mb: names(&found.memory_mb),
            hops_per_request: found.hops,
            worst_failure_rps: found.worst_failure_rps.filter(|rps| rps.is_finite()),
            feasible: found.is_feasible(),
            reasons,
        }
    }
}

/// A throughput for people.
fn rps(rps: f64) -> String {
    match rps {
        _ if rps.is_infinite() => "unlimited".to_owned(),
        _ if rps < 100.0 => format!("{rps:.1}"),
        _ => format!("{rps:.0}"),
    }
}

/// A figure without needless digits.
fn tidy(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

/// Between which values the throughput lies in 95 of 100 cases, as far as the samples can tell.
fn interval(found: &Prediction) -> Option<(f64, f64)> {
    let error = found.error.filter(|_| found.rps.is_finite())? * NINETY_FIVE;
    Some((
        found.rps * (1.0 - error).max(0.0),
        found.rps * (1.0 + error),
    ))
}

/// A placement in a line: `web=s1:28,s2:72 db=s3`. It can be given again.
pub fn assignment(plan: &Plan, placement: &Placement) -> String {
    let one = |(at, homes): (usize, &Vec<(usize, f64)>)| {
        let homes: Vec<String> = homes
            .iter()
            .map(|(node, weight)| match homes.len() {
                1 => plan.nodes[*node].name.clone(),
                _ => format!(
                    "{}:{}",
                    plan.nodes[*node].name,
                    (weight * 100.0).round().max(1.0)
                ),
            })
            .collect();
        format!("{}={}", plan.services[at].name, homes.join(","))
    };
    let all: Vec<String> = placement.services.iter().enumerate().map(one).collect();
    all.join(" ")
}

/// `isukit.place/1`.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct Json {
    pub schema: &'static str,
    pub nodes: Vec<JsonNode>,
    pub services: Vec<JsonService>,
    pub placements: Vec<JsonPlacement>,
    pub current: Option<JsonPlacement>,
    pub ties: usize,
    pub proven: bool,
    pub bound_rps: Option<f64>,
    pub next: Vec<JsonStep>,
    pub in_the_way: Vec<String>,
    pub notes: Vec<String>,
}

/// A node of the plan.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct JsonNode {
    pub name: String,
    pub cores: f64,
    pub memory_mb: f64,
    pub background_cores: f64,
}

/// A service of the plan.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct JsonService {
    pub name: String,
    pub demand_ms: f64,
    pub demand_error: Option<f64>,
    pub memory_mb: f64,
}

/// A placement and what it does.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct JsonPlacement {
    pub rank: usize,
    pub assign: std::collections::BTreeMap<String, Vec<JsonHome>>,
    pub assignment: String,
    pub predicted_rps: Option<f64>,
    pub interval: Option<(f64, f64)>,
    pub bottleneck: String,
    pub utilisation: std::collections::BTreeMap<String, f64>,
    pub memory_mb: std::collections::BTreeMap<String, f64>,
    pub hops_per_request: f64,
    pub worst_failure_rps: Option<f64>,
    pub feasible: bool,
    pub reasons: Vec<String>,
}

/// A node of a service and which share of its work is done there.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct JsonHome {
    pub node: String,
    pub weight: f64,
}

/// What would raise the throughput.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct JsonStep {
    pub what: String,
    pub predicted_rps: f64,
    pub gain: f64,
    pub then: String,
}
