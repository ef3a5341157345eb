//! The likeliest type of the bodies of a route: how well they fit it, how its name goes with the
//! route's, and what the other routes have taken.
//!
//! For each type and route the following are added, in units of a logarithm of odds; the weights were
//! chosen by hand on several services and their routes:
//!
//! - `FIT * ln(mean fit)` of the bodies ([`Fit::score`](isukit_proto::Fit::score)), where a body that is not
//!   valid for the type hardly counts;
//! - `NAME * affinity` of the words of its name to those of the route;
//! - whether its name says that it is a request, a response or an error;
//! - how many of its fields were seen at all.
//!
//! Types are then given to routes, the surest first: a type that one route has is less likely for
//! another one, and a request and its response are likely named alike.

use std::cmp::Ordering;

use isukit_proto::{FieldKind, Fit, Message, Schema};
use rustc_hash::FxHashMap;

use super::words::{Role, RouteWords, TypeWords, affinity};
use super::{Candidate, Direction};
use crate::decode::limits::{CANDIDATES, EVIDENCE_BODIES, EVIDENCE_BYTES};

const FIT: f64 = 6.0;
const NAME: f64 = 5.0;
const ROLE: f64 = 2.0;
const WRONG_ROLE: f64 = -4.0;
const COVERAGE: f64 = 1.0;
/// A type that is part of others and whose name claims no role.
const PART: f64 = -0.7;
/// A type of `google.protobuf`.
const WELL_KNOWN: f64 = -3.0;
/// Another route has it.
const TAKEN: f64 = -1.5;
/// The other side of the route is named alike.
const ALIKE: f64 = 1.5;
/// The type of the other side is known, and named alike.
const KNOWN_ALIKE: f64 = 4.0;
/// The fit of a type that refuses nearly every body.
const WORST_FIT: f64 = 1e-4;

/// A message type of the schema.
#[derive(Debug)]
struct Type {
    message: Message,
    words: TypeWords,
    /// Types that cannot be told from each other by their bytes share a class.
    class: usize,
    /// What its name and place say, whatever the route.
    bias: f64,
    has_fields: bool,
}

/// The other side of a slot's route.
#[derive(Debug, Clone, Copy)]
pub(super) enum Other<'m> {
    /// It has no bodies.
    Unseen,
    /// Its type is inferred as well: the index of its slot.
    Slot(usize),
    /// Its type was said.
    Known(&'m Message),
}

/// What the bodies of one side of a route said.
#[derive(Debug)]
pub(super) struct Evidence {
    route: RouteWords,
    direction: Direction,
    is_error: bool,
    bodies: u32,
    empty: u32,
    /// By class.
    fits: Vec<ClassFit>,
}

#[derive(Debug, Clone, Copy, Default)]
struct ClassFit {
    score: f64,
    valid: u32,
    seen: u32,
    /// The largest share of its fields that one body had.
    coverage: f64,
    refused: bool,
}

impl Evidence {
    /// Of no bodies yet. `route` is its name, as `GET /api/teams/:id`.
    pub(super) fn new(route: &str, direction: Direction, is_error: bool) -> Self {
        Self {
            route: RouteWords::new(route),
            direction,
            is_error,
            bodies: 0,
            empty: 0,
            fits: Vec::new(),
        }
    }

    /// How many bodies it has seen.
    pub(super) fn bodies(&self) -> u32 {
        self.bodies
    }

    /// Whether more bodies would hardly change anything.
    pub(super) fn is_full(&self) -> bool {
        self.bodies >= EVIDENCE_BODIES
    }
}

/// The types of a schema, ready to be held against bodies.
#[derive(Debug)]
pub(super) struct Inference {
    types: Vec<Type>,
    /// A type of each class.
    classes: Vec<Message>,
    /// How much a word tells types apart.
    weights: FxHashMap<String, f64>,
}

