//! Patterns for paths, and names for paths with ids in them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A pattern that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RouteError {
    /// Does not begin with a slash.
    #[error("`{0}` is no path; write `/path` or `METHOD /path`")]
    Path(String),
    /// The method is not made of capital letters.
    #[error("`{0}` is no method; write it in capitals, such as `GET /path`")]
    Method(String),
    /// A `*` that is not the last segment.
    #[error(
        "`{0}` has a `*` that is not the last segment; write `/path/*`, or `:name` for one segment"
    )]
    Star(String),
    /// A `:` without a name.
    #[error("`{0}` has a `:` without a name; write `:id` for a segment that may be anything")]
    Unnamed(String),
    /// A query or fragment, which patterns do not look at.
    #[error("`{0}` has a `?` or `#`; a pattern is for the path before it")]
    Query(String),
    /// Longer than anybody writes.
    #[error("a pattern of {0} bytes is too long; at most 1000")]
    Long(usize),
}

/// A segment of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Exactly this.
    Literal(Box<str>),
    /// Anything but nothing.
    Any,
}

/// `[METHOD ]PATH`: in the path, a segment `:x` stands for any one and a last segment `*` for the
/// rest, which may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutePattern {
    text: Box<str>,
    method: Option<Box<str>>,
    parts: Box<[Part]>,
    /// Whether anything may follow the parts, behind a slash.
    rest: bool,
}

/// Longer patterns are refused.
const MAX_BYTES: usize = 1000;

impl FromStr for RoutePattern {
    type Err = RouteError;

    fn from_str(text: &str) -> Result<Self, RouteError> {
        if text.len() > MAX_BYTES {
            return Err(RouteError::Long(text.len()));
        }
        let (method, path) = match text.split_once(' ') {
            Some((method, path)) => (Some(method), path.trim_start()),
            None => (None, text),
        };
        if let Some(method) = method
            && (method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()))
        {
            return Err(RouteError::Method(method.to_owned()));
        }
        let owned = || text.to_owned();
        let whole = path
            .strip_prefix('/')
            .ok_or_else(|| RouteError::Path(owned()))?;
        if path.contains(['?', '#']) {
            return Err(RouteError::Query(owned()));
        }
        if path.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(RouteError::Path(owned()));
        }
        let (rest, inner) = match whole.strip_suffix('*') {
            Some("") => (true, None),
            Some(before) => match before.strip_suffix('/') {
                Some(before) => (true, Some(before)),
                None => return Err(RouteError::Star(owned())),
            },
            None => (false, Some(whole)),
        };
        let mut parts = Vec::new();
        for part in inner.into_iter().flat_map(|inner| inner.split('/')) {
            parts.push(match part.strip_prefix(':') {
                Some("") => return Err(RouteError::Unnamed(owned())),
                Some(_) => Part::Any,
                None if part.contains('*') => return Err(RouteError::Star(owned())),
                None => Part::Literal(part.into()),
            });
        }
        Ok(Self {
            text: text.into(),
            method: method.map(Into::into),
            parts: parts.into(),
            rest,
        })
    }
}

impl fmt::Display for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl RoutePattern {
    /// Whether a request is meant. `path` begins with a slash and has no query.
    pub fn matches(&self, method: &str, path: &str) -> bool {
        if self
            .method
            .as_deref()
            .is_some_and(|wanted| wanted != method)
        {
            return false;
        }
        let Some(mut left) = path.strip_prefix('/') else {
            return false;
        };
        let last = self.parts.len().wrapping_sub(1);
        for (at, part) in self.parts.iter().enumerate() {
            let (segment, after) = match memchr::memchr(b'/', left.as_bytes()) {
                Some(slash) => (&left[..slash], Some(&left[slash + 1..])),
                None => (left, None),
            };
            let same = match part {
                Part::Literal(literal) => &**literal == segment,
                Part::Any => !segment.is_empty(),
            };
            if !same {
                return false;
            }
            match after {
                Some(after) => left = after,
                // The path is at its end: so must the pattern be, without a rest.
                None => return at == last && !self.rest,
            }
        }
        self.rest
    }
}

