//! Slugs and user names: parameters that only show when all routes are seen together.
//!
//! [`Namer`](super::Namer) knows an id when it sees one. `/posts/on-writing-well` is a word like any other to it,
//! and only the hundred paths beside it tell that it is none. [`Collapse`] lays the named routes out
//! as a tree and asks at each place whether what is there are words or values (see `evidence`). Values become
//! one segment, `:slug`, `:name` or the `:id` that was there already, what was under them is put
//! together, and the same is asked again below.
//!
//! Routes that were only ever refused (scanners' `/wp-login.php`) have no say in this; when they are many,
//! those that hardly anyone asked for are put together as `GET (not found)`.

mod evidence;
mod tree;
mod words;

#[cfg(test)]
mod apps;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use evidence::{LEAST, Siblings};
use tree::{Node, Shared};
use words::{extension_of, is_reserved, look};

/// What routes that nobody answers are called, behind their method.
pub const NOT_FOUND: &str = "(not found)";

/// Segments of a route that are looked at.
const SEGMENTS: usize = 32;

/// Refused routes of a method from which on they are many.
const MANY_REFUSED: usize = 10;

/// A refused route is one of the crowd when it has less than this part of the requests.
const CROWD_PART: u64 = 200;

/// What was counted of a named route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RouteCounts {
    /// Requests.
    pub count: u64,
    /// Those that were refused as nothing the service knows (see [`RouteCounts::add`]).
    pub refused: u64,
}

impl RouteCounts {
    /// Count a request that was answered with `status`.
    pub fn add(&mut self, status: u16) {
        self.count += 1;
        self.refused += u64::from(is_refused(status));
    }

    /// Count what `other` has counted.
    pub fn merge(&mut self, other: RouteCounts) {
        self.count += other.count;
        self.refused += other.refused;
    }
}

/// Whether a status says that the service does not know what it was asked for.
pub fn is_refused(status: u16) -> bool {
    matches!(status, 400 | 404 | 405 | 410 | 414 | 444 | 501 | 505)
}

/// What a place of the tree says about the segments that stand there.
#[derive(Debug, Default)]
struct Rules {
    /// What the segments that were seen are called.
    names: BTreeMap<String, String>,
    /// What those are called that were not, by their extension.
    others: BTreeMap<String, String>,
    /// What comes below, by the names.
    below: BTreeMap<String, Rules>,
}

/// Which routes are one route.
#[derive(Debug, Default)]
pub struct Collapse {
    rules: Rules,
    refused: BTreeSet<String>,
}

/// A route's method (with its space, perhaps none), path and query keys. None for names that are no paths.
fn parts(route: &str) -> Option<(&str, &str, &str)> {
    let slash = route.find('/')?;
    let (method, rest) = route.split_at(slash);
    let is_method =
        method.is_empty() || method.ends_with(' ') && !method[..method.len() - 1].contains(' ');
    let query = rest.find('?').unwrap_or(rest.len());
    let (path, query) = rest.split_at(query);
    (is_method && path.split('/').count() <= SEGMENTS).then_some((method, path, query))
}

