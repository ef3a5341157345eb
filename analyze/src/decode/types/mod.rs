//! Which message type a body has: as somebody said, or as is likeliest.

mod infer;
mod map;
mod media;
mod words;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use isukit_proto::{FieldKind, Message, Schema};
use rustc_hash::FxHashMap;

use super::Direction;
use super::limits::ROUTES;
use super::record::choice_keys;
use crate::access::{Namer, NamerError, NamerOptions};
use infer::{Evidence, Inference, Other};

pub use map::{MapError, RouteMap, RouteTypes};
pub use media::Media;

/// How a type was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The user named it for all bodies.
    Given,
    /// A parameter of the Content-Type.
    ContentType,
    /// The user's map of routes.
    Map,
    /// An annotation of the service in the `.proto`, or a path that is a service's method.
    Service,
    /// From the route and the fit of its bodies.
    Inferred,
}

impl Source {
    /// For people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::ContentType => "content type",
            Self::Map => "map",
            Self::Service => "service definition",
            Self::Inferred => "inferred",
        }
    }
}

/// A type that a body may have.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The type.
    pub message: Message,
    /// How likely, from 0 to 1.
    pub confidence: f64,
    /// Whether the bodies fit it as well as they fit the first.
    pub is_tied: bool,
}

/// The type of a body.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// How it was found.
    pub source: Source,
    /// The likeliest first; never empty.
    pub candidates: Vec<Candidate>,
    /// How many bodies it was inferred from.
    pub bodies: u32,
    /// As the keys of a record, which is written for every body.
    json: Vec<u8>,
}

impl Choice {
    fn new(source: Source, candidates: Vec<Candidate>, bodies: u32) -> Self {
        let names = candidates
            .iter()
            .map(|candidate| (candidate.message.full_name(), candidate.confidence));
        Self {
            json: choice_keys(names, source.label()),
            source,
            candidates,
            bodies,
        }
    }

    fn sure(message: &Message, source: Source) -> Self {
        let candidate = Candidate {
            message: message.clone(),
            confidence: 1.0,
            is_tied: false,
        };
        Self::new(source, vec![candidate], 0)
    }

    pub(super) fn json(&self) -> &[u8] {
        &self.json
    }

    /// The likeliest.
    pub fn best(&self) -> &Candidate {
        &self.candidates[0]
    }

    /// Why this type, as a sentence for people.
    pub fn why(&self) -> String {
        let best = self.best();
        let name = best.message.full_name();
        match self.source {
            Source::Given => format!("{name}: as --type says"),
            Source::ContentType => format!("{name}: the Content-Type names it"),
            Source::Map => format!("{name}: as --map says"),
            Source::Service => format!("{name}: the service's definition has this route"),
            Source::Inferred => self.why_inferred(name),
        }
    }

    fn why_inferred(&self, name: &str) -> String {
        let mut tied: Vec<&str> = self.candidates[1..]
            .iter()
            .filter(|other| other.is_tied)
            .map(|other| other.message.full_name())
            .collect();
        let more = match tied.len().saturating_sub(NAMED_TIES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        tied.truncate(NAMED_TIES);
        let sureness = self.best().confidence * 100.0;
        let bodies = match self.bodies {
            1 => "one body".to_owned(),
            bodies => format!("{bodies} bodies"),
        };
        match tied.is_empty() {
            true => format!("{name}: {sureness:.0}% sure; no other type fits {bodies} as well"),
            false => format!(
                "{name}: {sureness:.0}% sure by its name; {bodies} would also be {}{more}",
                tied.join(", ")
            ),
        }
    }
}

/// Types that are named as fitting as well; people read them.
const NAMED_TIES: usize = 4;

/// What is known of types before the first body.
#[derive(Debug, Clone, Default)]
pub struct TypeOptions {
    /// All bodies of the direction are of this type, or all bodies where there is none for theirs.
    pub given: Option<Message>,
    /// The user's map.
    pub map: RouteMap,
    /// Patterns of routes, as in `/api/teams/:id`.
    pub routes: Vec<String>,
}

/// Where a body belongs for its type: one side of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    route: u32,
    side: u8,
}

impl Slot {
    /// The number of its route.
    pub fn route(self) -> usize {
        self.route as usize
    }
}

const SIDES: usize = 3;

fn side(direction: Direction, is_error: bool) -> u8 {
    match (direction, is_error) {
        (Direction::Request, _) => 0,
        (Direction::Response, false) => 1,
        (Direction::Response, true) => 2,
    }
}

/// A route with what is known of its two sides.
#[derive(Debug)]
struct Route {
    name: String,
    /// What was said of it, by side.
    said: [Option<Arc<Choice>>; SIDES],
    /// By side; that of errors is shared by all routes and lies elsewhere.
    evidence: [Option<Evidence>; 2],
    chosen: [Option<Arc<Choice>>; 2],
    /// What a Content-Type called its bodies last.
    named: [Option<Message>; 2],
}