impl Inference {
    pub(super) fn new(schema: &Schema) -> Self {
        let mut by_shape: FxHashMap<u64, usize> = FxHashMap::default();
        let mut classes = Vec::new();
        let mut types = Vec::new();
        let parts = parts(schema);
        for message in schema.messages() {
            let class = *by_shape.entry(message.shape()).or_insert_with(|| {
                classes.push(message.clone());
                classes.len() - 1
            });
            let words = TypeWords::new(message.full_name());
            let is_part = words.role == Role::Unsaid
                && parts
                    .binary_search_by(|part| part.as_str().cmp(message.full_name()))
                    .is_ok();
            let is_well_known = message.full_name().starts_with("google.");
            types.push(Type {
                words,
                class,
                bias: if is_part { PART } else { 0.0 }
                    + if is_well_known { WELL_KNOWN } else { 0.0 },
                has_fields: message.fields().next().is_some(),
                message,
            });
        }
        let weights = weights(&types);
        Self {
            types,
            classes,
            weights,
        }
    }

    /// Hold a body against all types.
    pub(super) fn observe(&self, evidence: &mut Evidence, bytes: &[u8]) {
        if evidence.is_full() {
            return;
        }
        evidence.bodies += 1;
        if bytes.is_empty() {
            evidence.empty += 1;
            return;
        }
        // A large body says what it has to say many times over, but a cut one is broken.
        if bytes.len() > EVIDENCE_BYTES && evidence.bodies - evidence.empty > 4 {
            return;
        }
        evidence
            .fits
            .resize(self.classes.len(), ClassFit::default());
        for (class, seen) in self.classes.iter().zip(&mut evidence.fits) {
            if !seen.refused {
                seen.count(&class.fit(bytes));
            }
        }
    }

