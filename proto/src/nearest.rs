//! The name somebody probably meant.

/// The candidate nearest to `name`, when it is near enough to be a slip: one edit for up to four
/// letters, two for up to eight, then a third of the letters. Two letters that changed places are one
/// edit, a word of one or two letters must keep one of them. Case and `_` do not count, and a dotted
/// name is also compared by its last part.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let name = short(name);
    let allowed = match name.len() {
        0 => return None,
        len @ 1..=8 => len.div_ceil(4),
        len => len / 3,
    };
    let allowed = allowed.min(8);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let other = short(candidate);
        let distance = distance(&name, &other, allowed);
        // As many edits as the longer word has letters make any word of any other.
        let likely = distance <= allowed && distance < name.len().max(other.len());
        if likely && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate.to_owned())
}

/// The last part of a dotted name, folded and cut, so that a huge name costs nothing.
fn short(name: &str) -> Vec<char> {
    let last = name.rsplit('.').next().unwrap_or(name);
    last.chars()
        .filter(|c| *c != '_')
        .take(64)
        .flat_map(char::to_lowercase)
        .collect()
}

/// Edit distance with the swap of two neighbours as one edit; anything above `allowed` may be reported
/// as `allowed + 1`.
fn distance(a: &[char], b: &[char], allowed: usize) -> usize {
    if a.len().abs_diff(b.len()) > allowed {
        return allowed + 1;
    }
    // The rows for the prefix of `a`, the one a letter shorter and the one before that.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut above = row.clone();
    let mut over = row.clone();
    for (i, x) in a.iter().enumerate() {
        over.clone_from(&above);
        above.clone_from(&row);
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = above[j] + usize::from(x != y);
            let mut least = change.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(over[j - 1] + 1);
            }
            row[j + 1] = least;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn names_the_likely_one() {
        #[track_caller]
        fn check(name: &str, expected: Option<&str>) {
            let known = [
                "shop.v1.Team",
                "shop.v1.Member",
                "shop.v1.TeamList",
                "name",
                "display_name",
                "id",
            ];
            assert_eq!(nearest(name, known.into_iter()).as_deref(), expected);
        }
        check("Taem", Some("shop.v1.Team"));
        check("Tem", Some("shop.v1.Team"));
        check("shop.v1.team", Some("shop.v1.Team"));
        check("shop.v1.Meber", Some("shop.v1.Member"));
        check("Membre", Some("shop.v1.Member"));
        check("Mebmers", Some("shop.v1.Member"));
        check("Teamlist", Some("shop.v1.TeamList"));
        check("TaemLits", Some("shop.v1.TeamList"));
        check("nmae", Some("name"));
        check("anme", Some("name"));
        check("naem", Some("name"));
        check("mane", None);
        check("displayNmae", Some("display_name"));
        check("di", Some("id"));
        check("ids", Some("id"));
        check("x", None);
        check("zz", None);
        check("Zebra", None);
        check("", None);
        check("_", None);
    }

    #[test]
    fn counts_edits() {
        #[track_caller]
        fn check(a: &str, b: &str, expected: usize) {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(distance(&letters(a), &letters(b), 64), expected, "{a} {b}");
            assert_eq!(distance(&letters(b), &letters(a), 64), expected, "{b} {a}");
        }
        check("", "", 0);
        check("", "abc", 3);
        check("ab", "ba", 1);
        check("abcd", "badc", 2);
        check("kitten", "sitting", 3);
        check("ca", "abc", 3);
    }
}