/// Write `path` (without its query) to `out`, with `:id` for every segment that looks like one, so
/// that `/api/teams/17` and `/api/teams/18` are one step.
///
/// A segment is an id when it is a number, a UUID, eight or more hexadecimal digits of which one is
/// 0 to 9, or twenty or more characters of a token: letters, digits, `-` and `_`, with a digit and
/// with letters of both cases or four digits.
pub fn route_of(path: &str, out: &mut String) {
    out.clear();
    let mut start = 0;
    let (mut classes, mut digits) = (0, 0);
    for (at, byte) in path.bytes().enumerate() {
        let class = CLASSES[usize::from(byte)];
        if class == SLASH {
            push_segment(&path[start..at], classes, digits, out);
            out.push('/');
            start = at + 1;
            (classes, digits) = (0, 0);
        } else {
            classes |= class;
            digits += usize::from(class == DIGIT);
        }
    }
    push_segment(&path[start..], classes, digits, out);
}

fn push_segment(segment: &str, classes: u8, digits: usize, out: &mut String) {
    if is_id(segment.as_bytes(), classes, digits) {
        out.push_str(":id");
    } else {
        out.push_str(segment);
    }
}

const DIGIT: u8 = 1;
/// `a` to `f`, and `A` to `F`.
const LOWER_HEX: u8 = 2;
const UPPER_HEX: u8 = 4;
/// The other letters.
const LOWER: u8 = 8;
const UPPER: u8 = 16;
/// `-` and `_`.
const JOINT: u8 = 32;
const OTHER: u8 = 64;
const SLASH: u8 = 128;

/// What kind of byte each is: this is done for every request.
const CLASSES: [u8; 256] = {
    let mut classes = [OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' => LOWER_HEX,
            b'A'..=b'F' => UPPER_HEX,
            b'g'..=b'z' => LOWER,
            b'G'..=b'Z' => UPPER,
            b'-' | b'_' => JOINT,
            b'/' => SLASH,
            _ => OTHER,
        };
        byte += 1;
    }
    classes
};

/// Whether a segment looks like an id, given the classes of its bytes and how many digits it has.
fn is_id(segment: &[u8], classes: u8, digits: usize) -> bool {
    let has = |class: u8| classes & class != 0;
    if !has(DIGIT) || has(OTHER) {
        // No digit, no id, but for a UUID that happens to have none.
        return is_uuid(segment);
    }
    if !has(LOWER | UPPER | JOINT) {
        return classes == DIGIT || segment.len() >= 8;
    }
    let both_cases = has(LOWER | LOWER_HEX) && has(UPPER | UPPER_HEX);
    is_uuid(segment) || (segment.len() >= 20 && (both_cases || digits >= 4))
}