/// Whether a route has a segment that is a word.
fn is_anchored(route: &str) -> bool {
    parts(route).is_none_or(|(_, path, _)| segments(path).any(|segment| !segment.starts_with(':')))
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

impl Collapse {
    /// Learn from named routes (`GET /posts/on-writing-well`), each of which may come several times.
    ///
    /// The order does not matter.
    pub fn learn<'a>(routes: impl Iterator<Item = (&'a str, RouteCounts)>) -> Self {
        let mut counts: BTreeMap<&str, RouteCounts> = BTreeMap::new();
        for (route, counted) in routes {
            counts.entry(route).or_default().merge(counted);
        }
        let mut root = Node::default();
        let requests = counts.values().map(|counted| counted.count).sum();
        for (route, counted) in &counts {
            if counted.refused < counted.count
                && let Some((method, path, _)) = parts(route)
            {
                root.add(method, segments(path), counted.count);
            }
        }
        let mut collapse = Self {
            rules: rules("", root, requests),
            refused: BTreeSet::new(),
        };
        collapse.refused = collapse.crowd(&counts, requests);
        collapse
    }

    /// Routes that were only refused, if they are many of a method and each has few requests.
    ///
    /// What scanners ask for at random fits where a whole path is made of values (`/:owner/:repo`), and
    /// has no more to do with it than with any other route.
    fn crowd(&self, counts: &BTreeMap<&str, RouteCounts>, requests: u64) -> BTreeSet<String> {
        let is_crowd = |counted: &RouteCounts| {
            counted.refused == counted.count && counted.count.saturating_mul(CROWD_PART) < requests
        };
        let mut groups: BTreeMap<String, RouteCounts> = BTreeMap::new();
        for (route, counted) in counts {
            let name = self.apply(route).unwrap_or_else(|| (*route).to_owned());
            let name = match is_crowd(counted) && !is_anchored(&name) {
                true => (*route).to_owned(),
                false => name,
            };
            groups.entry(name).or_default().merge(*counted);
        }
        let mut by_method: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (route, counted) in &groups {
            if is_crowd(counted)
                && let Some((method, ..)) = parts(route)
            {
                by_method.entry(method).or_default().push(route);
            }
        }
        by_method
            .into_values()
            .filter(|routes| routes.len() > MANY_REFUSED)
            .flatten()
            .map(str::to_owned)
            .collect()
    }

    /// What a route is called; None when its name stays.
    pub fn apply(&self, route: &str) -> Option<String> {
        let (method, path, query) = parts(route)?;
        let mut name = String::with_capacity(route.len());
        name.push_str(method);
        let mut rules = Some(&self.rules);
        for segment in segments(path) {
            let new = rules.map_or(segment, |rules| rules.name(segment));
            name.push('/');
            name.push_str(new);
            rules = rules.and_then(|rules| rules.below.get(new));
        }
        if segments(path).next().is_none() {
            name.push('/');
        }
        name.push_str(query);
        if self.refused.contains(&name) || self.refused.contains(route) {
            name = format!("{method}{NOT_FOUND}");
        }
        (name != route).then_some(name)
    }
}

impl Rules {
    fn name<'a>(&'a self, segment: &'a str) -> &'a str {
        if let Some(name) = self.names.get(segment) {
            return name;
        }
        if is_reserved(segment) {
            return segment;
        }
        match self.others.get(extension_of(segment)) {
            Some(name) => name,
            None => segment,
        }
    }
}

/// Decide for all that is under `node`, whose own segment is `parent`.
fn rules(parent: &str, mut node: Node, requests: u64) -> Rules {
    let mut rules = Rules::default();
    fold_numbered(&mut node, &mut rules);
    fold_values(parent, &mut node, &mut rules, requests);
    for (segment, child) in node.children {
        let below = self::rules(&segment, child, requests);
        rules.below.insert(segment.clone(), below);
        rules.names.entry(segment.clone()).or_insert(segment);
    }
    rules
}

/// Put the children `members` together under `name`.
fn fold(node: &mut Node, rules: &mut Rules, members: &[String], name: &str) {
    // What was called something else before is now called this.
    let gone: BTreeSet<&str> = members.iter().map(String::as_str).collect();
    for named in rules
        .names
        .values_mut()
        .filter(|named| gone.contains(named.as_str()))
    {
        name.clone_into(named);
    }
    let mut whole = Node::default();
    for member in members {
        if let Some(child) = node.children.remove(member) {
            whole.merge(child);
        }
        rules.names.insert(member.clone(), name.to_owned());
    }
    match node.children.get_mut(name) {
        Some(own) => own.merge(whole),
        None => {
            node.children.insert(name.to_owned(), whole);
        }
    }
}

/// `s1.css` to `s9.css`: segments that differ in their numbers alone. Single digits are left to words
/// by the namer, and so are short numbers behind letters.
fn fold_numbered(node: &mut Node, rules: &mut Rules) {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for segment in node.children.keys() {
        if let Some(skeleton) = skeleton(segment) {
            groups.entry(skeleton).or_default().push(segment.clone());
        }
    }
    for (skeleton, members) in groups {
        // A member with a parameter is many values already.
        let known = members.iter().filter(|member| member.contains(':'));
        let name = known
            .max_by_key(|member| node.children.get(*member).map(|child| child.count))
            .cloned();
        if members.len() > 1 && (name.is_some() || members.len() >= LEAST) {
            fold(node, rules, &members, &name.unwrap_or(skeleton));
        }
    }
}

/// The segment with `:id` for its numbers and hashes; None when it has none, or nothing else.
fn skeleton(segment: &str) -> Option<String> {
    let plain = segment.replace(":hash", ":id");
    let version = plain
        .strip_prefix('v')
        .is_some_and(|rest| rest.len() <= 2 && rest.bytes().all(|byte| byte.is_ascii_digit()));
    let mut skeleton = String::with_capacity(plain.len());
    let mut in_number = false;
    let stem = plain.len() - extension_of(&plain).len();
    for (at, letter) in plain.char_indices() {
        if letter.is_ascii_digit() && at < stem {
            if !in_number {
                skeleton.push_str(":id");
            }
            in_number = true;
        } else {
            skeleton.push(letter);
            in_number = false;
        }
    }
    let whole = skeleton.starts_with(":id") && skeleton[3..].bytes().all(|byte| byte == b'.');
    (skeleton.contains(":id") && !version && !whole).then_some(skeleton)
}