    /// The likeliest types of each of `slots`, the best first; none for those without a body.
    ///
    /// `other` gives for each slot what is known of the other side of its route; `known` are types that
    /// were said to be those of some route.
    pub(super) fn choose(
        &self,
        slots: &[&Evidence],
        other: &[Other<'_>],
        known: &[(&Message, Direction)],
    ) -> Vec<Vec<Candidate>> {
        let known = Taken::known(&self.types, known);
        let odds: Vec<Vec<f64>> = slots
            .iter()
            .map(|slot| known.penalised(&self.odds(slot), slot))
            .collect();
        let first = self.assign(&odds, slots);
        let mut joined = odds;
        for (at, odds) in joined.iter_mut().enumerate() {
            let said;
            let (words, weight) = match other[at] {
                Other::Unseen => continue,
                Other::Known(message) => {
                    said = TypeWords::new(message.full_name());
                    (&said.words, KNOWN_ALIKE)
                }
                Other::Slot(other) => match first.get(other).and_then(Option::as_ref) {
                    Some((index, sureness)) => (&self.types[*index].words.words, ALIKE * sureness),
                    None => continue,
                },
            };
            for (own, odds) in self.types.iter().zip(odds) {
                if own.words.role != Role::Unsaid && own.words.words == *words {
                    *odds += weight;
                }
            }
        }
        let last = self.assign(&joined, slots);
        self.spread(&joined, &last, slots)
    }

    /// Give each slot a type, the surest first, and say how sure: the type's index and a probability.
    fn assign(&self, odds: &[Vec<f64>], slots: &[&Evidence]) -> Vec<Option<(usize, f64)>> {
        let mut order: Vec<(usize, f64)> = odds
            .iter()
            .enumerate()
            .map(|(at, odds)| (at, margin(odds)))
            .collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut taken = Taken::default();
        let mut chosen = vec![None; odds.len()];
        for (at, _) in order {
            let odds = taken.penalised(&odds[at], slots[at]);
            let Some(best) = best(&odds) else { continue };
            chosen[at] = Some((best, probability(&odds, best)));
            taken.take(best, slots[at]);
        }
        chosen
    }

    /// All types that may be meant by each slot, once the others have theirs.
    fn spread(
        &self,
        odds: &[Vec<f64>],
        chosen: &[Option<(usize, f64)>],
        slots: &[&Evidence],
    ) -> Vec<Vec<Candidate>> {
        let mut spread = Vec::with_capacity(odds.len());
        for (at, slot) in slots.iter().enumerate() {
            let Some((own, _)) = chosen[at] else {
                spread.push(Vec::new());
                continue;
            };
            let mut taken = Taken::default();
            for (other, chosen) in chosen.iter().enumerate() {
                if let Some((index, _)) = chosen.filter(|_| other != at) {
                    // What this slot was given is not disputed any more.
                    if index != own {
                        taken.take(index, slots[other]);
                    }
                }
            }
            let odds = taken.penalised(&odds[at], slot);
            spread.push(self.candidates(&odds, own, slot));
        }
        spread
    }

    fn candidates(&self, odds: &[f64], own: usize, slot: &Evidence) -> Vec<Candidate> {
        // Empty bodies fit all types: without a name that speaks for one there is nothing to say.
        if slot.empty == slot.bodies && role(self.types[own].words.role, slot) < 0.0 {
            return Vec::new();
        }
        let best_fit = self.mean_fit(slot, own);
        let mut candidates: Vec<(Candidate, bool)> = Vec::new();
        for (index, kind) in self.types.iter().enumerate() {
            let confidence = probability(odds, index);
            let is_tied = kind.class == self.types[own].class
                || (best_fit - self.mean_fit(slot, index)).abs() < 0.03;
            if index == own || is_tied || confidence >= 0.01 {
                candidates.push((
                    Candidate {
                        message: kind.message.clone(),
                        confidence,
                        is_tied,
                    },
                    index == own,
                ));
            }
        }
        candidates.sort_by(|(a, a_own), (b, b_own)| {
            (b_own.cmp(a_own))
                .then(b.confidence.total_cmp(&a.confidence))
                .then_with(|| a.message.full_name().cmp(b.message.full_name()))
        });
        candidates.truncate(CANDIDATES);
        candidates
            .into_iter()
            .map(|(candidate, _)| candidate)
            .collect()
    }

    fn mean_fit(&self, slot: &Evidence, index: usize) -> f64 {
        slot.fits
            .get(self.types[index].class)
            .map_or(0.5, ClassFit::mean)
    }

    /// The logarithms of the odds of all types for the bodies of one slot.
    fn odds(&self, slot: &Evidence) -> Vec<f64> {
        if slot.bodies == 0 {
            return Vec::new();
        }
        let weight = |word: &str| self.weights.get(word).copied().unwrap_or(1.0);
        let only_empty = slot.empty == slot.bodies;
        self.types
            .iter()
            .map(|kind| {
                let fit = match slot.fits.get(kind.class) {
                    Some(fit) => FIT * fit.mean().max(WORST_FIT).ln() + COVERAGE * fit.coverage,
                    None => 0.0,
                };
                // A type with fields may be empty now and then, hardly always.
                let emptiness = match (only_empty, kind.has_fields) {
                    (true, true) => -0.2 * f64::from(slot.bodies.min(5)),
                    (false, false) => -8.0,
                    _ => 0.0,
                };
                let name = match slot.is_error {
                    true => 0.0,
                    false => NAME * affinity(&kind.words, &slot.route, &weight),
                };
                fit + emptiness + name + role(kind.words.role, slot) + kind.bias
            })
            .collect()
    }
}

impl ClassFit {
    fn count(&mut self, fit: &Fit) {
        self.seen += 1;
        self.valid += u32::from(fit.valid);
        self.score += fit.score();
        if fit.declared_fields > 0 {
            let coverage = f64::from(fit.present_fields) / f64::from(fit.declared_fields);
            self.coverage = self.coverage.max(coverage);
        }
        // Broken bodies are few: what is refused again and again is another type.
        self.refused = self.seen >= 8 && self.valid == 0;
    }

