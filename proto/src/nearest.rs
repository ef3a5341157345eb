//! The name somebody probably meant.

/// The candidate nearest to `name` by edit distance, when it is near enough to be a slip: at most a
/// third of the letters differ. Case does not count, and a dotted name is also compared by its last
/// part.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let name = short(name);
    let allowed = (name.chars().count() / 3).clamp(1, 8);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = distance(&name, &short(candidate), allowed);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate.to_owned())
}

/// The last part of a dotted name, folded and cut, so that a huge name costs nothing.
fn short(name: &str) -> String {
    let last = name.rsplit('.').next().unwrap_or(name);
    last.chars()
        .filter(|c| *c != '_')
        .take(64)
        .flat_map(char::to_lowercase)
        .collect()
}

/// Levenshtein distance; anything above `allowed` may be reported as `allowed + 1`.
fn distance(a: &str, b: &str, allowed: usize) -> usize {
    let b: Vec<char> = b.chars().collect();
    let a: Vec<char> = a.chars().collect();
    if a.len().abs_diff(b.len()) > allowed {
        return allowed + 1;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn names_the_likely_one() {
        #[track_caller]
        fn check(name: &str, expected: Option<&str>) {
            let known = ["shop.v1.Team", "shop.v1.Member", "shop.v1.TeamList"];
            assert_eq!(nearest(name, known.into_iter()).as_deref(), expected);
        }
        check("Taem", None);
        check("Tem", Some("shop.v1.Team"));
        check("shop.v1.team", Some("shop.v1.Team"));
        check("Membre", Some("shop.v1.Member"));
        check("Teamlist", Some("shop.v1.TeamList"));
        check("Zebra", None);
        check("", None);
    }
}
