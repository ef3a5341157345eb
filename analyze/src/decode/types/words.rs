//! Words of names and routes, and how well they go together: `GET /api/teams/:id` and `GetTeamResponse`.

/// What a type's name says of the side it is sent by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// `...Request`, `...Input`.
    Request,
    /// `...Response`, `...Reply`.
    Response,
    /// `...Error`, `Status`.
    Error,
    /// The name does not say.
    Unsaid,
}

/// Words at the end of a name that say its role.
const ROLES: [(&str, Role); 14] = [
    ("request", Role::Request),
    ("req", Role::Request),
    ("input", Role::Request),
    ("params", Role::Request),
    ("command", Role::Request),
    ("response", Role::Response),
    ("res", Role::Response),
    ("resp", Role::Response),
    ("reply", Role::Response),
    ("output", Role::Response),
    ("result", Role::Response),
    ("error", Role::Error),
    ("failure", Role::Error),
    ("problem", Role::Error),
];

/// Verbs that names use for each method, the likeliest first.
const VERBS: [(&str, &[&str]); 5] = [
    (
        "GET",
        &[
            "get", "list", "fetch", "read", "show", "find", "search", "query", "lookup",
            "describe", "view", "load", "batch", "count", "watch", "download",
        ],
    ),
    (
        "POST",
        &[
            "create", "add", "new", "post", "register", "submit", "insert", "enqueue", "send",
            "make", "start", "issue", "place", "open", "request", "join", "ask", "buy", "upload",
            "import", "answer", "receive", "report", "batch", "push", "publish", "run",
        ],
    ),
    (
        "PUT",
        &[
            "update", "put", "set", "replace", "edit", "change", "save", "upsert", "store",
        ],
    ),
    (
        "PATCH",
        &[
            "update", "patch", "edit", "change", "modify", "set", "rename",
        ],
    ),
    (
        "DELETE",
        &[
            "delete", "remove", "destroy", "cancel", "leave", "drop", "clear", "revoke", "unset",
        ],
    ),
];

/// The words of a type's name without the one that says its role, in lower case and singular.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TypeWords {
    pub(super) words: Vec<String>,
    pub(super) role: Role,
}

impl TypeWords {
    /// Of a full name: `contest.v1.GetTeamResponse` is `get team`, a response.
    pub(super) fn new(full_name: &str) -> Self {
        let name = full_name.rsplit('.').next().unwrap_or(full_name);
        let mut words = words(name);
        let role = words
            .last()
            .and_then(|last| ROLES.iter().find(|(word, _)| word == last))
            .map_or(Role::Unsaid, |(_, role)| *role);
        // A type that is named for its role alone keeps its only word.
        if role != Role::Unsaid && words.len() > 1 {
            words.pop();
        }
        for word in &mut words {
            singular(word);
        }
        Self { words, role }
    }
}

/// The words of a route: of its literal segments, with the method, and whether it ends in a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RouteWords {
    pub(super) method: String,
    /// From the first segment to the last.
    pub(super) words: Vec<String>,
    /// How many of the last words belong to the last literal segment.
    pub(super) last: usize,
    /// Whether the last segment is a parameter: one thing of many.
    pub(super) is_one: bool,
    /// Whether the last literal segment is a plural: many things.
    pub(super) is_plural: bool,
}

/// Segments that say nothing of the type.
const EMPTY_WORDS: [&str; 6] = ["api", "rest", "rpc", "v", "public", "internal"];

impl RouteWords {
    /// Of a name such as `GET /api/teams/:id`.
    pub(super) fn new(route: &str) -> Self {
        let (method, path) = route.split_once(' ').unwrap_or(("", route));
        let mut seen = Self {
            method: method.to_owned(),
            words: Vec::new(),
            last: 0,
            is_one: false,
            is_plural: false,
        };
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            seen.is_one = segment.starts_with([':', '*', '{']);
            if seen.is_one {
                continue;
            }
            let mut found: Vec<String> = words(segment)
                .into_iter()
                .filter(|word| !EMPTY_WORDS.contains(&word.as_str()) && !is_version(word))
                .collect();
            seen.is_plural = false;
            for word in &mut found {
                seen.is_plural = singular(word);
            }
            if !found.is_empty() {
                seen.last = found.len();
            }
            seen.words.extend(found);
        }
        seen
    }
}

