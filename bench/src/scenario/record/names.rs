//! Names for what is in a script: short, telling, and no words of the language.

use rustc_hash::FxHashSet;

/// What a local must not be called: words of Luau, and globals of the scenario language.
const TAKEN: [&str; 68] = [
    "and",
    "break",
    "continue",
    "do",
    "else",
    "elseif",
    "end",
    "export",
    "false",
    "for",
    "function",
    "if",
    "in",
    "local",
    "nil",
    "not",
    "or",
    "repeat",
    "return",
    "then",
    "true",
    "type",
    "typeof",
    "until",
    "while",
    "u",
    "P",
    "check",
    "must",
    "check_equal",
    "score",
    "fail",
    "try",
    "running",
    "now",
    "clock",
    "pause",
    "pause_until",
    "ticker",
    "poll",
    "within",
    "parallel",
    "spawn",
    "pool",
    "counter",
    "shared",
    "once",
    "signal",
    "signalled",
    "wait_for",
    "feed",
    "random",
    "log",
    "print",
    "encode",
    "json",
    "form",
    "columns",
    "has",
    "which",
    "string",
    "table",
    "math",
    "utf8",
    "bit32",
    "buffer",
    "next",
    "select",
];

/// Words of a path that say nothing of what is asked for.
const EMPTY_WORDS: [&str; 7] = ["api", "rest", "v1", "v2", "v3", "id", "index"];

/// Field names that need to be told whose they are.
const BARE: [&str; 12] = [
    "id", "ids", "name", "key", "value", "uuid", "code", "text", "url", "number", "slug", "data",
];

/// Whether text is a name as Luau has them.
pub(super) fn is_name(text: &str) -> bool {
    let mut letters = text.bytes();
    let is_first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    letters.next().is_some_and(is_first)
        && letters.all(|byte| is_first(byte) || byte.is_ascii_digit())
        && !TAKEN[..25].contains(&text)
}

/// Names that are in use.
#[derive(Debug, Clone, Default)]
pub(super) struct Names(FxHashSet<String>);

impl Names {
    /// A name like `wanted` that is not in use yet.
    pub(super) fn take(&mut self, wanted: &str) -> String {
        let mut plain = snake(wanted);
        if plain.is_empty() || plain.starts_with(|first: char| first.is_ascii_digit()) {
            plain.insert_str(0, "value_");
        }
        if TAKEN.contains(&plain.as_str()) {
            plain.push_str("_value");
        }
        let mut name = plain.clone();
        let mut number = 2;
        while !self.0.insert(name.clone()) {
            name = format!("{plain}_{number}");
            number += 1;
        }
        name
    }
}

/// `displayName`, `display-name` -> `display_name`; at most 40 letters.
fn snake(text: &str) -> String {
    let mut name = String::new();
    let mut was_small = false;
    for letter in text.chars() {
        if !letter.is_ascii_alphanumeric() {
            if !name.is_empty() && !name.ends_with('_') {
                name.push('_');
            }
            was_small = false;
            continue;
        }
        if letter.is_ascii_uppercase() && was_small {
            name.push('_');
        }
        was_small = !letter.is_ascii_uppercase();
        name.push(letter.to_ascii_lowercase());
        if name.len() >= 40 {
            break;
        }
    }
    name.trim_end_matches('_').to_owned()
}

/// What a field is called by itself: the last two names of its path where the last is bare.
pub(super) fn of_field<'a>(path: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = path.collect();
    let Some((last, before)) = names.split_last() else {
        return "value".to_owned();
    };
    match before.last() {
        Some(owner) if BARE.contains(&last.to_ascii_lowercase().as_str()) => {
            format!("{}_{last}", singular(owner))
        }
        _ => (*last).to_owned(),
    }
}

fn singular(word: &str) -> &str {
    match word.strip_suffix('s') {
        Some(one) if one.len() > 2 && !one.ends_with('s') => one,
        _ => word,
    }
}

/// The words of a route that say what it is about.
pub(super) fn of_route(route: &str) -> String {
    let path = route.split_once(' ').map_or(route, |(_, path)| path);
    let words = path.split('/').filter(|word| {
        !word.is_empty()
            && !word.starts_with(':')
            && !EMPTY_WORDS.contains(&word.to_ascii_lowercase().as_str())
    });
    let words: Vec<&str> = words.collect();
    // The end of a long path says the most.
    let from = words.len().saturating_sub(3);
    snake(&words[from..].join("_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named() {
        let check = |path: &[&str], expected: &str| {
            assert_eq!(of_field(path.iter().copied()), expected);
        };
        check(&["team", "id"], "team_id");
        check(&["teams", "id"], "team_id");
        check(&["team", "invite_token"], "invite_token");
        check(&["id"], "id");
        check(&[], "value");
    }

    #[test]
    fn routes_are_named() {
        let check = |route: &str, expected: &str| assert_eq!(of_route(route), expected);
        check("POST /api/teams/:id/members", "teams_members");
        check("POST /worker/jobs/receive", "worker_jobs_receive");
        check("GET /", "");
    }

    #[test]
    fn names_are_taken_once() {
        let mut names = Names::default();
        let mut check = |wanted: &str, expected: &str| assert_eq!(names.take(wanted), expected);
        check("teamId", "team_id");
        check("team_id", "team_id_2");
        check("end", "end_value");
        check("7", "value_7");
        check("", "value_");
    }
}
