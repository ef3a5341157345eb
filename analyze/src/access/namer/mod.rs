//! What a request is grouped by: `GET /api/teams/:id`.
//!
//! Patterns that the user gives come first. What none of them matches is named segment by segment,
//! by rules that know nothing of the other paths (see `segment`); slugs and user names, which only the
//! other paths give away, are the business of [`super::Collapse`].

mod pattern;
mod segment;

pub(crate) use segment::extension;

#[cfg(test)]
mod tests;

use pattern::Patterns;
use regex::bytes::{Regex, RegexSet};

use super::limits::{PATTERNS, QUERY_KEYS, SEGMENTS};
use super::request::is_method;

/// What stands for a request whose method and path could not be read.
pub const BROKEN_REQUEST: &str = "(broken request)";

/// Which keys of the query are part of a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum QueryKeys {
    /// None.
    #[default]
    No,
    /// All that a request has.
    All,
    /// Those of these that a request has.
    Some(Vec<String>),
}

/// How to name requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamerOptions {
    /// Patterns such as `/api/teams/:id`, `GET /files/*` or `/@:name`: `:name` stands for a segment or a
    /// piece of one, a last `*` for all that follows.
    pub routes: Vec<String>,
    /// Regular expressions that are looked for in the path; the first that is found gives its own text
    /// as the name. They come behind `routes`.
    pub regexes: Vec<String>,
    /// Which keys of the query are part of the name, as in `GET /search?page&q`.
    pub query: QueryKeys,
}

/// Why there is no namer for the patterns.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NamerError {
    /// A pattern of a route that cannot be meant.
    #[error("the route '{pattern}' {why}")]
    Route {
        /// The pattern.
        pattern: String,
        /// What is wrong, and what to do.
        why: &'static str,
    },
    /// A broken regular expression.
    #[error("the route's regular expression '{pattern}' cannot be read: {source}")]
    Regex {
        /// The expression.
        pattern: String,
        /// What is wrong.
        source: Box<regex::Error>,
    },
    /// Too many patterns.
    #[error("{0} routes are more than can be held against each path; give at most {PATTERNS}")]
    TooMany(usize),
}

/// Names requests.
#[derive(Debug)]
pub struct Namer {
    patterns: Patterns,
    /// Which expression comes first is asked of the set, all at once.
    regexes: Option<RegexSet>,
    regex_names: Vec<String>,
    query: QueryKeys,
}

impl Default for Namer {
    fn default() -> Self {
        Self {
            patterns: Patterns::default(),
            regexes: None,
            regex_names: Vec::new(),
            query: QueryKeys::No,
        }
    }
}

impl Namer {
    /// Compile the patterns.
    ///
    /// # Errors
    /// When a pattern or an expression cannot be meant, or when they are too many.
    pub fn new(options: NamerOptions) -> Result<Self, NamerError> {
        let count = options.routes.len() + options.regexes.len();
        if count > PATTERNS {
            return Err(NamerError::TooMany(count));
        }
        for pattern in &options.regexes {
            Regex::new(pattern).map_err(|source| NamerError::Regex {
                pattern: pattern.clone(),
                source: Box::new(source),
            })?;
        }
        let regexes = match options.regexes.is_empty() {
            true => None,
            false => Some(
                RegexSet::new(&options.regexes).map_err(|source| NamerError::Regex {
                    pattern: options.regexes.join(" "),
                    source: Box::new(source),
                })?,
            ),
        };
        Ok(Self {
            patterns: Patterns::new(&options.routes)?,
            regexes,
            regex_names: options.regexes,
            query: options.query,
        })
    }

    /// Whether queries matter for names.
    #[inline]
    pub fn wants_query(&self) -> bool {
        self.query != QueryKeys::No
    }

    /// Append the name of a request to `out`. It is ASCII where no pattern of the user's says otherwise.
    ///
    /// An empty `path` stands for a request line that could not be read. `query` is what is behind the
    /// question mark.
    pub fn name(&self, method: &[u8], path: &[u8], query: &[u8], out: &mut Vec<u8>) {
        if path.is_empty() {
            out.extend_from_slice(BROKEN_REQUEST.as_bytes());
            return;
        }
        if let Some(name) = self.patterns.find(method, path) {
            // A pattern that names its method has it in its name.
            if name.starts_with('/') {
                push_method(method, out);
            }
            out.extend_from_slice(name.as_bytes());
        } else if let Some(name) = self.regex(path) {
            push_method(method, out);
            out.extend_from_slice(name.as_bytes());
        } else {
            push_method(method, out);
            push_path(path, out);
        }
        if self.wants_query() && !query.is_empty() {
            self.push_keys(query, out);
        }
    }

    fn regex(&self, path: &[u8]) -> Option<&str> {
        let first = self.regexes.as_ref()?.matches(path).into_iter().next()?;
        self.regex_names.get(first).map(String::as_str)
    }

    /// Append `?a&b`: the keys that count, each once, in order.
    fn push_keys(&self, query: &[u8], out: &mut Vec<u8>) {
        let mut keys: Vec<&[u8]> = query
            .split(|byte| *byte == b'&')
            .map(|pair| pair.split(|byte| *byte == b'=').next().unwrap_or_default())
            .filter(|key| !key.is_empty())
            .filter(|key| match &self.query {
                QueryKeys::Some(list) => list.iter().any(|wanted| wanted.as_bytes() == *key),
                _ => true,
            })
            .collect();
        keys.sort_unstable();
        keys.dedup();
        for (place, key) in keys.iter().enumerate() {
            out.push(if place == 0 { b'?' } else { b'&' });
            if place == QUERY_KEYS {
                out.push(b'*');
                return;
            }
            segment::push(key, out);
        }
    }
}

#[inline]
fn push_method(method: &[u8], out: &mut Vec<u8>) {
    if is_method(method) {
        out.extend_from_slice(method);
        out.push(b' ');
    }
}

/// Segments that are not empty: `//a//b/` is `/a/b`.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    path.split(|byte| *byte == b'/')
        .filter(|segment| !segment.is_empty())
}

/// Append the path with what looks like an id replaced.
fn push_path(path: &[u8], out: &mut Vec<u8>) {
    if path == b"*" {
        out.push(b'*');
        return;
    }
    let begin = out.len();
    // At a slash, and where the words begin that are copied together with the slashes before them.
    let (mut at, mut words) = (0, 0);
    if path[0] != b'/' {
        let (segment, mask) = segment::next(path);
        out.push(b'/');
        segment::push_masked(segment, mask, out);
        (at, words) = (segment.len(), segment.len());
    }
    let mut count = 0;
    while at < path.len() {
        let (segment, mask) = segment::next(&path[at + 1..]);
        let end = at + 1 + segment.len();
        if count == SEGMENTS && !segment.is_empty() {
            out.extend_from_slice(&path[words..at]);
            out.extend_from_slice(b"/*");
            return;
        }
        count += usize::from(!segment.is_empty());
        if !segment::is_word(segment, mask) {
            out.extend_from_slice(&path[words..at]);
            if !segment.is_empty() {
                out.push(b'/');
                segment::push_masked(segment, mask, out);
            }
            words = end;
        }
        at = end;
    }
    out.extend_from_slice(&path[words..]);
    if out.len() == begin {
        out.push(b'/');
    }
}