/// Segments that are parameters by themselves: `:id`, `:text.jpg`.
fn is_value(segment: &str) -> bool {
    let stem = segment
        .strip_suffix(extension_of(segment))
        .unwrap_or(segment);
    matches!(stem, ":id" | ":text" | ":email" | ":date")
}

/// Slugs and names, those with one extension together.
fn fold_values(parent: &str, node: &mut Node, rules: &mut Rules, requests: u64) {
    let mut groups: BTreeMap<String, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for segment in node.children.keys() {
        let group = groups.entry(extension_of(segment).to_owned()).or_default();
        if is_value(segment) {
            group.1.push(segment.clone());
        } else if !is_reserved(segment) && !matches!(segment.as_str(), "@:name" | "~:name" | "*") {
            group.0.push(segment.clone());
        }
    }
    for (extension, (words, mut values)) in groups {
        let members = values_of(parent, node, &words, !values.is_empty(), requests);
        if members.is_empty() {
            // Nothing that routes requests tells these apart.
            values.retain(|value| !value.starts_with(":date"));
            if values.len() > 1 {
                let name = most_frequent(node, &values);
                fold(node, rules, &values, &name);
            }
            continue;
        }
        let count = |names: &[String]| -> u64 {
            let count_of = |name| {
                node.children
                    .get(name)
                    .map_or(0, |child: &Node| child.count)
            };
            names.iter().map(count_of).sum()
        };
        let titles = members.iter().filter(|name| name.contains(['-', '_']));
        let are_titles = titles.count() * 5 >= members.len() * 2;
        let name = match count(&values) > count(&members) {
            true => most_frequent(node, &values),
            false if are_titles => format!(":slug{extension}"),
            false => format!(":name{extension}"),
        };
        let all: Vec<_> = members.into_iter().chain(values).collect();
        fold(node, rules, &all, &name);
        rules.others.insert(extension, name);
    }
}

fn most_frequent(node: &Node, names: &[String]) -> String {
    let count = |name: &&String| node.children.get(*name).map_or(0, |child| child.count);
    names.iter().max_by_key(count).cloned().unwrap_or_default()
}

/// Those of the words that are values; none when they are words.
fn values_of(
    parent: &str,
    node: &Node,
    words: &[String],
    beside_values: bool,
    requests: u64,
) -> Vec<String> {
    if words.len() < LEAST {
        return Vec::new();
    }
    let nodes: Vec<(&str, &Node)> = words
        .iter()
        .filter_map(|word| Some((word.as_str(), node.children.get(word)?)))
        .collect();
    let shared = Shared::new(&nodes);
    let usual = usual_methods(&nodes);
    let alike: Vec<(&str, &Node)> = nodes
        .into_iter()
        .filter(|(_, node)| shared.fits(node))
        .filter(|(_, node)| {
            node.ends.is_empty() || node.ends.keys().any(|method| usual.contains(&**method))
        })
        .collect();
    let siblings = Siblings {
        parent,
        nodes: &alike,
        beside_values,
        requests,
    };
    if !siblings.are_values() {
        return Vec::new();
    }
    let number = alike.len() as f64;
    let looks = alike.iter().map(|(name, _)| look(name)).sum::<f64>() / number;
    let mean = alike.iter().map(|(_, node)| node.count).sum::<u64>() as f64 / number;
    // A plain word among titles that far more ask for than for any title is a page of the program.
    let is_page = |name: &str, node: &Node| {
        looks >= 0.6 && look(name) == 0.0 && node.count as f64 > 5.0 * mean
    };
    alike
        .iter()
        .filter(|(name, node)| !is_page(name, node))
        .map(|(name, _)| (*name).to_owned())
        .collect()
}

/// Methods that at least a fifth of the nodes that answer know.
fn usual_methods<'a>(nodes: &[(&'a str, &'a Node)]) -> BTreeSet<&'a str> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ends = 0;
    for (_, node) in nodes.iter().filter(|(_, node)| !node.ends.is_empty()) {
        ends += 1;
        for method in node.ends.keys() {
            *seen.entry(method).or_default() += 1;
        }
    }
    seen.into_iter()
        .filter(|(_, count)| count * 5 >= ends)
        .map(|(method, _)| method)
        .collect()
}