impl Route {
    /// The type of a side that need not be inferred.
    fn known(&self, side: usize) -> Option<&Message> {
        let said = self.said[side]
            .as_ref()
            .map(|choice| &choice.best().message);
        said.or(self.named[side].as_ref())
    }
}

/// Finds the types of bodies.
#[derive(Debug)]
pub struct Types {
    schema: Schema,
    options: TypeOptions,
    namer: Namer,
    /// By the pattern that the namer gives.
    said: FxHashMap<String, [Option<Arc<Choice>>; SIDES]>,
    given: Option<Arc<Choice>>,
    /// By the name that a Content-Type gave.
    named: FxHashMap<String, Option<Arc<Choice>>>,
    inference: Inference,
    routes: Vec<Route>,
    by_name: FxHashMap<Vec<u8>, u32>,
    /// Errors look alike on all routes.
    errors: Evidence,
    error_choice: Option<Arc<Choice>>,
    name: Vec<u8>,
    /// Bodies that were observed, and how many of them when types were decided on last.
    observed: u64,
    settled: u64,
}

/// Names that Content-Types gave and that are remembered.
const NAMED: usize = 1_000;

/// The route of those beyond the limit.
const OTHER_ROUTES: &str = "(other routes)";

impl Types {
    /// Get ready for the types of a schema.
    ///
    /// # Errors
    /// When a route's pattern cannot be meant.
    pub fn new(schema: Schema, options: TypeOptions) -> Result<Self, NamerError> {
        let mut said: FxHashMap<String, [Option<Arc<Choice>>; SIDES]> = FxHashMap::default();
        let mut patterns: Vec<String> = Vec::new();
        for route in &options.map.routes {
            let sides = said.entry(route.route.clone()).or_default();
            for (slot, message) in
                sides
                    .iter_mut()
                    .zip([&route.request, &route.response, &route.error])
            {
                *slot = message
                    .as_ref()
                    .map(|message| Arc::new(Choice::sure(message, Source::Map)));
            }
            patterns.push(route.route.clone());
        }
        for (route, sides) in service_routes(&schema) {
            // Both the map and the user's patterns come before what the sources say.
            said.entry(route.clone()).or_insert(sides);
            patterns.push(route);
        }
        patterns.extend(options.routes.iter().cloned());
        let namer = Namer::new(NamerOptions {
            routes: patterns,
            ..NamerOptions::default()
        })?;
        Ok(Self {
            given: options
                .given
                .as_ref()
                .map(|message| Arc::new(Choice::sure(message, Source::Given))),
            inference: Inference::new(&schema),
            schema,
            options,
            namer,
            said,
            named: FxHashMap::default(),
            routes: Vec::new(),
            by_name: FxHashMap::default(),
            errors: Evidence::new("", Direction::Response, true),
            error_choice: None,
            name: Vec::new(),
            observed: 0,
            settled: 0,
        })
    }

    /// The schema.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Where the bodies of a request or its reply belong. `target` is a path, with a query or without,
    /// or a whole URL.
    pub fn slot(
        &mut self,
        method: &[u8],
        target: &[u8],
        direction: Direction,
        is_error: bool,
    ) -> Slot {
        let (target, path) = crate::access::split_target(target);
        self.name.clear();
        let path = if path == 0 { b"/" } else { &target[..path] };
        self.namer.name(method, path, b"", &mut self.name);
        let route = match self.by_name.get(&self.name) {
            Some(route) => *route,
            None => self.add_route(method, path),
        };
        Slot {
            route,
            side: side(direction, is_error),
        }
    }

    fn add_route(&mut self, method: &[u8], path: &[u8]) -> u32 {
        let name = String::from_utf8_lossy(&self.name).into_owned();
        if self.routes.len() >= ROUTES {
            let known = self.by_name.get(OTHER_ROUTES.as_bytes()).copied();
            return known.unwrap_or_else(|| self.push_route(OTHER_ROUTES, [None, None, None]));
        }
        // A pattern without a method has none in the map either.
        let bare = name.split_once(' ').map_or("", |(_, pattern)| pattern);
        let said = self.said.get(&name).or_else(|| self.said.get(bare));
        let said = match said {
            Some(said) => said.clone(),
            None => self.service_path(method, path),
        };
        self.push_route(&name, said)
    }

    fn push_route(&mut self, name: &str, said: [Option<Arc<Choice>>; SIDES]) -> u32 {
        let route = u32::try_from(self.routes.len()).unwrap_or(u32::MAX);
        self.by_name.insert(name.as_bytes().to_vec(), route);
        self.routes.push(Route {
            name: name.to_owned(),
            said,
            evidence: [None, None],
            chosen: [None, None],
            named: [None, None],
        });
        route
    }

