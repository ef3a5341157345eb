//! Patterns of routes that matched nothing: mistyped, most likely.

use isukit_analyze::digest::Digest;

use super::DigestArgs;

/// A note for each pattern that no route is named by.
pub(super) fn unused(args: &DigestArgs, digest: &Digest) -> Vec<String> {
    let is_unused = |pattern: &str| {
        let mut names = digest.requests.groups.iter().map(|group| &group.name);
        !names.any(|name| name.contains(pattern))
    };
    let given = |option: &'static str, patterns: &[String]| {
        let unused = patterns.iter().filter(|pattern| is_unused(pattern.trim()));
        unused
            .map(|pattern| format!("{option} '{pattern}' matched no request"))
            .collect::<Vec<_>>()
    };
    let mut notes = given("--route", &args.route);
    notes.extend(given("--route-regex", &args.route_regex));
    notes
}
