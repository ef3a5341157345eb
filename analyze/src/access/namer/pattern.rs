//! Patterns of routes that the user gives, as a tree of segments.
//!
//! At each segment a literal goes before a pattern of one (`:id.jpg`), that before `:id`, and that
//! before `*`; of equal patterns the first wins.

use super::{NamerError, segments};
use rustc_hash::FxHashMap;

/// A piece of a segment's pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Box<[u8]>),
    /// One byte or more.
    Any,
}

/// A pattern ends here.
#[derive(Debug)]
struct End {
    method: Option<Box<[u8]>>,
    name: String,
}

#[derive(Debug, Default)]
struct Node {
    literals: FxHashMap<Box<[u8]>, usize>,
    mixed: Vec<(Vec<Piece>, usize)>,
    any: Option<usize>,
    ends: Vec<End>,
    rest_ends: Vec<End>,
}

/// All patterns.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    /// The first is the root; none when there are no patterns.
    nodes: Vec<Node>,
}

/// How many nodes may be looked at for one path: what patterns with many parameters could multiply.
const STEPS: usize = 10_000;

impl Patterns {
    pub(super) fn new(patterns: &[String]) -> Result<Self, NamerError> {
        let mut tree = Self::default();
        for pattern in patterns {
            let wrong = |why| NamerError::Route {
                pattern: pattern.clone(),
                why,
            };
            tree.add(pattern.trim()).map_err(wrong)?;
        }
        Ok(tree)
    }

    fn add(&mut self, pattern: &str) -> Result<(), &'static str> {
        let (method, path) = match pattern.split_once(char::is_whitespace) {
            Some((method, path)) => (Some(method), path.trim_start()),
            None => (None, pattern),
        };
        if !path.starts_with('/') {
            return Err(
                "does not begin with a slash; write it as in '/api/teams/:id' or 'GET /api/teams/:id'",
            );
        }
        if path.contains(['?', '#', ' ']) {
            return Err("holds more than a path; leave out queries, fragments and spaces");
        }
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let end = End {
            method: method.map(|method| method.as_bytes().into()),
            name: match method {
                Some(method) => format!("{method} {path}"),
                None => path.to_owned(),
            },
        };
        let mut at = 0;
        let mut parts = segments(path.as_bytes()).peekable();
        while let Some(part) = parts.next() {
            if part == b"*" {
                if parts.peek().is_some() {
                    return Err("has a '*' in its middle; only the last segment may be one");
                }
                self.nodes[at].rest_ends.push(end);
                return Ok(());
            }
            at = self.child(at, pieces(part)?);
        }
        self.nodes[at].ends.push(end);
        Ok(())
    }

    /// The node under `at` for a segment's pattern.
    fn child(&mut self, at: usize, pieces: Vec<Piece>) -> usize {
        let new = self.nodes.len();
        let node = &mut self.nodes[at];
        let child = match pieces.as_slice() {
            [Piece::Literal(text)] => *node.literals.entry(text.clone()).or_insert(new),
            [Piece::Any] => *node.any.get_or_insert(new),
            _ => match node.mixed.iter().find(|(known, _)| *known == pieces) {
                Some((_, child)) => *child,
                None => {
                    node.mixed.push((pieces, new));
                    new
                }
            },
        };
        if child == new {
            self.nodes.push(Node::default());
        }
        child
    }

    /// The name of the pattern that a request matches.
    #[inline]
    pub(super) fn find(&self, method: &[u8], path: &[u8]) -> Option<&str> {
        if self.nodes.is_empty() {
            return None;
        }
        let path = path.split(|byte| *byte == b';').next().unwrap_or_default();
        self.walk(0, method, segments(path), &mut STEPS.clone())
    }

    fn walk<'a>(
        &self,
        at: usize,
        method: &[u8],
        mut rest: impl Iterator<Item = &'a [u8]> + Clone,
        steps: &mut usize,
    ) -> Option<&str> {
        *steps = steps.checked_sub(1)?;
        let node = &self.nodes[at];
        let Some(segment) = rest.next() else {
            return end(&node.ends, method).or_else(|| end(&node.rest_ends, method));
        };
        if let Some(child) = node.literals.get(segment)
            && let Some(name) = self.walk(*child, method, rest.clone(), steps)
        {
            return Some(name);
        }
        for (pieces, child) in &node.mixed {
            if matches(pieces, segment)
                && let Some(name) = self.walk(*child, method, rest.clone(), steps)
            {
                return Some(name);
            }
        }
        node.any
            .and_then(|child| self.walk(child, method, rest, steps))
            .or_else(|| end(&node.rest_ends, method))
    }
}

fn end<'a>(ends: &'a [End], method: &[u8]) -> Option<&'a str> {
    let fits = |end: &&End| end.method.as_deref().is_none_or(|wanted| wanted == method);
    ends.iter().find(fits).map(|end| end.name.as_str())
}

/// `:id`, `:id.jpg`, `@:name`, `:from-:to`: a name is of letters, digits and `_`.
fn pieces(segment: &[u8]) -> Result<Vec<Piece>, &'static str> {
    let mut pieces = Vec::new();
    let mut rest = segment;
    while !rest.is_empty() {
        if let [b':', behind @ ..] = rest {
            let name = behind
                .iter()
                .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
                .count();
            if name > 0 {
                if pieces.last() == Some(&Piece::Any) {
                    return Err("has two parameters without anything between them; write one");
                }
                pieces.push(Piece::Any);
                rest = &behind[name..];
                continue;
            }
        }
        let len = 1 + memchr::memchr(b':', &rest[1..]).unwrap_or(rest.len() - 1);
        pieces.push(Piece::Literal(rest[..len].into()));
        rest = &rest[len..];
    }
    Ok(pieces)
}

/// Whether the segment is made of the pieces. A parameter takes as little as it can, the last one all.
fn matches(pieces: &[Piece], segment: &[u8]) -> bool {
    let mut rest = segment;
    let mut any = false;
    for (place, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Any => any = true,
            Piece::Literal(text) if !any => match rest.strip_prefix(&**text) {
                Some(behind) => rest = behind,
                None => return false,
            },
            Piece::Literal(text) => {
                let is_last = place + 1 == pieces.len();
                let at = match is_last {
                    true => rest.ends_with(text).then(|| rest.len() - text.len()),
                    false => memchr::memmem::find(rest.get(1..).unwrap_or_default(), text)
                        .map(|at| at + 1),
                };
                match at {
                    Some(at) if at > 0 => rest = &rest[at + text.len()..],
                    _ => return false,
                }
                any = false;
            }
        }
    }
    if any {
        !rest.is_empty()
    } else {
        rest.is_empty()
    }
}