    /// `/pkg.Service/Method`, as gRPC, Connect and Twirp have it.
    fn service_path(&self, method: &[u8], path: &[u8]) -> [Option<Arc<Choice>>; SIDES] {
        let Some((service, name)) = std::str::from_utf8(path)
            .ok()
            .filter(|_| method == b"POST" || method == b"GET")
            .and_then(|path| path.rsplit_once('/'))
        else {
            return [None, None, None];
        };
        let service = service.rsplit('/').next().unwrap_or(service);
        let found = self
            .schema
            .methods()
            .find(|method| method.service == service && method.name == name);
        match found {
            Some(method) => sides(&method.input, &method.output),
            None => [None, None, None],
        }
    }

    /// The name of a route.
    pub fn route_name(&self, route: usize) -> &str {
        self.routes.get(route).map_or("", |route| &route.name)
    }

    /// Whether a body of this slot would tell something that is not known yet.
    pub fn wants(&self, slot: Slot) -> bool {
        let route = &self.routes[slot.route()];
        if self.given.is_some() || route.said[usize::from(slot.side)].is_some() {
            return false;
        }
        match route.evidence.get(usize::from(slot.side)) {
            Some(evidence) => !evidence.as_ref().is_some_and(Evidence::is_full),
            None => self.options.map.error.is_none() && !self.errors.is_full(),
        }
    }

    /// Learn from a body, decompressed.
    pub fn observe(&mut self, slot: Slot, bytes: &[u8]) {
        if !self.wants(slot) {
            return;
        }
        let evidence = match slot.side {
            2 => &mut self.errors,
            side => {
                let route = &mut self.routes[slot.route()];
                let direction = match side {
                    0 => Direction::Request,
                    _ => Direction::Response,
                };
                route.evidence[usize::from(side)]
                    .get_or_insert_with(|| Evidence::new(&route.name, direction, false))
            }
        };
        self.inference.observe(evidence, bytes);
        self.observed += 1;
    }

    /// Learn what a Content-Type called the bodies of a slot: whether that is news.
    pub fn name(&mut self, slot: Slot, name: &str) -> bool {
        let choice = self.by_content_type(name);
        let named = self.routes[slot.route()]
            .named
            .get_mut(usize::from(slot.side));
        if let (Some(named), Some(choice)) = (named, choice)
            && named.as_ref() != Some(&choice.best().message)
        {
            *named = Some(choice.best().message.clone());
            self.observed += 1;
            return true;
        }
        false
    }

    /// Whether enough was observed since types were decided on last.
    pub fn is_due(&self) -> bool {
        self.observed > self.settled + self.settled / 8
    }

    /// The type that all bodies have.
    pub fn given(&self) -> Option<&Message> {
        self.options.given.as_ref()
    }

    /// Decide on the types of all routes, by what was observed up to now.
    pub fn settle(&mut self) {
        self.settled = self.observed;
        let mut slots: Vec<&Evidence> = Vec::new();
        let mut places: Vec<(usize, usize)> = Vec::new();
        let mut known: Vec<(&Message, Direction)> = Vec::new();
        for (at, route) in self.routes.iter().enumerate() {
            for (side, evidence) in route.evidence.iter().enumerate() {
                let direction = [Direction::Request, Direction::Response][side];
                known.extend(route.known(side).map(|message| (message, direction)));
                if let Some(evidence) = evidence {
                    slots.push(evidence);
                    places.push((at, side));
                }
            }
        }
        let of = |place: (usize, usize)| places.binary_search(&place).ok();
        let other: Vec<Other<'_>> = places
            .iter()
            .map(|(at, side)| match self.routes[*at].known(1 - side) {
                Some(message) => Other::Known(message),
                None => of((*at, 1 - side)).map_or(Other::Unseen, Other::Slot),
            })
            .collect();
        let chosen = self.inference.choose(&slots, &other, &known);
        let errors = (self.inference).choose(&[&self.errors], &[Other::Unseen], &[]);
        let bodies: Vec<u32> = slots.iter().map(|slot| slot.bodies()).collect();
        let choice = |candidates: Vec<Candidate>, bodies| {
            (!candidates.is_empty())
                .then(|| Arc::new(Choice::new(Source::Inferred, candidates, bodies)))
        };
        for (((at, side), candidates), bodies) in places.into_iter().zip(chosen).zip(bodies) {
            self.routes[at].chosen[side] = choice(candidates, bodies);
        }
        for candidates in errors {
            self.error_choice = choice(candidates, self.errors.bodies());
        }
    }