    fn mean(&self) -> f64 {
        match self.seen {
            0 => 0.5,
            seen if self.refused => self.score / f64::from(seen) * 0.1,
            seen => self.score / f64::from(seen),
        }
    }
}

/// The types that have a route already, by side.
#[derive(Debug, Default)]
struct Taken {
    types: Vec<(usize, Direction)>,
}

impl Taken {
    fn known(types: &[Type], known: &[(&Message, Direction)]) -> Self {
        let mut taken = Self::default();
        for (message, direction) in known {
            let index = types.iter().position(|own| own.message == **message);
            let of = index.map(|index| (index, *direction));
            // One penalty is enough, however many routes have it.
            let of = of.filter(|of| !taken.types.contains(of));
            taken.types.extend(of);
        }
        taken
    }

    fn take(&mut self, index: usize, slot: &Evidence) {
        if !slot.is_error {
            self.types.push((index, slot.direction));
        }
    }

    fn penalised(&self, odds: &[f64], slot: &Evidence) -> Vec<f64> {
        let mut odds = odds.to_vec();
        if !slot.is_error {
            for (index, direction) in &self.types {
                if *direction == slot.direction
                    && let Some(odds) = odds.get_mut(*index)
                {
                    *odds += TAKEN;
                }
            }
        }
        odds
    }
}

fn role(role: Role, slot: &Evidence) -> f64 {
    // Of bytes without a request nobody knows who sent them.
    if slot.route.method.is_empty() && !slot.is_error {
        return 0.0;
    }
    match (role, slot.direction, slot.is_error) {
        (Role::Unsaid, _, _) => 0.0,
        (Role::Error, _, true) => 2.0 * ROLE,
        (Role::Error, _, false) => WRONG_ROLE,
        (Role::Request, Direction::Request, _) => ROLE,
        (Role::Response, Direction::Response, false) => ROLE,
        (Role::Response, Direction::Response, true) => 0.0,
        _ => WRONG_ROLE,
    }
}

fn best(odds: &[f64]) -> Option<usize> {
    (0..odds.len()).max_by(|a, b| odds[*a].partial_cmp(&odds[*b]).unwrap_or(Ordering::Equal))
}

/// How far the best is ahead of the second.
fn margin(odds: &[f64]) -> f64 {
    let mut top = [f64::NEG_INFINITY; 2];
    for &odds in odds {
        if odds > top[0] {
            top = [odds, top[0]];
        } else if odds > top[1] {
            top[1] = odds;
        }
    }
    if top[1].is_finite() {
        top[0] - top[1]
    } else {
        0.0
    }
}

fn probability(odds: &[f64], index: usize) -> f64 {
    let top = odds.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = odds.iter().map(|odds| (odds - top).exp()).sum();
    match odds.get(index) {
        Some(odds) if sum > 0.0 => (odds - top).exp() / sum,
        _ => 0.0,
    }
}

/// The full names of all types that are a field of another type.
fn parts(schema: &Schema) -> Vec<String> {
    let mut parts = Vec::new();
    for message in schema.messages() {
        for field in message.fields() {
            let mut kind = message.info(field).kind;
            while let FieldKind::List(inner) | FieldKind::Map(_, inner) = kind {
                kind = *inner;
            }
            if let FieldKind::Message(part) = kind {
                parts.push(part.full_name().to_owned());
            }
        }
    }
    parts.sort_unstable();
    parts.dedup();
    parts
}

/// Words that few types have tell more.
fn weights(types: &[Type]) -> FxHashMap<String, f64> {
    let mut counts: FxHashMap<String, u32> = FxHashMap::default();
    for kind in types {
        for word in &kind.words.words {
            *counts.entry(word.clone()).or_default() += 1;
        }
    }
    let all = types.len().max(2) as f64;
    counts
        .into_iter()
        .map(|(word, count)| (word, (all / f64::from(count)).ln().max(0.2) / all.ln()))
        .collect()
}