/// `8-4-4-4-12` hexadecimal digits.
fn is_uuid(segment: &[u8]) -> bool {
    segment.len() == 36
        && segment.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match() {
        #[track_caller]
        fn check(pattern: &str, request: &str, expected: bool) {
            let pattern: RoutePattern = pattern.parse().unwrap();
            let (method, path) = request.split_once(' ').unwrap();
            assert_eq!(
                pattern.matches(method, path),
                expected,
                "{pattern} {request}"
            );
        }
        check("/", "GET /", true);
        check("/", "GET /a", false);
        check("/a", "GET /a", true);
        check("/a", "GET /a/", false);
        check("/a", "GET /ab", false);
        check("/a", "GET /a/b", false);
        check("/a/", "GET /a/", true);
        check("/a/", "GET /a", false);
        check("/a/b", "GET /a", false);
        check("/A", "GET /a", false);
        check("GET /a", "GET /a", true);
        check("GET  /a", "GET /a", true);
        check("POST /a", "GET /a", false);
        check("/api/teams/:id", "GET /api/teams/7", true);
        check("/api/teams/:id", "GET /api/teams/", false);
        check("/api/teams/:id", "GET /api/teams", false);
        check("/api/teams/:id", "GET /api/teams/7/jobs", false);
        check("/api/:a/jobs/:b", "GET /api/teams/jobs/2", true);
        check("/api/:a/jobs/:b", "GET /api/7/jobs/2", true);
        check("/:a", "GET /ü", true);
        check("/*", "GET /", true);
        check("/*", "GET /a/b", true);
        check("/assets/*", "GET /assets/app.css", true);
        check("/assets/*", "GET /assets/img/a.png", true);
        check("/assets/*", "GET /assets/", true);
        check("/assets/*", "GET /assets", false);
        check("/assets/*", "GET /assetss/a", false);
        check("/:x/*", "GET /a/b/c", true);
        check("/:x/*", "GET /a", false);
        check("/*", "OPTIONS *", false);
        check("/a", "GET ", false);
    }

    #[test]
    fn wrong_patterns_are_refused() {
        #[track_caller]
        fn check(pattern: &str, expected: RouteError) {
            assert_eq!(pattern.parse::<RoutePattern>(), Err(expected));
        }
        let text = str::to_owned;
        check("", RouteError::Path(text("")));
        check("api", RouteError::Path(text("api")));
        check("/a b", RouteError::Method(text("/a")));
        check("GET /a b", RouteError::Path(text("GET /a b")));
        check("get /a", RouteError::Method(text("get")));
        check(" /a", RouteError::Method(text("")));
        check("GET a", RouteError::Path(text("GET a")));
        check("/a*", RouteError::Star(text("/a*")));
        check("/*/a", RouteError::Star(text("/*/a")));
        check("/**", RouteError::Star(text("/**")));
        check("/a/:", RouteError::Unnamed(text("/a/:")));
        check("/a?b=1", RouteError::Query(text("/a?b=1")));
        check(&"/a".repeat(501), RouteError::Long(1002));
    }

    #[test]
    fn ids_are_grouped() {
        #[track_caller]
        fn check(path: &str, expected: &str) {
            let mut out = "old".to_owned();
            route_of(path, &mut out);
            assert_eq!(out, expected);
        }
        check("", "");
        check("/", "/");
        check("/api/teams", "/api/teams");
        check("/api/teams/17", "/api/teams/:id");
        check("/api/teams/17/", "/api/teams/:id/");
        check("/api/teams/17/jobs/0", "/api/teams/:id/jobs/:id");
        check("//1//", "//:id//");
        check("/v1/a", "/v1/a");
        check("/a/1.5", "/a/1.5");
        check("/a/-1", "/a/-1");
        // UUIDs, with digits or without.
        check("/a/123e4567-e89b-12d3-a456-426614174000", "/a/:id");
        check("/a/ABCDEFAB-CDEF-ABCD-EFAB-CDEFABCDEFAB", "/a/:id");
        check("/a/12345678-1234", "/a/12345678-1234");
        // Hexadecimal: eight digits, one of them a number.
        check("/a/deadbee1", "/a/:id");
        check("/a/DEADBEE1", "/a/:id");
        check("/a/deadbeef", "/a/deadbeef");
        check("/a/facade", "/a/facade");
        check("/a/beef123", "/a/beef123");
        check("/a/deadbeg1", "/a/deadbeg1");
        // Tokens.
        check("/a/V1StGXR8_Z5jdHi6B-myT", "/a/:id");
        check("/a/01arz3ndektsv4rrffq69g5fav", "/a/:id");
        check(
            "/a/how-to-write-fast-code-in-rust",
            "/a/how-to-write-fast-code-in-rust",
        );
        check(
            "/a/top-10-of-the-year-so-far",
            "/a/top-10-of-the-year-so-far",
        );
        check(
            "/a/VeryLongCamelCaseNameOfAll",
            "/a/VeryLongCamelCaseNameOfAll",
        );
        check("/assets/app.0a1b2c3d.js", "/assets/app.0a1b2c3d.js");
        check("/a/%31%32", "/a/%31%32");
        check("/ü/12", "/ü/:id");
    }

    proptest! {
        #[test]
        fn any_path_is_taken(path in any::<String>(), pattern in "[A-Z/:*a ]{0,8}") {
            let mut out = String::new();
            route_of(&path, &mut out);
            prop_assert_eq!(out.matches('/').count(), path.matches('/').count());
            let mut again = String::new();
            route_of(&out, &mut again);
            prop_assert_eq!(&again, &out);
            if let Ok(pattern) = pattern.parse::<RoutePattern>() {
                pattern.matches("GET", &path);
            }
        }
    }
}