fn is_version(word: &str) -> bool {
    word.strip_prefix('v')
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The words of `camelCase`, `snake_case`, `kebab-case` and `HTTPServer`, in lower case.
fn words(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().take(256).collect();
    let mut words = Vec::new();
    let mut word = String::new();
    for (at, &c) in chars.iter().enumerate() {
        if !c.is_alphanumeric() {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            continue;
        }
        let after_lower = at > 0 && chars[at - 1].is_lowercase();
        let before_lower = chars.get(at + 1).is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && !word.is_empty() && (after_lower || before_lower) {
            words.push(std::mem::take(&mut word));
        }
        word.extend(c.to_lowercase());
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// Make a word singular; whether it was a plural.
fn singular(word: &mut String) -> bool {
    if word.len() < 4 || word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") {
        return false;
    }
    if word.ends_with("ies") {
        word.truncate(word.len() - 3);
        word.push('y');
        return true;
    }
    let by_two = ["ses", "xes", "ches", "shes", "zes"];
    if by_two.iter().any(|end| word.ends_with(end)) {
        // `houses` is `house`, `boxes` is `box`: both lose what the other has too.
        word.truncate(word.len() - if word.ends_with("ses") { 1 } else { 2 });
        return true;
    }
    if word.ends_with('s') {
        word.truncate(word.len() - 1);
        return true;
    }
    false
}

/// How well a type's words go with a route's, from 0 to 1. `weight` says how much a word tells apart.
pub(super) fn affinity(
    of_type: &TypeWords,
    route: &RouteWords,
    weight: &dyn Fn(&str) -> f64,
) -> f64 {
    let mut shared = 0.0;
    let mut all = 0.0;
    let mut verb = 0.0;
    let verbs = VERBS.iter().find(|(method, _)| *method == route.method);
    let mut matched = vec![false; route.words.len()];
    for (at, word) in of_type.words.iter().enumerate() {
        if let Some(found) = route.words.iter().rposition(|own| own == word) {
            matched[found] = true;
            // The last segment says most of what a route is about.
            let is_last = found + route.last >= route.words.len();
            shared += weight(word) * if is_last { 1.0 } else { 0.8 };
            all += weight(word);
            continue;
        }
        // A verb is only one where it begins the name or is all of it.
        let place = verbs
            .filter(|_| at == 0)
            .and_then(|(_, verbs)| verbs.iter().position(|verb| verb == word));
        match place {
            Some(place) => verb = verb_weight(word, place, route),
            None => {
                all += weight(word)
                    * if is_foreign_verb(word, &route.method) {
                        1.2
                    } else {
                        1.0
                    }
            }
        }
    }
    for (word, matched) in route.words.iter().zip(&matched) {
        if !matched {
            all += weight(word) * 0.6;
        }
    }
    let words = if all > 0.0 { shared / all } else { 0.0 };
    // A verb alone says little, and more beside a word that fits.
    0.8 * words + verb * (0.05 + 0.15 * words)
}

/// `list` wants many things, `get` one; the likelier verbs of a method count more.
fn verb_weight(verb: &str, place: usize, route: &RouteWords) -> f64 {
    match verb {
        "list" | "search" | "find" | "query" => match route.is_plural && !route.is_one {
            true => 1.0,
            false => 0.2,
        },
        "get" | "show" | "read" | "describe" if route.is_plural && !route.is_one => 0.4,
        "create" | "add" | "new" if route.is_one => 0.4,
        _ => 1.0 / (1.0 + 0.05 * place as f64),
    }
}

/// Whether a word is a verb of other methods only.
fn is_foreign_verb(word: &str, method: &str) -> bool {
    VERBS
        .iter()
        .any(|(other, verbs)| *other != method && verbs.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fall_into_words() {
        let check = |name: &str, expected: &str, role: Role| {
            let seen = TypeWords::new(name);
            assert_eq!(
                (seen.words.join(" ").as_str(), seen.role),
                (expected, role),
                "{name}"
            );
        };
        check("contest.v1.GetTeamResponse", "get team", Role::Response);
        check("ListJobsRequest", "list job", Role::Request);
        check("a.HTTPServerReply", "http server", Role::Response);
        check("Error", "error", Role::Error);
        check("list_categories_resp", "list category", Role::Response);
        check("Team", "team", Role::Unsaid);
        check("BoxesOfHouses", "box of house", Role::Unsaid);
        check("Address", "address", Role::Unsaid);
    }

    #[test]
    fn routes_fall_into_words() {
        let check = |route: &str, expected: &str, last, is_one, is_plural| {
            let seen = RouteWords::new(route);
            let words = (seen.words.join(" "), seen.last, seen.is_one, seen.is_plural);
            assert_eq!(
                words,
                (expected.to_owned(), last, is_one, is_plural),
                "{route}"
            );
        };
        check("GET /api/teams/:id", "team", 1, true, true);
        check("GET /api/v2/jobs", "job", 1, false, true);
        check(
            "POST /worker/jobs/receive",
            "worker job receive",
            1,
            false,
            false,
        );
        check(
            "GET /api/audience/dashboard",
            "audience dashboard",
            1,
            false,
            false,
        );
        check("POST /user-sessions", "user session", 2, false, true);
    }

    #[test]
    fn the_right_type_goes_best_with_its_route() {
        let types = [
            "GetTeamResponse",
            "CreateTeamResponse",
            "JoinTeamResponse",
            "ListJobsResponse",
            "GetJobResponse",
            "EnqueueJobResponse",
            "SignupResponse",
            "DashboardResponse",
            "AskResponse",
            "ReceiveJobResponse",
        ]
        .map(TypeWords::new);
        let check = |route: &str, expected: usize| {
            let route = RouteWords::new(route);
            let scores: Vec<f64> = types
                .iter()
                .map(|own| affinity(own, &route, &|_| 1.0))
                .collect();
            let best = (0..types.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b]));
            assert_eq!(best, Some(expected), "{route:?} {scores:?}");
        };
        check("GET /api/teams/:id", 0);
        check("POST /api/teams", 1);
        check("GET /api/jobs", 3);
        check("GET /api/jobs/:id", 4);
        check("POST /api/jobs", 5);
        check("POST /api/signup", 6);
        check("GET /api/audience/dashboard", 7);
        check("POST /worker/jobs/receive", 9);
    }
}