    /// The type of the bodies of a slot; none when nothing is known of them. `named` is what their
    /// Content-Type says.
    pub fn choice(&mut self, slot: Slot, named: Option<&str>) -> Option<Arc<Choice>> {
        if let Some(given) = &self.given {
            return Some(Arc::clone(given));
        }
        if let Some(choice) = named.and_then(|name| self.by_content_type(name)) {
            return Some(choice);
        }
        let route = self.routes.get(slot.route())?;
        if let Some(said) = &route.said[usize::from(slot.side)] {
            return Some(Arc::clone(said));
        }
        match route.chosen.get(usize::from(slot.side)) {
            Some(chosen) => chosen.clone(),
            None => match &self.options.map.error {
                Some(error) => Some(Arc::new(Choice::sure(error, Source::Map))),
                None => self.error_choice.clone(),
            },
        }
    }

    fn by_content_type(&mut self, name: &str) -> Option<Arc<Choice>> {
        if let Some(known) = self.named.get(name) {
            return known.clone();
        }
        let found = self
            .schema
            .message(name)
            .ok()
            .map(|message| Arc::new(Choice::sure(&message, Source::ContentType)));
        if self.named.len() < NAMED {
            self.named.insert(name.to_owned(), found.clone());
        }
        found
    }

    /// What was found, as a map that can be given again, with a note for each route.
    pub fn to_map(&self) -> (RouteMap, Vec<String>) {
        let mut map = RouteMap {
            error: self.options.map.error.clone(),
            ..RouteMap::default()
        };
        if map.error.is_none()
            && let Some(choice) = &self.error_choice
        {
            map.error = Some(choice.best().message.clone());
        }
        let mut notes = Vec::new();
        for route in self.routes.iter().filter(|route| route.name.contains('/')) {
            let side = |side: usize| {
                let inferred = route.chosen.get(side).and_then(Option::as_ref);
                route.said[side].as_ref().or(inferred)
            };
            let message = |at| side(at).map(|choice: &Arc<Choice>| choice.best().message.clone());
            let types = RouteTypes {
                route: route.name.clone(),
                request: message(0),
                response: message(1),
                error: message(2),
            };
            if types.request.is_none() && types.response.is_none() && types.error.is_none() {
                continue;
            }
            let why = (0..SIDES).filter_map(|at| side(at).map(|choice| choice.why()));
            notes.push(why.collect::<Vec<_>>().join("\n"));
            map.routes.push(types);
        }
        (map, notes)
    }
}

/// The routes that a schema's services annotate, with their types.
fn service_routes(schema: &Schema) -> Vec<(String, [Option<Arc<Choice>>; SIDES])> {
    let mut routes = Vec::new();
    for method in schema.methods() {
        for rule in method.http {
            let Some(pattern) = pattern(&rule.path) else {
                continue;
            };
            let request = part(&method.input, &rule.body, "*");
            let response = part(&method.output, &rule.response_body, "");
            if let (Some(request), Some(response)) = (request, response) {
                let route = match rule.verb.as_str() {
                    "*" | "" => pattern,
                    verb => format!("{} {pattern}", verb.to_ascii_uppercase()),
                };
                routes.push((route, sides(&request, &response)));
            }
        }
    }
    routes
}

fn sides(request: &Message, response: &Message) -> [Option<Arc<Choice>>; SIDES] {
    let sure = |message| Some(Arc::new(Choice::sure(message, Source::Service)));
    [sure(request), sure(response), None]
}

/// The message that is the body: all of `message`, or the field that the rule names.
fn part(message: &Message, field: &str, whole: &str) -> Option<Message> {
    if field == whole || field.is_empty() {
        return Some(message.clone());
    }
    match message.info(message.field(field).ok()?).kind {
        FieldKind::Message(part) => Some(part),
        _ => None,
    }
}

/// A path template (google.api.http) as a pattern of ours: `/v1/{name=shelves/*}/books` is
/// `/v1/shelves/:name/books`. None for what a pattern cannot say.
fn pattern(template: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        let (variable, after) = behind.split_once('}')?;
        out.push_str(before);
        let (name, shape) = variable.split_once('=').unwrap_or((variable, "*"));
        let name: String = name
            .chars()
            .map(|c| if c.is_alphanumeric() { c } else { '_' })
            .collect();
        let segments: Vec<String> = shape
            .split('/')
            .map(|segment| match segment {
                "*" => format!(":{name}"),
                "**" => "*".to_owned(),
                literal => literal.to_owned(),
            })
            .collect();
        out.push_str(&segments.join("/"));
        rest = after;
    }
    out.push_str(rest);
    let out = out
        .split('/')
        .map(|segment| match segment {
            "*" => ":any",
            "**" => "*",
            other => other,
        })
        .collect::<Vec<_>>()
        .join("/");
    // A `*` is only understood at the end.
    let star = out.find("/*").is_none_or(|at| at + 2 == out.len());
    (out.starts_with('/') && star).then_some(out)
}
